"""Weighted correlations against items that were really drawn and compared again."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neuroling.numerics.rdm import bootstrap as resample
from neuroling.numerics.rdm.distances import pairs_of, to_square

N_ITEMS = 14


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    n_pairs = N_ITEMS * (N_ITEMS - 1) // 2
    rows, models = rng.standard_normal((3, n_pairs)), np.round(rng.standard_normal((2, n_pairs)), 1)
    return rows, models, rng.integers(0, N_ITEMS, (5, N_ITEMS))


def slow(rows, models, draw, measure):
    first, second = pairs_of(len(draw))
    real = draw[first] != draw[second]  # no pair of two copies

    def pairs(values):
        return to_square(values)[draw[first], draw[second]][real]

    return [[measure(pairs(row), pairs(model))[0] for model in models] for row in rows]


@pytest.mark.parametrize(
    ("weighted", "measure"),
    [(resample.weighted_pearson, stats.pearsonr), (resample.weighted_spearman, stats.spearmanr)],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 5e-6)])
def test_weights_equal_copies(drawn, weighted, measure, dtype, tolerance):
    rows, models, draws = drawn
    got = weighted(rows.astype(dtype), models.astype(dtype), resample.pair_weights(draws, dtype))
    expected = [slow(rows.astype(dtype), models.astype(dtype), draw, measure) for draw in draws]
    np.testing.assert_allclose(got, expected, atol=tolerance)


def test_a_constant_model_is_undefined(drawn):
    rows, _, draws = drawn
    weights = resample.pair_weights(draws)
    assert np.isnan(resample.weighted_pearson(rows, np.ones((1, rows.shape[1])), weights)).all()
