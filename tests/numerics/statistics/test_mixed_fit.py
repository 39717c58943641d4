"""What a fit says of likelihoods, random effects and new rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from neuroling.numerics.statistics.mixed_fit import likelihood_ratio
from neuroling.numerics.statistics.mixed_model import fit_ml, fit_reml
from neuroling.numerics.statistics.random_terms import RandomTerm


def trials(seed=0, n_people=12, n_items=10):
    rng = np.random.default_rng(seed)
    person, item = np.divmod(np.arange(n_people * n_items), n_items)
    x = 3 + rng.standard_normal(len(person))
    X = np.column_stack([np.ones(len(x)), x])
    y = X @ [2, 0.5] + rng.standard_normal(n_people)[person] + 0.6 * rng.standard_normal(n_people)[person] * x
    y += rng.standard_normal(n_items)[item] + rng.standard_normal(len(x))
    return y, X, [RandomTerm(person, X, correlated=True), RandomTerm(item, X[:, :1])]


def row_covariance(fit, terms):
    V = fit.residual_sd**2 * np.eye(len(terms[0].group))
    for term, covariance in zip(terms, fit.random_covariances, strict=True):
        Z = term.design().toarray()
        V += Z @ np.kron(np.eye(term.n_levels), covariance) @ Z.T
    return V


def test_ml_log_likelihood_is_that_of_the_normal_density_in_given_units():
    y, X, terms = trials()
    fit = fit_ml(1e3 * y, X, terms)
    density = stats.multivariate_normal(X @ fit.coefficients, row_covariance(fit, terms))
    assert fit.log_likelihood == pytest.approx(density.logpdf(1e3 * y), abs=1e-6)


def test_random_effects_are_conditional_means_in_given_units():
    y, X, terms = trials()
    fit = fit_reml(1e3 * y, X, terms)
    whitened = np.linalg.solve(row_covariance(fit, terms), 1e3 * y - X @ fit.coefficients)
    for term, covariance, effects in zip(terms, fit.random_covariances, fit.random_effects, strict=True):
        expected = (term.design().T @ whitened).reshape(term.n_levels, -1) @ covariance
        np.testing.assert_allclose(effects, expected, rtol=1e-6, atol=1e-6)


def test_intercepts_of_a_balanced_design_shrink_as_the_formula_says():
    rng = np.random.default_rng(0)
    group, ones = np.repeat(np.arange(12), 6), np.ones((72, 1))
    y = rng.standard_normal(12)[group] + rng.standard_normal(72)
    fit = fit_reml(y, ones, [RandomTerm(group, ones)])
    variance = fit.random_covariances[0][0, 0]
    means = y.reshape(12, 6).mean(axis=1) - y.mean()
    shrunk = means * variance / (variance + fit.residual_sd**2 / 6)
    np.testing.assert_allclose(fit.random_effects[0][:, 0], shrunk, rtol=1e-6)


def test_ml_variances_of_a_balanced_design_are_smaller_than_those_of_reml_by_known_factors():
    rng = np.random.default_rng(0)
    group, ones = np.repeat(np.arange(12), 6), np.ones((72, 1))
    y = rng.standard_normal(12)[group] + rng.standard_normal(72)
    ml, reml = fit_ml(y, ones, [RandomTerm(group, ones)]), fit_reml(y, ones, [RandomTerm(group, ones)])
    between = [fit.random_covariances[0][0, 0] + fit.residual_sd**2 / 6 for fit in (ml, reml)]
    assert between[0] / between[1] == pytest.approx(11 / 12, rel=1e-6)


def test_predictions_of_the_fitted_rows_leave_the_residual():
    y, X, terms = trials()
    fit = fit_reml(y, X, terms)
    left = y - fit.predict(X, terms)
    whitened = np.linalg.solve(row_covariance(fit, terms), y - X @ fit.coefficients)
    np.testing.assert_allclose(left, fit.residual_sd**2 * whitened, atol=1e-6)


def test_levels_that_the_model_has_not_seen_are_predicted_by_the_fixed_effects():
    y, X, terms = trials()
    fit = fit_reml(y, X, terms)
    unseen = [replace(term, group=np.full(5, -1), columns=term.columns[:5]) for term in terms]
    np.testing.assert_allclose(fit.predict(X[:5], unseen), X[:5] @ fit.coefficients, rtol=1e-13)
    np.testing.assert_allclose(fit.predict(X[:5]), X[:5] @ fit.coefficients, rtol=1e-13)


def test_a_seen_participant_and_an_unseen_item_count_the_participant_alone():
    y, X, terms = trials()
    fit = fit_reml(y, X, terms)
    rows = [
        RandomTerm(np.array([3, -1]), X[:2], correlated=True),
        RandomTerm(np.array([-1, 4]), X[:2, :1]),
    ]
    own = X[0] @ fit.random_effects[0][3], fit.random_effects[1][4, 0]
    np.testing.assert_allclose(fit.predict(X[:2], rows) - X[:2] @ fit.coefficients, own, rtol=1e-10)


def test_no_rows_give_no_predictions():
    y, X, terms = trials()
    none = [replace(term, group=term.group[:0], columns=term.columns[:0]) for term in terms]
    assert fit_reml(y, X, terms).predict(X[:0], none).shape == (0,)


def test_information_criteria_count_coefficients_covariances_and_the_residual():
    y, X, terms = trials()
    fit = fit_ml(y, X, terms)
    assert fit.n_parameters == 2 + 3 + 1 + 1
    assert fit.aic == pytest.approx(-2 * fit.log_likelihood + 14)
    assert fit.bic == pytest.approx(-2 * fit.log_likelihood + 7 * np.log(120))


@pytest.mark.slow
def test_likelihood_ratios_of_a_null_effect_have_uniform_p():
    rng = np.random.default_rng(1)
    person, item = np.divmod(np.arange(80), 8)
    ones, p = np.ones((80, 1)), []
    for _ in range(100):
        X = np.column_stack([ones, rng.standard_normal(80)])
        y = rng.standard_normal(10)[person] + rng.standard_normal(8)[item] + rng.standard_normal(80)
        terms = [RandomTerm(person, ones), RandomTerm(item, ones)]
        p.append(likelihood_ratio(fit_ml(y, ones, terms), fit_ml(y, X, terms)).p)
    assert stats.kstest(p, "uniform").pvalue > 0.01


BAD_ROWS = {
    "a column too few": (lambda X, terms: (X[:, :1], terms), "X: got shape"),
    "a term too few": (lambda X, terms: (X, terms[:1]), "terms: got 1; expected 2"),
    "an unknown level": (
        lambda X, terms: (X, [replace(terms[0], group=terms[0].group + 1), terms[1]]),
        r"terms\[0\]: levels from 1 to 12; expected 0 to 11",
    ),
    "a slope too few": (
        lambda X, terms: (X, [replace(terms[0], columns=X[:, :1]), terms[1]]),
        r"terms\[0\]: group .*columns",
    ),
    "rows that disagree": (lambda X, terms: (X[1:], terms), r"terms\[0\]: group \(120,\)"),
}


@pytest.mark.parametrize("case", BAD_ROWS, ids=lambda name: name.replace(" ", "_"))
def test_rows_that_do_not_fit_the_model_are_answered_by_a_sentence(case):
    arguments, message = BAD_ROWS[case]
    y, X, terms = trials()
    with pytest.raises(ValueError, match=message):
        fit_reml(y, X, terms).predict(*arguments(X, terms))


def test_models_that_cannot_be_compared_are_refused():
    y, X, terms = trials()
    small, large = (fit_ml(y, design, terms[1:]) for design in (X[:, :1], X))
    with pytest.raises(ValueError, match="one was fitted by REML"):
        likelihood_ratio(small, fit_reml(y, X, terms[1:]))
    with pytest.raises(ValueError, match="1 and 2 fixed effects, fitted by REML"):
        likelihood_ratio(fit_reml(y, X[:, :1], terms[1:]), fit_reml(y, X, terms[1:]))
    with pytest.raises(ValueError, match="expected more in the larger"):
        likelihood_ratio(large, small)
    with pytest.raises(ValueError, match="120 and 110 rows"):
        likelihood_ratio(small, replace(large, n_rows=110))
    with pytest.raises(ValueError, match="special case of the larger"):
        likelihood_ratio(small, replace(large, criterion=small.criterion + 1))
