from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level import make_first_level_design_matrix

from neuroling.data.bids import find_files
from neuroling.data.fmri_runs import read_runs
from neuroling.data.single_trials import single_trial_betas
from neuroling.data.study_samples.fmri import write_word_list
from neuroling.data.word_files import read_words


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    write_word_list(folder, n_words=5)
    files = find_files(folder / "derivatives/fmriprep", suffix="bold", sub="01", desc="preproc")
    return files, read_words(sorted((folder / "words").iterdir()))


def design(table: pd.DataFrame, names: list[str], frames: np.ndarray) -> pd.DataFrame:
    events = pd.DataFrame(
        {"onset": table["onset"], "duration": table["offset"] - table["onset"], "trial_type": names}
    ).reset_index(drop=True)
    return make_first_level_design_matrix(frames, events, hrf_model="spm", drift_model="cosine", high_pass=1 / 128)


@pytest.mark.parametrize("method", ["lsa", "lss"])
def test_betas_are_those_of_the_designs_solved_by_least_squares(study, method):
    files, words = study
    betas = single_trial_betas(files, words, method=method)
    recording = read_runs(files).recording
    for repeat, run in enumerate(("task-nouns_run-1", "task-nouns_run-2")):
        rows = (recording.group == run).to_numpy()
        table = words.table[words.table["group"] == run]
        for trial, text in enumerate(table["text"]):
            names = [f"t{i}" if method == "lsa" or i == trial else "others" for i in range(len(table))]
            x = design(table, names, recording.onset.to_numpy()[rows])
            expected = np.linalg.lstsq(x.to_numpy(), recording.to_numpy()[rows].astype(float), rcond=None)[0]
            ours = betas.sel(sample=text).isel(repeat=repeat).to_numpy()
            np.testing.assert_allclose(ours, expected[list(x.columns).index(f"t{trial}")], rtol=1e-4, atol=1e-3)


def test_voxels_of_meaning_agree_over_repeats_more_than_others(study):
    betas = single_trial_betas(*study, method="lsa")
    first, second = (betas.isel(repeat=i) - betas.isel(repeat=i).mean("sample") for i in (0, 1))
    r = (first * second).mean("sample") / (first.std("sample") * second.std("sample"))
    assert float(r[1::2].mean()) > 0.8  # every second voxel responds to meaning
    assert float(r[1::2].mean()) > float(r[::2].mean()) + 0.3


def test_what_was_done_stands_in_the_attributes(study):
    betas = single_trial_betas(
        *study, method="lsa", confounds={"strategy": ("motion",), "motion": "basic"}, high_pass_s=None
    )
    assert (
        betas.attrs["single_trials"] == "LSA by nilearn's FirstLevelModel, response spm, noise ols, no high-pass filter"
    )
    assert "motion" in betas.attrs["confounds"]
    assert betas.attrs["synthetic"] == 1
    assert betas.attrs["grid_shape"] == [6, 5, 4]


def test_a_word_that_was_shown_less_often_lacks_repeats(study):
    files, words = study
    some = type(words)(words.table.iloc[:-1])
    betas = single_trial_betas(files, some, method="lsa")
    last = words.texts[-1]
    assert int(betas.n_trials.sel(sample=last)) == 1
    assert np.isnan(betas.sel(sample=last).isel(repeat=1)).all()


def test_what_does_not_fit_is_refused(study):
    files, words = study
    with pytest.raises(ValueError, match="expected 'lss' or 'lsa'"):
        single_trial_betas(files, words, method="lsx")
    with pytest.raises(ValueError, match="images or words but not both"):
        single_trial_betas(files[:1], words)
    late = words.table.assign(onset=words.table["onset"] + 1000, offset=words.table["offset"] + 1000)
    with pytest.raises(ValueError, match="begin before its first or after its last volume"):
        single_trial_betas(files, type(words)(late))
