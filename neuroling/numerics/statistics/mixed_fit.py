"""What a fitted mixed model says: estimates and their tests, likelihood, random effects, predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from neuroling.numerics.statistics.random_terms import RandomTerm

Array = NDArray[np.float64]


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
    random_effects : tuple of ndarray, shape (level, effect)
        Predictions of the random effects (BLUPs, the modes of their distribution given the data) of each term.
    criterion : float
        Minus twice the log-likelihood, restricted or full.
    gradient : ndarray, shape (parameter, fixed, fixed)
        Derivatives of ``covariance`` by the variance parameters (theta, sigma).
    parameter_covariance : ndarray, shape (parameter, parameter)
        Asymptotic covariance of the variance parameters.
    vanished : tuple of (int, int)
        Term and effect of the random effects whose variance is zero, so that they could be left out.
    ranks : tuple of int
        Rank of each term's covariance; below its number of effects where one vanished or is a multiple of others, as at
        a correlation of 1 or -1.
    restricted : bool
        Whether the model was fitted by REML, else by ML.
    n_rows : int
        Number of rows.
    converged : bool
        Whether the search has ended at an optimum.
    """

    coefficients: Array
    covariance: Array
    residual_sd: float
    random_covariances: tuple[Array, ...]
    random_effects: tuple[Array, ...]
    criterion: float
    gradient: Array
    parameter_covariance: Array
    vanished: tuple[tuple[int, int], ...]
    ranks: tuple[int, ...]
    restricted: bool
    n_rows: int
    converged: bool

    @property
    def is_singular(self) -> bool:
        """Whether the covariance of a term has less than full rank."""
        return bool(self.singular)

    @property
    def singular(self) -> tuple[int, ...]:
        """Terms whose covariance has less than full rank."""
        pairs = zip(self.ranks, self.random_covariances, strict=True)
        return tuple(term for term, (rank, covariance) in enumerate(pairs) if rank < len(covariance))

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

    @property
    def n_parameters(self) -> int:
        """Number of parameters: coefficients, variances and covariances, and the residual variance."""
        return len(self.coefficients) + len(self.parameter_covariance)

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood, natural logarithm: restricted if the model was fitted by REML."""
        return -self.criterion / 2

    @property
    def aic(self) -> float:
        """Akaike's information criterion; of models fitted by REML comparable with the same fixed effects alone."""
        return self.criterion + 2 * self.n_parameters

    @property
    def bic(self) -> float:
        """Bayesian information criterion, by the number of rows (as lme4's)."""
        return self.criterion + float(np.log(self.n_rows)) * self.n_parameters

    def predict(self, X: Array, terms: Sequence[RandomTerm] = ()) -> Array:
        """Predict rows, with the random effects of the levels that the model has seen.

        Parameters
        ----------
        X : ndarray, shape (row, fixed)
            Design of the fixed effects.
        terms : sequence of RandomTerm
            The model's terms, in their order, at these rows; a level that the model has not seen is -1, and its effects
            are zero. Without terms, the fixed effects alone predict.

        Returns
        -------
        ndarray, shape (row,)

        Raises
        ------
        ValueError
            If shapes disagree with the model's, or a level is neither -1 nor one of its own.
        """
        X = np.asarray(X, dtype=np.float64)
        if X.ndim != 2 or X.shape[1] != len(self.coefficients):
            raise ValueError(f"X: got shape {X.shape}; expected (row, {len(self.coefficients)}), as in the fit.")
        predicted = X @ self.coefficients
        if not terms:
            return np.asarray(predicted)
        if len(terms) != len(self.random_effects):
            raise ValueError(f"terms: got {len(terms)}; expected {len(self.random_effects)}, those of the fit.")
        for number, (term, effects) in enumerate(zip(terms, self.random_effects, strict=True)):
            if term.group.shape != (len(X),) or term.columns.shape != (len(X), effects.shape[1]):
                raise ValueError(
                    f"terms[{number}]: group {term.group.shape} and columns {term.columns.shape}; expected ({len(X)},) "
                    f"and ({len(X)}, {effects.shape[1]})."
                )
            if len(X) and (term.group.min() < -1 or term.group.max() >= len(effects)):
                raise ValueError(
                    f"terms[{number}]: levels from {term.group.min()} to {term.group.max()}; expected 0 to "
                    f"{len(effects) - 1}, or -1 for a level that the model has not seen."
                )
            with_unseen = np.vstack([effects, np.zeros(effects.shape[1])])  # the last row is that of -1
            predicted = predicted + (term.columns * with_unseen[term.group]).sum(axis=1)
        return np.asarray(predicted)


class LikelihoodRatio(NamedTuple):
    """Test of nested models.

    Attributes
    ----------
    statistic : float
        Twice the difference of the log-likelihoods.
    df : int
        Parameters that the larger model has more.
    p : float
        Upper tail of the chi-squared distribution; too large (conservative) where the smaller model sets variances to
        zero, since that is the boundary of what they can be (Stram and Lee 1994, Biometrics 50:1171).
    """

    statistic: float
    df: int
    p: float


def likelihood_ratio(smaller: MixedFit, larger: MixedFit) -> LikelihoodRatio:
    """Test whether a model fits better than one that is nested in it.

    Parameters
    ----------
    smaller, larger : MixedFit
        Fits to the same rows: by ML, or by REML if they have the same fixed effects.

    Returns
    -------
    LikelihoodRatio

    Raises
    ------
    ValueError
        If the fits differ in rows or in the likelihood that was maximised, if fixed effects differ between fits by
        REML, if the larger has not more parameters, or if it fits worse, as when the models are not nested.

    Examples
    --------
    >>> from neuroling.numerics.statistics.mixed_model import fit_ml
    >>> person, x = np.repeat(np.arange(10), 20), np.tile(np.linspace(-1, 1, 20), 10)
    >>> y = x + np.random.default_rng(0).standard_normal(200)
    >>> ones, both = np.ones((200, 1)), np.column_stack([np.ones(200), x])
    >>> terms = [RandomTerm(person, ones)]
    >>> test = likelihood_ratio(fit_ml(y, ones, terms), fit_ml(y, both, terms))
    >>> test.df, bool(test.p < 0.001)
    (1, True)
    """
    if smaller.n_rows != larger.n_rows:
        raise ValueError(f"smaller, larger: {smaller.n_rows} and {larger.n_rows} rows; expected fits to the same rows.")
    if smaller.restricted != larger.restricted:
        raise ValueError("smaller, larger: one was fitted by REML, the other by ML; expected one kind of likelihood.")
    if smaller.restricted and len(smaller.coefficients) != len(larger.coefficients):
        raise ValueError(
            f"smaller, larger: {len(smaller.coefficients)} and {len(larger.coefficients)} fixed effects, fitted by "
            "REML, whose likelihoods are of different data then; fit both by ML."
        )
    df = larger.n_parameters - smaller.n_parameters
    if df < 1:
        raise ValueError(
            f"larger: {larger.n_parameters} parameters, smaller: {smaller.n_parameters}; expected more in the larger."
        )
    statistic = smaller.criterion - larger.criterion
    if statistic < -1e-6 * max(1.0, abs(smaller.criterion)):
        raise ValueError(
            f"larger: log-likelihood {larger.log_likelihood:.6g}, below the smaller's {smaller.log_likelihood:.6g}; "
            "expected models of which the smaller is a special case of the larger."
        )
    return LikelihoodRatio(float(statistic), df, float(stats.chi2.sf(statistic, df)))
