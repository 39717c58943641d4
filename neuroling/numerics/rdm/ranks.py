"""Ranks of many dissimilarities at once: centred, of length one, ready to be multiplied.

Sorting is what rank correlations cost. Float32 values are packed with their positions into 64-bit words, so that one
plain sort gives the order; float64 values are sorted exactly.
"""

from __future__ import annotations

import sys
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

Rows = Float[NDArray[np.floating], "row pair"]
SIGN = np.int32(-(2**31))
LOW_HALF = np.uint64(0xFFFFFFFF)


class Sorter:
    """Orders of many rows of the same length, through buffers that are made once.

    Parameters
    ----------
    n_values : int
        Length of a row.
    """

    def __init__(self, n_values: int) -> None:
        self._packed = np.empty(n_values, np.uint64)
        halves = self._packed.view(np.uint32).reshape(n_values, 2)
        self._high, self._low = (halves[:, 1], halves[:, 0]) if sys.byteorder == "little" else halves.T
        self._places = np.arange(n_values, dtype=np.uint32)
        self._bits = np.empty(n_values, np.int32)

    def order(
        self, values: Float[NDArray[np.floating], " pair"]
    ) -> tuple[Int[NDArray[np.int64], " pair"], NDArray[np.bool_]]:
        """Sort values and say which are larger than the one before.

        Parameters
        ----------
        values : ndarray, shape (pair,)
            Finite; float32 takes the fast way.

        Returns
        -------
        order : ndarray of int, shape (pair,)
            Places of the values from smallest to largest; overwritten by the next call.
        rises : ndarray of bool, shape (pair - 1,)
            Whether each sorted value differs from its predecessor; False marks a tie.
        """
        if values.dtype != np.float32:
            order = np.argsort(values)
            placed = values[order]
            return order, placed[1:] != placed[:-1]
        if values.min() > 0:
            self._high[:] = values.view(np.uint32)
        else:
            self._high[:] = self._monotone_bits(values)
        self._low[:] = self._places
        self._packed.sort()
        rises = self._high[1:] != self._high[:-1]
        np.bitwise_and(self._packed, LOW_HALF, out=self._packed)
        return self._packed.view(np.int64), rises

    def _monotone_bits(self, values: NDArray[np.float32]) -> NDArray[np.uint32]:
        """Turn floats into integers of the same order: all bits of negative values change, the sign of others."""
        bits = (values + np.float32(0)).view(np.int32)  # adding zero turns -0 into 0
        np.right_shift(bits, 31, out=self._bits)
        np.bitwise_or(self._bits, SIGN, out=self._bits)
        np.bitwise_xor(self._bits, bits, out=self._bits)
        return self._bits.view(np.uint32)


def mid_ranks(rises: NDArray[np.bool_], plain: Rows) -> tuple[Rows, float]:
    """Give the ranks of sorted values, ties at their mean rank, and by how much that shortens them.

    Parameters
    ----------
    rises : ndarray of bool, shape (pair - 1,)
        From :meth:`Sorter.order`.
    plain : ndarray, shape (pair,)
        Ranks without ties, counted from their mean.

    Returns
    -------
    ranks : ndarray, shape (pair,)
        In the dtype of ``plain``.
    lost : float
        Of the sum of squares: ``(t³ - t) / 12`` for every run of ``t`` tied values.
    """
    level = np.flatnonzero(~rises)
    breaks = np.flatnonzero(level[1:] - level[:-1] > 1)
    first = level[np.concatenate([[0], breaks + 1])]
    sizes = level[np.concatenate([breaks, [len(level) - 1]])] + 2 - first
    run = np.repeat(np.arange(len(first)), sizes)
    places = first[run] + np.arange(len(run)) - (np.cumsum(sizes) - sizes)[run]
    ranks = plain.copy()
    ranks[places] = (first + (sizes - 1) / 2 - len(rises) / 2)[run].astype(plain.dtype)
    return ranks, float((sizes.astype(np.float64) ** 3 - sizes).sum()) / 12


def centred_ranks(
    values: Rows, scale: Literal["none", "own", "untied"] = "none"
) -> tuple[Rows, Float[NDArray[np.float64], " row"]]:
    """Rank each row, count ranks from their mean, and give their length.

    Parameters
    ----------
    values : ndarray, shape (row, pair)
        Finite.
    scale : {"none", "own", "untied"}
        What ranks are divided by: nothing, their length, or the length that ranks without ties would have.

    Returns
    -------
    ranks : ndarray, shape (row, pair)
        Mid-ranks less their mean, in the dtype of the values; NaN in a constant row that is scaled.
    lengths : ndarray, shape (row,)
        Euclidean lengths of the ranks before they were scaled; 0 where a row is constant.
    """
    n_rows, n_pairs = values.shape
    square = (float(n_pairs) ** 3 - n_pairs) / 12.0
    plain = (np.arange(n_pairs) - (n_pairs - 1) / 2.0).astype(values.dtype)
    scaled = plain if scale == "none" else plain / values.dtype.type(np.sqrt(square))
    ranks = np.empty_like(values)
    lengths = np.full(n_rows, np.sqrt(square))
    sorter = Sorter(n_pairs)
    for row in range(n_rows):
        order, rises = sorter.order(values[row])
        if rises.all():
            ranks[row][order] = scaled
            continue
        tied, lost = mid_ranks(rises, plain)
        lengths[row] = np.sqrt(max(square - lost, 0.0)) if rises.any() else 0.0
        if scale != "none":
            by = lengths[row] if scale == "own" else np.sqrt(square)
            tied *= values.dtype.type(1 / by if lengths[row] > 0 else np.nan)
        ranks[row][order] = tied
    return ranks, lengths


