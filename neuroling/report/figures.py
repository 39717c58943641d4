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
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#1b1f24", "#56b4e9")
"""Colours of Okabe and Ito (2008), told apart with any colour vision."""

DASHES: tuple[str | tuple[int, tuple[int, ...]], ...] = (
    "-",
    (0, (6, 2)),
    (0, (2, 1)),
    "-.",
    (0, (1, 1)),
    (0, (8, 2, 2, 2)),
)
"""Dashes of curves, so that no curve is told by its colour alone."""

MARKERS = ("o", "s", "^", "D", "v", "P")
"""Shapes, so that no series is told by its colour alone."""

DOTS_PER_INCH = 150

CHARACTERS_PER_INCH = 13
"""Characters of a legend's text in an inch of the figure, at 9 points."""

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
    null: xr.DataArray | None = None,
    significant: xr.DataArray | None = None,
    correction: str = "",
    chance: float = 0.0,
    label: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Draw scores over time, one curve per model, with the ceiling as a band and significance as bars below.

    Parameters
    ----------
    score : xarray.DataArray, dims (time,), (model, time), (subject, time) or (model, subject, time)
        Time in seconds, drawn in milliseconds. Participants are averaged, and a band shows the 95 % interval of their
        mean (t distribution); models never are.
    ceiling : xarray.DataArray, dims (bound, time), optional
        Lower and upper bound of what a perfect model would reach; a single bound is a line.
    null : xarray.DataArray, dims (draw, time) or (draw, model, time), optional
        Null samples of the scores: their mean and the central 95 % are drawn, those of all models together.
    significant : xarray.DataArray of bool, dims (time,) or (model, time), optional
        Where the score exceeds its null; each sample is drawn as wide as its step, a single one too.
    correction : str
        For how many locations significance allows, as in ``"family-wise over time"``; named in the legend.
    chance : float
        Value that means no relation.
    label : str
        Name of the score, with its unit.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If the score has no time, or other axes than model and subject.

    Examples
    --------
    >>> score = xr.DataArray([[0.0, 0.2], [0.1, 0.0]], dims=("model", "time"), coords={"time": [0.1, 0.2]})
    >>> ax = plot_curve(score.assign_coords(model=["MiniLM", "word length"]))
    >>> ax.get_xlabel()
    'time (ms)'
    """
    surplus = [str(dim) for dim in score.dims if dim not in ("time", "model", "subject")]
    if "time" not in score.dims or surplus:
        raise ValueError(
            f"score: got axes {score.dims}; expected 'time', perhaps with 'model' and 'subject'. Average or select the "
            "rest first."
        )
    ax = ax or new_axes()
    time = 1000 * (score.time.values if "time" in score.coords else np.arange(score.sizes["time"]) / 1000)
    models = score if "model" in score.dims else score.expand_dims(model=["score"])
    if models.sizes["model"] > len(SERIES):
        raise ValueError(
            f"score: {models.sizes['model']} models; at most {len(SERIES)} can be distinguished. Select some with "
            ".sel(model=[…])."
        )
    ax.axhline(chance, color=CHANCE, linestyle=(0, (5, 3)), linewidth=1.2, label=f"chance ({chance:g})")
    if null is not None:
        _null_band(ax, time, null)
    if ceiling is not None:
        _ceiling_band(ax, time, ceiling)
    for number, name in enumerate(_names(models, "model") if "model" in score.dims else [""]):
        _model_curve(ax, time, models.isel(model=number), number, name)
    if significant is not None:
        rows = significant if "model" in significant.dims else significant.expand_dims("model")
        significance_bars(ax, time, rows.transpose("model", "time").values.astype(bool), correction=correction)
    if time[0] < 0 < time[-1]:
        ax.axvline(0, color=NULL, linewidth=0.9, zorder=1)
    ax.set_xlabel("time (ms)")
    ax.set_ylabel(label)
    ax.margins(x=0)
    _tidy(ax)
    _legend(ax)
    return ax


def _model_curve(ax: Axes, time: NDArray[np.float64], score: xr.DataArray, number: int, name: str) -> None:
    """Draw one model: its curve, or the mean of participants within its 95 % interval."""
    color, dashes = SERIES[number], DASHES[number]
    if "subject" not in score.dims:
        ax.plot(time, score.values, color=color, linestyle=dashes, linewidth=2.2, label=name or "score")
        return
    values = score.transpose("subject", "time").values
    mean = values.mean(axis=0)
    if len(values) > 1:
        half = _half_interval(values)
        text = None if number else f"95 % interval of the mean of {len(values)} participants"
        ax.fill_between(time, mean - half, mean + half, color=color, alpha=0.18, linewidth=0, label=text)
    ax.plot(time, mean, color=color, linestyle=dashes, linewidth=2.2, label=name or f"mean of {len(values)}")


def _half_interval(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give half the width of the 95 % interval of the mean over the first axis, by the t distribution."""
    from scipy import stats

    return np.asarray(stats.t.ppf(0.975, len(values) - 1) * values.std(axis=0, ddof=1) / np.sqrt(len(values)))


