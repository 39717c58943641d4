"""Several devices: the numbers of one. Copies on the CPU stand in for GPUs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from neuroling.core.stimuli import Stimuli
from neuroling.features.extract import extract_text_features, extract_word_features
from neuroling.features.sentence import embed_sentences
from neuroling.features.story import embed_words_in_context
from neuroling.features.transformer.attention import attention, head_outputs
from neuroling.features.transformer.devices import deal, on_devices
from neuroling.features.transformer.encoder import Encoder, load_encoder
from neuroling.features.transformer.hidden_states import default_tokens, hidden_states
from neuroling.features.words.words import split_words

TEXTS = ["the cat saw a dog", "a ship", "the dog", "a cat saw the ship .", "the dog", "a dog saw a dog"]
STIMULI = Stimuli.from_texts(TEXTS, labels=list("abcdef"), group=list("abcdef"))


@given(st.lists(st.integers(1, 500), max_size=60), st.integers(1, 8))
def test_every_sequence_is_dealt_once_and_no_hand_has_much_more(lengths: list[int], n_hands: int) -> None:
    hands = deal(lengths, n_hands)
    assert sorted(np.concatenate(hands).tolist()) == list(range(len(lengths)))
    tokens = [sum(lengths[place] for place in hand) for hand in hands]
    assert max(tokens) - min(tokens) <= max(lengths, default=0)


@pytest.mark.parametrize("n", [2, 3, 9])
@pytest.mark.parametrize(
    ("extract", "stimuli"), [(extract_word_features, split_words(STIMULI)), (extract_text_features, STIMULI)]
)
def test_several_devices_give_the_numbers_of_one(
    tiny: Encoder, n: int, extract: Callable[..., xr.DataArray], stimuli: Stimuli
) -> None:
    found = extract(stimuli, on_devices(tiny, ["cpu"] * n), batch_tokens=12)
    expected = extract(stimuli, tiny)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6)
    assert found.attrs == expected.attrs


def test_every_device_does_its_share(tiny: Encoder) -> None:
    copies = on_devices(tiny, ["cpu", "cpu"])
    tokens = [0, 0]
    for number, copy in enumerate(copies):
        copy.model.register_forward_pre_hook(
            lambda _m, _a, kwargs, n=number: tokens.__setitem__(n, tokens[n] + kwargs["input_ids"].numel()),
            with_kwargs=True,
        )
    extract_text_features(STIMULI, copies)
    assert sum(tokens) == sum(len(tiny.tokenizer(text)["input_ids"]) for text in dict.fromkeys(TEXTS))
    assert min(tokens) > 0.3 * sum(tokens)


def test_an_error_on_one_device_ends_the_work(tiny: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    copies = on_devices(tiny, ["cpu", "cpu"])

    def broken(**_: object) -> None:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(copies[1].model, "forward", broken)
    with pytest.raises(ValueError, match="has not the memory for a single text"):
        extract_text_features(STIMULI, copies)


def test_a_file_may_be_written_by_several_devices(tiny: Encoder, tmp_path: Path) -> None:
    file = extract_text_features(STIMULI, on_devices(tiny, ["cpu", "cpu"]), out=tmp_path / "f.nc")
    np.testing.assert_allclose(file.values, extract_text_features(STIMULI, tiny).values, atol=1e-6)


def test_encoders_that_are_no_copies_are_refused(tiny: Encoder, minilm: Encoder) -> None:
    with pytest.raises(ValueError, match="copies of one on several devices"):
        extract_text_features(STIMULI, [tiny, minilm])


@pytest.mark.parametrize("devices", [[], ["cpu", "cuda:77"]])
def test_devices_that_do_not_exist_are_refused(tiny: Encoder, devices: list[str]) -> None:
    with pytest.raises(ValueError, match="device"):
        on_devices(tiny, devices)


def test_gradients_are_off_by_default_and_on_by_request(tiny: Encoder) -> None:
    (copy,) = on_devices(tiny, ["cpu"])
    copy.model.requires_grad_(True)
    (pack,) = hidden_states(copy, [[5, 6, 7]], layers=[2])
    assert not pack.states[0].requires_grad
    (pack,) = hidden_states(copy, [[5, 6, 7], [5, 6]], layers=[0, 2], gradients=True)
    pack.states[1].square().sum().backward()
    assert float(copy.model.embeddings.word_embeddings.weight.grad.abs().sum()) > 0
    assert not any(parameter.requires_grad for parameter in tiny.model.parameters())


@pytest.mark.parametrize(("width", "tokens"), [(16, 2048), (768, 2048), (1024, 1536), (8192, 512)])
def test_packs_on_a_cpu_are_smaller_for_wider_models(tiny: Encoder, width: int, tokens: int) -> None:
    wide = replace(tiny, model=SimpleNamespace(config=SimpleNamespace(hidden_size=width)))
    assert default_tokens(wide) == tokens


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_gpu_gives_the_numbers_of_the_cpu(tiny_folder: Path, tiny: Encoder, dtype: str) -> None:
    encoder = load_encoder(tiny_folder, device="cuda", dtype=dtype)  # type: ignore[arg-type]
    expected = extract_text_features(STIMULI, tiny).values
    atol = 1e-5 if dtype == "float32" else 0.05 * np.abs(expected).max()
    np.testing.assert_allclose(extract_text_features(STIMULI, encoder).values, expected, atol=atol)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_every_gpu_does_its_share(tiny: Encoder) -> None:
    devices = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    np.testing.assert_allclose(
        extract_text_features(STIMULI, on_devices(tiny, devices)).values,
        extract_text_features(STIMULI, tiny).values,
        atol=1e-5,
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_full_gpu_is_met_by_smaller_packs(tiny_folder: Path) -> None:
    encoder = load_encoder(tiny_folder, device="cuda")
    texts = Stimuli.from_texts(["the cat saw a dog"] * 4000, labels=range(4000), group=range(4000))
    ids = [encoder.tokenizer(text)["input_ids"] for text in texts.texts]
    torch.cuda.set_per_process_memory_fraction(0.001)  # about 140 MB of 140 GB
    try:
        packs = [len(pack.rows) for pack in hidden_states(encoder, ids, layers=[1], batch_tokens=10**7)]
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert sum(packs) == 4000


def test_a_model_in_training_mode_is_refused(tiny_folder: Path) -> None:
    texts = Stimuli.from_texts(["the cat", "a ship"], labels=["a", "b"])
    encoder = load_encoder(tiny_folder, device="cpu")
    encoder.model.encoder.layer[0].train()  # a part is enough
    for function in (extract_text_features, attention):
        with pytest.raises(ValueError, match=r"is in training mode, .* Call encoder\.model\.eval\(\) first"):
            function(texts, encoder)  # type: ignore[operator]
    encoder.model.eval()
    assert np.isfinite(extract_text_features(texts, encoder)).all()


def test_a_folder_or_a_name_serves_as_an_encoder_everywhere(tiny_folder: Path, tiny: Encoder) -> None:
    words = split_words(Stimuli.from_texts(["the cat saw a dog", "a ship"], labels=["a", "b"]))
    texts = Stimuli.from_texts(["the cat", "a ship"], labels=["a", "b"])
    calls = (
        (extract_text_features, texts),
        (embed_sentences, texts),
        (head_outputs, texts),
        (embed_words_in_context, words),
    )
    for function, stimuli in calls:
        np.testing.assert_array_equal(function(stimuli, tiny_folder, device="cpu"), function(stimuli, tiny))
    assert list(attention(texts, tiny_folder, device="cpu")) == ["a", "b"]
    for function in (embed_sentences, attention):
        with pytest.raises(TypeError, match="encoder: got int; expected a name, a folder or an Encoder"):
            function(texts, 3)  # type: ignore[operator]
