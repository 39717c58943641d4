r"""Linear mixed models with crossed random effects, by restricted or full maximum likelihood (REML, ML).

:mod:`~neuroling.numerics.statistics.profiled_likelihood` derives the criterion, of which
:mod:`~neuroling.numerics.statistics.likelihood_search` finds the minimum. Both are for columns and an outcome without
units: the model is fitted with orthogonal columns of X, what least squares leaves of y, and columns of Z, all of root
mean square 1, those of correlated effects orthogonal as well, and the estimates are taken back to what was given.

Degrees of freedom are Satterthwaite's, from numerical derivatives of the criterion (Kuznetsova, Brockhoff and
Christensen 2017, J Stat Softw 82:13).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from neuroling.numerics.statistics.likelihood_search import LARGEST, SINGULAR, polish, search
from neuroling.numerics.statistics.mixed_fit import MixedFit
from neuroling.numerics.statistics.profiled_likelihood import ProfiledLikelihood
from neuroling.numerics.statistics.random_terms import ROUNDING, RandomTerm, check_data, check_distinct

Array = NDArray[np.float64]

CONVERGED = 1e-6
"""Decrease of the criterion, twice a log-likelihood, that one step more may promise where a search has ended."""

STEP = 4e-3
"""Relative step of the numerical derivatives."""


def fit_reml(y: Array, X: Array, terms: Sequence[RandomTerm]) -> MixedFit:
    """Fit a linear mixed model by restricted maximum likelihood (REML).

    Newton's method runs from several starts within a trust region; at the end the search looks along each variance for
    a lower criterion, and searches anew where one is zero beside large ones.

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

    Warns
    -----
    RuntimeWarning
        If the search has not ended at an optimum.

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
    return _fit(y, X, terms, restricted=True)


def fit_ml(y: Array, X: Array, terms: Sequence[RandomTerm]) -> MixedFit:
    """Fit a linear mixed model by maximum likelihood (ML), as comparing models of different fixed effects needs.

    Parameters
    ----------
    y : ndarray, shape (row,)
        Outcome, in any unit.
    X : ndarray, shape (row, fixed)
        Design of the fixed effects, as for :func:`fit_reml`.
    terms : sequence of RandomTerm
        Grouping factors.

    Returns
    -------
    MixedFit

    Raises
    ------
    ValueError
        As :func:`fit_reml`.

    Warns
    -----
    RuntimeWarning
        If the search has not ended at an optimum.

    Examples
    --------
    >>> person = np.repeat(np.arange(10), 8)
    >>> y, ones = person + np.random.default_rng(0).standard_normal(80), np.ones((80, 1))
    >>> ml, reml = (fit(y, ones, [RandomTerm(person, ones)]) for fit in (fit_ml, fit_reml))
    >>> bool(ml.random_covariances[0][0, 0] < reml.random_covariances[0][0, 0])
    True
    """
    return _fit(y, X, terms, restricted=False)


def _fit(y: Array, X: Array, terms: Sequence[RandomTerm], *, restricted: bool) -> MixedFit:
    y, X = np.asarray(y, dtype=np.float64), np.asarray(X, dtype=np.float64)
    check_data(y, X, terms)
    standard = _standardised(y, X, terms)
    criterion = ProfiledLikelihood(standard.y, standard.X, standard.terms, restricted=restricted)
    optimum = search(criterion)
    if any(term.correlated for term in terms):
        standard, start = _along_principal_axes(standard, criterion.factors(optimum.theta))
        criterion = ProfiledLikelihood(standard.y, standard.X, standard.terms, restricted=restricted)
        optimum = polish(criterion, start)
    factors = criterion.factors(optimum.theta)
    if max(np.linalg.norm(factor, 2) for factor in factors) > 0.99 * LARGEST:
        raise ValueError(
            f"y: random effects reach {LARGEST:.0f} standard deviations of the residual, so that with the fixed ones "
            "they give it all but exactly; expected an outcome with noise. Leave a random effect out, or analyse means."
        )
    if optimum.left > CONVERGED:
        warnings.warn(
            f"The search for the variances of a mixed model has not ended at an optimum: one step more promises "
            f"{optimum.left:.1g} of minus twice the log-likelihood. Leave out random effects that hardly vary.",
            RuntimeWarning,
            stacklevel=3,
        )
    solution = criterion.solve(optimum.theta)
    sigma = float(np.sqrt(solution.sum_of_squares / criterion.n_free))
    gradient, parameter_covariance = _derivatives(criterion, optimum.theta, sigma)
    back = standard.scale * standard.back
    scaled_factors = [standard.scale * basis @ factor for basis, factor in zip(standard.bases, factors, strict=True)]
    return MixedFit(
        coefficients=standard.least_squares + back @ solution.coefficients,
        covariance=sigma**2 * back @ solution.unscaled_covariance @ back.T,
        residual_sd=standard.scale * sigma,
        random_covariances=tuple(sigma**2 * factor @ factor.T for factor in scaled_factors),
        random_effects=tuple(
            standard.scale * effects @ basis.T for effects, basis in zip(solution.effects, standard.bases, strict=True)
        ),
        criterion=optimum.criterion + standard.criterion_shift(restricted),
        gradient=back @ gradient @ back.T,
        parameter_covariance=parameter_covariance,
        vanished=tuple(
            (number, int(effect))
            for number, (term, factor) in enumerate(zip(terms, scaled_factors, strict=True))
            for effect in np.flatnonzero(_relative_sds(term, factor) < SINGULAR * standard.scale)
        ),
        ranks=tuple(int((linalg.svdvals(factor) > SINGULAR / 2).sum()) for factor in factors),
        restricted=restricted,
        n_rows=len(y),
        converged=optimum.left <= CONVERGED,
    )


