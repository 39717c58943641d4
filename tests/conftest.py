"""Shared by all tests: one thread a process, examples that repeat, small simulated data with known truth."""

from __future__ import annotations

import os
from contextlib import contextmanager

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch: tests run in parallel processes, not threads
os.environ.setdefault("NEUROLING_PRODUCTS", "torch")  # the same bits everywhere, and nothing in the user's cache

import numpy as np
import pytest
import xarray as xr
from hypothesis import settings
from scipy.signal import lfilter

from neuroling import Aligned, Stimuli, align

settings.register_profile("neuroling", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("neuroling")


def autoregressive(n: int, columns: int, phi: float, rng: np.random.Generator) -> np.ndarray:
    """Noise (n, columns) with AR(1) coefficient ``phi``, stationary from the first row."""
    return lfilter([1.0], [1.0, -phi], rng.standard_normal((n + 200, columns)), axis=0)[200:]


def simulate(
    n: int = 20,
    p: int = 3,
    *,
    repeats: int | None = None,
    signal: float = 0.0,
    phi: float | None = None,
    seed: int = 0,
    coords: dict[str, object] | None = None,
    **targets: int,
) -> Aligned:
    """Align features with a recording ``signal`` x (unit-variance mixture of them) + unit noise.

    ``phi`` makes features and noise AR(1) and marks samples as consecutive in time; ``targets`` gives target axes and
    their sizes (5 voxels by default); ``coords`` are further sample coordinates.
    """
    rng = np.random.default_rng(seed)
    targets = targets or {"voxel": 5}
    shape = (n, *(() if repeats is None else (repeats,)), *targets.values())
    size = int(np.prod(shape[1:]))
    x = rng.standard_normal((n, p)) if phi is None else autoregressive(n, p, phi, rng)
    noise = (rng.standard_normal((n, size)) if phi is None else autoregressive(n, size, phi, rng)).reshape(shape)
    weights = rng.standard_normal((p, *targets.values()))
    mixture = np.tensordot(x, weights / np.sqrt((weights**2).sum(axis=0)), 1)  # (sample, *targets)
    stimuli = Stimuli.from_texts([f"word {i}" for i in range(n)])
    recording = xr.DataArray(
        noise + signal * (mixture if repeats is None else mixture[:, None]),
        dims=("sample", *(() if repeats is None else ("repeat",)), *targets),
        coords={"sample": stimuli.features(x)["sample"], **{axis: np.arange(k) for axis, k in targets.items()}},
    )
    if phi is not None:
        recording = recording.assign_coords(time_index=("sample", np.arange(n)))
    recording = recording.assign_coords({name: ("sample", np.asarray(v)) for name, v in (coords or {}).items()})
    return align(stimuli.features(x), recording)


def item_pairs(n_items: int, times: int, *, signal: float = 0.0, seed: int = 0) -> Aligned:
    """Distances of all pairs of items: one feature, and a recording (pair, time), every time point its own geometry."""
    rng = np.random.default_rng(seed)
    first, second = np.triu_indices(n_items, 1)
    x = np.abs(np.subtract(*rng.standard_normal((n_items, 4))[[first, second]])).sum(axis=1, keepdims=True)
    points = rng.standard_normal((n_items, 4, times))
    y = np.abs(points[first] - points[second]).sum(axis=1) + signal * x  # (pair, time)
    labels = np.array([f"{a}-{b}" for a, b in zip(first, second, strict=True)])
    coords = {"sample": labels, "first": ("sample", first), "second": ("sample", second)}
    return align(
        xr.DataArray(x, dims=("sample", "feature"), coords=coords),
        xr.DataArray(y, dims=("sample", "time"), coords={**coords, "time": np.arange(times)}),
    )


class FirstFeature:
    """A model with nothing to fit: it predicts the first feature, the same for every target."""

    def fit(self, X, y):
        return self

    def predict(self, X):
        return X[:, 0]


@pytest.fixture(scope="session")
def make_data():
    return simulate


@pytest.fixture(scope="session")
def make_pairs():
    return item_pairs


@pytest.fixture(scope="session")
def nothing_to_fit():
    return FirstFeature()


@pytest.fixture(scope="session")
def make_ar():
    return autoregressive


@pytest.fixture(scope="module", params=["torch", "onednn", "numpy", "scipy"])
def product_library(request):
    """Each library that can multiply and factor matrices here, in turn, for all tests of a module."""
    from neuroling.numerics.products import present

    if request.param not in present():
        pytest.skip(f"{request.param} is not there, or does not multiply right")
    with only(request.param):
        yield request.param


@contextmanager
def only(library):
    """Let one library multiply and factor all matrices that it can."""
    from neuroling.numerics.library_choice import VARIABLE, asked

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, library)
        asked.cache_clear()
        yield
    asked.cache_clear()


@pytest.fixture
def torch_multiplies():
    """Torch does all products, so that they can be watched."""
    with only("torch"):
        yield
