"""The first three analyses run on their twins, find what was planted, and mark everything as synthetic."""

from html import unescape
from importlib.util import find_spec
from pathlib import Path

import nibabel
import numpy as np
import pytest

from neuroling.cli.analyses import find, load
from neuroling.core.result import Result
from neuroling.data import at_hand
from neuroling.data.errors import DataNotFound

pytest.importorskip("transformers", reason="the encoder needs the extra neuroling[minilm]")


@pytest.fixture
def script(monkeypatch):
    def absent(name, files=None):
        raise DataNotFound(f"{name}: hidden for this test")

    monkeypatch.setattr(at_hand, "_find", absent)
    return lambda name: load(name, find()[name]).main


def check_outputs(out: Path, names: set[str]) -> str:
    assert names <= {path.name for path in out.iterdir()}
    page = unescape((out / "report.html").read_text(encoding="utf-8"))
    assert "synthetic data, not people's" in page
    assert Result.load(out / "result.nc").provenance.synthetic
    return page


@pytest.mark.skipif(find_spec("wordfreq") is None, reason="frequencies need the extra neuroling[frequency]")
def test_titles_predict_the_maps_of_the_twin(script, tmp_path):
    result = script("neurosynth")(out=tmp_path, max_articles=240, n_draws=40)
    accuracy = result.score.to_series()
    assert accuracy["MiniLM"] > 0.7
    assert accuracy["tf-idf + MiniLM"] > accuracy["title length and year"]
    assert (result.p_values().sel(model="MiniLM") < 0.05).all()
    page = check_outputs(tmp_path, {"glass_brain.png", "stat_map.png", "models.png", "correlation_minilm.nii.gz"})
    assert "tf-idf" in page
    assert "NOT RUN" not in page
    assert "MiniLM beside the controls" in page
    check_banded(accuracy, tmp_path)


def check_banded(accuracy, out):
    """A weighting a voxel does what one penalty for both spaces does, and its weights are shares."""
    both, banded = accuracy["tf-idf + MiniLM"], accuracy["tf-idf + MiniLM, banded"]
    assert banded > both - 0.05
    weights = nibabel.load(out / "weight_of_minilm.nii.gz").get_fdata()
    inside = weights[np.isfinite(weights) & (weights != 0)]
    assert 0 <= inside.min() < inside.max() <= 1
    assert len(np.unique(inside)) > 3


@pytest.mark.skipif(find_spec("wordfreq") is None, reason="frequencies need the extra neuroling[frequency]")
def test_late_articles_can_be_held_out_instead(script, tmp_path):
    script("neurosynth")(out=tmp_path, max_articles=120, n_draws=20, split="time")
    assert "as the latest" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_verbs_predict_the_images_of_the_twin(script, tmp_path):
    result = script("mitchell2008")(out=tmp_path, n_draws=40)
    assert result.score.sizes == {"subject": 9}
    assert 0.65 < float(result.score.mean()) < 0.95
    assert (result.p_values() < 0.05).sum() >= 8
    assert np.isfinite(result.ceiling).all()
    check_outputs(tmp_path, {"participants.png", "null.png", "correlation_P1.nii.gz"})


@pytest.mark.filterwarnings("ignore:words.*unknown to the 3-gram model:UserWarning")
@pytest.mark.slow
def test_word_rate_predicts_the_regions_of_the_twin(script, tmp_path):
    result = script("alice2016")(out=tmp_path, n_shifts=40)
    mean = result.score.mean(["subject", "region"]).to_series()
    assert mean["word rate"] > mean["position"]
    page = check_outputs(tmp_path, {"models.png", "participants.png", "null.png", "table.csv"})
    assert "word rate + MiniLM" in page
    assert "NOT RUN" not in page
    assert "MiniLM beside controls and its untrained twin" in page


@pytest.mark.filterwarnings("ignore:words.*unknown to the 3-gram model:UserWarning")
def test_a_participant_of_alice_alone_is_the_unit_of_a_study(script, tmp_path):
    options = {"n_shifts": 20, "subject": "s19", "layer": 0, "cache": tmp_path / "cache", "twin": True}
    result = script("alice2016")(out=tmp_path / "deep" / "unit.nc", **options)
    saved = Result.load(tmp_path / "deep" / "unit.nc")
    assert saved.provenance.unit == {"subject": "s19", "layer": "0"}
    assert saved.score.identical(result.score)


def test_a_participant_who_is_not_there_is_refused(script, tmp_path):
    with pytest.raises(ValueError, match=r"got 's1'; expected one of s18"):
        script("alice2016")(out=tmp_path / "unit.nc", subject="s1", twin=True)