def _relative_sds(term: RandomTerm, factor: Array) -> Array:
    """Root mean square of what each effect adds to the rows, over the residual's, from a factor in given units."""
    return np.asarray(np.sqrt((factor**2).sum(axis=1)) * _root_mean_square(term.columns))


@dataclass(frozen=True)
class _Standard:
    """The model in units of its own, and the way back."""

    y: Array  # (row,), what least squares leaves of the outcome, root mean square 1
    X: Array  # (row, fixed), orthogonal columns of root mean square 1
    terms: tuple[RandomTerm, ...]  # columns of root mean square 1, orthogonal where effects are correlated
    least_squares: Array  # (fixed,)
    back: Array  # (fixed, fixed), from coefficients of the columns here to those of the columns given
    scale: float
    bases: tuple[Array, ...]  # (effect, effect) each, from effects of the columns here to those of the columns given

    def criterion_shift(self, restricted: bool) -> float:
        """Give what the units add to the criterion: that of densities of y, under REML also that of log |X'V^-1X|."""
        if not restricted:
            return float(2 * len(self.y) * np.log(self.scale))
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
    units = [_root_mean_square(term.columns) for term in terms]
    scaled = [replace(term, columns=term.columns / unit) for term, unit in zip(terms, units, strict=True)]
    check_distinct(root * Q, scaled)
    orthogonal, bases = zip(*(_orthogonal(term, unit) for term, unit in zip(scaled, units, strict=True)), strict=True)
    return _Standard(residual / scale, root * Q, orthogonal, least_squares, root * back, scale, bases)


def _orthogonal(term: RandomTerm, unit: Array) -> tuple[RandomTerm, Array]:
    """Make the columns of correlated effects orthogonal, which their covariance allows; give the way back to units."""
    if not term.correlated:
        return term, np.diag(1 / unit)
    Q, R = linalg.qr(term.columns, mode="economic")
    root = np.sqrt(len(term.columns))
    return replace(term, columns=root * Q), root * linalg.solve_triangular(R, np.eye(len(R))) / unit[:, None]


def _along_principal_axes(standard: _Standard, factors: Sequence[Array]) -> tuple[_Standard, Array]:
    """Turn the columns of correlated effects to the axes of their covariance, the largest first; give theta there.

    The lower-triangular factor of a covariance that is nearly singular is a good coordinate in this order alone: in
    another, its last column moves with hardly any change of the covariance, and the search ends beside the optimum.
    """
    terms, bases, theta = [], [], []
    for term, basis, factor in zip(standard.terms, standard.bases, factors, strict=True):
        axes, sizes, _ = linalg.svd(factor)
        if term.correlated:
            term, basis, factor = replace(term, columns=term.columns @ axes), basis @ axes, np.diag(sizes)
        terms.append(term)
        bases.append(basis)
        theta.append(term.parameters(factor))
    return replace(standard, terms=tuple(terms), bases=tuple(bases)), np.concatenate(theta)


def _root_mean_square(columns: Array) -> Array:
    """Root mean square over rows, shape (column,) or ()."""
    return np.asarray(np.sqrt((columns**2).mean(axis=0)))


def _derivatives(criterion: ProfiledLikelihood, theta: Array, sigma: float) -> tuple[Array, Array]:
    """Differentiate by theta and sigma: the covariance of the coefficients, and twice the criterion, then inverted."""
    at = np.append(theta, sigma)
    sizes = np.append(np.maximum(np.abs(theta), 0.1), sigma)
    shifts = np.diag(STEP * sizes)

    def covariance(point: Array) -> Array:
        return np.asarray(point[-1] ** 2 * criterion.solve(point[:-1]).unscaled_covariance)

    def slope(point: Array) -> Array:
        return criterion.gradient_at(point[:-1], float(point[-1]))

    gradient, hessian = (
        np.stack([(of(at + shift) - of(at - shift)) / (2 * shift.max()) for shift in shifts])
        for of in (covariance, slope)
    )
    hessian = (hessian + hessian.T) / 2
    values, vectors = linalg.eigh(hessian * np.outer(sizes, sizes))  # else small residuals hide large variances
    vectors = sizes[:, None] * vectors
    keep = values > 1e-8 * values.max()  # a direction without curvature carries no information on the variances
    return gradient, 2 * (vectors[:, keep] / values[keep]) @ vectors[:, keep].T
