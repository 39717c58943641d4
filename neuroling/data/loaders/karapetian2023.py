"""A twin of Karapetian et al. (2023): thirty people looked at sixty scenes, man-made and natural, EEG recorded.

The authors' data lie behind a download that states no checksum, and their layout could not be seen from here; so this
module makes the twin only, and :func:`load` says so instead of guessing a format.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.stimuli import Stimuli
from neuroling.data.eeg import montage_channels
from neuroling.data.errors import DataNotFound

NAME = "karapetian2023"
DOI = "10.1162/jocn_a_02043"
CATEGORIES = ("man-made", "natural")
PEAK_S = {"feed-forward": 0.12, "recurrent": 0.18}
"""When the geometry of each model is strongest in the twin, in s after onset."""

WIDTH_S = 0.04
LATENT = 6
"""Dimensions of a model's geometry in the twin."""


def load(folder: Path | str | None = None) -> tuple[Stimuli, xr.DataArray]:
    """Refuse to guess: there is no reader for the authors' files.

    Parameters
    ----------
    folder : path, optional
        Not looked at.

    Raises
    ------
    DataNotFound
        Always; :func:`twin` makes synthetic data of the same shape.
    """
    del folder
    raise DataNotFound(
        f"{NAME}: the files of doi {DOI} have to be downloaded by hand and their layout is not known here; read them "
        "with MNE and neuroling.data.eeg.from_epochs(epochs, item=…, folds='trials'), or use karapetian2023.twin()."
    )


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


def _scenes(n_items: int) -> Stimuli:
    conditions = [CATEGORIES[place % 2] for place in range(n_items)]
    names = [f"{condition} scene {place // 2:02d}" for place, condition in enumerate(conditions)]
    return Stimuli(pd.DataFrame({"text": names, "condition": conditions}, index=pd.Index(names, name="sample")))
