"""Pictures of who reads what when, of the published curves under simulated ones, and of what trades off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.n400.measures import spectrum
from neuroling.n400.published import curves, fit_to_published, published_pair, repetition_ratios
from neuroling.n400.reading import GROUP_READS, PARTICIPANT_READS
from neuroling.report.figures import INK, SERIES
from neuroling.report.n400 import KINDS, new_figure, reading_lines, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "os^Dv"
ASKED = SERIES[2]
"""Colour of the area that was asked for."""


def plot_against_published(recording: xr.DataArray, *, kinds: Sequence[str] = KINDS) -> Figure:
    """Draw a simulation over the digitised curves of the published alpha model, in time and in frequency.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, repeat, time)
        Immediate repetition with the alpha function; conditions ``new`` and ``repeated``.
    kinds : sequence of str
        Item types, one column each.

    Returns
    -------
    matplotlib.figure.Figure
        Upper row: mean semantic activation by tick; lower row: share of power by frequency. Solid simulated, dotted
        published. All published curves are moved by the same whole ticks; numbers are those of
        :func:`neuroling.n400.published.fit_to_published`.
    """
    fit = fit_to_published(recording)
    later = int(fit["later"].iloc[0])
    figure = new_figure(3.0 * len(kinds), 5.6)
    axes = figure.subplots(2, len(kinds), sharex="row", sharey="row", squeeze=False)
    for column, kind in enumerate(kinds):
        for colour, condition in zip(SERIES, ("new", "repeated"), strict=False):
            ours, theirs = published_pair(recording, kind, condition)
            axes[0, column].plot(np.arange(len(ours)), ours, color=colour, label=f"{condition}, simulated")
            moved = np.arange(len(theirs)) - later
            axes[0, column].plot(moved, theirs, color=colour, linestyle=":", label=f"{condition}, published")
            for curve, line in ((ours, "-"), (theirs, ":")):
                power = spectrum(curve, relative=True)
                axes[1, column].plot(power["frequency"], 100 * power, color=colour, linestyle=line)
        of_kind = fit[fit["kind"] == kind].groupby("domain")["R2"].mean()
        axes[0, column].set_title(f"{kind}: mean R² {of_kind['time']:.2f}", loc="left", fontsize=10)
        axes[1, column].set_title(f"mean R² {of_kind['frequency']:.2f}", loc="left", fontsize=10)
        axes[0, column].set_xlabel("tick from onset")
        axes[1, column].set_xlabel("frequency (Hz)")
        for ax in axes[:, column]:
            tidy(ax)
    axes[0, 0].set_ylabel("mean semantic activation")
    axes[1, 0].set_ylabel("power (% of all)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncol=4, frameon=False, fontsize=9)
    moved_by = f"moved {abs(later)} ticks {'earlier' if later > 0 else 'later'}" if later else "not moved"
    title = f"Simulated and published alpha model; published curves {moved_by}"
    figure.suptitle("\n".join([title, *reading_lines(recording)]), fontsize=10)
    return figure


def plot_reading(table: pd.DataFrame) -> Axes:
    """Draw how many known targets are recognised, tick by tick, with and without the alpha function.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`neuroling.n400.reading.reading_table`, with a column ``model``.

    Returns
    -------
    matplotlib.axes.Axes
        Means over participants; one colour a kind of trial, one line style a model. The bar is drawn.
    """
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(7.5, 5.0)
    ax = figure.add_subplot()
    models = list(dict.fromkeys(table["model"]))
    for position, trial in enumerate(dict.fromkeys(table["trial"])):
        for model, line in zip(models, ("-", ":", "--"), strict=False):
            rows = table[(table["trial"] == trial) & (table["model"] == model)]
            mean = 100 * rows.groupby("tick")["recognised"].mean()
            colour = SERIES[position % len(SERIES)]
            ax.plot(mean.index, mean, color=colour, linestyle=line, label=f"{trial}, {model}")
    ax.axhline(100 * GROUP_READS, color=INK, linewidth=0.8, linestyle=(0, (1, 3)))
    ax.set_xlabel("tick from target onset")
    ax.set_ylabel("known targets recognised (%)")
    ax.set_ylim(-2, 102)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside lower center", frameon=False, fontsize=7, ncol=len(models))
    tidy(ax)
    return ax


FRONTIER = {
    "peak": ("peak of mean activation, new strings", (0.15, 0.25)),
    "recognised": ("recognised without alpha (%)", (95.0, 100.0)),
    "recognised_alpha": ("new targets recognised with alpha, best tick (%)", None),
    "repetition without alpha": ("repetition effect of words without alpha (%)", (-2.0, 2.0)),
}
"""What is drawn against the size of repetition: its name, and the span that was asked for."""

LEAST_REPETITION = 10.0
"""Per cent by which a repeated word's response was asked to be smaller, at least."""

