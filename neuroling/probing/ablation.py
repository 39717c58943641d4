"""A language model without some of its attention heads."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence

import torch

OUTPUTS = re.compile(
    r"(attention\.output\.dense|attention\.out_lin|attn\.c_proj|self_attn\.(o_proj|out_proj)|attn\.Wo|attention\.dense)$"
)
"""Linear maps that mix the outputs of heads: of BERT, DistilBERT, GPT-2, Llama, OPT, ModernBERT and GPT-NeoX."""


def without_heads(model: torch.nn.Module, heads: Mapping[int, Sequence[int]]) -> torch.nn.Module:
    """Copy a model and silence heads: what they hand on is multiplied by zero.

    Parameters
    ----------
    model : torch.nn.Module
        A model of transformers, with ``config.num_attention_heads`` and ``config.num_hidden_layers``; stays as it is.
    heads : mapping of int to sequence of int
        Heads (from 0) to be silenced, by layer (from 1).

    Returns
    -------
    torch.nn.Module
        Of the same class.

    Raises
    ------
    ValueError
        If the model's heads cannot be found, or there is no such layer or head.

    References
    ----------
    Michel, P., Levy, O. and Neubig, G. (2019). Are sixteen heads really better than one? NeurIPS.
    """
    n_heads, n_layers = (int(getattr(model.config, key)) for key in ("num_attention_heads", "num_hidden_layers"))
    output_names = [name for name, _ in model.named_modules() if OUTPUTS.search(name)]
    if len(output_names) != n_layers:
        raise ValueError(
            f"model: {type(model).__name__} has {n_layers} layers and {len(output_names)} known maps behind heads; its "
            "heads cannot be distinguished."
        )
    for layer, silenced in heads.items():
        wrong = [head for head in silenced if not 0 <= head < n_heads]
        if not 1 <= layer <= n_layers or wrong:
            raise ValueError(
                f"heads: got {dict(heads)}; {type(model).__name__} has layers 1 to {n_layers} and heads 0 to "
                f"{n_heads - 1}."
            )
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for layer, silenced in heads.items():
            projection = copied.get_submodule(output_names[layer - 1])
            weight = projection.get_parameter("weight")
            inputs = weight if isinstance(projection, torch.nn.Linear) else weight.T  # GPT-2 stores (in, out)
            width = inputs.shape[1] // n_heads
            for head in silenced:
                inputs[:, head * width : (head + 1) * width] = 0.0
    return copied
