r"""The one gate of all estimators: what ``fit``, ``predict``, ``score`` and ``held_out`` may be handed.

Every estimator reads its arguments here, by the same named steps:

1. :func:`neuroling.core.arrays.read_numbers`: arrays, data frames, tensors and lists become float32 or float64; text,
   complex numbers, masked values, sparse matrices and generators are refused;
2. :func:`check_shapes`: two axes of features, one or two of targets, as many samples of both, with a hint where one of
   them lies on its side;
3. :func:`neuroling.core.arrays.refuse_other_labels`: rows that are labelled must be labelled alike, in one order;
4. :func:`check_features`: finite, neither too large nor too small to be squared, not all zero or constant; single
   constant features are counted in the warning ``constant-features``;
5. :func:`usable_targets`: NaN and infinity by the estimator's policy, constant targets counted in the warning
   ``constant-targets``;
6. :func:`in_own_units`: targets in extreme units are computed with in units of their own, so that the unit of a
   recording never decides what is chosen for it.

Every message begins with the name of the argument.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from neuroling.core.arrays import (
    read_numbers,
    refuse_extreme,
    refuse_not_finite,
    refuse_other_labels,
    row_labels,
)
from neuroling.core.notices import warn

Array = NDArray[np.floating[Any]]
Purpose = Literal["fit", "held_out", "score"]

POLICIES = ("refuse", "leave_out")
NAMED = 10
"""How many targets or features a message names."""

LEAST_SAMPLES = 3
"""Fewest samples of a fit: a line passes through two, whatever they hold."""

SAFE_EXPONENT = {np.dtype(np.float32): 30, np.dtype(np.float64): 200}
"""Targets whose largest value lies between two to minus and plus this power are computed with as they are: sums of
their squares, and of errors a hundred million times smaller, neither overflow nor vanish. A heuristic with room on
both sides."""


class Checked(NamedTuple):
    """What has passed the gate.

    Attributes
    ----------
    features : ndarray, shape (sample, feature)
        Finite, float32 or float64.
    targets : ndarray, shape (sample, target)
        float32 or float64; finite where ``usable``.
    n_axes : int
        How many axes the targets had: 1 or 2.
    groups : ndarray or None, shape (sample,)
        Runs, stories or lists.
    constant_features : ndarray of int
        Indices of features that do not vary.
    """

    features: Array
    targets: Array
    n_axes: int
    groups: NDArray[np.generic] | None
    constant_features: NDArray[np.intp]


def features_and_targets(
    model: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    n_least: int = LEAST_SAMPLES,
    purpose: Purpose = "fit",
    varied: bool = True,
) -> Checked:
    """Read features and targets of the same samples.

    Parameters
    ----------
    model : estimator
        Whose method was called.
    X : array-like, shape (sample, feature)
        Features.
    y : array-like, shape (sample, target) or (sample,)
        Targets; NaN and infinity are left to :func:`usable_targets`.
    groups : array-like, shape (sample,), optional
        Runs, stories or lists.
    n_least : int
        Fewest samples.
    purpose : {"fit", "held_out", "score"}
        ``"fit"`` writes names and number of the features on ``model``, ``"score"`` compares them with what stands
        there.
    varied : bool
        Whether features have to vary over these samples; never for ``"score"``.

    Returns
    -------
    Checked

    Raises
    ------
    TypeError, ValueError
        If one of them is no array of real numbers, or they do not belong together; the message begins with the
        argument's name.
    """
    kind = type(model).__name__
    if y is None:
        raise ValueError(f"y: {kind} requires y to be passed, but the target y is None.")
    features, rows = read_numbers("X", X)
    targets, target_rows = read_numbers("y", y, narrow=np.float32 if features.dtype == np.float32 else np.float64)
    check_shapes(features, targets, n_least)
    if purpose != "held_out":
        remember_features(model, X, features, reset=purpose == "fit")
    refuse_other_labels(("X", "y"), (rows, target_rows), len(features))
    constant = check_features(features, varied=varied and purpose != "score")
    table = targets if targets.ndim == 2 else targets[:, None]
    runs = None if groups is None else read_groups(groups, len(features), rows if rows is not None else target_rows)
    return Checked(features, table, targets.ndim, runs, constant)


def features_to_predict(model: BaseEstimator, X: ArrayLike) -> Array:
    """Read the features of samples that are to be predicted.

    Parameters
    ----------
    model : estimator
        Fitted.
    X : array-like, shape (sample, feature)
        Features, as many as at ``fit``, in the same order.

    Returns
    -------
    ndarray, shape (sample, feature)
    """
    features, _ = read_numbers("X", X)
    _check_table("X", features, "feature")
    remember_features(model, X, features, reset=False)
    check_features(features, varied=False)
    return features


# --- shapes -----------------------------------------------------------------------------------------------------------


def check_shapes(features: Array, targets: Array, n_least: int) -> None:
    """Refuse axes and numbers of samples that do not fit, with a hint where a matrix lies on its side.

    Parameters
    ----------
    features : ndarray
        Wanted as (sample, feature).
    targets : ndarray
        Wanted as (sample, target) or (sample,).
    n_least : int
        Fewest samples.
    """
    _check_table("X", features, "feature")
    if targets.ndim not in (1, 2):
        raise ValueError(
            f"y: got shape {targets.shape}; expected (sample, target) or (sample,). Lay further axes out as targets "
            "with .reshape(len(y), -1)."
        )
    if targets.ndim == 2 and targets.shape[1] == 0:
        raise ValueError(f"y: 0 target(s) (shape={targets.shape}) while a minimum of 1 is required.")
    if len(features) != len(targets):
        raise ValueError(
            f"X, y: got shapes {features.shape} and {targets.shape}, which are {len(features)} and {len(targets)} "
            f"samples; expected as many. {_turned(features, targets)}"
        )
    if len(features) < n_least:
        raise ValueError(f"X: got n_samples={len(features)} (shape {features.shape}); expected at least {n_least}.")


def check_training_sets(splits: Sequence[tuple[NDArray[np.integer], NDArray[np.integer]]]) -> None:
    """Refuse splits that train on fewer samples than a fit takes.

    Parameters
    ----------
    splits : sequence of (train, test)
        Row numbers.
    """
    for number, (train, _) in enumerate(splits):
        if len(train) < LEAST_SAMPLES:
            raise ValueError(
                f"splits: split {number} trains on {len(train)} samples; expected at least {LEAST_SAMPLES}."
            )


def _turned(features: Array, targets: Array) -> str:
    """Say which of two matrices would fit if it were turned."""
    if features.shape[1] == len(targets):
        return "Samples lie along the first axis: X.T would fit."
    if targets.ndim == 2 and targets.shape[1] == len(features):
        return "Samples lie along the first axis: y.T would fit."
    return "Samples lie along the first axis of both."


def _check_table(name: str, values: Array, axis: str) -> None:
    if values.ndim == 1:
        raise ValueError(
            f"{name}: got shape {values.shape}; expected two axes, (sample, {axis}). Reshape your data: "
            f"{name}.reshape(-1, 1) is one {axis}, {name}.reshape(1, -1) one sample."
        )
    if values.ndim != 2:
        raise ValueError(f"{name}: got shape {values.shape}; expected two axes, (sample, {axis}).")
    if values.shape[1] == 0:
        raise ValueError(f"{name}: 0 {axis}(s) (shape={values.shape}) while a minimum of 1 is required.")
    if len(values) == 0:
        raise ValueError(f"{name}: got n_samples=0 (shape {values.shape}); expected at least one sample.")


def remember_features(model: BaseEstimator, X: ArrayLike, features: Array, *, reset: bool) -> None:
    """Write the number and names of the features on a model, or compare them with what stands there.

    Parameters
    ----------
    model : estimator
        Gets ``n_features_in_`` and, from a data frame, ``feature_names_in_``.
    X : array-like
        Features as they were handed over.
    features : ndarray, shape (sample, feature)
        As they were read.
    reset : bool
        Whether to write or to compare.
    """
    n_features_of_model = getattr(model, "n_features_in_", None)
    if not reset and n_features_of_model is not None and n_features_of_model != features.shape[1]:
        turned = " Samples lie along the first axis: X.T would fit." if n_features_of_model == len(features) else ""
        raise ValueError(
            f"X has {features.shape[1]} features, but {type(model).__name__} is expecting {n_features_of_model} "
            f"features as input (X: shape {features.shape}).{turned}"
        )
    if not hasattr(X, "columns") and not hasattr(model, "feature_names_in_"):  # no names to be compared
        if reset:
            model.n_features_in_ = features.shape[1]
        return
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            validate_data(model, X if hasattr(X, "columns") else features, reset=reset, skip_check_array=True)
    except ValueError as error:
        raise ValueError(f"X: {error}") from error
    if caught:  # scikit-learn's word on names that stand on one side only
        warn("unnamed-features", "X", f"{caught[0].message}; columns are matched by position.")


def read_groups(groups: ArrayLike, n_samples: int, rows: pd.Index | None) -> NDArray[np.generic]:
    """Read the run, story or list of every sample.

    Parameters
    ----------
    groups : array-like, shape (sample,)
        Labels.
    n_samples : int
        How many samples there are.
    rows : pandas.Index or None
        Labels of the samples.

    Returns
    -------
    ndarray, shape (sample,)
    """
    labels = np.asarray(groups)
    if labels.shape != (n_samples,):
        raise ValueError(f"groups: got shape {labels.shape}; expected one label for each of {n_samples} samples.")
    missing = np.asarray(pd.isna(labels))
    if missing.any():
        raise ValueError(
            f"groups: {int(missing.sum())} of {n_samples} labels are missing, first in rows "
            f"{np.flatnonzero(missing)[:NAMED].tolist()}; expected the run, story or list of every sample."
        )
    refuse_other_labels(("X", "groups"), (rows, row_labels(groups)), n_samples)
    return labels


# --- values -----------------------------------------------------------------------------------------------------------


def check_features(features: Array, *, varied: bool) -> NDArray[np.intp]:
    """Refuse features that are not finite or that nothing can be predicted from; count those that do not vary.

    Parameters
    ----------
    features : ndarray, shape (sample, feature)
        Features.
    varied : bool
        Whether they have to vary over these samples.

    Returns
    -------
    ndarray of int
        Indices of features that do not vary; none where they need not.
    """
    low, high = features.min(0), features.max(0)  # NaN and infinity come through
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        refuse_not_finite("X", features)
    refuse_extreme("X", np.stack([low, high]))
    if not varied:
        return np.flatnonzero(np.zeros(0))
    constant = np.flatnonzero(low == high)
    if len(constant) == len(low):
        what = "every value is zero" if not high.any() else "every feature has the same value in all samples"
        raise ValueError(
            f"X: {what} (shape {features.shape}), so nothing can be predicted from it; expected features that vary."
        )
    if len(constant):
        warn(
            "constant-features",
            "X",
            f"{len(constant)} of {len(low)} features are constant over the {len(features)} training samples "
            f"({name_some(constant)}); nothing can be learned from them.",
        )
    return constant


class Usable(NamedTuple):
    """Which targets can be fitted.

    Attributes
    ----------
    finite : ndarray of bool, shape (target,)
        Those without NaN and infinity.
    constant : ndarray of int
        Indices of finite targets that do not vary.
    largest : ndarray, shape (target,)
        Largest absolute value of each.
    """

    finite: NDArray[np.bool_]
    constant: NDArray[np.intp]
    largest: Array


def usable_targets(targets: Array, policy: str = "refuse") -> Usable:
    """Say which targets can be fitted, and which of them are constant.

    Parameters
    ----------
    targets : ndarray, shape (sample, target)
        Targets.
    policy : {"refuse", "leave_out"}
        What is done with those that hold NaN or infinity.

    Returns
    -------
    Usable

    Raises
    ------
    ValueError
        If the policy is unknown, targets are to be refused, none is left, or none varies.
    """
    if policy not in POLICIES:
        raise ValueError(f"unusable_targets: got {policy!r}; expected one of {', '.join(POLICIES)}.")
    low, high = targets.min(0), targets.max(0)  # NaN and infinity come through
    finite: NDArray[np.bool_] = np.isfinite(low) & np.isfinite(high)
    if not finite.all():
        _report_unusable(targets, finite, policy)
    constant = np.flatnonzero(finite & (low == high))
    if len(constant):
        _report_constant(constant, int(finite.sum()), len(targets))
    return Usable(finite, constant, np.maximum(np.abs(low), np.abs(high)))


def _report_unusable(targets: Array, finite: NDArray[np.bool_], policy: str) -> None:
    bad, n_targets = np.flatnonzero(~finite), len(finite)
    if policy == "refuse" or len(bad) == n_targets:
        kind = "NaN" if np.isnan(targets[:, bad]).any() else "infinity"
        raise ValueError(
            f"y: Input y contains {kind} in {len(bad)} of {n_targets} targets ({name_some(bad)}); expected finite "
            "numbers. Mend or remove these targets, or pass unusable_targets='leave_out' to an estimator that chooses "
            "its regularization strength, which then predicts NaN there."
        )
    warn(
        "unusable-targets",
        "y",
        f"{len(bad)} of {n_targets} targets hold NaN or infinity ({name_some(bad)}); they are excluded: their weights "
        "and predictions are NaN.",
    )


def _report_constant(constant: NDArray[np.intp], n_targets: int, n_samples: int) -> None:
    if len(constant) == n_targets:
        raise ValueError(
            f"y: all {n_targets} targets are constant over the {n_samples} training samples, so there is nothing to "
            "predict; expected targets that vary."
        )
    warn(
        "constant-targets",
        "y",
        f"{len(constant)} of {n_targets} targets are constant over samples ({name_some(constant)}); they are predicted "
        "by their constant, without a score.",
    )


class Units(NamedTuple):
    """Powers of two by which targets were divided, none where all were computed with as they are.

    Attributes
    ----------
    factors : ndarray or None, shape (target,)
        In the dtype of the targets.
    """

    factors: Array | None

    def back(self, values: Array) -> Array:
        r"""Bring results back into the units of the targets.

        Parameters
        ----------
        values : ndarray, shape (\*axes, target)
            Weights, means or predictions.

        Returns
        -------
        ndarray, same shape
            In the same dtype, or float64 where float32 would not hold them.

        Raises
        ------
        ValueError
            If float64 would not hold them either.
        """
        if self.factors is None:
            return values
        for dtype in dict.fromkeys((values.dtype, np.dtype(np.float64))):
            scaled, lost = self._scaled(values, dtype)
            if not lost.any():
                return scaled
        raise ValueError(
            f"y: weights or predictions of {int(lost.sum())} targets leave the range of float64; hand over targets and "
            "features in units nearer to 1."
        )

    def _scaled(self, values: Array, dtype: np.dtype[np.floating[Any]]) -> tuple[Array, NDArray[np.bool_]]:
        """Values in the units of the targets, and of which targets (target,) digits are lost in that dtype."""
        assert self.factors is not None  # noqa: S101 - the caller has looked
        with np.errstate(over="ignore", under="ignore"):
            scaled = np.asarray(values.astype(dtype) * self.factors.astype(dtype))
        axes = tuple(range(values.ndim - 1))
        before, after = (np.abs(side).max(axes, initial=0.0) for side in (values, scaled))
        lost = np.isinf(after) | ((after < np.finfo(dtype).smallest_normal) & (before > NEGLIGIBLE))
        return scaled, np.atleast_1d(lost)


NEGLIGIBLE = 1e-12
"""Weights and predictions of targets near 1 that are rounding, and may vanish."""


def in_own_units(targets: Array, largest: Array) -> tuple[Array, Units]:
    """Divide targets in extreme units by a power of two each, which loses nothing; others are taken as they are.

    Parameters
    ----------
    targets : ndarray, shape (sample, target)
        Finite.
    largest : ndarray, shape (target,)
        Largest absolute value of each.

    Returns
    -------
    targets : ndarray, shape (sample, target)
        The same array where no unit is extreme; a copy where one is.
    units : Units
        What brings results back.

    Raises
    ------
    ValueError
        If values are so small that their type holds them with fewer digits.

    Examples
    --------
    >>> scaled, units = in_own_units(np.array([[1e-300], [3e-300]]), np.array([3e-300]))
    >>> bool(1 <= np.abs(scaled).max() < 2), units.back(scaled).tolist()
    (True, [[1e-300], [3e-300]])
    """
    power = np.frexp(largest)[1] - 1  # (target,): the largest value lies between 2^power and twice that
    extreme = (np.abs(power) > SAFE_EXPONENT[targets.dtype]) & (largest > 0)
    if not extreme.any():
        return targets, Units(None)
    small = extreme & (largest < np.finfo(targets.dtype).smallest_normal)
    if small.any():
        raise ValueError(
            f"y: {int(small.sum())} of {len(small)} targets hold no value above {float(largest[small].max()):.1e}, "
            f"where {targets.dtype} has fewer digits; hand over float64, or a smaller unit."
        )
    power = np.where(extreme, power, 0)
    return np.ldexp(targets, -power), Units(np.ldexp(np.ones(len(power), targets.dtype), power))


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
