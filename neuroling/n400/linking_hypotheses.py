"""Linking hypotheses: what in a network's semantic layer the N400 is taken to be.

All of them read the same simulation, tick by tick; none changes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

SURE = 1e-4
"""Activations are kept so far from 0 and 1 in logarithms."""

Response = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Link:
    """One linking hypothesis.

    Attributes
    ----------
    name : str
        Its name.
    response : callable
        Turns the semantic layer (participant, trial, tick, unit) and the targets' meanings (trial, unit) into the
        simulated N400 (participant, trial, tick). The first ticks lie before the target, at least one.
    source : str
        Whose hypothesis it is.
    needs_meaning : bool
        Whether it is defined for words and acronyms alone.
    units : str
        What the response is measured in.
    """

    name: str
    response: Response
    source: str
    needs_meaning: bool = False
    units: str = "activation"


def _activation(trace: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return trace.mean(dim=3)


def _update(trace: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return (trace - trace[:, :, :1]).abs().sum(dim=3)


def _state_change(trace: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    likeness = torch.cosine_similarity(trace[:, :, 1:], trace[:, :, :-1], dim=3)
    return torch.nn.functional.pad(1 - likeness, (1, 0))


def _settling(trace: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return _cross_entropy(trace[:, :, -1:].clamp(SURE, 1 - SURE), trace)


def _prediction_error(trace: torch.Tensor, meaning: torch.Tensor) -> torch.Tensor:
    return _cross_entropy(meaning[None, :, None], trace)


def _entropy_reduction(trace: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    own = _cross_entropy(trace.clamp(SURE, 1 - SURE), trace)
    return own - own[:, :, -1:]


def _cross_entropy(target: torch.Tensor, trace: torch.Tensor) -> torch.Tensor:
    """Sum over units of the cross-entropy between targets and activations, in nats."""
    read = trace.clamp(SURE, 1 - SURE)
    return -(target * read.log() + (1 - target) * (1 - read).log()).sum(dim=3)


semantic_activation = Link("semantic activation", _activation, "Laszlo and Plaut 2012")
"""Mean activation of the semantic layer."""

semantic_update = Link("semantic update", _update, "Rabovsky, Hansen and McClelland 2018")
"""Summed change of the semantic layer since before the target."""

state_change = Link("state change", _state_change, "Brouwer, Crocker, Venhuizen and Hoeks 2017", units="1 - cosine")
"""One minus the cosine of the semantic layer with itself one tick before."""

settling = Link("attractor settling", _settling, "after Plaut's attractor networks (inferred)", units="nats")
"""Distance from the pattern that the layer will have settled in, as cross-entropy."""

prediction_error = Link("prediction error", _prediction_error, "Rabovsky and McRae 2014", True, "nats")
"""Cross-entropy with the meaning that should have been read."""

entropy_reduction = Link("entropy reduction", _entropy_reduction, "after Hale 2006 (inferred)", units="nats")
"""Uncertainty of the semantic units that is still to be resolved, tick by tick."""

LINKS = (semantic_activation, semantic_update, prediction_error, settling, state_change, entropy_reduction)
"""All of them."""
