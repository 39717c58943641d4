"""Held-out predictions of any model, closed form where it has one."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroling.core.align import Aligned
from neuroling.core.protocols import Array, HoldsOut, Predictor, Split


@dataclass(frozen=True)
class HeldOut:
    r"""Held-out data of one split: recorded test samples, and their prediction from the training samples.

    Attributes
    ----------
    split : Split
        Row numbers.
    truth, prediction : ndarray, shape (test, \*targets)
        Held-out values.
    """

    split: Split
    truth: Array
    prediction: Array


OnFit = Callable[[Split, Predictor], None]
"""Told of every model that was fitted on the way, with its split."""


def held_out(
    model: Predictor, data: Aligned, splits: Sequence[Split], on_fit: OnFit | None = None
) -> Iterator[HeldOut]:
    """Predict the test samples of every split from its training samples.

    Parameters
    ----------
    model : Predictor
        Anything with ``fit`` and ``predict``; one with a closed form (``held_out``) is not refitted.
    data : Aligned
        Features and recording.
    splits : sequence of Split
        Row numbers.
    on_fit : callable, optional
        Called with every split and its fitted model; not where a closed form fits nothing.

    Yields
    ------
    HeldOut
        In the order of the splits.
    """
    y = data.y_mean.values
    flat = y.reshape(len(y), -1)  # (sample, target)
    predictions = predict_splits(model, data.x.values, flat, splits, data.groups(), on_fit)
    for split, prediction in zip(splits, predictions, strict=True):
        yield HeldOut(split, y[split.test], prediction.reshape(len(split.test), *y.shape[1:]))


def predict_splits(
    model: Predictor,
    X: Array,
    Y: Array,
    splits: Sequence[Split],
    groups: NDArray[np.generic] | None,
    on_fit: OnFit | None = None,
) -> Iterator[Array]:
    """Predict test rows from training rows, on bare arrays.

    Parameters
    ----------
    model : Predictor
        The model.
    X : ndarray, shape (sample, feature)
        Features.
    Y : ndarray, shape (sample, target)
        Targets.
    splits : sequence of Split
        Row numbers.
    groups : ndarray or None, shape (sample,)
        Handed to ``fit`` (training rows only), or to ``held_out`` (all rows), where the model declares ``groups``.
    on_fit : callable, optional
        Called with every split and its fitted model; not where a closed form fits nothing.

    Yields
    ------
    ndarray, shape (test, target)
    """
    predictions = _predictions(model, X, Y, splits, groups, on_fit)
    for number, (split, prediction) in enumerate(zip(splits, predictions, strict=True)):
        yield _checked(prediction, len(split.test), Y.shape[1], model, number)


def _predictions(
    model: Predictor,
    X: Array,
    Y: Array,
    splits: Sequence[Split],
    groups: NDArray[np.generic] | None,
    on_fit: OnFit | None,
) -> Iterator[Array]:
    if isinstance(model, HoldsOut) and all(len(split.train) for split in splits):
        declares = groups is not None and "groups" in inspect.signature(model.held_out).parameters
        yield from model.held_out(X, Y, splits, **({"groups": groups} if declares else {}))
        return
    for split in splits:
        fitted = fit_split(model, X, Y, split, groups)
        if on_fit is not None:
            on_fit(split, fitted)
        yield fitted.predict(X[split.test])


def fit_split(model: Predictor, X: Array, Y: Array, split: Split, groups: NDArray[np.generic] | None) -> Predictor:
    """Fit a fresh copy of a model to the training rows of a split.

    Parameters
    ----------
    model : Predictor
        Stays as it is.
    X, Y : ndarray, shapes (sample, feature) and (sample, target)
        All rows.
    split : Split
        Row numbers.
    groups : ndarray or None, shape (sample,)
        Handed to ``fit`` (training rows only) where the model declares ``groups``.
    """
    fitted = fresh(model)
    try:
        fitted.fit(X[split.train], Y[split.train], **_group_option(model, groups, split))
    except ValueError as error:
        if len(split.train):
            raise
        raise ValueError(
            f"splits: NoSplit leaves no training samples, and {type(model).__name__} has something to fit ({error}). "
            "Use splits that train, such as KFold(5)."
        ) from error
    return fitted


def fresh(model: Predictor) -> Predictor:
    """Copy a model, unfitted where it follows scikit-learn's contract.

    Parameters
    ----------
    model : Predictor
        Stays as it is.
    """
    if hasattr(model, "get_params"):
        from sklearn.base import clone

        copied: Predictor = clone(model)
        return copied
    return copy.deepcopy(model)


def _group_option(model: Predictor, groups: NDArray[np.generic] | None, split: Split) -> dict[str, Any]:
    if groups is None or "groups" not in inspect.signature(model.fit).parameters:
        return {}
    return {"groups": groups[split.train]}


def _checked(prediction: Array, n_test: int, n_targets: int, model: Predictor, number: int) -> Array:
    """Check shape and values of a prediction; (test,) stands for every target."""
    prediction = np.asarray(prediction)
    if prediction.ndim == 1:
        prediction = prediction[:, None]
    if prediction.shape not in {(n_test, 1), (n_test, n_targets)}:
        raise ValueError(
            f"model: {type(model).__name__}.predict gave shape {prediction.shape}; expected ({n_test}, {n_targets}) or "
            f"({n_test},)."
        )
    if not np.isfinite(prediction).all():
        raise ValueError(
            f"model: {type(model).__name__}.predict gave {int((~np.isfinite(prediction)).sum())} of {prediction.size} "
            f"values that are NaN or infinite in split {number}; expected finite numbers."
        )
    return np.broadcast_to(prediction, (n_test, n_targets))
