"""Praat TextGrids: which word was heard when.

Praat reads a text file as a row of texts in quotation marks, flags in angle brackets and numbers that stand free; what
else is in it (``xmin =``, ``intervals [3]:``) explains them to people. Read in this way, the long and the short format,
and the spellings of other programs, are one format.
"""

from __future__ import annotations

import re
import unicodedata
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from neuroling.core.characters import refuse_controls, refuse_other_types
from neuroling.data.errors import CorruptData, require_file

TOKEN = re.compile(
    r'"(?P<text>(?:[^"]|"")*)"'
    r"|<(?P<flag>[^<>\s]*)>"
    r"|=\s*(?P<value>[^\s\"<=!]+)"  # a number, or what stands in its place
    r"|(?<!\S)(?P<number>[-+]?\.?\d[^\s\"]*)(?!\S)"
    r"|(?<!\S)![^\r\n]*"  # a comment
    r"|(?P<open>\")"
)

BEGINNINGS = ("file type", '"ootextfile"', "object class", '"textgrid"', "xmin", "<exists>")
"""How a TextGrid may begin, with or without the header that says so."""

CHRONOLOGICAL = '"Praat chronological TextGrid text file"'
"""How a TextGrid begins whose entries are in the order of time, each with the number of its tier."""

OVERLAP = 1e-5
"""Seconds by which an interval may begin before the last one ends: half a sample of speech at 44.1 kHz. Programs that
compute times in single precision leave overlaps of about 1e-7."""


class _Token(NamedTuple):
    kind: str
    value: str


@dataclass
class _Tier:
    """A tier as it stands in a file: its class, name, and entries of (begin, end, text) or (time, text)."""

    kind: str
    name: str
    entries: list[tuple[str, ...]] = field(default_factory=list)


def read_intervals(path: Path | str, tier: str | int, *, occurrence: int | None = None) -> pd.DataFrame:
    """Read one interval tier of a TextGrid in Praat's long, short or chronological text format.

    Parameters
    ----------
    path : path
        UTF-8, or UTF-16 as Praat writes it. The header may be missing.
    tier : str or int
        Name of the tier, its accents composed or not; or its number among all tiers, from 0. Only this tier is
        checked: intervals of others may overlap.
    occurrence : int, optional
        Which one, where several interval tiers have this name: 1 for the first. Without it that is an error.

    Returns
    -------
    pandas.DataFrame
        One row an interval, in order of time: ``onset`` and ``offset`` in seconds, ``text`` (silences included).
        Intervals may overlap by up to 10 microseconds, which stand in the table as they stand in the file.

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent, is no TextGrid, lacks the tier, ends early, or its times do not count up.
    ValueError
        If several tiers have the name and none was chosen.
    """
    path = require_file(path, "a TextGrid")
    text = _decoded(path, path.read_bytes())
    if not text.lower().lstrip().startswith((*BEGINNINGS, CHRONOLOGICAL.lower())) and not re.match(
        r"\s*[-+]?\.?\d", text
    ):
        raise CorruptData(path, f"it begins with {text[:24]!r}", "a TextGrid in one of Praat's text formats")
    tiers = _chronological_tiers(path, text) if text.lstrip().startswith(CHRONOLOGICAL) else _tiers(path, text)
    named = _numbered(path, tiers, tier) if isinstance(tier, int) else _named(path, tiers, tier, occurrence)
    intervals = pd.DataFrame(named.entries, columns=["onset", "offset", "text"], dtype=object)
    return intervals.assign(text=intervals["text"].str.strip(), **_times(path, intervals))


def write_intervals(path: Path | str, tier: str, intervals: pd.DataFrame) -> None:
    """Write one interval tier as a TextGrid in Praat's long text format.

    Parameters
    ----------
    path : path
        File to be written.
    tier : str
        Name of the tier.
    intervals : pandas.DataFrame
        Columns ``onset`` and ``offset`` in seconds, ``text``, in order of time; no interval begins before the last one
        ended.

    Raises
    ------
    TypeError
        If a text is no ``str``.
    ValueError
        If there is no interval, a column is missing, a text holds control characters, or the times are none that
        :func:`read_intervals` reads.
    """
    if not len(intervals):
        raise ValueError("intervals: got none; expected at least one.")
    missing = [name for name in ("onset", "offset", "text") if name not in intervals]
    if missing:
        raise ValueError(
            f"intervals: no column {', '.join(missing)} (columns: {', '.join(map(str, intervals.columns))}); expected "
            "onset and offset in seconds, and text."
        )
    refuse_other_types("text", intervals["text"].tolist())
    refuse_controls("text", intervals["text"].tolist())
    row, _ = _out_of_order(intervals)
    if row is not None:
        raise ValueError(
            f"intervals: row {row} (from 0) runs from {intervals['onset'].iloc[row]} to "
            f"{intervals['offset'].iloc[row]}; expected seconds in order of time, each interval ending after it began "
            "and before the next begins. Sort the table by onset, and part intervals that overlap."
        )
    first, last = float(intervals["onset"].iloc[0]), float(intervals["offset"].iloc[-1])
    lines = [
        f'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = {first}\nxmax = {last}\ntiers? <exists>',
        f'size = 1\nitem []:\n    item [1]:\n        class = "IntervalTier"\n        name = {_quoted(tier)}',
        f"        xmin = {first}\n        xmax = {last}\n        intervals: size = {len(intervals)}",
    ]
    for number, (onset, offset, text) in enumerate(intervals[["onset", "offset", "text"]].to_numpy(), start=1):
        lines.append(f"        intervals [{number}]:\n            xmin = {onset}\n            xmax = {offset}")
        lines.append(f"            text = {_quoted(text)}")
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _decoded(path: Path, content: bytes) -> str:
    encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8"
    if encoding == "utf-8" and content[:2].count(0) == 1:  # a letter and a zero, without a mark in front
        encoding = "utf-16-le" if content[1] == 0 else "utf-16-be"
    try:
        text = content.removeprefix(BOM_UTF8).decode(encoding)
    except UnicodeDecodeError as error:
        raise CorruptData(path, f"byte {error.start} is no {encoding.upper()}", "UTF-8 or UTF-16") from error
    if "\0" in text:
        raise CorruptData(path, f"a NUL character at position {text.index(chr(0))}", "a TextGrid in a text format")
    return text


