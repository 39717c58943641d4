"""Tables and pictures as files and on one page: the same content, whole tables on disk, and no two of one name."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

from neuroling.core.provenance import Provenance
from neuroling.core.result import Result
from neuroling.report.figures import figure_to_png
from neuroling.report.html import Callout
from neuroling.report.output_folder import Exhibit, write_analysis, write_exhibits

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


def test_axes_and_figures_become_pictures_stamped_where_data_are_synthetic(tmp_path):
    figure = Figure(figsize=(2, 1))
    axes = figure.subplots()
    sections = {"Curves": [Exhibit("figure", figure, "A figure."), Exhibit("axes", axes, "Axes.")]}
    for name, synthetic in (("real", False), ("made_up", True)):
        write_exhibits(tmp_path / name, sections, title="Title", synthetic=synthetic)
    real, made_up = ((tmp_path / name / "axes.png").read_bytes() for name in ("real", "made_up"))
    assert real == (tmp_path / "real" / "figure.png").read_bytes() == figure_to_png(figure)
    assert made_up == figure_to_png(figure, synthetic=True) != real


def test_a_picture_that_is_no_file_yet_is_not_written(tmp_path):
    with pytest.raises(TypeError, match="finished"):
        Exhibit("figure", Figure(), "A figure.").write(tmp_path)


@pytest.mark.parametrize("synthetic", [False, True])
def test_an_analysis_saves_results_and_checks_numbers_unless_data_are_synthetic(tmp_path, caplog, synthetic):
    caplog.set_level("WARNING", "neuroling")
    expected = tmp_path / "expected.json"
    expected.write_text('{"numbers": {"r": {"value": 0.5, "tolerance": 0.01}}}')
    score = xr.DataArray([0.5, 0.7], dims="split")
    result = Result.of(score, metric="pearson", provenance=replace(Provenance(), synthetic=synthetic))
    sections = {"Scores": [Exhibit("scores", TABLE, "Held-out r.")]}
    page = write_analysis(
        tmp_path / "out", sections, {"scores": result}, title="T", numbers={"r": 0.6}, expected=expected
    )
    assert Result.load(page.parent / "scores.nc").provenance.synthetic == synthetic
    assert ("Not as expected" in caplog.text) != synthetic
    assert ("synthetic data" in page.read_text(encoding="utf-8")) == synthetic
