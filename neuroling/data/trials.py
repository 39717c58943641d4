"""Single trials laid out by item: labels, folds, unequal numbers of repeats, and a way in for plain arrays."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from neuroling.core.arrays import read_numbers
from neuroling.core.times import SAMPLE_SHARE, checked_times, sample_step
from neuroling.data.amplitudes import VOLTAGES, check_scale, peak_to_peak, unit_name, warn_of_extreme_trials

NUMBER = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII)
"""Labels that are numbers, and are one label however many zeros they have."""

logger = logging.getLogger(__name__)

Array = NDArray[np.floating[Any]]
Folds = int | Literal["trials"] | None
Rows = Mapping[str, NDArray[np.intp]]

LONGEST_STEP = 0.5
"""Seconds between samples above which times are taken to be milliseconds: no EEG has two samples a second."""


# More than eight parameters: the labels of each axis of a recording, and what is known of its trials.
def from_arrays(
    trials: ArrayLike,
    labels: ArrayLike,
    times: ArrayLike | None,
    channels: Sequence[str],
    *,
    unit: str,
    folds: Folds = "trials",
    columns: pd.DataFrame | Mapping[str, ArrayLike] | None = None,
    reject: float | None = None,
    rng: int | np.random.Generator = 0,
) -> xr.DataArray:
    """Lay single trials out by item, from an array and the item of each trial.

    Parameters
    ----------
    trials : array-like, shape (trial, channel, time) or (trial, channel)
        Finite numbers.
    labels : array-like, shape (trial,)
        The item of each trial, such as a column of a table. Whole numbers are labelled ``"1"`` whatever their type.
    times : array-like, shape (time,), or None
        Seconds, evenly spaced; None where trials have no time axis.
    channels : sequence of str
        Names of the channels, each once.
    unit : str
        Of the values. Voltages (``"V"``, ``"mV"``, ``"µV"``, ``"nV"``) are turned into µV and checked for a mix-up of
        units; any other unit stays as it is.
    folds : int, "trials" or None
        ``"trials"`` makes every trial a repeat of its item; where items have unequal numbers of trials, the repeats
        that are lacking are NaN. A number deals trials at random into as many folds, averaged. None averages all.
    columns : pandas.DataFrame or mapping, optional
        One row per trial; what has one value an item travels along. A table with an index has to share it with
        ``labels`` where those have one too.
    reject : float, optional
        Largest peak-to-peak amplitude that a trial may have in any channel, in ``unit``; trials above it are excluded
        and counted. By default none are, and trials above 500 µV are warned of.
    rng : int or numpy.random.Generator
        Seed of the dealing into folds.

    Returns
    -------
    xarray.DataArray, dims (sample, [repeat,] channel[, time])
        Coordinates: ``n_trials`` and ``n_rejected`` count the trials of each item, ``n_averaged`` (sample, repeat)
        those behind each repeat (0 where it is lacking), ``unit`` (channel,) is the unit. ``attrs["n_rejected"]`` is
        the sum.

    Raises
    ------
    TypeError, ValueError
        If shapes, labels, times, units or values do not fit, or an item loses all of its trials.

    Warns
    -----
    UserWarning
        If nothing is rejected although trials exceed 500 µV peak to peak.

    Examples
    --------
    >>> trials = np.array([[[1.0, 2.0]], [[3.0, 5.0]], [[2.0, 2.5]]])  # (trial, channel, time)
    >>> recording = from_arrays(trials, ["cat", "cat", "dog"], [0.0, 0.1], ["Cz"], unit="µV")
    >>> dict(recording.sizes), recording.n_trials.values.tolist()
    ({'sample': 2, 'repeat': 2, 'channel': 1, 'time': 2}, [2, 1])
    """
    values = _checked_trials(trials, times, channels)  # (trial, channel, time), one time where there are none
    table, column = _table_of(labels, columns, len(values))
    item_of_trial = item_labels(column, "labels")
    given_unit = unit_name(unit)
    is_voltage = given_unit in VOLTAGES
    is_kept = _within(values, reject, given_unit)
    rows, n_rejected = _rows_of_items(item_of_trial, is_kept)
    values = values * VOLTAGES[given_unit] if is_voltage else values
    units = ["µV" if is_voltage else given_unit] * len(channels)
    check_scale("trials", values, units)
    if reject is None:
        warn_of_extreme_trials("trials", values, channels, units)
    laid_out = lay_out(values, rows, folds, np.random.default_rng(rng))
    coords: dict[str, Any] = {"channel": [str(name) for name in channels], "unit": ("channel", units)}
    coords |= {} if times is None else {"time": np.asarray(times, dtype=np.float64)}
    coords |= {str(name): ("sample", carried(table[name], rows)) for name in table}
    coords["n_rejected"] = ("sample", n_rejected)
    attrs = {"units": units[0], "n_rejected": int(n_rejected.sum())}
    if reject is not None:
        attrs["rejected"] = f"trials above {reject:g} {given_unit} peak to peak"
    recording = laid_out.labelled(coords, attrs)
    return recording if times is not None else recording.isel(time=0)


@dataclass(frozen=True)
class LaidOut:
    """Trials by item.

    Attributes
    ----------
    items : list of str
        Labels, in the order in which they first occur.
    values : ndarray, shape (item, [repeat,] channel, time)
        Means of trials; NaN where an item has fewer repeats than others.
    n_trials : ndarray of int, shape (item,)
        Trials of each item.
    n_averaged : ndarray of int, shape (item, repeat), or None
        Trials behind each repeat.
    """

    items: list[str]
    values: Array
    n_trials: NDArray[np.intp]
    n_averaged: NDArray[np.intp] | None

    def labelled(self, coords: Mapping[str, Any], attrs: Mapping[str, Any]) -> xr.DataArray:
        """Put labels on the values; ``coords`` are those of channels and times."""
        repeat = () if self.n_averaged is None else ("repeat",)
        counts: dict[str, Any] = {"sample": self.items, "n_trials": ("sample", self.n_trials)}
        if self.n_averaged is not None:
            counts["n_averaged"] = (("sample", "repeat"), self.n_averaged)
        dims = ("sample", *repeat, "channel", "time")
        return xr.DataArray(self.values, dims=dims, coords={**counts, **coords}, attrs=dict(attrs), name="EEG")


def lay_out(values: Array, rows: Rows, folds: Folds, rng: np.random.Generator) -> LaidOut:
    """Average the trials of each item, or deal them into folds, or keep each as a repeat.

    Parameters
    ----------
    values : ndarray, shape (trial, channel, time)
        Trials.
    rows : mapping of str to ndarray of int
        The trials of each item.
    folds : int, "trials" or None
        As in :func:`from_arrays`.
    rng : numpy.random.Generator
        Deals trials into folds.

    Returns
    -------
    LaidOut

    Raises
    ------
    ValueError
        If there are fewer than two folds, or an item has fewer trials than folds.
    """
    n_trials = np.array([len(trials) for trials in rows.values()])
    if folds is None:
        means = np.stack([values[trials].mean(axis=0) for trials in rows.values()])
        return LaidOut(list(rows), means, n_trials, None)
    if folds == "trials":
        repeats = [[np.array([trial]) for trial in trials] for trials in rows.values()]
    else:
        _check_folds(folds, rows)
        repeats = [np.array_split(rng.permutation(trials), folds) for trials in rows.values()]
    n_repeats = max(len(of_item) for of_item in repeats)
    dtype = np.result_type(values.dtype, np.float32)
    laid_out = np.full((len(rows), n_repeats, *values.shape[1:]), np.nan, dtype)
    n_averaged = np.zeros((len(rows), n_repeats), dtype=np.intp)
    for item, of_item in enumerate(repeats):
        for repeat, trials in enumerate(of_item):
            laid_out[item, repeat] = values[trials].mean(axis=0)
            n_averaged[item, repeat] = len(trials)
    return LaidOut(list(rows), laid_out, n_trials, n_averaged)


def rows_of(item_of_trial: NDArray[np.str_]) -> dict[str, NDArray[np.intp]]:
    """Give the trials of each item, items in the order in which they first occur.

    Parameters
    ----------
    item_of_trial : ndarray of str, shape (trial,)
        From :func:`item_labels`.

    Examples
    --------
    >>> {item: trials.tolist() for item, trials in rows_of(np.array(["b", "a", "b"])).items()}
    {'b': [0, 2], 'a': [1]}
    """
    return {str(item): np.flatnonzero(item_of_trial == item) for item in dict.fromkeys(item_of_trial.tolist())}


def item_labels(column: pd.Series, argument: str) -> NDArray[np.str_]:
    """Turn a column into labels of items: text, and whole numbers in one spelling whatever their type.

    Parameters
    ----------
    column : pandas.Series
        One value per trial.
    argument : str
        What the column is called in messages.

    Returns
    -------
    ndarray of str, shape (trial,)

    Raises
    ------
    ValueError
        If trials have no label, or one label is spelled in two ways: a number (1, 1.0, 01), blanks around it, or the
        form in which accents are stored. Labels that differ in case are different.

    Examples
    --------
    >>> item_labels(pd.Series([1.0, 2.0, 1.0]), "item").tolist()
    ['1', '2', '1']
    """
    labels = [_label_of(value) for value in column.tolist()]
    absent = [trial for trial, label in enumerate(labels) if not label]
    if absent:
        raise ValueError(
            f"{argument}: {len(absent)} of {len(labels)} trials have no item (missing or blank), first trials "
            f"{absent[:5]}; exclude these trials, or give them their label."
        )
    spellings: dict[str, list[str]] = {}
    for label in sorted(set(labels)):
        spellings.setdefault(_as_meant(label), []).append(label)
    twice = [spelled[:2] for spelled in spellings.values() if len(spelled) > 1]
    if twice:
        kind_of_label = "numbers" if NUMBER.fullmatch(twice[0][0].strip()) else "labels"
        first, other = (ascii(str(label)) for label in twice[0])
        raise ValueError(
            f"{argument}: {len(twice)} {kind_of_label} are spelled in two ways, first {other} and {first}; they "
            "would become two items. Spell each in one way."
        )
    return np.array(labels, dtype=str)


def carried(column: pd.Series, rows: Rows) -> NDArray[np.generic]:
    """Give the one value that a column has for each item.

    Parameters
    ----------
    column : pandas.Series
        One value per trial; missing values are alike.
    rows : mapping of str to ndarray of int
        The trials of each item.

    Returns
    -------
    ndarray, shape (item,)

    Raises
    ------
    ValueError
        If the trials of an item differ.
    """
    for item, trials in rows.items():
        values = column.iloc[trials]
        if len(values.drop_duplicates()) > 1:
            raise ValueError(
                f"columns: {column.name!r} has several values for the item {item!r}, such as "
                f"{values.drop_duplicates().tolist()[:3]}; it belongs to trials. Leave it out, or average it first."
            )
    return _plain(column.iloc[[int(trials[0]) for trials in rows.values()]])


def _plain(column: pd.Series) -> NDArray[np.generic]:
    """Give a column as an array of numbers (missing ones NaN) or of text (missing ones blank)."""
    values = np.asarray(column.astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column)
    if values.dtype != object:
        return values
    present = [value for value in values.tolist() if not _is_missing(value)]
    if present and all(isinstance(value, int | float | np.number) for value in present):
        return np.asarray(pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan))
    return np.array(["" if _is_missing(value) else str(value) for value in values.tolist()])


def _is_missing(value: object) -> bool:
    return (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, float | np.floating) and bool(np.isnan(value)))
    )


def _as_meant(label: str) -> str:
    """Give what a label stands for, whatever its blanks, the form of its accents and the zeros of a number."""
    plain = " ".join(unicodedata.normalize("NFC", label).split())
    return format(Decimal(plain).normalize(), "f") if NUMBER.fullmatch(plain) else plain


def _label_of(value: object) -> str:
    if isinstance(value, str):
        return value if value.strip() else ""
    if _is_missing(value):
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _check_folds(folds: int, rows: Rows) -> None:
    if isinstance(folds, bool) or not isinstance(folds, int | np.integer):
        raise TypeError(f"folds: got {folds!r}; expected a number of folds, 'trials' or None.")
    if folds < 2:
        raise ValueError(f"folds: got {folds}; a cross-validated distance needs at least two.")
    short = [item for item, trials in rows.items() if len(trials) < folds]
    if short:
        raise ValueError(
            f"folds: {folds} folds, but {len(short)} items have fewer trials, first {short[:5]}. Use fewer folds, keep "
            "every trial with folds='trials', or exclude the items by name."
        )


def _checked_trials(trials: ArrayLike, times: ArrayLike | None, channels: Sequence[str]) -> Array:
    values, _ = read_numbers("trials", trials)
    names = [str(name) for name in channels]
    twice = sorted({name for name in names if names.count(name) > 1})
    if isinstance(channels, str) or twice:
        raise ValueError(
            f"channels: {twice or channels!r} {'occur more than once' if twice else 'is one text'}; expected a list of "
            "names, each once."
        )
    shape = (len(names),) if times is None else (len(names), len(_checked_grid(times)))
    if values.ndim != 1 + len(shape) or values.shape[1:] != shape:
        axes = "(trial, channel)" if times is None else "(trial, channel, time)"
        turned = " Its last two axes seem to be exchanged." if values.shape[1:] == shape[::-1] != shape else ""
        raise ValueError(
            f"trials: got shape {values.shape}; expected {axes} with {' and '.join(map(str, shape))} "
            f"{'channels' if times is None else 'channels and times'}.{turned}"
        )
    if len(values) == 0:
        raise ValueError("trials: none given; expected at least one.")
    check_finite("trials", values.reshape(*values.shape, 1) if times is None else values, names)
    return values[..., None] if times is None else values


def check_finite(argument: str, values: Array, channels: Sequence[str]) -> None:
    """Refuse trials with values that are NaN or infinite.

    Parameters
    ----------
    argument : str
        What the trials are called in the message.
    values : ndarray, shape (trial, channel, time)
        Trials.
    channels : sequence of str
        Names of the channels.

    Raises
    ------
    ValueError
        With their number, the first trials and channels.
    """
    bad = ~np.isfinite(values)
    if bad.any():
        trials = np.flatnonzero(bad.any(axis=(1, 2)))
        where = [channels[int(channel)] for channel in np.flatnonzero(bad.any(axis=(0, 2)))]
        raise ValueError(
            f"{argument}: {int(bad.sum())} values are NaN or infinite, in trials {trials[:5].tolist()} and channels "
            f"{where[:5]}; drop the trials or interpolate the channels."
        )


def _checked_grid(times: ArrayLike) -> NDArray[np.float64]:
    grid = checked_times(times, "times")
    step = sample_step(grid)
    if step > LONGEST_STEP:
        raise ValueError(
            f"times: steps of {step:g} s, from {grid[0]:g} to {grid[-1]:g}; these look like milliseconds or samples. "
            "Expected seconds: divide milliseconds by 1000."
        )
    if len(grid) > 1 and np.abs(np.diff(grid) - step).max() > SAMPLE_SHARE * step:
        raise ValueError(
            f"times: steps of {np.diff(grid).min():g} to {np.diff(grid).max():g} s; expected evenly spaced seconds. "
            "Resample the trials first."
        )
    return grid


def _table_of(
    labels: ArrayLike, columns: pd.DataFrame | Mapping[str, ArrayLike] | None, n_trials: int
) -> tuple[pd.DataFrame, pd.Series]:
    """Give the columns that travel along and the labels, both one row per trial, with indices that agree."""
    if isinstance(labels, pd.Series):
        column = labels.reset_index(drop=True)
    else:  # an array would make text of a list with numbers and text
        column = pd.Series(list(labels) if isinstance(labels, list | tuple) else list(np.asarray(labels)), dtype=object)
    if np.ndim(labels) != 1 or len(column) != n_trials:
        raise ValueError(f"labels: got shape {np.shape(labels)} for {n_trials} trials; expected one item for each.")
    if columns is None:
        return pd.DataFrame(index=column.index), column
    if isinstance(columns, pd.DataFrame):
        if isinstance(labels, pd.Series) and not labels.index.equals(columns.index):
            raise ValueError(
                "columns: their index is not that of the labels, so that rows would be matched by position; take "
                "labels and columns from one table."
            )
        table = columns.reset_index(drop=True)
    else:
        table = pd.DataFrame({str(name): np.asarray(values) for name, values in columns.items()})
    if len(table) != n_trials:
        raise ValueError(f"columns: {len(table)} rows for {n_trials} trials; expected one row for each.")
    return table, column


def _within(values: Array, reject: float | None, unit: str) -> NDArray[np.bool_]:
    """Say which trials are kept."""
    if reject is None:
        return np.ones(len(values), dtype=bool)
    if not 0 < reject < np.inf:
        raise ValueError(f"reject: got {reject}; expected the largest peak-to-peak amplitude in {unit}, above zero.")
    if values.shape[-1] < 2:
        raise ValueError("reject: the trials have no time axis, so that nothing goes up and down; leave it out.")
    return np.asarray(peak_to_peak(values).max(axis=1) <= reject)


def _rows_of_items(
    item_of_trial: NDArray[np.str_], is_kept: NDArray[np.bool_]
) -> tuple[dict[str, NDArray[np.intp]], NDArray[np.intp]]:
    """Give the kept trials of each item, and how many of each were rejected."""
    every = rows_of(item_of_trial)
    rows = {item: trials[is_kept[trials]] for item, trials in every.items()}
    lost = [item for item, trials in rows.items() if len(trials) == 0]
    if lost:
        raise ValueError(
            f"reject: {len(lost)} of {len(rows)} items lose all of their trials, first {lost[:5]} "
            f"({int((~is_kept).sum())} of {len(is_kept)} trials are rejected). Raise the limit, repair the trials, or "
            "exclude these items by label."
        )
    if not is_kept.all():
        logger.info("%d of %d trials are rejected by their amplitude.", (~is_kept).sum(), len(is_kept))
    return rows, np.array([int((~is_kept[trials]).sum()) for trials in every.values()])
