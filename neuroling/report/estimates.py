"""Pictures of estimates: effects with their intervals, as points or over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuroling.core.estimates import INTERCEPT
from neuroling.core.result import CORRECTIONS, Result
from neuroling.report.figures import CHANCE, DASHES, MARKERS, SERIES, new_axes, significance_bars

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

SIGNIFICANCE = 0.05


def plot_estimates(result: Result, ax: Axes | None = None) -> Axes:
    """Draw estimates with their 95 % intervals: effects as points, or as curves where there is time.

    The intercept is left out where other effects are drawn beside it, since it has another scale.

    Parameters
    ----------
    result : Result
        From :func:`~neuroling.evaluation.estimation.estimate.estimate`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there are axes beside feature, model and one more, or more curves than colours.

    Examples
    --------
    >>> import xarray as xr
    >>> from neuroling import GroupMean, estimate
    >>> waves = xr.DataArray(np.random.default_rng(0).standard_normal((9, 4)), dims=("subject", "time"))
    >>> plot_estimates(estimate(GroupMean(), waves.assign_coords(time=[0.0, 0.1, 0.2, 0.3]))).get_xlabel()
    'time (ms)'
    """
    table = result.estimates
    if "feature" in table.dims:
        others = [name for name in table["feature"].to_numpy() if name != INTERCEPT]
        table = table.sel(feature=others or [INTERCEPT])
    locations = [str(dim) for dim in table.estimate.dims if dim not in ("feature", "model")]
    if len(locations) > 1:
        raise ValueError(
            f"result: its estimates have the axes {table.estimate.dims}, too many for one picture; select an entry of "
            f"result.estimates, such as .isel({locations[-1]}=0), or estimate for one."
        )
    ax = ax or new_axes()
    ax.axhline(0.0, color=CHANCE, linestyle=(0, (5, 3)), linewidth=1.2, label="no effect (0)")
    if locations == ["time"]:
        _draw_curves(result, table, ax)
    else:
        _draw_points(table, locations, ax)
    ax.set_ylabel("estimate, 95 % interval")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=9)
    return ax


def _draw_points(table: xr.Dataset, locations: list[str], ax: Axes) -> None:
    """Draw one point with its interval per effect, in colours by model or effect."""
    along = locations[0] if locations else "feature" if "feature" in table.dims else "model"
    series = [dim for dim in ("model", "feature") if dim in table.dims and dim != along]
    names, columns = _series(table, series)
    places = np.arange(table.sizes[along]) if along in table.dims else np.arange(1)
    shifts = np.linspace(-0.2, 0.2, len(columns)) if len(columns) > 1 else [0.0]
    for number, (name, column) in enumerate(zip(names, columns, strict=True)):
        middle = np.atleast_1d(column.estimate.to_numpy())
        reach = np.abs(np.stack([middle - column.low.to_numpy(), column.high.to_numpy() - middle]).reshape(2, -1))
        at, label = places + shifts[number], name or "estimate"
        ax.errorbar(at, middle, reach, label=label, color=SERIES[number], fmt=MARKERS[number], capsize=3)
    labels = [str(label) for label in table[along].to_numpy()] if along in table.coords else ["mean"][: len(places)]
    ax.set_xticks(places, labels or [str(place) for place in places])
    ax.set_xlim(-0.6, len(places) - 0.4)


def _draw_curves(result: Result, table: xr.Dataset, ax: Axes) -> None:
    """Draw curves over time within their intervals; bars say where p is below 0.05, and by which correction."""
    names, columns = _series(table, [dim for dim in ("model", "feature") if dim in table.dims])
    time = 1000 * (table.time.to_numpy() if "time" in table.coords else np.arange(table.sizes["time"]) / 1000)
    has_null = "null_observed" in result.data
    correct = result.null.family_wise if has_null else "fdr"
    p = result.p_values(correct).sel({name: table[name] for name in ("feature",) if name in table.dims})
    _, significant = _series((p < SIGNIFICANCE).to_dataset(name="p"), [d for d in ("model", "feature") if d in p.dims])
    for number, (name, column) in enumerate(zip(names, columns, strict=True)):
        color = SERIES[number]
        ax.fill_between(time, column.low.to_numpy(), column.high.to_numpy(), color=color, alpha=0.18, linewidth=0)
        label = name or "estimate"
        ax.plot(time, column.estimate.to_numpy(), color=color, linestyle=DASHES[number], linewidth=2.2, label=label)
    rows = np.stack([np.broadcast_to(part.p.to_numpy(), len(time)) for part in significant])
    significance_bars(ax, time, rows, correction=f"p < {SIGNIFICANCE:g}, {CORRECTIONS[correct]}")
    ax.set_xlabel("time (ms)")
    ax.margins(x=0)


def _series(table: xr.Dataset, dims: list[str]) -> tuple[list[str], list[xr.Dataset]]:
    """Take the entries along some axes apart, with their names; those that a model lacks are left out."""
    if not dims:
        return [""], [table]
    stacked = table.stack(series=dims)
    columns = [stacked.isel(series=number, drop=True) for number in range(stacked.sizes["series"])]
    labels = [label if isinstance(label, tuple) else (label,) for label in stacked["series"].to_numpy().tolist()]
    names = [", ".join(map(str, label)) for label in labels]
    if len(names) > len(SERIES):
        raise ValueError(
            f"result: {len(names)} series along {' × '.join(dims)}; at most {len(SERIES)} can be distinguished. "
            "Estimate for fewer models, or draw a selection."
        )
    return names, columns
