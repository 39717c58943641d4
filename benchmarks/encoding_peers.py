"""Encoding models against himalaya: story-like, nine shapes, nested leave-two-out, banded.

    python benchmarks/encoding_peers.py PART [--voxels N] [--json FILE]      PART: story, ridge, shapes, nested, banded

Scores of the penalties chosen are held against the peer's. Times are CPU seconds of one process, beside the *floor*:
the products of a search that predicts what it held out, at the mean rate of float32 products of the same shape,
measured before and after each of our rounds, of which the median counts. The peer runs once. Exits with 1 if a bar is
missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import Bar, as_json, machine, pin_to_one_thread
from himalaya.backend import set_backend
from himalaya.kernel_ridge import KernelRidgeCV as HimalayaKernelRidgeCV
from himalaya.kernel_ridge import solve_multiple_kernel_ridge_random_search
from himalaya.ridge import RidgeCV as HimalayaRidgeCV
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from neuroling import BandedRidgeCV, KernelRidgeCV, RidgeCV
from neuroling.encoding import DirichletSearch, LeaveOneOutRidgeCV

Array = NDArray[np.float32]
FOLDS = KFold(5)
EQUAL = 1e-5
"""Largest relative difference from the peer's score that counts as equal."""

EXACT = 1e-11
"""Largest difference of predictions in float64, of targets of about one, from refits."""

SAME_PENALTY = 0.999
CHECKED = 250
"""Voxels that are held against a slow truth: a peer in float64, or explicit refits."""

SHAPES = [(100, 50, 200), (100, 1000, 200), (100, 50, 20_000), (100, 2000, 20_000), (1000, 100, 200)]
SHAPES += [(1000, 100, 10_000), (1000, 1500, 200), (1000, 1500, 5000), (2000, 300, 5000)]


def timed(run: Callable[[], object]) -> tuple[float, object]:
    start = time.process_time()
    value = run()
    return time.process_time() - start, value


def rate(rows: int, inner: int, columns: int = 2048) -> float:
    """Operations per second of float32 products at a shape, as a pass can reach it; the faster of torch and numpy.

    Every product has a left factor of its own, which comes from memory, and the mean over about a second counts: the
    best of many products of the same two matrices is faster by some percent than any pass over data.
    """
    rng = np.random.default_rng(0)
    left = rng.standard_normal((8, rows, inner), dtype=np.float32)
    right, out = rng.standard_normal((inner, columns), dtype=np.float32), np.empty((rows, columns), np.float32)
    lefts, tensors = torch.from_numpy(left), [torch.from_numpy(array) for array in (right, out)]
    runs = [
        lambda: [np.matmul(factor, right, out=out) for factor in left],
        lambda: [torch.mm(factor, tensors[0], out=tensors[1]) for factor in lefts],
    ]
    operations = len(left) * 2.0 * rows * inner * columns
    times = max(1, int(1e11 / operations))
    for run in runs:
        run()
    seconds = [timed(lambda run=run: [run() for _ in range(times)])[0] for run in runs]
    return times * operations / min(seconds)


def rounds(
    fit: Callable[[], object], n_rounds: int, operations: float, shape: tuple[int, int]
) -> tuple[float, float, list[float], object]:
    """Fit some times between measurements of the rate: median seconds, the floor, GFLOP/s, and the last model."""
    rates, seconds = [rate(*shape)], []
    for _ in range(n_rounds):
        spent, model = timed(fit)
        seconds.append(spent)
        rates.append(rate(*shape))
    print("seconds", seconds, flush=True)
    return statistics.median(seconds), operations / statistics.mean(rates), [found / 1e9 for found in rates], model


