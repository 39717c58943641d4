"""Training of many participants at once, on a stream of strings, by truncated back-propagation through time.

Each epoch is a blank and a string, for as many parallel streams as there are known strings; gradients reach back to the
beginning of the blank. All participants of a network see the same streams.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from neuroling.n400.alpha import LAYERS, Alpha
from neuroling.n400.dynamics import Layer, State, Tensors, arrange, project, start, step
from neuroling.n400.experiments import experiment
from neuroling.n400.lexicon import Lexicon
from neuroling.n400.loss import cross_entropy, cross_entropy_of_logits, misses
from neuroling.n400.network import Architecture, Array, Network, bank_rates, initial_weights
from neuroling.n400.regime import TO_CRITERION, Stage, Training
from neuroling.numerics.device import resolve_device

CONSTRAINED = ("forward", "to_bank", "from_bank")
"""Weights that are never negative."""


class Epoch(NamedTuple):
    """What one epoch shows.

    Attributes
    ----------
    stage : Stage
        Whose costs hold.
    learning_rate : float
        Of this epoch.
    strings : ndarray of int, shape (stream,)
        Number of the known string that each stream shows.
    blank, shown : int
        Ticks of nothing, then of the string.
    restart : bool
        Whether the streams begin anew.
    alpha : Alpha or None
        Alpha function that acts.
    """

    stage: Stage
    learning_rate: float
    strings: NDArray[np.intp]
    blank: int
    shown: int
    restart: bool
    alpha: Alpha | None


class Lesson(NamedTuple):
    """What is to be learned: letters, meanings (item, unit) and weights (item,) of the known strings."""

    letters: torch.Tensor
    meaning: torch.Tensor
    weight: torch.Tensor


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
        Source of the initial weights and of the stream.
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
    >>> train(lexicon, participants=2, rng=0, training=Training().with_epochs(5)).n_participants
    2
    """
    architecture, training = architecture or Architecture(), training or Training()
    if participants < 1:
        raise ValueError(f"participants: got {participants}; expected 1 or more.")
    if batch is not None and batch < 1:
        raise ValueError(f"batch: got {batch}; expected 1 participant or more at a time.")
    root = np.random.default_rng(rng)
    (stream,) = root.spawn(1)
    generators = root.spawn(participants)
    size = participants if batch is None else batch
    runs = [
        _train_batch(lexicon, generators[first : first + size], deepcopy(stream), architecture, training, device)
        for first in range(0, participants, size)
    ]
    weights = {name: np.concatenate([run[0][name] for run in runs]) for name in runs[0][0]}
    return Network(lexicon, architecture, weights, training, np.concatenate([run[1] for run in runs], axis=1))


def schedule(training: Training, n_known: int, rng: np.random.Generator) -> Iterator[Epoch]:
    """Draw what the epochs of a training show, one after the other.

    Parameters
    ----------
    training : Training
        Its stages, blanks and shares.
    n_known : int
        Number of known strings, and of streams.
    rng : numpy.random.Generator
        Source of it all.

    Yields
    ------
    Epoch
    """
    strings, alpha = rng.permutation(n_known), None
    begun = False
    for stage in training.stages:
        for number in range(stage.epochs):
            restart = not begun or not training.carry_over or rng.random() < training.restarts
            if training.alpha is not None and (not begun or rng.random() < 0.25):
                chosen = training.alpha if rng.random() < training.alpha_share else None
                restart, alpha = restart or chosen is not alpha, chosen
            again = rng.random(n_known) < training.repeated
            strings = np.where(again, strings, rng.permutation(n_known))
            blank = int(rng.integers(training.blanks[0], training.blanks[1] + 1))
            shown = int(rng.integers(stage.shown[0], stage.shown[1] + 1))
            rate = stage.learning_rate * (0.2 if number > 0.7 * stage.epochs else 1.0)
            yield Epoch(stage, rate, strings, blank, shown, restart, alpha)
            begun = True


def _train_batch(
    lexicon: Lexicon,
    generators: list[np.random.Generator],
    stream: np.random.Generator,
    architecture: Architecture,
    training: Training,
    device: str,
) -> tuple[dict[str, Array], Array]:
    drawn = [initial_weights(lexicon, architecture, generator) for generator in generators]
    stacked = {name: np.stack([one[name] for one in drawn]) for name in drawn[0]}
    weights, losses = _run_stages(lexicon, architecture, training, stacked, stream, device)
    return teach_again(lexicon, architecture, training, weights, stream, device), losses


