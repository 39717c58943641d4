"""One small case of each benchmark, as ratios, held against those kept for this processor; at most five minutes.

    python benchmarks/quick.py [CASE ...] [--rounds N] [--keep]

Each case first holds our numbers against the slow way's, then both run in turn in this process, on one thread. The
ratio is the least CPU time of the slow way over our least: other work on a machine only ever adds to a time. Exits with
1 if a ratio has fallen by more than 15 % below the one kept in ``kept_ratios.json`` for this processor. ``--keep``
writes the ratios of this run there.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from common import Case, machine, pin_to_one_thread

if __name__ == "__main__":
    pin_to_one_thread()

import numpy as np

KEPT = Path(__file__).with_name("kept_ratios.json")
MOST_FALL = 0.15


@dataclass(frozen=True)
class Comparison:
    """Our way and the slow one, with how far their numbers differ and how far they may."""

    ours: Case
    theirs: Case
    difference: float
    allowed: float


def kernel_ridge() -> Comparison:
    """Search penalties with weights of samples, beside himalaya's class: 600 x 800 x 2,000."""
    import encoding_peers as peers

    X, Y = peers.story(600, 800, 2000)
    alphas = np.logspace(0, 6, 10).astype(np.float32)
    ours = peers.KernelRidgeCV(alphas, folds=peers.FOLDS, device="cpu")
    theirs = peers.himalaya(peers.HimalayaKernelRidgeCV, alphas)
    facts = peers.compare("kernel ridge", ours.fit(X, Y), theirs.fit(X, Y), Y)
    difference = facts["largest relative difference"]
    return Comparison(Case(lambda: ours.fit(X, Y)), Case(lambda: theirs.fit(X, Y)), difference, peers.EQUAL)


def ridge() -> Comparison:
    """Search penalties with weights of features, beside himalaya's class: 1,000 x 100 x 2,000."""
    import encoding_peers as peers

    X, Y = peers.story(1000, 100, 2000)
    alphas = np.logspace(0, 5, 10).astype(np.float32)
    ours = peers.RidgeCV(alphas, folds=peers.FOLDS, device="cpu")
    theirs = peers.himalaya(peers.HimalayaRidgeCV, alphas)
    facts = peers.compare("ridge", ours.fit(X, Y), theirs.fit(X, Y), Y)
    fit = Case(lambda: peers.with_weights(ours.fit(X, Y)), times=3)
    return Comparison(fit, Case(lambda: theirs.fit(X, Y)), facts["largest relative difference"], peers.EQUAL)


def banded_ridge() -> Comparison:
    """Search weightings of four bands, beside himalaya's random search: 400 x 4 x 64 x 1,000."""
    import encoding_peers as peers

    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 256), dtype=np.float32)
    Y = X @ rng.standard_normal((256, 1000), dtype=np.float32) / 16
    Y += np.float32(1.5) * rng.standard_normal(Y.shape, dtype=np.float32)
    X, Y = X - X.mean(0), (Y - Y.mean(0)) / Y.std(0)
    alphas = np.logspace(0, 5, 8).astype(np.float32)
    bands = {f"band {number}": slice(number * 64, (number + 1) * 64) for number in range(4)}
    search = peers.DirichletSearch(10)
    weightings = search.weightings(4).astype(np.float32)
    model = peers.BandedRidgeCV(bands, alphas, search=search, folds=peers.FOLDS, device="cpu").fit(X, Y)
    facts = peers._check_banded(model, X, Y, np.arange(0, 1000, 20), weightings)
    return Comparison(
        Case(lambda: model.fit(X, Y)),
        Case(lambda: peers.himalaya_bands(X, Y, bands, weightings, alphas)),
        facts["largest relative difference"],
        peers.EQUAL,
    )


def nested_penalties() -> Comparison:
    """Choose a penalty for each voxel inside each leave-two-out fold, beside refits: 60 x 25 x 4,000."""
    import encoding_peers as peers
    from sklearn.linear_model import RidgeCV

    rng = np.random.default_rng(0)
    pairs = np.array(list(combinations(range(60), 2)))
    splits = [(np.setdiff1d(np.arange(60), pair), pair) for pair in pairs]
    X = rng.standard_normal((60, 25))
    Y = X @ rng.standard_normal((25, 4000)) / 5 + 2 * rng.standard_normal((60, 4000))
    alphas = np.logspace(-2, 4, 10)
    model = peers.LeaveOneOutRidgeCV(alphas, device="cpu")
    some = [splits[number] for number in rng.choice(len(splits), 2, replace=False)]

    def refits() -> list[Any]:
        refit = RidgeCV(alphas, alpha_per_target=True)
        return [refit.fit(X[train], Y[train]).predict(X[test]) for train, test in some]

    predicted = list(model.held_out(X, Y, some))
    difference = max(np.abs(fast - slow).max() for fast, slow in zip(predicted, refits(), strict=True))
    return Comparison(
        Case(lambda: sum(1 for _ in model.held_out(X, Y, splits))),
        Case(refits, share=len(some) / len(splits)),
        float(difference),
        peers.EXACT,
    )


