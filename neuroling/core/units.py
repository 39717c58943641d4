"""Units of work: one call, one file, a seed of its own, and a record that tells the files of two studies apart."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from neuroling.core.provenance import Provenance, current_versions
from neuroling.core.result import Result, ResultFileError

PARTIAL = ".*.partial"
"""Names under which files are written until they are whole; those of a writer that was killed stay behind."""

MACHINE = ("platform", "matrix products")
"""Versions that may differ between nodes of one cluster."""


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


def first_difference(first: Mapping[str, str], other: Mapping[str, str]) -> str | None:
    """Name the first key, in alphabetical order, that has another value in the other; None if all agree.

    Parameters
    ----------
    first, other : mapping of str to str
    """
    return next((key for key in sorted({*first, *other}) if first.get(key) != other.get(key)), None)


def versions_that_count(versions: Mapping[str, str]) -> dict[str, str]:
    """Give the versions that can change a number; nodes of one cluster may differ in platform and fastest library.

    Parameters
    ----------
    versions : mapping of str to str
        As a provenance holds them.
    """
    return {name: found for name, found in versions.items() if name not in MACHINE}


def check_same_unit(path: Path, ours: Provenance, theirs: Provenance) -> None:
    """Refuse to take a file for, or replace it by, what another unit, configuration, recording or version makes.

    Parameters
    ----------
    path : pathlib.Path
        The file, for the message.
    ours : Provenance
        What is about to be written; its versions are those of this process. Options, data and seed count as far as
        they are given.
    theirs : Provenance
        What stands there.

    Raises
    ------
    ValueError
        If they differ; the message names the first thing that does.
    """
    for aspect, now, there in (
        ("unit", ours.unit, theirs.unit),
        ("configuration", ours.configuration, theirs.configuration),
        ("option", ours.options, _among(ours.options, theirs.options)),
        ("seed", {"seed": ours.seed} if ours.seed else {}, {"seed": theirs.seed} if ours.seed else {}),
        ("recording", ours.data, _among(ours.data, theirs.data)),
        ("version", versions_that_count(current_versions()), versions_that_count(theirs.versions)),
    ):
        key = first_difference(now, there)
        if key is not None:
            raise ValueError(
                f"out: {path} was made with another {aspect}: {key} is {there.get(key)!r} there and {now.get(key)!r} "
                "now. Choose another place, or remove what stands there."
            )


def _among(keys: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    return {key: values.get(key, "") for key in keys}


def refuse_another(path: Path, ours: Provenance) -> None:
    """Refuse to write where anything but an earlier result of this very unit stands.

    Parameters
    ----------
    path : pathlib.Path
        File to be written.
    ours : Provenance
        As for :func:`check_same_unit`.

    Raises
    ------
    ValueError
        If something else stands there, a damaged result included.
    """
    if not path.exists():
        return
    try:
        existing = Result.load(path).provenance
    except ResultFileError as error:
        raise ValueError(f"out: {path} is no whole result; choose another place, or remove it. ({error})") from error
    check_same_unit(path, ours, existing)


def save_unit(result: Result, path: Path) -> None:
    """Save the result of a unit; a file of the same unit is replaced, anything else that stands there is kept.

    Parameters
    ----------
    result : Result
        Stamped with its unit by :func:`stamp`.
    path : pathlib.Path
        File to be written.

    Raises
    ------
    ValueError
        If something else stands there.
    OSError
        If it cannot be written; what stood there is untouched.
    """
    refuse_another(path, result.provenance)
    result.save(path)


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
