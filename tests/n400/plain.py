"""Network, alpha dynamics and losses in plain numpy, one participant and trial at a time: slow, and easy to believe."""

from __future__ import annotations

import numpy as np

LAYERS = ("orthography", "hidden", "semantics")


def logistic(x):
    return 1 / (1 + np.exp(-x))


def limited(drive, clock, alpha):
    """One unit, one tick: activation and clock; None for a clock that does not run."""
    above = drive > alpha.threshold
    if alpha.reset == "inactive" and not above:
        return drive, None
    if clock is not None:
        clock += 1
    elif above:
        clock = 0
    if clock is None:
        return drive, None
    peak = 1.0 if alpha.scale is None else alpha.scale * alpha.time_constant / np.e
    envelope = peak * clock / alpha.time_constant * np.exp(1 - clock / alpha.time_constant)
    activation = drive
    if above and alpha.mode == "scale":
        activation = alpha.threshold + (drive - alpha.threshold) * envelope
    elif above:
        activation = min(drive, max(envelope, alpha.threshold))
    if alpha.reset == "recovered" and clock > alpha.time_constant and envelope < alpha.threshold:
        clock = None
    return activation, clock


class PlainReader:
    """One participant: its weights, and where its units are."""

    def __init__(self, network, participant):
        self.w = {name: values[participant].astype(np.float64) for name, values in network.weights.items()}
        self.rates, self.bank_rates = network.architecture.rates, network.architecture.bank_rates()
        self.n_units = network.lexicon.n_units
        self.drive = {name: np.zeros(self.w[f"{name}.bias"].shape[1]) for name in LAYERS}
        self.active = {name: np.zeros_like(self.drive[name]) for name in LAYERS}
        self.bank = {name: np.zeros(len(rate)) for name, rate in zip(LAYERS, self.bank_rates, strict=True)}
        self.clock = {name: [None] * len(self.drive[name]) for name in LAYERS}

    def tick(self, pattern, alpha):
        """Show a pattern, or None for a blank."""
        w, letters = self.w, np.zeros(self.n_units) if pattern is None else pattern
        active, bank = dict(self.active), {name: values.copy() for name, values in self.bank.items()}
        for place, name in enumerate(LAYERS):
            below = letters if place == 0 else active[LAYERS[place - 1]]
            net = w[f"{name}.bias"][0] + below @ w[f"{name}.forward"] - bank[name] @ w[f"{name}.from_bank"]
            self.drive[name] = self.drive[name] + self.rates[place] * (logistic(net) - self.drive[name])
            inhibition = logistic(w[f"{name}.bank_bias"][0] + active[name] @ w[f"{name}.to_bank"])
            self.bank[name] = bank[name] + self.bank_rates[place] * (inhibition - bank[name])
            self.active[name] = self.drive[name].copy()
            if alpha is not None and name in alpha.layers:
                for unit in range(len(self.drive[name])):
                    self.active[name][unit], self.clock[name][unit] = limited(
                        self.drive[name][unit], self.clock[name][unit], alpha
                    )


def semantic_trace(network, participant, shown, alpha):
    """Semantic layer, shape (tick, unit), of one participant who sees one pattern a tick (None for a blank).

    Before them comes the blank that trials start after, from silence and without any envelope; it is not returned.
    """
    reader = PlainReader(network, participant)
    for _ in range(network.training.blank):
        reader.tick(None, None)
    trace = []
    for pattern in shown:
        reader.tick(pattern, alpha)
        trace.append(reader.active["semantics"].copy())
    return np.array(trace)


def epoch_losses(network, participant, epochs):
    """Loss of every epoch of a stream, by the formula in ``loss_of_epoch``: loops over streams, ticks and units."""
    training, lexicon = network.training, network.lexicon
    known = list(lexicon.known)
    frequency = lexicon.table.loc[known, "frequency"].to_numpy(float) ** training.frequency_exponent
    weight = frequency / frequency.sum()
    readers, losses = None, []
    for epoch in epochs:
        stage, n = epoch.stage, len(epoch.strings)
        if readers is None or epoch.restart:
            readers = [PlainReader(network, participant) for _ in range(n)]
            for reader in readers:
                for _ in range(training.blank):
                    reader.tick(None, None)
        total = 0.0
        for reader, item in zip(readers, epoch.strings, strict=True):
            total += plain_stream(reader, lexicon, known[item], weight[item], epoch, stage, training)
        losses.append(total)
    return np.array(losses)


def plain_stream(reader, lexicon, string, weight, epoch, stage, training):
    """Loss of one stream in one epoch, its share of the means over streams included."""
    n = len(epoch.strings)
    letters, meaning = lexicon.spell([string])[0], lexicon.meaning([string])[0]
    for _ in range(epoch.blank):
        reader.tick(None, epoch.alpha)
    loss = 0.0
    for name in ("orthography", "hidden"):
        loss += training.rest_cost * (np.maximum(reader.drive[name] - training.rest_level, 0) ** 2).sum() / n
    if epoch.blank >= training.semantic_rest_from:
        over = np.maximum(reader.drive["semantics"] - training.semantic_rest_level, 0)
        loss += stage.semantic_rest_cost * (over**2).sum() / n
    first, last = (stage.error_from, epoch.shown) if epoch.alpha is None else training.alpha_ticks
    last = min(last, epoch.shown)
    for tick in range(epoch.shown):
        reader.tick(letters, epoch.alpha)
        own = np.clip(np.where(meaning == 1, reader.active["semantics"], 1 - reader.active["semantics"]), 1e-5, 1)
        loss += stage.activity_cost * max(reader.active["semantics"].mean() - stage.activity_limit, 0) ** 2 / n
        if tick >= training.spelled_from:
            guess = logistic(reader.w["letters.bias"][0] + reader.active["orthography"] @ reader.w["letters.forward"])
            surprise = -np.log(np.where(letters == 1, guess, 1 - guess)).sum()
            loss += training.autoencoding * weight * surprise / (epoch.shown - training.spelled_from)
        if first <= tick < last:
            loss -= weight * np.log(np.minimum(own, 1 - 1e-5)).sum() / (last - first)
        elif stage.misses_from <= tick < first:
            loss -= stage.misses * weight * np.log(own[meaning == 1]).sum() / (first - stage.misses_from)
    return loss
