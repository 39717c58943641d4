"""Checks of what a network, its training and its envelopes are made of: numbers, whole numbers, spans of ticks."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from numbers import Integral, Real

import numpy as np


def check_number(name: str, value: object, expected: str = "a finite number") -> float:
    """Give a finite number, or say what was given instead.

    Parameters
    ----------
    name : str
        Of the argument.
    value : object
        What was given; a truth value is no number.
    expected : str
        What the sentence says was expected.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is NaN or infinite.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"{name}: got {value!r}; expected {expected}.")
    if not isfinite(value):
        raise ValueError(f"{name}: got {value}; expected {expected}.")
    return float(value)


def check_whole(name: str, value: object, least: int, what: str) -> int:
    """Give a whole number of ``least`` or more, or say what was given instead.

    Parameters
    ----------
    name : str
        Of the argument.
    value : object
        What was given.
    least : int
        Smallest value.
    what : str
        What is counted, such as ``"ticks"``.

    Raises
    ------
    TypeError
        If it is no whole number.
    ValueError
        If it is too small.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise TypeError(f"{name}: got {value!r}; expected {name} of {least} or more, a whole number of {what}.")
    if value < least:
        raise ValueError(f"{name}: got {value}; expected {name} of {least} or more, a whole number of {what}.")
    return int(value)


def check_span(name: str, span: object, least: int) -> tuple[int, int]:
    """Give the fewest and most ticks of a span, or say what was given instead.

    Parameters
    ----------
    name : str
        Of the argument.
    span : object
        What was given.
    least : int
        Smallest number of ticks.

    Raises
    ------
    TypeError
        If it is no pair of whole numbers.
    ValueError
        If they are too small, or the fewest come last.
    """
    expected = f"fewest and most ticks, {least} or more, the fewest first"
    pair = list(span) if isinstance(span, Sequence | np.ndarray) and not isinstance(span, str) else []
    if len(pair) != 2 or not all(isinstance(one, Integral) and not isinstance(one, bool) for one in pair):
        raise TypeError(f"{name}: got {span!r}; expected two whole numbers: {expected}.")
    if not least <= pair[0] <= pair[1]:
        raise ValueError(f"{name}: got {span}; expected {expected}.")
    return int(pair[0]), int(pair[1])
