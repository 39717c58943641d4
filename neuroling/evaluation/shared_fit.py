"""Fit once, score many times: several metrics of the same held-out predictions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from neuroling.core.protocols import Array, Predictor, Split
from neuroling.evaluation.heldout import fit_split, fresh


@dataclass(frozen=True)
class FitOnce:
    """A model that remembers its first fit, so that a second metric costs no second one.

    The same features, targets and splits give back what was predicted for them first. Other data, such as a recording
    that a null has reordered, are fitted as usual and not remembered.

    Attributes
    ----------
    model : Predictor
        The model; it stays unfitted.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> model = FitOnce(LinearRegression())
    >>> X, rows = np.eye(4), np.arange(4)
    >>> splits = [Split(rows[:3], rows[3:])]
    >>> first, again = (list(model.held_out(X, X, splits)) for _ in range(2))
    >>> first[0] is again[0], len(model.fitted)
    (True, 1)
    """

    model: Predictor
    _memory: dict[str, list[tuple[Predictor, Array]]] = field(default_factory=dict, repr=False, compare=False)

    def fit(self, X: Array, y: Array) -> Predictor:
        """Fit a fresh copy of the model.

        Parameters
        ----------
        X : ndarray, shape (sample, feature)
            Features.
        y : ndarray, shape (sample, target)
            Targets.
        """
        return fresh(self.model).fit(X, y)

    def predict(self, X: Array) -> Array:  # noqa: ARG002
        """Refuse: only held-out predictions are kept.

        Parameters
        ----------
        X : ndarray
            Not used.
        """
        raise TypeError("model: FitOnce keeps held-out predictions only; predict with one of its .fitted models.")

    @property
    def fitted(self) -> list[Predictor]:
        """Fitted models of the first evaluation, one a split; empty before."""
        if not self._memory:
            return []
        return [model for model, _ in next(iter(self._memory.values()))]

    def held_out(
        self, X: Array, y: Array, splits: Sequence[Split], groups: NDArray[np.generic] | None = None
    ) -> Iterator[Array]:
        """Predict the test rows of every split, from memory where they have been predicted before.

        Parameters
        ----------
        X : ndarray, shape (sample, feature)
            Features.
        y : ndarray, shape (sample, target)
            Targets.
        splits : sequence of Split
            Row numbers.
        groups : ndarray, optional, shape (sample,)
            Handed to ``fit`` (training rows only) where the model declares ``groups``.

        Yields
        ------
        ndarray, shape (test, target)
        """
        key = _key([X, y, *(rows for split in splits for rows in split)], groups)
        fits = self._memory.get(key) or [self._one(X, y, split, groups) for split in splits]
        if not self._memory:
            self._memory[key] = fits
        yield from (prediction for _, prediction in fits)

    def _one(self, X: Array, y: Array, split: Split, groups: NDArray[np.generic] | None) -> tuple[Predictor, Array]:
        fitted = fit_split(self.model, X, y, split, groups)
        return fitted, np.asarray(fitted.predict(X[split.test])).reshape(len(split.test), -1)


def _key(arrays: Sequence[NDArray[np.generic]], groups: NDArray[np.generic] | None) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype.str}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(repr(None if groups is None else groups.tolist()).encode())
    return digest.hexdigest()
