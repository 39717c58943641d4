"""Dissimilarities as samples of the one evaluation: pairs of items, and a model with nothing to fit."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from neuroling.core.align import Aligned, align
from neuroling.core.arrays import read_numbers, refuse_not_finite
from neuroling.rsa.dissimilarity import Noise, rdms
from neuroling.rsa.distances import Distance
from neuroling.rsa.models import check_models, in_order_of, model_names, model_rdms

Array = NDArray[np.floating[Any]]


def pairwise(
    data: Aligned,
    *,
    x_metric: Distance | str = "cosine",
    y_metric: Distance | str | None = None,
    over: str = "channel",
    window: int = 1,
    noise: Noise = None,
    allow_bias: bool = False,
) -> Aligned:
    r"""Turn items into pairs of items: dissimilarities of features beside dissimilarities of the recording.

    Parameters
    ----------
    data : Aligned
        Items: features (sample, feature) and recording (sample, [repeat,] over, \*targets).
    x_metric : Distance or str
        What features are compared by; they become one column.
    y_metric : Distance or str, optional
        What patterns are compared by: crossnobis by default where there are repeats, else the correlation distance.
    over, window, noise, allow_bias
        As in :func:`~neuroling.rsa.dissimilarity.rdms`.

    Returns
    -------
    Aligned
        ``unit="item"``: samples are pairs, with coordinates ``first`` and ``second``; targets are what is left.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> coords = {"sample": list("abcd")}
    >>> features = xr.DataArray(rng.standard_normal((4, 3)), dims=("sample", "feature"), coords=coords)
    >>> recording = xr.DataArray(rng.standard_normal((4, 2, 5)), dims=("sample", "repeat", "channel"), coords=coords)
    >>> pairs = pairwise(align(features, recording))
    >>> pairs.unit, pairs.y.dims, pairs.y.attrs["distance"]
    ('item', ('sample',), 'crossnobis')
    """
    if not isinstance(data, Aligned):
        raise TypeError(f"data: got {type(data).__name__}; expected align(features, recording).")
    if data.unit == "item":
        raise ValueError("data: its samples are pairs already; pairwise takes items.")
    if data.unit == "time":
        raise ValueError("data: its samples are consecutive in time; pairwise takes items, such as epochs of words.")
    y = rdms(data.y, y_metric, over=over, window=window, noise=noise, allow_bias=allow_bias)
    return paired(model_rdms(data.x, x_metric), y)


def paired(models: xr.DataArray, dissimilarities: xr.DataArray) -> Aligned:
    r"""Match models of dissimilarities with measured ones by the labels of their pairs.

    Parameters
    ----------
    models : xarray.DataArray, dims (sample, model)
        Each becomes a feature: one for a fixed model, several for weighted ones.
    dissimilarities : xarray.DataArray, dims (sample, \*targets)
        Measured, finite.

    Returns
    -------
    Aligned
        With ``unit="item"``.
    """
    check_models(models)
    ordered = in_order_of(models, dissimilarities, "models").transpose("sample", "model")
    coords = {name: ("sample", np.asarray(dissimilarities.coords[name])) for name in ("sample", "first", "second")}
    names = model_names(ordered)
    x = xr.DataArray(
        ordered.values, dims=("sample", "feature"), coords={**coords, "feature": names}, attrs=models.attrs
    )
    return align(x, dissimilarities)


class FixedRDM(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A model of dissimilarities that is taken as it is: nothing to fit.

    Attributes
    ----------
    independent_targets : bool
        Targets do not touch one another, so that draws of a null may be stacked.
    is_fixed : bool
        The prediction is the one feature, whatever it was fitted on.

    Examples
    --------
    >>> FixedRDM().fit(np.empty((0, 1)), np.empty((0, 2))).predict(np.array([[1.0], [2.0]])).tolist()
    [1.0, 2.0]
    """

    independent_targets = True
    is_fixed = True

    def fit(self, X: Array, y: Array) -> Self:
        """Check that there is one column, the model.

        Parameters
        ----------
        X : ndarray, shape (pair, 1)
            The model.
        y : ndarray, shape (pair, target)
            Not looked at.
        """
        del y
        X = read_numbers("X", X).values
        refuse_not_finite("X", X)
        if X.ndim != 2 or X.shape[1] != 1:
            raise ValueError(
                f"X: got shape {X.shape}; a fixed model is one column of dissimilarities. Use x_metric of pairwise to "
                "make one of several features, or LinearRegression(positive=True) to weight them."
            )
        return self

    def predict(self, X: Array) -> Array:
        """Hand on the model, the same for every target.

        Parameters
        ----------
        X : ndarray, shape (pair, 1)
            The model.

        Returns
        -------
        ndarray, shape (pair,)
        """
        X = read_numbers("X", X).values
        refuse_not_finite("X", X)
        return np.asarray(X[:, 0])
