"""Pictures of small language models: learning curves, what they got wrong, where they looked, what mattered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroling.report.figures import INK, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIGHT, WRONG = "#1f5fa8", "#c0281c"
"""Blue and red, as in the lecture."""

KANA_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans JP",
    "IPAexGothic",
    "IPAGothic",
    "TakaoGothic",
    "Hiragino Sans",
    "Yu Gothic",
)

_ROWS = {
    "": "あいうえお",
    "k": "かきくけこ",
    "s": "さしすせそ",
    "t": "たちつてと",
    "n": "なにぬねの",
    "h": "はひふへほ",
    "m": "まみむめも",
    "r": "らりるれろ",
    "g": "がぎぐげご",
    "z": "ざじずぜぞ",
    "d": "だぢづでど",
    "b": "ばびぶべぼ",
    "p": "ぱぴぷぺぽ",
}
_SINGLE = {"や": "ya", "ゆ": "yu", "よ": "yo", "わ": "wa", "ゐ": "wi", "ゑ": "we", "を": "wo", "ん": "n"}
_ROMAN = {
    kana: onset + vowel for onset, row in _ROWS.items() for kana, vowel in zip(row, "aiueo", strict=True)
} | _SINGLE


def kana_font() -> str | None:
    """Find an installed font that has kana.

    Returns
    -------
    str or None
        None where there is none; then figures show kana in Roman letters.
    """
    from matplotlib.font_manager import fontManager

    present = {font.name for font in fontManager.ttflist}
    return next((name for name in KANA_FONTS if name in present), None)


def romanise(text: str) -> list[str]:
    """Write every kana in Roman letters, by the systematic spelling (``si`` for し, ``tu`` for つ, ``wi`` for ゐ).

    Parameters
    ----------
    text : str
        Text.

    Returns
    -------
    list of str
        One entry a character; others stay as they are.

    Examples
    --------
    >>> romanise("つゆゐ")
    ['tu', 'yu', 'wi']
    """
    return [_ROMAN.get(letter, letter) for letter in text]


def plot_recall(curves: pd.DataFrame, *, title: str = "") -> Axes:
    """Draw shares of right answers by epoch.

    Parameters
    ----------
    curves : pandas.DataFrame
        Columns ``epoch``, ``curve`` (name) and ``share`` (0 to 1).
    title : str
        Of the picture.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _axes(7.5, 4.2)
    names = list(dict.fromkeys(curves["curve"]))
    for number, name in enumerate(names):
        curve = curves[curves["curve"] == name]
        ax.plot(
            curve["epoch"],
            100 * curve["share"],
            color=SERIES[number % len(SERIES)],
            linestyle=("-", "--", ":")[number // len(SERIES) % 3],
            marker="o" if len(curve) <= 12 else None,
            label=name,
        )
    ax.set(xlabel="epoch", ylabel="right, %", ylim=(-3, 103), title=title)
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def plot_errors(
    targets: Sequence[str], right: NDArray[np.float64], said: Sequence[str], *, title: str = "", columns: int = 2
) -> Figure:
    """Show verses character by character: right ones in blue, wrong ones in red with what was said instead.

    Parameters
    ----------
    targets : sequence of str
        Right verses.
    right : numpy.ndarray, (text, place)
        1 where the character was right.
    said : sequence of str
        What the model said.
    title : str
        Of the picture.
    columns : int
        Verses side by side.

    Returns
    -------
    matplotlib.figure.Figure
    """
    font = kana_font()
    longest = max(map(len, targets)) + 2
    rows = -(-len(targets) // columns)
    ax = _axes(0.36 * longest * columns, 0.3 * rows + 0.6)
    for number, (target, answer) in enumerate(zip(targets, said, strict=True)):
        x0, y = (number // rows) * longest, -(number % rows)
        for position, label in enumerate(target if font else romanise(target)):
            good = right[number, position] == 1
            given = answer[position] if position < len(answer) else "–"
            shown = label if good else f"{label}→{given if font else ''.join(romanise(given))}"
            ax.text(
                x0 + position,
                y,
                shown,
                color=RIGHT if good else WRONG,
                fontsize=8 if good else 6,
                fontfamily=font,
                fontweight="normal" if good else "bold",
                ha="center",
                va="center",
            )
    ax.set(xlim=(-1, columns * longest - 1), ylim=(-rows + 0.4, 0.8), title=title)
    ax.axis("off")
    return _figure_of(ax)


def plot_frequencies(counts: Mapping[str, int], *, accuracy: Mapping[str, float], title: str = "") -> Axes:
    """Draw how often each character comes, and how often it was right.

    Parameters
    ----------
    counts : mapping of str to int
        By character.
    accuracy : mapping of str to float
        Share of right answers by character.
    title : str
        Of the picture.

    Returns
    -------
    matplotlib.axes.Axes
    """
    font = kana_font()
    letters = sorted(counts, key=lambda letter: -counts[letter])
    ax = _axes(12, 3.6)
    shares = np.array([accuracy[letter] for letter in letters])
    ax.bar(range(len(letters)), [counts[letter] for letter in letters], color="#d5d9dd", label="times, all")
    ax.bar(
        range(len(letters)),
        shares * [counts[letter] for letter in letters],
        color=RIGHT,
        label="times, right",
    )
    labels = letters if font else ["".join(romanise(letter)) for letter in letters]
    ax.set_xticks(range(len(letters)), labels, fontfamily=font, fontsize=7, rotation=0 if font else 90)
    ax.set(ylabel="times in lower verses", title=title, xlim=(-1, len(letters)))
    ax.legend(frameon=False)
    return ax


def plot_symbol_attention(maps: NDArray[np.float64], source: str, target: str, *, title: str = "") -> Figure:
    """Draw where every head looks in the source while it says the target.

    Parameters
    ----------
    maps : numpy.ndarray, (head, target, source)
        Weights; the last row belongs to the end of the target.
    source, target : str
        Characters.
    title : str
        Of the picture.

    Returns
    -------
    matplotlib.figure.Figure
    """
    font = kana_font()
    across, down = ([*text] if font else romanise(text) for text in (source, target))
    figure = _figure_of(_axes(3.3 * len(maps) + 0.4, 3.8))
    figure.clear()
    axes = figure.subplots(1, len(maps), squeeze=False)[0]
    for head, ax in enumerate(axes):
        image = ax.imshow(maps[head], cmap="Blues", vmin=0, vmax=1, aspect="auto")
        ax.set_xticks(range(len(across)), across, fontfamily=font, fontsize=6, rotation=0 if font else 90)
        ax.set_yticks(range(len(down) + 1), [*down, "end"], fontfamily=font, fontsize=6)
        ax.set_title(f"head {head + 1}" if len(maps) > 1 else "attention", fontsize=8)
    axes[0].set_ylabel("character said")
    figure.supxlabel("character of the upper verse", fontsize=8)
    figure.suptitle(title, fontsize=9)
    figure.colorbar(image, ax=list(axes), fraction=0.02, pad=0.01, label="weight")
    return figure


def plot_ablation(table: pd.DataFrame, measure: str, *, title: str = "", label: str = "") -> Axes:
    """Draw a measure by condition: every seed a point, their mean with its standard deviation.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``condition``, ``seed`` and the measure; perhaps ``steps``, which then run along the x axis.
    measure : str
        Column.
    title, label : str
        Of the picture and of the y axis.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _axes(7, 3.8)
    conditions = list(dict.fromkeys(table["condition"]))
    if "steps" in table:
        for position, name in enumerate(conditions):
            found = table[table["condition"] == name].groupby("steps")[measure].agg(["mean", "std"])
            colour = SERIES[position % len(SERIES)]
            ax.errorbar(found.index, found["mean"], found["std"], color=colour, marker="o", capsize=3, label=name)
        ax.set_xlabel("steps of pre-training")
        ax.legend(frameon=False, fontsize=8)
    else:
        for position, name in enumerate(conditions):
            values = table.loc[table["condition"] == name, measure].to_numpy()
            ax.plot(np.full(len(values), position + 0.12), values, ".", color=INK, alpha=0.6)
            spread = values.std(ddof=1) if len(values) > 1 else 0.0
            ax.errorbar(position, values.mean(), spread, color=SERIES[0], marker="o", capsize=4)
        ax.set_xticks(range(len(conditions)), conditions, fontsize=8)
        ax.set_xlim(-0.5, len(conditions) - 0.5)
    ax.set(ylabel=label or measure, title=title)
    return ax


def _axes(width: float, height: float) -> Axes:
    from neuroling.report.figures import new_axes

    ax = new_axes(width, height)
    ax.title.set_fontsize(9)
    return ax


def _figure_of(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    if figure is None:  # an axes without a figure cannot come from new_axes
        raise ValueError("ax: belongs to no figure.")
    return figure
