"""Pictures of the N400 simulator: the paper's four panels, effect table, single units, sensitivity map, a film."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.times import Window, since
from neuroling.n400.measures import spectrum
from neuroling.report.figures import DOTS_PER_INCH, INK, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

KINDS = ("word", "acronym", "pseudoword", "illegal")


class Look(NamedTuple):
    """How cells of one verdict look: fill, text, and the mark that says the same without colours."""

    fill: str
    ink: str
    mark: str
    hatch: str = ""


NOT_ASKED = "not asked"
"""Verdict of cells that the table has no row for: people, of whom no data are at hand."""

VERDICTS = {
    "as people": Look("#14507d", "white", "Y"),
    "as people, but negligible": Look("#a9c4d8", INK, "y"),
    "undecided": Look("#f2ecd8", INK, "?"),
    "absent": Look("#ffffff", INK, "0"),
    "reversed, but negligible": Look("#f3cfb3", INK, "r"),
    "reversed": Look("#b94f14", "white", "R"),
    "not as people": Look("#6f2c7c", "white", "N"),
    "not judged": Look("#3b3f45", "white", "!"),
    "not defined": Look("#98a0a8", INK, "d"),
    "not carried": Look("#dde1e5", INK, "–"),
    NOT_ASKED: Look("#ffffff", INK, "n/a", "////"),
}
"""Blue, orange and purple differ for all common kinds of colour blindness, and in lightness from the light fills."""


EXPLAINED = {
    "as people": "as people",
    "as people, but negligible": "as people, but smaller than 2 % of the mean amplitude",
    "undecided": "undecided: neither significant nor shown to be small",
    "absent": "absent: shown to be smaller than 2 %; people show it",
    "reversed, but negligible": "reversed, but smaller than 2 %",
    "reversed": "reversed: the other way than people",
    "not as people": "not as people: an effect where people show none",
    "not judged": "not judged: participants do not read",
    "not defined": "not defined: the link needs the meaning of every item",
    "not carried": "not carried: the model lacks what it needs",
    NOT_ASKED: "not asked: no data of people on this are at hand",
}
"""Legend of the effect table."""

LEAST_SCALE = 2.0
"""Per cent of the mean amplitude that the colours of a map span at least: below it, effects count as absent."""


def plot_four_panels(
    alpha: xr.DataArray, control: xr.DataArray, *, window: Window | None = None, kinds: Sequence[str] = KINDS
) -> Figure:
    """Draw simulated ERPs in time and in frequency, for the alpha model and its control.

    Parameters
    ----------
    alpha, control : xarray.DataArray, dims (sample, repeat, time)
        Immediate repetition with and without the alpha function; conditions ``new`` and ``repeated``.
    window : tuple of float, optional
        Seconds of the window of analysis, shaded.
    kinds : sequence of str
        Item types to draw.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(11.0, 7.4)
    axes = figure.subplots(2, 2, sharex="col", sharey="col")
    for row, (name, recording) in enumerate((("alpha model", alpha), ("ERP model (control)", control))):
        _draw_time(axes[row, 0], recording, kinds, window)
        _draw_frequency(axes[row, 1], recording, kinds)
        axes[row, 0].set_title(f"{name}: time", loc="left", fontsize=11)
        axes[row, 1].set_title(f"{name}: frequency", loc="left", fontsize=11)
    axes[1, 0].set_xlabel("time from target onset (s)")
    axes[1, 1].set_xlabel("frequency (Hz)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncol=len(kinds) + 2, frameon=False, fontsize=9)
    who = f"{alpha.sizes['repeat']} simulated participants"
    if "lexicon" in alpha.coords:
        who += f" × {len(np.unique(alpha['lexicon']))} lexicons"
    title = f"Simulated N400, {who}; solid first, dashed second presentation"
    figure.suptitle("\n".join([title, *reading_lines(alpha)]), fontsize=11)
    return figure


def reading_lines(recording: xr.DataArray) -> list[str]:
    """Say what the participants of a recording recognised, if it knows, and whether they do not read.

    Parameters
    ----------
    recording : xarray.DataArray
        From :func:`neuroling.n400.simulate.simulate`.
    """
    if "reading" not in recording.attrs:
        return []
    warning = "" if recording.attrs.get("reads", 1) else "THEY DO NOT READ. "
    return [f"{warning}Known targets recognised without alpha: {recording.attrs['reading']}"]


def plot_effect_table(table: pd.DataFrame) -> Axes:
    """Draw the effect table: blue where a hypothesis does as people do, orange where it does the reverse.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`neuroling.n400.effects.effect_table`; pairs of phenomenon and hypothesis without a row are drawn as
        not asked.

    Returns
    -------
    matplotlib.axes.Axes
        Cells hold the mark of their verdict (:data:`VERDICTS`) and the effect as a percentage of the mean amplitude,
        positive where as in people.
    """
    phenomena, hypotheses = list(dict.fromkeys(table["phenomenon"])), list(dict.fromkeys(table["hypothesis"]))
    figure = new_figure(3.6 + 1.05 * len(hypotheses), 2.6 + 0.34 * len(phenomena))
    ax = figure.add_subplot()
    cells = {(cell["phenomenon"], cell["hypothesis"]): cell for cell in table.to_dict("records")}
    used = set()
    for (row, phenomenon), (column, hypothesis) in product(enumerate(phenomena), enumerate(hypotheses)):
        cell = cells.get((phenomenon, hypothesis), {"verdict": NOT_ASKED})
        verdict = str(cell["verdict"]).partition(":")[0]
        used.add(verdict)
        ax.add_patch(_patch(column, row, VERDICTS[verdict]))
        text = _cell_text(verdict, cell.get("relative", np.nan), cell.get("t", np.nan))
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.0} if VERDICTS[verdict].hatch else None
        ax.text(column, row, text, ha="center", va="center", fontsize=8, color=VERDICTS[verdict].ink, bbox=behind)
    ax.set_xlim(-0.5, len(hypotheses) - 0.5)
    ax.set_ylim(len(phenomena) - 0.5, -0.5)
    ax.set_xticks(range(len(hypotheses)), [name.replace(": ", ":\n") for name in hypotheses], rotation=40, ha="left")
    ax.xaxis.tick_top()
    people = table.drop_duplicates("phenomenon").set_index("phenomenon")["people"]
    ax.set_yticks(range(len(phenomena)), [f"{name} [{people[name]}]" for name in phenomena])
    ax.tick_params(length=0, labelsize=8)
    for side in ax.spines.values():
        side.set_visible(False)
    handles = [_patch(0, 0, look, f"{look.mark}  {EXPLAINED[name]}") for name, look in VERDICTS.items() if name in used]
    figure.legend(handles=handles, loc="outside lower left", ncol=2, frameon=False, fontsize=8)
    ax.set_xlabel("effect in per cent of the mean amplitude, positive as in people; [what people show]", fontsize=8)
    return ax


