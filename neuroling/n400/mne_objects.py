"""Simulated ERPs as objects of MNE, so that its statistics and pictures work on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import xarray as xr

if TYPE_CHECKING:
    import mne

Polarity = Literal["positive", "negative"]


def to_epochs(recording: xr.DataArray, *, polarity: Polarity = "positive") -> mne.EpochsArray:
    """Turn a simulated recording into epochs, one a trial and participant.

    The channel is of kind ``misc`` and its unit is the link's: nothing pretends to be microvolts.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, repeat, time) or (sample, repeat, channel, time)
        From ``simulate`` or ``simulate_units``.
    polarity : {"positive", "negative"}
        ``"negative"`` turns the response round, so that more activation points down as people's N400 does.

    Returns
    -------
    mne.EpochsArray
        Its metadata hold ``sample``, ``participant`` and the sample coordinates.
    """
    import mne

    array = _with_channel(recording)
    names = [str(name) for name in np.asarray(array["channel"])]
    values = np.asarray(array.transpose("sample", "repeat", "channel", "time"), dtype=np.float64) * _sign(polarity)
    info = _info(names, array)
    return mne.EpochsArray(
        values.reshape(-1, *values.shape[2:]),  # (sample × repeat, channel, time)
        info,
        tmin=float(array["time"][0]),
        metadata=_metadata(array),
        verbose="error",
    )


def to_evoked(
    recording: xr.DataArray, by: str = "condition", *, polarity: Polarity = "positive"
) -> dict[str, list[mne.EvokedArray]]:
    """Average a simulated recording over the samples of each condition.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, repeat, time) or (sample, repeat, channel, time)
        From ``simulate`` or ``simulate_units``.
    by : str
        Sample coordinate that names the condition.
    polarity : {"positive", "negative"}
        See :func:`to_epochs`.

    Returns
    -------
    dict of list of mne.EvokedArray
        For each condition one a participant, ready for ``mne.viz.plot_compare_evokeds``.
    """
    import mne

    array = _with_channel(recording)
    if by not in array.coords or array.coords[by].dims != ("sample",):
        raise ValueError(f"by: no sample coordinate {by!r} among {[str(name) for name in array.coords]}.")
    info = _info([str(name) for name in np.asarray(array["channel"])], array)
    labels = np.asarray(array.coords[by]).astype(str)
    evokeds = {}
    for value in dict.fromkeys(labels):
        rows = np.flatnonzero(labels == value)
        mean = array.isel(sample=rows).mean("sample").transpose("repeat", "channel", "time")
        evokeds[str(value)] = [
            mne.EvokedArray(one, info, float(array["time"][0]), comment=str(value), nave=len(rows), verbose="error")
            for one in np.asarray(mean, dtype=np.float64) * _sign(polarity)
        ]
    return evokeds


def _with_channel(recording: xr.DataArray) -> xr.DataArray:
    if set(recording.dims) == {"sample", "repeat", "time"}:
        return recording.expand_dims(channel=["sN400"])
    if set(recording.dims) != {"sample", "repeat", "channel", "time"}:
        raise ValueError(
            f"recording: got axes {recording.dims}; expected sample, repeat and time, perhaps channel, as simulate "
            "gives them."
        )
    return recording


def _info(names: list[str], array: xr.DataArray) -> mne.Info:
    import mne

    rate = 1 / float(np.median(np.diff(np.asarray(array["time"]))))
    return mne.create_info(names, rate, "misc", verbose="error")


def _metadata(array: xr.DataArray) -> pd.DataFrame:
    """Give one row an epoch, participants of a trial side by side."""
    n_repeats = array.sizes["repeat"]
    columns = {
        str(name): np.repeat(np.asarray(coord), n_repeats)
        for name, coord in array.coords.items()
        if coord.dims == ("sample",)
    }
    repeats = np.asarray(array["repeat"]) if "repeat" in array.coords else np.arange(n_repeats)
    return pd.DataFrame({**columns, "participant": np.tile(repeats, array.sizes["sample"])})


def _sign(polarity: str) -> float:
    if polarity not in ("positive", "negative"):
        raise ValueError(f"polarity: got {polarity!r}; expected 'positive' or 'negative'.")
    return 1.0 if polarity == "positive" else -1.0