def _tokens(path: Path, text: str) -> Iterator[_Token]:
    """Give what counts in a text file of Praat, in order."""
    for match in TOKEN.finditer(text):
        if match.lastgroup == "open":
            line = text.count("\n", 0, match.start()) + 1
            raise CorruptData(path, f"a text that begins in line {line} has no closing quotation mark", "one")
        if match.lastgroup == "text":
            yield _Token("text", match["text"].replace('""', '"'))
        elif match.lastgroup in ("value", "number"):
            yield _Token("number", match[match.lastgroup])


def _tiers(path: Path, text: str) -> list[_Tier]:
    """Read all tiers."""
    tokens = list(_tokens(path, text))
    kinds = "".join("t" if token.kind == "text" else "n" for token in tokens)
    header = re.match(r"t{0,2}nn(n)", kinds)  # what it is, first and last second, number of tiers
    for token in tokens[: len(kinds) - len(kinds.lstrip("t"))]:
        if token.value.split()[:1] not in (["ooTextFile"], ["TextGrid"]):
            raise CorruptData(path, f"it says that it is a {token.value!r}", "an ooTextFile with a TextGrid")
    if header is None:
        raise CorruptData(path, "no times and number of tiers at its beginning", "a TextGrid")
    n_tiers = _count(path, tokens[header.start(1)].value, "tiers")
    offset = header.end()
    tiers: list[_Tier] = []
    while len(tiers) < n_tiers or offset < len(tokens):
        if not re.compile("ttnnn").match(kinds, offset):
            raise CorruptData(path, f"{len(tiers)} tiers, then {len(tokens) - offset} entries", f"{n_tiers} tiers")
        kind, name, _, _, stated = (token.value for token in tokens[offset : offset + 5])
        if kind not in ("IntervalTier", "TextTier"):
            raise CorruptData(path, f"a tier of the class {kind!r}", "IntervalTier or TextTier")
        shape = "nnt" if kind == "IntervalTier" else "nt"
        tier, size = _Tier(kind, name), _count(path, stated, f"entries in tier {name!r}")
        offset += 5
        for _ in range(size):
            if kinds[offset : offset + len(shape)] != shape:
                what = "intervals" if kind == "IntervalTier" else "points"
                raise CorruptData(path, f"{len(tier.entries)} {what} in tier {name!r}", f"{size} of them")
            tier.entries.append(tuple(token.value for token in tokens[offset : offset + len(shape)]))
            offset += len(shape)
        tiers.append(tier)
    return tiers


def _chronological_tiers(path: Path, text: str) -> list[_Tier]:
    """Read all tiers of a file whose entries are in the order of time.

    After its title come the first and last second and the number of tiers; of each tier the class, name, first and last
    second; then entries: the number of a tier from 1, its times (two for an interval, one for a point), and a text.
    """
    tokens = list(_tokens(path, text))[1:]
    kinds = "".join("t" if token.kind == "text" else "n" for token in tokens)
    if not kinds.startswith("nnn"):
        raise CorruptData(path, "no times and number of tiers at its beginning", "a chronological TextGrid")
    n_tiers = _count(path, tokens[2].value, "tiers")
    if kinds[3 : 3 + 4 * n_tiers] != "ttnn" * n_tiers:
        raise CorruptData(path, f"it lacks classes, names and times of {n_tiers} tiers", "a chronological TextGrid")
    heads = [tokens[3 + 4 * number : 5 + 4 * number] for number in range(n_tiers)]
    tiers = [_Tier(kind.value, name.value) for kind, name in heads]
    offset = 3 + 4 * n_tiers
    while offset < len(tokens):
        number = _count(path, tokens[offset].value, "a tier")
        if not 1 <= number <= n_tiers:
            raise CorruptData(path, f"an entry of tier {number}", f"tiers from 1 to {n_tiers}")
        tier = tiers[number - 1]
        shape = "nnnt" if tier.kind == "IntervalTier" else "nnt"
        if kinds[offset : offset + len(shape)] != shape:
            raise CorruptData(
                path, f"entry {len(tier.entries) + 1} of tier {tier.name!r} is not complete", "a whole one"
            )
        tier.entries.append(tuple(token.value for token in tokens[offset + 1 : offset + len(shape)]))
        offset += len(shape)
    return tiers


