"""The route that is taken fits the features, and every route gives the draws of operators."""

from __future__ import annotations

from unittest.mock import Mock

import numpy as np
import pytest

from neuroling.numerics.permutation import linear_models as routes
from neuroling.numerics.permutation.linear_models import LinearSplit, linear_draws
from neuroling.numerics.ridge.decomposition import prediction_operators

SHORT, TARGETS = 48, 7
PENALTIES = np.array([1e-6, 1.0, 100.0, 1e5])
BOTH = pytest.mark.parametrize("route", [routes._by_moments, routes._by_directions], ids=["moments", "directions"])


def folds(*tests):
    return [(np.setdiff1d(np.arange(SHORT), test), np.asarray(test)) for test in tests]


SPLITS = {
    "contiguous": folds(range(16), range(16, 32), range(32, 48)),
    "interleaved": folds(range(0, 48, 2), range(1, 48, 2)),
    "with gaps": [(np.arange(18, 48), np.arange(16)), (np.arange(30), np.arange(32, 48))],
    "overlapping, unsorted": [(np.arange(30), np.array([40, 35, 47, 33])), (np.arange(20, 48), np.arange(12))],
    "repeated": folds(range(24), range(24, 48), range(0, 48, 2), range(1, 48, 2)),
    "fewer tested than features": folds(*np.arange(SHORT).reshape(16, 3)),
    "one small training set": [(np.arange(12), np.arange(20, 48))],
}
FEATURES = {
    "few": lambda rng: rng.standard_normal((SHORT, 4)),
    "of rank two": lambda rng: rng.standard_normal((SHORT, 2)) @ rng.standard_normal((2, 5)),
    "far from zero, one constant": lambda rng: rng.standard_normal((SHORT, 3)) * [0.1, 100, 0] + 50,
}


def splits_of(x, sets, n_targets, penalties=PENALTIES):
    """Operators of ridge, each target with a penalty of its own in each split."""
    rng = np.random.default_rng(0)
    return [
        LinearSplit(
            train,
            test,
            prediction_operators(x[train], x[test], penalties),
            rng.integers(0, len(penalties), n_targets),
        )
        for train, test in sets
    ]


def both_ways(route, x, y, sets, orders):
    """Correlate by operators, and by a route: means over splits."""
    splits = splits_of(x, sets, y.shape[1])
    draws = route(splits, x, y)
    assert draws is not None
    return routes._by_operators(splits, y)(orders), draws(orders)


@BOTH
@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("sets", SPLITS)
def test_draws_are_those_of_operators(route, sets, features):
    rng = np.random.default_rng(1)
    x, y = FEATURES[features](rng), rng.standard_normal((SHORT, TARGETS)) + 3
    orders = np.stack([rng.permutation(SHORT) for _ in range(9)])
    slow, fast = both_ways(route, x, y, SPLITS[sets], orders)
    np.testing.assert_allclose(fast, slow, atol=1e-8)


