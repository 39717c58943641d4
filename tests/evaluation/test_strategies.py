"""One meaning, several routes: closed form, stacked draws and one refit after another give the same numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.model_selection import GroupKFold, KFold

from neuroling import (
    Aligned,
    ContiguousFolds,
    LeavePOut,
    Permutation,
    Ridge,
    RidgeCV,
    cosine,
    evaluate,
    pearson,
    r2,
    spearman,
    two_vs_two,
)
from neuroling.encoding import StableVoxels
from neuroling.evaluation import held_out
from neuroling.evaluation.scoring import Scorer
from neuroling.evaluation.splits import checked_splits
from neuroling.evaluation.strategies.direct import DirectScoring
from neuroling.evaluation.strategies.gram import GramMatrices
from neuroling.evaluation.strategies.task import training_means
from neuroling.numerics.permutation import linear_models
from neuroling.numerics.permutation.linear_models import LinearSplit
from neuroling.numerics.statistics.trends import polynomial_trends


def name_of(metric):
    return metric.name


class Refit:
    """Ridge without a closed form: every split and every draw is fitted anew."""

    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def fit(self, X, y):
        self.model = Ridge(self.alpha, device="cpu").fit(X, y)
        return self

    def predict(self, X):
        return self.model.predict(X)


class Stacked(Refit):
    """The same, with draws fitted side by side."""

    independent_targets = True


def by_variance(train):
    """Choose targets that vary much: as many as there are."""
    spread = train.mean(axis=0).std(axis=0)
    return spread >= np.median(spread) * (0.9 if spread[0] > spread[1] else 1.1)


def scorers(data, metric, splits, select=None):
    """The closed form, one refit after another, and draws side by side."""
    models = (Ridge(1.0, device="cpu"), Refit(), Stacked())
    return [Scorer(model, data, checked_splits(splits, data), metric, select) for model in models]


def gram_matrices(scorer):
    """The closed form for pairs, whether or not it applies."""
    return next(strategy for strategy in scorer.strategies if isinstance(strategy, GramMatrices))


CASES = {
    "all pairs": (LeavePOut(2), None),
    "some pairs": (LeavePOut(2, n_subsets=15), None),
    "all pairs, stable voxels": (LeavePOut(2), StableVoxels(6)),
    "some pairs, stable voxels": (LeavePOut(2, n_subsets=15), StableVoxels(6)),
    "all pairs, varying numbers of voxels": (LeavePOut(2), by_variance),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("metric", [two_vs_two, two_vs_two.uncentred()], ids=["centred", "uncentred"])
def test_pairs_score_alike_on_every_route(make_data, case, metric):
    splits, select = CASES[case]
    fast, slow, stacked = scorers(make_data(9, 2, repeats=3, signal=0.5, voxel=14), metric, splits, select)
    assert gram_matrices(fast).scores_recording
    assert not gram_matrices(slow).scores_recording
    np.testing.assert_allclose(fast.scores, slow.scores, atol=1e-10)
    np.testing.assert_allclose(stacked.scores, slow.scores, atol=1e-10)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("metric", [two_vs_two, two_vs_two.uncentred()], ids=["centred", "uncentred"])
def test_draws_score_alike_on_every_route(make_data, case, metric):
    splits, select = CASES[case]
    orders = np.stack([np.random.default_rng(i).permutation(9) for i in range(4)])
    both = scorers(make_data(9, 2, repeats=3, signal=0.5, voxel=14), metric, splits, select)
    fast, slow, stacked = (np.stack(list(scorer.reordered(orders))) for scorer in both)
    np.testing.assert_allclose(fast, slow, atol=1e-10)
    np.testing.assert_allclose(stacked, slow, atol=1e-10)


@pytest.mark.parametrize("metric", [pearson, spearman, r2, cosine, pearson.pooled(), cosine.uncentred()], ids=name_of)
def test_draws_of_any_metric_score_alike_on_every_route(make_data, metric):
    orders = np.stack([np.random.default_rng(i).permutation(20) for i in range(4)])
    routes = [np.stack(list(scorer.reordered(orders))) for scorer in scorers(make_data(20, voxel=4), metric, KFold(4))]
    for other in routes[1:]:
        np.testing.assert_allclose(other, routes[0], atol=1e-10)


def test_draws_keep_their_targets_axes(make_data):
    data = make_data(16, subject=2, time=3)
    orders = np.stack([np.random.default_rng(i).permutation(16) for i in range(3)])
    fast, slow, _ = (list(scorer.reordered(orders)) for scorer in scorers(data, pearson, KFold(4)))
    for one, other in zip(fast, slow, strict=True):
        xr.testing.assert_allclose(one, other)
        assert one.dims == ("subject", "time")


def test_draws_in_small_batches_are_the_same(make_data, monkeypatch):
    orders = np.stack([np.random.default_rng(i).permutation(20) for i in range(5)])
    stacked = scorers(make_data(20), pearson, KFold(4))[2]
    whole = np.stack(list(stacked.reordered(orders)))
    monkeypatch.setattr("neuroling.evaluation.strategies.stacked_targets.STACKED_VALUES", 2 * 100)
    np.testing.assert_allclose(np.stack(list(stacked.reordered(orders))), whole, atol=1e-12)


def test_the_order_that_changes_nothing_gives_the_score_itself(make_data):
    data = make_data(9, 2, voxel=14)
    for scorer in scorers(data, two_vs_two, LeavePOut(2)):
        (draw,) = scorer.reordered(np.arange(9)[None])
        np.testing.assert_allclose(draw, scorer.observed(), atol=1e-12)


def test_large_offsets_change_no_centred_score(make_data):
    data = make_data(9, 2, voxel=14)
    offset = type(data)(data.x, data.y + 1e4)
    for one, other in zip(
        scorers(data, two_vs_two, LeavePOut(2)), scorers(offset, two_vs_two, LeavePOut(2)), strict=True
    ):
        np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.parametrize(
    "model", [Ridge(2.0, device="cpu"), Refit(2.0), SklearnRidge(2.0)], ids=["ours", "refit", "sklearn"]
)
@pytest.mark.parametrize("splits", [KFold(4), LeavePOut(2, n_subsets=9), ContiguousFolds(3, gap=2)], ids=str)
def test_held_out_predictions_equal_refitting(make_data, model, splits):
    data = make_data(18, voxel=3)
    rows = checked_splits(splits, data)
    for split, held in zip(rows, held_out(model, data, rows), strict=True):
        refit = SklearnRidge(2.0).fit(data.x.values[split.train], data.y.values[split.train])
        np.testing.assert_allclose(held.prediction, refit.predict(data.x.values[split.test]), atol=1e-10)
        np.testing.assert_array_equal(held.truth, data.y.values[split.test])


def test_groups_reach_the_inner_folds(make_data):
    data = make_data(24, coords={"group": np.repeat(list("abcdef"), 4)})
    seen = []

    class Spy(Refit):
        def fit(self, X, y, groups=None):
            seen.append(sorted(set(groups.tolist())))
            return super().fit(X, y)

    evaluate(Spy(), data, splits=GroupKFold(3), metric=pearson)
    assert [len(groups) for groups in seen] == [4, 4, 4]
    evaluate(RidgeCV([1.0, 10.0], folds=GroupKFold(2), device="cpu"), data, splits=GroupKFold(3), metric=pearson)


def test_one_prediction_serves_every_target(make_data, nothing_to_fit):
    data = make_data(20, voxel=4)
    scores = evaluate(nothing_to_fit, data, splits=KFold(2), metric=pearson).score
    for voxel in range(4):
        one = [np.corrcoef(data.x.values[r, 0], data.y.values[r, voxel])[0, 1] for r in (slice(10), slice(10, None))]
        np.testing.assert_allclose(scores[voxel], np.mean(one))


@pytest.mark.parametrize("n_test", [2, 5, 9])
def test_training_means_are_those_of_the_training_rows(n_test):
    y = np.random.default_rng(0).standard_normal((12, 3)).astype("f4") + 1e3
    test = np.arange(n_test)
    for train in (np.arange(n_test, 12), np.arange(n_test, 11)):
        (mean,) = training_means(y, [(train, test)])
        np.testing.assert_allclose(mean, y[train].astype("f8").mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("metric", [two_vs_two, pearson], ids=lambda metric: metric.name)
@pytest.mark.parametrize("targets", [{"voxel": 6}, {"subject": 2, "voxel": 3}], ids=str)
def test_held_out_relabelling_equals_scoring_every_relabelled_truth(make_data, metric, targets):
    data = make_data(40, **targets)
    metric = metric.along("sample", *targets) if metric.is_pattern else metric
    rows = checked_splits(KFold(2), data)
    rng = np.random.default_rng(0)
    orders = [[rng.permutation(20) for _ in rows] for _ in range(5)]
    slow = replace(metric, score=lambda t, p: metric.score(t, p))  # another function: no shortcut knows it
    scorers = [Scorer(Ridge(device="cpu"), data, rows, m) for m in (metric, slow)]
    for one, other in zip(*(scorer.relabelled(orders) for scorer in scorers), strict=True):
        xr.testing.assert_allclose(one, other, atol=1e-12)


def test_null_draws_are_the_scores_of_shuffled_data(make_data):
    data = make_data(20)
    null = evaluate(Ridge(device="cpu"), data, splits=KFold(4), metric=pearson, inference=Permutation(20), rng=3).null
    rng = np.random.default_rng(3).spawn(2)[1]
    by_label = np.argsort(data.x.indexes["sample"].to_numpy())
    order = np.empty(20, int)
    order[by_label] = rng.permutation(by_label)
    first = data.reordered(order)
    again = evaluate(Ridge(device="cpu"), first, splits=KFold(4), metric=pearson).score
    np.testing.assert_allclose(null.draws[0], again, atol=1e-12)


def test_the_last_strategy_answers_every_question(make_data):
    (last,) = {strategies.strategies[-1].__class__ for strategies in scorers(make_data(20), pearson, KFold(4))}
    assert last is DirectScoring
    assert last.scores_recording
    assert last.scores_relabelled


@pytest.mark.parametrize("metric", [pearson, two_vs_two], ids=name_of)
def test_a_metric_with_another_score_takes_no_shortcut(make_data, metric):
    """Strategies ask what kind of score it is: a copy of a metric with a function of one's own is scored by it."""
    mine = replace(metric, score=lambda truth, prediction: np.full(truth.shape[: -1 - metric.is_pattern], 7.0))
    splits = LeavePOut(2, n_subsets=12) if metric.is_pattern else KFold(4)
    scorer = Scorer(Ridge(device="cpu"), make_data(20), checked_splits(splits, make_data(20)), mine)
    orders = np.stack([np.random.default_rng(0).permutation(20)])
    relabelled = [[np.random.default_rng(1).permutation(len(split.test)) for split in scorer.splits]]
    for scores in (scorer.observed(), *scorer.reordered(orders), *scorer.relabelled(relabelled)):
        np.testing.assert_array_equal(scores, 7.0)


