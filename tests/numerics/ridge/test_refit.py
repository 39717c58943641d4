"""The fit that follows the choice of penalties: equal to one fit per target, in both dtypes."""

import numpy as np
import pytest
import torch

from neuroling.numerics.memory import Limits, Targets
from neuroling.numerics.ridge.gram import Design
from neuroling.numerics.ridge.refit import by_penalty, fit_dual, fit_linear

pytestmark = pytest.mark.usefixtures("product_library")

RNG = np.random.default_rng
TOLERANCE = {np.float32: 2e-4, np.float64: 1e-9}


def _data(n, p, q, dtype):
    rng = RNG(0)
    X = rng.standard_normal((n, p))
    return X, (X @ rng.standard_normal((p, q)) + rng.standard_normal((n, q)) + 3).astype(dtype)


def _by_hand(X, Y, alphas):
    centred = X - X.mean(0)
    gram, right = centred.T @ centred, centred.T @ (Y - Y.mean(0, dtype=np.float64))
    return np.column_stack(
        [
            np.linalg.solve(gram + alpha * np.eye(len(gram)), column)
            for alpha, column in zip(alphas, right.T, strict=True)
        ]
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [6, 50])
@pytest.mark.parametrize("n_different", [3, 40])
def test_weights_are_those_of_one_fit_per_target(p, dtype, n_different):
    X, Y = _data(30, p, 40, dtype)
    alphas = RNG(1).permutation(np.resize(np.logspace(-0.5, 3, n_different), 40))
    coef, intercept = fit_linear(X, Targets(Y, torch.device("cpu"), Limits(batch=7)), alphas)
    expected = _by_hand(X, Y, alphas)
    np.testing.assert_allclose(coef, expected, atol=TOLERANCE[dtype])
    np.testing.assert_allclose(intercept, Y.mean(0) - X.mean(0) @ expected, atol=TOLERANCE[dtype])
    assert coef.dtype == intercept.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_different", [2, 20])
def test_weights_of_samples_solve_the_shifted_system(dtype, n_different):
    X, Y = _data(25, 40, 20, dtype)
    alphas = np.resize(np.logspace(0, 3, n_different), 20)
    dual, mean = fit_dual(Design(torch.from_numpy(X @ X.T), None), Targets(Y, torch.device("cpu"), Limits()), alphas)
    centred = X - X.mean(0)
    np.testing.assert_allclose(centred.T @ dual, _by_hand(X, Y, alphas), atol=TOLERANCE[dtype])
    np.testing.assert_allclose(mean, Y.mean(0), rtol=1e-6)
    np.testing.assert_allclose(dual.sum(0), 0, atol=TOLERANCE[dtype])


def test_a_penalty_near_zero_is_left_to_the_singular_values():
    X, Y = _data(10, 30, 5, np.float64)
    coef, intercept = fit_linear(X, Targets(Y, torch.device("cpu"), Limits()), np.full(5, 1e-13))
    np.testing.assert_allclose(X @ coef + intercept, Y, atol=1e-8)


def test_targets_are_gathered_by_penalty_and_none_is_lost():
    alphas = RNG(0).choice([1.0, 5.0, 9.0], 100)
    pieces = list(by_penalty(alphas, 11))
    assert all(len(set(alphas[piece])) == 1 and len(piece) <= 11 for piece in pieces)
    np.testing.assert_array_equal(np.sort(np.concatenate(pieces)), np.arange(100))
