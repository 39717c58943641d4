"""Weights laid out beforehand: the numbers of plain products, where rows fit, and never those of older weights."""

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
from torch.nn.utils import prune
from transformers.pytorch_utils import Conv1D

from neuroling.core.stimuli import Stimuli
from neuroling.features.extract import extract_text_features
from neuroling.features.transformer import hidden_states as states
from neuroling.features.transformer import prepacked_weights as prepacked
from neuroling.features.transformer.devices import on_devices
from neuroling.features.transformer.encoder import Encoder
from neuroling.features.transformer.hidden_states import fill_packs, filled_tokens, plan_packs
from neuroling.features.transformer.prepacked_weights import MKL, ONEDNN, Library, Prepacked, fitting_library

from ..conftest import FAMILIES, PACKED

TOKENS = 64
RNG = np.random.default_rng
LIBRARIES = {
    "mkl": (MKL, torch.backends.mkl.is_available()),
    "onednn": (ONEDNN, torch.backends.mkldnn.is_available()),
}
pytestmark = pytest.mark.filterwarnings("ignore:stimuli. .* unknown")


@pytest.fixture(autouse=True)
def _silence(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="transformers")


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Library:
    """Each library in turn, with packs of a few tokens and rows as many."""
    found, available = LIBRARIES[request.param]
    if not available:
        pytest.skip(f"torch has no {request.param} here")
    monkeypatch.setattr(states, "filled_tokens", lambda *given: TOKENS if filled_tokens(*given) else 0)
    monkeypatch.setattr(prepacked, "ROWS", TOKENS)
    return found


@pytest.fixture
def eager(library: Library) -> Library:
    """The same, laying out for any job of a pack or more."""
    return replace(library, least_tokens=1)


def texts(n: int = 60, seed: int = 0) -> Stimuli:
    rng = RNG(seed)
    words = ["the", "cat", "saw", "a", "dog", "ship", "unable", "."]
    made = {" ".join(rng.choice(words, rng.integers(3, 18))) for _ in range(n)}
    return Stimuli.from_texts(sorted(made), labels=range(len(made)))


def fresh(encoder: Encoder, library: Library) -> Encoder:
    (copy,) = on_devices(encoder, ["cpu"])
    return replace(copy, prepacked=Prepacked(library))


def has_maps(encoder: Encoder, library: Library) -> bool:
    kinds = {type(one) for one in encoder.model.modules()}
    return torch.nn.Linear in kinds or (library.any_rows and Conv1D in kinds)


def counted(library: Library, calls: list[int]) -> Library:
    """Count the products with weights laid out."""

    def multiply(*given: object) -> torch.Tensor:
        calls.append(len(given[0]))  # type: ignore[arg-type]
        return library.multiply(*given)  # type: ignore[arg-type]

    return replace(library, multiply=multiply)


@pytest.mark.parametrize("name", PACKED)
def test_states_are_those_of_plain_products(family: Callable[[str], Encoder], name: str, eager: Library) -> None:
    calls: list[int] = []
    encoder, stimuli = fresh(family(name), counted(eager, calls)), texts()
    expected = extract_text_features(stimuli, replace(encoder, prepacked=Prepacked(None)))
    assert not calls
    found = extract_text_features(stimuli, encoder)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-5)
    linear = has_maps(encoder, eager)
    assert bool(calls) == (linear and (eager.any_rows or encoder.passes.longest_packed is None))
    assert not any("forward" in vars(one) for one in encoder.model.modules())


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in PACKED])
def test_models_that_are_not_packed_do_not_have_packs_filled(
    family: Callable[[str], Encoder], name: str, eager: Library
) -> None:
    calls: list[int] = []
    encoder, stimuli = fresh(family(name), counted(eager, calls)), texts()
    assert filled_tokens(encoder, None) == 0
    expected = extract_text_features(stimuli, replace(encoder, prepacked=Prepacked(None)))
    np.testing.assert_allclose(extract_text_features(stimuli, encoder).values, expected.values, atol=1e-5)
    linear = has_maps(encoder, eager)
    assert bool(calls) == (linear and eager.any_rows)


def test_states_do_not_depend_on_the_pack_where_any_number_of_rows_is_served(family: Callable[[str], Encoder]) -> None:
    if not torch.backends.mkldnn.is_available():
        pytest.skip("torch has no oneDNN here")
    encoder, stimuli = fresh(family("bert"), replace(ONEDNN, least_tokens=1)), texts()
    found = extract_text_features(stimuli, encoder)
    assert encoder.prepacked.tokens
    for tokens in (30, 100):
        np.testing.assert_allclose(
            extract_text_features(stimuli, encoder, batch_tokens=tokens).values, found.values, atol=1e-6
        )


def _scale(weight: torch.Tensor) -> None:
    weight[3] *= 30


def _reorder(weight: torch.Tensor) -> None:
    weight.copy_(weight.flip(0))


def _reorder_inputs(weight: torch.Tensor) -> None:
    weight.copy_(weight.roll(2, 1))