def test_splits_may_see_unequal_numbers_of_directions():
    """Seven training rows have six directions, thirty have all eight."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((SHORT, 8)), rng.standard_normal((SHORT, TARGETS))
    sets = [(np.arange(7), np.arange(20, 48)), (np.arange(10, 40), np.arange(10))]
    orders = np.stack([rng.permutation(SHORT) for _ in range(9)])
    np.testing.assert_allclose(*both_ways(routes._by_directions, x, y, sets, orders), atol=1e-8)


@BOTH
def test_float32_costs_rounding_only(route):
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((SHORT, 6)), rng.standard_normal((SHORT, TARGETS))
    orders = np.stack([rng.permutation(SHORT) for _ in range(5)])
    wide, _ = both_ways(route, x, y, SPLITS["contiguous"], orders)
    _, narrow = both_ways(route, x, y.astype(np.float32), SPLITS["contiguous"], orders)
    np.testing.assert_allclose(narrow, wide, atol=2e-6)


@BOTH
def test_where_predictions_hardly_vary_float32_loses_what_operators_lose(route):
    """The direction that is seen best is all but constant in the test rows, and targets follow it."""
    rng = np.random.default_rng(10)
    x, y = rng.standard_normal((SHORT, 3)), rng.standard_normal((SHORT, TARGETS))
    x[:, 0] *= 30
    x[30:, 0] = x[30:, 0].mean() + 1e-3 * rng.standard_normal(SHORT - 30)
    y[:, 3:] = 0.1 * y[:, 3:] + x[:, :1]
    sets, orders = [(np.arange(30), np.arange(30, SHORT))], np.arange(SHORT)[None]
    exact, _ = both_ways(route, x, y, sets, orders)
    slow, fast = (np.abs(one - exact).max() for one in both_ways(route, x, y.astype(np.float32), sets, orders))
    assert slow > 1e-5
    assert fast < 10 * slow


@BOTH
def test_many_targets_and_draws_are_taken_in_pieces(route, monkeypatch):
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((SHORT, 3)), rng.standard_normal((SHORT, TARGETS))
    orders = np.stack([rng.permutation(SHORT) for _ in range(11)])
    _, whole = both_ways(route, x, y, SPLITS["contiguous"], orders)
    monkeypatch.setattr("neuroling.numerics.permutation.from_moments.VALUES_AT_ONCE", 4 * SHORT)
    monkeypatch.setattr("neuroling.numerics.permutation.from_principal_directions.VALUES_AT_ONCE", 4 * 4 * 8)
    monkeypatch.setattr("neuroling.numerics.permutation.from_principal_directions.TILE", 2)
    for module in ("from_moments", "from_principal_directions"):
        monkeypatch.setattr(f"neuroling.numerics.permutation.{module}.TARGETS_AT_ONCE", 3)
    _, pieces = both_ways(route, x, y, SPLITS["contiguous"], orders)
    np.testing.assert_allclose(pieces, whole, atol=1e-14)


@BOTH
def test_a_constant_target_has_no_correlation_and_nothing_is_changed(route):
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((SHORT, 3)), rng.standard_normal((SHORT, 2))
    y[:, 1] = 5.0
    before = y.copy()
    _, found = both_ways(route, x, y, SPLITS["contiguous"], np.arange(SHORT)[None])
    assert np.isnan(found[0]).tolist() == [False, True]
    np.testing.assert_array_equal(y, before)


# --- which route ------------------------------------------------------------------------------------------------------

N, DRAWS = 400, 300
ROUTES = ("pearson_of_directions", "pearson_of_moments", "pearson_of_operators")


@pytest.fixture
def calls(monkeypatch):
    spies = {name: Mock(side_effect=getattr(routes, name)) for name in ROUTES}
    for name, spy in spies.items():
        monkeypatch.setattr(routes, name, spy)
    return lambda: [name for name, spy in spies.items() if spy.call_count]


@pytest.mark.parametrize(
    ("n_features", "scale", "route"),
    [
        (10, False, "pearson_of_directions"),
        (110, False, "pearson_of_moments"),
        (10, True, "pearson_of_moments"),
        (300, False, "pearson_of_operators"),
    ],
)
def test_the_cheapest_route_that_holds_is_taken(calls, n_features, scale, route):
    """Features that the model scales one by one no longer have the principal directions of those given."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((N, n_features)) * np.geomspace(1, 9, n_features), rng.standard_normal((N, 3))
    seen = x / x.std(axis=0) if scale else x
    sets = [(np.setdiff1d(np.arange(N), test), test) for test in np.arange(N).reshape(5, 80)]
    splits = splits_of(seen, sets, 3, np.array([1.0, 50.0]))
    orders = np.stack([rng.permutation(N) for _ in range(4)])
    found = linear_draws(splits, x, y, DRAWS)(orders)
    assert calls() == [route]
    np.testing.assert_allclose(found, linear_draws(splits, x[:, None], y, DRAWS)(orders), atol=1e-9)


def test_rows_that_stand_twice_in_a_set_are_counted_twice():
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((N, 3)), rng.standard_normal((N, 2))
    train, test = rng.integers(0, 300, 300), rng.integers(300, N, 100)
    (operator,) = prediction_operators(x[train], x[test], np.array([1.0]))
    order = rng.permutation(N)
    found = linear_draws([LinearSplit(train, test, [operator], np.zeros(2, int))], x, y, DRAWS)(order[None])
    predicted, truth = operator @ y[order][train], y[order][test]
    expected = [np.corrcoef(predicted[:, target], truth[:, target])[0, 1] for target in range(2)]
    np.testing.assert_allclose(found[0], expected, atol=1e-9)
