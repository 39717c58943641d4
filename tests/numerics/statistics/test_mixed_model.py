"""Mixed models: constructed truth, identities, boundaries, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg, optimize

from neuroling.numerics.statistics.mixed_model import fit_reml
from neuroling.numerics.statistics.random_terms import RandomTerm


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


def unbalanced(seed=0, *, n_people=12, n_items=15):
    """Rows of which a third is missing, with a slope of persons: outcome, predictor, person, item."""
    rng = np.random.default_rng(seed)
    person, item = np.divmod(np.arange(n_people * n_items), n_items)
    kept = rng.random(len(person)) > 0.3
    person, item = person[kept], item[kept]
    x = rng.standard_normal(len(person))
    y = 2 + 0.5 * x + rng.normal(0, 0.5, n_people)[person] * x + rng.standard_normal(n_people)[person]
    return y + rng.normal(0, 0.7, n_items)[item] + rng.standard_normal(len(x)), x, person, item


def fit_slopes(y, x, person, item, *, correlated=False):
    ones = np.ones(len(y))
    X = np.column_stack([ones, x])
    return fit_reml(y, X, [RandomTerm(person, X, correlated), RandomTerm(item, ones[:, None])])


def dense_standard_errors(y, X, factors):
    """Fit by REML with the whole covariance of the rows in memory, random intercepts of each factor."""
    shared = [factor[:, None] == factor for factor in factors]

    def solve(theta):
        L = np.linalg.cholesky(np.eye(len(y)) + sum(t**2 * block for t, block in zip(theta, shared, strict=True)))
        X_white, y_white = (linalg.solve_triangular(L, a, lower=True) for a in (X, y))
        A = X_white.T @ X_white
        rss = float(((y_white - X_white @ np.linalg.solve(A, X_white.T @ y_white)) ** 2).sum())
        return 2 * np.log(np.diag(L)).sum() + np.linalg.slogdet(A)[1], rss / (len(y) - X.shape[1]), A

    def criterion(theta):
        log_determinant, variance, _ = solve(theta)
        return log_determinant + (len(y) - X.shape[1]) * np.log(variance)

    options = {"xatol": 1e-8, "fatol": 1e-11}
    theta = optimize.minimize(criterion, [0.7] * len(factors), method="Nelder-Mead", options=options).x
    _, variance, A = solve(theta)
    return np.sqrt(variance * np.diag(np.linalg.inv(A)))


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


@pytest.mark.parametrize("noise", [1.0, 1e-2, 1e-3])
def test_degrees_of_freedom_are_those_of_the_groups_however_small_the_residual(noise):
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(12), 6)
    ones = np.ones((72, 1))
    fit = fit_reml(rng.normal(0, 1, 12)[group] + noise * rng.standard_normal(72), ones, [RandomTerm(group, ones)])
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


@pytest.mark.parametrize("correlated", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_units_of_predictor_and_outcome_change_neither_t_nor_degrees_of_freedom(seed, correlated):
    """To 1e-4: the search for theta ends within 1e-6, and rounding at 1e-16 decides where within that."""
    y, x, person, item = unbalanced(seed)
    one = fit_slopes(y, x, person, item, correlated=correlated)
    for of_x, of_y in ((1e-6, 1e-6), (1e-4, 1e6), (1e3, 1e-13), (1e6, 1.0)):
        other = fit_slopes(of_y * y, of_x * x, person, item, correlated=correlated)
        units = of_y / np.array([1.0, of_x])
        np.testing.assert_allclose(other.coefficients, units * one.coefficients, rtol=1e-4)
        np.testing.assert_allclose(other.standard_errors, units * one.standard_errors, rtol=1e-4)
        np.testing.assert_allclose(other.t, one.t, rtol=1e-4)
        np.testing.assert_allclose(other.degrees_of_freedom, one.degrees_of_freedom, rtol=1e-4)
        np.testing.assert_allclose(other.p, one.p, rtol=1e-3)  # a tail: p moves by some t squared times what t does
        scaled = np.outer(units, units) * one.random_covariances[0]
        np.testing.assert_allclose(other.random_covariances[0], scaled, rtol=1e-3, atol=1e-5 * np.abs(scaled).min())


def test_criterion_counts_the_units_of_the_fixed_effects():
    y, x, person, item = unbalanced()
    one, other = fit_slopes(y, x, person, item), fit_slopes(y, 1e3 * x, person, item)
    assert other.criterion - one.criterion == pytest.approx(2 * np.log(1e3), abs=1e-6)


def test_counts_of_words_with_a_long_tail_can_be_slopes():
    rng = np.random.default_rng(1)
    person, item = np.divmod(np.arange(600), 30)
    counts = np.round(rng.lognormal(10, 2, 30))[item]
    z = (counts - counts.mean()) / counts.std()
    slopes = rng.normal(20, 25, 20)[person]
    y = 600 + slopes * z + rng.normal(0, 50, 20)[person] + rng.normal(0, 30, 30)[item] + rng.normal(0, 100, 600)
    raw, scaled = (fit_slopes(y, x, person, item) for x in (counts, counts / counts.std()))
    np.testing.assert_allclose(raw.t, scaled.t, rtol=1e-4)
    np.testing.assert_allclose(raw.degrees_of_freedom, scaled.degrees_of_freedom, rtol=1e-4)


@pytest.mark.parametrize("seed", [4, 5, 13, 15])  # intercepts' variances were left at a saddle, in one unit or another
def test_slopes_far_larger_than_the_residual_end_at_one_optimum_in_any_unit(seed):
    rng = np.random.default_rng(seed)
    person, item = np.divmod(np.arange(8 * 7), 7)
    x = 50 + rng.standard_normal(56)
    y = 0.5 * x + rng.standard_normal(8)[person] * (1 + x) + rng.standard_normal(7)[item]
    y += 0.1 * rng.standard_normal(56)
    one, other = fit_slopes(y, x, person, item), fit_slopes(1e4 * y + 3e4, 1e-5 * x, person, item)
    assert other.t[1] == pytest.approx(one.t[1], rel=1e-4)


@pytest.mark.parametrize(("of_x", "of_y"), [(0.0, 0.0), (0.0, 1e5), (1e6, 0.0), (1e6, 1e6), (2018.0, -1e4)])
def test_standard_errors_are_those_of_the_dense_model_however_far_from_zero_the_numbers_are(of_x, of_y):
    y, x, person, item = unbalanced(4)
    dense = dense_standard_errors(y, np.column_stack([np.ones(len(y)), x]), [person, item])
    far = fit_reml(y + of_y, np.column_stack([np.ones(len(y)), x + of_x]), intercepts(person, item))
    assert far.standard_errors[1] == pytest.approx(dense[1], rel=1e-6)


def test_intercept_of_numbers_far_from_zero_is_that_of_the_line():
    y, x, person, item = unbalanced(4)
    near, far = (
        fit_reml(y + shift, np.column_stack([np.ones(len(y)), x + shift]), intercepts(person, item))
        for shift in (0.0, 1e4)
    )
    expected = near.coefficients[0] + 1e4 - 1e4 * near.coefficients[1]
    assert far.coefficients[0] == pytest.approx(expected, rel=1e-6)
    at_line = np.array([1.0, 1e4])  # the intercept of the near one
    assert at_line @ far.covariance @ at_line == pytest.approx(near.covariance[0, 0], rel=1e-4)
    assert far.contrast_df(at_line) == pytest.approx(near.degrees_of_freedom[0], rel=1e-3)


def test_tesla_are_an_outcome():
    y, x, person, item = unbalanced()
    volts, tesla = fit_slopes(y, x, person, item), fit_slopes(1e-13 * y, x, person, item)
    assert tesla.residual_sd == pytest.approx(1e-13 * volts.residual_sd, rel=1e-4)


def test_absent_variance_ends_at_zero_and_is_called_singular():
    y, X, person, item = crossed(person_sd=0.0, seed=2)
    y = y - np.bincount(person, y)[person] / np.bincount(person)[person]  # no person differs in the mean
    fit = fit_reml(y, X, intercepts(person, item))
    assert fit.is_singular
    assert fit.vanished == ((0, 0),)
    assert fit.random_covariances[0][0, 0] < 1e-6


def perfectly_correlated(rho, *, seed=0):
    """Outcome, design and persons, of which each one's line is exactly one with a slope of rho times the intercept."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(20), 12)
    X = np.column_stack([np.ones(240), rng.standard_normal(240)])
    noise, both = rng.standard_normal(240), rng.standard_normal(20)[person]
    for rows in np.split(np.arange(240), 20):
        noise[rows] -= X[rows] @ np.linalg.lstsq(X[rows], noise[rows], rcond=None)[0]
    return both + rho * both * X[:, 1] + noise, X, person


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rho", [1.0, -1.0])
def test_a_correlation_of_one_is_called_singular_though_no_variance_vanished(rho, seed):
    y, X, person = perfectly_correlated(rho, seed=seed)
    fit = fit_reml(y, X, [RandomTerm(person, X, correlated=True)])
    covariance = fit.random_covariances[0]
    assert covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]) == pytest.approx(rho, abs=1e-9)
    assert (fit.is_singular, fit.ranks, fit.singular, fit.vanished) == (True, (1,), (0,), ())


