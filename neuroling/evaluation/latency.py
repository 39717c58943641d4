"""When a time course peaks and when it begins, with intervals over participants."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import t as student

from neuroling.core.times import SAMPLE_SHARE, rows_in_window, sample_step, times_of
from neuroling.numerics.statistics.latencies import at_others_peak, onset_interval, onset_times, peak_times

Array = NDArray[np.float64]
TIE = 1e-12
"""Difference of mean scores, relative to the largest score, that is a rounding error."""

Polarity = Literal["positive", "negative"]

OPPOSITE = 3.0
"""How many times deeper a wave has to go the other way before it is asked whether its polarity was meant."""


@dataclass(frozen=True)
class Latency:
    """A latency of the mean over participants, or a difference of two, and how sure it is.

    Attributes
    ----------
    estimate : float
        In units of the time axis.
    lower, upper : float
        Confidence interval.
    level : float
        Share of such intervals that cover the truth.
    draws : ndarray, shape (draw,)
        The latency under resampled participants.
    n_participants : int
        How many were resampled.
    is_bounded_below, is_bounded_above : bool
        Whether the data bound the interval there. Where they do not, its end is that of the window.
    """

    estimate: float
    lower: float
    upper: float
    level: float
    draws: Array
    n_participants: int
    is_bounded_below: bool = True
    is_bounded_above: bool = True

    def __str__(self) -> str:
        lower = f"{self.lower:.4g}" if self.is_bounded_below else "window's beginning"
        upper = f"{self.upper:.4g}" if self.is_bounded_above else "window's end"
        return f"{self.estimate:.4g} [{lower}, {upper}]"

    def less(self, other: Latency) -> Latency:
        """Subtract another latency, sign kept; both have to come from the same participants and the same seed.

        Parameters
        ----------
        other : Latency
            What to subtract.

        Returns
        -------
        Latency
        """
        if len(self.draws) != len(other.draws) or self.n_participants != other.n_participants:
            raise ValueError(
                f"other: {len(other.draws)} draws of {other.n_participants} participants, here {len(self.draws)} of "
                f"{self.n_participants}; resample both with the same number and the same seed."
            )
        return _interval(self.estimate - other.estimate, self.draws - other.draws, self.level, self.n_participants)


def peak_latency(
    scores: xr.DataArray,
    *,
    window: tuple[float, float],
    polarity: Polarity = "positive",
    level: float = 0.95,
    n_draws: int = 1000,
    axis: str = "subject",
    rng: int | np.random.Generator = 0,
) -> Latency:
    r"""Find where the mean over participants is largest, refined by the parabola through three samples.

    The interval is :math:`\hat\ell \pm t_{n-1} \sqrt{n / (n-1)}\, s`, :math:`s` the standard deviation of the latency
    under resampled participants. In simulations it covers the truth in 93 to 96 % of cases where percentiles of the
    draws do in 91 to 94 %.

    Parameters
    ----------
    scores : xarray.DataArray, dims (axis, time)
        Scores or amplitudes of participants, zero meaning nothing.
    window : tuple of float
        Where to look, both ends included; chosen beforehand or on other data, never on these.
    polarity : {"positive", "negative"}
        Whether the wave goes up or down, such as the N400.
    level : float
        Share of such intervals that cover the truth.
    n_draws : int
        Resamplings of participants.
    axis : str
        Axis along which participants lie.
    rng : int or numpy.random.Generator
        Seed of the draws.

    Returns
    -------
    Latency
        In units of the time axis.

    Raises
    ------
    ValueError
        If arguments do not fit, the mean never goes the way of the polarity, or the interval leaves the window: the
        scores do not tell when the peak is.

    Warns
    -----
    UserWarning
        If the mean goes much further the other way.

    Examples
    --------
    >>> times = np.arange(0.2, 0.6, 0.01)
    >>> wave = -np.exp(-0.5 * ((times - 0.4) / 0.05) ** 2) * np.linspace(1, 2, 8)[:, None]
    >>> erps = xr.DataArray(wave, dims=("subject", "time"), coords={"time": times})
    >>> print(peak_latency(erps, window=(0.25, 0.55), polarity="negative"))
    0.4 [0.4, 0.4]
    """
    values, times = _checked(scores, window, axis, level, n_draws, polarity)
    _check_polarity(values, polarity)
    counts = _resampled(len(values), n_draws, rng)
    estimate = float(peak_times(values.mean(axis=0)[None], times)[0])
    latency = _interval(estimate, peak_times(counts @ values / len(values), times), level, len(values))
    slack = SAMPLE_SHARE * sample_step(times)
    if latency.lower < min(window[0], times[0]) - slack or latency.upper > max(window[1], times[-1]) + slack:
        raise ValueError(
            f"scores: they do not tell when the peak is: {latency} leaves the window, {window[0]:g} to {window[1]:g}. "
            "More participants or less noise are needed, or a wider window if the peak lies near its end."
        )
    return latency


def onset_latency(
    scores: xr.DataArray,
    *,
    window: tuple[float, float],
    polarity: Polarity = "positive",
    fraction: float = 0.5,
    level: float = 0.95,
    n_draws: int = 1000,
    axis: str = "subject",
    rng: int | np.random.Generator = 0,
) -> Latency:
    """Find where the mean over participants, on its way to the peak, passes a fraction of it.

    Unlike the first significant sample it does not depend on the number of participants, and it has an interval. The
    height of the peak is estimated half from the largest value and half from the others' peak, whose errors cancel,
    and the crossing is where a step fits best (:mod:`neuroling.numerics.statistics.latencies`): at a peak of 0.6
    standard deviations and 12 participants the median error is -2 ms, where the last passage of half the largest value
    was 38 ms late. The interval holds every onset that a t test does not exclude, of any peak that could be
    the largest; it covers the truth in 93 to 97 % of data sets at 0.6, 1 and 2 standard deviations with 6, 12
    and 24 participants, with noise that is autocorrelated as that of EEG (``benchmarks/calibration/latencies.py``).
    Where the data do not bound it, it ends with the window, and says so.

    Parameters
    ----------
    scores : xarray.DataArray, dims (axis, time)
        Scores or amplitudes of participants, zero meaning nothing.
    window : tuple of float
        Where to look; it has to hold the rise.
    polarity : {"positive", "negative"}
        Whether the wave goes up or down, such as the N400.
    fraction : float
        Of the peak, between 0 and 1.
    level, n_draws, axis, rng
        As in :func:`peak_latency`; draws serve for differences of latencies.

    Returns
    -------
    Latency
        In units of the time axis.

    Raises
    ------
    ValueError
        If arguments do not fit, or the mean never goes the way of the polarity.

    Warns
    -----
    UserWarning
        If the mean goes much further the other way.

    Examples
    --------
    >>> times = np.arange(0.0, 0.6, 0.01)
    >>> wave = np.exp(-0.5 * ((times - 0.4) / 0.1) ** 2) * np.linspace(1, 2, 8)[:, None]
    >>> scores = xr.DataArray(wave, dims=("subject", "time"), coords={"time": times})
    >>> round(onset_latency(scores, window=(0.0, 0.59)).estimate, 3)
    0.282
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction: got {fraction}; expected between 0 and 1, such as 0.5.")
    values, times = _checked(scores, window, axis, level, n_draws, polarity)
    _check_polarity(values, polarity)
    n = len(values)
    estimate = float(onset_times(np.ones((1, n)), values, times, fraction)[0])
    draws = onset_times(_resampled(n, n_draws, rng), values, times, fraction)
    lower, upper, is_bounded_below, is_bounded_above = onset_interval(values, times, fraction, level)
    return Latency(
        estimate, min(lower, estimate), max(upper, estimate), level, draws, n, is_bounded_below, is_bounded_above
    )