def plot_units(units: xr.DataArray, *, sample: int = 0, participant: int = 0, n_units: int = 6) -> Axes:
    """Draw the semantic units that respond most in one trial.

    Parameters
    ----------
    units : xarray.DataArray, dims (sample, repeat, channel, time)
        From :func:`neuroling.n400.simulate.simulate_units`.
    sample, participant : int
        Which trial and participant, by position.
    n_units : int
        How many units; the mean of all is drawn in black.

    Returns
    -------
    matplotlib.axes.Axes
    """
    trial = units.isel(sample=sample, repeat=participant)
    ax = new_figure(8.0, 4.2).add_subplot()
    order = np.argsort(-trial.max("time").to_numpy())[:n_units]
    for place, unit in enumerate(order):
        one = trial.isel(channel=int(unit))
        ax.plot(one["time"], one, color=SERIES[place % len(SERIES)], linewidth=1.1, label=str(one["channel"].item()))
    ax.plot(trial["time"], trial.mean("channel"), color=INK, linewidth=2.4, label="mean of all")
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_xlabel("time from target onset (s)")
    ax.set_ylabel("activation")
    ax.set_title(f"{units.attrs.get('model', 'network')}, simulated: {trial['sample'].item()}", loc="left", fontsize=11)
    ax.legend(frameon=False, fontsize=8, ncol=2)
    tidy(ax)
    return ax


