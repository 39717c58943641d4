"""Sequences laid end to end without pads: an attention function for transformers that keeps them apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from torch.nn.functional import scaled_dot_product_attention

ATTENTION = "neuroling_packed"
"""Name under which the function is known to transformers."""

COMPILED = "neuroling_packed_compiled"
"""The same for compiled layers, which call it and do not look inside."""

UNSUPPORTED = ("softcap", "s_aux", "sinks", "position_bias", "head_mask")
"""Arguments of attention functions that would change the numbers and are not implemented here."""

SHORT = range(20, 112)
"""Tokens of sequences that attend faster on a CPU by plain products than by the fused kernel: 1.0 to 1.7 times as fast,
for heads of 32 and of 64 units; 0.6 of it at 180 tokens and at 10."""

Run = tuple[int, int, int]


@dataclass(frozen=True)
class Layout:
    """What lies where in a pack.

    Attributes
    ----------
    runs : tuple of (start, rows, length)
        Neighbouring sequences of equal length form a run, so that each run is one batch without pads.
    keep_heads, keep_maps : bool
        Whether outputs of heads, or attention maps, are kept.
    heads : list of torch.Tensor
        One an attention layer, shape (token, head, unit), where kept.
    maps : list of list of torch.Tensor
        One an attention layer, of one a run, shape (row, head, query, key), where kept.
    """

    runs: tuple[Run, ...]
    keep_heads: bool = False
    keep_maps: bool = False
    heads: list[torch.Tensor] = field(default_factory=list)
    maps: list[list[torch.Tensor]] = field(default_factory=list)

    @classmethod
    def of(cls, lengths: Sequence[int], *, keep_heads: bool = False, keep_maps: bool = False) -> Layout:
        """Lay out sequences of these lengths, in this order.

        Parameters
        ----------
        lengths : sequence of int
            Tokens of each sequence.
        keep_heads, keep_maps : bool
            What to keep.

        Returns
        -------
        Layout

        Examples
        --------
        >>> Layout.of([3, 3, 5]).runs
        ((0, 2, 3), (6, 1, 5))
        """
        runs: list[Run] = []
        start = 0
        for length in lengths:
            if runs and runs[-1][2] == length:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1, length)
            else:
                runs.append((start, 1, length))
            start += length
        return cls(tuple(runs), keep_heads=keep_heads, keep_maps=keep_maps)


_current: ContextVar[Layout | None] = ContextVar("layout of the pack being read", default=None)


@contextmanager
def packed(layout: Layout) -> Iterator[Layout]:
    """Say, for one forward pass, how the tokens given to the model fall into sequences.

    Parameters
    ----------
    layout : Layout
        The sequences.

    Yields
    ------
    Layout
        The same.
    """
    token = _current.set(layout)
    try:
        yield layout
    finally:
        _current.reset(token)


def register() -> None:
    """Make the function known to transformers; doing so again changes nothing."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(ATTENTION, attend)
    AttentionMaskInterface.register(ATTENTION, _mask)


