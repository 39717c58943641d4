"""Maps of counts: let a sample with many counts weigh no more than one with few."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted

from neuroling.core.arrays import refuse_not_finite
from neuroling.core.gate import features_and_targets, features_to_predict
from neuroling.core.notices import without


class EqualMass(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    r"""Fit a model to where counts lie, not to how many there are, and predict counts.

    Every training row is divided by its sum, :math:`d_i = y_i / \sum_v y_{iv}`; the model learns the densities
    :math:`d`. Its predictions are brought back to the scale of the counts,
    :math:`\bar y + \bar m (\hat d - \bar d)` with the mean sum :math:`\bar m`, so that the mean prediction stays that
    of the training counts.

    Parameters
    ----------
    model : estimator
        A regressor of several targets; it stays unfitted.

    Attributes
    ----------
    model_ : estimator
        The model, fitted to densities.
    constant_features_ : ndarray of int
        Columns that were constant over the training rows.
    mass_ : float
        Mean sum of a training row.
    offset_ : ndarray, shape (target,)
        What is added to ``mass_`` times a predicted density.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> X = np.array([[0.0], [0.0], [1.0], [1.0]])
    >>> counts = np.array([[1.0, 0.0], [9.0, 0.0], [0.0, 1.0], [0.0, 9.0]])
    >>> EqualMass(LinearRegression()).fit(X, counts).predict([[0.0], [1.0]]).round(6).tolist()
    [[5.0, 0.0], [0.0, 5.0]]
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn densities.

        Parameters
        ----------
        X : array-like, shape (sample, feature)
            Features.
        y : array-like, shape (sample, target)
            Counts, not negative; no row without any.

        Raises
        ------
        ValueError
            If a count is negative, or a row has none.
        """
        features, counts, n_axes, _, self.constant_features_ = features_and_targets(self, X, y)
        if n_axes != 2:
            raise ValueError(f"y: got shape ({len(counts)},); expected (sample, target), counts over many targets.")
        refuse_not_finite("y", counts)
        if (counts < 0).any():
            raise ValueError(f"y: {int((counts < 0).sum())} counts are negative; a density needs counts of 0 or more.")
        mass = counts.sum(axis=1, keepdims=True)  # (sample, 1)
        empty = np.flatnonzero(mass == 0)
        if len(empty):
            raise ValueError(f"y: {len(empty)} rows have no counts, first {empty[:5].tolist()}; leave them out.")
        density = counts / mass
        with without("constant-features"):  # said by the gate
            self.model_ = clone(self.model).fit(features, density)
        self.mass_ = mass.mean()
        self.offset_ = counts.mean(axis=0) - self.mass_ * density.mean(axis=0)  # (target,)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.floating[Any]]:
        """Predict counts.

        Parameters
        ----------
        X : array-like, shape (sample, feature)
            Features.

        Returns
        -------
        ndarray, shape (sample, target)
        """
        check_is_fitted(self)
        return np.asarray(self.offset_ + self.mass_ * self.model_.predict(features_to_predict(self, X)))
