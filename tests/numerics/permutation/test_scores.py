"""Relabelled scores equal scores from scratch."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from neuroling.evaluation.metrics import two_vs_two
from neuroling.numerics.permutation.scores import pearson_of_relabelings, two_vs_two_of_relabelings


@pytest.fixture
def rng():
    return np.random.default_rng(4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relabelled_correlations_equal_scipy(rng, dtype):
    truth, prediction = rng.standard_normal((2, 30, 4)).astype(dtype) + 1e3
    orders = np.stack([rng.permutation(30) for _ in range(5)])
    tolerance = 1e-10 if dtype == np.float64 else 1e-5
    for order, found in zip(orders, pearson_of_relabelings(truth, prediction, orders), strict=True):
        expected = [pearsonr(truth[order, v], prediction[:, v])[0] for v in range(4)]
        np.testing.assert_allclose(found, expected, atol=tolerance)


def test_a_constant_target_has_no_correlation(rng):
    truth = rng.standard_normal((10, 2))
    truth[:, 1] = 3.0
    (found,) = pearson_of_relabelings(truth, rng.standard_normal((10, 2)), rng.permutation(10)[None])
    assert np.isfinite(found[0])
    assert np.isnan(found[1])


def test_relabelled_matches_equal_the_metric(rng):
    truth, prediction = rng.standard_normal((2, 12, 6))
    truth[3] = truth[4]  # a tie
    unit = [a / np.linalg.norm(a, axis=1, keepdims=True) for a in (prediction, truth)]
    orders = np.stack([rng.permutation(12) for _ in range(6)])
    found = list(two_vs_two_of_relabelings(unit[0] @ unit[1].T, orders))
    expected = [float(two_vs_two.score(truth[order], prediction)) for order in orders]
    np.testing.assert_allclose(found, expected, atol=1e-12)
