"""Feature spaces side by side: which columns of a matrix each of them has, read once for all that take bands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = slice | Sequence[int] | NDArray[np.integer]
Bands = Mapping[str, Columns] | Iterable[tuple[str, Columns]] | Sequence[str]

NAMED = 10
"""How many columns a message names."""


def band_columns(bands: Bands | None, n_features: int) -> dict[str, NDArray[np.intp]]:
    """Find the columns of every feature space, and refuse what is not one.

    Parameters
    ----------
    bands : mapping, sequence of (name, columns), sequence of labels, or None
        Columns as a slice, as column numbers, or as a mask of all columns; or one label per column. None takes all
        columns as one space, called ``"all"``.
    n_features : int
        Number of columns there are.

    Returns
    -------
    dict of str to ndarray of int

    Raises
    ------
    ValueError, TypeError
        If a name is given twice, a space has no columns or some beyond the last, or a column has no space or two.

    Examples
    --------
    >>> {name: rows.tolist() for name, rows in band_columns(["a", "b", "a"], 3).items()}
    {'a': [0, 2], 'b': [1]}
    """
    if bands is None:
        return {"all": np.arange(n_features)}
    named = _named_columns(bands, n_features)
    names = [name for name, _ in named]
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"bands: {', '.join(map(repr, twice))} named more than once; expected a name for every space.")
    columns = {name: _columns_of(name, given, n_features) for name, given in named}
    empty = [name for name, own in columns.items() if len(own) == 0]
    if empty or not columns:
        raise ValueError(f"bands: {', '.join(map(repr, empty)) or 'no space'} has no columns of the {n_features} in X.")
    _check_cover(columns, n_features)
    return columns


def _named_columns(bands: Any, n_features: int) -> list[tuple[str, Any]]:
    """Names with columns, in their order."""
    if isinstance(bands, Mapping):
        return list(bands.items())
    if isinstance(bands, str | bytes) or not isinstance(bands, Iterable):
        raise TypeError(
            f"bands: got {bands!r}; expected a mapping of names to columns, such as {{'words': slice(0, 3)}}, or one "
            "label per column."
        )
    listed = list(bands)
    if listed and all(isinstance(entry, tuple) and len(entry) == 2 for entry in listed):
        return listed
    if len(listed) != n_features:
        raise ValueError(
            f"bands: got {len(listed)} labels for {n_features} columns of X; expected one label per column."
        )
    labels = [str(label) for label in listed]
    return [(name, [place for place, label in enumerate(labels) if label == name]) for name in dict.fromkeys(labels)]


def _columns_of(name: str, column_choice: Any, n_features: int) -> NDArray[np.intp]:
    """Columns of one space as numbers from 0."""
    if isinstance(column_choice, slice):
        return _columns_of_slice(name, column_choice, n_features)
    columns = np.asarray(column_choice)
    if columns.size == 0:
        return np.empty(0, np.intp)
    if columns.dtype == bool and columns.shape == (n_features,):
        return np.flatnonzero(columns)
    if columns.ndim != 1 or columns.dtype.kind not in "iu":
        raise TypeError(
            f"bands: {name!r} has {columns.dtype} of shape {columns.shape}; expected a slice, column numbers, or a "
            f"mask of all {n_features} columns."
        )
    beyond = columns[(columns < -n_features) | (columns >= n_features)]
    if len(beyond):
        raise ValueError(
            f"bands: {name!r} has columns {beyond[:NAMED].tolist()}, but X has {n_features}; expected numbers from 0 "
            f"to {n_features - 1}."
        )
    return np.asarray(np.where(columns < 0, columns + n_features, columns), dtype=np.intp)


def _columns_of_slice(name: str, columns: slice, n_features: int) -> NDArray[np.intp]:
    bounds = [bound for bound in (columns.start, columns.stop) if bound is not None]
    if any(not isinstance(bound, int | np.integer) for bound in (*bounds, columns.step or 1)):
        raise TypeError(f"bands: {name!r} has {columns}; expected a slice of whole numbers.")
    if any(bound > n_features or bound < -n_features for bound in bounds):
        raise ValueError(f"bands: {name!r} has {columns}, but X has {n_features} columns; expected bounds within them.")
    return np.arange(n_features)[columns]


def _check_cover(columns: Mapping[str, NDArray[np.intp]], n_features: int) -> None:
    """Refuse columns with no space, or with two."""
    times = np.bincount(np.concatenate(list(columns.values())), minlength=n_features)
    if (times > 1).any():
        shared = np.flatnonzero(times > 1)
        raise ValueError(f"bands: {len(shared)} columns are in more than one space ({_first(shared)}).")
    if (times == 0).any():
        left = np.flatnonzero(times == 0)
        raise ValueError(
            f"bands: {len(left)} of {n_features} columns of X are in no space ({_first(left)}); name them or "
            "remove them."
        )


def _first(columns: NDArray[np.intp]) -> str:
    more = len(columns) - NAMED
    return f"columns {', '.join(map(str, columns[:NAMED].tolist()))}" + (f" and {more} more" if more > 0 else "")
