from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from neuroling import Result


@pytest.fixture
def study(call, set_constants, tiny_model):
    """A new study of a story, read with a tiny model."""
    call("new", "story-fmri", "alice")
    set_constants(Path("alice/alice.py"), MODEL=f"{str(tiny_model)!r}, -1, 20", RESPONSE="'spm'")
    return Path("alice/alice.py")


def test_a_new_study_goes_from_files_to_a_report(call, study, tiny_model):
    printed = call("run", study, "--n-permutations", "20", "--out", "results")
    result = Result.load("results/result.nc")
    assert result.score.dims == ("model", "voxel")
    assert result.score.model.values.tolist() == [
        "word rate",
        "length",
        "position",
        "untrained network",
        str(tiny_model),
    ]
    assert result.provenance.synthetic
    assert result.provenance.unit == {"subject": "01"}
    rate = result.score.sel(model="word rate")
    assert rate.values[::2].mean() > 0.2  # voxels that respond to nothing but the rate
    page = Path("results/report.html").read_text("utf-8")
    assert "its strongest control" in page
    assert "nilearn&#39;s strategy &#39;simple&#39;" in page
    assert "No noise ceiling can be estimated" in page
    assert Path("results/references.bib").read_text("utf-8").count("@article") >= 5
    assert "report.html" in printed


def test_other_files_need_other_constants_alone(call, study, set_constants):
    """Own files: another place, another participant, another column, words in one table for one run."""
    own = Path("own")
    shutil.copytree("alice/sample/derivatives/fmriprep/sub-01", own / "sub-07", dirs_exist_ok=True)
    (own / "dataset_description.json").write_text("{}")
    for path in list((own / "sub-07").rglob("sub-01_*")):
        path.rename(path.with_name(path.name.replace("sub-01", "sub-07")))
    words = own / "words"
    words.mkdir()
    for path in Path("alice/sample/words").iterdir():
        text = path.read_text().replace("word", "token", 1)
        (words / path.name.replace("sub-01", "sub-07")).write_text(text)
    set_constants(
        study,
        BOLD="Path('own')",
        WORDS="Path('own/words')",
        TEXT_COLUMN="'token'",
        SUBJECT="'07', 'story', 'MNI152NLin2009cAsym'",
        CONFOUNDS="None, 40.0",  # the sample's runs last 160 s: a slower filter leaves their drift, and evaluate warns
    )
    call("run", study, "--n-permutations", "20", "--out", "results")
    result = Result.load("results/result.nc")
    assert not result.provenance.synthetic
    assert result.provenance.data["recording.confounds"] == "none"
