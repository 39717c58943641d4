"""Rows 1 to 25 of the catalogue of bad input, each through every entry point that takes text.

A row is refused by an error that names the argument, changed with one warning that counts, or kept to the letter.
"""

from __future__ import annotations

import json
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from neuroling import align
from neuroling.cli.encode import read_samples
from neuroling.cli.extract import read_stimuli as read_stimuli_of_cli
from neuroling.core.stimuli import Stimuli
from neuroling.data.loaders import jsts_ja
from neuroling.data.loaders.ud_english_ewt import read_conllu
from neuroling.data.tables import read_stimuli
from neuroling.data.textgrid import read_intervals, write_intervals
from neuroling.features.extract import extract_text_features, extract_word_features
from neuroling.features.lexical.cooccurrence import cooccurrence
from neuroling.features.lexical.ngram import NGram, fit_ngram
from neuroling.features.lexical.static_vectors import load_vectors, static_vectors
from neuroling.features.lexical.tfidf import tfidf_svd
from neuroling.features.lexical.vector_files import WordVectors
from neuroling.features.sentence import embed_sentences
from neuroling.features.story import embed_words_in_context, log_frequency
from neuroling.features.surprisal import next_words, surprisal
from neuroling.features.transformer.encoder import Encoder, load_encoder
from neuroling.features.transformer.hidden_states import hidden_states
from neuroling.features.words.words import locate_words, split_words, words_from_lists
from neuroling.lm.corpora import Corpus, parse_corpus
from neuroling.lm.pretraining import tokenize
from neuroling.lm.sentence_vectors import RatedPairs
from neuroling.lm.tasks import Sentences, Tagged
from neuroling.lm.wordpiece import train_wordpiece
from neuroling.workflow import read_study

PLAIN = ["the cat saw the dog", "a dog ran", "the cat ran fast"]


class Tools:
    """What the entry points need besides text, made once."""

    def __init__(self) -> None:
        self.encoder: Encoder = load_encoder("minilm", device="cpu")
        self.ngram: NGram = fit_ngram(labelled(PLAIN))
        self.tokenizer = train_wordpiece(PLAIN * 3, size=80)
        self.vectors = WordVectors("v.vec", {"the": 0, "cat": 1, "café": 2, "a": 3}, np.eye(4, dtype=np.float32))


def labelled(texts: Sequence[object], **columns: Sequence[object]) -> Stimuli:
    return Stimuli.from_texts(texts, labels=[f"t{row}" for row in range(len(texts))], **columns)  # type: ignore[arg-type]


READ: dict[str, Callable[[Tools, list], object]] = {
    "extract, sentences": lambda tools, texts: extract_text_features(labelled(texts), tools.encoder, layers=0),
    "extract, words": lambda tools, texts: extract_word_features(split_words(labelled(texts)), tools.encoder, layers=0),
    "embed_sentences": lambda tools, texts: embed_sentences(labelled(texts), tools.encoder, layer=0),
    "embed_words_in_context": lambda tools, texts: embed_words_in_context(
        split_words(labelled(texts)), tools.encoder, layer=0
    ),
    "surprisal": lambda tools, texts: surprisal(split_words(labelled(texts)), tools.ngram),
    "next_words": lambda tools, texts: next_words(split_words(labelled(texts)), tools.ngram),
    "fit_ngram": lambda _, texts: fit_ngram(labelled(texts)),
    "static_vectors": lambda tools, texts: static_vectors(labelled(texts), tools.vectors, missing="nan"),
    "cooccurrence, corpus": lambda _, texts: cooccurrence(labelled(["cat"]), labelled(texts)),
    "tfidf_svd": lambda _, texts: tfidf_svd(
        labelled([*PLAIN, *texts]), train=["t0", "t1", "t2"], n_components=1, min_documents=1
    ),
    "Corpus": lambda _, texts: Corpus.of([texts]),
    "tokenize": lambda tools, texts: tokenize(Corpus.of([texts]), tools.tokenizer, max_length=2000),
    "train_wordpiece": lambda _, texts: train_wordpiece(texts, size=600, min_count=1),
    "Sentences": lambda _, texts: Sentences(tuple(texts), None, np.zeros(len(texts)), None),
    "Tagged": lambda _, texts: Tagged.of([[text] for text in texts], [["x"] for _ in texts], ["x", "y"]),
    "RatedPairs": lambda _, texts: RatedPairs(texts, ["x"] * len(texts), np.zeros(len(texts))),
}
"""Entry points that read texts."""


