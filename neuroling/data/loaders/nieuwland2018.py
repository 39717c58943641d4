"""Nieuwland et al. 2018: N400 amplitudes at nouns that people expect more or less, nine laboratories."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.stimuli import Stimuli
from neuroling.data.errors import CorruptData
from neuroling.data.fetch import locate
from neuroling.data.synthetic import is_synthetic, mark_synthetic
from neuroling.data.tables import read_table

NAME = "nieuwland2018_n400"
TRIALS = "n400_trials.tsv.gz"
COLUMNS = ("subj", "cloze", "lab", "item", "n400", "sentence", "article", "noun", "end", "cloze_ans", "N")
NUMBERS = ("cloze", "item", "n400")
LABS = ("birm", "bris", "edin", "glas", "kent", "lond", "oxfo", "stir", "york")
"""Short names of the laboratories, which the twin uses."""


def load(folder: Path | str | None = None) -> tuple[Stimuli, xr.DataArray]:
    """Load single-trial amplitudes.

    Parameters
    ----------
    folder : path, optional
        Folder with ``n400_trials.tsv.gz``; by default found by :func:`neuroling.data.fetch.locate`.

    Returns
    -------
    stimuli : Stimuli
        One trial a row: the sentence up to and including the noun, ``context`` (the sentence up to the article),
        ``article``, ``noun``, ``cloze`` (0 to 1), ``item``, ``participant``, ``lab``, and ``group``, which keeps the
        two endings of an item together in splits.
    recording : xarray.DataArray, dims (sample, channel), float64
        Mean voltage (microvolts) over the N400's electrodes and time at the noun; a more negative one is a larger
        N400. ``excluded`` among its attributes counts trials whose sentence the table lacks.

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent or not what it should be.
    """
    folder = locate(NAME, [TRIALS]) if folder is None else Path(folder)
    path = folder / TRIALS
    trials = read_table(path, COLUMNS, numbers=NUMBERS)
    if not trials["cloze"].between(0, 1).all():
        raise CorruptData(path, f"cloze from {trials['cloze'].min()} to {trials['cloze'].max()}", "0 to 1")
    textless = (trials["noun"].str.strip() == "") | (trials["sentence"].str.strip() == "")
    table = _labelled(path, trials[~textless])
    stimuli = Stimuli(table.drop(columns="n400"))
    recording = xr.DataArray(
        table["n400"].to_numpy()[:, None],
        dims=("sample", "channel"),
        coords={**stimuli.coords("group", "participant", "item", "cloze", "lab"), "channel": ["N400"]},
        attrs={
            "dataset": NAME,
            "units": "µV",
            "excluded": f"{int(textless.sum())} trials without text",
            "synthetic": int(is_synthetic(folder)),
        },
        name="N400 amplitude",
    )
    return stimuli, recording


def by_sentence(stimuli: Stimuli, recording: xr.DataArray) -> tuple[Stimuli, xr.DataArray]:
    """Average over the people who read the same sentence with the same noun.

    Parameters
    ----------
    stimuli, recording
        From :func:`load`.

    Returns
    -------
    stimuli : Stimuli
        One sentence and noun a row, with the number of trials.
    recording : xarray.DataArray, dims (sample, channel)
        Mean amplitude, with ``group`` and ``cloze``.
    """
    table = stimuli.table.assign(n400=np.asarray(recording)[:, 0])
    grouped = table.groupby(["item", "noun"], sort=True)
    first = grouped[["text", "context", "article", "cloze", "group"]].first()
    merged = first.assign(n400=grouped["n400"].mean(), n_trials=grouped.size()).reset_index()
    merged.index = pd.Index(merged["group"] + ": " + merged["noun"], name="sample")
    averaged = Stimuli(merged.drop(columns="n400"))
    values = merged["n400"].to_numpy()[:, None]
    coords = {**averaged.coords("group", "cloze"), "channel": ["N400"]}
    return averaged, xr.DataArray(values, dims=("sample", "channel"), coords=coords, attrs=recording.attrs)


def _labelled(path: Path, trials: pd.DataFrame) -> pd.DataFrame:
    item = trials["item"].astype(int)
    context = trials["sentence"].str.strip() + " " + trials["article"].str.strip()
    labels = trials["subj"] + ", item " + item.astype(str) + ", " + trials["noun"]
    if labels.duplicated().any():
        raise CorruptData(path, f"the trial {labels[labels.duplicated()].iloc[0]!r} twice", "one row a trial")
    table = pd.DataFrame(
        {
            "text": context + " " + trials["noun"],
            "context": context,
            "article": trials["article"],
            "noun": trials["noun"],
            "cloze": trials["cloze"],
            "item": item,
            "participant": trials["subj"],
            "lab": trials["lab"],
            "group": "item " + item.astype(str),
            "n400": trials["n400"],
        }
    )
    return table.set_index(pd.Index(labels, name="sample"))


# --- the synthetic twin ----------------------------------------------------------------------------------------------

EFFECT_UV = 2.0
"""Microvolts from cloze 0 to cloze 1 that the twin plants; people's is about as large."""