def _resampled(n: int, n_draws: int, rng: int | np.random.Generator) -> Array:
    """Say how often each participant is drawn, shape (draw, participant)."""
    drawn = np.random.default_rng(rng).integers(0, n, (n_draws, n))
    return np.stack([np.bincount(draw, minlength=n) for draw in drawn]).astype(np.float64)


def _interval(estimate: float, draws: Array, level: float, n: int) -> Latency:
    reach = float(student.ppf((1 + level) / 2, n - 1) * np.sqrt(n / (n - 1)) * draws.std(ddof=1))
    return Latency(estimate, estimate - reach, estimate + reach, level, draws, n)


def _checked(
    scores: xr.DataArray,
    window: tuple[float, float],
    axis: str,
    level: float,
    n_draws: int,
    polarity: Polarity = "positive",
) -> tuple[Array, Array]:
    """Give the window of the scores (participant, time), peaks up, and its times."""
    if set(scores.dims) != {axis, "time"}:
        raise ValueError(
            f"scores: got axes {scores.dims}; expected ({axis!r}, 'time'). Select a model or channel first."
        )
    if scores.sizes[axis] < 5:
        raise ValueError(f"scores: {scores.sizes[axis]} along {axis!r}; an interval needs at least 5 participants.")
    if not 0.5 < level < 1:
        raise ValueError(f"level: got {level}; expected between 0.5 and 1, such as 0.95.")
    if n_draws < 100:
        raise ValueError(f"n_draws: got {n_draws}; an interval needs at least 100.")
    if polarity not in ("positive", "negative"):
        raise ValueError(f"polarity: got {polarity!r}; expected 'positive' or 'negative'.")
    times = times_of(scores)
    inside = rows_in_window(times, window, at_least=3)
    values = scores.transpose(axis, "time").values[:, inside].astype(np.float64, copy=False)
    if not np.isfinite(values).all():
        raise ValueError(f"scores: {int((~np.isfinite(values)).sum())} are NaN; leave those participants out first.")
    return values if polarity == "positive" else -values, times[inside]


