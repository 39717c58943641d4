"""What estimators for many targets share: the gate, their score, checks of alphas, folds and limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold

from neuroling.core.arrays import read_numbers
from neuroling.core.gate import (
    LEAST_SAMPLES,
    Checked,
    Usable,
    features_and_targets,
    usable_targets,
)
from neuroling.core.notices import warn
from neuroling.numerics.memory import Limits
from neuroling.numerics.ridge.dual_weights import best_rows

Splits = Sequence[tuple[NDArray[np.integer], NDArray[np.integer]]]
"""Training and test rows of every fold."""

ALPHAS: tuple[float, ...] = tuple(np.logspace(-1, 8, 19).tolist())
"""Penalties tried by default: two a decade, from nearly none for unit-length features to nearly all for long ones."""

EDGE_GAIN = 0.01
"""Held-out score that the last step of the alphas still gained, above which wider alphas are advised."""

EDGE_SHARE = 0.01
"""Share of targets at an edge with that gain, above which it is said; a heuristic."""

SHRUNK = 0.01
"""Sum of squares of the features, as a share of the smallest alpha, below which no direction keeps 1 % of its
weight."""

UNKNOWN_SHARE = 0.5
"""The same where the gain of the last step is not known; a heuristic."""


class ManyTargets(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """Checks that every estimator for many targets makes."""

    def _read(
        self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None, n_least: int = LEAST_SAMPLES
    ) -> Checked:
        """Features (sample, feature) and targets (sample, target) of ``fit``, past the gate."""
        checked = features_and_targets(self, X, y, groups, n_least=n_least)
        self.constant_features_ = checked.constant_features
        return checked

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        r"""Give the mean :math:`R^2` over targets, each in units of its own.

        Parameters
        ----------
        X : array-like, shape (sample, feature)
            Features.
        y : array-like, shape (sample, target) or (sample,)
            Targets.
        sample_weight : array-like, shape (sample,), optional
            Weights of the samples, at least 0.

        Returns
        -------
        float
            Over the targets that vary; those that do not, or that have no prediction, are counted in a warning.
        """
        _, targets, n_axes, _, _ = features_and_targets(self, X, y, n_least=2, purpose="score")
        predicted = np.asarray(self.predict(X))
        if predicted.shape[1:] != (targets.shape[1:] if n_axes == 2 else ()):
            raise ValueError(f"y: got {targets.shape[1]} targets; the model predicts shape {predicted.shape}.")
        predicted = columns(predicted)
        finite, constant, largest = usable_targets(targets, getattr(self, "unusable_targets", "refuse"))
        scored = finite & np.isfinite(predicted).all(0)
        scored[constant] = False
        if not scored.any():
            raise ValueError("y: no target varies and has a prediction, so there is nothing to score.")
        units = np.ldexp(np.ones(int(scored.sum())), np.frexp(largest[scored])[1] - 1)  # exact
        sides = [np.asarray(side[:, scored], dtype=np.float64) / units for side in (targets, predicted)]
        weights = None if sample_weight is None else _weights(sample_weight, len(targets))
        with np.errstate(over="ignore"):  # predictions in quite another unit than the targets: minus infinity
            return float(r2_score(*sides, sample_weight=weights))


def _weights(sample_weight: ArrayLike, n_samples: int) -> NDArray[np.floating]:
    """Weights of samples: (sample,), finite, none negative, not all zero."""
    weights, _ = read_numbers("sample_weight", sample_weight)
    wrong = weights.shape != (n_samples,) or not np.isfinite(weights).all() or weights.min() < 0
    if wrong or not weights.any():
        raise ValueError(
            f"sample_weight: got shape {weights.shape}; expected {n_samples} finite numbers of at least 0, and some "
            "above 0."
        )
    return weights


class CrossValidated(ManyTargets):
    """Checks of estimators that choose a penalty by inner folds."""

    alphas: Sequence[float]
    folds: Any
    batch_targets: int | None
    max_memory: int | None
    targets_on_device: bool
    unusable_targets: str

    def _usable(self, targets: NDArray[np.floating]) -> Usable:
        """Which targets (sample, target) can be fitted, by the policy for those that cannot."""
        usable = usable_targets(targets, self.unusable_targets)
        self.unusable_targets_ = np.flatnonzero(~usable.finite)
        self.constant_targets_ = usable.constant
        return usable

    def _limits(self) -> Limits:
        for name in ("batch_targets", "max_memory"):
            given = getattr(self, name)
            if given is not None and not (isinstance(given, (int, np.integer)) and given >= 1):
                raise ValueError(f"{name}: got {given!r}; expected a whole number of at least 1, or None.")
        return Limits(self.batch_targets, self.max_memory, bool(self.targets_on_device))

    def _inner_folds(
        self, X: NDArray[np.floating], y: NDArray[np.floating] | None, groups: NDArray[np.generic] | None
    ) -> Splits:
        splitter = KFold(min(5, len(X))) if self.folds is None else self.folds
        if not hasattr(splitter, "split"):
            raise TypeError(f"folds: got {splitter!r}; expected a splitter with .split, such as KFold(5), or None.")
        try:
            folds = [(np.asarray(train), np.asarray(test)) for train, test in splitter.split(X, y, groups)]
        except (ValueError, TypeError) as error:
            given = "groups" if groups is not None else "no groups"
            raise ValueError(f"folds: {splitter!r} cannot split {len(X)} samples with {given}: {error}") from error
        if not folds or any(len(train) == 0 or len(test) == 0 for train, test in folds):
            raise ValueError(f"folds: {splitter!r} gave no folds, or an empty one, for {len(X)} samples.")
        for number, (train, test) in enumerate(folds):
            _check_fold(number, train, test, len(X))
        return folds

    def _folds_without_targets(
        self, X: NDArray[np.floating], groups: NDArray[np.generic] | None
    ) -> list[tuple[NDArray[np.integer], NDArray[np.integer]]] | None:
        """Inner folds of a splitter that looks at no targets and draws none at random; None of any other."""
        splitter = KFold(min(5, len(X))) if self.folds is None else self.folds
        random = getattr(splitter, "shuffle", False) and getattr(splitter, "random_state", 0) is None
        if random or not hasattr(splitter, "split"):
            return None
        try:
            return list(self._inner_folds(X, None, groups))
        except ValueError:  # it asks for targets, or something is wrong that a fit will tell
            return None

    def _checked_alphas(self) -> NDArray[np.float64]:
        return checked_alphas(self.alphas)


def _check_fold(number: int, train: NDArray[np.generic], test: NDArray[np.generic], n_samples: int) -> None:
    for rows in (train, test):
        if rows.dtype.kind not in "iu" or rows.ndim != 1 or rows.min() < 0 or rows.max() >= n_samples:
            raise ValueError(
                f"folds: fold {number} holds {rows.dtype} of shape {rows.shape}; expected row numbers from 0 to "
                f"{n_samples - 1}."
            )
    if len(train) < 2:
        raise ValueError(
            f"folds: fold {number} trains on one sample of {n_samples}, from which nothing is learned; expected at "
            "least two. Use fewer or larger folds, or more samples."
        )


def checked_alphas(alphas: Sequence[float]) -> NDArray[np.float64]:
    """Check the regularization strengths that are to be tried.

    Parameters
    ----------
    alphas : sequence of float
        Each above 0.

    Returns
    -------
    ndarray, shape (alpha,)

    Examples
    --------
    >>> checked_alphas([1, 10])
    array([ 1., 10.])
    """
    values = np.asarray(alphas)
    if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "fiu":
        raise ValueError(f"alphas: got {alphas!r}; expected a sequence of numbers above 0.")
    wrong = values[~((values > 0) & np.isfinite(values))]
    if wrong.size:
        raise ValueError(f"alphas: got {wrong[:5].tolist()} among {values.size}; expected finite numbers above 0.")
    return values.astype(np.float64)


def warn_at_edge(
    alphas: NDArray[np.float64],
    chosen: NDArray[np.float64],
    best: NDArray[np.float64],
    inner: NDArray[np.float64] | None = None,
) -> None:
    """Warn where scores still rise at the smallest or largest regularization strength tried.

    Targets that nothing predicts choose the largest one, and a wider search would change nothing; so only those count
    that are predicted, and whose held-out score rose by more than :data:`EDGE_GAIN` over the last step. Where that step
    is not known, those that are predicted but for :data:`EDGE_GAIN` do not count either.

    Parameters
    ----------
    alphas : ndarray, shape (alpha,)
        What was tried.
    chosen : ndarray, shape (target,)
        What was chosen.
    best : ndarray, shape (target,)
        Held-out score of the choice.
    inner : ndarray, optional, shape (target,)
        Held-out score one step away from the edge, where the choice is at one.
    """
    if len(alphas) < 2:
        return
    edges = (alphas.min(), alphas.max())
    with np.errstate(invalid="ignore"):
        gain = 1 - best if inner is None else best - inner
        rising = np.isin(chosen, edges) & (gain > EDGE_GAIN) & (best > EDGE_GAIN)
    if not rising.mean() > (EDGE_SHARE if inner is not None else UNKNOWN_SHARE):
        return
    how = "is the best" if inner is None else f"gains more than {EDGE_GAIN:g} of held-out score over its neighbour"
    sides = [f"{edge:g} for {int((rising & (chosen == edge)).sum())}" for edge in edges]
    warn(
        "alpha-at-edge",
        "alphas",
        f"for {int(rising.sum())} of {len(chosen)} targets the smallest or largest of the {len(alphas)} alphas {how} "
        f"({', '.join(sides)}); try a wider range.",
    )


def warn_if_shrunk(alphas: NDArray[np.float64], trace: float, shape: tuple[int, ...]) -> None:
    """Warn where the smallest regularization strength shrinks all features to nothing, or the largest shrinks nothing.

    The second is said where there are at least as many features as samples alone: there, a fit without regularization
    repeats the training targets, noise included.

    Parameters
    ----------
    alphas : ndarray, shape (alpha,)
        What is tried.
    trace : float
        Sum of squares of the centred features, or trace of the centred Gram matrix.
    shape : tuple of int
        Samples and features.
    """
    n_samples, n_features = shape
    mean_variance = trace / max(n_samples - 1, 1)  # of a direction of the features
    if n_features >= n_samples and alphas.max() < SHRUNK * mean_variance:
        warn(
            "features-unshrunk",
            "X",
            f"the largest alpha, {alphas.max():g}, is less than {SHRUNK:.0%} of the mean sum of squares of the centred "
            f"features along each of their {n_samples - 1} directions, {mean_variance:.2g}, so that nothing is "
            "regularized and predictions repeat the training targets; scale the features down, or try larger alphas.",
        )
    if trace < SHRUNK * alphas.min():
        warn(
            "features-shrunk",
            "X",
            f"the sum of squares of the centred features, {trace:.2g}, is less than {SHRUNK:.0%} of the smallest "
            f"alpha, {alphas.min():g}, so that predictions are the mean of the targets; scale the features up, or try "
            "smaller alphas.",
        )


def one_step_in(
    alphas: NDArray[np.float64], chosen: NDArray[np.float64], scores: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give the score (target,) one step inward from the alpha that was chosen at an edge.

    Parameters
    ----------
    alphas : ndarray, shape (alpha,)
        In any order.
    chosen : ndarray, shape (target,)
        What was chosen.
    scores : ndarray, shape (alpha, target)
        Held-out scores.
    """
    order = np.argsort(alphas)
    neighbour = np.where(chosen == alphas[order[0]], order[min(1, len(order) - 1)], order[max(-2, -len(order))])
    return np.asarray(np.take_along_axis(scores, neighbour[None], axis=0)[0])


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


def columns(y: NDArray[np.floating]) -> NDArray[np.floating]:
    """Give targets two axes: (sample,) to (sample, 1).

    Parameters
    ----------
    y : ndarray, shape (sample, target) or (sample,)
    """
    return y if y.ndim == 2 else y[:, None]
