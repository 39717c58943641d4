"""Ridge for small designs: the penalty by leave-one-out, and held-out pairs without a single refit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.model_selection import LeaveOneOut

from neuroling.core.gate import check_training_sets, features_and_targets, in_own_units, usable_targets
from neuroling.encoding.ridge import RidgeCV, is_partition
from neuroling.encoding.validation import ALPHAS, Splits, warn_if_shrunk
from neuroling.numerics.device import resolve_device, to_tensor
from neuroling.numerics.memory import Targets
from neuroling.numerics.ridge.nested_leave_two_out import PenaltyTooSmallError, nested_pairs


class LeaveOneOutRidgeCV(RidgeCV):
    r"""Ridge regression whose penalty is chosen per target by leave-one-out inside the training set.

    For designs of some dozens of items that are exchangeable, such as words or pictures shown in random order; *not*
    for a time axis, where the neighbours of the one left out give its value away. Under leave-two-out evaluation all
    folds are had in closed form: the choice of the penalty from triples of samples, the predictions from pairs.

    Parameters
    ----------
    alphas : sequence of float
        Penalties to try, each above 0.
    batch_targets, max_memory, targets_on_device, unusable_targets, device
        As in :class:`neuroling.RidgeCV`.

    Attributes
    ----------
    alpha_, cv_scores_, share_at_edge_, coef_, intercept_, constant_targets_, unusable_targets_, n_features_in_
        As in :class:`neuroling.RidgeCV`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((8, 3))
    >>> pair = (np.arange(2, 8), np.arange(2))
    >>> model = LeaveOneOutRidgeCV(alphas=(0.1, 10.0), device="cpu")
    >>> (prediction,) = model.held_out(X, X @ np.ones((3, 2)), [pair])
    >>> bool(np.allclose(prediction, model.fit(X[2:], X[2:] @ np.ones((3, 2))).predict(X[:2])))
    True
    """

    def __init__(
        self,
        alphas: Sequence[float] = ALPHAS,
        *,
        batch_targets: int | None = None,
        max_memory: int | None = None,
        targets_on_device: bool = False,
        unusable_targets: str = "refuse",
        device: str = "auto",
    ) -> None:
        super().__init__(
            alphas,
            folds=LeaveOneOut(),
            batch_targets=batch_targets,
            max_memory=max_memory,
            targets_on_device=targets_on_device,
            unusable_targets=unusable_targets,
            device=device,
        )

    def held_out(self, X: ArrayLike, y: ArrayLike, splits: Splits) -> Iterator[NDArray[np.floating]]:
        """Predict every test set from its training set, where the penalties are chosen anew; equal to refitting.

        Where every test set is a pair and its training set all the rest, nothing is refitted. Other splits, and
        penalties so small that the closed form would lose digits, are fitted one by one.

        Parameters
        ----------
        X : array-like, shape (sample, feature)
            Features of all rows.
        y : array-like, shape (sample, target) or (sample,)
            Targets of all rows.
        splits : sequence of (train, test)
            Row indices.

        Yields
        ------
        ndarray, shape (test, target) or (test,)
            One prediction per split, in their order.
        """
        alphas = self._checked_alphas()
        features, targets, n_axes, _, _ = features_and_targets(self, X, y, purpose="held_out")
        check_training_sets(splits)
        warn_if_shrunk(alphas, float(len(features) * features.var(0, dtype=np.float64).sum()), features.shape)
        scaled, units = in_own_units(targets, usable_targets(targets).largest)
        for predicted in self._from_triples(features, scaled, splits, alphas) or self._refits(features, scaled, splits):
            found = units.back(predicted)
            yield found if n_axes == 2 else found[:, 0]

    def _from_triples(
        self, X: NDArray[np.floating], Y: NDArray[np.floating], splits: Splits, alphas: NDArray[np.float64]
    ) -> Iterator[NDArray[np.floating]] | None:
        """Predictions in closed form, or None where it does not apply."""
        if len(X) < 4 or not all(len(test) == 2 and is_partition(train, test, len(X)) for train, test in splits):
            return None
        features = to_tensor(X, resolve_device(self.device), torch.float64)
        centred = features - features.mean(0)
        pairs = np.array([test for _, test in splits])
        allowed = Targets(Y, features.device, self._limits()).allowed
        operators = nested_pairs(centred @ centred.T, Y, pairs, alphas, allowed=allowed)
        try:
            first = next(operators)
        except PenaltyTooSmallError:
            return None
        return (prediction for part in ([first], operators) for prediction, _ in part)

    def _refits(
        self, X: NDArray[np.floating], Y: NDArray[np.floating], splits: Splits
    ) -> Iterator[NDArray[np.floating]]:
        for train, test in splits:
            yield clone(self).fit(X[train], Y[train]).predict(X[test])
