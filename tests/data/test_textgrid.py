from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from neuroling.data.errors import CorruptData
from neuroling.data.textgrid import read_intervals, write_intervals

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
