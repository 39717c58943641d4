"""Predict each participant by what a model has learned from all others."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone

Array = NDArray[np.floating[Any]]


class OtherParticipants(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Fit a model to the mean of all other participants, for each participant.

    What is predicted of a participant then says how well weights hold for other people as well as for other samples.
    The recording has participants on the first of its target axes, such as (sample, subject, time).

    Parameters
    ----------
    model : estimator
        Anything with ``fit`` and ``predict``, such as ``LinearRegression()``; it stays unfitted.
    n_participants : int
        How many there are.

    Attributes
    ----------
    models_ : list of estimator
        The fitted model of each participant, learned from the others.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> X = np.arange(4.0)[:, None]
    >>> Y = X * [[1.0, 2.0, 6.0]]  # slopes of three participants
    >>> fitted = OtherParticipants(LinearRegression(), 3).fit(X, Y)
    >>> fitted.predict(np.array([[1.0]])).round(6).tolist()
    [[4.0, 3.5, 1.5]]
    """

    def __init__(self, model: Any, n_participants: int) -> None:
        self.model = model
        self.n_participants = n_participants

    def fit(self, X: Array, y: Array) -> Self:
        """Fit one model per participant to the mean of the others.

        Parameters
        ----------
        X : ndarray, shape (sample, feature)
            Features.
        y : ndarray, shape (sample, participant · other targets)
            Targets, participant after participant.

        Returns
        -------
        OtherParticipants
        """
        people = self._by_participant(np.asarray(y))
        total = people.sum(axis=1)
        self.models_ = [
            clone(self.model).fit(X, (total - people[:, number]) / (self.n_participants - 1))
            for number in range(self.n_participants)
        ]
        return self

    def predict(self, X: Array) -> Array:
        """Predict every participant from the others.

        Parameters
        ----------
        X : ndarray, shape (sample, feature)
            Features.

        Returns
        -------
        ndarray, shape (sample, participant · other targets)
        """
        predictions = [np.asarray(model.predict(X)).reshape(len(X), -1) for model in self.models_]
        return np.concatenate(predictions, axis=1)

    def _by_participant(self, y: Array) -> Array:
        """Part targets by participant: (sample, participant, other target)."""
        if self.n_participants < 2:
            raise ValueError(f"n_participants: got {self.n_participants}; expected at least two.")
        if y.ndim != 2 or y.shape[1] % self.n_participants:
            raise ValueError(
                f"y: got shape {y.shape}; expected (sample, target) with as many targets for each of "
                f"{self.n_participants} participants."
            )
        return y.reshape(len(y), self.n_participants, -1)
