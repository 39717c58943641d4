"""What the code of docs/features.md finds in its reader's session, block by block."""

from __future__ import annotations

from pathlib import Path

NEEDS_MINILM = True


def block_1(folder: Path) -> dict[str, object]:
    """Nothing but the package."""
    return {}


def block_2(folder: Path) -> dict[str, object]:
    """A causal model that fits into a test, a corpus, and words to be scored."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    from neuroling import Stimuli, split_words

    end = "<end>"
    vocabulary = [end, "the", "cat", "saw", "a", "dog", "."]
    core = Tokenizer(models.WordLevel({word: number for number, word in enumerate(vocabulary)}, unk_token=end))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token=end, bos_token=end, eos_token=end, model_max_length=16
    ).save_pretrained(folder)
    config = GPT2Config(
        vocab_size=len(vocabulary), n_embd=8, n_layer=1, n_head=2, n_positions=16, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    corpus = Stimuli.from_texts(["the cat saw a dog .", "a dog saw the cat .", "the dog saw a cat ."])
    return {"folder": folder, "corpus": corpus, "words": split_words(Stimuli.from_texts(["the cat saw the dog ."]))}
