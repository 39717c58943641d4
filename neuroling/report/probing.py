"""Pictures of what layers and heads know: scores by layer, parsed sentences, attention maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.report.figures import CHANCE, INK, MARKERS, NULL, SERIES, new_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLES = ((0, (5, 3)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1)))
RIGHT, WRONG = SERIES[2], SERIES[1]

Floats = NDArray[np.floating[Any]]


def plot_by_layer(
    score: xr.DataArray, *, baselines: Mapping[str, float] | None = None, label: str = "score", ax: Axes | None = None
) -> Axes:
    """Draw the score of every layer, a line a model, beside baselines that have no layers.

    Parameters
    ----------
    score : xarray.DataArray, dims (model, layer)
        Scores.
    baselines : mapping of str to float, optional
        Each a horizontal line, named at its end.
    label : str
        Name of the score, with its unit.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> score = xr.DataArray([[0.4, 0.6]], dims=("model", "layer"), coords={"model": ["m"], "layer": [0, 1]})
    >>> ax = plot_by_layer(score, baselines={"linear order": 0.5})
    >>> [text.get_text() for text in ax.texts]
    ['linear order']
    """
    if set(score.dims) != {"model", "layer"}:
        raise ValueError(f"score: got axes {score.dims}; expected ('model', 'layer').")
    ax = ax or new_axes()
    layer = np.arange(score.sizes["layer"])
    for number, name in enumerate(score.model.values):
        ax.plot(
            layer,
            score.sel(model=name).values,
            color=SERIES[number % len(SERIES)],
            marker=MARKERS[number % len(MARKERS)],
            linewidth=2,
            label=str(name),
        )
    for number, (name, value) in enumerate((baselines or {}).items()):
        ax.axhline(value, color=NULL, linestyle=STYLES[number % len(STYLES)], linewidth=1.2)
        ax.annotate(
            name, (1.01, value), xycoords=("axes fraction", "data"), ha="left", va="center", fontsize=8.5, color=INK,
            annotation_clip=False,
        )  # fmt: skip
    ax.set_xticks(layer, [str(name) for name in score.layer.to_numpy()])
    ax.set_xlabel("layer (0: embeddings)")
    ax.set_ylabel(label)
    _tidy(ax)
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(
        handles, labels, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, frameon=False, fontsize=9,
        borderaxespad=0.2,
    )  # fmt: skip
    return ax


def plot_parse(
    words: Sequence[str], gold: NDArray[np.intp], predicted: NDArray[np.intp], ax: Axes | None = None
) -> Axes:
    """Draw the edges of a tree above a sentence, and those of a predicted tree below it.

    Parameters
    ----------
    words : sequence of str
        The sentence.
    gold, predicted : ndarray of int, shape (edge, 2)
        Edges between words counted from 0. Predicted edges that are in the tree are solid, the others dashed.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = ax or new_axes(max(4.0, 0.85 * len(words)), 3.4)
    true = {tuple(sorted(edge)) for edge in gold.tolist()}
    heights = [max([abs(b - a) for a, b in edges.tolist()], default=1) ** 0.7 for edges in (gold, predicted)]
    for a, b in sorted(true):
        _arc(ax, a, b, 1, color=INK)
    for a, b in predicted.tolist():
        right = tuple(sorted((a, b))) in true
        _arc(ax, a, b, -1, color=RIGHT if right else WRONG, linestyle="-" if right else (0, (4, 2)))
    for place, word in enumerate(words):
        ax.text(place, 0, _plain(word), ha="center", va="center", fontsize=9.5, color=INK)
    right_edge = len(words) - 0.3
    ax.text(right_edge, 0.65 + heights[0], "above: the tree", fontsize=9, color=INK, ha="right", va="top")
    below = "below: the probe (dashed: not in the tree)"
    ax.text(right_edge, -0.65 - heights[1], below, fontsize=9, color=INK, ha="right", va="bottom")
    ax.set_xlim(-0.7, len(words) - 0.3)
    ax.set_ylim(-0.7 - heights[1], 0.7 + heights[0])
    ax.set_axis_off()
    return ax


