"""Mixed models: constructed truth, identities, boundaries, bad input."""

from __future__ import annotations

import numpy as np
import pytest

from neuroling.numerics.mixed import RandomTerm, fit_reml


def crossed(n_people=8, n_items=15, *, person_sd=0.5, item_sd=0.4, slope_sd=0.0, effect=0.3, seed=0):
    """Rows of a design in which every person meets every item twice, and its truth."""
    rng = np.random.default_rng(seed)
    person, item, twice = (a.ravel() for a in np.meshgrid(range(n_people), range(n_items), (-0.5, 0.5), indexing="ij"))
    slopes = rng.normal(0, slope_sd, n_people)[person] * twice
    y = 1 + effect * twice + slopes + rng.normal(0, person_sd, n_people)[person] + rng.normal(0, item_sd, n_items)[item]
    X = np.column_stack([np.ones(len(y)), twice])
    return y + rng.normal(0, 0.6, len(y)), X, person, item


def intercepts(person, item):
    ones = np.ones((len(person), 1))
    return [RandomTerm(person, ones), RandomTerm(item, ones)]


def test_coefficients_of_a_balanced_design_are_those_of_least_squares():
    y, X, person, item = crossed()
    fit = fit_reml(y, X, intercepts(person, item))
    np.testing.assert_allclose(fit.coefficients, np.linalg.lstsq(X, y, rcond=None)[0], atol=1e-8)


def test_balanced_intercept_only_model_matches_anova_variances():
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(12), 6)
    y = rng.normal(0, 1, 12)[group] + rng.normal(0, 0.5, 72)
    fit = fit_reml(y, np.ones((72, 1)), [RandomTerm(group, np.ones((72, 1)))])
    means = y.reshape(12, 6).mean(axis=1)
    within = y.reshape(12, 6).var(axis=1, ddof=1).mean()
    between = means.var(ddof=1) - within / 6
    assert fit.residual_sd**2 == pytest.approx(within, rel=1e-4)
    assert fit.random_covariances[0][0, 0] == pytest.approx(between, rel=1e-4)
    assert fit.degrees_of_freedom[0] == pytest.approx(11, rel=1e-2)


def test_within_effect_of_a_balanced_design_has_the_degrees_of_freedom_of_the_anova():
    y, X, person, item = crossed()
    fit = fit_reml(y, X, intercepts(person, item))
    assert fit.degrees_of_freedom[1] == pytest.approx(len(y) - 8 - 15, rel=2e-2)


def test_random_slope_makes_the_standard_error_that_of_the_participants():
    y, X, person, item = crossed(n_people=12, slope_sd=0.8)
    ones = np.ones((len(y), 1))
    fit = fit_reml(y, X, [RandomTerm(person, X), RandomTerm(item, ones)])
    slopes = [np.polyfit(X[person == p, 1], y[person == p], 1)[0] for p in range(12)]
    assert fit.standard_errors[1] == pytest.approx(np.std(slopes, ddof=1) / np.sqrt(12), rel=0.02)
    assert fit.degrees_of_freedom[1] == pytest.approx(11, rel=0.05)


def test_scaling_the_outcome_scales_everything_but_t():
    y, X, person, item = crossed()
    one, ten = (fit_reml(k * y, X, intercepts(person, item)) for k in (1.0, 10.0))
    np.testing.assert_allclose(ten.coefficients, 10 * one.coefficients, rtol=1e-5)
    np.testing.assert_allclose(ten.t, one.t, rtol=1e-4)
    np.testing.assert_allclose(ten.degrees_of_freedom, one.degrees_of_freedom, rtol=1e-2)


def test_absent_variance_ends_at_zero_and_is_called_singular():
    y, X, person, item = crossed(person_sd=0.0, seed=2)
    y = y - np.bincount(person, y)[person] / np.bincount(person)[person]  # no person differs in the mean
    fit = fit_reml(y, X, intercepts(person, item))
    assert fit.is_singular
    assert fit.random_covariances[0][0, 0] < 1e-6


def test_correlated_slopes_recover_the_planted_correlation():
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(80), 12)
    x = np.tile(np.linspace(-1, 1, 12), 80)
    effects = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 80)
    y = effects[group, 0] + effects[group, 1] * x + rng.normal(0, 0.5, len(x))
    X = np.column_stack([np.ones(len(x)), x])
    covariance = fit_reml(y, X, [RandomTerm(group, X, correlated=True)]).random_covariances[0]
    np.testing.assert_allclose(covariance, [[1, 0.6], [0.6, 1]], atol=0.3)


@pytest.mark.slow
def test_intervals_of_a_null_effect_cover_zero_as_often_as_they_say():
    covered = []
    for seed in range(120):
        y, X, person, item = crossed(6, 8, effect=0.0, slope_sd=0.4, seed=seed)
        fit = fit_reml(y, X, [RandomTerm(person, X), RandomTerm(item, X[:, :1])])
        low, high = fit.interval(0.9)
        covered.append(low[1] <= 0 <= high[1])
    assert 0.82 <= np.mean(covered) <= 0.97  # 0.90 give or take 2.8 standard errors of 120 draws


def test_relabelling_the_levels_changes_nothing():
    y, X, person, item = crossed()
    order = np.random.default_rng(1).permutation(8)
    one, other = fit_reml(y, X, intercepts(person, item)), fit_reml(y, X, intercepts(order[person], item))
    assert one.criterion == pytest.approx(other.criterion, abs=1e-6)


BAD = {
    "rows that disagree": (lambda y, X, p, i: (y[1:], X, intercepts(p, i)), "expected .row,. and .row, fixed."),
    "a NaN outcome": (lambda y, X, p, i: (np.where(np.arange(len(y)) == 3, np.nan, y), X, intercepts(p, i)), "y: 1 of"),
    "an infinite predictor": (lambda y, X, p, i: (y, X + np.inf, intercepts(p, i)), "X: .* NaN or infinite"),
    "a repeated column": (lambda y, X, p, i: (y, np.column_stack([X, X[:, 1]]), intercepts(p, i)), "rank 2"),
    "a constant outcome": (lambda y, X, p, i: (0 * y, X, intercepts(p, i)), "nothing to explain"),
    "no factor": (lambda y, X, p, i: (y, X, []), "at least one grouping factor"),
    "one participant": (lambda y, X, p, i: (y, X, intercepts(0 * p, i)), "one level"),
    "one item": (lambda y, X, p, i: (y, X, intercepts(p, 0 * i)), "one level"),
    "a row a level": (lambda y, X, p, i: (y, X, intercepts(np.arange(len(y)), i)), "one row a level"),
    "a gap among levels": (lambda y, X, p, i: (y, X, intercepts(2 * p, i)), "every integer from 0 up"),
    "a NaN slope": (lambda y, X, p, i: (y, X, [RandomTerm(p, X * np.nan)]), "NaN or infinite"),
    "more columns than rows": (lambda y, X, p, i: (y[:2], np.eye(2), intercepts(p[:2], i[:2])), "fewer columns"),
    "a short group": (lambda y, X, p, i: (y, X, [RandomTerm(p[1:], X)]), "rows; expected"),
}


@pytest.mark.parametrize("case", BAD, ids=lambda name: name.replace(" ", "_"))
def test_bad_input_is_answered_by_a_sentence(case):
    arguments, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        fit_reml(*arguments(*crossed(3, 4)))
