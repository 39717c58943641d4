"""Leave-two-out at the size of Mitchell et al. (2008): 60 words, 20,000 voxels, 1,770 pairs.

    python benchmarks/leave_two_out.py [--voxels 20000] [--rounds 5] [--json FILE]

First the fast ways are held against the slow ones, then both are timed in one process, taking turns. Loops of refits
run a random sample of the folds and are scaled to all of them. Exits with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from common import Bar, Case, as_json, interleaved, machine, pin_to_one_thread, table
from himalaya.backend import set_backend
from himalaya.kernel_ridge import KernelRidge as HimalayaKernelRidge
from himalaya.ridge import Ridge as HimalayaRidge
from numpy.typing import NDArray
from sklearn.linear_model import Ridge as SklearnRidge

from neuroling.numerics.ridge.decomposition import residual_maker
from neuroling.numerics.ridge.leave_two_out import (
    all_pairs,
    fold_grams,
    pair_operators,
    stability,
    stable_targets,
    two_vs_two_from_gram,
    two_vs_two_null_from_gram,
)

WORDS, PRESENTATIONS, KEPT, DRAWS, ALPHA = 60, 6, 500, 1000, 1.0
SAMPLED_FOLDS = 30
LEAST_SPEEDUP = {25: 1300.0, 384: 3000.0}
Array = NDArray[np.float32]


class Data(NamedTuple):
    """Simulated words: a tenth of the voxels follow the features, noise has twice the signal's spread."""

    X: Array  # (word, feature)
    recording: Array  # (presentation, word, voxel)
    Y: Array  # (word, voxel)
    pairs: NDArray[np.int64]  # (pair, 2)


