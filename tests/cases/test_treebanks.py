"""Treebanks: sentences were glued from syntactic words, and blocks of comments refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from neuroling.data.errors import CorruptData
from neuroling.data.loaders.ud_english_ewt import join, read_conllu, read_treebank
from neuroling.features.extract import extract_word_features
from neuroling.features.lexical.ngram import fit_ngram
from neuroling.features.surprisal import surprisal
from neuroling.features.transformer.encoder import Encoder, load_encoder
from neuroling.features.words.alignment import running_texts
from neuroling.features.words.words import split_words

FILES = Path(__file__).parent / "files"


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    return load_encoder("minilm", device="cpu")


def word(number: int, form: str, misc: str = "_") -> str:
    return f"{number}\t{form}\t_\tX\t_\t_\t{0 if number == 1 else 1}\t{'root' if number == 1 else 'dep'}\t_\t{misc}"


def token(span: str, form: str, misc: str = "_") -> str:
    return f"{span}\t{form}" + "\t_" * 7 + f"\t{misc}"


def save(path: Path, *blocks: list[str]) -> Path:
    path.write_text("\n\n".join("\n".join(block) for block in blocks) + "\n\n", encoding="utf-8")
    return path


def test_a_sentence_reads_as_it_is_written() -> None:
    bank = read_treebank(FILES / "mwt_french.conllu", "fr")
    assert bank.sentences.table["text"].tolist() == ["Il parle des chats au roi."]
    assert bank.words.texts == ["Il", "parle", "de", "les", "chats", "à", "le", "roi", "."]
    assert bank.words.table["surface"].tolist() == ["Il", "parle", "des", "", "chats", "au", "", "roi", "."]
    assert (bank.heads.values.tolist(), bank.heads.attrs["n_multiword_tokens"]) == ([2, 0, 5, 5, 2, 8, 8, 2, 2], 2)


def test_words_are_read_where_their_token_is_written(minilm: Encoder) -> None:
    words = read_treebank(FILES / "mwt_french.conllu", "fr").words
    (running,) = running_texts(words)
    assert running.text == "Il parle des chats au roi."
    written = [running.text[a:b] for a, b in zip(running.starts, running.stops, strict=True)]
    assert written == ["Il", "parle", "des", "des", "chats", "au", "au", "roi", "."]
    with pytest.raises(ValueError, match=r"covers \['des', 'des'\].*shared='both'"):
        extract_word_features(words, minilm, layers=1)
    states = extract_word_features(words, minilm, layers=1, shared="both").values[:, 0]
    plain = extract_word_features(
        split_words(read_treebank(FILES / "mwt_french.conllu", "fr").sentences), minilm, layers=1
    )
    np.testing.assert_allclose(states[[0, 1, 2, 4, 5]], plain.values[:5, 0], atol=1e-6)
    np.testing.assert_array_equal(states[2], states[3])


def test_words_of_a_fused_token_have_no_ngram_surprisal_of_their_own() -> None:
    bank = read_treebank(FILES / "mwt_french.conllu", "fr")
    model = fit_ngram(bank.sentences)
    with pytest.raises(ValueError, match=r"words: 2 share their place .*'fr/0001/04', 'fr/0001/07'.*split_words"):
        surprisal(bank.words, model)


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([token("1-2", "don't"), word(1, "do"), word(2, "n't"), word(3, "go")], "don't go"),
        ([token("1-2", "Zum", "SpaceAfter=No"), word(1, "Zu"), word(2, "dem"), word(3, "Ziel")], "ZumZiel"),
        ([word(1, "Gib"), token("2-4", "dámelo"), word(2, "da"), word(3, "me"), word(4, "lo")], "Gib dámelo"),
        (
            [token("1-2", "del"), word(1, "de"), word(2, "el"), token("3-4", "al"), word(3, "a"), word(4, "el")],
            "del al",
        ),
        ([word(1, "go"), "1.1\tthere" + "\t_" * 8, word(2, "on", "SpaceAfter=No"), word(3, "!")], "go on!"),
        ([word(1, "10 000"), word(2, "euros")], "10 000 euros"),
    ],
)
def test_tokens_of_several_words_are_read_as_they_are_written(tmp_path: Path, lines: list[str], text: str) -> None:
    bank = read_treebank(save(tmp_path / "a.conllu", [f"# text = {text}", *lines]), "x")
    assert bank.sentences.texts == [text]
    assert running_texts(bank.words)[0].text == text


def test_words_that_add_up_to_their_token_keep_a_place_each(tmp_path: Path) -> None:
    lines = [token("1-2", "don't"), word(1, "do"), word(2, "n't")]
    bank = read_treebank(save(tmp_path / "a.conllu", lines), "en")
    assert "surface" not in bank.words.table
    (running,) = running_texts(bank.words)
    assert (running.starts.tolist(), running.stops.tolist()) == ([0, 2], [2, 5])


def test_banks_with_and_without_fused_tokens_are_put_together(tmp_path: Path) -> None:
    plain = read_treebank(save(tmp_path / "a.conllu", [word(1, "go")]), "en")
    both = join(plain, read_treebank(FILES / "mwt_french.conllu", "fr"))
    assert [text.text for text in running_texts(both.words)] == ["go", "Il parle des chats au roi."]


def test_a_block_of_comments_is_no_sentence() -> None:
    (sentence,) = read_conllu(FILES / "comment_block.conllu")
    assert (sentence.sent_id, sentence.text) == ("a", "Hi")


@pytest.mark.parametrize("comments", [["# sent_id = b"], ["# text = Hi there."], ["# newdoc", "# sent_id = b"]])
def test_a_sentence_that_lost_its_words_is_refused(tmp_path: Path, comments: list[str]) -> None:
    with pytest.raises(CorruptData, match="has no word"):
        read_conllu(save(tmp_path / "a.conllu", comments, [word(1, "go")]))


def test_a_number_that_stands_in_for_a_label_is_no_double_of_one(tmp_path: Path) -> None:
    path = save(tmp_path / "a.conllu", ["# sent_id = 2", word(1, "a")], [word(1, "b")], ["#sent_id=c", word(1, "c")])
    assert [one.sent_id for one in read_conllu(path)] == ["2", "2", "c"]
    twice = save(tmp_path / "b.conllu", ["# sent_id = 2", word(1, "a")], ["# sent_id = 2", word(1, "b")])
    with pytest.raises(CorruptData, match="sent_id '2' more than once"):
        read_conllu(twice)


def test_a_comment_that_says_otherwise_is_warned_of(tmp_path: Path) -> None:
    path = save(tmp_path / "a.conllu", ["# sent_id = s", "# text = Go there", word(1, "Go"), word(2, "on")])
    with pytest.warns(UserWarning, match=r"1 of 1 sentences read otherwise .*'s': 'Go there', words 'Go on'"):
        assert read_treebank(path, "x").sentences.texts == ["Go on"]


@pytest.mark.parametrize("stated", ["cafe\u0301 noir", "caf\u00e9\u00a0noir", "caf\u00e9  noir"], ids=ascii)
def test_a_comment_in_another_unicode_form_says_the_same(tmp_path: Path, stated: str) -> None:
    path = save(tmp_path / "a.conllu", [f"# text = {stated}", word(1, "caf\u00e9"), word(2, "noir")])
    assert read_treebank(path, "x").sentences.texts == ["caf\u00e9 noir"]  # warnings are errors


@pytest.mark.parametrize("mark", ["\u2028", "\x85", "\x0c"], ids=repr)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
def test_forms_and_comments_may_hold_what_is_no_line_end(tmp_path: Path, mark: str, end: str) -> None:
    lines = [f"# text = a{mark}b", word(1, f"a{mark}b"), "", word(1, "c"), ""]
    (tmp_path / "a.conllu").write_bytes(end.join(lines).encode())
    assert [one.rows[0][0] for one in read_conllu(tmp_path / "a.conllu")] == [f"a{mark}b", "c"]


def test_a_packed_treebank_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.conllu.gz").write_bytes(gzip.compress(word(1, "go").encode()))
    assert read_conllu(tmp_path / "a.conllu.gz")[0].text == "go"


def test_words_that_lost_what_is_written_for_them_are_refused() -> None:
    words = read_treebank(FILES / "mwt_french.conllu", "fr").words
    kept = words.subset([label for label in words.labels if label != "fr/0001/03"])
    with pytest.raises(ValueError, match=r"nothing is written for \['fr/0001/04'\].*Keep the words of a fused token"):
        running_texts(kept)
    with pytest.raises(ValueError, match=r"nothing is written for \['fr/0001/04'\]"):
        running_texts(words.subset(words.labels[3:5].tolist()))
