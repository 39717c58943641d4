"""What the code of docs/rsa.md finds in its reader's session, block by block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from neuroling import Stimuli

WARNS = {"block_1": {"items-fixed"}}
WORDS = [first + second + "t" for first in "bmstrnp" for second in ("a", "ee", "o")]
N_TRIALS, N_TIMES, RATE_HZ = 8, 30, 50.0


def layers() -> xr.DataArray:
    """Two layers of features of the words."""
    values = np.random.default_rng(1).standard_normal((2, len(WORDS), 5))
    coords = {"layer": [7, 8], "sample": WORDS}
    return xr.DataArray(values, dims=("layer", "sample", "feature"), coords=coords)


def block_1(folder: Path) -> dict[str, object]:
    """Epochs of five people who read each word eight times, and what is known of the words; layer 8 shows at 0.4 s."""
    import mne

    rng = np.random.default_rng(0)
    info = mne.create_info(["Cz", "Pz", "Oz"], RATE_HZ, "eeg")
    files = {}
    times = 0.1 + np.arange(N_TIMES) / RATE_HZ
    patterns = layers().sel(layer=8).to_numpy() @ rng.standard_normal((5, 3))  # (word, channel)
    response = 2e-5 * patterns[:, :, None] * np.exp(-0.5 * ((times - 0.4) / 0.05) ** 2)
    for name in ("s1", "s2", "s3", "s4", "s5"):
        table = pd.DataFrame({"word": WORDS * N_TRIALS})
        values = np.tile(response, (N_TRIALS, 1, 1)) + 1e-5 * rng.standard_normal((len(table), 3, N_TIMES))
        files[name] = mne.EpochsArray(values, info, metadata=table, tmin=0.1, verbose="error")
    columns = {"length": [float(len(word)) for word in WORDS], "log_freq": rng.standard_normal(len(WORDS))}
    return {"files": files, "layers": layers(), "stimuli": Stimuli.from_texts(WORDS, **columns)}


def block_2(folder: Path) -> dict[str, object]:
    """Single trials as an array in V, one of them with a blink."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"word": WORDS * 2, "length": [len(word) for word in WORDS] * 2})
    trials = 1e-5 * rng.standard_normal((len(table), 3, N_TIMES))
    trials[0, 1, :5] += 3e-4
    times = 0.1 + np.arange(N_TIMES) / RATE_HZ
    return {"trials": trials, "table": table, "times": times, "channels": ["Cz", "Pz", "Oz"]}


def block_3(folder: Path) -> dict[str, object]:
    """Two layers of features of the words, and what four people's brains did."""
    rng = np.random.default_rng(0)
    recording = xr.DataArray(
        rng.standard_normal((len(WORDS), 4, 6)),
        dims=("sample", "subject", "channel"),
        coords={"sample": WORDS, "subject": list("abcd"), "channel": [f"E{number}" for number in range(6)]},
    )
    return {"layers": layers(), "recording": recording}


def block_4(folder: Path) -> dict[str, object]:
    """Source estimates of words in a volume, and features of the words."""
    import mne

    spaces = mne.setup_volume_source_space(pos=18.0, sphere=(0.0, 0.0, 0.0, 0.04), verbose="error")
    vertices = [space["vertno"] for space in spaces]
    rng = np.random.default_rng(0)
    estimates = {
        word: mne.VolSourceEstimate(rng.standard_normal((len(vertices[0]), 3)), vertices, 0.0, 0.02) for word in WORDS
    }
    stc = next(iter(estimates.values()))
    return {"estimates": estimates, "source_spaces": spaces, "stc": stc, "layers": layers()}
