"""Packed extraction against a plain loop: all layers of every word, in float32, on random weights of two shapes.

    python benchmarks/features_batching.py [--shape base|minilm] [--sentences N] [--rounds N] [--json FILE]

Sentences have 5 to 60 words of 1.3 pieces on average, made of random letters; speed does not depend on the weights. The
plain loop is what scripts do: one sentence at a time, all hidden states, pieces averaged to words. First the two are
held against each other. The peak is the speed of the layers' matrix products by themselves, with plain weights at the
sizes of the packs, taking turns with the rest; tokenising, attention's softmax and pooling to words count as time lost.
What is printed says whether extraction had laid its weights out. The share of the peak compares the best of several
calls in a row on both sides, one after the other, and is the median of such rounds: what others do on the machine only
ever adds to a time, and a call after other work waits for the memory of its result, which a virtual machine may have
given back. That one is shown beside, and counts against the loop. Exits with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import Bar, Case, as_json, interleaved, machine, pin_to_one_thread, table
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from neuroling import Stimuli, extract_word_features, load_encoder, split_words
from neuroling.features import Encoder
from neuroling.features.transformer.hidden_states import default_tokens, fill_packs, filled_tokens, plan_packs, serving
from neuroling.features.transformer.prepacked_weights import NEARLY

SHAPES = {"base": (12, 768, 12, 3072), "minilm": (6, 384, 12, 1536)}
LEAST = {"base": (1.5, 0.90), "minilm": (1.9, None)}
"""Speed-up over the loop, and share of the peak."""

IN_A_ROW = 3

PIECES = (0.78, 0.16, 0.04, 0.02)
"""Probability of a word of 1, 2, 3 or 4 pieces."""

LETTERS = "bcdfghklmnpqrstvwz"


def make_encoder(shape: str, folder: Path) -> Encoder:
    """Save a random BERT of a shape, with a vocabulary of made-up syllables, and load it as any model."""
    layers, width, heads, inner = SHAPES[shape]
    syllables = [a + b for a in LETTERS for b in "aeiou"]
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *syllables, *(f"##{part}" for part in syllables)]
    core = Tokenizer(models.WordPiece({name: number for number, name in enumerate(names)}, unk_token=names[1]))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    roles = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), names, strict=False))
    PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=512, **roles).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30522,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return load_encoder(folder, device="cpu")


def make_words(n_sentences: int, rng: np.random.Generator) -> Stimuli:
    def word() -> str:
        pieces = 1 + rng.choice(4, p=PIECES)
        return "".join(rng.choice(list(LETTERS)) + rng.choice(list("aeiou")) for _ in range(pieces))

    sentences = [" ".join(word() for _ in range(rng.integers(5, 61))) for _ in range(n_sentences)]
    return split_words(Stimuli.from_texts(sentences, labels=range(n_sentences)))


def plain_loop(encoder: Encoder, model: torch.nn.Module, words: Stimuli) -> np.ndarray:
    """One sentence at a time, as scripts do; shape (word, layer, unit)."""
    rows = []
    with torch.no_grad():
        for _, group in words.table.groupby("group", sort=False):
            texts = group["text"].tolist()
            tokens = encoder.tokenizer(" ".join(texts), return_tensors="pt", return_offsets_mapping=True)
            offsets = tokens.pop("offset_mapping")[0].tolist()
            states = torch.stack(model(**tokens, output_hidden_states=True).hidden_states)[:, 0]  # (layer, token, unit)
            stops = np.cumsum([len(text) + 1 for text in texts])
            owner = np.searchsorted(stops, [a for a, b in offsets if b > a], side="right")
            inside = [place for place, (a, b) in enumerate(offsets) if b > a]
            for number in range(len(texts)):
                own = [place for place, word in zip(inside, owner, strict=True) if word == number]
                rows.append(states[:, own].mean(1).numpy())
    return np.stack(rows)


def pack_sizes(encoder: Encoder, lengths: np.ndarray) -> list[int]:
    """Give the rows of the products in each pack."""
    filled = filled_tokens(encoder, None)
    if not filled:
        return [int(lengths[pack].sum()) for pack in plan_packs(lengths.tolist(), default_tokens(encoder))]
    needed = [int(lengths[pack].sum()) for pack in fill_packs(lengths.tolist(), filled)]
    return [filled if size >= NEARLY * filled else size for size in needed]


def products(encoder: Encoder, lengths: np.ndarray) -> tuple[Callable[[], None], Callable[[], None], float]:
    """Give the products of all layers by themselves, with plain weights and with those laid out; and their GFLOP."""
    config = encoder.model.config
    width, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    linears = [module for module in encoder.model.encoder.modules() if isinstance(module, torch.nn.Linear)]
    sizes = pack_sizes(encoder, lengths)
    inputs = {size: {n: torch.randn(size, n) for n in (width, inner)} for size in set(sizes)}

    @torch.inference_mode()
    def run() -> None:
        for size in sizes:
            for linear in linears:
                linear(inputs[size][linear.in_features])

    def run_laid_out() -> None:
        with serving(encoder, encoder.model, lengths.tolist()):
            run()

    return run, run_laid_out, float(2 * lengths.sum() * layers * (4 * width**2 + 2 * width * inner) / 1e9)


def best_in_a_row(runs: dict[str, Callable[[], object]], rounds: int) -> list[dict[str, float]]:
    """Let each run several times in a row, in turns; give the least CPU seconds of each in every round."""
    found = []
    for _ in range(rounds):
        least = dict.fromkeys(runs, np.inf)
        for name, run in runs.items():
            for _ in range(IN_A_ROW):
                start = time.process_time()
                run()
                least[name] = min(least[name], time.process_time() - start)
        found.append(least)
    return found


def attention_work(encoder: Encoder, lengths: np.ndarray) -> float:
    """GFLOP of queries times keys and of shares times values."""
    config = encoder.model.config
    return float(4 * (lengths.astype(float) ** 2).sum() * config.hidden_size * config.num_hidden_layers / 1e9)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", choices=SHAPES, default="minilm")
    parser.add_argument("--sentences", type=int, default=250)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    n_sentences = given.sentences
    with tempfile.TemporaryDirectory() as folder:
        encoder = make_encoder(given.shape, Path(folder))
        plain = BertModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation="sdpa").eval()
    words = make_words(n_sentences, np.random.default_rng(0))
    found, expected = extract_word_features(words, encoder).values, plain_loop(encoder, plain, words)
    difference = float(np.abs(found - expected).max())
    assert difference < 1e-5, f"packed states differ from the loop by {difference:.1e}"
    joined = words.table.groupby("group", sort=False)["text"].agg(" ".join).tolist()
    lengths = np.array([len(ids) for ids in encoder.tokenizer(joined)["input_ids"]])
    alone, laid_out, work = products(encoder, lengths)
    seconds = interleaved(
        {
            "plain loop, one sentence at a time": Case(lambda: plain_loop(encoder, plain, words)),
            "packed, after other work": Case(lambda: extract_word_features(words, encoder)),
        },
        given.rounds,
    )
    loop, first = seconds.values()
    best = best_in_a_row(
        {
            "packed, best in a row": lambda: extract_word_features(words, encoder),
            "matrix products alone, plain weights, best": alone,
            "matrix products alone, weights laid out, best": laid_out,
        },
        given.rounds,
    )
    again, floor, lowest = zip(*(one.values() for one in best), strict=True)
    more = 1 + attention_work(encoder, lengths) / work
    shares = [more * peak / spent for spent, peak in zip(again, floor, strict=True)]
    share, at_first = statistics.median(shares), more * statistics.median(floor) / first
    beside = statistics.median(more * peak / spent for spent, peak in zip(again, lowest, strict=True))
    seconds |= {name: statistics.median(one[name] for one in best) for name in best[0]}
    speed, least_share = LEAST[given.shape]
    bars = [Bar(f"speed-up over the loop, {given.shape} shape", loop / first, speed, at_most=False)]
    if least_share is not None:
        bars.append(Bar("share of the peak of matrix products", share, least_share, at_most=False))
    print(f"{n_sentences} sentences, {len(words)} words, {lengths.sum()} tokens, batching: {encoder.passes.batching}")
    used, library = encoder.prepacked.tokens, encoder.prepacked.library
    rows = "any number" if used and library is not None and library.any_rows else str(used)
    print(f"weights laid out for packs of {rows} of tokens (0: not at all)")
    speeds = ", ".join(f"{one:.3f} of {work / peak:.0f} GFLOP/s" for one, peak in zip(shares, floor, strict=True))
    print(f"largest difference {difference:.1e}; shares of products alone {speeds}; after other work {at_first:.3f}")
    rate = work / statistics.median(lowest)
    print(f"share of the same products with weights laid out {beside:.3f} of {rate:.0f} GFLOP/s")
    print(table(seconds), *bars, sep="\n")
    if given.json:
        found = {"seconds": seconds, "shares": shares, "difference": difference, "bars": as_json(bars)}
        given.json.write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n")
    return 0 if all(bar.kept for bar in bars) else 1


if __name__ == "__main__":
    pin_to_one_thread()
    sys.exit(main())
