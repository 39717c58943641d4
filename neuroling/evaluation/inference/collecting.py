"""Collect the scores of permuted data into a null distribution, for every inference that scores again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.align import Aligned
from neuroling.core.null_distribution import ROUNDING, Alternative, NullDistribution
from neuroling.core.protocols import Array, Orders, Scoring
from neuroling.evaluation.inference.clusters import ClusterKind, Clusters, as_clusters
from neuroling.evaluation.inference.exchange import changes_nothing, digest_of


class Collecting(Protocol):
    """What an inference says about collecting its draws."""

    @property
    def two_sided(self) -> bool | None:
        """Whether both directions count; None to follow the scores."""
        ...

    @property
    def clusters(self) -> Clusters | ClusterKind | None:
        """What neighbours add."""
        ...

    @property
    def keep_draws(self) -> bool:
        """Whether every draw is kept."""
        ...


def null_of_orders(
    scoring: Scoring,
    orders: Orders,
    method: str,
    inference: Collecting,
    *,
    keep_choices: bool = False,
    fixed: Array | None = None,
) -> NullDistribution:
    r"""Score the recording in other orders, and count.

    Parameters
    ----------
    scoring : Scoring
        The evaluation.
    orders : Orders
        Orders of its samples (draw, sample).
    method : str
        How they were made.
    inference : Collecting
        Sides, clusters, and whether to keep draws.
    keep_choices : bool
        Keep the penalties that were chosen for the recording as it is.
    fixed : ndarray, optional, shape (sample, \*targets)
        What stays in place.

    Returns
    -------
    NullDistribution
    """
    observed, same = scoring.observed(), changes_nothing(orders)
    draws = scoring.reordered(orders, keep_choices=keep_choices, fixed=fixed)
    ties = (observed if unchanged else draw for draw, unchanged in zip(draws, same, strict=True))
    kept = " at the penalties chosen" if keep_choices else ""
    return null_of_scores(scoring, ties, f"{method}{kept}", inference, relabelings=digest_of(scoring.data, orders))


def null_of_scores(
    scoring: Scoring, draws: Iterator[xr.DataArray], method: str, inference: Collecting, *, relabelings: str
) -> NullDistribution:
    """Count draws of scores against the scores themselves.

    Parameters
    ----------
    scoring : Scoring
        The evaluation.
    draws : iterator of xarray.DataArray
        Its scores under the null.
    method : str
        How they were made.
    inference : Collecting
        Sides, clusters, and whether to keep draws.
    relabelings : str
        Digest of what was exchanged.

    Returns
    -------
    NullDistribution
    """
    observed = scoring.observed()
    alternative = alternative_of(scoring, inference.two_sided)
    clusters = as_clusters(inference.clusters)
    support = None if clusters is None else clusters.support_of_scores(observed, alternative, scoring.chance)
    return NullDistribution.collect(
        observed,
        draws,
        method=method if clusters is None else f"{method}; {clusters.described(observed)}",
        alternative=alternative,
        centre=scoring.chance,
        keep_draws=inference.keep_draws,
        support=support,
        rounding=rounding_of(scoring.data),
        relabelings=relabelings,
    )


def alternative_of(scoring: Scoring, two_sided: bool | None) -> Alternative:
    """Say in which direction a score is extreme.

    Parameters
    ----------
    scoring : Scoring
        The evaluation.
    two_sided : bool or None
        Whether both directions count; as the scores ask for by default.
    """
    if scoring.two_sided if two_sided is None else two_sided:
        return "two-sided"
    return "greater" if scoring.larger_is_better else "less"


def rounding_of(data: Aligned) -> float:
    """Give the relative size of rounding errors in scores of a recording, by its dtype."""
    return ROUNDING[np.dtype(np.float32 if data.y.dtype == np.float32 else np.float64)]


def check_draws(n_draws: int) -> None:
    """Refuse fewer draws than p = 0.05 needs."""
    if n_draws < 20:
        raise ValueError(f"n_draws: got {n_draws}; at least 20 are needed for p = 0.05 to be possible.")


def all_same(orders: list[NDArray[np.intp]]) -> bool:
    """Say whether a draw of held-out orders, one for each split, leaves every sample where it is."""
    return all(bool((order == np.arange(len(order))).all()) for order in orders)
