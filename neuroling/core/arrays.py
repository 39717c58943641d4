"""The gate for arrays that callers hand over: read step by step into plain numbers, or refused in a sentence.

The steps of :func:`read_numbers`, each a function of its own:

1. :func:`refuse_what_is_no_array`: nothing, text, generators, mappings, sparse matrices;
2. :func:`plain_array`: tensors (detached), masked arrays (refused where a value is masked), data frames, labelled
   arrays and nested lists (refused where ragged) become a numpy array;
3. :func:`real_numbers`: text, complex numbers, dates and lossy objects are refused, narrow types are widened.

Row labels of data frames and labelled arrays travel along, so that :func:`refuse_other_labels` can compare them: rows
are never matched by position where their labels say something else.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Set
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.notices import warn

NAMED = 5
"""How many rows, columns or labels a message names."""

LARGEST_EXACT_INTEGER = 2**53
"""Integers beyond this are not all held by float64."""


class Numbers(NamedTuple):
    """What was read from an argument.

    Attributes
    ----------
    values : ndarray
        float32 or float64.
    labels : pandas.Index or None
        Labels of its rows, where the argument had some.
    """

    values: NDArray[np.floating[Any]]
    labels: pd.Index | None


def read_numbers(name: str, values: object, *, narrow: type[np.floating[Any]] = np.float64) -> Numbers:
    """Read an argument as real numbers, or say why it holds none.

    Parameters
    ----------
    name : str
        Name of the argument; every message begins with it.
    values : array-like
        Array, list of lists, data frame, series, labelled array, masked array without masked values, or tensor (of any
        device, with or without gradient).
    narrow : type
        What booleans and integers of at most 16 bits become; float32 holds them all.

    Returns
    -------
    Numbers
        float32 stays float32, float16 becomes float32 (with the warning ``half-precision``), all else float64.

    Raises
    ------
    TypeError
        If it is no array, or holds something else than numbers.
    ValueError
        If it is ragged, sparse or complex, or values are masked or missing.

    Examples
    --------
    >>> read_numbers("X", [[1, 2], [3, 4]]).values
    array([[1., 2.],
           [3., 4.]])
    >>> read_numbers("X", [[1, 2], [3]])
    Traceback (most recent call last):
        ...
    ValueError: X: got rows of different lengths (2 and 1, in rows 0 and 1); expected as many values in every row.
    """
    refuse_what_is_no_array(name, values)
    array, labels = plain_array(name, values)
    if array.dtype.kind in "biu" and array.dtype.itemsize <= 2:
        return Numbers(array.astype(narrow), labels)
    return Numbers(real_numbers(name, array), labels)


def refuse_what_is_no_array(name: str, value: object) -> None:
    """Refuse nothing, text, generators, mappings, sets and sparse matrices.

    Parameters
    ----------
    name : str
        Name of the argument.
    value : object
        What was handed over.
    """
    kind = type(value).__name__
    if value is None:
        raise ValueError(f"{name}: got None; expected an array of real numbers.")
    if isinstance(value, str | bytes | bytearray):
        raise TypeError(f"{name}: got {kind} {value[:40]!r}; expected an array of real numbers.")
    if not isinstance(value, np.ndarray | pd.DataFrame | pd.Series) and _is_sparse(value):
        raise TypeError(f"{name}: got a sparse {kind}; expected a dense array. Convert it with .toarray() first.")
    if isinstance(value, Iterator):
        raise TypeError(
            f"{name}: got a {kind}, which can be read only once; expected an array. Turn it into a list first."
        )
    if isinstance(value, Mapping | Set | xr.Dataset):
        raise TypeError(f"{name}: got a {kind}; expected one array of real numbers. Choose one of its entries.")
    if isinstance(value, pd.DataFrame) and any(isinstance(dtype, pd.SparseDtype) for dtype in value.dtypes):
        raise TypeError(f"{name}: got a DataFrame with sparse columns; expected dense numbers: .sparse.to_dense().")


def _is_sparse(value: object) -> bool:
    from scipy.sparse import issparse

    return bool(issparse(value)) or bool(getattr(value, "is_sparse", False))


def plain_array(name: str, value: object) -> tuple[NDArray[Any], pd.Index | None]:
    """Turn tensors, masked arrays, data frames, labelled arrays and lists into a numpy array, with labels of rows.

    Parameters
    ----------
    name : str
        Name of the argument.
    value : object
        What was handed over.

    Returns
    -------
    array : ndarray
        Of any type.
    labels : pandas.Index or None
        Labels of the rows.
    """
    if isinstance(value, pd.DataFrame | pd.Series):
        return _from_pandas(name, value), row_labels(value)
    if isinstance(value, xr.DataArray):
        if "sample" in value.dims and value.dims[0] != "sample":
            raise ValueError(
                f"{name}: got axes {value.dims}; expected samples along the first. Use .transpose('sample', …)."
            )
        return np.asarray(value.to_numpy()), row_labels(value)
    if callable(getattr(value, "detach", None)) and type(value).__module__.partition(".")[0] == "torch":
        return _from_tensor(name, value), None
    if isinstance(value, np.ma.MaskedArray):
        return _unmasked(name, value), None
    return _from_sequence(name, value), None


def row_labels(value: object) -> pd.Index | None:
    """Give the labels of the rows of a data frame, series or labelled array; None of anything else.

    Parameters
    ----------
    value : object
        An argument.
    """
    if isinstance(value, pd.DataFrame | pd.Series):
        return value.index
    return value.indexes.get("sample") if isinstance(value, xr.DataArray) else None


def _from_pandas(name: str, frame: pd.DataFrame | pd.Series) -> NDArray[Any]:
    """Values of columns of numbers; a message names columns that are none."""
    columns = frame.to_frame() if isinstance(frame, pd.Series) else frame
    wrong = [
        (str(label), str(dtype))
        for label, dtype in columns.dtypes.items()
        if not (pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_object_dtype(dtype))
    ]
    if wrong:
        raise TypeError(
            f"{name}: {len(wrong)} of {columns.shape[1]} columns hold no numbers, first {wrong[:NAMED]} (column, "
            "type); expected real numbers. Leave these columns out or encode them."
        )
    nullable = {label: dtype.numpy_dtype for label, dtype in columns.dtypes.items() if hasattr(dtype, "numpy_dtype")}
    if nullable:
        missing = columns.isna().to_numpy()
        if missing.any():
            raise ValueError(f"{name}: {_counted(missing, 'missing (NA)')}. {MEND}")
        columns = columns.astype(nullable)
    array = columns.to_numpy()
    return array[:, 0] if isinstance(frame, pd.Series) else array


def _from_tensor(name: str, foreign_tensor: Any) -> NDArray[Any]:
    """Values of a tensor of any device, without its gradient."""
    import torch

    tensor: torch.Tensor = foreign_tensor.detach()
    if tensor.is_complex():
        raise _complex(name, str(tensor.dtype))
    if tensor.dtype == torch.bfloat16:
        warn(
            "half-precision",
            name,
            f"got bfloat16, which holds two digits; {tensor.numel()} values are widened to float32.",
        )
    try:
        wide = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
        return np.asarray(wide.cpu().numpy())
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise TypeError(
            f"{name}: got a {tensor.dtype} tensor on {tensor.device} that cannot be read ({error}); expected numbers."
        ) from error


def _complex(name: str, what: str) -> ValueError:
    return ValueError(f"{name}: got complex values ({what}). Complex data not supported; expected real ones.")


def _unmasked(name: str, masked_array: np.ma.MaskedArray[Any, Any]) -> NDArray[Any]:
    masked = np.ma.getmaskarray(masked_array)
    if masked.any():
        raise ValueError(
            f"{name}: got a masked array in which {_counted(masked, 'masked')}; what stands behind a mask is no data. "
            "Leave those rows or columns out, or fill them in knowingly with .filled(value)."
        )
    return np.asarray(masked_array.data)


def _from_sequence(name: str, sequence: Any) -> NDArray[Any]:
    """Values of arrays and nested lists, whose rows have to be equally long."""
    if isinstance(sequence, list | tuple) and any(isinstance(row, np.ma.MaskedArray) for row in sequence):
        sequence = [_unmasked(f"{name}: row {number}", np.ma.asarray(row)) for number, row in enumerate(sequence)]
    if isinstance(sequence, list | tuple) and any(callable(getattr(row, "detach", None)) for row in sequence):
        sequence = [plain_array(name, row)[0] for row in sequence]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getattr(np.exceptions, "VisibleDeprecationWarning", DeprecationWarning))
            array = np.asarray(sequence)
    except (ValueError, TypeError, RuntimeError) as error:
        raise _ragged(name, sequence) or TypeError(
            f"{name}: got {type(sequence).__name__}, which numpy cannot read ({error}); expected an array of numbers."
        ) from error
    if array.ndim == 0 and array.dtype == object:
        raise TypeError(f"{name}: got {type(sequence).__name__}; expected an array of real numbers.")
    return np.asarray(array)


def _ragged(name: str, given: Any) -> ValueError | None:
    try:
        lengths = [len(row) if hasattr(row, "__len__") else 1 for row in given]
    except TypeError:
        return None
    other = next((number for number, length in enumerate(lengths) if length != lengths[0]), None)
    if other is None:
        return None
    return ValueError(
        f"{name}: got rows of different lengths ({lengths[0]} and {lengths[other]}, in rows 0 and {other}); expected "
        "as many values in every row."
    )


def real_numbers(name: str, array: NDArray[Any]) -> NDArray[np.floating[Any]]:
    """Turn an array of any type into float32 or float64, or refuse it where that would lose something.

    Parameters
    ----------
    name : str
        Name of the argument.
    array : ndarray
        Any shape.

    Returns
    -------
    ndarray, same shape
        The array itself where it is float32 or float64 in native byte order.
    """
    kind = array.dtype.kind
    if kind == "c":
        raise _complex(name, str(array.dtype))
    if kind == "O":
        return _from_objects(name, array)
    if kind not in "fiub":
        what = {"U": "text", "S": "bytes", "M": "dates", "m": "durations", "V": "records", "T": "text"}.get(kind, kind)
        raise TypeError(f"{name}: got {what} ({array.dtype}); expected real numbers. Convert them knowingly first.")
    if kind in "iu" and array.dtype.itemsize == 8 and array.size and _beyond_float64(array):
        raise ValueError(
            f"{name}: got integers beyond ±2^53, which float64 rounds; expected numbers that are measured, not labels."
        )
    if array.dtype == np.float16:
        warn(
            "half-precision",
            name,
            f"got float16, which holds three digits and nothing beyond 65,504; the {array.size} values are computed "
            "with in float32. Keep features and recordings in float32 where you can.",
        )
        return array.astype(np.float32)
    if array.dtype in (np.float32, np.float64):
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    return array.astype(np.float64)


def _beyond_float64(array: NDArray[Any]) -> bool:
    return int(array.max()) > LARGEST_EXACT_INTEGER or int(array.min()) < -LARGEST_EXACT_INTEGER


def _from_objects(name: str, array: NDArray[np.object_]) -> NDArray[np.float64]:
    """Numbers that were stored as objects; text is not read as numbers, and nothing is rounded."""
    allowed = (Real, np.number, np.bool_, Decimal, Fraction)
    for index, value in np.ndenumerate(array):
        if value is None or value is pd.NA or value is pd.NaT:
            raise ValueError(f"{name}: the value at {_at(index)} is missing ({value}). {MEND}")
        if isinstance(value, complex | np.complexfloating):
            raise _complex(name, f"at {_at(index)}")
        if not isinstance(value, allowed):
            raise TypeError(
                f"{name}: got {type(value).__name__} at {_at(index)}; every value of this argument must be no string, "
                "list or other object, but a real number."
            )
        if isinstance(value, int) and abs(value) > LARGEST_EXACT_INTEGER:
            raise ValueError(f"{name}: the integer at {_at(index)} is beyond ±2^53, which float64 rounds.")
    return array.astype(np.float64)


def _at(index: tuple[int, ...]) -> str:
    names = ("row", "column")
    if len(index) > len(names):
        return f"position {index}"
    return ", ".join(f"{axis} {number}" for axis, number in zip(names, index, strict=False))


MEND = "Leave those rows or columns out, or impute the values, knowingly and inside the training set."


def _counted(bad: NDArray[np.bool_], name_of_values: str) -> str:
    """Say how many values are bad, and in which rows and columns."""
    table = bad.reshape(len(bad), -1) if bad.ndim else bad.reshape(1, 1)
    rows, columns = np.flatnonzero(table.any(1)), np.flatnonzero(table.any(0))
    where = f"in {len(rows)} rows (first {rows[:NAMED].tolist()})"
    if table.shape[1] > 1:
        where += f" and {len(columns)} columns (first {columns[:NAMED].tolist()})"
    return f"{int(bad.sum())} of {bad.size} values are {name_of_values}, {where}"


def check_labelled(name: str, value: object, *, finite: bool = True) -> None:
    """Refuse what is no labelled array of real numbers, is empty, or holds values that are not finite.

    Parameters
    ----------
    name : str
        Name of the argument.
    value : object
        Wanted as an ``xarray.DataArray``.
    finite : bool
        Whether NaN and infinity are refused.
    """
    if not isinstance(value, xr.DataArray):
        raise TypeError(f"{name}: got {type(value).__name__}; expected an xarray.DataArray with labelled axes.")
    if value.dtype.kind not in "fiub":
        what = " (complex)" if value.dtype.kind == "c" else ""
        raise TypeError(f"{name}: got values of type {value.dtype}{what}; expected real numbers.")
    for dim, size in value.sizes.items():
        if size == 0:
            raise ValueError(f"{name}: the axis {dim!r} is empty; expected at least one entry.")
    if finite and value.dtype.kind == "f":
        refuse_not_finite(name, value.to_numpy())


def check_table(name: str, value: object) -> None:
    """Refuse what is no table, or has a column name twice, so that a name says not which column is meant.

    Parameters
    ----------
    name : str
        Name of the argument.
    value : object
        Wanted as a ``pandas.DataFrame``.
    """
    if not isinstance(value, pd.DataFrame):
        raise TypeError(f"{name}: got {type(value).__name__}; expected a pandas.DataFrame.")
    if not value.columns.is_unique:
        twice = value.columns[value.columns.duplicated()].unique()
        raise ValueError(
            f"{name}: {len(twice)} column names occur more than once, first {list(twice[:NAMED])}, so a name says not "
            "which column is meant; rename or drop the others."
        )


def refuse_not_finite(name: str, values: NDArray[np.floating[Any]]) -> None:
    """Refuse NaN and infinity, and say how many and where.

    Parameters
    ----------
    name : str
        Name of the argument.
    values : ndarray
        Any shape.

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        total = values.sum()
    if np.isfinite(total):
        return
    bad = ~np.isfinite(values)
    if bad.any():  # a sum can overflow where no value is infinite
        raise ValueError(f"{name}: {_counted(bad, 'NaN or infinite')}. {MEND}")


