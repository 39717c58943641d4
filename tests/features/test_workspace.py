"""Memory that activations hand on: shared by no two that live, as exact as any other, and open only when asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModel

from neuroling.core.stimuli import Stimuli
from neuroling.features.activations import ReusingLinear, reuse_memory
from neuroling.features.encoder import Encoder
from neuroling.features.extract import extract
from neuroling.features.forward import Passes
from neuroling.features.workspace import Workspace, empty, reusing

TEXTS = Stimuli.from_texts(["the cat saw a dog", "a ship", "the dog saw the cat saw a ship"], labels=["a", "b", "c"])


@pytest.fixture(autouse=True)
def _silence(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="transformers")


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 900), st.booleans()), max_size=30))
def test_living_tensors_never_share_memory(asked: list[tuple[int, int, bool]]) -> None:
    workspace, alive = Workspace(), []
    for number, (rows, columns, dropped) in enumerate(asked):
        alive.append((number, workspace.take(rows, columns).fill_(number)))
        if dropped:
            alive.pop(number % len(alive))
    assert all(bool((tensor == number).all()) for number, tensor in alive)


def test_a_view_alone_keeps_its_memory_from_others() -> None:
    workspace = Workspace()
    row = workspace.take(4, 5).fill_(7.0)[2]
    workspace.take(4, 5).zero_()
    assert row.tolist() == [7.0] * 5


def test_memory_goes_to_a_slightly_smaller_tensor() -> None:
    workspace = Workspace()
    first = workspace.take(1024, 768)
    place = first.data_ptr()
    del first
    assert workspace.take(1019, 768).data_ptr() == place


def test_a_large_block_is_kept_from_small_tensors() -> None:
    workspace = Workspace()
    place = workspace.take(1024, 3072).data_ptr()  # free again at once
    small = workspace.take(1024, 768)
    assert not place <= small.data_ptr() < place + 4 * 1024 * 3072


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_get_memory_of_their_own(dtype: torch.dtype) -> None:
    with torch.inference_mode(), reusing(Workspace()):
        assert empty(2, 3, torch.zeros(1, dtype=dtype)).dtype == dtype


def test_gradients_pass_through_a_reusing_map() -> None:
    linear, values = ReusingLinear(3, 2), torch.randn(4, 3, requires_grad=True)
    with reusing(Workspace()):
        (found,) = torch.autograd.grad(linear(values).sum(), values)
    torch.testing.assert_close(found, linear.weight.sum(0).expand(4, 3))


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta", "gpt2", "llama"])
def test_features_are_those_without_a_workspace(
    family: Callable[[str], Encoder], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = family(name)
    found = extract(TEXTS, encoder, batch_tokens=12)
    monkeypatch.setattr("neuroling.features.states.reusing", nullcontext)
    np.testing.assert_array_equal(found.values, extract(TEXTS, encoder, batch_tokens=12).values)


def test_layers_in_any_order_land_where_they_were_asked_for(tiny: Encoder) -> None:
    everything = extract(TEXTS, tiny)
    np.testing.assert_array_equal(extract(TEXTS, tiny, layers=[2, 0]).values, everything.sel(layer=[2, 0]).values)


def test_results_outlive_the_workspace(tiny: Encoder) -> None:
    first = extract(TEXTS, tiny)
    before = first.values.copy()
    extract(Stimuli.from_texts(["a dog", "the ship", "a cat saw the cat"], labels=["d", "e", "f"]), tiny)
    np.testing.assert_array_equal(first.values, before)


def test_a_map_that_notices_is_left_alone(family: Callable[[str], Encoder]) -> None:
    model = AutoModel.from_pretrained(family("bert").folder).eval()
    inner = model.encoder.layer[0].intermediate.dense
    plain = inner.forward
    inner.forward = lambda values: plain(values) + float(type(inner) is ReusingLinear)
    reuse_memory(model, Passes(), list(range(5, 30)), 20)
    assert not any(isinstance(module, ReusingLinear) for module in model.modules())


def test_little_stays_after_an_extraction() -> None:
    workspace = Workspace()
    with reusing(workspace):
        held = [workspace.take(2048, 3072) for _ in range(4)]  # 24 MiB each
        del held
    assert sum(block.size for block in workspace._free) == 48 * 2**20


def test_threads_may_share_one() -> None:
    workspace = Workspace()

    def fill(number: int) -> bool:
        tensors = [workspace.take(50 + number, 700).fill_(number) for _ in range(3)]
        return all(bool((tensor == number).all()) for tensor in tensors)

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(fill, range(100)))
