"""Participants on one axis: joined by the labels of items, channels and times, and by their units."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Hashable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.align import near_pairs
from neuroling.core.times import same_times, sample_step, with_shared_times
from neuroling.data.amplitudes import unit_name

logger = logging.getLogger(__name__)

SCALES_APART = 300.0
"""Factor by which the spread of one participant differs from the median of all if its unit is another one: people
differ by less than ten, a mix-up of units is a factor of a thousand or more."""

COUNTS = ("n_trials", "n_rejected", "n_averaged")
"""Coordinates that count trials; each participant has their own."""


def join_subjects(
    recordings: Mapping[str, xr.DataArray],
    *,
    missing: Literal["error", "nan"] = "error",
    channels: Literal["error", "common"] = "error",
) -> xr.DataArray:
    """Put participants on one axis, matched by the labels of everything.

    Channels are matched by name whatever their order, and names that differ in case alone with a warning. Times may
    differ by a hundredth of a sample. Where participants have unequal numbers of repeats, those that lack are NaN.

    Parameters
    ----------
    recordings : mapping of str to xarray.DataArray
        Participant and what was recorded.
    missing : {"error", "nan"}
        What to do where an item is missing in somebody: refuse, or leave NaN there, which stays with that item and
        participant.
    channels : {"error", "common"}
        What to do where channels are missing in somebody: refuse, or take those that everybody has.

    Returns
    -------
    xarray.DataArray, dims (subject, …)
        Counts of trials have the axis ``subject`` too, 0 where an item is missing, as has every coordinate of items
        that differs between participants.

    Raises
    ------
    TypeError, ValueError
        If items, channels, times, axes or units differ, or somebody's values are hundreds of times larger or smaller
        than the others', as in another unit; the message names a participant and what differs.

    Warns
    -----
    UserWarning
        If channels were matched although their names differ in case.

    Examples
    --------
    >>> coords = {"sample": ["cat"], "channel": ["Fz", "Cz"]}
    >>> waves = xr.DataArray([[1.0, 2.0]], dims=("sample", "channel"), coords=coords)
    >>> join_subjects({"s1": waves, "s2": waves.isel(channel=[1, 0])}).sel(subject="s2").values.tolist()
    [[1.0, 2.0]]
    """
    _check_choices(recordings, missing, channels)
    first_name, first = next(iter(recordings.items()))
    for name, recording in recordings.items():
        if set(recording.dims) != set(first.dims):
            raise ValueError(f"recordings: {name!r} has axes {recording.dims}, {first_name!r} has {first.dims}.")
    items = _items_of(recordings, missing)
    matched = with_shared_times(_with_matched_channels(recordings, channels))
    _check_times(matched)
    _check_units(matched)
    _check_scales(matched)
    ordered = {
        name: _with_items(_with_repeats(recording, matched), items).transpose(*first.dims)
        for name, recording in matched.items()
    }
    coords = {**_merged_coords(matched, items), **_counts(ordered)}
    bare = [recording.drop_vars([*coords, *COUNTS], errors="ignore") for recording in ordered.values()]
    along = pd.Index([str(name) for name in recordings], name="subject")
    try:
        joined = xr.concat(
            bare, along, join="exact", coords="minimal", compat="override", combine_attrs="drop_conflicts"
        )
    except ValueError as error:
        raise ValueError(f"recordings: labels or lengths of axes differ between participants: {error}") from error
    return joined.assign_coords(coords)


def _check_choices(recordings: Mapping[str, xr.DataArray], missing: str, channels: str) -> None:
    if not recordings:
        raise ValueError("recordings: none given; expected a mapping such as {'s01': recording, …}.")
    if missing not in ("error", "nan"):
        raise ValueError(f"missing: got {missing!r}; expected 'error' or 'nan'.")
    if channels not in ("error", "common"):
        raise ValueError(f"channels: got {channels!r}; expected 'error' or 'common'.")
    for name, recording in recordings.items():
        if not isinstance(recording, xr.DataArray):
            raise TypeError(f"recordings: {name!r} is a {type(recording).__name__}; expected an xarray.DataArray.")
        if "sample" not in recording.indexes or not recording.indexes["sample"].is_unique:
            raise ValueError(f"recordings: {name!r} has no unique labels along 'sample'; expected the items there.")
        if "subject" in recording.dims:
            raise ValueError(f"recordings: {name!r} has an axis 'subject' already; expected one participant each.")


def _items_of(recordings: Mapping[str, xr.DataArray], missing: str) -> list[Hashable]:
    """Give all items in the order in which they first occur, and refuse those that somebody lacks."""
    holders: dict[Hashable, set[str]] = {}
    for name, recording in recordings.items():
        for item in recording.indexes["sample"]:
            holders.setdefault(item, set()).add(name)
    items = list(holders)
    for name, recording in recordings.items():
        absent = [item for item in items if name not in holders[item]]
        pairs = near_pairs(absent, recording.indexes["sample"])
        alike = [(there, own_item) for there, own_item in pairs if not holders[there] & holders[own_item]]
        if alike:
            raise ValueError(
                f"recordings: {len(alike)} items of {name!r} are spelled differently in others, first "
                f"{[(own_item, there) for there, own_item in alike[:3]]} (here, elsewhere); spell each item in one way."
            )
        if absent and missing == "error":
            raise ValueError(
                f"recordings: {name!r} lacks {len(absent)} of {len(items)} items, first "
                f"{sorted(map(str, absent))[:5]}. Select common items by label, or say missing='nan'."
            )
    return items


def _with_matched_channels(recordings: Mapping[str, xr.DataArray], channels: str) -> dict[str, xr.DataArray]:
    """Bring channels into the order of the first participant, by name."""
    labelled = {name: r for name, r in recordings.items() if "channel" in r.indexes}
    if not labelled:
        return dict(recordings)
    first_name, first = next(iter(labelled.items()))
    order = [str(channel) for channel in first.indexes["channel"]]
    renamed = {}
    for name, recording in labelled.items():
        renamed[name] = _in_the_case_of(order, name, first_name, recording)
    common = [channel for channel in order if all(channel in r.indexes["channel"] for r in renamed.values())]
    for name, recording in renamed.items():
        absent = sorted(set(order) - set(recording.indexes["channel"]))
        surplus = sorted(set(recording.indexes["channel"]) - set(order))
        if (absent or surplus) and channels == "error":
            raise ValueError(
                f"recordings: channels differ between participants: {name!r} lacks {absent[:8]} and has {surplus[:8]} "
                f"besides those of {first_name!r}; {len(common)} of {len(order)} are common to all. Select the same "
                "channels, interpolate those that are missing, or say channels='common'."
            )
    if not common:
        raise ValueError(f"recordings: no channel is common to all; {first_name!r} has {order[:8]}.")
    if len(common) < len(order):
        logger.info("%d of %d channels are common to all participants.", len(common), len(order))
    return {name: renamed[name].sel(channel=common) if name in renamed else r for name, r in recordings.items()}


def _in_the_case_of(order: list[str], name: str, first_name: str, recording: xr.DataArray) -> xr.DataArray:
    """Rename channels whose names differ from the first participant's in case alone."""
    own_channels = [str(channel) for channel in recording.indexes["channel"]]
    if len(set(own_channels)) < len(own_channels):
        raise ValueError(f"recordings: {name!r} has channels that occur more than once; expected each once.")
    spelled = {channel.casefold(): channel for channel in order}
    new = [channel if channel in order else spelled.get(channel.casefold(), channel) for channel in own_channels]
    if new == own_channels or len(set(new)) < len(new):
        return recording.assign_coords(channel=own_channels)
    changed = [(a, b) for a, b in zip(own_channels, new, strict=True) if a != b]
    warnings.warn(
        f"recordings: {len(changed)} channels of {name!r} are matched with those of {first_name!r} although their case "
        f"differs, first {changed[:3]}.",
        stacklevel=4,
    )
    return recording.assign_coords(channel=new)


