"""Studies as `neuroling new` writes them, run on their samples with a tiny random model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
from typer.testing import CliRunner

from neuroling.cli.app import build
from neuroling.data.study_samples.texts import ADJECTIVES, NOUNS, VERBS

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with random weights that knows the words of the samples."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    torch.manual_seed(0)
    words = [*SPECIAL, "the", *NOUNS, *VERBS, *ADJECTIVES]
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=128, **sizes)).save_pretrained(folder)
    core = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token=SPECIAL[1]))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {f"{name[1:-1].lower()}_token": name for name in SPECIAL}
    PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=128, **names).save_pretrained(folder)
    return folder


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run the command line in an empty folder; gives what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> str:
        answer = CliRunner().invoke(build(), list(map(str, arguments)), prog_name="neuroling")
        if answer.exception is not None and not isinstance(answer.exception, SystemExit):
            raise answer.exception
        assert answer.exit_code == 0, answer.output
        return answer.output

    return run


@pytest.fixture
def set_constants() -> Callable[..., None]:
    """Change constants at the top of a script, as a researcher would: old text and new text."""

    def change(script: Path, **replacements: str) -> None:
        text = script.read_text(encoding="utf-8")
        for name, value in replacements.items():
            line = next(line for line in text.splitlines() if line.split(" = ")[0].split(", ")[0] == name)
            text = text.replace(line, f"{line.split(' = ')[0]} = {value}")
        script.write_text(text, encoding="utf-8")

    return change
