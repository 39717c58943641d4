"""A story through a causal model: overlapping chunks against reading the text anew for every word.

    python benchmarks/features_story.py [--words 1200] [--sampled 16] [--json FILE]

GPT-2's shape with random weights, 256 tokens of left context, all layers. The slow way runs a sample of the words,
scaled to all of them. Where both read the same tokens their states are equal, which is checked first. Exits with 1 if
the bar is missed.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from common import Bar, Case, as_json, interleaved, machine, pin_to_one_thread, table
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2Model, PreTrainedTokenizerFast

from neuroling import Stimuli, extract_word_features, load_encoder
from neuroling.features import Encoder, Overlapping

LEFT = 256
LEAST_SPEEDUP = 100.0


def make_encoder(folder: Path) -> Encoder:
    """Save a random GPT-2 with one token a word, and load it as any model."""
    names = {"<unk>": 0, "<pad>": 1, **{f"w{number}": number + 2 for number in range(5000)}}
    core = Tokenizer(models.WordLevel(names, unk_token="<unk>"))  # noqa: S106 - a token, no password
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    roles = {"unk_token": "<unk>", "pad_token": "<pad>"}
    PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=1024, **roles).save_pretrained(folder)
    torch.manual_seed(0)
    GPT2Model(GPT2Config(vocab_size=5002, bos_token_id=0, eos_token_id=0)).save_pretrained(folder)
    return load_encoder(folder, device="cpu")


def read_anew(encoder: Encoder, ids: np.ndarray, places: np.ndarray) -> np.ndarray:
    """For each place, read the last 256 tokens before it and its own; shape (place, layer, unit)."""
    rows = []
    with torch.inference_mode():
        for place in places:
            window = torch.as_tensor(ids[max(0, place - LEFT) : place + 1])[None]
            states = encoder.model(input_ids=window, output_hidden_states=True, use_cache=False).hidden_states
            rows.append(torch.stack([state[0, -1] for state in states]).numpy())
    return np.stack(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--words", type=int, default=1200)
    parser.add_argument("--sampled", type=int, default=12)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        encoder = make_encoder(Path(folder))
    rng = np.random.default_rng(0)
    texts = [f"w{number}" for number in rng.integers(0, 5000, given.words)]
    story = Stimuli.from_texts(texts, labels=range(given.words))
    ids = np.array(encoder.tokenizer.convert_tokens_to_ids(texts))
    context = Overlapping(left=LEFT)
    found = extract_word_features(story, encoder, context=context)
    assert (found.left_tokens.values >= np.minimum(LEFT, np.arange(given.words))).all()
    same = np.flatnonzero((found.left_tokens.values == LEFT) | (np.arange(given.words) <= LEFT))
    some = rng.choice(same, min(6, len(same)), replace=False)
    scale = np.abs(found.values).max()
    difference = float(np.abs(read_anew(encoder, ids, some) - found.values[some]).max() / scale)
    assert difference < 1e-5, f"states of equal context differ by {difference:.1e} of the largest"
    places = np.sort(rng.choice(given.words, given.sampled, replace=False))
    share = given.sampled / given.words
    seconds = interleaved(
        {
            "text read anew for every word": Case(lambda: read_anew(encoder, ids, places), share),
            "overlapping chunks": Case(lambda: extract_word_features(story, encoder, context=context)),
        },
        1,
    )
    slow, fast = seconds.values()
    bars = [Bar("speed-up over reading anew, 256 tokens of context", slow / fast, LEAST_SPEEDUP, at_most=False)]
    print(f"{given.words} words; largest relative difference at equal context {difference:.1e}")
    print(table(seconds), *bars, sep="\n")
    if given.json:
        record = {"machine": machine(), "seconds": seconds, "difference": difference, "bars": as_json(bars)}
        given.json.write_text(json.dumps(record, indent=1) + "\n")
    return 0 if all(bar.kept for bar in bars) else 1


if __name__ == "__main__":
    pin_to_one_thread()
    sys.exit(main())
