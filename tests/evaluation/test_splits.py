"""Splitters: every sample where it belongs, nothing that belongs together on both sides."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, ShuffleSplit, TimeSeriesSplit

from neuroling import ByItem, ContiguousFolds, LeavePOut, NoSplit, Ridge, align, evaluate, pearson
from neuroling.encoding.controls import smoothed_identity
from neuroling.evaluation import ShufflesTime
from neuroling.evaluation.splits import checked_splits


@given(n=st.integers(3, 9), p=st.integers(1, 3))
def test_leave_p_out_holds_out_every_subset_once(n, p):
    if p >= n:
        return
    splits = list(LeavePOut(p).split(np.zeros((n, 1))))
    assert [tuple(test) for _, test in splits] == list(combinations(range(n), p))
    for train, test in splits:
        assert sorted([*train, *test]) == list(range(n))


def test_sampled_subsets_differ_from_one_another_and_follow_their_seed():
    one, again, other = ([tuple(t) for _, t in LeavePOut(2, 20, rng=r).split(np.zeros((12, 1)))] for r in (1, 1, 2))
    assert len(set(one)) == 20
    assert one == again
    assert one != other


def test_asking_for_all_subsets_by_number_gives_all():
    assert len({tuple(test) for _, test in LeavePOut(2, comb(6, 2)).split(np.zeros((6, 1)))}) == comb(6, 2)


@given(n=st.integers(30, 60), n_splits=st.integers(2, 5), gap=st.integers(0, 3), n_runs=st.integers(1, 3))
def test_contiguous_folds_test_every_volume_once_and_keep_the_gap(n, n_splits, gap, n_runs):
    groups = np.sort(np.arange(n) % n_runs)
    tested = []
    for train, test in ContiguousFolds(n_splits, gap).split(np.zeros((n, 1)), None, groups):
        tested += test.tolist()
        for run in range(n_runs):
            inside = test[groups[test] == run]
            assert np.array_equal(inside, np.arange(inside[0], inside[-1] + 1))
            beside = train[groups[train] == run]
            if len(beside):
                assert np.abs(beside[:, None] - inside).min() > gap
    assert sorted(tested) == list(range(n))


def test_a_gap_does_not_reach_into_another_run():
    groups = np.repeat([0, 1], 10)
    train, test = next(iter(ContiguousFolds(2, gap=3).split(np.zeros((20, 1)), None, groups)))
    assert test.tolist() == [*range(5), *range(10, 15)]
    assert train.tolist() == [8, 9, 18, 19]


def test_pairs_are_split_by_their_items(make_pairs):
    data = make_pairs(8, 2)
    first, second = data.coordinate("first"), data.coordinate("second")
    for train, test in ByItem.of(KFold(3), data).split(np.zeros((28, 1))):
        assert not {*first[train], *second[train]} & {*first[test], *second[test]}
        assert len(train)
        assert len(test)


def test_no_split_tests_on_everything():
    ((train, test),) = NoSplit().split(np.zeros((4, 1)))
    assert len(train) == 0
    assert test.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "splits",
    [
        KFold(3),
        KFold(3, shuffle=True, random_state=0),
        ShuffleSplit(2, random_state=0),
        LeavePOut(2, 5),
        ContiguousFolds(3),
    ],
    ids=str,
)
def test_single_samples_may_be_split_in_any_way(make_data, splits):
    assert checked_splits(splits, make_data(12))


@pytest.mark.parametrize("splits", [GroupKFold(2), LeaveOneGroupOut()], ids=str)
def test_whole_groups_may_be_held_out(make_data, splits):
    data = make_data(12, coords={"group": np.repeat(["a", "b", "c"], 4)})
    assert checked_splits(splits, data)


@pytest.mark.parametrize("splits", [KFold(3), ContiguousFolds(3, gap=1), TimeSeriesSplit(3, gap=1)], ids=str)
def test_stretches_of_time_may_be_held_out(make_data, splits):
    assert checked_splits(splits, make_data(24, phi=0.5))


def test_whole_runs_may_be_held_out(make_data):
    coords = {"group": np.repeat(["a", "b", "c"], 8), "time_index": np.tile(np.arange(8), 3)}
    assert len(checked_splits(GroupKFold(3), make_data(24, coords=coords))) == 3
    assert len(checked_splits(ContiguousFolds(2, gap=1), make_data(24, coords=coords))) == 2


def test_a_shuffled_time_axis_is_stamped_on_the_result(make_data):
    splits = ShufflesTime(KFold(3, shuffle=True, random_state=0), because="to show the leak")
    result = evaluate(SklearnMean(), make_data(30, phi=0.5), splits=splits, metric=pearson.uncentred())
    assert result.provenance.notes == ("time axis shuffled on request: to show the leak",)
    assert "to show the leak" in result.summary()


class SklearnMean:
    """Predict a running count, so that no prediction is constant."""

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.arange(len(X), dtype=float)


# --- gaps that are measured -------------------------------------------------------------------------------------------


def noise_with_memory(make_ar, coefficient, n=200, runs=2, n_targets=30):
    values = np.concatenate([make_ar(n, n_targets, coefficient, np.random.default_rng(run)) for run in range(runs)])
    coords = {
        "sample": np.arange(len(values)),
        "group": ("sample", np.repeat(np.arange(runs), n)),
        "time_index": ("sample", np.tile(np.arange(n), runs)),
    }
    return xr.DataArray(values, dims=("sample", "voxel"), coords=coords)


@pytest.mark.parametrize(("coefficient", "low", "high"), [(0.0, 0, 1), (0.5, 3, 9), (0.8, 9, 22)])
def test_the_gap_is_the_reach_of_the_recording(make_ar, coefficient, low, high):
    y = noise_with_memory(make_ar, coefficient)
    folds = ContiguousFolds.of(align(smoothed_identity(y), y), 5)
    assert low <= folds.gap <= high
    assert folds.gap_from == f"delays 0, autocorrelation {folds.gap}"


def test_a_smoothed_identity_scores_nothing_with_the_gap_that_is_measured(make_ar):
    y = noise_with_memory(make_ar, 0.8)
    data = align(smoothed_identity(y), y)
    by_gap = [
        float(
            evaluate(
                Ridge(1.0, device="cpu"), data, splits=folds, metric=pearson, allow_leakage="measured"
            ).score.mean()
        )
        for folds in (ContiguousFolds(5), ContiguousFolds.of(data, 5))
    ]
    assert by_gap[0] > 0.1
    assert abs(by_gap[1]) < 0.03


def test_the_reach_of_the_features_is_added(make_ar):
    y = noise_with_memory(make_ar, 0.5)
    x = smoothed_identity(y)
    without, delayed = (ContiguousFolds.of(align(x.assign_attrs(longest_delay=n), y), 4).gap for n in (0, 6))
    assert delayed == without + 6


def test_a_gap_that_would_leave_little_is_capped_and_told(make_ar):
    y = noise_with_memory(make_ar, 0.8)
    drifting = y + 20 * np.sin(np.pi * y.time_index / 200)
    with pytest.warns(UserWarning, match=r"gap: .*resembles itself over \d+.* but the gap is 40, .*\[gap-capped\]"):
        folds = ContiguousFolds.of(align(smoothed_identity(y), drifting), 5)
    assert (folds.gap, "capped from" in folds.gap_from) == (40, True)
    assert all(len(train) >= 200 - 40 for train, _ in folds.split(np.zeros(400), groups=y.group.to_numpy()))


def test_a_cap_never_falls_below_the_longest_delay(make_ar):
    y = noise_with_memory(make_ar, 0.8, n=30)
    x = smoothed_identity(y).assign_attrs(longest_delay=9)
    with pytest.warns(UserWarning, match="gap-capped"):
        assert ContiguousFolds.of(align(x, y), 3).gap == 9


def test_what_a_gap_is_made_of_stands_in_the_record(make_ar):
    y = noise_with_memory(make_ar, 0.3)
    data = align(smoothed_identity(y), y)
    folds = ContiguousFolds.of(data, 4)
    result = evaluate(Ridge(device="cpu"), data, splits=folds, metric=pearson, allow_leakage="of no account here")
    assert f"autocorrelation {folds.gap}" in result.provenance.options["splits"]
    assert repr(ContiguousFolds(4, gap=2)) == "ContiguousFolds(n_splits=4, gap=2)"
    assert folds == ContiguousFolds(4, gap=folds.gap)


def test_repeats_and_one_target_have_a_reach(make_ar):
    y = noise_with_memory(make_ar, 0.8, n_targets=1)
    repeated = xr.concat([y, y + 0.01], "repeat").transpose("sample", "repeat", "voxel")
    assert ContiguousFolds.of(align(smoothed_identity(y), repeated), 4).gap > 5


@pytest.mark.parametrize(
    ("options", "message"), [({"beyond": -1}, "beyond: got -1"), ({"n_splits": 1}, "n_splits: got 1")]
)
def test_gaps_that_cannot_be_are_refused(make_ar, options, message):
    y = noise_with_memory(make_ar, 0.0)
    with pytest.raises(ValueError, match=message):
        ContiguousFolds.of(align(smoothed_identity(y), y), **options)
