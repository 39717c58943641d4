"""The first 25 rows of the catalogue of bad input: what a text can do wrong, and what becomes of it.

Each row is refused by a sentence, warned of, or kept as it is; none is lost in silence.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroling.cli.extract import read_stimuli
from neuroling.core.stimuli import Stimuli
from neuroling.features.extract import extract_text_features, extract_word_features
from neuroling.features.lexical.tfidf import concatenate
from neuroling.features.transformer.encoder import Encoder, load_encoder
from neuroling.features.words.words import locate_words, split_words

from .conftest import save_tiny_bert


def texts(*given: object, **more: object) -> Stimuli:
    return Stimuli.from_texts(given, labels=[f"t{number}" for number in range(len(given))], **more)  # type: ignore[arg-type]


def spaces(*labels: list[str]) -> object:
    return concatenate(
        {str(n): Stimuli.from_texts(own).features(np.eye(2)) for n, own in enumerate(labels)}, train=["b"]
    )


REFUSED = {
    "1 no stimuli": (lambda _: texts(), "no stimuli"),
    "2 blanks": (lambda _: texts("a cat", "  "), r"empty or blank, first labels \['t1'\]"),
    "3 labels twice": (lambda _: Stimuli.from_texts(["a cat", "a cat"]), "occur more than once, first"),
    "8 direction": (lambda tiny: extract_text_features(texts("a \u202ecat"), tiny), "t0.*U\\+202E"),
    "8 control": (lambda tiny: extract_text_features(texts("a\x00cat"), tiny), "U\\+0000"),
    "9 surrogate": (lambda tiny: extract_text_features(texts("a \ud800"), tiny), "lone surrogates"),
    "13 bytes": (lambda _: texts(b"a cat"), "not str, first .*bytes"),
    "14 numbers": (lambda _: texts("a", 7), "not str, first .*int"),
    "15 None": (lambda _: texts("a", None), "not str, first .*'t1'"),
    "16 word not there": (lambda _: locate_words(texts("a cat"), ["dog"]), "'dog' is not a word of 'a cat'"),
    "17 word twice": (lambda _: locate_words(texts("a cat a dog"), ["a"]), "stands 2 times .* occurrence="),
    "18 case and blanks": (lambda _: spaces(["Cat", "b"], ["cat ", "b"]), r"tell apart \[\('Cat', 'cat '\)\]"),
    "21 too long": (
        lambda tiny: extract_text_features(texts("a cat " * 20), tiny),
        "longer than the 24 tokens .* long='truncate'",
    ),
    "21 too long, words": (
        lambda tiny: extract_word_features(split_words(texts("a cat " * 20)), tiny),
        "use context=Overlapping",
    ),
    "22 no word": (lambda tiny: extract_word_features(texts("x" * 100_000), tiny), "more than 1000 characters"),
}  # fmt: skip


@pytest.mark.parametrize("row", REFUSED)
def test_it_is_refused_by_a_sentence(tiny: Encoder, row: str) -> None:
    call, message = REFUSED[row]
    with pytest.raises((ValueError, TypeError), match=message):
        call(tiny)


def test_a_wrong_encoding_is_refused_with_its_byte(tmp_path: Path) -> None:
    """Row 12."""
    path = tmp_path / "words.csv"
    path.write_bytes("text\ncafé\n".encode("latin-1"))
    with pytest.raises(ValueError, match="byte 8 is no UTF-8"):
        read_stimuli(path)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    """Row 20."""
    with pytest.raises(ValueError, match="do not belong together"):
        load_encoder(save_tiny_bert(tmp_path, vocabulary=8), device="cpu")


WARNED = {
    "4 texts twice": (("a cat", "a cat"), {}, "2 rows share their text"),
    "6 decomposed": (("a cafe\u0301",), {}, "1 texts were put into composed form"),
    "7 zero-width space": (("a c\u200bat",), {}, "invisible"),
    "7 no-break space": (("a\u00a0cat",), {}, "no-break spaces"),
    "7 byte order mark": (("\ufeffa cat",), {}, "invisible"),
    "7 soft hyphen": (("a c\u00adat",), {}, "invisible"),
    "21 cut when asked": (("a cat " * 400,), {"long": "truncate"}, "1 of 1 texts .* were cut"),
}


@pytest.mark.parametrize("row", WARNED)
def test_it_is_warned_of(minilm: Encoder, row: str) -> None:
    given, options, message = WARNED[row]
    with pytest.warns(UserWarning, match=message):
        extract_text_features(texts(*given), minilm, layers=0, **options)  # type: ignore[arg-type]


KEPT = {
    "5 missing values": ["NA", "null", "nan", "None", "N/A"],
    "10 quotes, ligatures, sharp s": ["“Naïve”", "ﬁne", "Straße", "don’t", "İstanbul"],
    "11 emoji": ["👩‍👩‍👧", "🇯🇵", "👍🏽", "ok"],
    "19 many pieces": ["antidisestablishmentarianism", "pneumonoultramicroscopic"],
    "23 script": ["<script>alert(1)</script>", "&amp;"],
    "24 path": ["../x", "/etc/passwd"],
    "25 spreadsheet": ["=1+1", "+1", "-1", "@x"],
}


@pytest.mark.filterwarnings("ignore:stimuli.*unknown to minilm:UserWarning")
@pytest.mark.parametrize("row", KEPT)
def test_it_is_kept_to_the_letter_one_vector_a_word(minilm: Encoder, tmp_path: Path, row: str) -> None:
    words = split_words(texts(" ".join(KEPT[row])))
    assert words.texts == KEPT[row]
    labelled = Stimuli.from_texts(words.texts, group=["one"] * len(words), condition=words.texts)
    with extract_word_features(labelled, minilm, layers=0, out=tmp_path / "f.nc") as found:
        assert found.sample.values.tolist() == KEPT[row]
        assert found.condition.values.tolist() == KEPT[row]
        assert np.isfinite(found.values).all()


@pytest.mark.parametrize("row", KEPT)
def test_a_table_keeps_it_to_the_letter(tmp_path: Path, row: str) -> None:
    path = tmp_path / "words.csv"
    path.write_text("text\n" + "\n".join(KEPT[row]) + "\n", encoding="utf-8")
    assert read_stimuli(path).texts == KEPT[row]
