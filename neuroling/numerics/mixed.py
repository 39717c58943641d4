r"""Linear mixed models with crossed random effects, by profiled restricted maximum likelihood (REML).

The model is :math:`y = X\beta + Z\Lambda_\theta u + \varepsilon` with :math:`u \sim N(0, \sigma^2 I)` and
:math:`\varepsilon \sim N(0, \sigma^2 I)`. Coefficients and :math:`\sigma` have a closed form given
:math:`\theta`, so that only :math:`\theta` is searched, and every step of the search factors one matrix of the size of
the random effects, whatever the number of rows (Bates, Maechler, Bolker and Walker 2015, J Stat Softw 67:1, section 3):

.. math:: d(\theta) = \log|\Lambda' Z'Z \Lambda + I| + \log|R_X|^2
          + (n - p)\left(1 + \log\frac{2\pi r^2(\theta)}{n - p}\right)

Degrees of freedom are Satterthwaite's, from numerical derivatives of the criterion (Kuznetsova, Brockhoff and
Christensen 2017, J Stat Softw 82:13).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize, sparse, stats

Array = NDArray[np.float64]

STARTS = (1.0, 0.3, 0.05)
"""Relative standard deviations at which the search starts: one start alone was seen to end beside the optimum."""

LARGEST = 1e4
"""No random standard deviation is sought beyond so many residual ones: the search steps there in data with hardly any
residual, and cross-products lose the digits that a Cholesky factor needs."""

SINGULAR = 1e-4
"""Relative standard deviation below which a random effect counts as absent (the limit that lme4 uses)."""


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
    """

    group: NDArray[np.intp]
    columns: Array
    correlated: bool = False

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

    def on_diagonal(self) -> NDArray[np.bool_]:
        """Mark the parameters that are standard deviations and so not negative, shape (parameter,)."""
        if not self.correlated:
            return np.ones(self.n_effects, dtype=bool)
        rows, columns = np.tril_indices(self.n_effects)
        return np.asarray(rows == columns)