def _negate_a_column(weight: torch.Tensor) -> None:
    weight[:, 1] *= -1


@pytest.mark.parametrize("change", [_scale, _reorder, _reorder_inputs, _negate_a_column])
def test_weights_that_change_in_place_are_laid_out_anew(
    family: Callable[[str], Encoder], eager: Library, change: Callable[[torch.Tensor], None]
) -> None:
    encoder, stimuli = fresh(family("bert"), eager), texts()
    first = extract_text_features(stimuli, encoder)
    assert encoder.prepacked.tokens == TOKENS
    *_, one = (one for name, one in encoder.model.named_modules() if name.endswith("intermediate.dense"))
    change(one.weight.data)  # what autograd's counter of changes does not see
    changed = extract_text_features(stimuli, encoder)
    assert np.abs(changed.values - first.values).max() > 1e-3
    plain = extract_text_features(stimuli, replace(encoder, prepacked=Prepacked(None)))
    np.testing.assert_allclose(changed.values, plain.values, atol=1e-5)


def test_copies_of_an_encoder_lay_out_weights_of_their_own(family: Callable[[str], Encoder], eager: Library) -> None:
    encoder = fresh(family("bert"), eager)
    first = extract_text_features(texts(), encoder)
    copied = copy.deepcopy(encoder)
    assert (encoder.prepacked.tokens, copied.prepacked.tokens) == (TOKENS, 0)
    other = replace(encoder, model=copied.model)  # with what the first has laid out
    other.model.load_state_dict({name: 2 * values for name, values in copied.model.state_dict().items()})
    expected = extract_text_features(texts(), replace(other, prepacked=Prepacked(None)))
    np.testing.assert_allclose(extract_text_features(texts(), other).values, expected.values, atol=1e-5)
    np.testing.assert_array_equal(extract_text_features(texts(), encoder).values, first.values)


def test_where_torch_has_no_such_function_products_are_plain(family: Callable[[str], Encoder], eager: Library) -> None:
    def missing(*_: object) -> torch.Tensor:
        raise AttributeError("_reorder_linear_weight")

    encoder, stimuli = fresh(family("bert"), replace(eager, lay_out=missing)), texts()
    found = extract_text_features(stimuli, encoder)
    assert encoder.prepacked.tokens == 0
    np.testing.assert_array_equal(
        found.values, extract_text_features(stimuli, replace(encoder, prepacked=Prepacked(None))).values
    )


def test_functions_that_give_other_numbers_are_not_used(family: Callable[[str], Encoder], eager: Library) -> None:
    wrong = replace(eager, multiply=lambda *given: eager.multiply(*given) * 1.001)
    encoder = fresh(family("bert"), wrong)
    extract_text_features(texts(), encoder)
    assert encoder.prepacked.tokens == 0


def test_without_memory_for_a_second_copy_products_are_plain(
    family: Callable[[str], Encoder], eager: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = fresh(family("bert"), eager)
    monkeypatch.setattr(prepacked, "free_bytes", lambda _: 1000)
    extract_text_features(texts(), encoder)
    assert encoder.prepacked.tokens == 0


def test_maps_that_somebody_else_has_changed_are_left_alone(family: Callable[[str], Encoder], eager: Library) -> None:
    encoder = fresh(family("bert"), eager)
    one = next(one for one in encoder.model.modules() if type(one) is torch.nn.Linear)
    one.forward = own = lambda values: torch.nn.Linear.forward(one, values)  # type: ignore[method-assign]
    extract_text_features(texts(), encoder)
    assert encoder.prepacked.tokens == TOKENS
    assert one.forward is own


def test_maps_whose_weight_is_made_anew_in_each_pass_are_left_alone(
    family: Callable[[str], Encoder], eager: Library
) -> None:
    encoder = fresh(family("bert"), eager)
    *_, one = (one for name, one in encoder.model.named_modules() if name.endswith("intermediate.dense"))
    one.weight.data *= 30
    prune.random_unstructured(one, "weight", amount=0.5)
    first = extract_text_features(texts(), encoder)
    one.weight_mask.copy_(1 - one.weight_mask)
    found = extract_text_features(texts(), encoder)
    assert np.abs(found.values - first.values).max() > 1e-3
    expected = extract_text_features(texts(), replace(encoder, prepacked=Prepacked(None)))
    np.testing.assert_allclose(found.values, expected.values, atol=1e-5)


def test_a_mask_of_pruning_is_part_of_what_a_model_is(family: Callable[[str], Encoder]) -> None:
    (encoder,) = on_devices(family("bert"), ["cpu"])
    one = next(one for one in encoder.model.modules() if type(one) is torch.nn.Linear)
    prune.random_unstructured(one, "weight", amount=0.5)
    before = encoder.identity()
    one.weight_mask.copy_(1 - one.weight_mask)
    assert encoder.identity() != before


def test_hooks_do_not_see_the_products_that_try_a_library(family: Callable[[str], Encoder], eager: Library) -> None:
    encoder, seen = fresh(family("bert"), eager), []
    one = next(one for one in encoder.model.modules() if type(one) is torch.nn.Linear)
    one.register_forward_hook(lambda _one, given, _out: seen.append(given[0].shape))
    with encoder.prepacked.serving(encoder.model, [TOKENS] * 10, TOKENS):
        assert encoder.prepacked.tokens == TOKENS
    assert not seen


def test_a_library_is_tried_in_float32_whatever_the_default(family: Callable[[str], Encoder], eager: Library) -> None:
    encoder = fresh(family("bert"), eager)
    torch.set_default_dtype(torch.float64)
    try:
        with encoder.prepacked.serving(encoder.model, [TOKENS] * 10, TOKENS):
            assert encoder.prepacked.tokens == TOKENS
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_empty_maps_are_left_alone(eager: Library) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 0))
    prepacked_by = Prepacked(eager)
    with prepacked_by.serving(model, [TOKENS] * 10, TOKENS), torch.inference_mode():
        assert prepacked_by.tokens == TOKENS
        assert model(torch.ones(TOKENS, 4)).shape == (TOKENS, 0)


