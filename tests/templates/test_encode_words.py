"""The common fMRI case from the command line alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from neuroling import Result
from neuroling.cli.app import build
from neuroling.data.study_samples.fmri import write_story


@pytest.fixture
def files(tmp_path):
    write_story(tmp_path / "story", n_runs=3, n_volumes=60)
    func = tmp_path / "story/derivatives/fmriprep/sub-01/func"
    words = [option for path in sorted((tmp_path / "story/words").iterdir()) for option in ("--words", path)]
    return [*sorted(func.glob("*desc-preproc_bold.nii.gz")), *words]


def test_words_and_runs_become_scores_maps_and_a_page(call, files, tiny_model):
    options = ["--model", tiny_model, "--layer", "1", "--context", "20", "--delays", "1-3", "--folds", "group"]
    options += ["--confounds", "simple", "--high-pass", "0", "--null", "shift", "--draws", "20", "--report"]
    call("encode", *files, *options, "-o", "out", "--unit", "subject=01")
    result = Result.load("out/result.nc")
    assert result.score.dims == ("model", "voxel")
    assert result.score.model.to_numpy().tolist()[:4] == ["word rate", "length", "position", "untrained network"]
    assert result.provenance.unit == {"subject": "01"}
    page = Path("out/report.html").read_text("utf-8")
    assert "its strongest control" in page
    assert list(Path("out").glob("*.nii.gz"))


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--controls", "some"], "--controls"),
        (["--delays", "4-1"], "--delays"),
        (["--ceiling", "high"], "--ceiling"),
        (["--layer", "last"], "--layer"),
        (["--tiles", "4"], "--tiles"),
        (["--samples", "x.csv"], "--samples"),
    ],
)
def test_options_that_do_not_fit_are_wrong_usage(files, tmp_path, options, hint):
    arguments = ["encode", *map(str, files), "-o", str(tmp_path / "out"), *options]
    answer = CliRunner().invoke(build(), arguments, prog_name="neuroling")
    assert answer.exit_code == 2
    assert hint in answer.stderr


def test_without_words_features_are_needed(files, tmp_path):
    answer = CliRunner().invoke(build(), ["encode", str(files[0]), "-o", str(tmp_path / "out")], prog_name="neuroling")
    assert answer.exit_code == 2
    assert "give --features and --samples, or --words" in answer.stderr
