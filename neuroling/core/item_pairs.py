"""Pairs of items in condensed order: (0, 1), (0, 2), …, (1, 2), …, by their labels and never by their number alone."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray


def item_order(first: NDArray[np.generic], second: NDArray[np.generic]) -> NDArray[np.generic] | None:
    """Give the order of items in which their pairs are condensed, or None if they are not all pairs in such an order.

    Parameters
    ----------
    first, second : ndarray, shape (pair,)
        The two items of each pair; either may stand first.

    Returns
    -------
    ndarray, shape (item,), or None

    Examples
    --------
    >>> item_order(np.array(["b", "b", "a"]), np.array(["a", "c", "c"])).tolist()
    ['b', 'a', 'c']
    """
    items = np.union1d(first, second)
    n_items = len(items)
    if len(first) != n_items * (n_items - 1) // 2 or n_items < 3:
        return None
    heads = np.intersect1d([first[0], second[0]], [first[1], second[1]])
    if len(heads) != 1:
        return None
    others = np.where(first[: n_items - 1] == heads[0], second[: n_items - 1], first[: n_items - 1])
    order = np.concatenate([heads, others])
    left, right = (order[places] for places in np.triu_indices(n_items, 1))
    same = ((left == first) & (right == second)) | ((left == second) & (right == first))
    return order if bool(same.all()) else None


def in_condensed_order(pairs: xr.DataArray, name: str) -> xr.DataArray:
    """Bring all pairs of some items into condensed order, by label; as they are where they stand in such an order.

    Parameters
    ----------
    pairs : xarray.DataArray
        With pairs along ``sample``, and their items as coordinates ``first`` and ``second``. Without these, pairs are
        taken to stand in the order that ``rdms`` gives.
    name : str
        Argument that they came by; opens the message.

    Returns
    -------
    xarray.DataArray

    Raises
    ------
    ValueError
        If a pair is missing or stands there twice.
    """
    n_pairs = pairs.sizes["sample"]
    if not {"first", "second"} <= set(pairs.coords):
        n_items = int((1 + np.sqrt(1 + 8 * n_pairs)) / 2)
        if n_items * (n_items - 1) // 2 != n_pairs:
            raise ValueError(
                f"{name}: {n_pairs} pairs are not all pairs of any number of items; expected 6, 10, 15, …, one for "
                "every two items. Fill in missing pairs with NaN, or select the items that have all."
            )
        return pairs
    first, second = (np.asarray(pairs.coords[side]) for side in ("first", "second"))
    if item_order(first, second) is not None:
        return pairs
    items = np.union1d(first, second)
    codes = [np.searchsorted(items, side) for side in (first, second)]
    low, high = np.minimum(*codes), np.maximum(*codes)
    place = np.full((len(items), len(items)), -1)
    place[low, high] = np.arange(n_pairs)
    order = place[np.triu_indices(len(items), 1)]
    missing = int((order < 0).sum())
    if missing or len(order) != n_pairs:
        raise ValueError(
            f"{name}: {n_pairs} pairs of {len(items)} items, of which {missing} pairs are missing and "
            f"{n_pairs - len(order) + missing} occur twice or pair an item with itself; expected every two items once. "
            "Fill in missing pairs with NaN, or select the items that have all."
        )
    return pairs.isel(sample=order)
