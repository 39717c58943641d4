r"""Linear mixed models with crossed random effects, by profiled restricted maximum likelihood (REML).

The model is :math:`y = X\beta + Z\Lambda_\theta u + \varepsilon` with :math:`u \sim N(0, \sigma^2 I)` and
:math:`\varepsilon \sim N(0, \sigma^2 I)`. Coefficients and :math:`\sigma` have a closed form given
:math:`\theta`, so that only :math:`\theta` is searched, and every step of the search factors one matrix of the size of
the random effects, whatever the number of rows (Bates, Maechler, Bolker and Walker 2015, J Stat Softw 67:1, section 3):

.. math:: d(\theta) = \log|\Lambda' Z'Z \Lambda + I| + \log|R_X|^2
          + (n - p)\left(1 + \log\frac{2\pi r^2(\theta)}{n - p}\right)

The search, its bounds and the steps of its derivatives are absolute numbers, so that they are right for one unit only:
the model is fitted with orthogonal columns of X, what least squares leaves of y, and columns of Z, all of root mean
square 1, and the estimates are taken back to the units that were given.

Degrees of freedom are Satterthwaite's, from numerical derivatives of the criterion (Kuznetsova, Brockhoff and
Christensen 2017, J Stat Softw 82:13).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize, sparse, stats

Array = NDArray[np.float64]

STARTS = (30.0, 1.0, 0.3, 0.05)
"""Relative standard deviations at which the search starts: one start alone was seen to end beside the optimum, and the
smaller three to miss that of slopes on counts with a long tail, where it is large."""

LARGE = 10.0
"""Relative standard deviation beyond which every start is polished: L-BFGS-B stops early there, since its tolerance of
the gradient is an absolute one, and the best start was seen to lie in the wrong valley."""

LARGEST = 1e4
"""No random standard deviation is sought beyond so many residual ones, of a column of root mean square 1: the search
steps there in data with hardly any residual, and cross-products lose the digits that a Cholesky factor needs."""

SINGULAR = 1e-4
"""Relative standard deviation, of a column of root mean square 1, below which a random effect counts as absent (the
limit that lme4 uses)."""

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
    vanished : tuple of (int, int)
        Term and effect of the random effects whose variance is zero, so that they could be left out.
    """

    coefficients: Array
    covariance: Array
    residual_sd: float
    random_covariances: tuple[Array, ...]
    criterion: float
    gradient: Array
    parameter_covariance: Array
    vanished: tuple[tuple[int, int], ...]

    @property
    def is_singular(self) -> bool:
        """Whether a random effect vanished."""
        return bool(self.vanished)

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

    The search runs L-BFGS-B from several starts and polishes the best with Nelder and Mead's simplex (all of them, if a
    variance is far larger than the residual's); each alone was seen to stop beside the optimum if a variance is zero.

    Parameters
    ----------
    y : ndarray, shape (row,)
        Outcome, in any unit.
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
        If shapes disagree, a value is not finite, columns of ``X`` are linearly dependent, a factor has one level or as
        many levels as rows, variances cannot be told apart from one another or from the fixed effects, or the model
        leaves no residual.

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
    standard = _standardised(y, X, terms)
    _check_distinct(standard.X, standard.terms)
    criterion = _Criterion(standard.y, standard.X, standard.terms)
    theta = _search(criterion, standard.terms)
    solution = criterion.solve(theta)
    sigma = float(np.sqrt(solution.rss / criterion.n_free))
    factors = criterion.factors(theta)
    sds = [np.sqrt(np.diag(factor @ factor.T)) for factor in factors]  # (effect,) each, in residual ones
    if max(sd.max() for sd in sds) > 0.99 * LARGEST:
        raise ValueError(
            f"y: random effects reach {LARGEST:.0f} standard deviations of the residual, so that with the fixed ones "
            "they give it all but exactly; expected an outcome with noise. Leave a random effect out, or analyse means."
        )
    gradient, parameter_covariance = _derivatives(criterion, theta, sigma)
    back = standard.scale * standard.back
    spreads = [
        standard.scale * sigma * factor / unit[:, None] for factor, unit in zip(factors, standard.units, strict=True)
    ]
    return MixedFit(
        coefficients=standard.least_squares + back @ solution.coefficients,
        covariance=sigma**2 * back @ solution.unscaled_covariance() @ back.T,
        residual_sd=standard.scale * sigma,
        random_covariances=tuple(spread @ spread.T for spread in spreads),
        criterion=criterion(theta) + standard.criterion_shift(),
        gradient=back @ gradient @ back.T,
        parameter_covariance=parameter_covariance,
        vanished=tuple((term, int(effect)) for term, sd in enumerate(sds) for effect in np.flatnonzero(sd < SINGULAR)),
    )


