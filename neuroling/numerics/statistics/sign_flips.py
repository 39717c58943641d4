r"""One-sample t under many flips of signs, as one product, so that equal flips tie to the last bit.

With values brought to length one, :math:`u_i = x_i / \lVert x \rVert`, a flip :math:`s` has the correlation
:math:`r = s^\top u / \sqrt n` with a constant, and

.. math:: t = \sqrt{n - 1} \; r / \sqrt{1 - r^2} .

:math:`r` has no unit and lies between -1 and 1, however small or large the values are; near 1 the root loses digits, so
that the flip which changes nothing, the one whose t is reported, is computed from deviations from the mean.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

LARGEST = 1 - 2.0**-52
"""Correlation with a constant beyond which nothing varies but rounding errors: |t| stays below about 10^8."""


MOST_SKEWNESS_VALUES = 2**22
"""Values of all flips that skewness is taken from; of more locations, evenly spaced ones. A heuristic."""


def flipped_t(
    values: Float[NDArray[np.floating], "subject location"], signs: Float[NDArray[np.floating], "draw subject"]
) -> Float[NDArray[np.float64], "draw location"]:
    r"""Give one-sample t over participants under many flips of their signs.

    Parameters
    ----------
    values : ndarray, shape (subject, location)
        Scores counted from chance, not all equal at any location.
    signs : ndarray, shape (draw, subject)
        1 or -1.

    Returns
    -------
    ndarray, shape (draw, location)
        Flips of all signs, or of none, give the t of the values, or its negative, to the last bit.

    Examples
    --------
    >>> flipped_t(np.array([[1.0], [2.0], [3.0]]), np.array([[1.0, 1, 1], [-1, 1, 1]])).round(3).tolist()
    [[3.464], [1.109]]
    """
    n, unit = len(values), _unit_length(values)
    r = np.clip(signs @ unit / np.sqrt(n), -LARGEST, LARGEST)
    t = np.sqrt(n - 1) * r / np.sqrt((1 - r) * (1 + r))
    same = np.abs(signs.sum(axis=1)) == n
    if same.any():
        t[same] = signs[same, :1] * _t(unit)
    return np.asarray(t)


def resolution_of_t(t: Float[NDArray[np.float64], " location"], n: int) -> Float[NDArray[np.float64], " location"]:
    r"""Give the rounding error of t that follows from errors of its correlation with a constant.

    Parameters
    ----------
    t : ndarray, shape (location,)
        Over participants.
    n : int
        Number of participants.

    Returns
    -------
    ndarray, shape (location,)
        :math:`\delta t = (n - 1 + t^2)^{3/2} \delta r / (n - 1)`.
    """
    error = 8 * n * np.finfo(np.float64).eps
    return np.asarray((n - 1 + t**2) ** 1.5 / (n - 1) * error)


def resampled_counts(n: int, n_draws: int, rng: np.random.Generator) -> Float[NDArray[np.float64], "draw subject"]:
    """Draw participants with replacement: how often each occurs, at least two different ones in every draw.

    Parameters
    ----------
    n : int
        Number of participants.
    n_draws : int
        Number of draws.
    rng : numpy.random.Generator
        Source of the draws.

    Examples
    --------
    >>> resampled_counts(4, 3, np.random.default_rng(0)).sum(axis=1).tolist()
    [4.0, 4.0, 4.0]
    """
    counts = rng.multinomial(n, np.full(n, 1 / n), size=n_draws)
    while (alone := counts.max(axis=1) == n).any():
        counts[alone] = rng.multinomial(n, np.full(n, 1 / n), size=int(alone.sum()))
    return np.asarray(counts, dtype=np.float64)


def resampled_t(
    deviations: Float[NDArray[np.floating], "subject location"], counts: Float[NDArray[np.floating], "draw subject"]
) -> Float[NDArray[np.float64], "draw location"]:
    r"""Give t of resampled deviations from the mean, whose own mean is zero.

    Parameters
    ----------
    deviations : ndarray, shape (subject, location)
        Of mean zero.
    counts : ndarray, shape (draw, subject)
        How often each participant occurs.

    Returns
    -------
    ndarray, shape (draw, location)
        :math:`\bar d^* / \sqrt{(\overline{d^{*2}} - \bar d^{*2}) / (n - 1)}`, as large as rounding can tell where all
        drawn deviations are the same.

    Examples
    --------
    >>> resampled_t(np.array([[-1.0], [0.0], [1.0]]), np.array([[1.0, 1, 1], [0, 1, 2]])).round(3).tolist()
    [[0.0], [2.0]]
    """
    n, unit = len(deviations), _unit_length(deviations)
    mean, square = counts @ unit / n, counts @ unit**2 / n
    least = np.maximum(mean**2 * (1 - LARGEST), np.finfo(np.float64).tiny)
    return np.asarray(mean / np.sqrt(np.maximum(square - mean**2, least) / (n - 1)))


def mean_skewness(
    values: Float[NDArray[np.floating], "subject location"],
    signs: Float[NDArray[np.floating], "draw subject"],
    side: int,
) -> tuple[float, float]:
    """Give the skewness over participants, mean over locations, and how often flips of deviations are as skewed.

    Parameters
    ----------
    values : ndarray, shape (subject, location)
        Scores.
    signs : ndarray, shape (draw, subject)
        1 or -1; flips of whole participants keep what locations have in common.
    side : int
        1 or -1 for skewness of that sign, 0 for either.

    Returns
    -------
    skewness : float
    share : float
        Of flips that are at least as skewed, the data included.

    Examples
    --------
    >>> skewed, share = mean_skewness(np.array([[0.0], [0], [0], [1]]), np.ones((9, 4)), 1)
    >>> round(skewed, 3), share
    (1.155, 1.0)
    """
    step = -(-values.size * len(signs) // MOST_SKEWNESS_VALUES)
    deviations = _unit_length(values[:, ::step] - values[:, ::step].mean(axis=0))
    observed = _skewness(deviations[None])[0]
    flipped = _skewness(signs[:, :, None] * deviations[None])
    one_sided = side * flipped >= side * observed - 1e-12
    at_least = one_sided if side else np.abs(flipped) >= abs(observed) - 1e-12
    return float(observed), float((1 + at_least.sum()) / (1 + len(signs)))


def _skewness(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the skewness over participants, mean over locations: (draw, subject, location) -> (draw,)."""
    deviations = values - values.mean(axis=1, keepdims=True)
    spread = (deviations**2).mean(axis=1)
    third = (deviations**3).mean(axis=1)
    per_location = np.divide(third, spread**1.5, out=np.zeros_like(third), where=spread > 0)
    return np.asarray(per_location.mean(axis=1))


def _unit_length(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Bring columns to length one, in steps that neither overflow nor underflow."""
    wide = values.astype(np.float64)
    size = np.abs(wide).max(axis=0)
    scaled = wide / np.where(size > 0, size, 1.0)
    return np.asarray(scaled / np.where(size > 0, np.linalg.norm(scaled, axis=0), 1.0))


def _t(unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give t of the values as they are, from deviations from their mean."""
    n, mean = len(unit), unit.mean(axis=0)
    spread = np.sqrt(((unit - mean) ** 2).sum(axis=0) / (n - 1))
    least = np.abs(mean) * np.sqrt(2 * (1 - LARGEST))
    return np.asarray(np.sqrt(n) * mean / np.maximum(spread, np.maximum(least, np.finfo(np.float64).tiny)))