def _null_band(ax: Axes, time: NDArray[np.float64], null: xr.DataArray) -> None:
    draws = null.transpose("time", ...).values.reshape(null.sizes["time"], -1)
    low, high = np.quantile(draws, (0.025, 0.975), axis=1)
    ax.fill_between(time, low, high, color=NULL, alpha=0.22, linewidth=0, label="null, central 95 %")
    ax.plot(time, draws.mean(axis=1), color=NULL, linewidth=1.1, label="null, mean")


def _ceiling_band(ax: Axes, time: NDArray[np.float64], ceiling: xr.DataArray) -> None:
    bounds = ceiling.transpose("bound", "time").values  # (bound, time)
    ax.fill_between(time, bounds.min(0), bounds.max(0), color=CEILING, alpha=0.55, linewidth=1.0, label="ceiling")


def significance_bars(
    ax: Axes,
    time: NDArray[np.float64],
    significant: NDArray[np.bool_],
    *,
    correction: str = "",
    colors: Sequence[str] = SERIES,
) -> None:
    """Draw a row of bars for each model below the curves; a sample reaches half a step to either side.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        With the curves; its lower limit moves down.
    time : ndarray, shape (time,)
        In the unit of the axes.
    significant : ndarray of bool, shape (model, time)
        Where each model exceeds its null.
    correction : str
        For how many locations that allows; named in the legend.
    colors : sequence of str
        One per model; a single row is drawn in ink.
    """
    low, high = ax.get_ylim()
    step, labelled = 0.035 * (high - low), False
    edges = sample_edges(time)
    name = "significant" + (f" ({correction})" if correction else "")
    for number, row in enumerate(significant):
        bottom = low - (number + 1) * step
        color = INK if len(significant) == 1 else colors[number]
        for start, stop in runs_of_true(row):
            width = edges[stop] - edges[start]
            label = None if labelled else name
            ax.broken_barh([(edges[start], width)], (bottom, 0.6 * step), facecolors=color, label=label)
            labelled = True
    ax.set_ylim(low - (len(significant) + 1) * step, high)


