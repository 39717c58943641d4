"""Where models agree with a recording: patches of channels, regions, or neighbourhoods of sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import DTypeLike, NDArray
from scipy import sparse, spatial

from neuroling.core.arrays import near_one
from neuroling.core.provenance import Provenance, current_versions, now
from neuroling.core.result import Result
from neuroling.rsa.checks import check_numbers
from neuroling.rsa.comparators import Comparator
from neuroling.rsa.dissimilarity import Noise, PairLabels, Plan, check_patterns
from neuroling.rsa.distances import Distance
from neuroling.rsa.models import model_names
from neuroling.rsa.similarity import (
    Gaps,
    metric_name,
    model_hash,
    prepared,
    recording_hash,
    scan,
    warn_of_gaps,
    warn_of_nan,
)

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
    places = positions.transpose(axis, "feature").values
    names = [str(name) for name in positions.coords[axis].values]
    tree = spatial.cKDTree(places)
    nearest = tree.query(places, k=2)[0][:, 1]  # infinite where there is no other
    alone = [name for name, distance in zip(names, nearest, strict=True) if not distance <= radius]
    if alone:
        raise ValueError(
            f"radius: {radius:g} leaves {len(alone)} of {len(names)} without a neighbour, first {alone[:5]}; the "
            f"farthest nearest neighbour is {nearest.max():.3g} away."
        )
    near = tree.query_ball_point(places, radius, return_sorted=True)
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


# More than eight parameters: those of the patches, of the dissimilarities and of their comparison.
def searchlight(
    recording: xr.DataArray,
    models: xr.DataArray,
    patches: Patches,
    *,
    axis: str = "channel",
    into: str | None = None,
    distance: Distance | str | None = None,
    comparator: Comparator | str | None = None,
    controls: xr.DataArray | None = None,
    window: int = 1,
    noise: Noise = None,
    allow_bias: bool = False,
    dtype: DTypeLike = np.float32,
) -> Result:
    r"""Compare each patch of a recording with models, at every time.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, [repeat,] axis, \*targets)
        As in :func:`~neuroling.rsa.dissimilarity.rdms`.
    models : xarray.DataArray, dims (sample, model)
        Models of the pairs of the same items.
    patches : mapping of str to sequence of str
        Centre (or region) and its members along ``axis``; from :func:`neighbours_within` or :func:`neighbours_from`.
    axis : str
        ``"channel"``, or ``"voxel"`` for sources.
    into : str, optional
        Axis of the answer: that of the recording by default, ``"region"`` for named regions.
    distance, comparator, controls, window, noise, allow_bias, dtype
        As in :func:`~neuroling.rsa.similarity.similarity`.

    Returns
    -------
    Result
        ``score`` (split, \*targets, channel, [time,] model). Neighbouring patches share members, so scores are smooth
        over the head whatever the brain does: a topography says where information can be read, not where it lies.
    """
    check_numbers(recording)
    _check_patches(patches, recording, axis)
    check_patterns(recording, axis)
    light = near_one(recording).astype(dtype, copy=False)
    pairs = PairLabels.of(np.asarray(recording.coords["sample"])).sample
    comparison, ordered = prepared(pairs, models, comparator, controls)
    plans = (
        Plan.of(
            light.sel({axis: list(members)}),
            distance,
            over=axis,
            window=window,
            noise=_restricted(noise, members),
            allow_bias=allow_bias,
        )
        for members in patches.values()
    )
    parts, gaps = [], Gaps()
    for plan in plans:
        found = scan(plan, comparison, with_ceiling=False)
        parts.append(found.scores)  # (place, time, model)
        gaps = gaps.plus(found.gaps)
    values = np.stack(parts, axis=1)  # (place, patch, time, model)
    warn_of_nan(values)
    notes = warn_of_gaps(gaps, recording)
    score = _labelled(plan, values, axis if into is None else into, list(patches), model_names(ordered))
    name = metric_name(comparison, controls)
    provenance = _provenance(recording, ordered, plan, patches, notes)
    return Result.of(score.expand_dims("split"), metric=name, provenance=provenance)


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


def _labelled(plan: Plan, values: Array, into: str, centres: list[str], models: NDArray[np.str_]) -> xr.DataArray:
    """Put labels on scores (place, patch, time, model)."""
    template = plan.labelled(np.zeros((*plan.other_shape, *plan.time_shape)))
    times = ("time",) if plan.time_shape else ()
    shaped = values.reshape((*plan.other_shape, len(centres), *plan.time_shape, len(models)))
    coords = {**template.coords, into: centres, "model": models}
    return xr.DataArray(shaped, dims=(*plan.others, into, *times, "model"), coords=coords)


def _restricted(noise: Noise, members: Sequence[str]) -> Noise:
    """Give the noise covariance of the members of a patch."""
    if not isinstance(noise, xr.DataArray):
        return noise
    return noise.sel(channel=list(members), feature=list(members))


def _provenance(
    recording: xr.DataArray, models: xr.DataArray, plan: Plan, patches: Patches, notes: tuple[str, ...]
) -> Provenance:
    sizes = [len(members) for members in patches.values()]
    options = {
        "distance": plan.distance.name,
        "window": str(plan.window),
        "patches": f"{len(patches)}, of {min(sizes)} to {max(sizes)} members",
    }
    return Provenance(
        options=options,
        data={"models": model_hash(models), "recording": recording_hash(recording)},
        seed="none",
        synthetic=bool(recording.attrs.get("synthetic", False)),
        versions=current_versions(),
        created=now(),
        notes=("neighbouring patches share members, so scores are smooth over space by construction", *notes),
    )
