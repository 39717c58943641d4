"""Temporal response functions against MNE's loop: 13 penalties × 10 folds of epochs.

    python benchmarks/encoding_trf.py [--seconds 40] [--channels 64] [--features 4] [--rounds 2] [--json FILE]

First every sampled score of the loop is held against ours, then both are timed in one process, taking turns. The loop
runs a random sample of its 130 fits and is scaled to all of them. Exits with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import mne
import numpy as np
import torch
from common import Bar, Case, as_json, interleaved, machine, pin_to_one_thread, table
from mne.decoding import ReceptiveField
from numpy.typing import NDArray
from sklearn.model_selection import LeaveOneGroupOut

from neuroling import TRF
from neuroling.encoding import lags_between

RATE_HZ, START_S, STOP_S, EPOCHS = 128.0, -0.1, 0.5, 10
ALPHAS = np.logspace(-2, 6, 13)
SAMPLED_FITS = 6
LEAST_SPEEDUP, TOLERANCE = 10.0, 1e-5

Array = NDArray[np.float64]


def simulate(n_times: int, n_features: int, n_channels: int) -> tuple[Array, Array]:
    """Smooth features and a recording that answers to them, (time, epoch, feature) and (time, epoch, channel)."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n_times, EPOCHS, n_features))
    for row in range(1, n_times):
        x[row] += 0.9 * x[row - 1]
    y = 5 * rng.standard_normal((n_times, EPOCHS, n_channels))
    for lag in range(0, 40, 4):
        y[lag:] += x[: n_times - lag] @ rng.standard_normal((n_features, n_channels)) * 0.2
    return x, y


def theirs(x: Array, y: Array, fold: int, alpha: float) -> Array:
    """One fit of the loop: train on all epochs but one, correlate in that one."""
    train = np.delete(np.arange(EPOCHS), fold)
    field = ReceptiveField(START_S, STOP_S, RATE_HZ, estimator=alpha, scoring="corrcoef")
    field.fit(x[:, train], y[:, train])
    return np.asarray(field.score(x[:, [fold]], y[:, [fold]]))


def main() -> None:
    pin_to_one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40.0, help="length of an epoch")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--features", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    mne.set_log_level("error")
    n_times = round(options.seconds * RATE_HZ)
    x, y = simulate(n_times, options.features, options.channels)
    flat_x, flat_y = (side.transpose(1, 0, 2).reshape(n_times * EPOCHS, -1) for side in (x, y))
    groups = np.repeat(np.arange(EPOCHS), n_times)
    model = TRF(lags_between(START_S, STOP_S, RATE_HZ), alphas=ALPHAS, folds=LeaveOneGroupOut(), device="cpu")

    chosen = np.random.default_rng(1).permutation(len(ALPHAS) * EPOCHS)[:SAMPLED_FITS]
    pairs = [(int(number) % EPOCHS, int(number) // EPOCHS) for number in chosen]
    found = model.fit(flat_x, flat_y, groups).fold_r_[0]
    errors = [float(np.abs(found[fold, row] / theirs(x, y, fold, float(ALPHAS[row])) - 1).max()) for fold, row in pairs]
    print(f"largest relative difference of {len(pairs)} × {options.channels} held-out r: {max(errors):.1e}")
    if max(errors) > TOLERANCE:
        sys.exit("The scores differ; nothing is timed.")

    cases = {
        "neuroling TRF, all folds and penalties": Case(lambda: model.fit(flat_x, flat_y, groups)),
        "MNE ReceptiveField, the loop": Case(
            lambda: [theirs(x, y, fold, float(ALPHAS[row])) for fold, row in pairs[:2]],
            share=2 / (len(ALPHAS) * EPOCHS),
        ),
    }
    seconds = interleaved(cases, options.rounds)
    ours, loop = seconds.values()
    bars = [Bar("times faster than MNE's loop", loop / ours, LEAST_SPEEDUP, at_most=False)]
    n_lags = len(model.lags_)
    shape = (
        f"{EPOCHS} epochs × {n_times} samples, {options.features} features × {n_lags} lags, {options.channels} channels"
    )
    print(f"\n{shape}\n{table(seconds)}\n{bars[0]}")
    if options.json:
        report = {"machine": machine() | {"mne": mne.__version__}, "shape": shape, "seconds": seconds}
        options.json.write_text(
            json.dumps({**report, "difference": max(errors), "bars": as_json(bars)}, indent=1) + "\n"
        )
    sys.exit(not all(bar.kept for bar in bars))


if __name__ == "__main__":
    main()
