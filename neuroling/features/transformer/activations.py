"""Activations that write over their input: on a CPU, memory is what GELU waits for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from neuroling.features.transformer.forward import Passes
from neuroling.features.transformer.precision import probe_states

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class InPlaceGELU(torch.nn.Module):
    """The exact GELU, written over its input unless gradients are kept.

    Examples
    --------
    >>> values = torch.tensor([-1.0, 0.0, 2.0])
    >>> with torch.inference_mode():
    ...     InPlaceGELU()(values) is values
    True
    """

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Give x Φ(x) of every value, in any shape."""
        if torch.is_grad_enabled():
            return torch.nn.functional.gelu(values)
        written: torch.Tensor = torch.ops.aten.gelu_(values)
        return written


def write_over(model: PreTrainedModel, passes: Passes, ordinary_ids: Sequence[int], limit: int) -> None:
    """Let a model's exact GELUs write over their input, where that leaves states of a probe as they are, to the bit.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A body, on its device, which is changed; not where its states on the probe would change, as they would if
        something else read the input of an activation behind it.
    passes : Passes
        Where its layers are.
    ordinary_ids : sequence of int
        Token ids that are not special.
    limit : int
        Longest input.
    """
    from transformers.activations import GELUActivation

    activations = [
        (parent, name, module)
        for parent in model.modules()
        for name, module in parent.named_children()
        if isinstance(module, GELUActivation) and module.act is torch.nn.functional.gelu
    ]
    if not activations:
        return
    before = probe_states(model, passes, ordinary_ids, limit)
    for parent, name, _ in activations:
        setattr(parent, name, InPlaceGELU().eval())
    after = probe_states(model, passes, ordinary_ids, limit)
    if not all(torch.equal(old, new) for old, new in zip(before, after, strict=True)):
        for parent, name, module in activations:
            setattr(parent, name, module)
