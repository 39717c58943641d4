r"""Cross-entropy of binary targets over many ticks, with the derivative written out.

With :math:`p` the probability that a unit gives to its own target, the error is :math:`-\sum \log p` over units and
ticks. Training spends its time on memory traffic and logarithms, so that logarithms are taken of products over four
ticks, and what the derivative needs is :math:`p` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

SURE = 1e-5
"""Activations are kept so far from 0 and 1 in the logarithms of the error, and have no derivative beyond."""

AT_ONCE = 4
"""Ticks whose probabilities are multiplied before a logarithm is taken; the product stays above 1e-20."""


def cross_entropy(reads: Sequence[torch.Tensor], target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Give the cross-entropy between activations and targets, in nats, summed over ticks and units.

    Parameters
    ----------
    reads : sequence of Tensor, shape (participant, item, unit)
        Activations between 0 and 1, one tensor a tick.
    target : Tensor, shape (item, unit)
        Zeros and ones.
    weight : Tensor, shape (item,)
        Weight of each item.

    Returns
    -------
    Tensor, shape (participant,)
        Weighted sum over items.

    Examples
    --------
    >>> half = [torch.full((1, 1, 2), 0.5)]
    >>> round(float(cross_entropy(half, torch.tensor([[0.0, 1.0]]), torch.ones(1))), 3)
    1.386
    """
    return _CrossEntropy.apply(2 * target - 1, 1 - target, 1 - SURE, weight, *reads)  # type: ignore[no-any-return,no-untyped-call]  # torch's


def misses(reads: Sequence[torch.Tensor], target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Give the part of the cross-entropy that comes of units that should be on, in nats, summed over ticks and units.

    Parameters
    ----------
    reads, target, weight
        As in :func:`cross_entropy`.

    Returns
    -------
    Tensor, shape (participant,)
        Weighted sum over items.

    Examples
    --------
    >>> half = [torch.full((1, 1, 2), 0.5)]
    >>> round(float(misses(half, torch.tensor([[0.0, 1.0]]), torch.ones(1))), 3)
    0.693
    """
    return _CrossEntropy.apply(target, 1 - target, 1.0, weight, *reads)  # type: ignore[no-any-return,no-untyped-call]  # torch's


def cross_entropy_of_logits(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Do the same for activations given before the logistic function.

    Parameters
    ----------
    logits : Tensor, shape (participant, tick, item, unit)
        Net inputs.
    target, weight : Tensor
        As in :func:`cross_entropy`.

    Returns
    -------
    Tensor, shape (participant,)
    """
    return _LogitCrossEntropy.apply(logits, 2 * target - 1, weight)  # type: ignore[no-any-return,no-untyped-call]  # torch's


class _CrossEntropy(torch.autograd.Function):
    """A unit's probability of its own target is offset + sign × activation, kept between SURE and ``highest``.

    The sign is +1 where the target is 1; where it is 0, -1 (with an offset of 1), or 0 if false alarms do not count.
    """

    @staticmethod
    def forward(
        ctx: Any, sign: torch.Tensor, offset: torch.Tensor, highest: float, weight: torch.Tensor, *reads: torch.Tensor
    ) -> torch.Tensor:
        outputs = [torch.addcmul(offset, sign, read).clamp_(SURE, highest) for read in reads]
        ctx.save_for_backward(sign, weight, *outputs)
        ctx.highest = highest
        return _minus_logs(outputs).sum(dim=2) @ weight

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        sign, weight, *own = ctx.saved_tensors
        slope = -gradients[0][:, None, None] * weight[:, None] * sign  # (participant, item, unit)
        inside = [torch.ops.aten.hardtanh_backward(slope / one, one, SURE, ctx.highest) for one in own]
        return None, None, None, None, *inside


class _LogitCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, sign: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        own = torch.sigmoid(logits * sign)  # (participant, tick, item, unit)
        ctx.save_for_backward(own, sign, weight)
        return _minus_logs(own.clamp(min=1e-9).unbind(1)).sum(dim=2) @ weight

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        own, sign, weight = ctx.saved_tensors
        return (own - 1) * (sign * weight[:, None]) * gradients[0][:, None, None, None], None, None


def _minus_logs(probabilities: Sequence[torch.Tensor]) -> torch.Tensor:
    total = torch.zeros_like(probabilities[0])
    for start in range(0, len(probabilities), AT_ONCE):
        first, *others = probabilities[start : start + AT_ONCE]
        product = first.clone()
        for other in others:
            product *= other
        total -= product.log_()
    return total
