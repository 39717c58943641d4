from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from transformers import AutoModel

from neuroling.core.stimuli import Stimuli
from neuroling.features.transformer.attention import attention, head_outputs
from neuroling.features.transformer.encoder import Encoder
from neuroling.features.words.words import split_words

TEXTS = ["The cat saw the dog.", "A ship", "Don't the dogs see ships?"]
STIMULI = Stimuli.from_texts(TEXTS, labels=list("abc"))

quiet = pytest.mark.filterwarnings("ignore:stimuli. .* unknown")


def eager(encoder: Encoder, text: str) -> np.ndarray:
    """Maps written out by transformers itself, shape (layer, head, query, key)."""
    model = encoder.model
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        with torch.inference_mode():
            ids = torch.tensor([encoder.tokenizer(text)["input_ids"]])
            return torch.stack([map_[0] for map_ in model(input_ids=ids, output_attentions=True).attentions]).numpy()
    finally:
        model.set_attn_implementation(before)


@quiet
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "roberta", "mistral", "albert"])
def test_maps_equal_those_of_transformers(family: Callable[[str], Encoder], name: str) -> None:
    encoder = family(name)
    found = attention(STIMULI, encoder)
    for label, text in zip("abc", TEXTS, strict=True):
        np.testing.assert_allclose(found[label].maps, eager(encoder, text), atol=1e-5)
        assert len(found[label].names) == found[label].maps.shape[-1]


def test_layers_may_be_chosen(minilm: Encoder) -> None:
    every, some = attention(STIMULI, minilm)["a"], attention(STIMULI, minilm, layers=[6, 2])["a"]
    np.testing.assert_array_equal(some.maps, every.maps[[5, 1]])
    assert some.layers == [6, 2]


def test_attention_between_words_adds_keys_and_averages_queries(minilm: Encoder) -> None:
    words = split_words(Stimuli.from_texts(["The tortoises wandered."], labels=["s"]))
    tokens = attention(Stimuli.from_texts(["The tortoises wandered."], labels=["s"]), minilm)["s"]
    found = attention(words, minilm, unit="word")["s"]
    own = [[1], [2, 3, 4], [5, 6]]
    assert [len(tokens.names), found.names] == [8, ["The", "tortoises", "wandered."]]
    expected = [[tokens.maps[:, :, q][..., k].sum(-1).mean(-1) for k in own] for q in own]
    np.testing.assert_allclose(found.maps, np.moveaxis(np.array(expected), (0, 1), (2, 3)), atol=1e-6)


@pytest.mark.parametrize("group", [["b", "b", "c", "a", "a", "a"], None])
def test_maps_between_words_come_in_the_order_of_the_stimuli(minilm: Encoder, group: list[str] | None) -> None:
    columns = {} if group is None else {"group": group}
    words = Stimuli.from_texts(["the", "cat", "ships", "the", "dog", "ran"], labels=range(6), **columns)
    found = attention(words, minilm, unit="word", layers=[1])
    assert list(found) == (["b", "c", "a"] if group else [0])
    assert [name for maps in found.values() for name in maps.names] == words.texts


def test_a_head_that_looks_everywhere_has_the_largest_entropy(minilm: Encoder) -> None:
    maps = attention(STIMULI, minilm)["a"]
    n = len(maps.names)
    even = type(maps)(maps.names, [1], np.full((1, 1, n, n), 1 / n, dtype=np.float32))
    alone = type(maps)(maps.names, [1], np.eye(n, dtype=np.float32)[None, None])
    np.testing.assert_allclose(even.entropy(), np.log2(n), atol=1e-5)
    assert (alone.entropy().item(), alone.distance().item()) == (0, 0)
    assert (maps.entropy() < np.log2(n)).all()
    assert maps.distance().shape == (6, 12)


@quiet
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_outputs_of_heads_make_up_what_the_layer_hands_on(family: Callable[[str], Encoder], name: str) -> None:
    """The projection behind the heads, applied to their outputs, is what the attention layer gives."""
    encoder = family(name)
    kept: list[torch.Tensor] = []
    projections = {"bert": "attention.output.dense", "gpt2": "attn.c_proj", "llama": "self_attn.o_proj"}
    block = encoder.model.get_submodule(f"{encoder.passes.blocks}.1.{projections[name]}")
    handle = block.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
    with torch.inference_mode():
        encoder.model(input_ids=torch.tensor([encoder.tokenizer(TEXTS[0])["input_ids"]]))
    handle.remove()
    found = head_outputs(STIMULI, encoder, layers=[2])
    np.testing.assert_allclose(found.values[0, 0], kept[0][0].mean(0).numpy(), atol=1e-5)
    assert found["head"].values.tolist() == sorted([0, 1, 2, 3] * 8)


def test_outputs_of_heads_come_by_word(minilm: Encoder) -> None:
    found = head_outputs(split_words(STIMULI), minilm, unit="word", layers=[1])
    assert found.shape == (12, 1, 384)
    assert np.isfinite(found.values).all()


@quiet
def test_models_whose_heads_cannot_be_watched_say_so(family: Callable[[str], Encoder]) -> None:
    with pytest.raises(ValueError, match="keeps its own attention, so that its heads cannot be watched"):
        head_outputs(STIMULI, family("bloom"))
    with pytest.raises(ValueError, match="gives no map of each token on each"):
        attention(STIMULI, family("longformer"))
    with pytest.raises(ValueError, match="cannot be written out once it is loaded"):
        attention(STIMULI, family("falcon"))


@quiet
@pytest.mark.parametrize("name", ["bloom", "mpnet", "gemma2", "gpt-oss"])
def test_models_that_are_not_packed_give_their_own_maps(family: Callable[[str], Encoder], name: str) -> None:
    encoder = family(name)
    before = encoder.model.config._attn_implementation
    found = attention(STIMULI, encoder, layers=[2])
    own = AutoModel.from_pretrained(encoder.folder, attn_implementation="eager").eval()
    for label, text in zip(STIMULI.labels, STIMULI.texts, strict=True):
        ids = torch.tensor([encoder.tokenizer(text)["input_ids"]])
        with torch.inference_mode():
            expected = own(input_ids=ids, output_attentions=True).attentions[1]
        np.testing.assert_allclose(found[label].maps, expected, atol=1e-6)
    assert encoder.model.config._attn_implementation == before


@pytest.mark.parametrize(
    ("options", "message"),
    [({"layers": [0]}, "layers: got"), ({"layers": []}, "layers: got"), ({"unit": "piece"}, "unit: got 'piece'")],
)
def test_options_that_do_not_exist_are_named(minilm: Encoder, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attention(STIMULI, minilm, **options)  # type: ignore[arg-type]


@quiet
def test_maps_that_do_not_fit_are_made_of_fewer_texts_at_a_time(
    family: Callable[[str], Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = family("bert")
    expected = attention(STIMULI, encoder)
    forward = encoder.model.forward

    def cramped(*args: object, **kwargs: torch.Tensor) -> object:
        if kwargs["input_ids"].numel() > 20:
            raise torch.OutOfMemoryError("the device is full")
        return forward(*args, **kwargs)

    monkeypatch.setattr(encoder.model, "forward", cramped)
    for label, maps in attention(STIMULI, encoder).items():
        np.testing.assert_allclose(maps.maps, expected[label].maps, atol=1e-6)
