"""The error and its derivative, written out, against torch's own."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits

from neuroling.n400.loss import SURE, cross_entropy, cross_entropy_of_logits

TARGET = torch.tensor([[1.0, 0, 0, 1], [0, 1, 0, 0]], dtype=torch.float64)
WEIGHT = torch.tensor([0.3, 1.7], dtype=torch.float64)


def drawn(n_ticks, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((n_ticks, 3, 2, 4), generator=generator, dtype=torch.float64)  # (tick, participant, item, unit)


def gradient_of(error, inputs):
    inputs = inputs.clone().requires_grad_()
    total = error(inputs)
    (total * torch.arange(1.0, 4)).sum().backward()
    return total.detach(), inputs.grad


@pytest.mark.parametrize("n_ticks", [1, 4, 6])
def test_error_and_derivative_of_activations_equal_those_of_torch(n_ticks):
    reads = torch.sigmoid(drawn(n_ticks))

    def theirs(given):
        each = binary_cross_entropy(given, TARGET.expand_as(given), reduction="none")
        return (each.sum(dim=(0, 3)) * WEIGHT).sum(dim=1)

    ours = gradient_of(lambda given: cross_entropy(given.unbind(0), TARGET, WEIGHT), reads)
    torch.testing.assert_close(ours, gradient_of(theirs, reads))


@pytest.mark.parametrize("n_ticks", [1, 5])
def test_error_and_derivative_of_logits_equal_those_of_torch(n_ticks):
    logits = 4 * drawn(n_ticks).transpose(0, 1)

    def theirs(given):
        each = binary_cross_entropy_with_logits(given, TARGET.expand_as(given), reduction="none")
        return (each.sum(dim=(1, 3)) * WEIGHT).sum(dim=1)

    ours = gradient_of(lambda given: cross_entropy_of_logits(given, TARGET, WEIGHT), logits)
    torch.testing.assert_close(ours, gradient_of(theirs, logits))


def test_derivative_is_that_of_finite_differences():
    reads = [one.requires_grad_() for one in torch.sigmoid(drawn(2))]
    assert torch.autograd.gradcheck(lambda *given: cross_entropy(given, TARGET, WEIGHT), reads)


def test_activation_beyond_all_doubt_has_a_bounded_error_and_no_derivative():
    wrong = 1 - TARGET.expand(1, 3, 2, 4)
    error, slope = gradient_of(lambda given: cross_entropy(given.unbind(0), TARGET, torch.ones(2).double()), wrong)
    torch.testing.assert_close(error, torch.full((3,), -8 * log(SURE), dtype=torch.float64))
    assert slope.abs().max() == 0


def test_many_hopeless_ticks_do_not_underflow_in_single_precision():
    wrong = (1 - TARGET).float().expand(9, 3, 2, 4)
    error = cross_entropy(wrong.unbind(0), TARGET.float(), torch.ones(2))
    assert torch.isfinite(error).all()
