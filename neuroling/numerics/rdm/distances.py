r"""Dissimilarities of every pair of items from inner products, for many time points at once.

Every function takes patterns ``(…, item, channel)`` and gives condensed dissimilarities ``(…, pair)``, the pairs
``(0, 1), (0, 2), …, (1, 2), …`` of :func:`pairs_of`. All of them are read off a matrix of inner products, so their cost
is one matrix product for each leading position. The dtype follows the input. A pattern that holds a NaN makes those of
its pairs NaN and no others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from neuroling.numerics.deferred import deferred

if TYPE_CHECKING:
    import torch
else:
    torch = deferred("torch")

Patterns = Float[NDArray[np.floating], "*lead item channel"]
Folds = Float[NDArray[np.floating], "*lead fold item channel"]
Weights = Float[NDArray[np.floating], "fold item"]
Condensed = Float[NDArray[np.floating], "*lead pair"]

VARIANCE_FLOOR = 0.1
"""Least cross-validated variance of a pattern, as a share of its ordinary variance, that a correlation is divided by.

A cross-validated variance can be zero or negative, where a correlation is undefined; leaving such pairs out would be a
selection. The value is that of the code published with Guggenmos, Sterzer and Cichy (2018), a heuristic."""

TILE = (512, 64)
"""Rows and times that are brought into another order together, so that every cache line is read once; a heuristic."""

PANEL = 128
"""Items whose products with others are kept side by side, so that they fit into the cache; a heuristic."""


def pairs_of(n_items: int) -> tuple[Int[NDArray[np.intp], " pair"], Int[NDArray[np.intp], " pair"]]:
    """Give the two items of every pair, in condensed order.

    Parameters
    ----------
    n_items : int
        Number of items.

    Returns
    -------
    first, second : ndarray of int, shape (pair,)

    Examples
    --------
    >>> [places.tolist() for places in pairs_of(3)]
    [[0, 0, 1], [1, 2, 2]]
    """
    first, second = np.triu_indices(n_items, 1)
    return first, second


def n_items_of(n_pairs: int) -> int:
    """Say of how many items these are all the pairs.

    Parameters
    ----------
    n_pairs : int
        Number of pairs, ``n (n - 1) / 2``.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If no number of items has so many pairs.
    """
    n_items = int((1 + np.sqrt(1 + 8 * n_pairs)) / 2)
    if n_items * (n_items - 1) // 2 != n_pairs or n_pairs < 1:
        raise ValueError(f"rdm: {n_pairs} values are not the pairs of any number of items; expected 1, 3, 6, 10, 15, …")
    return n_items


def condense(square: Float[NDArray[np.floating], "*lead item item"]) -> Condensed:
    """Take the upper triangle, without the diagonal.

    Parameters
    ----------
    square : ndarray, shape (…, item, item)
        Symmetric matrices.

    Returns
    -------
    ndarray, shape (…, pair)
    """
    first, second = pairs_of(square.shape[-1])
    return np.asarray(square[..., first, second])


def to_square(condensed: Condensed) -> Float[NDArray[np.floating], "*lead item item"]:
    """Lay condensed dissimilarities out as symmetric matrices with a diagonal of zeros.

    Parameters
    ----------
    condensed : ndarray, shape (…, pair)
        Such as those of :func:`euclidean`.

    Returns
    -------
    ndarray, shape (…, item, item)
    """
    n_items = n_items_of(condensed.shape[-1])
    first, second = pairs_of(n_items)
    square = np.zeros((*condensed.shape[:-1], n_items, n_items), dtype=condensed.dtype)
    square[..., first, second] = square[..., second, first] = condensed
    return square


def times_first(values: Float[NDArray[np.floating], "... time"]) -> Float[NDArray[np.floating], "time ..."]:
    """Lay out values time after time, tile by tile: five times as fast as numpy's own copy.

    Parameters
    ----------
    values : ndarray, shape (…, time)
        Such as a recording, whose samples follow one another in memory.

    Returns
    -------
    ndarray, shape (time, …)
        Contiguous.

    Examples
    --------
    >>> times_first(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    rows = values.reshape(-1, values.shape[-1])
    out = np.empty(rows.shape[::-1], values.dtype)
    for row in range(0, rows.shape[0], TILE[0]):
        for time in range(0, rows.shape[1], TILE[1]):
            tile = rows[row : row + TILE[0], time : time + TILE[1]]
            out[time : time + TILE[1], row : row + TILE[0]] = tile.T
    return out.reshape(-1, *values.shape[:-1])


def squared_euclidean(patterns: Patterns) -> Condensed:
    r"""Sum squared differences over channels: :math:`\sum_c (x_{ic} - x_{jc})^2`.

    Parameters
    ----------
    patterns : ndarray, shape (…, item, channel)
        One pattern an item. Noise adds to the distance: it is biased upwards, more for items with fewer trials.

    Returns
    -------
    ndarray, shape (…, pair)
        In squared units of the patterns, never negative.

    Examples
    --------
    >>> squared_euclidean(np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])).round(9).tolist()
    [25.0, 1.0, 18.0]
    """
    return np.asarray(np.maximum(_between(_gram(_tensor(_from_mean_item(patterns)))), 0))


def euclidean(patterns: Patterns) -> Condensed:
    r"""Give the length of the difference of two patterns, :math:`\sqrt{\sum_c (x_{ic} - x_{jc})^2}`.

    Parameters
    ----------
    patterns : ndarray, shape (…, item, channel)
        One pattern an item; whiten them first for a Mahalanobis distance.

    Returns
    -------
    ndarray, shape (…, pair)
        In units of the patterns.
    """
    return np.asarray(np.sqrt(squared_euclidean(patterns)))


def correlation(patterns: Patterns) -> Condensed:
    """Subtract the correlation over channels from 1.

    Parameters
    ----------
    patterns : ndarray, shape (…, item, channel)
        One pattern an item.

    Returns
    -------
    ndarray, shape (…, pair)
        Between 0 and 2; NaN where a pattern is the same in all channels.
    """
    x = _tensor(patterns)
    return _angles(x - x.mean(-1, keepdim=True))


def cosine(patterns: Patterns) -> Condensed:
    """Subtract the cosine of the angle between two patterns from 1.

    Parameters
    ----------
    patterns : ndarray, shape (…, item, channel)
        One pattern an item.

    Returns
    -------
    ndarray, shape (…, pair)
        Between 0 and 2; NaN where a pattern is zero.
    """
    return _angles(_tensor(patterns).clone())


def crossnobis(
    folds: Folds,
    precision: Float[NDArray[np.floating], "*fold channel channel"] | None = None,
    weights: Weights | None = None,
) -> Condensed:
    r"""Give the cross-validated squared Mahalanobis distance, divided by the number of channels.

    .. math:: d_{ij} = \frac{1}{C F (F - 1)} \sum_{f \ne g} (x_{if} - x_{jf})^\top \Sigma^{-1} (x_{ig} - x_{jg})

    Noise of different folds is independent, so the estimate is unbiased: zero on average where two items do not
    differ, and therefore negative in half of such cases. With one precision for all folds the sum is
    :math:`(S S^\top - \sum_f X_f X_f^\top)`, :math:`S = \sum_f X_f`: two products for any number of folds.

    Where items have unequal numbers of folds, or folds of unequal numbers of trials :math:`w_{if}`, the distance is
    :math:`k_{ii} + k_{jj} - 2 k_{ij}` with

    .. math:: k_{ij} = \frac{\sum_{f \ne g} w_{if} w_{jg} \, x_{if}^\top \Sigma^{-1} x_{jg}}
       {C \sum_{f \ne g} w_{if} w_{jg}}

    the mean over all pairs of trials from different folds (Schütt et al. 2023, eLife 12, e82566), unbiased too. Unlike
    the balanced distance it is not blind to a pattern that all items share, which adds noise where it is large.

    Parameters
    ----------
    folds : ndarray, shape (…, fold, item, channel)
        The mean pattern of each item in each fold; at least two folds.
    precision : ndarray, optional, shape (channel, channel) or (fold, channel, channel)
        Inverse noise covariance; for each fold that of the *other* folds, so that nothing is learned from the fold
        that is tested. Identity by default.
    weights : ndarray, optional, shape (fold, item)
        Trials behind each pattern, 0 where an item is not in a fold (whatever the pattern there). All alike by default.

    Returns
    -------
    ndarray, shape (…, pair)
        Walther et al. (2016), NeuroImage 137, 188-200. NaN for items in fewer than two folds.

    Examples
    --------
    >>> crossnobis(np.array([[[0.0, 0.0], [3.0, 4.0]], [[0.0, 0.0], [1.0, 0.0]]])).tolist()
    [1.5]
    """
    n_folds, n_channels = folds.shape[-3], folds.shape[-1]
    _check_folds(n_folds)
    if weights is not None:
        products = _between_folds(folds, weights, precision) / n_channels
        return _between(products).astype(folds.dtype, copy=False)
    scale = 1 / (n_folds * (n_folds - 1) * n_channels)
    x = _folds_last(_tensor(folds))  # (…, item, fold, channel)
    if precision is not None and precision.ndim == 3:
        whitened = (x.sum(-2, keepdim=True) - x).transpose(-3, -2) @ _tensor(precision.astype(folds.dtype))
        product = whitened.transpose(-3, -2).flatten(-2) @ x.flatten(-2).transpose(-1, -2)
        return _between((product + product.transpose(-1, -2)).mul_(scale / 2))
    if precision is not None:
        x = x @ torch.linalg.cholesky(_tensor(precision.astype(folds.dtype)))
    total, each = (part.flatten(0, -3) for part in (_batched(x.sum(-2)), _batched(x.flatten(-2))))
    products = torch.baddbmm(_gram(total), each, each.transpose(1, 2), beta=scale, alpha=-scale)
    return _between(products).reshape(*x.shape[:-3], -1)


def crossvalidated_correlation(folds: Folds, weights: Weights | None = None) -> Condensed:
    r"""Subtract from 1 a correlation whose covariances and variances come from different folds.

    .. math:: d_{ij} = 1 - \frac{k_{ij}}{\sqrt{k_{ii} k_{jj}}}, \qquad
       k_{ij} = \frac{1}{F (F - 1)} \sum_{f \ne g} x_{if}^\top x_{jg}

    with patterns centred over channels. A variance :math:`k_{ii}` below :data:`VARIANCE_FLOOR` of the ordinary one is
    raised to it.

    Parameters
    ----------
    folds : ndarray, shape (…, fold, item, channel)
        The mean pattern of each item in each fold; at least two folds.
    weights : ndarray, optional, shape (fold, item)
        As in :func:`crossnobis`; :math:`k_{ij}` is then the mean over pairs of trials from different folds.

    Returns
    -------
    ndarray, shape (…, pair)
        Not bounded by 0 and 2; NaN where a pattern is constant over channels.
    """
    n_folds = folds.shape[-3]
    _check_folds(n_folds)
    centred = folds - folds.mean(axis=-1, keepdims=True)
    if weights is None:
        x = _tensor(centred)
        total = x.sum(-3)  # (…, item, channel)
        products = (_gram(total) - _gram(_side_by_side(x))) / (n_folds * (n_folds - 1))
        ordinary = (total * total).sum(-1) / n_folds**2
    else:
        products = _between_folds(centred, weights)
        mean = _weighted(centred, weights).sum(-3) / torch.from_numpy(weights.sum(axis=0).astype(np.float64))[:, None]
        ordinary = (mean * mean).sum(-1)
    variance = torch.maximum(torch.diagonal(products, dim1=-2, dim2=-1), VARIANCE_FLOOR * ordinary)
    scale = torch.where(variance > 0, variance, torch.nan).rsqrt()
    distances = _numpy(1 - _upper(products * scale[..., :, None] * scale[..., None, :]))
    return distances.astype(folds.dtype, copy=False)


def sliding_grams(
    recording: Float[NDArray[np.floating], "item channel time"], window: int, refresh: int = 64
) -> Iterator[tuple[list[torch.Tensor], torch.Tensor]]:
    """Run over the windows of a time axis, keeping inner products of items over channels × samples up to date.

    A step adds the sample that comes in and subtracts the one that goes out: two thin products instead of one over the
    whole window. Products lie in panels of :data:`PANEL` items with themselves and all later ones, so that half of them
    are never made and each panel stays in the cache.

    Parameters
    ----------
    recording : ndarray, shape (item, channel, time)
        Patterns at every sample.
    window : int
        Samples in a window.
    refresh : int
        After so many steps the products are made anew, so that rounding cannot pile up.

    Yields
    ------
    panels : list of Tensor, shape (item of the panel, item from the panel's first)
        Inner products over the window; written to in place by the next step.
    sums : Tensor, shape (item,)
        Sums over the window, float64.
    """
    x = torch.from_numpy(times_first(recording))  # (time, item, channel)
    sums = torch.cumsum(torch.nn.functional.pad(x.sum(2, dtype=torch.float64).T, (1, 0)), 1)  # (item, time + 1)
    starts = range(0, x.shape[1], PANEL)
    panels: list[torch.Tensor] = []
    for begin in range(len(x) - window + 1):
        if begin % refresh == 0:
            whole = x[begin : begin + window].transpose(0, 1).flatten(1)
            panels = [whole[start : start + PANEL] @ whole[start:].T for start in starts]
        else:
            new, old = x[begin + window - 1], x[begin - 1]
            plus, minus = torch.cat([new, old], 1), torch.cat([new, -old], 1)
            for start, panel in zip(starts, panels, strict=True):
                panel.addmm_(plus[start : start + PANEL], minus[start:].T)
        yield panels, sums[:, begin + window] - sums[:, begin]


def sliding_correlation(
    recording: Float[NDArray[np.floating], "item channel time"], window: int, n_at_once: int = 1
) -> Iterator[Float[NDArray[np.floating], "row pair"]]:
    """Give the correlation distance over channels × samples of every window.

    Parameters
    ----------
    recording : ndarray, shape (item, channel, time)
        Patterns at every sample.
    window : int
        Samples in a window.
    n_at_once : int
        Windows of a block.

    Yields
    ------
    ndarray, shape (n_at_once or fewer, pair)
        As :func:`correlation` of the samples of the window laid side by side.
    """
    n_items, n_channels, n_times = recording.shape
    centred = recording - recording.mean(axis=(0, 1, 2), dtype=np.float64).astype(recording.dtype)
    grams = sliding_grams(centred, window)
    uppers = [_panel_upper(min(PANEL, n_items - start), n_items - start) for start in range(0, n_items, PANEL)]
    for begin in range(0, n_times - window + 1, n_at_once):
        n_rows = min(n_at_once, n_times - window + 1 - begin)
        block = torch.empty((n_rows, n_items * (n_items - 1) // 2), dtype=torch.from_numpy(recording[:0]).dtype)
        for row, (panels, sums) in zip(block, grams, strict=False):  # as many windows as the block has rows
            _write_correlation(row, panels, uppers, sums, n_channels * window)
        yield _numpy(block)


def _write_correlation(
    row: torch.Tensor, panels: list[torch.Tensor], uppers: list[torch.Tensor], sums: torch.Tensor, n_values: int
) -> None:
    """Write the correlation distances of one window, panel by panel."""
    own = torch.cat([torch.diagonal(panel) for panel in panels]).to(torch.float64)
    variance = own - sums * sums / n_values
    scale = torch.where(variance > 0, variance, torch.nan).rsqrt()
    level = (sums * scale / np.sqrt(n_values)).to(row.dtype)
    scale = scale.to(row.dtype)
    offset = start = 0
    for panel, upper in zip(panels, uppers, strict=True):
        here = slice(start, start + len(panel))
        minus = torch.mul(panel, -scale[here, None]).mul_(scale[start:]).addr_(level[here], level[start:])
        part = row[offset : offset + len(upper)]
        torch.index_select(minus.flatten(), 0, upper, out=part).add_(1)  # minus the correlation, and 1
        offset, start = offset + len(upper), start + len(panel)


def _panel_upper(n_rows: int, n_columns: int) -> torch.Tensor:
    """Give the places of pairs in a panel that begins on the diagonal, in condensed order."""
    row, column = np.triu_indices(n_rows, 1, n_columns)
    return torch.as_tensor(row * n_columns + column)


def _weighted(folds: NDArray[np.floating], weights: NDArray[np.floating]) -> torch.Tensor:
    """Multiply patterns with the trials behind them, in float64; those behind which there are none are zero."""
    present = np.where(weights[..., None] > 0, folds, 0).astype(np.float64, copy=False)
    return torch.from_numpy(np.ascontiguousarray(present * weights[..., None]))


def _between_folds(
    folds: NDArray[np.floating], weights: NDArray[np.floating], precision: NDArray[np.floating] | None = None
) -> torch.Tensor:
    """Average products of patterns over all pairs of trials from different folds; (…, item, item), float64."""
    x = _weighted(folds, weights)  # (…, fold, item, channel)
    total = x.sum(-3)
    counts = torch.from_numpy(np.asarray(weights, dtype=np.float64))
    n_trials = counts.sum(0)
    n_pairs = torch.outer(n_trials, n_trials) - counts.T @ counts
    n_pairs = torch.where(n_pairs > 0, n_pairs, torch.nan)
    if precision is not None and precision.ndim == 3:
        others = (total[..., None, :, :] - x) @ torch.from_numpy(np.asarray(precision, dtype=np.float64))
        product = (others @ x.transpose(-1, -2)).sum(-3)
        return 0.5 * (product + product.transpose(-1, -2)) / n_pairs
    if precision is not None:
        root = torch.linalg.cholesky(torch.from_numpy(np.asarray(precision, dtype=np.float64)))
        x, total = x @ root, total @ root
    return (_gram(total) - _gram(_side_by_side(x))) / n_pairs


def _check_folds(n_folds: int) -> None:
    if n_folds < 2:
        raise ValueError(
            f"folds: got {n_folds}; a cross-validated distance needs at least two, with noise of their own."
        )


def _from_mean_item(patterns: NDArray[np.floating]) -> NDArray[np.floating]:
    """Count patterns from the mean over items: differences stay, and their products cancel fewer digits."""
    mean = patterns.mean(axis=-2, keepdims=True)
    if np.isfinite(mean).all():
        return np.asarray(np.subtract(patterns, mean, order="C"))  # brought into order in the same pass
    known = np.isfinite(patterns)
    total = np.where(known, patterns, 0).sum(axis=-2, keepdims=True)
    return np.asarray(patterns - total / np.maximum(known.sum(axis=-2, keepdims=True), 1), dtype=patterns.dtype)


def _folds_last(folds: torch.Tensor) -> torch.Tensor:
    """Count patterns from the mean item and lay folds beside one another, in one pass; (…, item, fold, channel)."""
    turned = folds.transpose(-3, -2)
    mean = turned.mean(-3, keepdim=True)
    if not torch.isfinite(mean).all():
        mean = turned.nanmean(-3, keepdim=True)
    return torch.sub(turned, mean, out=torch.empty(turned.shape, dtype=folds.dtype))


def _batched(x: torch.Tensor) -> torch.Tensor:
    return x if x.dim() > 2 else x[None]


def _tensor(array: NDArray[np.floating]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def _numpy(tensor: torch.Tensor) -> NDArray[np.floating]:
    return np.asarray(tensor.numpy())


def _angles(x: torch.Tensor) -> NDArray[np.floating]:
    """Subtract cosines from 1; the patterns are overwritten."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    x /= torch.where(length > 0, length, torch.nan)
    cosines = _upper(_gram(x))
    return _numpy(torch.sub(torch.ones((), dtype=x.dtype), cosines, out=cosines))


def _gram(x: torch.Tensor) -> torch.Tensor:
    return x @ x.transpose(-1, -2)


def _side_by_side(folds: torch.Tensor) -> torch.Tensor:
    """Lay folds beside one another: (…, fold, item, channel) to (…, item, fold · channel)."""
    return folds.transpose(-3, -2).flatten(-2)


def _upper(square: torch.Tensor) -> torch.Tensor:
    n_items = square.shape[-1]
    first, second = pairs_of(n_items)
    return square.flatten(-2).index_select(-1, torch.as_tensor(first * n_items + second))


def _between(products: torch.Tensor) -> NDArray[np.floating]:
    """Turn inner products into squared distances: k_ii + k_jj - 2 k_ij."""
    own = torch.diagonal(products, dim1=-2, dim2=-1)
    squares = own[..., :, None] + own[..., None, :]
    return _numpy(_upper(squares.sub_(products, alpha=2)))
