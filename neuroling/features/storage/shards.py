"""Features made in parts by several jobs, joined into one file without being held in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from neuroling.features.storage.cache import content_key
from neuroling.features.storage.files import BLOCK_BYTES, RECORD, add_values, open_layers, write_labels
from neuroling.features.storage.seal import SEAL, sealed

OF_A_SHARD = frozenset({"stimuli", "content_key", "n_truncated", "device", SEAL, RECORD})
"""Attributes in which the parts of one table of stimuli may differ."""


def join_shards(shards: Sequence[Path], out: Path, *, block_bytes: int = BLOCK_BYTES) -> xr.DataArray:
    """Join features of parts of a table of stimuli along ``sample``, in the order given.

    Parameters
    ----------
    shards : sequence of pathlib.Path
        Written by ``extract_text_features(…, out=…)`` with the same encoder and options.
    out : pathlib.Path
        File to be written; it gets its name when it is complete.
    block_bytes : int
        Bytes of values held in memory.

    Returns
    -------
    xarray.DataArray, dims (sample, layer, feature)
        Values are read from the file when they are used.

    Raises
    ------
    ValueError
        If parts differ in anything but their samples, or a sample stands in two of them.
    FileNotFoundError
        If a part is not there.
    """
    if not shards:
        raise ValueError("shards: none given; expected files of parts of one table.")
    absent = [str(path) for path in shards if not path.is_file()]
    if absent:
        raise FileNotFoundError(f"{', '.join(absent)}: not there; make these parts first.")
    opened = [open_layers(path) for path in shards]
    try:
        _check_alike(shards, opened)
        _write(out, opened, block_bytes)
    finally:
        for part in opened:
            part.close()
    return open_layers(out)


def _check_alike(shards: Sequence[Path], opened: Sequence[xr.DataArray]) -> None:
    first = opened[0]
    for path, shard in zip(shards[1:], opened[1:], strict=True):
        for axis in ("layer", "feature"):
            if not shard.indexes[axis].equals(first.indexes[axis]):
                raise ValueError(f"shards: {shards[0]} and {path} differ along {axis!r}; expected the same encoder.")
        keys = (first.attrs.keys() | shard.attrs.keys()) - OF_A_SHARD
        differing = sorted(key for key in keys if str(first.attrs.get(key)) != str(shard.attrs.get(key)))
        if differing:
            key = differing[0]
            raise ValueError(
                f"shards: {shards[0]} and {path} differ in {key}: {first.attrs.get(key)!r} against "
                f"{shard.attrs.get(key)!r}. Make one of them again."
            )
    labels = np.concatenate([shard["sample"].to_numpy() for shard in opened])
    names, counts = np.unique(labels, return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"shards: {int((counts > 1).sum())} samples stand in two parts, first {names[counts > 1][0].item()!r}."
        )


def _write(out: Path, opened: Sequence[xr.DataArray], block_bytes: int) -> None:
    import h5netcdf

    template = _template(opened)
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        write_labels(partial, template)
        with h5netcdf.File(partial, "r+") as file:
            add_values(file, template)
            values, start = file.variables["features"], 0
            rows = max(1, block_bytes // (4 * template.sizes["layer"] * template.sizes["feature"]))
            for part in opened:
                for lowest in range(0, part.sizes["sample"], rows):
                    block = part.isel(sample=slice(lowest, lowest + rows)).transpose("layer", "sample", "feature")
                    values[:, start : start + block.sizes["sample"], :] = block.to_numpy()
                    start += block.sizes["sample"]
        with partial.open("rb+") as stream:
            os.fsync(stream.fileno())
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


def _template(opened: Sequence[xr.DataArray]) -> xr.DataArray:
    """Labels and attributes of the whole; its values take no memory."""
    first = opened[0]
    along = {
        name: ("sample", np.concatenate([shard.coords[name].to_numpy() for shard in opened]))
        for name, coord in first.coords.items()
        if coord.dims == ("sample",)
    }
    other_coords = {name: coord.variable for name, coord in first.coords.items() if "sample" not in coord.dims}
    n_samples = sum(shard.sizes["sample"] for shard in opened)
    shape = (n_samples, first.sizes["layer"], first.sizes["feature"])
    keys = [str(shard.attrs.get("content_key")) for shard in opened]
    attrs = {key: value for key, value in first.attrs.items() if key not in OF_A_SHARD}
    stimuli = content_key({"shards": [str(shard.attrs.get("stimuli")) for shard in opened]})
    template = xr.DataArray(
        np.broadcast_to(np.float32(0), shape),
        dims=("sample", "layer", "feature"),
        coords={**along, **other_coords},
        attrs={**attrs, "stimuli": stimuli, "content_key": content_key({"shards": keys})},
    )
    return sealed(template)
