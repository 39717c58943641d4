"""Karapetian et al. (2023): thirty people looked at sixty scenes, man-made and natural, EEG recorded.

The recordings lie behind a download that states no checksum. :func:`load` reads them in the layout that the authors'
public code writes and reads (Agnessa14/Perceptual-decision-making, ``ANALYSIS_Full_experiment``): a folder a person,
``05/timelock_categorization.mat`` (FieldTrip) and ``05/preprocessed_behavioural_data_categorization.mat`` beside it.
That layout could be tested only on files that :func:`write_twin` makes; :func:`twin` needs no files at all.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.data.eeg import join_subjects, montage_channels
from neuroling.data.errors import CorruptData, DataNotFound, require_file
from neuroling.data.matfile import read_mat
from neuroling.data.synthetic import is_synthetic, mark_synthetic

logger = logging.getLogger(__name__)

NAME = "karapetian2023"
DOI = "10.1162/jocn_a_02043"
CATEGORIES = ("man-made", "natural")
TASKS = ("categorization", "fixation")
N_SCENES = 60
PEAK_S = {"feed-forward": 0.12, "recurrent": 0.18}
"""When the geometry of each model is strongest in the twin, in s after onset."""

WIDTH_S = 0.04
LATENT = 6
"""Dimensions of a model's geometry in the twin."""


