"""Simulated ERPs: what a network does in an experiment, as a recording like any brain's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.n400.alpha import Alpha
from neuroling.n400.dynamics import Layer, State, project, start, step
from neuroling.n400.experiments import Timing, check_items
from neuroling.n400.linking_hypotheses import Link, semantic_activation
from neuroling.n400.network import Network, on_device

LEARNED = 0.8
"""Share of its lexicon that a participant must read right; a heuristic."""


class NotLearned(ValueError):  # noqa: N818 - reads as what happened: not learned
    """Raised where a network is to be simulated that cannot read its lexicon."""


def simulate(
    network: Network,
    experiment: Stimuli,
    *,
    alpha: Alpha | None,
    link: Link = semantic_activation,
    timing: Timing | None = None,
    allow_unlearned: bool = False,
    device: str = "auto",
    memory: int = 2**30,
) -> xr.DataArray:
    """Run an experiment on every simulated participant.

    Every trial starts as those of training did. Trials that share a context share its simulation.

    Parameters
    ----------
    network : Network
        Trained participants.
    experiment : Stimuli
        Trials: columns ``text`` and ``context``, see :mod:`neuroling.n400.experiments`.
    alpha : Alpha or None
        Parameters of the alpha model; None runs the ERP model, the published control.
    link : Link
        What the N400 is taken to be.
    timing : Timing, optional
        Ticks; 14 on, 14 blank and 20 of the target by default.
    allow_unlearned : bool
        Simulate participants all the same who have not learned their lexicon.
    device : str
        Where to compute.
    memory : int
        Bytes that the activations of one batch of trials may take.

    Returns
    -------
    xarray.DataArray, dims (sample, repeat, time), float32
        One response a trial and participant. ``time`` in seconds from target onset; sample coordinates ``condition``,
        ``item``, ``kind`` and ``context``. Its attributes say that it is simulated, and how.

    Raises
    ------
    NotLearned
        If a participant reads fewer than four in five items right.
    ValueError
        If a string is not in the lexicon, or the link needs meanings that some targets lack.

    Examples
    --------
    >>> from neuroling.n400.experiments import repetition
    >>> from neuroling.n400.lexicon import make_lexicon
    >>> from neuroling.n400.network import Training, train
    >>> lexicon = make_lexicon(rng=0, n_words=8, n_acronyms=2, n_pseudowords=2, n_illegal=2)
    >>> network = train(lexicon, participants=2, rng=0, training=Training(epochs=2))
    >>> simulate(network, repetition(lexicon, rng=0), alpha=None, allow_unlearned=True).dims
    ('sample', 'repeat', 'time')
    """
    return simulate_links(
        network,
        experiment,
        (link,),
        alpha=alpha,
        timing=timing,
        allow_unlearned=allow_unlearned,
        device=device,
        memory=memory,
    )[link.name]


def simulate_links(
    network: Network,
    experiment: Stimuli,
    links: Sequence[Link],
    *,
    alpha: Alpha | None,
    timing: Timing | None = None,
    allow_unlearned: bool = False,
    device: str = "auto",
    memory: int = 2**30,
) -> dict[str, xr.DataArray]:
    """Run an experiment once and read it out under several linking hypotheses.

    Parameters
    ----------
    network, experiment, alpha, timing, allow_unlearned, device, memory
        As in :func:`simulate`.
    links : sequence of Link
        Linking hypotheses.

    Returns
    -------
    dict of xarray.DataArray, dims (sample, repeat, time)
        By name of the link.
    """
    timing = timing or Timing()
    for link in links:
        _check(network, experiment, link, timing)
    if not allow_unlearned:
        _check_learned(network, device)
    meaning = np.nan_to_num(network.lexicon.meaning(experiment.texts))
    shape = (len(experiment), network.n_participants, timing.before + timing.target)
    responses = {link.name: np.empty(shape, dtype=np.float32) for link in links}
    for trials, trace in run(network, experiment, alpha, timing, device, memory):
        wanted = torch.as_tensor(meaning[trials], dtype=trace.dtype, device=trace.device)
        for link in links:
            response = link.response(trace, wanted)  # (participant, trial, tick)
            responses[link.name][trials] = response.transpose(0, 1).cpu().numpy()
    return {link.name: _labelled(responses[link.name], experiment, timing, network, alpha, link) for link in links}


def simulate_units(
    network: Network, experiment: Stimuli, *, alpha: Alpha | None, timing: Timing | None = None, device: str = "auto"
) -> xr.DataArray:
    """Record every unit of the semantic layer, for pictures and for questions about single units.

    Parameters
    ----------
    network, experiment, alpha, timing, device
        As in :func:`simulate`; keep the experiment small.

    Returns
    -------
    xarray.DataArray, dims (sample, repeat, channel, time), float32
        A channel is a semantic unit.
    """
    timing = timing or Timing()
    _check(network, experiment, semantic_activation, timing)
    n_units = network.lexicon.semantics.shape[1]
    shape = (len(experiment), network.n_participants, timing.before + timing.target, n_units)
    traces = np.empty(shape, dtype=np.float32)
    for trials, trace in run(network, experiment, alpha, timing, device, 2**30):
        traces[trials] = trace.transpose(0, 1).cpu().numpy()
    first = _labelled(traces[..., 0], experiment, timing, network, alpha, semantic_activation)
    units = first.expand_dims(channel=[f"unit {unit}" for unit in range(n_units)], axis=2)
    return units.copy(data=np.moveaxis(traces, 3, 2))


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
        chosen = torch.as_tensor(which, device=self.layers[0].bias.device)
        state = State(*(tuple(part.index_select(1, chosen) for part in parts) for parts in state))
        trace = self._blank_trace(len(trials), self.timing.before + self.timing.target)
        trace[:, :, : self.timing.before] = before.index_select(1, chosen)
        targets = [experiment.texts[trial] for trial in trials]
        self._show(targets, self.timing.target, state, trace[:, :, self.timing.before :])
        return trace

    def _through(self, contexts: NDArray[np.str_]) -> tuple[State, torch.Tensor]:
        """Show contexts; give the state after them and the last ticks before the target."""
        timing, rate, blank = self.timing, self.network.architecture.rate, self.network.training.blank
        state = start(self.layers, len(contexts), rate=rate, blank=blank)
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
            state = step(seen, state, self.layers, self.network.architecture.rate, self.alpha)
            if tick >= ticks - n_recorded:
                trace[:, :, tick - (ticks - n_recorded)] = state.activation[-1]
        return state

    def _blank_trace(self, n_trials: int, n_ticks: int) -> torch.Tensor:
        bias = self.layers[-1].bias  # (participant, 1, unit)
        return bias.new_empty((len(bias), n_trials, n_ticks, bias.shape[2]))


def _check(network: Network, experiment: Stimuli, link: Link, timing: Timing) -> None:
    if not isinstance(experiment, Stimuli):
        raise TypeError(f"experiment: got {type(experiment).__name__}; expected Stimuli, such as repetition(lexicon).")
    if "context" not in experiment.table:
        raise ValueError(
            f"experiment: no column 'context' among {list(experiment.table.columns)}; it says what is shown before "
            "each target, '' for nothing."
        )
    check_items(network.lexicon, experiment.table["text"], experiment.table["context"])
    if timing.before < 1:
        raise ValueError("timing: before is 0; expected at least one tick before the target, to count from.")
    if link.needs_meaning:
        unknown = [text for text in experiment.texts if text not in network.lexicon.known]
        if unknown:
            raise ValueError(
                f"link: {link.name!r} needs the meaning of every target, and {len(unknown)} have none, first "
                f"{unknown[:5]}; show words and acronyms only."
            )


def _check_learned(network: Network, device: str) -> None:
    accuracy = network.accuracy(device)
    if (accuracy < LEARNED).any():
        raise NotLearned(
            f"network: {int((accuracy < LEARNED).sum())} of {len(accuracy)} participants read fewer than "
            f"{LEARNED:.0%} of their lexicon right (the worst {accuracy.min():.0%}); train longer, leave them out, or "
            "say allow_unlearned=True."
        )


def _labelled(
    responses: NDArray[np.float32],
    experiment: Stimuli,
    timing: Timing,
    network: Network,
    alpha: Alpha | None,
    link: Link,
) -> xr.DataArray:
    columns = [name for name in ("condition", "item", "kind", "context", "experiment") if name in experiment.table]
    coords = {**experiment.coords(*columns), "repeat": np.arange(responses.shape[1]), "time": timing.times()}
    attrs = {
        "simulated": 1,
        "synthetic": 1,
        "model": "ERP model" if alpha is None else "alpha model",
        "alpha": str(alpha),
        "link": link.name,
        "units": link.units,
        "timing": str(timing),
        "tick": timing.tick,
        "architecture": str(network.architecture),
    }
    name = f"simulated N400: {link.name}"
    return xr.DataArray(responses, dims=("sample", "repeat", "time"), coords=coords, attrs=attrs, name=name)
