"""Words in capitals: looked up by ``str.lower``, Turkish ones had frequency 0 and no vector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroling.core.stimuli import Stimuli
from neuroling.data.tables import read_stimuli
from neuroling.features.lexical.controls import control_table, neighbours, zipf_frequency
from neuroling.features.lexical.cooccurrence import cooccurrence
from neuroling.features.lexical.ngram import fit_ngram
from neuroling.features.lexical.static_vectors import load_vectors, static_vectors
from neuroling.features.lexical.tfidf import tfidf_svd
from neuroling.features.story import log_frequency
from neuroling.features.surprisal import surprisal
from neuroling.lm.corpora import find_overlap
from neuroling.lm.wordpiece import train_wordpiece

FILES = Path(__file__).parent / "files"

SPELLINGS = [
    ("İstanbul", "istanbul", None),
    ("DİYARBAKIR", "diyarbakır", None),
    ("ISPARTA", "ısparta", None),
    ("ISPARTA", "ısparta", "tr"),
    ("Irak", "ırak", "tr"),
    ("BAKI", "bakı", "az"),
    ("STRASSE", "straße", None),
    ("STRAẞE", "straße", None),
    ("GRÜSSE", "grüße", "de"),
    ("ΛΟΓΟΣ", "λογος", None),
    ("ΛΟΓΟΣ", "λογοσ", None),
    ("i\u0307\u0300", "\u00ec", "lt"),
    ("ﬁne", "fine", None),
]
"""A word as it stands in a text, the entry of a list that it is, and the language that is named."""


def texts(*written: str) -> Stimuli:
    return Stimuli.from_texts(written, labels=range(len(written)))


def test_05_turkish_words_in_capitals_have_the_frequency_that_wordfreq_has() -> None:
    pytest.importorskip("wordfreq", exc_type=ImportError)
    words = read_stimuli(FILES / "05_turkish_dotted_i" / "words.csv")
    frequency = zipf_frequency(words, "tr")
    assert frequency.values.ravel().tolist() == [5.89, 4.3, 6.21, 4.79]
    assert frequency.attrs["n_missing"] == 0
    assert control_table(words, frequency="tr").sel(feature="log_frequency").values.tolist() == [5.89, 4.3, 6.21, 4.79]


@pytest.mark.parametrize(
    ("word", "language"),
    [
        ("STRASSE", "de"),
        ("Straße", "de"),
        ("“Straße,”", "de"),
        ("ΛΟΓΟΣ", "el"),
        ("λόγος", "el"),
        ("ŽĄSIS", "lt"),
        ("ﬁne", "en"),
    ],
)
def test_frequencies_of_other_languages_are_those_of_wordfreq(word: str, language: str) -> None:
    wordfreq = pytest.importorskip("wordfreq", exc_type=ImportError)
    assert zipf_frequency(texts(word), language).item() == wordfreq.zipf_frequency(word.strip("“,”"), language)


@pytest.mark.parametrize(
    ("word", "listed", "language"),
    [
        ("L’HOMME", "l'homme", "fr"),
        ("qu’il", "qu'il", "fr"),
        ("Aujourd’hui", "aujourd'hui", "fr"),
        ("ĲS", "ijs", "nl"),
        ("ﬂeur", "fleur", "fr"),
    ],
)
def test_frequencies_do_not_hang_on_apostrophes_and_ligatures(word: str, listed: str, language: str) -> None:
    wordfreq = pytest.importorskip("wordfreq", exc_type=ImportError)
    frequency = zipf_frequency(texts(word), language)
    assert frequency.item() == wordfreq.zipf_frequency(listed, language) > 3
    assert frequency.attrs["n_missing"] == 0


@pytest.mark.parametrize(("word", "entry", "language"), SPELLINGS)
def test_a_table_of_frequencies_is_read_in_any_case(word: str, entry: str, language: str | None) -> None:
    assert log_frequency(texts(word), {entry: 100.0, "other": 1.0}, language=language).item() == 2


@pytest.mark.parametrize(("word", "entry", "language"), SPELLINGS)
def test_static_vectors_are_found_in_any_case(tmp_path: Path, word: str, entry: str, language: str | None) -> None:
    (tmp_path / "v.vec").write_text(f"other 9.5 9.5\n{entry} 1.5 2.5\n", encoding="utf-8")
    for words in (None, [word]):
        vectors = load_vectors(tmp_path / "v.vec", words=words)
        np.testing.assert_array_equal(static_vectors(texts(word), vectors, language=language).values, [[1.5, 2.5]])


@pytest.mark.parametrize(("word", "entry", "language"), SPELLINGS)
def test_an_ngram_model_knows_words_in_any_case(word: str, entry: str, language: str | None) -> None:
    model = fit_ngram(texts(f"one {entry} two", f"three {entry} four"), language=language)
    found = surprisal(texts(word, entry), model)
    assert found.attrs["n_unknown"] == 0
    alone = [surprisal(texts(one), model).item() for one in (word, entry)]
    assert alone[0] == alone[1]


@pytest.mark.parametrize(("word", "entry", "language"), SPELLINGS)
def test_cooccurrences_are_counted_in_any_case(word: str, entry: str, language: str | None) -> None:
    counts = cooccurrence(texts(word, entry), texts(f"one {entry} two"), contexts=["ONE", "two"], language=language)
    assert counts.values.tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(("word", "entry", "language"), SPELLINGS)
def test_a_word_is_no_neighbour_of_itself_in_another_case(word: str, entry: str, language: str | None) -> None:
    lexicon = [entry, *(f"{letter}zzzzzzzzzzzzzz" for letter in "abcdefghijklmnopqrst")]
    assert neighbours(texts(word), lexicon, language=language).sel(feature="neighbours").item() == 0
    assert neighbours(texts(word), lexicon, language=language).sel(feature="old20").item() > 10


def test_entries_that_differ_in_case_alone_are_not_chosen_from() -> None:
    assert log_frequency(texts("Sie"), {"sie": 100.0, "Sie": 10.0}).item() == 2  # small letters, as documented
    with pytest.raises(ValueError, match=r"1 words have several entries that differ in case alone.*'hAUS'"):
        log_frequency(texts("hAUS"), {"Haus": 100.0, "HAUS": 1.0})


def test_german_words_that_are_not_one_stay_two() -> None:
    assert log_frequency(texts("Maße", "Masse"), {"maße": 10.0, "masse": 1000.0}).values.ravel().tolist() == [1, 3]
    with pytest.raises(ValueError, match=r"1 words have no frequency, first .*'maße'"):
        log_frequency(texts("Maße"), {"masse": 1000.0})


def test_turkish_words_stay_whole_in_tfidf() -> None:
    written = ["İstanbul ve Irak", "istanbul ile ırak", "ISPARTA ve ev", "ısparta ile ev", "ev ve ev"]
    features = tfidf_svd(
        texts(*written), train=range(5), n_components=2, stop_words=None, min_documents=2, language="tr"
    )
    assert features.attrs["vocabulary"] == 6  # istanbul, ırak, ısparta, ve, ile, ev
    assert tfidf_svd(texts(*written), train=range(5), n_components=2, stop_words=None).attrs["vocabulary"] < 6


def test_a_tokenizer_makes_turkish_letters_small() -> None:
    sentences = ["ısparta büyük bir şehir", "istanbul büyük bir şehir"] * 4
    tokenizer = train_wordpiece(sentences, size=200, language="tr")
    assert tokenizer.tokenize("ISPARTA İSTANBUL") == tokenizer.tokenize("ısparta istanbul")
    assert tokenizer.unk_token not in tokenizer.tokenize("ISPARTA İSTANBUL")


def test_an_overlap_is_found_whatever_the_dots() -> None:
    assert find_overlap(["İstanbul'da ISPARTA."], ["istanbul'da ısparta."]) == [0]
