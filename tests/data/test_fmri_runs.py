from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroling.data.bids import find_files
from neuroling.data.fmri_runs import read_runs
from neuroling.data.study_samples.fmri import write_story


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("story")
    write_story(folder, n_runs=2, n_volumes=40)
    return folder / "derivatives" / "fmriprep"


def files(root: Path):
    return find_files(root, suffix="bold", sub="01", task="story", desc="preproc")


def test_runs_are_one_recording_labelled_by_run_and_volume(root):
    recording, confounds = read_runs(files(root))
    assert confounds is None
    assert recording.sizes == {"sample": 80, "voxel": 100}  # voxels of the brain mask alone
    assert recording.indexes["sample"][[0, 40]].tolist() == ["task-story_run-1:0", "task-story_run-2:0"]
    assert recording.onset[[1, 41]].to_numpy().tolist() == [2.0, 2.0]
    assert recording.attrs["tr_s"] == 2.0
    assert recording.attrs["synthetic"] == 1


@pytest.mark.parametrize("strategy", ["simple", "scrubbing", {"strategy": ("motion", "wm_csf"), "motion": "basic"}])
def test_confounds_come_by_the_name_of_their_strategy(root, strategy):
    from nilearn.interfaces.fmriprep import load_confounds, load_confounds_strategy

    recording, confounds = read_runs(files(root), confounds=strategy)
    path = str(files(root)[1].path)
    expected, kept = (
        load_confounds_strategy(path, denoise_strategy=strategy)
        if isinstance(strategy, str)
        else load_confounds(path, **strategy)
    )
    ours = confounds.isel(sample=slice(40, 80)).sel(feature=list(expected.columns))
    np.testing.assert_allclose(ours.values, expected.to_numpy())
    n_kept = 40 if kept is None else len(kept)
    assert int((~recording.censored[40:]).sum()) == n_kept
    assert "nilearn" in recording.attrs["confounds"]


def test_volumes_with_motion_are_censored_and_stay_in_place(root, tmp_path):
    import shutil

    shutil.copytree(root, tmp_path / "moved")
    path = tmp_path / "moved/sub-01/func/sub-01_task-story_run-1_desc-confounds_timeseries.tsv"
    table = pd.read_csv(path, sep="\t")
    table.loc[10, "framewise_displacement"] = 3.0
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")
    strategy = {
        "strategy": ("motion", "scrub"),
        "motion": "basic",
        "scrub": 0,
        "fd_threshold": 0.5,
        "std_dvars_threshold": 3,
    }
    recording, _ = read_runs(files(tmp_path / "moved"), confounds=strategy)
    assert np.flatnonzero(recording.censored.values).tolist() == [10]
    assert recording.attrs["n_censored"] == 1
    assert recording.sizes["sample"] == 80


def test_what_does_not_fit_is_refused(root, tmp_path):
    with pytest.raises(ValueError, match="expected one of simple, scrubbing"):
        read_runs(files(root), confounds="simpel")
    with pytest.raises(ValueError, match="got none"):
        read_runs([])
    other = tmp_path / "sub-02_task-story_run-1_desc-preproc_bold.nii.gz"
    other.write_bytes(files(root)[0].path.read_bytes())
    with pytest.raises(ValueError, match="participants"):
        read_runs([files(root)[0], other])
