from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from neuroling.data.errors import CorruptData
from neuroling.data.textgrid import read_intervals, write_intervals, write_tiers

INTERVALS = pd.DataFrame({"onset": [0.0, 1.5, 2.0], "offset": [1.5, 2.0, 2.25], "text": ["sp", "Alice", "was"]})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_intervals(tmp_path / "words.TextGrid", "word", INTERVALS)
    return tmp_path / "words.TextGrid"


def test_what_is_written_is_read_again(path: Path) -> None:
    pd.testing.assert_frame_equal(read_intervals(path, "word"), INTERVALS, check_dtype=False)


def test_quotes_are_undoubled_and_blanks_stripped(path: Path) -> None:
    path.write_text(path.read_text().replace('"Alice"', '"""Alice"" "'))
    assert read_intervals(path, "word")["text"][1] == '"Alice"'


def test_of_several_tiers_the_named_one_is_read(path: Path) -> None:
    second = path.read_text()[path.read_text().index("    item [1]") :]
    path.write_text(path.read_text() + second.replace("item [1]", "item [2]").replace('"word"', '"phone"'))
    assert len(read_intervals(path, "word")) == len(read_intervals(path, "phone")) == 3


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('File type = "ooTextFile"', "Praat", "it begins with 'Praat"),
        ('name = "word"', 'name = "phone"', r"interval tiers \['phone'\]; expected one called 'word'"),
        ('text = "was"', "", "2 intervals in tier 'word'; expected 3 of them"),
        ("xmax = 2.0", "xmax = 1.2", "interval 2 runs from 1.5 to 1.2; expected times in order"),
        ("xmin = 1.5", "xmin = soon", "interval 2 runs from soon"),
        ("xmin = 2.0", "xmin = 1.7", "interval 2 runs from 1.5 to 2.0"),
    ],
)
def test_a_bad_textgrid_is_refused_with_a_sentence(path: Path, old: str, new: str, sentence: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CorruptData, match=sentence):
        read_intervals(path, "word")


def two_tiers() -> dict[str, pd.DataFrame]:
    words = pd.DataFrame({"onset": [0.0, 0.5], "offset": [0.5, 1.0], "text": ["", 'a "CAT"']})
    phones = pd.DataFrame({"onset": [0.0, 0.4], "offset": [0.5, 1.0], "text": ["sp", "AH0"]})  # they overlap
    return {"phone": phones, "word": words}


@pytest.mark.parametrize("chronological", [False, True])
def test_praats_text_formats_are_one_format(tmp_path: Path, chronological: bool) -> None:
    write_tiers(tmp_path / "x.TextGrid", two_tiers(), chronological=chronological)
    words = read_intervals(tmp_path / "x.TextGrid", "word")
    pd.testing.assert_frame_equal(words, two_tiers()["word"], check_dtype=False)


def test_a_tier_can_be_chosen_by_number_and_others_may_overlap(tmp_path: Path) -> None:
    write_tiers(tmp_path / "x.TextGrid", two_tiers())
    assert read_intervals(tmp_path / "x.TextGrid", 1)["text"].tolist() == ["", 'a "CAT"']
    with pytest.raises(CorruptData, match="expected times in order"):
        read_intervals(tmp_path / "x.TextGrid", 0)
    with pytest.raises(CorruptData, match="an interval tier at number 2"):
        read_intervals(tmp_path / "x.TextGrid", 2)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("2 ! Number", "3 ! Number", "it lacks classes, names and times of 3 tiers"),
        ("2 0.5 1.0", "3 0.5 1.0", "an entry of tier 3; expected tiers from 1 to 2"),
        ('2 0.5 1.0\n"a ""CAT"""\n', "2 0.5 1.0\n", "entry 2 of tier 'word' is not complete"),
    ],
)
def test_a_damaged_chronological_file_is_refused(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    path = tmp_path / "x.TextGrid"
    write_tiers(path, two_tiers(), chronological=True)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CorruptData, match=sentence):
        read_intervals(path, "word")
