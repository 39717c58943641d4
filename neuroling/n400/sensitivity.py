"""Where each effect holds: time constant, asynchrony, threshold, inhibition and lexicon, swept as one batched run.

The repetition effect of the alpha model lives in a band of asynchrony over time constant: a unit that is repeated too
late has recovered, and one that is repeated too early is still on its way up, so that the effect turns round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.n400.alpha import LAYERS, Alpha, Mode, Reset
from neuroling.n400.dynamics import Layer, State, project, start, step
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
    reset: Reset


SWEEP: Mapping[str, Sequence[float]] = {
    "time_constants": (5.0, 6.0, 7.5, 9.0, 12.0, 16.0, np.inf),
    "thresholds": (0.05, 0.1, 0.2),
    "inhibition": (0.8, 1.0, 1.25),
}
"""What the diagnostic of an analysis sweeps."""

BLANKS = (2, 3, 4, 5, 6, 10)
"""Ticks between presentations that it sweeps, asynchronies of 14 to 22 ticks."""


def diagnose(
    networks: Sequence[Network], *, alpha: Alpha, rng: int | np.random.Generator, device: str = "auto"
) -> pd.DataFrame:
    """Sweep what :data:`SWEEP` names over up to eight participants of each lexicon; see :func:`sensitivity`.

    Parameters
    ----------
    networks : sequence of Network
        One a lexicon.
    alpha : Alpha
        Layers, mode and what resets clocks; its own time constant and threshold need not be among those swept.
    rng : int or numpy.random.Generator
        Source of the items.
    device : str
        Where to compute.

    Returns
    -------
    pandas.DataFrame
    """
    some = [network.participants(slice(0, 8)) for network in networks]
    return sensitivity(
        some,
        alpha=alpha,
        time_constants=SWEEP["time_constants"],
        thresholds=SWEEP["thresholds"],
        inhibition=SWEEP["inhibition"],
        blanks=BLANKS,
        rng=rng,
        device=device,
    )


def as_text(table: pd.DataFrame, effect: str = "repetition") -> str:
    """Write the map down: per cent by time constant and asynchrony, and how much of the rest of the sweep agrees.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`sensitivity` or :func:`diagnose`.
    effect : {"repetition", "neighbourhood"}
        Which.

    Returns
    -------
    str
        The map is a mean over lexicons, thresholds and factors on inhibition.
    """
    if effect not in ("repetition", "neighbourhood"):
        raise ValueError(f"effect: got {effect!r}; expected 'repetition' or 'neighbourhood'.")
    fatigued = table[np.isfinite(table["time_constant"])]
    lines = [
        f"{effect} effect, % of the mean amplitude (rows: T in ticks, inf = ERP model; columns: asynchrony in ticks)",
        (100 * table.pivot_table(index="time_constant", columns="soa", values=effect)).round(1).to_string(),
    ]
    for name in ("threshold", "inhibition", "lexicon"):
        shares = (fatigued[effect] > 0).groupby(fatigued[name]).mean()
        found = ", ".join(f"{value}: {share:.0%}" for value, share in shares.items())
        lines.append(f"combinations with people's sign, by {name}: {found}")
    return "\n".join(lines)


# More than eight parameters: each is one setting of the published experiment.
def sensitivity(
    networks: Network | Sequence[Network],
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

    All combinations and lexicons run side by side along the participant axis; the blanks share the first presentation.

    Parameters
    ----------
    networks : Network or sequence of Network
        Trained participants, one network a lexicon; of the same sizes and rates.
    alpha : Alpha
        Gives layers, mode and what resets clocks, and the threshold where none is swept.
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
        One row a combination and lexicon: ``lexicon`` (its number), ``time_constant``, ``threshold``, ``inhibition``,
        ``blank``, ``soa``, ``ratio`` (SOA / T); ``repetition`` and ``neighbourhood``, shares of the mean first
        amplitude, positive where as in people; ``repetition_share`` and ``neighbourhood_share`` of participants with
        that sign.

    Raises
    ------
    ValueError
        If a list is empty or holds values that cannot be.
    """
    _check(time_constants, blanks, thresholds, inhibition, items_per_kind)
    timing = timing or Timing()
    several = [networks] if isinstance(networks, Network) else list(networks)
    _check_networks(several)
    grid = list(product(time_constants, thresholds or [alpha.threshold], inhibition))
    generators = np.random.default_rng(rng).spawn(len(several)) if len(several) > 1 else [rng]
    trials = [_some(one, items_per_kind, generator) for one, generator in zip(several, generators, strict=True)]
    if len({tuple(part.table["condition"] + part.table["kind"]) for part in trials}) > 1:
        raise ValueError("networks: their lexicons have different numbers of strings of a type; ask for fewer items.")
    rows = []
    for batch in _batches(grid):
        amplitudes = _amplitudes(several, trials, alpha, batch, sorted(set(blanks)), timing, device)
        rows += [
            {
                "lexicon": lexicon,
                **_named(parameters),
                **_timed(parameters[0], blank, timing),
                **_effects(amplitude, trials[lexicon]),
            }
            for blank, values in amplitudes.items()
            for parameters, of_lexicons in zip(batch, values, strict=True)
            for lexicon, amplitude in enumerate(of_lexicons)
        ]
    return pd.DataFrame(rows)


def _batches(grid: list[tuple[float, float, float]], size: int = 8) -> list[tuple[tuple[float, float, float], ...]]:
    """Cut the combinations into batches that fit in memory; eight is a heuristic."""
    return [tuple(grid[start : start + size]) for start in range(0, len(grid), size)]


