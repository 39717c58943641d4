"""Nulls of samples that are consecutive in time: stretches are moved, the trends of runs stay where they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroling.core.align import Aligned, runs_of
from neuroling.core.notices import warn
from neuroling.core.null_distribution import NullDistribution
from neuroling.core.protocols import Array, Rows, Scoring
from neuroling.evaluation.inference.clusters import ClusterKind, Clusters
from neuroling.evaluation.inference.collecting import check_draws, null_of_orders
from neuroling.numerics.statistics.trends import polynomial_trends, shared_course

REACHES = 2.5
"""Least length of a block, in reaches of the autocorrelation.

Measured in runs of 60 volumes at an autocorrelation of 0.8: blocks of 12 volumes (2.6 reaches) gave 6.6 % false
positives, blocks of 6 gave 8.7 %.
"""

SURE = 0.01
"""p value at which runs count as following one course, asked of features and of recording."""

SHARED = 0.04
"""Share of the variance that the course has to have in both: steps and slow waves of 1.5 standard deviations have 0.08
to 0.1, and gave 70 to 90 % false positives."""

COPIES = 0.9
"""Correlation between runs above which features are the same stimuli again, whose response is no drift."""

FEW_STRETCHES = 20
"""Volumes of the shortest run, over the reach of the autocorrelation, below which a null is warned of: with 16 of them
it errs in 7 to 8 % of studies, with 25 and more in 4 to 6 %."""

SHORTEST_COURSE = 20
"""Volumes of the shortest run from which on courses are compared."""

MOST_COLUMNS = 64
"""Features and targets, evenly spaced, whose courses are compared."""

TREND = 2
"""Degree of the trends that stay in place: a line, and the bend of a signal that settles."""


@dataclass(frozen=True)
class CircularShift:
    """Rotate the recording in time against the features, each run by itself, and do everything again.

    Keeps the autocorrelation of both, which exchanging single volumes destroys (measured: 9 to 17 % false positives
    where 5 % were meant). The rotations of a run are a group, so that over all of them the test is exact but for the
    seam where the end meets the beginning. What drifts within a run does not rotate: a polynomial in time is fitted to
    every target in every run and stays where it is, and the rest is rotated. Rotated drifts gave 14 to 26 % false
    positives where features and recording drift alike. Other courses that features and recording share in all runs,
    such as a step in the middle of each, are warned of (``shared-run-course``), and so are runs of few independent
    stretches (``few-stretches``).

    Parameters
    ----------
    n_draws : int, optional
        Number of rotations. With one run there are only as many as it has volumes: all of them by default. With
        several runs each is rotated independently, 1,000 times by default.
    minimum : int
        Smallest rotation in volumes, either way. Leave it at 1: without the small rotations the likes of the observed
        score are left out of the null, and 6.5 instead of 5.5 % false positives were measured with a minimum of 10 at
        an autocorrelation of 0.8.
    trend : int
        Degree of the polynomial in time that stays in place in every run; 0 moves everything but the mean, -1
        everything.
    two_sided : bool, optional
        Count scores far from chance in either direction; by default only for differences of models.
    clusters : Clusters or {"mass", "size", "tfce"}, optional
        What neighbours add: gives ``p_values("cluster")``.
    keep_choices : bool
        Keep the penalties that were chosen for the recording as it is, and fit only weights anew: a thousand draws then
        cost about as much as 15 to 25 whole evaluations.
    keep_draws : bool
        Keep every draw, or only counts and the best of each.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> from neuroling import ContiguousFolds, Ridge, align, evaluate, pearson
    >>> rng = np.random.default_rng(0)
    >>> volumes = {"sample": np.arange(120), "time_index": ("sample", np.arange(120))}
    >>> features = xr.DataArray(rng.standard_normal((120, 2)), dims=("sample", "feature"), coords=volumes)
    >>> recording = features.rename(feature="voxel") + rng.standard_normal((120, 2))
    >>> inference = CircularShift(99)
    >>> result = evaluate(
    ...     Ridge(), align(features, recording), splits=ContiguousFolds(4), metric=pearson, inference=inference, rng=0
    ... )
    >>> result.p_values().values.tolist()
    [0.01, 0.01]
    """

    n_draws: int | None = None
    minimum: int = 1
    trend: int = TREND
    two_sided: bool | None = None
    clusters: Clusters | ClusterKind | None = None
    keep_choices: bool = False
    keep_draws: bool = True

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
        return _null_beside_trends(scoring, orders, "circular shift of the recording", self, runs)

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
        check_draws(n_draws)
        for shift in chosen:
            order = np.arange(n)
            for run, by in zip(runs, shift, strict=True):
                order[run] = np.roll(run, by)
            yield order


@dataclass(frozen=True)
class BlockPermutation:
    r"""Exchange blocks of consecutive volumes within each run, and do everything again; trends stay in place.

    Parameters
    ----------
    block : int
        Volumes in a block. It has to be longer than features and recording are autocorrelated: at least
        :data:`REACHES` times :math:`(1 + \rho) / (1 - \rho)`, with the product :math:`\rho` of their autocorrelations
        at a lag of one volume.
    n_draws : int
        Number of permutations.
    trend, two_sided, clusters, keep_choices, keep_draws
        As in :class:`CircularShift`.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> from neuroling import ContiguousFolds, Ridge, align, evaluate, pearson
    >>> rng = np.random.default_rng(0)
    >>> volumes = {"sample": np.arange(120), "time_index": ("sample", np.arange(120))}
    >>> features = xr.DataArray(rng.standard_normal((120, 2)), dims=("sample", "feature"), coords=volumes)
    >>> recording = features.rename(feature="voxel") + rng.standard_normal((120, 2))
    >>> inference = BlockPermutation(block=10, n_draws=99)
    >>> result = evaluate(
    ...     Ridge(), align(features, recording), splits=ContiguousFolds(4), metric=pearson, inference=inference, rng=0
    ... )
    >>> result.p_values().values.tolist()
    [0.01, 0.01]
    """

    block: int = 40
    n_draws: int = 1000
    trend: int = TREND
    two_sided: bool | None = None
    clusters: Clusters | ClusterKind | None = None
    keep_choices: bool = False
    keep_draws: bool = True

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> NullDistribution:
        """Draw the null.

        Parameters
        ----------
        scoring : Scoring
            The evaluation.
        rng : numpy.random.Generator
            Source of the permutations.

        Returns
        -------
        NullDistribution
        """
        check_draws(self.n_draws)
        runs = _runs(scoring.data, "BlockPermutation")
        if self.block < 2:
            raise ValueError(
                f"block: got {self.block}; expected at least two volumes, or Permutation for single samples."
            )
        for space in scoring.spaces:
            _check_block(self.block, space, runs)
        orders = np.stack([self._order(runs, scoring.data.n_samples, rng) for _ in range(self.n_draws)])
        return _null_beside_trends(scoring, orders, f"permutation of blocks of {self.block} volumes", self, runs)

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


def _null_beside_trends(
    scoring: Scoring,
    orders: NDArray[np.intp],
    method: str,
    inference: CircularShift | BlockPermutation,
    runs: list[Rows],
) -> NullDistribution:
    """Reorder what is left of the recording beside the trends of its runs, which stay in place."""
    degree = inference.trend
    if degree < -1 or degree > min(map(len, runs)) // 10:
        raise ValueError(
            f"trend: got {degree}; expected the degree of a polynomial from 0 to {min(map(len, runs)) // 10} (a tenth "
            f"of the shortest run, {min(map(len, runs))} volumes), or -1 to move everything."
        )
    _warn_of_shared_courses(scoring.data, runs, max(degree, 0))
    _warn_of_few_stretches(scoring.data, runs, degree)
    if degree < 1:  # a correlation does not see means, but other scores do
        trends = None if degree < 0 else _trends(scoring.data, runs, 0)
        return null_of_orders(scoring, orders, method, inference, keep_choices=inference.keep_choices, fixed=trends)
    return null_of_orders(
        scoring,
        orders,
        f"{method} beside trends of degree {degree} in every run",
        inference,
        keep_choices=inference.keep_choices,
        fixed=_trends(scoring.data, runs, degree),
    )


def _warn_of_shared_courses(data: Aligned, runs: list[Rows], degree: int) -> None:
    """Warn where features and recording both follow one slow course in all runs, which reordering takes apart."""
    if len(runs) < 2 or min(map(len, runs)) < SHORTEST_COURSE:
        return
    rng = np.random.default_rng(0)
    sides = (data.x.values, data.y_mean.values.reshape(data.n_samples, -1))
    some = [side[:, :: max(1, side.shape[1] // MOST_COLUMNS)].astype(np.float64) for side in sides]
    features, recording = (shared_course(side, runs, degree, rng) for side in some)
    is_shared = all(one.p <= SURE and one.share >= SHARED for one in (features, recording))
    if is_shared and features.likeness < COPIES:
        warn(
            "shared-run-course",
            "inference",
            f"features and recording follow one slow course in all {len(runs)} runs, beside polynomials of degree "
            f"{degree} ({features.share:.0%} and {recording.share:.0%} of their variance). Moving the recording in "
            "time takes it apart, so that drifts alone come out as significant. Take slow changes out of both first "
            "(remove_trend with a higher degree), or raise trend=.",
        )


def _warn_of_few_stretches(data: Aligned, runs: list[Rows], degree: int) -> None:
    """Warn where runs are so short, or change so slowly, that few of their stretches are independent."""
    x, y = data.x.values, data.y_mean.values.reshape(data.n_samples, -1)
    if degree >= 0:
        x, y = (side - polynomial_trends(side, runs, degree) for side in (x, y))
    features, recording = max(_lag_one(x, runs), 0.0), max(_lag_one(y, runs), 0.0)
    rho = min(features * recording, 0.99)
    shortest = min(map(len, runs))
    stretches = shortest * (1 - rho) / (1 + rho)
    if stretches < FEW_STRETCHES:
        warn(
            "few-stretches",
            "inference",
            f"features and recording change so slowly (autocorrelations of {features:.2f} and {recording:.2f} from one "
            f"volume to the next) that a run of {shortest} volumes holds {stretches:.0f} independent stretches; with "
            f"fewer than {FEW_STRETCHES} this null finds something in 7 to 8 % of studies where there is nothing. "
            "Use longer runs, or count p values close to 0.05 as undecided.",
        )


def _trends(data: Aligned, runs: list[Rows], degree: int) -> Array:
    recording = data.y_mean.values
    return polynomial_trends(recording.reshape(len(recording), -1), runs, degree).reshape(recording.shape)


def _check_block(block: int, data: Aligned, runs: list[Rows]) -> None:
    x, y = data.x.values, data.y_mean.values.reshape(data.n_samples, -1)
    rho = min(max(_lag_one(x, runs), 0.0) * max(_lag_one(y, runs), 0.0), 0.99)
    least = REACHES * (1 + rho) / (1 - rho)
    if block < least:
        raise ValueError(
            f"block: got {block} volumes; expected at least {int(np.ceil(least))}, because features and recording are "
            f"autocorrelated from volume to volume (autocorrelations multiply to {rho:.2f}) and shorter blocks "
            "would take that apart. Use longer blocks or CircularShift."
        )


def _lag_one(values: Array, runs: list[Rows]) -> float:
    """Autocorrelation at a lag of one volume, the median over columns (sample, column)."""
    centred = [values[run] - values[run].mean(axis=0, dtype=np.float64) for run in runs]
    lagged = sum((run[1:] * run[:-1]).sum(axis=0) for run in centred)
    total = sum((run * run).sum(axis=0) for run in centred)
    return float(np.median(lagged[total > 0] / total[total > 0]))


def _runs(data: Aligned, name: str) -> list[Rows]:
    if data.unit != "time":
        raise ValueError(
            f"inference: {name} moves stretches of time, but the samples are not marked as consecutive (no coordinate "
            "'time_index'); use Permutation."
        )
    return [rows for _, rows in runs_of(data.y)]
