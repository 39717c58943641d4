"""What the cache answers to: 200 single changes of the inputs all miss, 50 changes of nothing all hit."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import neuroling.features.extract as module
from neuroling.core.stimuli import Stimuli
from neuroling.features.transformer.encoder import Encoder, load_encoder
from neuroling.features.words.context import Overlapping, Rolling, Whole
from neuroling.features.words.words import split_words

TEXTS = ["the cat saw a dog .", "a ship", "the dog saw the cat", "a dog"]
WORDS = ["the", "cat", "dog", "saw", "a", "ship", "."]

ENTRIES = [
    ("config.json", '"hidden_act": "gelu"', '"hidden_act": "relu"'),
    ("config.json", '"hidden_act": "gelu"', '"hidden_act": "gelu_new"'),
    ("config.json", '"layer_norm_eps": 1e-12', '"layer_norm_eps": 1e-05'),
    ("config.json", '"num_attention_heads": 2', '"num_attention_heads": 4'),
    ("config.json", '"is_decoder": false', '"is_decoder": true'),
    ("config.json", '"pad_token_id": 0', '"pad_token_id": 3'),
    ("tokenizer.json", '"lowercase": true', '"lowercase": false'),
    ("tokenizer.json", '"clean_text": true', '"clean_text": false'),
    ("tokenizer.json", '"max_input_chars_per_word": 100', '"max_input_chars_per_word": 99'),
]
"""A file of a model, what stands there, and what else could."""


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stand in for the network: values cost nothing, and every computation is counted."""
    made: list[int] = []

    def counted(
        encoders: list[Encoder], readings: object, n_rows: int, *, layers: list[int], **_: object
    ) -> np.ndarray:
        made.append(n_rows)
        return np.full((n_rows, len(layers), int(encoders[0].model.config.hidden_size)), len(made), np.float32)

    monkeypatch.setattr(module, "embed", counted)
    return made


def stimuli(texts: list[str] = TEXTS) -> Stimuli:
    return split_words(Stimuli.from_texts(texts, labels=list("abcd")[: len(texts)]))


def changed_words() -> list[Stimuli]:
    """Replace one word by another, everywhere in turn; insert a blank; drop a word; swap two texts."""
    found = []
    for row, text in enumerate(TEXTS):
        words = text.split()
        for place, old in enumerate(words):
            for new in WORDS:
                if new != old:
                    changed = " ".join([*words[:place], new, *words[place + 1 :]])
                    found.append(stimuli([*TEXTS[:row], changed, *TEXTS[row + 1 :]]))
            if place:
                wider = " ".join(words[:place]) + "  " + " ".join(words[place:])
                found.append(stimuli([*TEXTS[:row], wider, *TEXTS[row + 1 :]]))
            if len(words) > 1:
                shorter = " ".join(words[:place] + words[place + 1 :])
                found.append(stimuli([*TEXTS[:row], shorter, *TEXTS[row + 1 :]]))
    return found


Call = Callable[[], object]


@pytest.mark.slow
def test_two_hundred_single_changes_of_the_inputs_all_miss(tiny: Encoder, tmp_path: Path, count: list[int]) -> None:
    words = stimuli()
    usual: dict[str, object] = {"cache": tmp_path}
    calls: list[Call] = [lambda: module.extract_word_features(words, tiny, **usual)]
    calls += [lambda other=other: module.extract_word_features(other, tiny, **usual) for other in changed_words()]
    options: list[dict[str, object]] = [
        *({"pool": pool} for pool in ("first", "last", "max")),
        *({"layers": layers} for layers in (0, 1, 2, [0, 1], [1, 0], [1, 2], [0, 2], [2, 0])),
        {"normalise": True},
        {"missing": "nan"},
        {"shared": "both"},
        {"shared": "first"},
        *({"context": Rolling(words)} for words in range(6)),
        *({"context": Rolling(4, stride)} for stride in (2, 3)),
        *({"context": Overlapping(left, right, 20)} for left in (2, 3, 4) for right in (0, 1)),
    ]
    calls += [
        lambda option=option: module.extract_word_features(words, tiny, **{**usual, **option}) for option in options
    ]
    encoders = [
        replace(tiny, name="another"),
        replace(tiny, revision="0" * 40),
        replace(tiny, max_tokens=20),
        replace(tiny, compiled=True),
        replace(tiny, passes=replace(tiny.passes, batching="equal-length")),
        replace(tiny, weights_sha256=tiny.weights_sha256[::-1]),
        *changed_in_memory(tiny),
        *changed_on_disk(tiny, tmp_path / "models"),
    ]
    calls += [lambda other=other: module.extract_word_features(words, other, **usual) for other in encoders]
    for call in calls:
        call()
    assert len(calls) > 200
    assert len(count) == len(calls)


