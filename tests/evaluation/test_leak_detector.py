"""Leaks that no label gives away are seen in the data, warned of, and kept in the result; clean designs pass."""

import importlib.util
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter
from sklearn.model_selection import KFold, LeaveOneGroupOut

from neuroling import CircularShift, ContiguousFolds, Permutation, Result, Ridge, align, evaluate, pearson
from neuroling.encoding import LeaveOneOutRidgeCV
from neuroling.evaluation import ShufflesTime
from neuroling.evaluation.leaks import LeakageWarning, rows_resemble_neighbours

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "calibration" / "leaks.py"
spec = importlib.util.spec_from_file_location("leak_designs", SCRIPT)
designs = importlib.util.module_from_spec(spec)
sys.modules["leak_designs"] = designs
spec.loader.exec_module(designs)
CLEAN = {make.__name__: make for make in designs.clean_designs()}


@pytest.mark.parametrize("name", sorted(designs.PLANTED))
def test_every_planted_leak_is_seen(name):
    code, make = designs.PLANTED[name]
    assert [code in designs.look(make(np.random.default_rng(seed)))[0] for seed in (1, 2)] == [True, True]


@pytest.mark.parametrize("name", sorted(CLEAN))
def test_clean_designs_raise_no_alarm(name):
    assert designs.look(CLEAN[name](np.random.default_rng(11)))[0] == set()


@pytest.fixture
def leaking():
    return designs.words_repeated(np.random.default_rng(0))[0]


def test_a_leak_is_warned_of_and_stands_in_the_result(leaking, tmp_path):
    with pytest.warns(LeakageWarning, match="the same features") as caught:
        result = evaluate(Ridge(1.0), leaking, splits=KFold(5), metric=pearson)
    assert caught[0].message.code == "repeated-features"
    result.save(tmp_path / "scores.nc")
    again = Result.load(tmp_path / "scores.nc")
    assert again.leaks == result.leaks
    assert len(again.leaks) == 1
    assert "LEAK? repeated-features" in str(again)