def story(n_samples: int, n_features: int, n_voxels: int, seed: int = 0) -> tuple[Array, Array]:
    """Autocorrelated features of falling scale, four delays; voxels that follow them to different degrees."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((n_samples, -(-n_features // 4)), dtype=np.float32)
    base = base + np.float32(0.7) * np.roll(base, 1, 0) + np.float32(0.5) * np.roll(base, 2, 0)
    base *= (4 * np.arange(1, base.shape[1] + 1) ** -0.5).astype(np.float32)
    X = np.hstack([np.roll(base, delay, 0) for delay in range(1, 5)])[:, :n_features]
    mixing = rng.standard_normal((n_features, 40), dtype=np.float32)
    signal = (X @ mixing) @ rng.standard_normal((40, n_voxels), dtype=np.float32)
    signal *= np.float32(0.6) * np.abs(rng.standard_normal(n_voxels, dtype=np.float32)) / signal.std(0)
    Y = signal + rng.standard_normal((n_samples, n_voxels), dtype=np.float32)
    Y -= Y.mean(0)
    return X, Y / Y.std(0)


def mean_errors(Y: Array, best: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn our R squared into himalaya's score, minus the mean over folds of the mean squared error."""
    baseline = np.mean([((Y[test] - Y[train].mean(0)) ** 2).mean(0) for train, test in FOLDS.split(Y)], axis=0)
    return (best - 1) * baseline


def compare(name: str, ours: object, theirs: object, Y: Array) -> dict[str, float]:
    """Hold the penalties and their scores against himalaya's."""
    same = float(np.isclose(ours.alpha_, theirs.best_alphas_, rtol=1e-3).mean())
    score = mean_errors(Y, ours.cv_scores_.max(0))
    peer = np.ravel(np.asarray(theirs.cv_scores_, np.float64))
    worst = float(np.abs(score / peer - 1).max())
    print(f"{name}: same penalty in {same:.4%}, largest relative difference of a score {worst:.1e}", flush=True)
    assert worst < EQUAL, f"{name}: scores differ"
    assert same > SAME_PENALTY, f"{name}: penalties differ"
    return {"same penalty": same, "largest relative difference": worst}


def himalaya(kind: type, alphas: Array) -> object:
    batches = {"n_targets_batch": 2000, "n_alphas_batch": 1, "n_targets_batch_refit": 2000}
    if kind is HimalayaKernelRidgeCV:
        return kind(alphas=alphas, cv=FOLDS, fit_intercept=True, warn=False, solver_params=batches)
    return kind(alphas=alphas, cv=FOLDS, fit_intercept=True, solver_params={**batches, "warn": False})


def explicit_choice(X: Array, Y: Array, alphas: Array) -> NDArray[np.float64]:
    """Penalties by refitting everything in float64 with numpy: the slow truth."""
    error = np.zeros((len(alphas), Y.shape[1]))
    for train, test in FOLDS.split(X):
        x_mean, y_mean = X[train].mean(0, dtype=np.float64), Y[train].mean(0, dtype=np.float64)
        seen, new = X[train] - x_mean, X[test] - x_mean
        gram, right = seen @ seen.T, Y[train] - y_mean
        for row, alpha in enumerate(alphas.astype(np.float64)):
            weights = np.linalg.solve(gram + alpha * np.eye(len(gram)), right)
            error[row] += ((new @ (seen.T @ weights) - (Y[test] - y_mean)) ** 2).sum(0)
    return error


