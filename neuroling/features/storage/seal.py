"""A seal on the labels of features: values have checksums of their own, and labels and attributes get one here."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

SEAL = "labels_sha256"
"""Attribute that holds the seal."""

MARKS = (SEAL, "content_key")
"""Attributes by which a file is known to have been written by this package; a file with one of them must be sealed."""

UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError)
"""What the readers of NetCDF raise where a file is damaged."""


class FeaturesFileError(ValueError):
    """A file of features that is damaged, or is none."""


def labels_digest(features: xr.DataArray) -> str:
    """Hash axes, labels and attributes of features.

    Parameters
    ----------
    features : xarray.DataArray
        In memory or in a file; values are not read.

    Returns
    -------
    str
        SHA-256, hexadecimal; the same before features are written and after they are read.

    Examples
    --------
    >>> words = xr.DataArray(np.zeros((2, 1)), dims=("sample", "feature"), coords={"sample": ["cat", "dog"]})
    >>> labels_digest(words) == labels_digest(words.assign_coords(sample=["cat", "fog"]))
    False
    """
    coords = {str(name): [list(map(str, coord.dims)), _plain(coord.values)] for name, coord in features.coords.items()}
    attrs = {str(name): _plain(value) for name, value in features.attrs.items() if name != SEAL}
    sizes = {str(dim): int(size) for dim, size in features.sizes.items()}
    text = json.dumps({"sizes": sizes, "coords": coords, "attrs": attrs}, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(features: xr.DataArray) -> xr.DataArray:
    """Give features with the seal among their attributes.

    Parameters
    ----------
    features : xarray.DataArray
        About to be written.
    """
    return features.assign_attrs({SEAL: labels_digest(features)})


def check_seal(path: Path, features: xr.DataArray) -> None:
    """Refuse features whose labels or attributes are not those that were written.

    Features that another program wrote carry no mark of this package and are let through.

    Parameters
    ----------
    path : pathlib.Path
        Where they were read from, for the message.
    features : xarray.DataArray
        As read.

    Raises
    ------
    FeaturesFileError
        If the seal is missing or does not match.
    """
    if not any(mark in features.attrs for mark in MARKS):
        return
    if features.attrs.get(SEAL) is None:
        raise FeaturesFileError(
            f"{path} does not read as features: its labels carry no seal, so that damage could not be seen; extract "
            "the features again with this version"
        )
    if labels_digest(features) != features.attrs[SEAL]:
        raise FeaturesFileError(
            f"{path} does not read as features: labels or attributes are not those that were written, so the file is "
            "damaged; extract the features again"
        )


def open_sealed(path: Path | str) -> xr.DataArray:
    """Open features from a file and check the seal on their labels.

    Parameters
    ----------
    path : path
        NetCDF file with one array.

    Returns
    -------
    xarray.DataArray
        Values are read when they are used; to be closed.

    Raises
    ------
    FeaturesFileError
        If the file is damaged, or holds something else; the message names it.
    """
    path = Path(path)
    try:
        features = xr.open_dataarray(path, engine="h5netcdf", cache=False)
        check_seal(path, features)
    except (BlockingIOError, FeaturesFileError):
        raise
    except UNREADABLE as error:
        raise FeaturesFileError(f"{path} does not read as features ({type(error).__name__}: {error})") from error
    named = features.copy(data=indexing.LazilyIndexedArray(_NamedFile(path, features.variable)))
    named.set_close(features.close)
    return named


class _NamedFile(BackendArray):
    """Values in a file, whose name stands in what is said where they cannot be read."""

    def __init__(self, path: Path, variable: xr.Variable) -> None:
        self.path, self.variable = path, variable
        self.shape, self.dtype = variable.shape, variable.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> NDArray[Any]:
        support = indexing.IndexingSupport.OUTER
        return np.asarray(indexing.explicit_indexing_adapter(key, self.shape, support, self._read))

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        try:
            return self.variable[key].to_numpy()
        except OSError as error:
            raise FeaturesFileError(f"{self.path} is damaged: its values cannot be read ({error})") from error


def _plain(values: object) -> list[object]:
    """Give a type and values that NetCDF does not change: text, whole numbers and floats of any width, times."""
    array = np.asarray(values)
    if array.dtype.kind == "O":
        array = np.asarray(array.tolist())
    if array.dtype.kind == "M":
        return ["time", array.astype("datetime64[ns]").astype(np.int64).ravel().tolist()]
    if array.dtype.kind in "iub":
        return ["integer", array.astype(np.int64).ravel().tolist()]
    if array.dtype.kind == "f":
        return ["float", [number.hex() for number in array.astype(np.float64).ravel().tolist()]]
    return ["text", [str(entry) for entry in array.ravel().tolist()]]
