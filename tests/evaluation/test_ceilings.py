"""Ceilings: recovered where signal and noise are known, and never clipped."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from neuroling import (
    LeaveOneOutCeiling,
    LeavePOut,
    NoSplit,
    SplitHalfCeiling,
    align,
    cosine,
    evaluate,
    pearson,
    r2,
    spearman,
    two_vs_two,
)
from neuroling.encoding import StableVoxels
from neuroling.evaluation.ceilings import ExplainableVarianceCeiling, spearman_brown
from neuroling.evaluation.strategies.task import ScoringTask


def name_of(metric):
    return metric.name


def ceiling_of(data, ceiling, metric=pearson, splits=None, rng=0):
    model = LinearRegression()
    return evaluate(model, data, splits=splits or KFold(2), metric=metric, ceiling=ceiling, rng=rng).ceiling


# --- split half -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", [0.3, 1.0])
@pytest.mark.parametrize("repeats", [4, 5])
def test_split_half_recovers_what_signal_and_noise_make_of_it(make_data, signal, repeats):
    """With noise of variance one, the mean of m repeats has reliability s² / (s² + 1/m)."""
    data = make_data(400, repeats=repeats, signal=signal, voxel=60)
    found = ceiling_of(data, SplitHalfCeiling(), splits=KFold(2)).mean("voxel")
    half, whole = (signal**2 / (signal**2 + 1 / m) for m in (repeats // 2, repeats))
    np.testing.assert_allclose(found, [half, whole, np.sqrt(whole)], atol=0.02)


def test_the_ceiling_is_what_the_true_model_reaches(make_data):
    data = make_data(600, p=2, repeats=4, signal=0.5, voxel=60)
    result = evaluate(LinearRegression(), data, splits=KFold(2), metric=pearson, ceiling=SplitHalfCeiling())
    reached, ceiling = result.score.mean(), result.ceiling.sel(bound="ceiling").mean()
    np.testing.assert_allclose(reached, ceiling, atol=0.01)
    np.testing.assert_allclose(result.normalized().mean(), 1, atol=0.03)


def test_stepping_up_inverts_the_formula_for_parallel_tests():
    """Reliability r = v / (v + 1) of one test becomes k v / (k v + 1) of k."""
    v = np.array([0.1, 1.0, 5.0])
    for k in (2.0, 2.5, 6.0):
        np.testing.assert_allclose(spearman_brown(v / (v + 1), k), k * v / (k * v + 1))


def test_a_normalized_score_above_one_survives(make_data):
    """A model that knows the noise of a small data set may pass its ceiling; nobody cuts it off."""
    data = make_data(12, p=2, repeats=2, signal=0.4, voxel=80)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = evaluate(LinearRegression(), data, splits=KFold(2), metric=pearson, ceiling=SplitHalfCeiling())
        normalized = result.normalized()
    assert normalized.max() > 1
    assert normalized.min() < 0


def test_a_negative_reliability_survives_and_has_no_root(make_data):
    with pytest.warns(UserWarning, match="reliability is negative or undefined, so there is no ceiling"):
        ceiling = ceiling_of(make_data(20, repeats=2, voxel=40), SplitHalfCeiling())
    reliability = ceiling.sel(bound="reliability")
    assert reliability.min() < 0
    np.testing.assert_array_equal(np.isnan(ceiling.sel(bound="ceiling")), reliability < 0)


@pytest.mark.parametrize("metric", [r2, cosine, two_vs_two], ids=name_of)
def test_only_correlations_are_stepped_up(make_data, metric):
    ceiling = ceiling_of(make_data(20, repeats=2, signal=1.0), SplitHalfCeiling(), metric)
    assert ceiling["bound"].values.tolist() == ["half"]


def test_pairs_of_clean_recordings_are_all_told_apart(make_data):
    ceiling = ceiling_of(make_data(8, repeats=2, signal=20.0, voxel=10), SplitHalfCeiling(), two_vs_two, LeavePOut(2))
    assert ceiling.item() == 1


def test_few_repeats_are_halved_in_every_way():
    from neuroling.evaluation.ceilings import _halvings

    rng = np.random.default_rng(0)
    halves = {frozenset(map(frozenset, (a.tolist(), b.tolist()))) for a, b in _halvings(6, 20, rng)}
    assert len(halves) == 10
    for one, other in _halvings(7, 5, rng):
        assert len(one) == len(other) == 3
        assert not set(one) & set(other)


def test_halvings_follow_the_seed(make_data):
    data = make_data(20, repeats=7, signal=1.0)
    one, again, other = (ceiling_of(data, SplitHalfCeiling(n_halvings=3), rng=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


# --- leave one participant out ----------------------------------------------------------------------------------------


def participants(make_data, seed, n_subjects=8, n=60):
    """The same signal in everyone: one time course, seen through each participant's noise."""
    data = make_data(n, p=1, subject=n_subjects, seed=seed)
    return type(data)(data.x, data.y + 0.7 * data.x.values[:, :1])