def _check_polarity(values: Array, polarity: Polarity) -> None:
    """Refuse a wave that never goes the way it is said to go, and warn of one that goes much further the other way."""
    mean = values.mean(axis=0)
    other = "negative" if polarity == "positive" else "positive"
    if mean.max() <= 0:
        raise ValueError(
            f"polarity: the mean is never {polarity} in the window, so it has no {polarity} peak. Say "
            f"polarity={other!r}, or subtract a baseline."
        )
    lowest = int(mean.argmin())
    spread = values[:, lowest].std(ddof=1) / np.sqrt(len(values))
    if mean[lowest] < -OPPOSITE * mean.max() and mean[lowest] < -student.ppf(0.975, len(values) - 1) * spread:
        warnings.warn(
            f"polarity: the mean goes {-mean[lowest] / mean.max():.1f} times as far the other way as it is {polarity}; "
            f"say polarity={other!r} if that wave is meant.",
            stacklevel=3,
        )


def score_at_others_peak(
    scores: xr.DataArray, *, window: tuple[float, float], polarity: Polarity = "positive", axis: str = "subject"
) -> xr.DataArray:
    """Give each participant's score at the time where the mean of all others is largest.

    The time is chosen on other people's data, so that the mean of these scores is zero where there is nothing. They
    are not independent of one another, since nearly all people choose nearly the same time: a t test of them errs in 16
    of 100 null data sets (80 at the peak of their own mean). :func:`peak_p_value` tests them as they should be.

    Parameters
    ----------
    scores : xarray.DataArray, dims (axis, time)
        Scores of participants.
    window : tuple of float
        Where to look, both ends included.
    polarity : {"positive", "negative"}
        Whether the mean of the others is largest or least there.
    axis : str
        Axis along which participants lie.

    Returns
    -------
    xarray.DataArray, dims (axis,)
        With the chosen times as coordinate ``time``.
    """
    values, times = _checked(scores, window, axis, 0.95, 100, polarity)
    at_peak, rows = at_others_peak(values[None])
    chosen = scores.isel(time=0, drop=True).copy(data=at_peak[0] if polarity == "positive" else -at_peak[0])
    return chosen.assign_coords(time=(axis, times[rows[0]]))


def peak_p_value(
    scores: xr.DataArray,
    *,
    window: tuple[float, float],
    polarity: Polarity = "positive",
    n_draws: int = 1000,
    axis: str = "subject",
    rng: int | np.random.Generator = 0,
) -> float:
    """Test :func:`score_at_others_peak` by flipping the signs of whole time courses and choosing times again.

    Parameters
    ----------
    scores : xarray.DataArray, dims (axis, time)
        Scores of participants, zero meaning nothing.
    window : tuple of float
        Where to look, both ends included.
    polarity : {"positive", "negative"}
        Whether the wave goes up or down.
    n_draws : int
        Number of flips.
    axis : str
        Axis along which participants lie.
    rng : int or numpy.random.Generator
        Seed of the flips.

    Returns
    -------
    float
        One-sided, never zero.
    """
    values, _ = _checked(scores, window, axis, 0.95, n_draws, polarity)
    values = values / max(float(np.abs(values).max()), float(np.finfo(np.float64).tiny))  # p has no unit
    observed = at_others_peak(values[None])[0].mean(axis=1)
    generator = np.random.default_rng(rng)
    at_least = 0
    for start in range(0, n_draws, 100):
        signs = generator.choice([-1.0, 1.0], size=(min(100, n_draws - start), len(values), 1))
        at_least += int((at_others_peak(signs * values)[0].mean(axis=1) >= observed - TIE).sum())
    return (1 + at_least) / (1 + n_draws)
