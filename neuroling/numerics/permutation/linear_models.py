"""Draws of a null for predictions that are linear in the recording, by the route that needs the fewest operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from neuroling.numerics.permutation.from_moments import (
    MomentSplit,
    operations_of_moments,
    orthonormal_design,
    pearson_of_moments,
    weights_on_moments,
)
from neuroling.numerics.permutation.from_principal_directions import (
    DirectionSplit,
    kept_of_operators,
    loadings_on_moments,
    operations_of_directions,
    pearson_of_directions,
    principal_directions,
)
from neuroling.numerics.permutation.scores import pearson_of_operators
from neuroling.numerics.permutation.segments import Rows

Draws = Callable[[Int[NDArray[np.integer], "draw sample"]], Float[NDArray[np.floating], "draw target"]]
"""Orders of a recording to correlations, means over splits."""


class LinearSplit(NamedTuple):
    """One split of a model: which operator predicts the test rows of which target."""

    train: Rows
    test: Rows
    operators: Sequence[Float[NDArray[np.floating], "test train"]]
    which: Int[NDArray[np.integer], " target"]


def linear_draws(
    splits: Sequence[LinearSplit],
    X: NDArray[np.floating],
    Y: Float[NDArray[np.floating], "sample target"],
    n_draws: int,
    fixed: Float[NDArray[np.floating], "sample target"] | None = None,
) -> Draws:
    """Prepare the correlations of a recording in many orders with its predictions, nothing fitted again.

    Operators of (test, train) samples always do. Where they look at the recording through few features alone, weights
    on moments of these features take fewer operations; and where they also treat its principal directions one by one,
    as ridge regression does, all targets share their products. Both are found in the operators, not promised.

    Parameters
    ----------
    splits : sequence of LinearSplit
        Operators of every split.
    X : ndarray, shape (sample, feature)
        What the operators may have been made from; with any other number of axes only they are used.
    Y : ndarray, shape (sample, target)
        Recording; its dtype is that of the products.
    n_draws : int
        How many draws there will be.
    fixed : ndarray, optional, shape (sample, target)
        Added to the reordered recording: what stays in place, such as trends.

    Returns
    -------
    callable
        Takes orders, shape (draw, sample), and gives correlations (draw, target), means over splits; NaN where either
        side is constant in one of them.

    Examples
    --------
    >>> half = LinearSplit(np.arange(2), np.arange(2, 4), [np.eye(2)], np.array([0]))
    >>> X, Y = np.zeros((4, 2, 2)), np.array([[0.0], [1.0], [2.0], [4.0]])
    >>> linear_draws([half], X, Y, 2)(np.array([[0, 1, 2, 3], [1, 0, 2, 3]])).round(9).tolist()
    [[1.0], [-1.0]]
    """
    sets = [(split.train, split.test) for split in splits]
    if X.ndim == 2 and not any(len(np.unique(rows)) < len(rows) for both in sets for rows in both):
        n_moments, by_operators = 1 + X.shape[1], sum(2.0 * len(train) * len(test) for train, test in sets)
        costs = {
            _by_directions: operations_of_directions(n_moments, sets, len(X)),
            _by_moments: operations_of_moments(n_moments, sets, n_draws),
        }
        for route in sorted(costs, key=lambda one: costs[one]):
            found = route(splits, X, Y, fixed) if costs[route] < by_operators else None
            if found is not None:
                return found
    return _by_operators(splits, Y, fixed)


def _by_operators(
    splits: Sequence[LinearSplit], Y: NDArray[np.floating], fixed: NDArray[np.floating] | None = None
) -> Draws:
    operators_of_splits = [
        [(np.flatnonzero(s.which == number), one) for number, one in enumerate(s.operators)] for s in splits
    ]

    def draws(orders: NDArray[np.integer]) -> NDArray[np.floating]:
        scores = [
            pearson_of_operators(some, Y, (s.train, s.test), orders, fixed)
            for some, s in zip(operators_of_splits, splits, strict=True)
        ]
        mean: NDArray[np.floating] = np.mean(scores, axis=0)
        return mean

    return draws


def _by_moments(
    splits: Sequence[LinearSplit],
    X: NDArray[np.floating],
    Y: NDArray[np.floating],
    fixed: NDArray[np.floating] | None = None,
) -> Draws | None:
    design, moment_splits = orthonormal_design(X), []
    for split in splits:
        weights = weights_on_moments(split.operators, design[split.train])
        if weights is None:
            return None
        moment_splits.append(MomentSplit(split.train, split.test, weights, split.which))
    return lambda orders: pearson_of_moments(moment_splits, design, Y, orders, fixed)


def _by_directions(
    splits: Sequence[LinearSplit],
    X: NDArray[np.floating],
    Y: NDArray[np.floating],
    fixed: NDArray[np.floating] | None = None,
) -> Draws | None:
    design, direction_splits = orthonormal_design(X), []
    for train, test, operators, which in splits:
        directions = principal_directions(X, train)
        kept = kept_of_operators(operators, directions, (train, test))
        loadings = loadings_on_moments(directions, design)
        if kept is None or loadings is None:
            return None
        direction_splits.append(DirectionSplit(train, test, loadings, kept[:, which]))
    return lambda orders: pearson_of_directions(direction_splits, design, Y, orders, fixed)
