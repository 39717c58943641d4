"""Units of work: one call, one file, a seed of its own, and a record that tells the files of two studies apart."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from neuroling.core.result import Result

PARTIAL = ".*.partial"
"""Names under which files are written until they are whole; those of a writer that was killed stay behind."""


def unit_rng(seed: int, labels: Mapping[str, str]) -> np.random.Generator:
    """Make the random generator of one unit of a study, whoever runs it, in whatever order.

    The key of the generator is the SHA-256 of the unit's sorted labels, so that a unit draws the same numbers alone,
    among others, on another machine or for a second time, and no two units draw the same ones.

    Parameters
    ----------
    seed : int
        Seed of the study, at least 0.
    labels : mapping of str to str
        What tells the unit from its neighbours, such as ``{"subject": "s18", "layer": "4"}``.

    Returns
    -------
    numpy.random.Generator

    Raises
    ------
    ValueError
        If the seed is negative.

    Examples
    --------
    >>> first = unit_rng(0, {"subject": "s18", "layer": "4"}).random()
    >>> first == unit_rng(0, {"layer": "4", "subject": "s18"}).random()
    True
    >>> first == unit_rng(0, {"subject": "s18", "layer": "5"}).random()
    False
    """
    if seed < 0:
        raise ValueError(f"seed: got {seed}; expected a whole number of at least 0.")
    text = "\x1e".join(f"{key}\x1f{labels[key]}" for key in sorted(labels))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    key = tuple(int.from_bytes(digest[start : start + 4], "little") for start in range(0, 16, 4))
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def stamp(result: Result, labels: Mapping[str, str], configuration: Mapping[str, str]) -> Result:
    """Write into a result which unit of which study it is.

    Parameters
    ----------
    result : Result
        Outcome of the unit.
    labels : mapping of str to str
        What tells the unit from its neighbours.
    configuration : mapping of str to str
        What all units of the study share: options and seed. Files that differ in it are not joined.

    Returns
    -------
    Result

    Examples
    --------
    >>> import xarray as xr
    >>> result = Result.of(xr.DataArray([0.5], dims="split"), metric="pearson")
    >>> stamp(result, {"subject": "s18"}, {"seed": "0"}).provenance.unit
    {'subject': 's18'}
    """
    return Result(
        result.data, replace(result.provenance, unit=dict(labels), configuration=dict(sorted(configuration.items())))
    )


def leftovers(folder: Path, older_than_s: float) -> Iterator[Path]:
    """List what killed writers left behind: files that never got their own name.

    Parameters
    ----------
    folder : pathlib.Path
        Looked through with all folders below it.
    older_than_s : float
        Age in seconds since the last byte was written; younger files may still be growing.

    Yields
    ------
    pathlib.Path

    Raises
    ------
    NotADirectoryError
        If there is no such folder.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder; name the one that holds the results.")
    latest = time.time() - older_than_s
    for path in sorted(folder.rglob(PARTIAL)):
        if path.is_file() and path.stat().st_mtime <= latest:
            yield path