SD_UV = {"participant": 2.5, "item": 1.0, "residual": 10.0}
"""Standard deviations (microvolts) of people, items and trials that the twin plants; of the order of people's."""


def write_twin(
    folder: Path | str, rng: int | np.random.Generator = 0, *, n_participants: int = 36, n_items: int = 20
) -> None:
    """Write synthetic trials in the layout of the real file.

    Every participant reads one ending of every item; cloze has a planted effect, people and items differ. As in the
    real table, a row lacks its text.

    Parameters
    ----------
    folder : path
        Made if absent; marked as synthetic.
    rng : int or numpy.random.Generator
        Source of all randomness.
    n_participants, n_items : int
        At least 2 and 3; the last item is the one without text, for the first participant.
    """
    if n_participants < 2 or n_items < 3:
        raise ValueError(f"n_participants, n_items: got {n_participants} and {n_items}; expected at least 2 and 3.")
    generator = np.random.default_rng(rng)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    person, item = np.divmod(np.arange(n_participants * n_items), n_items)
    ending = (person + item) % 2
    cloze = np.round(np.where(ending == 0, generator.uniform(0.3, 1, n_items)[item], 0.02), 2)
    people = generator.normal(0, SD_UV["participant"], n_participants)[person]
    sentences = generator.normal(0, SD_UV["item"], n_items)[item]
    voltage = EFFECT_UV * cloze + people + sentences + generator.normal(0, SD_UV["residual"], len(item))
    table = pd.DataFrame(
        {
            "subj": [f"{LABS[p % len(LABS)]}{p // len(LABS) + 1}" for p in person],
            "cloze": cloze,
            "lab": [LABS[p % len(LABS)] for p in person],
            "item": item + 1.0,
            "n400": voltage.round(2),
            "sentence": [f"In made-up sentence number {i + 1} somebody found" for i in item],
            "article": np.where(ending == 0, "a", "an"),
            "noun": [f"{'word' if e == 0 else 'oddity'}{i + 1}" for i, e in zip(item, ending, strict=True)],
            "end": "at last.",
            "cloze_ans": (cloze * 44).round(),
            "N": 44.0,
        }
    )
    textless = (person == 0) & (item == n_items - 1)
    table.loc[textless, ["sentence", "article", "noun", "end"]] = ""
    (folder / TRIALS).write_bytes(gzip.compress(table.to_csv(sep="\t", index=False).encode(), mtime=0))
    mark_synthetic(folder, {"effect_uv": EFFECT_UV, "sd_uv": SD_UV})


def twin(
    rng: int | np.random.Generator = 0, *, n_participants: int = 36, n_items: int = 20
) -> tuple[Stimuli, xr.DataArray]:
    """Make synthetic trials, through a file and the loader of the real one.

    Parameters
    ----------
    rng : int or numpy.random.Generator
        Source of all randomness.
    n_participants, n_items : int
        As in :func:`write_twin`.

    Returns
    -------
    tuple of (Stimuli, xarray.DataArray)
        As :func:`load` gives them; ``attrs["synthetic"]`` is 1.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_twin(folder, rng, n_participants=n_participants, n_items=n_items)
        return load(folder)
