"""Praat TextGrids: which word was heard when."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from neuroling.data.errors import CorruptData
from neuroling.data.tables import read_text

INTERVAL = re.compile(
    r"intervals \[\d+\]:\s*xmin = (?P<onset>\S+)\s*xmax = (?P<offset>\S+)\s*text = \"(?P<text>(?:[^\"]|\"\")*)\""
)
TIER = re.compile(r"item \[\d+\]:\s*class = \"IntervalTier\"\s*name = \"(?P<name>[^\"]*)\"")
SIZE = re.compile(r"intervals: size = (\d+)")


def read_intervals(path: Path, tier: str) -> pd.DataFrame:
    """Read one interval tier of a TextGrid in Praat's long text format.

    Parameters
    ----------
    path : pathlib.Path
        UTF-8 file.
    tier : str
        Name of the tier.

    Returns
    -------
    pandas.DataFrame
        One row an interval, in order of time: ``onset`` and ``offset`` in seconds, ``text`` (silences included).

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent, is no TextGrid, lacks the tier, ends early, or its times do not count up.
    """
    text = read_text(path)
    if not text.startswith('File type = "ooTextFile"'):
        raise CorruptData(path, f"it begins with {text[:24]!r}", "a TextGrid in Praat's long text format")
    body = _tier(path, text, tier)
    found = [match.groupdict() for match in INTERVAL.finditer(body)]
    stated = SIZE.search(body)
    if stated is None or int(stated[1]) != len(found):
        raise CorruptData(
            path, f"{len(found)} intervals in tier {tier!r}", f"{stated[1] if stated else 'a stated number of'} of them"
        )
    intervals = pd.DataFrame(found, columns=["onset", "offset", "text"])
    return intervals.assign(text=intervals["text"].str.replace('""', '"').str.strip(), **_times(path, intervals))


def write_intervals(path: Path, tier: str, intervals: pd.DataFrame) -> None:
    """Write one interval tier as a TextGrid in Praat's long text format.

    Parameters
    ----------
    path : pathlib.Path
        File to be written.
    tier : str
        Name of the tier.
    intervals : pandas.DataFrame
        Columns ``onset`` and ``offset`` in seconds, ``text``; each interval begins where the last one ended.
    """
    first, last = float(intervals["onset"].iloc[0]), float(intervals["offset"].iloc[-1])
    lines = [
        f'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = {first}\nxmax = {last}\ntiers? <exists>',
        f'size = 1\nitem []:\n    item [1]:\n        class = "IntervalTier"\n        name = "{tier}"',
        f"        xmin = {first}\n        xmax = {last}\n        intervals: size = {len(intervals)}",
    ]
    for number, (onset, offset, text) in enumerate(intervals[["onset", "offset", "text"]].to_numpy(), start=1):
        lines.append(f"        intervals [{number}]:\n            xmin = {onset}\n            xmax = {offset}")
        lines.append(f'            text = "{text}"')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _tier(path: Path, text: str, name: str) -> str:
    """Cut one tier out of a TextGrid."""
    tiers = list(TIER.finditer(text))
    names = [match["name"] for match in tiers]
    if name not in names:
        raise CorruptData(path, f"interval tiers {names}", f"one called {name!r}")
    place = names.index(name)
    return text[tiers[place].end() : tiers[place + 1].start() if place + 1 < len(tiers) else None]


def _times(path: Path, intervals: pd.DataFrame) -> dict[str, pd.Series]:
    times = {name: pd.to_numeric(intervals[name], errors="coerce") for name in ("onset", "offset")}
    onset, offset = times["onset"].to_numpy(), times["offset"].to_numpy()
    bad = np.flatnonzero(~(offset > onset) | np.append(onset[1:] < offset[:-1], False))
    if len(bad):
        row = int(bad[0])
        raise CorruptData(
            path,
            f"interval {row + 1} runs from {intervals['onset'][row]} to {intervals['offset'][row]}",
            "times in order",
        )
    return times