def refuse_extreme(name: str, values: NDArray[np.floating[Any]]) -> None:
    """Refuse values whose squares would overflow float64, or all of which would vanish there.

    Parameters
    ----------
    name : str
        Name of the argument.
    values : ndarray
        Finite, any shape.

    Raises
    ------
    ValueError
        If they are too large or too small to be squared.
    """
    largest = max(abs(float(values.max())), abs(float(values.min()))) if values.size else 0.0
    top, bottom = np.sqrt(np.finfo(np.float64).max) / 1e6, np.sqrt(np.finfo(np.float64).tiny) * 1e6
    if largest > top:
        raise ValueError(
            f"{name}: values reach {largest:.1e}, and sums of their squares would overflow; expected at most "
            f"{top:.0e}. Express them in a larger unit."
        )
    if 0 < largest < bottom:
        raise ValueError(
            f"{name}: no value is larger than {largest:.1e}, and their squares would vanish; expected at least "
            f"{bottom:.0e}. Express them in a smaller unit."
        )


def largest_of(values: NDArray[np.floating[Any]]) -> float:
    """Give the largest absolute value, NaN passed over, without a copy of the values.

    Parameters
    ----------
    values : ndarray
        Any shape, not empty.

    Returns
    -------
    float
        NaN if every value is.
    """
    return float(max(np.fmax.reduce(values, axis=None), -np.fmin.reduce(values, axis=None)))


