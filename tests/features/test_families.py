"""Every family of models: the states are those of transformers, one text at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AttentionInterface, AutoModel, AutoTokenizer, Gemma3Config

from neuroling.core.stimuli import Stimuli
from neuroling.features.extract import extract_text_features, extract_word_features
from neuroling.features.transformer import packed_attention as packing
from neuroling.features.transformer.encoder import Encoder, load_encoder
from neuroling.features.transformer.forward import Passes, find_passes, reads_ahead
from neuroling.features.transformer.hidden_states import hidden_states
from neuroling.features.transformer.out_of_memory import is_full
from neuroling.features.transformer.packed_attention import ATTENTION
from neuroling.features.words.words import split_words

from .conftest import FAMILIES, PACKED, byte_level

TEXTS = [
    "The cat saw the dog.",
    "A ship",
    "Don't the dogs see ships? Don't they?",
    "a cat saw",
    "The 18th-century cat.",
]
STIMULI = Stimuli.from_texts(TEXTS, labels=list("abcde"))

quiet = pytest.mark.filterwarnings("ignore:stimuli. .* unknown")


@pytest.fixture(autouse=True)
def _silence(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="transformers")


def alone(encoder: Encoder, text: str) -> np.ndarray:
    """Ask transformers for all states of one text, shape (layer, token, unit), in a model that it has loaded itself."""
    ids = torch.tensor([encoder.tokenizer(text)["input_ids"]])
    with torch.inference_mode():
        states = own_model(encoder)(input_ids=ids, output_hidden_states=True).hidden_states
    return torch.stack([state[0] for state in states]).numpy()


def own_model(encoder: Encoder) -> torch.nn.Module:
    """Load a model as transformers does; Gemma 2 says there that it wants its attention written out."""
    eager = {"attn_implementation": "eager"} if encoder.model.config.model_type == "gemma2" else {}
    model: torch.nn.Module = AutoModel.from_pretrained(encoder.folder, **eager)
    return model.eval()


@quiet
@pytest.mark.parametrize("name", FAMILIES)
def test_states_equal_transformers_one_text_at_a_time(family: Callable[[str], Encoder], name: str) -> None:
    encoder = family(name)
    expected = np.stack([alone(encoder, text).mean(1) for text in TEXTS])  # (text, layer, unit)
    found = extract_text_features(STIMULI, encoder, batch_tokens=40)
    assert found.dims == ("sample", "layer", "feature")
    np.testing.assert_allclose(found.values, expected, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_self_check_knows_who_can_be_packed(family: Callable[[str], Encoder], name: str) -> None:
    assert (family(name).passes.batching == "packed") == (name in PACKED)


@quiet
@pytest.mark.parametrize("name", ["mpnet", "deberta-v2", "bloom"])
def test_the_check_is_needed(family: Callable[[str], Encoder], name: str) -> None:
    """These take the registered function without a word, and let sequences read each other."""
    encoder = family(name)
    forced = replace(encoder, passes=Passes("packed", 0, encoder.passes.blocks))
    try:
        wrong = extract_text_features(STIMULI, forced, batch_tokens=200).values
    except (TypeError, RuntimeError, ValueError, IndexError):
        return
    assert not np.allclose(wrong, extract_text_features(STIMULI, encoder).values, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_pack_whose_sequences_read_each_other_is_found_out(
    family: Callable[[str], Encoder], monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    """A little of one sequence in another is less than rounding to bfloat16, and changes with what it came from."""
    encoder = load_encoder(family("bert").folder, device="cpu", dtype=dtype)  # type: ignore[arg-type]
    attend = packing.attend

    def leaky(*args: object, **kwargs: object) -> tuple[torch.Tensor, None]:
        out, _ = attend(*args, **kwargs)  # type: ignore[arg-type]
        return out + out.mean(1, keepdim=True), None

    everyone = AttentionInterface()
    monkeypatch.setitem(everyone._global_mapping, ATTENTION, leaky)
    found = find_passes(encoder.model, list(range(5, 200)), 60)
    assert found.batching == "equal-length"


@quiet
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "roberta", "bloom"])
def test_fewer_layers_have_equal_states(family: Callable[[str], Encoder], name: str) -> None:
    encoder = family(name)
    every = extract_text_features(STIMULI, encoder)
    for layers in ([0], [2], [1, 3], [3, 0]):
        some = extract_text_features(STIMULI, encoder, layers=layers)
        np.testing.assert_allclose(some.values, every.sel(layer=layers).values, atol=1e-6)


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "modernbert"])
def test_nothing_is_computed_above_the_highest_layer(family: Callable[[str], Encoder], name: str) -> None:
    encoder = family(name)
    assert encoder.passes.blocks is not None
    blocks = list(encoder.model.get_submodule(encoder.passes.blocks).children())
    ran: list[int] = []
    handles = [block.register_forward_pre_hook(lambda *_, i=i: ran.append(i)) for i, block in enumerate(blocks)]
    list(hidden_states(encoder, [[5, 6, 7]], layers=[1]))
    for handle in handles:
        handle.remove()
    assert ran == [0]


@quiet
@pytest.mark.parametrize("name", ["bert", "gpt2", "roberta", "llama", "distilbert", "modernbert"])
def test_words_of_a_batch_equal_words_alone(family: Callable[[str], Encoder], name: str) -> None:
    encoder = family(name)
    words = split_words(STIMULI)
    found = extract_word_features(words, encoder, batch_tokens=64)
    for label, text in zip(STIMULI.labels, TEXTS, strict=True):
        states = alone(encoder, text)
        offsets = encoder.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        start = 0
        for position, word in enumerate(text.split(), start=1):
            start = text.index(word, start)
            end = start + len(word)
            own = [i for i, (a, b) in enumerate(offsets) if a < end and b > start and b > a]
            expected = states[:, own].mean(1)
            np.testing.assert_allclose(found.sel(sample=f"{label}/{position}").values, expected, atol=1e-5)
            start = end


@pytest.mark.parametrize("length", [19, 20, 64, 111, 112])
def test_short_sequences_attend_as_the_fused_kernel_does(length: int) -> None:
    lengths = [length, length, 7]
    query, key, value = torch.randn(3, 1, 4, sum(lengths), 8, generator=torch.Generator().manual_seed(0)).unbind()
    with torch.inference_mode(), packing.packed(packing.Layout.of(lengths)):
        found, _ = packing.attend(torch.nn.Module(), query, key, value, None, scaling=0.3)  # (1, token, head, unit)
    for stretch in (slice(length), slice(length, 2 * length), slice(2 * length, None)):
        q, k, v = (tensor[:, :, stretch] for tensor in (query, key, value))
        expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=0.3)
        torch.testing.assert_close(found[:, stretch].transpose(1, 2), expected)


@quiet
@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2"])
def test_a_text_alone_has_the_very_states_that_it_has_among_others(family: Callable[[str], Encoder], name: str) -> None:
    encoder = family(name)
    long = " ".join(["the cat saw a dog ."] * 4)
    alone_, among = (
        extract_text_features(Stimuli.from_texts(texts), encoder).values for texts in ([long], [long, *TEXTS])
    )
    np.testing.assert_array_equal(alone_[0], among[0])


def test_a_model_used_by_itself_still_attends_as_usual(family: Callable[[str], Encoder]) -> None:
    encoder = family("bert")
    assert encoder.model.config._attn_implementation == ATTENTION
    ids = torch.randint(5, 200, (2, 7), generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
    with torch.inference_mode():
        together = encoder.model(input_ids=ids, attention_mask=mask).last_hidden_state
        single = encoder.model(input_ids=ids[1:, :4]).last_hidden_state
    torch.testing.assert_close(together[1, :4], single[0], atol=1e-5, rtol=0)


@quiet
def test_sequences_beyond_a_wide_window_are_not_packed(family: Callable[[str], Encoder]) -> None:
    encoder = family("bert")
    limited = replace(encoder, passes=replace(encoder.passes, longest_packed=4))
    np.testing.assert_allclose(
        extract_text_features(STIMULI, limited).values, extract_text_features(STIMULI, encoder).values, atol=1e-5
    )


@quiet
@pytest.mark.parametrize("name", ["bert", "bloom"])
@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("the device is full"), RuntimeError("[enforce fail] DefaultCPUAllocator: can't")]
)
def test_a_full_device_is_met_by_smaller_packs(
    family: Callable[[str], Encoder], name: str, error: RuntimeError, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = family(name)
    expected = extract_text_features(STIMULI, encoder).values
    forward = encoder.model.forward
    sizes: list[int] = []

    def cramped(*args: object, **kwargs: object) -> object:
        sizes.append(kwargs["input_ids"].numel())  # type: ignore[attr-defined]
        if sizes[-1] > 30:
            raise error
        return forward(*args, **kwargs)

    monkeypatch.setattr(encoder.model, "forward", cramped)
    np.testing.assert_allclose(extract_text_features(STIMULI, encoder).values, expected, atol=1e-6)
    monkeypatch.setattr(encoder.model, "forward", lambda **_: (_ for _ in ()).throw(error))
    with pytest.raises(ValueError, match="has not the memory for a single text"):
        extract_text_features(STIMULI, encoder)


@quiet
def test_what_the_allocator_of_a_cpu_says_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_full(caught.value)


@quiet
def test_errors_of_a_model_are_not_taken_for_a_full_device(
    family: Callable[[str], Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = family("bert")
    monkeypatch.setattr(encoder.model, "forward", lambda **_: (_ for _ in ()).throw(RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        extract_text_features(STIMULI, encoder)


def test_layers_have_names(family: Callable[[str], Encoder]) -> None:
    assert family("bert").layer_names == ["embeddings", "block 1", "block 2", "block 3"]
    for name in ("gpt2", "llama", "xglm"):  # ln_f, norm, layer_norm
        assert family(name).layer_names[-1] == "block 3 and final norm"
    assert family("gpt").layer_names[-1] == family("albert").layer_names[-1] == "block 3"


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma3", "gpt", "bloom", "xglm", "gptj", "falcon", "gpt-oss"])
def test_a_decoder_does_not_see_what_comes_behind(family: Callable[[str], Encoder], name: str) -> None:
    encoder = family(name)
    one, other = ([7, 8, 9, 10, last] for last in (11, 12))
    states = [next(iter(hidden_states(encoder, [ids], layers=[encoder.n_layers]))).states[0] for ids in (one, other)]
    torch.testing.assert_close(states[0][:-1], states[1][:-1], atol=1e-6, rtol=0)
    assert not torch.equal(states[0][-1], states[1][-1])
    assert not reads_ahead(encoder.model, range(5, 200))


@pytest.mark.parametrize("name", ["bert", "albert", "xlnet", "deberta-v2", "longformer"])
def test_an_encoder_reads_ahead(family: Callable[[str], Encoder], name: str) -> None:
    assert reads_ahead(family(name).model, range(5, 200))


@quiet
@pytest.mark.parametrize("name", ["bert", "gpt2", "bloom"])
def test_the_side_on_which_a_tokenizer_pads_changes_nothing(family: Callable[[str], Encoder], name: str) -> None:
    encoder = family(name)
    found = []
    for side in ("left", "right"):
        tokenizer = AutoTokenizer.from_pretrained(encoder.folder, padding_side=side)
        assert tokenizer.padding_side == side
        found.append(extract_text_features(STIMULI, replace(encoder, tokenizer=tokenizer)).values)
    np.testing.assert_array_equal(*found)


@quiet
def test_the_text_part_of_a_model_that_also_sees_is_read(tmp_path: Path) -> None:
    text = FAMILIES["gemma3"]()
    vision = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Gemma3Config(
        text_config=text.to_dict(), vision_config={**vision, "image_size": 8, "patch_size": 4}, mm_tokens_per_image=4
    )
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(tmp_path)
    byte_level().save_pretrained(tmp_path)
    encoder = load_encoder(tmp_path, device="cpu")
    assert encoder.passes.batching == "packed"
    whole = AutoModel.from_pretrained(tmp_path).eval()
    ids = torch.tensor([encoder.tokenizer(TEXTS[0])["input_ids"]])
    with torch.inference_mode():
        expected = whole(input_ids=ids, output_hidden_states=True).hidden_states
    found = extract_text_features(STIMULI, encoder).values[0]
    np.testing.assert_allclose(found, torch.stack([state[0].mean(0) for state in expected]).numpy(), atol=1e-5)


@quiet
@pytest.mark.parametrize("name", ["gemma2", "bloom"])
def test_models_that_are_not_packed_keep_their_own_attention(family: Callable[[str], Encoder], name: str) -> None:
    """Compiled or not: another would leave out their masks or caps without a word."""
    encoder = family(name)
    assert encoder.model.config._attn_implementation == "eager"
    compiled = load_encoder(encoder.folder, device="cpu", compiled=True)
    assert compiled.model.config._attn_implementation == "eager"
