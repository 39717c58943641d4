"""What the code of docs/encoding.md finds in its reader's session, block by block."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import xarray as xr

from neuroling import ContiguousFolds, Ridge, Stimuli
from neuroling.core.axes import volume_labels

N_VOLUMES, TR_S = 120, 2.0
RUNS = ("one", "two")


def block_1(folder: Path) -> dict[str, object]:
    """Two stories of words, and a recording of their volumes that follows the rate of words."""
    rng = np.random.default_rng(0)
    onsets = [np.sort(rng.uniform(0, N_VOLUMES * TR_S, 300)) for _ in RUNS]
    n_words = sum(map(len, onsets))
    words = Stimuli.from_texts(
        [f"word {number}" for number in range(n_words)], onset=np.concatenate(onsets), group=np.repeat(RUNS, 300)
    )
    time = np.tile(np.arange(N_VOLUMES), len(RUNS))
    recording = xr.DataArray(
        rng.standard_normal((len(time), 3)),
        dims=("sample", "voxel"),
        coords={
            "sample": [label for run in RUNS for label in volume_labels(run, N_VOLUMES)],
            "group": ("sample", np.repeat(RUNS, N_VOLUMES)),
            "time_index": ("sample", time),
        },
    )
    return {
        "rate": words.features(np.ones((n_words, 1)), ["rate"]),
        "meaning": words.features(rng.standard_normal((n_words, 4))),
        "frame_times": {run: np.arange(N_VOLUMES) * TR_S for run in RUNS},
        "recording": recording,
    }


def block_2(folder: Path) -> dict[str, object]:
    """Three runs of EEG, parted by annotations, and features at its rate."""
    import mne

    rng = np.random.default_rng(0)
    rate_hz, n_samples = 64.0, 1920
    info = mne.create_info(["Cz", "Pz"], rate_hz, "eeg")
    raw = mne.io.RawArray(1e-5 * rng.standard_normal((2, n_samples)), info, verbose="error")
    raw.set_annotations(mne.Annotations([10.0, 20.0], [0.5, 0.5], ["BAD pause"] * 2))
    from neuroling.data.eeg import from_raw

    recording = from_raw(raw)
    along = {name: coord for name, coord in recording.coords.items() if coord.dims == ("sample",)}
    features = xr.DataArray(
        rng.standard_normal((recording.sizes["sample"], 2)),
        dims=("sample", "feature"),
        coords={**along, "feature": ["onsets", "surprisal"]},
    )
    return {"raw": raw, "features": features}


def block_3(folder: Path) -> dict[str, object]:
    """Bare arrays of two runs."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((160, 44))
    return {"X": X, "Y": X[:, :3] + rng.standard_normal((160, 3)), "X_test": X[:5], "runs": np.repeat([0, 1], 80)}


def block_4(folder: Path) -> dict[str, object]:
    """Two runs of volumes on disk with their mask, and features of them."""
    rng = np.random.default_rng(0)
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 4, 3), np.uint8), np.eye(4)), folder / "mask.nii")
    runs = [folder / f"run-{number}.nii" for number in (1, 2)]
    for path in runs:
        nibabel.save(nibabel.Nifti1Image(rng.standard_normal((4, 4, 3, 40)).astype(np.float32), np.eye(4)), path)
    group = np.repeat(["run-1", "run-2"], 40)
    time = np.tile(np.arange(40), 2)
    labels = [label for run in ("run-1", "run-2") for label in volume_labels(run, 40)]
    features = xr.DataArray(
        rng.standard_normal((80, 3)), dims=("sample", "feature"), coords={"sample": labels, "feature": list("abc")}
    )
    return {
        "runs": runs,
        "samples": pd.DataFrame({"sample": labels, "group": group, "time_index": time}),
        "features": features,
        "model": Ridge(device="cpu"),
        "folds": ContiguousFolds(2, gap=1),
        "out": folder / "tiles",
    }