def _check_times(recordings: Mapping[str, xr.DataArray]) -> None:
    timed = {name: r.coords["time"].to_numpy() for name, r in recordings.items() if "time" in r.indexes}
    if not timed:
        return
    first_name, first = next(iter(timed.items()))
    for name, times in timed.items():
        if times.dtype.kind in "fiu" and not same_times(first, times):
            raise ValueError(
                f"recordings: times differ between participants: {_described(times)} in {name!r}, {_described(first)} "
                f"in {first_name!r}. Resample to one rate and cut one window."
            )


def _described(times: NDArray[Any]) -> str:
    step = sample_step(times)
    rate = f" at {1 / step:g} Hz" if step else ""
    return f"{len(times)} times from {times[0]:g} to {times[-1]:g} s{rate}"


def _check_units(recordings: Mapping[str, xr.DataArray]) -> None:
    """Refuse to join values in different units: volts beside microvolts, or an unknown unit beside a known one."""
    first_name, first = next(iter(recordings.items()))
    units_of_first = _units_of(first)
    for name, recording in recordings.items():
        units_of_recording = _units_of(recording)
        apart = [
            channel
            for channel in units_of_first
            if units_of_first[channel] != units_of_recording.get(channel, units_of_recording.get("", ""))
        ]
        if apart:
            channel = apart[0]
            where = f" in {len(apart)} channels, first {channel!r}" if channel else ""
            raise ValueError(
                f"recordings: units differ between participants{where}: {name!r} has "
                f"{units_of_recording.get(channel, units_of_recording.get('', '')) or 'none'}, {first_name!r} has "
                f"{units_of_first[channel] or 'none'}. Bring all to one unit, and name it in the coordinate 'unit' "
                "along 'channel' or in attrs['units']."
            )


