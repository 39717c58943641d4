from __future__ import annotations

from pathlib import Path

from neuroling import Result


def test_a_new_study_goes_from_files_to_a_report(call, set_constants, tiny_model):
    call("new", "word-list-fmri", "nouns")
    set_constants(Path("nouns/nouns.py"), MODEL=repr(str(tiny_model)), METHOD="'lsa'")
    call("run", "nouns/nouns.py", "--n-permutations", "20", "--out", "results")
    result = Result.load("results/result.nc")
    assert result.score.dims == ("model",)
    assert result.score.model.values.tolist() == ["length", "untrained network", str(tiny_model)]
    page = Path("results/report.html").read_text("utf-8")
    assert "LSA by nilearn" in page
    assert "minus" in page
    assert result.provenance.synthetic
