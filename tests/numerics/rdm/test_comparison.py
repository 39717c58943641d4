"""Comparators against scipy and definitions spelt out over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neuroling.numerics.rdm import comparison as compare
from neuroling.numerics.rdm.distances import pairs_of
from neuroling.numerics.rdm.ranks import Sorter, centred_ranks, share_tied, weighted_ranks

N_ITEMS, N_PAIRS = 12, 66


@pytest.fixture
def sides():
    rng = np.random.default_rng(0)
    models = [rng.standard_normal(N_PAIRS), (rng.random(N_PAIRS) > 0.5) * 1.0, np.round(rng.random(N_PAIRS) * 3)]
    return rng.standard_normal((5, N_PAIRS)), np.stack(models)


def table(function, rdms, models):
    return np.array([[function(rdm, model) for model in models] for rdm in rdms])


def slow_tau_a(a, b):
    return (np.sign(a[:, None] - a) * np.sign(b[:, None] - b)).sum() / (len(a) * (len(a) - 1))


def test_spearman_and_pearson_equal_scipy(sides):
    np.testing.assert_allclose(compare.spearman(*sides), table(lambda a, b: stats.spearmanr(a, b)[0], *sides))
    np.testing.assert_allclose(compare.pearson(*sides), table(lambda a, b: stats.pearsonr(a, b)[0], *sides))


def test_tau_a_equals_counting_all_pairs(sides):
    np.testing.assert_allclose(compare.tau_a(*sides), table(slow_tau_a, *sides))


def test_tau_a_with_ties_on_both_sides(sides):
    tied = np.round(sides[0] * 2)
    np.testing.assert_allclose(compare.tau_a(tied, sides[1]), table(slow_tau_a, tied, sides[1]))


def test_rho_a_is_the_mean_over_random_orders_of_ties():
    rng = np.random.default_rng(1)
    rdm, model = rng.standard_normal((1, 15)), (rng.random((1, 15)) > 0.5) * 1.0
    broken = [stats.spearmanr(rdm[0], model[0] + 1e-6 * rng.random(15))[0] for _ in range(4000)]
    assert abs(compare.rho_a(rdm, model)[0, 0] - np.mean(broken)) < 4 * np.std(broken) / np.sqrt(4000)


def test_rho_a_equals_spearman_without_ties(sides):
    np.testing.assert_allclose(compare.rho_a(sides[0], sides[1][:1]), compare.spearman(sides[0], sides[1][:1]))


def test_whitened_cosine_equals_the_inverse_covariance_of_pairs(sides):
    first, second = pairs_of(N_ITEMS)
    contrasts = np.zeros((N_PAIRS, N_ITEMS))
    contrasts[np.arange(N_PAIRS), first], contrasts[np.arange(N_PAIRS), second] = 1, -1
    inverse = np.linalg.inv((contrasts @ contrasts.T) ** 2)

    def explicit(a, b):
        return a @ inverse @ b / np.sqrt((a @ inverse @ a) * (b @ inverse @ b))

    np.testing.assert_allclose(compare.whitened_cosine(*sides), table(explicit, *sides))
    expected = table(lambda a, b: explicit(a - a.mean(), b - b.mean()), *sides)
    np.testing.assert_allclose(compare.whitened_correlation(*sides), expected)


@pytest.mark.parametrize("n_controls", [1, 2, 4])
def test_partial_correlations_equal_regression_residuals(sides, n_controls):
    controls = np.random.default_rng(2).standard_normal((n_controls, N_PAIRS))

    def residual(values, among):
        design = np.column_stack([np.ones(N_PAIRS), among.T])
        return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]

    plain = table(lambda a, b: np.corrcoef(residual(a, controls), residual(b, controls))[0, 1], *sides)
    np.testing.assert_allclose(compare.partial_pearson(*sides, controls), plain)
    ranked = [stats.rankdata(values, axis=1) for values in (*sides, controls)]
    of_ranks = table(lambda a, b: np.corrcoef(residual(a, ranked[2]), residual(b, ranked[2]))[0, 1], *ranked[:2])
    np.testing.assert_allclose(compare.partial_spearman(*sides, controls), of_ranks)


def test_a_model_among_its_own_controls_is_undefined(sides):
    rdms, models = sides
    assert np.isnan(compare.partial_pearson(rdms, models[:1], models)).all()


def test_a_constant_row_is_undefined_and_others_are_not(sides):
    rdms, models = sides
    rdms = np.concatenate([rdms, np.ones((1, N_PAIRS))])
    for function in (compare.spearman, compare.pearson, compare.rho_a, compare.tau_a):
        scores = function(rdms, models)
        assert np.isnan(scores[-1]).all(), function.__name__
        assert np.isfinite(scores[:-1]).all(), function.__name__


def test_a_missing_pair_in_one_row_leaves_the_others_alone(sides):
    rdms, models = sides
    broken = rdms.copy()
    broken[2, 7] = np.nan
    got = compare.with_gaps(compare.spearman)(broken, models)
    kept = np.arange(N_PAIRS) != 7
    np.testing.assert_allclose(got[[0, 1, 3, 4]], compare.spearman(rdms, models)[[0, 1, 3, 4]])
    np.testing.assert_allclose(got[2:3], compare.spearman(rdms[2:3, kept], models[:, kept]))


def test_float32_agrees_with_float64(sides):
    single = sides[0].astype(np.float32)
    np.testing.assert_allclose(compare.spearman(single, sides[1]), compare.spearman(*sides), atol=1e-6)
    np.testing.assert_allclose(compare.pearson(single, sides[1]), compare.pearson(*sides), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ranks_equal_scipy_with_ties_zeros_and_negative_values(dtype):
    rng = np.random.default_rng(3)
    values = np.stack([rng.standard_normal(500), np.round(rng.standard_normal(500)), np.zeros(500)]).astype(dtype)
    values[1, :2] = -0.0, 0.0
    ranks, lengths = centred_ranks(values)
    expected = stats.rankdata(values, axis=1) - 250.5
    np.testing.assert_allclose(ranks, expected)
    np.testing.assert_allclose(lengths, np.linalg.norm(expected, axis=1), atol=1e-6)


def test_weighted_ranks_equal_ranks_of_repeated_values():
    rng = np.random.default_rng(4)
    values = np.round(rng.standard_normal(40), 1)
    weights = rng.integers(0, 4, (6, 40)).astype(float)
    order, rises = Sorter(40).order(values)
    ranks = weighted_ranks(order, weights, rises)
    for draw in range(6):
        times = weights[draw].astype(int)
        copies = stats.rankdata(np.repeat(values, times))
        copies = (copies - copies.mean()) / np.linalg.norm(copies - copies.mean())
        first = np.cumsum(times) - times
        np.testing.assert_allclose(ranks[draw][times > 0], copies[first[times > 0]])


def test_share_tied_counts_values_that_are_not_alone():
    assert share_tied(np.array([1.0, 1.0, 2.0, 3.0])) == 0.5
