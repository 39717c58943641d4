from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.fetch import locate
from neuroling.data.loaders.ud_english_ewt import FILES, join, load, read_conllu, twin, write_twin


def line(identity: str, form: str, head: str, misc: str = "_") -> str:
    return f"{identity}\t{form}\t{form}\tX\tX\t_\t{head}\tdep\t_\t{misc}"


def conllu(path: Path, *sentences: list[str]) -> Path:
    path.write_text("\n\n".join("\n".join(lines) for lines in sentences) + "\n\n", encoding="utf-8")
    return path


def test_the_twin_is_marked_and_labels_agree() -> None:
    bank = twin(10, 0)
    assert bank.heads.attrs["synthetic"] == 1
    assert bank.heads.sample.values.tolist() == bank.words.labels.tolist()
    assert bank.heads.group.values[0] == bank.sentences.labels[0] == "dev/0001"


def test_words_and_gaps_make_up_the_sentence() -> None:
    bank = twin(10, 0)
    rows = bank.words.table.groupby("group", sort=False)
    assert ["".join(part["before"] + part["text"]) for _, part in rows] == bank.sentences.texts


def test_the_grammar_of_the_twin_is_in_its_trees() -> None:
    table = twin(200, 1).words.table
    assert set(table.loc[table["deprel"] == "root", "upos"]) == {"VERB"}
    assert set(table.loc[table["deprel"] == "det", "upos"]) == {"DET"}


def test_equal_seeds_agree_and_others_do_not() -> None:
    assert twin(5, 3).sentences.texts == twin(5, 3).sentences.texts != twin(5, 4).sentences.texts


def test_multiword_tokens_become_words_side_by_side(tmp_path: Path) -> None:
    lines = [line("1", "we", "2"), "2-3\tdon't" + "\t_" * 8, line("2", "do", "0"), line("3", "n't", "2"),
             line("4", "know", "2")]  # fmt: skip
    (sentence,) = read_conllu(conllu(tmp_path / "x.conllu", lines))
    assert sentence.n_multiword == 1
    assert [row[4] + row[0] for row in sentence.rows] == ["we", " do", "n't", " know"]


def test_a_multiword_token_without_a_space_behind_it(tmp_path: Path) -> None:
    lines = ["1-2\tdon't" + "\t_" * 7 + "\tSpaceAfter=No", line("1", "do", "0"), line("2", "n't", "1"),
             line("3", "!", "1")]  # fmt: skip
    (sentence,) = read_conllu(conllu(tmp_path / "x.conllu", lines))
    assert [row[4] for row in sentence.rows] == ["", "", ""]


def test_empty_nodes_are_counted_and_have_no_place_in_the_tree(tmp_path: Path) -> None:
    empty = "1.1\tthere" + "\t_" * 8
    (sentence,) = read_conllu(conllu(tmp_path / "x.conllu", [line("1", "go", "0"), empty, line("2", "on", "1")]))
    assert (sentence.n_empty, sentence.heads) == (1, [0, 1])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([line("1", "a", "2"), line("2", "b", "1"), line("3", "c", "0")], r"words \[1, 2\] depend on one another"),
        ([line("1", "a", "1"), line("2", "b", "0")], r"words \[1\] depend on one another"),
        ([line("1", "a", "0"), line("2", "b", "0")], "has 2 roots"),
        ([line("1", "a", "2"), line("2", "b", "3"), line("3", "c", "1")], "has 0 roots"),
        ([line("1", "a", "0"), line("2", "b", "7")], "head 7 of 2 words"),
        ([line("1", "a", "x")], "head 'x'"),
        ([line("2", "a", "0")], "expected word 1"),
        ([line("1", "", "0")], "with form ''"),
        (["1\ta\t0"], "has 3 columns"),
        (["1-2\tab" + "\t_" * 8, line("1", "a", "0")], "reaches to word 2"),
        (["2-3\tab" + "\t_" * 8, line("1", "a", "0")], "begins at word 1"),
        (["# sent_id = alone"], "'alone' has no word"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_tree_is_refused_with_its_sentence(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(CorruptData, match=message):
        read_conllu(conllu(tmp_path / "x.conllu", lines))


def test_a_label_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    lines = ["# sent_id = a", line("1", "a", "0")]
    with pytest.raises(CorruptData, match="'a' more than once"):
        read_conllu(conllu(tmp_path / "x.conllu", lines, lines))


def test_an_empty_file_and_one_that_is_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(CorruptData, match="no sentence"):
        read_conllu(tmp_path / "empty")
    with pytest.raises(CorruptData, match="byte 0"):
        read_conllu(tmp_path / "bytes")


def test_several_blank_lines_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    text = f"\r\n\r\n{line('1', 'a', '0')}\r\n\r\n\r\n{line('1', 'b', '0')}"
    (tmp_path / "x").write_bytes(text.encode())
    assert [sentence.rows[0][0] for sentence in read_conllu(tmp_path / "x")] == ["a", "b"]


def test_a_part_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="split: got 'train'"):
        load(tmp_path, "train")  # type: ignore[arg-type]
    with pytest.raises(DataNotFound, match="dev part"):
        load(tmp_path)


def test_the_twin_has_both_parts(tmp_path: Path) -> None:
    write_twin(tmp_path, 0, n_sentences=3)
    assert [len(load(tmp_path, split).sentences) for split in FILES] == [3, 3]  # type: ignore[arg-type]


def test_parts_are_put_together_and_long_sentences_left_out_whole() -> None:
    parts = [twin(20, 0, split) for split in FILES]  # type: ignore[arg-type]
    both, short = join(*parts), join(*parts, longest=8)
    assert len(both.sentences) == 40
    assert len(short.sentences) + short.heads.attrs["n_left_out"] == 40
    assert short.heads.sample.values.tolist() == short.words.labels.tolist()
    assert short.words.table.groupby("group").size().max() <= 8
    with pytest.raises(ValueError, match="longest: got 2"):
        join(*parts, longest=2)


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize(("split", "n_sentences", "n_words"), [("dev", 2001, 25147), ("test", 2077, 25094)])
def test_the_real_files_have_the_published_size(split: str, n_sentences: int, n_words: int) -> None:
    try:
        folder = locate("ud_english_ewt")
    except DataNotFound as error:
        pytest.skip(str(error))
    bank = load(folder, split)  # type: ignore[arg-type]
    assert (len(bank.sentences), len(bank.words)) == (n_sentences, n_words)
    assert int(np.asarray(bank.heads == 0).sum()) == n_sentences
