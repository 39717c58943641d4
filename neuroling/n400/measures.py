"""Measures of an ERP, the same for people and for simulations: windows, peaks, latencies, difference waves, spectra.

Every function takes a recording with a ``time`` axis in seconds, keeps all other axes with their labels, and leaves its
argument as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import signal

from neuroling.core.times import Window, in_window, sample_step, times_of

Method = Literal["welch", "multitaper", "periodogram"]

N400_WINDOW: Window = (0.25, 0.45)
"""Seconds; Laszlo and Armstrong (2014), after Laszlo and Federmeier (2011)."""

BANDS: Mapping[str, Window] = {"delta": (0.5, 4.0), "theta": (4.0, 8.0), "alpha": (8.0, 13.0), "beta": (13.0, 30.0)}
"""Frequency bands in Hz, lower end included; textbook values."""


def mean_amplitude(recording: xr.DataArray, window: Window = N400_WINDOW) -> xr.DataArray:
    r"""Average over a window.

    Parameters
    ----------
    recording : xarray.DataArray, dims (\*, time)
        ERPs.
    window : tuple of float
        First and last second.

    Returns
    -------
    xarray.DataArray, dims (\*,)

    Examples
    --------
    >>> wave = xr.DataArray([0.0, 1.0, 3.0, 0.0], dims="time", coords={"time": [0.2, 0.3, 0.4, 0.5]})
    >>> float(mean_amplitude(wave))
    2.0
    """
    return in_window(recording, window).mean("time", keep_attrs=True)


def fwhm_window(
    curve: xr.DataArray, *, within: Window | None = None, polarity: Literal["positive", "negative"] = "positive"
) -> Window:
    """Find the full width at half maximum around the peak of one curve.

    Half maximum is halfway between the least and the greatest value; the crossings are interpolated linearly. Where the
    curve does not fall to half on one side, the window ends with the curve.

    Parameters
    ----------
    curve : xarray.DataArray, dims (time,)
        A single ERP, such as the mean of first presentations.
    within : tuple of float, optional
        Look no further than this window, such as :data:`N400_WINDOW` for people.
    polarity : {"positive", "negative"}
        Which way the component points: simulated activation up, people's N400 down.

    Returns
    -------
    tuple of float
        First and last second.

    Examples
    --------
    >>> wave = xr.DataArray([0.0, 0.0, 2.0, 0.0, 0.0], dims="time", coords={"time": [0.0, 0.1, 0.2, 0.3, 0.4]})
    >>> [round(second, 3) for second in fwhm_window(wave)]
    [0.15, 0.25]
    """
    if curve.dims != ("time",):
        raise ValueError(f"curve: got axes {curve.dims}; expected ('time',). Average over the others first.")
    if within is not None:
        curve = in_window(curve, within)
    values = np.asarray(curve, dtype=np.float64) * _sign(polarity)
    if np.ptp(values) == 0:
        raise ValueError("curve: flat, so it has no peak and no width.")
    height = values - values.min()
    top = int(height.argmax())
    times = _times(curve)
    low, high = np.flatnonzero(height[:top] < height[top] / 2), np.flatnonzero(height[top:] < height[top] / 2)
    start = _crossing(times, height, int(low[-1]), height[top] / 2) if len(low) else times[0]
    stop = _crossing(times, height, top + int(high[0]) - 1, height[top] / 2) if len(high) else times[-1]
    return float(start), float(stop)


def peak(
    recording: xr.DataArray,
    window: Window = N400_WINDOW,
    *,
    polarity: Literal["positive", "negative"] = "positive",
) -> tuple[xr.DataArray, xr.DataArray]:
    r"""Find the extreme value in a window and when it comes.

    Parameters
    ----------
    recording : xarray.DataArray, dims (\*, time)
        ERPs.
    window : tuple of float
        First and last second.
    polarity : {"positive", "negative"}
        Greatest or least value.

    Returns
    -------
    tuple of xarray.DataArray, dims (\*,)
        Amplitude, and latency in seconds.
    """
    inside = in_window(recording, window)
    where = (inside * _sign(polarity)).argmax("time")
    latency = inside["time"].isel(time=where).drop_vars("time")
    return inside.isel(time=where).drop_vars("time"), latency.rename("latency")


def count_peaks(curve: xr.DataArray, *, prominence: float = 0.1) -> int:
    """Count the humps of a curve that stand out.

    Parameters
    ----------
    curve : xarray.DataArray, dims (time,)
        A single ERP; a rise that goes on to the end of the curve is no hump.
    prominence : float
        How far a hump must rise above its surroundings, as a share of the range of the curve.

    Returns
    -------
    int

    Examples
    --------
    >>> wave = xr.DataArray([0.0, 1.0, 0.5, 0.52, 0.5], dims="time", coords={"time": [0.0, 0.1, 0.2, 0.3, 0.4]})
    >>> count_peaks(wave)
    1
    """
    if curve.dims != ("time",):
        raise ValueError(f"curve: got axes {curve.dims}; expected ('time',). Average over the others first.")
    if not 0 < prominence < 1:
        raise ValueError(f"prominence: got {prominence}; expected a share between 0 and 1, both excluded.")
    values = np.asarray(curve, dtype=np.float64)
    return len(signal.find_peaks(values, prominence=prominence * np.ptp(values))[0])


def rebound(recording: xr.DataArray) -> xr.DataArray:
    r"""Measure how far a response that has peaked rises again: 0 for a single hump that only falls.

    With :math:`p` the tick of the greatest value,

    .. math:: \max_{p \le s \le t} (x_t - x_s) / x_p

    Parameters
    ----------
    recording : xarray.DataArray, dims (\*, time)
        ERPs, positive and counted from their baseline; cut them to the span that is asked about.

    Returns
    -------
    xarray.DataArray, dims (\*,)
        Share of the peak. A response that is still rising at its end has its peak there, hence 0: look at the latency
        of the peak too.

    Raises
    ------
    ValueError
        If a response has no positive peak.

    Examples
    --------
    >>> wave = xr.DataArray([0.0, 1.0, 0.2, 0.5], dims="time", coords={"time": [0.0, 0.1, 0.2, 0.3]})
    >>> round(float(rebound(wave)), 3)
    0.3
    """
    _times(recording)
    axis = recording.dims.index("time")
    values = np.moveaxis(np.asarray(recording, dtype=np.float64), axis, -1)
    tops = values.max(axis=-1)
    if not (tops > 0).all():
        raise ValueError(f"recording: {int((tops <= 0).sum())} responses have no positive peak; take off a baseline.")
    after = np.arange(values.shape[-1]) >= values.argmax(axis=-1)[..., None]
    lowest = np.minimum.accumulate(np.where(after, values, np.inf), axis=-1)  # since the peak
    rises = np.where(after, values - np.where(after, lowest, 0.0), 0.0).max(axis=-1)
    return recording.isel(time=0, drop=True).copy(data=rises / tops).rename("rebound")


def fractional_latency(
    recording: xr.DataArray,
    window: Window = N400_WINDOW,
    *,
    fraction: float = 0.5,
    polarity: Literal["positive", "negative"] = "positive",
) -> xr.DataArray:
    r"""Find when a share of the peak is reached for the last time before it.

    Parameters
    ----------
    recording : xarray.DataArray, dims (\*, time)
        ERPs, counted from their baseline.
    window : tuple of float
        Where the peak is looked for; the crossing may lie before it.
    fraction : float
        Share of the peak, between 0 and 1, both excluded.
    polarity : {"positive", "negative"}
        Which way the component points.

    Returns
    -------
    xarray.DataArray, dims (\*,)
        Seconds, interpolated; NaN where the peak is not above baseline or the share is exceeded from the start.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction: got {fraction}; expected a number between 0 and 1, both excluded.")
    times = _times(recording)
    _, latency = peak(recording, window, polarity=polarity)
    values = np.moveaxis(np.asarray(recording, dtype=np.float64), recording.dims.index("time"), -1) * _sign(polarity)
    tops = np.searchsorted(times, np.asarray(latency))
    flat = [
        _fraction_of(wave, times, int(top), fraction)
        for wave, top in zip(values.reshape(-1, len(times)), np.ravel(tops), strict=True)
    ]
    return latency.copy(data=np.reshape(flat, latency.shape))