@pytest.mark.parametrize("shift", [-3.0, 50.0])
def test_where_zero_is_changes_no_fit_of_correlated_slopes(shift):
    y, x, person, item = unbalanced(1)
    one, other = (fit_slopes(y, values, person, item, correlated=True) for values in (x, x + shift))
    assert other.criterion == pytest.approx(one.criterion, abs=1e-8)
    assert other.t[1] == pytest.approx(one.t[1], rel=1e-6)
    assert other.degrees_of_freedom[1] == pytest.approx(one.degrees_of_freedom[1], rel=1e-4)


def test_regular_fits_have_full_rank():
    fit = fit_slopes(*unbalanced(), correlated=True)
    assert (fit.is_singular, fit.ranks, fit.singular, fit.converged) == (False, (2, 1), (), True)


def test_a_search_that_has_not_ended_is_warned_of(monkeypatch):
    monkeypatch.setattr("neuroling.numerics.statistics.likelihood_search.STEPS", 1)
    with pytest.warns(RuntimeWarning, match="not ended at an optimum"):
        fit = fit_slopes(*unbalanced(), correlated=True)
    assert not fit.converged


def test_an_intercept_of_each_participant_and_item_is_found_beside_theirs():
    rng = np.random.default_rng(0)
    person, item = (a.ravel() for a in np.meshgrid(range(20), range(15), indexing="ij"))
    person, item = np.repeat(person, 4), np.repeat(item, 4)
    cell, ones = person * 15 + item, np.ones((1200, 1))
    y = rng.standard_normal(20)[person] + rng.standard_normal(15)[item] + 0.5 * rng.standard_normal(300)[cell]
    fit = fit_reml(y + rng.standard_normal(1200), ones, [*intercepts(person, item), RandomTerm(cell, ones)])
    assert np.sqrt(fit.random_covariances[2][0, 0]) == pytest.approx(0.5, abs=0.08)


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
    "a constant outcome far from zero": (lambda y, X, p, i: (0 * y + 0.1, X, intercepts(p, i)), "nothing to explain"),
    "an outcome without noise": (lambda y, X, p, i: (2 * X[:, 1] + 1, X, intercepts(p, i)), "y: the columns of X"),
    "an outcome of persons alone": (lambda y, X, p, i: (1.0 * p, X, intercepts(p, i)), "y: random effects reach"),
    "one grouping twice": (
        lambda y, X, p, i: (y, X, intercepts(p, p)),
        r"terms\[0\] effect 0, terms\[1\] effect 0: .*distinguished",
    ),
    "an effect twice": (
        lambda y, X, p, i: (y, X, [RandomTerm(p, X), RandomTerm(i, X[:, [0, 0]])]),
        r"terms\[1\] effect 0, terms\[1\] effect 1: .*distinguished",
    ),
    "a slope that is one number a level": (
        lambda y, X, p, i: (y, X, [RandomTerm(2 * p + (X[:, 1] > 0), X), RandomTerm(i, X[:, :1])]),
        r"terms\[0\] effect 0, terms\[0\] effect 1: .*distinguished",
    ),
    "a fixed effect for each level": (
        lambda y, X, p, i: (y, np.column_stack([X, p == 0, p == 1]), intercepts(p, i)),
        r"terms\[0\] effect 0: .*fixed",
    ),
    "a slope of zeros": (lambda y, X, p, i: (y, X, [RandomTerm(p, 0 * X)]), r"terms\[0\]: .*zero in every row"),
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