@dataclass(frozen=True)
class MixedFit:
    r"""A fitted mixed model.

    Attributes
    ----------
    coefficients : ndarray, shape (fixed,)
        Estimates of the fixed effects.
    covariance : ndarray, shape (fixed, fixed)
        Their covariance.
    residual_sd : float
        :math:`\sigma`.
    random_covariances : tuple of ndarray, shape (effect, effect)
        Covariance of the random effects of each term.
    criterion : float
        Minus twice the restricted log-likelihood.
    gradient : ndarray, shape (parameter, fixed, fixed)
        Derivatives of ``covariance`` by the variance parameters (theta, sigma).
    parameter_covariance : ndarray, shape (parameter, parameter)
        Asymptotic covariance of the variance parameters.
    is_singular : bool
        Whether a random effect vanished, so that its term could be left out.
    """

    coefficients: Array
    covariance: Array
    residual_sd: float
    random_covariances: tuple[Array, ...]
    criterion: float
    gradient: Array
    parameter_covariance: Array
    is_singular: bool

    @cached_property
    def standard_errors(self) -> Array:
        """Standard errors of the coefficients, shape (fixed,)."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @cached_property
    def degrees_of_freedom(self) -> Array:
        """Satterthwaite's degrees of freedom of each coefficient, shape (fixed,)."""
        return np.array([self.contrast_df(row) for row in np.eye(len(self.coefficients))])

    @property
    def t(self) -> Array:
        """Coefficients over standard errors, shape (fixed,)."""
        return np.asarray(self.coefficients / self.standard_errors)

    @property
    def p(self) -> Array:
        """Two-sided p values, shape (fixed,)."""
        return np.asarray(2 * stats.t.sf(np.abs(self.t), self.degrees_of_freedom))

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Give the bounds of confidence intervals.

        Parameters
        ----------
        level : float
            Coverage, between 0 and 1.

        Returns
        -------
        tuple of ndarray, shape (fixed,)
            Lower and upper bounds.
        """
        half = stats.t.ppf((1 + level) / 2, self.degrees_of_freedom) * self.standard_errors
        return self.coefficients - half, self.coefficients + half

    def contrast_df(self, weights: Array) -> float:
        r"""Give Satterthwaite's degrees of freedom of a combination of coefficients.

        :math:`2 (l'Cl)^2 / (g' A g)` with :math:`g` the gradient of :math:`l'Cl` by the variance parameters and
        :math:`A` their covariance.

        Parameters
        ----------
        weights : ndarray, shape (fixed,)
            The combination :math:`l`.

        Returns
        -------
        float
        """
        variance = float(weights @ self.covariance @ weights)
        gradient = np.einsum("i,kij,j->k", weights, self.gradient, weights)  # (parameter,)
        spread = float(gradient @ self.parameter_covariance @ gradient)
        return 2 * variance**2 / spread if spread > 0 else np.inf


def fit_reml(y: Array, X: Array, terms: Sequence[RandomTerm]) -> MixedFit:
    """Fit a linear mixed model.

    The search runs L-BFGS-B from several starts and polishes the best with Nelder and Mead's simplex; each alone was
    seen to stop beside the optimum where a variance is zero.

    Parameters
    ----------
    y : ndarray, shape (row,)
        Outcome.
    X : ndarray, shape (row, fixed)
        Design of the fixed effects, of full column rank, an intercept included if one is wanted.
    terms : sequence of RandomTerm
        Grouping factors; crossed, nested or neither.

    Returns
    -------
    MixedFit

    Raises
    ------
    ValueError
        If shapes disagree, a value is not finite, columns of ``X`` are linearly dependent, or a factor has one level
        or as many levels as rows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> person, item = np.divmod(np.arange(200), 20)
    >>> x = rng.standard_normal(200)
    >>> y = 2 * x + rng.standard_normal(10)[person] + rng.standard_normal(20)[item] + rng.standard_normal(200)
    >>> ones = np.ones((200, 1))
    >>> fit = fit_reml(y, np.column_stack([ones, x]), [RandomTerm(person, ones), RandomTerm(item, ones)])
    >>> bool(abs(fit.coefficients[1] - 2) < 0.3)
    True
    """
    y, X = np.asarray(y, dtype=np.float64), np.asarray(X, dtype=np.float64)
    _check(y, X, terms)
    scale = float(y.std()) or 1.0
    criterion = _Criterion(y / scale, X, terms)
    theta = _search(criterion, terms)
    solution = criterion.solve(theta)
    sigma = float(np.sqrt(solution.rss / criterion.n_free))
    gradient, parameter_covariance = _derivatives(criterion, theta, sigma)
    factors = criterion.factors(theta)
    sds = np.concatenate([np.sqrt(np.diag(f @ f.T)) for f in factors])
    return MixedFit(
        coefficients=scale * solution.coefficients,
        covariance=scale**2 * sigma**2 * solution.unscaled_covariance(),
        residual_sd=scale * sigma,
        random_covariances=tuple((scale * sigma) ** 2 * f @ f.T for f in factors),
        criterion=criterion(theta) + 2 * criterion.n_free * np.log(scale),
        gradient=scale**2 * gradient,
        parameter_covariance=parameter_covariance,
        is_singular=bool((sds < SINGULAR).any()),
    )


@dataclass(frozen=True)
class _Solution:
    """What one value of theta implies: log determinants, coefficients, penalised residual sum of squares."""

    log_determinant: float
    coefficients: Array
    rss: float
    root: Array  # upper Cholesky factor of X' V^-1 X, (fixed, fixed)

    def unscaled_covariance(self) -> Array:
        return np.asarray(linalg.cho_solve((self.root, False), np.eye(len(self.root))))


class _Criterion:
    """The profiled REML criterion as a function of theta; cross-products are formed once.

    Each row belongs to one level of a factor, so the block of Z'Z that belongs to the largest factor is block-diagonal.
    It is eliminated level by level, and only the Schur complement of the other factors is factored densely.
    """

    def __init__(self, y: Array, X: Array, terms: Sequence[RandomTerm]) -> None:
        first = int(np.argmax([term.n_levels * term.n_effects for term in terms]))
        self.order = [first, *(number for number in range(len(terms)) if number != first)]
        self.terms = terms
        Z1 = terms[first].design()
        others = [terms[number].design() for number in self.order[1:]]
        Z2 = sparse.hstack(others, format="csr") if others else sparse.csr_matrix((len(y), 0))
        W = np.column_stack([X, y])
        k = terms[first].n_effects
        gram = (Z1.T @ Z1).tobsr(blocksize=(k, k))
        gram.sort_indices()
        self.diagonal = np.asarray(gram.data)  # (level, effect, effect)
        self.beside = (Z1.T @ Z2).toarray().reshape(terms[first].n_levels, k, Z2.shape[1])  # (level, effect, other)
        self.rest = (Z2.T @ Z2).toarray()  # (other, other)
        self.first_W = np.asarray(Z1.T @ W).reshape(-1, k, W.shape[1])  # (level, effect, fixed + 1)
        self.rest_W = np.asarray(Z2.T @ W)  # (other, fixed + 1)
        self.WtW = W.T @ W  # (fixed + 1, fixed + 1)
        self.n_free = len(y) - X.shape[1]
        self.cuts = np.cumsum([term.n_parameters for term in terms])[:-1]
        self.blocks = np.cumsum([0, *(terms[number].n_levels * terms[number].n_effects for number in self.order[1:])])

    def factors(self, theta: Array) -> list[Array]:
        """Split theta by term, in the order in which the terms were given."""
        parts = np.split(theta, self.cuts)
        return [term.factor(part) for term, part in zip(self.terms, parts, strict=True)]

    def solve(self, theta: Array) -> _Solution:
        factors = self.factors(theta)
        first, others = factors[self.order[0]], [factors[number] for number in self.order[1:]]
        k = len(first)
        L1 = np.linalg.cholesky(first.T @ self.diagonal @ first + np.eye(k))  # (level, effect, effect)
        beside = self._scaled(np.moveaxis(first.T @ self.beside, -1, 0), others)  # (other, level, effect)
        columns = np.concatenate([np.moveaxis(beside, 0, -1), first.T @ self.first_W], axis=2)
        columns = columns / L1 if k == 1 else np.linalg.solve(L1, columns)  # (level, effect, other + fixed + 1)
        columns = columns.reshape(-1, columns.shape[2])
        q = len(self.rest)
        A = self._scaled(self._scaled(self.rest, others).T, others) + np.eye(q) - columns[:, :q].T @ columns[:, :q]
        L2 = linalg.cholesky(A, lower=True, check_finite=False)
        W2 = self._scaled(self.rest_W, others) - columns[:, :q].T @ columns[:, q:]
        C2 = linalg.solve_triangular(L2, W2, lower=True, check_finite=False) if q else W2
        M = self.WtW - columns[:, q:].T @ columns[:, q:] - C2.T @ C2
        root = linalg.cholesky(M[:-1, :-1], check_finite=False)
        coefficients = linalg.cho_solve((root, False), M[:-1, -1], check_finite=False)
        rss = float(M[-1, -1] - M[:-1, -1] @ coefficients)
        diagonals = (np.diagonal(L1, axis1=1, axis2=2), np.diag(L2), np.diag(root))
        log_determinant = 2 * sum(float(np.log(diagonal).sum()) for diagonal in diagonals)
        return _Solution(log_determinant, coefficients, max(rss, np.finfo(float).tiny), root)

    def _scaled(self, rows: Array, factors: Sequence[Array]) -> Array:
        """Multiply the rows of the other terms by the transpose of Lambda from the left, term by term."""
        out = np.empty_like(rows)
        for start, stop, factor in zip(self.blocks[:-1], self.blocks[1:], factors, strict=True):
            part = rows[start:stop]
            levels = part.reshape(-1, len(factor), part[0].size)  # (level, effect, column)
            out[start:stop] = (factor.T @ levels).reshape(part.shape)
        return out

    def __call__(self, theta: Array) -> float:
        solution = self.solve(theta)
        n = self.n_free
        return float(solution.log_determinant + n * (1 + np.log(2 * np.pi * solution.rss / n)))

    def at(self, theta: Array, sigma: float) -> float:
        """Give the criterion with sigma as a parameter of its own."""
        solution = self.solve(theta)
        deviance = self.n_free * np.log(2 * np.pi * sigma**2) + solution.rss / sigma**2
        return float(solution.log_determinant + deviance)

    def covariance(self, parameters: Array) -> Array:
        """Covariance of the coefficients at (theta, sigma)."""
        return np.asarray(parameters[-1] ** 2 * self.solve(parameters[:-1]).unscaled_covariance())


def _search(criterion: _Criterion, terms: Sequence[RandomTerm]) -> Array:
    diagonal = np.concatenate([term.on_diagonal() for term in terms])
    bounds = [(0.0 if positive else -LARGEST, LARGEST) for positive in diagonal]
    found = [
        optimize.minimize(criterion, np.where(diagonal, start, 0.0), method="L-BFGS-B", bounds=bounds)
        for start in STARTS
    ]
    best = min(found, key=lambda run: float(run.fun))
    options = {"xatol": 1e-5, "fatol": 1e-8, "maxiter": 400 * len(diagonal)}
    polished = optimize.minimize(criterion, best.x, method="Nelder-Mead", bounds=bounds, options=options)
    return np.asarray(polished.x if polished.fun <= best.fun else best.x)


def _derivatives(criterion: _Criterion, theta: Array, sigma: float) -> tuple[Array, Array]:
    """Differentiate: the covariance once and the criterion twice, by central differences at (theta, sigma)."""
    at = np.append(theta, sigma)
    steps = 4e-3 * np.maximum(np.abs(at), 0.1)
    shifts = np.diag(steps)
    gradient = np.stack(
        [
            (criterion.covariance(at + shift) - criterion.covariance(at - shift)) / (2 * step)
            for shift, step in zip(shifts, steps, strict=True)
        ]
    )
    hessian = _hessian(lambda point: criterion.at(point[:-1], float(point[-1])), at, shifts)
    values, vectors = linalg.eigh(hessian)
    keep = values > 1e-8 * values.max()  # a direction without curvature carries no information on the variances
    return gradient, 2 * (vectors[:, keep] / values[keep]) @ vectors[:, keep].T


def _hessian(function: Callable[[Array], float], at: Array, shifts: Array) -> Array:
    n = len(at)
    steps = np.diag(shifts)
    hessian = np.empty((n, n))
    centre = function(at)
    for i in range(n):
        hessian[i, i] = (function(at + shifts[i]) - 2 * centre + function(at - shifts[i])) / steps[i] ** 2
        for j in range(i):
            corners = [function(at + a * shifts[i] + b * shifts[j]) * a * b for a in (1, -1) for b in (1, -1)]
            hessian[i, j] = hessian[j, i] = sum(corners) / (4 * steps[i] * steps[j])
    return hessian


def _check(y: Array, X: Array, terms: Sequence[RandomTerm]) -> None:
    if y.ndim != 1 or X.ndim != 2 or len(X) != len(y):
        raise ValueError(f"y, X: got shapes {y.shape} and {X.shape}; expected (row,) and (row, fixed).")
    for name, values in (("y", y), ("X", X)):
        bad = int((~np.isfinite(values)).sum())
        if bad:
            raise ValueError(f"{name}: {bad} of {values.size} values are NaN or infinite; leave those rows out.")
    if len(y) <= X.shape[1]:
        raise ValueError(f"X: {X.shape[1]} columns for {len(y)} rows; expected fewer columns than rows.")
    rank = int(np.linalg.matrix_rank(X))
    if rank < X.shape[1]:
        raise ValueError(f"X: {X.shape[1]} columns of rank {rank}; leave out those that others add up to.")
    if np.allclose(y, y[0]):
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
