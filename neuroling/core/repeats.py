"""Unequal numbers of repeats: which are lacking, and means that weight those that are there."""

from __future__ import annotations

import numpy as np
import xarray as xr

OWN = ("sample", "repeat", "subject")
"""Axes along which repeats may be lacking: a participant has fewer presentations of an item than others."""


def lacking_repeats(recording: xr.DataArray) -> xr.DataArray:
    r"""Say which samples lack which repeats: their values are NaN at all targets.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, repeat, \*targets)
        With an axis ``repeat``; participants along ``subject`` may lack repeats of their own.

    Returns
    -------
    xarray.DataArray of bool, dims (sample, repeat[, subject])
        In the order of the recording's axes.

    Examples
    --------
    >>> recording = xr.DataArray([[[1.0, 2.0], [np.nan, np.nan]]], dims=("sample", "repeat", "voxel"))
    >>> lacking_repeats(recording).values.tolist()
    [[False, True]]
    """
    others = [dim for dim in recording.dims if dim not in OWN]
    first = recording.isel(dict.fromkeys(others, 0), drop=True).isnull()  # a look at one value before all are read
    return recording.isnull().all(others) if bool(first.any()) else first


def mean_over_repeats(recording: xr.DataArray) -> xr.DataArray:
    r"""Average over the repeats that each sample has, weighted by the trials behind them.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, [repeat,] \*targets)
        A coordinate ``n_averaged`` (sample, repeat[, subject]) counts trials; one per repeat by default.

    Returns
    -------
    xarray.DataArray, dims (sample, \*targets)
        NaN where a sample has no repeat at all.

    Examples
    --------
    >>> counts = ("sample", "repeat"), [[3, 1]]
    >>> recording = xr.DataArray([[[1.0], [5.0]]], dims=("sample", "repeat", "voxel"), coords={"n_averaged": counts})
    >>> mean_over_repeats(recording).values.tolist()
    [[2.0]]
    """
    if "repeat" not in recording.dims:
        return recording
    lacking = lacking_repeats(recording)
    counts = recording.coords.get("n_averaged", xr.ones_like(lacking, dtype=np.int64))
    weights = counts.reset_coords(drop=True).astype(recording.dtype).where(~lacking, 0)
    if bool((weights == weights.max()).all()):
        return recording.mean("repeat", keep_attrs=True)
    total = weights.sum("repeat")
    mean = (recording.where(~lacking, 0) * weights).sum("repeat", skipna=False) / total.where(total > 0)
    axes = [dim for dim in recording.dims if dim != "repeat"]
    labelled: xr.DataArray = mean.transpose(*axes).astype(recording.dtype).assign_attrs(recording.attrs)
    return labelled.rename(recording.name)
