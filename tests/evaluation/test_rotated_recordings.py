"""Choices for all rotations at once equal fitting every rotation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import KFold, LeaveOneGroupOut, StratifiedKFold

from neuroling import Aligned, BandedRidgeCV, CircularShift, ContiguousFolds, RidgeCV, evaluate, pearson, r2, spearman
from neuroling.encoding import DirichletSearch, GradientSearch, LeaveOneOutRidgeCV
from neuroling.evaluation.scoring import Scorer
from neuroling.evaluation.splits import checked_splits
from neuroling.evaluation.strategies.rotated import RotatedRecordings
from neuroling.evaluation.strategies.stacked_targets import StackedTargets
from neuroling.numerics.permutation.rotations import RotatedForms, RotatedRecording, rotation_of
from neuroling.numerics.statistics.trends import polynomial_trends

pytestmark = [
    pytest.mark.usefixtures("product_library"),
    pytest.mark.filterwarnings("ignore:alphas. for:neuroling.core.notices.CodedWarning"),
]

ALPHAS = np.logspace(-1, 4, 6).tolist()
GAPPED = ContiguousFolds(3, gap=2)
MODELS = {
    "ridge": RidgeCV(ALPHAS, folds=GAPPED, device="cpu"),
    "ridge, few features": RidgeCV(ALPHAS, device="cpu"),
    "bands": BandedRidgeCV([*"aaabbb"] * 10, ALPHAS, search=DirichletSearch(4), folds=GAPPED, device="cpu"),
}


def scorer_of(model, data, splits=GAPPED, metric=pearson):
    return Scorer(model, data, checked_splits(splits, data), metric)


def rotations(n, some=None):
    return np.stack([np.roll(np.arange(n), by) for by in (range(n) if some is None else some)])


def both(scorer, orders, fixed=None):
    """Scores by forms, and by fitting."""
    fast, slow = RotatedRecordings(scorer.task), StackedTargets(scorer.task)
    assert fast.scores_reordered(orders, fixed)
    return [np.stack(list(strategy.reordered(orders, fixed))) for strategy in (fast, slow)]


@pytest.mark.parametrize("n", [40, 41])
@pytest.mark.parametrize("name", MODELS)
def test_all_rotations_score_as_if_fitted(make_data, name, n):
    data = make_data(n, 6 if name == "ridge, few features" else 60, signal=1.0, phi=0.6, voxel=5)
    fast, slow = both(scorer_of(MODELS[name], data), rotations(n))
    np.testing.assert_allclose(fast, slow, atol=1e-9)


@pytest.mark.parametrize("metric", [pearson, r2, spearman, pearson.pooled()], ids=lambda metric: metric.name)
def test_any_metric_scores_as_if_fitted(make_data, metric):
    data = make_data(40, 60, signal=1.0, phi=0.6, subject=2, region=3)
    fast, slow = both(scorer_of(MODELS["ridge"], data, metric=metric), rotations(40, range(1, 40)))
    np.testing.assert_allclose(fast, slow, atol=1e-9)


@pytest.mark.parametrize("degree", [0, 2])
def test_trends_stay_in_place(make_data, degree):
    data = make_data(40, 60, signal=1.0, phi=0.6)
    drift = 300 + 20 * np.linspace(-1, 1, 40)[:, None]
    data = Aligned(data.x, data.y + drift, data.unit)
    fixed = polynomial_trends(data.y_mean.values, [np.arange(40)], degree)
    fast, slow = both(scorer_of(MODELS["ridge"], data), rotations(40), fixed)
    np.testing.assert_allclose(fast, slow, atol=1e-9)


def test_recordings_in_single_precision_and_any_unit(make_data):
    data = make_data(40, 60, signal=1.0, phi=0.6)
    units = np.array([1e-9, 1.0, 1e12, 1.0, 1.0])
    data = Aligned(data.x, (data.y * units).astype(np.float32), data.unit)
    fast, slow = both(scorer_of(MODELS["ridge"], data), rotations(40))
    np.testing.assert_allclose(fast, slow, atol=1e-4)
    assert fast.dtype == slow.dtype


def test_repeats_are_averaged(make_data):
    data = make_data(40, 60, repeats=2, signal=1.0, phi=0.6)
    fast, slow = both(scorer_of(MODELS["ridge"], data), rotations(40))
    np.testing.assert_allclose(fast, slow, atol=1e-9)


def test_groups_reach_the_inner_folds(make_data):
    groups = np.repeat(np.arange(5), 8)
    data = make_data(40, 60, signal=1.0, phi=0.6, coords={"group": groups})
    data = Aligned(data.x.assign_coords(group=("sample", groups)), data.y, data.unit)
    model = RidgeCV(ALPHAS, folds=LeaveOneGroupOut(), device="cpu")
    assert data.groups() is not None
    fast, slow = both(scorer_of(model, data), rotations(40))
    np.testing.assert_allclose(fast, slow, atol=1e-9)


def test_targets_are_taken_in_tiles(make_data, monkeypatch):
    data = make_data(40, 60, signal=1.0, phi=0.6)
    whole = both(scorer_of(MODELS["bands"], data), rotations(40))[0]
    monkeypatch.setattr("neuroling.numerics.permutation.rotations.TILE_VALUES", 2 * 21 * 21)
    monkeypatch.setattr("neuroling.numerics.permutation.rotations.HELD_VALUES", 0)
    monkeypatch.setattr("neuroling.evaluation.strategies.rotated.STACKED_VALUES", 7 * 40 * 5)
    np.testing.assert_allclose(both(scorer_of(MODELS["bands"], data), rotations(40))[0], whole, atol=1e-12)


def test_a_recording_that_is_predicted_without_error_is_fitted(make_data):
    """Forms have no digits left there: the rotation by 0 is what the features say, to the last bit."""
    data = make_data(40, 3, phi=0.6)
    exact = data.y.copy(data=data.x.values @ np.ones((3, 5)))
    model = RidgeCV(np.logspace(-12, 2, 8).tolist(), device="cpu")
    fast, slow = both(scorer_of(model, Aligned(data.x, exact, data.unit)), rotations(40))
    np.testing.assert_allclose(fast, slow, atol=1e-9)


@pytest.mark.filterwarnings("ignore::neuroling.core.notices.CodedWarning")
def test_a_constant_target_does_not_slow_the_others_down(make_data, monkeypatch):
    data = make_data(40, 60, phi=0.6)
    values = data.y.values.copy()
    values[:, 2] = 7.0
    scorer = scorer_of(MODELS["ridge"], Aligned(data.x, data.y.copy(data=values), data.unit), metric=r2)
    slow = np.stack(list(StackedTargets(scorer.task).reordered(rotations(40))))
    monkeypatch.setattr(StackedTargets, "reordered", None)
    fast = np.stack(list(RotatedRecordings(scorer.task).reordered(rotations(40))))
    np.testing.assert_allclose(np.delete(fast, 2, 1), np.delete(slow, 2, 1), atol=1e-9)


@pytest.mark.parametrize(
    "model",
    [
        RidgeCV(ALPHAS, alpha_per_target=False, device="cpu"),
        LeaveOneOutRidgeCV(ALPHAS, device="cpu"),
    ],
    ids=["one alpha for all targets", "held out in closed form"],
)
def test_other_models_are_fitted(make_data, model):
    scorer = scorer_of(model, make_data(40, 60, phi=0.6))
    assert not RotatedRecordings(scorer.task).scores_reordered(rotations(40), None)


@pytest.mark.parametrize(
    "model",
    [
        BandedRidgeCV([*"aab"], ALPHAS, search=GradientSearch(1, DirichletSearch(2)), device="cpu"),
        RidgeCV(ALPHAS, folds=KFold(3, shuffle=True), device="cpu"),
        RidgeCV(ALPHAS, folds=StratifiedKFold(3), device="cpu"),
    ],
    ids=["descent", "folds at random", "folds by targets"],
)
def test_choices_that_are_no_forms_are_left_to_fits(make_data, model):
    scorer = scorer_of(model, make_data(40, 3, phi=0.6))
    assert RotatedRecordings(scorer.task)._choices(scorer.task.recording, None) is None


def test_orders_that_are_no_rotation_of_one_run_are_fitted(make_data):
    scorer = scorer_of(MODELS["ridge"], make_data(40, 60, phi=0.6))
    orders = rotations(40)
    orders[7] = np.concatenate([np.roll(np.arange(20), 3), np.roll(np.arange(20, 40), 5)])
    assert not RotatedRecordings(scorer.task).scores_reordered(orders, None)


def test_what_is_too_large_is_fitted(make_data, monkeypatch):
    monkeypatch.setattr("neuroling.evaluation.strategies.rotated.MOST_BYTES", 1000)
    data = make_data(40, 60, phi=0.6)
    fast, slow = both(scorer_of(MODELS["ridge"], data), rotations(40))
    np.testing.assert_array_equal(fast, slow)


def test_a_null_of_rotations_takes_this_way(make_data, monkeypatch):
    data = make_data(40, 60, signal=1.0, phi=0.6)
    options = {"splits": GAPPED, "metric": pearson, "inference": CircularShift(30), "rng": 0}
    fast = evaluate(MODELS["ridge"], data, **options).null.draws
    monkeypatch.setattr(RotatedRecordings, "scores_reordered", lambda *_: False)
    np.testing.assert_allclose(fast, evaluate(MODELS["ridge"], data, **options).null.draws, atol=1e-9)


# --- forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("with_fixed", [True, False])
def test_values_of_forms_are_those_of_every_rotation(n, with_fixed):
    rng = np.random.default_rng(n)
    forms = rng.standard_normal((3, n, n))
    forms = forms + forms.transpose(0, 2, 1)
    moving = rng.standard_normal((n, 4))
    fixed = rng.standard_normal((n, 4)) if with_fixed else None
    ((tile, values),) = RotatedForms.of(forms).values(RotatedRecording.of(moving, fixed))
    assert tile == slice(0, 4)
    for by in range(n):
        y = np.roll(moving, by, axis=0) + (0 if fixed is None else fixed)
        np.testing.assert_allclose(values[:, by], np.einsum("it,fij,jt->ft", y, forms, y), atol=1e-10)


@pytest.mark.parametrize("by", range(5))
def test_a_rotation_is_recognised(by):
    assert rotation_of(np.roll(np.arange(5), by)) == by


@pytest.mark.parametrize("order", [[1, 0, 2], [0, 0, 0], [2, 1, 0]])
def test_other_orders_are_no_rotation(order):
    assert rotation_of(np.array(order)) is None
