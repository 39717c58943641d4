"""Slow trends of runs: polynomials in time, by least squares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Int
from numpy.typing import NDArray


class SharedCourse(NamedTuple):
    """What all runs have in common.

    ``p`` is that of one slow course in all runs, ``share`` its part of the variance, without bias, and ``likeness`` the
    mean correlation between runs at all frequencies: 1 where they are copies, such as runs with the same stimuli.
    """

    p: float
    share: float
    likeness: float


def polynomial_trends(
    values: Float[NDArray[np.floating], "sample column"], runs: Sequence[Int[NDArray[np.integer], " row"]], degree: int
) -> Float[NDArray[np.floating], "sample column"]:
    """Fit a polynomial in time to every column in every run.

    Parameters
    ----------
    values : ndarray, shape (sample, column)
        Finite.
    runs : sequence of ndarray of int, shape (row,)
        Rows of each run, in time; together all rows.
    degree : int
        Of the polynomial; 0 is the mean of the run.

    Returns
    -------
    ndarray, shape (sample, column)
        The fitted trends, in the dtype of ``values``.

    Examples
    --------
    >>> values = np.array([[0.0], [1.0], [2.0], [5.0], [5.0], [5.0]])
    >>> np.abs(polynomial_trends(values, [np.arange(3), np.arange(3, 6)], 1)).round(6).ravel().tolist()
    [0.0, 1.0, 2.0, 5.0, 5.0, 5.0]
    """
    trends = np.empty_like(values)
    for rows in runs:
        basis = orthonormal_polynomials(len(rows), degree)
        trends[rows] = basis @ (basis.T @ values[rows].astype(np.float64))
    return trends


def orthonormal_polynomials(n: int, degree: int) -> Float[NDArray[np.float64], "row power"]:
    """Give orthonormal polynomials up to a degree on equally spaced rows.

    Parameters
    ----------
    n : int
        Number of rows.
    degree : int
        Highest degree; fewer columns where there are fewer rows.

    Examples
    --------
    >>> orthonormal_polynomials(4, 1).round(2).tolist()
    [[0.5, -0.67], [0.5, -0.22], [0.5, 0.22], [0.5, 0.67]]
    """
    time = np.linspace(-1, 1, n)
    powers = np.polynomial.legendre.legvander(time, min(degree, n - 1))
    basis, triangle = np.linalg.qr(powers)
    return np.asarray(basis * np.sign(np.diagonal(triangle)))


def shared_course(
    values: Float[NDArray[np.floating], "sample column"],
    runs: Sequence[Int[NDArray[np.integer], " row"]],
    degree: int,
    rng: np.random.Generator,
    *,
    n_harmonics: int = 4,
    n_rotations: int = 499,
) -> SharedCourse:
    r"""Measure how much of the variance is one slow course that all runs follow, beside polynomials, and test it.

    With :math:`F_{rhc}` the Fourier coefficient of run :math:`r` at harmonic :math:`h` in column :math:`c`, runs that
    share a course have a large :math:`\sum_{hc} |\sum_r F_{rhc}|^2`. A rotation of a run by an angle :math:`d` turns
    its coefficients by :math:`hd`, which leaves its autocorrelation as it is: rotations of all runs, each by itself,
    are the null.

    Parameters
    ----------
    values : ndarray, shape (sample, column)
        Finite.
    runs : sequence of ndarray of int, shape (row,)
        Rows of each run, in time; runs of other lengths are compared at the same shares of their length.
    degree : int
        Polynomials that are subtracted from every run, as :func:`polynomial_trends` fits them.
    rng : numpy.random.Generator
        Draws the rotations.
    n_harmonics : int
        Slowest harmonics that are looked at: periods from the length of a run to a quarter of it.
    n_rotations : int
        Draws of the null.

    Returns
    -------
    SharedCourse

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> runs = [np.arange(50) + 50 * run for run in range(4)]
    >>> noise = rng.standard_normal((200, 3))
    >>> steps = np.tile(np.repeat([0.0, 2.0], 25), 4)[:, None]
    >>> shared_course(noise, runs, 2, rng).p > 0.05, shared_course(noise + steps, runs, 2, rng).p < 0.01
    (True, True)
    """
    left = values - polynomial_trends(values, runs, degree)
    spread = left.std(axis=0)
    left = left[:, spread > 0] / spread[spread > 0]
    n_most = min(map(len, runs)) // 2
    waves = np.stack([np.fft.rfft(left[rows], axis=0)[1 : n_most + 1] / len(rows) for rows in runs])
    slow = waves[:, :n_harmonics]  # (run, harmonic, column)
    observed = (np.abs(slow.sum(axis=0)) ** 2).sum()
    angles = rng.uniform(0, 2 * np.pi, (n_rotations, len(runs), 1)) * np.arange(1, slow.shape[1] + 1)
    turned = np.einsum("drh,rhc->dhc", np.exp(1j * angles), slow)  # (draw, harmonic, column)
    drawn = (np.abs(turned) ** 2).sum(axis=(1, 2))
    power = sum(float((left[rows] ** 2).mean(axis=0).sum()) for rows in runs) / 2  # waves come in conjugate pairs
    likeness = _shared_power(waves) / max(float((np.abs(waves) ** 2).sum()), np.finfo(float).tiny)
    share = _shared_power(slow) / max(power, np.finfo(float).tiny)
    return SharedCourse(float((1 + (drawn >= observed).sum()) / (1 + n_rotations)), share, likeness)


def _shared_power(waves: Complex[NDArray[np.complexfloating], "run harmonic column"]) -> float:
    """Give the power that runs have in common, over all runs; its expectation is 0 for runs that share nothing."""
    together, alone = (np.abs(waves.sum(axis=0)) ** 2).sum(), (np.abs(waves) ** 2).sum()
    return float((together - alone) / (len(waves) - 1))
