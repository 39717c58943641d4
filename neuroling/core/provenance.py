"""Where a number came from: versions, options, data, seed and machine."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import xarray as xr

from neuroling.numerics.library_choice import in_use

PACKAGES = (
    "neuroling",
    "numpy",
    "scipy",
    "pandas",
    "xarray",
    "torch",
    "scikit-learn",
    "mne",
    "nilearn",
    "transformers",
)
"""Packages whose versions can change a number."""


@dataclass(frozen=True)
class Provenance:
    """The record that travels inside every result.

    Attributes
    ----------
    options : dict
        Every option of the evaluation, as text.
    data : dict
        Content hashes (SHA-256) of features and recording, and the attributes they carried.
    seed : str
        Seed of the random generator as given; for a generator, all that its children depend on.
    device : str
        Device that the model computed on.
    synthetic : bool
        Whether the recording is a synthetic twin rather than people's data.
    versions : dict
        Versions of Python and of the packages that can change a number, and which libraries multiplied matrices
        (``matrix products``).
    created : str
        Time in UTC, ISO 8601.
    notes : tuple of str
        What a reader must know, such as an acknowledged leak.
    unit : dict
        Labels of the unit of work in a study, such as ``{"subject": "s18", "layer": "4"}``; see
        :mod:`neuroling.core.units`.
    configuration : dict
        Options that all units of the study share.
    """

    options: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    seed: str = ""
    device: str = "cpu"
    synthetic: bool = False
    versions: dict[str, str] = field(default_factory=dict)
    created: str = ""
    notes: tuple[str, ...] = ()
    unit: dict[str, str] = field(default_factory=dict)
    configuration: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Write the record as JSON with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Provenance:
        """Read a record written by :meth:`to_json`.

        Parameters
        ----------
        text : str
            JSON object with the fields of this class.
        """
        fields: dict[str, Any] = json.loads(text)
        return cls(**{**fields, "notes": tuple(fields.get("notes", ()))})


def current_versions() -> dict[str, str]:
    """Collect the versions of Python, the platform and the packages at hand, and which library multiplied matrices."""
    products = in_use()
    return dict(_versions()) | ({"matrix products": products} if products else {})


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    """Read the packages' metadata once a process: it costs more than a small evaluation."""
    versions = {"python": platform.python_version(), "platform": platform.platform(terse=True)}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return tuple(versions.items())


def describe_seed(rng: int | np.random.Generator) -> str:
    """Write down what is needed to draw the same numbers again.

    Parameters
    ----------
    rng : int or numpy.random.Generator
        A generator counts by the seed, key and number of children with which it spawns the next.

    Returns
    -------
    str
    """
    if not isinstance(rng, np.random.Generator):
        return str(rng)
    seed = rng.bit_generator.seed_seq
    parts = {key: getattr(seed, key, "unknown") for key in ("entropy", "spawn_key", "n_children_spawned")}
    return f"{type(rng.bit_generator).__name__}({', '.join(f'{key}={value}' for key, value in parts.items())})"


def now() -> str:
    """Give the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def content_hash(array: xr.DataArray) -> str:
    """Hash values, axis names and coordinates of an array.

    Parameters
    ----------
    array : xarray.DataArray
        Any array.

    Returns
    -------
    str
        SHA-256, hexadecimal; the same for a copy, whatever its memory layout.
    """
    digest = hashlib.sha256()
    _update(digest, str(array.dims), array.values)
    for name in sorted(map(str, array.coords)):
        _update(digest, f"{name}{array.coords[name].dims}", np.asarray(array.coords[name]))
    return digest.hexdigest()


def _update(digest: hashlib._Hash, name: str, values: np.ndarray) -> None:
    digest.update(f"{name}\x1f{values.shape}\x1f".encode())
    if values.dtype.kind in "fiub":
        digest.update(f"{values.dtype.newbyteorder('<').str}\x1e".encode())
        plain = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
        digest.update(plain.reshape(-1).view(np.uint8))  # the bytes themselves: recordings are large
    else:
        for value in values.ravel():
            digest.update(f"{value!s}\x1e".encode("utf-8", "surrogatepass"))
