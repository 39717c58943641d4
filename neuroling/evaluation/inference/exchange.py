"""Orders of samples: which may be exchanged, and a digest that says whether two nulls exchanged the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import lgamma, log
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neuroling.core.align import Aligned
from neuroling.core.protocols import Orders, Rows

Groups = Literal["auto", "within", "whole", "across"]
"""How samples of groups are exchanged."""

LARGE = 10
"""Samples from which a group is large enough that its samples are exchanged among themselves. A heuristic."""

FEWEST_ORDERS = 20
"""Orders below which p = 0.05 is out of reach."""


@dataclass(frozen=True)
class Exchange:
    """What may change places.

    Attributes
    ----------
    sets : tuple of ndarray of int
        Rows that may be exchanged among one another: samples of a group, or all.
    whole : tuple of tuple of ndarray of int
        Groups of equal size that may be exchanged as they are, by size. Empty where single samples are exchanged.
    method : str
        What is exchanged, in words.
    """

    sets: tuple[Rows, ...]
    whole: tuple[tuple[Rows, ...], ...]
    method: str

    @property
    def log_orders(self) -> float:
        """Logarithm of the number of different orders."""
        sizes = [len(groups) for groups in self.whole] if self.whole else [len(rows) for rows in self.sets]
        return sum(lgamma(size + 1) for size in sizes)

    def order(self, n_samples: int, rng: np.random.Generator) -> Rows:
        """Draw an order, shape (sample,).

        Parameters
        ----------
        n_samples : int
            Number of samples.
        rng : numpy.random.Generator
            Source of the order.
        """
        order = np.arange(n_samples)
        for rows in self.sets:
            order[rows] = rng.permutation(rows)
        for groups in self.whole:
            for group, source in zip(groups, rng.permutation(len(groups)), strict=True):
                order[group] = groups[source]
        return order


def exchange_of(data: Aligned, groups: Groups, group_by: str, rows: Rows | None = None) -> Exchange:
    """Say which samples may change places, by their groups.

    Parameters
    ----------
    data : Aligned
        Samples that may have a coordinate ``group_by``.
    groups : {"auto", "within", "whole", "across"}
        As in :class:`~neuroling.evaluation.inference.samples.Permutation`.
    group_by : str
        The sample coordinate that names the groups.
    rows : ndarray of int, optional
        Only these samples; all by default.

    Returns
    -------
    Exchange
        Rows in the order of their labels, so that participants with other orders of the same stimuli draw the same.

    Raises
    ------
    ValueError
        If ``groups`` is none of these, the coordinate is missing, or groups are too small, too few or too different.
    """
    if groups not in ("auto", "within", "whole", "across"):
        raise ValueError(f"groups: got {groups!r}; expected 'auto', 'within', 'whole' or 'across'.")
    labels = np.asarray(data.y.indexes["sample"])
    by_label = np.argsort(labels, kind="stable")
    rows = by_label if rows is None else by_label[np.isin(by_label, rows)]
    if group_by not in data.y.coords:
        if groups != "auto" or group_by != "group":
            data.coordinate(group_by)  # says which coordinates there are
        return _checked(Exchange((rows,), (), "samples"))
    names = data.coordinate(group_by)[rows]
    members = tuple(rows[names == name] for name in dict.fromkeys(np.sort(names).tolist()))
    sizes = np.array([len(group) for group in members])
    if groups == "auto":
        groups = _choice(sizes, group_by)
    if groups == "across":
        return _checked(Exchange((rows,), (), f"samples across values of {group_by!r}, as asked for"))
    if groups == "within":
        return _checked(Exchange(members, (), f"samples within {group_by}"))
    in_row_order = [np.sort(group) for group in members]
    whole = tuple(tuple(g for g in in_row_order if len(g) == size) for size in np.unique(sizes))
    return _checked(Exchange((), whole, f"whole groups of {_span(sizes)} samples by {group_by}"))


def _choice(sizes: NDArray[np.integer], group_by: str) -> Groups:
    if len(sizes) == 1 or sizes.min() >= LARGE:
        return "within"
    if sizes.max() < LARGE and len(np.unique(sizes)) == 1:
        return "whole"
    raise ValueError(
        f"groups: the {len(sizes)} values of {group_by!r} have {_span(sizes)} samples. Samples of a group may be more "
        f"alike than others, so they are exchanged within groups of at least {LARGE}, and smaller groups as a whole if "
        "all have the same size; neither holds here. Say which is meant: groups='within', groups='whole' (among groups "
        "of one size), or groups='across' if membership makes no difference to features or recording."
    )


def _span(sizes: NDArray[np.integer]) -> str:
    return str(sizes.min()) if sizes.min() == sizes.max() else f"{sizes.min()} to {sizes.max()}"


def _checked(exchange: Exchange) -> Exchange:
    if exchange.log_orders < log(FEWEST_ORDERS):
        raise ValueError(
            f"inference: {exchange.method} have fewer than {FEWEST_ORDERS} orders, too few for p = 0.05; expected more "
            "samples, or fewer and larger groups."
        )
    return exchange


class ItemOrders(Sequence[NDArray[np.intp]]):
    """Orders of pairs that follow from permutations of items, made when they are asked for.

    Parameters
    ----------
    data : Aligned
        With ``unit="item"``; every pair of its items occurs once.
    items : ndarray of int, shape (draw, item)
        Permutations of the items, in the order of ``data.items``.
    """

    def __init__(self, data: Aligned, items: NDArray[np.intp]) -> None:
        self.items = items
        self.first = np.searchsorted(data.items, data.coordinate("first"))
        self.second = np.searchsorted(data.items, data.coordinate("second"))
        n = len(data.items)
        pair = np.full((n, n), -1, dtype=np.intp)
        pair[self.first, self.second] = pair[self.second, self.first] = np.arange(data.n_samples)
        if data.n_samples != n * (n - 1) // 2 or (pair < 0).sum() > n:
            raise ValueError(
                f"data: {data.n_samples} pairs of {n} items; items can be exchanged only where each of the "
                f"{n * (n - 1) // 2} pairs occurs once."
            )
        self._pair = pair

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, draws):  # type: ignore[no-untyped-def]  # one order, or some of them
        items = self.items[draws]
        return self._pair[items[..., self.first], items[..., self.second]]

    def __iter__(self) -> Iterator[NDArray[np.intp]]:
        return (self[draw] for draw in range(len(self)))


def digest_of(data: Aligned, orders: Orders) -> str:
    """Give a digest of what is exchanged with what in every draw, by label.

    Parameters
    ----------
    data : Aligned
        The samples.
    orders : Orders
        Their orders.

    Returns
    -------
    str
        Equal for two recordings if the same labels change places in the same draws, in whatever order their rows are.
    """
    if isinstance(orders, ItemOrders):
        return _digest(data.items, orders.items)
    labels = np.asarray(data.y.indexes["sample"])
    by_label = np.argsort(labels, kind="stable")
    rank = np.empty_like(by_label)
    rank[by_label] = np.arange(len(by_label))
    return _digest(labels[by_label], rank[np.asarray(orders[:])[:, by_label]])


def _digest(labels: NDArray[np.generic], orders: NDArray[np.integer]) -> str:
    digest = hashlib.sha256("\x1f".join(map(str, labels.tolist())).encode("utf-8", "surrogatepass"))
    digest.update(f"{orders.shape}".encode())
    digest.update(np.ascontiguousarray(orders, dtype=np.int32).tobytes())
    return digest.hexdigest()


def changes_nothing(orders: Orders) -> NDArray[np.bool_]:
    """Say which orders leave every sample where it is, shape (draw,).

    Parameters
    ----------
    orders : Orders
        Orders of samples.
    """
    rows = orders.items if isinstance(orders, ItemOrders) else np.asarray(orders[:])
    return np.asarray((rows == np.arange(rows.shape[1])).all(axis=1))
