"""Draws from moments equal draws from operators, for any splits, penalties and ranks, or are not offered."""

from __future__ import annotations

import numpy as np
import pytest

from neuroling.numerics.moments import (
    MomentSplit,
    operations_of_moments,
    orthonormal_design,
    pearson_of_moments,
    weights_on_moments,
)
from neuroling.numerics.relabel import pearson_of_operators
from neuroling.numerics.ridge import prediction_operators

N, TARGETS = 48, 7
PENALTIES = np.array([1e-6, 1.0, 100.0])


def folds(*tests):
    return [(np.setdiff1d(np.arange(N), test), np.asarray(test)) for test in tests]


SPLITS = {
    "contiguous": folds(range(16), range(16, 32), range(32, 48)),
    "interleaved": folds(range(0, 48, 2), range(1, 48, 2)),
    "with gaps": [(np.arange(18, 48), np.arange(16)), (np.arange(30), np.arange(32, 48))],
    "overlapping, unsorted": [(np.arange(30), np.array([40, 35, 47, 33])), (np.arange(20, 48), np.arange(12))],
    "one small training set": [(np.arange(12), np.arange(20, 48))],
}
FEATURES = {
    "few": lambda rng: rng.standard_normal((N, 4)),
    "of rank two": lambda rng: rng.standard_normal((N, 2)) @ rng.standard_normal((2, 5)),
    "far from zero, one constant": lambda rng: rng.standard_normal((N, 3)) * [1e-4, 1e4, 0] + 50,
}


def both_ways(x, y, splits, orders, seed=0):
    """Correlate by operators, and by moments: means over splits."""
    which = np.random.default_rng(seed).integers(0, len(PENALTIES), (len(splits), y.shape[1]))
    design, slow, fast = orthonormal_design(x), [], []
    for (train, test), chosen in zip(splits, which, strict=True):
        operators = prediction_operators(x[train], x[test], PENALTIES)
        parts = [(np.flatnonzero(chosen == number), one) for number, one in enumerate(operators)]
        slow.append(pearson_of_operators(parts, y, (train, test), orders))
        weights = weights_on_moments(operators, design[train])
        assert weights is not None
        fast.append(MomentSplit(train, test, weights, chosen))
    return np.mean(slow, axis=0), pearson_of_moments(fast, design, y, orders)


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("splits", SPLITS)
def test_draws_are_those_of_operators(splits, features):
    rng = np.random.default_rng(1)
    x, y = FEATURES[features](rng), rng.standard_normal((N, TARGETS)) + 3
    orders = np.stack([rng.permutation(N) for _ in range(9)])
    slow, fast = both_ways(x, y, SPLITS[splits], orders)
    np.testing.assert_allclose(fast, slow, atol=1e-9)


def test_float32_costs_rounding_only():
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((N, 6)), rng.standard_normal((N, TARGETS))
    orders = np.stack([rng.permutation(N) for _ in range(5)])
    wide = both_ways(x, y, SPLITS["contiguous"], orders)[0]
    narrow = both_ways(x, y.astype(np.float32), SPLITS["contiguous"], orders)[1]
    np.testing.assert_allclose(narrow, wide, atol=2e-6)


def test_many_targets_and_draws_are_taken_in_pieces(monkeypatch):
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((N, 3)), rng.standard_normal((N, TARGETS))
    orders = np.stack([rng.permutation(N) for _ in range(11)])
    whole = both_ways(x, y, SPLITS["contiguous"], orders)[1]
    monkeypatch.setattr("neuroling.numerics.moments.TARGETS_AT_ONCE", 3)
    monkeypatch.setattr("neuroling.numerics.moments.VALUES_AT_ONCE", 4 * N)
    np.testing.assert_allclose(both_ways(x, y, SPLITS["contiguous"], orders)[1], whole, atol=1e-14)


def test_a_constant_target_has_no_correlation():
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((N, 3)), rng.standard_normal((N, 2))
    y[:, 1] = 5.0
    found = both_ways(x, y, SPLITS["contiguous"], np.arange(N)[None])[1]
    assert np.isnan(found[0]).tolist() == [False, True]


def test_an_operator_that_sees_more_is_not_moments():
    rng = np.random.default_rng(5)
    x, more = rng.standard_normal((N, 3)), rng.standard_normal((N, 4))
    (train, test), *_ = SPLITS["contiguous"]
    operators = prediction_operators(more[train], more[test], PENALTIES)
    assert weights_on_moments(operators, orthonormal_design(x)[train]) is None


def test_weights_that_magnify_rounding_are_refused():
    """A feature that varies a thousand times more in the test rows than in those it is learnt from."""
    rng = np.random.default_rng(6)
    x = rng.standard_normal((N, 1))
    (train, test), *_ = SPLITS["contiguous"]
    x[test] *= 1e3
    operators = prediction_operators(x[train], x[test], np.array([0.0]))
    assert weights_on_moments(operators, orthonormal_design(x)[train]) is None


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
