"""Words with their onsets, from the files that people have: events.tsv of BIDS, TextGrids, tables with any columns."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from neuroling.core.notices import warn
from neuroling.core.stimuli import Stimuli
from neuroling.data.bids import BidsFile, run_name
from neuroling.data.errors import CorruptData
from neuroling.data.tables import finite_column, read_table
from neuroling.data.textgrid import read_intervals

logger = logging.getLogger(__name__)

TEXT_COLUMNS = ("text", "word")
"""Columns that are taken for the words where none is named."""

SILENCES = ("", "sp", "sil")
"""What aligners write into intervals without a word: nothing, a short pause, silence."""

NO_VALUE = ("", "n/a")
"""Cells without a value: an empty one, and that of BIDS."""

Files = Path | str | Sequence[Path | str] | Mapping[str, Path | str]


def read_words(
    files: Files,
    *,
    text_column: str | None = None,
    onset_column: str = "onset",
    run_column: str | None = None,
    tier: str = "words",
    silences: Sequence[str] = SILENCES,
) -> Stimuli:
    r"""Read words and when they were heard or shown, one run a file, or all runs in one table.

    Parameters
    ----------
    files : path, sequence of path, or mapping of str to path
        ``.tsv`` or ``.csv`` (perhaps ``.gz``) with a row a word, or Praat's ``.TextGrid``. A mapping names the run of
        each file; otherwise a BIDS name does (``sub-01_task-story_run-1_events.tsv`` is the run ``task-story_run-1``,
        as in :func:`neuroling.data.fmri_runs.read_runs`), and a single file of another name is a run without a name.
    text_column : str, optional
        Column of tables that holds the words; by default the one called ``text`` or ``word``.
    onset_column : str
        Column of tables with the onsets, in seconds. ``offset`` is read where it is there, else made of ``duration``.
    run_column : str, optional
        Column that names the run of every row, where one table holds several.
    tier : str
        Interval tier of TextGrids.
    silences : sequence of str
        Texts of TextGrid intervals that are no words.

    Returns
    -------
    Stimuli
        One row a word, labelled ``RUN/0``, ``RUN/1``, … in order of onset within each run; columns ``text``, ``onset``,
        ``offset`` (seconds, where known) and ``group`` (the run, where it has a name); all other columns as text.

    Raises
    ------
    DataNotFound, CorruptData
        If a file is absent, damaged, or lacks a column.
    ValueError
        If it is not clear which column holds the words or which run a file is, or onsets go backwards.

    Warns
    -----
    UserWarning
        If rows of a table hold no word (an empty cell or ``n/a``); they are left out.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "sub-01_task-story_run-1_events.tsv"
    ...     written = path.write_text("onset\tduration\ttoken\n0.5\t0.2\tonce\n0.9\t0.3\tupon\n")
    ...     words = read_words(path, text_column="token")
    >>> words.table[["text", "onset", "offset", "group"]].values.tolist()
    [['once', 0.5, 0.7, 'task-story_run-1'], ['upon', 0.9, 1.2, 'task-story_run-1']]
    """
    named = _named(files)
    tables = []
    for run, path in named.items():
        if path.suffix.lower() == ".textgrid":
            table = _of_textgrid(path, tier, silences)
        else:
            table = _of_table(path, text_column, onset_column, run_column)
        if run:
            table["group"] = run
        tables.append(table)
    words = pd.concat(tables, ignore_index=True)
    _refuse_backwards(words, named)
    return Stimuli(words.set_axis(_labels(words)))


def _named(files: Files) -> dict[str, Path]:
    """Give files by the names of their runs; a single file may have none."""
    if isinstance(files, Mapping):
        named = {str(run): Path(path) for run, path in files.items()}
    elif isinstance(files, str | Path):
        return {_run_of(Path(files)): Path(files)}
    else:
        paths = [Path(path) for path in files]
        unnamed = [path.name for path in paths if not _run_of(path)]
        if unnamed:
            raise ValueError(
                f"files: {unnamed[:3]} do not name their run; expected BIDS names such as "
                "sub-01_task-story_run-1_events.tsv, or a mapping such as {'run-1': path}."
            )
        named = {_run_of(path): path for path in paths}
        if len(named) < len(paths):
            raise ValueError(f"files: {len(paths)} files are {len(named)} runs ({list(named)[:4]}); each once.")
    if not named:
        raise ValueError("files: got none; expected at least one table or TextGrid.")
    return named


def _run_of(path: Path) -> str:
    """Give the run that a BIDS name says; nothing where it is no BIDS name or names none."""
    try:
        return run_name(BidsFile.parse(path), unnamed="")
    except ValueError:
        return ""


def _of_table(path: Path, text_column: str | None, onset_column: str, run_column: str | None) -> pd.DataFrame:
    table = read_table(
        path, [onset_column, *([run_column] if run_column else []), *([text_column] if text_column else [])]
    )
    column = _text_column(path, table) if text_column is None else text_column
    empty = table[column].str.strip().isin(NO_VALUE).to_numpy()
    if empty.any():
        warn(
            "rows-without-word",
            "files",
            f"{path.name}: {int(empty.sum())} of {len(table)} rows have no word in the column {column!r} (first in "
            f"line {int(np.flatnonzero(empty)[0]) + 2}); they are left out.",
        )
    table = table[~empty].reset_index(drop=True)
    times = {"onset": finite_column(path, table[onset_column])}
    if "offset" in table:
        times["offset"] = finite_column(path, table["offset"])
    elif "duration" in table and not table["duration"].str.strip().isin(NO_VALUE).any():
        times["offset"] = times["onset"] + finite_column(path, table["duration"])
    runs = {"group": table[run_column]} if run_column else {}
    taken = {column, onset_column, "duration", "text", "sample", *times, *runs, *([run_column] if run_column else [])}
    others = {str(name): values for name, values in table.items() if name not in taken}
    return pd.DataFrame({"text": table[column], **times, **runs, **others})


def _text_column(path: Path, table: pd.DataFrame) -> str:
    there = [name for name in TEXT_COLUMNS if name in table]
    if len(there) != 1:
        raise ValueError(
            f"text_column: {path} has the columns {list(table.columns)}; say which one holds the words, such as "
            f"text_column={str(table.columns[-1])!r}."
        )
    return there[0]


def _of_textgrid(path: Path, tier: str, silences: Sequence[str]) -> pd.DataFrame:
    intervals = read_intervals(path, tier)
    silent = intervals["text"].isin(list(silences)).to_numpy()
    logger.info("%s: %d words, %d intervals of silence", path.name, int((~silent).sum()), int(silent.sum()))
    if silent.all():
        raise CorruptData(path, f"no word in the tier {tier!r}", "at least one")
    return intervals.loc[~silent, ["text", "onset", "offset"]].reset_index(drop=True)


def _refuse_backwards(words: pd.DataFrame, files: Mapping[str, Path]) -> None:
    runs = words["group"] if "group" in words else pd.Series("", index=words.index)
    for run, onsets in words.groupby(runs, sort=False)["onset"]:
        back = np.flatnonzero(np.diff(onsets.to_numpy()) < 0)
        if len(back):
            row = onsets.index[back[0] + 1]
            where = "" if len(files) > 1 else f"{next(iter(files.values()))}: "
            raise ValueError(
                f"files: {where}{f'run {run}: ' if run else ''}the onset of {words['text'][row]!r} is "
                f"{words['onset'][row]:g} s, before that of the word above it; expected words in order of time. If the "
                "table holds several runs, name them with run_column."
            )


def _labels(words: pd.DataFrame) -> pd.Index:
    if "group" not in words:
        return pd.RangeIndex(len(words), name="sample")
    number = words.groupby("group", sort=False).cumcount()
    return pd.Index(words["group"].astype(str) + "/" + number.astype(str), name="sample", dtype=object)
