"""TextGrids that were refused, or lost text: quotation marks, the short format, UTF-16, other programs' spellings."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from neuroling.data.errors import CorruptData
from neuroling.data.textgrid import read_intervals, write_intervals

FILES = Path(__file__).parent / "files"


def rows(path: Path, tier: str = "words", **options: int) -> list[tuple[float, float, str]]:
    return list(read_intervals(path, tier, **options).itertuples(index=False, name=None))


def tier(number: int, name: str, *entries: tuple[object, object, str]) -> str:
    lines = [f'    item [{number}]:\n        class = "IntervalTier" \n        name = "{name}" \n        xmin = 0 ']
    lines.append(f"        xmax = 2 \n        intervals: size = {len(entries)} ")
    for place, (begin, end, text) in enumerate(entries, start=1):
        lines.append(f"        intervals [{place}]:\n            xmin = {begin} \n            xmax = {end} ")
        lines.append(f'            text = "{text}" ')
    return "\n".join(lines) + "\n"


def grid(*tiers: str) -> str:
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0 \nxmax = 2 \ntiers? <exists> \n'
    return head + f"size = {len(tiers)} \nitem []: \n" + "".join(tiers)


def save(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


TWO = ((0, 1, "a"), (1, 2, "b"))
READ = [(0.0, 1.0, "a"), (1.0, 2.0, "b")]
SHORT = '\n0\n2\n<exists>\n1\n"IntervalTier"\n"words"\n0\n2\n2\n0\n1\n"a"\n1\n2\n"b"\n'


def test_06_quotation_marks_survive_writing_and_reading(tmp_path: Path) -> None:
    words = pd.read_csv(FILES / "06_textgrid_quotes" / "words.csv")
    write_intervals(tmp_path / "a.TextGrid", "words", words)
    pd.testing.assert_frame_equal(read_intervals(tmp_path / "a.TextGrid", "words"), words, check_dtype=False)


def test_07_the_short_format_is_read() -> None:
    assert rows(FILES / "07_textgrid_short" / "a.TextGrid") == [(0.0, 1.1, "a"), (1.1, 2.3, "b")]


def test_08_utf_16_is_read() -> None:
    assert rows(FILES / "08_textgrid_utf16" / "a.TextGrid") == [(0.0, 1.0, "é")]


def test_09_the_spelling_of_elan_is_read() -> None:
    assert rows(FILES / "09_textgrid_elan" / "a.TextGrid") == [(0.0, 1.0, "e")]


@pytest.mark.parametrize(
    "text",
    [
        '"', '""', 'a""b', '"quoted"', "xmin = 3", 'text = "x"', "intervals [2]:", "two\nlines", "! no comment",
        "<exists>", "", "a\u2028b",
    ],
)  # fmt: skip
def test_any_text_and_tier_name_survive_writing_and_reading(tmp_path: Path, text: str) -> None:
    words = pd.DataFrame({"onset": [0.0, 0.5], "offset": [0.5, 1.0], "text": [text, "b"]})
    write_intervals(tmp_path / "a.TextGrid", text, words)
    assert read_intervals(tmp_path / "a.TextGrid", text)["text"].tolist() == [text, "b"]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (grid(tier(1, "words", *TWO)), "utf-8"),
        (grid(tier(1, "words", *TWO)), "utf-8-sig"),
        (grid(tier(1, "words", *TWO)), "utf-16"),
        ("\ufeff" + grid(tier(1, "words", *TWO)), "utf-16-be"),
        ("\ufeff" + grid(tier(1, "words", *TWO)), "utf-16-le"),
        (grid(tier(1, "words", *TWO)), "utf-16-le"),
        (grid(tier(1, "words", *TWO)).replace("\n", "\r\n"), "utf-8"),
        (grid(tier(1, "words", *TWO)).replace("\n", "\r"), "utf-8"),
        (grid(tier(1, "words", *TWO)).split("\n", 3)[3], "utf-8"),
        (grid(tier(1, "words", *TWO)).split("\n", 1)[1], "utf-8"),
        ('File type = "ooTextFile"\nObject class = "TextGrid"\n' + SHORT, "utf-8"),
        ('File type = "ooTextFile short"\n"TextGrid"\n' + SHORT, "utf-8"),
        ('"ooTextFile"\n"TextGrid"\n' + SHORT, "utf-8"),
        (SHORT, "utf-8"),
        (SHORT, "utf-16"),
        (grid(tier(1, "words", *TWO)).replace(" [", "["), "utf-8"),
        (grid(tier(1, "words", *TWO)).replace(" = ", "="), "utf-8"),
        (grid(tier(1, "words", *TWO)).replace('text = "a"', 'text = "a" ! 3 "comment"'), "utf-8"),
    ],
)
def test_all_spellings_of_a_textgrid_are_one(tmp_path: Path, text: str, encoding: str) -> None:
    assert rows(save(tmp_path / "a.TextGrid", text, encoding)) == READ


@pytest.mark.parametrize("overlap", [1e-7, 1e-6])
def test_an_overlap_by_rounding_stands_as_in_the_file(tmp_path: Path, overlap: float) -> None:
    path = save(tmp_path / "a.TextGrid", grid(tier(1, "words", (0, 1 + overlap, "a"), (1, 2, "b"))))
    assert rows(path) == [(0.0, 1 + overlap, "a"), (1.0, 2.0, "b")]


@pytest.mark.parametrize("overlap", [1e-3, 0.5])
def test_an_overlap_that_can_be_heard_is_refused(tmp_path: Path, overlap: float) -> None:
    path = save(tmp_path / "a.TextGrid", grid(tier(1, "words", (0, 1 + overlap, "a"), (1, 2, "b"))))
    with pytest.raises(CorruptData, match=rf"interval 1 runs from 0 to {1 + overlap}; expected times in order"):
        rows(path)


def test_of_tiers_with_one_name_the_wanted_one_is_read(tmp_path: Path) -> None:
    tiers = grid(tier(1, "words", *TWO), tier(2, "phones", (0, 2, "p")), tier(3, "words", (0, 2, "c")))
    path = save(tmp_path / "a.TextGrid", tiers)
    assert rows(path, "phones") == [(0.0, 2.0, "p")]
    with pytest.raises(ValueError, match="2 interval tiers called 'words'; say which with occurrence=1 to 2"):
        rows(path)
    assert rows(path, occurrence=1) == READ
    assert rows(path, occurrence=2) == [(0.0, 2.0, "c")]
    with pytest.raises(ValueError, match=r"occurrence: got 3; .* has 2 interval tiers"):
        rows(path, occurrence=3)


def test_points_stand_between_intervals(tmp_path: Path) -> None:
    points = (
        '    item [1]:\n        class = "TextTier"\n        name = "words"\n        xmin = 0\n        xmax = 2\n'
        '        points: size = 1\n        points [1]:\n            number = 1.5\n            mark = "!"\n'
    )
    assert rows(save(tmp_path / "a.TextGrid", grid(points, tier(2, "words", *TWO)))) == READ


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it begins with ''"),
        ("Praat", "it begins with 'Praat'"),
        ("ooBinaryFile\x08TextGrid", "it begins with 'ooBinaryFile"),
        ('File type = "ooTextFile"\nObject class = "Pitch 1"\n\nxmin = 0\n', "it says that it is a 'Pitch 1'"),
        ('File type = "ooTextFile"\nObject class = "TextGrid"\n', "no times and number of tiers"),
        (grid(tier(1, "words", *TWO))[:-40], "1 intervals in tier 'words'; expected 2 of them"),
        (grid(tier(1, "words", *TWO)).replace('"a"', '"a'), "no closing quotation mark"),
        (grid(tier(1, "words", *TWO)).replace('"a"', '"he said "no""'), "1 intervals in tier 'words'; expected 2"),
        (grid(tier(1, "words", *TWO)).replace("size = 1 ", "size = 2 "), "1 tiers, then 0 entries; expected 2 tiers"),
        (grid(tier(1, "words", *TWO)).replace("size = 2 ", "size = 1 "), "1 tiers, then 3 entries; expected 1 tiers"),
        (grid(tier(1, "words", *TWO)).replace("size = 2 ", "size = two "), "'two' as the number of entries in tier"),
        (grid(tier(1, "words", *TWO)).replace("IntervalTier", "Tier"), "a tier of the class 'Tier'"),
        (grid(tier(1, "words", (0, "nan", "a"), (1, 2, "b"))), "interval 1 runs from 0 to nan"),
        (grid(tier(1, "words", (0, "inf", "a"))), "interval 1 runs from 0 to inf"),
        (grid(tier(1, "words", (1, 1, "a"))), "interval 1 runs from 1 to 1"),
    ],
)
def test_what_is_no_whole_textgrid_is_refused_with_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CorruptData, match=message):
        rows(save(tmp_path / "a.TextGrid", text))


def test_a_latin_1_textgrid_is_refused_with_its_byte(tmp_path: Path) -> None:
    text = grid(tier(1, "words", (0, 2, "é")))
    with pytest.raises(CorruptData, match=f"byte {text.index('é')} is no UTF-8; expected UTF-8 or UTF-16"):
        rows(save(tmp_path / "a.TextGrid", text, "latin-1"))


def test_an_empty_tier_has_no_rows(tmp_path: Path) -> None:
    assert rows(save(tmp_path / "a.TextGrid", grid(tier(1, "words"), tier(2, "phones", *TWO)))) == []


def table(onset: list[float], offset: list[float], text: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"onset": onset, "offset": offset, "text": text})


@pytest.mark.parametrize(
    ("intervals", "message"),
    [
        (table([1, 0], [2, 1], ["a", "b"]), r"row 0 \(from 0\) runs from 1 to 2; .* Sort the table by onset"),
        (table([0, 1], [1.5, 2], ["a", "b"]), r"row 0 \(from 0\) runs from 0.* to 1.5; .* part intervals that overlap"),
        (table([0, 1], [1, float("nan")], ["a", "b"]), "row 1 .* runs from 1 to nan"),
        (table([0, 1], [1, 1], ["a", "b"]), "row 1 .* runs from 1 to 1;"),
        (table([0, 1], [1, 0.5], ["a", "b"]), "row 1 .* runs from 1 to 0.5;"),
        (table([0], [1], ["a"]).drop(columns="offset"), r"no column offset \(columns: onset, text\)"),
        (table([0], [1], ["a\ud800"]), "text: 1 texts hold lone surrogates"),
        (table([0], [1], ["a\0"]), "text: 1 texts hold control characters"),
    ],
)
def test_what_would_not_be_read_is_not_written(tmp_path: Path, intervals: pd.DataFrame, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_intervals(tmp_path / "a.TextGrid", "words", intervals)
    assert not list(tmp_path.iterdir())


def test_a_tier_is_found_however_its_accents_are_stored(tmp_path: Path) -> None:
    path = save(tmp_path / "a.TextGrid", grid(tier(1, "cafe\u0301", *TWO)))
    assert rows(path, "caf\u00e9") == READ


def test_a_path_may_be_a_str(tmp_path: Path) -> None:
    name = str(tmp_path / "a.TextGrid")
    write_intervals(name, "words", table([0, 1], [1, 2], ["a", "b"]))
    assert list(read_intervals(name, "words")["text"]) == ["a", "b"]
    with pytest.raises(FileNotFoundError, match=r"is a folder; expected a TextGrid\. Name the file in it"):
        read_intervals(str(tmp_path), "words")
