"""Tables and pictures as files and on one page: the same content, whole tables on disk, and no two of one name."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.figure import Figure

from neuroling.report.figures import figure_to_png
from neuroling.report.html import Callout
from neuroling.report.output_folder import Exhibit, write_exhibits

TABLE = pd.DataFrame({"model": ["a <b>", "c"], "r": [0.123456789, 0.5], "hidden": [7.25, 8.25]})


@pytest.fixture
def page(tmp_path):
    picture = figure_to_png(Figure())
    note = Callout("warning", "Only on the page.")
    sections = {"Scores": ["Words.", note, Exhibit("scores", TABLE, "Held-out r.", shown=["model", "r"])],
                "Curves": [Exhibit("curve", picture, "A curve.")]}  # fmt: skip
    return write_exhibits(tmp_path / "new", sections, title="Title", provenance={"seed": 3}, synthetic=True)


def test_files_stand_beside_the_page(page):
    assert sorted(path.name for path in page.parent.iterdir()) == ["curve.png", "report.html", "scores.csv"]


def test_a_file_has_every_column_and_digit(page):
    pd.testing.assert_frame_equal(pd.read_csv(page.parent / "scores.csv"), TABLE)


def test_the_page_shows_chosen_columns_and_names_the_file(page):
    text = page.read_text(encoding="utf-8")
    assert "hidden" not in text
    assert "scores.csv" in text


def test_a_block_stands_on_the_page_where_it_was_put(page):
    text = page.read_text(encoding="utf-8")
    assert text.index("Words.") < text.index("Only on the page.") < text.index("scores.csv")


def test_the_page_escapes_and_says_what_is_synthetic(page):
    text = page.read_text(encoding="utf-8")
    assert "a &lt;b&gt;" in text
    assert "synthetic data" in text


def test_versions_stand_beside_the_options(page):
    text = page.read_text(encoding="utf-8")
    assert "seed" in text
    assert "numpy" in text


def test_two_exhibits_of_one_name_are_refused(tmp_path):
    twice = [Exhibit("scores", TABLE, "One."), Exhibit("scores", TABLE, "Two.")]
    with pytest.raises(ValueError, match="'scores' names two exhibits"):
        write_exhibits(tmp_path, {"Scores": twice}, title="Title", synthetic=False)
    assert not list(tmp_path.iterdir())
