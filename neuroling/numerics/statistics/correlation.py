"""Agreement of two arrays along one axis: correlation, cosine, explained variance, ranks.

Means and sums are taken in float64 and values are centred before they are multiplied, so that float32 images at an
offset of ten thousand score as they should. Every function gives float64, without clipping, and NaN where the score is
undefined; whoever calls decides what that means.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy.typing import NDArray
from scipy.stats import rankdata

SMALL = 1e-120
"""Values below it, or above its inverse, are divided by a power of two before they are squared in float64."""


def pearson(
    a: Shaped[NDArray[np.number], "*#shape"], b: Shaped[NDArray[np.number], "*#shape"], axis: int = -1
) -> Float[NDArray[np.float64], "*kept"] | np.float64:
    r"""Correlate two arrays along an axis.

    .. math:: r = \frac{\sum (a - \bar a)(b - \bar b)}{\sqrt{\sum (a - \bar a)^2 \sum (b - \bar b)^2}}

    Parameters
    ----------
    a, b : ndarray
        Arrays that broadcast against each other.
    axis : int
        Axis to correlate along.

    Returns
    -------
    ndarray
        Their common shape less ``axis``; NaN where either is constant.

    Examples
    --------
    >>> float(pearson(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 7.0])).round(3))
    0.993
    """
    a, b = np.asarray(a), np.asarray(b)
    undefined = _constant(a, axis) | _constant(b, axis)
    return np.where(undefined, np.nan, cosine(_centred(a, axis), _centred(b, axis), axis))[()]


def cosine(
    a: Shaped[NDArray[np.number], "*#shape"], b: Shaped[NDArray[np.number], "*#shape"], axis: int = -1
) -> Float[NDArray[np.float64], "*kept"] | np.float64:
    """Give the cosine of the angle between two arrays along an axis.

    Parameters
    ----------
    a, b : ndarray
        Arrays that broadcast against each other.
    axis : int
        Axis to sum along.

    Returns
    -------
    ndarray
        Their common shape less ``axis``; NaN where either is zero throughout.
    """
    squares = [_sum_of_products(side, side, axis) for side in (a, b)]
    if any(_leaves_float64(square) for square in squares):
        a, b = (_in_own_unit(np.asarray(side), axis) for side in (a, b))
        squares = [_sum_of_products(side, side, axis) for side in (a, b)]
    length = np.sqrt(squares[0]) * np.sqrt(squares[1])
    inner = _sum_of_products(a, b, axis)
    score: NDArray[np.float64] = np.divide(inner, length, out=np.full_like(inner, np.nan), where=length > 0)
    return score[()]


def r2(
    truth: Shaped[NDArray[np.number], "*#shape"], prediction: Shaped[NDArray[np.number], "*#shape"], axis: int = -1
) -> Float[NDArray[np.float64], "*kept"] | np.float64:
    r"""Give the share of variance explained, negative where the mean would have done better.

    .. math:: R^2 = 1 - \frac{\sum (y - \hat y)^2}{\sum (y - \bar y)^2}

    Parameters
    ----------
    truth, prediction : ndarray
        Arrays that broadcast against each other.
    axis : int
        Axis to sum along.

    Returns
    -------
    ndarray
        Their common shape less ``axis``; NaN where the truth is constant.
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    centred = _centred(truth, axis)
    total = _sum_of_products(centred, centred, axis)
    if _leaves_float64(total):
        unit = _own_unit(truth, axis)
        truth, prediction, centred = truth / unit, prediction / unit, centred / unit
        total = _sum_of_products(centred, centred, axis)
    residual = np.subtract(truth, prediction, dtype=np.float64)
    error = _sum_of_products(residual, residual, axis)
    defined = ~_constant(truth, axis) & (total > 0)
    total, error, defined = np.broadcast_arrays(total, error, defined)
    share: NDArray[np.float64] = np.divide(error, total, out=np.full(error.shape, np.nan), where=defined)
    return (1 - share)[()]


def ranks(a: Shaped[NDArray[np.number], "*shape"], axis: int = -1) -> Float[NDArray[np.float64], "*shape"]:
    """Rank values along an axis from 1, ties at their mean rank.

    Parameters
    ----------
    a : ndarray
        Any shape.
    axis : int
        Axis to rank along.

    Returns
    -------
    ndarray, same shape
    """
    ranked: NDArray[np.float64] = np.asarray(rankdata(a, axis=axis), np.float64)
    return ranked


