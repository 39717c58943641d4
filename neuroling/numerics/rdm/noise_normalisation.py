r"""Noise covariance and what it takes to divide by it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

Covariance = Float[NDArray[np.floating], "channel channel"]


def residuals(
    repeats: Float[NDArray[np.floating], "repeat item *rest"],
) -> Float[NDArray[np.floating], "repeat item *rest"]:
    """Count every repeat from the mean over the repeats of its item.

    Parameters
    ----------
    repeats : ndarray, shape (repeat, item, …)
        At least two repeats; NaN throughout where an item lacks one.

    Returns
    -------
    ndarray, same shape
        Noise, less the share that went into the mean: ``(n - 1) / n`` of its variance. NaN where there is none.
    """
    if repeats.shape[0] < 2:
        raise ValueError(
            f"repeats: got {repeats.shape[0]}; noise is what differs between at least two repeats of an item."
        )
    is_absent = absent_repeats(repeats)
    if not is_absent.any():
        return np.asarray(repeats - repeats.mean(axis=0))
    axes = tuple(range(2, repeats.ndim))
    n_present = np.expand_dims((~is_absent).sum(axis=0), [axis - 1 for axis in axes])
    present = np.where(np.expand_dims(is_absent, axes), 0, repeats)
    mean = present.sum(axis=0) / np.maximum(n_present, 1)
    return np.asarray(repeats - mean.astype(repeats.dtype))


def absent_repeats(repeats: Float[NDArray[np.floating], "repeat item *rest"]) -> Bool[NDArray[np.bool_], "repeat item"]:
    """Say which items lack which repeats: their values are NaN throughout.

    Parameters
    ----------
    repeats : ndarray, shape (repeat, item, …)
        Patterns.

    Returns
    -------
    ndarray of bool, shape (repeat, item)
    """
    flat = repeats.reshape(*repeats.shape[:2], -1)
    is_absent = np.isnan(flat[..., 0])  # a look at one value each before all are read
    return np.asarray(is_absent & np.isnan(flat).all(axis=-1) if is_absent.any() else is_absent)


def shrunk_covariance(noise: Float[NDArray[np.floating], "sample channel"], degrees_lost: int = 0) -> Covariance:
    r"""Estimate a covariance, shrunk towards a multiple of the identity by the amount that the data ask for.

    .. math:: \hat\Sigma = (1 - \lambda) S + \lambda \mu I, \qquad
       \lambda = \min\left(1, \frac{\sum_k \lVert x_k x_k^\top - S \rVert^2}{n^2 \lVert S - \mu I \rVert^2}\right)

    with :math:`\mu` the mean variance (Ledoit and Wolf 2004, J Multivar Anal 88, 365-411).

    Parameters
    ----------
    noise : ndarray, shape (sample, channel)
        Zero on average.
    degrees_lost : int
        How many means were subtracted; the estimate is divided by ``n - degrees_lost``.

    Returns
    -------
    ndarray, shape (channel, channel)
        Float64, invertible unless the noise is zero.
    """
    n_samples, n_channels = noise.shape
    if n_samples <= degrees_lost:
        raise ValueError(
            f"noise: {n_samples} samples less {degrees_lost} means leave nothing to estimate a covariance from."
        )
    x = noise.astype(np.float64, copy=False)
    covariance = x.T @ x / n_samples
    mean = np.trace(covariance) / n_channels
    if not mean > 0:
        raise ValueError("noise: it is zero throughout (or NaN), so there is nothing to whiten with.")
    squares = x * x
    spread = (squares.T @ squares / n_samples - covariance**2).sum() / n_samples
    distance = ((covariance - mean * np.eye(n_channels)) ** 2).sum()
    shrinkage = 1.0 if distance <= spread else spread / distance
    scale = n_samples / (n_samples - degrees_lost)
    return np.asarray(scale * ((1 - shrinkage) * covariance + shrinkage * mean * np.eye(n_channels)))


def noise_covariance(repeats: Float[NDArray[np.floating], "repeat item channel time"]) -> Covariance:
    """Pool the covariance of residuals over items and times, shrunk.

    Parameters
    ----------
    repeats : ndarray, shape (repeat, item, channel, time)
        At least two repeats; NaN throughout where an item lacks one. Items with a single repeat show no noise.

    Returns
    -------
    ndarray, shape (channel, channel)
        Of a single repeat. The "epoch" method of Guggenmos, Sterzer and Cichy (2018), pooled before it is shrunk.
    """
    n_channels, n_times = repeats.shape[2:]
    n_repeats = (~absent_repeats(repeats)).sum(axis=0)  # (item,)
    shows_noise = n_repeats > 1
    noise = np.moveaxis(residuals(repeats[:, shows_noise]), 2, -1)  # (repeat, item, time, channel)
    noise = noise[~absent_repeats(noise)].reshape(-1, n_channels)
    return shrunk_covariance(noise, degrees_lost=int(shows_noise.sum()) * n_times)


def inverse_root(covariance: Covariance) -> Covariance:
    r"""Give :math:`\Sigma^{-1/2}`, symmetric: multiplied with it, noise has unit variance in every direction.

    Parameters
    ----------
    covariance : ndarray, shape (channel, channel)
        Positive definite.

    Returns
    -------
    ndarray, shape (channel, channel)
    """
    values, vectors = np.linalg.eigh(covariance)
    if values[0] <= np.finfo(covariance.dtype).eps * values[-1]:
        raise ValueError(
            f"covariance: its smallest eigenvalue {values[0]:.3g} is nothing beside the largest {values[-1]:.3g}; "
            "shrink it, or leave out channels that are combinations of others (an average reference makes one)."
        )
    return np.asarray((vectors / np.sqrt(values)) @ vectors.T)


def training_precisions(
    repeats: Float[NDArray[np.floating], "repeat item channel time"],
) -> Float[NDArray[np.floating], "repeat channel channel"]:
    """Give for each fold the inverse noise covariance of all other folds.

    Parameters
    ----------
    repeats : ndarray, shape (repeat, item, channel, time)
        At least three folds, so that two are left to see noise between.

    Returns
    -------
    ndarray, shape (repeat, channel, channel)
        Entry ``f`` has not seen fold ``f``.
    """
    n_repeats = repeats.shape[0]
    if n_repeats < 3:
        raise ValueError(
            f"repeats: got {n_repeats}; noise learned on training folds only needs at least three folds. Make more "
            "folds of fewer trials, or hand over a noise covariance from elsewhere, such as the baseline."
        )
    roots = [inverse_root(noise_covariance(np.delete(repeats, fold, axis=0))) for fold in range(n_repeats)]
    return np.stack([root @ root for root in roots])