def test_the_true_model_lies_between_the_bounds(make_data):
    """Score of the truth itself; lower <= truth <= upper on average over simulations (Nili et al. 2014)."""
    bounds, truths = [], []
    for seed in range(25):
        data = participants(make_data, seed)
        bounds.append(ceiling_of(data, LeaveOneOutCeiling(), splits=KFold(2)).mean("subject").values)
        halves = np.array_split(np.arange(60), 2)
        truth = [[np.corrcoef(data.x.values[r, 0], data.y.values[r, s])[0, 1] for s in range(8)] for r in halves]
        truths.append(np.mean(truth))
    lower, upper = np.mean(bounds, axis=0)
    assert lower < np.mean(truths) < upper
    assert upper - lower < 0.2


def test_bounds_close_in_on_the_truth_as_participants_join(make_data):
    gaps = []
    for n_subjects in (4, 40):
        lower, upper = ceiling_of(participants(make_data, 0, n_subjects), LeaveOneOutCeiling()).mean("subject").values
        gaps.append(upper - lower)
    assert gaps[1] < gaps[0] / 5


def test_the_lower_bound_of_noise_is_about_zero_and_may_be_negative(make_data):
    ceiling = ceiling_of(make_data(40, subject=30), LeaveOneOutCeiling(), spearman).sel(bound="lower")
    assert ceiling.min() < 0
    assert abs(ceiling.mean()) < 0.1


def test_others_are_the_mean_of_all_the_others(make_data):
    data = make_data(30, subject=4)
    found = ceiling_of(data, LeaveOneOutCeiling(), splits=NoSplitFor(30)).sel(bound="lower")
    y = data.y.values
    for subject in range(4):
        others = np.delete(y, subject, axis=1).mean(axis=1)
        np.testing.assert_allclose(found[subject], np.corrcoef(y[:15, subject], others[:15])[0, 1])


