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
