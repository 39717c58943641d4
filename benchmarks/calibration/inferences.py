"""How often each inference finds something where there is nothing: uncorrected, and anywhere in the family.

python benchmarks/calibration/inferences.py [--sets 1000] [--only TEXT] [--json FILE]

A cell is an inference and a kind of noise. Every data set of a cell has its own seed, the number of the data set, so
that a cell can be made again alone. ``uncorrected`` is the share of locations with p < 0.05, ``family`` the share of
data sets with any family-wise p (maximum, or clusters) of at most 0.05, with its 95 % interval (Wilson).
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy import ndimage
from scipy.signal import lfilter
from scipy.spatial.distance import pdist
from scipy.stats import binomtest
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, ShuffleSplit

from neuroling import (
    Aligned,
    BlockPermutation,
    CircularShift,
    NoSplit,
    Permutation,
    Ridge,
    SignFlip,
    align,
    evaluate,
    pearson,
    spearman,
)
from neuroling.evaluation import ContiguousFolds, FinishedScores, HeldOutPermutation, NullDistribution
from neuroling.rsa import FixedRDM

N_DRAWS = 99
MODEL = Ridge(1.0, device="cpu")
RUNS, LENGTH, VOXELS, FEATURES = 4, 100, 8, 3
Simulate = Callable[[np.random.Generator], NullDistribution]


def labelled(x: np.ndarray, y: np.ndarray, **coords: Any) -> Aligned:
    """Align features (sample, feature) with a recording (sample, voxel)."""
    along = {"sample": np.arange(len(x)), **{name: ("sample", np.asarray(values)) for name, values in coords.items()}}
    features = xr.DataArray(x, dims=("sample", "feature"), coords=along)
    return align(features, xr.DataArray(y, dims=("sample", "voxel"), coords=along))


# --- time -------------------------------------------------------------------------------------------------------------


def drifting(
    rng: np.random.Generator, columns: int, *, phi: float, trend: float, same: bool, runs: int, length: int
) -> np.ndarray:
    """Draw AR(1) noise of unit variance with a line in every run, signs at random or all the same; (sample, column)."""
    noise = lfilter([np.sqrt(1 - phi**2)], [1, -phi], rng.standard_normal((runs, length + 300, columns)), axis=1)
    signs = np.ones((runs, 1, columns)) if same else rng.choice([-1.0, 1.0], (runs, 1, columns))
    line = trend * np.linspace(-0.5, 0.5, length)[None, :, None]
    return (noise[:, 300:] + line * signs).reshape(-1, columns)


def in_time(inference: Any, *, runs: int = RUNS, length: int = LENGTH, **kind: Any) -> Simulate:
    """Test features and recordings that share nothing but, perhaps, their drifts."""
    coords = {"time_index": np.tile(np.arange(length), runs)}
    if runs > 1:
        coords["group"] = np.repeat(np.arange(runs), length)
    splits = LeaveOneGroupOut() if runs > 1 else ContiguousFolds(5, gap=5)

    def simulate(rng: np.random.Generator) -> NullDistribution:
        x, y = (drifting(rng, columns, runs=runs, length=length, **kind) for columns in (FEATURES, VOXELS))
        return evaluate(
            MODEL, labelled(x, y, **coords), splits=splits, metric=pearson, inference=inference, rng=rng
        ).null

    return simulate


def cells_in_time() -> Iterator[tuple[str, Simulate]]:
    """Rotations and blocks, with and without drifts."""
    shift = CircularShift(N_DRAWS, keep_choices=True, keep_draws=False)
    for phi in (0.0, 0.3, 0.8, 0.95):
        for trend, same in ((0.0, False), (0.5, False), (1.5, False), (0.5, True), (1.5, True)):
            drift = "no drift" if not trend else f"drift {trend}, {'same signs' if same else 'signs at random'}"
            kind = {"phi": phi, "trend": trend, "same": same}
            yield f"CircularShift, 4 runs, AR {phi}, {drift}", in_time(shift, **kind)
            if trend != 0.5:
                yield f"CircularShift, 1 run, AR {phi}, {drift}", in_time(shift, runs=1, length=300, **kind)
            if phi < 0.9 and trend != 0.5:
                blocks = BlockPermutation(20 if phi > 0.5 else 10, N_DRAWS, keep_choices=True, keep_draws=False)
                yield f"BlockPermutation, 4 runs, AR {phi}, {drift}", in_time(blocks, **kind)


# --- samples ----------------------------------------------------------------------------------------------------------


def of_samples(inference: Any, splits: Any, n: int, group: np.ndarray | None = None, scale: Any = 1.0) -> Simulate:
    """Test samples that share nothing, or offsets of their groups in features and in recording."""

    def simulate(rng: np.random.Generator) -> NullDistribution:
        x, y = rng.standard_normal((n, FEATURES)), rng.standard_normal((n, VOXELS)) * np.reshape(scale, (-1, 1))
        coords = {}
        if group is not None:
            coords["group"] = group
            for side in (x, y):
                side += rng.standard_normal((group.max() + 1, side.shape[1]))[group]
        return evaluate(
            MODEL, labelled(x, y, **coords), splits=splits, metric=pearson, inference=inference, rng=rng
        ).null

    return simulate


def cells_of_samples() -> Iterator[tuple[str, Simulate]]:
    """Permutations, of single samples and respecting groups."""
    permutation, held_out = Permutation(N_DRAWS, keep_draws=False), HeldOutPermutation(N_DRAWS, keep_draws=False)
    once = ShuffleSplit(1, test_size=0.5, random_state=0)
    yield "Permutation, independent", of_samples(permutation, KFold(5), 60)
    yield "Permutation, few samples", of_samples(permutation, KFold(5), 15)
    spread = np.where(np.arange(60) < 10, 4.0, 1.0)
    yield (
        "Permutation, heteroscedastic",
        of_samples(permutation, KFold(5, shuffle=True, random_state=0), 60, scale=spread),
    )
    large, small = np.repeat(np.arange(6), 12), np.repeat(np.arange(15), 4)
    yield "Permutation, 6 groups of 12 with offsets", of_samples(permutation, GroupKFold(3), 72, large)
    yield "Permutation, 15 groups of 4 with offsets", of_samples(permutation, GroupKFold(3), 60, small)
    yield "HeldOutPermutation, independent", of_samples(held_out, once, 80)


# --- items ------------------------------------------------------------------------------------------------------------


def of_items(n_items: int) -> Simulate:
    """Test geometries that share nothing against a geometry."""
    first, second = np.triu_indices(n_items, 1)
    coords = {
        "sample": np.array([f"{a}-{b}" for a, b in zip(first, second, strict=True)]),
        "first": ("sample", first),
        "second": ("sample", second),
    }
    inference = Permutation(N_DRAWS, keep_draws=False)

    def simulate(rng: np.random.Generator) -> NullDistribution:
        x = pdist(rng.standard_normal((n_items, 4)))[:, None]
        y = np.stack([pdist(rng.standard_normal((n_items, 4))) for _ in range(VOXELS)], axis=1)
        data = align(
            xr.DataArray(x, dims=("sample", "feature"), coords=coords),
            xr.DataArray(y, dims=("sample", "time"), coords=coords),
        )
        return evaluate(FixedRDM(), data, splits=NoSplit(), metric=spearman, inference=inference, rng=rng).null

    return simulate


def cells_of_items() -> Iterator[tuple[str, Simulate]]:
    """Permutations of items."""
    for n_items in (6, 10, 20):
        yield f"Permutation of items, {n_items} items", of_items(n_items)


# --- participants -----------------------------------------------------------------------------------------------------


def of_participants(inference: SignFlip, n: int, *, noise: str = "normal", n_times: int = 20) -> Simulate:
    """Test scores of participants around chance; smooth over time."""

    def simulate(rng: np.random.Generator) -> NullDistribution:
        values = ndimage.gaussian_filter1d(rng.standard_normal((n, n_times + 20)), 2, axis=1)[:, 10:-10]
        values = values / values.std()
        if noise == "skewed":
            values = np.exp(values) - np.exp(0.5)  # lognormal, of mean zero
        if noise == "heteroscedastic":
            values = values * np.exp(rng.standard_normal((n, 1)))
        return inference(FinishedScores(xr.DataArray(values, dims=("subject", "time"))), rng)

    return simulate


def cells_of_participants() -> Iterator[tuple[str, Simulate]]:
    """Sign flips."""
    for n in (6, 8, 12, 20):
        for clusters in (None, "mass", "tfce"):
            for two_sided in (False, True):
                sides = "two-sided" if two_sided else "one-sided"
                flips = SignFlip(n_draws=199, clusters=clusters, two_sided=two_sided)
                name = f"SignFlip, {n} participants, {clusters or 'maximum'}, {sides}"
                yield name, of_participants(flips, n)
                if not clusters or n == 12:
                    yield f"{name}, heteroscedastic", of_participants(flips, n, noise="heteroscedastic")
                    yield f"{name}, skewed", of_participants(flips, n, noise="skewed")


# --- the table --------------------------------------------------------------------------------------------------------


def cells() -> dict[str, Simulate]:
    """All cells by name."""
    return dict([*cells_in_time(), *cells_of_samples(), *cells_of_items(), *cells_of_participants()])


def measure(simulate: Simulate, n_sets: int) -> dict[str, float]:
    """Simulate data sets, the number of each being its seed, and count."""
    uncorrected, family = [], []
    for seed in range(n_sets):
        null = simulate(np.random.default_rng(seed))
        uncorrected.append(float((null.p_values("none") <= 0.05).mean()))
        family.append(bool((null.p_values(null.family_wise) <= 0.05).any()))
    interval = binomtest(int(np.sum(family)), n_sets).proportion_ci(method="wilson")
    return {
        "sets": n_sets,
        "uncorrected": round(float(np.mean(uncorrected)), 4),
        "family": round(float(np.mean(family)), 4),
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
    }


def main() -> None:
    """Print a row per cell, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=1000, help="Data sets per cell.")
    parser.add_argument("--only", default="", help="Only cells whose name contains this text.")
    parser.add_argument("--json", type=Path, help="File of results; cells that it has are kept.")
    options = parser.parse_args()
    found = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    warnings.filterwarnings("ignore", category=UserWarning)
    print(f"{'cell':<66} uncorrected  family  95 % interval")
    for name, simulate in cells().items():
        if options.only not in name or name in found:
            continue
        start = time.process_time()
        found[name] = row = measure(simulate, options.sets)
        print(
            f"{name:<66} {row['uncorrected']:11.3f} {row['family']:7.3f}  {row['low']:.3f} to {row['high']:.3f}"
            f"  ({time.process_time() - start:.0f} s)",
            flush=True,
        )
        if options.json:
            options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
