"""How often each inference finds something where there is nothing: uncorrected, and anywhere in the family.

python benchmarks/calibration/inferences.py [--sets 1000] [--only TEXT] [--json FILE] [--page FILE]

A cell is an inference and a kind of noise. Every data set of a cell has its own seed, the number of the data set, so
that a cell can be made again alone. ``uncorrected`` is the share of locations with p < 0.05, ``family`` the share of
data sets with any family-wise p (maximum, or clusters) of at most 0.05, with its 95 % interval (Wilson). For intervals
``family`` is the share that misses the truth. ``warned`` is the share of data sets in which a warning said that the
test does not hold there, and which. ``--page`` renews the table of the documentation.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

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
    ContiguousFolds,
    NoSplit,
    Permutation,
    Ridge,
    SignFlip,
    align,
    evaluate,
    pairwise,
    pearson,
    spearman,
)
from neuroling.evaluation import BootstrapT, DualBootstrap, FinishedScores, HeldOutPermutation, NullDistribution
from neuroling.n400 import AlphaResponse
from neuroling.rsa import FixedRDM

N_DRAWS = 99
MODEL = Ridge(1.0, device="cpu")
RUNS, LENGTH, VOXELS, FEATURES = 4, 100, 8, 3
RESULTS = Path(__file__).with_name("inferences.json")
HIGHEST, LOWEST = 0.07, 0.03
BEGIN, END = "<!-- table: python benchmarks/calibration/inferences.py --page docs/calibration.md -->", "<!-- end -->"
CODES = (
    "autocorrelation",
    "exchanged-in-time",
    "few-items",
    "few-participants",
    "few-stretches",
    "items-fixed",
    "shared-run-course",
    "skewed-scores",
)
"""Warnings that say that a test does not hold for the data at hand."""


class Outcome(NamedTuple):
    """What was found in one data set."""

    uncorrected: float
    family: bool


Simulate = Callable[[np.random.Generator], NullDistribution | Outcome]


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
    for phi in (0.3, 0.8):
        yield f"Permutation of rows in time, AR {phi}, not said to be in time", in_rows(permutation, KFold(5), phi)
        yield f"HeldOutPermutation of rows in time, AR {phi}, not said to be in time", in_rows(held_out, once, phi)


def in_rows(inference: Any, splits: Any, phi: float) -> Simulate:
    """Test consecutive volumes of which nobody has said that they are."""

    def simulate(rng: np.random.Generator) -> NullDistribution:
        kind = {"phi": phi, "trend": 0.0, "same": False, "runs": 1, "length": 200}
        x, y = (drifting(rng, columns, **kind) for columns in (FEATURES, VOXELS))
        return evaluate(MODEL, labelled(x, y), splits=splits, metric=pearson, inference=inference, rng=rng).null

    return simulate


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


# --- participants and items -----------------------------------------------------------------------------------------


def shared_geometry(rng: np.random.Generator, n_participants: int, n_items: int) -> tuple[xr.DataArray, np.ndarray]:
    """Draw dissimilarities of participants (sample, subject) around a geometry that they share, and that geometry."""
    first, second = np.triu_indices(n_items, 1)
    shared = pdist(rng.standard_normal((n_items, 6)))
    rows = shared[:, None] + shared.std() * rng.standard_normal((len(shared), n_participants))
    coords = {
        "sample": np.array([f"{a:02d}-{b:02d}" for a, b in zip(first, second, strict=True)]),
        "first": ("sample", [f"{item:02d}" for item in first]),
        "second": ("sample", [f"{item:02d}" for item in second]),
    }
    return xr.DataArray(rows, dims=("sample", "subject"), coords=coords), shared


def of_people_and_items(n_participants: int, n_items: int) -> Simulate:
    """Test the difference of two models that are equally like the geometry of the participants."""

    def simulate(rng: np.random.Generator) -> Outcome:
        recording, shared = shared_geometry(rng, n_participants, n_items)
        noise = pdist(rng.standard_normal((n_items, 6))), pdist(rng.standard_normal((n_items, 6)))
        models = np.stack([shared + one for one in noise], axis=1)
        coords = {**recording.coords, "model": ["one", "other"]}
        models = xr.DataArray(models, dims=("sample", "model"), coords=coords)
        result = evaluate(FixedRDM(), pairwise(models, recording), metric=spearman, rng=rng)
        p = float(result.difference("one", "other").test(DualBootstrap(n_draws=200), rng=rng).p_values())
        return Outcome(float(p <= 0.05), p <= 0.05)

    return simulate


def of_people_alone(n_participants: int, n_items: int) -> Simulate:
    """Test over participants who share items, whether a model that is nothing like their geometry is like it."""
    inference = SignFlip(n_draws=199)

    def simulate(rng: np.random.Generator) -> NullDistribution:
        recording, _ = shared_geometry(rng, n_participants, n_items)
        coords = {name: recording[name] for name in ("sample", "first", "second")}
        model = xr.DataArray(pdist(rng.standard_normal((n_items, 6)))[:, None], dims=("sample", "feature"))
        data = align(model.assign_coords(coords), recording)
        return evaluate(FixedRDM(), data, splits=NoSplit(), metric=spearman, inference=inference, rng=rng).null

    return simulate


def of_trials(n_trials: int, phi: float) -> Simulate:
    """Ask whether the interval of an effect on single trials covers it."""
    times = np.arange(0, 1, 0.02)

    def simulate(rng: np.random.Generator) -> Outcome:
        predictor = rng.standard_normal((n_trials, 1))
        noise = lfilter([np.sqrt(1 - phi**2)], [1, -phi], rng.standard_normal((n_trials, 350)), axis=1)[:, 300:]
        since = np.maximum(times - 0.2, 0) / 0.15  # the alpha function: its peak is 1, 0.15 s after its onset at 0.2 s
        erps = (2 - predictor) * since * np.exp(1 - since) + 0.5 * noise
        interval = AlphaResponse(times).intervals(predictor, erps, rng=rng, n_draws=200)["coef 0"]
        misses = not interval.low <= -1 <= interval.high
        return Outcome(float(misses), misses)

    return simulate


def cells_of_people_and_items() -> Iterator[tuple[str, Simulate]]:
    """Dual bootstrap, tests over participants who share items, intervals of single trials."""
    for n_participants, n_items in ((8, 10), (8, 14), (20, 14), (8, 30), (20, 30), (20, 60)):
        size = f"{n_participants} participants, {n_items} items"
        yield (
            f"DualBootstrap, difference of models, shared geometry, {size}",
            of_people_and_items(n_participants, n_items),
        )
        yield f"SignFlip, shared geometry, {size}", of_people_alone(n_participants, n_items)
    for n_trials in (10, 20, 40):
        yield f"AlphaResponse.intervals, AR 0.9, {n_trials} trials", of_trials(n_trials, 0.9)


# --- participants -----------------------------------------------------------------------------------------------------


def of_participants(inference: SignFlip | BootstrapT, n: int, *, noise: str = "normal", n_times: int = 20) -> Simulate:
    """Test scores of participants around chance; smooth over time."""

    def simulate(rng: np.random.Generator) -> NullDistribution:
        values = ndimage.gaussian_filter1d(rng.standard_normal((n, n_times + 20)), 2, axis=1)[:, 10:-10]
        values = values / values.std()
        if noise.startswith("skewed"):  # lognormal, of mean zero; long on the side of large or of small scores
            values = (np.exp(values) - np.exp(0.5)) * (1 if noise == "skewed to large scores" else -1)
        if noise == "heteroscedastic":
            values = values * np.exp(rng.standard_normal((n, 1)))
        return inference(FinishedScores(xr.DataArray(values, dims=("subject", "time"))), rng)

    return simulate


def cells_of_participants() -> Iterator[tuple[str, Simulate]]:
    """Sign flips, and resampled deviations."""
    for n in (6, 8, 12, 20):
        for clusters in (None, "mass", "tfce"):
            for two_sided in (False, True):
                sides = "two-sided" if two_sided else "one-sided"
                flips = SignFlip(n_draws=199, clusters=clusters, two_sided=two_sided)
                name = f"SignFlip, {n} participants, {clusters or 'maximum'}, {sides}"
                yield name, of_participants(flips, n)
                if not clusters or n == 12:
                    for noise in ("heteroscedastic", "skewed to large scores", "skewed to small scores"):
                        yield f"{name}, {noise}", of_participants(flips, n, noise=noise)
    for n in (6, 8, 12, 20):
        for noise in ("normal", "skewed to large scores", "skewed to small scores"):
            inference = BootstrapT(n_draws=199, two_sided=True)
            yield f"BootstrapT, {n} participants, two-sided, {noise}", of_participants(inference, n, noise=noise)


# --- the table --------------------------------------------------------------------------------------------------------


def cells() -> dict[str, Simulate]:
    """All cells by name."""
    return dict(
        [
            *cells_in_time(),
            *cells_of_samples(),
            *cells_of_items(),
            *cells_of_people_and_items(),
            *cells_of_participants(),
        ]
    )


def measure(simulate: Simulate, n_sets: int) -> dict[str, Any]:
    """Simulate data sets, the number of each being its seed, and count."""
    uncorrected, family, warned = [], [], Counter[str]()
    for seed in range(n_sets):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            outcome = _outcome(simulate(np.random.default_rng(seed)))
        uncorrected.append(outcome.uncorrected)
        family.append(outcome.family)
        codes = {getattr(warning.message, "code", "") for warning in caught} & set(CODES)
        warned.update(codes | ({"any"} if codes else set()))
    interval = binomtest(int(np.sum(family)), n_sets).proportion_ci(method="wilson")
    return {
        "sets": n_sets,
        "uncorrected": round(float(np.mean(uncorrected)), 4),
        "family": round(float(np.mean(family)), 4),
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
        "warned": round(warned.pop("any", 0) / n_sets, 4),
        "codes": sorted(warned),
    }


def _outcome(found: NullDistribution | Outcome) -> Outcome:
    if isinstance(found, Outcome):
        return found
    family = (found.p_values(found.family_wise) <= 0.05).any()
    return Outcome(float((found.p_values("none") <= 0.05).mean()), bool(family))


def verdict(row: dict[str, Any]) -> str:
    """Say what a cell shows: that the test holds, that it is careful, or that it is warned of."""
    if row["family"] > HIGHEST and row["low"] > 0.05:
        return "warned of" if row["warned"] >= 0.8 else "MISSED"
    if row["high"] < LOWEST:
        return "careful" if row["warned"] < 0.8 else "careful, and said"
    return "holds"


def page_of(results: dict[str, dict[str, Any]]) -> str:
    """Give the table of the documentation."""
    lines = [
        "| inference and noise | uncorrected | family-wise, or missed by intervals | 95 % interval | warned | |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in results.items():
        share = f"{row['warned']:.0%} ({', '.join(row['codes'])})" if row["warned"] else ""
        lines.append(
            f"| {name} | {row['uncorrected']:.1%} | {row['family']:.1%} | {row['low']:.1%} to {row['high']:.1%} | "
            f"{share} | {verdict(row)} |"
        )
    return "\n".join(lines) + "\n"


def with_table(page: str, results: dict[str, dict[str, Any]]) -> str:
    """Give a page with these results where its table is."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{page_of(results)}{END}{after}"


def main() -> None:
    """Print a row per cell, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=1000, help="Data sets per cell.")
    parser.add_argument("--only", default="", help="Only cells whose name contains this text.")
    parser.add_argument("--json", type=Path, default=RESULTS, help="File of results; cells that it has are kept.")
    parser.add_argument("--page", type=Path, help="Page whose table is renewed; nothing is measured.")
    options = parser.parse_args()
    found = json.loads(options.json.read_text()) if options.json.exists() else {}
    if options.page:
        options.page.write_text(with_table(options.page.read_text(encoding="utf-8"), found), encoding="utf-8")
        return
    print(f"{'cell':<66} uncorrected  family  95 % interval")
    for name, simulate in cells().items():
        if options.only not in name or name in found:
            continue
        start = time.process_time()
        found[name] = row = measure(simulate, options.sets)
        print(
            f"{name:<66} {row['uncorrected']:11.3f} {row['family']:7.3f}  {row['low']:.3f} to {row['high']:.3f}"
            f"  {row['warned']:.0%} {' '.join(row['codes'])} ({time.process_time() - start:.0f} s)",
            flush=True,
        )
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