def write_tiers(path: Path, tiers: Mapping[str, pd.DataFrame], *, chronological: bool = False) -> None:
    """Write interval tiers as a TextGrid as they are, overlapping intervals included: for synthetic data.

    Parameters
    ----------
    path : pathlib.Path
        File to be written.
    tiers : mapping of str to pandas.DataFrame
        Columns ``onset`` and ``offset`` in seconds, and ``text``, by name of the tier.
    chronological : bool
        Whether to use Praat's chronological format rather than its short one.
    """
    first = min(float(tier["onset"].min()) for tier in tiers.values())
    last = max(float(tier["offset"].max()) for tier in tiers.values())
    rows = {name: list(zip(tier["onset"], tier["offset"], tier["text"], strict=True)) for name, tier in tiers.items()}
    if chronological:
        lines = [CHRONOLOGICAL, f"{first} {last} ! Time domain.", f"{len(tiers)} ! Number of tiers."]
        lines += [f'"IntervalTier" {_quoted(name)} {first} {last}' for name in tiers]
        entries = sorted((row[0], number, *row[1:]) for number, name in enumerate(tiers, 1) for row in rows[name])
        lines += [f"{number} {onset} {offset}\n{_quoted(text)}" for onset, number, offset, text in entries]
    else:
        lines = [
            'File type = "ooTextFile"',
            'Object class = "TextGrid"',
            "",
            f"{first}\n{last}\n<exists>\n{len(tiers)}",
        ]
        for name in tiers:
            lines += ['"IntervalTier"', _quoted(name), f"{first}\n{last}\n{len(rows[name])}"]
            lines += [f"{onset}\n{offset}\n{_quoted(text)}" for onset, offset, text in rows[name]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _count(path: Path, number: str, what: str) -> int:
    if not number.isdecimal():
        raise CorruptData(path, f"{number!r} as the number of {what}", "a whole number")
    return int(number)


def _numbered(path: Path, tiers: list[_Tier], number: int) -> _Tier:
    if not 0 <= number < len(tiers) or tiers[number].kind != "IntervalTier":
        kinds = [f"{tier.name} ({tier.kind})" for tier in tiers]
        raise CorruptData(path, f"tiers {kinds}", f"an interval tier at number {number} (from 0)")
    return tiers[number]


def _named(path: Path, tiers: list[_Tier], name: str, occurrence: int | None) -> _Tier:
    """Find the interval tier of a name."""
    intervals = [tier for tier in tiers if tier.kind == "IntervalTier"]
    wanted = unicodedata.normalize("NFC", name)
    matching_tiers = [tier for tier in intervals if unicodedata.normalize("NFC", tier.name) == wanted]
    if not matching_tiers:
        raise CorruptData(path, f"interval tiers {[tier.name for tier in intervals]}", f"one called {name!r}")
    if occurrence is None and len(matching_tiers) > 1:
        raise ValueError(
            f"tier: {path} has {len(matching_tiers)} interval tiers called {name!r}; say which with occurrence=1 to "
            f"{len(matching_tiers)}."
        )
    if occurrence is not None and not 1 <= occurrence <= len(matching_tiers):
        raise ValueError(
            f"occurrence: got {occurrence}; {path} has {len(matching_tiers)} interval tiers called {name!r}."
        )
    return matching_tiers[(occurrence or 1) - 1]


def _times(path: Path, intervals: pd.DataFrame) -> dict[str, pd.Series]:
    row, times = _out_of_order(intervals)
    if row is not None:
        raise CorruptData(
            path,
            f"interval {row + 1} runs from {intervals['onset'][row]} to {intervals['offset'][row]}",
            "times in order",
        )
    return times


def _out_of_order(intervals: pd.DataFrame) -> tuple[int | None, dict[str, pd.Series]]:
    """Find the first interval that is none, or does not end before the next one begins; and give all times."""
    times = {name: pd.to_numeric(intervals[name], errors="coerce").astype(np.float64) for name in ("onset", "offset")}
    onset, offset = times["onset"].to_numpy(), times["offset"].to_numpy()
    backwards = np.zeros(len(onset), dtype=bool)
    backwards[:-1] = (onset[1:] < offset[:-1] - OVERLAP) | (onset[1:] <= onset[:-1])
    bad = np.flatnonzero(~(offset > onset) | ~np.isfinite(onset + offset) | backwards)
    return (int(bad[0]) if len(bad) else None), times
