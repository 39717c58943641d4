"""What estimators for many targets share: checks of features, targets, penalties, folds and limits."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_array, check_consistent_length, validate_data

from neuroling.numerics.memory import Limits
from neuroling.numerics.ridge.dual_weights import best_rows

logger = logging.getLogger(__name__)

Splits = Sequence[tuple[NDArray[np.integer], NDArray[np.integer]]]
"""Training and test rows of every fold."""

ALPHAS: tuple[float, ...] = tuple(np.logspace(-1, 8, 19).tolist())
"""Penalties tried by default: two a decade, from nearly none for unit-length features to nearly all for long ones."""

FLOATS = [np.float64, np.float32]
POLICIES = ("refuse", "leave_out")
NAMED = 10
"""How many targets a message names."""


class ManyTargets(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """Checks that every estimator for many targets makes."""

    def _validated(self, X: ArrayLike, y: ArrayLike, n_least: int) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Features (sample, feature) and targets (sample, target) or (sample,), both float32 or float64."""
        features = validate_data(self, widened(X), dtype=FLOATS, ensure_min_samples=n_least)
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        targets = check_array(
            y, dtype=None, ensure_2d=False, allow_nd=False, ensure_all_finite=False, input_name="y", estimator=self
        )
        check_consistent_length(features, targets)
        return features, floating(targets, features.dtype)


