"""Banded ridge: weightings are scored and fitted as ridge on scaled features is, by hand, in both dtypes."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from neuroling.numerics.memory import Limits, Targets
from neuroling.numerics.ridge.banded import Bands, dirichlet_weightings, fit_bands, search_weightings
from neuroling.numerics.ridge.banded_gradient import GradientFold, error_and_gradient
from neuroling.numerics.ridge.dual_weights import Kept
from neuroling.numerics.ridge.gram import to_folds
from neuroling.numerics.ridge.held_out_errors import by_deletion

pytestmark = pytest.mark.usefixtures("product_library")

RNG = np.random.default_rng
CPU = torch.device("cpu")
ALPHAS = np.array([0.5, 10.0, 200.0])
TOLERANCE = {np.float32: 1e-4, np.float64: 1e-9}
SIZES = {"wide": (5, 40), "tall": (3, 4)}


def _data(sizes, dtype=np.float64, n=30, q=6):
    rng = RNG(0)
    X = rng.standard_normal((n, sum(sizes)))
    Y = X[:, : sizes[0]] @ rng.standard_normal((sizes[0], q)) + rng.standard_normal((n, q)) + 1
    return X, Y.astype(dtype)


def _bands(X, sizes):
    return Bands.of(X, np.split(np.arange(X.shape[1]), np.cumsum(sizes)[:-1]), CPU)


def _folds(n=30, k=3):
    rows = np.arange(n)
    return [(np.setdiff1d(rows, test), test) for test in np.array_split(rows, k)]


def _score_by_hand(X, Y, sizes, weights, alpha):
    Y, scaled = Y.astype(np.float64), X * np.sqrt(np.repeat(weights, sizes))
    error, baseline = 0.0, 0.0
    for train, test in _folds():
        error += ((Ridge(alpha).fit(scaled[train], Y[train]).predict(scaled[test]) - Y[test]) ** 2).sum(0)
        baseline += ((Y[test] - Y[train].mean(0)) ** 2).sum(0)
    return 1 - error / baseline


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", sorted(SIZES))
@pytest.mark.parametrize("memory", [None, 125_000])
def test_every_weighting_is_scored_as_by_hand(shape, dtype, memory):
    sizes = SIZES[shape]
    X, Y = _data(sizes, dtype)
    weightings = dirichlet_weightings(4, 2, (1.0,), RNG(0))
    targets = Targets(Y, CPU, Limits(memory=memory))
    scores, weighting, penalty = search_weightings(_bands(X, sizes), targets, _folds(), ALPHAS, weightings)
    by_hand = np.array([[_score_by_hand(X, Y, sizes, w, alpha) for alpha in ALPHAS] for w in weightings])
    np.testing.assert_allclose(scores, by_hand.max(1), atol=TOLERANCE[dtype])
    np.testing.assert_array_equal(weighting, by_hand.max(1).argmax(0))
    np.testing.assert_array_equal(penalty, by_hand.argmax(1)[weighting, np.arange(6)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", sorted(SIZES))
@pytest.mark.parametrize("own", [False, True], ids=["shared weights", "weights of their own"])
def test_weights_are_those_of_ridge_on_scaled_features(shape, dtype, own):
    sizes = SIZES[shape]
    X, Y = _data(sizes, dtype)
    near = np.array([[0.2, 0.8], [0.5, 0.5]])[[0, 0, 1, 1, 0, 1]].T
    weights = near * np.exp(0.3 * RNG(1).standard_normal(near.shape)) if own else near
    alphas = ALPHAS[[0, 1, 2, 1, 0, 1]]
    coef, mean = fit_bands(_bands(X, sizes), Targets(Y, CPU, Limits()), weights, alphas, near)
    for target in range(6):
        roots = np.sqrt(np.repeat(weights[:, target], sizes))
        slow = Ridge(alphas[target]).fit(X * roots, Y[:, target].astype(np.float64)).coef_ * roots
        np.testing.assert_allclose(coef[:, target], slow, atol=TOLERANCE[dtype])
    np.testing.assert_allclose(mean, Y.mean(0), rtol=1e-6)


def test_a_band_of_weight_zero_has_no_weights():
    X, Y = _data((3, 4))
    weights = np.tile([[0.0], [1.0]], 6)
    coef, _ = fit_bands(_bands(X, (3, 4)), Targets(Y, CPU, Limits()), weights, np.ones(6), weights)
    assert (coef[:3] == 0).all()


def test_equal_seeds_draw_equal_weightings_and_others_do_not():
    one, same, other = (dirichlet_weightings(5, 3, (0.1, 1.0), RNG(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one[1:], other[1:])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fresh", [None, 40_000], ids=["at once", "some weightings at a time"])
def test_weights_that_the_search_keeps_are_those_of_a_fresh_fit(dtype, fresh, monkeypatch):
    monkeypatch.setattr("neuroling.numerics.ridge.algorithm_choice.choose_form", lambda *_, **__: by_deletion)
    monkeypatch.setattr("neuroling.numerics.ridge.alpha_search.FRESH_BYTES", fresh or 2**28)
    sizes = SIZES["wide"]
    X, Y = _data(sizes, dtype, q=90)
    Y[:, 4] = 1.0  # a constant target has no score
    bands, targets, kept = _bands(X, sizes), Targets(Y, CPU, Limits(batch=50)), Kept.none_for(Y)
    weightings = dirichlet_weightings(9, 2, (0.3, 1.0), RNG(0))
    scores, weighting, penalty = search_weightings(bands, targets, _folds(), ALPHAS, weightings, kept)
    np.testing.assert_array_equal(kept.option, weighting * len(ALPHAS) + penalty)
    np.testing.assert_array_equal(kept.score, scores.max(0))
    weights = weightings[weighting].T
    found, slow = (fit_bands(bands, targets, weights, ALPHAS[penalty], weights, one)[0] for one in (kept, None))
    np.testing.assert_allclose(found, slow, atol=TOLERANCE[dtype])


def test_a_search_scores_alike_whether_weights_are_kept_or_not():
    X, Y = _data(SIZES["wide"])
    bands, targets = _bands(X, SIZES["wide"]), Targets(Y, CPU, Limits())
    weightings = dirichlet_weightings(4, 2, (1.0,), RNG(0))
    with_kept, without = (
        search_weightings(bands, targets, _folds(), ALPHAS, weightings, kept) for kept in (Kept.none_for(Y), None)
    )
    for one, other in zip(with_kept, without, strict=True):
        np.testing.assert_array_equal(one, other)


def test_features_in_any_order_get_their_own_weights():
    X, Y = _data((3, 4))
    columns = [np.array([6, 0, 2]), np.array([5, 1, 4, 3])]
    weights = np.tile([[0.3], [0.7]], 6)
    coef, _ = fit_bands(Bands.of(X, columns, CPU), Targets(Y, CPU, Limits()), weights, np.ones(6), weights)
    gain = np.empty(7)
    gain[columns[0]], gain[columns[1]] = np.sqrt([0.3, 0.7])
    slow = Ridge(1.0).fit(X * gain, Y).coef_ * gain
    np.testing.assert_allclose(coef.T, slow, atol=1e-9)


def test_a_penalty_near_zero_is_left_to_the_singular_values():
    X, Y = _data((5, 40))
    weights = np.tile([[0.5], [0.5]], 6)
    coef, mean = fit_bands(_bands(X, (5, 40)), Targets(Y, CPU, Limits()), weights, np.full(6, 1e-13), weights)
    np.testing.assert_allclose((X - X.mean(0)) @ coef + mean, Y, atol=1e-8)


# --- gradient ---------------------------------------------------------------------------------------------------------


def _gradient_folds(X, sizes):
    features = torch.from_numpy(X - X.mean(0))
    weights = torch.full((sum(sizes),), 0.5, dtype=torch.float64)
    return [GradientFold.of(features, weights, fold, torch.float64) for fold in to_folds(_folds(), CPU)]


@pytest.mark.parametrize("shape", sorted(SIZES))
def test_the_error_at_any_penalties_is_that_of_refits(shape):
    sizes = SIZES[shape]
    X, Y = _data(sizes)
    theta = torch.from_numpy(RNG(1).standard_normal((2, 6)))
    error, _ = error_and_gradient(_gradient_folds(X, sizes), sizes, torch.from_numpy(Y), theta, torch.ones(6), 1e-12)
    for target in range(6):
        slow = 0.0
        for train, test in _folds():
            scaled = X * np.exp(np.repeat(theta[:, target].numpy(), sizes) / 2)
            slow += (
                (Ridge(1.0).fit(scaled[train], Y[train, target]).predict(scaled[test]) - Y[test, target]) ** 2
            ).sum()
        assert float(error[target]) == pytest.approx(slow, rel=1e-9)


@pytest.mark.parametrize("shape", sorted(SIZES))
def test_the_gradient_is_that_of_finite_differences(shape):
    sizes = SIZES[shape]
    X, Y = _data(sizes)
    folds, y, step = _gradient_folds(X, sizes), torch.from_numpy(Y), 1e-5
    theta = torch.from_numpy(RNG(1).standard_normal((2, 6)))
    _, gradient = error_and_gradient(folds, sizes, y, theta, torch.ones(6), 1e-13)
    for band in range(2):
        moved = torch.zeros_like(theta)
        moved[band] = step
        up, down = (
            error_and_gradient(folds, sizes, y, theta + sign * moved, torch.ones(6), 1e-13)[0] for sign in (1, -1)
        )
        np.testing.assert_allclose(gradient[band], (up - down) / (2 * step), rtol=1e-5, atol=1e-5)
