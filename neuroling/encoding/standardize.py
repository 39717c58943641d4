"""Scaling inside folds, and slow trends taken out of each stretch by itself."""

from __future__ import annotations

import inspect
from typing import Any, Self

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from neuroling.core.arrays import check_labelled
from neuroling.core.gate import features_to_predict, in_own_units, usable_targets
from neuroling.core.notices import without
from neuroling.core.protocols import ChecksFeatures
from neuroling.encoding.validation import ManyTargets


class Standardized(ManyTargets):
    r"""Fit a model to z-scores whose means and deviations come from the training rows alone.

    Put around a model it is fitted anew in every fold, so no test row has a part in the scaling; predictions come back
    in the units of the recording. A feature that is constant over the training rows cannot be learnt from and is set
    to zero; ``constant_features_`` names it.

    Parameters
    ----------
    model : estimator
        A regressor; it stays unfitted.
    scale_targets : bool
        Whether targets are z-scored as well. It changes nothing for a model that treats every target by itself with
        its own penalty.

    Attributes
    ----------
    model_ : estimator
        The model, fitted to z-scores.
    x_mean_, x_scale_ : ndarray, shape (feature,)
        Mean and standard deviation over the training rows.
    y_mean_, y_scale_ : ndarray, shape (target,)
        The same of the targets; 0 and 1 where they are not scaled.
    constant_features_ : ndarray of int
        Columns that were constant over the training rows.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> X = np.array([[0.0, 700.0], [1.0, 900.0], [2.0, 800.0], [3.0, 800.0]])
    >>> model = Standardized(LinearRegression()).fit(X, 3 * X[:, :1])
    >>> model.predict([[4.0, 900.0]]).round(6).tolist(), model.x_scale_.round(1).tolist()
    ([[12.0]], [1.1, 70.7])
    """

    def __init__(self, model: Any, *, scale_targets: bool = True) -> None:
        self.model = model
        self.scale_targets = scale_targets

    @property
    def independent_targets(self) -> bool:
        """Whether the prediction of a target is the same whatever other targets are fitted beside it."""
        return bool(getattr(self.model, "independent_targets", False))

    def check_features(self, features: xr.DataArray) -> None:
        """Let the model refuse features that it was not set up for; columns stay where they are.

        Parameters
        ----------
        features : xarray.DataArray, dims (sample, feature)
            What it is to be fitted to.
        """
        if isinstance(self.model, ChecksFeatures):
            self.model.check_features(features)

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Learn means and deviations from these rows, then fit the model.

        Parameters
        ----------
        X : array-like, shape (sample, feature)
            Features of the training rows.
        y : array-like, shape (sample, target) or (sample,)
            Targets.
        groups : array-like, optional, shape (sample,)
            Runs or stories; handed to the model if it takes them.

        Returns
        -------
        Standardized
            Itself.
        """
        features, targets, n_axes, runs, _ = self._read(X, y, groups)
        self.x_mean_, self.x_scale_, _ = _moments(features)
        self.y_mean_: NDArray[np.floating[Any]] = np.zeros(targets.shape[1])
        self.y_scale_: NDArray[np.floating[Any]] = np.ones(targets.shape[1])
        if self.scale_targets:
            targets = self._scaled_targets(targets)
        if n_axes == 1:
            targets, self.y_mean_, self.y_scale_ = targets[:, 0], self.y_mean_[0], self.y_scale_[0]
        options = {"groups": runs} if "groups" in inspect.signature(self.model.fit).parameters else {}
        with without("constant-features", *(["constant-targets"] if self.scale_targets else [])):  # said above
            self.model_ = clone(self.model).fit(self._scaled(features), targets, **options)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.floating[Any]]:
        """Predict in the units of the recording.

        Parameters
        ----------
        X : array-like, shape (sample, feature)
            Features.

        Returns
        -------
        ndarray, shape (sample, target) or (sample,)
        """
        check_is_fitted(self)
        predicted = self.model_.predict(self._scaled(features_to_predict(self, X)))
        return np.asarray(predicted * self.y_scale_ + self.y_mean_).astype(predicted.dtype)

    def _scaled_targets(self, targets: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Z-scores of targets (sample, target), computed in units of their own; keeps their means and deviations."""
        scaled, units = in_own_units(targets, usable_targets(targets).largest)
        mean, deviation, _ = _moments(scaled)
        self.y_mean_, self.y_scale_ = units.back(mean), units.back(deviation)
        return np.asarray(((scaled - mean) / deviation).astype(targets.dtype))

    def _scaled(self, features: NDArray[Any]) -> NDArray[Any]:
        scaled = (features - self.x_mean_) / self.x_scale_
        scaled[:, self.constant_features_] = 0.0
        return np.asarray(scaled.astype(features.dtype))


