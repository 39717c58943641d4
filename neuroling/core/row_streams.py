r"""Recordings that are made while they are read: rows of sample values, block by block, with their labels.

Dissimilarities of a whole study would take gigabytes; a :class:`RowStream` makes some of them at a time, and nobody
keeps them. It stands in :class:`~neuroling.core.align.Aligned` beside ``y``, an array whose labels are there and whose
values are made when they are asked for: what knows the stream reads it, and everything else sees an ordinary array.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol, runtime_checkable

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core.indexing import ExplicitIndexer, IndexingSupport, LazilyIndexedArray, explicit_indexing_adapter

from neuroling.core.provenance import content_hash

Array = NDArray[np.floating[Any]]

BLOCK_BYTES = 2**24
"""Bytes of the rows of one block (16 MiB); a heuristic that keeps blocks in the cache."""


@runtime_checkable
class TargetSource(Protocol):
    """A recording that may be larger than memory: its targets are read a stretch at a time."""

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        ...

    @property
    def n_targets(self) -> int:
        """Number of targets."""
        ...

    @property
    def labels(self) -> NDArray[Any]:
        """Labels of the samples, shape (sample,)."""
        ...

    def read(self, targets: slice) -> xr.DataArray:
        """Give consecutive targets, dims (sample, target axis), with all their labels."""
        ...


class RowPart(Protocol):
    r"""Values of samples (such as dissimilarities of pairs) for every location, made in blocks of times.

    A location is a position along all axes other than ``time``.
    """

    @property
    def others(self) -> tuple[str, ...]:
        """Axes other than time."""
        ...

    @property
    def other_shape(self) -> tuple[int, ...]:
        """Their lengths."""
        ...

    @property
    def time_shape(self) -> tuple[int, ...]:
        """``(n_times,)``, or nothing without a time axis."""
        ...

    def block_size(self, n_at_once: int = 1) -> int:
        """Say how many times of so many locations to make at once."""
        ...

    def stream(self, location: int, block: int) -> Iterator[Array]:
        """Yield rows (time, sample) of one location, so many times in a row."""
        ...


class RowStream(Protocol):
    """A recording in one or more parts that are made one after another, such as patches of channels.

    All parts have the same axes; where there are several, they lie along ``part_axis``, behind the others.
    """

    @property
    def others(self) -> tuple[str, ...]:
        """Axes of a part other than time."""
        ...

    @property
    def other_shape(self) -> tuple[int, ...]:
        """Their lengths."""
        ...

    @property
    def time_shape(self) -> tuple[int, ...]:
        """``(n_times,)``, or nothing without a time axis."""
        ...

    @property
    def part_axis(self) -> str | None:
        """Axis of the parts, or None where there is one part without an axis."""
        ...

    @property
    def n_parts(self) -> int:
        """Number of parts."""
        ...

    @property
    def recording(self) -> xr.DataArray:
        """What the values are made from, with the samples or items along ``sample``."""
        ...

    @property
    def items(self) -> NDArray[np.str_]:
        """Items that the samples are pairs of, shape (item,)."""
        ...

    @property
    def is_condensed(self) -> bool:
        """Whether the samples are sure to be all pairs of the items, in condensed order."""
        ...

    @property
    def options(self) -> dict[str, str]:
        """How values are made, for the record of a result."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of a result has to know of the values."""
        ...

    def digest(self) -> str:
        """Hash what the values are made from."""
        ...

    def parts(self) -> Iterator[RowPart]:
        """Give the parts one after another."""
        ...


def n_locations(rows: RowPart | RowStream) -> int:
    """Count the locations of a part.

    Parameters
    ----------
    rows : RowPart or RowStream
        Of several parts, the locations of each.
    """
    return prod(rows.other_shape)


def n_times(rows: RowPart | RowStream) -> int:
    """Count the times, 1 without an axis ``time``.

    Parameters
    ----------
    rows : RowPart or RowStream
        Any rows.
    """
    return prod(rows.time_shape)


