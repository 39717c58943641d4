"""How far back a series resembles itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEAST = 0.05
"""Correlation below which two rows count as unlike, however long the series: 0.25 % of the variance."""

BAND = 1.96
"""Standard errors of a correlation of white noise, within which an autocorrelation counts as none."""

QUANTILE = 0.9
"""Series that are to resemble themselves no longer; of white noise at most 2.5 % exceed the band at lag 1."""


def autocorrelation(runs: Sequence[NDArray[np.floating]], n_lags: int) -> NDArray[np.float64]:
    r"""Estimate the autocorrelation of series that are interrupted between runs.

    :math:`r_k = \frac{\sum_t d_t d_{t+k} / N_k}{\sum_t d_t^2 / N_0}`, where :math:`d` is the distance from the mean of
    a run, sums go over the pairs of rows of all runs that are :math:`k` apart, and :math:`N_k` counts them. One Fourier
    transform per run gives all lags.

    Parameters
    ----------
    runs : sequence of ndarray, shape (time, series)
        Rows of each run.
    n_lags : int
        Largest lag, below the length of the longest run.

    Returns
    -------
    ndarray, shape (lag, series)
        Lags 0 to ``n_lags``; NaN for a series that is constant.

    Examples
    --------
    >>> wave = np.tile([1.0, -1.0], 50)[:, np.newaxis]
    >>> autocorrelation([wave], 2).ravel().round(6).tolist()
    [1.0, -1.0, 1.0]
    """
    total = np.zeros((n_lags + 1, runs[0].shape[1]))
    n_pairs = np.zeros(n_lags + 1)
    for run in runs:
        distance = run.astype(np.float64) - run.mean(axis=0, dtype=np.float64)
        spectrum = np.fft.rfft(distance, 2 * len(run), axis=0)  # padded, so that no end meets a beginning
        products = np.fft.irfft(np.abs(spectrum) ** 2, 2 * len(run), axis=0)[: min(n_lags + 1, len(run))]
        total[: len(products)] += products
        n_pairs[: len(products)] += len(run) - np.arange(len(products))
    mean_product = total / np.maximum(n_pairs, 1)[:, np.newaxis]
    variance = np.where(mean_product[0] > 0, mean_product[0], np.nan)
    return np.asarray(mean_product / variance)


def autocorrelation_reach(runs: Sequence[NDArray[np.floating]], n_lags: int) -> int:
    r"""Say over how many rows series resemble themselves: the lags before their autocorrelation is first lost in noise.

    Lost is what lies below :math:`\max(0.05, 1.96 / \sqrt{N})` with :math:`N` rows in all runs. The reach is that of
    the series at the 90th percentile, so that a few wild ones do not decide.

    Parameters
    ----------
    runs : sequence of ndarray, shape (time, series)
        Rows of each run.
    n_lags : int
        Largest lag that is looked at.

    Returns
    -------
    int
        From 0 (white noise) to ``n_lags``, which says that it is at least that.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal((400, 30))
    >>> autocorrelation_reach([noise], 20), autocorrelation_reach([np.cumsum(noise, axis=0)], 20)
    (0, 20)
    """
    if n_lags < 1:
        return 0
    correlations = autocorrelation(runs, n_lags)[1:]
    threshold = max(LEAST, BAND / np.sqrt(sum(len(run) for run in runs)))
    varying = np.isfinite(correlations).all(axis=0)
    if not varying.any():
        return 0
    lost = correlations[:, varying] < threshold  # (lag, series)
    reach = np.where(lost.any(axis=0), lost.argmax(axis=0), n_lags)
    return int(np.quantile(reach, QUANTILE, method="higher"))
