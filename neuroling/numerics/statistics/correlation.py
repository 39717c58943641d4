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
    length = np.sqrt(_sum_of_products(a, a, axis)) * np.sqrt(_sum_of_products(b, b, axis))
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
    length = np.sqrt((centred * centred).sum(0))
    length[_constant(Y, 0)] = np.nan
    unit: NDArray[np.float64] = centred / length
    return unit


def _centred(a: NDArray[np.number], axis: int) -> NDArray[np.float64]:
    """Values less their mean, in float64."""
    centred: NDArray[np.float64] = np.subtract(a, a.mean(axis, keepdims=True, dtype=np.float64), dtype=np.float64)
    return centred


def _constant(a: NDArray[np.number], axis: int) -> NDArray[np.bool_]:
    constant: NDArray[np.bool_] = (a == np.take(a, [0], axis=axis)).all(axis)
    return constant


def _sum_of_products(a: NDArray[np.number], b: NDArray[np.number], axis: int) -> NDArray[np.float64]:
    total: NDArray[np.float64] = np.asarray(np.multiply(a, b, dtype=np.float64).sum(axis))
    return total
