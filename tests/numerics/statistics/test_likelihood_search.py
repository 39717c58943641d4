"""The search: saddles, variances of zero, singular covariances."""

from __future__ import annotations

import numpy as np
import pytest

from neuroling.numerics.statistics.likelihood_search import LARGEST, descend, search
from neuroling.numerics.statistics.profiled_likelihood import ProfiledLikelihood
from neuroling.numerics.statistics.random_terms import RandomTerm


def far(seed=13):
    """Slopes five hundred times the residual beside intercepts of eight: their variance is easily left at zero."""
    rng = np.random.default_rng(seed)
    person, item = np.divmod(np.arange(8 * 7), 7)
    x = 50 + rng.standard_normal(56)
    y = 0.5 * x + rng.standard_normal(8)[person] * (1 + x) + rng.standard_normal(7)[item]
    y += 0.1 * rng.standard_normal(56)
    X = np.column_stack([np.ones(56), x])
    columns = X / np.sqrt((X**2).mean(axis=0))
    return ProfiledLikelihood(y, columns, [RandomTerm(person, columns), RandomTerm(item, columns[:, :1])])


def correlated(rho, seed=0, n_people=20):
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(n_people), 8)
    x = rng.standard_normal(len(person))
    first, second = rng.standard_normal((2, n_people))
    slopes = rho * first + np.sqrt(1 - rho**2) * second
    y = first[person] + slopes[person] * x + rng.standard_normal(len(person))
    X = np.column_stack([np.ones(len(y)), x])
    return ProfiledLikelihood(y, X, [RandomTerm(person, X, correlated=True)])


@pytest.mark.parametrize("start", [1e-3, 0.1, 1.0, 30.0, 1e3])
def test_descent_leaves_the_saddle_at_zero(start):
    criterion = far()
    ended = descend(criterion, np.array([start, 400.0, 10.0]))
    assert ended.criterion == pytest.approx(search(criterion).criterion, abs=1e-7)
    assert abs(ended.theta[0]) == pytest.approx(8.0, abs=0.1)


@pytest.mark.parametrize("seed", [13, 4, 21])
def test_no_random_start_ends_below_the_search(seed):
    criterion, rng = far(seed), np.random.default_rng(0)
    ends = [descend(criterion, np.exp(rng.uniform(-5, 6, 3))).criterion for _ in range(3)]
    assert search(criterion).criterion < min(ends) + 1e-7


def test_what_is_left_at_the_end_is_nothing():
    assert search(far()).left < 1e-8


def test_a_variance_without_support_is_exactly_zero():
    rng = np.random.default_rng(2)
    person = np.repeat(np.arange(10), 6)
    y = rng.standard_normal(60)
    y -= (np.bincount(person, y) / 6)[person]  # persons have the same mean
    optimum = search(ProfiledLikelihood(y, np.ones((60, 1)), [RandomTerm(person, np.ones((60, 1)))]))
    assert optimum.theta.tolist() == [0.0]


@pytest.mark.parametrize("rho", [1.0, -1.0])
def test_a_perfect_correlation_ends_at_a_factor_of_rank_one(rho):
    theta = search(correlated(rho)).theta
    assert theta[2] == 0.0
    assert np.sign(theta[1]) == np.sign(rho)


def test_a_regular_covariance_is_left_regular():
    assert search(correlated(0.3, n_people=60)).theta[2] > 0.3


def test_a_variance_at_its_bound_does_not_hold_the_others():
    """Items' means without a residual, so that the search meets its bound with persons' variance still to be found."""
    rng = np.random.default_rng(1)
    person, item = np.divmod(np.arange(12 * 20), 20)
    X = np.column_stack([np.ones(240), 5 + rng.standard_normal(20)[item]])
    y = rng.standard_normal(12)[person] * X[:, 1] + rng.standard_normal(12)[person] + rng.standard_normal(20)[item]
    columns = X / np.sqrt((X**2).mean(axis=0))
    outcome = (y + 0.002 * rng.standard_normal(240)) / y.std()
    criterion = ProfiledLikelihood(outcome, columns, [RandomTerm(person, columns), RandomTerm(item, columns[:, :1])])
    ended = descend(criterion, np.array([75.0, LARGEST, 1300.0]))
    assert ended.left < 1e-6
    assert ended.theta.max() < LARGEST / 2


def test_an_outcome_without_residual_goes_to_the_bound():
    person = np.repeat(np.arange(5), 4)
    x = np.tile([-1.0, 1.0, -1.0, 1.0], 5)
    y = person + 1e-9 * x
    one = np.ones((20, 1))
    assert search(ProfiledLikelihood(y, one, [RandomTerm(person, one)])).theta[0] > 0.99 * LARGEST
