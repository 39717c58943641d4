"""Penalties inside leave-two-out folds: the closed form equals refitting every inner and outer fold."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from neuroling.numerics.ridge.leave_two_out import all_pairs
from neuroling.numerics.ridge.nested_leave_two_out import PenaltyTooSmallError, nested_pairs

pytestmark = pytest.mark.usefixtures("product_library")

RNG = np.random.default_rng
ALPHAS = np.logspace(-1, 3, 4)
TOLERANCE = {np.float32: 1e-4, np.float64: 1e-8}


def _data(n, p, q=5, dtype=np.float64):
    rng = RNG(0)
    X = rng.standard_normal((n, p))
    Y = X @ rng.standard_normal((p, q)) / np.sqrt(p) + rng.standard_normal((n, q)) + 2
    return X, Y.astype(dtype)


def _inner_errors(X, Y, rows):
    """Leave-one-out errors (alpha, target) within some rows."""
    errors = np.zeros((len(ALPHAS), Y.shape[1]))
    for number, alpha in enumerate(ALPHAS):
        for row in rows:
            train = rows[rows != row]
            errors[number] += (Ridge(alpha).fit(X[train], Y[train]).predict(X[[row]])[0] - Y[row]) ** 2
    return errors


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [3, 20])
def test_penalties_and_predictions_are_those_of_refits(p, dtype):
    X, Y = _data(8, p, dtype=dtype)
    pairs = all_pairs(8)[::3]
    for pair, (predicted, chosen) in zip(pairs, nested_pairs(torch.from_numpy(X @ X.T), Y, pairs, ALPHAS), strict=True):
        train = np.setdiff1d(np.arange(8), pair)
        np.testing.assert_array_equal(chosen, _inner_errors(X, Y.astype(np.float64), train).argmin(0))
        for target, number in enumerate(chosen):
            slow = Ridge(ALPHAS[number]).fit(X[train], Y[train, target].astype(np.float64)).predict(X[pair])
            np.testing.assert_allclose(predicted[:, target], slow, atol=TOLERANCE[dtype])
        assert predicted.dtype == dtype


@pytest.mark.parametrize("least", [1e-2, 1e-4])
def test_penalties_far_below_all_eigenvalues_cost_no_digits(least):
    """Fits that nearly interpolate leave residuals of 1e-5 or 1e-7 of the recording, which must not be differences."""
    X, Y = _data(12, 400)
    Y = X @ RNG(1).standard_normal((400, 5))  # no noise: the smallest penalty is the best
    pairs = all_pairs(12)[::9]
    found = nested_pairs(torch.from_numpy(X @ X.T), Y, pairs, alphas := np.array([least, 1.0]))
    for pair, (predicted, chosen) in zip(pairs, found, strict=True):
        train = np.setdiff1d(np.arange(12), pair)
        slow = [Ridge(alphas[c]).fit(X[train], y[train]).predict(X[pair]) for c, y in zip(chosen, Y.T, strict=True)]
        np.testing.assert_allclose(predicted.T, slow, rtol=1e-11, atol=1e-11)


def test_the_order_of_pairs_and_of_their_samples_changes_nothing():
    X, Y = _data(7, 3)
    gram, pairs = torch.from_numpy(X @ X.T), all_pairs(7)
    straight = list(nested_pairs(gram, Y, pairs, ALPHAS))
    order = RNG(1).permutation(len(pairs))
    turned = list(nested_pairs(gram, Y, pairs[order][:, ::-1], ALPHAS))
    for place, (predicted, chosen) in zip(order, turned, strict=True):
        np.testing.assert_allclose(predicted[::-1], straight[place][0], atol=1e-12)
        np.testing.assert_array_equal(chosen, straight[place][1])


def test_targets_in_tiles_are_the_targets_in_one(monkeypatch):
    X, Y = _data(7, 3, q=9)
    gram, pairs = torch.from_numpy(X @ X.T), all_pairs(7)[:6]
    whole = list(nested_pairs(gram, Y, pairs, ALPHAS))
    monkeypatch.setattr("neuroling.numerics.ridge.nested_leave_two_out.TILE", 4)
    for (one, _), (other, _) in zip(nested_pairs(gram, Y, pairs, ALPHAS), whole, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_a_penalty_without_digits_is_refused():
    X, Y = _data(7, 3)
    with pytest.raises(PenaltyTooSmallError, match=r"alphas: 1.0e-12 is below"):
        next(nested_pairs(torch.from_numpy(X @ X.T), Y, all_pairs(7), np.array([1e-12])))


@pytest.mark.parametrize("allowed", [30_000, 60_000, 1_000_000])
def test_little_memory_changes_nothing(allowed):
    X, Y = _data(7, 3, q=90)
    gram, pairs = torch.from_numpy(X @ X.T), all_pairs(7)
    whole = list(nested_pairs(gram, Y, pairs, ALPHAS))
    for (one, few), (other, chosen) in zip(nested_pairs(gram, Y, pairs, ALPHAS, allowed=allowed), whole, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
        np.testing.assert_array_equal(few, chosen)


def test_memory_for_no_target_is_a_sentence():
    X, Y = _data(7, 3)
    with pytest.raises(MemoryError, match="max_memory: 100 bytes are allowed, but"):
        next(nested_pairs(torch.from_numpy(X @ X.T), Y, all_pairs(7), ALPHAS, allowed=100))
