"""Weights that a search leaves: equal to a fresh fit, of the penalties chosen, and only where digits allow it."""

import numpy as np
import pytest
import scipy
import torch

from neuroling.numerics.memory import Limits, Targets
from neuroling.numerics.ridge.alpha_search import cv_fit, cv_scores
from neuroling.numerics.ridge.dual_weights import best_rows
from neuroling.numerics.ridge.gram import Design, ShiftedGram, to_folds
from neuroling.numerics.ridge.held_out_errors import by_deletion
from neuroling.numerics.ridge.refit import fit_dual

pytestmark = pytest.mark.usefixtures("product_library")

RNG = np.random.default_rng
CPU = torch.device("cpu")
ALPHAS = np.array([300.0, 1.0, 30.0, 3000.0])
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}


def _data(n=60, p=90, q=200, dtype=np.float64):
    rng = RNG(0)
    X = rng.standard_normal((n, p))
    gain = np.abs(rng.standard_normal(q)) ** 3
    return X, (X @ rng.standard_normal((p, q)) * gain / 9 + rng.standard_normal((n, q)) + 5).astype(dtype)


def _folds(n=60, k=5, *, seed=None):
    rows = np.arange(n) if seed is None else RNG(seed).permutation(n)
    return [(np.setdiff1d(rows, test), test) for test in np.array_split(rows, k)]


@pytest.fixture
def deletion(monkeypatch):
    """Searches by deletion, whatever the shape."""
    monkeypatch.setattr("neuroling.numerics.ridge.algorithm_choice.choose_form", lambda *_, **__: by_deletion)


def _both(X, Y, folds, **limits):
    """Scores, penalties, weights from the search, and weights of a fresh fit."""
    design, targets = Design.linear(torch.from_numpy(X)), Targets(Y, CPU, Limits(**limits))
    scores, kept = cv_fit(design, targets, folds, ALPHAS)
    chosen = ALPHAS[best_rows(scores, int(ALPHAS.argmax()))]
    fresh = fit_dual(design, targets, chosen)
    return scores, kept, fit_dual(design, targets, chosen, (ALPHAS, kept)), fresh


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", [None, 1], ids=["stretches", "scattered"])
@pytest.mark.usefixtures("deletion")
def test_weights_from_the_search_are_those_of_a_fresh_fit(dtype, seed):
    X, Y = _data(dtype=dtype)
    _, kept, (dual, mean), (fresh, fresh_mean) = _both(X, Y, _folds(k=7, seed=seed), batch=64)
    assert (kept.option >= 0).all()
    np.testing.assert_allclose(dual, fresh, atol=TOLERANCE[dtype] * np.abs(fresh).max())
    np.testing.assert_allclose(mean, fresh_mean, rtol=1e-12)


@pytest.mark.usefixtures("deletion")
def test_scores_are_the_same_whether_weights_are_kept_or_not():
    X, Y = _data()
    scores, *_ = _both(X, Y, _folds())
    design, targets = Design.linear(torch.from_numpy(X)), Targets(Y, CPU, Limits())
    np.testing.assert_array_equal(scores, cv_scores(design, targets, _folds(), ALPHAS))


@pytest.mark.usefixtures("deletion")
def test_of_equal_penalties_the_first_is_kept():
    X, Y = _data()
    design, targets = Design.linear(torch.from_numpy(X)), Targets(Y, CPU, Limits())
    _, kept = cv_fit(design, targets, _folds(), np.array([30.0, 30.0]))
    assert (kept.option == 0).all()


@pytest.mark.usefixtures("deletion")
def test_a_constant_target_has_the_largest_penalty_and_weights_of_zero():
    X, Y = _data()
    Y[:, 3] = 2.0
    _, kept, (dual, mean), _ = _both(X, Y, _folds())
    assert ALPHAS[kept.option[3]] == ALPHAS.max()
    np.testing.assert_allclose(dual[:, 3], 0, atol=1e-14)
    assert mean[3] == 2.0


@pytest.mark.usefixtures("deletion")
def test_weights_are_not_kept_where_float32_would_lose_their_digits():
    X, Y = _data(dtype=np.float32)
    X[:, 0] *= 300  # the largest eigenvalue is millions, a float32 inverse good for 30,000 times the penalty
    _, kept, (dual, _), (fresh, _) = _both(X, Y, _folds())
    kept_alphas, left = ALPHAS[kept.option[kept.option >= 0]], kept.option < 0
    assert left.any()
    assert 1.0 not in kept_alphas
    np.testing.assert_allclose(dual[:, left], fresh[:, left], atol=1e-6 * np.abs(fresh).max())