def spearman(
    a: Shaped[NDArray[np.number], "*#shape"], b: Shaped[NDArray[np.number], "*#shape"], axis: int = -1
) -> Float[NDArray[np.float64], "*kept"] | np.float64:
    """Correlate the ranks of two arrays along an axis.

    Parameters
    ----------
    a, b : ndarray
        Arrays that broadcast against each other.
    axis : int
        Axis to correlate along.

    Returns
    -------
    ndarray
        Their common shape less ``axis``; NaN where either is constant.
    """
    return pearson(ranks(a, axis), ranks(b, axis), axis)


def pearson_of_orders(
    x: Float[NDArray[np.floating], " sample"],
    Y: Float[NDArray[np.floating], "sample target"],
    orders: Int[NDArray[np.integer], "draw sample"],
) -> Float[NDArray[np.float64], "draw target"]:
    """Correlate one variable with many targets under many orders of its samples, in one matrix product.

    Parameters
    ----------
    x : ndarray, shape (sample,)
        The variable whose samples are put in other orders.
    Y : ndarray, shape (sample, target)
        Targets, in their own order.
    orders : ndarray of int, shape (draw, sample)
        Draw *d* correlates ``x[orders[d]]`` with every target.

    Returns
    -------
    ndarray, shape (draw, target)
        NaN where ``x`` or the target is constant.
    """
    unit_x = _unit(x[:, None])[:, 0]
    correlations: NDArray[np.float64] = unit_x[orders] @ _unit(Y)  # (draw, target)
    return correlations


def _unit(Y: NDArray[np.floating]) -> NDArray[np.float64]:
    """Columns centred and of length one; NaN where constant."""
    centred = _centred(Y, 0)
    squares = _sum_of_products(centred, centred, 0)
    if _leaves_float64(squares):
        centred = np.asarray(_in_own_unit(centred, 0), np.float64)
        squares = _sum_of_products(centred, centred, 0)
    length = np.sqrt(squares)
    length[_constant(Y, 0)] = np.nan
    unit: NDArray[np.float64] = centred / length
    return unit


def _centred(a: NDArray[np.number], axis: int) -> NDArray[np.float64]:
    """Values less their mean, in float64."""
    centred: NDArray[np.float64] = np.subtract(a, a.mean(axis, keepdims=True, dtype=np.float64), dtype=np.float64)
    return centred


def _leaves_float64(squares: NDArray[np.float64]) -> bool:
    """Say whether sums of squares are so small or large that digits are lost; true also of sums that are zero."""
    return bool(((squares < SMALL**2) | ~np.isfinite(squares)).any())


def _in_own_unit(a: NDArray[np.number], axis: int) -> NDArray[np.number]:
    """Values over a power of two along an axis where their squares would leave float64; else as they are."""
    unit = _own_unit(a, axis)
    return np.asarray(a / unit) if (unit != 1).any() else a


def _own_unit(a: NDArray[np.number], axis: int) -> NDArray[np.float64]:
    """Give the power of two next to the largest value where that is extreme, else 1; one along the axis."""
    largest = np.maximum(a.max(axis, keepdims=True), -a.min(axis, keepdims=True)).astype(np.float64)
    extreme = np.isfinite(largest) & (largest > 0) & ((largest < SMALL) | (largest > 1 / SMALL))
    return np.where(extreme, np.ldexp(1.0, np.frexp(np.where(extreme, largest, 1.0))[1] - 1), 1.0)


def _constant(a: NDArray[np.number], axis: int) -> NDArray[np.bool_]:
    constant: NDArray[np.bool_] = (a == np.take(a, [0], axis=axis)).all(axis)
    return constant


def _sum_of_products(a: NDArray[np.number], b: NDArray[np.number], axis: int) -> NDArray[np.float64]:
    with np.errstate(over="ignore", under="ignore"):  # looked for by those who call
        total: NDArray[np.float64] = np.asarray(np.multiply(a, b, dtype=np.float64).sum(axis))
    return total
