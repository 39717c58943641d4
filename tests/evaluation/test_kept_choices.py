"""A null at the penalties that were chosen: equal to refitting at them, draw by draw, and calibrated."""

from __future__ import annotations

from functools import partial
from unittest.mock import Mock

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, KFold

from neuroling import (
    BlockPermutation,
    CircularShift,
    ContiguousFolds,
    Permutation,
    Ridge,
    RidgeCV,
    evaluate,
    pearson,
    r2,
    two_vs_two,
)
from neuroling.evaluation import FitOnce
from neuroling.evaluation.heldout import fit_split
from neuroling.numerics.permutation.from_principal_directions import pearson_of_directions
from neuroling.numerics.permutation.scores import pearson_of_operators

FOLDS = ContiguousFolds(4, gap=2)
CHOOSING = RidgeCV((0.1, 10.0, 1000.0), folds=ContiguousFolds(3, gap=2), device="cpu")
FIXED = Ridge(3.0, device="cpu")
KEPT = BlockPermutation(8, 25, keep_choices=True)


@pytest.mark.parametrize("p", [3, 90])
def test_a_fixed_penalty_gives_the_draws_of_refitting(make_data, p):
    data = make_data(80, p, phi=0.3, signal=0.3, voxel=6)
    draws = [
        evaluate(FIXED, data, splits=FOLDS, metric=pearson, inference=null).null.draws
        for null in (KEPT, BlockPermutation(8, 25))
    ]
    np.testing.assert_allclose(*draws, atol=1e-10)


def test_few_features_and_many_draws_go_by_directions_and_give_the_same(make_data, monkeypatch):
    data, null = make_data(400, 3, phi=0.3, signal=0.3, voxel=3), CircularShift(120, keep_choices=True)
    asked = Mock(side_effect=pearson_of_directions)
    monkeypatch.setattr("neuroling.numerics.permutation.linear_models.pearson_of_directions", asked)
    fast = evaluate(CHOOSING, data, splits=FOLDS, metric=pearson, inference=null).null.draws
    assert asked.call_count == 1
    for route in ("directions", "moments"):
        monkeypatch.setattr(f"neuroling.numerics.permutation.linear_models.operations_of_{route}", lambda *_: np.inf)
    slow = evaluate(CHOOSING, data, splits=FOLDS, metric=pearson, inference=null).null.draws
    assert asked.call_count == 1
    np.testing.assert_allclose(fast, slow, atol=1e-10)


def test_every_split_is_fitted_once(make_data, monkeypatch):
    fits = Mock(side_effect=fit_split)
    for module in ("heldout", "strategies.operators"):
        monkeypatch.setattr(f"neuroling.evaluation.{module}.fit_split", fits)
    evaluate(CHOOSING, make_data(80, 3, phi=0.3, voxel=3), splits=FOLDS, metric=pearson, inference=KEPT)
    assert fits.call_count == 4


def test_chosen_penalties_are_those_of_the_recording_as_it_is(make_data):
    """Each voxel and fold is refitted with the penalty that it chose, beside its trends, and correlated plainly."""
    data = make_data(80, 5, phi=0.3, signal=0.5, voxel=6)
    model = FitOnce(CHOOSING)
    null = evaluate(model, data, splits=FOLDS, metric=pearson).score
    assert null.shape == (6,)
    penalties = np.stack([fitted.alpha_ for fitted in model.fitted])  # (fold, voxel)
    assert len(np.unique(penalties)) > 1
    draws = evaluate(CHOOSING, data, splits=FOLDS, metric=pearson, inference=KEPT, rng=3).null.draws
    recorder = Recorder()
    evaluate(FIXED, data, splits=FOLDS, metric=pearson, inference=recorder, rng=3)
    x, y = data.x.values, data.y.values
    for draw, order in zip(draws.values[:5], recorder.orders[:5], strict=True):
        scores = np.empty(penalties.shape)
        for fold, (train, test) in enumerate(FOLDS.split(x)):
            for voxel, alpha in enumerate(penalties[fold]):
                moved = recorder.fixed[:, voxel] + (y - recorder.fixed)[order, voxel]
                predicted = Ridge(alpha, device="cpu").fit(x[train], moved[train]).predict(x[test])
                scores[fold, voxel] = np.corrcoef(predicted, moved[test])[0, 1]
        np.testing.assert_allclose(draw, scores.mean(axis=0), atol=1e-10)


class Recorder:
    """An inference that keeps the orders that KEPT draws."""

    def __call__(self, scoring, rng):
        recorder = self

        class Spy:
            def __getattr__(self, name):
                return getattr(scoring, name)

            def reordered(self, orders, **options):
                recorder.orders, recorder.fixed = orders, options["fixed"]
                return scoring.reordered(orders, **options)

        return KEPT(Spy(), rng)