def plot_sensitivity(table: pd.DataFrame, effect: str = "repetition") -> Axes:
    """Draw where an effect holds over time constant and asynchrony.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`neuroling.n400.sensitivity.sensitivity`, one threshold, one inhibition and one lexicon.
    effect : {"repetition", "neighbourhood"}
        Which.

    Returns
    -------
    matplotlib.axes.Axes
        Per cent of the mean amplitude; blue as in people, orange reversed.
    """
    if effect not in ("repetition", "neighbourhood"):
        raise ValueError(f"effect: got {effect!r}; expected 'repetition' or 'neighbourhood'.")
    if table[["time_constant", "soa"]].duplicated().any():
        raise ValueError(
            "table: several rows with one time constant and asynchrony; choose one threshold, inhibition and lexicon, "
            "or draw all of them with plot_sweep."
        )
    wide = 100 * table.pivot_table(index="time_constant", columns="soa", values=effect)
    ax = new_figure(2.5 + 0.85 * wide.shape[1], 2.0 + 0.45 * wide.shape[0]).add_subplot()
    limit = max(float(np.abs(wide.to_numpy()).max()), LEAST_SCALE)
    image = ax.imshow(wide.to_numpy(), cmap=_diverging(), vmin=-limit, vmax=limit, aspect="auto")
    for (row, column), value in np.ndenumerate(wide.to_numpy()):
        strong = abs(value) > 0.6 * limit
        text = "0.0" if abs(value) < 0.05 else f"{value:+.1f}"
        ax.text(column, row, text, ha="center", va="center", fontsize=8, color="white" if strong else INK)
    names = ["none" if np.isinf(value) else f"{value:g}" for value in wide.index]
    ax.set_yticks(range(len(names)), names)
    ax.set_xticks(range(wide.shape[1]), [f"{value:g}" for value in wide.columns])
    ax.set_xlabel("stimulus-onset asynchrony (ticks)")
    ax.set_ylabel("time constant T (ticks)")
    ax.set_title(f"simulated {effect} effect (% of mean amplitude)", loc="left", fontsize=11)
    ax.figure.colorbar(image, ax=ax, label="blue: as people; orange: reversed")
    return ax


def plot_sweep(table: pd.DataFrame, effect: str = "repetition") -> Figure:
    """Draw the whole sweep: a map of time constant and asynchrony for each threshold and factor on inhibition.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`neuroling.n400.sensitivity.diagnose`; means over lexicons are drawn.
    effect : {"repetition", "neighbourhood"}
        Which.

    Returns
    -------
    matplotlib.figure.Figure
        Blue as in people, orange reversed; a dot where all lexicons have people's sign.
    """
    if effect not in ("repetition", "neighbourhood"):
        raise ValueError(f"effect: got {effect!r}; expected 'repetition' or 'neighbourhood'.")
    thresholds, factors = (sorted(table[name].unique()) for name in ("threshold", "inhibition"))
    figure = new_figure(1.2 + 2.9 * len(thresholds), 0.9 + 2.4 * len(factors))
    axes = figure.subplots(len(factors), len(thresholds), squeeze=False, sharex=True, sharey=True)
    means = table.groupby(["threshold", "inhibition", "time_constant", "soa"])[effect].mean()
    limit = max(100 * float(means.abs().max()), LEAST_SCALE)
    for (row, column), ax in np.ndenumerate(axes):
        chosen = table[(table["threshold"] == thresholds[column]) & (table["inhibition"] == factors[row])]
        cells = chosen.pivot_table(index="time_constant", columns="soa", values=effect)
        least = chosen.pivot_table(index="time_constant", columns="soa", values=effect, aggfunc="min")
        image = ax.imshow(100 * cells, cmap=_diverging(), vmin=-limit, vmax=limit, aspect="auto")
        ax.scatter(*np.nonzero(least.to_numpy() > 0)[::-1], s=7, color=INK)
        ax.set_yticks(range(len(cells)), ["none" if np.isinf(value) else f"{value:g}" for value in cells.index])
        ax.set_xticks(range(cells.shape[1]), [f"{value:g}" for value in cells.columns])
        ax.set_title(f"threshold {thresholds[column]:g}, inhibition × {factors[row]:g}", fontsize=9, loc="left")
    figure.supxlabel("stimulus-onset asynchrony (ticks)", fontsize=10)
    figure.supylabel("time constant T (ticks)", fontsize=10)
    figure.suptitle(f"simulated {effect} effect; dots: people's sign with every lexicon", fontsize=10)
    figure.colorbar(image, ax=axes, label="% of mean amplitude; blue: as people")
    return figure


