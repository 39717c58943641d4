"""Cluster statistics: clusters above a threshold, or threshold-free cluster enhancement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from scipy import sparse

from neuroling.core.null_distribution import Alternative, NullDistribution, Support
from neuroling.core.protocols import Array
from neuroling.core.result import Result
from neuroling.numerics.statistics import clusters as numerics

ClusterKind = Literal["mass", "size", "tfce"]

GRIDS = ("time", "frequency")
"""Axes on which entry after entry are neighbours."""

SCATTERED = {
    "channel": "mne.channels.find_ch_adjacency",
    "voxel": "neuroling.data.neighbours.neighbours_in_volume",
    "vertex": "neuroling.data.neighbours.neighbours_on_surface",
    "region": "a matrix of your own",
}
"""Axes on which they are not, and what says which are."""

WORDS = {"mass": "masses of clusters", "size": "sizes of clusters", "tfce": "threshold-free enhancement"}


@dataclass(frozen=True, eq=False)
class Clusters:
    """Cluster statistic, neighbours, and the threshold above which locations form clusters.

    Every location is compared with the largest cluster (or enhancement) of every draw over all locations, which
    controls the family-wise error. It says that there is something in the cluster, not where in it. Axes without
    neighbours, such as models, have clusters of their own and belong to the same family.

    Attributes
    ----------
    by : {"mass", "size", "tfce"}
        Sum of the statistic over a cluster, number of its locations, or threshold-free enhancement.
    adjacency : sparse matrix, optional, shape (location, location)
        Which channels, voxels, vertices or regions are neighbours, in the order of the scores;
        :mod:`neuroling.data.neighbours` knows for volumes and surfaces.
    threshold : float, optional
        Value that a location has to pass to belong to a cluster, chosen before looking: t for tests over participants,
        where it is that of p < 0.05 by default, and the score itself otherwise.
    axes : tuple of str, optional
        Axes along which there are neighbours: all of ``time`` and ``frequency`` that there are, and the one that
        ``adjacency`` is of, by default.

    Examples
    --------
    >>> import numpy as np
    >>> chain = np.eye(3, k=1) + np.eye(3, k=-1)  # three channels in a row
    >>> from scipy import sparse
    >>> Clusters("size", adjacency=sparse.csr_array(chain), threshold=2.0).threshold
    2.0
    """

    by: ClusterKind = "mass"
    adjacency: sparse.spmatrix | sparse.sparray | None = None
    threshold: float | None = None
    axes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.by, str) or self.by not in WORDS:
            raise ValueError(f"by: got {self.by!r}; expected 'mass', 'size' or 'tfce'.")
        if self.adjacency is not None:
            rows, columns = self.adjacency.shape
            if rows != columns:
                raise ValueError(f"adjacency: got shape {(rows, columns)}; expected a square of locations.")
        if self.threshold is not None and not np.isfinite(self.threshold):
            raise ValueError(f"threshold: got {self.threshold}; expected a finite value.")

    def described(self, observed: xr.DataArray) -> str:
        """Say in words what neighbours add, and along which axes."""
        return f"{WORDS[self.by]} along {' × '.join(self._near(observed))}"

    def support_of_t(self, observed: xr.DataArray, alternative: Alternative, freedom: int) -> Support:
        """Give the function that turns t (draw, …) into what neighbours add.

        Parameters
        ----------
        observed : xarray.DataArray
            t at every location.
        alternative : {"greater", "less", "two-sided"}
            Direction that counts.
        freedom : int
            Degrees of freedom of t, for the default threshold.
        """
        from scipy.stats import t

        level = 0.025 if alternative == "two-sided" else 0.05
        threshold = float(t.isf(level, freedom)) if self.threshold is None else self.threshold
        return self._support(observed, alternative, 0.0, threshold, numerics.STEP)

    def support_of_scores(self, observed: xr.DataArray, alternative: Alternative, chance: float) -> Support:
        """Give the function that turns scores (draw, …) into what neighbours add.

        Parameters
        ----------
        observed : xarray.DataArray
            Score at every location.
        alternative : {"greater", "less", "two-sided"}
            Direction that counts.
        chance : float
            Score that means nothing.
        """
        if self.by == "tfce":
            return self._support(observed, alternative, chance, 0.0, 0.0)
        if self.threshold is None:
            raise ValueError(
                f"threshold: none given; clusters by {self.by} of scores need one, such as Clusters({self.by!r}, "
                "threshold=0.1), since scores have no level of their own. Threshold-free enhancement, 'tfce', has none."
            )
        above_chance = self.threshold - chance if alternative != "less" else chance - self.threshold
        if self.by == "mass" and above_chance <= 0:
            raise ValueError(
                f"threshold: got {self.threshold}, which is no better than chance ({chance:g}); masses of clusters "
                "need one that is."
            )
        return self._support(observed, alternative, chance, above_chance, 0.0)

    def _support(
        self, observed: xr.DataArray, alternative: Alternative, centre: float, threshold: float, step: float
    ) -> Support:
        near = self._near(observed)
        family = tuple(str(dim) for dim in observed.dims if dim not in near)
        source = [1 + observed.dims.index(dim) for dim in (*family, *near)]
        laid = tuple(observed.sizes[dim] for dim in (*family, *near))
        n_near = int(np.prod([observed.sizes[dim] for dim in near]))
        label = self._labeller(observed, near)
        sign = -1.0 if alternative == "less" else 1.0

        def one_sided(rows: Array) -> Array:
            if self.by == "tfce":
                return np.asarray(numerics.threshold_free(np.where(np.isnan(rows), -np.inf, rows), label, step))
            inside = np.where(rows > threshold, rows, threshold)  # also where NaN; what is outside weighs nothing
            measure = numerics.cluster_mass if self.by == "mass" else numerics.cluster_size
            return np.asarray(measure(inside, threshold, label))

        def support(values: Array) -> Array:
            moved = np.moveaxis(values, source, range(1, values.ndim))
            rows = sign * (moved.reshape(-1, n_near).astype(np.float64) - centre)  # (draw · family, near)
            found = one_sided(rows)
            if alternative == "two-sided":
                found = found + one_sided(-rows)
            return np.asarray(np.moveaxis(found.reshape(len(values), *laid), range(1, values.ndim), source))

        return support

    def _near(self, observed: xr.DataArray) -> tuple[str, ...]:
        """Name the axes along which there are neighbours, or say what is missing."""
        scattered = [str(dim) for dim in observed.dims if dim in SCATTERED]
        grids = [str(dim) for dim in observed.dims if dim in GRIDS]
        if self.axes is None:
            near = [*([scattered[0]] if scattered and self.adjacency is not None else []), *grids]
        else:
            near = [axis for axis in self.axes if axis in observed.dims]
        if not near:
            hint = f" Give the adjacency of {scattered[0]}s, with {SCATTERED[scattered[0]]}." if scattered else ""
            raise ValueError(f"clusters: the scores have {observed.dims}, and none of these has neighbours.{hint}")
        by_matrix = [axis for axis in near if axis in SCATTERED]
        other = [axis for axis in near if axis not in SCATTERED and axis not in GRIDS]
        if other:
            raise ValueError(
                f"axes: entries along {other[0]!r} have no order; expected axes among {[*GRIDS, *SCATTERED]}."
            )
        if by_matrix and self.adjacency is None:
            raise ValueError(
                f"adjacency: {by_matrix[0]}s are no grid; say which are neighbours, with {SCATTERED[by_matrix[0]]}."
            )
        if len(by_matrix) > 1 or (self.adjacency is not None and not by_matrix):
            raise ValueError(
                f"adjacency: one matrix says which entries of one axis are neighbours; the scores have {scattered}. "
                "Name one of them in axes."
            )
        if self.adjacency is not None and self.adjacency.shape[0] != observed.sizes[by_matrix[0]]:
            raise ValueError(
                f"adjacency: it is of {self.adjacency.shape[0]} {by_matrix[0]}s, the scores have "
                f"{observed.sizes[by_matrix[0]]}."
            )
        return tuple(near)

    def _labeller(self, observed: xr.DataArray, near: tuple[str, ...]) -> numerics.Labeller:
        if len(near) == 1 and near[0] in GRIDS:
            return numerics.chain_labels
        parts = [
            self.adjacency if axis in SCATTERED and self.adjacency is not None else observed.sizes[axis]
            for axis in near
        ]
        return numerics.graph_labels(numerics.grid_adjacency(*parts))


def as_clusters(clusters: Clusters | ClusterKind | None) -> Clusters | None:
    """Turn the name of a cluster statistic into ``Clusters`` with default options.

    Parameters
    ----------
    clusters : Clusters, {"mass", "size", "tfce"} or None
        What an inference was given.
    """
    return Clusters(clusters) if isinstance(clusters, str) else clusters


def with_clusters(result: Result, clusters: Clusters) -> Result:
    """Form clusters in a result whose draws were kept, such as one that was joined from tiles.

    Parameters
    ----------
    result : Result
        With a null of its scores and the draws of it.
    clusters : Clusters
        Which locations are neighbours.

    Returns
    -------
    Result
        ``p_values("cluster")`` gives the p value of every location's cluster.

    Raises
    ------
    ValueError
        If the draws were not kept, or the locations are not those of the adjacency.
    """
    null = result.null
    if null.draws is None:
        raise ValueError("result: the draws of its null were not kept, and clusters need them; use keep_draws=True.")
    found = NullDistribution.collect(
        null.observed,
        null.draws,
        method=f"{null.method}; {clusters.described(null.observed)}",
        alternative=null.alternative,
        centre=null.centre,
        keep_draws=False,
        support=clusters.support_of_scores(null.observed, null.alternative, result.chance),
        resolution=null.resolution,
    )
    assert found.cluster is not None  # noqa: S101 - clusters were given
    data = result.data.assign(null_cluster=found.cluster.rename("null_cluster")).assign_attrs(null_method=found.method)
    return Result(data, result.provenance)