def simulate(n_features: int, n_voxels: int, rng: np.random.Generator) -> Data:
    X = rng.standard_normal((WORDS, n_features), dtype=np.float32)
    signal = X @ rng.standard_normal((n_features, n_voxels), dtype=np.float32) / np.sqrt(np.float32(n_features))
    signal[:, n_voxels // 10 :] = 0
    noise = rng.standard_normal((PRESENTATIONS, WORDS, n_voxels), dtype=np.float32)
    recording = signal + 2 * noise
    return Data(X, recording, recording.mean(0), all_pairs(WORDS))


# --- the ways ---------------------------------------------------------------------------------------------------------


def scores_at_once(data: Data) -> NDArray[np.float64]:
    """All 1,770 scores from one decomposition and one Gram matrix."""
    operators = pair_operators(residual_maker(data.X, ALPHA), data.pairs)
    centred = data.Y - data.Y.mean(0)
    return two_vs_two_from_gram(operators, centred @ centred.T, data.pairs, centred=True)


def scores_by_refitting(data: Data, model: Callable[[], object], folds: NDArray[np.int64]) -> NDArray[np.float64]:
    """One fit per fold, images written out."""
    return np.array([_refit(data, model, pair) for pair in folds])


def predictions_by_refitting(data: Data, model: Callable[[], object], folds: NDArray[np.int64]) -> list[Array]:
    """One fit per fold and its two predictions, without the score: what the peers are timed for."""
    trains = [np.setdiff1d(np.arange(len(data.X)), pair) for pair in folds]
    return [
        model().fit(data.X[train], data.Y[train]).predict(data.X[pair])
        for train, pair in zip(trains, folds, strict=True)
    ]


def _refit(data: Data, model: Callable[[], object], pair: NDArray[np.int64], voxels: object = slice(None)) -> float:
    train = np.setdiff1d(np.arange(len(data.X)), pair)
    mean = data.Y[train].mean(0)
    predicted = (model().fit(data.X[train], data.Y[train]).predict(data.X[pair]) - mean)[:, voxels]
    truth = (data.Y[pair] - mean)[:, voxels]
    cosines = predicted @ truth.T / np.outer(np.linalg.norm(predicted, axis=1), np.linalg.norm(truth, axis=1))
    return float(np.trace(cosines) > cosines[0, 1] + cosines[1, 0])


def null_at_once(data: Data, orders: NDArray[np.int64]) -> NDArray[np.float64]:
    """Select voxels in every fold, take their Gram matrices and score all draws."""
    kept = stable_targets(data.recording, data.pairs, KEPT)
    grams = fold_grams(data.Y - data.Y.mean(0), kept)
    operators = pair_operators(residual_maker(data.X, ALPHA), data.pairs)
    return two_vs_two_null_from_gram(operators, grams, data.pairs, orders, centred=True)


def null_by_refitting(data: Data, order: NDArray[np.int64], folds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Do the same for one draw and some folds, reusing nothing."""
    shuffled = Data(data.X, data.recording[:, order], data.Y[order], data.pairs)
    model = partial(SklearnRidge, alpha=ALPHA)
    return np.array([_refit(shuffled, model, pair, _stable(shuffled.recording, pair)) for pair in folds])


def _stable(recording: Array, pair: NDArray[np.int64]) -> NDArray[np.int64]:
    score = stability(np.delete(recording, pair, axis=1))
    return np.sort(np.argpartition(score, -KEPT)[-KEPT:])


PEERS: dict[str, Callable[[], object]] = {
    "scikit-learn Ridge": partial(SklearnRidge, alpha=ALPHA),
    "himalaya Ridge": partial(HimalayaRidge, alpha=ALPHA, fit_intercept=True, solver_params={"warn": False}),
    "himalaya KernelRidge": partial(HimalayaKernelRidge, alpha=ALPHA, fit_intercept=True, warn=False),
}

# --- equality before speed --------------------------------------------------------------------------------------------


def check(data: Data, rng: np.random.Generator) -> dict[str, float]:
    """Hold the fast ways against the slow ones; raises where they differ."""
    some = rng.choice(len(data.pairs), 20, replace=False)
    folds = data.pairs[some]
    operators = pair_operators(residual_maker(data.X, ALPHA), folds)
    exact = Data(data.X.astype(np.float64), data.recording, data.Y.astype(np.float64), data.pairs)
    differences = [_relative_difference(exact, pair, operator) for pair, operator in zip(folds, operators, strict=True)]
    assert max(differences) < 1e-10, f"held-out predictions differ from refits by {max(differences):.1e}"
    for model in PEERS.values():
        assert (scores_by_refitting(exact, model, folds) == scores_at_once(data)[some]).all()
    kept = stable_targets(data.recording, folds, KEPT)
    agreement = np.mean(
        [np.isin(one, _stable(data.recording, pair)).mean() for one, pair in zip(kept, folds, strict=True)]
    )
    assert agreement > 0.9999, f"only {agreement:.4%} of the stable voxels agree"
    _check_null(exact, rng)
    return {
        "largest relative difference of held-out predictions": max(differences),
        "stable voxels that agree": float(agreement),
    }


def _relative_difference(data: Data, pair: NDArray[np.int64], operator: NDArray[np.float64]) -> float:
    train = np.setdiff1d(np.arange(WORDS), pair)
    slow = SklearnRidge(alpha=ALPHA).fit(data.X[train], data.Y[train]).predict(data.X[pair])
    return float(np.abs(operator @ data.Y - slow).max() / np.abs(slow).max())


def _check_null(data: Data, rng: np.random.Generator) -> None:
    """Refit every fold of a few draws of a small design."""
    words = np.sort(rng.permutation(WORDS)[:10])
    small = Data(data.X[words], data.recording[:, words], data.Y[words], all_pairs(len(words)))
    orders = np.array([rng.permutation(len(words)) for _ in range(3)])
    slow = [null_by_refitting(small, order, small.pairs).mean() for order in orders]
    assert np.abs(null_at_once(small, orders) - slow).max() < 1e-12, "the null differs from refitting"


# --- speed ------------------------------------------------------------------------------------------------------------


def measure(n_features: int, n_voxels: int, rounds: int) -> tuple[dict[str, float], list[Bar], dict[str, float]]:
    rng = np.random.default_rng(0)
    data = simulate(n_features, n_voxels, rng)
    checks = check(data, rng)
    folds = data.pairs[rng.choice(len(data.pairs), SAMPLED_FOLDS, replace=False)]
    share = len(folds) / len(data.pairs)
    one_fit, ours = "one fit, scikit-learn Ridge", "all 1,770 scores, neuroling"
    cases = {
        one_fit: Case(lambda: SklearnRidge(alpha=ALPHA).fit(data.X, data.Y), times=10),
        ours: Case(lambda: scores_at_once(data), times=10),
        **{
            f"1,770 refits, {name}": Case(partial(predictions_by_refitting, data, model, folds), share)
            for name, model in PEERS.items()
        },
    }
    seconds = interleaved(cases, rounds)
    bars = [
        Bar(f"p={n_features}: all scores over one scikit-learn fit", seconds[ours] / seconds[one_fit], 2, at_most=True)
    ]
    for name in PEERS:
        ratio = seconds[f"1,770 refits, {name}"] / seconds[ours]
        bars.append(
            Bar(f"p={n_features}: {name} refits over all scores", ratio, LEAST_SPEEDUP[n_features], at_most=False)
        )
    return seconds, bars, checks


def measure_selection_and_null(n_voxels: int, rounds: int) -> tuple[dict[str, float], list[Bar], float]:
    rng = np.random.default_rng(0)
    data = simulate(25, n_voxels, rng)
    orders = np.array([rng.permutation(WORDS) for _ in range(DRAWS)])
    few = data.pairs[rng.choice(len(data.pairs), 3, replace=False)]
    selection, null = "500 most stable voxels of all folds", "null of 1,000 draws, selection and Gram matrices included"
    by_fold = "500 most stable voxels, fold by fold from scratch"
    refitted = "null of 1,000 draws, selecting and refitting in every fold"
    cases = {
        selection: Case(lambda: stable_targets(data.recording, data.pairs, KEPT)),
        null: Case(lambda: null_at_once(data, orders)),
        by_fold: Case(lambda: [_stable(data.recording, pair) for pair in few], len(few) / len(data.pairs)),
        refitted: Case(lambda: null_by_refitting(data, orders[0], few), len(few) / len(data.pairs) / DRAWS),
    }
    seconds = interleaved(cases, rounds)
    bars = [Bar(selection, seconds[selection], 4, at_most=True), Bar(null, seconds[null], 5, at_most=True)]
    return seconds, bars, float(np.quantile(null_at_once(data, orders), 0.95))


def main() -> None:
    pin_to_one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voxels", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    set_backend("numpy")
    report: dict[str, object] = {"machine": machine(), "voxels": options.voxels, "rounds": options.rounds}
    all_bars: list[Bar] = []
    for n_features in LEAST_SPEEDUP:
        seconds, bars, checks = measure(n_features, options.voxels, options.rounds)
        print(f"\n{n_features} features, {options.voxels:,} voxels\n{table(seconds)}\n{checks}")
        report[f"{n_features} features"] = {"seconds": seconds, "checks": checks}
        all_bars += bars
    seconds, bars, quantile = measure_selection_and_null(options.voxels, options.rounds)
    print(f"\nselection and null\n{table(seconds)}\n95th percentile of the null: {quantile:.3f}")
    report["selection and null"] = {"seconds": seconds, "95th percentile of the null": quantile}
    all_bars += bars
    print("\n" + "\n".join(map(str, all_bars)))
    report["bars"] = as_json(all_bars)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    sys.exit(not all(bar.kept for bar in all_bars))


if __name__ == "__main__":
    main()
