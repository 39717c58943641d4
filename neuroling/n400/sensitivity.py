"""Where each effect holds: a sweep over time constant, asynchrony, threshold and inhibition, as one batched run.

The repetition effect of the alpha model lives in a band of asynchrony over time constant: a unit that is repeated too
late has recovered, and one that is repeated too early is still on its way up, so that the effect turns round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.n400.alpha import Alpha, Mode
from neuroling.n400.dynamics import Layer, State, project, rest, step
from neuroling.n400.experiments import Timing, repetition
from neuroling.n400.lexicon import KINDS
from neuroling.n400.network import Network, on_device


@dataclass(frozen=True)
class _AlphaGrid:
    """What :func:`~neuroling.n400.alpha.limit` reads of an ``Alpha``, one value a row of the participant axis."""

    time_constant: torch.Tensor
    threshold: torch.Tensor
    peak: torch.Tensor
    recovery: torch.Tensor
    layers: tuple[str, ...]
    mode: Mode
    rearm: bool


def sensitivity(
    network: Network,
    *,
    alpha: Alpha,
    time_constants: Sequence[float],
    blanks: Sequence[int],
    rng: int | np.random.Generator,
    thresholds: Sequence[float] | None = None,
    inhibition: Sequence[float] = (1.0,),
    items_per_kind: int = 15,
    timing: Timing | None = None,
    device: str = "auto",
) -> pd.DataFrame:
    """Simulate immediate repetition for every combination of parameters.

    All combinations run side by side along the participant axis; the blanks share the first presentation.

    Parameters
    ----------
    network : Network
        Trained participants.
    alpha : Alpha
        Gives layers, mode and re-arming, and the threshold where none is swept.
    time_constants : sequence of float
        T in ticks; infinity stands for the ERP model.
    blanks : sequence of int
        Ticks between the two presentations.
    rng : int or numpy.random.Generator
        Source of the items and their primes.
    thresholds : sequence of float, optional
        Thresholds of the envelope.
    inhibition : sequence of float
        Factors on the weights of all inhibitory units; 1 is the trained network.
    items_per_kind : int
        Strings of each type.
    timing : Timing, optional
        Ticks that prime and target are on; its blank is not used.
    device : str
        Where to compute.

    Returns
    -------
    pandas.DataFrame
        One row a combination: ``time_constant``, ``threshold``, ``inhibition``, ``blank``, ``soa``, ``ratio``
        (SOA / T); ``repetition`` and ``neighbourhood``, shares of the mean first amplitude, positive where as in
        people; ``repetition_share`` and ``neighbourhood_share`` of participants with that sign.

    Raises
    ------
    ValueError
        If a list is empty or holds values that cannot be.
    """
    _check(time_constants, blanks, thresholds, inhibition, items_per_kind)
    timing = timing or Timing()
    grid = list(product(time_constants, thresholds or [alpha.threshold], inhibition))
    trials = _some(network, items_per_kind, rng)
    amplitudes = {
        parameters: _amplitudes(network, trials, alpha, parameters, sorted(set(blanks)), timing, device)
        for parameters in _batches(grid)
    }
    rows = [
        {**_named(parameters), **_timed(parameters[0], blank, timing), **_effects(values, trials)}
        for batch, found in amplitudes.items()
        for place, parameters in enumerate(batch)
        for blank, values in ((blank, values[place]) for blank, values in found.items())
    ]
    return pd.DataFrame(rows)


def _batches(grid: list[tuple[float, float, float]], size: int = 8) -> list[tuple[tuple[float, float, float], ...]]:
    """Cut the combinations into batches that fit in memory; eight is a heuristic."""
    return [tuple(grid[start : start + size]) for start in range(0, len(grid), size)]


def _some(network: Network, items_per_kind: int, rng: int | np.random.Generator) -> Stimuli:
    """Draw trials of immediate repetition, so many targets of each type, and the same contexts in both conditions."""
    trials = repetition(network.lexicon, rng=rng)
    table = trials.table
    chosen: list[str] = []
    for kind in KINDS:
        contexts = table[(table["kind"] == kind) & (table["condition"] == "new")]
        chosen += contexts["item"].iloc[:items_per_kind].tolist()
    return trials.subset(list(table.index[table["item"].isin(chosen)]))


@torch.no_grad()
def _amplitudes(
    network: Network,
    trials: Stimuli,
    alpha: Alpha,
    parameters: Sequence[tuple[float, float, float]],
    blanks: Sequence[int],
    timing: Timing,
    device: str,
) -> dict[int, NDArray[np.float64]]:
    """Mean activation in the window for each blank, (combination, participant, trial)."""
    n = network.n_participants
    weights = {name: np.tile(values, (len(parameters), 1, 1)) for name, values in network.weights.items()}
    factors = np.repeat([factor for _, _, factor in parameters], n)[:, None, None]
    for layer in ("orthography", "hidden", "semantics"):
        name = f"{layer}.from_bank"
        weights[name] = (weights[name] * factors).astype(weights[name].dtype)
    tensors, layers = on_device(weights, network.architecture, device)
    runner = _Sweep(network, tensors, layers, _grid(alpha, parameters, n, layers[0].bias))
    contexts, which = np.unique(trials.table["context"].to_numpy().astype(str), return_inverse=True)
    state = runner.show(list(contexts), timing.shown, rest(layers, len(contexts)))[0]
    order = torch.as_tensor(which, device=layers[0].bias.device)
    found, passed = {}, 0
    for blank in blanks:
        state, _ = runner.show(None, blank - passed, state)
        passed = blank
        chosen = State(*(tuple(part.index_select(1, order) for part in parts) for parts in state))
        _, trace = runner.show(trials.texts, timing.target, chosen)  # (row, trial, tick)
        found[blank] = trace.reshape(len(parameters), n, *trace.shape[1:]).double().cpu().numpy()
    return {blank: _in_own_window(values, trials) for blank, values in found.items()}


def _in_own_window(traces: NDArray[np.float64], trials: Stimuli) -> NDArray[np.float64]:
    """Average each combination over the half maximum of its first presentations, (combination, participant, trial)."""
    new = (trials.table["condition"] == "new").to_numpy()
    means = []
    for trace in traces:  # (participant, trial, tick)
        curve = trace[:, new].mean(axis=(0, 1))
        height = curve - curve.min()
        top = int(height.argmax())
        below = np.flatnonzero(height < height[top] / 2)
        start = max((tick + 1 for tick in below if tick < top), default=0)
        stop = min((tick for tick in below if tick > top), default=len(curve))
        means.append(trace[:, :, start:stop].mean(axis=2))
    return np.array(means)


class _Sweep:
    """Steps all combinations at once."""

    def __init__(
        self,
        network: Network,
        weights: dict[str, torch.Tensor],
        layers: Sequence[Layer],
        alpha: _AlphaGrid,
    ) -> None:
        self.network, self.weights, self.layers, self.alpha = network, weights, layers, alpha

    def show(self, strings: list[str] | None, ticks: int, state: State) -> tuple[State, torch.Tensor]:
        """Show one string a trial, or nothing; record mean semantic activation (row, trial, tick)."""
        like, n_trials = self.layers[0].bias, state.drive[0].shape[1]
        lexicon = self.network.lexicon
        spelled = np.zeros((n_trials, lexicon.n_units)) if strings is None else lexicon.spell(strings)
        seen = project(self.weights, torch.as_tensor(spelled, dtype=like.dtype, device=like.device)[None])
        trace = like.new_empty((len(like), n_trials, ticks))
        for tick in range(ticks):
            state = step(seen, state, self.layers, self.network.architecture.rate, self.alpha)
            trace[:, :, tick] = state.activation[-1].mean(dim=2)
        return state, trace


def _grid(
    alpha: Alpha, parameters: Sequence[tuple[float, float, float]], n_participants: int, like: torch.Tensor
) -> _AlphaGrid:
    def column(values: list[float]) -> torch.Tensor:
        rows = np.repeat(np.asarray(values, dtype=np.float64), n_participants)[:, None, None]
        return torch.as_tensor(rows, dtype=like.dtype, device=like.device)

    rows = [
        replace(alpha, time_constant=alpha.time_constant if np.isinf(constant) else constant, threshold=threshold)
        for constant, threshold, _ in parameters
    ]
    # no unit reaches a threshold above 1, which makes the ERP model of the rows whose time constant is infinite
    thresholds = [2.0 if np.isinf(constant) else threshold for constant, threshold, _ in parameters]
    return _AlphaGrid(
        column([row.time_constant for row in rows]),
        column(thresholds),
        column([row.peak for row in rows]),
        column([row.recovery for row in rows]),
        alpha.layers,
        alpha.mode,
        alpha.rearm,
    )


def _named(parameters: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip(("time_constant", "threshold", "inhibition"), parameters, strict=True))


def _timed(time_constant: float, blank: int, timing: Timing) -> dict[str, float]:
    soa = timing.shown + blank
    return {"blank": blank, "soa": soa, "ratio": soa / time_constant}


def _effects(amplitude: NDArray[np.float64], trials: Stimuli) -> dict[str, float]:
    """Effects relative to the mean first amplitude, and shares of participants; amplitude (participant, trial)."""
    table = trials.table
    new = (table["condition"] == "new").to_numpy()
    many = table["kind"].isin(("word", "pseudoword")).to_numpy()
    mean = amplitude[:, new].mean()
    by_kind = [
        (amplitude[:, new & group].mean(axis=1), amplitude[:, ~new & group].mean(axis=1)) for group in _groups(table)
    ]
    drop = np.mean([first - second for first, second in by_kind], axis=0) / mean  # (participant,)
    more = (amplitude[:, new & many].mean(axis=1) - amplitude[:, new & ~many].mean(axis=1)) / mean
    return {
        "repetition": float(drop.mean()),
        "repetition_share": float((drop > 0).mean()),
        "neighbourhood": float(more.mean()),
        "neighbourhood_share": float((more > 0).mean()),
    }


def _groups(table: pd.DataFrame) -> list[NDArray[np.bool_]]:
    return [(table["kind"] == kind).to_numpy() for kind in KINDS if (table["kind"] == kind).any()]


def _check(
    time_constants: Sequence[float],
    blanks: Sequence[int],
    thresholds: Sequence[float] | None,
    inhibition: Sequence[float],
    items_per_kind: int,
) -> None:
    for name, values in (("time_constants", time_constants), ("blanks", blanks), ("inhibition", inhibition)):
        if len(values) == 0:
            raise ValueError(f"{name}: empty; expected at least one value.")
    if not all(constant > 0 for constant in time_constants):
        raise ValueError(f"time_constants: got {list(time_constants)}; expected positive numbers of ticks.")
    if min(blanks) < 0:
        raise ValueError(f"blanks: got {list(blanks)}; expected 0 ticks or more.")
    if thresholds is not None and not all(0 < threshold < 1 for threshold in thresholds):
        raise ValueError(f"thresholds: got {list(thresholds)}; activations lie between 0 and 1.")
    if min(inhibition) < 0:
        raise ValueError(f"inhibition: got {list(inhibition)}; expected factors of 0 or more.")
    if items_per_kind < 2:
        raise ValueError(f"items_per_kind: got {items_per_kind}; expected 2 or more.")
