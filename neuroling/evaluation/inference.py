"""Null distributions: what is exchanged follows from what the samples are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import lgamma, log
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.align import Aligned, pair_order, runs_of
from neuroling.core.protocols import Rows, Scoring
from neuroling.core.result import NullDistribution
from neuroling.evaluation.clusters import Clusters, with_cluster_p
from neuroling.numerics.statistics.clusters import flipped_t

BATCH_VALUES = 2**22
"""Statistics of a batch of draws (32 MiB of float64); a heuristic."""

GRIDS = frozenset({"time", "frequency"})
"""Axes on which neighbouring entries are neighbours; voxels and channels in a list are not."""

REACHES = 2.5
"""Least length of a block, in reaches of the autocorrelation.

Measured in runs of 60 volumes at an autocorrelation of 0.8: blocks of 12 volumes (2.6 reaches) gave 6.6 % false
positives, blocks of 6 gave 8.7 %.
"""


@dataclass(frozen=True)
class Permutation:
    """Exchange samples (or items, where samples are pairs of them) and do everything again.

    Parameters
    ----------
    n_draws : int
        Number of relabelings.
    within : str, optional
        Sample coordinate within whose values samples are exchanged, such as ``"group"``. Needed wherever samples of a
        group are more alike than others, in the features and in the recording: with offsets of groups as large as the
        noise and four groups held out at a time, 14 % false positives were measured across groups, 6 % within.
    keep_draws : bool
        Keep every draw, or only counts and the best of each.
    keep_choices : bool
        Keep the penalties that were chosen for the recording as it is, and fit only weights anew: a thousand draws then
        cost about as much as 15 to 25 whole evaluations.
    clusters : Clusters, optional
        Which positions are neighbours: gives p values of clusters, ``p_values("cluster")``.
    """

    n_draws: int = 1000
    within: str | None = None
    keep_draws: bool = True
    keep_choices: bool = False
    clusters: Clusters | None = None

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> NullDistribution:
        """Draw the null.

        Parameters
        ----------
        scoring : Scoring
            The evaluation.
        rng : numpy.random.Generator
            Source of the relabelings.

        Returns
        -------
        NullDistribution
        """
        _check_draws(self.n_draws)
        _refuse_time(scoring.data, "Permutation exchanges single samples")
        self._check_exchangeable(scoring.data)
        orders = np.stack([self._order(scoring.data, rng) for _ in range(self.n_draws)])
        return _collect(
            scoring, scoring.reordered(orders, keep_choices=self.keep_choices), self._method(scoring.data), self
        )

    def _method(self, data: Aligned) -> str:
        across = " across groups" if data.groups() is not None and data.unit == "sample" else ""
        return f"permutation of {self._what(data)}{f' within {self.within}' if self.within else across}"

    def _check_exchangeable(self, data: Aligned) -> None:
        if self.within is not None and data.unit == "item":
            raise ValueError(
                f"within: got {self.within!r}, but the samples are pairs of items, which are exchanged as a whole; "
                "expected None."
            )
        sizes = [data.n_samples]
        if data.unit == "item":
            sizes = [len(data.items)]
        elif self.within is not None:
            sizes = np.unique(data.coordinate(self.within), return_counts=True)[1].tolist()
        if sum(lgamma(size + 1) for size in sizes) < log(20):
            raise ValueError(
                f"inference: {len(sizes)} sets of at most {max(sizes)} {self._what(data)} to exchange have fewer than "
                "20 orders, too few for p = 0.05; expected more samples, or fewer values of the coordinate 'within'."
            )

    def _what(self, data: Aligned) -> str:
        return "items" if data.unit == "item" else "samples"

    def _order(self, data: Aligned, rng: np.random.Generator) -> Rows:
        if data.unit == "item":
            return pair_order(data, rng.permutation(len(data.items)))
        if self.within is None:
            return rng.permutation(data.n_samples)
        return _order_within(data.coordinate(self.within), rng)


@dataclass(frozen=True)
class HeldOutPermutation:
    """Exchange held-out samples within their split, predictions kept.

    Conditional on the training set, held-out samples are exchangeable when the features say nothing about them; nothing
    is fitted again, so many draws of many voxels are cheap. It needs many held-out samples that train nothing: over the
    folds of a cross-validation, scores of different folds share samples and rise together, the draws here do not, and
    12 % false positives were measured where 5 % were meant.

    Parameters
    ----------
    n_draws : int
        Number of relabelings.
    keep_draws : bool
        Keep every draw, or only counts and the best of each.
    clusters : Clusters, optional
        Which positions are neighbours: gives p values of clusters, ``p_values("cluster")``.
    """

    n_draws: int = 1000
    keep_draws: bool = True
    clusters: Clusters | None = None

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> NullDistribution:
        """Draw the null.

        Parameters
        ----------
        scoring : Scoring
            The evaluation.
        rng : numpy.random.Generator
            Source of the relabelings.

        Returns
        -------
        NullDistribution
        """
        _check_draws(self.n_draws)
        if scoring.data.unit != "sample":
            raise ValueError(
                f"inference: HeldOutPermutation exchanges single samples, but here the unit is {scoring.data.unit!r}; "
                "use Permutation for pairs of items, CircularShift or BlockPermutation for time series."
            )
        sizes = [len(split.test) for split in scoring.splits]
        if min(sizes) < 10:
            raise ValueError(
                f"inference: the smallest test set has {min(sizes)} samples; HeldOutPermutation needs at least 10 of "
                "them to exchange. Use Permutation, which relabels all samples."
            )
        tested = np.concatenate([split.test for split in scoring.splits])
        shared = np.intersect1d(tested, np.concatenate([split.train for split in scoring.splits]))
        if len(shared) or len(np.unique(tested)) < len(tested):
            raise ValueError(
                f"inference: of {len(np.unique(tested))} held-out samples {len(shared)} also train another split, or "
                "are held out twice, so the scores of splits rise and fall together while these draws would not. Hold "
                "out once, as ShuffleSplit(1, random_state=0) does, or use Permutation, which fits again."
            )
        orders = ([rng.permutation(size) for size in sizes] for _ in range(self.n_draws))
        return _collect(scoring, scoring.relabelled(orders), "permutation of held-out samples", self)


@dataclass(frozen=True)
class CircularShift:
    """Rotate the recording in time against the features, each run by itself, and do everything again.

    Keeps the autocorrelation of both, which exchanging single volumes destroys (measured: 9 to 17 % false positives
    where 5 % were meant). The rotations of a run are a group, so that over all of them the test is exact but for the
    seam where the end meets the beginning.

    Parameters
    ----------
    n_draws : int, optional
        Number of rotations. With one run there are only as many as it has volumes: all of them by default. With
        several runs each is rotated independently, 1,000 times by default.
    minimum : int
        Smallest rotation in volumes, either way. Leave it at 1: without the small rotations the likes of the observed
        score are left out of the null, and 6.5 instead of 5.5 % false positives were measured with a minimum of 10 at
        an autocorrelation of 0.8.
    keep_draws : bool
        Keep every draw, or only counts and the best of each.
    keep_choices : bool
        Keep the penalties that were chosen for the recording as it is, and fit only weights anew: a thousand draws then
        cost about as much as 15 to 25 whole evaluations.
    clusters : Clusters, optional
        Which positions are neighbours: gives p values of clusters, ``p_values("cluster")``.
    """

    n_draws: int | None = None
    minimum: int = 1
    keep_draws: bool = True
    keep_choices: bool = False
    clusters: Clusters | None = None

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> NullDistribution:
        """Draw the null.

        Parameters
        ----------
        scoring : Scoring
            The evaluation.
        rng : numpy.random.Generator
            Source of the rotations.

        Returns
        -------
        NullDistribution
        """
        runs = _runs(scoring.data, "CircularShift")
        orders = np.stack(list(self._orders(runs, scoring.data.n_samples, rng)))
        return _collect(
            scoring, scoring.reordered(orders, keep_choices=self.keep_choices), "circular shift of the recording", self
        )

    def _orders(self, runs: list[Rows], n: int, rng: np.random.Generator) -> Iterator[Rows]:
        shifts = [np.arange(self.minimum, len(run) - self.minimum + 1) for run in runs]
        fewest = min(map(len, shifts))
        if self.minimum < 1 or fewest < 20:
            raise ValueError(
                f"minimum: got {self.minimum}; rotations of at least so many volumes leave {fewest} different ones in "
                f"a run of {min(map(len, runs))}; expected a minimum of at least 1 that leaves at least 20. Use a "
                "smaller one, or longer runs."
            )
        if len(runs) == 1:
            n_draws = len(shifts[0]) if self.n_draws is None else self.n_draws
            if n_draws > len(shifts[0]):
                raise ValueError(f"n_draws: got {n_draws}; one run of {n} volumes has {len(shifts[0])} rotations.")
            chosen = rng.permutation(shifts[0])[:n_draws, None]  # (draw, run)
        else:
            n_draws = 1000 if self.n_draws is None else self.n_draws
            chosen = np.stack([rng.choice(shift, n_draws) for shift in shifts], axis=1)
        _check_draws(n_draws)
        for shift in chosen:
            order = np.arange(n)
            for run, by in zip(runs, shift, strict=True):
                order[run] = np.roll(run, by)
            yield order


@dataclass(frozen=True)
class BlockPermutation:
    r"""Exchange blocks of consecutive volumes within each run, and do everything again.

    Parameters
    ----------
    block : int
        Volumes in a block. It has to be longer than features and recording are alike to themselves: at least
        :data:`REACHES` times :math:`(1 + \rho) / (1 - \rho)`, with the product :math:`\rho` of their autocorrelations
        at a lag of one volume.
    n_draws : int
        Number of relabelings.
    keep_draws : bool
        Keep every draw, or only counts and the best of each.
    keep_choices : bool
        Keep the penalties that were chosen for the recording as it is, and fit only weights anew: a thousand draws then
        cost about as much as 15 to 25 whole evaluations.
    clusters : Clusters, optional
        Which positions are neighbours: gives p values of clusters, ``p_values("cluster")``.
    """

    block: int = 40
    n_draws: int = 1000
    keep_draws: bool = True
    keep_choices: bool = False
    clusters: Clusters | None = None

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> NullDistribution:
        """Draw the null.

        Parameters
        ----------
        scoring : Scoring
            The evaluation.
        rng : numpy.random.Generator
            Source of the relabelings.

        Returns
        -------
        NullDistribution
        """
        _check_draws(self.n_draws)
        runs = _runs(scoring.data, "BlockPermutation")
        if self.block < 2:
            raise ValueError(
                f"block: got {self.block}; expected at least two volumes, or Permutation for single samples."
            )
        _check_block(self.block, scoring.data, runs)
        orders = np.stack([self._order(runs, scoring.data.n_samples, rng) for _ in range(self.n_draws)])
        what = f"permutation of blocks of {self.block} volumes"
        return _collect(scoring, scoring.reordered(orders, keep_choices=self.keep_choices), what, self)

    def _order(self, runs: list[Rows], n: int, rng: np.random.Generator) -> Rows:
        order = np.arange(n)
        for run in runs:
            starts = np.arange(0, len(run), self.block)
            if len(starts) < 5:
                raise ValueError(
                    f"block: got {self.block} volumes, which make {len(starts)} blocks of a run of {len(run)}; "
                    "expected at least 5. Use smaller blocks or CircularShift."
                )
            phase = int(rng.integers(self.block))  # cuts fall anywhere, so that no boundary is favoured
            blocks = np.split(np.roll(run, phase), starts[1:])
            order[run] = np.concatenate([blocks[i] for i in rng.permutation(len(blocks))])
        return order


@dataclass(frozen=True)
class SignFlip:
    """Test scores against chance over participants by flipping signs; the statistic is t over participants.

    Parameters
    ----------
    axis : str
        Axis along which participants lie; it must survive the metric.
    n_draws : int
        Number of sign flips; all of them where there are no more.
    cluster : str or tuple of str, optional
        Axis or axes along which neighbours form clusters, ``"time"`` or ``"frequency"``; must be all that is left
        beside ``axis``.
    threshold : float, optional
        t that a position must pass to belong to a cluster; that of p < 0.05, one-sided, by default.
    """

    axis: str = "subject"
    n_draws: int = 1000
    cluster: str | tuple[str, ...] | None = None
    threshold: float | None = None

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> NullDistribution:
        """Draw the null.

        Parameters
        ----------
        scoring : Scoring
            The evaluation.
        rng : numpy.random.Generator
            Source of the flips.

        Returns
        -------
        NullDistribution
            Of t over participants, scores counted from chance.
        """
        return self.test(scoring.observed() - scoring.chance, rng, larger_is_better=scoring.larger_is_better)

    def test(
        self, scores: xr.DataArray, rng: np.random.Generator, *, larger_is_better: bool = True
    ) -> NullDistribution:
        r"""Test scores that were counted from chance, such as those of combined results or a difference of models.

        Parameters
        ----------
        scores : xarray.DataArray, dims (axis, \*kept)
            Zero means nothing.
        rng : numpy.random.Generator
            Source of the flips.
        larger_is_better : bool
            Direction that counts as an effect.

        Returns
        -------
        NullDistribution
        """
        _check_draws(self.n_draws)
        values = self._values(scores)
        observed = scores.transpose(self.axis, ...).isel({self.axis: 0}, drop=True)
        flat = values.reshape(len(values), -1).astype(np.float64)  # (participant, position)
        null = NullDistribution.collect(
            observed.copy(data=flipped_t(flat, np.ones((1, len(flat)))).reshape(observed.shape)),
            self._draws(flat, observed, rng),
            method=f"sign flips over {self.axis}, t statistic",
            larger_is_better=larger_is_better,
        )
        if self.cluster is None:
            return null
        cluster = observed.copy(data=self._cluster_p(values, larger_is_better, rng))
        return replace(null, cluster=cluster)

    def _draws(
        self, flat: NDArray[np.floating[Any]], observed: xr.DataArray, rng: np.random.Generator
    ) -> Iterator[xr.DataArray]:
        flips = _flips(len(flat), self.n_draws, rng)
        batch = max(1, BATCH_VALUES // observed.size)
        for start in range(0, len(flips), batch):
            for draw in flipped_t(flat, flips[start : start + batch]):
                yield observed.copy(data=draw.reshape(observed.shape))

    def _values(self, scores: xr.DataArray) -> NDArray[np.floating[Any]]:
        if self.axis not in scores.dims:
            raise ValueError(
                f"inference: SignFlip({self.axis!r}) needs that axis in the scores, which have {scores.dims}; combine "
                "participants first, or use a metric that keeps the axis."
            )
        values = scores.transpose(self.axis, ...).values
        if len(values) < 5:
            raise ValueError(
                f"inference: {len(values)} along {self.axis!r} have {2 ** len(values)} sign flips, too few for p = "
                "0.05; expected at least 5 participants."
            )
        if np.isnan(values).any():
            raise ValueError(
                f"inference: {int(np.isnan(values).sum())} scores are NaN; leave those positions out first."
            )
        axes = (self.cluster,) if isinstance(self.cluster, str) else self.cluster
        left = tuple(str(dim) for dim in scores.dims if dim != self.axis)
        if axes is not None and (set(axes) != set(left) or not set(axes) <= GRIDS):
            raise ValueError(
                f"cluster: got {axes}; beside {self.axis!r} the scores have {left}. Expected all of these, and only "
                f"axes on which entry after entry are neighbours, {sorted(GRIDS)}. Select from the others first."
            )
        if (values == values[0]).all(axis=0).any():
            raise ValueError(
                f"inference: all {len(values)} along {self.axis!r} have the same score at "
                f"{int((values == values[0]).all(axis=0).sum())} positions; t is undefined there. Leave them out first."
            )
        return values

    def _cluster_p(
        self, values: NDArray[np.floating[Any]], larger_is_better: bool, rng: np.random.Generator
    ) -> NDArray[np.floating[Any]]:
        from mne.stats import permutation_cluster_1samp_test
        from scipy.stats import t

        threshold = float(t.isf(0.05, len(values) - 1)) if self.threshold is None else self.threshold
        _, clusters, p, _ = permutation_cluster_1samp_test(
            values if larger_is_better else -values,
            threshold=threshold,
            n_permutations=self.n_draws,
            tail=1,
            out_type="mask",
            rng=rng,
            verbose="error",
        )
        out = np.ones(values.shape[1:])
        for mask, value in zip(clusters, p, strict=True):
            out[mask] = value
        return out


def _collect(scoring: Scoring, draws: Iterator[xr.DataArray], method: str, how: _Collecting) -> NullDistribution:
    kept = " at the penalties chosen" if getattr(how, "keep_choices", False) else ""
    return with_cluster_p(
        scoring.observed(),
        draws,
        how.clusters,
        method=f"{method}{kept}",
        larger_is_better=scoring.larger_is_better,
        keep_draws=how.keep_draws,
    )


class _Collecting(Protocol):
    """What an inference says about collecting its draws."""

    @property
    def keep_draws(self) -> bool: ...

    @property
    def clusters(self) -> Clusters | None: ...


def _check_draws(n_draws: int) -> None:
    if n_draws < 20:
        raise ValueError(f"n_draws: got {n_draws}; at least 20 are needed for p = 0.05 to be possible.")


def _refuse_time(data: Aligned, what: str) -> None:
    if data.unit == "time":
        raise ValueError(
            f"inference: {what}, but the samples are consecutive in time and alike to their neighbours; use "
            "CircularShift or BlockPermutation."
        )


def _check_block(block: int, data: Aligned, runs: list[Rows]) -> None:
    x, y = data.x.values, data.y_mean.values.reshape(data.n_samples, -1)
    rho = min(max(_lag_one(x, runs), 0.0) * max(_lag_one(y, runs), 0.0), 0.99)
    least = REACHES * (1 + rho) / (1 - rho)
    if block < least:
        raise ValueError(
            f"block: got {block} volumes; expected at least {int(np.ceil(least))}, because features and recording are "
            f"alike to themselves from volume to volume (autocorrelations multiply to {rho:.2f}) and shorter blocks "
            "would take that apart. Use longer blocks or CircularShift."
        )


def _lag_one(values: NDArray[np.floating[Any]], runs: list[Rows]) -> float:
    """Autocorrelation at a lag of one volume, the median over columns (sample, column)."""
    centred = [values[run] - values[run].mean(axis=0, dtype=np.float64) for run in runs]
    lagged = sum((run[1:] * run[:-1]).sum(axis=0) for run in centred)
    whole = sum((run * run).sum(axis=0) for run in centred)
    return float(np.median(lagged[whole > 0] / whole[whole > 0]))


def _runs(data: Aligned, name: str) -> list[Rows]:
    if data.unit != "time":
        raise ValueError(
            f"inference: {name} moves stretches of time, but the samples are not marked as consecutive (no coordinate "
            "'time_index'); use Permutation."
        )
    return [rows for _, rows in runs_of(data.y)]


def _order_within(labels: NDArray[np.generic], rng: np.random.Generator) -> Rows:
    order = np.arange(len(labels))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        order[rows] = rng.permutation(rows)
    return order


def _flips(n: int, n_draws: int, rng: np.random.Generator) -> NDArray[np.floating[Any]]:
    """Signs (draw, participant): all but the identity where they are few, random ones otherwise."""
    if n < 60 and 2**n - 1 <= n_draws:
        bits = (np.arange(1, 2**n)[:, None] >> np.arange(n)) & 1
        return np.where(bits, -1.0, 1.0)
    return rng.choice([-1.0, 1.0], size=(n_draws, n))
