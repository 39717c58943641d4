"""Ten stories read word by word: mean self-paced reading times of their words (Futrell et al. 2021)."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.stimuli import Stimuli
from neuroling.data.errors import CorruptData, reading, require_file
from neuroling.data.fetch import locate
from neuroling.data.row_shift import find_row_shift
from neuroling.data.stories import StoryRecording
from neuroling.data.synthetic import is_synthetic, mark_synthetic

logger = logging.getLogger(__name__)

NAME = "natural_stories"
MEANS = "naturalstories_RTS/processed_wordinfo.tsv"
WORDS = "naturalstories_RTS/all_stories.tok"
GPT3 = "probs/all_stories_gpt3.csv"
MEAN_COLUMNS = ("word", "zone", "item", "nItem", "meanItemRT", "sdItemRT", "gmeanItemRT", "gsdItemRT")
GPT3_COLUMNS = ("token", "logprob", "offset", "model", "time", "id", "story")
STORY_LENGTHS = (1073, 990, 1040, 1085, 1013, 1099, 999, 980, 1038, 939)
"""Words of stories 1 to 10, 10,256 together."""

ENDS_SENTENCE = r"[.!?]['\")\]]*$"
ABBREVIATIONS = ("Mr.", "Mrs.", "Ms.", "Dr.", "St.")
"""Words that end in a full stop without ending a sentence."""

Alignment = Literal["detect", "as stored", "next row"]


def load(
    folder: Path | str | None = None,
    *,
    alignment: Alignment = "detect",
    mean: Literal["arithmetic", "geometric"] = "arithmetic",
) -> StoryRecording:
    """Read the words of the ten stories, their mean reading times, and GPT-3's surprisal of them.

    Parameters
    ----------
    folder : path, optional
        Folder laid out as github.com/languageMIT/naturalstories; by default found by :func:`neuroling.data.locate`.
    alignment : {"detect", "as stored", "next row"}
        Which word a mean belongs to. The means were never realigned when the authors found in 2025 that all earlier
        releases are off by one word. ``"next row"`` gives the value of a row to the word of the next row; the first
        word of a story then has none, and the last value of a story belongs to no word. ``"detect"`` does so if times
        rise more with the length of the next word than with that of the word before
        (:class:`~neuroling.data.row_shift.RowShift`), and says what it found; ``"as stored"`` changes nothing.
    mean : {"arithmetic", "geometric"}
        Which mean over readers.

    Returns
    -------
    StoryRecording
        ``words``: ``group`` (``"story 1"``), ``position``, ``sentence`` (split at full stops, a heuristic),
        ``surprisal_gpt3`` (nats, summed over the tokens of a word; NaN for the first of a story) and ``n_readers``.
        ``recording``: mean times in ms, dims (sample,), of the words that have one.

    Raises
    ------
    DataNotFound, CorruptData
        If a file is absent or damaged, or words of the files differ otherwise than in known typing errors.
    """
    if alignment not in ("detect", "as stored", "next row"):
        raise ValueError(f"alignment: got {alignment!r}; expected 'detect', 'as stored' or 'next row'.")
    folder = locate(NAME) if folder is None else Path(folder)
    table = _read_words(folder).join(_read_means(folder), how="left", on=["item", "zone"])
    if table["meanItemRT"].isna().any() or (table["text"] != table["word"]).any():
        raise CorruptData(
            folder / MEANS, "words or rows that differ from all_stories.tok", "the same words by item, zone"
        )
    column = "meanItemRT" if mean == "arithmetic" else "gmeanItemRT"
    shift = find_row_shift(table["text"], table[column], table["item"])
    is_early = shift.is_early if alignment == "detect" else alignment == "next row"
    logger.info("%s: %s.", NAME, shift)
    by_story = table.groupby("item", sort=False)
    times = by_story[column].shift(1) if is_early else table[column]
    readers = by_story["nItem"].shift(1) if is_early else table["nItem"]
    n_moved = "the first word of each story has no time" if is_early else "no word lost its time"
    options = {
        "alignment": f"{alignment}: {'next row' if is_early else 'as stored'}; {n_moved}",
        "row shift": str(shift),
        "mean": f"{mean} mean over readers, from processed_wordinfo.tsv",
    }
    words = _label(table, readers, _gpt3_surprisal(folder, table))
    has_time = times.notna().to_numpy()
    excluded = (f"{int((~has_time).sum())} words: they have no time after the shift by one row",) if is_early else ()
    within = words.table[has_time]
    coords = {
        "sample": np.asarray(within.index, dtype=str),
        "group": ("sample", within["group"].to_numpy().astype(str)),
        "sentence": ("sample", within["sentence"].to_numpy().astype(str)),
    }
    attrs = {"dataset": NAME, "units": "ms", "synthetic": int(is_synthetic(folder)), **options}
    recording = xr.DataArray(times[has_time].to_numpy(), dims=("sample",), coords=coords, attrs=attrs, name="time")
    return StoryRecording(words, recording, None, options, excluded)


def _read_table(path: Path, separator: str, columns: tuple[str, ...]) -> pd.DataFrame:
    require_file(path, "a table of Natural Stories")
    with reading(path, "a table"):
        quoting = {"quoting": 3} if separator == "\t" else {}
        table = pd.read_csv(path, sep=separator, keep_default_na=False, **quoting)  # type: ignore[call-overload]
    if tuple(table.columns) != columns:
        raise CorruptData(path, f"columns {list(table.columns)[:9]}", f"{list(columns)}")
    return pd.DataFrame(table)


def _read_words(folder: Path) -> pd.DataFrame:
    """Read the words as they were shown, in the order of reading."""
    table = _read_table(folder / WORDS, "\t", ("word", "zone", "item")).rename(columns={"word": "text"})
    steps = table.groupby("item")["zone"].diff().dropna()
    if (steps != 1).any() or table["text"].str.contains(r"\s").any():
        raise CorruptData(folder / WORDS, "zones that do not count up by one, or words with blanks", "a row per word")
    return table


def _read_means(folder: Path) -> pd.DataFrame:
    """Read the means by item and zone; the rows of the file are sorted by word."""
    means = _read_table(folder / MEANS, "\t", MEAN_COLUMNS).set_index(["item", "zone"])
    if not means.index.is_unique:
        raise CorruptData(folder / MEANS, "items and zones that occur twice", "one row per item and zone")
    return means


def _gpt3_surprisal(folder: Path, table: pd.DataFrame) -> np.ndarray:
    """Sum the surprisal of the tokens of each word, in nats; tokens begin a word with a blank."""
    tokens = _read_table(folder / GPT3, ",", GPT3_COLUMNS)
    surprisal = -pd.to_numeric(tokens["logprob"], errors="coerce")
    text = tokens["token"].astype(str)
    begins = text.str.match(r"\s") | (tokens["story"].diff() != 0)
    word = begins.cumsum() - 1
    spelled = text.groupby(word).sum().str.strip()
    differing = np.flatnonzero(spelled.to_numpy() != table["text"].to_numpy()) if len(spelled) == len(table) else [0]
    if len(spelled) != len(table) or len(differing) > MOST_TYPOS:
        raise CorruptData(
            folder / GPT3,
            f"{len(spelled)} words, {len(differing)} of them spelled otherwise",
            f"the {len(table)} words of all_stories.tok, but for typing errors of the experiment",
        )
    is_complete = surprisal.notna().groupby(word).all()
    return np.asarray(surprisal.groupby(word).sum().where(is_complete), dtype=np.float64)


MOST_TYPOS = 5
"""Words that may be spelled otherwise in the experiment than in the texts; one is."""


def _label(table: pd.DataFrame, readers: pd.Series, surprisal: np.ndarray) -> Stimuli:
    ends = table["text"].str.contains(ENDS_SENTENCE) & ~table["text"].isin(ABBREVIATIONS)
    begins = ends.shift(fill_value=True) | (table["item"].diff() != 0)
    labels = [
        f"{item}.{zone} {word}" for item, zone, word in zip(table["item"], table["zone"], table["text"], strict=True)
    ]
    columns = {
        "text": table["text"].to_numpy(),
        "group": [f"story {item}" for item in table["item"]],
        "position": table["zone"].to_numpy(),
        "sentence": [f"sentence {number}" for number in begins.cumsum()],
        "surprisal_gpt3": surprisal,
        "n_readers": readers.to_numpy(),
    }
    return Stimuli(pd.DataFrame(columns, index=pd.Index(labels, name="sample")))


# --- the synthetic twin ----------------------------------------------------------------------------------------------

SPILLOVER = (0.5, 1.0, 0.4)
"""Weights of the surprisal of a word and of the two words before it; the largest is that of the word before."""


def write_twin(
    folder: Path | str,
    rng: int | np.random.Generator = 0,
    *,
    n_stories: int = 3,
    effect_ms: float = 4.0,
    is_early: bool = True,
) -> None:
    """Write synthetic words, means and GPT-3 tokens in the layout of the real files.

    Times grow with length and surprisal of a word and of the two words before it, and stand one row early, as in the
    real file of means.

    Parameters
    ----------
    folder : path
        Made if absent; marked as synthetic by a file that holds what was planted.
    rng : int or numpy.random.Generator
        Source of all randomness.
    n_stories : int
        1 to 10, each with as many words as the real one.
    effect_ms : float
        Milliseconds per nat of surprisal; 0 for none.
    is_early : bool
        Whether times stand one row before their words.
    """
    if not 1 <= n_stories <= len(STORY_LENGTHS):
        raise ValueError(f"n_stories: got {n_stories}; expected 1 to {len(STORY_LENGTHS)}.")
    generator = np.random.default_rng(rng)
    folder = Path(folder)
    for name in ("naturalstories_RTS", "probs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    words = pd.concat([_draw_story(item, generator) for item in range(1, n_stories + 1)], ignore_index=True)
    length = words["word"].str.len()
    drive = 6.0 * length + effect_ms * words["surprisal"]
    by_story = drive.groupby(words["item"])
    weighted = np.sum([weight * by_story.shift(lag).fillna(0) for lag, weight in enumerate(SPILLOVER)], axis=0)
    times = pd.Series(300.0 + weighted + generator.normal(0, 25, len(words)))
    stored = times.groupby(words["item"]).shift(-1).fillna(times.mean()) if is_early else times
    words[["word", "zone", "item"]].to_csv(folder / WORDS, sep="\t", index=False, quoting=3)
    means = words[["word", "zone", "item"]].assign(
        nItem=generator.integers(62, 98, len(words)),
        meanItemRT=stored,
        sdItemRT=120.0,
        gmeanItemRT=stored * 0.93,
        gsdItemRT=1.4,
    )
    means.sort_values(["word", "item", "zone"]).to_csv(folder / MEANS, sep="\t", index=False, quoting=3)
    _write_tokens(folder / GPT3, words)
    mark_synthetic(folder, {"effect_ms": effect_ms, "spillover": SPILLOVER, "is_early": is_early})


def twin(
    rng: int | np.random.Generator = 0,
    *,
    n_stories: int = 3,
    effect_ms: float = 4.0,
    alignment: Alignment = "detect",
) -> StoryRecording:
    """Make synthetic stories and reading times, through files and the loader.

    Parameters
    ----------
    rng : int or numpy.random.Generator
        Source of all randomness.
    n_stories, effect_ms
        As for :func:`write_twin`.
    alignment : {"detect", "as stored", "next row"}
        As for :func:`load`.

    Returns
    -------
    StoryRecording
    """
    with tempfile.TemporaryDirectory() as folder:
        write_twin(folder, rng, n_stories=n_stories, effect_ms=effect_ms)
        return load(folder, alignment=alignment)


def _draw_story(item: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw words of a story, in sentences of twelve words, with a surprisal each that does not follow from length."""
    vocabulary = np.array(["a", "the", "boar", "town", "hunter", "forest", "reward", "beautiful", "yesterday", "ran"])
    n_words = STORY_LENGTHS[item - 1]
    words = rng.choice(vocabulary, n_words).astype(object)
    words[11::12] += "."
    surprisal = rng.gamma(2.0, 2.0, n_words)
    zone = np.arange(1, n_words + 1)
    return pd.DataFrame({"word": words, "zone": zone, "item": item, "surprisal": surprisal})


def _write_tokens(path: Path, words: pd.DataFrame) -> None:
    """Write two tokens for words of more than six letters; the first of a story has no probability."""
    rows = []
    for item in words["item"].unique().tolist():
        story = words[words["item"] == item]
        offset = 0
        for word, zone, surprisal in zip(story["word"], story["zone"], story["surprisal"], strict=True):
            pieces = [word[:4], word[4:]] if len(word) > 6 else [word]
            for number, piece in enumerate(pieces):
                token = piece if number or zone == 1 else f" {piece}"
                value = "" if zone == 1 and number == 0 else -surprisal / len(pieces)
                rows.append((token, value, offset, "davinci:2020-05-03", 1614358345, f"cmpl-{item}", item - 1))
                offset += len(token)
    pd.DataFrame(rows, columns=list(GPT3_COLUMNS)).to_csv(path, index=False)
