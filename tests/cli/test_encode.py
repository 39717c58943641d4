"""``neuroling encode``: tiles from the shell, as a job of an array runs them."""

from __future__ import annotations

import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroling import ContiguousFolds, Result, RidgeCV, Stimuli, align, evaluate, pearson
from neuroling.data.sources import open_npy

N, VOXELS = 60, 6


@pytest.fixture
def study(tmp_path):
    """Features of two layers, a table of volumes, and the recording as a matrix and as an image."""
    rng = np.random.default_rng(0)
    labels = [f"v{i}" for i in range(N)]
    stimuli = Stimuli.from_texts(labels)
    layers = [stimuli.features(rng.standard_normal((N, 3))) for _ in range(2)]
    joined = xr.concat(layers, pd.Index(["one", "two"], name="layer"), coords="minimal", compat="override")
    joined.to_netcdf(tmp_path / "features.nc", engine="h5netcdf")
    values = (layers[1].to_numpy() @ rng.standard_normal((3, VOXELS)) + rng.standard_normal((N, VOXELS))).astype("f4")
    np.save(tmp_path / "y.npy", values)
    nibabel.save(nibabel.Nifti1Image(values.T.reshape(1, 2, 3, N), np.eye(4)), tmp_path / "y.nii")
    nibabel.save(nibabel.Nifti1Image(np.ones((1, 2, 3), np.uint8), np.eye(4)), tmp_path / "mask.nii")
    pd.DataFrame({"sample": labels, "time_index": range(N)}).to_csv(tmp_path / "samples.csv", index=False)
    return tmp_path


def arguments(study, *more, targets="y.npy"):
    files = [study / targets, "-x", study / "features.nc", "--samples", study / "samples.csv", "--out", study / "out"]
    return ["encode", *files, "--layer", "two", "--gap", "2", "--penalties=-1:3:5", "--device", "cpu", *more]


def test_tiles_and_gathering_give_the_scores_of_python(call, study):
    for tile in ("1/3", "2/3", "3/3"):
        answer = call(*arguments(study, "--tile", tile))
        assert answer.exit_code == 0, answer.stderr
    answer = call("gather", *sorted((study / "out").glob("*.nc")), "--out", study / "all.nc")
    assert answer.exit_code == 0, answer.stderr
    folds = ContiguousFolds(5, 2)
    features = xr.load_dataarray(study / "features.nc", engine="h5netcdf").sel(layer="two", drop=True)
    recording = open_npy(study / "y.npy", pd.read_csv(study / "samples.csv")).read(slice(None))
    model = RidgeCV(np.logspace(-1, 3, 5).tolist(), folds=folds, device="cpu")
    expected = evaluate(model, align(features, recording), splits=folds, metric=pearson).score
    np.testing.assert_allclose(Result.load(study / "all.nc").score, expected, atol=1e-5)


def test_an_image_gives_the_scores_of_its_matrix(call, study):
    scores = []
    for targets, more in (("y.npy", []), ("y.nii", ["--mask", study / "mask.nii"])):
        answer = call(*arguments(study, "--tiles", "1", *more, targets=targets), "--out", study / targets[-3:])
        assert answer.exit_code == 0, answer.stderr
        scores.append(Result.load(study / targets[-3:] / "tile-1-of-1.nc").score.values)
    np.testing.assert_allclose(*scores, atol=1e-6)


def test_a_null_comes_along(call, study):
    answer = call(*arguments(study, "--tile", "1/3", "--null", "block:6", "--draws", "30"))
    assert answer.exit_code == 0, answer.stderr
    assert Result.load(study / "out" / "tile-1-of-3.nc").null.n_draws == 30


BAD = {
    "tile": (["--tile", "3"], 2, "such as 3/40"),
    "both": (["--tile", "1/2", "--tiles", "2"], 2, "one of the two"),
    "folds": (["--folds", "many"], 2, "expected a number, or `group`"),
    "gap of groups": (["--folds", "group"], 2, "no gap to leave"),
    "penalties": (["--penalties", "1"], 2, "expected FROM:TO:HOW MANY"),
    "null": (["--null", "magic"], 2, "expected none, shift, block:LENGTH or exchange"),
    "unusable": (["--unusable", "drop"], 2, "expected refuse or nan"),
    "layer": (["--layer", "three"], 2, "has the layers one, two"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_options_get_a_sentence(case, call, study):
    more, status, message = BAD[case]
    answer = call(*arguments(study, *more))
    said = " ".join(answer.stderr.replace("│", " ").split())
    assert (answer.exit_code, message in said) == (status, True), said


def test_an_image_needs_a_mask(call, study):
    answer = call(*arguments(study, targets="y.nii"))
    assert (answer.exit_code, "mask" in answer.stderr) == (2, True)


def test_a_file_that_is_not_there_is_named(call, study):
    answer = call(*arguments(study, targets="absent.npy"))
    assert (answer.exit_code, "absent.npy" in answer.stderr) == (1, True)


@pytest.mark.parametrize("name", ["y.npy", "y.nii", "y.nii.gz", "mask.nii", "features.nc"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_a_truncated_file_is_named_in_one_line(call, study, name, share):
    nibabel.save(nibabel.load(study / "y.nii"), study / "y.nii.gz")
    content = (study / name).read_bytes()
    (study / name).write_bytes(content[: int(share * len(content))])
    targets = name if name.startswith("y.") else "y.nii"
    more = [] if targets == "y.npy" else ["--mask", study / "mask.nii"]
    answer = call(*arguments(study, *more, targets=targets))
    assert answer.exit_code == 1
    (line,) = [line for line in answer.stderr.splitlines() if line.startswith("neuroling: ")]
    assert name in line
    assert "Aborted" not in answer.stderr