def load(
    folder: Path | str,
    *,
    task: str = "categorization",
    n_folds: int = 6,
    rng: int | np.random.Generator = 0,
) -> tuple[Stimuli, xr.DataArray]:
    """Read everybody's trials of one task, dealt into folds.

    Like the authors' code it takes trials with a correct answer and a reaction time above zero. Unlike it, it does not
    cut trials to the rarest scene's number: those of a scene are dealt at random into folds, which are averaged.

    Parameters
    ----------
    folder : path
        With a folder a person, named as the authors do: ``05``, ``06``, …
    task : {"categorization", "fixation"}
        Which of the two tasks.
    n_folds : int
        Folds of each scene's trials, at least two.
    rng : int or numpy.random.Generator
        Seed of the dealing.

    Returns
    -------
    stimuli : Stimuli
        Sixty scenes with the column ``condition``: the first thirty man-made, the others natural.
    recording : xarray.DataArray, dims (subject, sample, repeat, channel, time)
        In the unit of the files; NaN where a person has fewer trials of a scene than folds. ``n_trials`` counts trials.

    Raises
    ------
    DataNotFound, CorruptData
        If there are no such files, or they are not what the authors' code writes.
    """
    if task not in TASKS:
        raise ValueError(f"task: got {task!r}; expected one of {', '.join(TASKS)}.")
    if n_folds < 2:
        raise ValueError(f"n_folds: got {n_folds}; expected at least two.")
    folder = Path(folder)
    people = sorted(path.parent.name for path in folder.glob(f"*/timelock_{task}.mat"))
    if not people:
        raise DataNotFound(f"{folder}: no files */timelock_{task}.mat; expected those of {NAME}, a folder a person.")
    streams = np.random.default_rng(rng).spawn(len(people))
    each = {name: _person(folder / name, task, n_folds, stream) for name, stream in zip(people, streams, strict=True)}
    stimuli = _scenes(N_SCENES, CATEGORIES[:1] * (N_SCENES // 2) + CATEGORIES[1:] * (N_SCENES // 2))
    joined = join_subjects(each, missing="nan")
    missing = [label for label in stimuli.labels if label not in joined.indexes["sample"]]
    if missing:
        raise CorruptData(folder, f"nobody has {n_folds} correct trials of {missing[:5]}", f"{N_SCENES} scenes")
    recording = joined.sel(sample=stimuli.labels).assign_coords(stimuli.coords("condition"))
    return stimuli, recording.assign_attrs(dataset=NAME, task=task, synthetic=int(is_synthetic(folder)))


def _person(folder: Path, task: str, n_folds: int, rng: np.random.Generator) -> xr.DataArray:
    path = folder / f"timelock_{task}.mat"
    eeg = _fields(path, "timelock", ("trial", "trialinfo", "time", "label"))
    answers = _fields(folder / f"preprocessed_behavioural_data_{task}.mat", "behav", ("triggers", "RT", "points"))
    codes, answered = (np.rint(values.ravel()).astype(int) for values in (eeg["trialinfo"], answers["triggers"]))
    if eeg["trial"].shape[:1] != codes.shape or not np.array_equal(codes, answered):
        raise CorruptData(path, f"{len(codes)} trials that are not those of the answers", "the same scenes in order")
    if codes.min() < 1 or codes.max() > N_SCENES:
        raise CorruptData(path, f"scenes {codes.min()} to {codes.max()}", f"1 to {N_SCENES}")
    right = (answers["RT"].ravel() > 0) & (answers["points"].ravel() == 1)
    names = _scene_names(CATEGORIES[:1] * (N_SCENES // 2) + CATEGORIES[1:] * (N_SCENES // 2))
    rows = {name: np.flatnonzero(right & (codes == number)) for number, name in enumerate(names, start=1)}
    short = [name for name, trials in rows.items() if len(trials) < n_folds]
    if len(short) == N_SCENES:
        raise CorruptData(path, f"no scene has {n_folds} correct trials", f"trials for {n_folds} folds")
    if short:
        logger.warning("%s: %d scenes with fewer than %d correct trials are NaN: %s", path, len(short), n_folds, short)
    complete_rows = {name: trials for name, trials in rows.items() if name not in short}
    return xr.DataArray(
        _dealt(eeg["trial"], complete_rows, n_folds, rng),
        dims=("sample", "repeat", "channel", "time"),
        coords={
            "sample": list(complete_rows),
            "channel": [str(label) for label in eeg["label"].ravel()],
            "time": np.round(eeg["time"].ravel(), 6),
            "n_trials": ("sample", [len(trials) for trials in complete_rows.values()]),
        },
        name="EEG",
    )


def _fields(path: Path, struct: str, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    require_file(path, f"{NAME}, a MATLAB file")
    contents = read_mat(path, [struct])
    absent = [name for name in names if f"{struct}.{name}" not in contents]
    if absent:
        raise CorruptData(path, f"{struct} without {absent}", f"the fields {', '.join(names)}")
    return {name: contents[f"{struct}.{name}"] for name in names}


def _dealt(
    trials: NDArray[Any], rows: Mapping[str, NDArray[np.intp]], n_folds: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Average trials (trial, channel, time) into folds; (scene, fold, channel, time)."""
    folds = [np.array_split(rng.permutation(places), n_folds) for places in rows.values()]
    means = [[trials[part].mean(axis=0) for part in parts] for parts in folds]
    return np.asarray(means, dtype=np.float32)


def write_twin(folder: Path, n_subjects: int = 2, *, rng: int | np.random.Generator = 0) -> None:
    """Write synthetic files in the authors' layout: sixty scenes, four trials of each, one of them answered wrongly.

    Parameters
    ----------
    folder : pathlib.Path
        Where to write; a folder a person is made in it.
    n_subjects : int
        People, numbered from 5 as the authors' are.
    rng : int or numpy.random.Generator
        Source of all randomness.
    """
    from scipy.io import savemat

    _, recording, _ = twin(n_subjects, N_SCENES, 4, n_channels=8, rng=rng)
    codes = np.repeat(np.arange(1, N_SCENES + 1), 4)
    answers = {"triggers": codes[:, None], "RT": np.full((len(codes), 1), 0.5), "points": np.ones((len(codes), 1))}
    answers["points"][3::4] = 0
    labels = np.array(recording.channel.to_numpy(), dtype=object)[:, None]
    for place, values in enumerate(recording.values):
        person = folder / f"{place + 5:02d}"
        person.mkdir(parents=True, exist_ok=True)
        eeg = {"trial": values.reshape(-1, *values.shape[2:]), "trialinfo": codes[:, None] * 1.0}
        eeg |= {"time": recording.time.to_numpy()[None], "label": labels}
        savemat(person / "timelock_categorization.mat", {"timelock": eeg})
        savemat(person / "preprocessed_behavioural_data_categorization.mat", {"behav": answers})
    mark_synthetic(folder, {"peaks_s": PEAK_S})


def twin(
    n_subjects: int = 10,
    n_items: int = 20,
    n_trials: int = 12,
    *,
    n_channels: int = 24,
    step_s: float = 0.02,
    rng: int | np.random.Generator = 0,
) -> tuple[Stimuli, xr.DataArray, dict[str, xr.DataArray]]:
    """Make synthetic scenes, responses, and the two models whose geometry was planted in them.

    The geometry of a feed-forward model is strongest at 120 ms, that of a recurrent one at 180 ms. Channels are named
    and placed as in a standard montage; noise is correlated over channels.

    Parameters
    ----------
    n_subjects, n_items, n_trials : int
        People, scenes (half of them man-made), and trials of each scene.
    n_channels : int
        At most 64.
    step_s : float
        Time between samples, from -0.2 to 0.8 s.
    rng : int or numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    stimuli : Stimuli
        With the column ``condition``: man-made or natural.
    recording : xarray.DataArray, dims (subject, sample, repeat, channel, time)
        Single trials; ``attrs["synthetic"]`` is 1.
    features : dict of str to xarray.DataArray, dims (sample, feature)
        ``"feed-forward"`` and ``"recurrent"``: the truth.
    """
    if n_items < 4 or n_channels > 64 or n_channels < 4 or n_trials < 2:
        raise ValueError(
            f"n_items, n_channels, n_trials: got {n_items}, {n_channels}, {n_trials}; expected at least 4, 4 to "
            "64, at least 2."
        )
    generator = np.random.default_rng(rng)
    stimuli = _scenes(n_items)
    category = (np.asarray(stimuli.table["condition"]) == CATEGORIES[0]) * 2.0 - 1.0
    times = np.round(np.arange(-0.2, 0.8 + step_s / 2, step_s), 6)
    channels = montage_channels(n_channels)
    features, signal = {}, np.zeros((n_items, len(channels), len(times)))
    for name, peak in PEAK_S.items():
        latent = generator.standard_normal((n_items, LATENT))
        latent[:, 0] += category * (1.5 if name == "recurrent" else 0.5)
        features[name] = stimuli.features(latent).assign_attrs(synthetic=1)
        gain = np.exp(-0.5 * ((times - peak) / WIDTH_S) ** 2)
        signal += np.einsum("il,lc,t->ict", latent, generator.standard_normal((LATENT, len(channels))), gain)
    mix = np.linalg.cholesky(0.5 * np.eye(len(channels)) + 0.5)
    shape = (n_subjects, n_items, n_trials, len(channels), len(times))
    strength = generator.uniform(0.12, 0.3, n_subjects)
    noise = 3 * np.einsum("cd,sirdt->sirct", mix, generator.standard_normal(shape, dtype=np.float32), optimize=True)
    values = (strength[:, None, None, None, None] * signal[None, :, None] + noise).astype(np.float32)
    recording = xr.DataArray(
        values,
        dims=("subject", "sample", "repeat", "channel", "time"),
        coords={
            **stimuli.coords("condition"),
            "subject": [f"twin{place:02d}" for place in range(n_subjects)],
            "channel": channels,
            "time": times,
        },
        attrs={"dataset": NAME, "synthetic": 1, "units": "arbitrary", "montage": "biosemi64"},
        name="EEG",
    )
    return stimuli, recording, features


def _scenes(n_items: int, conditions: tuple[str, ...] | None = None) -> Stimuli:
    kinds = conditions or tuple(CATEGORIES[place % 2] for place in range(n_items))
    index = pd.Index(_scene_names(kinds), name="sample")
    return Stimuli(pd.DataFrame({"text": list(index), "condition": kinds}, index=index))


def _scene_names(conditions: tuple[str, ...]) -> list[str]:
    numbers = dict.fromkeys(CATEGORIES, 0)
    names = []
    for condition in conditions:
        names.append(f"{condition} scene {numbers[condition]:02d}")
        numbers[condition] += 1
    return names
