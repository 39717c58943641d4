"""van Vliet et al. 2018: the N400 at the second of two nouns, all pairs of seven animals and seven furnishings."""

from __future__ import annotations

import tempfile
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.stimuli import Stimuli
from neuroling.data.errors import CorruptData
from neuroling.data.fetch import locate
from neuroling.data.synthetic import is_synthetic, mark_synthetic
from neuroling.data.tables import read_table

NAME = "vanvliet2018_n400_distances"
TRIALS = "data.csv"
CATEGORIES = {
    "animal": ("elephant", "giraffe", "hippopotamus", "lion", "rhinoceros", "tiger", "zebra"),
    "furniture": ("bed", "chair", "closet", "couch", "desk", "door", "table"),
}
NOUNS = {noun: category for category, nouns in CATEGORIES.items() for noun in nouns}


def load(folder: Path | str | None = None, *, ordered: bool = True) -> tuple[Stimuli, xr.DataArray]:
    """Load the N400 of every participant for every pair.

    Parameters
    ----------
    folder : path, optional
        Folder with ``data.csv``; by default found by :func:`neuroling.data.fetch.locate`.
    ordered : bool
        Give 182 ordered pairs (cue, target); else 91 pairs, both orders averaged.

    Returns
    -------
    stimuli : Stimuli
        One pair a row, ``cue`` and ``target`` in English, and ``condition``: ``within`` or ``between`` categories.
        Unordered pairs have ``first`` and ``second`` instead.
    recording : xarray.DataArray, dims (sample, subject), float64
        N400 at the target, z-scored within participant; larger is a larger N400, so more distant. The coordinate
        ``language`` says what a participant read (NL or FR).

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent, or a pair is missing or unknown.
    """
    folder = locate(NAME, [TRIALS]) if folder is None else Path(folder)
    path = folder / TRIALS
    columns = ["cue-english", "association-english", "subject", "language", "N400"]
    trials = read_table(path, columns, numbers=["N400"])
    unknown = sorted((set(trials["cue-english"]) | set(trials["association-english"])) - set(NOUNS))
    if unknown:
        raise CorruptData(path, f"nouns {unknown[:5]}", f"{', '.join(NOUNS)}")
    wide = _wide(path, trials)  # (pair, subject)
    if not ordered:
        wide = _unordered(wide)
    names = ("cue", "target") if ordered else ("first", "second")
    table = pd.DataFrame(list(wide.index), columns=list(names))
    one, other = table[names[0]].map(NOUNS), table[names[1]].map(NOUNS)
    table = table.assign(
        text=table[names[0]] + " " + table[names[1]], condition=np.where(one == other, "within", "between")
    )
    table.index = pd.Index(table[names[0]] + (" → " if ordered else " ~ ") + table[names[1]], name="sample")
    stimuli = Stimuli(table)
    language = trials.groupby("subject")["language"].first()
    recording = xr.DataArray(
        wide.to_numpy(),
        dims=("sample", "subject"),
        coords={
            **stimuli.coords("condition", *names),
            "subject": list(wide.columns),
            "language": ("subject", language.loc[list(wide.columns)].to_numpy().astype(str)),
        },
        attrs={"dataset": NAME, "units": "z", "synthetic": int(is_synthetic(folder))},
        name="N400",
    )
    return stimuli, recording


def _wide(path: Path, trials: pd.DataFrame) -> pd.DataFrame:
    """Lay pairs out against participants; every pair once for every one."""
    pairs = list(permutations(NOUNS, 2))
    keys = ["cue-english", "association-english", "subject"]
    if trials.duplicated(keys).any():
        twice = trials[trials.duplicated(keys)].iloc[0]
        raise CorruptData(path, f"{twice['subject']} has {twice[keys[0]]} → {twice[keys[1]]} twice", "every pair once")
    wide = trials.pivot_table(index=keys[:2], columns="subject", values="N400", aggfunc="first")
    missing = [pair for pair in pairs if pair not in wide.index]
    gaps = int(wide.isna().sum().sum())
    if missing or gaps:
        raise CorruptData(path, f"{len(missing)} pairs missing for all and {gaps} for some", "every pair for everyone")
    return wide.loc[pairs]


def _unordered(wide: pd.DataFrame) -> pd.DataFrame:
    nouns = list(NOUNS)
    turned = [tuple(sorted(pair, key=nouns.index)) for pair in wide.index]
    index = pd.MultiIndex.from_tuples(turned)
    return wide.set_axis(index).groupby(level=[0, 1], sort=False).mean()


# --- the synthetic twin ----------------------------------------------------------------------------------------------

EFFECT_Z = 0.25
"""Standard deviations between and within categories that the twin plants; people's is about 0.23."""


def write_twin(folder: Path | str, rng: int | np.random.Generator = 0, *, n_participants: int = 6) -> None:
    """Write synthetic amplitudes in the layout of the real file.

    Parameters
    ----------
    folder : path
        Made if absent; marked as synthetic.
    rng : int or numpy.random.Generator
        Source of all randomness.
    n_participants : int
        At least 2; one in three reads French.
    """
    if n_participants < 2:
        raise ValueError(f"n_participants: got {n_participants}; expected at least 2.")
    generator = np.random.default_rng(rng)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for person in range(n_participants):
        for cue, target in permutations(NOUNS, 2):
            between = NOUNS[cue] != NOUNS[target]
            language = "FR" if person % 3 == 2 else "NL"
            value = EFFECT_Z * (between - 0.5) + generator.normal()
            rows.append((cue, target, f"subject{person + 1:02d}", f"{cue}-{language}", target, language, 1, value))
    columns = ["cue-english", "association-english", "subject", "cue", "association", "language", "button", "N400"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / TRIALS, index=False)
    mark_synthetic(folder, {"effect_z": EFFECT_Z})


def twin(
    rng: int | np.random.Generator = 0, *, n_participants: int = 6, ordered: bool = True
) -> tuple[Stimuli, xr.DataArray]:
    """Make synthetic amplitudes, through a file and the loader of the real one.

    Parameters
    ----------
    rng : int or numpy.random.Generator
        Source of all randomness.
    n_participants : int
        As in :func:`write_twin`.
    ordered : bool
        As in :func:`load`.

    Returns
    -------
    tuple of (Stimuli, xarray.DataArray)
        As :func:`load` gives them; ``attrs["synthetic"]`` is 1.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_twin(folder, rng, n_participants=n_participants)
        return load(folder, ordered=ordered)
