"""Scores of one prediction against many relabelings of its truth, without scoring each from scratch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from neuroling.numerics.deferred import deferred
from neuroling.numerics.device import to_tensor
from neuroling.numerics.ridge.leave_two_out import TIE

if TYPE_CHECKING:
    import torch
else:
    torch = deferred("torch")

TILE = 64
"""Targets at a time: two tiles of some thousand samples in float32 fit a second-level cache. A heuristic."""

DRAWS_AT_ONCE = 128
"""Relabelings whose correlations are held at once."""

TIE_FLOAT32 = 1e-6
"""Margin within which cosines of float32 patterns tie: some units in the last place."""

BLOCK = 250
"""Rows of a similarity matrix at a time. A heuristic."""


def pearson_of_relabelings(
    truth: Float[NDArray[np.floating], "sample target"],
    prediction: Float[NDArray[np.floating], "sample target"],
    orders: Int[NDArray[np.integer], "draw sample"],
) -> Iterator[Float[NDArray[np.floating], " target"]]:
    """Correlate each target's prediction with its truth under many orders of the truth.

    Both sides are brought to mean zero and length one once; a draw is then one gather and one sum of products, taken in
    tiles of targets that stay in the processor's cache (12 times faster than row by row at 2,000 × 4,500).

    Parameters
    ----------
    truth, prediction : ndarray, shape (sample, target)
        Finite values.
    orders : ndarray of int, shape (draw, sample)
        Draw ``d`` correlates ``truth[orders[d]]`` with ``prediction``.

    Yields
    ------
    ndarray, shape (target,)
        Correlations in the dtype of the truth; NaN where either side is constant.

    Examples
    --------
    >>> truth = np.array([[1.0], [2.0], [4.0]])
    >>> [float(r[0].round(3)) for r in pearson_of_relabelings(truth, truth, np.array([[0, 1, 2], [1, 0, 2]]))]
    [1.0, 0.786]
    """
    truth_scores, other = _standardised(truth), _standardised(prediction)
    rows = torch.from_numpy(np.ascontiguousarray(orders))
    for start in range(0, len(rows), DRAWS_AT_ONCE):
        yield from _correlations(truth_scores, other, rows[start : start + DRAWS_AT_ONCE]).numpy()


def _correlations(first: torch.Tensor, other: torch.Tensor, orders: torch.Tensor) -> torch.Tensor:
    """Sum products of (reordered) columns, tile by tile: (draw, target)."""
    correlations = first.new_empty(len(orders), first.shape[1])
    for start in range(0, first.shape[1], TILE):
        tile = slice(start, start + TILE)
        a, b = first[:, tile].contiguous(), other[:, tile].contiguous()  # (sample, tile)
        moved = torch.empty_like(a)
        for draw, order in enumerate(orders):
            torch.index_select(a, 0, order, out=moved)
            correlations[draw, tile] = moved.mul_(b).sum(0)
    return correlations


def _standardised(values: NDArray[np.floating]) -> torch.Tensor:
    """Columns of mean zero and length one, NaN where constant."""
    centred = torch.tensor(values, dtype=torch.float64)
    centred = centred - centred.mean(0)
    length = torch.linalg.vector_norm(centred, dim=0)
    length[torch.from_numpy((values == values[:1]).all(axis=0))] = torch.nan
    unit: torch.Tensor = centred / length
    return unit.to(_torch_dtype(values))


def _torch_dtype(values: NDArray[np.floating]) -> torch.dtype:
    return torch.float32 if values.dtype == np.float32 else torch.float64


PRODUCT_VALUES = 2**19
"""Values of the training rows of a product, 2 MB in float32: long enough for full speed. A heuristic."""


def pearson_of_operators(
    operators: Sequence[tuple[Int[NDArray[np.integer], " part"], Float[NDArray[np.floating], "test train"]]],
    Y: Float[NDArray[np.floating], "sample target"],
    rows: tuple[Int[NDArray[np.integer], " train"], Int[NDArray[np.integer], " test"]],
    orders: Int[NDArray[np.integer], "draw sample"],
    fixed: Float[NDArray[np.floating], "sample target"] | None = None,
    device: torch.device | None = None,
) -> Float[NDArray[np.floating], "draw target"]:
    r"""Correlate held-out rows with their predictions under many orders of the recording, one fold, nothing fitted.

    A prediction is an operator times the training rows. Taking the mean of the test rows out of the operator centres
    all predictions at once, so that a draw costs one product and three sums:
    :math:`r = \hat y^\top y / \sqrt{\hat y^\top \hat y \; y_c^\top y_c}`.

    Parameters
    ----------
    operators : sequence of (ndarray of int, ndarray of shape (test, train))
        For some of the targets each, the operator that predicts them; every target in one of them.
    Y : ndarray, shape (sample, target)
        Recording; its dtype is that of the products.
    rows : tuple of ndarray of int, shapes (train,) and (test,)
        Training and test rows of the fold.
    orders : ndarray of int, shape (draw, sample)
        In draw ``d`` row ``i`` holds what was recorded in row ``orders[d, i]``.
    fixed : ndarray, optional, shape (sample, target)
        Added to the reordered recording: what stays in place, such as trends.
    device : torch.device, optional
        Where to compute; the CPU by default.

    Returns
    -------
    ndarray, shape (draw, target)
        In the dtype of the recording; NaN where either side is constant.

    Examples
    --------
    >>> Y = np.array([[0.0], [1.0], [2.0], [4.0]])
    >>> copy = [(np.array([0]), np.eye(2))]  # the first two rows are the prediction of the last two
    >>> rows, orders = (np.array([0, 1]), np.array([2, 3])), np.array([[0, 1, 2, 3], [1, 0, 2, 3]])
    >>> pearson_of_operators(copy, Y, rows, orders).tolist()
    [[1.0], [-1.0]]
    """
    device = device or torch.device("cpu")
    train, test = (to_tensor(np.ascontiguousarray(orders[:, part]), device) for part in rows)  # (draw, row) each
    times = torch.ones(test.shape, dtype=_torch_dtype(Y), device=device)
    tested = torch.zeros(orders.shape, dtype=times.dtype, device=device).scatter_add_(1, test, times)  # (draw, sample)
    scores = np.empty((len(orders), Y.shape[1]), Y.dtype)
    for targets, operator in operators:
        centred = to_tensor(operator - operator.mean(axis=0), device, _torch_dtype(Y))  # (test, train)
        size = max(1, min(len(targets), PRODUCT_VALUES // (4 * len(rows[0]))))
        for start in range(0, len(targets), size):
            tile = targets[start : start + size]
            values = to_tensor(np.ascontiguousarray(Y[:, tile]), device)  # (sample, tile)
            values = values - values.mean(0)
            in_place = None if fixed is None else _beside(centred, fixed[:, tile], rows)
            if in_place is None:
                varied = tested @ values.square() - (tested @ values).square() / test.shape[1]  # (draw, tile)
            at_once = max(1, PRODUCT_VALUES // (len(rows[0]) * len(tile)))
            for first in range(0, len(orders), at_once):
                batch = slice(first, first + at_once)
                if in_place is None:
                    product, square = _moments(centred, values, train[batch], test[batch])
                    scale = (square * varied[batch]).sqrt()
                else:
                    product, square, spread = _moments_beside(centred, values, in_place, train[batch], test[batch])
                    scale = (square * spread).sqrt()
                scores[batch, tile] = torch.where(scale > 0, product / scale, torch.nan).cpu().numpy()
    return scores


def _moments(
    operator: torch.Tensor, values: torch.Tensor, train: torch.Tensor, test: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum products of truths with predictions, and squares of predictions: (draw, target) each."""
    shape = (len(train), values.shape[1])
    moved = values.index_select(0, train.T.reshape(-1)).view(train.shape[1], -1)  # (train, draw · target)
    predicted = operator @ moved  # (test, draw · target)
    truth = values.index_select(0, test.T.reshape(-1)).view(test.shape[1], -1)
    product = truth.mul_(predicted).sum(0)
    return product.view(shape), predicted.square_().sum(0).view(shape)


