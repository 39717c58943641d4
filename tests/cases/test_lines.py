"""Lines were cut at U+2028, NEL, form feeds and the like: sentences fell in two, valid JSON lines were refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from neuroling.cli.encode import read_samples
from neuroling.cli.extract import read_stimuli as read_stimuli_of_cli
from neuroling.data.loaders import jsts_ja
from neuroling.data.tables import read_numbers, read_stimuli
from neuroling.lm.corpora import parse_corpus
from neuroling.lm.tasks import GLUE, parse_glue, parse_jsts
from neuroling.workflow import read_study

WITHIN_A_LINE = ["\u2028", "\u2029", "\x85", "\x0b", "\x0c"]
LINE_ENDS = ["\n", "\r\n", "\r"]


def test_two_sentences_stay_two_sentences() -> None:
    found = parse_corpus("A cat\u2028sat.\nOne\x0cTwo.\n").documents
    assert found == (("A cat\u2028sat.", "One\x0cTwo."),)


def test_a_json_line_may_hold_a_line_separator() -> None:
    found = parse_jsts('{"sentence1": "a\u2028b", "sentence2": "b", "label": 2.5}\n')
    assert (found.labels.tolist(), found.first) == ([2.5], ("a\u2028b",))


@pytest.mark.parametrize("end", LINE_ENDS, ids=repr)
@pytest.mark.parametrize("mark", WITHIN_A_LINE, ids=repr)
def test_a_corpus_is_cut_at_line_ends_alone(mark: str, end: str) -> None:
    text = end.join(["One" + mark + "more.", "Two.", "", "Three."]) + end
    assert parse_corpus(text).documents == (("One" + mark + "more.", "Two."), ("Three.",))


@pytest.mark.parametrize("end", LINE_ENDS, ids=repr)
@pytest.mark.parametrize("mark", WITHIN_A_LINE, ids=repr)
def test_a_table_is_cut_at_line_ends_alone(tmp_path: Path, mark: str, end: str) -> None:
    path = tmp_path / "words.csv"
    path.write_bytes(end.join(["sample,text", f"s1,a{mark}b", "s2,c"]).encode() + end.encode())
    for read in (lambda: read_stimuli(path, label="sample"), lambda: read_stimuli_of_cli(path)):
        assert read().texts == [f"a{mark}b", "c"]
    assert read_samples(path)["text"].tolist() == [f"a{mark}b", "c"]
    assert [row["text"] for row in read_study(path, labels=["sample"], files=[])] == [f"a{mark}b", "c"]
    task = parse_glue(end.join(["sentence\tlabel", f"a{mark}b\t1", "c\t0"]), GLUE["sst-2"])
    assert task.first == (f"a{mark}b", "c")


@pytest.mark.parametrize("end", LINE_ENDS, ids=repr)
def test_lines_of_numbers_end_in_any_of_the_three_ways(tmp_path: Path, end: str) -> None:
    path = tmp_path / "numbers.txt"
    path.write_bytes(end.join(["1 2", "3 4"]).encode())
    np.testing.assert_array_equal(read_numbers(path, (2, 2)), [[1, 2], [3, 4]])


@pytest.mark.parametrize("mark", WITHIN_A_LINE[:3], ids=repr)
def test_pairs_of_captions_may_hold_line_separators(tmp_path: Path, mark: str) -> None:
    entry = {"sentence_pair_id": "0", "sentence1": f"猫{mark}犬", "sentence2": "馬", "label": 1.0}
    text = json.dumps(entry, ensure_ascii=False) + "\r\n"
    (tmp_path / jsts_ja.FILES["valid"]).write_text(text, encoding="utf-8", newline="")
    assert jsts_ja.load(tmp_path).first.texts == [f"猫{mark}犬"]


def test_a_packed_table_is_cut_in_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "words.csv.gz"
    path.write_bytes(gzip.compress("text\r\na\u2028b\r\n".encode()))
    assert read_stimuli(path).texts == ["a\u2028b"]
