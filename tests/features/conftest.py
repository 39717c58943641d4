"""Encoders for the tests: the packaged MiniLM where it is installed, and a tiny random BERT made on the spot."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from neuroling.features.encoder import Encoder, load_encoder

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "dog", "saw", "a", "ship", "un", "##able", "."]


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token=WORDS[1]))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        model_max_length=24,
        **{
            f"{name}_token": f"[{token}]"
            for name, token in [("pad", "PAD"), ("unk", "UNK"), ("cls", "CLS"), ("sep", "SEP"), ("mask", "MASK")]
        },
    )


def save_tiny_bert(folder: Path, vocabulary: int = len(WORDS)) -> Path:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
    )
    BertModel(config).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_bert(tmp_path_factory.mktemp("models") / "tiny-bert")


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Encoder:
    return load_encoder(tiny_folder, device="cpu")


@pytest.fixture(scope="session")
def minilm() -> Encoder:
    pytest.importorskip("transformers")
    return load_encoder("minilm", device="cpu")
