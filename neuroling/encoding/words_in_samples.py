"""Features of words as impulses in a continuous recording: each at the sample at which the word begins."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.align import runs_of
from neuroling.core.arrays import check_labelled
from neuroling.core.notices import warn


def in_samples(by_word: Mapping[str, xr.DataArray], recording: xr.DataArray) -> dict[str, xr.DataArray]:
    """Put features of words at the samples of a continuous recording, zero between words.

    A word lies at the sample nearest to its onset. Of features that vary over words the mean is taken off first, for
    impulses of one height are the rate of words, which is a control of its own.

    Parameters
    ----------
    by_word : mapping of str to xarray.DataArray, dims (sample, feature)
        Features of the same words, with the coordinate ``onset`` in seconds from the beginning of the recording.
    recording : xarray.DataArray, dims (sample, channel)
        From :func:`neuroling.data.from_raw`: coordinates ``onset`` (seconds) and ``group`` (stretches without a gap),
        ``attrs["rate_hz"]``.

    Returns
    -------
    dict of str to xarray.DataArray, dims (sample, feature)
        With the labels of the recording. Words that share a sample are added up.

    Raises
    ------
    ValueError
        If times are missing or not finite, or no word lies in the recording.

    Warns
    -----
    UserWarning
        If words lie outside the recording or in stretches that were left out; they say nothing.

    Examples
    --------
    >>> coords = {"sample": range(2), "onset": ("sample", [0.02, 0.08])}
    >>> rate = xr.DataArray(np.ones((2, 1)), dims=("sample", "feature"), coords=coords)
    >>> times = {"sample": range(10), "onset": ("sample", np.arange(10) / 100)}
    >>> eeg = xr.DataArray(np.zeros((10, 1)), dims=("sample", "channel"), coords=times, attrs={"rate_hz": 100.0})
    >>> in_samples({"word rate": rate}, eeg)["word rate"].values.ravel().tolist()
    [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    """
    check_labelled("recording", recording)
    if "onset" not in recording.coords or "rate_hz" not in recording.attrs:
        raise ValueError(
            "recording: it has no coordinate 'onset' (seconds) or no attrs['rate_hz']; read it with from_raw."
        )
    times = recording.coords["onset"].to_numpy().astype(np.float64)
    taken = ("group", "time_index", "onset")
    coords = {name: ("sample", recording.coords[name].to_numpy()) for name in taken if name in recording.coords}
    out = {}
    told = False
    for name, words in by_word.items():
        onsets = _onsets(name, words)
        rows = _rows(onsets, times, recording)
        outside = int((rows < 0).sum())
        if outside == len(rows):
            raise ValueError(
                f"by_word[{name!r}]: none of {len(rows)} words lies in the recording, which lasts from {times[0]:g} to "
                f"{times[-1]:g} s; their onsets run from {onsets.min():g} to {onsets.max():g} s."
            )
        if outside and not told:
            told = True
            warn(
                "events-outside-run",
                "by_word",
                f"{outside} of {len(rows)} words lie outside the recording or in stretches that were left out.",
            )
        values = words.transpose("sample", "feature").to_numpy().astype(np.float64)
        varies = np.ptp(values, axis=0) > 0
        centred = values - values.mean(axis=0) * varies
        impulses = np.zeros((len(times), centred.shape[1]))
        np.add.at(impulses, rows[rows >= 0], centred[rows >= 0])
        features = {str(key): coord for key, coord in words.coords.items() if coord.dims == ("feature",)}
        out[name] = xr.DataArray(
            impulses,
            dims=("sample", "feature"),
            coords={"sample": recording.sample.to_numpy(), **coords, **features},
            attrs={**words.attrs, "words_at": "nearest sample"},
        )
    return out


def _onsets(name: str, words: xr.DataArray) -> NDArray[np.float64]:
    if not isinstance(words, xr.DataArray) or set(words.dims) != {"sample", "feature"}:
        raise TypeError(f"by_word[{name!r}]: expected an array (sample, feature) of words.")
    if "onset" not in words.coords:
        raise ValueError(f"by_word[{name!r}]: it has no coordinate 'onset' with the words' times in seconds.")
    onsets: NDArray[np.float64] = words.coords["onset"].to_numpy().astype(np.float64)
    if not np.isfinite(onsets).all():
        raise ValueError(f"by_word[{name!r}]: {int((~np.isfinite(onsets)).sum())} onsets are NaN or infinite.")
    return onsets


def _rows(onsets: NDArray[np.float64], times: NDArray[np.float64], recording: xr.DataArray) -> NDArray[np.intp]:
    """Find the sample of each word; -1 where none is within half a step."""
    half = 0.5 / float(recording.attrs["rate_hz"]) * (1 + 1e-6)
    rows = np.full(len(onsets), -1, dtype=np.intp)
    for _, run in runs_of(recording):
        place = np.clip(np.searchsorted(times[run], onsets), 1, max(len(run) - 1, 1))
        before = np.minimum(place - 1, len(run) - 1)
        after = np.minimum(place, len(run) - 1)
        nearest = np.where(onsets - times[run][before] <= times[run][after] - onsets, before, after)
        within = np.abs(times[run][nearest] - onsets) <= half
        rows[within] = run[nearest[within]]
    return rows
