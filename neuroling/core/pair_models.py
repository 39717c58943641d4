"""Models of dissimilarities: what they have to be, and their order by the labels of pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.align import near_hint
from neuroling.core.pair_names import items_of_pairs
from neuroling.core.provenance import content_hash

Array = NDArray[np.floating[Any]]


def check_models(models: xr.DataArray, name: str = "models") -> None:
    """Refuse models that cannot be compared with anything.

    Parameters
    ----------
    models : xarray.DataArray, dims (sample, model)
        Finite and not constant.
    name : str
        What they are called; opens the message.
    """
    if not isinstance(models, xr.DataArray) or set(models.dims) != {"sample", "model"}:
        found = models.dims if isinstance(models, xr.DataArray) else type(models).__name__
        raise TypeError(f"{name}: got {found}; expected a DataArray (sample, model), from model_rdms or confound_rdms.")
    if models.dtype.kind not in "fiub":
        raise TypeError(f"{name}: got values of type {models.dtype}; expected real numbers.")
    if 0 in models.shape:
        raise ValueError(f"{name}: none given (shape {models.shape}); expected at least one model of some pairs.")
    labels = [str(label) for label in models.model.to_numpy()] if "model" in models.coords else []
    if len(labels) != models.sizes["model"] or len(set(labels)) < len(labels):
        raise ValueError(f"{name}: got labels {labels} along 'model'; expected one unique name a model.")
    values = models.transpose("sample", "model").to_numpy()
    for label, column in zip(labels, values.T, strict=True):
        if not np.isfinite(column).all():
            raise ValueError(
                f"{name}: {label!r} has {int((~np.isfinite(column)).sum())} pairs that are NaN or infinite."
            )
        if (column == column[0]).all():
            raise ValueError(
                f"{name}: all pairs of {label!r} are equal ({column[0]:g}), so nothing can be ordered by it."
            )


def in_order_of(models: xr.DataArray, pairs: xr.DataArray | NDArray[np.str_], name: str) -> xr.DataArray:
    """Bring the pairs of models into the order of other pairs, by label; refuse where they differ.

    Parameters
    ----------
    models : xarray.DataArray
        With pairs along ``sample``.
    pairs : xarray.DataArray or ndarray of str
        Whose order to take.
    name : str
        What the models are called; opens the message.

    Returns
    -------
    xarray.DataArray
    """
    if "sample" not in models.coords:
        raise ValueError(
            f"{name}: the axis 'sample' has no labels of pairs; make models with model_rdms or confound_rdms."
        )
    labels = pairs.coords["sample"].to_numpy() if isinstance(pairs, xr.DataArray) else pairs
    if np.array_equal(models.coords["sample"].to_numpy(), labels):
        return models
    wanted = pd.Index(labels)
    index = models.indexes["sample"]
    missing, surplus = wanted.difference(index), index.difference(wanted)
    if len(missing) or len(surplus):
        raise ValueError(
            f"{name}: labels of pairs differ: {len(missing)} of {len(wanted)} pairs of the data are missing (first "
            f"{missing[:3].tolist()}), {len(surplus)} are of other items (first {surplus[:3].tolist()}). "
            f"{_near_items(wanted, index)}Select the same items on both sides by label."
        )
    return models.isel(sample=index.get_indexer(wanted))


def _near_items(wanted: pd.Index, given: pd.Index) -> str:
    """Say which items of two lists of pairs differ in spelling alone, as :func:`~neuroling.core.align.align` does."""
    ours, theirs = items_of_pairs(given), items_of_pairs(wanted)
    return near_hint(sorted(set(ours) - set(theirs)), sorted(set(theirs) - set(ours)))


def model_names(models: xr.DataArray) -> NDArray[np.str_]:
    """Give the names of models as plain text, whatever kind of text they were.

    Parameters
    ----------
    models : xarray.DataArray
        With labels along ``model``.

    Returns
    -------
    ndarray of str, shape (model,)
    """
    return np.array([str(name) for name in models.coords["model"].to_numpy()])


def hash_models(models: xr.DataArray) -> str:
    """Hash models that are in the order of the data: values and names, not half a million labels of pairs.

    Parameters
    ----------
    models : xarray.DataArray, dims (sample, model)
        Models of dissimilarities.

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    return content_hash(models.reset_coords(drop=True).drop_vars("sample", errors="ignore"))
