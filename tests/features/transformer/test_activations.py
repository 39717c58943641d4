"""Activations that write over their input: the states of transformers, gradients as ever, and nobody misled."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import torch
from transformers import AutoModel
from transformers.activations import GELUActivation

from neuroling.features.transformer.activations import InPlaceGELU, write_over
from neuroling.features.transformer.encoder import Encoder
from neuroling.features.transformer.forward import Passes

IDS = torch.tensor([[5, 9, 7, 12, 6, 30, 31]])


@pytest.fixture(autouse=True)
def _silence(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="transformers")


def kinds(model: torch.nn.Module) -> list[type[torch.nn.Module]]:
    return [type(module) for module in model.modules() if isinstance(module, (GELUActivation, InPlaceGELU))]


@pytest.mark.parametrize("name", ["bert", "distilbert", "electra", "modernbert", "roberta"])
def test_states_are_those_of_the_model_as_transformers_loads_it(family: Callable[[str], Encoder], name: str) -> None:
    encoder = family(name)
    plain = AutoModel.from_pretrained(encoder.folder, attn_implementation="sdpa").eval()
    with torch.inference_mode():
        found, expected = (model(input_ids=IDS, output_hidden_states=True) for model in (encoder.model, plain))
    assert set(kinds(plain)) == {GELUActivation}
    assert set(kinds(encoder.model)) == {InPlaceGELU}
    for a, b in zip(found.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def test_gradients_are_those_of_the_plain_function() -> None:
    values = torch.randn(5, requires_grad=True)
    (found,) = torch.autograd.grad(InPlaceGELU()(values * 2).sum(), values)
    (expected,) = torch.autograd.grad(torch.nn.functional.gelu(values * 2).sum(), values)
    torch.testing.assert_close(found, expected)


def test_a_layer_that_reads_the_input_of_its_activation_again_is_left_alone(family: Callable[[str], Encoder]) -> None:
    model = AutoModel.from_pretrained(family("bert").folder).eval()
    inner = model.encoder.layer[0].intermediate

    def adding(hidden: torch.Tensor) -> torch.Tensor:
        before = inner.dense(hidden)
        return inner.intermediate_act_fn(before) + before  # type: ignore[no-any-return]

    inner.forward = adding
    write_over(model, Passes(), list(range(5, 30)), 20)
    assert set(kinds(model)) == {GELUActivation}