def test_float32_recordings_give_the_same_draws_to_float32(make_data):
    data = make_data(80, 5, phi=0.3, signal=0.5, voxel=6)
    single = type(data)(data.x, data.y.astype(np.float32), data.unit)
    wide, narrow = (evaluate(FIXED, d, splits=FOLDS, metric=pearson, inference=KEPT).null.draws for d in (data, single))
    np.testing.assert_allclose(wide, narrow, atol=2e-6)


def test_groups_reach_the_inner_folds(make_data):
    data = make_data(75, 3, phi=0.3, voxel=4, coords={"group": np.repeat(list("abc"), 25)})
    model = RidgeCV((1.0, 100.0), folds=GroupKFold(2), device="cpu")
    null = CircularShift(25, keep_choices=True)
    assert evaluate(model, data, splits=GroupKFold(3), metric=pearson, inference=null).null.n_draws == 25


def test_a_constant_prediction_has_no_correlation():
    constant = [(np.array([0, 1]), np.full((3, 4), 0.25))]
    rows, orders = (np.arange(4), np.arange(4, 7)), np.arange(7)[None]
    assert np.isnan(pearson_of_operators(constant, np.random.default_rng(0).random((7, 2)), rows, orders)).all()


def test_the_record_says_that_penalties_were_kept(make_data):
    data = make_data(80, 3, phi=0.3, voxel=2)
    method = evaluate(CHOOSING, data, splits=FOLDS, metric=pearson, inference=KEPT).null.method
    assert method.endswith("at the penalties chosen")


class Mean:
    """A model that says nothing about how it is linear."""

    def fit(self, X, y):
        self.mean = y.mean(axis=0)
        return self

    def predict(self, X):
        return X[:, :1] + self.mean


@pytest.mark.parametrize(
    ("model", "metric", "message"),
    [
        (Mean(), pearson, "Mean does not say how it is linear"),
        (FIXED, r2, "it needs the metric pearson over 'sample', split by split, got r2"),
        (FIXED, pearson.pooled(), "split by split"),
        (FIXED, two_vs_two, "it needs the metric pearson"),
    ],
    ids=["model", "metric", "pooled", "pattern"],
)
def test_what_cannot_be_kept_is_refused(make_data, model, metric, message):
    with pytest.raises(ValueError, match=f"keep_choices: {message}|keep_choices: .*{message}"):
        evaluate(model, make_data(80, 3, phi=0.3, voxel=4), splits=FOLDS, metric=metric, inference=KEPT)


# --- false positives --------------------------------------------------------------------------------------------------


def rate(simulate, n_data, inference, *, model, splits, correct="none", any_position=False):
    p = [
        evaluate(model, simulate(seed=seed), splits=splits, metric=pearson, inference=inference, rng=seed)
        .p_values(correct)
        .values
        for seed in range(n_data)
    ]
    hits = np.stack(p) <= 0.05
    return hits.any(axis=1).mean() if any_position else hits.mean()


TIME_NULLS = {
    "blocks": BlockPermutation(15, 99, keep_choices=True),
    "rotations": CircularShift(99, keep_choices=True),
}


@pytest.mark.parametrize("name", TIME_NULLS)
def test_kept_penalties_are_calibrated_on_time_series(make_data, name):
    """1,250 replicates in each (one standard error 0.6 points)."""
    simulate = partial(make_data, 150, 4, phi=0.5, voxel=50)
    found = rate(simulate, 25, TIME_NULLS[name], model=CHOOSING, splits=FOLDS)
    assert 0.03 <= found <= 0.07, found


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("name", TIME_NULLS)
def test_kept_penalties_are_calibrated_at_any_autocorrelation(make_data, name, phi):
    """20,000 replicates in each; blocks grow with the autocorrelation, as they have to."""
    null = TIME_NULLS[name] if name == "rotations" else BlockPermutation(40, 99, keep_choices=True)
    found = rate(partial(make_data, 300, 4, phi=phi, voxel=50), 400, null, model=CHOOSING, splits=FOLDS)
    assert 0.03 <= found <= 0.07, found


def test_kept_penalties_are_calibrated_on_samples(make_data):
    null = Permutation(99, keep_choices=True)
    model = RidgeCV((0.1, 10.0, 1000.0), device="cpu")
    found = rate(partial(make_data, 40, 5, voxel=50), 25, null, model=model, splits=KFold(4))
    assert 0.03 <= found <= 0.07, found


@pytest.mark.slow
@pytest.mark.parametrize("correct", ["max", "fdr"])
def test_families_are_calibrated(make_data, correct):
    """Of noise in which nothing is to be found, 5 % of recordings have any position that passes; 1,000 recordings."""
    null = BlockPermutation(12, 399, keep_choices=True)
    found = rate(
        partial(make_data, 120, 3, phi=0.4, voxel=8),
        1000,
        null,
        model=FIXED,
        splits=FOLDS,
        correct=correct,
        any_position=True,
    )
    assert 0.03 <= found <= 0.07, found