def test_weights_in_one_long_vector_are_laid_out(family: Callable[[str], Encoder], eager: Library) -> None:
    encoder = fresh(family("bert"), eager)
    expected = extract_text_features(texts(), replace(encoder, prepacked=Prepacked(None)))
    values = torch.nn.utils.parameters_to_vector(encoder.model.parameters()).detach()
    torch.nn.utils.vector_to_parameters(torch.cat([values[:1], values])[1:], encoder.model.parameters())
    np.testing.assert_allclose(extract_text_features(texts(), encoder).values, expected.values, atol=1e-5)
    assert encoder.prepacked.tokens == TOKENS


def test_a_copy_made_during_a_job_has_plain_products(family: Callable[[str], Encoder], eager: Library) -> None:
    encoder = fresh(family("bert"), eager)
    with encoder.prepacked.serving(encoder.model, [TOKENS] * 10, TOKENS):
        copied = copy.deepcopy(encoder.model)
    found = extract_text_features(texts(), replace(encoder, model=copied, prepacked=Prepacked(None)))
    expected = extract_text_features(texts(), replace(encoder, prepacked=Prepacked(None)))
    np.testing.assert_allclose(found.values, expected.values, atol=1e-5)


def test_gradients_pass_through_plain_products(family: Callable[[str], Encoder], eager: Library) -> None:
    calls: list[int] = []
    encoder = fresh(family("bert"), counted(eager, calls))
    encoder.model.requires_grad_(True)
    with encoder.prepacked.serving(encoder.model, [TOKENS] * 10, TOKENS):
        assert any("forward" in vars(one) for one in encoder.model.modules())
        used = len(calls)
        encoder.model(input_ids=torch.tensor([[2, 5, 6, 3]])).last_hidden_state.sum().backward()
    assert len(calls) == used
    assert next(encoder.model.parameters()).grad is not None


def test_small_jobs_have_plain_products(family: Callable[[str], Encoder], library: Library) -> None:
    encoder = fresh(family("bert"), library)
    extract_text_features(texts(20), encoder)
    assert encoder.prepacked.tokens == 0
    encoder = fresh(family("bert"), replace(library, least_tokens=1))
    extract_text_features(texts(2), encoder)
    assert encoder.prepacked.tokens == 0


def test_asked_for_packs_are_not_filled(family: Callable[[str], Encoder], eager: Library) -> None:
    encoder = fresh(family("bert"), eager)
    assert filled_tokens(encoder, TOKENS) == 0
    extract_text_features(texts(), encoder, batch_tokens=TOKENS)
    assert bool(encoder.prepacked.tokens) == eager.any_rows


def test_weights_are_laid_out_once_an_encoder_has_read_enough(
    family: Callable[[str], Encoder], library: Library
) -> None:
    encoder, stimuli = fresh(family("bert"), library), texts(40)
    extract_text_features(stimuli, encoder)
    read = encoder.prepacked.read
    assert read >= TOKENS
    assert encoder.prepacked.tokens == 0
    encoder.prepacked.library = replace(library, least_tokens=2 * read)
    extract_text_features(stimuli, encoder)
    assert encoder.prepacked.tokens == TOKENS


@pytest.mark.parametrize(
    ("processor", "mkl", "onednn", "expected"),
    [
        ("Intel(R) Xeon(R) Processor", True, True, MKL),
        ("AMD EPYC", True, True, ONEDNN),
        ("Neoverse-V2", False, True, ONEDNN),
        ("Intel(R) Xeon(R) Processor", False, True, ONEDNN),
        ("AMD EPYC", True, False, None),
    ],
)
def test_the_library_fits_the_processor(
    processor: str, mkl: bool, onednn: bool, expected: Library | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepacked, "_processor", lambda: processor)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: mkl)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: onednn)
    assert fitting_library() is expected


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
