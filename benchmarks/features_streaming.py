"""A million words at 13 layers of 768 units to disk: how much memory it takes, and that it does not grow with length.

    python benchmarks/features_streaming.py [--words 100000 1000000] [--folder DIRECTORY] [--json FILE]

A random model with GPT-2's number of layers and units and thin inner layers, so that the time goes into streaming. Each
length runs in a process of its own, which reports its peak memory; values of every layer are drawn from the file and
held against reading those sentences alone. A million words are a file of 40 GB, which is removed afterwards. Exits with
1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import Bar, as_json, machine, pin_to_one_thread
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2Model, PreTrainedTokenizerFast

from neuroling import Stimuli, extract_word_features, load_encoder

SENTENCE = 25
"""Words of a sentence."""

MOST_GB = 8.0
"""Bar of peak memory, a third of a machine of 24 GiB."""


def save_model(folder: Path) -> None:
    names = {"<unk>": 0, "<pad>": 1, **{f"w{number}": number + 2 for number in range(5000)}}
    core = Tokenizer(models.WordLevel(names, unk_token="<unk>"))  # noqa: S106 - a token, no password
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    roles = {"unk_token": "<unk>", "pad_token": "<pad>"}
    PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=1024, **roles).save_pretrained(folder)
    torch.manual_seed(0)
    GPT2Model(GPT2Config(vocab_size=5002, n_inner=16, bos_token_id=0, eos_token_id=0)).save_pretrained(folder)


def story(n_words: int) -> Stimuli:
    places = np.random.default_rng(0).integers(0, 5000, n_words)
    names = [f"w{number}" for number in range(5000)]
    return Stimuli.from_texts(
        [names[place] for place in places], labels=range(n_words), group=np.arange(n_words) // SENTENCE
    )


def stream(folder: str, n_words: int, answers: multiprocessing.Queue[dict[str, float]]) -> None:
    """Write the features of so many words, check a few, and report."""
    torch.set_num_threads(1)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    encoder = load_encoder(Path(folder) / "model", device="cpu")
    words = story(n_words)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    path = Path(folder) / "features.nc"
    start, wall = time.process_time(), time.perf_counter()
    features = extract_word_features(words, encoder, out=path)
    cpu, wall = time.process_time() - start, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    some = np.random.default_rng(1).integers(0, n_words // SENTENCE, 3)
    apart = []
    for sentence in some:
        labels = list(range(sentence * SENTENCE, (sentence + 1) * SENTENCE))
        alone = extract_word_features(words.subset(labels), encoder).values
        apart.append(float(np.abs(features[labels[0] : labels[-1] + 1].values - alone).max()))
    size = path.stat().st_size / 1e9
    features.close()
    path.unlink()
    answers.put({"GB on disk": size, "GB before": before, "GB at most": peak, "CPU s": cpu, "wall s": wall,
                 "difference": max(apart)})  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--words", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    found = {}
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        save_model(Path(folder) / "model")
        for n_words in given.words:
            answers = context.Queue()
            job = context.Process(target=stream, args=(folder, n_words, answers))
            job.start()
            found[n_words] = answers.get()
            job.join()
            print(n_words, {name: round(value, 7) for name, value in found[n_words].items()}, flush=True)
    largest = found[max(found)]
    bars = [
        Bar(f"GB of memory at most, {max(found):,} words, {largest['GB on disk']:.1f} GB on disk",
            largest["GB at most"], MOST_GB, at_most=True),
        Bar("largest difference to sentences read alone", largest["difference"], 1e-5, at_most=True),
    ]  # fmt: skip
    print(*bars, sep="\n")
    if given.json:
        given.json.write_text(
            json.dumps({"machine": machine(), "found": found, "bars": as_json(bars)}, indent=1) + "\n"
        )
    return 0 if all(bar.kept for bar in bars) else 1


if __name__ == "__main__":
    pin_to_one_thread()
    sys.exit(main())
