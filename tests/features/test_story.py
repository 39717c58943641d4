from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, trainers
from transformers import PreTrainedTokenizerFast

from neuroling.core.stimuli import Stimuli
from neuroling.features.story import (
    embed_words_in_context,
    log_frequency,
    word_length,
    word_position,
    word_rate,
)
from neuroling.features.transformer.encoder import Encoder

STORY = ["the", "cat", "saw", "the", "dog", "unable", "a", "ship", "the", "dog", "saw", "a", "cat"]
NASTY = [
    "don't",
    "18th",
    "U.S.-based",
    "cafe\u0301",
    "ﬁne",
    "Ｆｕｌｌ",
    "👩‍👩‍👧",
    "co\u00adop",
    "in",
    "the",
    "inn",
    "the",
    "\t x",
]


def story(texts: list[str] = STORY, **columns: object) -> Stimuli:
    return Stimuli.from_texts(texts, labels=range(len(texts)), **columns)  # type: ignore[arg-type]


def by_hand(encoder: Encoder, before: list[str], word: str) -> np.ndarray:
    """Read the words before and the word, and average the states of the pieces behind the last blank."""
    text = " ".join([*before, word])
    tokens = encoder.tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
    offsets = tokens.pop("offset_mapping")[0]
    with torch.inference_mode():
        states = encoder.model(**tokens).last_hidden_state[0]
    own = (offsets[:, 1] > len(text) - len(word)) & (offsets[:, 1] > offsets[:, 0])
    return states[own].mean(0).numpy()


def test_each_word_is_read_with_what_came_before(minilm: Encoder) -> None:
    found = embed_words_in_context(story(), minilm, window=4, batch_tokens=64).values
    expected = [by_hand(minilm, STORY[max(0, i - 4) : i], word) for i, word in enumerate(STORY)]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:stimuli. .*(unknown|composed|invisible)")
def test_nasty_words_keep_their_own_pieces(minilm: Encoder) -> None:
    found = embed_words_in_context(story(NASTY), minilm, window=3).values
    expected = [by_hand(minilm, NASTY[max(0, i - 3) : i], word) for i, word in enumerate(NASTY)]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_context_tells_two_senses_apart(minilm: Encoder) -> None:
    river = "he sat by the river and fished from the bank"
    stream = "reeds and willows grew along the muddy bank"
    money = "she asked for a loan and a new account at the bank"
    x = [embed_words_in_context(story(text.split()), minilm, layer=3).values[-1] for text in (river, stream, money)]
    x = [vector / np.linalg.norm(vector) for vector in x]
    assert x[0] @ x[1] > x[0] @ x[2] + 0.02


def test_nothing_is_read_ahead(tiny: Encoder) -> None:
    short = embed_words_in_context(story(STORY[:6]), tiny, window=5).values
    whole = embed_words_in_context(story(), tiny, window=5).values
    np.testing.assert_allclose(whole[:6], short, atol=1e-5)


def test_a_longer_stride_reads_ahead_within_itself_alone(tiny: Encoder) -> None:
    whole = embed_words_in_context(story(), tiny, window=5, stride=3).values
    np.testing.assert_allclose(embed_words_in_context(story(STORY[:6]), tiny, window=5, stride=3), whole[:6], atol=1e-5)
    assert not np.allclose(whole[:6], embed_words_in_context(story(STORY[:6]), tiny, window=5), atol=1e-3)


def test_no_word_is_read_into_another_group(tiny: Encoder) -> None:
    runs = embed_words_in_context(story(STORY[:8], group=[1] * 4 + [2] * 4), tiny, window=6).values
    alone = embed_words_in_context(story(STORY[4:8]), tiny, window=6).values
    np.testing.assert_allclose(runs[4:], alone, atol=1e-5)


def test_last_pieces_differ_from_means_where_words_are_split(tiny: Encoder) -> None:
    mean, last = (embed_words_in_context(story(), tiny, window=4, pool=pool).values for pool in ("mean", "last"))
    split = np.array(STORY) == "unable"
    assert not np.allclose(mean[split], last[split], atol=1e-3)
    np.testing.assert_allclose(mean[~split], last[~split], atol=1e-6)


