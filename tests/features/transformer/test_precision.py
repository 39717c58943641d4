"""What speed costs: compiled layers and shorter numbers."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroling.core.stimuli import Stimuli
from neuroling.features.extract import extract_text_features
from neuroling.features.transformer.encoder import Encoder, load_encoder

STIMULI = Stimuli.from_texts(["the cat saw a dog", "a ship", "the dog", "a cat saw the ship ."])


@pytest.fixture(autouse=True)
def _silence(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="transformers")


def test_float32_costs_nothing_and_says_nothing(tiny: Encoder) -> None:
    assert tiny.deviation == 0.0
    assert "deviation_from_float32" not in extract_text_features(STIMULI, tiny).attrs


def test_bfloat16_says_what_it_costs(tiny_folder: Path) -> None:
    encoder = load_encoder(tiny_folder, device="cpu", dtype="bfloat16")
    assert encoder.deviation is not None
    assert 1e-4 < encoder.deviation < 0.05
    assert "of the largest state" in extract_text_features(STIMULI, encoder).attrs["deviation_from_float32"]


def test_what_bfloat16_costs_is_about_what_texts_show(tiny: Encoder, tiny_folder: Path) -> None:
    encoder = load_encoder(tiny_folder, device="cpu", dtype="bfloat16")
    exact = extract_text_features(STIMULI, tiny)
    apart = np.abs(extract_text_features(STIMULI, encoder) - exact).max(("sample", "feature")) / np.abs(exact).max(
        ("sample", "feature")
    )
    assert float(apart.max()) < 3 * encoder.deviation


def test_float64_is_closer_than_float32(tiny_folder: Path) -> None:
    assert 0 < load_encoder(tiny_folder, device="cpu", dtype="float64").deviation < 1e-5


def test_an_untrained_twin_in_bfloat16_has_the_weights_of_the_one_in_float32(tiny_folder: Path) -> None:
    exact = load_encoder(tiny_folder, device="cpu", untrained=3)
    short = load_encoder(tiny_folder, device="cpu", untrained=3, dtype="bfloat16")
    for a, b in zip(exact.model.parameters(), short.model.parameters(), strict=True):
        assert torch.equal(a.bfloat16(), b)


def test_rotary_positions_stay_in_float32(family: Callable[[str], Encoder]) -> None:
    folder = family("llama").folder
    encoder = load_encoder(folder, device="cpu", dtype="bfloat16")
    assert {name: b.dtype for name, b in encoder.model.named_buffers()}["rotary_emb.inv_freq"] == torch.float32


def test_weights_too_large_to_be_held_twice_are_not_measured(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuroling.features.transformer.encoder.LARGEST_MEASURED", 10)
    encoder = load_encoder(tiny_folder, device="cpu", dtype="bfloat16")
    assert encoder.deviation is None
    assert extract_text_features(STIMULI, encoder).attrs["deviation_from_float32"] == "not measured"


def test_layers_that_cannot_be_told_apart_are_not_compiled(family: Callable[[str], Encoder]) -> None:
    with pytest.raises(ValueError, match=r"compiled: .*albert"):
        load_encoder(family("albert").folder, device="cpu", compiled=True)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_compiled_layers_give_the_states_of_plain_ones(family: Callable[[str], Encoder], name: str) -> None:
    plain = family(name)
    compiled = load_encoder(plain.folder, device="cpu", compiled=True)
    assert 0 <= compiled.deviation < 1e-5
    texts = Stimuli.from_texts(["The cat saw the dog.", "A ship", "Don't the dogs see ships?", "a cat saw"])
    for layers in (None, [1]):
        expected = extract_text_features(texts, plain, layers=layers).values
        np.testing.assert_allclose(extract_text_features(texts, compiled, layers=layers).values, expected, atol=1e-5)
    assert extract_text_features(texts, compiled).attrs["compiled"] == "True"