def changed_in_memory(encoder: Encoder) -> list[Encoder]:
    """Change a single number of each of the weights, the first or the last."""
    found = []
    for name, _ in encoder.model.named_parameters():
        for place in (0, -1):
            other = copy.deepcopy(encoder.model)
            other.get_parameter(name).data.reshape(-1)[place] += 1e-3
            found.append(replace(encoder, model=other))
    return found


def changed_on_disk(encoder: Encoder, folder: Path) -> list[Encoder]:
    """Change one entry of the configuration, or one of the tokenizer, that leaves the weights as they are."""
    assert encoder.folder is not None
    found = []
    for number, (file, old, new) in enumerate(ENTRIES):
        shutil.copytree(encoder.folder, folder / str(number) / encoder.name)
        path = folder / str(number) / encoder.name / file
        before = path.read_text()
        path.write_text(before.replace(old, new))
        assert before.count(old) == 1
        found.append(load_encoder(path.parent, device="cpu"))
    return found


@pytest.mark.parametrize("change", [("config.json", '"hidden_act": "gelu"', '"hidden_act": "relu"'), None])
def test_a_model_changed_since_does_not_answer_from_the_cache(
    tiny: Encoder, tmp_path: Path, change: tuple[str, str, str] | None
) -> None:
    words = stimuli()
    before = module.extract_word_features(words, tiny, cache=tmp_path / "cache")
    other = changed_in_memory(tiny)[6] if change is None else changed_on_disk(tiny, tmp_path)[ENTRIES.index(change)]
    found = module.extract_word_features(words, other, cache=tmp_path / "cache")
    np.testing.assert_array_equal(found, module.extract_word_features(words, other))
    assert np.abs(found.values - before.values).max() > 1e-6


def test_a_model_elsewhere_answers_from_the_cache(tiny: Encoder, tmp_path: Path, count: list[int]) -> None:
    assert tiny.folder is not None
    shutil.copytree(tiny.folder, tmp_path / "elsewhere" / tiny.name)
    moved = load_encoder(tmp_path / "elsewhere" / tiny.name, device="cpu")
    for encoder in (tiny, moved):
        module.extract_word_features(stimuli(), encoder, cache=tmp_path / "cache")
    assert len(count) == 1


def test_fifty_changes_of_nothing_all_hit(tiny: Encoder, tmp_path: Path, count: list[int]) -> None:
    words = stimuli()
    first = module.extract_word_features(words, tiny, cache=tmp_path)
    more = words.table.assign(rating=1.5, onset=np.arange(len(words), dtype=float))
    same: list[tuple[Stimuli, dict[str, object]]] = [
        *((words, {"batch_tokens": tokens}) for tokens in range(1, 31)),
        *((Stimuli(words.table.copy()), {"progress": show}) for show in (True, False)),
        *(
            (stimuli(), {"layers": layers})
            for layers in (None, [0, 1, 2], (0, 1, 2), range(3), [0, -2, -1], [-3, -2, 2])
        ),
        (words, {"context": None}),
        (words, {"context": Whole()}),
        (words, {"device": "cpu"}),
        (words, {"missing": "error", "shared": "error"}),
        (Stimuli(more), {}),
        *((Stimuli(words.table[names]), {}) for names in columns(words)),
    ]
    for other, options in same:
        found = module.extract_word_features(other, tiny, **{"cache": str(tmp_path), **options})
        np.testing.assert_array_equal(found.values, first.values)
    assert len(same) >= 50
    assert len(count) == 1


def columns(words: Stimuli) -> list[list[str]]:
    """Give the columns in other orders."""
    rng = np.random.default_rng(0)
    return [rng.permutation(words.table.columns).tolist() for _ in range(10)]