def leave_two_out() -> Comparison:
    """All 1,770 scores of 60 words, beside scikit-learn's refits: 25 features, 10,000 voxels."""
    import leave_two_out as benchmark

    rng = np.random.default_rng(0)
    data = benchmark.simulate(25, 10_000, rng)
    difference = benchmark.check(data, rng)["largest relative difference of held-out predictions"]
    folds = data.pairs[rng.choice(len(data.pairs), 20, replace=False)]
    refit = benchmark.PEERS["scikit-learn Ridge"]
    return Comparison(
        Case(lambda: benchmark.scores_at_once(data), times=20),
        Case(lambda: benchmark.predictions_by_refitting(data, refit, folds), share=len(folds) / len(data.pairs)),
        difference,
        1e-10,
    )


def encoding_null() -> Comparison:
    """1,000 relabelings at the penalties chosen, beside as many evaluations: 600 x 100 x 1,000."""
    import encoding_null as benchmark

    data = benchmark.story(600, 100, 1000)
    n_draws = 200
    null = benchmark.BlockPermutation(20, n_draws, keep_draws=False, keep_choices=True)

    def run(inference: object = None) -> object:
        return benchmark.evaluate(
            benchmark.MODEL, data, splits=benchmark.FOLDS, metric=benchmark.pearson, inference=inference
        )

    return Comparison(
        Case(lambda: run(null), share=n_draws / benchmark.DRAWS),
        Case(run, share=1 / benchmark.DRAWS),
        benchmark.check(data),
        1e-5,
    )


def response_functions() -> Comparison:
    """All folds and penalties of temporal response functions, beside MNE's loop: 2 features, 16 channels."""
    import encoding_trf as benchmark
    import mne

    mne.set_log_level("error")
    n_times = 1280
    x, y = benchmark.simulate(n_times, 2, 16)
    flat_x, flat_y = (side.transpose(1, 0, 2).reshape(n_times * benchmark.EPOCHS, -1) for side in (x, y))
    groups = np.repeat(np.arange(benchmark.EPOCHS), n_times)
    lags = benchmark.lags_between(benchmark.START_S, benchmark.STOP_S, benchmark.RATE_HZ)
    model = benchmark.TRF(lags, alphas=benchmark.ALPHAS, folds=benchmark.LeaveOneGroupOut(), device="cpu")
    held_out = model.fit(flat_x, flat_y, groups).fold_r_[0]
    fits = [(3, 6), (7, 9)]
    slow = [benchmark.theirs(x, y, fold, float(benchmark.ALPHAS[row])) for fold, row in fits]
    difference = max(np.abs(held_out[fit] / r - 1).max() for fit, r in zip(fits, slow, strict=True))
    fold, row = fits[0]
    return Comparison(
        Case(lambda: model.fit(flat_x, flat_y, groups)),
        Case(
            lambda: benchmark.theirs(x, y, fold, float(benchmark.ALPHAS[row])),
            share=1 / (benchmark.EPOCHS * len(benchmark.ALPHAS)),
        ),
        float(difference),
        benchmark.TOLERANCE,
    )


def families() -> Comparison:
    """Five feature spaces in one evaluation, beside five evaluations: 40 words, leave-two-out, permutations."""
    import evaluate_families as benchmark

    data, options = benchmark.cases()["pairs of words, permutations"]
    return Comparison(
        Case(lambda: benchmark.together(data, options)),
        Case(lambda: benchmark.apart(data, options)),
        benchmark.check(data, options),
        1e-6,
    )


def crossnobis_distances() -> Comparison:
    """Crossvalidated distances of 60 conditions, 64 channels, 40 times, 6 folds, beside rsatoolbox."""
    from rsa_peers import crossnobis, times_first
    from rsatoolbox.data import TemporalDataset
    from rsatoolbox.rdm import calc_rdm_movie

    rng = np.random.default_rng(0)
    n, n_times, n_part = 60, 40, 8
    x = 0.3 * rng.standard_normal((1, n, 64, 1)) + rng.standard_normal((6, n, 64, n_times))
    precision = np.linalg.inv(np.cov(rng.standard_normal((64, 500))) + 0.1 * np.eye(64))

    def theirs() -> Any:
        data = TemporalDataset(
            x[..., :n_part].reshape(6 * n, 64, n_part),
            obs_descriptors={"c": np.tile(np.arange(n), 6), "f": np.repeat(np.arange(6), n)},
            time_descriptors={"time": np.arange(n_part)},
        )
        movie = calc_rdm_movie(data, method="crossnobis", descriptor="c", cv_descriptor="f", noise=precision)
        return movie.dissimilarities

    def ours() -> Any:
        return crossnobis(times_first(x), precision)

    expected = theirs()
    difference = np.abs(ours()[:n_part] - expected).max() / expected.std()
    return Comparison(Case(ours, times=3), Case(theirs, share=n_part / n_times), float(difference), 1e-10)


