"""Tests over participants that neighbours support: sign flips with cluster mass or threshold-free enhancement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import sparse

from neuroling.core.protocols import Scoring
from neuroling.core.result import NullDistribution, Result
from neuroling.numerics.statistics import clusters

Array = NDArray[np.floating[Any]]
BATCH_VALUES = 2**22
"""Statistics of a batch of draws (32 MiB of float64); a heuristic."""

SCATTERED = {
    "channel": "mne.channels.find_ch_adjacency",
    "voxel": "neuroling.data.neighbours.neighbours_in_volume",
    "vertex": "neuroling.data.neighbours.neighbours_on_surface",
}
"""Axes on which entry after entry are no neighbours, and what says which are."""


@dataclass(frozen=True)
class FlipTest:
    """Test scores against chance by flipping the signs of participants; one family over all that is left.

    The statistic is t over participants. ``enhance`` says how neighbours support it: ``"tfce"`` (Smith and Nichols
    2009), ``"mass"`` of clusters above a threshold (Maris and Oostenveld 2007), or ``"none"``. Axes that are not named
    in ``neighbours``, such as models, have no neighbours and still belong to the family: ``p_values("max")`` and the p
    values of clusters allow for all of them.

    Clusters say that there is a difference somewhere. They say nothing about where it begins or ends; for onsets see
    :mod:`neuroling.evaluation.latency`.

    Parameters
    ----------
    axis : str
        Axis along which participants lie.
    n_draws : int
        Number of random flips.
    enhance : {"tfce", "mass", "size", "none"}
        What neighbours add.
    neighbours : tuple of str
        Axes on which entry after entry are neighbours, and one of ``"channel"``, ``"voxel"`` and ``"vertex"`` where
        ``adjacency`` is given.
    adjacency : sparse matrix, optional, shape (channel, channel), (voxel, voxel) or (vertex, vertex)
        Which of them are neighbours; :mod:`neuroling.data.neighbours` knows for volumes and surfaces.
    threshold : float, optional
        t that a position must pass to belong to a cluster; that of p < 0.05 by default.
    two_sided : bool
        Count effects of either sign, as for a difference of two models.
    """

    axis: str = "subject"
    n_draws: int = 1000
    enhance: Literal["tfce", "mass", "size", "none"] = "tfce"
    neighbours: tuple[str, ...] = ("time",)
    adjacency: sparse.spmatrix | sparse.sparray | None = None
    threshold: float | None = None
    two_sided: bool = False

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> NullDistribution:
        """Draw the null of an evaluation.

        Parameters
        ----------
        scoring : Scoring
            The evaluation.
        rng : numpy.random.Generator
            Source of the flips.
        """
        return self.test(scoring.observed() - scoring.chance, rng, larger_is_better=scoring.larger_is_better)

    def test(
        self, scores: xr.DataArray, rng: np.random.Generator, *, larger_is_better: bool = True
    ) -> NullDistribution:
        r"""Draw the null of scores that were counted from chance.

        Parameters
        ----------
        scores : xarray.DataArray, dims (axis, \*kept)
            Zero means nothing.
        rng : numpy.random.Generator
            Source of the flips.
        larger_is_better : bool
            Direction that counts as an effect, unless both do.

        Returns
        -------
        NullDistribution
            Of the enhanced statistic; of t itself, with p values of clusters, for ``enhance="mass"``.
        """
        laid, family, near = self._laid_out(scores)
        sign = 1.0 if larger_is_better else -1.0
        values = sign * laid.values.reshape(laid.shape[0], -1)  # (subject, family · near)
        statistic = self._statistic(laid, family, near, len(values))
        template = laid.isel({self.axis: 0}, drop=True)
        signs = rng.choice([-1.0, 1.0], size=(self.n_draws, len(values)))
        observed = statistic(clusters.flipped_t(values, np.ones((1, len(values)))))
        exceedances = np.zeros(observed[0].shape, dtype=np.int64)
        mass_exceedances = np.zeros(observed[1].shape, dtype=np.int64)
        best = []
        for batch in self._batches(signs, values.shape[1]):
            plain, mass = statistic(clusters.flipped_t(values, batch))
            exceedances += (plain >= observed[0] - 1e-12).sum(axis=0, keepdims=True)
            best.append(plain.max(axis=1))
            mass_exceedances += (mass.max(axis=1)[:, None] >= observed[1] - 1e-12).sum(axis=0)
        order = [dim for dim in scores.dims if dim != self.axis]

        def label(flat: NDArray[Any]) -> xr.DataArray:
            return template.copy(data=flat.reshape(template.shape)).transpose(*order)

        cluster = (1 + mass_exceedances) / (1 + self.n_draws)
        return NullDistribution(
            observed=label(sign * observed[0] if not self.two_sided and self.enhance != "tfce" else observed[0]),
            exceedances=label(exceedances),
            best=xr.DataArray(
                np.concatenate(best) * (sign if not self.two_sided and self.enhance != "tfce" else 1.0), dims="draw"
            ),
            method=self._method(),
            cluster=label(np.where(observed[1] > 0, cluster, 1.0)) if self.enhance in ("mass", "size") else None,
            larger_is_better=larger_is_better or self.two_sided or self.enhance == "tfce",
        )

    def _method(self) -> str:
        sides = "two-sided" if self.two_sided else "one-sided"
        what = {
            "tfce": "threshold-free enhanced t",
            "mass": "t and masses of its clusters",
            "size": "t and sizes of its clusters",
            "none": "t",
        }[self.enhance]
        return f"sign flips over {self.axis}, {what} along {' × '.join(self.neighbours)}, {sides}"

    def _laid_out(self, scores: xr.DataArray) -> tuple[xr.DataArray, tuple[str, ...], tuple[str, ...]]:
        if self.n_draws < 20:
            raise ValueError(f"n_draws: got {self.n_draws}; at least 20 are needed for p = 0.05 to be possible.")
        if self.enhance not in ("tfce", "mass", "size", "none"):
            raise ValueError(f"enhance: got {self.enhance!r}; expected 'tfce', 'mass', 'size' or 'none'.")
        if self.axis not in scores.dims:
            raise ValueError(f"inference: FlipTest({self.axis!r}) needs that axis; the scores have {scores.dims}.")
        if scores.sizes[self.axis] < 5:
            raise ValueError(
                f"inference: {scores.sizes[self.axis]} along {self.axis!r} are too few for p = 0.05; expected at "
                "least 5."
            )
        undefined = int(scores.isnull().sum())
        if undefined:
            raise ValueError(
                f"inference: {undefined} of {scores.size} scores are NaN; leave those positions out first."
            )
        if "split" in scores.dims:
            raise ValueError("inference: the scores have an axis 'split'; average it away first, as Result.score does.")
        near = tuple(str(axis) for axis in self.neighbours if axis in scores.dims)
        scattered = [axis for axis in near if axis in SCATTERED]
        if scattered and self.adjacency is None:
            raise ValueError(
                f"adjacency: {scattered[0]}s are no grid; say which are neighbours, with {SCATTERED[scattered[0]]}."
            )
        if len(scattered) > 1:
            raise ValueError(
                f"neighbours: got {near}; one adjacency says which of {scattered} are neighbours, not both."
            )
        family = tuple(str(dim) for dim in scores.dims if dim not in (self.axis, *near))
        return scores.transpose(self.axis, *family, *near), family, near

    def _statistic(self, laid: xr.DataArray, family: tuple[str, ...], near: tuple[str, ...], n: int) -> Any:
        """Give the function that turns t (draw, position) into the statistic and masses of clusters."""
        from scipy.stats import t

        n_family = int(np.prod([laid.sizes[axis] for axis in family]))
        label = self._labeller(laid, near)
        level = 0.025 if self.two_sided else 0.05
        threshold = float(t.isf(level, n - 1)) if self.threshold is None else self.threshold

        def each_sign(values: Array, enhance: Any) -> Array:
            rows = values.reshape(len(values) * n_family, -1)
            found = enhance(rows)
            if self.two_sided:
                found = found + enhance(-rows)
            return np.asarray(found.reshape(values.shape))

        def statistic(values: Array) -> tuple[Array, Array]:
            if self.enhance == "tfce":
                return each_sign(values, lambda rows: clusters.threshold_free(rows, label)), np.zeros(values.shape)
            plain = np.abs(values) if self.two_sided else values
            if self.enhance == "none":
                return plain, np.zeros(values.shape)
            measure = clusters.cluster_mass if self.enhance == "mass" else clusters.cluster_size
            return plain, each_sign(values, lambda rows: measure(rows, threshold, label))

        return statistic

    def _labeller(self, laid: xr.DataArray, near: tuple[str, ...]) -> clusters.Labeller:
        scattered = next((axis for axis in near if axis in SCATTERED), None)
        if len(near) < 2 and scattered is None:
            return clusters.chain_labels
        if scattered is not None and self.adjacency is not None and self.adjacency.shape[0] != laid.sizes[scattered]:
            raise ValueError(
                f"adjacency: it is of {self.adjacency.shape[0]} {scattered}s, the scores have {laid.sizes[scattered]}."
            )
        axes = [
            self.adjacency if axis == scattered and self.adjacency is not None else laid.sizes[axis] for axis in near
        ]
        return clusters.graph_labels(clusters.grid_adjacency(*axes))

    def _batches(self, signs: Array, n_positions: int) -> Iterator[Array]:
        size = max(1, BATCH_VALUES // n_positions)
        for start in range(0, len(signs), size):
            yield signs[start : start + size]


class NullOfScores(Protocol):
    """An inference that can test scores made elsewhere."""

    def test(
        self, scores: xr.DataArray, rng: np.random.Generator, *, larger_is_better: bool = True
    ) -> NullDistribution:
        """Draw the null of scores counted from chance."""
        ...


def with_null(result: Result, inference: NullOfScores, rng: int | np.random.Generator = 0) -> Result:
    """Add a null to a result that has none: of streamed similarities, combined participants, differences of models.

    Parameters
    ----------
    result : Result
        With an axis of participants.
    inference : FlipTest or SignFlip
        How to test it.
    rng : int or numpy.random.Generator
        Seed of the draws.

    Returns
    -------
    Result
    """
    direction = bool(result.data.attrs["larger_is_better"])
    null = inference.test(result.score - result.chance, np.random.default_rng(rng), larger_is_better=direction)
    options = {**result.provenance.options, "inference": " ".join(repr(inference).split())}
    seed = str(rng) if isinstance(rng, int | np.integer) else type(rng).__name__
    return Result.of(
        result.data["score"],
        metric=result.metric,
        chance=result.chance,
        larger_is_better=direction,
        ceiling=result.data.get("ceiling"),
        null=null,
        provenance=replace(result.provenance, options=options, seed=seed),
    )


def model_difference(result: Result, model: str, other: str) -> Result:
    """Subtract the score of one model from that of another, sign kept.

    Parameters
    ----------
    result : Result
        With an axis ``model``.
    model, other : str
        Which to subtract from which.

    Returns
    -------
    Result
        Scores of zero mean that the two agree equally well; no ceiling, which a difference does not have.
    """
    score = result.data["score"]
    if "model" not in score.dims:
        raise ValueError(f"result: its scores have {score.dims}, no 'model' to take a difference of.")
    names = [str(name) for name in score.model.values]
    for name in (model, other):
        if name not in names:
            raise ValueError(f"model: got {name!r}; the result has {names}.")
    if model == other:
        raise ValueError(f"model: {model!r} less itself is nothing; name two models.")
    difference = score.sel(model=model, drop=True) - score.sel(model=other, drop=True)
    return Result.of(difference, metric=f"{result.metric}, {model} less {other}", provenance=result.provenance)
