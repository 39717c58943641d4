"""Word pairs of van Vliet and Salmelin (2020): one person read a cue, then a related or an unrelated word."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.stimuli import Stimuli
from neuroling.data.eeg import from_epochs, read_epochs, with_metadata, write_epochs
from neuroling.data.errors import CorruptData
from neuroling.data.fetch import locate
from neuroling.data.synthetic import is_synthetic, mark_synthetic, truth_of

NAME = "vanvliet_eeg_wordpairs"
FILE = "subject04-epo.fif"
CONDITIONS = {6: "related", 7: "unrelated"}
"""What the column ``label`` of the metadata stands for."""

COLUMNS = ("cue", "association", "label", "FAS", "button", "reaction-time")


def load(folder: Path | str | None = None) -> tuple[Stimuli, xr.DataArray]:
    """Load word pairs and the responses to their second words.

    Parameters
    ----------
    folder : path, optional
        Folder with the file; by default found by :func:`neuroling.data.fetch.locate`.

    Returns
    -------
    stimuli : Stimuli
        One pair a row, labelled ``"cue - association"``: the text is the second word; ``cue``, ``condition``
        (related or unrelated), ``association_strength`` (forward, 0 to 1), ``button`` and ``reaction_time`` (s).
    recording : xarray.DataArray, dims (sample, channel, time)
        µV, -0.2 to 0.98 s in steps of 20 ms, 0.5 to 15 Hz, one trial each; coordinates ``condition`` and
        ``association_strength``.

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent or not what it should be.
    """
    folder = locate(NAME) if folder is None else Path(folder)
    path = folder / FILE
    epochs = read_epochs(path)
    table = epochs.metadata
    if table is None or any(name not in table for name in COLUMNS):
        raise CorruptData(path, "no metadata, or columns are missing", f"metadata with columns {list(COLUMNS)}")
    if not set(table["label"]) <= set(CONDITIONS):
        raise CorruptData(path, f"labels {sorted(set(table['label']))}", f"labels {sorted(CONDITIONS)}")
    names = table["cue"] + " - " + table["association"]
    epochs = with_metadata(
        epochs, pair=names, condition=table["label"].map(CONDITIONS), association_strength=table["FAS"]
    )
    recording = from_epochs(epochs, item="pair", columns=("condition", "association_strength"))
    recording.attrs |= {"dataset": NAME, "synthetic": int(is_synthetic(folder))}
    return _stimuli(epochs.metadata, recording), recording


def _stimuli(table: pd.DataFrame, recording: xr.DataArray) -> Stimuli:
    rows = table.set_index("pair").loc[recording.sample.to_numpy()]
    columns = {
        "text": rows["association"].astype(object),
        "cue": rows["cue"].astype(object),
        "condition": rows["condition"].astype(object),
        "association_strength": rows["association_strength"],
        "button": rows["button"],
        "reaction_time": rows["reaction-time"],
    }
    return Stimuli(pd.DataFrame(columns, index=pd.Index(rows.index, name="sample")))


# --- the synthetic twin ----------------------------------------------------------------------------------------------

CHANNELS = ("Fp1", "F3", "C3", "P3", "O1", "Fp2", "F4", "C4", "P4", "O2", "Fz", "Cz", "Pz")
TIMES = np.round(np.arange(60) * 0.02 - 0.2, 3)
EFFECT_MICROVOLT = -4.0
"""Unrelated less related at the peak of the planted N400, at Cz and Pz."""


def write_twin(folder: Path | str, rng: int | np.random.Generator = 0, *, n_pairs: int = 80) -> None:
    """Write synthetic epochs in the layout of the real file: a more negative 400 ms after unrelated words.

    Parameters
    ----------
    folder : path
        Made if absent; marked as synthetic.
    rng : int or numpy.random.Generator
        Source of all randomness.
    n_pairs : int
        Number of pairs, half of them related; at least 4.
    """
    if n_pairs < 4:
        raise ValueError(f"n_pairs: got {n_pairs}; expected at least 4.")
    generator = np.random.default_rng(rng)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    label = np.where(np.arange(n_pairs) % 2 == 0, 6, 7)
    gain = np.exp(-0.5 * ((TIMES - 0.4) / 0.08) ** 2)
    topography = np.array([1.0 if name in ("Cz", "Pz") else 0.3 for name in CHANNELS])
    strength = np.where(label == 6, generator.uniform(0.1, 0.7, n_pairs), 0.0)
    size = EFFECT_MICROVOLT * (label == 7)
    values = size[:, None, None] * topography[:, None] * gain + 4 * generator.standard_normal(
        (n_pairs, len(CHANNELS), len(TIMES))
    )
    table = pd.DataFrame(
        {
            "cue": [f"cue{place:03d}" for place in range(n_pairs)],
            "association": [f"word{place:03d}" for place in range(n_pairs)],
            "label": label,
            "FAS": strength,
            "button": np.where(label == 6, 1, 2),
            "reaction-time": generator.uniform(1.1, 2.0, n_pairs),
        }
    )
    write_epochs(folder / FILE, values, channels=CHANNELS, times=TIMES, metadata=table, codes=label)
    mark_synthetic(folder, {"effect_microvolt": EFFECT_MICROVOLT, "peak_s": 0.4})


def twin(n_pairs: int = 80, rng: int | np.random.Generator = 0) -> tuple[Stimuli, xr.DataArray]:
    """Make synthetic pairs and responses, through the file and the loader of the real ones.

    Parameters
    ----------
    n_pairs : int
        Number of pairs, half of them related.
    rng : int or numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    stimuli : Stimuli
    recording : xarray.DataArray, dims (sample, channel, time)
        ``attrs["synthetic"]`` is 1; ``attrs["truth_effect_microvolt"]`` is the planted difference.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_twin(folder, rng, n_pairs=n_pairs)
        stimuli, recording = load(folder)
        truth = truth_of(Path(folder))
    return stimuli, recording.assign_attrs(truth_effect_microvolt=truth["effect_microvolt"])