HIGHEST_SHOWN = 25.0
"""Per cent: effects above it, which no network has that reads, are marked at the upper edge and written out."""


def plot_frontier(table: pd.DataFrame) -> Figure:
    """Draw what trades off: height of the wave, reading and repetition, one point a trained network.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a network: ``variant``, ``peak``, ``repetition`` (of words, a share), ``recognised`` and ``lowest``
        (without alpha, least kind of trial, mean and least participant, shares), ``recognised_alpha`` (new targets,
        best tick with alpha, a share) and ``repetition without alpha`` (of words, a share).

    Returns
    -------
    matplotlib.figure.Figure
        Filled points read (:func:`neuroling.n400.reading.reads`), hollow ones do not; the green area is what was asked
        for. The published model is marked where it has a number; it has none for reading.

    Examples
    --------
    >>> row = {"variant": "usual", "peak": 0.17, "repetition": 0.12, "recognised": 0.97, "lowest": 0.93}
    >>> row |= {"recognised_alpha": 0.51, "repetition without alpha": 0.02}
    >>> len(plot_frontier(pd.DataFrame([row])).axes)
    4
    """
    _check_columns(table, {"variant", "lowest", "repetition", *FRONTIER})
    read = (table["recognised"] >= GROUP_READS - 1e-9) & (table["lowest"] >= PARTICIPANT_READS - 1e-9)
    effects = 100 * table["repetition"]
    figure = new_figure(10.0, 9.4)
    axes = figure.subplots(2, 2, sharey=True).ravel()
    for ax, (name, (title, asked)) in zip(axes, FRONTIER.items(), strict=True):
        x = table[name] if name == "peak" else 100 * table[name]
        for number, variant in enumerate(dict.fromkeys(table["variant"])):
            style = {"marker": MARKERS[number // len(SERIES) % len(MARKERS)], "s": 34}
            colour = SERIES[number % len(SERIES)]
            for rows, face in ((read, colour), (~read, "none")):
                chosen = rows & (table["variant"] == variant)
                y = effects[chosen].clip(upper=HIGHEST_SHOWN)
                ax.scatter(x[chosen], y, facecolor=face, edgecolor=colour, **style)
            ax.scatter([], [], color=colour, label=str(variant), **style)
        beyond = np.flatnonzero(effects > HIGHEST_SHOWN)
        for number, row in enumerate(beyond[np.argsort(x.to_numpy()[beyond], kind="stable")]):
            beside = {"xytext": (0, 6 + 10 * (number % 2)), "textcoords": "offset points", "ha": "center"}
            ax.annotate(f"{effects.iloc[row]:.0f} %", (x.iloc[row], HIGHEST_SHOWN), fontsize=8, **beside)
        if asked is not None:
            _draw_asked(ax, asked)
        ax.set_xlabel(title, fontsize=9)
        ax.set_ylim(0, 1.1 * HIGHEST_SHOWN)
        tidy(ax)
    for ax in axes[::2]:
        ax.set_ylabel("repetition effect of words with alpha (%)")
    peak, effect = float(curves().sel(sample="word, new").max()), 100 * (1 - float(repetition_ratios()["word"]))
    axes[0].scatter([peak], [effect], s=140, marker="*", color=INK, label="published, words", zorder=3)
    axes[0].scatter([], [], s=34, facecolor="none", edgecolor=INK, label="hollow: does not read")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncol=4, frameon=False, fontsize=8)
    return figure


def plot_settings(table: pd.DataFrame) -> Figure:
    """Draw what the same networks show at other time constants, thresholds and blanks: one point a setting.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a setting and lexicon: ``time_constant``, ``threshold``, ``blank``, ``repetition`` and ``repetition
        without alpha`` (of words, shares), ``final`` (last tick over the peak) and ``neighbourhood`` (by type, a
        share); lexicons are averaged, but for the neighbourhood effect, of which the smallest is drawn.

    Returns
    -------
    matplotlib.figure.Figure
        A colour a blank, a shape a threshold, larger points for larger time constants; the green area is what was asked
        for.

    Examples
    --------
    >>> row = {"lexicon": 0, "time_constant": 7.5, "threshold": 0.1, "blank": 4, "final": 0.28, "neighbourhood": 0.06}
    >>> row |= {"repetition": 0.12, "repetition without alpha": 0.02}
    >>> len(plot_settings(pd.DataFrame([row])).axes)
    3
    """
    measures = ["repetition", "repetition without alpha", "final", "neighbourhood"]
    keys = ["time_constant", "threshold", "blank"]
    _check_columns(table, {*keys, *measures, "lexicon"})
    groups = table.groupby(keys)
    means = groups[measures].mean().assign(neighbourhood=groups["neighbourhood"].min()).reset_index()
    titles = {
        "repetition without alpha": ("repetition effect of words without alpha (%)", (-2.0, 2.0)),
        "final": ("activation at the last tick (% of the peak)", (25.0, 45.0)),
        "neighbourhood": ("neighbourhood effect by type, least lexicon (%)", (0.0, 12.0)),
    }
    constants = sorted(set(means["time_constant"]))
    figure = new_figure(12.0, 5.4)
    axes = figure.subplots(1, len(titles), sharey=True)
    for ax, (name, (title, asked)) in zip(axes, titles.items(), strict=True):
        for colour, blank in zip(SERIES, sorted(set(means["blank"])), strict=False):
            for marker, threshold in zip(MARKERS, sorted(set(means["threshold"])), strict=False):
                rows = means[(means["blank"] == blank) & (means["threshold"] == threshold)]
                sizes = [16 + 18 * constants.index(constant) for constant in rows["time_constant"]]
                label = f"blank {blank:g}, threshold {threshold:g}"
                x, y = 100 * rows[name], 100 * rows["repetition"]
                ax.scatter(x, y, s=sizes, color=colour, marker=marker, label=label, alpha=0.85, linewidth=0)
        lower, upper = ax.get_xlim()
        _draw_asked(ax, asked)
        ax.set_xlim(min(lower, 0.0) if name != "final" else lower, upper)
        ax.set_ylim(0, 20)
        ax.set_xlabel(title, fontsize=9)
        tidy(ax)
    axes[0].set_ylabel("repetition effect of words with alpha (%)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncol=4, frameon=False, fontsize=8)
    shown = ", ".join(f"{constant:g}" for constant in constants)
    figure.suptitle(f"Same networks, other settings; larger points: larger T ({shown} ticks)", fontsize=10)
    return figure


def _check_columns(table: pd.DataFrame, needed: set[str]) -> None:
    if not needed <= set(table):
        raise ValueError(f"table: no columns {sorted(needed - set(table))}; expected {sorted(needed)}.")


def _draw_asked(ax: Axes, span: tuple[float, float]) -> None:
    """Shade the span that was asked for, where repetition is large enough."""
    from matplotlib.patches import Rectangle

    width, height = span[1] - span[0], 2 * HIGHEST_SHOWN - LEAST_REPETITION
    area = Rectangle((span[0], LEAST_REPETITION), width, height)
    area.set(facecolor=ASKED, edgecolor="none", alpha=0.16, zorder=0)
    lower, upper = ax.get_xlim()
    ax.add_patch(area)
    ax.set_xlim(lower, upper)
