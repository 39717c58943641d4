"""What the code of docs/n400.md finds in its reader's session, block by block."""

from __future__ import annotations

from pathlib import Path


def block_1(folder: Path) -> dict[str, object]:
    """Nothing but the package."""
    return {}


def block_2(folder: Path) -> dict[str, object]:
    """A small experiment that has been simulated."""
    from neuroling.n400 import Alpha, mean_amplitude, repetition, simulate, trained_network

    network = trained_network(0)
    trials = repetition(network.lexicon, rng=0)
    acronyms = trials.subset(list(trials.labels[trials.table["kind"] == "acronym"]))
    recording = simulate(network, acronyms, alpha=Alpha(7.5))
    return {"trials": acronyms, "amplitude": mean_amplitude(recording, (0.29, 0.63))}
