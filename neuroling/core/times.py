"""Times that lie on a sampling grid: which samples a window holds, and when two grids are the same.

A sample at 0.2 s is stored as 0.2, as 0.20000000000000004 or as the mean of its neighbours, depending on who computed
it. Every window of the package is therefore compared with times by the one rule here, never by ``<=`` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from neuroling.core.arrays import read_numbers

Window = tuple[float, float]
"""First and last second, both included."""

Labelled = TypeVar("Labelled", xr.DataArray, xr.Dataset)

SAMPLE_SHARE = 0.01
"""Share of a sampling step within which two times are the same; rounding errors are a millionth of that."""

REACH = 0.5
"""Steps by which a window may end outside a recording: rounded to the nearest sample, its end still lies inside."""


def sample_step(times: ArrayLike) -> float:
    """Give the median distance between neighbouring times.

    Parameters
    ----------
    times : array-like, shape (time,)
        Growing.

    Returns
    -------
    float
        In units of the times; 0 for a single time.

    Examples
    --------
    >>> sample_step([0.0, 0.25, 0.5])
    0.25
    """
    steps = np.diff(np.asarray(times, dtype=np.float64))
    return float(np.median(steps)) if len(steps) else 0.0


def checked_times(times: ArrayLike, argument: str = "time") -> NDArray[np.float64]:
    """Refuse times that are not finite or do not grow.

    Parameters
    ----------
    times : array-like, shape (time,)
        Seconds.
    argument : str
        What they are called in the message.

    Returns
    -------
    ndarray, shape (time,)

    Raises
    ------
    ValueError
        If there are none, some are NaN or infinite, or they do not grow.
    """
    checked = read_numbers(argument, times).values.astype(np.float64)
    if checked.ndim != 1 or len(checked) == 0 or not np.isfinite(checked).all() or not (np.diff(checked) > 0).all():
        raise ValueError(
            f"{argument}: got shape {checked.shape}, first {checked.ravel()[:4].tolist()}; expected finite seconds, "
            "growing from each to the next."
        )
    return checked


def rows_in_window(
    times: ArrayLike, window: Window, *, argument: str = "window", at_least: int = 1
) -> NDArray[np.intp]:
    """Give the samples of a window, both ends included, whatever rounding did to times and ends.

    A sample counts as inside where it lies in the window or less than :data:`SAMPLE_SHARE` of a step beside it. An end
    may lie outside the recording by up to half a step.

    Parameters
    ----------
    times : array-like, shape (time,)
        Growing, in the unit of the window.
    window : tuple of float
        First and last time.
    argument : str
        What the window is called in messages.
    at_least : int
        How many samples it has to hold.

    Returns
    -------
    ndarray of int
        Indices of the samples.

    Raises
    ------
    ValueError
        If the window is not two finite numbers, is reversed, leaves the recording, or holds too few samples.

    Examples
    --------
    >>> rows_in_window([0.0, 0.1, 0.1 + 0.2, 0.4], (0.1, 0.3)).tolist()
    [1, 2]
    """
    grid = checked_times(times)
    try:
        ends = np.asarray(window, dtype=np.float64)
    except (TypeError, ValueError):
        ends = np.array([])
    if ends.shape != (2,) or not np.isfinite(ends).all() or ends[0] > ends[1]:
        raise ValueError(f"{argument}: got {window}; expected two finite numbers of seconds, the earlier first.")
    start, stop = float(ends[0]), float(ends[1])
    step = sample_step(grid)
    slack = SAMPLE_SHARE * step if step else 1e-9 * max(1.0, abs(float(grid[0])))
    reach = REACH * step + slack
    if start < grid[0] - reach or stop > grid[-1] + reach:
        raise ValueError(
            f"{argument}: {start:g} to {stop:g} s reaches out of the epoch; its times run from {grid[0]:g} to "
            f"{grid[-1]:g} s in steps of {step:g} s. Choose a window inside the epoch."
        )
    inside = np.flatnonzero((grid >= start - slack) & (grid <= stop + slack))
    if len(inside) < at_least:
        raise ValueError(
            f"{argument}: {len(inside) or 'no'} time point{'s' if len(inside) > 1 else ''} between {start:g} and "
            f"{stop:g} s; they are {step:g} s apart, and at least {at_least} must lie inside. Take a wider window."
        )
    return inside


def in_window(recording: xr.DataArray, window: Window, *, argument: str = "window") -> xr.DataArray:
    r"""Cut out a window, both ends included.

    Parameters
    ----------
    recording : xarray.DataArray, dims (\*, time)
        Such as ERPs or scores over time.
    window : tuple of float
        First and last second.
    argument : str
        What the window is called in messages.

    Returns
    -------
    xarray.DataArray, dims (\*, time)

    Raises
    ------
    TypeError, ValueError
        If there is no time axis, or as in :func:`rows_in_window`.

    Examples
    --------
    >>> wave = xr.DataArray([1.0, 2.0, 3.0], dims="time", coords={"time": [0.1, 0.1 + 0.2, 0.5]})
    >>> in_window(wave, (0.1, 0.3)).values.tolist()
    [1.0, 2.0]
    """
    times = times_of(recording)
    return recording.isel(time=rows_in_window(times, window, argument=argument))


def since(recording: xr.DataArray, start: float = 0.0) -> xr.DataArray:
    r"""Cut out everything from a time on, such as the onset of a stimulus.

    Parameters
    ----------
    recording : xarray.DataArray, dims (\*, time)
        Such as ERPs.
    start : float
        First second, included.

    Returns
    -------
    xarray.DataArray, dims (\*, time)

    Raises
    ------
    TypeError, ValueError
        If there is no time axis, or nothing is left.

    Examples
    --------
    >>> wave = xr.DataArray([1.0, 2.0, 3.0], dims="time", coords={"time": [-0.1, -1e-17, 0.1]})
    >>> since(wave).values.tolist()
    [2.0, 3.0]
    """
    times = times_of(recording)
    return in_window(recording, (max(start, float(times[0])), max(float(times[-1]), start)), argument="start")


def times_of(recording: xr.DataArray) -> NDArray[np.float64]:
    r"""Give the times of a recording.

    Parameters
    ----------
    recording : xarray.DataArray, dims (\*, time)
        With times in seconds.

    Returns
    -------
    ndarray, shape (time,)

    Raises
    ------
    TypeError, ValueError
        If it is no labelled array, has no time axis, or times do not grow.
    """
    if not isinstance(recording, xr.DataArray):
        raise TypeError(f"recording: got {type(recording).__name__}; expected an xarray.DataArray with a 'time' axis.")
    if "time" not in recording.dims or "time" not in recording.coords:
        raise ValueError(f"recording: axes {recording.dims} have no 'time' in seconds; expected one.")
    return checked_times(recording["time"])


def same_times(times: ArrayLike, others: ArrayLike) -> bool:
    """Say whether two rows of times are the same to a hundredth of a sample.

    Parameters
    ----------
    times, others : array-like, shape (time,)
        In one unit.

    Examples
    --------
    >>> same_times([0.1, 0.3], [0.1, 0.1 + 0.2])
    True
    >>> same_times([0.1, 0.3], [0.1, 0.31])
    False
    """
    first_times, other_times = (np.asarray(row, dtype=np.float64) for row in (times, others))
    if first_times.shape != other_times.shape:
        return False
    step = sample_step(first_times)
    slack = SAMPLE_SHARE * step if step > 0 else 1e-9
    return bool((np.abs(first_times - other_times) <= slack).all())


def with_shared_times(recordings: Mapping[str, Labelled]) -> dict[str, Labelled]:
    """Give recordings whose times differ by rounding alone the very times of the first; others stay as they are.

    Parameters
    ----------
    recordings : mapping of str to xarray.DataArray or xarray.Dataset
        With or without an axis ``time``.

    Returns
    -------
    dict of str to xarray.DataArray or xarray.Dataset
        In the same order. Whatever joins them by label compares what is left.

    Examples
    --------
    >>> waves = {end: xr.DataArray([1.0, 2.0], dims="time", coords={"time": [0.1, end]}) for end in (0.3, 0.1 + 0.2)}
    >>> [float(wave.time[1]) for wave in with_shared_times(waves).values()]
    [0.3, 0.3]
    """
    timed = {label: recording for label, recording in recordings.items() if _has_numbers_as_times(recording)}
    if not timed:
        return dict(recordings)
    shared = next(iter(timed.values())).coords["time"]
    snapped = {
        label: recording.assign_coords(time=shared)
        for label, recording in timed.items()
        if same_times(shared, recording.coords["time"])
    }
    return {label: snapped.get(label, recording) for label, recording in recordings.items()}


def _has_numbers_as_times(recording: Labelled) -> bool:
    return "time" in recording.indexes and recording.indexes["time"].dtype.kind in "fiu"
