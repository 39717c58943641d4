r"""Regression on lagged features without building the lagged matrix.

With features :math:`x_t` and lags :math:`l_1, \dots, l_L` in a row, the lagged row is
:math:`d_t = (x_{t - l_L}, \dots, x_{t - l_1})`, blocks in order of time. Its second moments over a stretch of rows,
:math:`G_{ij} = \sum_t d_{ti} d_{tj}^\top`, are almost Toeplitz: moving both blocks on by one drops the first row of the
stretch and adds the one behind its end,

.. math:: G_{i+1,j+1} = G_{ij} - d_{a i} d_{a j}^\top + d_{b i} d_{b j}^\top ,

so the first row of blocks and two rows a stretch give all of :math:`G`. Moments of folds add up, and ridge, its
predictions' correlation with the recording and their errors all follow from them: a whole search over folds and
penalties reads the time series three times (once for all rows, twice for the held-out ones).

What lies outside a run counts as the mean of the training rows, as in MNE. To allow for a mean that is known only
later, every lagged row carries, beside the features, whether it lies inside the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from neuroling.numerics.device import to_tensor
from neuroling.numerics.products import cholesky_solve, multiply

CHUNK_VALUES = 2**23
"""Lagged values held at once (64 MB in float64); a heuristic."""


class Lagged(NamedTuple):
    """Features laid out so that every lagged row is one stretch of memory.

    Attributes
    ----------
    padded : Tensor, shape (padded, feature + 1)
        Runs end to end with room for the lags between them; last column: 1 inside a run, 0 outside. float64.
    starts : ndarray of int, shape (sample,)
        Row of ``padded`` at which the lagged row of each sample begins.
    complete : ndarray of bool, shape (sample,)
        Whether all lags of a sample lie inside its run.
    n_lags, last : int
        Number of lags, and the last of them: the sample itself is so many rows behind the beginning of its lagged row.
    """

    padded: torch.Tensor
    starts: NDArray[np.int64]
    complete: NDArray[np.bool_]
    n_lags: int
    last: int

    @property
    def width(self) -> int:
        """Values of a lagged row, the marks of being inside a run among them."""
        return int(self.n_lags * self.padded.shape[1])

    def rows(self, starts: NDArray[np.int64]) -> torch.Tensor:
        """Copy lagged rows out.

        Parameters
        ----------
        starts : ndarray of int, shape (row,)
            Rows of ``padded`` at which they begin.

        Returns
        -------
        Tensor, shape (row, width)
        """
        step = self.padded.shape[1]
        windows = self.padded.as_strided((len(self.padded) - self.n_lags + 1, self.width), (step, 1))
        return windows[torch.from_numpy(starts).to(self.padded.device)]

    def recentred(self, mean: NDArray[np.floating]) -> Lagged:
        """Count features from another mean; outside runs they stay at zero.

        Parameters
        ----------
        mean : ndarray, shape (feature,)
            To be subtracted.

        Returns
        -------
        Lagged
        """
        shift = self.padded[:, -1:] * to_tensor(mean, self.padded.device, torch.float64)
        return self._replace(padded=torch.cat([self.padded[:, :-1] - shift, self.padded[:, -1:]], dim=1))


class Moments(NamedTuple):
    """Sums over rows, everything that ridge on lagged features needs to know of them.

    Attributes
    ----------
    gram : Tensor, shape (width, width)
        Second moments of lagged rows.
    cross : Tensor, shape (width, target)
        Of lagged rows with targets.
    reach : Tensor, shape (width,)
        Sum of lagged rows.
    x_sum : Tensor, shape (feature,)
        Sum of features, not lagged.
    y_sum, y_squares : Tensor, shape (target,)
        Sums of targets and of their squares.
    n : int
        Number of rows.
    """

    gram: torch.Tensor
    cross: torch.Tensor
    reach: torch.Tensor
    x_sum: torch.Tensor
    y_sum: torch.Tensor
    y_squares: torch.Tensor
    n: int

    def without(self, other: Moments) -> Moments:
        """Take the rows of another set out.

        Parameters
        ----------
        other : Moments
            Of some of the same rows.

        Returns
        -------
        Moments
        """
        return Moments(
            self.gram - other.gram,
            self.cross - other.cross,
            self.reach - other.reach,
            self.x_sum - other.x_sum,
            self.y_sum - other.y_sum,
            self.y_squares - other.y_squares,
            self.n - other.n,
        )


class Centred(NamedTuple):
    """Moments of lagged features and targets counted from given means; what lies outside a run is the mean.

    Attributes
    ----------
    gram : Tensor, shape (lag × feature, lag × feature)
    cross : Tensor, shape (lag × feature, target)
    reach : Tensor, shape (lag × feature,)
    y_sum, y_squares : Tensor, shape (target,)
    n : int
    """

    gram: torch.Tensor
    cross: torch.Tensor
    reach: torch.Tensor
    y_sum: torch.Tensor
    y_squares: torch.Tensor
    n: int

    def scaled(self, scale: torch.Tensor) -> Centred:
        """Multiply every lagged feature by a number.

        Parameters
        ----------
        scale : Tensor, shape (lag × feature,)

        Returns
        -------
        Centred
        """
        return self._replace(
            gram=scale[:, None] * self.gram * scale, cross=scale[:, None] * self.cross, reach=scale * self.reach
        )


def lay_out(
    X: Float[NDArray[np.floating], "sample feature"],
    runs: Sequence[NDArray[np.integer]],
    lags: tuple[int, int],
    device: torch.device,
) -> Lagged:
    """Lay features out for lagging.

    Parameters
    ----------
    X : ndarray, shape (sample, feature)
        Features.
    runs : sequence of ndarray of int
        Rows of each run, in order of time.
    lags : tuple of int
        First and last lag in samples, both included; a positive one looks back.
    device : torch.device
        Where to compute.

    Returns
    -------
    Lagged
    """
    first, last = lags
    before, after = max(last, 0), max(-first, 0)
    padded = np.zeros((sum(len(run) + before + after for run in runs) + 1, X.shape[1] + 1))
    starts, complete = np.empty(len(X), np.int64), np.empty(len(X), bool)
    offset = 0
    for run in runs:
        time = np.arange(len(run))
        padded[offset + before : offset + before + len(run), :-1] = X[run]
        padded[offset + before : offset + before + len(run), -1] = 1.0
        starts[run] = offset + before + time - last
        complete[run] = (time >= last) & (time - first < len(run))
        offset += len(run) + before + after
    room = last - first + 1  # the window behind the last row must exist, though it is never summed
    padded = np.vstack([padded, np.zeros((room, padded.shape[1]))])
    return Lagged(to_tensor(padded, device, torch.float64), starts, complete, room, last)


def moments(lagged: Lagged, Y: torch.Tensor, rows: Int[NDArray[np.integer], " row"]) -> Moments:
    """Sum over rows.

    Parameters
    ----------
    lagged : Lagged
        Features.
    Y : Tensor, shape (sample, target)
        Targets, float64.
    rows : ndarray of int, shape (row,)
        Samples to sum over, ascending.

    Returns
    -------
    Moments
    """
    starts, step = lagged.starts[rows], lagged.padded.shape[1]
    sums = torch.zeros((lagged.width, step + Y.shape[1] + 1), dtype=torch.float64, device=Y.device)
    y_squares = torch.zeros(Y.shape[1], dtype=torch.float64, device=Y.device)
    size = max(1, CHUNK_VALUES // lagged.width)
    for place in range(0, len(rows), size):
        chunk = lagged.rows(starts[place : place + size])  # (row, width)
        y = Y[torch.from_numpy(np.asarray(rows[place : place + size], np.int64)).to(Y.device)]
        ones = torch.ones((len(chunk), 1), dtype=torch.float64, device=Y.device)
        sums += multiply(chunk.T, torch.cat([chunk[:, :step], y, ones], dim=1))
        y_squares += y.square().sum(0)
    inside = Y[torch.from_numpy(np.asarray(rows, np.int64)).to(Y.device)].sum(0)
    first_blocks, cross, reach = sums[:, :step], sums[:, step:-1], sums[:, -1]
    return Moments(
        _toeplitz(lagged, starts, first_blocks), cross, reach, _x_sum(lagged, starts), inside, y_squares, len(rows)
    )


def _x_sum(lagged: Lagged, starts: NDArray[np.int64]) -> torch.Tensor:
    """Sum of the features at the rows themselves, (feature,)."""
    return lagged.padded[torch.from_numpy(starts + lagged.last).to(lagged.padded.device), :-1].sum(0)


def _toeplitz(lagged: Lagged, starts: NDArray[np.int64], first_blocks: torch.Tensor) -> torch.Tensor:
    """Fill the second moments from their first row of blocks: (width, step) -> (width, width)."""
    step, width = lagged.padded.shape[1], lagged.width
    cuts = np.flatnonzero(np.diff(starts) != 1)
    begins, ends = starts[np.append(0, cuts + 1)], starts[np.append(cuts, len(starts) - 1)] + 1
    dropped, added = lagged.rows(begins), lagged.rows(ends)  # (stretch, width)
    change = multiply(added.T, added) - multiply(dropped.T, dropped)  # (width, width)
    gram = torch.empty((width, width), dtype=torch.float64, device=change.device)
    gram[:step] = first_blocks.T
    for at in range(step, width, step):
        before = slice(at - step, at)
        gram[at : at + step, at:] = gram[before, at - step : width - step] + change[before, at - step : width - step]
        gram[at:, at : at + step] = gram[at : at + step, at:].T
        gram[at : at + step, :at] = gram[:at, at : at + step].T
    return gram


def centred(sums: Moments, x_mean: torch.Tensor, y_mean: torch.Tensor) -> Centred:
    """Count moments from means of features and targets.

    Parameters
    ----------
    sums : Moments
        Of any rows.
    x_mean : Tensor, shape (feature,)
        Mean of the training rows.
    y_mean : Tensor, shape (target,)
        Mean of the training rows.

    Returns
    -------
    Centred
    """
    n_features, step = len(x_mean), len(x_mean) + 1
    n_lags = len(sums.gram) // step
    shift = torch.cat([torch.eye(n_features, dtype=torch.float64, device=x_mean.device), -x_mean[None]])  # (step, f)
    half = torch.einsum("iaw,af->ifw", sums.gram.view(n_lags, step, -1), shift)  # (lag, f, width)
    half = half.reshape(n_lags * n_features, n_lags, step)
    gram = (half @ shift).reshape(n_lags * n_features, n_lags * n_features)
    cross = torch.einsum("iac,af->ifc", sums.cross.view(n_lags, step, -1), shift).reshape(n_lags * n_features, -1)
    reach = (sums.reach.view(n_lags, step) @ shift).reshape(-1)
    return Centred(
        gram,
        cross - reach[:, None] * y_mean,
        reach,
        sums.y_sum - sums.n * y_mean,
        sums.y_squares - 2 * y_mean * sums.y_sum + sums.n * y_mean**2,
        sums.n,
    )


def penalised_weights(train: Centred, alpha: float) -> torch.Tensor | None:
    """Solve ridge for one penalty and all targets.

    Parameters
    ----------
    train : Centred
        Moments of the training rows.
    alpha : float
        Penalty, as added to the second moments.

    Returns
    -------
    Tensor, shape (lag × feature, target), or None
        None where the moments are too near to singular for this penalty.
    """
    penalised = train.gram.clone()
    penalised.diagonal().add_(alpha)
    factor, failed = torch.linalg.cholesky_ex(penalised)
    if int(failed):
        return None
    return cholesky_solve(train.cross, factor)


def held_out_correlation(weights: torch.Tensor, test: Centred) -> torch.Tensor:
    r"""Correlate predictions with the recording, from moments alone.

    Parameters
    ----------
    weights : Tensor, shape (lag × feature, target)
        From the training rows.
    test : Centred
        Moments of the test rows, counted from the training means.

    Returns
    -------
    Tensor, shape (target,)
        Pearson's r; NaN where prediction or recording is constant.
    """
    together = (weights * test.cross).sum(0)
    squares = (weights * multiply(test.gram, weights)).sum(0)
    total = test.reach @ weights
    covariance = together - total * test.y_sum / test.n
    variance = (squares - total**2 / test.n) * (test.y_squares - test.y_sum**2 / test.n)
    defined = variance > 0
    return torch.where(defined, covariance / torch.where(defined, variance, 1.0).sqrt(), torch.nan)
