"""Slow drifts of the scanner, taken out of a recording run by run."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neuroling.core.arrays import check_labelled


def remove_drift(array: xr.DataArray, tr_s: float, *, cutoff_s: float = 128.0) -> xr.DataArray:
    r"""Take out everything slower than a cutoff from each run, and bring what is left to unit variance.

    A discrete cosine basis is regressed out of each run by itself. That touches no features, so it may be done before
    any split, but a test stretch and its neighbours then share the fitted drift: leave a gap between folds.

    Parameters
    ----------
    array : xarray.DataArray, dims (sample, \*others)
        Volumes consecutive in time within each ``group`` (a sample coordinate; one run without it).
    tr_s : float
        Repetition time, in seconds.
    cutoff_s : float
        Longest period kept, in seconds; 128 s is customary.

    Returns
    -------
    xarray.DataArray
        Same axes and labels; every run of every series has mean zero and standard deviation one.

    Raises
    ------
    ValueError
        If times are not positive seconds, a run is shorter than the cutoff, or a series is constant over a run.

    Examples
    --------
    >>> slow = 50 * np.cos(np.pi * np.arange(200) / 200)
    >>> fast = np.tile([1.0, -1.0], 100)
    >>> recording = xr.DataArray((slow + fast)[:, None], dims=("sample", "region"))
    >>> clean = remove_drift(recording, tr_s=2.0)
    >>> bool(np.abs(np.corrcoef(clean[:, 0], fast)[0, 1]) > 0.99)
    True
    """
    check_labelled("array", array)
    if not 0 < tr_s < 30:
        raise ValueError(f"tr_s: got {tr_s}; expected seconds between 0 and 30 (milliseconds have to be converted).")
    if not cutoff_s > 2 * tr_s:
        raise ValueError(f"cutoff_s: got {cutoff_s} s at a repetition time of {tr_s} s; expected more than twice that.")
    dims = ("sample", *(dim for dim in array.dims if dim != "sample"))
    values = array.transpose(*dims).to_numpy().astype(np.float64)
    groups = array.coords["group"].to_numpy() if "group" in array.coords else np.zeros(len(values))
    for label in dict.fromkeys(groups.tolist()):
        rows = groups == label
        values[rows] = _cleaned(values[rows].reshape(rows.sum(), -1), tr_s, cutoff_s, label).reshape(values[rows].shape)
    return array.transpose(*dims).copy(data=values).transpose(*array.dims)


def _cleaned(run: np.ndarray, tr_s: float, cutoff_s: float, label: object) -> np.ndarray:
    """Regress cosines out of one run (volume, series) and scale what is left."""
    from nilearn.signal import clean

    if len(run) * tr_s < cutoff_s:
        raise ValueError(f"cutoff_s: {cutoff_s} s is longer than run {label!r} with {len(run)} volumes of {tr_s} s.")
    constant = np.flatnonzero((run == run[0]).all(axis=0))
    if len(constant):
        raise ValueError(
            f"array: {len(constant)} series are constant over run {label!r}, first {constant[:5].tolist()}."
        )
    cleaned = clean(run, detrend=False, standardize="zscore_sample", filter="cosine", high_pass=1 / cutoff_s, t_r=tr_s)
    return np.asarray(cleaned)


def mean_participant(recording: xr.DataArray) -> xr.DataArray:
    r"""Average participants after each of their series was filtered and brought to unit variance.

    Parameters
    ----------
    recording : xarray.DataArray, dims (subject, sample, \*targets)
        One run, with ``attrs["tr_s"]`` in s.

    Returns
    -------
    xarray.DataArray, dims (sample, \*targets)

    Examples
    --------
    >>> values = np.random.default_rng(0).standard_normal((3, 80, 2))
    >>> recording = xr.DataArray(values, dims=("subject", "sample", "region"), attrs={"tr_s": 2.0})
    >>> mean_participant(recording.assign_coords(sample=np.arange(80))).dims
    ('sample', 'region')
    """
    filtered = remove_drift(recording, recording.attrs["tr_s"])
    scaled = (filtered - filtered.mean("sample")) / filtered.std("sample")
    return scaled.mean("subject").transpose("sample", ...).assign_attrs(recording.attrs)
