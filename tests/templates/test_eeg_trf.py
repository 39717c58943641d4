from __future__ import annotations

from pathlib import Path

from neuroling import Result


def test_a_new_study_goes_from_files_to_a_report(call, set_constants, tiny_model):
    call("new", "eeg-trf", "listening")
    script = Path("listening/listening.py")
    set_constants(script, MODEL=f"{str(tiny_model)!r}, -1, 20", BAND_HZ="(0.5, 10.0), 25.0", N_COMPONENTS="2")
    call("run", script, "--n-permutations", "20", "--out", "results")
    result = Result.load("results/result.nc")
    assert result.score.dims == ("model", "channel")
    assert result.provenance.synthetic
    assert float(result.score.sel(model="word rate").mean()) > 0.1
    page = Path("results/report.html").read_text("utf-8")
    assert "its strongest control" in page
    assert "at the positions of the recording" in page
