"""What speed costs in exactness: compiled layers and shorter numbers, held against float32 at load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from neuroling.features.transformer.forward import Passes, states_of
from neuroling.features.transformer.packed_attention import COMPILED, register_for_compiling

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PROBE_TOKENS = 32
"""Tokens of the sequence on which exactness is measured."""

LARGEST_MEASURED = 4_000_000_000
"""Bytes of weight files above which exactness is not measured, since the model would be in memory twice."""


def probe_states(model: PreTrainedModel, passes: Passes, ordinary_ids: Sequence[int], limit: int) -> list[torch.Tensor]:
    """Read a fixed random sequence.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A body, on its device.
    passes : Passes
        Where its layers are.
    ordinary_ids : sequence of int
        Token ids that are not special.
    limit : int
        Longest input.

    Returns
    -------
    list of torch.Tensor, shape (token, unit)
        States of every layer, float64, on the CPU.
    """
    generator = torch.Generator().manual_seed(0)
    places = torch.randint(len(ordinary_ids), (min(PROBE_TOKENS, limit),), generator=generator)
    ids = torch.as_tensor(list(ordinary_ids))[places][None].to(model.device)
    with torch.inference_mode():
        states = states_of(model, passes, ids, list(range(int(model.config.num_hidden_layers) + 1)))
    return [state[0].double().cpu() for state in states]


def deviation(states: Sequence[torch.Tensor], exact: Sequence[torch.Tensor]) -> float:
    """Give the largest difference in any layer, as a share of the largest state of that layer.

    Parameters
    ----------
    states, exact : sequence of torch.Tensor, shape (token, unit)
        States of every layer.

    Returns
    -------
    float

    Examples
    --------
    >>> deviation([torch.tensor([1.0, -4.0])], [torch.tensor([1.0, -8.0])])
    0.5
    """
    shares = [float((a - b).abs().max() / b.abs().max().clamp(min=1e-12)) for a, b in zip(states, exact, strict=True)]
    return round(max(shares), 12)


def compile_blocks(model: PreTrainedModel, passes: Passes) -> None:
    """Compile every layer with ``torch.compile``, attention apart; sequences of any length use the same code.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A body, which is changed.
    passes : Passes
        Where its layers are.

    Raises
    ------
    ValueError
        If its layers cannot be distinguished, as in ALBERT.
    """
    if passes.blocks is None:
        raise ValueError(
            f"compiled: the layers of this model ({model.config.model_type}) cannot be distinguished; use "
            "compiled=False."
        )
    if passes.batching == "packed":
        register_for_compiling()
        model.set_attn_implementation(COMPILED)
    for block in model.get_submodule(passes.blocks).children():
        block.forward = torch.compile(block.forward, dynamic=True)  # hooks stay outside