@pytest.fixture(scope="module")
def tools() -> Tools:
    return Tools()


def warnings_of(call: Callable[[], object]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(one.message) for one in caught]


REFUSED = {
    "1 no texts": ([], ValueError, "no stimuli|expected .*at least one|expected text|hold no text|expected some"),
    "2 empty": (["a cat", ""], ValueError, r"empty|missing|nothing visible"),
    "2 blanks": (["a cat", "  "], ValueError, r"empty|missing|nothing visible"),
    "8 right-to-left override": (["a cat", "a \u202ecat"], ValueError, r"direction of writing .*U\+202E"),
    "8 isolate": (["a cat", "\u2066a cat"], ValueError, r"direction of writing .*U\+2066"),
    "8 bell": (["a cat", "a\x07cat"], ValueError, r"control characters .*U\+0007"),
    "8 NUL": (["a cat", "a\x00cat"], ValueError, r"control characters .*U\+0000"),
    "8 escape": (["a cat", "a\x1b[31mcat"], ValueError, r"control characters .*U\+001B"),
    "9 lone surrogate": (["a cat", "a \ud83d"], ValueError, "lone surrogates"),
    "13 bytes": (["a cat", b"a dog"], TypeError, r"1 entries are not str, first .*'bytes'"),
    "14 number": (["a cat", 7], TypeError, r"1 entries are not str, first .*'int'"),
    "15 None": (["a cat", None], (TypeError, ValueError), r"not str, first .*'NoneType'|missing, first in row 1"),
    "22 a word of 100,000 letters": (["a cat", "x" * 100_000], ValueError, "more than 1000 characters"),
}  # fmt: skip
ALONE = [(row, entry) for row in REFUSED for entry in READ if (row, entry) != ("1 no texts", "tfidf_svd")]
"""All rows through all entry points, but for texts that stand beside others there."""


@pytest.mark.parametrize(("row", "entry"), ALONE)
def test_it_is_refused_with_a_sentence(tools: Tools, row: str, entry: str) -> None:
    texts, kind, message = REFUSED[row]
    with pytest.raises(kind, match=message):
        READ[entry](tools, texts)


@pytest.mark.parametrize("entry", READ)
def test_what_is_refused_is_named(tools: Tools, entry: str) -> None:
    """Rows 2, 8, 13: the label or the row of the culprit stands in the message."""
    for texts in (["a cat", "a\x07cat"], ["a cat", b"a dog"], ["a cat", " "]):
        with pytest.raises((ValueError, TypeError)) as caught:
            READ[entry](tools, texts)
        assert any(name in str(caught.value) for name in ("t1", "t4", "[1]", "row 1", "(1, ")), str(caught.value)


CHANGED = {
    "6 decomposed": ("a cafe\u0301", "1 texts were put into composed form"),
    "7 zero-width space": ("a c\u200bat", "1 texts held invisible characters"),
    "7 no-break space": ("a\u00a0cat", "1 texts held invisible characters or no-break spaces"),
    "7 byte order mark": ("\ufeffa cat", "1 texts held invisible characters"),
    "7 soft hyphen": ("a c\u00adat", "1 texts held invisible characters"),
}


@pytest.mark.parametrize("entry", READ)
@pytest.mark.parametrize("row", CHANGED)
def test_it_is_changed_with_one_warning_that_counts(tools: Tools, row: str, entry: str) -> None:
    text, message = CHANGED[row]
    found = warnings_of(lambda: READ[entry](tools, [text]))
    assert [message in one for one in found] == [True]


@pytest.mark.parametrize("row", CHANGED)
def test_what_was_changed_reads_as_if_it_had_been_typed_so(tools: Tools, row: str) -> None:
    text, message = CHANGED[row]
    plain = "a café" if row.startswith("6") else "a cat"
    with pytest.warns(UserWarning, match=message):
        corpus = Corpus.of([[text]])
    assert corpus.documents == ((plain,),)
    with pytest.warns(UserWarning, match=message):
        model = fit_ngram(labelled([text]))
    assert model.words == fit_ngram(labelled([plain])).words
    with pytest.warns(UserWarning, match=message):
        states = extract_text_features(labelled([text]), tools.encoder, layers=0)
    np.testing.assert_array_equal(
        states.values, extract_text_features(labelled([plain]), tools.encoder, layers=0).values
    )