@settings(deadline=None, max_examples=10)
@given(batch_tokens=st.sampled_from([1, 30, 200, 4096]))
def test_batches_do_not_change_words(batch_tokens: int, tiny: Encoder) -> None:
    found = embed_words_in_context(story(), tiny, window=4, batch_tokens=batch_tokens)
    np.testing.assert_allclose(found, embed_words_in_context(story(), tiny, window=4), atol=1e-5)


def test_a_word_without_pieces_is_named(minilm: Encoder) -> None:
    with pytest.raises(ValueError, match=r"1 get no piece from minilm \(first labels \[1\]\)"):
        embed_words_in_context(story(["cat", "\u200d", "dog"]), minilm)


def test_a_piece_over_two_words_is_refused(tiny: Encoder) -> None:
    greedy = Tokenizer(models.BPE(unk_token=None))
    greedy.train_from_iterator(["the cat"] * 50, trainers.BpeTrainer(vocab_size=14, show_progress=False))
    encoder = replace(tiny, tokenizer=PreTrainedTokenizerFast(tokenizer_object=greedy))
    with pytest.raises(ValueError, match=r"one piece of tiny-bert covers \['the', 'cat'\]"):
        embed_words_in_context(story(["the", "cat"]), encoder)


def test_a_window_beyond_the_encoder_is_refused(tiny: Encoder) -> None:
    with pytest.raises(ValueError, match="the encoder reads 22 besides its special tokens; choose fewer words"):
        embed_words_in_context(story(["cat"] * 40), tiny)


def test_a_group_in_two_places_is_refused(tiny: Encoder) -> None:
    with pytest.raises(ValueError, match="'a' stands in several places"):
        embed_words_in_context(story(STORY[:3], group=["a", "b", "a"]), tiny)


@pytest.mark.parametrize(
    ("option", "message"), [({"window": -1}, "got -1"), ({"stride": 0}, "and 0"), ({"pool": "max"}, "pool: got 'max'")]
)
def test_options_that_do_not_exist_are_named(tiny: Encoder, option: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        embed_words_in_context(story(), tiny, **option)  # type: ignore[arg-type]


def test_onsets_and_provenance_travel_along(tiny: Encoder) -> None:
    found = embed_words_in_context(story(STORY[:3], onset=[0.1, 0.5, 0.9]), tiny, window=7)
    assert found.onset.values.tolist() == [0.1, 0.5, 0.9]
    assert (found.attrs["window"], found.attrs["weights_sha256"]) == (7, tiny.weights_sha256)


def test_the_cache_gives_back_the_very_numbers(tiny: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = embed_words_in_context(story(), tiny, window=4, cache=tmp_path)
    monkeypatch.setattr("neuroling.features.extract.embed", None)
    assert first.identical(embed_words_in_context(story(), tiny, window=4, cache=tmp_path))


def test_words_count_one_each() -> None:
    found = word_rate(story())
    assert (found.feature.values.tolist(), set(found.values.ravel())) == (["word_rate"], {1.0})


def test_letters_are_counted_and_punctuation_is_not() -> None:
    assert word_length(story(["don't", "“Oh!”", "18th", "naïve"])).values.ravel().tolist() == [4, 2, 4, 5]


def test_positions_start_anew_with_every_group() -> None:
    assert word_position(story(STORY[:5], group=[1, 1, 2, 2, 2])).values.ravel().tolist() == [0, 1, 0, 1, 2]


def test_frequencies_are_found_whatever_the_case_and_punctuation() -> None:
    found = log_frequency(story(["The", "“rabbit,”", "don't"]), {"the": 1e4, "rabbit": 10, "don't": 100})
    assert found.values.ravel().tolist() == [4, 1, 2]


def test_missing_frequencies_are_an_error_unless_given() -> None:
    with pytest.raises(ValueError, match=r"1 words have no frequency, first \['gryphon'\]"):
        log_frequency(story(["the", "Gryphon", "gryphon"]), {"the": 1e4})
    found = log_frequency(story(["the", "Gryphon", "gryphon"]), {"the": 1e4}, missing=0.1)
    assert (found.values.ravel().tolist(), found.attrs["n_missing"]) == ([4, -1, -1], 2)


@pytest.mark.parametrize("frequency", [0.0, -1.0, float("nan"), float("inf")])
def test_frequencies_must_be_above_zero(frequency: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        log_frequency(story(["the"]), {"the": frequency})