def teach_again(
    lexicon: Lexicon,
    architecture: Architecture,
    training: Training,
    weights: Mapping[str, Array],
    stream: np.random.Generator,
    device: str,
) -> dict[str, Array]:
    """Give participants who read, but not well, further rounds of the stages after the first.

    Parameters
    ----------
    lexicon, architecture, training, device
        As in :func:`train`.
    weights : mapping of ndarray, shape (participant, …)
        After all stages.
    stream : numpy.random.Generator
        Source of what the rounds show.

    Returns
    -------
    dict of ndarray
        Weights; those of all other participants as they were.
    """
    taught = dict(weights)
    later = replace(training, stages=training.stages[1:] or training.stages)
    for _ in range(training.again):
        lowest = lowest_share(Network(lexicon, architecture, taught, training))
        rows = np.flatnonzero((lowest < TO_CRITERION) & (lowest >= 0.5))
        if len(rows) == 0:
            break
        some = {name: values[rows] for name, values in taught.items()}
        better, _ = _run_stages(lexicon, architecture, later, some, stream, device)
        for name, values in better.items():
            taught[name] = taught[name].copy()
            taught[name][rows] = values
    return taught


def lowest_share(network: Network) -> NDArray[np.float64]:
    """Say how many known strings participants recognise alone, after another one, repeated at once and after another.

    Parameters
    ----------
    network : Network
        Who reads.

    Returns
    -------
    ndarray, shape (participant,)
        Share at the last tick, in the kind of trial that is worst.
    """
    from neuroling.n400.reading import last_tick, reading_table  # it simulates, and so needs trained networks

    known = [str(string) for string in network.lexicon.known]
    rows = [(string, "", "alone") for string in known]
    for string, other in zip(known, known[1:] + known[:1], strict=True):
        if string != other:
            rows += [(string, other, "new"), (string, string, "repeated"), (string, f"{string} {other}", "repeated")]
    table = last_tick(reading_table(network, experiment(network.lexicon, rows, name="practice"), alpha=None))
    return table.groupby("participant")["recognised"].min().to_numpy()


def _run_stages(
    lexicon: Lexicon,
    architecture: Architecture,
    training: Training,
    begin: Mapping[str, Array],
    stream: np.random.Generator,
    device: str,
) -> tuple[dict[str, Array], Array]:
    """Train from given weights; give those at the end, and the losses (epoch, participant)."""
    where = resolve_device(device)
    weights = {name: torch.tensor(values, dtype=torch.float32, device=where) for name, values in begin.items()}
    for values in weights.values():
        values.requires_grad_()
    lesson = make_lesson(lexicon, training, weights["semantics.bias"])
    rates = bank_rates(architecture, weights["semantics.bias"])
    optimizer, stage, state = torch.optim.Adam(list(weights.values())), None, None
    losses = []
    for epoch in schedule(training, len(lexicon.known), stream):
        if epoch.stage is not stage:  # each stage has moments of its own
            optimizer, stage = torch.optim.Adam(list(weights.values())), epoch.stage
        optimizer.param_groups[0]["lr"] = epoch.learning_rate
        optimizer.zero_grad(set_to_none=True)
        layers = arrange(weights, architecture.rates, rates)
        loss, state = loss_of_epoch(weights, layers, lesson, epoch, training, state)
        loss.sum().backward()  # type: ignore[no-untyped-call]  # torch declares no types here
        _clip(weights)
        optimizer.step()
        _constrain(weights, training.decay)
        losses.append(loss.detach())
    trained = {name: values.detach().cpu().numpy() for name, values in weights.items()}
    return trained, torch.stack(losses).cpu().numpy()


def make_lesson(lexicon: Lexicon, training: Training, like: torch.Tensor) -> Lesson:
    """Lay out the known strings for training.

    Parameters
    ----------
    lexicon : Lexicon
        Whose words and acronyms.
    training : Training
        Says how much frequency counts.
    like : Tensor
        Of the type and on the device that they should have.

    Returns
    -------
    Lesson
        Weights add up to 1.
    """
    frequency = lexicon.table.loc[lexicon.known, "frequency"].to_numpy(dtype=np.float64)
    weight = frequency**training.frequency_exponent
    parts = (lexicon.spell(list(lexicon.known)), lexicon.semantics, weight / weight.sum())
    return Lesson(*(torch.as_tensor(part, dtype=like.dtype, device=like.device) for part in parts))