def _units_of(recording: xr.DataArray) -> dict[str, str]:
    """Give the unit of each channel, or of everything under the name ""."""
    if "unit" in recording.coords and recording.coords["unit"].dims == ("channel",):
        units = [_spelled(unit) for unit in recording.coords["unit"].to_numpy().tolist()]
        return dict(zip(map(str, recording.indexes["channel"]), units, strict=True))
    return {"": _spelled(recording.attrs.get("units", ""))}


def _spelled(unit: object) -> str:
    return unit_name(str(unit)) if str(unit).strip() else ""


def _check_scales(recordings: Mapping[str, xr.DataArray]) -> None:
    """Refuse participants whose values are those of another unit, whatever unit they name."""
    spreads = {name: _typical_spread(recording) for name, recording in recordings.items()}
    known = [spread for spread in spreads.values() if spread > 0]
    usual = float(np.median(known)) if known else 0.0
    for name, spread in spreads.items():
        ratio = spread / usual if spread > 0 else 1.0
        if not 1 / SCALES_APART < ratio < SCALES_APART:
            factor = 10.0 ** round(abs(np.log10(ratio)))
            raise ValueError(
                f"recordings: {name!r} varies by {spread:.3g}, and the median of all participants by {usual:.3g}, "
                f"about {factor:,.0f} times {'less' if ratio > 1 else 'more'}: their units seem to differ. Bring all "
                "to one unit."
            )


