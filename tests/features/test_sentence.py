from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuroling.core.stimuli import Stimuli
from neuroling.features.sentence import embed_sentences, sentence_similarity
from neuroling.features.transformer.encoder import Encoder
from neuroling.features.transformer.hidden_states import plan_packs

TEXTS = [
    "The cat saw the dog.",
    "A ship.",
    "The dog saw a cat, a dog, a ship, and the cat saw the dog saw a ship.",
    "cat",
    "Unable the cat saw a dog.",
    "the the the the",
    "A dog.",
]
STIMULI = Stimuli.from_texts(TEXTS)


def one_at_a_time(encoder: Encoder, text: str, layer: int, pool: str) -> np.ndarray:
    tokens = encoder.tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        states = encoder.model(**tokens, output_hidden_states=True).hidden_states[layer][0]
    vector = states[0] if pool == "cls" else states.mean(0)
    return (vector / vector.norm()).numpy()


@pytest.mark.filterwarnings("ignore:stimuli. .* unknown")
@pytest.mark.parametrize("pool", ["mean", "cls"])
@pytest.mark.parametrize("layer", [0, 1, -1])
def test_batches_equal_transformers_one_at_a_time(tiny: Encoder, pool: str, layer: int) -> None:
    expected = np.stack([one_at_a_time(tiny, text, layer, pool) for text in TEXTS])
    found = embed_sentences(STIMULI, tiny, pool=pool, layer=layer, batch_tokens=40)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.values, expected, atol=1e-5)


def test_minilm_equals_transformers_one_at_a_time(minilm: Encoder) -> None:
    expected = np.stack([one_at_a_time(minilm, text, -1, "mean") for text in TEXTS])
    np.testing.assert_allclose(embed_sentences(STIMULI, minilm).values, expected, atol=1e-5)


def test_minilm_equals_sentence_transformers(minilm: Encoder) -> None:
    library = pytest.importorskip("sentence_transformers")
    from neuroling.features.transformer.encoder import _packaged_minilm

    peer = library.SentenceTransformer(str(_packaged_minilm()[0]), device="cpu")
    np.testing.assert_allclose(embed_sentences(STIMULI, minilm).values, peer.encode(TEXTS), atol=1e-5)


def test_minilm_puts_captions_of_one_scene_together(minilm: Encoder) -> None:
    texts = ["A ship in the harbour.", "Boats at the pier.", "A chef slices tomatoes.", "The stock market fell."]
    x = embed_sentences(Stimuli.from_texts(texts), minilm).values
    similarity = x @ x.T
    assert similarity[0, 1] > similarity[:2, 2:].max() + 0.2


@pytest.mark.filterwarnings("ignore:stimuli. .* unknown")
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(len(TEXTS))), batch_tokens=st.sampled_from([1, 16, 50, 4096]))
def test_a_vector_depends_on_its_own_text_alone(tiny: Encoder, order: list[int], batch_tokens: int) -> None:
    shuffled = Stimuli.from_texts([TEXTS[i] for i in order])
    found = embed_sentences(shuffled, tiny, batch_tokens=batch_tokens).sel(sample=TEXTS)
    np.testing.assert_allclose(found.values, embed_sentences(STIMULI, tiny).values, atol=1e-5)


def test_equal_texts_get_identical_vectors(tiny: Encoder) -> None:
    stimuli = Stimuli.from_texts(["the cat", "a dog saw", "the cat"], labels=[1, 2, 3], group=["cat", "dog", "cat"])
    found = embed_sentences(stimuli, tiny).values
    np.testing.assert_array_equal(found[0], found[2])


def test_rows_and_coordinates_follow_the_stimuli(tiny: Encoder) -> None:
    stimuli = Stimuli.from_texts(["the dog saw", "cat"], labels=["b", "a"], group=["run1", "run2"])
    found = embed_sentences(stimuli, tiny)
    assert (found.sample.values.tolist(), found.group.values.tolist()) == (["b", "a"], ["run1", "run2"])
    assert (found.dims, found.dtype) == (("sample", "feature"), np.float32)


def test_vectors_have_unit_length_unless_told_otherwise(tiny: Encoder) -> None:
    np.testing.assert_allclose(np.linalg.norm(embed_sentences(STIMULI.subset(["cat"]), tiny), axis=1), 1, atol=1e-6)
    assert abs(np.linalg.norm(embed_sentences(STIMULI.subset(["cat"]), tiny, normalise=False)) - 1) > 0.1


def test_attributes_say_how_it_was_made(tiny: Encoder) -> None:
    attrs = embed_sentences(STIMULI.subset(["cat"]), tiny, layer=-2, pool="cls").attrs
    assert attrs["weights_sha256"] == tiny.weights_sha256
    assert (attrs["pool"], attrs["layer"], attrs["encoder"]) == ("cls", 1, "tiny-bert")