def plot_fit(recorded: xr.DataArray, fitted: xr.DataArray, *, plus: str, minus: str) -> Axes:
    """Draw a difference wave of people and of what was fitted to it.

    Parameters
    ----------
    recorded, fitted : xarray.DataArray, dims (sample, time)
        ERPs with the sample coordinate ``condition``.
    plus, minus : str
        Conditions; the second is subtracted.

    Returns
    -------
    matplotlib.axes.Axes
        The band is one standard error of the recorded difference.
    """
    ax = new_figure(7.0, 4.0).add_subplot()
    times = recorded["time"].to_numpy()
    sides = [recorded.isel(sample=np.flatnonzero(np.asarray(recorded["condition"]) == name)) for name in (plus, minus)]
    wave = (sides[0].mean("sample") - sides[1].mean("sample")).to_numpy()
    error = np.sqrt(sum((side.var("sample", ddof=1) / side.sizes["sample"]).to_numpy() for side in sides))
    ax.fill_between(times, wave - error, wave + error, color="#d9dee3", linewidth=0)
    ax.plot(times, wave, color=INK, linewidth=1.8, label="recorded")
    model = [fitted.isel(sample=np.flatnonzero(np.asarray(fitted["condition"]) == name)) for name in (plus, minus)]
    ax.plot(times, model[0].mean("sample") - model[1].mean("sample"), color=SERIES[1], linewidth=1.8, label="fitted")
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.set_xlabel("time (s)")
    ax.set_ylabel(f"{plus} - {minus} ({recorded.attrs.get('units', 'µV')})")
    ax.legend(frameon=False)
    tidy(ax)
    return ax


def film_of_units(units: Mapping[str, xr.DataArray], *, columns: int = 10, milliseconds: int = 160) -> bytes:
    """Make a film of the semantic layer, one frame a tick, the trials side by side.

    Parameters
    ----------
    units : mapping of xarray.DataArray, dims (channel, time)
        Activations of single trials and participants, by title; same units and times.
    columns : int
        Units in a row of the picture.
    milliseconds : int
        Time that a frame stands.

    Returns
    -------
    bytes
        An animated GIF; colours span activations from 0 to the highest of all trials.
    """
    from matplotlib.image import AxesImage
    from PIL import Image

    if not units:
        raise ValueError("units: empty; expected at least one trial.")
    figure = new_figure(3.2 * len(units) + 0.8, 2.2)
    axes = np.atleast_1d(figure.subplots(1, len(units)))
    brightest = max(float(trial.max()) for trial in units.values())
    panels: list[tuple[AxesImage, np.ndarray]] = []
    for ax, (title, trial) in zip(axes, units.items(), strict=True):
        values = trial.transpose("time", "channel").to_numpy()  # (tick, unit)
        padded = np.pad(values, ((0, 0), (0, -values.shape[1] % columns)), constant_values=np.nan)
        frames = padded.reshape(len(values), -1, columns)
        panels.append((ax.imshow(frames[0], vmin=0, vmax=brightest, cmap="cividis"), frames))
        ax.set_title(title, fontsize=9)
        ax.set_axis_off()
    figure.colorbar(panels[0][0], ax=list(axes), label="activation", shrink=0.8)
    times = next(iter(units.values()))["time"].to_numpy()
    pictures = []
    for tick, time in enumerate(times):
        for image, frames in panels:
            image.set_data(frames[tick])
        figure.suptitle(f"simulated semantic layer, {1000 * time:+.0f} ms", fontsize=9)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=90, facecolor="white")
        pictures.append(Image.open(buffer).convert("RGB").quantize(256, Image.Quantize.FASTOCTREE))
    film = io.BytesIO()
    pictures[0].save(film, "GIF", save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0)
    return film.getvalue()