KEPT = {
    "5 missing values": ["NA", "null", "nan", "None", "N/A", "NaN"],
    "10 quotes, ligatures, sharp s": ["“Naïve”", "ﬁne", "Straße", "don’t", "İstanbul"],
    "11 emoji": ["👩‍👩‍👧", "🇯🇵", "👍🏽", "ok"],
    "19 many pieces": ["antidisestablishmentarianism", "pneumonoultramicroscopic"],
    "23 script": ["<script>alert(1)</script>", "&amp;"],
    "24 path": ["../x", "/etc/passwd"],
    "25 spreadsheet": ["=1+1", "+1", "-1", "@x"],
}


@pytest.mark.filterwarnings("ignore:(stimuli|words). .*(unknown|split by):UserWarning")
@pytest.mark.parametrize("entry", READ)
@pytest.mark.parametrize("row", KEPT)
def test_it_is_read_as_it_is(tools: Tools, row: str, entry: str) -> None:
    READ[entry](tools, KEPT[row])


@pytest.mark.parametrize("row", KEPT)
def test_files_keep_it_to_the_letter(tmp_path: Path, row: str) -> None:
    words = KEPT[row]
    table = tmp_path / "words.csv"
    table.write_text("sample,text\n" + "".join(f"s{n},{word}\n" for n, word in enumerate(words)), encoding="utf-8")
    assert read_stimuli(table, label="sample").texts == words
    assert read_stimuli_of_cli(table).texts == words
    assert read_samples(table)["text"].tolist() == words
    assert [unit["text"] for unit in read_study(table, labels=["sample"], files=[])] == words
    assert parse_corpus("\n".join(words)).documents == (tuple(words),)
    times = np.arange(len(words), dtype=float)
    grid = labelled(words).table.assign(onset=times, offset=times + 1)
    write_intervals(tmp_path / "a.TextGrid", "words", grid)
    assert read_intervals(tmp_path / "a.TextGrid", "words")["text"].tolist() == words
    rows = [f"{n}\t{word}\t_\tX\t_\t_\t{n - 1}\tdep\t_\t_" for n, word in enumerate(words, start=1)]
    (tmp_path / "a.conllu").write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert [row[0] for row in read_conllu(tmp_path / "a.conllu")[0].rows] == words
    (tmp_path / "v.vec").write_text("".join(f"{word} 0.5 1.5\n" for word in words), encoding="utf-8")
    assert list(load_vectors(tmp_path / "v.vec").rows) == words


@pytest.mark.parametrize("row", KEPT)
def test_words_keep_their_places(tools: Tools, row: str) -> None:
    """Rows 10, 11, 19: one word a word, whatever lower case would do to its length."""
    words = split_words(labelled([" ".join(KEPT[row])]))
    assert words.texts == KEPT[row]
    model = fit_ngram(labelled([" ".join(KEPT[row])] * 2))
    assert surprisal(words, model).attrs["n_unknown"] == 0


# --- rows with a place of their own -----------------------------------------------------------------------------------


