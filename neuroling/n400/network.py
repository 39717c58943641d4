"""The ERP model: a reading network with separate excitation and inhibition, trained for many participants at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray

from neuroling.n400.alpha import LAYERS
from neuroling.n400.dynamics import Layer, Tensors, arrange, project, start, step
from neuroling.n400.lexicon import Lexicon
from neuroling.n400.loss import cross_entropy, cross_entropy_of_logits
from neuroling.numerics.device import resolve_device, to_tensor

Array = NDArray[np.floating]

CONSTRAINED = ("forward", "to_bank", "from_bank")
"""Weights that are never negative."""


@dataclass(frozen=True)
class Architecture:
    """Sizes and rates of a network.

    The sizes of the layers are published (figure 1 of Laszlo and Armstrong 2014), and so is that inhibition has fast
    and slow units and fewer than excitation. The sizes of the banks, all rates and all ranges of initial weights are
    inferred: with them the response rises and falls, and words are learned.

    Parameters
    ----------
    orthography, hidden : int
        Excitatory units; semantics has as many as the lexicon's meanings.
    fast, slow : tuple of int
        Fast and slow inhibitory units of orthography, hidden layer and semantics.
    rate, fast_rate, slow_rate : float
        Share of the way to its target that a unit goes in a tick: excitatory, fast and slow inhibitory. Fast
        inhibition is as fast as excitation. Where it is faster (1.0), it cuts the response short before the right
        units are on, and these bring about a second rise (decision 0028).
    forward_range, to_bank_range, from_bank_range : float
        Upper ends of the uniform initial weights, divided by the square root of the number of sources, by that number,
        and by the size of the bank.
    bias : float
        Initial bias of all units.
    """

    orthography: int = 20
    hidden: int = 50
    fast: tuple[int, int, int] = (4, 10, 10)
    slow: tuple[int, int, int] = (4, 10, 10)
    rate: float = 0.3
    fast_rate: float = 0.3
    slow_rate: float = 0.2
    forward_range: float = 1.0
    to_bank_range: float = 3.0
    from_bank_range: float = 2.0
    bias: float = -2.0

    def __post_init__(self) -> None:
        if min(self.orthography, self.hidden) < 1:
            raise ValueError(f"orthography, hidden: got {self.orthography} and {self.hidden}; expected 1 unit or more.")
        for name in ("fast", "slow"):
            sizes = getattr(self, name)
            if len(sizes) != len(LAYERS) or min(sizes) < 0:
                raise ValueError(f"{name}: got {sizes}; expected a number of units, 0 or more, for each of {LAYERS}.")
        for name in ("forward_range", "to_bank_range", "from_bank_range", "bias"):
            value = getattr(self, name)
            if not np.isfinite(value) or (value < 0 and name != "bias"):
                raise ValueError(f"{name}: got {value}; expected a finite number, and a range of 0 or more.")
        for name in ("rate", "fast_rate", "slow_rate"):
            value = getattr(self, name)
            if not 0 < value <= 1:
                raise ValueError(
                    f"{name}: got {value}; expected more than 0 and at most 1, the share of the way gone in a tick "
                    "(the time constant is one over it, in ticks)."
                )

    @property
    def banks(self) -> tuple[int, ...]:
        """Inhibitory units of each layer."""
        return tuple(fast + slow for fast, slow in zip(self.fast, self.slow, strict=True))

    def bank_rates(self) -> list[NDArray[np.float64]]:
        """Give the rates of the inhibitory units of each layer, fast ones first."""
        pairs = zip(self.fast, self.slow, strict=True)
        return [np.repeat([self.fast_rate, self.slow_rate], pair) for pair in pairs]


@dataclass(frozen=True)
class Training:
    """How a network learns; all of it inferred, since the papers' training was not at hand.

    Parameters
    ----------
    epochs : int
        Passes over the known items.
    learning_rate : float
        Of Adam; a fifth of it in the last three tenths.
    decay : float
        Share that the forward weights lose each epoch.
    ticks : int
        Ticks that a string is on in a training trial.
    blank : int
        Ticks of nothing before it, and before the first string of every trial of an experiment. With 0, trials start
        with all inhibitory units silent, as they never are again: what comes after a blank then meets a network in a
        state that it was not trained from, and answers with a wave of many units before it reads (``docs/n400.md``).
    error_from : int
        First tick that counts.
    autoencoding : float
        Weight of the orthographic layer's error in reproducing the letters. Letters that share units need a strong
        one: with 3 or less, strings with many neighbours do not get a larger response (with 20 they do).
    frequency_weighted : bool
        Whether the error of an item counts as often as the item is met.
    """

    epochs: int = 1300
    learning_rate: float = 0.03
    decay: float = 0.001
    ticks: int = 20
    blank: int = 14
    error_from: int = 4
    autoencoding: float = 20.0
    frequency_weighted: bool = True

    def __post_init__(self) -> None:
        if self.epochs < 1 or not self.learning_rate > 0 or not 0 <= self.decay < 1 or not self.autoencoding >= 0:
            raise ValueError(
                f"training: got {self}; expected epochs of 1 or more, a positive learning_rate, 0 <= decay < 1 and "
                "autoencoding of 0 or more."
            )
        if self.blank < 0:
            raise ValueError(f"blank: got {self.blank}; expected 0 ticks or more.")
        if not 0 <= self.error_from < self.ticks:
            raise ValueError(f"error_from: got {self.error_from}; expected 0 to {self.ticks - 1}, within the trial.")


@dataclass(frozen=True)
class Network:
    """Simulated participants who have learned one lexicon.

    Attributes
    ----------
    lexicon : Lexicon
        What they were taught.
    architecture : Architecture
        Sizes and rates.
    weights : mapping of ndarray, shape (participant, …)
        Named ``LAYER.forward`` and so on; see :mod:`neuroling.n400.dynamics`.
    training : Training
        How they learned.
    loss : ndarray, shape (epoch, participant)
        Error while learning.
    """

    lexicon: Lexicon
    architecture: Architecture
    weights: Mapping[str, Array]
    training: Training = field(default_factory=Training)
    loss: Array = field(default_factory=lambda: np.empty((0, 0)))

    def __post_init__(self) -> None:
        self._check_shapes()
        for name, values in self.weights.items():
            bad = int((~np.isfinite(values)).sum())
            if bad:
                raise ValueError(f"weights: {bad} of {values.size} values of {name!r} are NaN or infinite.")

    def _check_shapes(self) -> None:
        expected = {name: values.shape for name, values in _initial(self.lexicon, self.architecture, None).items()}
        if set(self.weights) != set(expected):
            missing, odd = sorted(set(expected) - set(self.weights)), sorted(set(self.weights) - set(expected))
            raise ValueError(f"weights: {missing} are missing and {odd} unknown; expected {sorted(expected)}.")
        counts = {values.shape[0] for values in self.weights.values()}
        wrong = [name for name, values in self.weights.items() if values.shape[1:] != expected[name]]
        if wrong or len(counts) > 1 or 0 in counts:
            name = wrong[0] if wrong else "semantics.bias"
            raise ValueError(
                f"weights: {name!r} has shape {self.weights[name].shape}, and there are weights of {sorted(counts)} "
                f"participants; expected (participant, {', '.join(map(str, expected[name]))}), one participant or more."
            )

    @property
    def n_participants(self) -> int:
        """Number of simulated participants."""
        return len(self.weights["semantics.bias"])

    def participants(self, rows: slice | NDArray[np.intp]) -> Network:
        """Pick participants.

        Parameters
        ----------
        rows : slice or ndarray of int
            Which.
        """
        return Network(
            self.lexicon,
            self.architecture,
            {name: values[rows] for name, values in self.weights.items()},
            self.training,
            self.loss[:, rows],
        )

    def accuracy(self, device: str = "auto", *, blank: int | None = None) -> NDArray[np.float64]:
        """Say how many known items are read right by the end of a trial: every semantic unit on its own side of 0.5.

        Parameters
        ----------
        device : str
            Where to compute.
        blank : int, optional
            Ticks of nothing before each item, by default as many as in training.

        Returns
        -------
        ndarray, shape (participant,)
            Share of words and acronyms.
        """
        weights, layers = on_device(self.weights, self.architecture, device)
        letters, meaning = _targets(self.lexicon, layers[0])
        rate = self.architecture.rate
        state = start(layers, letters.shape[1], rate=rate, blank=self.training.blank if blank is None else blank)
        seen = project(weights, letters)
        for _ in range(self.training.ticks):
            state = step(seen, state, layers, rate, None)
        right = (state.activation[-1] > 0.5) == (meaning > 0.5)
        return np.asarray(right.all(dim=2).double().mean(dim=1).cpu().numpy())


def train(
    lexicon: Lexicon,
    *,
    participants: int,
    rng: int | np.random.Generator,
    architecture: Architecture | None = None,
    training: Training | None = None,
    device: str = "auto",
    batch: int | None = None,
) -> Network:
    """Teach one lexicon to many simulated participants at once, by back-propagation through time.

    Participants differ in their initial weights, which come from a generator of each one's own: who learns beside them
    changes nothing but the last digits.

    Parameters
    ----------
    lexicon : Lexicon
        What they learn.
    participants : int
        How many.
    rng : int or numpy.random.Generator
        Source of the initial weights.
    architecture, training : optional
        Sizes, rates and procedure.
    device : str
        Where to compute.
    batch : int, optional
        Participants trained at a time, for memory; all by default.

    Returns
    -------
    Network

    Examples
    --------
    >>> from neuroling.n400.lexicon import make_lexicon
    >>> lexicon = make_lexicon(rng=0, n_words=8, n_acronyms=2, n_pseudowords=2, n_illegal=2)
    >>> train(lexicon, participants=2, rng=0, training=Training(epochs=5)).n_participants
    2
    """
    architecture, training = architecture or Architecture(), training or Training()
    if participants < 1:
        raise ValueError(f"participants: got {participants}; expected 1 or more.")
    if batch is not None and batch < 1:
        raise ValueError(f"batch: got {batch}; expected 1 participant or more at a time.")
    generators = np.random.default_rng(rng).spawn(participants)
    size = participants if batch is None else batch
    runs = [
        _train_batch(lexicon, generators[start : start + size], architecture, training, device)
        for start in range(0, participants, size)
    ]
    weights = {name: np.concatenate([run[0][name] for run in runs]) for name in runs[0][0]}
    return Network(lexicon, architecture, weights, training, np.concatenate([run[1] for run in runs], axis=1))


def on_device(
    weights: Mapping[str, Array], architecture: Architecture, device: str
) -> tuple[dict[str, torch.Tensor], list[Layer]]:
    """Bring the weights of a network to a device.

    Parameters
    ----------
    weights : mapping of ndarray
        Of a network.
    architecture : Architecture
        Its rates.
    device : str
        Where to.

    Returns
    -------
    tuple of (dict of Tensor, list of Layer)
    """
    where = resolve_device(device)
    tensors = {name: to_tensor(values, where) for name, values in weights.items()}
    return tensors, arrange(tensors, _rates(architecture, tensors["semantics.bias"]))


def _rates(architecture: Architecture, like: torch.Tensor) -> list[torch.Tensor]:
    return [torch.as_tensor(rate, dtype=like.dtype, device=like.device) for rate in architecture.bank_rates()]


def _initial(lexicon: Lexicon, architecture: Architecture, rng: np.random.Generator | None) -> dict[str, Array]:
    """Draw the weights of one participant; without a generator all zeros, for their shapes."""

    def uniform(low: float, high: float, shape: tuple[int, int]) -> Array:
        return np.zeros(shape) if rng is None else rng.uniform(low, high, shape)

    sizes = (lexicon.n_units, architecture.orthography, architecture.hidden, lexicon.semantics.shape[1])
    weights: dict[str, Array] = {}
    for name, below, size, bank in zip(LAYERS, sizes, sizes[1:], architecture.banks, strict=False):
        weights[f"{name}.forward"] = uniform(0, architecture.forward_range / sqrt(below), (below, size))
        weights[f"{name}.bias"] = np.full((1, size), architecture.bias)
        weights[f"{name}.to_bank"] = uniform(0, architecture.to_bank_range / size, (size, bank))
        weights[f"{name}.from_bank"] = uniform(0, architecture.from_bank_range / max(bank, 1), (bank, size))
        weights[f"{name}.bank_bias"] = np.full((1, bank), architecture.bias)
    weights["letters.forward"] = uniform(-0.5, 0.5, (architecture.orthography, lexicon.n_units))
    weights["letters.bias"] = np.zeros((1, lexicon.n_units))
    return weights


def _targets(lexicon: Lexicon, layer: Layer) -> tuple[torch.Tensor, torch.Tensor]:
    """Give letters (1, item, unit) and meanings (1, item, unit) of the known items."""
    letters = torch.as_tensor(lexicon.spell(list(lexicon.known)), dtype=layer.bias.dtype, device=layer.bias.device)
    meaning = torch.as_tensor(lexicon.semantics, dtype=layer.bias.dtype, device=layer.bias.device)
    return letters[None], meaning[None]


def _train_batch(
    lexicon: Lexicon,
    generators: list[np.random.Generator],
    architecture: Architecture,
    training: Training,
    device: str,
) -> tuple[dict[str, Array], Array]:
    drawn = [_initial(lexicon, architecture, generator) for generator in generators]
    where = resolve_device(device)
    weights = {
        name: torch.as_tensor(np.stack([one[name] for one in drawn]), dtype=torch.float32, device=where)
        for name in drawn[0]
    }
    for values in weights.values():
        values.requires_grad_()
    rates = _rates(architecture, weights["semantics.bias"])
    optimizer = torch.optim.Adam(list(weights.values()), lr=training.learning_rate)
    losses = []
    for epoch in range(training.epochs):
        slow = epoch > 0.7 * training.epochs
        optimizer.param_groups[0]["lr"] = training.learning_rate * (0.2 if slow else 1.0)
        optimizer.zero_grad(set_to_none=True)
        loss = _loss(lexicon, weights, rates, architecture, training)
        loss.sum().backward()  # type: ignore[no-untyped-call]  # torch declares no types here
        _clip(weights)
        optimizer.step()
        _constrain(weights, training.decay)
        losses.append(loss.detach())
    trained = {name: values.detach().cpu().numpy() for name, values in weights.items()}
    return trained, torch.stack(losses).cpu().numpy()


def _loss(
    lexicon: Lexicon,
    weights: dict[str, torch.Tensor],
    rates: list[torch.Tensor],
    architecture: Architecture,
    training: Training,
) -> torch.Tensor:
    """Cross-entropy of meanings and letters over the ticks that count, shape (participant,)."""
    layers = arrange(weights, rates)
    letters, meaning = _targets(lexicon, layers[0])
    weight = _item_weights(lexicon, training).to(letters) / letters.shape[1]
    state = start(layers, letters.shape[1], rate=architecture.rate, blank=training.blank)
    seen = project(weights, letters)
    spelled, read = [], []
    for tick in range(training.ticks):
        state = step(seen, state, layers, architecture.rate, None)
        if tick >= training.error_from:
            spelled.append(state.activation[0])
            read.append(state.activation[-1])
    error = cross_entropy(read, meaning[0], weight)
    logits = _spell_back(torch.stack(spelled, dim=1), weights)
    spelling = cross_entropy_of_logits(logits, letters[0], weight)
    return (error + training.autoencoding * spelling) / len(read)


def _spell_back(orthography: torch.Tensor, weights: Tensors) -> torch.Tensor:
    """Guess letters from the orthographic layer (participant, tick, item, unit), all ticks in one product."""
    people, ticks, items, _ = orthography.shape
    flat = torch.baddbmm(weights["letters.bias"], orthography.flatten(1, 2), weights["letters.forward"])
    return flat.view(people, ticks, items, -1)


def _item_weights(lexicon: Lexicon, training: Training) -> torch.Tensor:
    """Relative frequency of the known items, mean 1, shape (item,)."""
    if not training.frequency_weighted:
        return torch.ones(len(lexicon.known))
    frequency = lexicon.table.loc[lexicon.known, "frequency"].to_numpy(dtype=np.float64)
    return torch.as_tensor(frequency / frequency.mean())


def _clip(weights: Mapping[str, torch.Tensor]) -> None:
    """Bring gradients longer than 1 to length 1, for each participant by itself."""
    for values in weights.values():
        if values.grad is not None and values.grad.numel():
            length = values.grad.flatten(1).norm(dim=1).clamp(min=1.0)
            values.grad.div_(length[:, None, None])


@torch.no_grad()
def _constrain(weights: Mapping[str, torch.Tensor], decay: float) -> None:
    for name, values in weights.items():
        layer, part = name.split(".")
        if part == "forward" and layer in LAYERS:
            values.mul_(1 - decay)
        if part in CONSTRAINED and layer in LAYERS:
            values.clamp_(min=0)