def test_leakage_is_allowed_with_a_reason_that_is_kept(leaking, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = evaluate(
            Ridge(1.0), leaking, splits=KFold(5), metric=pearson, allow_leakage="words recur in speech as well"
        )
    result.save(tmp_path / "scores.nc")
    again = Result.load(tmp_path / "scores.nc")
    assert again.leakage_allowed == "words recur in speech as well"
    assert again.leaks[0].startswith("repeated-features")
    assert "leakage allowed: words recur" in str(again)


@pytest.mark.parametrize("reason", ["", " ", True, 1])
def test_a_reason_has_to_be_words(leaking, reason):
    with pytest.raises(TypeError, match="allow_leakage"):
        evaluate(Ridge(1.0), leaking, splits=KFold(5), metric=pearson, allow_leakage=reason)


def test_a_clean_result_lists_no_leak():
    data, splits, model = designs.clean_designs()[2](np.random.default_rng(0))
    result = evaluate(model, data, splits=splits, metric=pearson)
    assert result.leaks == ()
    assert result.leakage_allowed is None


def test_time_that_is_shuffled_by_name_is_not_warned_of_twice():
    rng = np.random.default_rng(0)
    data = designs.arrays(designs.place(200), designs.smooth(rng, 200, 10), time_index=np.arange(200))
    splits = ShufflesTime(KFold(5, shuffle=True, random_state=0), because="a demonstration")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = evaluate(Ridge(1.0), data, splits=splits, metric=pearson)
    assert "a demonstration" in str(result)


def test_the_search_by_leave_one_out_of_this_package_is_seen_too():
    rng = np.random.default_rng(0)
    data = designs.arrays(designs.smooth(rng, 120, 6), designs.smooth(rng, 120, 3), time_index=np.arange(120))
    with pytest.warns(LeakageWarning, match="leave-one-out-in-time"):
        evaluate(LeaveOneOutRidgeCV((1.0, 10.0)), data, splits=ContiguousFolds(3, gap=5), metric=pearson)


@pytest.mark.parametrize("noise", [1e-6, 1e-3, 1e-2])
def test_features_that_are_nearly_the_same_are_seen(noise):
    """Words heard four times, their features a little different every time: r was 0.44 on responses to words alone."""
    rng = np.random.default_rng(0)
    heard = rng.permutation(np.tile(np.arange(30), 4))
    words, responses = rng.standard_normal((30, 20)), rng.standard_normal((30, 30))
    data = designs.arrays(
        words[heard] + noise * rng.standard_normal((120, 20)), responses[heard] + rng.standard_normal((120, 30))
    )
    with pytest.warns(LeakageWarning, match="the same features as a training sample, or nearly so"):
        evaluate(Ridge(1.0), data, splits=KFold(5), metric=pearson)


@pytest.mark.parametrize("kind", ["curve", "silence"])
def test_features_that_are_merely_close_raise_no_alarm(kind):
    rng = np.random.default_rng(1)
    if kind == "curve":  # a basis of one number, such as splines of a word's frequency
        frequency = rng.uniform(0, 1, (150, 1))
        features = np.exp(-0.5 * ((frequency - np.linspace(0, 1, 8)) / 0.2) ** 2)
    else:  # a response that dies away in pauses
        features = rng.standard_normal((150, 20)) * (rng.random((150, 1)) > 0.2) + 1e-4 * rng.standard_normal((150, 20))
    data = designs.arrays(features, rng.standard_normal((150, 30)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(Ridge(1.0), data, splits=KFold(5, shuffle=True, random_state=0), metric=pearson)


@pytest.mark.parametrize("coefficient", [0.0, 0.8])
def test_single_rows_of_a_time_series_are_not_exchanged_without_a_word(coefficient: float) -> None:
    """Contiguous folds leak nothing, and yet 63 % of null studies at an autocorrelation of 0.8 found something."""
    rng = np.random.default_rng(0)
    rows = lfilter([1.0], [1.0, -coefficient], rng.standard_normal((200, 11)), axis=0)
    features = xr.DataArray(rows[:, :3], dims=("sample", "feature"), coords={"sample": np.arange(200)})
    recording = xr.DataArray(rows[:, 3:], dims=("sample", "voxel"), coords={"sample": np.arange(200)})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        evaluate(
            Ridge(1.0),
            align(features, recording),
            splits=KFold(5),
            metric=pearson,
            inference=Permutation(99),
            rng=0,
        )
    codes = [getattr(warning.message, "code", None) for warning in caught]
    assert codes == (["exchanged-in-time"] if coefficient else [])


def test_rows_that_are_mostly_the_same_do_not_drift() -> None:
    """The median distance of shuffled rows is zero there, and its logarithm was taken."""
    rows = np.zeros((60, 3))
    rows[::7] = np.random.default_rng(0).standard_normal((9, 3))
    features = xr.DataArray(rows, dims=("sample", "feature"), coords={"sample": np.arange(60)})
    assert not rows_resemble_neighbours(align(features, features.rename(feature="voxel")))


@pytest.mark.parametrize(("length", "is_warned"), [(100, True), (400, False)])
def test_a_null_of_few_independent_stretches_is_warned_of(length, is_warned):
    rng = np.random.default_rng(0)
    noise = lfilter([np.sqrt(1 - 0.95**2)], [1, -0.95], rng.standard_normal((2, length + 300, 8)), axis=1)[:, 300:]
    rows = noise.reshape(-1, 8)
    coords = {
        "sample": np.arange(len(rows)),
        "time_index": ("sample", np.tile(np.arange(length), 2)),
        "group": ("sample", np.repeat(["one", "two"], length)),
    }
    features = xr.DataArray(rows[:, :3], dims=("sample", "feature"), coords=coords)
    data = align(features, xr.DataArray(rows[:, 3:], dims=("sample", "voxel"), coords=coords))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        evaluate(
            Ridge(1.0, device="cpu"),
            data,
            splits=LeaveOneGroupOut(),
            metric=pearson,
            inference=CircularShift(20),
            rng=0,
        )
    assert [one.message.code for one in caught] == (["few-stretches"] if is_warned else [])