def plot_head_table(
    values: Floats, label: str, *, layers: Sequence[int] | None = None, best: str = "high", ax: Axes | None = None
) -> Axes:
    """Draw one number a head: layers downwards, heads across.

    Parameters
    ----------
    values : ndarray, shape (layer, head)
        Such as entropies, distances, or what a score loses without the head.
    label : str
        What the numbers are, with their unit.
    layers : sequence of int, optional
        Names of the layers; from 1 by default.
    best : {"high", "zero"}
        Whether shades run from the smallest to the largest value, or both ways from zero.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    if values.ndim != 2 or best not in ("high", "zero"):
        raise ValueError(f"values, best: got shape {values.shape}, {best!r}; expected (layer, head), 'high' or 'zero'.")
    ax = ax or new_axes(0.62 * values.shape[1] + 1.6, 0.42 * values.shape[0] + 1.3)
    end = float(np.abs(values).max()) or 1.0
    low, high = (-end, end) if best == "zero" else (float(values.min()), float(values.max()))
    image = ax.imshow(values, cmap="RdBu_r" if best == "zero" else "cividis", vmin=low, vmax=high, aspect="auto")
    colours = np.asarray(image.cmap(image.norm(values)))  # (layer, head, channel)
    for (row, column), value in np.ndenumerate(values):
        red, green, blue = colours[row, column, :3]
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
        ax.text(
            column, row, _short(float(value)), ha="center", va="center", fontsize=7.5, color="white" if dark else INK
        )
    ax.set_xticks(range(values.shape[1]))
    ax.set_yticks(range(values.shape[0]), [str(name) for name in layers or range(1, values.shape[0] + 1)])
    ax.set_xlabel("head")
    ax.set_ylabel("layer")
    ax.set_title(label, fontsize=10.5, color=INK, loc="left")
    return ax


def plot_attention(names: Sequence[str], weights: Floats, *, title: str = "", ax: Axes | None = None) -> Axes:
    """Draw one attention map: what looks downwards, what is looked at across.

    Parameters
    ----------
    names : sequence of str
        Tokens or words.
    weights : ndarray, shape (query, key)
        Shares from 0 to 1.
    title : str
        Stands above.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    n = len(names)
    if weights.shape != (n, n):
        raise ValueError(f"weights: got shape {weights.shape} for {n} names; expected ({n}, {n}).")
    ax = ax or new_axes(0.36 * n + 2.0, 0.36 * n + 1.6)
    ax.imshow(weights, cmap="Blues", vmin=0.0, vmax=max(1e-12, float(weights.max())))
    plain = [_plain(name) for name in names]
    ax.set_xticks(range(n), plain, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
    ax.set_yticks(range(n), plain, fontsize=8)
    ax.set_title(title, fontsize=10, color=INK, loc="left")
    return ax


def draw_heads(names: Sequence[str], maps: Floats, *, layers: Sequence[int] | None = None) -> Figure:
    """Draw the maps of all heads as a page of small pictures, layers downwards and heads across.

    Parameters
    ----------
    names : sequence of str
        Tokens or words, written once below.
    maps : ndarray, shape (layer, head, query, key)
        Shares from 0 to 1; every picture has a scale of its own, up to its largest share.
    layers : sequence of int, optional
        Names of the layers; from 1 by default.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    n_layers, n_heads = maps.shape[:2]
    figure = Figure(figsize=(0.95 * n_heads + 0.6, 0.95 * n_layers + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(n_layers, n_heads, squeeze=False)
    for (layer, head), ax in np.ndenumerate(axes):
        ax.imshow(maps[layer, head], cmap="Blues", vmin=0.0, vmax=max(1e-12, float(maps[layer, head].max())))
        ax.set_xticks([])
        ax.set_yticks([])
        for spine in ax.spines.values():
            spine.set_color("#c9ced3")
        if head == 0:
            ax.set_ylabel(str(layer + 1 if layers is None else layers[layer]), rotation=0, ha="right", va="center")
        if layer == 0:
            ax.set_title(str(head), fontsize=9)
    figure.suptitle("attention by layer (rows) and head (columns); looking: downwards, looked at: across", fontsize=10)
    figure.supxlabel(_plain(" ".join(names)), fontsize=8.5)
    return figure


def plot_mixture(weights: Mapping[str, Floats], centres: Mapping[str, float], ax: Axes | None = None) -> Axes:
    """Draw the shares of layers in the mixtures of several tasks, with a mark at each one's expected layer.

    Parameters
    ----------
    weights : mapping of str to ndarray, shape (layer,)
        Shares of layers 0, 1, … by task; they sum to one.
    centres : mapping of str to float
        Expected layer by task; a task without one has no mark.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = ax or new_axes(7.0, 0.95 * len(weights) + 1.1)
    for row, (task, share) in enumerate(weights.items()):
        ax.bar(np.arange(len(share)), 0.8 * share / share.max(), 0.85, bottom=row, color=SERIES[row % len(SERIES)])
        if task in centres:
            ax.plot([centres[task]] * 2, [row, row + 0.9], color=CHANCE, linewidth=2)
            ax.annotate(
                f"expected layer {centres[task]:.2f}", (centres[task], row + 0.8), (4, 1),
                textcoords="offset points", fontsize=8, color=CHANCE, va="bottom",
            )  # fmt: skip
    ax.set_yticks(np.arange(len(weights)) + 0.4, list(weights))
    ax.set_xticks(range(max(len(share) for share in weights.values())))
    ax.set_xlabel("layer (0: embeddings); each task's bars to its own largest share")
    _tidy(ax)
    return ax


def plot_by_step(
    table: pd.DataFrame,
    score: str,
    *,
    against: str = "step",
    controls: Mapping[str, float] | None = None,
    label: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Draw a score at every checkpoint of one or more runs: points are runs, the line is their mean.

    Parameters
    ----------
    table : pandas.DataFrame
        A row a checkpoint, with the columns ``step``, ``perplexity`` and that of the score.
    score : str
        Column to be drawn.
    against : {"step", "perplexity"}
        What runs across. Steps are on a logarithmic axis with room for step 0. Perplexity is too, falls to the right,
        and the means are joined and named by step.
    controls : mapping of str to float, optional
        What is scored without the model: dashed lines.
    label : str
        Name of the score, with its unit.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Bars are one standard deviation over runs, where there are several.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"step": [0, 10, 0, 10], "perplexity": [99, 9, 90, 8], "r": [0.1, 0.2, 0.0, 0.3]})
    >>> plot_by_step(table, "r", controls={"length": 0.1}).get_xlabel()
    'steps of pre-training'
    """
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    absent = [name for name in ("step", "perplexity", score) if name not in table]
    if absent:
        raise ValueError(f"table: no columns {absent} among {list(table.columns)}.")
    if against not in ("step", "perplexity"):
        raise ValueError(f"against: got {against!r}; expected 'step' or 'perplexity'.")
    ax = ax or new_axes()
    for place, (name, value) in enumerate((controls or {}).items()):
        ax.axhline(value, color=CHANCE, linestyle=STYLES[place % len(STYLES)], linewidth=1.2, label=name)
    middle = table.groupby("step")[["perplexity", score]].mean()
    spread = table.groupby("step")[score].std(ddof=1) if table["step"].duplicated().any() else None
    across = middle.index.to_numpy(float) if against == "step" else middle["perplexity"].to_numpy()
    ax.plot(table[against], table[score], ".", color=SERIES[0], alpha=0.45, markersize=5)
    ax.errorbar(
        across, middle[score], spread, color=SERIES[0], marker=MARKERS[0], linewidth=1.6, capsize=3, label="checkpoints"
    )
    if against == "step":
        later = middle.index[middle.index > 0]
        ax.set_xscale("symlog", linthresh=float(later.min()) if len(later) else 1.0, linscale=0.3)
        ax.set_xticks(across, [f"{step:,}" for step in middle.index])
        ax.minorticks_off()
        ax.set_xlabel("steps of pre-training")
    else:
        for step, row in middle.iterrows():
            ax.annotate(
                f"{step:,}", (row["perplexity"], row[score]), (4, 7), textcoords="offset points", fontsize=8, color=INK
            )
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.invert_xaxis()
        ax.set_xlabel("perplexity of held-out text (better to the right; named by step)")
    ax.set_ylabel(label)
    _tidy(ax)
    ax.margins(0.08, 0.12)
    return ax


def draw_training(
    table: pd.DataFrame,
    score: str,
    *,
    controls: Mapping[str, float],
    frequent: float | None = None,
    label: str = "score",
) -> Figure:
    """Draw a score against steps and against perplexity, side by side.

    Parameters
    ----------
    table, score, controls
        As for :func:`plot_by_step`.
    frequent : float, optional
        Perplexity of guessing by frequency: a vertical line, left of which nothing but that is learned.
    label : str
        As for :func:`plot_by_step`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    plot_by_step(table, score, controls=controls, label=label, ax=left)
    plot_by_step(table, score, against="perplexity", controls=controls, label="", ax=right)
    if frequent is not None:
        right.axvline(frequent, color=NULL, linewidth=1.2)
        right.annotate(
            "by frequency", (frequent, 0.98), (-4, 0), xycoords=("data", "axes fraction"), textcoords="offset points",
            rotation=90, ha="right", va="top", fontsize=8, color=INK,
        )  # fmt: skip
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=4, frameon=False, fontsize=9)
    return figure


def _arc(ax: Axes, a: int, b: int, side: int, **style: Any) -> None:
    angle = np.linspace(0, np.pi, 40)
    height = abs(b - a) ** 0.7
    ax.plot((a + b) / 2 + (b - a) / 2 * np.cos(angle), side * (0.25 + height * np.sin(angle)), linewidth=1.6, **style)


def _plain(text: str) -> str:
    """Keep matplotlib from reading dollar signs as formulae."""
    return text.replace("$", r"\$")


def _short(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.095 else f"{value:.3f}"


def _tidy(ax: Axes) -> None:
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(NULL)
    ax.tick_params(color=NULL, labelcolor=INK, labelsize=9.5)
    ax.grid(axis="y", color="#e4e7ea", linewidth=0.8)
    ax.set_axisbelow(True)