@pytest.mark.parametrize("keep_choices", [False, True])
def test_a_scorer_answers_alike_however_often_and_in_which_order_it_is_asked(make_data, keep_choices):
    data = make_data(20)
    orders = np.stack([np.random.default_rng(i).permutation(20) for i in range(3)])
    fresh, used = (Scorer(Ridge(device="cpu"), data, checked_splits(KFold(4), data), pearson) for _ in range(2))
    first = [scores.values for scores in used.reordered(orders, keep_choices=keep_choices)]
    _ = used.scores
    for asked in (used, fresh):
        again = [scores.values for scores in asked.reordered(orders, keep_choices=keep_choices)]
        np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(used.scores, fresh.scores)


@pytest.mark.parametrize("p", [3, 90])
@pytest.mark.parametrize("repeats", [None, 2])
def test_what_stays_in_place_stays_on_every_strategy(make_data, p, repeats):
    """A recording is reordered beside a part that is not: refitted, side by side, by operators, moments, directions."""
    data = make_data(90, p, repeats=repeats, phi=0.3, signal=0.3, voxel=3)
    fixed = polynomial_trends(data.y_mean.values, [np.arange(90)], 2)
    orders = np.stack([np.random.default_rng(i).permutation(90) for i in range(60)])
    folds = ContiguousFolds(3)
    _, slow, stacked = scorers(data, pearson, folds)
    routes = [np.stack(list(scorer.reordered(orders, fixed=fixed))) for scorer in (slow, stacked)]
    kept = Scorer(Ridge(1.0, device="cpu"), data, checked_splits(folds, data), pearson, keep_choices=True)
    routes.append(np.stack(list(kept.reordered(orders, keep_choices=True, fixed=fixed))))
    for other in routes[1:]:
        np.testing.assert_allclose(other, routes[0], atol=1e-10)
    y = data.y_mean.values
    moved = fixed + (y - fixed)[orders[7]]
    again = evaluate(
        Ridge(1.0, device="cpu"), Aligned(data.x, data.y_mean.copy(data=moved), "time"), splits=folds, metric=pearson
    )
    np.testing.assert_allclose(routes[0][7], again.score, atol=1e-10)


