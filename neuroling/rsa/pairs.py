"""Dissimilarities as samples of the one evaluation: pairs of items, and a model with nothing to fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import xarray as xr
from numpy.typing import DTypeLike, NDArray
from sklearn.base import BaseEstimator

from neuroling.core.align import Aligned, AlignedSpaces, align
from neuroling.core.arrays import near_one, read_numbers, refuse_not_finite
from neuroling.core.item_pairs import in_condensed_order
from neuroling.core.pair_models import check_models, in_order_of, model_names
from neuroling.core.pair_names import name_pairs, split_pairs
from neuroling.core.row_streams import HeldRows, RowStream, made_when_read
from neuroling.rsa.dissimilarity import Noise, PairLabels, PatternPairs, check_dissimilarities, check_patterns
from neuroling.rsa.distances import Distance
from neuroling.rsa.models import model_rdms
from neuroling.rsa.searchlight import Patches, PatchPairs

Array = NDArray[np.floating[Any]]


# More than eight parameters: each is a decision of an RSA that papers report.
def pairwise(
    models: xr.DataArray | Mapping[str, xr.DataArray],
    recording: xr.DataArray,
    *,
    distance: Distance | str | None = None,
    over: str = "channel",
    window: int = 1,
    noise: Noise = None,
    allow_bias: bool = False,
    model_distance: Distance | str = "cosine",
    patches: Patches | None = None,
    dtype: DTypeLike = np.float32,
) -> Aligned | AlignedSpaces:
    r"""Turn items into pairs of items: dissimilarities of models beside those of a recording, matched by label.

    Dissimilarities of the recording are made when :func:`~neuroling.evaluation.evaluate.evaluate` asks for them, in
    blocks, and are never held together. :class:`FixedRDM` compares each model with them as it is; any regressor learns
    to predict them.

    Parameters
    ----------
    models : xarray.DataArray or mapping of str to xarray.DataArray
        Features of the items (sample, [layer or model,] feature), or models of their pairs (sample, model) from
        :func:`~neuroling.rsa.models.model_rdms` or :func:`~neuroling.rsa.models.confound_rdms`; a mapping names
        several.
    recording : xarray.DataArray
        Patterns of the items (sample, [repeat,] over, \*targets), as in :func:`~neuroling.rsa.dissimilarity.rdms`; or
        dissimilarities that are there already, such as reaction times or decoding accuracies: pairs along ``sample``,
        with coordinates ``first`` and ``second``, NaN where a pair is missing.
    distance : Distance or str, optional
        What patterns are compared by: crossnobis where there are repeats, else the correlation distance.
    over, window, noise, allow_bias
        As in :func:`~neuroling.rsa.dissimilarity.rdms`.
    model_distance : Distance or str
        What features are compared by.
    patches : mapping of str to sequence of str, optional
        Groups of entries along ``over``, such as neighbourhoods of channels from
        :func:`~neuroling.rsa.searchlight.neighbours_within`, each with dissimilarities of its own. They lie along
        ``over`` if they are named by its labels, else along ``region``.
    dtype : dtype
        What dissimilarities of patterns are computed in; float32 is several times faster, and agreement computed from
        them off by less than 1e-6.

    Returns
    -------
    Aligned or AlignedSpaces
        ``unit="item"``: samples are pairs, with coordinates ``first`` and ``second``; targets are what is left. The
        latter for several models (a mapping, layers, or an axis ``model``), which become the axis ``model`` of a
        result.

    Raises
    ------
    TypeError, ValueError
        If axes, labels or values do not fit; the message says which.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> coords = {"sample": list("abcdef")}
    >>> features = xr.DataArray(rng.standard_normal((6, 3)), dims=("sample", "feature"), coords=coords)
    >>> recording = xr.DataArray(
    ...     rng.standard_normal((6, 2, 5, 3)), dims=("sample", "repeat", "channel", "time"), coords=coords
    ... )
    >>> pairs = pairwise({"true": features, "first": features[:, :2]}, recording)
    >>> pairs.unit, pairs.y.dims, pairs.y.attrs["distance"]
    ('item', ('sample', 'time'), 'crossnobis')
    >>> from neuroling import evaluate, spearman
    >>> evaluate(FixedRDM(), pairs, metric=spearman).score.dims
    ('model', 'time')
    """
    pairs = _labelled_as_pairs(recording, over)
    if pairs is not None:
        given = {"distance": distance, "noise": noise, "patches": patches, "window": None if window == 1 else window}
        _refuse_options([name for name, value in given.items() if value is not None])
        stream: RowStream = HeldRows(near_one(_condensed(pairs)))
        y = stream.recording
        return _beside(_features_of_pairs(models, model_distance, y), y, stream)
    check_patterns(recording, over)
    patterns = near_one(recording).astype(dtype, copy=False)
    options: Any = {"over": over, "window": window, "noise": noise, "allow_bias": allow_bias}
    made: PatternPairs | PatchPairs = (
        PatternPairs.of(patterns, distance, **options)
        if patches is None
        else PatchPairs.of(patterns, patches, distance, **options)
    )
    coords = PairLabels.of(made.items).coords() | made.coords()
    y = made_when_read(made, coords, patterns.dtype, made.attrs)
    return _beside(_features_of_pairs(models, model_distance, y), y, made)


def _labelled_as_pairs(recording: xr.DataArray, over: str) -> xr.DataArray | None:
    """Give dissimilarities that are there already, with the two items of every pair; None for patterns of items."""
    if not isinstance(recording, xr.DataArray):
        return None  # refused with the patterns
    if {"first", "second"} <= set(recording.coords):
        if over in recording.dims and not _are_named_by_their_items(recording):
            return None  # patterns of items that are pairs themselves, such as a cue and a target
    else:
        if over in recording.dims or "sample" not in recording.coords:
            return None
        sides = split_pairs(recording.coords["sample"].to_numpy())
        if sides is None:
            return None
        recording = recording.assign_coords(first=("sample", sides[0]), second=("sample", sides[1]))
    check_dissimilarities(recording, "recording")
    return recording


def _are_named_by_their_items(recording: xr.DataArray) -> bool:
    """Say whether samples are called as the pairs of their two items are."""
    sides = [recording.coords[side].to_numpy() for side in ("first", "second")]
    if "sample" not in recording.coords or any(
        recording.coords[side].dims != ("sample",) for side in ("first", "second")
    ):
        return False
    return np.array_equal(recording.coords["sample"].to_numpy().astype(np.str_), name_pairs(*sides))


def _refuse_options(named_options: Sequence[str]) -> None:
    if named_options:
        raise ValueError(
            f"{named_options[0]}: the recording holds dissimilarities of pairs already, so that nothing is computed "
            f"from patterns; leave {', '.join(named_options)} out."
        )


def _condensed(pairs: xr.DataArray) -> xr.DataArray:
    """Bring pairs into condensed order where all of them are there; a part of them stays as it is."""
    n_items = len(np.union1d(pairs.coords["first"].to_numpy(), pairs.coords["second"].to_numpy()))
    is_complete = pairs.sizes["sample"] == n_items * (n_items - 1) // 2
    return in_condensed_order(pairs, "recording") if is_complete else pairs


def _features_of_pairs(
    models: xr.DataArray | Mapping[str, xr.DataArray], distance: Distance | str, y: xr.DataArray
) -> dict[str, xr.DataArray] | xr.DataArray:
    """Give features of pairs (sample, feature) for every name; bare for one feature space of items without a name."""
    if isinstance(models, Mapping):
        wrong = [name for name in models if not isinstance(name, str) or not name.strip()]
        if wrong or not models:
            raise TypeError(f"models: got {wrong or 'an empty mapping'}; expected text that names each model.")
        return {name: _as_features(_of_pairs(each, distance), y) for name, each in models.items()}
    features = _as_features(_of_pairs(models, distance), y)
    if "feature" in models.dims and not {"layer", "model"} & set(models.dims):
        return features
    names = [str(name) for name in features.feature.to_numpy()]
    return {name: features.isel(feature=[place]) for place, name in enumerate(names)}


def _of_pairs(models: xr.DataArray, distance: Distance | str) -> xr.DataArray:
    if not isinstance(models, xr.DataArray) or "feature" not in models.dims:
        return models
    try:
        return model_rdms(models, distance)
    except (TypeError, ValueError) as error:
        raise type(error)(f"models: {error}") from error


def _beside(x: dict[str, xr.DataArray] | xr.DataArray, y: xr.DataArray, stream: RowStream) -> Aligned | AlignedSpaces:
    """Put features of pairs beside dissimilarities in the same order."""
    if not isinstance(x, dict):
        return Aligned(x, y, "item", stream)
    data = Aligned(next(iter(x.values())), y, "item", stream)
    return AlignedSpaces({name: data.with_features(features) for name, features in x.items()})


def _as_features(models: xr.DataArray, y: xr.DataArray) -> xr.DataArray:
    """Turn models (sample, model) into features of the pairs of a recording, in its order."""
    check_models(models)
    ordered = in_order_of(models, y, "models").transpose("sample", "model")
    coords = {name: y.coords[name] for name in ("sample", "first", "second")}
    values = ordered.to_numpy().astype(np.float64, copy=False)
    names = model_names(ordered)
    return xr.DataArray(values, dims=("sample", "feature"), coords={**coords, "feature": names}, attrs=models.attrs)


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
    return align(_as_features(models, dissimilarities), dissimilarities)


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