class CrossValidated(ManyTargets):
    """Checks of estimators that choose a penalty by inner folds."""

    alphas: Sequence[float]
    folds: Any
    batch_targets: int | None
    max_memory: int | None
    targets_on_device: bool
    unusable_targets: str

    def _usable(self, targets: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which targets (sample, target) can be fitted, by the policy for those that cannot: (target,)."""
        if self.unusable_targets not in POLICIES:
            raise ValueError(f"unusable_targets: got {self.unusable_targets!r}; expected one of {', '.join(POLICIES)}.")
        with np.errstate(over="ignore", invalid="ignore"):
            finite: NDArray[np.bool_] = np.isfinite(targets.sum(0))
        if not finite.all():  # a sum can overflow; only then every value is looked at
            finite = np.isfinite(targets).all(0)
        self.unusable_targets_ = np.flatnonzero(~finite)
        self.constant_targets_ = np.flatnonzero(finite & (targets.min(0) == targets.max(0)))
        if len(self.unusable_targets_):
            self._report_unusable(targets)
        if len(self.constant_targets_):
            logger.warning(
                "%d of %d targets are constant over samples (%s): predicted by their constant, without a score",
                len(self.constant_targets_),
                targets.shape[1],
                name_some(self.constant_targets_),
            )
        return finite

    def _report_unusable(self, targets: NDArray[np.floating]) -> None:
        bad, n_targets = self.unusable_targets_, targets.shape[1]
        if self.unusable_targets == "refuse" or len(bad) == n_targets:
            kind = "NaN" if np.isnan(targets[:, bad]).any() else "infinity"
            raise ValueError(
                f"Input y contains {kind} in {len(bad)} of {n_targets} targets ({name_some(bad)}); expected finite "
                "numbers. Mend or remove these targets, or pass unusable_targets='leave_out', which predicts NaN there."
            )
        logger.warning(
            "%d of %d targets hold NaN or infinity (%s); they are left out: their weights and predictions are NaN",
            len(bad),
            n_targets,
            name_some(bad),
        )

    def _limits(self) -> Limits:
        for name in ("batch_targets", "max_memory"):
            given = getattr(self, name)
            if given is not None and not (isinstance(given, (int, np.integer)) and given >= 1):
                raise ValueError(f"{name}: got {given!r}; expected a whole number of at least 1, or None.")
        return Limits(self.batch_targets, self.max_memory, bool(self.targets_on_device))

    def _inner_folds(self, X: NDArray[np.floating], y: NDArray[np.floating], groups: ArrayLike | None) -> Splits:
        splitter = KFold(min(5, len(X))) if self.folds is None else self.folds
        if not hasattr(splitter, "split"):
            raise TypeError(f"folds: got {splitter!r}; expected a splitter with .split, such as KFold(5), or None.")
        folds = list(splitter.split(X, y, groups))
        if not folds or any(len(train) == 0 or len(test) == 0 for train, test in folds):
            raise ValueError(f"folds: {splitter!r} gave no folds, or an empty one, for {len(X)} samples.")
        return folds

    def _checked_alphas(self) -> NDArray[np.float64]:
        alphas = np.asarray(self.alphas)
        if alphas.ndim != 1 or alphas.size == 0 or alphas.dtype.kind not in "fiu":
            raise ValueError(f"alphas: got {self.alphas!r}; expected a sequence of numbers above 0.")
        wrong = alphas[~((alphas > 0) & np.isfinite(alphas))]
        if wrong.size:
            raise ValueError(f"alphas: got {wrong[:5].tolist()} among {alphas.size}; expected finite numbers above 0.")
        return alphas.astype(np.float64)


def best_penalties(alphas: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the penalty of the best score of every target; the first of equals, the largest where there is no score.

    Parameters
    ----------
    alphas : ndarray, shape (alpha,)
        Penalties.
    scores : ndarray, shape (alpha, target)
        Their scores; NaN for targets that have none.

    Returns
    -------
    ndarray, shape (target,)

    Examples
    --------
    >>> best_penalties(np.array([1.0, 9.0]), np.array([[0.5, np.nan], [0.5, np.nan]]))
    array([1., 9.])
    """
    return alphas[best_rows(scores, without=int(alphas.argmax()))]


def spread(values: NDArray[np.floating], usable: NDArray[np.bool_]) -> NDArray[np.floating]:
    r"""Put results of usable targets back in their places, NaN in the others.

    Parameters
    ----------
    values : ndarray, shape (\*axes, usable)
        Results.
    usable : ndarray of bool, shape (target,)
        Which targets have one.

    Returns
    -------
    ndarray, shape (\*axes, target)

    Examples
    --------
    >>> spread(np.array([[1.0, 2.0]]), np.array([True, False, True]))
    array([[ 1., nan,  2.]])
    """
    if usable.all():
        return values
    whole = np.full((*values.shape[:-1], len(usable)), np.nan, values.dtype)
    whole[..., usable] = values
    return whole


def of_usable(targets: NDArray[np.floating], usable: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Take the usable targets, without a copy where all are.

    Parameters
    ----------
    targets : ndarray, shape (sample, target)
    usable : ndarray of bool, shape (target,)
    """
    return targets if usable.all() else targets[:, usable]


def name_some(indices: NDArray[np.integer]) -> str:
    """Name the first few of many indices.

    Parameters
    ----------
    indices : ndarray of int

    Examples
    --------
    >>> name_some(np.arange(12))
    'indices 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more'
    """
    more = len(indices) - NAMED
    return "indices " + ", ".join(map(str, indices[:NAMED].tolist())) + (f" and {more} more" if more > 0 else "")


def columns(y: NDArray[np.floating]) -> NDArray[np.floating]:
    """Give targets two axes: (sample,) to (sample, 1).

    Parameters
    ----------
    y : ndarray, shape (sample, target) or (sample,)
    """
    return y if y.ndim == 2 else y[:, None]


def floating(y: NDArray[Any], dtype: np.dtype[np.floating]) -> NDArray[np.floating]:
    """Keep float32 and float64, widen float16 to float32, turn anything else into the features' dtype.

    Parameters
    ----------
    y : ndarray
    dtype : dtype
        Of the features.
    """
    if y.dtype == np.float16:
        return y.astype(np.float32)
    return y if y.dtype in (np.float32, np.float64) else y.astype(dtype)


def widened(X: ArrayLike) -> ArrayLike:
    """Widen float16 features to float32, which holds them exactly.

    Parameters
    ----------
    X : array-like
    """
    return X.astype(np.float32) if getattr(X, "dtype", None) == np.float16 else X  # type: ignore[union-attr]
