from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from neuroling.data import tables
from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.tables import read_numbers, read_stimuli, read_table


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_words_that_look_like_missing_values_stay_words(tmp_path: Path) -> None:
    words = ["NA", "null", "None", "nan", "N/A", "true", "1"]
    stimuli = read_stimuli(write(tmp_path / "words.csv", "text\n" + "\n".join(words)))
    assert stimuli.texts == words


def test_columns_of_stimuli_are_kept_and_times_are_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "words.tsv", "id\ttext\tonset\tcondition\na\tdog\t0.5\tanimal\nb\tsaw\t1\ttool\n")
    stimuli = read_stimuli(path, label="id")
    assert list(stimuli.labels) == ["a", "b"]
    assert stimuli.table["onset"].tolist() == [0.5, 1.0]
    assert stimuli.table["condition"].tolist() == ["animal", "tool"]


def test_a_story_may_stand_in_one_cell(tmp_path: Path) -> None:
    path = tmp_path / "story.csv"
    path.write_text(f'label,text\na,"{"the cat, and " * 20_000}"\n')
    assert len(read_stimuli(path, label="label").texts[0]) == 13 * 20_000


def test_a_packed_table_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "words.csv.gz", gzip.compress("text\nété\n".encode("utf-8-sig")))
    assert read_stimuli(path).texts == ["été"]


def test_numbers_are_read_with_their_shape(tmp_path: Path) -> None:
    assert read_numbers(write(tmp_path / "n.txt", "1 2\n3 4\n"), (None, 2)).tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("latin.csv", "text\ncaf\xe9\n".encode("latin-1"), r"byte 0xe9 at offset 8 is not UTF-8"),
        ("nul.csv", b"text\na\0b\n", r"NUL character at position 6"),
        ("empty.csv", b"", r"no table can be read"),
        ("other.csv", b"word\ndog\n", r"columns \['word'\], so \['text'\] are missing"),
        ("short.csv", b"text,onset\ndog,1\ncat\n", r"1 cells in line 3; expected 2"),
        ("blank.csv", b"text,onset\ndog,1\n\ncat,2\n", r"line 3 is blank; expected 2"),
        ("long.csv", b"text,onset\ndog,1\ncat,2,3\n", r"no table can be read"),
        ("word.csv", b"text,onset\ndog,soon\n", r"'onset' are not finite numbers, the first is 'soon' in line 2"),
        ("hole.csv", b"text,onset\ndog,\n", r"the first is '' in line 2"),
        ("inf.csv", b"text,onset\ndog,inf\n", r"the first is 'inf'"),
        ("cut.csv.gz", gzip.compress(b"text\n" + b"dog\n" * 999, mtime=0)[:-9], r"\d+ bytes that do not unpack"),
        ("page.csv.gz", b"<html>", r"6 bytes that do not unpack"),
    ],
)
def test_a_bad_table_is_refused_with_a_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    with pytest.raises(CorruptData, match=sentence) as caught:
        read_stimuli(write(tmp_path / name, content))
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("text\n", "no stimuli"), ("text\ndog\ndog\n", "occur more than once"), ('text\n" "\n', "empty or blank")],
)
def test_bad_stimuli_name_the_file(tmp_path: Path, content: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        read_stimuli(write(tmp_path / "words.csv", content))
    assert "words.csv" in str(caught.value)


def test_a_missing_table_says_what_lies_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "word.csv", "text\n")
    with pytest.raises(DataNotFound, match=r"words.csv: no such file.*word.csv"):
        read_stimuli(tmp_path / "words.csv")


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'words.xlsx'; expected a name ending in .csv or .tsv"):
        read_stimuli(write(tmp_path / "words.xlsx", "text\n"))


def test_a_gzip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "LARGEST_TABLE", 1_000)
    with pytest.raises(CorruptData, match="more than 1000 bytes once unpacked"):
        read_table(write(tmp_path / "t.tsv.gz", gzip.compress(b"a" * 2_000)), ["a"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("1 2\n3\n", "not a rectangle of numbers"),
        ("1 two\n", "not a rectangle of numbers"),
        ("", "not a rectangle of numbers"),
        ("1 2 3\n", "1 × 3 numbers; expected any number × 2"),
        ("1 2\n3 nan\n", "nan in row 2, column 2"),
    ],
)
def test_bad_numbers_are_refused_with_a_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    with pytest.raises(CorruptData, match=sentence):
        read_numbers(write(tmp_path / "n.txt", content), (None, 2))