def difference_wave(recording: xr.DataArray, coord: str, plus: str, minus: str) -> xr.DataArray:
    r"""Subtract the mean over samples of one condition from that of another.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, \*)
        ERPs with a sample coordinate that names the condition.
    coord : str
        That coordinate.
    plus, minus : str
        Its two values.

    Returns
    -------
    xarray.DataArray, dims (\*,)
    """
    if coord not in recording.coords:
        raise ValueError(f"coord: no {coord!r} among {[str(name) for name in recording.coords]}.")
    labels = recording.coords[coord]
    means = []
    for value in (plus, minus):
        rows = np.flatnonzero(np.asarray(labels) == value)
        if len(rows) == 0:
            raise ValueError(f"{coord}: no sample is {value!r}; they are {sorted(set(map(str, labels.values)))[:8]}.")
        means.append(recording.isel(sample=rows).mean("sample", keep_attrs=True))
    return means[0] - means[1]


def spectrum(
    recording: xr.DataArray, *, method: Method = "periodogram", n_fft: int | None = None, relative: bool = False
) -> xr.DataArray:
    r"""Turn ERPs into power spectra.

    Parameters
    ----------
    recording : xarray.DataArray, dims (\*, time)
        ERPs at a constant rate. The mean is not removed: the published effect lies at 0 Hz too.
    method : {"welch", "multitaper", "periodogram"}
        Welch's averaged segments, multitaper (mne), or the squared discrete Fourier transform.
    n_fft : int, optional
        Points of the transform (periodogram: zeros are appended; Welch: length of a segment); all points by default.
    relative : bool
        Divide by the sum over frequencies, as in the published figure, which gives per cent.

    Returns
    -------
    xarray.DataArray, dims (\*, frequency)
        Frequencies in Hz; power in squared units per Hz, or a share.
    """
    times = _times(recording)
    rate = 1 / sample_step(times)
    if not np.allclose(np.diff(times), 1 / rate, rtol=1e-4):
        raise ValueError("time: not at a constant rate; resample first.")
    axis = recording.dims.index("time")
    values = np.moveaxis(np.asarray(recording, dtype=np.float64), axis, -1)
    frequencies, power = _power(values, rate, method, n_fft)
    if relative:
        if not (power.sum(axis=-1) > 0).all():
            raise ValueError("recording: a response is zero throughout, so that its power has no shares.")
        power = power / power.sum(axis=-1, keepdims=True)
    dims = [dim for dim in recording.dims if dim != "time"]
    coords = {name: coord for name, coord in recording.coords.items() if "time" not in coord.dims}
    labelled = xr.DataArray(power, dims=[*dims, "frequency"], coords={**coords, "frequency": frequencies})
    return labelled.assign_attrs({**recording.attrs, "spectrum": method, "relative": int(relative)})


