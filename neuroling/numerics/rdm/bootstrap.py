r"""Agreement with models under resampled items, without sorting anything again.

An item drawn :math:`w_i` times gives its pairs the weights :math:`w_i w_j`; a pair of two copies of the same item does
not exist. Pearson's correlation under weights is a product; a weighted rank is a running sum of weights in an order
that does not change.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from neuroling.numerics.rdm.distances import pairs_of
from neuroling.numerics.rdm.ranks import Sorter, weighted_ranks

Rows = Float[NDArray[np.floating], "row pair"]
Weights = Float[NDArray[np.floating], "draw pair"]


def pair_weights(draws: Int[NDArray[np.intp], "draw item"], dtype: type[np.floating] = np.float64) -> Weights:
    """Say how often each pair occurs among drawn items.

    Parameters
    ----------
    draws : ndarray of int, shape (draw, item)
        Which items were drawn, with replacement.
    dtype : dtype
        Of the weights.

    Returns
    -------
    ndarray, shape (draw, pair)

    Examples
    --------
    >>> pair_weights(np.array([[0, 0, 2]])).tolist()
    [[0.0, 2.0, 0.0]]
    """
    n_items = draws.shape[1]
    counts = np.stack([np.bincount(draw, minlength=n_items) for draw in draws]).astype(dtype)
    first, second = pairs_of(n_items)
    return np.asarray(counts[:, first] * counts[:, second])


def weighted_pearson(rows: Rows, models: Rows, weights: Weights) -> Float[NDArray[np.floating], "draw row model"]:
    """Correlate rows with models under each weighting of pairs.

    Parameters
    ----------
    rows : ndarray, shape (row, pair)
        Dissimilarities.
    models : ndarray, shape (model, pair)
        Models of them.
    weights : ndarray, shape (draw, pair)
        From :func:`pair_weights`.

    Returns
    -------
    ndarray, shape (draw, row, model)
        NaN where a row or a model is constant under the weights.
    """
    a, b = _standardised(rows).astype(weights.dtype), _standardised(models).astype(weights.dtype)
    total = weights.sum(axis=1)[:, None]
    mean_a, mean_b = weights @ a.T / total, weights @ b.T / total  # (draw, row), (draw, model)
    variance_a = weights @ (a * a).T / total - mean_a**2
    variance_b = weights @ (b * b).T / total - mean_b**2
    covariance = np.empty((len(weights), len(a), len(b)), dtype=weights.dtype)
    for place, model in enumerate(b):
        covariance[:, :, place] = weights @ (a * model).T
    covariance = covariance / total[:, :, None] - mean_a[:, :, None] * mean_b[:, None]
    variance = variance_a[:, :, None] * variance_b[:, None]
    return np.asarray(covariance / np.sqrt(np.where(variance > 0, variance, np.nan)))


def weighted_spearman(rows: Rows, models: Rows, weights: Weights) -> Float[NDArray[np.floating], "draw row model"]:
    """Correlate ranks of rows with ranks of models under each weighting of pairs, ranked anew.

    Parameters
    ----------
    rows, models, weights : ndarray
        As in :func:`weighted_pearson`.

    Returns
    -------
    ndarray, shape (draw, row, model)
    """
    return rank_scores(rows, model_ranks(models, weights), weights)


def model_ranks(models: Rows, weights: Weights) -> Float[NDArray[np.floating], "draw model pair"]:
    """Rank models under each weighting, once for all rows that are compared with them.

    Parameters
    ----------
    models : ndarray, shape (model, pair)
        Models of dissimilarities.
    weights : ndarray, shape (draw, pair)
        From :func:`pair_weights`.

    Returns
    -------
    ndarray, shape (draw, model, pair)
        Centred, of length one under the weights, and multiplied with them.
    """
    ranked = _all_ranked(models, weights)
    ranked *= weights[:, None]
    return ranked


def rank_scores(
    rows: Rows, ranked: Float[NDArray[np.floating], "draw model pair"], weights: Weights
) -> Float[NDArray[np.floating], "draw row model"]:
    """Multiply weighted ranks of rows with those of models.

    Parameters
    ----------
    rows : ndarray, shape (row, pair)
        Dissimilarities.
    ranked : ndarray, shape (draw, model, pair)
        From :func:`model_ranks`.
    weights : ndarray, shape (draw, pair)
        From :func:`pair_weights`.

    Returns
    -------
    ndarray, shape (draw, row, model)
    """
    return np.asarray(np.matmul(_all_ranked(rows, weights), ranked.swapaxes(1, 2)))


def _all_ranked(rows: Rows, weights: Weights) -> Float[NDArray[np.floating], "draw row pair"]:
    ranked = np.empty((len(weights), len(rows), rows.shape[1]), weights.dtype)
    for place, row in enumerate(rows):
        order, rises = Sorter(len(row)).order(row)
        ranked[:, place] = weighted_ranks(order, weights, rises)
    return ranked


def _standardised(rows: Rows) -> NDArray[np.float64]:
    centred = rows - rows.mean(axis=1, keepdims=True, dtype=np.float64)
    spread = centred.std(axis=1, keepdims=True)
    standardised: NDArray[np.float64] = centred / np.where(spread > 0, spread, np.nan)
    return standardised