def extraction() -> Comparison:
    """States of all layers of all words in 60 sentences at MiniLM's shape, beside one sentence at a time."""
    import features_batching as benchmark

    logging.getLogger("transformers").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        encoder = benchmark.make_encoder("minilm", Path(folder))
        plain = benchmark.BertModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation="sdpa").eval()
    words = benchmark.make_words(60, np.random.default_rng(0))

    def ours() -> Any:
        return benchmark.extract_word_features(words, encoder).values

    difference = float(np.abs(ours() - benchmark.plain_loop(encoder, plain, words)).max())
    return Comparison(Case(ours), Case(lambda: benchmark.plain_loop(encoder, plain, words)), difference, 1e-5)


def simulated_readers() -> Comparison:
    """Eight participants trained for three epochs in one batch, beside one after the other."""
    import n400_batch as benchmark

    lexicon = benchmark.make_lexicon(rng=0)
    training = benchmark.Training().with_epochs(3)

    def taught(participants: int) -> Any:
        return benchmark.train(lexicon, participants=participants, rng=0, training=training, device="cpu")

    trials = benchmark.repetition(lexicon, rng=0)
    network = taught(8)
    alone = network.participants(slice(3, 4))
    options = {"alpha": benchmark.Alpha(8), "allow_unlearned": True, "device": "cpu"}
    together, single = (benchmark.simulate(readers, trials, **options) for readers in (network, alone))
    difference = float(np.abs(together.values[:, 3] - single.values[:, 0]).max())
    return Comparison(Case(lambda: taught(8)), Case(lambda: taught(1), share=1 / 8), difference, 1e-5)


CASES: dict[str, Callable[[], Comparison]] = {
    "kernel ridge": kernel_ridge,
    "ridge": ridge,
    "banded ridge": banded_ridge,
    "nested penalties": nested_penalties,
    "leave-two-out": leave_two_out,
    "encoding null": encoding_null,
    "response functions": response_functions,
    "families": families,
    "crossnobis": crossnobis_distances,
    "extraction": extraction,
    "simulated readers": simulated_readers,
}


def least_seconds(comparison: Comparison, rounds: int) -> tuple[float, float]:
    """Run both ways in turn; give the least CPU seconds of ours and of theirs, scaled to the whole."""
    least = [np.inf, np.inf]
    for _ in range(rounds):
        for number, case in enumerate((comparison.ours, comparison.theirs)):
            start = time.process_time()
            for _ in range(case.times):
                case.run()
            spent = (time.process_time() - start) / case.share / case.times
            least[number] = min(least[number], spent)
    return float(least[0]), float(least[1])


def fallen(ratios: dict[str, float], kept: dict[str, float]) -> list[str]:
    """Say which ratios are more than the allowed part below those kept."""
    return [
        f"{name}: {ratio:.3g}, kept {kept[name]:.3g}"
        for name, ratio in ratios.items()
        if name in kept and ratio < (1 - MOST_FALL) * kept[name]
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", metavar="CASE", help=f"one of: {', '.join(CASES)}; all by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="keep the ratios of this run for this processor")
    options = parser.parse_args()
    unknown = sorted(set(options.case) - set(CASES))
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}; there are {', '.join(CASES)}")
    warnings.filterwarnings("ignore")
    all_kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    facts = machine()
    kept = all_kept.get(facts["processor"], {})
    ratios: dict[str, float] = {}
    for name in options.case or CASES:
        comparison = CASES[name]()
        if not comparison.difference <= comparison.allowed:
            sys.exit(f"{name}: differs from the slow way by {comparison.difference:.1e}; nothing is timed")
        ours, theirs = least_seconds(comparison, options.rounds)
        ratios[name] = theirs / ours
        beside = f"kept {kept[name]:.3g}" if name in kept else "none kept for this processor"
        print(
            f"{name:20s} {ours:9.4f} s against {theirs:9.3f} s: {ratios[name]:8.3g} times ({beside}); "
            f"difference {comparison.difference:.1e}",
            flush=True,
        )
    if options.keep:
        all_kept[facts["processor"]] = kept | {name: float(f"{ratio:.3g}") for name, ratio in ratios.items()}
        KEPT.write_text(json.dumps(all_kept, indent=1, sort_keys=True) + "\n")
    slower = [] if options.keep else fallen(ratios, kept)
    for line in slower:
        print(f"FALLEN by more than {MOST_FALL:.0%}: {line}")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
