"""Simulated ERPs: what a network does in an experiment, as a recording like any brain's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.n400.alpha import Alpha
from neuroling.n400.experiments import Timing, check_items
from neuroling.n400.linking_hypotheses import Link, semantic_activation
from neuroling.n400.network import Network
from neuroling.n400.presentation import run
from neuroling.n400.reading import (
    Tally,
    alone,
    best_tick,
    check_reads,
    in_words,
    last_tick,
    reading_summary,
    reading_table,
    reads,
)


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

    Every trial starts after a blank. Trials that share a context share its simulation. Participants who do not
    recognise the known targets of this very experiment without the alpha function are refused, since what they would
    show is no N400 of reading; if it has no known targets, all known strings are shown alone instead.

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
        Ticks; 12 on, 4 blank and 20 of the target by default.
    allow_unlearned : bool
        Simulate participants all the same who do not read; the recording's attribute ``reads`` is then 0.
    device : str
        Where to compute.
    memory : int
        Bytes that the activations of one batch of trials may take.

    Returns
    -------
    xarray.DataArray, dims (sample, repeat, time), float32
        One response a trial and participant. ``time`` in seconds from target onset; sample coordinates ``condition``,
        ``item``, ``kind`` and ``context``. Its attributes say that it is simulated, how, and what participants
        recognised: ``reading`` at the last tick without the alpha function, ``reading_alpha`` at the best tick with
        it, ``recognised`` and ``lowest`` (the least mean of a kind of trial, and the least participant, without
        alpha), and ``reads``, 1 or 0.

    Raises
    ------
    NotLearned
        If in any kind of trial participants recognise fewer than 90 % of the known targets on average, or one of them
        fewer than 85 % (:mod:`neuroling.n400.reading`).
    ValueError
        If a string is not in the lexicon, or the link needs meanings that some targets lack.

    Examples
    --------
    >>> from neuroling.n400.experiments import repetition
    >>> from neuroling.n400.networks import trained_network
    >>> network = trained_network(0)
    >>> recording = simulate(network, repetition(network.lexicon, rng=0), alpha=Alpha(8))
    >>> recording.dims, recording.attrs["reads"]
    (('sample', 'repeat', 'time'), 1)
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
    meaning = np.nan_to_num(network.lexicon.meaning(experiment.texts))
    shape = (len(experiment), network.n_participants, timing.before + timing.target)
    responses = {link.name: np.empty(shape, dtype=np.float32) for link in links}
    tally = Tally(network, experiment, timing)
    for trials, trace in run(network, experiment, alpha, timing, device, memory):
        tally.add(trials, trace)
        wanted = torch.as_tensor(meaning[trials], dtype=trace.dtype, device=trace.device)
        for link in links:
            response = link.response(trace, wanted)  # (participant, trial, tick)
            responses[link.name][trials] = response.transpose(0, 1).cpu().numpy()
    reading = tally.table()
    plain = last_tick(reading if alpha is None and len(reading) else _read(network, experiment, timing, device, memory))
    if not allow_unlearned:
        check_reads(plain)
    reading_attrs: dict[str, object] = {"reading": in_words(plain), "reads": int(reads(plain))}
    reading_attrs |= {
        "recognised": float(reading_summary(plain)["recognised"].min()),
        "lowest": float(plain["recognised"].min()),
    }
    if alpha is not None and len(reading):
        reading_attrs["reading_alpha"] = in_words(best_tick(reading))
    return {
        link.name: _labelled(responses[link.name], experiment, timing, network, alpha, link).assign_attrs(reading_attrs)
        for link in links
    }


def _read(network: Network, experiment: Stimuli, timing: Timing, device: str, memory: int) -> pd.DataFrame:
    """Let participants read the known targets of an experiment, or their lexicon if there are none, without alpha."""
    any_known = any(text in network.lexicon.known for text in experiment.texts)
    stimuli = experiment if any_known else alone(network.lexicon)
    return reading_table(network, stimuli, alpha=None, timing=timing, device=device, memory=memory)


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
