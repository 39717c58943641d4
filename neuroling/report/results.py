"""The picture of a result, chosen by the axes that are left; models stay apart, and its null and ceiling are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuroling.core.result import Result
from neuroling.report.estimates import plot_estimates
from neuroling.report.figures import (
    SERIES,
    plot_curve,
    plot_distribution,
    plot_null,
    plot_points,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

SIGNIFICANCE = 0.05
LOCATIONS = ("voxel", "vertex")
"""Axes with too many entries for points."""


def plot_result(result: Result, ax: Axes | None = None) -> Axes:
    """Draw a result: time as curves, voxels as distributions, participants, models and regions as points.

    Models are never averaged over; participants are where time or locations are drawn. A result without any axis left
    is drawn as its null distribution with the observed score.

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

    Raises
    ------
    ValueError
        If the axes that are left cannot be drawn together; the message says which to select.
    """
    axes = _draw(result, ax)
    if result.provenance.synthetic:
        axes.text(
            0.99, 0.98, "SYNTHETIC DATA", transform=axes.transAxes, ha="right", va="top", color="#a3151b", weight="bold"
        )
    return axes


def _draw(result: Result, ax: Axes | None) -> Axes:
    if result.is_estimate:
        return plot_estimates(result, ax)
    score, label = result.score, result.metric
    if not score.dims:
        return _draw_null(result, ax)
    if "time" in score.dims:
        return _draw_time(result, ax)
    if any(dim in score.dims for dim in LOCATIONS):
        return _draw_locations(result, ax)
    if len(score.dims) == 3 and "subject" in score.dims:
        score = score.mean("subject", skipna=False)
        label = f"{label}, mean over participants"
    if "model" in score.dims and len(score.dims) == 2 and score.sizes["model"] <= len(SERIES):
        return plot_points(
            score, series="model", ceiling=_upper(result, score, "model"), chance=result.chance, label=label, ax=ax
        )
    (along,) = score.dims[-1:]
    return plot_points(
        score,
        edge=_null_edge(result, score),
        ceiling=_upper(result, score, str(score.dims[0])) if len(score.dims) == 1 else None,
        along=str(along),
        chance=result.chance,
        label=label,
        ax=ax,
    )


def _draw_time(result: Result, ax: Axes | None) -> Axes:
    """Draw curves; regions, channels and other targets are refused rather than averaged over."""
    score = result.score
    surplus = [str(dim) for dim in score.dims if dim not in ("time", "model", "subject")]
    if surplus:
        raise ValueError(
            f"result: its scores have the axes {score.dims}, and {surplus} cannot be drawn over time; select an entry "
            f"of result.score, such as .isel({surplus[0]}=0), and pass it to report.figures.plot_curve."
        )
    significant, correction = _significant(result)
    return plot_curve(
        score,
        ceiling=_ceiling(result),
        null=_null_draws(result) if "subject" not in score.dims else None,
        significant=significant,
        correction=correction,
        chance=result.chance,
        label=result.metric,
        ax=ax,
    )


def _draw_locations(result: Result, ax: Axes | None) -> Axes:
    """Draw distributions over locations: of each model, over participants together."""
    if "model" in result.score.dims and result.score.sizes["model"] > len(SERIES):
        others = [str(dim) for dim in result.score.dims if dim != "model"]
        label = f"{result.metric}, mean over {' and '.join(others)}"
        return plot_points(result.score.mean(others, skipna=False), chance=result.chance, label=label, ax=ax)
    score, draws = result.score, _null_draws(result)
    models = {str(name): score.sel(model=name).values for name in score.model.values} if "model" in score.dims else {}
    ceiling = _upper(result, score)
    return plot_distribution(
        models or score.values,
        null=None if draws is None else draws.values,
        ceiling=None if ceiling is None else float(np.nanmedian(ceiling.values)),
        chance=result.chance,
        label=result.metric,
        ax=ax,
    )


def _draw_null(result: Result, ax: Axes | None) -> Axes:
    if "null_observed" not in result.data:
        return plot_points(result.score.expand_dims(model=["score"]), chance=result.chance, label=result.metric, ax=ax)
    null = result.null
    draws = null.best if null.draws is None else null.draws
    return plot_null(draws.values, float(null.observed), label=result.metric, p=float(null.p_values()), ax=ax)


def _ceiling(result: Result) -> xr.DataArray | None:
    if "ceiling" not in result.data:
        return None
    return result.mean_ceiling(over=[str(dim) for dim in result.ceiling.dims if dim not in ("bound", "time")])


def _upper(result: Result, score: xr.DataArray, *over: str) -> xr.DataArray | None:
    """Give the ceiling's bound that scores are divided by, averaged over the axes that are not drawn."""
    if "ceiling" not in result.data:
        return None
    bounds = [str(bound) for bound in result.ceiling.bound.values]
    named = next((bound for bound in ("ceiling", "lower") if bound in bounds), bounds[0])
    ceiling = result.ceiling.sel(bound=named, drop=True)
    drawn = [dim for dim in score.dims if dim not in over]
    if over and set(drawn) - set(ceiling.dims):
        return None
    return ceiling.mean([dim for dim in ceiling.dims if dim not in drawn])


def _null_draws(result: Result) -> xr.DataArray | None:
    """Give null samples of the scores themselves, where they were kept: not those of another statistic over people."""
    if "null_draws" not in result.data:
        return None
    draws = result.data["null_draws"]
    return draws if set(draws.dims) == {"draw", *result.score.dims} else None


def _null_edge(result: Result, score: xr.DataArray) -> xr.DataArray | None:
    """Give the 95th percentile of the null at each point, where points are what the null is of."""
    draws = _null_draws(result)
    if draws is None or len(score.dims) != 1 or set(draws.dims) != {"draw", *score.dims}:
        return None
    return draws.quantile(0.95 if result.data.attrs["larger_is_better"] else 0.05, "draw").drop_vars("quantile")


def _significant(result: Result) -> tuple[xr.DataArray | None, str]:
    """Say where the corrected p value is below 5 %, and which correction it is: clusters where there are any."""
    if "null_observed" not in result.data or set(result.null.observed.dims) - {"time", "model"}:
        return None, ""
    by_cluster = "null_cluster" in result.data
    p = result.p_values("cluster" if by_cluster else "max")
    over = " and ".join(str(dim) for dim in p.dims)
    return p < SIGNIFICANCE, f"p < 0.05, {'clusters' if by_cluster else 'family-wise'} over {over}"
