"""Weights on moments are found in operators, or not offered; their draws are tested in test_linear_draws."""

from __future__ import annotations

import numpy as np
import pytest

from neuroling.numerics.permutation.from_moments import operations_of_moments, orthonormal_design, weights_on_moments
from neuroling.numerics.ridge.decomposition import prediction_operators

pytestmark = pytest.mark.usefixtures("product_library")

N = 48
PENALTIES = np.array([1e-6, 1.0, 100.0])
TRAIN, TEST = np.arange(16, N), np.arange(16)


def test_an_operator_that_sees_more_is_not_moments():
    rng = np.random.default_rng(5)
    x, more = rng.standard_normal((N, 3)), rng.standard_normal((N, 4))
    operators = prediction_operators(more[TRAIN], more[TEST], PENALTIES)
    assert weights_on_moments(operators, orthonormal_design(x)[TRAIN]) is None


def test_weights_that_magnify_rounding_are_refused():
    """A feature that varies a thousand times more in the test rows than in those it is learnt from."""
    rng = np.random.default_rng(6)
    x = rng.standard_normal((N, 1))
    x[TEST] *= 1e3
    operators = prediction_operators(x[TRAIN], x[TEST], np.array([0.0]))
    assert weights_on_moments(operators, orthonormal_design(x)[TRAIN]) is None


def test_a_design_is_orthonormal_and_spans_the_features():
    x = np.random.default_rng(7).standard_normal((N, 4)) * [1, 10, 100, 1000] + 7
    design = orthonormal_design(x)
    np.testing.assert_allclose(design.T @ design, np.eye(5), atol=1e-9)
    np.testing.assert_allclose(design @ (design.T @ x), x, atol=1e-9)


@pytest.mark.parametrize(("moments", "n_draws", "pays"), [(40, 1000, True), (400, 1000, False), (40, 20, False)])
def test_moments_are_for_few_features_and_many_draws(moments, n_draws, pays):
    splits = [(np.setdiff1d(np.arange(400), test), test) for test in np.arange(400).reshape(5, 80)]
    assert (operations_of_moments(moments, splits, n_draws) < 5 * 2 * 320 * 80) is pays


def test_a_thousand_pairs_are_not_worth_the_calls():
    pairs = [(np.arange(2, 60), np.arange(2))] * 1000
    assert operations_of_moments(5, pairs, 1000) > 1000 * 2 * 58 * 2
