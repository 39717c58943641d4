"""Leaks: what has seen the test samples cannot be passed, and what may be passed leaves noise at chance."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.model_selection import GroupShuffleSplit, KFold, ShuffleSplit

from neuroling import (
    ByItem,
    CircularShift,
    ContiguousFolds,
    LeavePOut,
    NoSplit,
    Permutation,
    Ridge,
    evaluate,
    pearson,
    two_vs_two,
)
from neuroling.encoding import StableVoxels
from neuroling.evaluation import ShufflesTime

SHUFFLED = KFold(3, shuffle=True, random_state=0)


def by_fit(x):
    """Choose the five voxels that the features fit best, in the samples given."""

    def choose(train):
        y = train.mean(axis=0)
        y, z = y - y.mean(axis=0), x[: len(y)] - x[: len(y)].mean(axis=0)
        explained = ((z @ np.linalg.lstsq(z, y, rcond=None)[0]) ** 2).sum(axis=0) / (y**2).sum(axis=0)
        return explained >= np.sort(explained)[-5]

    return choose


def test_voxels_chosen_inside_the_folds_leave_noise_at_chance(make_data):
    scores = [
        evaluate(
            Ridge(device="cpu"),
            make_data(12, repeats=2, voxel=60, seed=seed),
            splits=LeavePOut(2),
            metric=two_vs_two,
            select=StableVoxels(5),
        ).score.item()
        for seed in range(40)
    ]
    assert abs(np.mean(scores) - 0.5) < 3 * np.std(scores) / np.sqrt(40)


def test_voxels_chosen_on_all_samples_would_find_something_in_noise(make_data):
    """The leak itself, done by hand: what the refusals below are for."""
    scores = []
    for seed in range(10):
        data = make_data(12, voxel=300, seed=seed)
        chosen = by_fit(data.x.values)(data.y.values[None])
        leaked = type(data)(data.x, data.y.isel(voxel=chosen))
        scores.append(evaluate(Ridge(device="cpu"), leaked, splits=LeavePOut(2), metric=two_vs_two).score.item())
    assert np.mean(scores) > 0.8


def run(data, **options):
    options = {"splits": LeavePOut(2), "metric": two_vs_two, **options}
    return evaluate(Ridge(device="cpu"), data, **options)


@pytest.mark.parametrize("mask", [np.arange(5) < 2, [0, 1], slice(2)], ids=["mask", "indices", "slice"])
def test_a_mask_cannot_be_passed_as_a_selector(make_data, mask):
    with pytest.raises(
        TypeError, match=r"select: got .*; expected a function of the training samples.*has seen the test"
    ):
        run(make_data(8), select=mask)


def test_a_fitted_selector_cannot_be_passed(make_data):
    data = make_data(8)
    fitted = SelectKBest(f_regression, k=2).fit(data.y.values, data.x.values[:, 0])
    with pytest.raises(TypeError, match=r"select: got SelectKBest that is already fitted \(.*scores_"):
        run(data, select=fitted)


def test_a_mask_dressed_up_as_a_function_cannot_be_passed(make_data):
    mask = np.arange(5) < 2
    with pytest.raises(ValueError, match=r"select: .*does not look at the training samples"):
        run(make_data(8), select=lambda train: mask)


def test_a_selector_sees_training_samples_only(make_data):
    data, seen = make_data(8), []

    def spy(train):
        seen.append(train.shape[1])
        return train.mean(axis=0).std(axis=0) > 0

    run(data, select=spy)
    assert set(seen) == {6}


def test_a_selection_needs_a_metric_that_consumes_it(make_data):
    with pytest.raises(ValueError, match=r"select: .*has to consume.*pearson consumes \('sample',\)"):
        run(make_data(8, repeats=2), select=StableVoxels(2), metric=pearson)


# --- splits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("splits", [SHUFFLED, LeavePOut(2, 9), ShuffleSplit(2, random_state=0)], ids=str)
def test_a_time_axis_is_not_shuffled(make_data, splits):
    with pytest.raises(
        ValueError, match=r"splits: the samples are consecutive in time.*scattered.*ContiguousFolds\(gap"
    ):
        run(make_data(24, phi=0.5), splits=splits)


def test_a_run_torn_in_two_is_seen_beside_another_run(make_data):
    """Two pieces of one run, the second end to end with a piece of the next run."""
    coords = {"group": np.repeat(["a", "b"], 10), "time_index": np.tile(np.arange(10), 2)}

    class Torn:
        def split(self, X, y=None, groups=None):
            test = np.r_[0:3, 8:12]
            yield np.setdiff1d(np.arange(20), test), test

    with pytest.raises(ValueError, match=r"scattered over 3 stretches of 2 runs"):
        run(make_data(20, coords=coords), splits=Torn(), metric=pearson)


@pytest.mark.parametrize("splits", [KFold(3), LeavePOut(2, 5), ContiguousFolds(2)], ids=str)
def test_groups_are_not_cut(make_data, splits):
    data = make_data(12, coords={"group": np.tile(["a", "b", "c", "d"], 3)})
    with pytest.raises(ValueError, match=r"splits: split 0 cuts \d groups in two, first \['[ab]'.*GroupKFold"):
        run(data, splits=splits)


def test_whole_groups_are_fine_even_when_drawn(make_data):
    data = make_data(12, coords={"group": np.tile(["a", "b", "c", "d"], 3)})
    assert run(data, splits=GroupShuffleSplit(2, random_state=0)).score.size == 1


def test_pairs_that_share_items_do_not_stand_on_both_sides(make_pairs):
    with pytest.raises(ValueError, match=r"splits: the samples are pairs of items.*both sides.*ByItem\.of"):
        run(make_pairs(8, 3), splits=KFold(3), metric=pearson)
    assert run(make_pairs(12, 3), splits=ByItem.of(KFold(2), make_pairs(12, 3)), metric=pearson).score.size == 3


def test_shuffles_time_is_no_way_around_groups(make_data):
    data = make_data(12, coords={"group": np.tile(["a", "b", "c", "d"], 3)})
    with pytest.raises(ValueError, match=r"splits: ShufflesTime is for samples that are consecutive in time"):
        run(data, splits=ShufflesTime(KFold(3), because="I want to"))


def test_shuffling_a_time_axis_finds_something_in_noise(make_data):
    """The leak itself: a feature that is smooth in time predicts smooth noise beside its training rows."""
    data = make_data(150, p=40, phi=0.8, voxel=60)
    leaking = ShufflesTime(SHUFFLED, because="to measure the leak")
    shuffled, held_apart = (
        run(data, splits=s, metric=pearson).score.mean() for s in (leaking, ContiguousFolds(3, gap=10))
    )
    assert shuffled > 0.2
    assert abs(held_apart) < 0.05


def test_nothing_to_train_on_leaks_nothing(make_data, nothing_to_fit):
    data = make_data(40, voxel=200, coords={"group": np.tile(["a", "b"], 20)})
    scores = evaluate(nothing_to_fit, data, splits=NoSplit(), metric=pearson).score
    assert abs(scores.mean()) < 3 / np.sqrt(40 * 200)


# --- nulls ------------------------------------------------------------------------------------------------------------


def test_single_volumes_are_not_exchanged(make_data):
    with pytest.raises(ValueError, match=r"inference: Permutation exchanges single samples.*CircularShift"):
        run(make_data(60, phi=0.5), splits=ContiguousFolds(3), metric=pearson, inference=Permutation(20))


def test_time_shifts_are_for_time(make_data):
    with pytest.raises(ValueError, match=r"inference: CircularShift moves stretches of time.*time_index.*Permutation"):
        run(make_data(60), metric=pearson, splits=KFold(3), inference=CircularShift())


def test_no_binomial_test_is_offered():
    import neuroling
    from neuroling.evaluation import inference

    assert not [name for name in (*dir(neuroling), *dir(inference)) if "binom" in name.lower()]


@pytest.mark.parametrize("share", [0.5, 0.6, 0.7, 0.72, 0.75])
def test_features_that_are_mostly_zero_do_not_drift(share):
    """As cloze probabilities: more than half of the distances between rows may be zero."""
    from neuroling.evaluation.leaks import _is_smooth

    for seed in range(20):
        rng = np.random.default_rng(seed)
        rows = np.where(rng.random(60) < share, 0.0, rng.random(60))[:, None]
        assert not _is_smooth(rows)
