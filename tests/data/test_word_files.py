from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from neuroling.core.notices import CodedWarning
from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.textgrid import write_intervals
from neuroling.data.word_files import read_words


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_events_of_bids_are_named_by_their_run(tmp_path):
    table = "onset\tduration\tvalue\n0.5\t0.2\tonce\n0.9\t0.3\tupon\n"
    paths = [write(tmp_path / f"sub-01_ses-2_task-s_run-{run}_events.tsv", table) for run in (1, 2)]
    words = read_words(paths, text_column="value")
    assert words.labels.tolist() == [f"ses-2_task-s_run-{run}/{i}" for run in (1, 2) for i in (0, 1)]
    assert words.table["offset"].tolist() == pytest.approx([0.7, 1.2, 0.7, 1.2])


def test_a_table_of_any_name_is_one_run_without_a_name(tmp_path):
    words = read_words(write(tmp_path / "w.csv", "word,onset,pos\nNA,0.1,x\nnull,0.2,y\n"))
    assert words.texts == ["NA", "null"]  # words, not missing cells
    assert "group" not in words.table
    assert words.labels.tolist() == [0, 1]
    assert words.table["pos"].tolist() == ["x", "y"]


def test_a_column_names_the_run_of_each_row(tmp_path):
    words = read_words(write(tmp_path / "w.csv", "word,onset,story\na,1,x\nb,2,x\nc,0,y\n"), run_column="story")
    assert words.table["group"].tolist() == ["x", "x", "y"]
    assert words.labels.tolist() == ["x/0", "x/1", "y/0"]


def test_a_textgrid_gives_its_words_and_no_silence(tmp_path):
    intervals = pd.DataFrame({"onset": [0.0, 0.4, 0.9], "offset": [0.4, 0.9, 1.0], "text": ["", "once", "sp"]})
    write_intervals(tmp_path / "a.TextGrid", "words", intervals)
    words = read_words({"run-1": tmp_path / "a.TextGrid"})
    assert words.table[["text", "onset", "offset", "group"]].to_numpy().tolist() == [["once", 0.4, 0.9, "run-1"]]


def test_a_textgrid_of_silence_alone_is_refused(tmp_path):
    write_intervals(tmp_path / "a.TextGrid", "words", pd.DataFrame({"onset": [0.0], "offset": [1.0], "text": [""]}))
    with pytest.raises(CorruptData, match="no word"):
        read_words(tmp_path / "a.TextGrid")


def test_rows_without_a_word_are_left_out_with_a_warning(tmp_path):
    path = write(tmp_path / "e.tsv", "onset\tword\n0.1\tonce\n0.2\tn/a\n0.3\t\n0.4\tupon\n")
    with pytest.warns(CodedWarning, match=r"2 of 4 rows have no word .*line 3.*rows-without-word"):
        assert read_words(path).texts == ["once", "upon"]


def test_a_duration_that_is_missing_leaves_the_offset_out(tmp_path):
    words = read_words(write(tmp_path / "e.tsv", "onset\tduration\tword\n0.1\tn/a\tonce\n"))
    assert "offset" not in words.table


@pytest.mark.parametrize(
    ("text", "options", "error", "message"),
    [
        ("onset,token\n1,a\n", {}, ValueError, "say which one holds the words, such as text_column='token'"),
        ("onset,text,word\n1,a,b\n", {}, ValueError, "say which one holds the words"),
        ("onset,word\n2,a\n1,b\n", {}, ValueError, "the onset of 'b' is 1 s, before that of the word above"),
        ("onset,word\nsoon,a\n", {}, CorruptData, "'soon' in line 2"),
        ("time,word\n1,a\n", {}, CorruptData, "onset"),
        ("onset,word\n1,a\n", {"run_column": "run"}, CorruptData, "run"),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path, text, options, error, message):
    with pytest.raises(error, match=message):
        read_words(write(tmp_path / "w.csv", text), **options)


def test_files_without_the_name_of_a_run_need_a_mapping(tmp_path):
    paths = [write(tmp_path / f"{name}.csv", "onset,word\n1,a\n") for name in "ab"]
    with pytest.raises(ValueError, match="do not name their run"):
        read_words(paths)
    assert read_words(dict(zip("ab", paths, strict=True))).labels.tolist() == ["a/0", "b/0"]


def test_one_run_given_twice_is_refused(tmp_path):
    path = write(tmp_path / "sub-1_task-x_events.tsv", "onset\tword\n1\ta\n")
    with pytest.raises(ValueError, match="2 files are 1 runs"):
        read_words([path, path])


def test_no_file_and_an_absent_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match="got none"):
        read_words([])
    with pytest.raises(DataNotFound):
        read_words(tmp_path / "w.csv")
