"""``pool="model"`` said of what sentence-transformers itself saves that it "pools by []"."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroling.core.stimuli import Stimuli
from neuroling.features.extract import extract_text_features, resolve_pool
from neuroling.features.transformer.encoder import Encoder, load_encoder

FILES = Path(__file__).parent / "files"
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"},
    {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.sentence_transformer.modules.pooling.Pooling"},
]
TEXTS = Stimuli.from_texts(["a ship in the harbour", "boats", "a chef slices tomatoes for lunch"])


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    return load_encoder("minilm", device="cpu")


def with_pooling(encoder: Encoder, folder: Path, config: dict[str, object]) -> Encoder:
    (folder / "modules.json").write_text(json.dumps(MODULES))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config))
    return replace(encoder, folder=folder)


def test_15_the_last_token_of_a_file_by_sentence_transformers(minilm: Encoder, tmp_path: Path) -> None:
    config = json.loads((FILES / "15_sentence_transformers_lasttoken" / "config.json").read_text())
    assert resolve_pool(with_pooling(minilm, tmp_path, config), "model", False) == ("last", False)


@pytest.mark.parametrize("mode", ["cls", "max", "mean", "weightedmean", "lasttoken"])
def test_vectors_are_those_of_the_module_that_wrote_the_file(minilm: Encoder, tmp_path: Path, mode: str) -> None:
    library = pytest.importorskip("sentence_transformers.sentence_transformer.modules.pooling")
    pooling = library.Pooling(384, pooling_mode=mode)
    folder = tmp_path / "saved"
    (folder / "1_Pooling").mkdir(parents=True)
    pooling.save(str(folder / "1_Pooling"))
    shutil.copy(folder / "1_Pooling" / "config.json", tmp_path / "config.json")
    encoder = with_pooling(minilm, tmp_path, json.loads((tmp_path / "config.json").read_text()))
    found = extract_text_features(TEXTS, encoder, pool="model", layers=-1).values[:, 0]
    inputs = minilm.tokenizer(TEXTS.texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = minilm.model(**inputs).last_hidden_state
    features = {"token_embeddings": states, "attention_mask": inputs["attention_mask"]}
    np.testing.assert_allclose(found, pooling(features)["sentence_embedding"], atol=1e-5)


@pytest.mark.parametrize(
    ("config", "pool"),
    [
        ({"pooling_mode": ["lasttoken"]}, "last"),
        ({"pooling_mode": "weightedmean", "pooling_mode_mean_tokens": True}, "weighted"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode_weightedmean_tokens": True, "pooling_mode_mean_tokens": False}, "weighted"),
        ({"pooling_mode_cls_token": True}, "first"),
        ({"word_embedding_dimension": 384}, "mean"),
    ],
)
def test_what_other_versions_write_is_read(
    minilm: Encoder, tmp_path: Path, config: dict[str, object], pool: str
) -> None:
    assert resolve_pool(with_pooling(minilm, tmp_path, config), "model", False) == (pool, False)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("1_Pooling/config.json", '"mean"', "holds a str; expected a dict"),
        ("1_Pooling/config.json", "{", "is no JSON"),
        ("1_Pooling/config.json", None, "is not there"),
        ("modules.json", "[", "is no JSON"),
        ("modules.json", "{}", "holds a dict; expected a list"),
        ("modules.json", "[1]", r"lists \[1\]; expected modules with type and path"),
    ],
)
def test_damaged_files_of_a_model_are_named(
    minilm: Encoder, tmp_path: Path, file: str, content: str | None, message: str
) -> None:
    encoder = with_pooling(minilm, tmp_path, {"pooling_mode": "mean"})
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_text(content)
    with pytest.raises(ValueError, match=f"pool: .*{file} {message}"):
        resolve_pool(encoder, "model", False)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"pooling_mode": ["mean", "max"]}, "pools by mean and max"),
        ({"pooling_mode": "mean_sqrt_len_tokens"}, "pools by mean_sqrt_len_tokens"),
        ({"pooling_mode": "attention"}, "pools by attention"),
    ],
)
def test_a_pooling_that_is_not_done_here_is_named(
    minilm: Encoder, tmp_path: Path, config: dict[str, object], named: str
) -> None:
    with pytest.raises(ValueError, match=f"{named}; expected one of cls, mean, max, weightedmean, lasttoken"):
        resolve_pool(with_pooling(minilm, tmp_path, config), "model", False)
