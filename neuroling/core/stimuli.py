"""What people read or heard: a table with one row a sample."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from neuroling.core.arrays import plain_array, real_numbers, refuse_what_is_no_array
from neuroling.core.notices import warn

NUMERIC_COLUMNS = ("onset", "offset", "position")
"""Columns that must hold finite numbers where they are given; onset and offset are in seconds."""


@dataclass(frozen=True)
class Stimuli:
    """A table of stimuli: unique labels, a text each, and what is known of them.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a stimulus. The index holds unique labels and is named ``sample``; the column ``text`` is required.
        Known columns: ``onset`` and ``offset`` (seconds), ``group`` (run, story or list), ``position`` (place within
        the group) and ``condition``. Any other column travels along.

    Raises
    ------
    ValueError
        For an empty table, duplicated labels, a missing ``text``, blank texts, times that are not finite, or an offset
        before its onset.
    TypeError
        If a text is not a ``str``.

    Examples
    --------
    >>> stimuli = Stimuli.from_texts(["celery", "airplane"])
    >>> len(stimuli), stimuli.texts
    (2, ['celery', 'airplane'])
    """

    table: pd.DataFrame

    def __post_init__(self) -> None:
        if not isinstance(self.table, pd.DataFrame):
            raise TypeError(f"table: got {type(self.table).__name__}; expected a pandas.DataFrame. See from_texts.")
        table = self.table.copy()
        if table.index.nlevels > 1:
            raise ValueError(f"table: its index has {table.index.nlevels} levels; expected one label a row.")
        table.index.name = "sample"
        _check_table(table)
        object.__setattr__(self, "table", table)

    @classmethod
    def from_texts(
        cls, texts: Sequence[str], *, labels: Sequence[object] | None = None, **columns: ArrayLike
    ) -> Stimuli:
        """Build stimuli from a list of texts.

        Parameters
        ----------
        texts : sequence of str
            One text a stimulus.
        labels : sequence, optional
            Unique sample labels; the texts themselves by default.
        **columns : array-like
            Further columns, each as long as ``texts``.

        Returns
        -------
        Stimuli
        """
        if isinstance(texts, str):
            raise TypeError("texts: got a single str; expected a list of texts. Wrap it in a list.")
        what, named, how = ("texts", range(len(texts)), "place from 0") if labels is None else ("text", labels, "label")
        wrong = [
            (name, type(text).__name__)
            for name, text in zip(named, texts, strict=False)  # numbers of labels are compared below
            if not isinstance(text, str)
        ]
        if wrong:
            raise TypeError(f"{what}: {len(wrong)} entries are not str, first {wrong[:5]} ({how}, type).")
        labels = list(texts) if labels is None else list(labels)
        for name, column in {"labels": labels, **columns}.items():
            if np.shape(np.asarray(column, dtype=object))[:1] != (len(texts),):
                raise ValueError(
                    f"{name}: got shape {np.shape(np.asarray(column, dtype=object))}; expected one entry for each of "
                    f"{len(texts)} texts."
                )
        index = pd.Index(labels, name="sample")
        return cls(pd.DataFrame({"text": list(texts), **{k: np.asarray(v) for k, v in columns.items()}}, index=index))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def labels(self) -> pd.Index:
        """Sample labels, unique, in order."""
        return self.table.index

    @property
    def texts(self) -> list[str]:
        """Texts in the order of the table."""
        texts: list[str] = self.table["text"].tolist()
        return texts

    @property
    def fingerprint(self) -> str:
        """Content hash (SHA-256, hexadecimal) over labels, column names, types and values."""
        digest = hashlib.sha256()
        for name, column in self.table.reset_index().items():
            digest.update(f"{name}\x1f{column.dtype}\x1e".encode())
            entries = "".join(f"{type(value).__name__}\x1f{value!r}\x1e" for value in column.tolist())
            digest.update(entries.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def coords(self, *columns: str) -> Mapping[str, tuple[str, np.ndarray]]:
        """Give columns of the table as sample coordinates for a ``DataArray``.

        Parameters
        ----------
        *columns : str
            Columns to take; by default all known ones that are present except the text.

        Returns
        -------
        mapping
            ``{"sample": …, column: ("sample", values)}``.
        """
        if not columns:
            known = ("group", "condition", "onset", "position")
            columns = tuple(name for name in known if name in self.table)
        missing = [name for name in columns if name not in self.table]
        if missing:
            raise ValueError(f"columns: {missing} not in the table, which has {list(self.table.columns)}.")
        coords = {name: ("sample", _plain(self.table[name])) for name in columns}
        return {"sample": ("sample", _plain(self.table.index)), **coords}

    def subset(self, labels: Sequence[object]) -> Stimuli:
        """Pick rows by label, in the order asked for.

        Parameters
        ----------
        labels : sequence
            Sample labels, each of which must be present.

        Returns
        -------
        Stimuli
        """
        absent = [label for label in labels if label not in self.table.index]
        if absent:
            raise ValueError(f"labels: {len(absent)} not among the stimuli, first {absent[:5]}.")
        return Stimuli(self.table.loc[list(labels)])

    def features(self, values: ArrayLike, names: Sequence[str] | None = None) -> xr.DataArray:
        """Label a matrix of feature values with these stimuli.

        Parameters
        ----------
        values : array-like, shape (sample, feature)
            Real numbers, rows in the order of the table. NaN is labelled as it is; :func:`neuroling.align` refuses it.
        names : sequence of str, optional
            Feature names; ``0 … p-1`` by default.

        Returns
        -------
        xarray.DataArray, dims (sample, feature)
        """
        refuse_what_is_no_array("values", values)
        array, _ = plain_array("values", values)
        numbers = real_numbers("values", array)
        array = numbers if array.dtype.kind == "O" or array.dtype == np.float16 else array
        if array.ndim != 2 or len(array) != len(self):
            raise ValueError(
                f"values: got shape {array.shape}; expected ({len(self)}, n_features), one row per stimulus."
            )
        feature = np.arange(array.shape[1]) if names is None else np.asarray(list(names))
        return xr.DataArray(array, dims=("sample", "feature"), coords={**self.coords(), "feature": feature})


def require_stimuli(name: str, value: object) -> Stimuli:
    """Give stimuli back, and refuse anything else.

    Parameters
    ----------
    name : str
        What the argument is called; opens the message.
    value : object
        What was given for it.

    Returns
    -------
    Stimuli

    Raises
    ------
    TypeError
        If these are no stimuli.

    Examples
    --------
    >>> len(require_stimuli("words", Stimuli.from_texts(["cat"])))
    1
    """
    if not isinstance(value, Stimuli):
        raise TypeError(f"{name}: got {type(value).__name__}; expected Stimuli. See Stimuli.from_texts.")
    return value


def _plain(values: pd.Series | pd.Index) -> np.ndarray:
    """Turn a column into an array without pandas extension types."""
    array = np.asarray(values)
    return array.astype(str) if array.dtype == object and all(isinstance(v, str) for v in array) else array


def _check_table(table: pd.DataFrame) -> None:
    if len(table) == 0:
        raise ValueError("table: no stimuli; expected at least one row.")
    if "text" not in table:
        raise ValueError(f"table: no column 'text' among {list(table.columns)}.")
    for name in ("group", "condition"):
        if name in table and table[name].isna().any():
            raise ValueError(f"{name}: {int(table[name].isna().sum())} entries are missing; expected a value a row.")
    unlabelled = int(np.asarray(table.index.isna()).sum())
    if unlabelled:
        raise ValueError(f"table: {unlabelled} sample labels are missing; expected one a row.")
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()].unique()
        raise ValueError(
            f"table: {len(twice)} sample labels occur more than once, first {list(twice[:5])}; expected unique labels. "
            "Number the repetitions, or move them to the axis 'repeat'."
        )
    wrong = [(label, type(text).__name__) for label, text in table["text"].items() if not isinstance(text, str)]
    if wrong:
        raise TypeError(f"text: {len(wrong)} entries are not str, first {wrong[:5]} (label, type).")
    empty = np.flatnonzero(table["text"].str.strip() == "")
    if len(empty):
        blank = list(table.index[empty])
        raise ValueError(
            f"text: {len(blank)} entries are empty or blank, first labels {blank[:5]} (rows {empty[:5].tolist()}, from "
            "0). Leave them out, or write what is missing."
        )
    for name in NUMERIC_COLUMNS:
        if name in table and not np.isfinite(pd.to_numeric(table[name], errors="coerce")).all():
            bad = list(table.index[~np.isfinite(pd.to_numeric(table[name], errors="coerce"))])
            raise ValueError(f"{name}: {len(bad)} entries are not finite numbers, first labels {bad[:5]}.")
    _check_times(table)


def _check_times(table: pd.DataFrame) -> None:
    """Refuse stimuli that end before they begin, and tell of those that begin before time zero."""
    times = {name: pd.to_numeric(table[name]).to_numpy() for name in ("onset", "offset") if name in table}
    if len(times) == 2:
        backwards = list(table.index[times["offset"] < times["onset"]])
        if backwards:
            raise ValueError(f"offset: {len(backwards)} entries lie before their onset, first labels {backwards[:5]}.")
    if "onset" in times and (times["onset"] < 0).any():
        early = list(table.index[times["onset"] < 0])
        warn(
            "events-before-start",
            "onset",
            f"{len(early)} entries are below 0 s, first labels {early[:5]}; times count from the start of the run.",
        )
