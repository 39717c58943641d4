"""Participants trained and simulated in one batch against a loop over them; a large simulation in bounded memory.

    python benchmarks/n400_batch.py [--participants N] [--epochs N] [--device cpu|cuda] [--large N]

Bar: training all participants in one batch, with as many epochs as by default, and simulating them costs at most a
third of the CPU time of the loop, which runs the very same program on one participant after the other. Few epochs are
measured and scaled, since every epoch costs the same; both parts are printed too. Exits with 1 if the bar is missed.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from neuroling.n400 import Alpha, Network, Training, make_lexicon, repetition, simulate, train

BAR = 1 / 3
MOST_MEMORY = 2.0  # GiB: one for activations, which simulate() is bound to by default, and one for all the rest


def seconds(work: Callable[[], object], clock: Callable[[], float], rounds: int = 3) -> float:
    """Least time of a few runs, so that other work on the machine counts little."""
    found = []
    for _ in range(rounds):
        start = clock()
        work()
        found.append(clock() - start)
    return min(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--participants", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--large", type=int, default=1000, help="participants of the large simulation; 0 for none")
    options = parser.parse_args()
    on_cpu = options.device == "cpu"
    clock, kind = (time.process_time, "CPU") if on_cpu else (time.perf_counter, "wall")
    lexicon = make_lexicon(rng=0)
    trials = repetition(lexicon, rng=0)
    training = Training().with_epochs(options.epochs)

    def taught(participants: int) -> Network:
        return train(lexicon, participants=participants, rng=0, training=training, device=options.device)

    def simulated(network: Network) -> object:
        return simulate(network, trials, alpha=Alpha(8), allow_unlearned=True, device=options.device)

    n = options.participants
    network = taught(n)
    one = network.participants(slice(0, 1))
    simulated(one)  # the first call pays for what is loaded late
    works = {
        f"training, {options.epochs} epochs": (lambda: taught(1), lambda: taught(n)),
        f"simulating {len(trials)} trials": (lambda: simulated(one), lambda: simulated(network)),
    }
    whole, gibibytes = np.zeros(2), 0.0
    for times, (name, (alone, together)) in zip((Training().epochs / options.epochs, 1.0), works.items(), strict=True):
        loop, batch = n * seconds(alone, clock), seconds(together, clock)  # the loop is linear in participants
        whole += times * np.array([loop, batch])
        print(f"{name}: loop over {n} {loop:.2f} s, batch {batch:.2f} s {kind}; ratio {batch / loop:.3f}")
    ratio = whole[1] / whole[0]
    print(
        f"both, {Training().epochs} epochs: loop {whole[0]:.1f} s, batch {whole[1]:.1f} s {kind}; ratio {ratio:.3f} "
        f"(bar {BAR:.3f})"
    )
    if options.large:
        many = network.participants(np.arange(options.large) % n)
        start = clock()
        recording = simulate(many, trials, alpha=Alpha(8), allow_unlearned=True, device=options.device)
        gibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{options.large} participants × {len(trials)} trials in a call: {clock() - start:.1f} s {kind}, "
            f"{recording.nbytes / 2**20:.0f} MiB of responses, peak memory {gibibytes:.2f} GiB "
            f"(bar {MOST_MEMORY:.0f})"
        )
    return int(ratio > BAR or gibibytes > MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
