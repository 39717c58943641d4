"""Draws in principal directions equal draws from operators, for any splits, penalties and ranks, or are not offered."""

from __future__ import annotations

import numpy as np
import pytest

from neuroling.numerics.directions import (
    DirectionSplit,
    kept_of_operators,
    loadings_on_moments,
    operations_of_directions,
    pearson_of_directions,
    principal_directions,
)
from neuroling.numerics.moments import orthonormal_design
from neuroling.numerics.relabel import pearson_of_operators
from neuroling.numerics.ridge import prediction_operators

N, TARGETS = 48, 7
PENALTIES = np.array([1e-6, 1.0, 100.0, 1e5])


def folds(*tests):
    return [(np.setdiff1d(np.arange(N), test), np.asarray(test)) for test in tests]


SPLITS = {
    "contiguous": folds(range(16), range(16, 32), range(32, 48)),
    "interleaved": folds(range(0, 48, 2), range(1, 48, 2)),
    "with gaps": [(np.arange(18, 48), np.arange(16)), (np.arange(30), np.arange(32, 48))],
    "overlapping, unsorted": [(np.arange(30), np.array([40, 35, 47, 33])), (np.arange(20, 48), np.arange(12))],
    "repeated": folds(range(24), range(24, 48), range(0, 48, 2), range(1, 48, 2)),
    "fewer tested than features": folds(*np.arange(N).reshape(16, 3)),
    "fewer trained than features": [(np.arange(7), np.arange(20, 48)), (np.arange(10, 40), np.arange(10))],
}
FEATURES = {
    "few": lambda rng: rng.standard_normal((N, 8)),
    "of rank two": lambda rng: rng.standard_normal((N, 2)) @ rng.standard_normal((2, 5)),
    "far from zero, one constant": lambda rng: rng.standard_normal((N, 3)) * [0.1, 100, 0] + 50,
}


def both_ways(x, y, splits, orders, seed=0):
    """Correlate by operators, and in directions: means over splits."""
    which = np.random.default_rng(seed).integers(0, len(PENALTIES), (len(splits), y.shape[1]))
    design, slow, fast = orthonormal_design(x), [], []
    for (train, test), chosen in zip(splits, which, strict=True):
        operators = prediction_operators(x[train], x[test], PENALTIES)
        parts = [(np.flatnonzero(chosen == number), one) for number, one in enumerate(operators)]
        slow.append(pearson_of_operators(parts, y, (train, test), orders))
        directions = principal_directions(x, train)
        kept = kept_of_operators(operators, directions, (train, test))
        loadings = loadings_on_moments(directions, design)
        assert kept is not None
        assert loadings is not None
        fast.append(DirectionSplit(train, test, loadings, kept[:, chosen]))
    return np.mean(slow, axis=0), pearson_of_directions(fast, design, y, orders)


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("splits", SPLITS)
def test_draws_are_those_of_operators(splits, features):
    rng = np.random.default_rng(1)
    x, y = FEATURES[features](rng), rng.standard_normal((N, TARGETS)) + 3
    orders = np.stack([rng.permutation(N) for _ in range(9)])
    slow, fast = both_ways(x, y, SPLITS[splits], orders)
    np.testing.assert_allclose(fast, slow, atol=1e-8)


def test_float32_costs_rounding_only():
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((N, 6)), rng.standard_normal((N, TARGETS))
    orders = np.stack([rng.permutation(N) for _ in range(5)])
    wide = both_ways(x, y, SPLITS["contiguous"], orders)[0]
    narrow = both_ways(x, y.astype(np.float32), SPLITS["contiguous"], orders)[1]
    np.testing.assert_allclose(narrow, wide, atol=2e-6)


def test_where_predictions_hardly_vary_float32_loses_what_operators_lose():
    """The direction that is seen best is all but constant in the test rows, and targets follow it."""
    rng = np.random.default_rng(10)
    x, y = rng.standard_normal((N, 3)), rng.standard_normal((N, TARGETS))
    x[:, 0] *= 30
    x[30:, 0] = x[30:, 0].mean() + 1e-3 * rng.standard_normal(N - 30)
    y[:, 3:] = 0.1 * y[:, 3:] + x[:, :1]
    splits, orders = [(np.arange(30), np.arange(30, N))], np.arange(N)[None]
    exact, _ = both_ways(x, y, splits, orders)
    slow, fast = (np.abs(one - exact).max() for one in both_ways(x, y.astype(np.float32), splits, orders))
    assert slow > 1e-5
    assert fast < 10 * slow


def test_many_targets_and_draws_are_taken_in_pieces(monkeypatch):
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((N, 3)), rng.standard_normal((N, TARGETS))
    orders = np.stack([rng.permutation(N) for _ in range(11)])
    whole = both_ways(x, y, SPLITS["contiguous"], orders)[1]
    for name, size in {"TARGETS_AT_ONCE": 5, "TILE": 2, "VALUES_AT_ONCE": 4 * 4 * 8}.items():
        monkeypatch.setattr(f"neuroling.numerics.directions.{name}", size)
    np.testing.assert_allclose(both_ways(x, y, SPLITS["contiguous"], orders)[1], whole, atol=1e-14)


def test_a_constant_target_has_no_correlation():
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((N, 3)), rng.standard_normal((N, 2))
    y[:, 1] = 5.0
    found = both_ways(x, y, SPLITS["contiguous"], np.arange(N)[None])[1]
    assert np.isnan(found[0]).tolist() == [False, True]


def test_the_recording_is_left_as_it_was():
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((N, 3)), rng.standard_normal((N, 2))
    before = y.copy()
    both_ways(x, y, SPLITS["contiguous"], np.arange(N)[None])
    np.testing.assert_array_equal(y, before)


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
    (train, test), *_ = SPLITS["contiguous"]
    seen = make(x, rng)
    operators = prediction_operators(seen[train], seen[test], PENALTIES)
    assert kept_of_operators(operators, principal_directions(x, train), (train, test)) is None


def test_predictions_that_are_shrunk_to_rounding_errors_are_not_taken():
    x = np.random.default_rng(9).standard_normal((N, 3))
    (train, test), *_ = SPLITS["contiguous"]
    operators = prediction_operators(x[train], x[test], np.array([1e14]))
    assert kept_of_operators(operators, principal_directions(x, train), (train, test)) is None


def test_what_is_kept_is_the_shrinkage_of_ridge():
    rng = np.random.default_rng(7)
    x = rng.standard_normal((N, 4))
    (train, test), *_ = SPLITS["contiguous"]
    operators = prediction_operators(x[train], x[test], PENALTIES)
    kept = kept_of_operators(operators, principal_directions(x, train), (train, test))
    spectrum = np.linalg.svd(x[train] - x[train].mean(axis=0), compute_uv=False)
    expected = spectrum[:, None] ** 2 / (spectrum[:, None] ** 2 + PENALTIES)
    np.testing.assert_allclose(kept, expected, rtol=1e-9, atol=1e-14)


def test_directions_that_magnify_rounding_are_refused():
    """A feature that varies a thousand times more in the test rows than in those it is learnt from."""
    x = np.random.default_rng(8).standard_normal((N, 1))
    (train, test), *_ = SPLITS["contiguous"]
    x[test] *= 1e3
    assert loadings_on_moments(principal_directions(x, train), orthonormal_design(x)) is None


def test_directions_are_for_few_features():
    splits = [(np.setdiff1d(np.arange(400), test), test) for test in np.arange(400).reshape(5, 80)]
    by_operators = 5 * 2 * 320 * 80
    assert operations_of_directions(40, splits, 400) < by_operators < operations_of_directions(150, splits, 400)
