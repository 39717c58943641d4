"""Ogura Hyakunin Isshu: one hundred poems by one hundred poets, upper and lower verse in kana."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroling.core.stimuli import Stimuli
from neuroling.data.errors import CorruptData
from neuroling.data.fetch import locate
from neuroling.data.synthetic import is_synthetic, mark_synthetic
from neuroling.data.tables import read_table

NAME = "hyakunin_isshu"
FILE = "poems.tsv"
COLUMNS = ("no", "poet", "upper", "lower", "upper_kana", "lower_kana")
KANA = re.compile(r"[ぁ-ゖ]+")
"""One or more hiragana; the real file uses historical spelling."""


@dataclass(frozen=True)
class Poems:
    """Upper and lower verses.

    Attributes
    ----------
    upper, lower : Stimuli
        In kana, both labelled by the number of the poem; ``poet`` and ``written`` (with Chinese characters) are columns
        of their tables.
    synthetic : bool
        Whether they are made up.
    """

    upper: Stimuli
    lower: Stimuli
    synthetic: bool


def load(folder: Path | str | None = None) -> Poems:
    """Load the poems.

    Parameters
    ----------
    folder : path, optional
        Folder laid out as the card says; by default found by :func:`neuroling.data.fetch.locate`. The table cannot be
        downloaded: the card says where the poems are transcribed.

    Returns
    -------
    Poems

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent, a number comes twice, or a verse is empty or holds anything but hiragana.
    """
    folder = locate(NAME, [FILE]) if folder is None else Path(folder)
    path = folder / FILE
    table = read_table(path, COLUMNS)
    if not len(table) or not table["no"].is_unique:
        raise CorruptData(path, f"{len(table)} poems, {table['no'].duplicated().sum()} numbers twice", "each poem once")
    for column in ("upper_kana", "lower_kana"):
        bad = [number for number, verse in zip(table["no"], table[column], strict=True) if not KANA.fullmatch(verse)]
        if bad:
            raise CorruptData(path, f"{column} of poem {bad[0]} (one of {len(bad)})", "hiragana and nothing else")
    upper, lower = (
        Stimuli.from_texts(
            table[f"{side}_kana"].tolist(),
            labels=table["no"].tolist(),
            poet=table["poet"].tolist(),
            written=table[side].tolist(),
        )
        for side in ("upper", "lower")
    )
    return Poems(upper, lower, is_synthetic(folder))


# --- the synthetic twin ----------------------------------------------------------------------------------------------

SYLLABLES = "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわを"
UPPER, LOWER = (17, 20), (14, 17)
"""Lengths in kana, the second number excluded; those of the real poems."""


def write_twin(folder: Path | str, rng: int | np.random.Generator = 0, *, n_poems: int = 100) -> None:
    """Write made-up poems in the layout of the real file: random kana, no two verses alike.

    The planted truth is that an upper verse says nothing of its lower verse, save by heart.

    Parameters
    ----------
    folder : path
        Made if absent; marked as synthetic.
    rng : int or numpy.random.Generator
        Source of all randomness.
    n_poems : int
        At least 1.
    """
    if n_poems < 1:
        raise ValueError(f"n_poems: got {n_poems}; expected at least 1.")
    generator = np.random.default_rng(rng)
    Path(folder).mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(COLUMNS)]
    for number in range(1, n_poems + 1):
        upper, lower = (
            "".join(generator.choice(list(SYLLABLES), generator.integers(*span))) for span in (UPPER, LOWER)
        )
        lines.append("\t".join([str(number), f"twin {number}", upper, lower, upper, lower]))
    (Path(folder) / FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    mark_synthetic(Path(folder), {"upper_tells_lower": False})


def twin(n_poems: int = 100, rng: int | np.random.Generator = 0) -> Poems:
    """Make synthetic poems, through the file and the loader of the real ones.

    Parameters
    ----------
    n_poems : int
        How many.
    rng : int or numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    Poems
    """
    with tempfile.TemporaryDirectory() as folder:
        write_twin(folder, rng, n_poems=n_poems)
        return load(folder)