def run_story(n_voxels: int) -> tuple[dict[str, object], list[Bar]]:
    X, Y = story(3000, 3072, n_voxels)
    alphas = np.logspace(0, 6, 20).astype(np.float32)
    operations = 5 * 20 * 2.0 * 600 * 2400 * n_voxels + 2.0 * 3000**2 * 3072 + 4.0 * 3000**2 * n_voxels
    fit = lambda: KernelRidgeCV(alphas, folds=FOLDS, device="cpu").fit(X, Y)  # noqa: E731
    seconds, floor, rates, model = rounds(fit, 2, operations, (600, 2400))
    theirs, peer = timed(lambda: himalaya(HimalayaKernelRidgeCV, alphas).fit(X, Y))
    facts = compare("story", model, peer, Y)
    few = np.arange(0, n_voxels, max(1, n_voxels // 300))
    error = explicit_choice(X, Y[:, few], alphas)
    exact = float((alphas[error.argmin(0)] == model.alpha_[few].astype(np.float32)).mean())
    bars = [
        Bar("story: times faster than himalaya KernelRidgeCV", theirs / seconds, 1.7, at_most=False),
        Bar("story: times the floor", seconds / floor, 1.3, at_most=True),
        Bar("story: share of penalties equal to explicit float64 refits", exact, SAME_PENALTY, at_most=False),
    ]
    figures = {
        "ours": seconds,
        "himalaya KernelRidgeCV": theirs,
        "floor": floor,
        "GFLOP/s": rates,
    }
    return {**figures, **facts, "voxels": n_voxels}, bars


def with_weights(model: RidgeCV) -> RidgeCV:
    """Read the weights of features, which are made when they are first read where features outnumber samples."""
    assert model.coef_.dtype == np.float32
    return model


def run_ridge(n_voxels: int) -> tuple[dict[str, object], list[Bar]]:
    X, Y = story(3000, 3072, n_voxels)
    alphas = np.logspace(0, 6, 20).astype(np.float32)
    fitting, model = timed(lambda: RidgeCV(alphas, folds=FOLDS, device="cpu").fit(X, Y))
    reading, _ = timed(lambda: with_weights(model))
    theirs, peer = timed(lambda: himalaya(HimalayaRidgeCV, alphas).fit(X, Y))
    facts = compare("ridge", model, peer, Y)
    seconds = fitting + reading
    bar = Bar("story: times faster than himalaya RidgeCV, weights of features", theirs / seconds, 3.0, at_most=False)
    figures = {"fit": fitting, "weights read": reading, "himalaya RidgeCV": theirs}
    return {**figures, **facts, "voxels": n_voxels}, [bar]


def run_shapes() -> tuple[dict[str, object], list[Bar]]:
    """Weights of samples against the same, weights of features against the same, and a fit against the better class."""
    alphas = np.logspace(0, 5, 10).astype(np.float32)
    figures: dict[str, object] = {}
    bars = []
    for n_samples, n_features, n_voxels in SHAPES:
        X, Y = story(n_samples, n_features, n_voxels)
        name = f"{n_samples} x {n_features} x {n_voxels:,}"
        best, fitted = _fit_shape(
            X, Y, alphas, 40 if n_samples * n_voxels < 1e5 else 7 if n_samples * n_voxels < 1e6 else 2
        )
        compare(f"{name} KernelRidgeCV", fitted["KernelRidgeCV"], fitted["himalaya KernelRidgeCV"], Y)
        compare(f"{name} RidgeCV", fitted["RidgeCV"], fitted["himalaya RidgeCV"], Y)
        kernel, ridge = best["himalaya KernelRidgeCV"], best["himalaya RidgeCV"]
        claims = {
            "KernelRidgeCV, times faster than himalaya's": kernel / best["KernelRidgeCV"],
            "RidgeCV and its weights, times faster than himalaya's": ridge / best["RidgeCV, weights read"],
            "RidgeCV, times faster than the better of himalaya's": min(kernel, ridge) / best["RidgeCV"],
        }
        some = [Bar(f"{name}: {claim}", times, 1.0, at_most=False) for claim, times in claims.items()]
        print(best, *some, sep="\n", flush=True)
        figures[name] = best
        bars += some
    return figures, bars


def _fit_shape(X: Array, Y: Array, alphas: Array, n_rounds: int) -> tuple[dict[str, float], dict[str, object]]:
    """Least seconds of every class, which take turns, and the models."""
    fits: dict[str, Callable[[], object]] = {
        "KernelRidgeCV": lambda: KernelRidgeCV(alphas, folds=FOLDS, device="cpu").fit(X, Y),
        "RidgeCV": lambda: RidgeCV(alphas, folds=FOLDS, device="cpu").fit(X, Y),
        "RidgeCV, weights read": lambda: with_weights(RidgeCV(alphas, folds=FOLDS, device="cpu").fit(X, Y)),
        "himalaya KernelRidgeCV": lambda: himalaya(HimalayaKernelRidgeCV, alphas).fit(X, Y),
        "himalaya RidgeCV": lambda: himalaya(HimalayaRidgeCV, alphas).fit(X, Y),
    }
    best, fitted = dict.fromkeys(fits, np.inf), {}
    for _ in range(n_rounds):
        for name, fit in fits.items():
            seconds, fitted[name] = timed(fit)
            best[name] = min(best[name], seconds)
    return best, fitted


def run_nested(n_voxels: int) -> tuple[dict[str, object], list[Bar]]:
    pairs = np.stack(np.triu_indices(60, k=1), axis=1)
    splits = [(np.setdiff1d(np.arange(60), pair), pair) for pair in pairs]
    alphas = np.logspace(-2, 4, 10)
    figures: dict[str, object] = {}
    bars = []
    for n_features, least in ((25, 15.0), (384, 100.0)):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((60, n_features), dtype=np.float32)
        Y = X @ rng.standard_normal((n_features, n_voxels), dtype=np.float32) / np.float32(n_features) ** 0.5
        Y += 2 * rng.standard_normal((60, n_voxels), dtype=np.float32)
        model = LeaveOneOutRidgeCV(alphas, device="cpu")
        few = [splits[number] for number in rng.choice(len(splits), 4, replace=False)]
        _check_nested(model, X, Y, few)
        ours, _ = timed(lambda: sum(1 for _ in model.held_out(X, Y, splits)))  # noqa: B023
        peer = HimalayaRidgeCV(alphas=alphas, cv=5, fit_intercept=True, solver_params={"warn": False})
        spent, _ = timed(lambda: [peer.fit(X[train], Y[train]).predict(X[test]) for train, test in few])  # noqa: B023
        theirs = spent * len(splits) / len(few)
        figures[f"{n_features} features"] = {"ours": ours, "himalaya RidgeCV (4 folds, scaled)": theirs}
        bars.append(Bar(f"nested, {n_features} features: times himalaya", theirs / ours, least, at_most=False))
    return {**figures, "voxels": n_voxels}, bars


def _check_nested(model: LeaveOneOutRidgeCV, X: Array, Y: Array, splits: list[tuple[NDArray[np.int64], ...]]) -> None:
    """Hold the closed form against refits with scikit-learn's leave-one-out, in float64."""
    from sklearn.linear_model import RidgeCV as SklearnRidgeCV

    some = np.ascontiguousarray(Y[:, :200], np.float64)
    fast = list(model.held_out(X.astype(np.float64), some, splits))
    for (train, test), predicted in zip(splits, fast, strict=True):
        slow = SklearnRidgeCV(model.alphas, alpha_per_target=True).fit(X[train].astype(np.float64), some[train])
        difference = np.abs(slow.predict(X[test]) - predicted).max()
        assert difference < EXACT, f"nested predictions differ from refits by {difference:.1e}"


def run_banded(n_voxels: int) -> tuple[dict[str, object], list[Bar]]:
    rng = np.random.default_rng(0)
    n_samples, n_bands, width, n_weightings = 1000, 4, 256, 20
    X = rng.standard_normal((n_samples, n_bands * width), dtype=np.float32)
    X -= X.mean(0)
    gain = np.sqrt(rng.dirichlet([0.3] * n_bands, n_voxels).T).astype(np.float32).repeat(width, axis=0)
    Y = X @ (gain * rng.standard_normal(gain.shape, dtype=np.float32)) / np.float32(16)
    Y += np.float32(1.5) * rng.standard_normal(Y.shape, dtype=np.float32)
    Y = (Y - Y.mean(0)) / Y.std(0)
    alphas = np.logspace(0, 5, 10).astype(np.float32)
    bands = {f"band {number}": slice(number * width, (number + 1) * width) for number in range(n_bands)}
    search = DirichletSearch(n_weightings)
    weightings = search.weightings(n_bands).astype(np.float32)
    model = BandedRidgeCV(bands, alphas, search=search, folds=FOLDS, device="cpu")
    operations = n_weightings * 5 * 10 * 2.0 * 200 * 800 * n_voxels
    ours, floor, rates, _ = rounds(lambda: model.fit(X, Y), 3, operations, (200, 800))
    few = np.arange(0, n_voxels, max(1, n_voxels // CHECKED))
    facts = _check_banded(model, X, Y, few, weightings)
    theirs, found = timed(lambda: himalaya_bands(X, Y, bands, weightings, alphas))
    peer = np.asarray(found[2], np.float64)
    score = mean_errors(Y, model.cv_scores_)
    same = float((peer.argmax(0) == score.argmax(0)).mean())
    worst = float(np.abs(score / peer - 1).max())
    print(f"banded, himalaya in float32: same weighting in {same:.3%}, scores differ by {worst:.1e}", flush=True)
    bars = [
        Bar("banded: times faster than himalaya's random search with weights", theirs / ours, 1.6, at_most=False),
        Bar("banded: times the floor", ours / floor, 1.5, at_most=True),
    ]
    facts |= {"same weighting as in float32": same, "difference from float32": worst}
    figures = {"ours": ours, "himalaya": theirs, "floor": floor, "GFLOP/s": rates}
    return {**figures, **facts, "voxels": n_voxels}, bars


def himalaya_bands(
    X: Array, Y: Array, bands: dict[str, slice], weightings: Array, alphas: Array
) -> tuple[object, object, Array]:
    """Search with himalaya, weights of the samples included, in the dtype of what is given."""
    grams = np.array([X[:, chosen] @ X[:, chosen].T for chosen in bands.values()])
    options = {"n_targets_batch": 2000, "n_alphas_batch": 1, "n_targets_batch_refit": 2000, "progress_bar": False}
    return solve_multiple_kernel_ridge_random_search(
        grams, Y, n_iter=weightings, alphas=alphas, cv=FOLDS, return_weights="dual", fit_intercept=True, **options
    )


def _check_banded(
    model: BandedRidgeCV, X: Array, Y: Array, few: NDArray[np.intp], weightings: Array
) -> dict[str, float]:
    """Hold every score of some voxels, found in float32, against himalaya in float64."""
    in_full = [array.astype(np.float64) for array in (X, Y[:, few])]
    found = himalaya_bands(*in_full, model.bands, weightings.astype(np.float64), model.alphas.astype(np.float64))
    peer, score = np.asarray(found[2]), mean_errors(in_full[1], model.cv_scores_[:, few])
    worst = float(np.abs(score / peer - 1).max())
    same = float((peer.argmax(0) == score.argmax(0)).mean())
    print(f"banded, himalaya in float64, {len(few)} voxels: same weighting in {same:.3%}, scores differ by {worst:.1e}")
    assert worst < EQUAL, "banded scores differ"
    assert same > SAME_PENALTY, "banded weightings differ"
    return {"voxels checked": len(few), "same weighting": same, "largest relative difference": worst}


def main() -> None:
    pin_to_one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["story", "ridge", "shapes", "nested", "banded"])
    parser.add_argument("--voxels", type=int)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    set_backend("numpy")
    warnings.filterwarnings("ignore", module="himalaya")
    X, Y = story(100, 40, 30)
    RidgeCV(device="cpu").fit(X, Y)  # what is loaded on first use is no part of any figure
    himalaya(HimalayaKernelRidgeCV, np.ones(1, np.float32)).fit(X, Y)
    sized = {"story": (run_story, 20_000), "ridge": (run_ridge, 4000), "nested": (run_nested, 20_000)}
    sized["banded"] = (run_banded, 5000)
    if options.part == "shapes":
        figures, bars = run_shapes()
    else:
        run, usual = sized[options.part]
        figures, bars = run(options.voxels or usual)
    print(json.dumps(figures, indent=1), *map(str, bars), sep="\n")
    if options.json:
        options.json.write_text(
            json.dumps({"machine": machine(), options.part: figures, "bars": as_json(bars)}, indent=1) + "\n"
        )
    sys.exit(not all(bar.kept for bar in bars))


if __name__ == "__main__":
    main()