@dataclass(frozen=True)
class HeldRows:
    r"""Values that are in memory, as a stream.

    Attributes
    ----------
    recording : xarray.DataArray, dims (sample, \*targets)
        Such as dissimilarities that were measured elsewhere; NaN where they are missing.
    """

    recording: xr.DataArray

    part_axis = None
    n_parts = 1
    is_condensed = False

    @property
    def others(self) -> tuple[str, ...]:
        """Axes other than time."""
        return tuple(str(dim) for dim in self.recording.dims if dim not in ("sample", "time"))

    @property
    def other_shape(self) -> tuple[int, ...]:
        """Their lengths."""
        return tuple(self.recording.sizes[axis] for axis in self.others)

    @property
    def time_shape(self) -> tuple[int, ...]:
        """``(n_times,)``, or nothing without a time axis."""
        return (self.recording.sizes["time"],) if "time" in self.recording.dims else ()

    @property
    def items(self) -> NDArray[np.str_]:
        """Items that the samples are pairs of."""
        sides = [self.recording.coords[side].to_numpy() for side in ("first", "second")]
        return np.union1d(*sides).astype(np.str_)

    @property
    def options(self) -> dict[str, str]:
        """Nothing: values were made elsewhere."""
        return {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What is written on the values of their bias."""
        return bias_notes(self.recording.attrs)

    def digest(self) -> str:
        """Hash values and labels."""
        return content_hash(self.recording)

    def parts(self) -> Iterator[RowPart]:
        """Give itself."""
        yield self

    def block_size(self, n_at_once: int = 1) -> int:
        """Say how many times of so many locations to take at once."""
        return max(1, min(n_times(self), BLOCK_BYTES // (self.recording.sizes["sample"] * 8 * n_at_once)))

    def stream(self, location: int, block: int) -> Iterator[Array]:
        """Yield rows (time, sample) of one location in float64."""
        position = np.unravel_index(location, self.other_shape) if self.others else ()
        of_location = self.recording.isel(dict(zip(self.others, map(int, position), strict=True)), drop=True)
        rows = of_location.transpose("time", "sample").to_numpy() if self.time_shape else of_location.to_numpy()[None]
        for start in range(0, len(rows), block):
            yield np.ascontiguousarray(rows[start : start + block], dtype=np.float64)


def bias_notes(attrs: dict[Any, Any]) -> tuple[str, ...]:
    """Say that noise biases dissimilarities, where their attributes do.

    Parameters
    ----------
    attrs : dict
        Attributes of dissimilarities.
    """
    if not attrs.get("biased"):
        return ()
    return (f"the {attrs.get('distance', '')} distance is biased by noise; differences in trial counts would show",)


class _MadeWhenRead(BackendArray):
    """Values of a stream as an array that computes what is taken from it, every time."""

    def __init__(self, stream: RowStream, n_samples: int, dtype: np.dtype[Any]) -> None:
        parts = () if stream.part_axis is None else (stream.n_parts,)
        self.rows = stream
        self.shape = (n_samples, *stream.other_shape, *parts, *stream.time_shape)
        self.dtype = dtype

    def __getitem__(self, key: ExplicitIndexer) -> Any:
        return explicit_indexing_adapter(key, self.shape, IndexingSupport.BASIC, self._read)

    def _read(self, key: tuple[Any, ...]) -> Array:
        """Make the values of the locations that are asked for, and take the samples and times."""
        n_others = len(self.rows.other_shape)
        has_parts = self.rows.part_axis is not None
        grid = np.arange(prod(self.rows.other_shape)).reshape(self.rows.other_shape)[key[1 : 1 + n_others]]
        wanted_parts = np.arange(self.rows.n_parts)[key[1 + n_others] if has_parts else slice(None)]
        collected = [
            [self._location(part, int(location)) for location in grid.ravel()]
            for number, part in enumerate(self.rows.parts())
            if number in np.atleast_1d(wanted_parts)
        ]  # (part, location) of (time, sample)
        values = np.array(collected, dtype=self.dtype)
        values = values.reshape(len(collected), *grid.shape, *values.shape[2:])  # (part, *others, time, sample)
        values = np.moveaxis(np.moveaxis(values, -1, 0), 1, -2)  # (sample, *others, part, time)
        if np.ndim(wanted_parts) == 0 or not has_parts:
            values = values[..., 0, :]
        values = values if self.rows.time_shape else values[..., 0]
        own = (key[0], *[slice(None)] * (values.ndim - 1 - len(self.rows.time_shape)))
        return np.asarray(values[(*own, *key[len(key) - len(self.rows.time_shape) :])] if own else values)

    def _location(self, part: RowPart, location: int) -> Array:
        return np.concatenate(list(part.stream(location, part.block_size())))


def made_when_read(
    stream: RowStream, coords: dict[str, Any], dtype: np.dtype[Any], attrs: dict[str, Any]
) -> xr.DataArray:
    r"""Give the values of a stream as an array whose labels are there and whose values are made when they are read.

    Parameters
    ----------
    stream : RowStream
        Where values come from.
    coords : dict
        Labels, those of ``sample`` among them.
    dtype : numpy.dtype
        Of the values.
    attrs : dict
        What is written on them.

    Returns
    -------
    xarray.DataArray, dims (sample, \*others, [parts,] [time])
    """
    n_samples = len(np.asarray(coords["sample"][1]))
    parts = () if stream.part_axis is None else (stream.part_axis,)
    times = ("time",) if stream.time_shape else ()
    values = LazilyIndexedArray(_MadeWhenRead(stream, n_samples, dtype))
    dims = ("sample", *stream.others, *parts, *times)
    return xr.DataArray(values, dims=dims, coords=coords, attrs=attrs, name="dissimilarity")
