"""What RSA asks of arrays before it compares anything: real numbers, finite, in a unit that their type holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.arrays import check_labelled, largest_of
from neuroling.core.axes import check_axes
from neuroling.core.notices import warn
from neuroling.numerics.rdm.comparison import LEAST_PAIRS

Array = NDArray[np.floating[Any]]


def check_numbers(recording: xr.DataArray, name: str = "recording") -> None:
    """Refuse what is no labelled array of real numbers, is empty, or holds infinite values.

    Parameters
    ----------
    recording : xarray.DataArray
        Such as a recording.
    name : str
        What the argument is called; opens the message.
    """
    check_labelled(name, recording, finite=False)
    check_axes(name, recording.dims)
    refuse_infinite(name, recording)


def refuse_infinite(name: str, values: xr.DataArray) -> None:
    """Refuse infinite values; NaN is passed over.

    Parameters
    ----------
    name : str
        What the argument is called; opens the message.
    values : xarray.DataArray
        Not empty.
    """
    if values.dtype.kind == "f" and np.isinf(largest_of(values.values)):
        raise ValueError(
            f"{name}: {int(np.isinf(values.values).sum())} of {values.size} values are infinite; expected "
            "numbers, or NaN where they are missing."
        )


def refuse_extreme_units(values: Array) -> None:
    """Refuse values whose squares their type does not hold; NaN is passed over.

    Parameters
    ----------
    values : ndarray
        Of a recording, not empty.
    """
    largest, kind = largest_of(values), np.finfo(values.dtype)
    if np.isnan(largest):
        raise ValueError("recording: every value is NaN, so there is nothing to compare.")
    top, bottom = float(np.sqrt(kind.max)) / 1e3, float(np.sqrt(kind.smallest_normal)) * 1e3
    if largest > top or 0 < largest < bottom:
        raise ValueError(
            f"recording: values reach {largest:.1e}, whose squares {values.dtype} does not hold; expected {bottom:.0e} "
            f"to {top:.0e}. Express them in another unit, or hand over float64."
        )


def warn_of_undefined(scores: Array) -> None:
    """Warn of undefined scores, once for all.

    Parameters
    ----------
    scores : ndarray
        Any shape.
    """
    undefined = int(np.isnan(scores).sum())
    if undefined:
        warn(
            "undefined-scores",
            "recording",
            f"{undefined} of {scores.size} scores are undefined (NaN), because dissimilarities there are all equal or "
            f"missing, but for fewer than {LEAST_PAIRS} pairs.",
        )
