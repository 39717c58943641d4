"""The clock that words and volumes share, and their runs: what is refused before features are spread over time."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

LONGEST_TR = 30.0
"""Repetition time in seconds above which times are taken to be milliseconds; real ones lie between 0.3 and 15."""

TR_JITTER = 0.01
"""Departure of a frame from a regular grid that is tolerated, as a share of the repetition time."""

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
    frames = np.asarray(frame_times, dtype=np.float64)
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


def checked_onsets(
    features: xr.DataArray, name: str, frames: NDArray[np.float64], *, reach_s: float
) -> NDArray[np.float64]:
    """Refuse features whose times are missing, out of order, or on another clock than the volumes.

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
    ndarray, shape (word,)
    """
    if set(features.dims) != {"sample", "feature"}:
        raise ValueError(f"features: got axes {features.dims}; expected ('sample', 'feature').")
    if name not in features.coords or features.coords[name].dims != ("sample",):
        raise ValueError(f"onset: the features have no sample coordinate {name!r} with the words' times in seconds.")
    onsets = np.asarray(features.coords[name], dtype=np.float64)
    words = features.sample.values if "sample" in features.coords else np.arange(len(onsets))
    bad = ~np.isfinite(onsets)
    if bad.any():
        raise ValueError(
            f"{name}: {int(bad.sum())} of {len(onsets)} are NaN or infinite, first at {words[bad][:5].tolist()}."
        )
    drops = np.flatnonzero(np.diff(onsets) < 0)
    if len(drops):
        raise ValueError(
            f"{name}: times go back {len(drops)} times (first after {str(words[drops[0]])!r}, from "
            f"{onsets[drops[0]]:g} s to {onsets[drops[0] + 1]:g} s); sort the words by time, and convolve runs "
            "one at a time."
        )
    _check_clock(name, onsets, frames, reach_s)
    return onsets


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


def warn_of_strays(
    features: xr.DataArray, onsets: NDArray[np.float64], frames: NDArray[np.float64], *, reach_s: float
) -> None:
    """Warn of words that reach no volume.

    Parameters
    ----------
    features : xarray.DataArray, dims (sample, feature)
        Features of the words of one run.
    onsets : ndarray, shape (word,)
        Seconds.
    frames : ndarray, shape (volume,)
        Seconds.
    reach_s : float
        How long before the first volume a word still counts, in seconds.
    """
    step = frames[1] - frames[0]
    end = frames[-1] + step - ROUNDING * step
    stray = np.flatnonzero((onsets >= end) | (onsets < frames[0] - reach_s - ROUNDING * step))
    if len(stray):
        words = (features.sample.values if "sample" in features.coords else np.arange(len(onsets)))[stray[:5]]
        warnings.warn(
            f"features: {len(stray)} of {len(onsets)} words lie outside the run and reach no volume (first "
            f"{words.tolist()}).",
            stacklevel=3,
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