def register_for_compiling() -> None:
    """Make the function known under :data:`COMPILED`, closed to the compiler: each pack has another layout."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(COMPILED, torch.compiler.disable(attend))  # type: ignore[no-untyped-call]  # torch leaves it untyped
    AttentionMaskInterface.register(COMPILED, _mask)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    is_causal: bool | None = None,
    **others: object,
) -> tuple[torch.Tensor, None]:
    """Attend within each sequence of the pack; outside :func:`packed`, as transformers' ``sdpa`` does.

    Parameters
    ----------
    module : torch.nn.Module
        The attention layer.
    query, key, value : torch.Tensor, shape (1, head, token, unit)
        Of all sequences, end to end; keys and values may have fewer heads.
    attention_mask : torch.Tensor or None
        Used outside :func:`packed` alone.
    scaling : float, optional
        Factor of the products of queries and keys.
    dropout : float
        Used outside :func:`packed` alone.
    sliding_window : int, optional
        How far a token sees.
    is_causal : bool, optional
        Whether a token sees only what came before it; by default what the layer says.
    **others : object
        What else transformers passes on.

    Returns
    -------
    torch.Tensor, shape (1, token, head, unit), and None
    """
    layout = _current.get()
    causal = bool(getattr(module, "is_causal", False)) if is_causal is None else bool(is_causal)
    if layout is None:
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

        plain: tuple[torch.Tensor, None] = ALL_ATTENTION_FUNCTIONS["sdpa"](
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, is_causal=is_causal, **others
        )
        return plain
    unsupported = [name for name in UNSUPPORTED if others.get(name) is not None]
    if unsupported:
        raise NotImplementedError(f"attention with {unsupported} cannot be packed")
    out = query.new_empty(1, query.shape[2], query.shape[1], value.shape[-1])  # (1, token, head, unit)
    maps = []
    for start, rows, length in layout.runs:
        q, k, v, o = (_run_of(tensor, start, rows, length) for tensor in (query, key, value, out.transpose(1, 2)))
        mask = _window_mask(length, sliding_window, causal, query.device)
        if mask is None and not causal and _is_short(query, key, length):
            _attend_short(q, k, v, scaling, o)
        else:
            attended = scaled_dot_product_attention(
                q,
                k,
                v,
                attn_mask=mask,
                scale=scaling,
                is_causal=causal and mask is None,
                enable_gqa=q.shape[1] != k.shape[1],
            )
            o.copy_(attended)
        if layout.keep_maps:
            maps.append(_weights(q, k, scaling, mask, causal))
    if layout.keep_heads:
        layout.heads.append(out[0].clone())
    if layout.keep_maps:
        layout.maps.append(maps)
    return out, None


def _is_short(query: torch.Tensor, key: torch.Tensor, length: int) -> bool:
    """Whether sequences of a length are better off with plain products: no gradients, float32 on a CPU, equal heads."""
    plain = query.device.type == "cpu" and query.dtype == torch.float32 and query.shape[1] == key.shape[1]
    return plain and length in SHORT and not torch.is_grad_enabled()


def _attend_short(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None, out: torch.Tensor
) -> None:
    """Attend within each sequence of a run, shape (row, head, token, unit), by itself, its map written out whole."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    for q, k, v, o in zip(query.unbind(), key.mT.unbind(), value.unbind(), out.unbind(), strict=True):
        o.copy_(torch.bmm(torch.bmm(q, k).mul_(scale).softmax(-1), v))


def _run_of(tensor: torch.Tensor, start: int, rows: int, length: int) -> torch.Tensor:
    """View one run as a batch, shape (row, head, token, unit)."""
    heads, units = tensor.shape[1], tensor.shape[-1]
    return tensor[0, :, start : start + rows * length].view(heads, rows, length, units).transpose(0, 1)


def _window_mask(length: int, window: int | None, causal: bool, device: torch.device) -> torch.Tensor | None:
    if window is None or length <= window:
        return None
    place = torch.arange(length, device=device)
    apart = place[:, None] - place[None]  # (query, key)
    return (apart >= 0) & (apart < window) if causal else apart.abs() < window


def _weights(
    query: torch.Tensor, key: torch.Tensor, scaling: float | None, mask: torch.Tensor | None, causal: bool
) -> torch.Tensor:
    """Write the attention map out, shape (row, head, query, key)."""
    if query.shape[1] != key.shape[1]:
        key = key.repeat_interleave(query.shape[1] // key.shape[1], 1)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = query.float() @ key.float().transpose(-1, -2) * scale
    if mask is None and causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1)


def _mask(*args: object, **kwargs: object) -> torch.Tensor | None:
    """Give the mask of transformers' ``sdpa``, or none where the layout says who belongs together."""
    if _current.get() is not None:
        return None
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    mask: torch.Tensor | None = ALL_MASK_ATTENTION_FUNCTIONS["sdpa"](*args, **kwargs)
    return mask