def _some(network: Network, items_per_kind: int, rng: int | np.random.Generator) -> Stimuli:
    """Draw trials of immediate repetition, so many targets of each type, and the same contexts in both conditions."""
    trials = repetition(network.lexicon, rng=rng)
    table = trials.table
    selected: list[str] = []
    for kind in KINDS:
        contexts = table[(table["kind"] == kind) & (table["condition"] == "new")]
        selected += contexts["item"].iloc[:items_per_kind].tolist()
    return trials.subset(list(table.index[table["item"].isin(selected)]))


@torch.no_grad()
def _amplitudes(
    networks: Sequence[Network],
    trials: Sequence[Stimuli],
    alpha: Alpha,
    parameters: Sequence[tuple[float, float, float]],
    blanks: Sequence[int],
    timing: Timing,
    device: str,
) -> dict[int, list[list[NDArray[np.float64]]]]:
    """Mean activation in the window for each blank, combination and lexicon, (participant, trial)."""
    sizes = [network.n_participants for network in networks]
    n = sum(sizes)
    together = {name: np.concatenate([one.weights[name] for one in networks]) for name in networks[0].weights}
    weights = {name: np.tile(values, (len(parameters), 1, 1)) for name, values in together.items()}
    factors = np.repeat([factor for _, _, factor in parameters], n)[:, None, None]
    for layer in LAYERS:
        name = f"{layer}.from_bank"
        weights[name] = (weights[name] * factors).astype(weights[name].dtype)
    tensors, layers = on_device(weights, networks[0].architecture, device)
    sweep = _Sweep(networks, tensors, layers, _grid(alpha, parameters, n, layers[0].bias), len(parameters))
    contexts = [list(lexicon_trials.table["context"]) for lexicon_trials in trials]
    state = start(layers, len(contexts[0]), blank=networks[0].training.blank)
    state, _ = sweep.show(contexts, timing.shown, state)
    amplitudes, passed = {}, 0
    for blank in blanks:
        state, _ = sweep.show(None, blank - passed, state)
        passed = blank
        _, trace = sweep.show(
            [lexicon_trials.texts for lexicon_trials in trials], timing.target, state
        )  # (row, trial, tick)
        rows = trace.reshape(len(parameters), n, *trace.shape[1:]).double().cpu().numpy()
        cuts = np.cumsum(sizes)[:-1]
        amplitudes[blank] = [
            [
                _in_own_window(lexicon_trials, own)
                for lexicon_trials, own in zip(np.split(row, cuts), trials, strict=True)
            ]
            for row in rows
        ]
    return amplitudes


def _in_own_window(trace: NDArray[np.float64], trials: Stimuli) -> NDArray[np.float64]:
    """Average (participant, trial, tick) over the half maximum of first presentations, (participant, trial)."""
    new = (trials.table["condition"] == "new").to_numpy()
    curve = trace[:, new].mean(axis=(0, 1))
    height = curve - curve.min()
    top = int(height.argmax())
    below = np.flatnonzero(height < height[top] / 2)
    start = max((tick + 1 for tick in below if tick < top), default=0)
    stop = min((tick for tick in below if tick > top), default=len(curve))
    return np.asarray(trace[:, :, start:stop].mean(axis=2))


class _Sweep:
    """Steps all combinations and lexicons at once; rows are combinations, in each lexicons, in each participants."""

    def __init__(
        self,
        networks: Sequence[Network],
        weights: dict[str, torch.Tensor],
        layers: Sequence[Layer],
        alpha: _AlphaGrid,
        n_combinations: int,
    ) -> None:
        self.networks, self.weights, self.layers, self.alpha = networks, weights, layers, alpha
        self.n_combinations = n_combinations

    def show(self, strings: Sequence[Sequence[str]] | None, ticks: int, state: State) -> tuple[State, torch.Tensor]:
        """Show each lexicon one string a trial, or nothing; record mean semantic activation (row, trial, tick)."""
        like, n_trials = self.layers[0].bias, state.drive[0].shape[1]
        seen = project(self.weights, self._spelled(strings, n_trials))
        trace = like.new_empty((len(like), n_trials, ticks))
        for tick in range(ticks):
            state = step(seen, state, self.layers, self.alpha)
            trace[:, :, tick] = state.activation[-1].mean(dim=2)
        return state, trace

    def _spelled(self, strings: Sequence[Sequence[str]] | None, n_trials: int) -> torch.Tensor:
        """Spell what is shown, shape (row, trial, unit), or (1, trial, unit) for nothing."""
        like = self.layers[0].bias
        if strings is None:
            return like.new_zeros((1, n_trials, self.networks[0].lexicon.n_units))
        patterns = [
            np.repeat(network.lexicon.spell(list(shown))[None], network.n_participants, axis=0)
            for network, shown in zip(self.networks, strings, strict=True)
        ]
        once = torch.as_tensor(np.concatenate(patterns), dtype=like.dtype, device=like.device)
        return once.repeat(self.n_combinations, 1, 1)


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
        alpha.reset,
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


def _check_networks(networks: Sequence[Network]) -> None:
    if not networks:
        raise ValueError("networks: empty; expected at least one.")
    shapes = [{name: values.shape[1:] for name, values in network.weights.items()} for network in networks]
    kinds = {(one.architecture, one.training.blank) for one in networks}
    if any(shape != shapes[0] for shape in shapes) or len(kinds) > 1:
        raise ValueError("networks: they differ in sizes, rates or training blank; sweep each by itself.")


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
