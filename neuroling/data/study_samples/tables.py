"""Samples of tables with a row per trial: single-trial amplitudes, and reading times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from neuroling.data.study_samples.texts import NOUNS, sentence
from neuroling.data.synthetic import mark_synthetic

EFFECT_MICROVOLT = -2.0
"""Amplitude of rare nouns less that of frequent ones."""

EFFECT_MS = 8.0
"""Reading time that each letter adds."""


def write_trials(folder: Path, *, n_participants: int = 12, n_items: int = 40, seed: int = 0) -> None:
    """Write amplitudes of the N400 at nouns that end sentences, and the text that surprisal is learned from.

    Five nouns are rare in the text, and their amplitudes are more negative.

    Parameters
    ----------
    folder : pathlib.Path
        Gets ``trials.csv`` and ``corpus.txt``.
    n_participants, n_items : int
        Participants; sentences, each seen by all of them.
    seed : int
        Seed of everything.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    items = [sentence(rng) for _ in range(n_items)]
    _write_corpus(folder, rng)
    participant, item = np.divmod(np.arange(n_participants * n_items), n_items)
    rare = np.array([items[number][-1] in NOUNS[5:] for number in item])
    noise = 2 * rng.standard_normal(n_participants)[participant] + 1.5 * rng.standard_normal(n_items)[item]
    amplitude = EFFECT_MICROVOLT * rare + noise + 5 * rng.standard_normal(len(item))
    table = pd.DataFrame(
        {
            "participant": [f"p{number:02d}" for number in participant],
            "item": [f"s{number:02d}" for number in item],
            "context": [" ".join(items[number][:-1]) for number in item],
            "word": [items[number][-1] for number in item],
            "n400": amplitude.round(3),
        }
    )
    table.to_csv(folder / "trials.csv", index=False)
    mark_synthetic(folder, {"kind": "single-trial-erp", "effect_microvolt": EFFECT_MICROVOLT, "seed": seed})


def write_reading(folder: Path, *, n_participants: int = 10, n_items: int = 15, seed: int = 0) -> None:
    """Write self-paced reading times of sentences, and the text that surprisal is learned from.

    Every letter costs 8 ms, and so does rareness of the five rare nouns at the next word.

    Parameters
    ----------
    folder : pathlib.Path
        Gets ``reading.csv`` and ``corpus.txt``.
    n_participants, n_items : int
        Readers; sentences.
    seed : int
        Seed of everything.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    _write_corpus(folder, rng)
    rows = []
    sentences = [sentence(rng) for _ in range(n_items)]
    for reader in range(n_participants):
        pace = 300 + 30 * rng.standard_normal()
        for number, words in enumerate(sentences):
            for place, word in enumerate(words):
                before = words[place - 1] if place else ""
                slow = EFFECT_MS * len(word) + 40 * (word in NOUNS[5:]) + 20 * (before in NOUNS[5:])
                time = pace + slow + 40 * rng.standard_normal()
                rows.append((f"p{reader:02d}", f"s{number:02d}", place + 1, word, round(time, 1)))
    table = pd.DataFrame(rows, columns=["participant", "item", "position", "word", "rt_ms"])
    table.to_csv(folder / "reading.csv", index=False)
    mark_synthetic(folder, {"kind": "reading-times", "ms_per_letter": EFFECT_MS, "seed": seed})


def write_people(folder: Path, *, n_participants: int = 16, seed: int = 0) -> None:
    """Write mean amplitudes of the N400 at new and repeated words: repeated ones are less negative by 2 µV.

    Parameters
    ----------
    folder : pathlib.Path
        Gets ``people.csv``.
    n_participants : int
        Participants.
    seed : int
        Seed of everything.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    level = rng.normal(-3, 1, n_participants)
    rows = [
        (f"p{number:02d}", condition, round(level[number] + shift + 0.7 * rng.standard_normal(), 3))
        for number in range(n_participants)
        for condition, shift in (("new", EFFECT_MICROVOLT), ("repeated", 0.0))
    ]
    pd.DataFrame(rows, columns=["participant", "condition", "n400"]).to_csv(folder / "people.csv", index=False)
    mark_synthetic(folder, {"kind": "n400-simulation", "effect_microvolt": EFFECT_MICROVOLT, "seed": seed})


def _write_corpus(folder: Path, rng: np.random.Generator) -> None:
    """Write sentences in which the last five nouns are seldom."""
    lines = [words for words in (sentence(rng) for _ in range(600)) if not set(words) & set(NOUNS[5:])]
    lines += [sentence(rng) for _ in range(20)]
    (folder / "corpus.txt").write_text("\n".join(" ".join(words) for words in lines) + "\n", encoding="utf-8")
