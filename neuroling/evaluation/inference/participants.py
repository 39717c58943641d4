"""Tests over participants: signs are flipped, and neighbours may support one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.finished_scores import FinishedScores
from neuroling.core.notices import warn
from neuroling.core.null_distribution import Alternative, NullDistribution
from neuroling.core.protocols import Array, Scoring
from neuroling.evaluation.inference.clusters import ClusterKind, Clusters, as_clusters
from neuroling.evaluation.inference.collecting import alternative_of, check_draws
from neuroling.numerics.statistics.sign_flips import (
    flipped_t,
    mean_skewness,
    resampled_counts,
    resampled_t,
    resolution_of_t,
)

BATCH_VALUES = 2**20
"""Statistics of a batch of draws (8 MiB of float64); a heuristic."""

FEW_ITEMS = 20
"""Samples that participants share, below which it is said that a test over participants is not one over samples."""

LEAST_SKEWNESS = 0.3
"""Mean skewness over locations below which sign flips stay within 7 % whatever its p."""

FEW_TO_RESAMPLE = 10
"""Participants below which resampling their deviations errs in less than 3 % of studies with symmetric scores."""

SKEWNESS_FLIPS = 500
"""Flips by which skewness is told from chance."""

EQUAL = 1e-12
"""Scores whose range is below this, relative to the largest, are equal but for rounding."""


@dataclass(frozen=True)
class SignFlip:
    """Test scores against chance over participants by flipping their signs; the statistic is t over participants.

    All axes that are left belong to one family: ``p_values("max")`` and ``p_values("cluster")`` allow for every
    location, model and time together. It generalises to other participants who see the same stimuli, not to other
    stimuli: for that see :class:`~neuroling.evaluation.inference.participants_and_items.DualBootstrap`. Scores of
    participants have to be symmetric around their mean; where they are skewed it warns, and :class:`BootstrapT` is the
    test.

    Clusters say that there is a difference somewhere. They say nothing about where it begins or ends; for onsets see
    :mod:`neuroling.evaluation.latency`.

    Parameters
    ----------
    axis : str
        Axis along which participants lie; it must survive the metric.
    n_draws : int
        Number of sign flips; all of them where there are no more.
    two_sided : bool, optional
        Count effects of either sign; by default only for differences of models.
    clusters : Clusters or {"mass", "size", "tfce"}, optional
        What neighbours add: masses or sizes of clusters above a threshold, by default the t of p < 0.05 (Maris and
        Oostenveld 2007), or threshold-free enhancement (Smith and Nichols 2009). Gives ``p_values("cluster")``.
    keep_draws : bool
        Keep t of every draw.

    Examples
    --------
    >>> scores = np.random.default_rng(0).normal([[0.0, 0.2, 0.2]], 0.1, (12, 3))
    >>> from neuroling import Result
    >>> result = Result.of(xr.DataArray(scores[None], dims=("split", "subject", "time")), metric="pearson")
    >>> (result.test(SignFlip("subject", clusters="mass")).p_values("cluster") < 0.05).values.tolist()
    [False, True, True]
    """

    axis: str = "subject"
    n_draws: int = 1000
    two_sided: bool | None = None
    clusters: Clusters | ClusterKind | None = None
    keep_draws: bool = False

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> NullDistribution:
        """Draw the null.

        Parameters
        ----------
        scoring : Scoring
            The evaluation, or finished scores.
        rng : numpy.random.Generator
            Source of the flips.

        Returns
        -------
        NullDistribution
            Of t over participants, scores counted from chance.

        Warns
        -----
        CodedWarning
            ``skewed-scores`` or ``items-fixed``.
        """
        check_draws(self.n_draws)
        alternative = alternative_of(scoring, self.two_sided)
        values, template = scores_of_participants(self, scoring, _least_participants(alternative))
        _warn_of_skewness(values, alternative, rng)
        _warn_of_shared_items(scoring, self.axis)
        flips = sign_flips(len(values), self.n_draws, rng)
        n_flips = "all" if len(flips) == 2.0 ** len(values) - 1 else "random"
        batches = (flipped_t(values, some) for some in _batches(flips, values.shape[1]))
        method = f"{n_flips} sign flips over {self.axis}, t statistic, {SIDES[alternative]}"
        return null_of_t(self, values, template, batches, alternative, method)


@dataclass(frozen=True)
class BootstrapT:
    """Test scores against chance over participants by resampling them, deviations from their mean only.

    t of resampled deviations is a null that keeps the skewness of scores, where flips of signs make it symmetric. With
    skewed scores of 6 to 20 participants flips err in up to 30 % of studies (family-wise, exponential scores; 50 %
    where they are lognormal), this in 1 to 7 %. With symmetric scores it errs in less than 5 %: in about 1 % with 6 or
    8 participants, 2 % with 12 and 3 % with 20, so take :class:`SignFlip` there.

    Parameters
    ----------
    axis, n_draws, two_sided, clusters, keep_draws
        As in :class:`SignFlip`.

    Examples
    --------
    >>> import xarray as xr
    >>> from neuroling.evaluation import FinishedScores
    >>> rng = np.random.default_rng(0)
    >>> scores = xr.DataArray(rng.exponential(0.1, (12, 3)) - [0.0, 0.1, 0.1], dims=("subject", "time"))
    >>> BootstrapT(n_draws=999)(FinishedScores(scores), rng).p_values("max").values < 0.05
    array([ True, False, False])
    """

    axis: str = "subject"
    n_draws: int = 1000
    two_sided: bool | None = None
    clusters: Clusters | ClusterKind | None = None
    keep_draws: bool = False

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> NullDistribution:
        """Draw the null.

        Parameters
        ----------
        scoring : Scoring
            The evaluation, or finished scores.
        rng : numpy.random.Generator
            Source of the resamplings.

        Returns
        -------
        NullDistribution
            Of t over participants, scores counted from chance.

        Warns
        -----
        CodedWarning
            ``few-participants``, with fewer than ten.
        """
        check_draws(self.n_draws)
        alternative = alternative_of(scoring, self.two_sided)
        values, template = scores_of_participants(self, scoring, 6)
        if len(values) < FEW_TO_RESAMPLE:
            warn(
                "few-participants",
                "inference",
                f"{len(values)} participants; resampled, fewer than {FEW_TO_RESAMPLE} err in about 1 % instead of 5 % "
                "of studies where scores are symmetric, and miss effects that are there. SignFlip is nearer to 5 % "
                "then.",
            )
        _warn_of_shared_items(scoring, self.axis)
        counts = resampled_counts(len(values), self.n_draws, rng)
        deviations = values - values.mean(axis=0)
        batches = (resampled_t(deviations, some) for some in _batches(counts, values.shape[1]))
        method = f"resampled deviations of {self.axis}s, t statistic, {SIDES[alternative]}"
        return null_of_t(self, values, template, batches, alternative, method)


class OverParticipants(Protocol):
    """What tests over participants have in common."""

    @property
    def axis(self) -> str:
        """Axis along which participants lie."""
        ...

    @property
    def clusters(self) -> Clusters | ClusterKind | None:
        """What neighbours add."""
        ...

    @property
    def keep_draws(self) -> bool:
        """Whether t of every draw is kept."""
        ...


def null_of_t(
    inference: OverParticipants,
    values: NDArray[np.float64],
    template: xr.DataArray,
    batches: Iterator[Array],
    alternative: Alternative,
    method: str,
) -> NullDistribution:
    """Count t of draws against t of the scores.

    Parameters
    ----------
    inference : OverParticipants
        Axis, clusters, and whether to keep draws.
    values : ndarray, shape (participant, location)
        Scores counted from chance.
    template : xarray.DataArray
        Labels of the locations.
    batches : iterator of ndarray, shape (draw, location)
        t of some draws.
    alternative : {"greater", "less", "two-sided"}
        Direction that counts.
    method : str
        How they were made.

    Returns
    -------
    NullDistribution
    """
    t = flipped_t(values, np.ones((1, len(values))))[0]
    observed = template.copy(data=t.reshape(template.shape)).rename("t")
    clusters = as_clusters(inference.clusters)
    return NullDistribution.collect_batches(
        observed,
        (batch.reshape(-1, *template.shape) for batch in batches),
        method=method if clusters is None else f"{method}; {clusters.described(observed)}",
        alternative=alternative,
        keep_draws=inference.keep_draws,
        support=None if clusters is None else clusters.support_of_t(observed, alternative, len(values) - 1),
        resolution=observed.copy(data=resolution_of_t(t, len(values)).reshape(template.shape)),
        statistic=f"t over {inference.axis}",
    )


def scores_of_participants(
    inference: OverParticipants, scoring: Scoring, fewest: int
) -> tuple[NDArray[np.float64], xr.DataArray]:
    """Give scores counted from chance, (participant, location), and labels of locations; or say what is wrong.

    Parameters
    ----------
    inference : OverParticipants
        Names the axis.
    scoring : Scoring
        The evaluation, or finished scores.
    fewest : int
        Participants that are needed.

    Returns
    -------
    values : ndarray, shape (participant, location)
    template : xarray.DataArray
    """
    axis, name = inference.axis, type(inference).__name__
    scores = scoring.observed() - scoring.chance
    if axis not in scores.dims:
        raise ValueError(
            f"inference: {name}({axis!r}) needs that axis in the scores, which have {scores.dims}; combine "
            "participants first, or use a metric that keeps the axis."
        )
    if "split" in scores.dims:
        raise ValueError("inference: the scores have an axis 'split'; average it away first, as Result.score does.")
    values = scores.transpose(axis, ...).to_numpy().astype(np.float64)
    if len(values) < fewest:
        raise ValueError(
            f"inference: {len(values)} along {axis!r} have {2 ** len(values)} sign flips, too few for p = 0.05"
            f"{', two-sided or resampled' if fewest > 5 else ''}; expected at least {fewest} participants."
        )
    undefined = int((~np.isfinite(values)).sum())
    if undefined:
        raise ValueError(
            f"inference: {undefined} of {values.size} scores are NaN or infinite; leave those locations out first."
        )
    flat = values.reshape(len(values), -1)
    alike = int((np.ptp(flat, axis=0) <= EQUAL * np.abs(flat).max(axis=0)).sum())
    if alike:
        raise ValueError(
            f"inference: all {len(values)} along {axis!r} have the same score at {alike} of {flat.shape[1]} locations; "
            "t is undefined there. Leave them out first."
        )
    return flat, scores.isel({axis: 0}, drop=True)


def _least_participants(alternative: Alternative) -> int:
    return 6 if alternative == "two-sided" else 5


def _batches(draws: NDArray[np.float64], n_locations: int) -> Iterator[NDArray[np.float64]]:
    size = max(1, BATCH_VALUES // max(1, n_locations))
    return (draws[start : start + size] for start in range(0, len(draws), size))


def _warn_of_skewness(values: NDArray[np.float64], alternative: Alternative, rng: np.random.Generator) -> None:
    """Warn where deviations from the mean are skewed: flips then err on one side, and miss effects on the other."""
    flips = sign_flips(len(values), SKEWNESS_FLIPS, rng.spawn(1)[0])
    erring_side = {"greater": -1, "less": 1, "two-sided": 0}[alternative]
    level = 0.05 if len(values) >= 8 else 0.1 if len(values) >= 6 else 0.15  # few participants hardly show it
    for side in dict.fromkeys((erring_side, -erring_side)):
        skewness, share = mean_skewness(values, flips, side)
        if share > (level if alternative == "two-sided" else level / 2) or abs(skewness) < LEAST_SKEWNESS:
            continue
        consequence = (
            "With skewed scores they find something in 10 to 50 % of studies where there is nothing."
            if side == erring_side
            else "With scores skewed to this side they err in less than 1 % instead of 5 %, and miss effects that are "
            "there."
        )
        warn(
            "skewed-scores",
            "inference",
            f"scores of the {len(values)} participants are skewed ({skewness:.2f} in the mean over locations, p = "
            f"{share:.2g}), and sign flips take them for symmetric. {consequence} BootstrapT keeps the skewness, and "
            "errs in 1 to 7 %.",
        )
        return


def _warn_of_shared_items(scoring: Scoring, axis: str) -> None:
    """Warn where participants share stimuli that are few, or whose geometry they share: others could score otherwise.

    More items do not help dissimilarities: what a model has in common with a shared geometry by chance shrinks with
    the number of items, what single participants add to it shrinks faster.
    """
    if isinstance(scoring, FinishedScores):
        return
    data = scoring.data
    n_items = len(data.items) if data.unit == "item" else data.n_samples
    if data.unit == "time" or axis not in data.targets or (data.unit != "item" and n_items >= FEW_ITEMS):
        return
    share = "25 to 45 %" if data.unit == "item" else "up to 18 %"
    warn(
        "items-fixed",
        "inference",
        f"the participants share {n_items} items, and a test over participants says nothing about other items: it "
        f"finds something in {share} of studies where only these items differ. For other items as well use "
        "DualBootstrap (dissimilarities) or a mixed model with items.",
    )


SIDES = {"greater": "one-sided", "less": "one-sided", "two-sided": "two-sided"}


def sign_flips(n: int, n_draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Give signs (draw, participant): all but the identity where they are few, random ones otherwise.

    Parameters
    ----------
    n : int
        Number of participants.
    n_draws : int
        Flips that are wanted.
    rng : numpy.random.Generator
        Source of random flips.
    """
    if n < 60 and 2**n - 1 <= n_draws:
        bits = (np.arange(1, 2**n)[:, None] >> np.arange(n)) & 1
        return np.where(bits, -1.0, 1.0)
    return rng.choice([-1.0, 1.0], size=(n_draws, n))
