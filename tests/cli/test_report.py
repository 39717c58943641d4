from __future__ import annotations

import xarray as xr

from neuroling import Result


def saved(path):
    score = xr.DataArray(
        [[[0.2, 0.3, 0.25], [0.1, 0.2, 0.1]]], dims=("split", "model", "subject"), coords={"model": ["BERT", "rate"]}
    )
    Result.of(score, metric="pearson").save(path)
    return path


def test_a_result_file_becomes_a_page(call, tmp_path):
    path = saved(tmp_path / "result.nc")
    answer = call("report", path, "-o", tmp_path / "page", "--model", "BERT", "--control", "rate", "--title", "Mine")
    assert answer.exit_code == 0, answer.output
    page = (tmp_path / "page" / "report.html").read_text("utf-8")
    assert "BERT minus rate" in page
    assert "<h1>Mine</h1>" in page


def test_names_that_are_no_models_are_wrong_usage(call, tmp_path):
    path = saved(tmp_path / "result.nc")
    for option in ("--model", "--control"):
        answer = call("report", path, "-o", tmp_path / "page", option, "GPT")
        assert answer.exit_code == 2
        assert "BERT" in answer.stderr
