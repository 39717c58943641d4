"""All words of a text at every layer: ours against minicons.

    python benchmarks/features_peers.py [--sentences 60] [--peer-sentences 4] [--json FILE]

Runs where minicons is installed beside the package, and says so where it is not. Real weights (the packaged MiniLM),
English sentences from the standard library's documentation. minicons runs a sample of the sentences; words a second are
compared. How many of its vectors belong to another place in the sentence is counted, ours being held against
transformers one sentence at a time in the tests. Exits with 1 if the bar is missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import re
import sys
import time
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
from common import Bar, as_json, machine, pin_to_one_thread, table

from neuroling import Stimuli, extract_word_features, load_encoder, split_words
from neuroling.features import Encoder

LEAST_SPEEDUP = 25.0


def sentences(n: int, rng: np.random.Generator) -> list[str]:
    """English sentences of 5 to 60 words."""
    text = re.sub(r"\s+", " ", " ".join(topics[key] for key in sorted(topics)))
    found = [part for part in re.split(r"(?<=[.!?])\s+", text) if 5 <= len(part.split()) <= 60 and part.isascii()]
    return [found[place] for place in rng.permutation(len(found))[:n]]


def peer_vectors(encoder: Encoder, texts: list[str]) -> tuple[float, list[np.ndarray | None]]:
    """CPU seconds and vectors (layer, unit) of minicons, None where it raises."""
    import minicons.cwe

    minicons.cwe.leading_whitespace_behavior = lambda *_, **__: "llama"  # its probe draws 1,000 random words
    model = minicons.cwe.CWE(str(encoder.folder), "cpu")
    pairs = [(text, word) for text in texts for word in text.split()]
    found: list[np.ndarray | None] = []
    start = time.process_time()
    for place in range(0, len(pairs), 32):
        batch = pairs[place : place + 32]
        try:
            layers = model.extract_representation(batch, layer="all")
            found += list(np.stack([np.asarray(layer) for layer in layers], axis=1))
        except Exception:  # whatever it raises counts as a word without a vector
            found += [_one(model, pair) for pair in batch]
    return time.process_time() - start, found


def _one(model: object, pair: tuple[str, str]) -> np.ndarray | None:
    try:
        return np.stack([np.asarray(layer)[0] for layer in model.extract_representation([pair], layer="all")])
    except Exception:  # as above
        return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sentences", type=int, default=60)
    parser.add_argument("--peer-sentences", type=int, default=4)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if importlib.util.find_spec("minicons") is None:
        print("SKIPPED: minicons is not installed in this environment; nothing was compared")
        return 0
    logging.getLogger("transformers").setLevel(logging.ERROR)
    encoder = load_encoder("minilm", device="cpu")
    texts = sentences(given.sentences, np.random.default_rng(0))
    words = split_words(Stimuli.from_texts(texts, labels=range(len(texts))))
    extract_word_features(words, encoder)
    start = time.process_time()
    ours = extract_word_features(words, encoder).to_numpy()
    seconds = time.process_time() - start
    some = texts[: given.peer_sentences]
    n_some = sum(len(text.split()) for text in some)
    peer_seconds, found = peer_vectors(encoder, some)
    raised = sum(vector is None for vector in found)
    elsewhere = sum(
        vector is not None and bool(np.abs(vector - own).max() > 1e-3)
        for vector, own in zip(found, ours[:n_some], strict=True)
    )
    agree = n_some - raised - elsewhere
    assert agree > n_some / 2, f"only {agree} of {n_some} vectors agree"
    rates = {"ours": len(words) / seconds, "minicons": n_some / peer_seconds}
    bar = Bar("words a second over those of minicons", rates["ours"] / rates["minicons"], LEAST_SPEEDUP, at_most=False)
    print(f"words a second: ours {rates['ours']:.0f}, minicons {rates['minicons']:.0f}")
    print(f"of {n_some} words minicons raised at {raised} and gave {elsewhere} the vector of another place")
    print(
        table({"seconds a word, ours": 1 / rates["ours"], "seconds a word, minicons": 1 / rates["minicons"]}),
        bar,
        sep="\n",
    )
    if given.json:
        given.json.write_text(
            json.dumps({"machine": machine(), "rates": rates, "bars": as_json([bar])}, indent=1) + "\n"
        )
    return 0 if bar.kept else 1


if __name__ == "__main__":
    pin_to_one_thread()
    sys.exit(main())
