"""Weights laid out beforehand: the numbers of plain products, in full packs alone, and never those of older weights."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuroling.core.stimuli import Stimuli
from neuroling.features import prepacked, states
from neuroling.features.encoder import Encoder
from neuroling.features.extract import extract
from neuroling.features.prepacked import Prepacked
from neuroling.features.sharing import on_devices
from neuroling.features.states import fill_packs, filled_tokens, plan_packs

from .conftest import FAMILIES, PACKED

TOKENS = 64
RNG = np.random.default_rng
pytestmark = [
    pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="torch has no MKL here"),
    pytest.mark.filterwarnings("ignore:stimuli. .* unknown"),
]


@pytest.fixture(autouse=True)
def _silence(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="transformers")


@pytest.fixture
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs of a few tokens, and weights laid out for any job."""
    monkeypatch.setattr(states, "filled_tokens", lambda *given: TOKENS if filled_tokens(*given) else 0)
    monkeypatch.setattr(prepacked, "LEAST_TOKENS", 1)


def texts(n: int = 60, seed: int = 0) -> Stimuli:
    rng = RNG(seed)
    words = ["the", "cat", "saw", "a", "dog", "ship", "unable", "."]
    made = {" ".join(rng.choice(words, rng.integers(3, 18))) for _ in range(n)}
    return Stimuli.from_texts(sorted(made), labels=range(len(made)))


def used(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the products with weights laid out."""
    calls: list[int] = []
    plain = prepacked._multiply
    monkeypatch.setattr(prepacked, "_multiply", lambda *given: calls.append(given[-1]) or plain(*given))  # type: ignore[func-returns-value]
    return calls


def fresh(encoder: Encoder) -> Encoder:
    (copy,) = on_devices(encoder, ["cpu"])
    return copy


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.usefixtures("small_packs")
def test_states_are_those_of_plain_products(
    family: Callable[[str], Encoder], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, stimuli = fresh(family(name)), texts()
    expected = extract(stimuli, encoder, batch_tokens=200)
    calls = used(encoder, monkeypatch)
    found = extract(stimuli, encoder)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-5)
    linear = any(type(one) is torch.nn.Linear for one in encoder.model.modules())
    assert bool(calls) == (linear and encoder.passes.longest_packed is None)
    assert not any("forward" in vars(one) for one in encoder.model.modules())


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in PACKED])
def test_models_that_are_not_packed_are_left_alone(family: Callable[[str], Encoder], name: str) -> None:
    assert filled_tokens(family(name), None) == 0


@pytest.mark.usefixtures("small_packs")
def test_weights_that_change_in_place_are_laid_out_anew(family: Callable[[str], Encoder]) -> None:
    encoder, stimuli = fresh(family("bert")), texts()
    first = extract(stimuli, encoder)
    assert encoder.prepacked.tokens == TOKENS
    *_, one = (one for name, one in encoder.model.named_modules() if name.endswith("intermediate.dense"))
    one.weight.data[3] *= 30  # what autograd's counter of changes does not see
    changed = extract(stimuli, encoder)
    assert np.abs(changed.values - first.values).max() > 1e-3
    np.testing.assert_allclose(changed.values, extract(stimuli, encoder, batch_tokens=200).values, atol=1e-5)


@pytest.mark.usefixtures("small_packs")
def test_copies_of_an_encoder_lay_out_weights_of_their_own(family: Callable[[str], Encoder]) -> None:
    encoder = fresh(family("bert"))
    first = extract(texts(), encoder)
    copied = copy.deepcopy(encoder)
    assert (encoder.prepacked.tokens, copied.prepacked.tokens) == (TOKENS, 0)
    other = replace(encoder, model=copied.model)  # with what the first has laid out
    other.model.load_state_dict({name: 2 * values for name, values in copied.model.state_dict().items()})
    found, expected = extract(texts(), other), extract(texts(), other, batch_tokens=200)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-5)
    np.testing.assert_array_equal(extract(texts(), encoder).values, first.values)


@pytest.mark.usefixtures("small_packs")
def test_where_torch_has_no_such_function_products_are_plain(
    family: Callable[[str], Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, stimuli = fresh(family("bert")), texts()

    def missing(*_: object) -> None:
        raise AttributeError("_mkl_reorder_linear_weight")

    monkeypatch.setattr(prepacked, "_laid_out", missing)
    found = extract(stimuli, encoder)
    assert encoder.prepacked.tokens == 0
    np.testing.assert_array_equal(found.values, extract(stimuli, replace(encoder, prepacked=Prepacked())).values)


@pytest.mark.usefixtures("small_packs")
def test_functions_that_give_other_numbers_are_not_used(
    family: Callable[[str], Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = fresh(family("bert"))
    plain = prepacked._multiply
    monkeypatch.setattr(prepacked, "_multiply", lambda *given: plain(*given) * 1.001)
    extract(texts(), encoder)
    assert encoder.prepacked.tokens == 0


@pytest.mark.usefixtures("small_packs")
def test_without_memory_for_a_second_copy_products_are_plain(
    family: Callable[[str], Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = fresh(family("bert"))
    monkeypatch.setattr(prepacked, "free_bytes", lambda _: 1000)
    extract(texts(), encoder)
    assert encoder.prepacked.tokens == 0


@pytest.mark.usefixtures("small_packs")
def test_maps_that_somebody_else_has_changed_are_left_alone(family: Callable[[str], Encoder]) -> None:
    encoder = fresh(family("bert"))
    one = next(one for one in encoder.model.modules() if type(one) is torch.nn.Linear)
    one.forward = own = lambda values: torch.nn.Linear.forward(one, values)  # type: ignore[method-assign]
    extract(texts(), encoder)
    assert encoder.prepacked.tokens == TOKENS
    assert one.forward is own


def test_small_jobs_and_asked_for_packs_have_plain_products(
    family: Callable[[str], Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "filled_tokens", lambda *given: TOKENS if filled_tokens(*given) else 0)
    encoder = fresh(family("bert"))
    extract(texts(20), encoder)
    assert encoder.prepacked.tokens == 0
    monkeypatch.setattr(prepacked, "LEAST_TOKENS", 1)
    extract(texts(20), encoder, batch_tokens=TOKENS)
    assert encoder.prepacked.tokens == 0


def test_weights_are_laid_out_once_an_encoder_has_read_enough(
    family: Callable[[str], Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "filled_tokens", lambda *given: TOKENS if filled_tokens(*given) else 0)
    encoder, stimuli = fresh(family("bert")), texts(40)
    extract(stimuli, encoder)
    monkeypatch.setattr(prepacked, "LEAST_TOKENS", 2 * encoder.prepacked.read)
    assert encoder.prepacked.read >= TOKENS
    assert encoder.prepacked.tokens == 0
    extract(stimuli, encoder)
    assert encoder.prepacked.tokens == TOKENS


@given(st.lists(st.integers(1, 60), max_size=200), st.integers(60, 300))
def test_full_packs_hold_every_sequence_once_and_are_no_more_than_others(lengths: list[int], tokens: int) -> None:
    packs = fill_packs(lengths, tokens)
    assert sorted(row for pack in packs for row in pack) == list(range(len(lengths)))
    sums = [sum(lengths[row] for row in pack) for pack in packs]
    assert all(total <= tokens for total in sums)
    assert all(
        tokens - total < min(lengths[row] for later in packs[number + 1 :] for row in later)
        for number, total in enumerate(sums[:-1])
    )
    assert len(packs) <= len(plan_packs(lengths, tokens))