def _moments(values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Mean, deviation (1 where constant), and which columns are constant."""
    constant = (values == values[:1]).all(axis=0)
    mean = values.mean(axis=0, dtype=np.float64)
    deviation = values.std(axis=0, dtype=np.float64)
    return mean, np.where(constant, 1.0, deviation), constant


def remove_trend(
    array: xr.DataArray, stretches: str | ArrayLike, *, order: int = 1, zscore: bool = False
) -> xr.DataArray:
    r"""Take a polynomial in time out of each stretch by itself.

    With the stretches that will be held out (:meth:`neuroling.ContiguousFolds.stretches`), or whole runs where runs
    are held out, no fit is shared between what trains and what is tested, whatever the order. Compare
    :func:`neuroling.encoding.drift.remove_drift`, which fits whole runs.

    Parameters
    ----------
    array : xarray.DataArray, dims (sample, \*others)
        Rows consecutive in time within each stretch.
    stretches : str or array-like, shape (sample,)
        Label of the stretch of every row: a sample coordinate such as ``"group"``, or the labels.
    order : int
        Order of the polynomial: 0 takes out the mean, 1 a straight line too, and so on.
    zscore : bool
        Bring each stretch to unit standard deviation as well.

    Returns
    -------
    xarray.DataArray
        Same axes and labels.

    Raises
    ------
    ValueError
        If a stretch has too few rows for the order, or is constant and asked to have unit deviation.

    Examples
    --------
    >>> ramp = xr.DataArray(np.r_[0:5, 9:4:-1].astype(float)[:, None], dims=("sample", "region"))
    >>> float(np.abs(remove_trend(ramp, ["a"] * 5 + ["b"] * 5)).max().round(9))
    0.0
    """
    if not isinstance(order, int) or isinstance(order, bool) or order < 0:
        raise ValueError(f"order: got {order!r}; expected a whole number of at least 0.")
    check_labelled("array", array)
    dims = ("sample", *(dim for dim in array.dims if dim != "sample"))
    table = array.transpose(*dims)
    labels = _labels(table, stretches)
    values = table.to_numpy().astype(np.float64)
    flat = values.reshape(len(values), -1)  # (sample, series)
    for label in dict.fromkeys(labels.tolist()):
        rows = np.flatnonzero(labels == label)
        if len(rows) < order + 2:
            raise ValueError(
                f"order: got {order}, but stretch {label!r} has {len(rows)} rows; expected at least {order + 2}."
            )
        basis = np.linalg.qr(np.vander(np.linspace(-1, 1, len(rows)), order + 1))[0]  # (row, order + 1), orthonormal
        rest = flat[rows] - basis @ (basis.T @ flat[rows])
        if zscore:
            spread = rest.std(axis=0)
            flat_series = np.flatnonzero(spread <= 1e-12 * np.abs(flat[rows]).max(axis=0))
            if len(flat_series):
                raise ValueError(
                    f"zscore: {len(flat_series)} series are constant over stretch {label!r} once the trend is out, "
                    f"first {flat_series[:5].tolist()}; leave them out."
                )
            rest = rest / spread
        flat[rows] = rest
    notes = {"trend_removed": order, "zscored_by_stretch": int(zscore)}
    return table.copy(data=flat.reshape(values.shape)).transpose(*array.dims).assign_attrs(notes)


def _labels(array: xr.DataArray, stretches: str | ArrayLike) -> NDArray[np.generic]:
    if isinstance(stretches, str):
        if stretches not in array.coords or array.coords[stretches].dims != ("sample",):
            raise ValueError(f"stretches: there is no sample coordinate {stretches!r}.")
        return np.asarray(array.coords[stretches])
    labels = np.asarray(stretches)
    if labels.shape != (array.sizes["sample"],):
        raise ValueError(f"stretches: got shape {labels.shape}; expected one label for {array.sizes['sample']} rows.")
    return labels