def _draw_time(ax: Axes, recording: xr.DataArray, kinds: Sequence[str], window: Window | None) -> None:
    if window is not None:
        ax.axvspan(*window, color="#ece6d6", zorder=0)
    for kind, condition, curve in _curves(recording, kinds):
        label = "illegal strings" if kind == "illegal" else f"{kind}s"
        ax.plot(curve["time"], curve, **_style(kind, kinds, condition), label=label if condition == "new" else None)
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_ylabel("mean semantic activation")
    tidy(ax)


def _draw_frequency(ax: Axes, recording: xr.DataArray, kinds: Sequence[str]) -> None:
    for kind, condition, curve in _curves(recording, kinds):
        power = spectrum(since(curve), relative=True)
        ax.plot(power["frequency"], 100 * power, **_style(kind, kinds, condition), marker="o", markersize=3)
    ax.set_ylabel("power (% of all)")
    tidy(ax)


def _curves(recording: xr.DataArray, kinds: Sequence[str]) -> list[tuple[str, str, xr.DataArray]]:
    curves = []
    for kind in kinds:
        for condition in ("new", "repeated"):
            rows = (np.asarray(recording["kind"]) == kind) & (np.asarray(recording["condition"]) == condition)
            if not rows.any():
                raise ValueError(f"recording: no sample of the type {kind!r} in the condition {condition!r}.")
            curves.append((kind, condition, recording.isel(sample=np.flatnonzero(rows)).mean(["sample", "repeat"])))
    return curves


def _style(kind: str, kinds: Sequence[str], condition: str) -> dict[str, Any]:
    line = "-" if condition == "new" else (0, (4, 2))
    return {"color": SERIES[list(kinds).index(kind) % len(SERIES)], "linestyle": line, "linewidth": 1.6}


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of so many inches that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    return figure


def _cell_text(verdict: str, relative: float, t: float) -> str:
    """Write the mark and per cent of the amplitude, or t (people have no amplitude to relate to), or the mark alone."""
    mark = VERDICTS[verdict].mark
    if not pd.isna(relative):
        return f"{mark} 0.0" if abs(relative) < 0.0005 else f"{mark} {100 * relative:+.1f}"
    return mark if pd.isna(t) else f"{mark} t {t:.1f}"


def _patch(column: float, row: float, look: Look, label: str | None = None) -> Rectangle:
    from matplotlib.patches import Rectangle

    drawn: dict[str, Any] = {"facecolor": look.fill, "edgecolor": "#8a9199", "linewidth": 0.5, "label": label}
    return Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, hatch=look.hatch or None, **drawn)


def _diverging() -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("people", ["#c2571a", "#f7f5ef", "#14507d"])


def tidy(ax: Axes) -> None:
    """Take the upper and right frames off, and draw faint lines across."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.grid(axis="y", color="#e3e6e8", linewidth=0.7)
    ax.set_axisbelow(True)
