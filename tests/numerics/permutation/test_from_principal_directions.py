"""Directions are found in operators of ridge, or not offered; their draws are tested in test_linear_draws."""

from __future__ import annotations

import numpy as np
import pytest

from neuroling.numerics.permutation.from_moments import orthonormal_design
from neuroling.numerics.permutation.from_principal_directions import (
    kept_of_operators,
    loadings_on_moments,
    operations_of_directions,
    principal_directions,
)
from neuroling.numerics.ridge.decomposition import prediction_operators

pytestmark = pytest.mark.usefixtures("product_library")

N = 48
PENALTIES = np.array([1e-6, 1.0, 100.0, 1e5])
TRAIN, TEST = np.arange(16, N), np.arange(16)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda x, rng: x / x.std(axis=0), id="features scaled one by one"),
        pytest.param(lambda x, rng: rng.standard_normal((N, 4)), id="other features"),
        pytest.param(lambda x, rng: np.column_stack([x, rng.standard_normal(N)]), id="one more feature"),
    ],
)
def test_operators_that_mix_directions_are_not_taken(make):
    rng = np.random.default_rng(6)
    x = rng.standard_normal((N, 3)) * [1, 10, 100]
    seen = make(x, rng)
    operators = prediction_operators(seen[TRAIN], seen[TEST], PENALTIES)
    assert kept_of_operators(operators, principal_directions(x, TRAIN), (TRAIN, TEST)) is None


def test_predictions_that_are_shrunk_to_rounding_errors_are_not_taken():
    x = np.random.default_rng(9).standard_normal((N, 3))
    operators = prediction_operators(x[TRAIN], x[TEST], np.array([1e14]))
    assert kept_of_operators(operators, principal_directions(x, TRAIN), (TRAIN, TEST)) is None


def test_what_is_kept_is_the_shrinkage_of_ridge():
    rng = np.random.default_rng(7)
    x = rng.standard_normal((N, 4))
    operators = prediction_operators(x[TRAIN], x[TEST], PENALTIES)
    kept = kept_of_operators(operators, principal_directions(x, TRAIN), (TRAIN, TEST))
    spectrum = np.linalg.svd(x[TRAIN] - x[TRAIN].mean(axis=0), compute_uv=False)
    expected = spectrum[:, None] ** 2 / (spectrum[:, None] ** 2 + PENALTIES)
    np.testing.assert_allclose(kept, expected, rtol=1e-9, atol=1e-14)


def test_directions_that_magnify_rounding_are_refused():
    """A feature that varies a thousand times more in the test rows than in those it is learnt from."""
    x = np.random.default_rng(8).standard_normal((N, 1))
    x[TEST] *= 1e3
    assert loadings_on_moments(principal_directions(x, TRAIN), orthonormal_design(x)) is None


def test_directions_are_for_few_features():
    splits = [(np.setdiff1d(np.arange(400), test), test) for test in np.arange(400).reshape(5, 80)]
    by_operators = 5 * 2 * 320 * 80
    assert operations_of_directions(40, splits, 400) < by_operators < operations_of_directions(150, splits, 400)
