"""The clock that words and volumes share, and their runs: what is refused before features are spread over time."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from neuroling.core.arrays import check_labelled, read_numbers
from neuroling.core.notices import warn

LONGEST_TR = 30.0
"""Repetition time in seconds above which times are taken to be milliseconds; real ones lie between 0.3 and 15."""

TR_JITTER = 0.01
"""Departure of a frame from a regular grid that is tolerated, as a share of the repetition time."""

RESTART = 0.5
"""Share of the time from the first to the last word by which a word has to fall back to count as the start of another
run; a heuristic."""

ROUNDING = 1e-6
"""Share of the repetition time by which an onset may miss a frame time and still be at it: rounding."""


def checked_frames(frame_times: ArrayLike) -> NDArray[np.float64]:
    """Refuse times that are not those of the volumes of one run.

    Parameters
    ----------
    frame_times : array-like, shape (volume,)
        Seconds, increasing, evenly spaced.

    Returns
    -------
    ndarray, shape (volume,)
    """
    frames = read_numbers("frame_times", frame_times).values.astype(np.float64)
    if frames.ndim != 1 or len(frames) < 2:
        raise ValueError(f"frame_times: got shape {frames.shape}; expected the times of at least two volumes.")
    if not np.isfinite(frames).all():
        raise ValueError(f"frame_times: {int((~np.isfinite(frames)).sum())} of {len(frames)} are NaN or infinite.")
    steps = np.diff(frames)
    tr = float(np.median(steps))
    if (steps <= 0).any():
        where = int(np.argmax(steps <= 0))
        raise ValueError(
            f"frame_times: not increasing at volume {where + 1} ({frames[where]:g} s, then {frames[where + 1]:g} s); "
            "the repetition time must be above zero, and runs are convolved one at a time."
        )
    if tr > LONGEST_TR:
        raise ValueError(f"frame_times: {tr:g} s between volumes; expected seconds. Divide milliseconds by 1000.")
    uneven = np.abs(steps - tr) > TR_JITTER * tr
    if uneven.any():
        raise ValueError(
            f"frame_times: {int(uneven.sum())} of {len(steps)} steps differ from the usual {tr:g} s (first after "
            f"volume {int(np.argmax(uneven))}: {steps[np.argmax(uneven)]:g} s); expected one repetition time in a run."
        )
    return frames


def words_in_time(
    features: xr.DataArray, name: str, frames: NDArray[np.float64], *, reach_s: float
) -> tuple[xr.DataArray, NDArray[np.float64]]:
    """Read the words of one run and their times; refuse what is missing, impossible, or on another clock.

    Parameters
    ----------
    features : xarray.DataArray, dims (sample, feature)
        Features of the words of one run.
    name : str
        Sample coordinate with the times, in seconds.
    frames : ndarray, shape (volume,)
        Seconds.
    reach_s : float
        How long before the first volume a word still counts, in seconds.

    Returns
    -------
    table : xarray.DataArray, dims (sample, feature)
        The features in order of time.
    onsets : ndarray, shape (word,)
        Seconds, ascending.

    Raises
    ------
    ValueError
        If there are no words, values or times are missing, runs lie end to end, words end before they begin, or the
        times are on another clock than the volumes.

    Warns
    -----
    UserWarning
        If words are out of order (they are sorted), share an onset, begin before time zero, or reach no volume.
    """
    if not isinstance(features, xr.DataArray) or features.dtype.kind not in "fiub":
        check_labelled("features", features)
    if set(features.dims) != {"sample", "feature"}:
        raise ValueError(f"features: got axes {features.dims}; expected ('sample', 'feature').")
    if name not in features.coords or features.coords[name].dims != ("sample",):
        raise ValueError(f"onset: the features have no sample coordinate {name!r} with the words' times in seconds.")
    table = features.transpose("sample", "feature")
    if not table.sizes["sample"] or not table.sizes["feature"]:
        raise ValueError(f"features: got shape {table.shape}; expected at least one word and one feature.")
    onsets = read_numbers(name, table.coords[name]).values.astype(np.float64)
    words = _labels(table)
    bad = ~np.isfinite(onsets)
    if bad.any():
        raise ValueError(
            f"{name}: {int(bad.sum())} of {len(onsets)} are NaN or infinite, first at {words[bad][:5].tolist()}."
        )
    n_missing = int((~np.isfinite(table.to_numpy())).sum())
    if n_missing:
        raise ValueError(
            f"features: some values are NaN or infinite ({n_missing} of {table.size}); one of them would spoil every "
            "volume that it reaches. Remove the words or impute the values."
        )
    _refuse_negative_durations(table, words)
    _refuse_joined_runs(name, onsets, words)
    table, onsets = _sorted_by_time(name, table, onsets)
    _check_clock(name, onsets, frames, reach_s)
    _tell_of_odd_times(name, table, onsets)
    _tell_of_strays(table, onsets, frames, reach_s)
    return table, onsets


def feature_coords(features: xr.DataArray) -> dict[str, xr.DataArray]:
    """Take the coordinates that lie along the features, such as their labels and the space that they belong to.

    Parameters
    ----------
    features : xarray.DataArray
        With the axis ``feature``.

    Returns
    -------
    dict of str to xarray.DataArray
    """
    return {str(name): coord for name, coord in features.coords.items() if coord.dims == ("feature",)}


def _labels(features: xr.DataArray) -> NDArray[np.generic]:
    return features.sample.to_numpy() if "sample" in features.coords else np.arange(features.sizes["sample"])


def _refuse_negative_durations(table: xr.DataArray, words: NDArray[np.generic]) -> None:
    along = {str(key) for key, coord in table.coords.items() if coord.dims == ("sample",) and coord.dtype.kind in "fiu"}
    if {"onset", "offset"} <= along:
        durations = table.coords["offset"].to_numpy() - table.coords["onset"].to_numpy()
        complaint = "offset: {} words end before they begin"
    elif "duration" in along:
        durations, complaint = table.coords["duration"].to_numpy(), "duration: {} words have a negative one"
    else:
        return
    negative = np.flatnonzero(durations < 0)
    if len(negative):
        raise ValueError(
            f"{complaint.format(len(negative))} (first {words[negative][:3].tolist()}, by "
            f"{-durations[negative[0]]:g} s); expected times in seconds of which the offset is the later one."
        )


def _refuse_joined_runs(name: str, onsets: NDArray[np.float64], words: NDArray[np.generic]) -> None:
    """Refuse runs that lie end to end: there the time falls back by most of a run, again and again."""
    falls = np.diff(onsets)
    drops = np.flatnonzero(falls < 0)
    if len(drops) and (-falls[drops] >= RESTART * np.ptp(onsets)).all():
        raise ValueError(
            f"{name}: times go back {len(drops)} times (first after {str(words[drops[0]])!r}, from "
            f"{onsets[drops[0]]:g} s to {onsets[drops[0] + 1]:g} s), as where runs lie end to end; sort the words by "
            "time, or convolve runs one at a time, with run_by_run."
        )


def _sorted_by_time(
    name: str, table: xr.DataArray, onsets: NDArray[np.float64]
) -> tuple[xr.DataArray, NDArray[np.float64]]:
    n_drops = int((np.diff(onsets) < 0).sum())
    if not n_drops:
        return table, onsets
    warn("events-out-of-order", name, f"times go back {n_drops} times; the {len(onsets)} words were sorted by time.")
    order = np.argsort(onsets, kind="stable")
    return table.isel(sample=order), onsets[order]


def _check_clock(name: str, onsets: NDArray[np.float64], frames: NDArray[np.float64], reach_s: float) -> None:
    """Refuse times on another scale than the run's: a run's worth of words cannot end a hundred runs later."""
    end = frames[-1] + (frames[1] - frames[0])
    if onsets[-1] > 10 * end and np.median(onsets) / 1000 <= end:
        raise ValueError(
            f"{name}: the last is {onsets[-1]:g} s and the run ends at {end:g} s; these look like milliseconds. Divide "
            "by 1000."
        )
    if onsets[0] >= end or onsets[-1] < frames[0] - reach_s:
        raise ValueError(
            f"{name}: all words lie outside the run: {onsets[0]:g} to {onsets[-1]:g} s, volumes {frames[0]:g} to "
            f"{end:g} s; expected the same clock for both."
        )


def _tell_of_odd_times(name: str, table: xr.DataArray, onsets: NDArray[np.float64]) -> None:
    """Warn of times that may be right, and more often are not."""
    words = _labels(table)
    early = np.flatnonzero(onsets < 0)
    if len(early):
        warn(
            "events-before-start",
            name,
            f"{len(early)} of {len(onsets)} words begin before time zero (first {words[early][:3].tolist()}, at "
            f"{onsets[early[0]]:g} s); is zero the start of the run, as it is for the volumes?",
        )
    shared = np.flatnonzero(np.diff(onsets) == 0)
    if len(shared):
        warn(
            "events-simultaneous",
            name,
            f"{len(shared)} of {len(onsets)} words begin at the same time as the word before (first "
            f"{words[shared[0] : shared[0] + 2].tolist()}, at {onsets[shared[0]]:g} s); their features add up.",
        )


def _tell_of_strays(
    table: xr.DataArray, onsets: NDArray[np.float64], frames: NDArray[np.float64], reach_s: float
) -> None:
    """Warn of words that reach no volume."""
    step = frames[1] - frames[0]
    end = frames[-1] + step - ROUNDING * step
    stray = np.flatnonzero((onsets >= end) | (onsets < frames[0] - reach_s - ROUNDING * step))
    if len(stray):
        warn(
            "events-outside-run",
            "features",
            f"{len(stray)} of {len(onsets)} words lie outside the run and reach no volume (first "
            f"{_labels(table)[stray[:5]].tolist()}).",
        )


def rows_of_runs(name: str, labels: NDArray[np.generic]) -> list[tuple[object, NDArray[np.intp]]]:
    """List runs and their rows, and refuse a run that another one interrupts.

    Parameters
    ----------
    name : str
        Argument that the labels came by; opens the message.
    labels : ndarray, shape (sample,)
        Run of every row.

    Returns
    -------
    list of (label, ndarray of int)

    Examples
    --------
    >>> [(run, rows.tolist()) for run, rows in rows_of_runs("groups", np.array(["a", "a", "b"]))]
    [('a', [0, 1]), ('b', [2])]
    """
    pieces = np.split(np.arange(len(labels)), np.flatnonzero(labels[1:] != labels[:-1]) + 1)
    runs = [labels[piece[0]].item() for piece in pieces]
    if len(set(runs)) < len(runs):
        twice = next(run for run in runs if runs.count(run) > 1)
        raise ValueError(f"{name}: run {twice!r} is interrupted by another; sort the rows by run and time.")
    return list(zip(runs, pieces, strict=True))
