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
