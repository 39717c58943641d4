"""Pictures of scores: an axes goes in, or none, and an axes comes out; no window, no global style."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1b1f24"
SCORE = "#14507d"
CHANCE = "#a3151b"
NULL = "#7b848e"
CEILING = "#d9c48f"
SERIES = ("#14507d", "#c2571a", "#3b8154", "#7a4b94", "#a08300", "#5b6b78")
"""Colours told apart with any colour vision (checked as grey values too: no two neighbours are alike)."""

MARKERS = ("o", "s", "^", "D", "v", "P")
"""Shapes, so that no series is told by its colour alone."""

DOTS_PER_INCH = 150

SYNTHETIC = "SYNTHETIC DATA"


def new_axes(width: float = 7.0, height: float = 4.0) -> Axes:
    """Make an axes on a figure of its own, away from pyplot and its state.

    Parameters
    ----------
    width, height : float
        Size of the figure in inches.

    Returns
    -------
    matplotlib.axes.Axes
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def figure_to_png(figure: Figure, *, synthetic: bool = False) -> bytes:
    """Turn a figure into a PNG file, stamped where its data are synthetic.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Left as it was.
    synthetic : bool
        Write "SYNTHETIC DATA" across the figure.

    Returns
    -------
    bytes
        Without a date, so that drawing again gives the same file.
    """
    buffer = io.BytesIO()
    overlay = _stamp(figure) if synthetic else None
    try:
        figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, facecolor="white", metadata={"Software": None})
    finally:
        if overlay is not None:
            overlay.remove()
    return buffer.getvalue()


def axes_to_png(axes: Axes, *, synthetic: bool = False) -> bytes:
    """Turn the figure that an axes stands on into a PNG file; see :func:`figure_to_png`.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        As from any function of this module.
    synthetic : bool
        Write "SYNTHETIC DATA" across the figure.

    Returns
    -------
    bytes
    """
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("axes: it has been removed from its figure.")
    return figure_to_png(figure, synthetic=synthetic)


def _stamp(figure: Figure) -> Axes:
    """Lay an axes over all others that says, across the middle and in a corner, that the data are synthetic."""
    front = max((axes.get_zorder() for axes in figure.axes), default=0) + 1
    overlay = figure.add_axes((0, 0, 1, 1), zorder=front, facecolor="none")
    overlay.set_axis_off()
    overlay.text(
        0.5, 0.5, SYNTHETIC, ha="center", va="center", rotation=20, fontsize=34, weight="bold", color=INK, alpha=0.16
    )
    tag = overlay.text(0.005, 0.005, SYNTHETIC, ha="left", va="bottom", fontsize=8, weight="bold", color="white")
    tag.set_bbox({"facecolor": CHANCE, "edgecolor": "none", "pad": 2.5})
    return overlay


