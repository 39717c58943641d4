"""A small study with a known geometry: what the tests of this room are made of."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

sys.path.insert(0, str(Path(__file__).parent))  # agreement.py stands beside the tests

ITEMS = [f"word {place:02d}" for place in range(12)]
TIMES = np.round(np.linspace(-0.1, 0.5, 13), 3)


def study(rng, *, n_subjects=5, n_repeats=4, n_channels=8, signal=1.0, noise=1.0):
    """Give features of items and a recording whose geometry is theirs, strongest in mid-epoch."""
    latent = rng.standard_normal((len(ITEMS), 3))
    gain = np.exp(-0.5 * ((TIMES - 0.2) / 0.1) ** 2)
    patterns = np.einsum("il,lc,t->ict", latent, rng.standard_normal((3, n_channels)), gain)
    shape = (n_subjects, len(ITEMS), n_repeats, n_channels, len(TIMES))
    values = signal * patterns[None, :, None] + noise * rng.standard_normal(shape)
    recording = xr.DataArray(
        values,
        dims=("subject", "sample", "repeat", "channel", "time"),
        coords={
            "subject": [f"s{place}" for place in range(n_subjects)],
            "sample": ITEMS,
            "channel": [f"E{place}" for place in range(n_channels)],
            "time": TIMES,
        },
        name="EEG",
    )
    features = xr.DataArray(latent, dims=("sample", "feature"), coords={"sample": ITEMS})
    return features, recording


@pytest.fixture
def features():
    return study(np.random.default_rng(0))[0]


@pytest.fixture
def recording():
    return study(np.random.default_rng(0))[1]
