"""Amplitudes of EEG and MEG: units, values that no head has, and trials that are rejected by them."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

MICROVOLT = 1e6
"""Microvolts in a volt, in which MNE keeps EEG."""

VOLTAGES = {"V": 1e6, "mV": 1e3, "µV": 1.0, "nV": 1e-3}
"""Units of voltage and how many microvolts each is."""

SI_UNITS = {
    **dict.fromkeys(("mag", "ref_meg"), "T"),
    "grad": "T/m",
    "csd": "V/m²",
    "dipole": "Am",
    "gof": "%",
    **dict.fromkeys(("hbo", "hbr"), "M"),
}
"""Units of MNE's channel types whose values stay as MNE keeps them."""

IN_MICROVOLT = frozenset({"eeg", "eog", "ecg", "emg", "bio", "seeg", "ecog", "dbs"})
"""MNE's channel types that are voltages."""

PLAUSIBLE = {"µV": (0.03, 5e3), "T": (1e-17, 1e-8), "T/m": (1e-16, 1e-7)}
"""Standard deviations that the median channel of a recording can have.

EEG varies by 5 to 100 µV, averages of a thousand trials by a tenth of a microvolt, and slow drift of an unfiltered
recording by up to some mV; magnetometers by about a picotesla. A mix-up of units is a factor of 1,000 or a million:
millivolts taken for microvolts give 0.005 to 0.1, of which the limit finds all but the largest."""

EXTREME_MICROVOLT = 500.0
"""Peak-to-peak amplitude that no brain and hardly an eye blink (100 to 400 µV) has; trials above it are warned of."""

SPELLINGS = {
    "μV": "µV",  # the Greek letter, to which the micro sign is normalised
    **dict.fromkeys(("uv", "μv", "microvolt", "microvolts"), "µV"),
    **dict.fromkeys(("mv", "millivolt", "millivolts"), "mV"),
    **dict.fromkeys(("nv", "nanovolt", "nanovolts"), "nV"),
    **dict.fromkeys(("v", "volt", "volts"), "V"),
}
"""Ways to write units of voltage."""

MOST_SAMPLES = 100_000
"""Samples from which a standard deviation is judged; a recording may hold millions."""


def units_of(channel_types: Sequence[str]) -> tuple[NDArray[np.float64], list[str]]:
    """Give the unit of every channel, and the factor that turns MNE's values into it.

    Parameters
    ----------
    channel_types : sequence of str
        As MNE names them, one per channel.

    Returns
    -------
    factors : ndarray, shape (channel,)
        A million for voltages, else one.
    units : list of str
        ``"µV"`` for voltages, else MNE's own unit, or ``"as in MNE"`` where a type has none.

    Examples
    --------
    >>> units_of(["eeg", "mag"])[1]
    ['µV', 'T']
    """
    factors = np.array([MICROVOLT if kind in IN_MICROVOLT else 1.0 for kind in channel_types])
    units = ["µV" if kind in IN_MICROVOLT else SI_UNITS.get(kind, "as in MNE") for kind in channel_types]
    return factors, units


def unit_name(unit: str) -> str:
    """Spell a unit in one way: the micro sign, ``u`` and the Greek letter are the same prefix.

    Parameters
    ----------
    unit : str
        Such as ``"uV"``.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If it is empty.

    Examples
    --------
    >>> unit_name("uV"), unit_name("fT")
    ('µV', 'fT')
    """
    name = unicodedata.normalize("NFKC", str(unit)).strip()
    if not name:
        raise ValueError("unit: got an empty one; expected the unit of the values, such as 'µV' or 'V'.")
    return SPELLINGS.get(name, SPELLINGS.get(name.lower(), name))


def units_as_text(units: Sequence[str]) -> str:
    """Name the units of a recording, each once.

    Parameters
    ----------
    units : sequence of str
        One per channel.

    Examples
    --------
    >>> units_as_text(["µV", "µV", "T"])
    'µV and T'
    """
    return " and ".join(dict.fromkeys(units))


