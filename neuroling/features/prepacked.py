"""Linear maps whose weights are laid out once for products with a fixed number of tokens, on a CPU.

A product of matrices first copies both into the order in which its inner loops read them. For weights that is the same
work in every pack, and a twelfth of the time at BERT-base's shape. MKL can do it beforehand, for a given number of
rows; packs are therefore filled to that number. The functions are those that torch's own compiler uses, and not public:
where they are missing, or give other numbers, the plain products stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch.nn.functional import linear

from neuroling.numerics.memory import free_bytes

LEAST_TOKENS = 13_000
"""Tokens that repay laying the weights out, most of which is the first touch of new memory: 0.8 seconds for BERT-base,
whose packs then take 0.06 seconds less a thousand tokens. An encoder that has read as many will read more, as a rule.
Measured on one core, a heuristic."""

SHARE = 0.1
"""Share of the free memory that a second copy of the weights may take."""

NEARLY = 0.95
"""How full a pack must be to be filled up with tokens that nobody asked for; below, plain products are as fast."""

EQUAL = 1e-5
"""Largest difference from a plain product, as a share of its largest value, in float32."""


@dataclass
class Prepacked:
    """The weights of one model, laid out once it has read enough, and kept.

    Attributes
    ----------
    tokens : int
        Rows of the products that they are laid out for; 0 before.
    read : int
        Tokens in full packs of all jobs so far.
    """

    tokens: int = 0
    read: int = 0
    _laid_out: dict[int, tuple[torch.Tensor, int, torch.Tensor]] = field(default_factory=dict, repr=False)

    def __reduce__(self) -> tuple[type[Prepacked], tuple[()]]:
        """Make a copy without weights: those laid out belong to one model, and torch cannot copy them."""
        return Prepacked, ()

    @contextmanager
    def serving(self, model: torch.nn.Module, lengths: Sequence[int], tokens: int) -> Iterator[int]:
        """Let a model use such weights for the time of a job, if they pay.

        Parameters
        ----------
        model : torch.nn.Module
            Its linear maps are looked through.
        lengths : sequence of int
            Tokens of the sequences of the job.
        tokens : int
            Tokens of a full pack.

        Yields
        ------
        int
            Tokens to which packs are to be filled; 0 where the products are plain.
        """
        full = sum(length for length in lengths if length <= tokens) // max(tokens, 1)
        self.read += full * tokens
        ready = bool(full) and (self.tokens == tokens or self.read >= LEAST_TOKENS) and self._lay_out(model, tokens)
        patched = _maps(model) if ready else []
        for one in patched:
            one.forward = partial(self._product, one)  # type: ignore[method-assign]
        try:
            yield tokens if ready else 0
        finally:
            for one in patched:
                vars(one).pop("forward", None)

    def _lay_out(self, model: torch.nn.Module, tokens: int) -> bool:
        """Lay out all weights anew that are not as they were; False where that cannot be."""
        maps = _maps(model)
        if tokens != self.tokens:
            self._laid_out.clear()
        if not maps or not all(one.weight.device.type == "cpu" and one.weight.dtype == torch.float32 for one in maps):
            return False
        if not self._laid_out and not _can(maps, tokens):
            return False
        self.tokens = tokens
        for one in maps:
            weight = one.weight.detach()
            known, seen = self._laid_out.get(id(one)), _checksum(weight)
            if known is None or known[0].data_ptr() != weight.data_ptr() or known[1] != seen:
                self._laid_out[id(one)] = (weight, seen, _laid_out(weight, tokens))
        return True

    def _product(self, one: torch.nn.Linear, values: torch.Tensor) -> torch.Tensor:
        """Multiply as the linear map does, by weights laid out where the rows fit and no gradient is wanted."""
        if torch.is_grad_enabled() or values.dtype != torch.float32 or values.numel() != self.tokens * one.in_features:
            return linear(values, one.weight, one.bias)
        return _multiply(values, self._laid_out[id(one)][2], one.weight, one.bias, self.tokens)


def _maps(model: torch.nn.Module) -> list[torch.nn.Linear]:
    """Give the plain linear maps of a model, whose ``forward`` nobody else has replaced."""
    return [one for one in model.modules() if type(one) is torch.nn.Linear and "forward" not in vars(one)]


def _can(maps: Sequence[torch.nn.Linear], tokens: int) -> bool:
    """Whether there is memory, and torch has the functions and they give the numbers of a plain product."""
    if sum(one.weight.nbytes for one in maps) > SHARE * free_bytes(torch.device("cpu")):
        return False
    one = maps[0]
    values = torch.linspace(-1, 1, tokens * one.in_features).reshape(tokens, -1)
    with torch.inference_mode():
        plain = linear(values, one.weight, one.bias)
        try:
            found = _multiply(values, _laid_out(one.weight.detach(), tokens), one.weight, one.bias, tokens)
        except (AttributeError, NotImplementedError, RuntimeError):  # another torch, or another processor
            return False
    return bool((found - plain).abs().max() <= EQUAL * plain.abs().max())


def _laid_out(weight: torch.Tensor, tokens: int) -> torch.Tensor:
    found: torch.Tensor = torch.ops.mkl._mkl_reorder_linear_weight(weight, tokens)
    return found


def _multiply(
    values: torch.Tensor, laid_out: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, tokens: int
) -> torch.Tensor:
    found: torch.Tensor = torch.ops.mkl._mkl_linear(values, laid_out, weight, bias, tokens)
    return found


def _checksum(weight: torch.Tensor) -> int:
    """Add up the bits of weights, two numbers at a time, so that any of them that changes in place is noticed."""
    flat = weight.reshape(-1)
    even = len(flat) // 2 * 2
    return int(flat[:even].view(torch.int64).sum()) + int(flat[even:].view(torch.int32).sum())
