"""Pictures of who reads what when, of the published curves under simulated ones, and of what trades off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.n400.measures import spectrum
from neuroling.n400.published import curves, fit_to_published, published_pair, repetition_ratios
from neuroling.n400.reading import GROUP_READS
from neuroling.report.figures import INK, SERIES
from neuroling.report.n400 import KINDS, new_figure, reading_lines, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "os^Dv"


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
    ax = new_figure(7.5, 4.2).add_subplot()
    models = list(dict.fromkeys(table["model"]))
    for place, trial in enumerate(dict.fromkeys(table["trial"])):
        for model, line in zip(models, ("-", ":", "--"), strict=False):
            rows = table[(table["trial"] == trial) & (table["model"] == model)]
            mean = 100 * rows.groupby("tick")["recognised"].mean()
            colour = SERIES[place % len(SERIES)]
            ax.plot(mean.index, mean, color=colour, linestyle=line, label=f"{trial}, {model}")
    ax.axhline(100 * GROUP_READS, color=INK, linewidth=0.8, linestyle=(0, (1, 3)))
    ax.set_xlabel("tick from target onset")
    ax.set_ylabel("known targets recognised (%)")
    ax.set_ylim(-2, 102)
    ax.legend(frameon=False, fontsize=7, ncol=2)
    tidy(ax)
    return ax


def plot_frontier(table: pd.DataFrame) -> Figure:
    """Draw what trades off: height of the wave, size of repetition and reading, one point a trained network.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a network: ``variant``, ``peak``, ``repetition`` (of words, a share), ``recognised`` (without alpha,
        least kind of trial, a share) and ``recognised_alpha`` (new targets, best tick with alpha, a share).

    Returns
    -------
    matplotlib.figure.Figure
        The published model is marked where it has a number; it has none for reading.
    """
    needed = {"variant", "peak", "repetition", "recognised", "recognised_alpha"}
    if not needed <= set(table):
        raise ValueError(f"table: no columns {sorted(needed - set(table))}; expected {sorted(needed)}.")
    titles = {
        "peak": "peak of mean activation, new strings",
        "recognised": "recognised without alpha (%)",
        "recognised_alpha": "new targets recognised with alpha, best tick (%)",
    }
    figure = new_figure(12.0, 4.8)
    axes = figure.subplots(1, len(titles), sharey=True)
    for ax, (name, title) in zip(axes, titles.items(), strict=True):
        for place, (variant, rows) in enumerate(table.groupby("variant", sort=False)):
            x = rows[name] if name == "peak" else 100 * rows[name]
            marker, colour = MARKERS[place // len(SERIES) % len(MARKERS)], SERIES[place % len(SERIES)]
            ax.scatter(x, 100 * rows["repetition"], s=26, color=colour, label=str(variant), marker=marker)
        ax.set_xlabel(title, fontsize=9)
        tidy(ax)
    axes[0].set_ylabel("repetition effect of words (%)")
    peak, effect = float(curves().sel(sample="word, new").max()), 100 * (1 - float(repetition_ratios()["word"]))
    axes[0].scatter([peak], [effect], s=140, marker="*", color=INK, label="published, words", zorder=3)
    axes[1].axvline(95, color=INK, linewidth=0.8, linestyle=":")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncol=5, frameon=False, fontsize=8)
    return figure
