"""Encoders for the tests: the packaged MiniLM where it is installed, and a tiny random BERT made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers as configs
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModel, BertConfig, BertModel, PreTrainedTokenizerFast

from neuroling.features.transformer.encoder import Encoder, load_encoder

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


CORPUS = [
    "The cat saw the dog. Don't the dogs see 18th-century ships? “Naïve” café — U.S.-based.",
    "Ein Schiff, größer als das Haus; 猫が魚を見た。 日本語の文。 👩‍👩‍👧 🇯🇵 ﬁne Ｆｕｌｌ ?! ...",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9",
] * 20


BYTE_ROLES = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>"}
UNIGRAM_ROLES = {"pad_token": "<pad>", "unk_token": "<unk>"}
UNKNOWN = "[UNK]"


def byte_level(prefix_space: bool = False) -> PreTrainedTokenizerFast:
    """Byte-level BPE, as in GPT-2 and RoBERTa: any text has tokens."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    core.post_processor = processors.ByteLevel(trim_offsets=True)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<pad>", "<s>", "</s>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=96, **BYTE_ROLES)


def unigram() -> PreTrainedTokenizerFast:
    """SentencePiece-like: blanks are part of pieces."""
    core = Tokenizer(models.Unigram())
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=250, special_tokens=["<pad>", "<unk>"], unk_token=UNIGRAM_ROLES["unk_token"], show_progress=False
    )
    core.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=96, **UNIGRAM_ROLES)


def wordpiece() -> PreTrainedTokenizerFast:
    """Cased WordPiece with special tokens around, as in BERT."""
    core = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    core.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    core.train_from_iterator(
        CORPUS, trainers.WordPieceTrainer(vocab_size=250, special_tokens=names, show_progress=False)
    )
    core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    roles = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), names, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=96, **roles)


TOKENIZERS = {"byte-level": byte_level, "unigram": unigram, "wordpiece": wordpiece}

SIZE = {
    "vocab_size": 512,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
}
GROUPED = {**SIZE, "num_key_value_heads": 2}
GPT = {"vocab_size": 512, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 128}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
END = {"bos_token_id": 1, "eos_token_id": 2}

FAMILIES = {
    "bert": lambda: configs.BertConfig(**SIZE),
    "roberta": lambda: configs.RobertaConfig(**SIZE, pad_token_id=1),
    "distilbert": lambda: configs.DistilBertConfig(
        vocab_size=512, dim=32, n_layers=3, n_heads=4, hidden_dim=64, max_position_embeddings=128
    ),
    "albert": lambda: configs.AlbertConfig(**SIZE, embedding_size=16),
    "electra": lambda: configs.ElectraConfig(**SIZE, embedding_size=32),
    "ernie": lambda: configs.ErnieConfig(**SIZE),
    "modernbert": lambda: configs.ModernBertConfig(**SIZE, local_attention=8, **SPECIAL),
    "gpt2": lambda: configs.GPT2Config(**GPT, **END),
    "gpt-neox": lambda: configs.GPTNeoXConfig(**SIZE),
    "opt": lambda: configs.OPTConfig(
        vocab_size=512,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        ffn_dim=64,
        max_position_embeddings=128,
        word_embed_proj_dim=32,
    ),
    "llama": lambda: configs.LlamaConfig(**GROUPED),
    "qwen3": lambda: configs.Qwen3Config(**GROUPED, head_dim=8),
    "mistral": lambda: configs.MistralConfig(**GROUPED, sliding_window=8),
    "gemma3": lambda: configs.Gemma3TextConfig(**GROUPED, head_dim=8, sliding_window=8),
    "gpt": lambda: configs.OpenAIGPTConfig(**GPT),
    "mpnet": lambda: configs.MPNetConfig(**SIZE),
    "esm": lambda: configs.EsmConfig(
        **SIZE, pad_token_id=0, mask_token_id=3, token_dropout=True, position_embedding_type="rotary"
    ),
    "deberta-v2": lambda: configs.DebertaV2Config(**SIZE, relative_attention=True, pos_att_type=["p2c", "c2p"]),
    "bloom": lambda: configs.BloomConfig(vocab_size=512, hidden_size=32, n_layer=3, n_head=4),
    "xlnet": lambda: configs.XLNetConfig(vocab_size=512, d_model=32, n_layer=3, n_head=4, d_inner=64),
    "xglm": lambda: configs.XGLMConfig(
        vocab_size=512, d_model=32, num_layers=3, attention_heads=4, ffn_dim=64, max_position_embeddings=128
    ),
    "gptj": lambda: configs.GPTJConfig(**GPT, **END, rotary_dim=4),
    "gpt-neo": lambda: configs.GPTNeoConfig(
        vocab_size=512, hidden_size=32, num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]], **END
    ),
    "falcon": lambda: configs.FalconConfig(vocab_size=512, hidden_size=32, num_hidden_layers=3, num_attention_heads=4),
    "mpt": lambda: configs.MptConfig(vocab_size=512, d_model=32, n_layers=3, n_heads=4, max_seq_len=128),
    "gemma2": lambda: configs.Gemma2Config(**GROUPED, head_dim=8, sliding_window=8),
    "gpt-oss": lambda: configs.GptOssConfig(
        **GROUPED, head_dim=8, sliding_window=8, num_local_experts=4, num_experts_per_tok=2
    ),
    "longformer": lambda: configs.LongformerConfig(**{**SIZE, "max_position_embeddings": 130}, attention_window=8),
}
"""One tiny random model of each; those from ``gpt`` on cannot be packed."""

PACKED = list(FAMILIES)[: list(FAMILIES).index("gpt")]


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Encoder]:
    """Make, save and load a tiny random model of a family, once a session."""
    made: dict[str, Encoder] = {}

    def make(name: str) -> Encoder:
        if name not in made:
            folder = tmp_path_factory.mktemp("families") / name
            torch.manual_seed(0)
            AutoModel.from_config(FAMILIES[name]()).save_pretrained(folder)
            TOKENIZERS["wordpiece" if name in ("bert", "albert", "electra") else "byte-level"]().save_pretrained(folder)
            made[name] = load_encoder(folder, device="cpu")
        return made[name]

    return make
