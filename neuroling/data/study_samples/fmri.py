"""Samples of fMRI in the layout of fMRIPrep's derivatives: a story in runs, and words shown one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import gamma

from neuroling.data.study_samples.texts import meanings, story
from neuroling.data.synthetic import ar1_noise, mark_synthetic

GRID = (6, 5, 4)
"""Voxels along x, y and z; those at x = 0 lie outside the brain."""

AFFINE = np.array([[8.0, 0, 0, -24], [0, 8, 0, -30], [0, 0, 8, 0], [0, 0, 0, 1]])
"""From voxels to mm."""

SPACE = "MNI152NLin2009cAsym"
N_MEANINGS = 3
Array = NDArray[np.float64]


def write_story(folder: Path, *, n_runs: int = 3, n_volumes: int = 80, tr_s: float = 2.0, seed: int = 0) -> None:
    """Write a participant who hears a story: derivatives with confounds, and words with onsets.

    Half of the voxels respond to the rate of words, the others also to their meaning.

    Parameters
    ----------
    folder : pathlib.Path
        Gets ``derivatives/fmriprep`` and ``words``.
    n_runs, n_volumes : int
        Runs, and volumes of each.
    tr_s : float
        Repetition time in seconds.
    seed : int
        Seed of everything.
    """
    rng = np.random.default_rng(seed)
    vectors, weights = meanings(N_MEANINGS, rng), rng.standard_normal((N_MEANINGS, _inside().sum()))
    words_folder = folder / "words"
    words_folder.mkdir(parents=True, exist_ok=True)
    for run in range(1, n_runs + 1):
        onsets = np.cumsum(rng.uniform(0.2, 0.9, int(n_volumes * tr_s / 0.6)))
        onsets = onsets[onsets < n_volumes * tr_s - 1]
        table = pd.DataFrame({"onset": onsets.round(3), "duration": 0.2, "word": story(len(onsets), rng)})
        table.to_csv(words_folder / f"sub-01_task-story_run-{run}_events.tsv", sep="\t", index=False)
        rate = _responses(onsets, np.ones((len(onsets), 1)), n_volumes, tr_s)
        meaning = np.stack([vectors.get(word, np.zeros(N_MEANINGS)) for word in table["word"]])
        values = rate + (_responses(onsets, meaning, n_volumes, tr_s) @ weights) * (np.arange(weights.shape[1]) % 2)
        _write_run(folder / "derivatives/fmriprep", f"sub-01_task-story_run-{run}", values, tr_s, rng)
    mark_synthetic(folder, {"kind": "story-fmri", "meaning": "every second voxel", "seed": seed})


def write_word_list(
    folder: Path, *, n_words: int = 12, n_runs: int = 2, tr_s: float = 2.0, seed: int = 0, text_column: str = "word"
) -> None:
    """Write a participant who is shown nouns one by one, every noun once in each run.

    Every second voxel responds to the meaning of a noun, and all of them to any noun.

    Parameters
    ----------
    folder : pathlib.Path
        Gets ``derivatives/fmriprep`` and ``words``.
    n_words : int
        Nouns, at most 26.
    n_runs : int
        Runs.
    tr_s : float
        Repetition time in seconds.
    seed : int
        Seed of everything.
    text_column : str
        Column of the nouns in ``events.tsv``.
    """
    rng = np.random.default_rng(seed)
    vectors, weights = meanings(N_MEANINGS, rng), rng.standard_normal((N_MEANINGS, _inside().sum()))
    nouns = list(vectors)[:n_words]
    (folder / "words").mkdir(parents=True, exist_ok=True)
    n_volumes = int(np.ceil((8 * n_words + 24) / tr_s))
    for run in range(1, n_runs + 1):
        onsets = 4 + 8.0 * np.arange(n_words) + rng.uniform(0, 2, n_words).round(3)
        shown = [nouns[place] for place in rng.permutation(n_words)]
        table = pd.DataFrame({"onset": onsets, "duration": 1.0, text_column: shown})
        table.to_csv(folder / "words" / f"sub-01_task-nouns_run-{run}_events.tsv", sep="\t", index=False)
        meaning = np.stack([vectors[word] for word in shown]) @ weights * (np.arange(weights.shape[1]) % 2)
        values = _responses(onsets, 1 + 2 * meaning, n_volumes, tr_s)
        _write_run(folder / "derivatives/fmriprep", f"sub-01_task-nouns_run-{run}", values, tr_s, rng)
    mark_synthetic(folder, {"kind": "word-list-fmri", "meaning": "every second voxel", "seed": seed})


def _responses(onsets: Array, heights: Array, n_volumes: int, tr_s: float) -> Array:
    """Sum responses to events, shape (volume, height): a gamma function that peaks after 5 s."""
    lag = np.arange(n_volumes)[:, None] * tr_s - onsets
    return np.asarray(gamma.pdf(lag, 6) @ heights)


def _inside() -> NDArray[np.bool_]:
    inside = np.ones(GRID, dtype=bool)
    inside[0] = False
    return inside.ravel()


def _write_run(root: Path, stem: str, signal: Array, tr_s: float, rng: np.random.Generator) -> None:
    """Write one run: image, brain mask, confounds and what describes them."""
    import nibabel

    func = root / "sub-01" / "func"
    func.mkdir(parents=True, exist_ok=True)
    _write_json(
        root / "dataset_description.json",
        {
            "Name": "synthetic sample",
            "BIDSVersion": "1.8.0",
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "neuroling, a synthetic sample in the layout of fMRIPrep 23"}],
        },
    )
    n = len(signal)
    motion = np.cumsum(rng.normal(0, 0.01, (n, 6)), axis=0)
    noise = ar1_noise(signal.shape, 0.4, rng) * signal.std() + motion @ rng.standard_normal((6, signal.shape[1]))
    drift = np.linspace(0, 3, n)[:, None]
    volumes = np.zeros((n, np.prod(GRID)), dtype=np.float32)
    volumes[:, _inside()] = 1000 + 10 * (signal + noise + drift)
    image: Any = nibabel.Nifti1Image(volumes.T.reshape(*GRID, n), AFFINE)  # type: ignore[no-untyped-call]
    image.header.set_zooms((8.0, 8.0, 8.0, tr_s))
    image.header.set_xyzt_units("mm", "sec")
    _set_mni(image)
    image.to_filename(func / f"{stem}_space-{SPACE}_desc-preproc_bold.nii.gz")
    _write_json(func / f"{stem}_space-{SPACE}_desc-preproc_bold.json", {"RepetitionTime": tr_s, "SkullStripped": False})
    mask: Any = nibabel.Nifti1Image(_inside().reshape(GRID).astype(np.uint8), AFFINE)  # type: ignore[no-untyped-call]
    _set_mni(mask)
    mask.to_filename(func / f"{stem}_space-{SPACE}_desc-brain_mask.nii.gz")
    confounds = _confounds(motion, tr_s, rng)
    confounds.to_csv(func / f"{stem}_desc-confounds_timeseries.tsv", sep="\t", index=False, na_rep="n/a")
    _write_json(func / f"{stem}_desc-confounds_timeseries.json", {})


def _set_mni(image: Any) -> None:
    image.set_sform(AFFINE, code=4)
    image.set_qform(AFFINE, code=4)


def _confounds(motion: Array, tr_s: float, rng: np.random.Generator) -> pd.DataFrame:
    """Give the columns of fMRIPrep that the strategies ask for."""
    n = len(motion)
    columns: dict[str, Array] = {}
    for number, name in enumerate(("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")):
        series = motion[:, number]
        change = np.concatenate([[np.nan], np.diff(series)])
        columns |= {name: series, f"{name}_derivative1": change}
        columns |= {f"{name}_power2": series**2, f"{name}_derivative1_power2": change**2}
    for name in ("csf", "white_matter", "global_signal"):
        series = rng.standard_normal(n)
        change = np.concatenate([[np.nan], np.diff(series)])
        columns |= {name: series, f"{name}_derivative1": change}
        columns |= {f"{name}_power2": series**2, f"{name}_derivative1_power2": change**2}
    moved = np.concatenate([[np.nan], np.abs(np.diff(motion, axis=0)).sum(axis=1)])
    columns |= {"framewise_displacement": moved, "std_dvars": np.concatenate([[np.nan], rng.uniform(0.8, 1.2, n - 1)])}
    for number in range(int(2 * n * tr_s / 128)):
        columns[f"cosine{number:02d}"] = np.cos(np.pi * (2 * np.arange(n) + 1) / (2 * n) * (number + 1))
    return pd.DataFrame(columns)


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
