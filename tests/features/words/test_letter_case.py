from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroling.features.words.letter_case import CaseLookup, bare, bare_words, casefold, lowercase


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("ISPARTA", "tr", "ısparta"),
        ("İSTANBUL", "tr", "istanbul"),
        ("I\u0307STANBUL", "tr", "istanbul"),
        ("Iğdır", "tr-TR", "ığdır"),
        ("BAKI", "az", "bakı"),
        ("BAKI", "az_Latn_AZ", "bakı"),
        ("QIRIM", "crh", "qırım"),
        ("ISPARTA", None, "isparta"),
        ("ISPARTA", "en", "isparta"),
        ("İstanbul", None, "istanbul"),
        ("İstanbul", "en", "istanbul"),
        ("DİYARBAKIR", None, "diyarbakır"),
        ("Isı IT", None, "ısı it"),
        ("i\u0307stanbul", None, "istanbul"),  # what str.lower makes of İstanbul
        ("\u00cc", "lt", "\u00ec"),
        ("i\u0307\u0300", "lt", "\u00ec"),
        ("\u012e\u0307\u0301", "lt", "\u012f\u0301"),
        ("J\u0307\u0303", "lt", "j\u0303"),
        ("ŽĄSIS", "lt", "žąsis"),
        ("STRAẞE", "de", "straße"),
        ("ΛΟΓΟΣ", "el", "λογος"),
        ("ΣΟΦΟΣ", None, "σοφος"),
        ("Σ", "el", "σ"),
        ("CAFE\u0301", None, "café"),
    ],
)
def test_letters_are_made_small_as_the_language_does(text: str, language: str | None, expected: str) -> None:
    assert lowercase(text, language) == unicodedata.normalize("NFC", expected)


@pytest.mark.parametrize(
    ("one", "other", "language", "equal"),
    [
        ("STRASSE", "Straße", None, True),
        ("ΛΟΓΟΣ", "λόγος", None, False),  # capitals have lost the accent, which no folding gives back
        ("λογοσ", "ΛΟΓΟΣ", None, True),
        ("ﬁne", "FINE", None, True),
        ("ISPARTA", "ısparta", "tr", True),
        ("ISPARTA", "isparta", "tr", False),
        ("ISPARTA", "isparta", None, True),
        ("i\u0307\u0300", "\u00cc", "lt", True),
    ],
)
def test_folded_texts_are_equal_where_case_alone_differs(
    one: str, other: str, language: str | None, equal: bool
) -> None:
    assert (casefold(one, language) == casefold(other, language)) is equal


@given(st.text(max_size=20), st.sampled_from([None, "tr", "lt", "de", "el"]))
def test_folding_twice_changes_nothing(text: str, language: str | None) -> None:
    once = casefold(text, language)
    assert casefold(once, language) == once


@given(st.text(alphabet=st.characters(max_codepoint=0x24F), max_size=20))
def test_other_languages_have_the_small_letters_of_unicode(text: str) -> None:
    composed = unicodedata.normalize("NFC", text)
    if not set("İı\u0307") & set(composed):
        assert lowercase(text) == unicodedata.normalize("NFC", composed.lower())


@pytest.mark.parametrize(
    ("word", "entries", "language", "expected"),
    [
        ("Haus", ["haus", "Haus"], None, "Haus"),
        ("HAUS", ["Haus", "haus"], None, "haus"),
        ("haus", ["Haus"], None, "Haus"),
        ("STRASSE", ["straße"], None, "straße"),
        ("STRASSE", ["straße", "strasse"], None, "strasse"),
        ("Strasse", ["straße"], None, None),  # may be another word, as Masse and Maße are
        ("Masse", ["maße"], None, None),
        ("Strasse", ["straße"], "de-CH", "straße"),
        ("ISPARTA", ["ısparta"], None, "ısparta"),
        ("ISPARTA", ["isparta", "ısparta"], "tr", "ısparta"),
        ("Irak", ["irak", "ırak"], None, "irak"),
        ("ΛΟΓΟΣ", ["λογοσ"], None, "λογοσ"),
        ("café", ["cafe\u0301"], None, "cafe\u0301"),
        ("cafe\u0301", ["café"], None, "café"),
        ("Café,", ["CAFÉ"], None, "CAFÉ"),
        ("boat", ["ship"], None, None),
    ],
)
def test_a_word_is_found_whatever_its_case(
    word: str, entries: list[str], language: str | None, expected: str | None
) -> None:
    assert CaseLookup(entries, language).find(word) == expected


def test_capitals_of_a_german_text_get_the_spelling_of_its_small_letters() -> None:
    texts = [["Die", "Straße", "und", "die", "Masse"], ["STRASSE", "MASSE", "GASSE"]]
    assert bare_words(texts, "de")[1] == ["straße", "masse", "gasse"]
    assert bare_words(texts)[1] == ["strasse", "masse", "gasse"]


def test_punctuation_goes_before_case() -> None:
    assert (bare("«İKİ»", "tr"), bare("…"), bare("ΛΟΓΟΣ!")) == ("iki", "…", "λογος")


@pytest.mark.parametrize("language", ["turkish", "Türkçe", "", "t"])
def test_a_language_that_is_no_code_is_refused(language: str) -> None:
    with pytest.raises(ValueError, match=r"language: got .*; expected a code such as 'tr'"):
        lowercase("ISPARTA", language)
