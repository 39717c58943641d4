"""JSTS 1.3: how alike people find pairs of Japanese captions (Kurihara, Kawahara and Shibata 2022)."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from neuroling.core.lines import split_lines
from neuroling.core.stimuli import Stimuli
from neuroling.data.errors import CorruptData, require_file
from neuroling.data.fetch import locate
from neuroling.data.synthetic import is_synthetic, mark_synthetic
from neuroling.data.tables import read_text

NAME = "jsts_ja"
FILES = {"train": "train-v1.3.json", "valid": "valid-v1.3.json"}
FIELDS = ("sentence_pair_id", "sentence1", "sentence2", "label")
HIGHEST = 5.0
"""Rating of sentences that mean the same; 0 is that of sentences that share nothing."""


@dataclass(frozen=True)
class SentencePairs:
    """Pairs of sentences and how alike people find them.

    Attributes
    ----------
    first, second : Stimuli
        The two sides, both labelled by the number of the pair.
    similarity : xarray.DataArray, dims (sample,)
        Mean rating, 0 to 5.
    """

    first: Stimuli
    second: Stimuli
    similarity: xr.DataArray


def load(folder: Path | str | None = None, split: Literal["train", "valid"] = "valid") -> SentencePairs:
    """Load pairs of captions with their ratings.

    Parameters
    ----------
    folder : path, optional
        Folder laid out as the card says; by default found by :func:`neuroling.data.fetch.locate`.
    split : {"train", "valid"}
        12,451 or 1,457 pairs.

    Returns
    -------
    SentencePairs
        ``similarity.attrs["synthetic"]`` is 1 for the twin.

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent, or a line of it is not what it should be; the message names it.
    """
    if split not in FILES:
        raise ValueError(f"split: got {split!r}; expected 'train' or 'valid'.")
    folder = locate(NAME, [FILES[split]]) if folder is None else Path(folder)
    path = require_file(folder / FILES[split], f"the {split} pairs of JSTS")
    pairs = [_parsed(path, number, line) for number, line in enumerate(split_lines(read_text(path)), start=1)]
    if not pairs:
        raise CorruptData(path, "no line", "one pair a line")
    labels = [pair[0] for pair in pairs]
    if len(set(labels)) != len(labels):
        raise CorruptData(path, f"{len(labels) - len(set(labels))} numbers of pairs more than once", "each once")
    ratings = xr.DataArray(
        np.array([pair[3] for pair in pairs]),
        dims="sample",
        coords={"sample": labels},
        attrs={"dataset": NAME, "split": split, "units": "rating 0 to 5", "synthetic": int(is_synthetic(folder))},
        name="similarity",
    )
    first = Stimuli.from_texts([pair[1] for pair in pairs], labels=labels)
    second = Stimuli.from_texts([pair[2] for pair in pairs], labels=labels)
    return SentencePairs(first, second, ratings)


def _parsed(path: Path, number: int, line: str) -> tuple[str, str, str, float]:
    try:
        entry = json.loads(line)
        identity, first, second, rating = (entry[field] for field in FIELDS)
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise CorruptData(path, f"line {number}: {error}", f"a JSON object with {', '.join(FIELDS)}") from error
    texts_are_whole = isinstance(first, str) and isinstance(second, str) and first.strip() and second.strip()
    if not texts_are_whole or not isinstance(rating, int | float) or not 0 <= rating <= HIGHEST:
        raise CorruptData(path, f"line {number} with rating {rating!r}", "two sentences and a rating from 0 to 5")
    return str(identity), first, second, float(rating)


# --- the synthetic twin ----------------------------------------------------------------------------------------------

WHO = ("男性", "女性", "子ども", "犬", "猫", "馬")
WHERE = ("海辺", "台所", "公園", "駅", "山", "教室")
WHAT = ("座っています", "走っています", "眠っています", "食べています", "立っています")
WEIGHTS = (1.5, 2.0, 1.5)
"""What sharing who, where and what adds to a rating; together 5."""


def write_twin(folder: Path | str, rng: int | np.random.Generator = 0, *, n_pairs: int = 60) -> None:
    """Write made-up pairs of captions in the layout of the real files.

    A caption says who does what where; a rating is the weighted share of the three that both captions have in common,
    with noise of 0.3.

    Parameters
    ----------
    folder : path
        Made if absent; marked as synthetic by a file that holds the weights.
    rng : int or numpy.random.Generator
        Source of all randomness.
    n_pairs : int
        Pairs of either split, at least 2.
    """
    if n_pairs < 2:
        raise ValueError(f"n_pairs: got {n_pairs}; expected at least 2.")
    generator = np.random.default_rng(rng)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name in FILES.values():
        lines = [json.dumps(_draw(number, generator), ensure_ascii=False) for number in range(n_pairs)]
        (Path(folder) / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    mark_synthetic(Path(folder), {"weights": WEIGHTS})


def twin(n_pairs: int = 60, rng: int | np.random.Generator = 0) -> SentencePairs:
    """Make synthetic pairs, through files and the loader of the real ones.

    Parameters
    ----------
    n_pairs : int
        How many.
    rng : int or numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    SentencePairs
    """
    with tempfile.TemporaryDirectory() as folder:
        write_twin(folder, rng, n_pairs=n_pairs)
        return load(folder)


def _draw(number: int, rng: np.random.Generator) -> dict[str, object]:
    first = [rng.choice(options) for options in (WHO, WHERE, WHAT)]
    kept = rng.random(3) < 0.5
    second = [
        old if keep else rng.choice(options) for old, keep, options in zip(first, kept, (WHO, WHERE, WHAT), strict=True)
    ]
    shared = sum(weight for a, b, weight in zip(first, second, WEIGHTS, strict=True) if a == b)
    rating = float(np.clip(shared + rng.normal(0, 0.3), 0, HIGHEST))
    sentences = {
        f"sentence{side}": f"{where}で{who}が{what}。" for side, (who, where, what) in ((1, first), (2, second))
    }
    return {"sentence_pair_id": str(number), "yjcaptions_id": "twin", **sentences, "label": round(rating, 3)}
