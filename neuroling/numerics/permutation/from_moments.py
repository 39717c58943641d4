r"""Many relabelings of a recording, scored from its products with a few features: its moments.

A prediction that is linear in a recording, and looks at it through the columns :math:`B` of a design alone, is
:math:`W B_{train}^\top y_{train}`. The sums :math:`B_a^\top y_a` over stretches of samples that all splits treat alike
are made once for a draw; what a split trains on is the sum of all less what it leaves out. A draw then costs
:math:`2 n q` operations for its moments and as many for its predictions, where operators of (test, train) samples cost
:math:`2 n_{test} n_{train}` in every split.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from neuroling.numerics.deferred import deferred
from neuroling.numerics.permutation.segments import Rows, Stretches
from neuroling.numerics.products import multiply

if TYPE_CHECKING:
    import torch
else:
    torch = deferred("torch")

EXACT = 1e-9
"""What an operator may differ from its product with the design, relative to its largest entry."""

LONGEST = 10.0
"""Length of weights above which rounding errors of moments in float32 would show in predictions. A heuristic."""

VALUES_AT_ONCE = 2**19
"""Values of a target's draws, 2 MB in float32: they stay in a second-level cache. A heuristic."""

TARGETS_AT_ONCE = 512
"""Targets that are copied, and whose variances are held for every split and draw, at once."""

CALL = 4e6
"""Operations that go by while one split of one target is started. A heuristic."""


class MomentSplit(NamedTuple):
    """One split of a model: which weights on moments predict the test rows of which target."""

    train: Rows
    test: Rows
    weights: Sequence[Float[NDArray[np.float64], "test moment"]]
    which: Int[NDArray[np.integer], " target"]


def orthonormal_design(X: Float[NDArray[np.floating], "sample feature"]) -> Float[NDArray[np.float64], "sample moment"]:
    """Give a constant and the left singular vectors of centred features: their columns, without their scales.

    Examples
    --------
    >>> orthonormal_design(np.array([[1.0, 2.0], [3.0, 6.0], [5.0, 10.0]])).round(2).tolist()  # of rank one
    [[0.58, -0.71], [0.58, 0.0], [0.58, 0.71]]
    """
    centred = X.astype(np.float64) - X.mean(axis=0, dtype=np.float64)
    left, spectrum, _ = np.linalg.svd(centred, full_matrices=False)
    scores = left[:, spectrum > spectrum.max(initial=0.0) * max(X.shape) * np.finfo(float).eps]
    return np.column_stack([np.full(len(X), len(X) ** -0.5), scores])


def weights_on_moments(
    operators: Sequence[Float[NDArray[np.floating], "test train"]], design: Float[NDArray[np.float64], "train moment"]
) -> list[Float[NDArray[np.float64], "test moment"]] | None:
    """Write operators as weights on moments of the training rows, where they are.

    Parameters
    ----------
    operators : sequence of ndarray, shape (test, train)
        What predicts test rows from training rows.
    design : ndarray, shape (train, moment)
        Training rows of :func:`orthonormal_design`.

    Returns
    -------
    list of ndarray of shape (test, moment), or None
        None where some operator sees more of a recording than these moments, or would magnify their rounding errors.

    Examples
    --------
    >>> design = np.array([[1.0, -1.0], [1.0, 1.0], [1.0, 3.0]])
    >>> weights_on_moments([design[:1] @ design.T], design)[0].round(9).tolist()
    [[1.0, -1.0]]
    >>> weights_on_moments([np.eye(3)], design) is None
    True
    """
    solve = np.linalg.pinv(design.T @ design, hermitian=True)
    fold_weights = []
    for operator in operators:
        weights = operator @ design @ solve
        wrong = np.abs(weights @ design.T - operator).max()
        if wrong > EXACT * np.abs(operator).max() or np.linalg.norm(weights, axis=1).max() > LONGEST:
            return None
        fold_weights.append(weights)
    return fold_weights


