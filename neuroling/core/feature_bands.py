"""Feature spaces by name: which columns belong to which, read off labels and never off positions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.bands import Bands, band_columns

DELAYED = re.compile(r"(?P<name>.*?)(@[+-]?\d+)+", re.DOTALL)
"""Label of a delayed feature, NAME@DELAY, as :func:`neuroling.delay` writes it; NAME@DELAY@DELAY if it was called on
what it gave."""

SPACE = "space"
"""Feature coordinate that names the feature space of each column."""


@dataclass(frozen=True, eq=False)
class FeatureBands(Mapping[str, NDArray[np.intp]]):
    """Feature spaces and their columns, with the labels that those columns have to have.

    Made by :func:`bands_of`; a mapping of names to column numbers, in the order in which the spaces first occur.

    Attributes
    ----------
    names : sequence of str, shape (feature,)
        Name of the space of each column.
    labels : sequence of str, shape (feature,)
        Label of each column.
    """

    names: Sequence[str]
    labels: Sequence[str]

    def __getitem__(self, name: str) -> NDArray[np.intp]:
        columns = np.flatnonzero(np.array(self.names, dtype=object) == name)
        if not len(columns):
            raise KeyError(name)
        return columns

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(self.names))

    def __len__(self) -> int:
        return len(set(self.names))

    def __repr__(self) -> str:
        content = "\x1e".join(f"{name}\x1f{label}" for name, label in zip(self.names, self.labels, strict=True))
        sizes = ", ".join(f"{name!r}: {len(self[name])}" for name in self)
        return f"FeatureBands({{{sizes}}}, {hashlib.sha256(content.encode()).hexdigest()[:12]})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FeatureBands):
            return NotImplemented
        return (tuple(self.names), tuple(self.labels)) == (tuple(other.names), tuple(other.labels))

    def __hash__(self) -> int:
        return hash((tuple(self.names), tuple(self.labels)))


def bands_of(features: xr.DataArray) -> FeatureBands:
    """Read the feature spaces of banded ridge regression off the labels of the features.

    Parameters
    ----------
    features : xarray.DataArray, dims (sample, feature)
        With a feature coordinate ``space`` that names the space of every column, as
        :func:`neuroling.evaluation.variance.join_spaces` gives it; or with labels ``"NAME@DELAY"``, as
        :func:`neuroling.delay` gives them, where all delays of a feature are one space. The coordinate comes first.

    Returns
    -------
    FeatureBands
        For ``BandedRidgeCV``, ``TRF`` and ``product_measure``. ``evaluate`` refuses features with other labels.

    Raises
    ------
    ValueError
        If the labels do not name spaces.

    Examples
    --------
    >>> labels = ["rate@1", "pitch@1", "rate@2", "pitch@2"]
    >>> features = xr.DataArray(np.zeros((3, 4)), dims=("sample", "feature"), coords={"feature": labels})
    >>> {name: columns.tolist() for name, columns in bands_of(features).items()}
    {'rate': [0, 2], 'pitch': [1, 3]}
    >>> spaces = ("feature", ["sound", "sound", "sound", "sound"])
    >>> {name: columns.tolist() for name, columns in bands_of(features.assign_coords(space=spaces)).items()}
    {'sound': [0, 1, 2, 3]}
    """
    if not isinstance(features, xr.DataArray) or "feature" not in features.dims:
        got = features.dims if isinstance(features, xr.DataArray) else type(features).__name__
        raise ValueError(f"features: got {got}; expected a DataArray with the axis 'feature'.")
    labels = feature_labels(features)
    names = _names_of_spaces(features, labels)
    if names is None:
        raise ValueError(
            "features: they have no feature coordinate 'space', and no label says NAME@DELAY, so nothing says which "
            "columns belong together. Attach it: features.assign_coords(space=('feature', names)), one name a column."
        )
    return FeatureBands(tuple(names), tuple(labels))


def feature_labels(features: xr.DataArray) -> list[str]:
    """Give the labels of features as text; their numbers where they have none.

    Parameters
    ----------
    features : xarray.DataArray
        With the axis ``feature``.

    Returns
    -------
    list of str
    """
    if "feature" not in features.coords:
        return [str(number) for number in range(features.sizes["feature"])]
    return [str(label) for label in features.coords["feature"].to_numpy().tolist()]


def check_bands(bands: Bands | None, features: xr.DataArray) -> None:
    """Refuse bands that do not agree with the features that they are used for.

    Parameters
    ----------
    bands : mapping, sequence of (name, columns), sequence of labels, or None
        Columns of each space, as :func:`neuroling.core.bands.band_columns` reads them. :class:`FeatureBands` know their
        labels, which have to be those of the features; of others it is seen that none of them takes a part of a space,
        or some of the delays of a feature.
    features : xarray.DataArray, dims (sample, feature)
        What a model is fitted to.

    Raises
    ------
    ValueError
        With the first columns that do not agree.
    """
    labels = feature_labels(features)
    if isinstance(bands, FeatureBands):
        if list(bands.labels) != labels:
            _refuse_labels(list(bands.labels), labels)
        return
    names = _names_of_spaces(features, labels)
    if names is None:
        return
    band_of = np.full(len(labels), "", dtype=object)
    for band, columns in band_columns(bands, len(labels)).items():
        band_of[columns] = band
    for name in dict.fromkeys(names):
        ours = [(band_of[column], labels[column]) for column, other in enumerate(names) if other == name]
        torn = dict(reversed(ours))  # the first label in each band
        if len(torn) > 1:
            told = ", ".join(f"{label!r} in {band!r}" for band, label in reversed(torn.items()))
            raise ValueError(
                f"bands: the columns of {name!r} are in {len(torn)} bands ({told}); after a delay the columns of a "
                "feature do not lie side by side. Name the bands by their features, BandedRidgeCV(bands_of(features)), "
                "with the feature coordinate 'space' where several features are one band."
            )


def _refuse_labels(expected: list[str], labels: list[str]) -> None:
    if len(expected) != len(labels):
        raise ValueError(
            f"bands: made for {len(expected)} features, and there are {len(labels)}; call bands_of with the features "
            "that the model is fitted to."
        )
    column = next(number for number, pair in enumerate(zip(expected, labels, strict=True)) if pair[0] != pair[1])
    raise ValueError(
        f"bands: made for features in which column {column} is {expected[column]!r}, and there it is "
        f"{labels[column]!r}; call bands_of with the features that the model is fitted to."
    )


def _names_of_spaces(features: xr.DataArray, labels: Sequence[str]) -> list[str] | None:
    """Name the space of every column; None where nothing says so."""
    if SPACE in features.coords:
        coordinate = features.coords[SPACE]
        if coordinate.dims != ("feature",):
            return None if coordinate.dims != () else [str(coordinate.item())] * len(labels)
        missing = int(coordinate.isnull().sum())
        if missing:
            raise ValueError(
                f"features: {missing} entries of the coordinate 'space' are missing; expected a name each."
            )
        return [str(name) for name in coordinate.to_numpy().tolist()]
    matches = [DELAYED.fullmatch(label) for label in labels]
    if not any(matches):
        return None
    return [label if match is None else match["name"] for match, label in zip(matches, labels, strict=True)]