def loss_of_epoch(
    weights: Tensors, layers: list[Layer], lesson: Lesson, epoch: Epoch, training: Training, state: State | None
) -> tuple[torch.Tensor, State]:
    r"""Run one epoch.

    With :math:`w` the weights of the strings, :math:`t` the ticks of a string, :math:`H` the cross-entropy, and
    :math:`H^+` that of the units that should be on,

    .. math::
        \frac{1}{|t \ge e|} \sum_{t \ge e} H_w(a_t) + \frac{m}{e - f} \sum_{f \le t < e} H^+_w(a_t)
        + \frac{c}{|t \ge s|} \sum_{t \ge s} H_w(letters_t)
        + k \sum_t \overline{(\bar a_t - l)_+^2} + r \overline{\sum_u (d_u - r_0)_+^2}

    with the last term at the end of the blank.

    Parameters
    ----------
    weights : mapping of Tensor
        Of the network.
    layers : list of Layer
        The same, arranged.
    lesson : Lesson
        What is known.
    epoch : Epoch
        What is shown.
    training : Training
        Costs that hold in all stages.
    state : State or None
        Where the last epoch ended; None at the beginning.

    Returns
    -------
    tuple of (Tensor, State)
        Loss of each participant, shape (participant,); state at the end.
    """
    stage, n_streams = epoch.stage, len(epoch.strings)
    if state is None or epoch.restart:
        state = start(layers, n_streams, blank=training.blank)
    else:
        state = State(*(tuple(values.detach() for values in parts) for parts in state))
    nothing = layers[0].bias.expand(-1, n_streams, -1)
    for _ in range(epoch.blank):
        state = step(nothing, state, layers, epoch.alpha)
    cost = _cost_of_rest(state, epoch, training)
    chosen = torch.as_tensor(epoch.strings, device=lesson.weight.device)
    letters, meaning, weight = (values[chosen] for values in lesson)
    seen = project(weights, letters[None])
    first, last = (stage.error_from, epoch.shown) if epoch.alpha is None else training.alpha_ticks
    spelled, early, read = [], [], []
    for tick in range(epoch.shown):
        state = step(seen, state, layers, epoch.alpha)
        activation = state.activation[-1]
        if stage.activity_cost:
            excess = (activation.mean(dim=-1) - stage.activity_limit).clamp(min=0)
            cost = cost + stage.activity_cost * (excess**2).mean(dim=-1)
        if tick >= training.spelled_from:
            spelled.append(state.activation[0])
        if first <= tick < last:
            read.append(activation)
        elif stage.misses and stage.misses_from <= tick < first:
            early.append(activation)
    logits = _spell_back(torch.stack(spelled, dim=1), weights)
    loss = cross_entropy(read, meaning, weight) / len(read) + cost
    loss = loss + training.autoencoding * cross_entropy_of_logits(logits, letters, weight) / len(spelled)
    if early:
        loss = loss + stage.misses * misses(early, meaning, weight) / len(early)
    return loss, state


def _cost_of_rest(state: State, epoch: Epoch, training: Training) -> torch.Tensor:
    """Cost of activity at the end of a blank, shape (participant,)."""

    def excess(place: int, level: float) -> torch.Tensor:
        return ((state.drive[place] - level).clamp(min=0) ** 2).sum(dim=-1).mean(dim=-1)

    cost = state.drive[0].new_zeros(len(state.drive[0]))
    if training.rest_cost:
        cost = cost + training.rest_cost * (excess(0, training.rest_level) + excess(1, training.rest_level))
    if epoch.stage.semantic_rest_cost and epoch.blank >= training.semantic_rest_from:
        cost = cost + epoch.stage.semantic_rest_cost * excess(2, training.semantic_rest_level)
    return cost


def _spell_back(orthography: torch.Tensor, weights: Tensors) -> torch.Tensor:
    """Guess letters from the orthographic layer (participant, tick, item, unit), all ticks in one product."""
    people, ticks, items, _ = orthography.shape
    flat = torch.baddbmm(weights["letters.bias"], orthography.flatten(1, 2), weights["letters.forward"])
    return flat.view(people, ticks, items, -1)


def _clip(weights: Mapping[str, torch.Tensor]) -> None:
    """Bring gradients longer than 1 to length 1, for each participant by itself."""
    for values in weights.values():
        if values.grad is not None and values.grad.numel():
            length = values.grad.flatten(1).norm(dim=1).clamp(min=1.0)
            values.grad.div_(length[:, None, None])


@torch.no_grad()
def _constrain(weights: Mapping[str, torch.Tensor], decay: float) -> None:
    for name, values in weights.items():
        layer, tensor_name = name.split(".")
        if tensor_name == "forward" and layer in LAYERS:
            values.mul_(1 - decay)
        if tensor_name in CONSTRAINED and layer in LAYERS:
            values.clamp_(min=0)