def test_row_2_a_cell_that_holds_blanks_is_no_line_without_cells(tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    path.write_text("text\na cat\n  \na dog\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"1 entries are empty or blank, .*rows \[1\], from 0"):
        read_stimuli(path)


def test_row_2_sentences_with_nothing_visible_are_refused() -> None:
    for call in (
        lambda: fit_ngram(labelled(["a", "\u200b"])),
        lambda: parse_corpus("a\n\u200b\n"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(ValueError, match=r"nothing visible|empty of 2 sentences"):
                call()


def test_row_3_labels_that_stand_twice_are_listed() -> None:
    texts = ["a", "b", "a", "b", "c", "c", "d", "d", "e", "e", "f", "f"]
    with pytest.raises(ValueError, match=r"6 sample labels occur more than once, first \['a', 'b', 'c', 'd', 'e'\]"):
        Stimuli.from_texts(texts)


@pytest.mark.parametrize("entry", ["extract, sentences", "embed_sentences", "static_vectors"])
def test_row_4_texts_that_stand_twice_are_warned_of(tools: Tools, entry: str) -> None:
    (message,) = warnings_of(lambda: READ[entry](tools, ["a cat", "a cat", "the dog"]))
    assert "2 rows share their text with another (first labels ['t0', 't1'])" in message
    grouped = labelled(["a cat", "a cat"], group=["a cat", "a cat"])
    assert warnings_of(lambda: static_vectors(grouped, tools.vectors)) == []
    story = labelled(["a", "cat", "a", "cat"], onset=[0.0, 1.0, 2.0, 3.0])
    assert warnings_of(lambda: static_vectors(story, tools.vectors)) == []


def test_row_6_a_word_is_found_in_either_form(tools: Tools, tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        word = unicodedata.normalize(form, "café")
        for listed in ("NFC", "NFD"):
            entry = unicodedata.normalize(listed, "café")
            assert log_frequency(labelled([word]), {entry: 100.0}).item() == 2
            (tmp_path / "v.vec").write_text(f"{entry} 1.5 2.5\nx 0.5 0.5\n", encoding="utf-8")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = static_vectors(labelled([word]), load_vectors(tmp_path / "v.vec"))
            np.testing.assert_array_equal(found.values, [[1.5, 2.5]])


@pytest.mark.parametrize("entry", [name for name in READ if name in ("fit_ngram", "cooccurrence, corpus", "Corpus")])
def test_row_8_a_corpus_can_be_cleaned(entry: str) -> None:
    texts = ["a cat", "the\x07 ship\x0csank", "\u202edogs\u202c ran\x00"]
    clean = ["a cat", "the ship sank", "dogs ran"]
    with pytest.raises(ValueError, match="clean=True"):
        READ[entry](None, texts)  # type: ignore[arg-type]
    found = warnings_of(lambda: fit_ngram(labelled(texts), clean=True))
    assert ["2 texts held control characters or direction marks, which were removed" in one for one in found] == [True]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert Corpus.of([texts], clean=True).documents == (tuple(clean),)
        assert fit_ngram(labelled(texts), clean=True).words == fit_ngram(labelled(clean)).words
        counts = cooccurrence(labelled(["ship"]), labelled(texts), clean=True)
    assert counts.values.tolist() == cooccurrence(labelled(["ship"]), labelled(clean)).values.tolist()


def test_row_8_a_file_can_be_cleaned() -> None:
    with pytest.warns(UserWarning, match="which were") as caught:
        found = parse_corpus("a\x07 cat\n\x01\n\nThe dog.\n", clean=True)
    assert found.documents == (("a cat",), ("The dog.",))
    assert "2 texts held control characters" in str(caught[0].message)
    assert "nothing was left of 1 sentences (first [1]), which were dropped" in str(caught[1].message)
    assert {one.filename for one in caught} == {__file__}


@pytest.mark.parametrize(
    ("name", "read", "message"),
    [
        ("a.csv", lambda path: read_stimuli(path), "byte 0xe9 at offset 8"),
        ("a.csv", lambda path: read_stimuli_of_cli(path), "byte 8 is no UTF-8"),
        ("a.csv", lambda path: read_samples(path), "position 8"),
        ("a.csv", lambda path: read_study(path, labels=["text"], files=[]), "byte 8 is no UTF-8"),
        ("a.conllu", lambda path: read_conllu(path), "byte 0xe9 at offset 8"),
        ("a.vec", lambda path: load_vectors(path), r"line 2 is no UTF-8 \(byte 3 of the line"),
        ("a.TextGrid", lambda path: read_intervals(path, "text"), "byte 8 is no UTF-8"),
        (jsts_ja.FILES["valid"], lambda path: jsts_ja.load(path.parent), "byte 0xe9 at offset 8"),
    ],
)
def test_row_12_a_wrong_encoding_is_refused_with_its_byte(
    tmp_path: Path, name: str, read: Callable[[Path], object], message: str
) -> None:
    content = "xmin\ncafé 1\n" if name != "a.vec" else "xmin 1\ncafé 1\n"
    (tmp_path / name).write_bytes(content.replace("xmin", "text" if name.endswith("csv") else "xmin").encode("latin-1"))
    with pytest.raises(ValueError, match=message):
        read(tmp_path / name)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Stimuli.from_texts("a cat"),
        lambda: Corpus.of(["a cat"]),
        lambda: train_wordpiece("a cat", size=20),
        lambda: words_from_lists(["a cat"]),
        lambda: parse_corpus(b"a cat"),  # type: ignore[arg-type]
        lambda: fit_ngram(["a cat"]),  # type: ignore[arg-type]
        lambda: split_words(["a cat"]),  # type: ignore[arg-type]
        lambda: locate_words(["a cat"], ["cat"]),  # type: ignore[arg-type]
        lambda: locate_words(labelled(["a cat"]), [b"cat"]),  # type: ignore[list-item]
        lambda: words_from_lists([["a", 1]]),  # type: ignore[list-item]
        lambda: surprisal(["a"], fit_ngram(labelled(PLAIN))),  # type: ignore[arg-type]
        lambda: surprisal(labelled(["a"]), None),  # type: ignore[arg-type]
        lambda: static_vectors(["a"], WordVectors("v", {}, np.empty((0, 2), dtype=np.float32))),  # type: ignore[arg-type]
        lambda: cooccurrence(labelled(["a"]), ["a cat"]),  # type: ignore[arg-type]
    ],
)
def test_rows_13_to_15_what_is_no_text_is_refused_by_its_type(call: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=r": got |: \d+ entries are not str"):
        call()


def test_rows_16_and_17_a_word_is_asked_for_by_its_place() -> None:
    sentence = labelled(["a cat and a dog"])
    with pytest.raises(ValueError, match=r"'ship' is not a word of 'a cat and a dog' \(label 't0'\)"):
        locate_words(sentence, ["ship"])
    with pytest.raises(ValueError, match=r"'a' stands 2 times in 'a cat and a dog' \(label 't0'\); say which with occ"):
        locate_words(sentence, ["a"])


def test_row_18_labels_that_differ_in_case_or_blanks_are_shown_in_pairs() -> None:
    features, recording = (labelled(PLAIN).features(np.eye(3)) for _ in range(2))
    recording = recording.assign_coords(sample=["T0", "t1 ", "t2"]).rename(feature="channel")
    with pytest.raises(ValueError, match=r"2 differ only in case, .*\[\('t0', 'T0'\), \('t1', 't1 '\)\]"):
        align(features, recording)


def test_row_20_ids_of_another_tokenizer_are_refused(tools: Tools, tmp_path: Path) -> None:
    for ids, message in (
        ([[101, 40000, 102]], "1 of 1 hold ids that are none of the 30522 tokens of minilm"),
        ([[101, 102], [-1]], r"first rows \[1\]"),
        ([[101] * 600], r"1 of 1 have no token or more than the 512 .*lengths \[600\]"),
        ([[]], r"1 of 1 have no token"),
    ):
        with pytest.raises(ValueError, match=message):
            list(hidden_states(tools.encoder, ids, layers=[0]))
    with pytest.raises(ValueError, match="word: got 99; expected a number from 0 to"):
        tools.ngram.probability(99, ())


def test_row_20_a_model_is_not_trained_with_the_tokenizer_of_another(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    from neuroling.lm.finetuning import finetune
    from neuroling.lm.sentence_vectors import cosines_of_pairs
    from neuroling.lm.training import Recipe

    config = BertConfig(vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    BertModel(config).save_pretrained(tmp_path)
    train_wordpiece(PLAIN * 3, size=80).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="tokens and the model 8; they do not belong together"):
        finetune(tmp_path, Sentences(("a", "b"), None, np.array([0, 1]), ("x", "y")), Recipe(1, 2), device="cpu")
    with pytest.raises(ValueError, match="tokens and the model 8; they do not belong together"):
        cosines_of_pairs(tmp_path, ["a"], ["b"], device="cpu")


def test_row_21_what_is_too_long_is_refused_unless_it_may_be_cut(tools: Tools) -> None:
    long = ["a cat " * 600]
    with pytest.raises(ValueError, match=r"1 of 1 texts are longer than the 512 tokens .* long='truncate'"):
        extract_text_features(labelled(long), tools.encoder, layers=0)
    with pytest.warns(UserWarning, match="1 of 1 texts are longer .* and were cut"):
        extract_text_features(labelled(long), tools.encoder, layers=0, long="truncate")
    with pytest.raises(ValueError, match="1 sentences have more than 61 tokens"):
        tokenize(Corpus.of([long]), tools.tokenizer, max_length=64)


def test_row_22_text_without_blanks_is_no_long_word(tools: Tools) -> None:
    japanese = "猫が魚を見た。" * 200
    assert Corpus.of([[japanese]]).sentences == [japanese]
    assert len(fit_ngram(labelled([japanese]), segmenter=list).words) == 3 + len(set(japanese))


def test_row_25_nothing_is_put_in_front_of_a_formula(tmp_path: Path) -> None:
    entry = {"sentence_pair_id": "0", "sentence1": "=1+1", "sentence2": "@x", "label": 1.0}
    (tmp_path / jsts_ja.FILES["valid"]).write_text(json.dumps(entry) + "\n", encoding="utf-8")
    assert jsts_ja.load(tmp_path).first.texts == ["=1+1"]


def test_row_2_samples_without_a_label_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    path.write_text("sample\na\n  \nb\n\n", encoding="utf-8")
    with pytest.raises(ValueError, match="1 samples have no label, first in row 2"):
        read_samples(path)
    path.write_text("sample\na\nb\n\n", encoding="utf-8")
    assert read_samples(path)["sample"].tolist() == ["a", "b"]
