"""Studies of tables with a row per trial."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neuroling import Result


def test_single_trials_go_from_a_table_to_a_report(call, set_constants, tiny_model):
    call("new", "single-trial-erp", "n400")
    set_constants(Path("n400/n400.py"), MODEL=repr(str(tiny_model)))
    call("run", "n400/n400.py", "--out", "results")
    effects = Result.load("results/result.nc")
    assert effects.provenance.synthetic
    surprisal = effects.estimates.sel(feature="surprisal")
    assert float(surprisal.high) < 0  # rare nouns are more negative
    page = Path("results/report.html").read_text("utf-8")
    assert "surprisal: " in page
    assert "controls + surprisal minus controls" in page


def test_reading_times_go_from_a_table_to_a_report(call):
    call("new", "reading-times", "reading")
    call("run", "reading/reading.py", "--out", "results")
    effects = Result.load("results/result.nc").estimates
    assert float(effects.low.sel(feature="length")) > 0  # every letter costs time
    assert float(effects.low.sel(feature="surprisal")) > 0
    page = Path("results/report.html").read_text("utf-8")
    assert "Excluded: 150 words without 1 before them, 0 times." in page  # the first of 15 sentences for 10 readers


def test_own_tables_need_other_constants_alone(call, set_constants):
    call("new", "reading-times", "reading")
    text = Path("reading/sample/reading.csv").read_text()
    header, _, rows = text.partition("\n")
    assert header == "participant,item,position,word,rt_ms"
    Path("own.tsv").write_text("reader\tsent\tplace\ttoken\tms\n" + rows.replace(",", "\t"))
    set_constants(
        Path("reading/reading.py"),
        READING="Path('own.tsv')",
        WORD="'token', 'sent', 'place'",
        TIME="'ms', 'reader'",
        SPILLOVER="2",
        LOG="False",
    )
    call("run", "reading/reading.py", "--out", "results")
    effects = Result.load("results/result.nc")
    assert not effects.provenance.synthetic
    assert "surprisal-2" in effects.score.feature.to_numpy().tolist()
    assert np.isfinite(effects.score.to_numpy()).all()
