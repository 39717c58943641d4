"""Layers that write into memory at hand: on a CPU, it is memory that all but the products wait for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from neuroling.features.forward import Passes
from neuroling.features.precision import probe_states
from neuroling.features.workspace import Workspace, empty, is_open, reusing

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


class ReusingLinear(torch.nn.Linear):
    """A linear map that writes into the workspace of an extraction, and is as any other outside of one.

    Examples
    --------
    >>> from neuroling.features.workspace import Workspace, reusing
    >>> linear, values = ReusingLinear(2, 3), torch.ones(4, 2)
    >>> with torch.inference_mode(), reusing(Workspace()):
    ...     found = linear(values)
    >>> bool(torch.equal(found, torch.nn.functional.linear(values, linear.weight, linear.bias)))
    True
    """

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Give x Wᵀ + b for every row, in any shape."""
        if not is_open() or self.bias is None or self.weight.dtype != values.dtype or torch.is_grad_enabled():
            return torch.nn.functional.linear(values, self.weight, self.bias)
        rows = values.reshape(-1, self.in_features)  # (token, in)
        out = empty(len(rows), self.out_features, rows)
        return torch.addmm(self.bias, rows, self.weight.t(), out=out).view(*values.shape[:-1], self.out_features)


def reuse_memory(model: PreTrainedModel, passes: Passes, ordinary_ids: Sequence[int], limit: int) -> None:
    """Let a model's linear maps write into the workspace of an extraction, if states of a probe stay, to the bit.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A body, on its device, which is changed if it is on a CPU and in float32.
    passes : Passes
        Where its layers are.
    ordinary_ids : sequence of int
        Token ids that are not special.
    limit : int
        Longest input.
    """
    found = [module for module in model.modules() if type(module) is torch.nn.Linear]
    if not found or model.device.type != "cpu" or model.dtype != torch.float32:
        return
    before = probe_states(model, passes, ordinary_ids, limit)
    for module in found:
        module.__class__ = ReusingLinear  # the same weights, names and hooks
    with reusing(Workspace()):
        after = probe_states(model, passes, ordinary_ids, limit)
    if not all(torch.equal(old, new) for old, new in zip(before, after, strict=True)):
        for module in found:
            module.__class__ = torch.nn.Linear


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

    found = [
        (parent, name, module)
        for parent in model.modules()
        for name, module in parent.named_children()
        if isinstance(module, GELUActivation) and module.act is torch.nn.functional.gelu
    ]
    if not found:
        return
    before = probe_states(model, passes, ordinary_ids, limit)
    for parent, name, _ in found:
        setattr(parent, name, InPlaceGELU())
    after = probe_states(model, passes, ordinary_ids, limit)
    if not all(torch.equal(old, new) for old, new in zip(before, after, strict=True)):
        for parent, name, module in found:
            setattr(parent, name, module)
