"""Random effects that share a grouping factor, and what a mixed model cannot do with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

Array = NDArray[np.float64]

ROUNDING = 64 * float(np.finfo(np.float64).eps)
"""Spread, relative to the numbers that are summed, that float64 does not tell from rounding in hundreds of them."""

INDISTINCT = 1e-10
"""Share of a variance's effect on the rows below which it counts as none: rounding leaves 1e-14 of it, and a slope of
values that vary by 1e-5 of their mean some 1e-10 beside the intercept."""


@dataclass(frozen=True)
class RandomTerm:
    """Random effects that share one grouping factor.

    Attributes
    ----------
    group : ndarray of int, shape (row,)
        Level of the factor in each row, 0 … levels - 1.
    columns : ndarray, shape (row, effect)
        What varies by level: ones for an intercept, a predictor for a slope.
    correlated : bool
        Whether the effects of a level may correlate with one another.
    names : tuple of str
        What to call the effects in messages; none for their numbers.
    """

    group: NDArray[np.intp]
    columns: Array
    correlated: bool = False
    names: tuple[str, ...] = ()

    @property
    def n_levels(self) -> int:
        """Number of levels."""
        return int(self.group.max()) + 1

    @property
    def n_effects(self) -> int:
        """Number of effects of each level."""
        return int(self.columns.shape[1])

    @property
    def n_parameters(self) -> int:
        """Number of entries of theta that belong to this term."""
        return self.n_effects * (self.n_effects + 1) // 2 if self.correlated else self.n_effects

    def design(self) -> sparse.csr_matrix:
        """Give the columns of Z, shape (row, level × effect), effects of a level side by side."""
        rows = np.repeat(np.arange(len(self.group)), self.n_effects)
        places = self.group[:, None] * self.n_effects + np.arange(self.n_effects)  # (row, effect)
        shape = (len(self.group), self.n_levels * self.n_effects)
        return sparse.csr_matrix((self.columns.ravel(), (rows, places.ravel())), shape=shape)

    def factor(self, theta: Array) -> Array:
        """Arrange the parameters as the lower-triangular factor of the relative covariance, (effect, effect)."""
        if not self.correlated:
            return np.diag(theta)
        factor = np.zeros((self.n_effects, self.n_effects))
        factor[np.tril_indices(self.n_effects)] = theta
        return factor

    def parameters(self, factor: Array) -> Array:
        """Take the parameters out of a matrix of the shape of the factor, shape (parameter,)."""
        return np.asarray(factor[np.tril_indices(self.n_effects)] if self.correlated else np.diag(factor))

    def on_diagonal(self) -> NDArray[np.bool_]:
        """Mark the parameters that are standard deviations and so not negative, shape (parameter,)."""
        if not self.correlated:
            return np.ones(self.n_effects, dtype=bool)
        rows, columns = np.tril_indices(self.n_effects)
        return np.asarray(rows == columns)


def check_data(y: Array, X: Array, terms: Sequence[RandomTerm]) -> None:
    """Refuse outcomes, designs and terms that no mixed model can be fitted to.

    Parameters
    ----------
    y : ndarray, shape (row,)
        Outcome.
    X : ndarray, shape (row, fixed)
        Design of the fixed effects.
    terms : sequence of RandomTerm
        Random effects.

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, columns of ``X`` are linearly dependent, the outcome is constant, or
        a grouping has one level, a gap among its levels, or as many levels as rows.

    Examples
    --------
    >>> group = np.repeat(np.arange(3), 4)
    >>> check_data(np.arange(12.0), np.ones((12, 1)), [RandomTerm(group, np.ones((12, 1)))])
    """
    if y.ndim != 1 or X.ndim != 2 or len(X) != len(y):
        raise ValueError(f"y, X: got shapes {y.shape} and {X.shape}; expected (row,) and (row, fixed).")
    for name, values in (("y", y), ("X", X)):
        bad = int((~np.isfinite(values)).sum())
        if bad:
            raise ValueError(f"{name}: {bad} of {values.size} values are NaN or infinite; leave those rows out.")
    if len(y) <= X.shape[1]:
        raise ValueError(f"X: {X.shape[1]} columns for {len(y)} rows; expected fewer columns than rows.")
    sizes = np.abs(X).max(axis=0)
    rank = int(np.linalg.matrix_rank(X / np.where(sizes > 0, sizes, 1.0)))
    if rank < X.shape[1]:
        raise ValueError(f"X: {X.shape[1]} columns of rank {rank}; leave out those that others add up to.")
    if np.ptp(y) <= ROUNDING * np.abs(y).max():
        raise ValueError("y: every value is the same, so there is nothing to explain.")
    if not terms:
        raise ValueError("terms: none; expected at least one grouping factor, else use least squares.")
    for number, term in enumerate(terms):
        _check_term(number, term, len(y))


def _check_term(number: int, term: RandomTerm, n_rows: int) -> None:
    if term.group.shape != (n_rows,) or term.columns.ndim != 2 or len(term.columns) != n_rows:
        raise ValueError(
            f"terms[{number}]: group {term.group.shape} and columns {term.columns.shape} for {n_rows} rows; expected "
            f"({n_rows},) and ({n_rows}, effects)."
        )
    used = np.unique(term.group)
    if len(used) != term.n_levels or used[0] != 0:
        raise ValueError(f"terms[{number}]: levels {used[:5].tolist()} …; expected every integer from 0 up.")
    if term.n_levels < 2:
        raise ValueError(
            f"terms[{number}]: one level, so its variance is unknown; a random effect needs several participants or "
            "items. Leave the term out."
        )
    if term.n_levels >= n_rows:
        raise ValueError(
            f"terms[{number}]: {term.n_levels} levels for {n_rows} rows, one row a level, which cannot be told from "
            "the residual. Leave the term out."
        )
    if not np.isfinite(term.columns).all():
        raise ValueError(f"terms[{number}]: a column holds NaN or infinite values; leave those rows out.")
    if not term.columns.any(axis=0).all():
        raise ValueError(f"terms[{number}]: a column is zero in every row, so nothing varies with it; leave it out.")


def check_distinct(X: Array, terms: Sequence[RandomTerm]) -> None:
    r"""Refuse variances that the data cannot tell apart, whatever the outcome.

    A variance adds a multiple of :math:`M_k = P Z_k Z_k' P` to the covariance of what the fixed effects leave, of which
    :math:`P` is the projection. It is unknown if :math:`M_k` is zero, and two or more are if their :math:`M_k` add up
    to zero; the residual's is :math:`P`.

    Parameters
    ----------
    X : ndarray, shape (row, fixed)
        Orthogonal columns of root mean square 1.
    terms : sequence of RandomTerm
        Columns of root mean square 1.

    Raises
    ------
    ValueError
        If the fixed effects account for every level of a term, or variances cannot be distinguished.

    Examples
    --------
    >>> person = np.repeat(np.arange(3), 4)
    >>> one = np.ones((12, 1))
    >>> check_distinct(one, [RandomTerm(person, one)])
    """
    named = [
        (_effect_name(number, term, place), replace(term, columns=term.columns[:, [place]]).design())
        for number, term in enumerate(terms)
        for place in range(term.n_effects)
    ]
    names, designs = zip(*named, strict=True)
    gram, before = _products(X / np.sqrt(len(X)), designs)
    absorbed = np.diag(gram)[:-1] < INDISTINCT * before
    if absorbed.any():
        raise ValueError(
            f"{_listed(names, absorbed)}: the fixed effects account for every level, so that nothing is left to vary "
            "at random; leave out either."
        )
    size = np.sqrt(np.diag(gram))
    values, vectors = linalg.eigh(gram / np.outer(size, size))
    involved = (np.abs(vectors[:, values < INDISTINCT]) > 1e-3).any(axis=1)
    if involved.any():
        raise ValueError(
            f"{_listed((*names, 'the residual'), involved)}: their variances cannot be distinguished, as with one "
            "grouping under two names, a slope that is one number a level, or one far from zero that hardly varies; "
            "leave one out, or centre the slope."
        )


def _products(Q: Array, designs: Sequence[sparse.csr_matrix]) -> tuple[Array, Array]:
    """Give tr(M_k M_m), the residual last, and tr(Z_k Z_k' Z_k Z_k'), without a matrix of rows by rows."""
    beside = [np.asarray(Z.T @ Q) for Z in designs]  # (level, fixed) each
    n = len(designs)
    gram, before = np.empty((n + 1, n + 1)), np.empty(n)
    for k in range(n):
        for m in range(k + 1):
            crossed = designs[k].T @ designs[m]  # (level of k, level of m)
            total = crossed.multiply(crossed).sum()
            inner = (beside[k] * (crossed @ beside[m])).sum()
            gram[k, m] = gram[m, k] = total - 2 * inner + ((beside[k].T @ beside[k]) * (beside[m].T @ beside[m])).sum()
            before[k] = total  # the last one is that of k with itself
        gram[k, n] = gram[n, k] = designs[k].multiply(designs[k]).sum() - (beside[k] ** 2).sum()
    gram[n, n] = len(Q) - Q.shape[1]
    return gram, before


def _effect_name(number: int, term: RandomTerm, place: int) -> str:
    return term.names[place] if term.names else f"terms[{number}] effect {place}"


def _listed(names: Sequence[str], chosen: NDArray[np.bool_]) -> str:
    return ", ".join(name for name, is_chosen in zip(names, chosen, strict=True) if is_chosen)
