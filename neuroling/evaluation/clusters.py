"""Clusters of neighbouring positions, on volumes and surfaces, against the largest cluster of every draw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import sparse

from neuroling.core.result import NullDistribution, Result
from neuroling.numerics.statistics.clusters import cluster_mass, cluster_size, graph_labels


@dataclass(frozen=True, eq=False)
class Clusters:
    """Which positions are neighbours, from which score on they form clusters, and what counts of a cluster.

    A cluster is held against the largest one of every draw over all positions, which controls the family-wise error.
    It says that there is something in the cluster, not where in it.

    Attributes
    ----------
    adjacency : sparse matrix, shape (position, position)
        Of the positions in the order of the scores, from
        :func:`neuroling.numerics.statistics.clusters.volume_adjacency` or
        :func:`~neuroling.numerics.statistics.clusters.mesh_adjacency`.
    threshold : float
        Score that a position has to pass to belong to a cluster, chosen before looking.
    by : {"size", "mass"}
        Number of positions, or the sum of their scores.
    """

    adjacency: sparse.csr_array
    threshold: float
    by: Literal["size", "mass"] = "size"

    def __post_init__(self) -> None:
        if self.by not in ("size", "mass"):
            raise ValueError(f"by: got {self.by!r}; expected 'size' or 'mass'.")
        rows, columns = self.adjacency.shape
        if rows != columns:
            raise ValueError(f"adjacency: got shape {(rows, columns)}; expected a square of positions.")
        if not np.isfinite(self.threshold):
            raise ValueError(f"threshold: got {self.threshold}; expected a finite score.")

    def extents(self, scores: NDArray[np.floating]) -> NDArray[np.floating]:
        """Give what counts of the cluster that each position belongs to, 0 outside.

        Parameters
        ----------
        scores : ndarray, shape (draw, position)
            NaN belongs to no cluster.
        """
        measure = cluster_size if self.by == "size" else cluster_mass
        filled = np.where(np.isnan(scores), -np.inf, scores)
        if self.by == "mass":
            filled = np.where(filled > self.threshold, filled, self.threshold)
        return measure(filled, self.threshold, graph_labels(sparse.csr_array(self.adjacency)))


def with_cluster_p(
    observed: xr.DataArray,
    draws: Iterable[xr.DataArray],
    clusters: Clusters | None,
    *,
    method: str,
    larger_is_better: bool = True,
    keep_draws: bool = True,
) -> NullDistribution:
    r"""Collect draws, and where neighbours are known the largest cluster of each of them.

    Parameters
    ----------
    observed : xarray.DataArray, dims (\*kept,)
        Scores of the data as they are.
    draws : iterable of xarray.DataArray
        Scores under the null.
    clusters : Clusters or None
        Which positions are neighbours.
    method, larger_is_better, keep_draws
        As in :meth:`~neuroling.core.result.NullDistribution.collect`.

    Returns
    -------
    NullDistribution
    """
    options = {"method": method, "larger_is_better": larger_is_better, "keep_draws": keep_draws}
    if clusters is None:
        return NullDistribution.collect(observed, draws, **options)  # type: ignore[arg-type]  # the three named above
    _check_fits(clusters, observed)
    sign, largest = (1.0 if larger_is_better else -1.0), list[float]()

    def watched() -> Iterator[xr.DataArray]:
        for draw in draws:
            extents = clusters.extents(sign * draw.transpose(*observed.dims).to_numpy()[None])
            largest.append(float(extents.max()))
            yield draw

    null = NullDistribution.collect(observed, watched(), **options)  # type: ignore[arg-type]  # the three named above
    extents = clusters.extents(sign * observed.to_numpy()[None])[0]
    ranked = np.sort(largest)
    above = len(ranked) - np.searchsorted(ranked, extents - 1e-9)
    p = np.where(extents > 0, (1 + above) / (1 + len(ranked)), 1.0)
    return replace(null, cluster=observed.copy(data=p), method=f"{method}; clusters by {clusters.by}")


def with_clusters(result: Result, clusters: Clusters) -> Result:
    """Form clusters in a result whose draws were kept, such as one that was joined from tiles.

    Parameters
    ----------
    result : Result
        With a null and its draws.
    clusters : Clusters
        Which positions are neighbours.

    Returns
    -------
    Result
        ``p_values("cluster")`` gives the p value of every position's cluster.

    Raises
    ------
    ValueError
        If the draws were not kept, or the positions are not those of the adjacency.
    """
    null = result.null
    if null.draws is None:
        raise ValueError("result: the draws of its null were not kept, and clusters need them; use keep_draws=True.")
    draws = (null.draws.isel(draw=number) for number in range(null.n_draws))
    found = with_cluster_p(
        null.observed, draws, clusters, method=null.method, larger_is_better=null.larger_is_better, keep_draws=False
    )
    assert found.cluster is not None  # noqa: S101 - clusters were given
    data = result.data.assign(null_cluster=found.cluster.rename("null_cluster")).assign_attrs(null_method=found.method)
    return Result(data, result.provenance)


def _check_fits(clusters: Clusters, observed: xr.DataArray) -> None:
    if observed.ndim != 1 or observed.size != clusters.adjacency.shape[0]:
        raise ValueError(
            f"clusters: the adjacency is of {clusters.adjacency.shape[0]} positions; the scores have {observed.dims} "
            f"of shape {observed.shape}. Expected one axis of as many positions, in the same order."
        )
