from __future__ import annotations

from pathlib import Path

import pytest

from neuroling import Result
from neuroling.core.notices import CodedWarning


def test_a_new_study_goes_from_files_to_a_report(call, set_constants, tiny_model):
    call("new", "eeg-rsa", "words")
    set_constants(Path("words/words.py"), MODEL=repr(str(tiny_model)))
    with pytest.warns(CodedWarning, match="says nothing about other items"):
        call("run", "words/words.py", "--out", "results")
    result = Result.load("results/result.nc")
    assert set(result.score.dims) == {"model", "subject", "time"}
    assert result.provenance.synthetic
    lower = result.ceiling.sel(bound="lower").mean("subject")
    assert float(lower.sel(time=0.4, method="nearest")) > 0.3 > float(lower.sel(time=0.0, method="nearest"))
    page = Path("results/report.html").read_text("utf-8")
    assert "95 % interval over 6 participants" in page
    assert "Heads at several times" in page
