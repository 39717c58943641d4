"""The scripts about features: on twins always, on people's data where they are at hand, against published figures."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from neuroling.core.result import Result
from neuroling.data.errors import DataNotFound
from neuroling.data.fetch import locate
from neuroling.data.loaders import nieuwland2018

ANALYSES = Path(__file__).parents[2] / "analyses"


def script(name):
    spec = importlib.util.spec_from_file_location(f"analysis_{name}", ANALYSES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def at_hand(name):
    try:
        locate(name)
    except DataNotFound as error:
        pytest.skip(str(error))


def on_the_twin(monkeypatch, module):
    monkeypatch.setattr(module, "real_or_twin", lambda name, load, twin: twin())


@pytest.mark.filterwarnings("ignore:stimuli.*unknown to minilm:UserWarning")
@pytest.mark.slow
def test_captions_of_a_kind_lie_together_and_the_twin_is_labelled(tmp_path, capsys, monkeypatch):
    module = script("sbert_captions")
    on_the_twin(monkeypatch, module)
    result = module.main(tmp_path)
    said = capsys.readouterr().out
    assert float(said.partition("silhouette of the groups ")[2].split()[0]) > 0.1
    assert result.provenance.synthetic
    assert float(result.score.sel(model="shared pairs of letters")) > 0.8
    assert (tmp_path / "map.png").stat().st_size > 5000
    assert "synthetic data" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.filterwarnings("ignore:stimuli.*unknown to minilm:UserWarning")
def test_shared_letters_follow_the_ratings_as_published(tmp_path):
    at_hand("jsts_ja")
    score = script("sbert_captions").main(tmp_path).score
    assert float(score.sel(model="shared pairs of letters")) == pytest.approx(0.66, abs=0.01)
    assert float(score.sel(model="MiniLM")) > 0.3


@pytest.mark.slow
def test_every_layer_is_scored_and_saved(tmp_path, monkeypatch):
    module = script("layers_alice")
    on_the_twin(monkeypatch, module)
    result = module.main(tmp_path, n_subjects=3)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "synthetic data" in page
    assert "smoothed identity" in page
    assert "NOT RUN" not in page
    assert result.score.sizes["layer"] == 7
    assert result.provenance.synthetic
    assert float(result.score.mean()) > 0.1  # the twin answers to the rate of words


@pytest.mark.slow
@pytest.mark.real_data
def test_cloze_predicts_the_n400_as_published(tmp_path, capsys, caplog):
    at_hand("nieuwland2018_n400")
    pytest.importorskip("wordfreq", reason="frequencies need the extra neuroling[frequency]")
    fits = script("nieuwland2018").main(tmp_path).data
    found = Result.load(tmp_path / "correlations.nc").score.to_series().filter(like="cloze, ")
    assert found.pop("cloze, over nouns") == pytest.approx(0.50, abs=0.005)
    assert found.pop("cloze, over trials") == pytest.approx(0.086, abs=0.002)
    assert len(found) == 9
    assert (found > 0).all()
    assert float(fits.t.sel(model="cloze alone", feature="cloze")) == pytest.approx(9.478, abs=0.01)  # lme4 says so too
    assert "surprisal: trigrams" in capsys.readouterr().out
    assert "Not as expected" not in caplog.text


@pytest.mark.slow
def test_the_planted_effect_of_cloze_is_found_in_the_twin(tmp_path, monkeypatch):
    module = script("nieuwland2018")
    on_the_twin(monkeypatch, module)
    fits = module.main(tmp_path)
    assert fits.provenance.synthetic
    alone = fits.data.sel(model="cloze alone", feature="cloze").isel(split=0)
    planted = nieuwland2018.EFFECT_UV * nieuwland2018.twin(rng=0)[0].table["cloze"].std()
    assert float(alone.score) > 0
    assert float(alone.low) < planted < float(alone.high)
    assert set(fits.data.model.values) == {*(f"{name} alone" for name in fits.data.feature.values[1:]), "all together"}
    assert "synthetic data" in (tmp_path / "report.html").read_text(encoding="utf-8")
