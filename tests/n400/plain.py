"""Network and alpha dynamics in plain numpy, one participant and one trial at a time: slow, and easy to believe."""

from __future__ import annotations

import numpy as np

LAYERS = ("orthography", "hidden", "semantics")


def logistic(x):
    return 1 / (1 + np.exp(-x))


def limited(drive, clock, alpha):
    """One unit, one tick: activation and clock; None for a clock that does not run."""
    if clock is not None:
        clock += 1
    elif drive > alpha.threshold:
        clock = 0
    if clock is None:
        return drive, None
    peak = 1.0 if alpha.scale is None else alpha.scale * alpha.time_constant / np.e
    envelope = peak * clock / alpha.time_constant * np.exp(1 - clock / alpha.time_constant)
    activation = drive
    if drive > alpha.threshold and alpha.mode == "scale":
        activation = alpha.threshold + (drive - alpha.threshold) * envelope
    elif drive > alpha.threshold:
        activation = min(drive, max(envelope, alpha.threshold))
    if alpha.rearm and clock > alpha.time_constant and envelope < alpha.threshold:
        clock = None
    return activation, clock


def semantic_trace(network, participant, shown, alpha):
    """Semantic layer, shape (tick, unit), of one participant who sees one pattern a tick (None for a blank).

    Before them comes the blank of training trials, from silence and without any envelope; it is not returned.
    """
    blank = network.training.blank
    w = {name: values[participant].astype(np.float64) for name, values in network.weights.items()}
    architecture = network.architecture
    rates = architecture.bank_rates()
    drive = {name: np.zeros(w[f"{name}.bias"].shape[1]) for name in LAYERS}
    active = {name: np.zeros_like(drive[name]) for name in LAYERS}
    bank = {name: np.zeros(len(rate)) for name, rate in zip(LAYERS, rates, strict=True)}
    clock = {name: [None] * len(drive[name]) for name in LAYERS}
    trace = []
    for tick, pattern in enumerate([None] * blank + list(shown)):
        letters = np.zeros(network.lexicon.n_units) if pattern is None else pattern
        old_active, old_bank = dict(active), {name: values.copy() for name, values in bank.items()}
        for place, name in enumerate(LAYERS):
            below = letters if place == 0 else old_active[LAYERS[place - 1]]
            net = w[f"{name}.bias"][0] + below @ w[f"{name}.forward"] - old_bank[name] @ w[f"{name}.from_bank"]
            drive[name] = drive[name] + architecture.rate * (logistic(net) - drive[name])
            inhibition = logistic(w[f"{name}.bank_bias"][0] + old_active[name] @ w[f"{name}.to_bank"])
            bank[name] = old_bank[name] + rates[place] * (inhibition - old_bank[name])
            active[name] = drive[name].copy()
            if alpha is not None and tick >= blank and name in alpha.layers:
                for unit in range(len(drive[name])):
                    active[name][unit], clock[name][unit] = limited(drive[name][unit], clock[name][unit], alpha)
        trace.append(active["semantics"].copy())
    return np.array(trace[blank:])