def _beside(
    operator: torch.Tensor,
    fixed: NDArray[np.floating],
    rows: tuple[Int[NDArray[np.integer], " train"], Int[NDArray[np.integer], " test"]],
) -> _Beside:
    centred = fixed - fixed.mean(axis=0)
    train, test = (to_tensor(np.ascontiguousarray(centred[part]), operator.device) for part in rows)
    return _Beside(test, operator @ train)


class _Beside(NamedTuple):
    """A part of some targets that stays in place, and what operators predict from it."""

    truth: torch.Tensor  # (test, target)
    predicted: torch.Tensor  # (test, target)


def _moments_beside(
    operator: torch.Tensor, values: torch.Tensor, fixed: _Beside, train: torch.Tensor, test: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sum the same beside a part that stays in place, and squares of centred truths as well."""
    shape = (test.shape[1], len(test), values.shape[1])  # (test, draw, target)
    moved = values.index_select(0, train.T.reshape(-1)).view(train.shape[1], -1)  # (train, draw · target)
    predicted = (operator @ moved).view(shape).add_(fixed.predicted[:, None])
    truth = values.index_select(0, test.T.reshape(-1)).view(shape).add_(fixed.truth[:, None])
    product, total = (truth * predicted).sum(0), truth.sum(0)
    spread = truth.square_().sum(0).addcmul_(total, total, value=-1 / len(truth))
    return product, predicted.square_().sum(0), spread


def two_vs_two_of_relabelings(
    similarity: Float[NDArray[np.floating], "predicted true"], orders: Int[NDArray[np.integer], "draw sample"]
) -> Iterator[float]:
    """Score pairs of samples told apart, under many orders of the truths.

    Parameters
    ----------
    similarity : ndarray, shape (predicted, true)
        Cosine of every predicted with every true pattern; square.
    orders : ndarray of int, shape (draw, sample)
        In draw ``d`` the truth of sample ``i`` is that of sample ``orders[d, i]``.

    Yields
    ------
    float
        Share of pairs whose right matching beats the wrong one; ties, within rounding, count half.

    Examples
    --------
    >>> list(two_vs_two_of_relabelings(np.eye(3), np.array([[0, 1, 2], [1, 2, 0]])))
    [1.0, 0.0]
    """
    by_truth = torch.from_numpy(np.ascontiguousarray(similarity.T))  # (true, predicted)
    n, rounding = len(by_truth), TIE if by_truth.dtype == torch.float64 else TIE_FLOAT32
    for order in torch.from_numpy(np.ascontiguousarray(orders)):
        moved = by_truth[order]  # (sample by its new truth, predicted)
        moved -= moved.diagonal().clone()[:, None]
        balance = 0.0
        for start in range(0, n, BLOCK):
            rows = slice(start, start + BLOCK)
            loss = moved[start:, rows].T + moved[rows, start:]  # (row, later): wrong less right matching
            sign = torch.nn.functional.hardshrink(loss, rounding).sign_()
            corner = sign[:, : len(sign)]  # the block against itself: every pair twice, and a diagonal of zeros
            balance -= float(sign.sum()) - float(corner.sum()) / 2
        yield 0.5 + balance / (n * (n - 1))
