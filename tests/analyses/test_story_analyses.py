"""Analyses of stories run on synthetic files, find what was planted, and say that the data are synthetic."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from neuroling.cli.analyses import find, load
from neuroling.core.result import Result
from neuroling.data import at_hand
from neuroling.data.errors import DataNotFound

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
