"""Participants trained in one batch against a loop over them; a large simulation within a memory bound.

    python benchmarks/n400_batch.py [--participants N] [--epochs N] [--device cpu|cuda] [--large N]

Bar: training and simulating all participants in one batch costs at most a third of the CPU time of the loop. Few epochs
are enough, since every epoch costs the same. Exits with 1 if the bar is missed.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from neuroling.n400.alpha import Alpha
from neuroling.n400.experiments import repetition
from neuroling.n400.lexicon import make_lexicon
from neuroling.n400.network import Network, Training, train
from neuroling.n400.simulate import simulate

BAR = 1 / 3


def cpu_seconds(work: Callable[[], object], rounds: int = 3) -> float:
    """Least CPU time of a few runs, so that other work on the machine counts little."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--participants", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--large", type=int, default=1000, help="participants of the large simulation; 0 for none")
    options = parser.parse_args()
    lexicon = make_lexicon(rng=0)
    trials = repetition(lexicon, rng=0)
    training = Training(epochs=options.epochs)

    def whole(participants: int, batch: int) -> Network:
        network = train(
            lexicon, participants=participants, rng=0, training=training, device=options.device, batch=batch
        )
        for start in range(0, participants, batch):
            some = network.participants(slice(start, start + batch))
            simulate(some, trials, alpha=Alpha(8), allow_unlearned=True, device=options.device)
        return network

    n = options.participants
    few = max(2, n // 6)  # the loop is linear in participants: a sixth of it is enough
    loop = cpu_seconds(lambda: whole(few, 1)) * n / few
    batch = cpu_seconds(lambda: whole(n, n))
    print(
        f"{n} participants, {options.epochs} epochs, {len(trials)} trials: loop {loop:.1f} s, batch {batch:.1f} s CPU"
    )
    print(f"ratio {batch / loop:.3f} (bar {BAR:.3f}), {loop / batch:.1f} times as fast")
    if options.large:
        network = whole(n, n).participants(np.arange(options.large) % n)
        start = time.process_time()
        recording = simulate(network, trials, alpha=Alpha(8), allow_unlearned=True, device=options.device)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{options.large} participants × {len(trials)} trials in a call: {time.process_time() - start:.1f} s CPU, "
            f"{recording.nbytes / 2**20:.0f} MiB of responses, peak {peak:.1f} GiB"
        )
    return int(batch / loop > BAR)


if __name__ == "__main__":
    sys.exit(main())