def operations_of_moments(n_moments: int, splits: Sequence[tuple[Rows, Rows]], n_draws: int) -> float:
    """Count operations for one target and draw: the moments, predictions from them, and the calls.

    Parameters
    ----------
    n_moments : int
        Columns of the design.
    splits : sequence of tuple of ndarray, shapes (train,) and (test,)
        Row numbers.
    n_draws : int
        Relabelings.

    Examples
    --------
    >>> halves = [(np.arange(200), np.arange(200, 400)), (np.arange(200, 400), np.arange(200))]
    >>> operations_of_moments(40, halves, 1000) < 2 * sum(len(train) * len(test) for train, test in halves)
    True
    """
    n_samples = 1 + max(int(rows.max(initial=0)) for split in splits for rows in split)
    at_once = min(n_draws, max(1, VALUES_AT_ONCE // n_samples))
    tested = sum(len(test) for _, test in splits)
    return 2 * n_moments * (n_samples + tested) + len(splits) * CALL / at_once


def pearson_of_moments(
    splits: Sequence[MomentSplit],
    design: Float[NDArray[np.float64], "sample moment"],
    Y: Float[NDArray[np.floating], "sample target"],
    orders: Int[NDArray[np.integer], "draw sample"],
    fixed: Float[NDArray[np.floating], "sample target"] | None = None,
) -> Float[NDArray[np.float64], "draw target"]:
    r"""Correlate held-out rows with their predictions under many orders of the recording, nothing fitted.

    One target at a time, so that all its draws stay in the processor's cache whatever its penalties:
    :math:`r = \hat y^\top y / \sqrt{\hat y^\top \hat y \; y_c^\top y_c}` with centred predictions :math:`\hat y`.

    Parameters
    ----------
    splits : sequence of MomentSplit
        Weights on moments of the training rows.
    design : ndarray, shape (sample, moment)
        Columns of the moments.
    Y : ndarray, shape (sample, target)
        Recording; its dtype is that of the products.
    orders : ndarray of int, shape (draw, sample)
        In draw ``d`` row ``i`` holds what was recorded in row ``orders[d, i]``.
    fixed : ndarray, optional, shape (sample, target)
        Added to the reordered recording: what stays in place, such as trends.

    Returns
    -------
    ndarray, shape (draw, target)
        Mean over splits; NaN where either side is constant in one of them.

    Examples
    --------
    >>> design = np.array([[0.5, -1.5], [0.5, -0.5], [0.5, 0.5], [0.5, 1.5]])
    >>> line = MomentSplit(np.arange(2), np.arange(2, 4), [design[2:] @ np.array([[1.0, 0], [0, 1]])], np.array([0]))
    >>> Y, orders = np.array([[0.0], [1.0], [2.0], [4.0]]), np.array([[0, 1, 2, 3], [0, 1, 3, 2]])
    >>> pearson_of_moments([line], design, Y, orders).round(3).tolist()
    [[1.0], [-1.0]]
    """
    correlations = np.empty((len(orders), Y.shape[1]))
    plan = _Plan(splits, torch.from_numpy(design.astype(Y.dtype, copy=False)))
    size = max(1, VALUES_AT_ONCE // len(Y))
    batches = [
        (first, plan.stretches.sorted_rows(orders[first : first + size])) for first in range(0, len(orders), size)
    ]
    for start in range(0, Y.shape[1], TARGETS_AT_ONCE):
        targets = slice(start, start + TARGETS_AT_ONCE)
        columns = _centred_columns(Y[:, targets])
        in_place = None if fixed is None else _centred_columns(fixed[plan.stretches.samples][:, targets])
        for first, rows in batches:
            scores = plan.correlate(columns, rows, start, in_place)
            correlations[first : first + len(scores), start : start + len(columns)] = scores
    return correlations


def _centred_columns(values: NDArray[np.floating]) -> torch.Tensor:
    """Give targets as rows of mean zero, (target, sample)."""
    return torch.from_numpy(np.ascontiguousarray((values - values.mean(axis=0)).T))


class _Room(NamedTuple):
    """Memory that every target uses again: it stays in the cache, and nothing is asked of the system."""

    recorded: torch.Tensor  # (sorted sample, draw)
    moments: torch.Tensor  # (stretch, moment, draw)
    trained: torch.Tensor  # (moment, draw)
    predicted: torch.Tensor  # (test, draw)
    product: torch.Tensor  # (test, draw)


class _Plan:
    """Stretches of samples, and weights as tensors."""

    def __init__(self, splits: Sequence[MomentSplit], design: torch.Tensor) -> None:
        self.stretches = Stretches([(split.train, split.test) for split in splits], len(design))
        self.design = self.stretches.of_design(design)
        place = np.empty(len(design), np.int64)
        place[self.stretches.samples] = np.arange(len(design))
        self.tests = [_slice_or_rows(place[split.test]) for split in splits]
        self.n_tested = [len(split.test) for split in splits]
        centred = ([one - one.mean(axis=0) for one in split.weights] for split in splits)
        self.weights = [[torch.from_numpy(one).to(design.dtype) for one in ones] for ones in centred]
        self.which = [split.which.tolist() for split in splits]

    def correlate(
        self, columns: torch.Tensor, rows: torch.Tensor, start: int, fixed: torch.Tensor | None
    ) -> NDArray[np.float64]:
        """Correlate targets (target, sample), the first number ``start``: means over splits, (draw, target)."""
        scores = np.empty((rows.shape[1], len(columns)))
        buffers = self._room(columns, rows.shape)
        spreads = None if fixed is not None else self._spread(columns, rows)
        for number, values in enumerate(columns):
            torch.index_select(values, 0, rows.view(-1), out=buffers.recorded.view(-1))
            if fixed is not None:
                buffers.recorded.add_(fixed[number][:, None])
            spread = self._spread_of(buffers) if spreads is None else spreads[number]
            for part, stretch, sums in zip(self.design, self.stretches.slices, buffers.moments, strict=True):
                multiply(part, buffers.recorded[stretch], sums)
            scores[:, number] = self._scores(start + number, buffers, spread).mean(0).numpy()
        return scores

    def _room(self, columns: torch.Tensor, shape: torch.Size) -> _Room:
        n_moments, n_draws, n_tested = len(self.design[0]), shape[1], max(self.n_tested)
        shapes = [shape, (len(self.design), n_moments, n_draws), (n_moments, n_draws), *[(n_tested, n_draws)] * 2]
        return _Room(*(columns.new_empty(one) for one in shapes))

    def _scores(self, target: int, buffers: _Room, spread: torch.Tensor) -> torch.Tensor:
        """Correlate one target in every split: (split, draw)."""
        total_moments = buffers.moments.sum(0)
        product, square = torch.empty_like(spread), torch.empty_like(spread)
        for number, (test, n_tested) in enumerate(zip(self.tests, self.n_tested, strict=True)):
            predicted, room_of_product = buffers.predicted[:n_tested], buffers.product[:n_tested]
            weights = self.weights[number][self.which[number][target]]
            multiply(
                weights, self.stretches.trained(number, buffers.moments, total_moments, buffers.trained), predicted
            )
            torch.sum(torch.mul(buffers.recorded[test], predicted, out=room_of_product), 0, out=product[number])
            torch.sum(predicted.square_(), 0, out=square[number])
        scale = square.mul_(spread).sqrt_()
        return torch.where(scale > 0, product / scale, torch.nan)

    def _spread_of(self, buffers: _Room) -> torch.Tensor:
        """Sum squares of the centred test rows of one target: (split, draw)."""
        spread = buffers.recorded.new_empty(len(self.tests), buffers.recorded.shape[1])
        for number, (test, n_tested) in enumerate(zip(self.tests, self.n_tested, strict=True)):
            truth = buffers.recorded[test]
            total = truth.sum(0)
            torch.sum(torch.mul(truth, truth, out=buffers.product[:n_tested]), 0, out=spread[number])
            spread[number].addcmul_(total, total, value=-1 / n_tested)
        return spread

    def _spread(self, columns: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Sum squares of the centred test rows: (target, split, draw)."""
        spread = columns.new_empty(len(columns), len(self.tests), rows.shape[1])
        squares = columns.square()
        for number, (test, n_tested) in enumerate(zip(self.tests, self.n_tested, strict=True)):
            tested = columns.new_zeros(columns.shape[1], rows.shape[1]).scatter_(0, rows[test].long(), 1.0)
            spread[:, number] = squares @ tested - (columns @ tested).square() / n_tested
        return spread


def _slice_or_rows(rows: NDArray[np.int64]) -> slice | torch.Tensor:
    """Give consecutive rows as a slice, which copies nothing."""
    first = int(rows[0])
    return slice(first, first + len(rows)) if np.all(np.diff(rows) == 1) else torch.from_numpy(rows)