def rank_products(
    values: Rows, columns: Float[NDArray[np.floating], "pair model"], scale: Literal["own", "untied"] = "own"
) -> Float[NDArray[np.float64], "row model"]:
    """Multiply the centred ranks of each row with columns.

    For a single column its values are brought into the order of the row, and no rank is ever written down.

    Parameters
    ----------
    values : ndarray, shape (row, pair)
        Finite.
    columns : ndarray, shape (pair, model)
        In the dtype of the values; centred, or the result means nothing.
    scale : {"own", "untied"}
        What ranks are divided by; see :func:`centred_ranks`.

    Returns
    -------
    ndarray, shape (row, model)
        NaN where a row is constant.
    """
    if columns.shape[1] > 1:
        return np.asarray(centred_ranks(values, scale)[0] @ columns, dtype=np.float64)
    n_pairs = values.shape[1]
    square = (float(n_pairs) ** 3 - n_pairs) / 12.0
    plain = (np.arange(n_pairs) - (n_pairs - 1) / 2.0).astype(values.dtype)
    sorter, column, placed = Sorter(n_pairs), np.ascontiguousarray(columns[:, 0]), np.empty(n_pairs, values.dtype)
    out = np.empty((len(values), 1))
    for row, line in enumerate(values):
        order, rises = sorter.order(line)
        column.take(order, out=placed, mode="clip")
        tied, lost = (plain, 0.0) if rises.all() else mid_ranks(rises, plain)
        length = np.sqrt(max(square - lost, 0.0) if scale == "own" else square)
        out[row] = float(tied @ placed) / length if rises.any() else np.nan
    return out


def share_tied(values: Float[NDArray[np.floating], " pair"]) -> float:
    """Say what share of the values has an equal elsewhere.

    Parameters
    ----------
    values : ndarray, shape (pair,)
        Finite.

    Returns
    -------
    float
        0 where all differ, 1 where none is alone.

    Examples
    --------
    >>> share_tied(np.array([1.0, 1.0, 2.0, 3.0]))
    0.5
    """
    _, counts = np.unique(values, return_counts=True)
    return float(counts[counts > 1].sum() / len(values))


def weighted_ranks(
    order: Int[NDArray[np.integer], " pair"],
    weights: Float[NDArray[np.floating], "draw pair"],
    rises: NDArray[np.bool_] | None = None,
) -> Rows:
    """Rank values that occur several times, by running sums in an order that never changes.

    Parameters
    ----------
    order : ndarray of int, shape (pair,)
        Places from smallest to largest.
    weights : ndarray, shape (draw, pair)
        How often each value occurs in each draw.
    rises : ndarray of bool, optional, shape (pair - 1,)
        Where the sorted values differ; all do by default.

    Returns
    -------
    ndarray, shape (draw, pair)
        Weighted mid-ranks, centred and of length one under the weights; NaN where a draw leaves one value only.
    """
    starts = None if rises is None or rises.all() else np.concatenate([[0], np.flatnonzero(rises) + 1])
    out, placed = np.empty_like(weights), np.empty(len(order), weights.dtype)
    ranks = np.empty_like(placed)
    for draw, here in enumerate(weights):  # one draw at a time stays in the cache
        here.take(order, out=placed, mode="clip")
        _running_ranks(placed, starts, ranks)
        square = float((ranks * ranks) @ placed)
        ranks *= weights.dtype.type(1 / np.sqrt(square) if square > 0 else np.nan)
        out[draw][order] = ranks
    return out


def _running_ranks(
    placed: Float[NDArray[np.floating], " pair"],
    starts: NDArray[np.intp] | None,
    out: Float[NDArray[np.floating], " pair"],
) -> None:
    """Write centred mid-ranks of sorted values that occur so often; ``starts`` opens each run of ties."""
    if starts is None:
        np.cumsum(placed, out=out)
        total = out[-1]
        out -= placed * placed.dtype.type(0.5)
    else:
        grouped = np.add.reduceat(placed, starts)
        sums = np.cumsum(grouped)
        total = sums[-1]
        out[:] = np.repeat(sums - grouped / 2, np.diff(np.append(starts, len(placed))))
    out -= total / 2
