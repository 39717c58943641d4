"""A table of trials as aligned data: predictors, outcome, and the labels of participants and items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.align import Aligned, align
from neuroling.core.arrays import check_table


def align_table(
    table: pd.DataFrame,
    outcome: str,
    features: Sequence[str],
    *,
    labels: Sequence[str] | None = None,
    group: str | None = None,
) -> Aligned:
    """Make aligned data of a table with one row per trial (or other observation).

    Parameters
    ----------
    table : pandas.DataFrame
        One row per observation. ``attrs["synthetic"]`` says whether the numbers are made up.
    outcome : str
        Numeric column that is to be explained.
    features : sequence of str
        Numeric columns that predict. Code conditions with :func:`~neuroling.evaluation.mixed.contrast`.
    labels : sequence of str, optional
        Columns that become coordinates of the samples, such as ``["participant", "item"]``. All others by default.
    group : str, optional
        One of the labels, whose observations no split may separate, such as ``"item"``: scikit-learn's ``GroupKFold``
        then holds whole items out.

    Returns
    -------
    Aligned
        Features (sample, feature) and the outcome (sample,), for ``estimate`` and ``evaluate``.

    Raises
    ------
    TypeError, ValueError
        If a column is missing, is no number, has gaps, or is constant where it must vary.

    Examples
    --------
    >>> table = pd.DataFrame({"rt": [310.0, 350, 330, 390], "length": [3, 5, 4, 7], "reader": ["a", "a", "b", "b"]})
    >>> data = align_table(table, "rt", ["length"], group="reader")
    >>> data.x.dims, data.groups().tolist()
    (('sample', 'feature'), ['a', 'a', 'b', 'b'])
    """
    check_table("table", table)
    if isinstance(features, str):
        raise TypeError(f"features: got the str {features!r}; expected a list of columns such as [{features!r}].")
    features = [str(name) for name in features]
    if not features:
        raise ValueError("features: none named; expected at least one numeric column of the table.")
    doubled = sorted({name for name in features if features.count(name) > 1})
    if doubled or outcome in features:
        raise ValueError(f"features: {doubled or [outcome]} named twice, as features or as outcome; name each once.")
    values = np.column_stack([_numbers(table, name) for name in (outcome, *features)])
    chosen = _label_columns(table, [outcome, *features], labels)
    if group is not None and group not in chosen:
        raise ValueError(f"group: got {group!r}; expected one of the labels {chosen}.")
    coords: dict[str, object] = {name: ("sample", _label_values(table, name)) for name in chosen}
    if group is not None:
        coords["group"] = coords[group]
    coords["sample"] = [f"row {row}" for row in range(len(table))]
    outcomes = xr.DataArray(values[:, 0], dims="sample", coords=coords, name=outcome)
    if "synthetic" in table.attrs:
        outcomes.attrs["synthetic"] = int(bool(table.attrs["synthetic"]))
    predictors = xr.DataArray(
        values[:, 1:], dims=("sample", "feature"), coords={"sample": coords["sample"], "feature": features}
    )
    return align(predictors, outcomes)


def _label_columns(table: pd.DataFrame, used: Sequence[str], labels: Sequence[str] | None) -> list[str]:
    if isinstance(labels, str):
        raise TypeError(f"labels: got the str {labels!r}; expected a list of columns such as [{labels!r}].")
    chosen = [str(name) for name in (table.columns if labels is None else labels)]
    absent = [name for name in chosen if name not in table]
    if absent:
        raise ValueError(f"labels: no columns {absent}; the table has {list(map(str, table.columns))}.")
    return [name for name in chosen if name not in used and name not in ("sample", "feature")]


def _numbers(table: pd.DataFrame, name: str) -> np.ndarray:
    if name not in table:
        raise ValueError(f"{name}: no such column; the table has {list(map(str, table.columns))}.")
    column = table[name]
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
        raise TypeError(
            f"{name}: a column of {column.dtype}; expected numbers. Code a condition with contrast(table[{name!r}], "
            "plus, minus)."
        )
    missing = int(column.isna().sum())
    if missing:
        raise ValueError(f"{name}: {missing} of {len(column)} rows are missing (NaN); leave those rows out.")
    return column.to_numpy(dtype=np.float64)


def _label_values(table: pd.DataFrame, name: str) -> np.ndarray:
    column = table[name]
    missing = int(column.isna().sum())
    if missing:
        raise ValueError(
            f"{name}: {missing} of {len(column)} rows have no label; leave those rows out, or name the columns that "
            "are needed with labels=[…]."
        )
    is_number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_extension_array_dtype(column.dtype)
    return column.to_numpy() if is_number else column.astype(str).to_numpy(dtype=object)
