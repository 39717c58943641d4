"""Trials shown to networks, batch by batch: the semantic layer of every participant at every tick."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.n400.alpha import Alpha
from neuroling.n400.dynamics import Layer, State, project, start, step
from neuroling.n400.experiments import Timing
from neuroling.n400.network import Network, on_device


@torch.no_grad()
def run(
    network: Network, experiment: Stimuli, alpha: Alpha | None, timing: Timing, device: str, memory: int
) -> Iterator[tuple[NDArray[np.intp], torch.Tensor]]:
    """Simulate trials in batches.

    Parameters
    ----------
    network, experiment, alpha, timing, device, memory
        As in :func:`simulate`.

    Yields
    ------
    tuple of (ndarray of int, Tensor)
        Row numbers of some trials, and their semantic layer (participant, trial, tick, unit).
    """
    weights, layers = on_device(network.weights, network.architecture, device)
    runner = _Runner(network, weights, layers, alpha, timing)
    contexts = experiment.table["context"].to_numpy()
    ticks = timing.before + timing.target
    bytes_a_trial = network.n_participants * ticks * layers[-1].bias.shape[2] * layers[-1].bias.element_size() * 3
    size = max(1, memory // bytes_a_trial)
    lengths = np.array([len(context.split()) for context in contexts])
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        rows = rows[np.argsort(contexts[rows].astype(str), kind="stable")]  # equal contexts go into one batch
        for first in range(0, len(rows), size):
            trials = rows[first : first + size]
            yield trials, runner.present(experiment, trials, contexts[trials])


class _Runner:
    """Presents trials whose contexts are of one length."""

    def __init__(
        self,
        network: Network,
        weights: dict[str, torch.Tensor],
        layers: Sequence[Layer],
        alpha: Alpha | None,
        timing: Timing,
    ) -> None:
        self.network, self.weights, self.layers = network, weights, layers
        self.alpha, self.timing = alpha, timing

    def present(self, experiment: Stimuli, trials: NDArray[np.intp], contexts: NDArray[np.object_]) -> torch.Tensor:
        different, which = np.unique(contexts.astype(str), return_inverse=True)
        state, before = self._through(different)
        selected = torch.as_tensor(which, device=self.layers[0].bias.device)
        state = State(*(tuple(part.index_select(1, selected) for part in parts) for parts in state))
        trace = self._blank_trace(len(trials), self.timing.before + self.timing.target)
        trace[:, :, : self.timing.before] = before.index_select(1, selected)
        targets = [experiment.texts[trial] for trial in trials]
        self._show(targets, self.timing.target, state, trace[:, :, self.timing.before :])
        return trace

    def _through(self, contexts: NDArray[np.str_]) -> tuple[State, torch.Tensor]:
        """Show contexts; give the state after them and the last ticks before the target."""
        timing = self.timing
        state = start(self.layers, len(contexts), blank=self.network.training.blank)
        before = self._blank_trace(len(contexts), timing.before)
        strings = [context.split() for context in contexts]
        if not strings[0]:
            return self._show(None, timing.soa, state, before), before
        late = max(timing.before - timing.blank, 0)  # recorded ticks that the last string is still on
        for place in range(len(strings[0])):
            state = self._show([context[place] for context in strings], timing.shown, state, before[:, :, :late])
            state = self._show(None, timing.blank, state, before[:, :, late:])
        return state, before

    def _show(self, strings: list[str] | None, ticks: int, state: State, trace: torch.Tensor) -> State:
        """Show one string a trial, or nothing; the last ticks go into ``trace`` (participant, trial, tick, unit)."""
        like, (_, n_trials, n_recorded, _) = self.layers[0].bias, trace.shape
        spelled = self.network.lexicon.spell(strings) if strings else np.zeros((n_trials, self.network.lexicon.n_units))
        seen = project(self.weights, torch.as_tensor(spelled, dtype=like.dtype, device=like.device)[None])
        for tick in range(ticks):
            state = step(seen, state, self.layers, self.alpha)
            if tick >= ticks - n_recorded:
                trace[:, :, tick - (ticks - n_recorded)] = state.activation[-1]
        return state

    def _blank_trace(self, n_trials: int, n_ticks: int) -> torch.Tensor:
        bias = self.layers[-1].bias  # (participant, 1, unit)
        return bias.new_empty((len(bias), n_trials, n_ticks, bias.shape[2]))
