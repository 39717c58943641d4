"""Analyses of stories run on synthetic files, find what was planted, and say that the data are synthetic."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold

from neuroling.cli.analyses import find, load
from neuroling.core.result import Result
from neuroling.data import at_hand
from neuroling.data.errors import DataNotFound
from neuroling.data.loaders import natural_stories

HAS_MODEL = importlib.util.find_spec("transformers") and importlib.util.find_spec("wordfreq")


@pytest.fixture
def script(monkeypatch):
    def absent(name, files):
        raise DataNotFound(f"{name}: hidden for this test")

    monkeypatch.setattr(at_hand, "_find", absent)
    return lambda name: load(name, find()[name]).main


@pytest.mark.slow
@pytest.mark.skipif(not HAS_MODEL, reason="needs the extras neuroling[minilm] and neuroling[frequency]")
@pytest.mark.filterwarnings("ignore:ceiling:UserWarning")
def test_stories_predict_the_voxels_of_the_twin_that_respond(script, tmp_path: Path) -> None:
    result = script("lebel2023")(out=tmp_path, n_shifts=100)
    score = result.score.squeeze("split", drop=True) if "split" in result.score.dims else result.score
    assert (score.sel(model="minilm").values[:6] > 0.5).all()
    assert (np.abs(score.sel(model="minilm").values[6:]) < 0.25).all()
    assert "synthetic" in (tmp_path / "report.html").read_text(encoding="utf-8").lower()
    assert Result.load(tmp_path / "result.nc").provenance.unit == {"subject": "UTS03"}
    assert len(list((tmp_path / "tiles").glob("*.nc"))) == 2


def test_power_around_words_is_predicted_where_and_when_it_was_planted(script, tmp_path: Path) -> None:
    result = script("podcast_ecog")(out=tmp_path, n_shifts=40)
    curve = result.score.sel(model="gpt2-xl").max("channel")
    assert 0.1 <= float(curve.idxmax("time")) <= 0.3
    is_clear = (result.p_values("max").sel(model="gpt2-xl") < 0.05).any("time")
    assert is_clear.sel(channel="LGA1")
    assert not is_clear.sel(channel=["LGA2", "LGA3"]).any()
    assert "synthetic" in (tmp_path / "report.html").read_text(encoding="utf-8").lower()


@pytest.mark.slow
def test_eeg_answers_to_the_surprisal_that_was_planted(script, tmp_path: Path) -> None:
    result = script("alice_eeg")(out=tmp_path, model="none", n_shifts=30)
    clear = (result.p_values("max") < 0.05).to_series()
    assert clear["pos_surprisal_cfg", "1"]
    assert not clear.loc[["word rate", "controls"]].any()
    assert not clear.loc["pos_surprisal_cfg"].loc[["2", "3"]].any()
    assert "synthetic" in (tmp_path / "report.html").read_text(encoding="utf-8").lower()


@pytest.mark.slow
@pytest.mark.skipif(not HAS_MODEL, reason="needs the extra neuroling[frequency]")
@pytest.mark.filterwarnings("ignore:words.*unknown to the 3-gram model:UserWarning")
def test_surprisal_explains_reading_times_of_the_twin(script, tmp_path: Path) -> None:
    effects = script("natural_stories")(out=tmp_path, n_flips=200)
    estimates = effects.score.to_series() if "score" in effects.data else effects.data["estimate"].to_series()
    largest = estimates.filter(like="surprisal").idxmax()
    assert "surprisal-1" in str(largest)  # the word before weighs most, once times stand beside their words
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "times stand one row before their words" in text
    assert "synthetic" in text.lower()


@pytest.mark.slow
def test_natural_stories_gain_what_is_expected_on_real_means(layout_of_stories, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("wordfreq", reason="needs the extra neuroling[frequency]")
    script = load("natural_stories", find()["natural_stories"])
    predictors = script.describe_words(natural_stories.load(layout_of_stories), "gpt3", 0)
    columns = list(predictors)
    for alignment, gain in (("detect", 0.02359), ("as stored", 0.01427)):
        table = script.table_of(natural_stories.load(layout_of_stories, alignment=alignment), predictors, True)
        assert len(table) == 9255
        result = script.gain_of(table, columns, GroupKFold(10), "sentence", 100, 0)
        assert float(result.score.mean()) == pytest.approx(gain, abs=5e-4)


@pytest.fixture
def layout_of_stories() -> Path:
    """Give the folder with the real item means, or skip."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "layouts" / "natural_stories" / "files"
    if not folder.is_dir():
        pytest.skip(f"no item means at {folder}")
    return folder
