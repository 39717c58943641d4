r"""When a mean over participants peaks and when it begins, from arrays (participant, time).

An onset is where the mean, on its way up, passes a fraction :math:`f` of its peak. Two things make the obvious estimate
late where signal is low. The largest value of a noisy mean is larger than the peak of the true one, by about
:math:`b = \overline{\dot\epsilon^2} / 2 |\ddot\mu|`; and the last time below a level is late, because noise dips below
it again. Both are mended without a parameter to choose:

- the value at the time where the mean of the *other* participants peaks lies about as much below the true peak as the
  maximum lies above it, so that their mean is the height of the peak to second order;
- the crossing is where a step at the level fits best, the minimum of :math:`\int_{t_0}^{t} (m(s) - f h)\, ds`, which
  isotonic regression gives too: early and late errors weigh alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.stats import t as student

Curves = Float[NDArray[np.float64], "participant time"]
Means = Float[NDArray[np.float64], "draw time"]
Times = Float[NDArray[np.float64], " time"]

PEAK_SHARE = 5.2
"""One-sided error with which a peak is excluded from those that an onset interval allows for, over the interval's own.

Measured: at a level of 0.95 it is 0.26, with which intervals cover the truth in 93 to 97 of 100 data sets
(``benchmarks/calibration/latencies.py``). A smaller one would allow for more peaks and make them wider."""


class OnsetInterval(NamedTuple):
    """Ends of an interval, and whether the data bound it there or the window alone does."""

    lower: float
    upper: float
    is_bounded_below: bool
    is_bounded_above: bool


def peak_times(means: Means, times: Times) -> Float[NDArray[np.float64], " draw"]:
    """Give when each mean is largest, refined by the parabola through three samples.

    Parameters
    ----------
    means : ndarray, shape (draw, time)
        Means over participants.
    times : ndarray, shape (time,)
        At least three, growing.

    Returns
    -------
    ndarray, shape (draw,)
        At the ends of the window the sample itself.
    """
    largest = means.argmax(axis=1)
    middle = np.clip(largest, 1, means.shape[1] - 2)
    row = np.arange(len(means))
    before, at, after = means[row, middle - 1], means[row, middle], means[row, middle + 1]
    bend = before - 2 * at + after
    shift = np.clip(np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1), 0.0), -0.5, 0.5)
    step = np.where(shift < 0, times[middle] - times[middle - 1], times[middle + 1] - times[middle])
    return np.asarray(np.where(largest != middle, times[largest], times[middle] + shift * step))


def at_others_peak(
    values: Float[NDArray[np.float64], "draw participant time"],
) -> tuple[Float[NDArray[np.float64], "draw participant"], Int[NDArray[np.intp], "draw participant"]]:
    """Give each participant's value where the mean of the others is largest, and where that is.

    Parameters
    ----------
    values : ndarray, shape (draw, participant, time)
        Time courses.

    Returns
    -------
    values, rows : ndarray, shape (draw, participant)
    """
    rows = (values.sum(axis=1, keepdims=True) - values).argmax(axis=2)
    return np.take_along_axis(values, rows[..., None], axis=2)[..., 0], rows


def onset_times(
    counts: Float[NDArray[np.float64], "draw participant"], curves: Curves, times: Times, fraction: float
) -> Float[NDArray[np.float64], " draw"]:
    """Give when the mean of participants who are drawn so many times passes a fraction of its peak.

    Parameters
    ----------
    counts : ndarray, shape (draw, participant)
        How often each participant is drawn; rows of ones for the participants themselves.
    curves : ndarray, shape (participant, time)
        Time courses, zero meaning nothing.
    times : ndarray, shape (time,)
        Growing.
    fraction : float
        Of the peak.

    Returns
    -------
    ndarray, shape (draw,)
        The first time where the mean is above the level throughout.
    """
    totals = counts @ curves  # (draw, time)
    n_drawn = counts.sum(axis=1)
    held_out = np.zeros(len(counts))
    for drawn, curve in zip(counts.T, curves, strict=True):
        held_out += drawn * curve[(totals - drawn[:, None] * curve).argmax(axis=1)]
    means = totals / n_drawn[:, None]
    peaks = means.argmax(axis=1)
    heights = 0.5 * (means[np.arange(len(means)), peaks] + held_out / n_drawn)
    rows = zip(means, peaks, fraction * heights, strict=True)
    return np.array([rising_crossing(mean, times, int(peak), level) for mean, peak, level in rows])


def rising_crossing(mean: Float[NDArray[np.float64], " time"], times: Times, peak: int, level: float) -> float:
    """Give where a curve rises through a level before its peak: the step at the level that fits best.

    Parameters
    ----------
    mean : ndarray, shape (time,)
        The curve, linear between its samples.
    times : ndarray, shape (time,)
        Growing.
    peak : int
        Sample of the peak; nothing after it is looked at.
    level : float
        Such as half of the peak.

    Returns
    -------
    float
        The first time if the curve lies above the level on the whole, the peak's if it never reaches it.

    Examples
    --------
    >>> rising_crossing(np.array([0.0, 0.0, 1.0, 2.0]), np.array([0.0, 0.1, 0.2, 0.3]), 3, 1.5)
    0.25
    """
    above = mean[: peak + 1] - level
    steps = np.diff(times[: peak + 1])
    area = np.concatenate([[0.0], np.cumsum(0.5 * steps * (above[1:] + above[:-1]))])
    rises = np.flatnonzero((above[:-1] < 0) & (above[1:] >= 0))
    shares = above[rises] / (above[rises] - above[rises + 1])
    crossings = np.concatenate([[times[0]], times[rises] + shares * steps[rises], [times[peak]]])
    areas = np.concatenate([[0.0], area[rises] + 0.5 * above[rises] * shares * steps[rises], [area[-1]]])
    return float(crossings[areas.argmin()])


def onset_interval(curves: Curves, times: Times, fraction: float, level: float) -> OnsetInterval:
    r"""Give the onsets that the data do not contradict, whichever peak they belong to.

    If the true mean peaks at :math:`p` and passes its fraction at :math:`\tau`, :math:`y_i(\tau) - f y_i(p)` has a mean
    of zero over participants, which Student's t tests exactly, however low the signal (Fieller 1954). For every peak
    that is not significantly lower than the largest value, the interval reaches from the crossing back to where that
    difference is significantly negative, and on to where it is significantly positive.

    Parameters
    ----------
    curves : ndarray, shape (participant, time)
        Time courses.
    times : ndarray, shape (time,)
        Growing.
    fraction : float
        Of the peak.
    level : float
        Share of intervals that cover the truth.

    Returns
    -------
    OnsetInterval
        An end that nothing contradicts is that of the window.
    """
    n = len(curves)
    mean = curves.mean(axis=0)
    critical = float(student.ppf(0.5 * (1 + level), n - 1))
    below = curves[:, [int(mean.argmax())]] - curves  # (participant, time)
    allowed = float(student.ppf(1 - min(0.5, PEAK_SHARE * (1 - level)), n - 1))
    peaks = np.flatnonzero(below.mean(axis=0) <= allowed * _standard_error(below))
    lowers, uppers = [], []
    for peak in peaks:
        crossing = rising_crossing(mean, times, int(peak), float(fraction * mean[peak]))
        differences = curves - fraction * curves[:, [peak]]
        reach = critical * _standard_error(differences)
        lowers.append(_lower_end(differences.mean(axis=0) + reach, times, crossing))
        uppers.append(_upper_end(differences.mean(axis=0)[: peak + 1] - reach[: peak + 1], times, crossing))
    lower, upper = min(lowers), max(uppers)
    first, last = float(times[0]), float(times[-1])
    return OnsetInterval(max(lower, first), min(upper, last), lower >= first, upper <= last)


def _standard_error(differences: Curves) -> Float[NDArray[np.float64], " time"]:
    return np.asarray(differences.std(axis=0, ddof=1) / np.sqrt(len(differences)))


def _lower_end(bound: NDArray[np.float64], times: Times, crossing: float) -> float:
    """Give the last time up to a crossing where the upper bound of the difference is below zero."""
    before = np.flatnonzero((times <= crossing) & (bound < 0))
    if len(before) == 0:
        return -np.inf
    last = int(before[-1])
    if last + 1 == len(times) or bound[last + 1] < 0:
        return min(crossing, float(times[last]))
    share = bound[last] / (bound[last] - bound[last + 1])
    return min(crossing, float(times[last] + share * (times[last + 1] - times[last])))


def _upper_end(bound: NDArray[np.float64], times: Times, crossing: float) -> float:
    """Give the first time from a crossing on where the lower bound of the difference is above zero."""
    after = np.flatnonzero((times[: len(bound)] >= crossing) & (bound > 0))
    if len(after) == 0:
        return np.inf
    first = int(after[0])
    if first == 0 or bound[first - 1] > 0:
        return max(crossing, float(times[first]))
    share = bound[first - 1] / (bound[first - 1] - bound[first])
    return max(crossing, float(times[first - 1] + share * (times[first] - times[first - 1])))
