"""Splitters beside scikit-learn's own: leave-p-out pairs, gaps on a time axis, items of pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroling.core.align import Aligned
from neuroling.core.protocols import Rows, Split, Splitter


@dataclass(frozen=True)
class LeavePOut:
    """Hold out every subset of ``p`` samples once, or a random sample of the subsets.

    Parameters
    ----------
    p : int
        How many samples to hold out at a time; two for the 2008 protocol.
    n_subsets : int, optional
        Draw so many different subsets instead of taking all.
    rng : int
        Seed of the draw.

    Examples
    --------
    >>> len(list(LeavePOut(2).split(np.zeros((60, 1)))))
    1770
    """

    p: int = 2
    n_subsets: int | None = None
    rng: int = 0

    def split(self, X: ArrayLike, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:  # noqa: ARG002
        """Yield row numbers of training and test sets.

        Parameters
        ----------
        X : array-like, shape (sample, …)
            Only its length counts.
        y, groups : ignored
            Part of scikit-learn's signature.
        """
        n = len(np.asarray(X))
        if not 0 < self.p < n:
            raise ValueError(f"p: got {self.p} with {n} samples; expected between 1 and {n - 1}.")
        for test in self._subsets(n):
            yield np.setdiff1d(np.arange(n), test), test

    def _subsets(self, n: int) -> Iterator[Rows]:
        total = comb(n, self.p)
        if self.n_subsets is None:
            yield from (np.array(subset) for subset in combinations(range(n), self.p))
            return
        if not 0 < self.n_subsets <= total:
            raise ValueError(f"n_subsets: got {self.n_subsets}; there are {total} subsets of {self.p} out of {n}.")
        rng, seen = np.random.default_rng(self.rng), set[tuple[int, ...]]()
        while len(seen) < self.n_subsets:
            subset = tuple(sorted(rng.choice(n, self.p, replace=False).tolist()))
            if subset not in seen:
                seen.add(subset)
                yield np.array(subset)


@dataclass(frozen=True)
class ContiguousFolds:
    """Cut a time axis into stretches; leave a gap between what is trained on and what is tested.

    Slow noise and slow features make neighbouring volumes alike, so a model tested next to its training rows is
    rewarded for nothing. With groups (runs, stories), each group is cut by itself and a gap never reaches into
    another group.

    Parameters
    ----------
    n_splits : int
        Number of folds, at least two.
    gap : int
        Volumes left out on either side of a test stretch: at least the longest delay plus the autocorrelation
        length.
    """

    n_splits: int = 5
    gap: int = 0

    def split(self, X: ArrayLike, y: Any = None, groups: ArrayLike | None = None) -> Iterator[tuple[Rows, Rows]]:  # noqa: ARG002
        """Yield row numbers of training and test sets.

        Parameters
        ----------
        X : array-like, shape (sample, …)
            Rows consecutive in time within each group.
        y : ignored
            Part of scikit-learn's signature.
        groups : array-like, optional, shape (sample,)
            Run or story of each row.
        """
        n = len(np.asarray(X))
        group = np.zeros(n) if groups is None else np.asarray(groups)
        if self.n_splits < 2:
            raise ValueError(f"n_splits: got {self.n_splits}; expected at least two folds.")
        if self.gap < 0:
            raise ValueError(f"gap: got {self.gap}; expected 0 or more volumes.")
        runs = [np.flatnonzero(group == label) for label in dict.fromkeys(group.tolist())]
        short = min(len(run) for run in runs)
        if short < self.n_splits:
            raise ValueError(f"n_splits: got {self.n_splits}, but the shortest run has {short} volumes.")
        cuts = [np.array_split(run, self.n_splits) for run in runs]
        for fold in range(self.n_splits):
            train = [self._outside(run, cut[fold]) for run, cut in zip(runs, cuts, strict=True)]
            rows = np.concatenate(train)
            if len(rows) < 2:
                raise ValueError(f"gap: {self.gap} volumes on either side leave {len(rows)} training rows of {n}.")
            yield np.sort(rows), np.sort(np.concatenate([cut[fold] for cut in cuts]))

    def _outside(self, run: Rows, test: Rows) -> Rows:
        place = np.arange(len(run))
        start, stop = np.searchsorted(run, test[0]), np.searchsorted(run, test[-1])
        return run[(place < start - self.gap) | (place > stop + self.gap)]


@dataclass(frozen=True)
class ByItem:
    """Split pairs by their items: a pair is trained on or tested only if both its items are.

    Pairs that straddle the two sides are dropped, since they would carry a test item into training.

    Parameters
    ----------
    splitter : splitter
        Any splitter, applied to the items.
    first, second : ndarray, shape (pair,)
        Labels of the two items of each pair.
    """

    splitter: Splitter
    first: NDArray[np.generic]
    second: NDArray[np.generic]

    @classmethod
    def of(cls, splitter: Splitter, data: Aligned) -> ByItem:
        """Take the items from pairs that have been aligned.

        Parameters
        ----------
        splitter : splitter
            Any splitter, applied to the items.
        data : Aligned
            With ``unit="item"``.
        """
        if data.unit != "item":
            raise ValueError(f"data: samples are exchanged by {data.unit!r}, not pairs of items; ByItem needs pairs.")
        return cls(splitter, data.coordinate("first"), data.coordinate("second"))

    def split(self, X: ArrayLike, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:  # noqa: ARG002
        """Yield row numbers of training and test pairs.

        Parameters
        ----------
        X : array-like, shape (pair, …)
            Only its length counts.
        y, groups : ignored
            Part of scikit-learn's signature.
        """
        if len(np.asarray(X)) != len(self.first):
            raise ValueError(f"X: got {len(np.asarray(X))} pairs; the splitter was made for {len(self.first)}.")
        items = np.unique(np.concatenate([self.first, self.second]))
        a, b = np.searchsorted(items, self.first), np.searchsorted(items, self.second)
        for train, test in self.splitter.split(np.zeros((len(items), 1))):
            inside = [np.isin(a, side) & np.isin(b, side) for side in (np.asarray(train), np.asarray(test))]
            yield np.flatnonzero(inside[0]), np.flatnonzero(inside[1])


@dataclass(frozen=True)
class NoSplit:
    """Score all samples at once: for models with nothing to fit."""

    def split(self, X: ArrayLike, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:  # noqa: ARG002
        """Yield one split whose training set is empty and whose test set is everything.

        Parameters
        ----------
        X : array-like, shape (sample, …)
            Only its length counts.
        y, groups : ignored
            Part of scikit-learn's signature.
        """
        yield np.arange(0), np.arange(len(np.asarray(X)))


@dataclass(frozen=True)
class ShufflesTime:
    """Let a splitter shuffle a time axis all the same; the result says so.

    Parameters
    ----------
    splitter : splitter
        A splitter whose test sets are not stretches of time.
    because : str
        Why that is wanted; written into every result.
    """

    splitter: Splitter
    because: str

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:
        """Yield what the splitter yields.

        Parameters
        ----------
        X, y, groups
            Handed on.
        """
        for train, test in self.splitter.split(X, y, groups):
            yield np.asarray(train), np.asarray(test)


def checked_splits(splitter: Splitter, data: Aligned) -> list[Split]:
    """Run a splitter and refuse what would leak or cannot be scored.

    Parameters
    ----------
    splitter : splitter
        Anything with scikit-learn's ``split``.
    data : Aligned
        What is to be split.

    Returns
    -------
    list of Split

    Raises
    ------
    TypeError
        If the splitter has no ``split``.
    ValueError
        If there is no split, a set is empty, a row stands on both sides, a group is cut, or a time axis is shuffled.
    """
    if not isinstance(splitter, Splitter):
        raise TypeError(f"splits: got {type(splitter).__name__}; expected a splitter with .split, such as KFold(5).")
    groups = data.groups()
    rows = np.zeros((data.n_samples, 1))
    splits = [
        Split(np.asarray(a, dtype=np.intp), np.asarray(b, dtype=np.intp)) for a, b in splitter.split(rows, None, groups)
    ]
    if not splits:
        raise ValueError(f"splits: {splitter} yields none for {data.n_samples} samples.")
    for number, split in enumerate(splits):
        _check_split(number, split, splitter)
    if groups is not None and not isinstance(splitter, ContiguousFolds | ShufflesTime | NoSplit):
        _check_groups_whole(splits, groups)
    if data.unit == "time" and not isinstance(splitter, ShufflesTime | NoSplit):
        _check_contiguous(splits, groups)
    return splits


def _check_split(number: int, split: Split, splitter: Splitter) -> None:
    both = np.intersect1d(split.train, split.test)
    if len(both):
        raise ValueError(f"splits: split {number} has {len(both)} rows on both sides, first {both[:5].tolist()}.")
    empty = "test" if len(split.test) == 0 else "training" if len(split.train) == 0 else None
    if empty and not (empty == "training" and isinstance(splitter, NoSplit)):
        raise ValueError(f"splits: the {empty} set of split {number} is empty; use fewer or larger folds.")


def _check_groups_whole(splits: list[Split], groups: NDArray[np.generic]) -> None:
    for number, split in enumerate(splits):
        torn = np.intersect1d(groups[split.train], groups[split.test])
        if len(torn):
            raise ValueError(
                f"splits: split {number} cuts {len(torn)} groups in two, first {torn[:5].tolist()}; use GroupKFold or "
                "LeaveOneGroupOut, ContiguousFolds with a gap, or drop the coordinate 'group' if it means nothing here."
            )


def _check_contiguous(splits: list[Split], groups: NDArray[np.generic] | None) -> None:
    for number, split in enumerate(splits):
        group = np.zeros(split.test.max() + 1) if groups is None else groups
        test = np.sort(split.test)
        pieces = 1 + int((np.diff(test) > 1).sum())
        whole = len(np.unique(group[test]))
        if pieces > whole:
            raise ValueError(
                f"splits: the samples are consecutive in time, but the test set of split {number} is scattered over "
                f"{pieces} stretches of {whole} runs. Neighbouring volumes are alike, so scores would rise on noise. Use "
                "ContiguousFolds(gap=…) or whole runs; ShufflesTime(splitter, because=…) does it all the same."
            )
