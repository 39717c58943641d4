from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneGroupOut

from neuroling import ContiguousFolds
from neuroling.encoding.nuisance import clean_spaces, remove_nuisance, stretches


def volumes(values: np.ndarray, *, runs: int = 1, censored: np.ndarray | None = None) -> xr.DataArray:
    n = len(values)
    each = n // runs
    coords = {
        "sample": np.arange(n),
        "group": ("sample", np.repeat([f"run-{i}" for i in range(runs)], each)),
        "time_index": ("sample", np.tile(np.arange(each), runs)),
    }
    if censored is not None:
        coords["censored"] = ("sample", censored)
    return xr.DataArray(values, dims=("sample", "voxel"), coords=coords, attrs={"tr_s": 2.0})


def regressors(values: np.ndarray, like: xr.DataArray) -> xr.DataArray:
    return xr.DataArray(values, dims=("sample", "feature"), coords={"sample": like.sample.values})


def test_what_is_left_is_the_residual_of_a_regression_in_each_stretch():
    rng = np.random.default_rng(0)
    recording, z = volumes(rng.standard_normal((80, 3)), runs=2), rng.standard_normal((80, 4))
    cleaned = remove_nuisance(recording, recording, confounds=regressors(z, recording), high_pass_s=None)
    for rows in (slice(0, 40), slice(40, 80)):
        fit = LinearRegression().fit(z[rows], recording.values[rows])
        np.testing.assert_allclose(cleaned.values[rows], recording.values[rows] - fit.predict(z[rows]), atol=1e-12)


def test_held_out_volumes_leave_no_trace_in_training_volumes():
    rng = np.random.default_rng(1)
    recording, folds = volumes(rng.standard_normal((120, 2))), ContiguousFolds(3, gap=2)
    changed = recording.copy(data=recording.values + np.r_[np.zeros(80), 50 * rng.standard_normal(40)][:, None])
    before, after = (remove_nuisance(one, one, splits=folds, high_pass_s=60.0) for one in (recording, changed))
    np.testing.assert_array_equal(before.values[:80], after.values[:80])
    assert np.abs(before.values[80:] - after.values[80:]).max() > 1


def test_slow_drifts_go_and_fast_signals_stay():
    time = np.arange(200) * 2.0
    slow, fast = np.cos(2 * np.pi * time / 400), np.sin(2 * np.pi * time / 20)
    recording = volumes(np.stack([slow, fast], axis=1))
    cleaned = remove_nuisance(recording, recording, high_pass_s=128.0)
    assert cleaned.std("sample").values == pytest.approx([0.0, fast.std()], abs=0.02)


def test_correlations_after_censoring_are_those_without_the_volumes():
    rng = np.random.default_rng(2)
    values, marks = rng.standard_normal((60, 2)), np.zeros(60, dtype=bool)
    marks[[5, 6, 30]] = True
    wild = values.copy()
    wild[marks] += 1000
    recording = volumes(wild, censored=marks)
    cleaned = remove_nuisance(recording, recording, high_pass_s=None).values
    assert np.abs(cleaned[marks]).max() < 1e-9
    assert np.corrcoef(cleaned.T)[0, 1] == pytest.approx(np.corrcoef(values[~marks].T)[0, 1])


def test_a_series_of_confounds_alone_and_a_constant_series_are_refused():
    rng = np.random.default_rng(3)
    recording = volumes(np.stack([np.ones(50), rng.standard_normal(50)], axis=1))
    with pytest.raises(ValueError, match=r"1 series are constant.*first \[0\]"):
        remove_nuisance(recording, recording, standardize=True)
    z = regressors(recording.values[:, 1:], recording)
    with pytest.raises(ValueError, match="nothing is left of it"):
        clean_spaces({"same": z}, recording, confounds=z, high_pass_s=None)


def test_too_many_regressors_for_a_stretch_are_refused():
    recording = volumes(np.random.default_rng(4).standard_normal((40, 2)))
    z = regressors(np.random.default_rng(5).standard_normal((40, 32)), recording)
    with pytest.raises(ValueError, match="33 regressors leave 7 of the 40 volumes"):
        remove_nuisance(recording, recording, confounds=z, high_pass_s=None)


def test_spaces_are_brought_to_a_total_variance_of_one():
    rng = np.random.default_rng(6)
    recording = volumes(rng.standard_normal((100, 2)))
    space = regressors(1e4 * rng.standard_normal((100, 5)), recording)
    cleaned = clean_spaces({"model": space}, recording)["model"]
    assert float(cleaned.var("sample").sum()) == pytest.approx(1.0)


def test_stretches_are_runs_times_folds():
    recording = volumes(np.zeros((8, 1)), runs=2)
    assert stretches(recording).tolist() == [0] * 4 + [1] * 4
    assert stretches(recording, LeaveOneGroupOut()).tolist() == [0] * 4 + [1] * 4
    assert stretches(recording, ContiguousFolds(2)).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_other_samples_and_an_unknown_repetition_time_are_refused():
    recording = volumes(np.random.default_rng(0).standard_normal((30, 1)))
    with pytest.raises(ValueError, match="not those of the recording"):
        remove_nuisance(recording[::-1], recording)
    with pytest.raises(ValueError, match="tr_s"):
        remove_nuisance(recording, recording.assign_attrs(tr_s=2.0).drop_attrs())