def band_power(spectra: xr.DataArray, bands: Mapping[str, Window] = BANDS) -> xr.Dataset:
    r"""Sum power over frequency bands.

    Parameters
    ----------
    spectra : xarray.DataArray, dims (\*, frequency)
        From :func:`spectrum`.
    bands : mapping of tuple of float
        Name -> lower (included) and upper (excluded) end in Hz.

    Returns
    -------
    xarray.Dataset
        One variable a band, dims (\*,); ``to_dataframe`` makes it a table.
    """
    if "frequency" not in spectra.dims:
        raise ValueError(f"spectra: axes {spectra.dims} have no 'frequency'; call spectrum(recording) first.")
    frequencies = np.asarray(spectra["frequency"])
    summed = {}
    for name, (low, high) in bands.items():
        inside = np.flatnonzero((frequencies >= low) & (frequencies < high))
        if len(inside) == 0:
            raise ValueError(
                f"bands: {name!r} ({low} to {high} Hz) holds none of the frequencies, {frequencies[0]:.2f} to "
                f"{frequencies[-1]:.2f} Hz in steps of {sample_step(frequencies):.2f} Hz."
            )
        summed[name] = spectra.isel(frequency=inside).sum("frequency", keep_attrs=True)
    return xr.Dataset(summed)


def _power(
    values: NDArray[np.float64], rate: float, method: Method, n_fft: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n = values.shape[-1]
    if n_fft is not None and n_fft < 2:
        raise ValueError(f"n_fft: got {n_fft}; expected at least 2 points.")
    if method == "periodogram":
        spectrum = signal.periodogram(values, rate, nfft=max(n, n_fft or n), detrend=False)
    elif method == "welch":
        spectrum = signal.welch(values, rate, nperseg=min(n, n_fft or n), detrend=False)
    elif method == "multitaper":
        from mne.time_frequency import psd_array_multitaper

        power, frequencies = psd_array_multitaper(values, rate, remove_dc=False, verbose="error")
        spectrum = frequencies, power
    else:
        raise ValueError(f"method: got {method!r}; expected 'welch', 'multitaper' or 'periodogram'.")
    return np.asarray(spectrum[0]), np.asarray(spectrum[1])


def _times(recording: xr.DataArray) -> NDArray[np.float64]:
    times = times_of(recording)
    if len(times) < 2:
        raise ValueError(f"time: {len(times)} points; expected at least two, growing.")
    return times


def _sign(polarity: str) -> float:
    if polarity not in ("positive", "negative"):
        raise ValueError(f"polarity: got {polarity!r}; expected 'positive' or 'negative'.")
    return 1.0 if polarity == "positive" else -1.0


def _crossing(times: NDArray[np.float64], height: NDArray[np.float64], before: int, level: float) -> float:
    """Interpolate when a curve passes a level between one point and the next."""
    pair = height[before : before + 2]
    share = (level - pair[0]) / (pair[1] - pair[0])
    return float(times[before] + share * (times[before + 1] - times[before]))


def _fraction_of(wave: NDArray[np.float64], times: NDArray[np.float64], top: int, fraction: float) -> float:
    below = np.flatnonzero(wave[:top] < fraction * wave[top])
    if wave[top] <= 0 or len(below) == 0:
        return float("nan")
    return _crossing(times, wave, int(below[-1]), fraction * wave[top])