@pytest.mark.parametrize("route", ["_by_operators", "_by_moments", "_by_directions"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_every_linear_route_adds_what_stays_in_place(route, dtype):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    Y, fixed = (rng.standard_normal((60, 70)).astype(dtype) for _ in range(2))
    fixed = 3 * np.cumsum(fixed, axis=0) / 8
    splits = []
    for train, test in KFold(3).split(X):
        centred = X[train] - X[train].mean(axis=0)
        ridge = (X[test] - X[train].mean(axis=0)) @ np.linalg.solve(centred.T @ centred + 2 * np.eye(4), centred.T)
        operator = ridge + 1 / len(train) - ridge.mean(axis=1, keepdims=True)
        splits.append(LinearSplit(train, test, [operator.astype("f8")], np.zeros(70, int)))
    orders = np.stack([rng.permutation(60) for _ in range(9)])
    draws = getattr(linear_models, route)
    arguments = (splits, Y, fixed) if route == "_by_operators" else (splits, X, Y, fixed)
    found = draws(*arguments)(orders)
    for draw in (0, 8):
        recording = (fixed + Y[orders[draw]]).astype("f8")
        scores = [
            [np.corrcoef(s.operators[0] @ recording[s.train, v], recording[s.test, v])[0, 1] for v in range(70)]
            for s in splits
        ]
        np.testing.assert_allclose(found[draw], np.mean(scores, axis=0), atol=2e-4 if dtype == "f4" else 1e-10)