def _typical_spread(recording: xr.DataArray) -> float:
    """Give the standard deviation over samples at the median location, of some along each axis; 0 if not known."""
    if recording.dtype.kind not in "fiu" or recording.sizes["sample"] < 2:
        return 0.0
    steps = {dim: slice(None, None, max(1, size // 16)) for dim, size in recording.sizes.items() if dim != "sample"}
    values = recording.isel(steps).transpose("sample", ...).to_numpy().reshape(recording.sizes["sample"], -1)
    values = np.where(np.isfinite(values), values, np.nan)
    deviations = np.nanstd(values[:, np.isfinite(values).sum(axis=0) > 1], axis=0)
    varying = deviations[deviations > 0]
    return float(np.median(varying)) if len(varying) else 0.0


def _with_repeats(recording: xr.DataArray, recordings: Mapping[str, xr.DataArray]) -> xr.DataArray:
    """Pad repeats with NaN up to the largest number that somebody has."""
    if "repeat" not in recording.dims or "repeat" in recording.indexes:
        return recording
    most = max(other.sizes["repeat"] for other in recordings.values())
    short = most - recording.sizes["repeat"]
    if short == 0:
        return recording
    counts = recording.coords.get("n_averaged")
    padded = recording.drop_vars("n_averaged", errors="ignore").pad(repeat=(0, short))
    if counts is None:
        return padded
    return padded.assign_coords(n_averaged=counts.variable.pad(repeat=(0, short), constant_values=0))


def _with_items(recording: xr.DataArray, items: list[Hashable]) -> xr.DataArray:
    """Put items into one order; those that are missing are NaN, with no trials."""
    if set(items) == set(recording.indexes["sample"]):
        return recording.sel(sample=items)
    counts = {name: recording.coords[name] for name in COUNTS if name in recording.coords}
    laid_out = recording.drop_vars(list(counts)).reindex(sample=items)
    return laid_out.assign_coords(
        {name: count.reindex(sample=items, fill_value=0).variable for name, count in counts.items()}
    )


def _merged_coords(recordings: Mapping[str, xr.DataArray], items: list[Hashable]) -> dict[str, xr.Variable]:
    """Give the coordinates of items: one value for all where participants agree, else with the axis ``subject``."""
    first = next(iter(recordings.values()))
    every = {str(name) for r in recordings.values() for name, coord in r.coords.items() if coord.dims == ("sample",)}
    names = [str(name) for name in first.coords if name in every - {"sample", *COUNTS}]
    absent = sorted(every - {"sample", *names, *COUNTS}) or [
        name for name in names if not all(name in r.coords for r in recordings.values())
    ]
    if absent:
        raise ValueError(f"recordings: only some participants have the coordinates {absent}; attach them to all.")
    return {name: _merged({who: r.coords[name].to_series() for who, r in recordings.items()}, items) for name in names}


def _merged(columns: Mapping[str, pd.Series], items: list[Hashable]) -> xr.Variable:
    """Give one value per item where everybody who has the item agrees, else one per participant and item."""
    shared = pd.concat([column[~column.index.duplicated()] for column in columns.values()])
    shared = shared[~shared.index.duplicated()].loc[items]  # of the first who has each item
    agree = all(column.equals(shared.loc[column.index].astype(column.dtype)) for column in columns.values())
    if agree:
        return xr.Variable(("sample",), shared.to_numpy())
    each = np.stack([column.reindex(items).to_numpy() for column in columns.values()])  # (subject, sample)
    if each.dtype == object:
        each = np.where(pd.isna(each), "", each).astype(str)
    return xr.Variable(("subject", "sample"), each)


def _counts(recordings: Mapping[str, xr.DataArray]) -> dict[str, xr.Variable]:
    """Give the counts of trials, with the axis ``subject``; of rejected ones only where everybody's are known."""
    shared = [name for name in COUNTS if any(name in r.coords for r in recordings.values())]
    if not all("n_rejected" in r.coords for r in recordings.values()):
        shared = [name for name in shared if name != "n_rejected"]
    for name, count in ((name, count) for name in recordings for count in shared):
        if count not in recordings[name].coords:
            raise ValueError(
                f"recordings: {name!r} does not count its trials ({count}) and others do; attach it to all."
            )
    return {
        name: xr.Variable(
            ("subject", *next(iter(recordings.values())).coords[name].dims),
            np.stack([r.coords[name].to_numpy() for r in recordings.values()]).astype(int),
        )
        for name in shared
    }
