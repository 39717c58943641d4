"""Features written to disk block by block while they are computed, layer by layer within the file."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.features.storage.cache import content_key
from neuroling.features.storage.seal import FeaturesFileError, open_sealed, sealed
from neuroling.features.transformer.hidden_states import Reading

if TYPE_CHECKING:
    import h5netcdf

BLOCK_BYTES = 128 * 2**20
"""Values held in memory at a time; a block of rows is computed, written and forgotten."""

LABEL_BYTES = 2**20
"""Room for labels and HDF5's own tables beside the values, which with checksums take 2 % more at most; generous."""

Compute = Callable[[list[Reading], int, bool], NDArray[np.float32]]
"""Takes readings, a number of rows and whether to show progress; gives values (row, layer, feature)."""

Begin = Callable[[str | None], tuple[str, Compute]]
"""Takes the record of an interrupted job, or None, and gives the record of this job and how it computes. A job whose
record differs from that of the interrupted one does not go on from it."""

RECORD = "products"
"""Attribute with the record of a job: what the last bits of its values depend on."""


def write_layers(
    path: Path,
    template: xr.DataArray,
    description: Mapping[str, object],
    readings: list[Reading],
    begin: Begin,
    *,
    progress: bool = False,
    block_bytes: int = BLOCK_BYTES,
) -> xr.DataArray:
    """Compute features block by block into one NetCDF file, and open it.

    The file grows under the name ``PATH.partial``, with the checksums of its blocks in ``PATH.partial.blocks``; a run
    that was interrupted goes on behind the last whole block. Only a complete file gets its name. HDF5 checks a
    checksum of every chunk when it is read.

    Parameters
    ----------
    path : Path
        File to be written. One that is there and holds these very features, under these labels, is opened as it is;
        another one is an error, and so is what was begun under other labels.
    template : xarray.DataArray, dims (sample, layer, feature)
        Labels and attributes.
    description : mapping
        What the values depend on.
    readings : list of Reading
        What is to be read, in the order of rows.
    begin : callable
        Takes the record of the job that was interrupted, None where there is none; gives the record of this job and
        the function that computes a block from readings, a number of rows and whether to show progress.
    progress : bool
        Show a progress bar.
    block_bytes : int
        Bytes of values held in memory.

    Returns
    -------
    xarray.DataArray, dims (sample, layer, feature)
        Values are read from the file when they are used.

    Raises
    ------
    ValueError
        If other features, other labels or something else stand under the name, or labels are of mixed types.
    BlockingIOError
        If another job is at work on the file.
    OSError
        If the folder cannot be written to, or there is not room enough.
    """
    _check_types(template)
    template = template.assign_attrs(content_key=content_key(description))
    row_bytes = 4 * template.sizes["layer"] * template.sizes["feature"]
    try:
        if path.exists():
            _check_features(path, template)
        else:
            _write(path, template, list(_blocks(readings, max(1, block_bytes // row_bytes))), begin, progress)
        existing = open_layers(path)
    except BlockingIOError as error:
        raise BlockingIOError(
            f"out: another job is at work on {path}; wait until it has ended, or choose another name."
        ) from error
    # columns that are not written may be others than when the file was made
    existing.attrs.update(sealed(template.assign_attrs({RECORD: existing.attrs.get(RECORD, "unknown")})).attrs)
    return existing


def _check_types(template: xr.DataArray) -> None:
    """Refuse coordinates that NetCDF has no type for."""
    for name, coord in template.coords.items():
        types = sorted({type(entry).__name__ for entry in coord.values}) if coord.dtype == object else []
        if len(types) > 1:
            raise ValueError(
                f"stimuli: {name!r} mixes entries of the types {' and '.join(types)}, which a NetCDF file cannot hold; "
                "give all of them one type, such as str, or leave out `out`."
            )


def _check_features(path: Path, template: xr.DataArray) -> None:
    """Refuse a file that does not hold what is to be made."""
    if path.is_dir():
        raise ValueError(
            f"out: {path} is a folder; expected the name of a NetCDF file, such as {path / 'features.nc'}."
        )
    try:
        with open_sealed(path) as there:
            stored_key = there.attrs.get("content_key")
    except FeaturesFileError as error:
        raise ValueError(
            f"out: {error}; expected a NetCDF file that was written here, or none. Choose another name or remove it."
        ) from error
    if stored_key != template.attrs["content_key"]:
        raise ValueError(f"out: {path} holds other features; choose another name or remove it.")
    _check_labels(path, template)


def _check_labels(path: Path, template: xr.DataArray) -> None:
    """Refuse the same features under other labels: values do not depend on labels, so their key does not either."""
    with xr.open_dataarray(path, engine="h5netcdf") as there:
        differing = [
            str(name)
            for name in sorted({*there.coords, *template.coords}, key=str)
            if name not in there.coords
            or name not in template.coords
            or not np.array_equal(there[name].values, template[name].values)
        ]
    if differing:
        raise ValueError(
            f"out: {path} holds features of the same texts under other labels ({', '.join(differing)}); choose another "
            "name or remove it."
        )


def _write(path: Path, template: xr.DataArray, blocks: list[list[Reading]], begin: Begin, progress: bool) -> None:
    """Compute what is missing of a file, and give it its name."""
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    _check_room(partial, 4 * template.size)
    with _alone(_notes_of(partial)):
        _fill(partial, template, blocks, begin, progress)
        with partial.open("rb+") as stream:
            os.fsync(stream.fileno())
        partial.replace(path)
    _notes_of(partial).unlink(missing_ok=True)


@contextmanager
def _alone(notes: Path) -> Iterator[None]:
    """Hold the notes as long as blocks are written: HDF5 empties a file before it finds that another job holds it."""
    if sys.platform == "win32":  # it has no such locks, and would not let the notes go
        yield
        return
    import fcntl

    with notes.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # some network file systems have none either
            pass
        yield


def _check_room(partial: Path, value_bytes: int) -> None:
    """Refuse to begin what cannot end: where HDF5 runs out of space, it takes the whole process with it."""
    free = shutil.disk_usage(partial.parent).free + (partial.stat().st_size if partial.exists() else 0)
    needed = value_bytes + value_bytes // 50 + LABEL_BYTES
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"{needed / 2**20:.1f} MiB are needed and {free / 2**20:.1f} are free; make room or choose another place. "
            "Nothing was written",
            str(partial.with_suffix("")),
        )


def open_layers(path: Path | str) -> xr.DataArray:
    """Open features from disk; values are read when they are used.

    Parameters
    ----------
    path : path
        Written by :func:`write_layers`.

    Returns
    -------
    xarray.DataArray, dims (sample, layer, feature)

    Raises
    ------
    FeaturesFileError
        If the file is damaged, labels included.
    """
    features = open_sealed(path)
    if set(features.dims) != {"sample", "layer", "feature"}:
        features.close()
        raise FeaturesFileError(
            f"{path} does not read as features: its axes are {features.dims}; expected sample, layer and feature"
        )
    return features.transpose("sample", "layer", "feature")


def _blocks(readings: list[Reading], most_rows: int) -> Iterator[list[Reading]]:
    """Group neighbouring readings; a reading is never divided."""
    block: list[Reading] = []
    rows = 0
    for reading in readings:
        n_rows_of_reading = len(np.unique(reading.row))
        if block and rows + n_rows_of_reading > most_rows:
            yield block
            block, rows = [], 0
        block.append(reading)
        rows += n_rows_of_reading
    if block:
        yield block


def _fill(partial: Path, template: xr.DataArray, blocks: list[list[Reading]], begin: Begin, progress: bool) -> None:
    import h5netcdf
    from tqdm.auto import tqdm

    done, earlier = _whole_blocks(partial, str(template.attrs["content_key"]))
    record, compute = begin(earlier)
    done = done if record == earlier else 0
    template = sealed(template.assign_attrs({RECORD: record}))
    if done == 0:
        _notes_of(partial).write_bytes(b"")
        write_labels(partial, template)
    else:
        _check_labels(partial, template)
    with h5netcdf.File(partial, "r+") as file:
        if done == 0:
            add_values(file, template)
        values = file.variables["features"]
        values.attrs.update(template.attrs)
        for number, block in enumerate(tqdm(blocks, desc=str(partial.stem), unit="block", disable=not progress)):
            if number < done:
                continue
            rows = np.unique(np.concatenate([reading.row for reading in block]))
            lowest, behind = int(rows[0]), int(rows[-1]) + 1
            shifted = [Reading(reading.ids, reading.piece, reading.row - lowest) for reading in block]
            states = compute(shifted, behind - lowest, False).transpose(1, 0, 2)  # (layer, row, feature)
            values[:, lowest:behind, :] = states
            file.flush()
            _note(partial, f"{lowest} {behind} {_digest(states)}")


def write_labels(partial: Path, template: xr.DataArray) -> None:
    """Begin a file of features with the labels alone.

    Parameters
    ----------
    partial : Path
        File to be written.
    template : xarray.DataArray, dims (sample, layer, feature)
        Labels.
    """
    labels = template.isel(feature=slice(0)).transpose("layer", "sample", "feature").coords
    coords = {name: coord for name, coord in labels.items() if name != "feature"}
    xr.Dataset(coords=coords).to_netcdf(partial, engine="h5netcdf")


def add_values(file: h5netcdf.File, template: xr.DataArray) -> None:
    """Add the variable that will hold the values, with a checksum a chunk and NaN where nothing has been written.

    Parameters
    ----------
    file : h5netcdf.File
        Begun by :func:`write_labels`.
    template : xarray.DataArray, dims (sample, layer, feature)
        Labels and attributes.
    """
    sizes = template.sizes
    file.dimensions["feature"] = sizes["feature"]
    names = file.create_variable("feature", ("feature",), data=np.asarray(template.feature.values))
    names.attrs["long_name"] = "feature"
    chunks = (1, min(1024, sizes["sample"]), sizes["feature"])
    values = file.create_variable(
        "features",
        ("layer", "sample", "feature"),
        dtype="float32",
        chunks=chunks,
        fillvalue=np.float32(np.nan),
        fletcher32=True,
    )
    values.attrs.update(template.attrs)
    extra = [str(name) for name in template.coords if name not in template.dims]
    if extra:
        values.attrs["coordinates"] = " ".join(extra)


def _whole_blocks(partial: Path, key: str) -> tuple[int, str | None]:
    """Count the leading blocks of an interrupted file that are as they were written, and read its job's record."""
    import h5netcdf

    if not partial.exists():
        return 0, None
    try:
        with h5netcdf.File(partial, "r") as file:
            values = file.variables["features"]
            if values.attrs["content_key"] != key:
                return 0, None
            done = sum(1 for _ in takewhile(lambda note: _is_whole(values, note), _noted(partial)))
            return (done, str(values.attrs[RECORD])) if done else (0, None)
    except BlockingIOError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError):
        return 0, None


def _is_whole(values: h5netcdf.Variable, note: str) -> bool:
    lowest, behind, digest = note.split()
    return _digest(np.asarray(values[:, int(lowest) : int(behind), :])) == digest


def _notes_of(partial: Path) -> Path:
    return partial.with_name(partial.name + ".blocks")


def _note(partial: Path, line: str) -> None:
    with _notes_of(partial).open("a", encoding="ascii") as stream:
        stream.write(line + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def _noted(partial: Path) -> list[str]:
    """Read the notes; a last line that was not finished does not count."""
    path = _notes_of(partial)
    return path.read_text(encoding="ascii").split("\n")[:-1] if path.exists() else []


def _digest(values: NDArray[np.float32]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, dtype=np.float32).tobytes()).hexdigest()
