"""Delays: an impulse comes back at every delay, and never in the next story."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neuroling import ContiguousFolds, Ridge, align, evaluate, pearson
from neuroling.encoding.delays import delay


def volumes(values, **coords):
    values = np.asarray(values, dtype=float)
    given = {name: ("sample", np.asarray(value)) for name, value in coords.items()}
    features = [f"f{i}" for i in range(values.shape[1])]
    return xr.DataArray(
        values, dims=("sample", "feature"), coords={"sample": np.arange(len(values)), "feature": features, **given}
    )


@given(seed=st.integers(0, 100), cut=st.integers(6, 14), step=st.integers(-5, 5))
def test_a_delayed_row_is_an_earlier_row_of_the_same_run_or_zero(seed, cut, step):
    x = np.random.default_rng(seed).standard_normal((20, 2))
    runs = np.repeat(["a", "b"], [cut, 20 - cut])
    found = delay(volumes(x), [step], runs=runs).to_numpy()
    for row in range(20):
        source = row - step
        inside = 0 <= source < 20 and runs[source] == runs[row]
        np.testing.assert_array_equal(found[row], x[source] if inside else 0.0)


def test_the_last_word_of_a_story_does_not_reach_the_next():
    x = np.zeros((10, 1))
    x[4] = 1.0  # the last volume of the first story
    assert delay(volumes(x), range(1, 4), runs=[0] * 5 + [1] * 5).sum() == 0
    assert delay(volumes(x), range(1, 4), runs=np.zeros(10)).sum() == 3


def test_features_are_labelled_by_their_delay_and_the_longest_travels():
    found = delay(volumes(np.eye(5)[:, :2], group=list("aaaaa")), [1, 3], runs="group")
    assert found.feature.values.tolist() == ["f0@1", "f1@1", "f0@3", "f1@3"]
    assert found.attrs["longest_delay"] == 3


def test_a_response_of_known_shape_is_recovered(make_ar):
    rng = np.random.default_rng(0)
    x = make_ar(400, 1, 0.5, rng)
    runs = np.repeat([0, 1], 200)
    truth = np.array([0.0, 0.5, 1.0, 0.3])
    delayed = delay(volumes(x), range(4), runs=runs)
    y = delayed.to_numpy() @ truth[:, None] + 0.01 * rng.standard_normal((400, 1))
    np.testing.assert_allclose(Ridge(1e-6).fit(delayed.to_numpy(), y).coef_[0], truth, atol=0.01)


def aligned(delays, n=60, runs=1):
    rng = np.random.default_rng(0)
    group = np.repeat([f"r{i}" for i in range(runs)], n // runs)
    index = np.concatenate([np.arange(n // runs)] * runs)
    x = volumes(rng.standard_normal((n, 2)), group=group, time_index=index)
    y = volumes(rng.standard_normal((n, 3)), group=group, time_index=index).rename(feature="voxel")
    return align(delay(x, delays, runs="group"), y)


def test_a_gap_smaller_than_the_longest_delay_is_refused():
    with pytest.raises(ValueError, match=r"reach over 4 volumes, but split 0 leaves a gap of 3.*ContiguousFolds\.of"):
        evaluate(Ridge(), aligned(range(5)), splits=ContiguousFolds(3, gap=3), metric=pearson)


def test_the_gap_is_the_longest_delay_by_default():
    data = aligned(range(5), runs=2)
    assert ContiguousFolds.of(data, beyond=2).gap == 6
    assert np.isfinite(evaluate(Ridge(), data, splits=ContiguousFolds.of(data, 3), metric=pearson).score).all()


def test_whole_runs_need_no_gap():
    from sklearn.model_selection import LeaveOneGroupOut

    found = evaluate(Ridge(), aligned(range(5), runs=3), splits=LeaveOneGroupOut(), metric=pearson)
    assert found.data.sizes["split"] == 3


@pytest.mark.parametrize(
    ("delays", "runs", "message"),
    [
        ([1, 2], "group", "without the runs a delay would reach"),
        ([1, 2], [0, 1], "runs: got shape"),
        ([1, 1], [0] * 6, "each once"),
        ([], [0] * 6, "whole numbers of volumes"),
        ([0.5], [0] * 6, "whole numbers of volumes"),
        ([4], [0, 0, 0, 1, 1, 1], "not shorter than run 0 with 3"),
        ([1], [0, 0, 1, 1, 0, 0], "run 0 is interrupted"),
    ],
    ids=["no runs", "too few runs", "twice", "none", "half a volume", "longer than a run", "interrupted run"],
)
def test_bad_delays_get_a_sentence(delays, runs, message):
    with pytest.raises(ValueError, match=message):
        delay(volumes(np.eye(6)), delays, runs=runs)


def test_a_volume_left_out_is_seen():
    x = volumes(np.eye(6), time_index=[0, 1, 3, 4, 5, 6])
    with pytest.raises(ValueError, match="time_index: not counting up by one"):
        delay(x, [1], runs=np.zeros(6))


def test_an_axis_too_many_is_refused():
    with pytest.raises(ValueError, match="features: got axes"):
        delay(volumes(np.eye(6)).expand_dims(layer=[0]), [1], runs=np.zeros(6))
