r"""Minus twice the log-likelihood of a linear mixed model, with coefficients and residual variance profiled out.

The model is :math:`y = X\beta + Z\Lambda_\theta u + \varepsilon` with :math:`u \sim N(0, \sigma^2 I)` and
:math:`\varepsilon \sim N(0, \sigma^2 I)`. Given :math:`\theta`, coefficients and :math:`\sigma` have a closed form
(Bates, Maechler, Bolker and Walker 2015, J Stat Softw 67:1, section 3). Restricted maximum likelihood (REML) minimises

.. math:: d(\theta) = \log|V| + \log|X'V^{-1}X| + (n - p)\left(1 + \log\frac{2\pi r^2(\theta)}{n - p}\right)

with :math:`V = Z\Lambda\Lambda'Z' + I`, and maximum likelihood (ML) the same without the second term and with n in
place of n - p. The penalised residual sum of squares :math:`r^2 = \|y - X\beta - Z\Lambda u\|^2 + \|u\|^2` and
likewise :math:`X'V^{-1}X` are summed over rows: differences of cross-products would lose all digits where random
effects are hundreds of times the residual.

The derivative by the factor F of a term is, over its levels l, with :math:`b = Z'(y - X\beta - Z\Lambda u)` and
:math:`C = Z'V^{-1}X`,

.. math:: 2 \sum_l \left((Z'V^{-1}Z)_{ll} - C_l (X'V^{-1}X)^{-1} C_l' - \frac{n - p}{r^2} b_l b_l'\right) F
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from neuroling.numerics.statistics.mixed_equations import FactoredEquations, MixedEquations, Order
from neuroling.numerics.statistics.random_terms import RandomTerm

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Solution:
    r"""What one value of theta implies.

    Attributes
    ----------
    coefficients : ndarray, shape (fixed,)
        Generalised least-squares estimates.
    effects : tuple of ndarray, shape (level, effect)
        Predictions of the random effects of each term (BLUPs).
    unscaled_covariance : ndarray, shape (fixed, fixed)
        Covariance of the coefficients over the residual variance.
    sum_of_squares : float
        Penalised residual sum of squares.
    log_determinant : float
        :math:`\log|V|`, and under REML :math:`\log|X'V^{-1}X|`.
    factored : FactoredEquations
        The equations of the random effects.
    whitened_fixed : ndarray, shape (row, fixed)
        :math:`V^{-1}X`.
    residual : ndarray, shape (row,)
        Outcome less fixed and random effects, which is :math:`V^{-1}(y - X\beta)`.
    """

    coefficients: Array
    effects: tuple[Array, ...]
    unscaled_covariance: Array
    sum_of_squares: float
    log_determinant: float
    factored: FactoredEquations
    whitened_fixed: Array
    residual: Array


class ProfiledLikelihood:
    """The criterion as a function of theta, the entries of the factors of all terms one after the other.

    Parameters
    ----------
    y : ndarray, shape (row,)
        Outcome.
    X : ndarray, shape (row, fixed)
        Design of the fixed effects, of full column rank.
    terms : sequence of RandomTerm
        Random effects.
    restricted : bool
        REML, else ML.
    order : Order, optional
        Order of elimination.

    Examples
    --------
    >>> person = np.repeat(np.arange(6), 5)
    >>> y, ones = np.random.default_rng(0).standard_normal(30) + person, np.ones((30, 1))
    >>> criterion = ProfiledLikelihood(y, ones, [RandomTerm(person, ones)])
    >>> value, gradient = criterion.value_and_gradient(np.array([1.0]))
    >>> numeric = (criterion(np.array([1.001])) - criterion(np.array([0.999]))) / 0.002
    >>> bool(np.isclose(gradient[0], numeric, rtol=1e-4))
    True
    """

    def __init__(
        self, y: Array, X: Array, terms: Sequence[RandomTerm], *, restricted: bool = True, order: Order | None = None
    ) -> None:
        self.terms, self.restricted = tuple(terms), restricted
        self.equations = MixedEquations(terms, order)
        self.n_free = len(y) - X.shape[1] if restricted else len(y)
        self._columns = np.column_stack([X, y])  # (row, fixed + 1)
        self._crossed = self.equations.crossed(self._columns)
        self._cuts = np.cumsum([term.n_parameters for term in terms])[:-1]

    def factors(self, theta: Array) -> list[Array]:
        """Arrange theta as the factors of the relative covariances, (effect, effect) each."""
        return [term.factor(part) for term, part in zip(self.terms, np.split(theta, self._cuts), strict=True)]

    def solve(self, theta: Array) -> Solution:
        """Give coefficients, random effects and residuals at theta."""
        factors = self.factors(theta)
        factored = self.equations.factorise(factors)
        spherical = factored.solve([F.T @ crossed for F, crossed in zip(factors, self._crossed, strict=True)])
        whitened = self._columns - self.equations.fitted([F @ u for F, u in zip(factors, spherical, strict=True)])
        products = whitened.T @ whitened + sum(np.tensordot(u, u, ((0, 1), (0, 1))) for u in spherical)
        root = linalg.cholesky(products[:-1, :-1], check_finite=False)
        coefficients = linalg.cho_solve((root, False), products[:-1, -1], check_finite=False)
        residual = whitened[:, -1] - whitened[:, :-1] @ coefficients
        combined = np.append(-coefficients, 1.0)
        effects = [u @ combined for u in spherical]  # (level, effect) each
        log_determinant = factored.log_determinant
        if self.restricted:
            log_determinant += 2 * float(np.log(np.diag(root)).sum())
        return Solution(
            coefficients=coefficients,
            effects=tuple(u @ F.T for u, F in zip(effects, factors, strict=True)),
            unscaled_covariance=linalg.cho_solve((root, False), np.eye(len(root)), check_finite=False),
            sum_of_squares=float(residual @ residual) + sum(float((u * u).sum()) for u in effects),
            log_determinant=log_determinant,
            factored=factored,
            whitened_fixed=whitened[:, :-1],
            residual=residual,
        )

    def __call__(self, theta: Array) -> float:
        """Give minus twice the log-likelihood."""
        return self._value(self.solve(theta))

    def _value(self, solution: Solution) -> float:
        mean = solution.sum_of_squares / self.n_free
        return float(solution.log_determinant + self.n_free * (1 + np.log(2 * np.pi * mean)))

    def value_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """Give the criterion and its derivatives by theta, shape (parameter,)."""
        solution = self.solve(theta)
        return self._value(solution), self._gradient(solution, self.n_free / solution.sum_of_squares)

    def gradient_at(self, theta: Array, sigma: float) -> Array:
        """Differentiate the criterion with sigma as a parameter of its own, the last one, shape (parameter + 1,)."""
        solution = self.solve(theta)
        by_sigma = 2 * (self.n_free - solution.sum_of_squares / sigma**2) / sigma
        return np.append(self._gradient(solution, sigma**-2), by_sigma)

    def _gradient(self, solution: Solution, precision: float) -> Array:
        """Differentiate by the factors, of which b, C and the traces are functions, and take theta's entries."""
        crossed = self.equations.crossed(np.column_stack([solution.whitened_fixed, solution.residual]))
        gradients = []
        for term, factor, trace, columns in zip(
            self.terms, solution.factored.factors, solution.factored.traces(), crossed, strict=True
        ):
            C, b = columns[:, :, :-1], columns[:, :, -1]  # (level, effect, fixed), (level, effect)
            by_factor = trace - precision * b.T @ (b @ factor)
            if self.restricted:
                by_factor -= np.tensordot(C @ solution.unscaled_covariance, C, ((0, 2), (0, 2))) @ factor
            gradients.append(term.parameters(2 * by_factor))
        return np.concatenate(gradients)