def plot_models(
    scores: Mapping[str, float],
    *,
    nulls: Mapping[str, ArrayLike] | None = None,
    chance: float = 0.0,
    label: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Draw the score of each model beside the draws of its own null.

    Parameters
    ----------
    scores : mapping of str to float
        Score by model, drawn from top to bottom.
    nulls : mapping of str to array-like, shape (draw,), optional
        Scores under the null by model: grey dots, with a bar at their 95th percentile.
    chance : float
        Value that means no relation: a dashed line.
    label : str
        Name of the score, with its unit.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> ax = plot_models({"tf-idf": 0.786, "MiniLM": 0.798}, chance=0.5, label="2-versus-2 accuracy")
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['tf-idf', 'MiniLM']
    """
    nulls = _known_nulls(nulls or {}, scores)
    ax = ax or new_axes(7.0, 1.4 + 0.55 * len(scores))
    names = list(scores)
    ax.axvline(chance, color=CHANCE, linestyle=(0, (5, 3)), linewidth=1.2, label=f"chance ({chance:g})")
    for row, name in enumerate(names):
        if name in nulls:
            _null_strip(ax, nulls[name], row, labelled=name == next(iter(nulls)))
        ax.plot(scores[name], row, "o", color=SCORE, markersize=9, label="observed" if row == 0 else None, zorder=4)
        ax.annotate(
            f"{scores[name]:.3f}", (scores[name], row), (0, 9), textcoords="offset points", ha="center", fontsize=9
        )
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.45, -0.65)
    ax.set_xlabel(label)
    ax.margins(x=0.08)
    _tidy(ax, grid="x")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    _legend(ax)
    return ax


def _known_nulls(nulls: Mapping[str, ArrayLike], scores: Mapping[str, float]) -> dict[str, NDArray[np.float64]]:
    if not scores:
        raise ValueError("scores: got none; expected at least one model.")
    unknown = [name for name in nulls if name not in scores]
    if unknown:
        raise ValueError(f"nulls: no score for {unknown}; expected names among {list(scores)}.")
    return {name: _finite(f"nulls[{name!r}]", draws) for name, draws in nulls.items()}


def _null_strip(ax: Axes, draws: NDArray[np.float64], row: int, *, labelled: bool) -> None:
    # spread by the golden ratio, not at random: no seed, and no two neighbours at one height
    height = row + 0.18 * (2 * (np.arange(len(draws)) * 0.6180339887 % 1) - 1)
    ax.plot(draws, height, ".", color=NULL, markersize=3, alpha=0.45, label="null draws" if labelled else None)
    edge = float(np.quantile(draws, 0.95))
    name = "95 % of the null" if labelled else None
    ax.plot([edge, edge], [row - 0.27, row + 0.27], color=INK, linewidth=2, label=name, zorder=3)


def plot_null(
    draws: ArrayLike,
    observed: float,
    *,
    label: str = "score",
    p: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the distribution of a score under the null, with the observed score.

    Parameters
    ----------
    draws : array-like, shape (draw,)
        Scores where nothing is to be found.
    observed : float
        The score on the data as they are.
    label : str
        Name of the score, with its unit.
    p : float, optional
        p value to be written beside the observed score.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    values = _finite("draws", draws)
    ax = ax or new_axes(7.0, 3.4)
    ax.hist(values, bins=min(40, max(8, int(np.sqrt(len(values))) * 2)), color=NULL, alpha=0.75, label="null draws")
    edge = float(np.quantile(values, 0.95))
    ax.axvline(edge, color=INK, linewidth=1.5, linestyle=(0, (2, 2)), label=f"95 % of the null ({edge:.3f})")
    name = f"observed ({observed:.3f})" + ("" if p is None else f", p = {p:.3g}")
    ax.axvline(observed, color=SCORE, linewidth=2.5, label=name)
    ax.set_xlabel(label)
    ax.set_ylabel(f"draws, of {len(values):,}")
    _tidy(ax)
    _legend(ax)
    return ax


def plot_curve(
    score: xr.DataArray,
    *,
    ceiling: xr.DataArray | None = None,
    significant: xr.DataArray | None = None,
    chance: float = 0.0,
    label: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Draw scores over time, with the ceiling as a band and significance as a bar below.

    Parameters
    ----------
    score : xarray.DataArray, dims (time,) or (subject, time)
        Time in seconds. Of several participants the mean is drawn, each of them faintly behind it.
    ceiling : xarray.DataArray, dims (bound, time), optional
        Lower and upper bound of what a perfect model would reach; a single bound is a line.
    significant : xarray.DataArray of bool, dims (time,), optional
        Where the score beats its null.
    chance : float
        Value that means no relation.
    label : str
        Name of the score, with its unit.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    others = [str(dim) for dim in score.dims if dim != "time"]
    if "time" not in score.dims or len(others) > 1:
        raise ValueError(f"score: got axes {score.dims}; expected ('time',), perhaps with one more such as 'subject'.")
    ax = ax or new_axes()
    time = score.time.values if "time" in score.coords else np.arange(score.sizes["time"])
    ax.axhline(chance, color=CHANCE, linestyle=(0, (5, 3)), linewidth=1.2, label=f"chance ({chance:g})")
    if ceiling is not None:
        _ceiling_band(ax, time, ceiling)
    if others:
        for single in score.transpose(others[0], "time").values:
            ax.plot(time, single, color=SCORE, alpha=0.2, linewidth=0.8)
    mean = score.mean(others) if others else score
    ax.plot(
        time, mean.values, color=SCORE, linewidth=2.2, label=f"mean of {score.sizes[others[0]]}" if others else "score"
    )
    if significant is not None:
        _significance_bar(ax, time, significant)
    ax.set_xlabel("time (s)")
    ax.set_ylabel(label)
    ax.margins(x=0)
    _tidy(ax)
    _legend(ax)
    return ax


def _ceiling_band(ax: Axes, time: NDArray[np.generic], ceiling: xr.DataArray) -> None:
    bounds = ceiling.transpose("bound", "time").values  # (bound, time)
    ax.fill_between(time, bounds.min(0), bounds.max(0), color=CEILING, alpha=0.55, linewidth=1.0, label="ceiling")


def _significance_bar(ax: Axes, time: NDArray[np.generic], significant: xr.DataArray) -> None:
    low, high = ax.get_ylim()
    height = low - 0.03 * (high - low)
    where = np.where(significant.values.astype(bool), height, np.nan)
    ax.plot(time, where, color=INK, linewidth=4, solid_capstyle="butt", label="beyond its null")
    ax.set_ylim(low - 0.08 * (high - low), high)


def plot_points(
    score: xr.DataArray,
    *,
    along: str | None = None,
    series: str | None = None,
    edge: xr.DataArray | None = None,
    ceiling: xr.DataArray | None = None,
    chance: float | None = 0.0,
    label: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Draw scores as points: of participants, models or regions.

    Parameters
    ----------
    score : xarray.DataArray with one or two axes
        For instance (subject,), (model, region) or (subject, region).
    along : str, optional
        Axis laid out from left to right; the only one, or the last, by default.
    series : str, optional
        Name of the other axis if its entries are to be told apart by colour and shape. Otherwise they are grey points
        behind their mean.
    edge : xarray.DataArray, dims (along,), optional
        Score that a chance result would exceed in 5 % of cases: a bar at each place.
    ceiling : xarray.DataArray, dims (along,), optional
        Best score to be expected: a line at each place.
    chance : float or None
        Value that means no relation; None where there is none, as for parts of held-out variance, which useless
        features bring below zero: the line at zero is then called so.
    label : str
        Name of the score, with its unit.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    along, other = _point_axes(score, along, series)
    table = score.transpose(along, other) if other else score.expand_dims("draw", axis=1)  # (along, other)
    names = _names(score, along)
    ax = ax or new_axes(max(4.5, 1.6 + 0.75 * len(names)), 4.0)
    line = "zero" if chance is None else f"chance ({chance:g})"
    ax.axhline(chance or 0.0, color=CHANCE, linestyle=(0, (5, 3)), linewidth=1.2, label=line)
    if series:
        _series_points(ax, table.values, _names(score, series))
    else:
        _mean_points(ax, table.values, other)
    places = np.arange(len(names))
    for values, color, text in ((edge, INK, "95 % of the null"), (ceiling, CEILING, "ceiling")):
        if values is not None:
            heights = values.sel({along: score[along]}).values if along in values.coords else values.values
            ax.hlines(heights, places - 0.36, places + 0.36, color=color, linewidth=2.2, label=text, zorder=2)
    ax.set_xticks(places, names)
    _turn_long_names(ax, names)
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.set_ylabel(label)
    _tidy(ax)
    _legend(ax)
    return ax


def _point_axes(score: xr.DataArray, along: str | None, series: str | None) -> tuple[str, str | None]:
    dims = [str(dim) for dim in score.dims]
    if not 1 <= len(dims) <= 2:
        raise ValueError(f"score: got axes {score.dims}; expected one or two. Average or select the rest first.")
    if along is None:
        along = next(dim for dim in reversed(dims) if dim != series)
    rest = [dim for dim in dims if dim != along]
    if along not in dims or (series is not None and series not in rest):
        raise ValueError(f"along, series: got {along!r} and {series!r}; the axes are {dims}.")
    return along, rest[0] if rest else None


def _series_points(ax: Axes, table: NDArray[np.float64], names: Sequence[str]) -> None:
    if len(names) > len(SERIES):
        raise ValueError(f"series: {len(names)} entries; at most {len(SERIES)} can be told apart. Leave series out.")
    shift = np.linspace(-0.22, 0.22, len(names)) if len(names) > 1 else [0.0]
    for column, name in enumerate(names):
        places = np.arange(len(table)) + shift[column]
        color, marker = SERIES[column], MARKERS[column]
        ax.plot(places, table[:, column], marker, color=color, markersize=7, label=name, zorder=4)


def _mean_points(ax: Axes, table: NDArray[np.float64], other: str | None) -> None:
    places = np.arange(len(table))
    if other:
        shift = 0.25 * (2 * (np.arange(table.shape[1]) * 0.6180339887 % 1) - 1)
        where = np.add.outer(places, shift)
        ax.plot(where.ravel(), table.ravel(), "o", color=NULL, alpha=0.55, markersize=4, label=f"each {other}")
    mean = np.mean(table, axis=1)
    name = f"mean over {other}s" if other else "observed"
    ax.plot(places, mean, "o", color=SCORE, markersize=9, label=name, zorder=4)


def plot_penalty_curve(
    penalties: ArrayLike,
    scores: Mapping[str, ArrayLike],
    *,
    chosen: Mapping[str, float] | None = None,
    label: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Draw the score inside the training set against the ridge penalty.

    Parameters
    ----------
    penalties : array-like, shape (penalty,)
        Penalties tried, positive.
    scores : mapping of str to array-like, shape (penalty,)
        Scores by model.
    chosen : mapping of str to float, optional
        Penalty chosen by model: a ring.
    label : str
        Name of the score, with its unit.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    grid = _finite("penalties", penalties)
    if (grid <= 0).any():
        raise ValueError("penalties: some are zero or negative; the axis is logarithmic.")
    ax = ax or new_axes(7.0, 3.8)
    for place, (name, values) in enumerate(scores.items()):
        curve = np.asarray(values, dtype=np.float64)
        if curve.shape != grid.shape:
            raise ValueError(f"scores[{name!r}]: got shape {curve.shape} for {len(grid)} penalties.")
        color, marker = SERIES[place % len(SERIES)], MARKERS[place % len(MARKERS)]
        ax.plot(grid, curve, color=color, marker=marker, markersize=5, linewidth=1.8, label=name)
        if chosen and name in chosen:
            height = curve[np.argmin(np.abs(np.log(grid / chosen[name])))]
            ax.plot(
                chosen[name],
                height,
                "o",
                markersize=13,
                markerfacecolor="none",
                markeredgecolor=color,
                markeredgewidth=1.8,
            )
    ax.set_xscale("log")
    ax.set_xlabel("ridge penalty" + (" (ring: chosen)" if chosen else ""))
    ax.set_ylabel(label)
    _tidy(ax)
    _legend(ax)
    return ax


def plot_distribution(values: ArrayLike, *, chance: float = 0.0, label: str = "score", ax: Axes | None = None) -> Axes:
    """Draw how the scores of many positions are distributed, such as of voxels.

    Parameters
    ----------
    values : array-like, shape (position,)
        Scores; NaN are left out and counted.
    chance : float
        Value that means no relation.
    label : str
        Name of the score, with its unit.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    scores = np.asarray(values, dtype=np.float64).ravel()
    defined = scores[np.isfinite(scores)]
    if not len(defined):
        raise ValueError(f"values: none of {len(scores)} is a finite number.")
    ax = ax or new_axes(7.0, 3.4)
    ax.hist(defined, bins=min(60, max(10, int(np.sqrt(len(defined))))), color=SCORE, alpha=0.85)
    ax.axvline(chance, color=CHANCE, linestyle=(0, (5, 3)), linewidth=1.2, label=f"chance ({chance:g})")
    median = float(np.median(defined))
    ax.axvline(median, color=INK, linewidth=1.5, label=f"median ({median:.3f}), best {defined.max():.3f}")
    ax.set_xlabel(label)
    left_out = len(scores) - len(defined)
    ax.set_ylabel(f"positions, of {len(defined):,}" + (f" ({left_out:,} undefined)" if left_out else ""))
    _tidy(ax)
    _legend(ax)
    return ax


def _finite(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ValueError(f"{name}: got shape {array.shape}; expected a row of finite numbers, at least one.")
    return array


def _names(score: xr.DataArray, dim: str) -> list[str]:
    return [str(name) for name in score[dim].values]


def _turn_long_names(ax: Axes, names: Sequence[str]) -> None:
    if max(map(len, names)) > 9:
        for tick in ax.get_xticklabels():
            tick.set(rotation=30, ha="right", rotation_mode="anchor")


def _tidy(ax: Axes, grid: Literal["x", "y"] = "y") -> None:
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(NULL)
    ax.tick_params(color=NULL, labelcolor=INK, labelsize=9.5)
    ax.grid(axis=grid, color="#e4e7ea", linewidth=0.8)
    ax.set_axisbelow(True)
    for text in (ax.xaxis.label, ax.yaxis.label):
        text.set(color=INK, fontsize=10.5)


def _legend(ax: Axes) -> None:
    """Put the legend above the axes, where it can hide nothing."""
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        columns = min(len(handles), 4)
        ax.legend(
            handles, labels, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, frameon=False, fontsize=9,
            borderaxespad=0.2, handletextpad=0.5, columnspacing=1.4,
        )  # fmt: skip
