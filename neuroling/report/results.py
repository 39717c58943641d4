"""The picture of a result, chosen by the axes that are left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuroling.core.result import Result
from neuroling.report.figures import plot_curve, plot_distribution, plot_null, plot_points

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

SIGNIFICANCE = 0.05


def plot_result(result: Result, ax: Axes | None = None) -> Axes:
    """Draw a result: time as a curve, voxels as a distribution, participants, models and regions as points.

    A result without any axis left is drawn as its null distribution with the observed score.

    Parameters
    ----------
    result : Result
        From :func:`~neuroling.evaluation.evaluate`, or several of them combined.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With a note where the data are synthetic.
    """
    axes = _draw(result, ax)
    if result.provenance.synthetic:
        axes.text(
            0.99, 0.98, "SYNTHETIC DATA", transform=axes.transAxes, ha="right", va="top", color="#a3151b", weight="bold"
        )
    return axes


def _draw(result: Result, ax: Axes | None) -> Axes:
    score, label = result.score, result.metric
    if not score.dims:
        return _draw_null(result, ax)
    if "time" in score.dims:
        return plot_curve(
            score, ceiling=_ceiling(result), significant=_significant(result), chance=result.chance, label=label, ax=ax
        )
    if "voxel" in score.dims:
        return plot_distribution(score.values, chance=result.chance, label=label, ax=ax)
    return plot_points(score, chance=result.chance, label=label, ax=ax)


def _draw_null(result: Result, ax: Axes | None) -> Axes:
    if "null_observed" not in result.data:
        return plot_points(result.score.expand_dims(model=["score"]), chance=result.chance, label=result.metric, ax=ax)
    null = result.null
    draws = null.best if null.draws is None else null.draws
    return plot_null(draws.values, float(null.observed), label=result.metric, p=float(null.p_values()), ax=ax)


def _ceiling(result: Result) -> xr.DataArray | None:
    if "ceiling" not in result.data:
        return None
    ceiling = result.ceiling
    return ceiling.mean([dim for dim in ceiling.dims if dim not in ("bound", "time")])


def _significant(result: Result) -> xr.DataArray | None:
    """Say where the family-wise corrected p value is below 5 %, for a single curve with a null."""
    if "null_observed" not in result.data or result.null.observed.dims != ("time",):
        return None
    return result.p_values("max") < SIGNIFICANCE