def check_scale(argument: str, values: Array, units: Sequence[str], *, averaged: bool = False) -> None:
    """Refuse a recording whose amplitudes are those of another unit.

    The standard deviation of the median channel is judged, because single channels may be broken, after the median of
    each channel is subtracted, because raw recordings carry offsets of tens of millivolts.

    Parameters
    ----------
    argument : str
        What the recording is called in the message.
    values : ndarray, shape (trial, channel, time)
        A continuous recording is one trial. The median is that of the trial where it has a course.
    units : sequence of str
        Unit of each channel; only those of :data:`PLAUSIBLE` are judged.
    averaged : bool
        Whether they are means of many trials, in which slow drift has averaged out: the upper limit is a tenth.

    Raises
    ------
    ValueError
        With the factor, where the values seem to be a thousand or a million times too large or too small.
    """
    for unit, (least, of_trials) in PLAUSIBLE.items():
        most = of_trials / 10 if averaged else of_trials
        rows = np.flatnonzero([name == unit for name in units])
        deviation = _median_deviation(values[:, rows]) if len(rows) else 0.0
        if deviation == 0 or least <= deviation <= most:
            continue
        typical = float(np.sqrt(least * most)) if unit != "µV" else 10.0
        factor = 10.0 ** (3 * max(1, round(abs(np.log10(deviation / typical)) / 3)))
        too = "large" if deviation > most else "small"
        remedy = f"{1 / factor:g}" if too == "large" else f"{factor:g}"
        raise ValueError(
            f"{argument}: the median channel has a standard deviation of {deviation:.3g} {unit}, and real ones lie "
            f"between {least:g} and {most:g} {unit}. The values seem {factor:,.0f} times too {too}, as if their unit "
            f"had been mistaken: multiply them by {remedy} (MNE keeps EEG in V), or name the right unit."
        )


def warn_of_extreme_trials(argument: str, values: Array, channels: Sequence[str], units: Sequence[str]) -> None:
    """Warn of trials that reach amplitudes no brain has.

    Parameters
    ----------
    argument : str
        What the trials are called in the message.
    values : ndarray, shape (trial, channel, time)
        Trials.
    channels : sequence of str
        Names of the channels.
    units : sequence of str
        Unit of each channel; only microvolts are judged.

    Warns
    -----
    UserWarning
        With their number and the largest amplitude.
    """
    rows = np.flatnonzero([name == "µV" for name in units])
    if len(rows) == 0:
        return
    ranges = peak_to_peak(values)[:, rows]  # (trial, channel)
    extreme = np.flatnonzero(ranges.max(axis=1) > EXTREME_MICROVOLT)
    if len(extreme):
        largest = channels[int(rows[int(ranges.max(axis=0).argmax())])]
        warnings.warn(
            f"{argument}: {len(extreme)} of {len(values)} trials exceed {EXTREME_MICROVOLT:g} µV peak to peak (up to "
            f"{ranges.max():.0f} µV, in {largest!r}), which no brain does. Reject them: reject= for arrays, "
            "epochs.drop_bad(reject={'eeg': 150e-6}) in MNE.",
            stacklevel=3,
        )


def peak_to_peak(values: Array) -> Array:
    """Give the range of every trial in every channel.

    Parameters
    ----------
    values : ndarray, shape (trial, channel, time)
        Trials.

    Returns
    -------
    ndarray, shape (trial, channel)
    """
    return np.asarray(values.max(axis=-1) - values.min(axis=-1))


def _median_deviation(values: Array) -> float:
    """Give the standard deviation of the median channel among those that vary; 0 where none does."""
    n_trials, _, n_times = values.shape
    if n_times > 1:
        trials = values[:: max(1, n_trials * n_times // MOST_SAMPLES)]
        courses = trials[..., :: max(1, len(trials) * n_times // MOST_SAMPLES)]
        around = courses - np.median(courses, axis=-1, keepdims=True)
    else:
        courses = values[:: max(1, n_trials // MOST_SAMPLES)]
        around = courses - np.median(courses, axis=0, keepdims=True)
    deviations = np.sqrt((around**2).mean(axis=(0, 2)))
    varying = deviations[deviations > 1e-9 * np.abs(courses).max(axis=(0, 2))]  # less is rounding of a constant
    return float(np.median(varying)) if len(varying) else 0.0
