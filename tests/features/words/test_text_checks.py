from __future__ import annotations

import numpy as np
import pytest

from neuroling.core.stimuli import Stimuli
from neuroling.features.extract import extract_text_features, extract_word_features
from neuroling.features.lexical.ngram import bare, fit_ngram
from neuroling.features.lexical.tfidf import concatenate
from neuroling.features.story import log_frequency
from neuroling.features.transformer.encoder import Encoder
from neuroling.features.words.text_checks import tidy, trimmed
from neuroling.features.words.words import split_words


def stimuli(*texts: str) -> Stimuli:
    return Stimuli.from_texts(list(texts), labels=[f"t{i}" for i in range(len(texts))])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("\u201cO'Neil!\u201d", "O'Neil"),
        ("का,", "का"),
        ("\u0e17\u0e35\u0e48", "\u0e17\u0e35\u0e48"),
        ("நான்.", "நான்"),
        ("(cafe\u0301)", "caf\u00e9"),
        ("co\u00adop", "coop"),
        ("3\u20e3", "3\u20e3"),
        ("\u2014", "\u2014"),
        ("\u2764\ufe0f", "\u2764\ufe0f"),
        ("", ""),
    ],
)
def test_what_stands_on_the_last_letter_stays_with_it(given: str, expected: str) -> None:
    assert trimmed(given) == expected
    assert bare(given) == expected.lower()


def test_hindi_words_are_counted_apart() -> None:
    words = stimuli("का", "की", "के", "को")
    table = {"क": 1.0, "का": 10.0, "की": 100.0, "के": 1000.0, "को": 10000.0}
    assert log_frequency(words, table).values.ravel().tolist() == [1, 2, 3, 4]
    model = fit_ngram(stimuli("का की के को"), order=1)
    assert {"का", "की", "के", "को"} <= set(model.words)


def test_frequencies_are_found_however_accents_are_written() -> None:
    for word in ("caf\u00e9", "cafe\u0301"):
        for listed in ("caf\u00e9", "cafe\u0301"):
            assert log_frequency(stimuli(word), {listed: 100.0}).item() == 2


def test_composed_and_decomposed_letters_are_one() -> None:
    with pytest.warns(UserWarning, match=r"1 texts were put into composed form \(NFC\) \(first labels \['t1'\]\)"):
        assert tidy(stimuli("café", "cafe\u0301")) == ["café", "café"]


@pytest.mark.parametrize("character", ["\u200b", "\ufeff", "\u00ad", "\u2060"])
def test_invisible_characters_go_with_a_warning(character: str) -> None:
    with pytest.warns(UserWarning, match="1 texts held invisible characters"):
        assert tidy(stimuli(f"co{character}op")) == ["coop"]


def test_no_break_spaces_become_blanks() -> None:
    with pytest.warns(UserWarning, match="no-break spaces"):
        assert tidy(stimuli("a\u00a0b")) == ["a b"]


@pytest.mark.parametrize(
    "text", ["null", "NA", "nan", "None", "<b>x</b>", "../x", "=1+1", "👩‍👩‍👧", "“ﬁne” straße", "می‌خواهم", "שלום"]
)
def test_unusual_texts_are_kept_as_they_are(text: str) -> None:
    assert tidy(stimuli(text)) == [text]


@pytest.mark.parametrize(
    ("text", "code"), [("a\u202eb", "U+202E"), ("a\x00b", "U+0000"), ("a\x07b", "U+0007"), ("\u2066a", "U+2066")]
)
def test_control_and_direction_characters_are_refused_by_name(text: str, code: str) -> None:
    with pytest.raises(ValueError, match=rf"1 texts hold control .*\('t1', '{code}'\)".replace("+", r"\+")):
        tidy(stimuli("fine", text))


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="lone surrogates"):
        tidy(stimuli("\ud83d"))


def test_nothing_visible_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1 texts have nothing visible in them \(first labels \['t1'\]\)"):
        tidy(stimuli("a", "\u200b"))


def test_a_book_is_no_word() -> None:
    tidy(stimuli("x " * 5000))
    tidy(stimuli("猫" * 5000))  # written without blanks
    with pytest.raises(ValueError, match="1 texts hold a word of more than 1000 characters"):
        tidy(stimuli("x" * 5000))
    with pytest.raises(ValueError, match="1 words have more than 1000 characters"):
        tidy(stimuli("x" * 5000), words=True)


def test_rows_that_share_their_text_are_named(tiny: Encoder) -> None:
    again = Stimuli.from_texts(["a cat", "the dog", "a cat"], labels=[1, 2, 3])
    with pytest.warns(UserWarning, match=r"2 rows share their text with another \(first labels \[1, 3\]\)"):
        extract_text_features(again, tiny)


def test_groups_say_that_repeats_are_known(tiny: Encoder) -> None:
    extract_text_features(Stimuli.from_texts(["a cat", "a cat"], labels=[1, 2], group=["a cat", "a cat"]), tiny)


def test_words_of_a_story_may_come_again(tiny: Encoder) -> None:
    extract_word_features(Stimuli.from_texts(["a", "cat", "saw", "a", "dog"], labels=range(5)), tiny)


def test_labels_that_differ_in_case_or_blanks_are_shown_in_pairs() -> None:
    one, other = (
        Stimuli.from_texts(labels).features(np.eye(3)) for labels in (["Cat", "dog", "cow"], ["cat ", "dog", "hen"])
    )
    with pytest.raises(ValueError, match=r"Only case or blanks tell apart \[\('Cat', 'cat '\)\]"):
        concatenate({"a": one, "b": other}, train=["dog", "cow"])


def test_what_stands_between_words_is_tidied_like_the_words(minilm: Encoder) -> None:
    words, plain = (
        split_words(Stimuli.from_texts([text], labels=["s"])) for text in ("a\u00a0ship – saw", "a ship – saw")
    )
    with pytest.warns(UserWarning, match="no-break spaces"):
        found = extract_word_features(words, minilm, layers=1)
    np.testing.assert_array_equal(found.values, extract_word_features(plain, minilm, layers=1).values)
