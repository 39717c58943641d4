"""What a repetition simulation shows at a glance: its shape, its spectrum, and all lexicons together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from neuroling.core.times import since
from neuroling.n400.effects import first_window
from neuroling.n400.measures import BANDS, Method, band_power, count_peaks, rebound, spectrum

SINGLE_PEAKED = 0.1
"""Share of the peak that a hump may rise again after it has fallen and still count as single: the prominence that a
second hump has by default. The published model's first presentations rise again by 0.02 to 0.05, second ones by 0.18 to
0.21."""


def pool_lexicons(recordings: Sequence[xr.DataArray]) -> xr.DataArray:
    """Put simulations of several lexicons into one recording, their samples told apart by the lexicon's number.

    Parameters
    ----------
    recordings : sequence of xarray.DataArray, dims (sample, repeat, time)
        Same participants' numbers and times.

    Returns
    -------
    xarray.DataArray, dims (sample, repeat, time)
        With the sample coordinate ``lexicon``.
    """
    if not recordings:
        raise ValueError("recordings: empty; expected at least one.")
    renamed = [
        recording.assign_coords(
            sample=[f"{number}: {label}" for label in recording["sample"].to_numpy()],
            lexicon=("sample", np.full(recording.sizes["sample"], str(number))),
        )
        for number, recording in enumerate(recordings)
    ]
    return xr.concat(renamed, "sample", join="exact", coords="minimal", compat="override", combine_attrs="override")


def shape_table(recording: xr.DataArray) -> pd.DataFrame:
    """Describe the mean response to first presentations, and what repetition does to its spectrum.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, repeat, time)
        Conditions ``new`` and ``repeated``.

    Returns
    -------
    pandas.DataFrame
        One row: ``peaks`` (humps that stand out by a tenth of the range), ``peak`` and ``latency`` (s), ``final`` (last
        tick over the peak), ``rebound`` and what belongs to it (:func:`rebounds`), ``window`` (full width at half
        maximum, s), and for the lowest three frequencies the power of repeated over new.
    """
    again = rebounds(recording)
    rows = {
        name: recording.isel(sample=np.flatnonzero(np.asarray(recording["condition"]) == name)).mean(
            ["sample", "repeat"]
        )
        for name in ("new", "repeated")
    }
    after = {name: since(curve) for name, curve in rows.items()}
    new = after["new"]
    top = int(np.argmax(new.to_numpy()))
    start, stop = first_window(recording)
    power = {name: spectrum(curve) for name, curve in after.items()}
    ratios = (power["repeated"] / power["new"]).to_numpy()[:3]
    frequencies = power["new"]["frequency"].to_numpy()[:3]
    return pd.DataFrame(
        {
            "model": [recording.attrs.get("model", "")],
            "peaks": [count_peaks(new)],
            "peak": [float(new[top])],
            "latency": [float(new["time"][top])],
            "final": [float(new[-1] / new[top])],
            **{name: [again[name]] for name in ("rebound", "rebound low", "rebound high", "single-peaked")},
            "window": [f"{start:.3f}–{stop:.3f}"],
            **{f"power at {at:.1f} Hz": [ratio] for at, ratio in zip(frequencies, ratios, strict=True)},
        }
    )


def rebounds(recording: xr.DataArray, *, condition: str = "new") -> dict[str, float]:
    """Say whether every reader's mean response is one hump: how far it rises again after it has fallen.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, repeat, time)
        With the sample coordinate ``condition``; ``lexicon``, if it is there, tells readers apart too.
    condition : str
        Whose responses count, from the onset of the target on.

    Returns
    -------
    dict of float
        ``rebound``, the mean over participants and lexicons of :func:`~neuroling.n400.measures.rebound`, its 95 %
        interval (``rebound low`` and ``rebound high``; Student's t), and ``single-peaked``: 1 if the interval lies
        below :data:`SINGLE_PEAKED`, else 0.
    """
    after = recording.isel(
        sample=np.flatnonzero(np.asarray(recording["condition"]) == condition),
        time=np.flatnonzero(np.asarray(recording["time"]) > -1e-9),
    )
    lexicons = np.asarray(after["lexicon"]) if "lexicon" in after.coords else np.zeros(after.sizes["sample"])
    parts = [after.isel(sample=np.flatnonzero(lexicons == name)).mean("sample") for name in np.unique(lexicons)]
    shares = np.concatenate([np.atleast_1d(rebound(part)) for part in parts])
    if len(shares) < 2:
        raise ValueError(f"recording: {len(shares)} participant of the condition {condition!r}; expected two or more.")
    half = float(stats.t.ppf(0.975, len(shares) - 1) * shares.std(ddof=1) / np.sqrt(len(shares)))
    mean = float(shares.mean())
    single = float(mean + half < SINGLE_PEAKED)
    return {"rebound": mean, "rebound low": mean - half, "rebound high": mean + half, "single-peaked": single}


def band_table(recording: xr.DataArray, *, method: Method = "periodogram") -> pd.DataFrame:
    """Give the relative power of simulated ERPs in the frequency bands that their ticks resolve.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, repeat, time)
        With the sample coordinates ``kind`` and ``condition``.
    method : {"periodogram", "welch", "multitaper"}
        As in :func:`~neuroling.n400.measures.spectrum`.

    Returns
    -------
    pandas.DataFrame
        One row a type and condition: shares of the power of its mean response from the onset of the target on, in each
        band of :data:`~neuroling.n400.measures.BANDS` that holds a frequency, and at 0 Hz (``constant``).
    """
    after = since(recording).mean("repeat")
    rows = []
    labels = list(
        zip(np.asarray(recording["kind"]).astype(str), np.asarray(recording["condition"]).astype(str), strict=True)
    )
    for kind, condition in dict.fromkeys(labels):
        places = [place for place, label in enumerate(labels) if label == (kind, condition)]
        power = spectrum(after.isel(sample=places).mean("sample"), method=method, relative=True)
        frequencies = np.asarray(power["frequency"])
        held = {
            name: band for name, band in BANDS.items() if ((frequencies >= band[0]) & (frequencies < band[1])).any()
        }
        found = {"constant": float(power[frequencies == 0].sum())}
        found |= {str(name): float(value) for name, value in band_power(power, held).items()}
        rows.append({"model": recording.attrs.get("model", ""), "kind": kind, "condition": condition, **found})
    return pd.DataFrame(rows)


def window_caption(shape: pd.DataFrame) -> str:
    """Say what the window of analysis is, or that there is no hump for it to be the width of.

    Parameters
    ----------
    shape : pandas.DataFrame
        From :func:`shape_table`, the model whose window is shaded first.

    Returns
    -------
    str
        Caption of the responses.
    """
    head = "Mean semantic activation by time and frequency; the shaded window"
    if shape["peaks"].iloc[0] > 0:
        return f"{head} is the width at half of the peak."
    return f"{head} is where activation is above half of its range: no hump stands out, so it has no half-width."