@dataclass(frozen=True)
class _Standard:
    """The model in units of its own, and the way back."""

    y: Array  # (row,), what least squares leaves of the outcome, root mean square 1
    X: Array  # (row, fixed), orthogonal columns of root mean square 1
    terms: tuple[RandomTerm, ...]  # columns of root mean square 1
    least_squares: Array  # (fixed,)
    back: Array  # (fixed, fixed), from coefficients of the columns here to those of the columns given
    scale: float
    units: tuple[Array, ...]  # (effect,) each, root mean squares of the columns of the terms

    def criterion_shift(self) -> float:
        """Give what the units add to the criterion, which is that of densities of y and counts log |X' V^-1 X|."""
        n_free = len(self.y) - len(self.back)
        return float(2 * n_free * np.log(self.scale) - 2 * np.log(np.abs(np.diag(self.back))).sum())


def _standardised(y: Array, X: Array, terms: Sequence[RandomTerm]) -> _Standard:
    """Take units and means out; QR does so for every column that others account for, an intercept or not."""
    Q, R = linalg.qr(X, mode="economic")
    back = linalg.solve_triangular(R, np.eye(len(R)))
    projected = Q.T @ y
    residual = y - Q @ projected
    residual -= Q @ (Q.T @ residual)  # again, for the digits that a large mean has cost
    least_squares = back @ projected
    scale = float(_root_mean_square(residual))
    summed = np.abs(X) @ np.abs(least_squares) + np.abs(y)  # (row,), rounding is in proportion to it
    if scale <= ROUNDING * summed.max():
        raise ValueError(
            "y: the columns of X give it exactly, so there is no residual to test against; expected an outcome with "
            "noise. Look whether the outcome was computed from the predictors."
        )
    root = np.sqrt(len(y))
    units = tuple(_root_mean_square(term.columns) for term in terms)
    scaled = tuple(replace(term, columns=term.columns / unit) for term, unit in zip(terms, units, strict=True))
    return _Standard(residual / scale, root * Q, scaled, least_squares, root * back, scale, units)


def _root_mean_square(columns: Array) -> Array:
    """Root mean square over rows, shape (column,) or ()."""
    return np.asarray(np.sqrt((columns**2).mean(axis=0)))


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
    options = {"xatol": 1e-7, "fatol": 1e-8, "maxiter": 400 * len(diagonal)}
    polished = [
        optimize.minimize(criterion, run.x, method="Nelder-Mead", bounds=bounds, options=options)
        for run in (found if np.abs(best.x).max() > LARGE else [best])
    ]
    return np.asarray(min([best, *polished], key=lambda run: float(run.fun)).x)


def _derivatives(criterion: _Criterion, theta: Array, sigma: float) -> tuple[Array, Array]:
    """Differentiate: the covariance once and the criterion twice, by central differences at (theta, sigma)."""
    at = np.append(theta, sigma)
    sizes = np.append(np.maximum(np.abs(theta), 0.1), sigma)
    steps = 4e-3 * sizes
    shifts = np.diag(steps)
    gradient = np.stack(
        [
            (criterion.covariance(at + shift) - criterion.covariance(at - shift)) / (2 * step)
            for shift, step in zip(shifts, steps, strict=True)
        ]
    )
    hessian = _hessian(lambda point: criterion.at(point[:-1], float(point[-1])), at, shifts)
    values, vectors = linalg.eigh(hessian * np.outer(sizes, sizes))  # else small residuals hide large variances
    vectors = sizes[:, None] * vectors
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


def _check_distinct(X: Array, terms: Sequence[RandomTerm]) -> None:
    r"""Refuse variances that the data cannot tell apart, whatever the outcome.

    A variance adds a multiple of :math:`M_k = P Z_k Z_k' P` to the covariance of what the fixed effects leave, of which
    :math:`P` is the projection. It is unknown if :math:`M_k` is zero, and two or more are if their :math:`M_k` add up
    to zero; the residual's is :math:`P`.
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
            f"{_listed((*names, 'the residual'), involved)}: their variances cannot be told apart, as with one "
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
            whole = crossed.multiply(crossed).sum()
            inner = (beside[k] * (crossed @ beside[m])).sum()
            gram[k, m] = gram[m, k] = whole - 2 * inner + ((beside[k].T @ beside[k]) * (beside[m].T @ beside[m])).sum()
            before[k] = whole  # the last one is that of k with itself
        gram[k, n] = gram[n, k] = designs[k].multiply(designs[k]).sum() - (beside[k] ** 2).sum()
    gram[n, n] = len(Q) - Q.shape[1]
    return gram, before


def _effect_name(number: int, term: RandomTerm, place: int) -> str:
    return term.names[place] if term.names else f"terms[{number}] effect {place}"


def _listed(names: Sequence[str], chosen: NDArray[np.bool_]) -> str:
    return ", ".join(name for name, is_chosen in zip(names, chosen, strict=True) if is_chosen)
