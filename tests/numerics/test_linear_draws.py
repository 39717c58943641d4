"""The route that is taken fits the features, and every route gives the same draws."""

from __future__ import annotations

from unittest.mock import Mock

import numpy as np
import pytest

from neuroling.numerics import linear_draws as routes
from neuroling.numerics.linear_draws import LinearSplit, linear_draws
from neuroling.numerics.ridge import prediction_operators

N, DRAWS = 400, 300
ROUTES = ("pearson_of_directions", "pearson_of_moments", "pearson_of_operators")


def splits_of(x, tests, n_targets, penalties=(1.0, 50.0), rng=None):
    made, rng = [], rng or np.random.default_rng(0)
    for test in tests:
        train = np.setdiff1d(np.arange(len(x)), test)
        operators = prediction_operators(x[train], x[test], np.array(penalties))
        made.append(LinearSplit(train, test, operators, rng.integers(0, len(penalties), n_targets)))
    return made


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
    splits = splits_of(seen, np.arange(N).reshape(5, 80), 3)
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
