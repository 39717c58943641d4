"""Splitters: every sample where it belongs, nothing that belongs together on both sides."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, ShuffleSplit, TimeSeriesSplit

from neuroling import ByItem, ContiguousFolds, LeavePOut, NoSplit, ShufflesTime, evaluate, pearson
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