@pytest.mark.parametrize("memory", [290_000, 400_000])
@pytest.mark.usefixtures("deletion")
def test_a_search_in_parts_leaves_the_fit_to_those_who_ask(memory):
    X, Y = _data(n=60)
    _, kept, (dual, mean), (fresh, fresh_mean) = _both(X, Y, _folds(), memory=memory)
    assert (kept.option == -1).all()
    np.testing.assert_allclose(dual, fresh, atol=1e-12)
    np.testing.assert_allclose(mean, fresh_mean)


@pytest.mark.usefixtures("deletion")
def test_test_sets_that_leave_samples_out_leave_no_weights():
    X, Y = _data()
    _, kept, (dual, _), (fresh, _) = _both(X, Y, _folds()[:3])
    assert (kept.option == -1).all()
    np.testing.assert_allclose(dual, fresh, atol=1e-12)


@pytest.mark.usefixtures("deletion")
def test_repeated_folds_leave_the_weights_once():
    X, Y = _data()
    _, kept, (dual, _), (fresh, _) = _both(X, Y, [*_folds(seed=1), *_folds(seed=2)])
    assert (kept.option >= 0).all()
    np.testing.assert_allclose(dual, fresh, atol=1e-12)


def test_folds_with_a_gap_are_fitted_afterwards():
    X, Y = _data()
    folds = [(train[np.abs(train - test.mean()) > 10], test) for train, test in _folds()]
    _, kept, (dual, _), (fresh, _) = _both(X, Y, folds)
    assert (kept.option == -1).all()
    np.testing.assert_array_equal(dual, fresh)


@pytest.mark.parametrize("n", [1, 7, 300])
def test_a_matrix_is_factored_and_inverted_in_its_own_memory(n):
    half = torch.from_numpy(RNG(0).standard_normal((n, n)))
    gram, penalty = half @ half.T, 0.5
    shifted, held = gram + penalty * torch.eye(n, dtype=torch.float64), ShiftedGram(gram, torch.float64)
    for _ in range(2):  # the second call finds the memory of the first
        torch.testing.assert_close(held.factor(penalty), torch.linalg.cholesky(shifted))
        torch.testing.assert_close(held.inverse(penalty), torch.linalg.inv(shifted))


@pytest.mark.parametrize("n", [20, 1100])
def test_a_shifted_matrix_is_inverted_with_the_digits_that_lapack_keeps(n):
    """With a first eigenvalue of 20,000 times the penalty, about the most that is left to float32."""
    basis = np.linalg.qr(RNG(0).standard_normal((n, n)))[0]
    gram = torch.from_numpy((basis * np.geomspace(2e4, 1e-3, n)) @ basis.T)
    exact = torch.linalg.inv(gram + torch.eye(n))
    single = (gram + torch.eye(n)).float()
    slow = [torch.cholesky_inverse(torch.linalg.cholesky(single)), torch.from_numpy(_inverse_by_scipy(single.numpy()))]
    found = ShiftedGram(gram, torch.float32).inverse(1.0)
    assert found.dtype == torch.float32
    assert float((found - exact).norm()) < 2 * max(float((inverse - exact).norm()) for inverse in slow)


def _inverse_by_scipy(matrix):
    """The lower triangle of the inverse, by LAPACK alone, and the same above."""
    factor, _ = scipy.linalg.lapack.spotrf(matrix, lower=1)
    lower = np.tril(scipy.linalg.lapack.spotri(factor, lower=1)[0])
    return lower + np.tril(lower, -1).T


def test_one_inverse_does_not_disturb_the_next():
    half = torch.from_numpy(RNG(0).standard_normal((30, 30)))
    shifted = ShiftedGram(half @ half.T, torch.float64)
    first = shifted.inverse(1.0).clone()
    shifted.factor(7.0)
    torch.testing.assert_close(shifted.inverse(1.0), first, atol=0, rtol=0)


def test_blocks_cost_memory_only_where_they_are_asked_for():
    X, _ = _data()
    design, rows = Design.linear(torch.from_numpy(X)), to_folds(_folds(), CPU)
    plain, more = (
        next(iter(by_deletion(design, rows, torch.from_numpy(ALPHAS), torch.float64, keep_blocks=keep)))
        for keep in (False, True)
    )
    assert more.n_bytes - plain.n_bytes == 8 * len(ALPHAS) * 12**2
