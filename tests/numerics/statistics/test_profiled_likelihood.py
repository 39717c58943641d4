"""The profiled criterion against dense algebra, its derivatives against differences, its digits against longer ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neuroling.numerics.statistics.profiled_likelihood import ProfiledLikelihood
from neuroling.numerics.statistics.random_terms import RandomTerm


def criterion_of(*, restricted=True, cells=True, seed=0, n=180):
    rng = np.random.default_rng(seed)
    person, item = rng.permutation(n) % 5, rng.permutation(n) % 7
    _, cell = np.unique(7 * person + item, return_inverse=True)
    X = np.column_stack([np.ones(n), rng.standard_normal(n)])
    y = rng.standard_normal(n) + rng.standard_normal(5)[person] + rng.standard_normal(7)[item] * X[:, 1]
    terms = [RandomTerm(person, X, correlated=True), RandomTerm(item, X)]
    terms += [RandomTerm(cell, X[:, :1])] if cells else []
    return ProfiledLikelihood(y, X, terms, restricted=restricted), y, X, rng


def row_covariance(criterion, theta):
    V = np.eye(len(criterion.equations.designs[0].toarray()))
    for Z, term, factor in zip(criterion.equations.designs, criterion.terms, criterion.factors(theta), strict=True):
        V += Z @ np.kron(np.eye(term.n_levels), factor @ factor.T) @ Z.toarray().T
    return V


@pytest.mark.parametrize("cells", [False, True])
def test_ml_criterion_is_that_of_the_normal_density(cells):
    criterion, y, X, rng = criterion_of(restricted=False, cells=cells)
    theta = rng.standard_normal(6 if cells else 5)
    solution = criterion.solve(theta)
    variance = solution.sum_of_squares / len(y)
    density = stats.multivariate_normal(X @ solution.coefficients, variance * row_covariance(criterion, theta))
    assert criterion(theta) == pytest.approx(-2 * density.logpdf(y), rel=1e-11)


def test_reml_criterion_is_the_density_of_what_the_fixed_effects_leave():
    criterion, y, X, rng = criterion_of()
    theta = rng.standard_normal(6)
    solution = criterion.solve(theta)
    variance = solution.sum_of_squares / (len(y) - 2)
    left = np.linalg.svd(X)[0][:, 2:]  # orthogonal to the fixed effects, (row, row - fixed)
    density = stats.multivariate_normal(None, variance * left.T @ row_covariance(criterion, theta) @ left)
    units = np.linalg.slogdet(X.T @ X)[1]
    assert criterion(theta) == pytest.approx(-2 * density.logpdf(left.T @ y) + units, rel=1e-11)


def test_random_effects_are_the_conditional_means():
    criterion, y, X, rng = criterion_of()
    theta = rng.standard_normal(6)
    solution = criterion.solve(theta)
    whitened = np.linalg.solve(row_covariance(criterion, theta), y - X @ solution.coefficients)
    for Z, term, factor, effects in zip(
        criterion.equations.designs, criterion.terms, criterion.factors(theta), solution.effects, strict=True
    ):
        expected = (Z.T @ whitened).reshape(-1, term.n_effects) @ factor @ factor.T
        np.testing.assert_allclose(effects, expected, atol=1e-11)


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("cells", [False, True])
def test_gradient_is_the_limit_of_differences(restricted, cells):
    criterion, *_, rng = criterion_of(restricted=restricted, cells=cells)
    theta = rng.standard_normal(6 if cells else 5)
    shifts = 1e-5 * np.eye(len(theta))
    numeric = [(criterion(theta + shift) - criterion(theta - shift)) / 2e-5 for shift in shifts]
    np.testing.assert_allclose(criterion.value_and_gradient(theta)[1], numeric, rtol=1e-6, atol=1e-6)


def test_gradient_with_sigma_is_that_of_the_criterion_where_sigma_is_profiled():
    criterion, *_, rng = criterion_of()
    theta = rng.standard_normal(6)
    sigma = np.sqrt(criterion.solve(theta).sum_of_squares / criterion.n_free)
    gradient = criterion.gradient_at(theta, sigma)
    np.testing.assert_allclose(gradient[:-1], criterion.value_and_gradient(theta)[1], rtol=1e-10)
    assert gradient[-1] == pytest.approx(0, abs=1e-9)


def long_criterion(y, X, terms, theta):
    """The REML criterion from cross-products in extended precision, where the processor has it."""
    designs = [term.design().toarray().astype(np.longdouble) for term in terms]
    U = np.hstack([size * Z for size, Z in zip(theta, designs, strict=True)])
    columns = np.hstack([U, X, y[:, None]]).astype(np.longdouble)
    A = columns.T @ columns
    A[np.arange(U.shape[1]), np.arange(U.shape[1])] += 1
    for j in range(len(A)):  # Cholesky factor; scipy has none of this precision
        A[j:, j] /= np.sqrt(A[j, j])
        A[j + 1 :, j + 1 :] -= np.outer(A[j + 1 :, j], A[j + 1 :, j])
    logs, n_free = np.log(np.diag(A)), len(y) - X.shape[1]
    return float(2 * logs[:-1].sum() + n_free * (1 + np.log(2 * np.pi / np.longdouble(n_free)) + 2 * logs[-1]))


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="no extended precision on this processor")
@pytest.mark.parametrize("size", [1.0, 30.0, 1000.0])
def test_digits_are_kept_where_random_effects_are_a_thousand_times_the_residual(size):
    rng = np.random.default_rng(0)
    person, item = np.divmod(np.arange(18 * 17), 17)
    x = rng.standard_normal(17)[item]  # one number an item: its variance goes through two eliminations
    y = size * (rng.standard_normal(18)[person] + rng.standard_normal(17)[item]) + rng.standard_normal(306)
    X, one = np.column_stack([np.ones(306), x]), np.ones((306, 1))
    terms = [RandomTerm(person, one), RandomTerm(item, one)]
    theta = np.array([size, size])
    assert ProfiledLikelihood(y, X, terms)(theta) == pytest.approx(long_criterion(y, X, terms, theta), abs=1e-6)
