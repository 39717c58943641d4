r"""Continuous-time dynamics of excitation and inhibition, for many simulated participants at once.

Every tensor has a leading participant axis. With :math:`s` the logistic function, one tick of a layer is

.. math::
    d &\leftarrow d + \tau_E \,(s(b + W a_{below} - I h) - d) \\
    h &\leftarrow h + \tau_h \,(s(c + K a) - h) \\
    a &= \text{alpha}(d) \text{ or } d

All weights :math:`W, I, K` are non-negative: excitation goes up, each layer has a bank of inhibitory units of its own,
some fast and some slow, and only its own units feel it (Laszlo and Plaut 2012; sizes and rates inferred). The input
layer is clamped, so that a bank on it, which figure 1 of Laszlo and Armstrong (2014) draws, would change nothing and is
left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from neuroling.n400.alpha import LAYERS, Envelopes, limit

Tensors = Mapping[str, torch.Tensor]


class Layer(NamedTuple):
    """Weights of one layer.

    Attributes
    ----------
    forward : Tensor, shape (participant, source, unit)
        Weights from the layer below; not used for the first layer, whose input is projected once.
    from_bank : Tensor, shape (participant, bank, unit)
        Weights of the bank, negative.
    bias : Tensor, shape (participant, 1, unit)
        Of the excitatory units.
    to_bank : Tensor, shape (participant, unit, bank)
        Weights onto the bank.
    bank_bias : Tensor, shape (participant, 1, bank)
        Of the bank.
    bank_rate : Tensor, shape (bank,)
        Share of the way to its target that an inhibitory unit goes in a tick.
    rate : float
        The same for the excitatory units.
    """

    forward: torch.Tensor
    from_bank: torch.Tensor
    bias: torch.Tensor
    to_bank: torch.Tensor
    bank_bias: torch.Tensor
    bank_rate: torch.Tensor
    rate: float


class State(NamedTuple):
    """Where a network is: one entry a layer, each (participant, trial, unit)."""

    drive: tuple[torch.Tensor, ...]
    activation: tuple[torch.Tensor, ...]
    bank: tuple[torch.Tensor, ...]
    clock: tuple[torch.Tensor, ...]


def arrange(weights: Tensors, rates: Sequence[float], bank_rates: Sequence[torch.Tensor]) -> list[Layer]:
    """Put the weights of all layers together, once per pass and not once per tick.

    Parameters
    ----------
    weights : mapping of Tensor
        ``forward``, ``bias``, ``to_bank``, ``from_bank`` and ``bank_bias`` of each layer, as ``LAYER.NAME``.
    rates : sequence of float
        Of the excitatory units of each layer.
    bank_rates : sequence of Tensor, shape (bank,)
        Of the inhibitory units of each layer.

    Returns
    -------
    list of Layer
    """
    layers = []
    for name, rate, bank_rate in zip(LAYERS, rates, bank_rates, strict=True):
        forward, inhibition = weights[f"{name}.forward"], -weights[f"{name}.from_bank"]
        bias, to_bank, bank_bias = (weights[f"{name}.{part}"] for part in ("bias", "to_bank", "bank_bias"))
        layers.append(Layer(forward, inhibition, bias, to_bank, bank_bias, bank_rate, rate))
    return layers


def rest(layers: Sequence[Layer], n_trials: int) -> State:
    """Give the state before anything was seen: all units silent, no clock running."""
    silent = tuple(layer.bias.new_zeros(len(layer.bias), n_trials, layer.bias.shape[2]) for layer in layers)
    bank = tuple(layer.bias.new_zeros(len(layer.bias), n_trials, len(layer.bank_rate)) for layer in layers)
    return State(silent, silent, bank, tuple(unit - 1 for unit in silent))


def start(layers: Sequence[Layer], n_trials: int, *, blank: int) -> State:
    """Give the state that trials start from: all units silent, then so many ticks of nothing.

    Banks are not silent while nothing is shown: their biases keep them at a level of their own. Nothing tells trials
    apart in a blank, so that it is computed for one of them.

    Parameters
    ----------
    layers : sequence of Layer
        From the bottom up.
    n_trials : int
        How many trials share the state.
    blank : int
        Ticks of nothing; 0 gives :func:`rest`.

    Returns
    -------
    State
    """
    if blank == 0:
        return rest(layers, n_trials)
    state = rest(layers, 1)
    for _ in range(blank):
        state = step(layers[0].bias, state, layers, None)  # without input, the bias is all that is seen
    drive, activation, bank, _ = (tuple(part.expand(-1, n_trials, -1) for part in parts) for parts in state)
    return State(drive, activation, bank, rest(layers, n_trials).clock)


def project(weights: Tensors, letters: torch.Tensor) -> torch.Tensor:
    """Bring input patterns to the first layer, bias included.

    Parameters
    ----------
    weights : mapping of Tensor
        Of the network.
    letters : Tensor, shape (participant or 1, trial, input unit)
        Patterns; they do not change during a presentation, so this is done once for it.

    Returns
    -------
    Tensor, shape (participant, trial, unit)
    """
    forward = weights[f"{LAYERS[0]}.forward"]
    return torch.baddbmm(weights[f"{LAYERS[0]}.bias"], letters.expand(len(forward), -1, -1), forward)


def step(seen: torch.Tensor, state: State, layers: Sequence[Layer], alpha: Envelopes | None) -> State:
    """Advance a network by one tick; every layer reads the others as they were at the last one.

    Operations are few and in place: a tick of many participants costs memory traffic more than arithmetic.

    Parameters
    ----------
    seen : Tensor, shape (participant, trial, unit of the first layer)
        From :func:`project`.
    state : State
        At the last tick.
    layers : sequence of Layer
        From the bottom up.
    alpha : Envelopes or None
        An ``Alpha``; None is the ERP model.

    Returns
    -------
    State
    """
    drives, activations, banks, clocks = [], [], [], []
    for number, (name, layer) in enumerate(zip(LAYERS, layers, strict=True)):
        bank, active = state.bank[number], state.activation[number]
        if number == 0:
            net = torch.baddbmm(seen, bank, layer.from_bank)
        else:
            net = torch.baddbmm(layer.bias, state.activation[number - 1], layer.forward).baddbmm_(bank, layer.from_bank)
        drive = (state.drive[number] * (1 - layer.rate)).add_(net.sigmoid_(), alpha=layer.rate)
        activation, clock = drive, state.clock[number]
        if alpha is not None and name in alpha.layers:
            activation, clock = limit(drive, clock, alpha)
        target = torch.baddbmm(layer.bank_bias, active, layer.to_bank).sigmoid_()
        drives.append(drive)
        activations.append(activation)
        banks.append(torch.addcmul(bank * (1 - layer.bank_rate), target, layer.bank_rate))
        clocks.append(clock)
    return State(tuple(drives), tuple(activations), tuple(banks), tuple(clocks))
