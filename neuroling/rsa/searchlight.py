"""Searchlights: patches of channels, regions, or neighbourhoods of sources."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import sparse, spatial

from neuroling.rsa.dissimilarity import Noise, PatternPairs, digest_of_recording
from neuroling.rsa.distances import Distance

Array = NDArray[np.floating[Any]]
Patches = Mapping[str, Sequence[str]]


def neighbours_within(positions: xr.DataArray, radius: float) -> dict[str, list[str]]:
    """Give for each channel (or source) those within a distance of it, itself included.

    Parameters
    ----------
    positions : xarray.DataArray, dims (channel or voxel, feature)
        Where each is; see :func:`neuroling.data.eeg.channel_positions` and ``source_positions`` (m).
    radius : float
        In the unit of the positions.

    Returns
    -------
    dict of str to list of str

    Raises
    ------
    ValueError
        If one has no neighbour within the radius; the message says how large it would have to be.
    """
    axis = next(str(dim) for dim in positions.dims if dim != "feature")
    coordinates = positions.transpose(axis, "feature").values
    names = [str(name) for name in positions.coords[axis].values]
    tree = spatial.cKDTree(coordinates)
    nearest = tree.query(coordinates, k=2)[0][:, 1]  # infinite where there is no other
    alone = [name for name, distance in zip(names, nearest, strict=True) if not distance <= radius]
    if alone:
        raise ValueError(
            f"radius: {radius:g} leaves {len(alone)} of {len(names)} without a neighbour, first {alone[:5]}; the "
            f"farthest nearest neighbour is {nearest.max():.3g} away."
        )
    near = tree.query_ball_point(coordinates, radius, return_sorted=True)
    return {name: [names[k] for k in members] for name, members in zip(names, near, strict=True)}


def neighbours_from(adjacency: sparse.spmatrix | sparse.sparray, names: Sequence[str]) -> dict[str, list[str]]:
    """Give for each channel (or source) those next to it, itself included.

    Parameters
    ----------
    adjacency : sparse matrix, shape (channel, channel)
        From :func:`mne.channels.find_ch_adjacency`, or for surfaces :func:`mne.spatial_src_adjacency`; for sources in a
        volume see :func:`neighbours_within`.
    names : sequence of str
        Labels in the order of the matrix.

    Returns
    -------
    dict of str to list of str
    """
    matrix = sparse.csr_array(adjacency)
    if matrix.shape != (len(names), len(names)):
        raise ValueError(f"adjacency: shape {matrix.shape} for {len(names)} names; expected one row and column a name.")
    patches = {}
    for place, name in enumerate(names):
        near = set(matrix.indices[matrix.indptr[place] : matrix.indptr[place + 1]].tolist()) | {place}
        if len(near) < 2:
            raise ValueError(f"adjacency: {name!r} has no neighbour; leave it out, or connect it.")
        patches[str(name)] = [str(names[k]) for k in sorted(near)]
    return patches


@dataclass(frozen=True)
class PatchPairs:
    """Dissimilarities of every patch of a recording, made in blocks, one patch after another.

    Neighbouring patches share members, so scores are smooth over the head whatever the brain does: a topography says
    where information can be read, not where it lies.

    Attributes
    ----------
    recording : xarray.DataArray
        Items along ``sample``, members of patches along ``over``.
    patches : mapping of str to sequence of str
        Centre (or region) and its members.
    over : str
        Axis of the members.
    distance, window, noise, allow_bias
        As in :func:`~neuroling.rsa.dissimilarity.rdms`.
    first : PatternPairs
        Those of the first patch, which have the labels of all.
    """

    recording: xr.DataArray
    patches: Patches
    over: str
    distance: Distance | str | None
    window: int
    noise: Noise
    allow_bias: bool
    first: PatternPairs

    is_condensed = True

    @classmethod
    def of(
        cls,
        recording: xr.DataArray,
        patches: Patches,
        distance: Distance | str | None,
        *,
        over: str,
        window: int,
        noise: Noise,
        allow_bias: bool,
    ) -> PatchPairs:
        """Check patches and lay out the first; parameters as the attributes."""
        _check_patches(patches, recording, over)
        first = PatternPairs.of(
            recording.sel({over: list(next(iter(patches.values())))}),
            distance,
            over=over,
            window=window,
            noise=_restricted(noise, next(iter(patches.values()))),
            allow_bias=allow_bias,
        )
        pairs = cls(recording, patches, over, distance, window, noise, allow_bias, first)
        if pairs.part_axis in first.others:
            raise ValueError(
                f"patches: they would lie along {pairs.part_axis!r}, which the recording has already; name them by "
                f"labels along {over!r}, or rename the axis."
            )
        return pairs

    @property
    def part_axis(self) -> str:
        """Axis of the patches: that of their members where they are named by its labels, else ``region``."""
        known = {str(name) for name in self.recording.coords[self.over].values}
        return self.over if known.issuperset(self.patches) else "region"

    @property
    def n_parts(self) -> int:
        """Number of patches."""
        return len(self.patches)

    @property
    def others(self) -> tuple[str, ...]:
        """Axes other than time and patches."""
        return self.first.others

    @property
    def other_shape(self) -> tuple[int, ...]:
        """Their lengths."""
        return self.first.other_shape

    @property
    def time_shape(self) -> tuple[int, ...]:
        """``(n_times,)``, or nothing without a time axis."""
        return self.first.time_shape

    @property
    def items(self) -> NDArray[np.str_]:
        """Labels of the items, shape (item,)."""
        return self.first.items

    @property
    def attrs(self) -> dict[str, Any]:
        """What is written on the dissimilarities."""
        return self.first.attrs

    @property
    def options(self) -> dict[str, str]:
        """How dissimilarities are made, for the record of a result."""
        sizes = [len(members) for members in self.patches.values()]
        told = f"{len(sizes)} along {self.part_axis}, of {min(sizes)} to {max(sizes)} members"
        return {**self.first.options, "patches": told}

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of a result has to know."""
        shared = "neighbouring patches share members, so scores are smooth over space by construction"
        return (shared, *self.first.notes)

    def digest(self) -> str:
        """Hash the recording and the patches."""
        members = "\x1e".join("\x1f".join([centre, *names]) for centre, names in self.patches.items())
        whole = digest_of_recording(self.recording)
        return hashlib.sha256(f"{whole}\x1d{members}".encode("utf-8", "surrogatepass")).hexdigest()

    def parts(self) -> Iterator[PatternPairs]:
        """Lay out one patch after another."""
        for members in self.patches.values():
            yield PatternPairs.of(
                self.recording.sel({self.over: list(members)}),
                self.distance,
                over=self.over,
                window=self.window,
                noise=_restricted(self.noise, members),
                allow_bias=self.allow_bias,
            )

    def coords(self) -> dict[Any, Any]:
        """Give the labels of all axes but the pairs."""
        return self.first.coords() | {self.part_axis: (self.part_axis, list(self.patches))}


def _check_patches(patches: Patches, recording: xr.DataArray, axis: str) -> None:
    if not patches:
        raise ValueError("patches: none given; make some with neighbours_within or neighbours_from.")
    if axis not in recording.coords:
        raise ValueError(f"axis: got {axis!r}; the recording has labels along {[str(c) for c in recording.indexes]}.")
    known = {str(name) for name in recording.coords[axis].values}
    for centre, members in patches.items():
        absent = [member for member in members if member not in known]
        if absent or len(set(members)) < len(members):
            raise ValueError(
                f"patches: {centre!r} holds {absent[:5] or list(members)}, "
                f"{'not along' if absent else 'some twice along'} {axis!r} of the recording."
            )


def _restricted(noise: Noise, members: Sequence[str]) -> Noise:
    """Give the noise covariance of the members of a patch."""
    if not isinstance(noise, xr.DataArray):
        return noise
    return noise.sel(channel=list(members), feature=list(members))
