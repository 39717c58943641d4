"""Models of dissimilarities: from features, layer by layer, and from columns of a table of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.arrays import check_table, real_numbers
from neuroling.core.pair_models import check_models, in_order_of, model_names
from neuroling.numerics.rdm.distances import pairs_of
from neuroling.numerics.strings import edit_distances
from neuroling.rsa.dissimilarity import PairLabels, check_patterns, rdms
from neuroling.rsa.distances import Distance

Array = NDArray[np.floating[Any]]


def model_rdms(features: xr.DataArray, distance: Distance | str = "cosine") -> xr.DataArray:
    """Give the dissimilarity of every pair of items in a feature space, or in each layer of one.

    Parameters
    ----------
    features : xarray.DataArray, dims (sample, [layer or model,] feature)
        Such as word embeddings.
    distance : Distance or str
        What features are compared by.

    Returns
    -------
    xarray.DataArray, dims (sample, model)
        A sample is a pair; layers become models, labelled ``"layer 3"``.

    Examples
    --------
    >>> features = xr.DataArray(np.eye(3), dims=("sample", "feature"), coords={"sample": ["a", "b", "c"]})
    >>> model_rdms(features).sizes["sample"]
    3
    """
    _check_features(features)
    axis = next((dim for dim in ("layer", "model") if dim in features.dims), None)
    if axis is None:
        made = rdms(features, distance, over="feature", allow_bias=True).expand_dims(model=["features"], axis=1)
        _refuse_undefined(made)
        return made
    labels = features[axis].to_numpy()
    each = [
        rdms(features.isel({axis: place}, drop=True), distance, over="feature", allow_bias=True)
        for place in range(len(labels))
    ]
    names = [f"layer {label}" if axis == "layer" else str(label) for label in labels]
    joined = xr.concat(each, "model", coords="minimal", compat="override").assign_coords(model=np.array(names))
    _refuse_undefined(joined)
    return joined.transpose("sample", "model")


def _check_features(features: xr.DataArray) -> None:
    if not isinstance(features, xr.DataArray) or "feature" not in features.dims:
        got = features.dims if isinstance(features, xr.DataArray) else type(features).__name__
        raise TypeError(f"features: got {got}; expected a DataArray (sample, [layer,] feature).")
    check_patterns(features, "feature", "features")
    missing = int(np.isnan(features.to_numpy()).sum()) if features.dtype.kind == "f" else 0
    if missing:
        raise ValueError(
            f"features: {missing} of {features.size} values are NaN; leave those items out, or impute the values."
        )


def _refuse_undefined(models: xr.DataArray) -> None:
    """Refuse features whose angles are undefined: an item that is zero, or the same in all features."""
    undefined = np.isnan(models.transpose("sample", "model").to_numpy()).any(axis=1)
    if undefined.any():
        items = [set(pair) for pair in zip(models["first"].to_numpy(), models["second"].to_numpy(), strict=True)]
        shared = set.intersection(*(items[place] for place in np.flatnonzero(undefined)[:2]))
        raise ValueError(
            f"features: {int(undefined.sum())} of {len(undefined)} pairs have no {models.attrs.get('distance', '')} "
            f"distance, because an item is zero or the same in all features (such as {sorted(shared)[:3]}); leave such "
            "items out, or take 'euclidean'."
        )


def confound_rdms(table: pd.DataFrame, columns: Mapping[str, str] | Sequence[str]) -> xr.DataArray:
    """Build models of dissimilarities from columns of a table of items, one per column.

    Numbers differ by their absolute difference, classes by being the same or not, and spellings (or strings of
    phonemes) by the number of letters that have to be inserted, deleted or replaced (Levenshtein).

    Parameters
    ----------
    table : pandas.DataFrame
        One row an item, the index its label; such as ``stimuli.table``.
    columns : mapping or sequence of str
        Column names; a mapping says for each how it differs: ``"number"``, ``"class"`` or ``"spelling"``. By default
        numbers are numbers, and text is a class.

    Returns
    -------
    xarray.DataArray, dims (sample, model)
        In the units of the columns.

    Raises
    ------
    ValueError
        If a column is absent, has missing values, or is the same for all items.

    Examples
    --------
    >>> table = pd.DataFrame({"length": [3, 5, 4], "word": ["cat", "horse", "bird"]}, index=["cat", "horse", "bird"])
    >>> confound_rdms(table, {"length": "number", "word": "spelling"}).values.tolist()
    [[2.0, 5.0], [1.0, 4.0], [1.0, 4.0]]
    """
    check_table("table", table)
    if len(table) < 2:
        raise ValueError(f"table: got {len(table)} row{'s' * (len(table) != 1)}; expected two items or more.")
    _check_columns(columns)
    kinds = dict(columns) if isinstance(columns, Mapping) else {name: _kind_of(table, name) for name in columns}
    if not kinds:
        raise ValueError("columns: none given; name columns of the table, or leave the controls out altogether.")
    values = np.stack([_column_rdm(table, name, kind) for name, kind in kinds.items()], axis=1)
    labels = PairLabels.of(np.asarray(table.index))
    return xr.DataArray(
        values, dims=("sample", "model"), coords={**labels.coords(), "model": list(kinds)}, name="dissimilarity"
    )


def _check_columns(columns: Mapping[str, str] | Sequence[str]) -> None:
    if isinstance(columns, str | bytes):
        raise TypeError(f"columns: got {columns!r}; expected a list of column names, such as [{columns!r}].")
    names = list(columns)
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"columns: {twice} are named more than once; expected each once.")


def old20(words: Sequence[str], lexicon: Sequence[str], n_nearest: int = 20) -> NDArray[np.float64]:
    """Give the mean Levenshtein distance of each word to its nearest words in a lexicon.

    Parameters
    ----------
    words : sequence of str
        Words to be described.
    lexicon : sequence of str
        Other words; a word's own entry is not counted.
    n_nearest : int
        How many neighbours; 20 in Yarkoni, Balota and Yap (2008), Psychon Bull Rev 15, 971-979.

    Returns
    -------
    numpy.ndarray, shape (word,)

    Examples
    --------
    >>> old20(["cat"], ["cat", "car", "cab", "dog"], n_nearest=2).tolist()
    [1.0]
    """
    lexicon_words = list(dict.fromkeys(lexicon))
    scarce = min(len(lexicon_words) - (word in lexicon_words) for word in words)
    if scarce < n_nearest:
        raise ValueError(f"lexicon: {scarce} other words for some word; expected at least n_nearest = {n_nearest}.")
    out = np.empty(len(words))
    for place, word in enumerate(words):
        others = [other for other in lexicon_words if other != word]
        out[place] = np.sort(edit_distances([word] * len(others), others))[:n_nearest].mean()
    return out


def stack_models(*models: xr.DataArray) -> xr.DataArray:
    """Put models side by side, matched by the labels of their pairs.

    Parameters
    ----------
    *models : xarray.DataArray, dims (sample, model) or (sample,)
        Of the same pairs, in any order; one without an axis ``model`` is called by its ``name``.

    Returns
    -------
    xarray.DataArray, dims (sample, model)
    """
    if not models:
        raise ValueError("models: none given.")
    wide = [each if "model" in each.dims else each.expand_dims(model=[str(each.name)], axis=1) for each in models]
    first = wide[0]
    ordered = [in_order_of(each, first, "models") for each in wide]
    names = np.concatenate([model_names(each) for each in ordered])
    if len(np.unique(names)) < len(names):
        values, counts = np.unique(names, return_counts=True)
        raise ValueError(f"models: {values[counts > 1].tolist()} occur more than once; give each a name of its own.")
    values = np.concatenate([each.transpose("sample", "model").to_numpy() for each in ordered], axis=1)
    coords = {name: ("sample", np.asarray(first.coords[name])) for name in ("sample", "first", "second")}
    return xr.DataArray(values, dims=("sample", "model"), coords={**coords, "model": names}, name="dissimilarity")


def collinearity(models: xr.DataArray) -> pd.DataFrame:
    """Measure how strongly models correlate with one another: variance inflation and condition number.

    Parameters
    ----------
    models : xarray.DataArray, dims (sample, model)
        At least two.

    Returns
    -------
    pandas.DataFrame
        One row a model: ``variance_inflation`` (1 if unrelated to all others), ``strongest`` (the model most correlated
        with it) and ``correlation`` with that one. ``attrs["condition_number"]`` is that of the standardised models.
    """
    values = _standardised(models)
    if values.shape[1] < 2:
        raise ValueError("models: got one; collinearity is between at least two.")
    among = values.T @ values
    names = [str(name) for name in models.model.to_numpy()]
    inflation = np.full(len(names), np.inf)
    if np.linalg.cond(among) < 1e12:
        inflation = np.diag(np.linalg.inv(among))
    off = np.abs(among) - np.eye(len(names)) * 2
    strongest = off.argmax(axis=1)
    table = pd.DataFrame(
        {
            "variance_inflation": inflation,
            "strongest": [names[place] for place in strongest],
            "correlation": among[np.arange(len(names)), strongest],
        },
        index=pd.Index(names, name="model"),
    )
    table.attrs["condition_number"] = condition_number(models)
    return table


def condition_number(models: xr.DataArray) -> float:
    """Give the ratio of the largest to the smallest singular value of the standardised models.

    Parameters
    ----------
    models : xarray.DataArray, dims (sample, model)
        Models of dissimilarities.

    Returns
    -------
    float
        1 where no two are correlated; infinite where one is a combination of others.
    """
    singular = np.linalg.svd(_standardised(models), compute_uv=False)
    return float(singular[0] / singular[-1]) if singular[-1] > 1e-12 * singular[0] else float("inf")


def _standardised(models: xr.DataArray) -> Array:
    check_models(models)
    values = models.transpose("sample", "model").to_numpy().astype(np.float64)
    centred = values - values.mean(axis=0)
    return np.asarray(centred / np.linalg.norm(centred, axis=0))


def _kind_of(table: pd.DataFrame, name: str) -> str:
    if name in table and pd.api.types.is_numeric_dtype(table[name]) and not pd.api.types.is_bool_dtype(table[name]):
        return "number"
    return "class"


def _column_rdm(table: pd.DataFrame, name: str, kind: str) -> Array:
    if name not in table:
        raise ValueError(f"columns: {name!r} is not in the table, which has {list(table.columns)}.")
    column = table[name]
    if column.isna().any():
        raise ValueError(
            f"columns: {name!r} is missing for {list(table.index[column.isna()][:5])}; fill in or drop them."
        )
    first, second = pairs_of(len(column))
    if kind == "number":
        numbers = real_numbers(f"columns: {name!r}", np.asarray(column)).astype(np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError(f"columns: {name!r} is infinite for {list(table.index[~np.isfinite(numbers)][:5])}.")
        rdm = np.abs(numbers[first] - numbers[second])
    elif kind == "class":
        classes = np.unique(np.asarray(column).astype(str), return_inverse=True)[1]
        rdm = (classes[first] != classes[second]).astype(np.float64)
    elif kind == "spelling":
        words = [str(word) for word in column]
        rdm = edit_distances([words[place] for place in first], [words[place] for place in second])
    else:
        raise ValueError(f"columns: {name!r} is to differ as {kind!r}; expected 'number', 'class' or 'spelling'.")
    if (rdm == rdm[0]).all():
        raise ValueError(
            f"columns: all pairs differ by {rdm[0]:g} in {name!r}, so it can control for nothing; leave it out."
        )
    return np.asarray(rdm)