class NoSplitFor:
    """Train on the later half, test on the earlier."""

    def __init__(self, n):
        self.n = n

    def split(self, X, y=None, groups=None):
        yield np.arange(self.n // 2, self.n), np.arange(self.n // 2)


def test_a_ceiling_without_training_samples(make_data, nothing_to_fit):
    result = evaluate(
        nothing_to_fit, make_data(30, subject=4), splits=NoSplit(), metric=spearman, ceiling=LeaveOneOutCeiling()
    )
    assert result.ceiling.dims == ("bound", "subject")


# --- repeats ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", [0.5, 1.0])
@pytest.mark.parametrize("repeats", [2, 5])
def test_repeats_recover_what_signal_and_noise_make_of_them(make_data, signal, repeats):
    data = make_data(400, repeats=repeats, signal=signal, voxel=60)
    found = ceiling_of(data, ExplainableVarianceCeiling()).mean("voxel")
    power = signal**2
    expected = [power / (power + 1), power / (power + 1 / repeats), np.sqrt(power / (power + 1 / repeats))]
    np.testing.assert_allclose(found, expected, atol=0.03)


def test_explainable_variance_is_the_customary_formula_without_its_bias(make_data):
    """EV less (1 - EV) / (n - 1), for repeats brought to equal variance, over one split."""
    y = make_data(50, repeats=3, signal=1.0).y
    y = (y - y.mean("sample")) / y.std("sample", ddof=1)
    data = type(make_data(50))(make_data(50).x, y)
    found = ceiling_of_everything(data)
    residual = (y - y.mean("repeat")).transpose("sample", "repeat", "voxel").values.reshape(150, -1)
    ev = 1 - (residual**2).sum(axis=0) / (3 * 49)
    np.testing.assert_allclose(found.sel(bound="explainable variance"), ev - (1 - ev) / 2)


def ceiling_of_everything(data):
    class Constant:
        def fit(self, X, y):
            return self

        def predict(self, X):
            return X[:, 0]

    return evaluate(Constant(), data, splits=NoSplit(), metric=pearson, ceiling=ExplainableVarianceCeiling()).ceiling


def test_a_perfect_model_reaches_the_ceiling_of_repeats(make_data):
    data = make_data(600, p=2, repeats=4, signal=0.5, voxel=60)
    result = evaluate(LinearRegression(), data, splits=KFold(2), metric=pearson, ceiling=ExplainableVarianceCeiling())
    np.testing.assert_allclose(result.normalized().mean(), 1, atol=0.03)


def test_noise_has_negative_explainable_variance_half_of_the_time(make_data):
    with pytest.warns(UserWarning, match="reliability is negative"):
        found = ceiling_of(make_data(60, repeats=3, voxel=200), ExplainableVarianceCeiling()).sel(
            bound="explainable variance"
        )
    assert 0.35 < float((found < 0).mean()) < 0.65
    assert abs(float(found.mean())) < 0.02


def test_repeats_give_no_root_for_other_metrics(make_data):
    found = ceiling_of(make_data(60, repeats=3, signal=1.0), ExplainableVarianceCeiling(), metric=r2)
    assert found["bound"].values.tolist() == ["explainable variance", "reliability"]


@pytest.mark.parametrize(
    ("options", "metric", "message"),
    [
        ({}, pearson, "needs that axis"),
        ({"repeats": 1}, pearson, "has 1 entry"),
        ({"repeats": 2, "signal": 1.0}, two_vs_two, "divides the variance of each target over samples"),
    ],
    ids=["no repeats", "one repeat", "pattern"],
)
def test_repeats_need_repeats_and_a_metric_of_targets(make_data, options, metric, message):
    with pytest.raises(ValueError, match=message):
        ceiling_of(make_data(20, **options), ExplainableVarianceCeiling(), metric=metric)


# --- unequal numbers of repeats ---------------------------------------------------------------------------------------


def with_unequal_repeats(data, counts):
    """Take repeats away from samples at random, so that sample i has counts[i] of them."""
    rng = np.random.default_rng(0)
    y = data.y.copy()
    n_repeats = y.sizes["repeat"]
    for row, count in enumerate(counts):
        y[{"sample": row, "repeat": np.sort(rng.permutation(n_repeats)[count:])}] = np.nan
    return align(data.x, y)


@pytest.mark.parametrize("signal", [0.5, 1.0])
def test_ceilings_of_unequal_repeats_recover_what_signal_and_noise_make_of_them(make_data, signal):
    """The means of samples have noise of variance mean(1 / n)."""
    counts = np.random.default_rng(1).integers(2, 7, 400)
    data = with_unequal_repeats(make_data(400, repeats=6, signal=signal, voxel=150), counts)
    half, whole = (signal**2 / (signal**2 + np.mean(1 / n)) for n in (counts // 2, counts))
    found = ceiling_of(data, SplitHalfCeiling(), splits=KFold(2)).mean("voxel")
    np.testing.assert_allclose(found, [half, whole, np.sqrt(whole)], atol=0.02)
    parted = ceiling_of(data, ExplainableVarianceCeiling(), splits=KFold(2)).mean("voxel")
    np.testing.assert_allclose(parted, [signal**2 / (signal**2 + 1), whole, np.sqrt(whole)], atol=0.02)


def test_the_ceiling_of_unequal_repeats_is_what_the_true_model_reaches(make_data):
    counts = np.random.default_rng(2).integers(2, 5, 600)
    data = with_unequal_repeats(make_data(600, p=2, repeats=4, signal=0.5, voxel=60), counts)
    result = evaluate(LinearRegression(), data, splits=KFold(2), metric=pearson, ceiling=SplitHalfCeiling())
    np.testing.assert_allclose(result.score.mean(), result.ceiling.sel(bound="ceiling").mean(), atol=0.015)


def test_samples_that_cannot_be_halved_are_named(make_data):
    data = with_unequal_repeats(make_data(20, repeats=3, voxel=2), [1] * 2 + [3] * 18)
    with pytest.raises(ValueError, match="ceiling: 2 samples have one repeat"):
        ceiling_of(data, SplitHalfCeiling())


def test_targets_are_not_chosen_by_unequal_repeats(make_data):
    data = with_unequal_repeats(make_data(20, repeats=3, voxel=5), [2] * 2 + [3] * 18)
    with pytest.raises(ValueError, match="select: targets are chosen by comparing repeats"):
        evaluate(LinearRegression(), data, splits=LeavePOut(2), metric=two_vs_two, select=StableVoxels(2))


def test_reordering_what_is_not_fixed_moves_the_numbers_of_trials_along(make_data):
    data = with_unequal_repeats(make_data(6, repeats=3, voxel=2), [3, 2, 1, 3, 3, 2])
    counts = np.where(np.isnan(data.y.isel(voxel=0)), 0, np.arange(1, 4))
    data = align(data.x, data.y.assign_coords(n_averaged=(("sample", "repeat"), counts)))
    order = np.array([2, 0, 1, 5, 3, 4])
    task = ScoringTask(LinearRegression(), data, (), pearson)
    moved = task.reordered(order, fixed=np.zeros((6, 2)))
    np.testing.assert_allclose(moved.data.y_mean, task.reordered(order).data.y_mean)
    np.testing.assert_allclose(moved.data.y_mean, data.y_mean.to_numpy()[order])
