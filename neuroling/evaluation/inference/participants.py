"""Tests over participants: signs are flipped, and neighbours may support one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.null_distribution import NullDistribution
from neuroling.core.protocols import Array, Scoring
from neuroling.evaluation.inference.clusters import ClusterKind, Clusters, as_clusters
from neuroling.evaluation.inference.collecting import alternative_of, check_draws
from neuroling.numerics.statistics.sign_flips import flipped_t, resolution_of_t

BATCH_VALUES = 2**20
"""Statistics of a batch of draws (8 MiB of float64); a heuristic."""

EQUAL = 1e-12
"""Scores whose range is below this, relative to the largest, are equal but for rounding."""


@dataclass(frozen=True)
class SignFlip:
    """Test scores against chance over participants by flipping their signs; the statistic is t over participants.

    All axes that are left belong to one family: ``p_values("max")`` and ``p_values("cluster")`` allow for every
    location, model and time together. It generalises to other participants who see the same stimuli, not to other
    stimuli: for that see :class:`~neuroling.evaluation.inference.participants_and_items.DualBootstrap`.

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
        """
        check_draws(self.n_draws)
        alternative = alternative_of(scoring, self.two_sided)
        scores = scoring.observed() - scoring.chance
        values = self._values(scores, is_two_sided=alternative == "two-sided")  # (participant, location)
        template = scores.isel({self.axis: 0}, drop=True)
        flips = sign_flips(len(values), self.n_draws, rng)
        t = flipped_t(values, np.ones((1, len(values))))[0]
        observed = template.copy(data=t.reshape(template.shape)).rename("t")
        clusters = as_clusters(self.clusters)
        n_flips = "all" if self.n_draws >= 2 ** min(len(values), 60) - 1 else "random"
        method = f"{n_flips} sign flips over {self.axis}, t statistic, {SIDES[alternative]}"
        return NullDistribution.collect_batches(
            observed,
            self._draws(values, flips, template.shape),
            method=method if clusters is None else f"{method}; {clusters.described(observed)}",
            alternative=alternative,
            keep_draws=self.keep_draws,
            support=None if clusters is None else clusters.support_of_t(observed, alternative, len(values) - 1),
            resolution=observed.copy(data=resolution_of_t(t, len(values)).reshape(template.shape)),
            statistic=f"t over {self.axis}",
        )

    def _draws(self, values: Array, flips: Array, shape: tuple[int, ...]) -> Iterator[Array]:
        batch = max(1, BATCH_VALUES // max(1, values.shape[1]))
        for start in range(0, len(flips), batch):
            yield flipped_t(values, flips[start : start + batch]).reshape(-1, *shape)

    def _values(self, scores: xr.DataArray, *, is_two_sided: bool) -> NDArray[np.float64]:
        """Give scores (participant, location), or say what is wrong with them."""
        if self.axis not in scores.dims:
            raise ValueError(
                f"inference: SignFlip({self.axis!r}) needs that axis in the scores, which have {scores.dims}; combine "
                "participants first, or use a metric that keeps the axis."
            )
        if "split" in scores.dims:
            raise ValueError("inference: the scores have an axis 'split'; average it away first, as Result.score does.")
        values = scores.transpose(self.axis, ...).to_numpy().astype(np.float64)
        fewest = 6 if is_two_sided else 5
        if len(values) < fewest:
            sides = " two-sided" if is_two_sided else ""
            raise ValueError(
                f"inference: {len(values)} along {self.axis!r} have {2 ** len(values)} sign flips, too few for{sides} "
                f"p = 0.05; expected at least {fewest} participants."
            )
        undefined = int((~np.isfinite(values)).sum())
        if undefined:
            raise ValueError(
                f"inference: {undefined} of {values.size} scores are NaN or infinite; leave those locations out first."
            )
        flat = values.reshape(len(values), -1)
        size = np.abs(flat).max(axis=0)
        alike = int((np.ptp(flat, axis=0) <= EQUAL * size).sum())
        if alike:
            raise ValueError(
                f"inference: all {len(values)} along {self.axis!r} have the same score at {alike} of {flat.shape[1]} "
                "locations; t is undefined there. Leave them out first."
            )
        return flat


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
