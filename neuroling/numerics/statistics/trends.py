"""Slow trends of runs: polynomials in time, by least squares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray


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
