"""Names of pairs of items: two items, two names; two pairs, two names."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

SEPARATOR = " | "
"""What stands between the two items of a pair."""


def name_pairs(first: ArrayLike, second: ArrayLike) -> NDArray[np.str_]:
    r"""Name pairs ``"a | b"``, in a way that no two pairs share.

    A vertical bar within an item is written ``\\|``, so that the only bar behind a blank is the one between the items.

    Parameters
    ----------
    first, second : array-like of str, shape (pair,)
        The two items of each pair.

    Returns
    -------
    ndarray of str, shape (pair,)

    Examples
    --------
    >>> [str(name) for name in name_pairs(["cat", "a"], ["dog", "b | c"])]
    ['cat | dog', 'a | b \\| c']
    """
    a, b = (np.asarray(items, dtype=np.str_) for items in (first, second))
    return np.char.add(np.char.add(_without_bars(a), SEPARATOR), _without_bars(b))


def _without_bars(items: NDArray[np.str_]) -> NDArray[np.str_]:
    if not np.char.count(items, "|").any():
        return items
    return np.array([item.replace("|", r"\|") for item in items.tolist()])  # numpy's own would cut what becomes longer


def items_of_pairs(names: Iterable[object]) -> list[str]:
    r"""Give the items that occur in names of pairs.

    Parameters
    ----------
    names : iterable of str
        As :func:`name_pairs` makes them.

    Returns
    -------
    list of str
        Each once, in the order in which they occur.

    Examples
    --------
    >>> items_of_pairs(name_pairs(["cat", "cat"], ["dog", "b | c"]))
    ['cat', 'dog', 'b | c']
    """
    items = (item.replace(r"\|", "|") for name in names for item in str(name).split(SEPARATOR))
    return list(dict.fromkeys(items))


def split_pairs(names: Iterable[object]) -> tuple[NDArray[np.str_], NDArray[np.str_]] | None:
    r"""Give the two items of every pair that :func:`name_pairs` named, or None where something else is named so.

    Parameters
    ----------
    names : iterable of str
        Labels of samples.

    Returns
    -------
    tuple of ndarray of str, shape (pair,), or None
        The first and the second items.

    Examples
    --------
    >>> [side.tolist() for side in split_pairs(["cat | dog", r"a | b \| c"])]
    [['cat', 'a'], ['dog', 'b | c']]
    >>> split_pairs(["cat", "dog"]) is None
    True
    """
    sides = [str(name).split(SEPARATOR) for name in names]
    if any(len(items) != 2 for items in sides):
        return None
    first, second = (np.array([items[side].replace(r"\|", "|") for items in sides]) for side in (0, 1))
    return first, second
