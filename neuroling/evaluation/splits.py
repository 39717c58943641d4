"""Splitters beside scikit-learn's own: leave-p-out pairs, gaps on a time axis, items of pairs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroling.core.align import Aligned, AlignedSpaces, runs_of, spaces_of
from neuroling.core.notices import warn
from neuroling.core.protocols import Rows, Split, Splitter
from neuroling.numerics.statistics.autocorrelation import autocorrelation_reach

logger = logging.getLogger(__name__)

MOST_TARGETS = 1000
"""Targets whose autocorrelation is measured, evenly spaced, where there are more."""


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
        Volumes left out on either side of a test stretch: at least the longest delay plus the reach of the
        autocorrelation; :meth:`of` measures it.
    gap_from : str
        What the gap is made of, where :meth:`of` has chosen it.

    Examples
    --------
    >>> import numpy as np
    >>> [(train.tolist(), test.tolist()) for train, test in ContiguousFolds(2, gap=1).split(np.zeros((6, 1)))]
    [([4, 5], [0, 1, 2]), ([0, 1], [3, 4, 5])]
    """

    n_splits: int = 5
    gap: int = 0
    gap_from: str = field(default="", compare=False)

    def __repr__(self) -> str:
        said = f", gap_from={self.gap_from!r}" if self.gap_from else ""
        return f"{type(self).__name__}(n_splits={self.n_splits}, gap={self.gap}{said})"

    @classmethod
    def of(cls, data: Aligned | AlignedSpaces, n_splits: int = 5, *, beyond: int | None = None) -> ContiguousFolds:
        """Take the gap from the reach of the features and of the autocorrelation of the recording.

        The first is the longest delay that :func:`neuroling.delay`, :func:`neuroling.convolve` and
        :func:`neuroling.to_volumes` leave in the ``attrs`` of the features. The second is measured
        (:func:`neuroling.numerics.statistics.autocorrelation.autocorrelation_reach`, on at most 1,000 targets): the
        number of volumes before the autocorrelation of the recording is first lost in noise, at the 90th percentile of
        its targets. Their sum is capped where less than half of the volumes outside a test stretch would remain for
        training, but never below the longest delay.

        Parameters
        ----------
        data : Aligned
            Features and recording; a coordinate ``group`` parts the runs.
        n_splits : int
            Number of folds.
        beyond : int, optional
            Volumes on top of the longest delay, instead of what is measured.

        Returns
        -------
        ContiguousFolds
            ``gap_from`` says what the gap is made of, and stands in the record of a result.

        Raises
        ------
        ValueError
            If ``beyond`` is negative, or ``n_splits`` below two.

        Warns
        -----
        UserWarning
            If the gap is capped.

        Examples
        --------
        >>> import xarray as xr
        >>> from neuroling import align
        >>> noise = np.random.default_rng(0).standard_normal((300, 4))
        >>> volumes = {"sample": np.arange(300), "time_index": ("sample", np.arange(300))}
        >>> features = xr.DataArray(noise, dims=("sample", "feature"), coords=volumes)
        >>> data = align(features, features.rename(feature="voxel").rolling(sample=6, min_periods=1).mean())
        >>> ContiguousFolds.of(data, 5)
        ContiguousFolds(n_splits=5, gap=5, gap_from='delays 0, autocorrelation 5')
        """
        if n_splits < 2:
            raise ValueError(f"n_splits: got {n_splits}; expected at least two folds.")
        if beyond is not None and beyond < 0:
            raise ValueError(f"beyond: got {beyond}; expected 0 or more volumes, or None to measure it.")
        longest = longest_delay(data)
        if beyond is not None:
            return cls(n_splits, longest + beyond, f"delays {longest}, beyond {beyond}")
        runs = [rows for _, rows in runs_of(data.y)]
        shortest = min(len(rows) for rows in runs)
        reach = _autocorrelation_reach(data, runs, shortest // 2)
        told = f"delays {longest}, autocorrelation {reach}"
        most = (shortest - shortest // n_splits) // 4  # a gap on either side takes half of what is left
        gap = max(longest, min(longest + reach, most))
        if gap < longest + reach:
            told += f", capped from {longest + reach}"
            at_least = " or more" if reach >= shortest // 2 else ""
            warn(
                "gap-capped",
                "gap",
                f"the features reach over {longest} volumes and the recording resembles itself over {reach}{at_least}, "
                f"but the gap is {gap}, so that half of the volumes outside a test stretch of the shortest run "
                f"({shortest} volumes) remain. Hold out whole runs, use longer ones, or take slow trends out first "
                "(remove_trend).",
            )
        logger.info("gap of %d volumes: %s", gap, told)
        return cls(n_splits, gap, told)

    def stretches(self, n_samples: int, groups: ArrayLike | None = None) -> NDArray[np.intp]:
        """Give every sample the number of the stretch, within its run, that is held out together, shape (sample,).

        Parameters
        ----------
        n_samples : int
            Number of samples.
        groups : array-like, optional, shape (sample,)
            Run or story of each.

        Examples
        --------
        >>> ContiguousFolds(2).stretches(6, [0, 0, 1, 1, 1, 1]).tolist()
        [0, 1, 2, 2, 3, 3]
        """
        group = np.zeros(n_samples) if groups is None else np.asarray(groups)
        label = np.empty(n_samples, dtype=np.intp)
        for number, name in enumerate(dict.fromkeys(group.tolist())):
            for fold, rows in enumerate(np.array_split(np.flatnonzero(group == name), self.n_splits)):
                label[rows] = number * self.n_splits + fold
        return label

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
            raise ValueError(
                f"n_splits: got {self.n_splits}; expected at most {short}, the length of the shortest run."
            )
        cuts = [np.array_split(run, self.n_splits) for run in runs]
        for fold in range(self.n_splits):
            train = [self._outside(run, cut[fold]) for run, cut in zip(runs, cuts, strict=True)]
            rows = np.concatenate(train)
            if len(rows) < 2:
                raise ValueError(
                    f"gap: {self.gap} volumes on either side leave {len(rows)} training rows of {n}; expected at least "
                    "two. Use a smaller gap or more folds."
                )
            yield np.sort(rows), np.sort(np.concatenate([cut[fold] for cut in cuts]))

    def _outside(self, run: Rows, test: Rows) -> Rows:
        place = np.arange(len(run))
        start, stop = np.searchsorted(run, test[0]), np.searchsorted(run, test[-1])
        return np.asarray(run[(place < start - self.gap) | (place > stop + self.gap)])


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

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import KFold
    >>> first, second = np.array(["a", "a", "a", "b", "b", "c"]), np.array(["b", "c", "d", "c", "d", "d"])
    >>> [(train.tolist(), test.tolist()) for train, test in ByItem(KFold(2), first, second).split(np.zeros((6, 1)))]
    [([5], [0]), ([0], [5])]
    """

    splitter: Splitter
    first: NDArray[np.generic]
    second: NDArray[np.generic]

    @classmethod
    def of(cls, splitter: Splitter, data: Aligned | AlignedSpaces) -> ByItem:
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
    """Score all samples at once: for models with nothing to fit.

    Examples
    --------
    >>> import numpy as np
    >>> [(train.tolist(), test.tolist()) for train, test in NoSplit().split(np.zeros((3, 1)))]
    [([], [0, 1, 2])]
    """

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

    Examples
    --------
    >>> from sklearn.model_selection import KFold
    >>> ShufflesTime(KFold(5, shuffle=True), because="as in the paper that is replicated").because
    'as in the paper that is replicated'
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


def checked_splits(splitter: Splitter, data: Aligned | AlignedSpaces) -> list[Split]:
    """Run a splitter and refuse what would leak, cannot be scored or cannot be repeated.

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
        If the splitter has no ``split``, or yields something other than row numbers.
    ValueError
        If the splitter shuffles without a seed; if there is no split, a set is empty, a row stands on both sides, a
        group is cut, an item stands on both sides, or a time axis is shuffled.
    """
    if isinstance(splitter, type) or not isinstance(splitter, Splitter):
        got = splitter.__name__ + " itself" if isinstance(splitter, type) else type(splitter).__name__
        raise TypeError(f"splits: got {got}; expected a splitter with .split, such as KFold(5).")
    if isinstance(splitter, ShufflesTime) and data.unit != "time":
        raise ValueError(
            "splits: ShufflesTime is for samples that are consecutive in time (coordinate 'time_index'), and these are "
            f"not; pass {splitter.splitter} itself."
        )
    _check_repeatable(splitter)
    splits = _run(splitter, data)
    for number, split in enumerate(splits):
        _check_split(number, split, splitter, data.n_samples)
    _check_apart(splits, splitter, data)
    return splits


def _run(splitter: Splitter, data: Aligned | AlignedSpaces) -> list[Split]:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "The groups parameter is ignored"
            )  # whether groups stay whole is seen below
            found = list(splitter.split(np.zeros((data.n_samples, 1)), None, data.groups()))
    except (ValueError, TypeError) as error:
        named = "the coordinate 'group'" if data.groups() is not None else "no coordinate 'group'"
        raise ValueError(f"splits: {splitter} cannot split {data.n_samples} samples with {named}: {error}") from error
    if not found:
        raise ValueError(f"splits: {splitter} yields none for {data.n_samples} samples; expected at least one.")
    return [Split(_rows(train, splitter), _rows(test, splitter)) for train, test in found]


def _rows(rows: ArrayLike, splitter: Splitter) -> Rows:
    found = np.asarray(rows)
    if found.size and found.dtype.kind not in "iu":
        raise TypeError(f"splits: {splitter} yields values of type {found.dtype}; expected row numbers (integers).")
    return found.astype(np.intp)


def _check_repeatable(splitter: Splitter) -> None:
    inner = splitter
    while isinstance(inner, ShufflesTime | ByItem):
        inner = inner.splitter
    if getattr(inner, "random_state", 0) is None and getattr(inner, "shuffle", True):
        raise ValueError(
            f"splits: {inner} shuffles without a seed, and no one could repeat it; give it random_state=0."
        )


def _check_split(number: int, split: Split, splitter: Splitter, n_samples: int) -> None:
    for side, rows in (("training", split.train), ("test", split.test)):
        if len(rows) == 0 and not (side == "training" and isinstance(splitter, NoSplit)):
            raise ValueError(f"splits: the {side} set of split {number} is empty; use fewer or larger folds.")
        if len(rows) and (rows.min() < 0 or rows.max() >= n_samples or np.bincount(rows).max() > 1):
            raise ValueError(
                f"splits: the {side} set of split {number} repeats a row or goes beyond rows 0 to {n_samples - 1}; "
                "expected each row at most once."
            )
    in_training = np.zeros(n_samples, dtype=bool)
    in_training[split.train] = True
    both = np.sort(split.test[in_training[split.test]])
    if len(both):
        raise ValueError(f"splits: split {number} has {len(both)} rows on both sides, first {both[:5].tolist()}.")


def _check_apart(splits: list[Split], splitter: Splitter, data: Aligned | AlignedSpaces) -> None:
    """Check that nothing which belongs together stands on both sides: groups, items, neighbours in time."""
    if isinstance(splitter, NoSplit):
        return
    if data.unit == "item":
        _check_items_apart(splits, data)
    if data.unit == "time":
        if not isinstance(splitter, ShufflesTime):
            _check_contiguous(splits, data)
            _check_delays(splits, data)
        if isinstance(splitter, ShufflesTime | ContiguousFolds):
            return
    groups = data.groups()
    if groups is not None:
        _check_groups_whole(splits, groups)


def _check_groups_whole(splits: list[Split], groups: NDArray[np.generic]) -> None:
    codes = np.unique(groups, return_inverse=True)[1]
    for number, split in enumerate(splits):
        torn = np.intersect1d(codes[split.train], codes[split.test])
        if len(torn):
            raise ValueError(
                f"splits: split {number} cuts {len(torn)} groups in two, first {np.unique(groups)[torn[:5]].tolist()}; "
                "use GroupKFold or LeaveOneGroupOut, ContiguousFolds with a gap for a time axis, or drop the "
                "coordinate 'group' if it means nothing here."
            )


def _check_items_apart(splits: list[Split], data: Aligned | AlignedSpaces) -> None:
    first, second = data.coordinate("first"), data.coordinate("second")
    for number, split in enumerate(splits):
        train, test = (np.union1d(first[rows], second[rows]) for rows in split)
        both = np.intersect1d(train, test)
        if len(both):
            raise ValueError(
                f"splits: the samples are pairs of items, and split {number} has {len(both)} items on both sides, "
                f"first {both[:5].tolist()}; use ByItem.of(splitter, data), which keeps items apart."
            )


def longest_delay(data: Aligned | AlignedSpaces) -> int:
    """Look up how many volumes the features reach back or ahead.

    Parameters
    ----------
    data : Aligned or AlignedSpaces
        With features that say so in their ``attrs``; 0 without. Of several spaces, the longest.
    """
    return max(int(space.x.attrs.get("longest_delay", 0)) for space in spaces_of(data))


def _autocorrelation_reach(data: Aligned | AlignedSpaces, runs: Sequence[Rows], n_lags: int) -> int:
    """Measure over how many volumes the recording resembles itself."""
    values = data.y_mean.to_numpy().reshape(data.n_samples, -1)
    step = -(-values.shape[1] // MOST_TARGETS)
    return autocorrelation_reach([values[rows, ::step] for rows in runs], n_lags)


def _check_delays(splits: list[Split], data: Aligned | AlignedSpaces) -> None:
    """Refuse training rows whose delayed features reach into a test stretch, or the other way round."""
    reach = longest_delay(data)
    if not reach:
        return
    run_of = np.empty(data.n_samples, dtype=np.intp)
    for number, (_, rows) in enumerate(runs_of(data.y)):
        run_of[rows] = number
    for number, split in enumerate(splits):
        test = np.sort(split.test)
        place = np.searchsorted(test, split.train)
        sides = [test[np.clip(place + step, 0, len(test) - 1)] for step in (-1, 0)]
        gap = min(
            int(np.abs(split.train - side)[run_of[split.train] == run_of[side]].min(initial=data.n_samples)) - 1
            for side in sides
        )
        if gap < reach:
            raise ValueError(
                f"splits: the features reach over {reach} volumes, but split {number} leaves a gap of {gap} between "
                "training and test volumes of the same run. Use ContiguousFolds.of(data) or whole runs."
            )


def _check_contiguous(splits: list[Split], data: Aligned | AlignedSpaces) -> None:
    runs = [rows for _, rows in runs_of(data.y)]
    run_of = np.repeat(
        np.arange(len(runs)), [len(rows) for rows in runs]
    )  # groups lie end to end, align has seen to it
    for number, split in enumerate(splits):
        test = np.sort(split.test)
        apart = (np.diff(test) > 1) | (np.diff(run_of[test]) > 0)
        pieces, touched = 1 + int(apart.sum()), len(np.unique(run_of[test]))
        if pieces > touched:
            raise ValueError(
                f"splits: the samples are consecutive in time, but the test set of split {number} is scattered over "
                f"{pieces} stretches of {touched} runs. Neighbouring volumes are alike, so scores would rise on noise. "
                "Use ContiguousFolds(gap=…) or whole runs; ShufflesTime(splitter, because=…) does it all the same."
            )