def test_attributes_are_plain_enough_for_any_file(tiny: Encoder) -> None:
    assert {type(value) for value in embed_sentences(STIMULI.subset(["cat"]), tiny).attrs.values()} <= {str, int}


def test_long_texts_are_refused_by_name(tiny: Encoder) -> None:
    stimuli = Stimuli.from_texts(["cat", "the " * 30, "a " * 40], labels=["short", "long", "longer"])
    with pytest.raises(ValueError, match=r"2 of 3 texts .* 24 tokens .*\['long', 'longer'\], longest 42"):
        embed_sentences(stimuli, tiny)


def test_long_texts_are_cut_with_a_count_when_asked(tiny: Encoder) -> None:
    stimuli = Stimuli.from_texts(["cat", "the " * 30, "the " * 22], labels=["short", "long", "fits"])
    with pytest.warns(UserWarning, match="1 of 3 texts .* were cut"):
        found = embed_sentences(stimuli, tiny, long="truncate")
    np.testing.assert_allclose(found.sel(sample="long"), found.sel(sample="fits"), atol=1e-6)
    assert found.attrs["n_truncated"] == 1


def test_a_smaller_limit_can_be_set(tiny: Encoder) -> None:
    with pytest.raises(ValueError, match="6 tokens"):
        embed_sentences(Stimuli.from_texts(["the cat saw the dog"]), replace(tiny, max_tokens=6))


def test_an_unknown_language_is_warned_of(minilm: Encoder) -> None:
    with pytest.warns(UserWarning, match="of the tokens are unknown to minilm"):
        embed_sentences(Stimuli.from_texts(["厨房で料理人がトマトを切っている"]), minilm)


def test_a_text_without_tokens_is_refused(tiny: Encoder) -> None:
    stimuli = Stimuli.from_texts(["cat", "\u200d\u200d"], labels=["cat", "invisible"])
    with pytest.raises(ValueError, match=r"no token at all .*\['invisible'\]"):
        embed_sentences(stimuli, tiny)


def test_half_a_surrogate_pair_is_refused(tiny: Encoder) -> None:
    stimuli = Stimuli.from_texts(["cat", "\ud83d"], labels=["cat", "broken"])
    with pytest.raises(ValueError, match=r"lone surrogates.*\['broken'\]"):
        embed_sentences(stimuli, tiny)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"pool": "max"}, "pool: got 'max'"),
        ({"long": "cut"}, "long: got 'cut'"),
        ({"layer": 7}, "layer: got 7"),
        ({"batch_tokens": 0}, "batch_tokens: got 0"),
    ],
)
def test_options_that_do_not_exist_are_named(tiny: Encoder, option: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        embed_sentences(STIMULI.subset(["cat"]), tiny, **option)  # type: ignore[arg-type]


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=200),
    budget=st.integers(1, 300),
    batching=st.sampled_from(["packed", "equal-length"]),
)
def test_packs_hold_every_row_once_within_their_budget(lengths: list[int], budget: int, batching: str) -> None:
    packs = plan_packs(lengths, budget, batching)  # type: ignore[arg-type]
    assert sorted(np.concatenate(packs).tolist()) == list(range(len(lengths)))
    assert all(len(rows) == 1 or sum(lengths[row] for row in rows) <= budget for rows in packs)
    if batching == "equal-length":
        assert all(len({lengths[row] for row in rows}) == 1 for rows in packs)


def test_the_cache_gives_back_the_very_numbers(tiny: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = embed_sentences(STIMULI.subset(["cat"]), tiny, cache=tmp_path)
    monkeypatch.setattr("neuroling.features.extract.embed", None)  # the model cannot run again
    second = embed_sentences(STIMULI.subset(["cat"]), tiny, cache=tmp_path)
    assert first.identical(second)


@pytest.mark.parametrize("change", [{"layer": 1}, {"pool": "cls"}, {"normalise": False}])
def test_another_option_is_another_entry(tiny: Encoder, tmp_path: Path, change: dict[str, object]) -> None:
    embed_sentences(STIMULI.subset(["cat"]), tiny, cache=tmp_path)
    cached = embed_sentences(STIMULI.subset(["cat"]), tiny, cache=tmp_path, **change)  # type: ignore[arg-type]
    fresh = embed_sentences(STIMULI.subset(["cat"]), tiny, **change)  # type: ignore[arg-type]
    np.testing.assert_array_equal(cached, fresh)


def test_other_weights_are_another_entry(tiny: Encoder, tmp_path: Path) -> None:
    embed_sentences(STIMULI.subset(["cat"]), tiny, cache=tmp_path)
    embed_sentences(STIMULI.subset(["cat"]), replace(tiny, weights_sha256="0" * 64), cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_sides_of_pairs_must_have_the_same_labels():
    first, second = (Stimuli.from_texts(["a cat", "a dog"], labels=labels) for labels in (["p1", "p2"], ["p2", "p1"]))
    with pytest.raises(ValueError, match="not those of first"):
        sentence_similarity(first, second)