def sample_edges(time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give where samples begin and end: half-way to their neighbours, as far beyond the first and the last.

    Parameters
    ----------
    time : ndarray, shape (time,)
        Increasing times.

    Returns
    -------
    ndarray, shape (time + 1,)

    Examples
    --------
    >>> sample_edges(np.array([0.0, 10.0, 20.0])).tolist()
    [-5.0, 5.0, 15.0, 25.0]
    """
    if len(time) == 1:
        return np.array([time[0] - 0.5, time[0] + 0.5])
    middle = (time[1:] + time[:-1]) / 2
    return np.concatenate([[2 * time[0] - middle[0]], middle, [2 * time[-1] - middle[-1]]])


def runs_of_true(row: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """List the runs of true values as first number and the number after the last.

    Parameters
    ----------
    row : ndarray of bool, shape (sample,)

    Examples
    --------
    >>> runs_of_true(np.array([True, False, True, True]))
    [(0, 1), (2, 4)]
    """
    steps = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(int)))
    return [(int(start), int(stop)) for start, stop in zip(steps[::2], steps[1::2], strict=True)]


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
    positions = np.arange(len(names))
    for values, color, text in ((edge, INK, "95 % of the null"), (ceiling, CEILING, "ceiling")):
        if values is not None:
            heights = values.sel({along: score[along]}).values if along in values.coords else values.values
            ax.hlines(heights, positions - 0.36, positions + 0.36, color=color, linewidth=2.2, label=text, zorder=2)
    ax.set_xticks(positions, names)
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
        raise ValueError(f"series: {len(names)} entries; at most {len(SERIES)} can be distinguished. Leave series out.")
    shift = np.linspace(-0.22, 0.22, len(names)) if len(names) > 1 else [0.0]
    for column, name in enumerate(names):
        places = np.arange(len(table)) + shift[column]
        color, marker = SERIES[column], MARKERS[column]
        ax.plot(places, table[:, column], marker, color=color, markersize=7, label=name, zorder=4)


def _mean_points(ax: Axes, table: NDArray[np.float64], other: str | None) -> None:
    positions = np.arange(len(table))
    if other:
        shift = 0.25 * (2 * (np.arange(table.shape[1]) * 0.6180339887 % 1) - 1)
        where = np.add.outer(positions, shift)
        ax.plot(where.ravel(), table.ravel(), "o", color=NULL, alpha=0.55, markersize=4, label=f"each {other}")
    mean = np.mean(table, axis=1)
    name = f"mean over {other}s" if other else "observed"
    ax.plot(positions, mean, "o", color=SCORE, markersize=9, label=name, zorder=4)


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
    for number, (name, values) in enumerate(scores.items()):
        curve = np.asarray(values, dtype=np.float64)
        if curve.shape != grid.shape:
            raise ValueError(f"scores[{name!r}]: got shape {curve.shape} for {len(grid)} penalties.")
        color, marker = SERIES[number % len(SERIES)], MARKERS[number % len(MARKERS)]
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


def plot_distribution(
    values: ArrayLike | Mapping[str, ArrayLike],
    *,
    null: ArrayLike | None = None,
    ceiling: float | None = None,
    chance: float = 0.0,
    label: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Draw how the scores of many locations are distributed, such as of voxels: one outline per model.

    Parameters
    ----------
    values : array-like, shape (location,), or mapping of str to such
        Scores, perhaps of several models; NaN are excluded and counted.
    null : array-like, optional
        Null samples of the scores at all locations: their mean and their central 95 % are drawn.
    ceiling : float, optional
        Median of the ceiling over locations: a line.
    chance : float
        Value that means no relation.
    label : str
        Name of the score, with its unit.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> ax = plot_distribution({"MiniLM": [0.1, 0.3], "control": [0.0, 0.1]})
    >>> len(ax.get_legend().get_texts())
    3
    """
    models = values if isinstance(values, Mapping) else {"": values}
    scores = {name: np.asarray(finite_values, dtype=np.float64).ravel() for name, finite_values in models.items()}
    defined = {name: finite_values[np.isfinite(finite_values)] for name, finite_values in scores.items()}
    for name, finite_values in defined.items():
        if not len(finite_values):
            raise ValueError(f"values{f'[{name!r}]' if name else ''}: none of {len(scores[name])} is a finite number.")
    if len(defined) > len(SERIES):
        raise ValueError(f"values: {len(defined)} models; at most {len(SERIES)} can be distinguished. Select some.")
    ax = ax or new_axes(7.0, 3.4)
    pooled = np.concatenate(list(defined.values()))
    n_bins = min(60, max(10, int(np.sqrt(len(pooled) / len(defined)))))
    bins = np.histogram_bin_edges(pooled, bins=n_bins)
    if null is not None:
        draws = np.asarray(null, dtype=np.float64).ravel()
        draws = draws[np.isfinite(draws)]
        low, high = np.quantile(draws, (0.025, 0.975))
        ax.axvspan(low, high, color=NULL, alpha=0.22, linewidth=0, label="null, central 95 % per location")
        ax.axvline(float(draws.mean()), color=NULL, linewidth=1.2, label=f"null, mean ({draws.mean():.3f})")
    for number, (name, finite_values) in enumerate(defined.items()):
        text = f"{name + ': ' if name else ''}median {np.median(finite_values):.3f}, maximum {finite_values.max():.3f}"
        counts, _ = np.histogram(finite_values, bins)
        ax.stairs(counts, bins, color=SERIES[number], linestyle=DASHES[number], linewidth=1.8, label=text)
    ax.axvline(chance, color=CHANCE, linestyle=(0, (5, 3)), linewidth=1.2, label=f"chance ({chance:g})")
    if ceiling is not None:
        ax.axvline(ceiling, color=CEILING, linewidth=2.2, label=f"ceiling, median ({ceiling:.3f})")
    ax.set_xlabel(label)
    sizes = {f"{len(finite_values):,}" for finite_values in defined.values()}
    excluded = sum(len(scores[name]) - len(finite_values) for name, finite_values in defined.items())
    ax.set_ylabel(f"locations, of {' or '.join(sorted(sizes))}" + (f" ({excluded:,} undefined)" if excluded else ""))
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
    """Put the legend above the axes, where it can hide nothing, in as many columns as fit their longest text."""
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        figure = ax.get_figure(root=True)
        width = 7.0 if figure is None else figure.get_figwidth()
        columns = max(1, min(len(handles), 4, int(width * CHARACTERS_PER_INCH / (max(map(len, labels)) + 7))))
        ax.legend(
            handles, labels, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, frameon=False, fontsize=9,
            borderaxespad=0.2, handletextpad=0.5, columnspacing=1.4,
        )  # fmt: skip