def near_one(values: xr.DataArray) -> xr.DataArray:
    """Divide values in extreme units by one power of two, which changes no agreement and loses nothing.

    Parameters
    ----------
    values : xarray.DataArray
        Patterns or dissimilarities, of which agreement takes no unit; NaN is passed over.

    Returns
    -------
    xarray.DataArray
        The same array where its unit is not extreme.
    """
    if not isinstance(values, xr.DataArray) or values.dtype.kind != "f" or values.size == 0:
        return values  # refused or converted by those who check
    largest = largest_of(values.to_numpy())
    power = int(np.frexp(largest)[1]) - 1
    if not np.isfinite(largest) or largest == 0 or abs(power) <= MODERATE:
        return values
    wide = values.to_numpy().astype(np.float64, copy=False)
    return values.copy(data=np.ldexp(wide, -power).astype(values.dtype))


MODERATE = 20
"""Power of two up to which a unit is not extreme: sums of fourth powers stay within float32. A heuristic."""


def each_near_one(models: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Divide each model by a power of two next to its largest value.

    Parameters
    ----------
    models : ndarray, shape (model, pair)
        Finite, none of them zero throughout.

    Returns
    -------
    ndarray, shape (model, pair)
    """
    largest = np.abs(models).max(axis=1, keepdims=True)
    return np.asarray(np.ldexp(models, 1 - np.frexp(largest)[1]))


def refuse_other_labels(names: tuple[str, str], labels: tuple[pd.Index | None, pd.Index | None], n_rows: int) -> None:
    """Refuse two arguments whose rows are labelled otherwise: rows are matched by label, never by position.

    Parameters
    ----------
    names : tuple of str
        Names of the two arguments.
    labels : tuple of pandas.Index or None
        Labels of their rows; nothing is checked where one has none.
    n_rows : int
        Number of rows of both.

    Raises
    ------
    ValueError
        If both have labels and these differ, or stand in another order.
    """
    first_labels, other_labels = labels
    if first_labels is None or other_labels is None or first_labels.equals(other_labels):
        return
    first_name, other = names
    if first_labels.is_unique and other_labels.is_unique and set(first_labels) == set(other_labels):
        position = int(np.flatnonzero(np.asarray(first_labels != other_labels))[0])
        raise ValueError(
            f"{first_name}, {other}: their {n_rows} rows have the same labels in another order (row {position} is "
            f"{first_labels[position]!r} in {first_name} and {other_labels[position]!r} in {other}); expected the "
            f"same order. Reorder one by label: {other} = {other}.loc[{first_name}.index]."
        )
    alone = first_labels.difference(other_labels, sort=False)
    raise ValueError(
        f"{first_name}, {other}: their row labels differ ({len(alone)} of {n_rows} stand in {first_name} alone, first "
        f"{alone[:NAMED].tolist()}; {other} begins with {other_labels[:NAMED].tolist()}), so nothing says which row is "
        f"which. Select the same labels on both sides, or, if rows match by position, hand over {other}.to_numpy()."
    )
