"""The N400 analyses run whole on barely trained networks and twins, say that data are made up, and write all files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuroling.cli.analyses import find, load
from neuroling.core.result import Result
from neuroling.data import at_hand
from neuroling.data.errors import DataNotFound
from neuroling.n400.effects import NOT_CARRIED, NOT_JUDGED, PHENOMENA

pytestmark = pytest.mark.slow
SMALL = {"participants": 2, "epochs": 30, "allow_unlearned": True, "sensitivity": True}


@pytest.fixture
def script(monkeypatch):
    def absent(name, files=None):
        raise DataNotFound(f"{name}: hidden for this test")

    monkeypatch.setattr(at_hand, "_find", absent)
    return lambda name: load(name, find()[name]).main


def test_repetition_analysis_writes_its_tables_and_pictures(script, tmp_path, capsys):
    effects = script("laszlo_armstrong2014")(out=tmp_path, lexicons=2, **SMALL)
    assert set(effects["lexicon"]) == {"0", "1", "all"}
    pictures = {"four_panels", "published", "reading_by_tick", "units", "sweep_repetition"}
    pictures |= {"sensitivity_repetition", "sensitivity_neighbourhood"}
    assert pictures <= {path.stem for path in tmp_path.glob("*.png")}
    assert (tmp_path / "semantic_layer.gif").read_bytes().startswith(b"GIF8")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Single units" in page
    assert "WARNING: participants do not read" in page
    assert set(effects.dropna(subset="estimate")["verdict"]) == {NOT_JUDGED}
    assert "inf = ERP model" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:words.*unknown to the 3-gram model:UserWarning")
def test_effect_table_has_every_phenomenon_for_networks_language_models_and_people(script, tmp_path, capsys):
    pytest.importorskip("transformers", reason="the encoder needs the extra neuroling[minilm]")
    table = script("n400_effects")(out=tmp_path, lexicons=2, n_draws=20, **SMALL)
    carried = {one.name for one in PHENOMENA} | set(NOT_CARRIED)
    for name, rows in table.groupby("hypothesis"):
        if not name.startswith("people"):
            assert carried <= set(rows["phenomenon"]), name
    assert table["hypothesis"].nunique() == 12 + 3 + 1
    assert Result.load(tmp_path / "sentences.nc").provenance.synthetic
    assert "synthetic data" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "inf = ERP model" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:features.* same in all samples")  # before the target, both conditions are alike
def test_fits_to_people_go_through_evaluate_and_find_the_planted_peak(script, tmp_path):
    pytest.importorskip("transformers", reason="the encoder needs the extra neuroling[minilm]")
    found = script("n400_people")(out=tmp_path, lexicons=2, n_draws=30, **SMALL)
    onset, constant = (found.loc[("alpha function", name), "estimate"] for name in ("onset", "time_constant"))
    assert onset + constant == pytest.approx(0.4, abs=0.06)
    assert found.loc[("alpha function", "coef 0"), "high"] < 0
    assert Result.load(tmp_path / "nouns.nc").provenance.synthetic
    assert "synthetic data" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_expected_effects_name_rows_of_the_table():
    path = Path(__file__).parents[2] / "analyses" / "expected" / "n400_effects.json"
    names = {name.rpartition(": ")[2] for name in json.loads(path.read_text())["numbers"]}
    assert names <= {one.name for one in PHENOMENA} | set(NOT_CARRIED)


@pytest.mark.filterwarnings("ignore:words.*unknown to the 3-gram model:UserWarning")
@pytest.mark.filterwarnings("ignore:features.*same in all samples")
def test_the_simulation_predicts_the_twin_as_the_order_that_it_was_given(script, tmp_path):
    pytest.importorskip("transformers", reason="the encoder needs the extra neuroling[minilm]")
    result = script("n400_pillars")(out=tmp_path, n_draws=20)
    score = result.score.squeeze().to_series()
    assert score["simulated N400"] == pytest.approx(score["order of cloze"], abs=1e-9)
    assert score["cloze"] > 0.1
    assert result.provenance.synthetic
    assert "synthetic data" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:.*items-fixed")
def test_simulated_matrices_stand_beside_those_of_the_twin(script, tmp_path):
    pytest.importorskip("transformers", reason="the encoder needs the extra neuroling[minilm]")
    result = script("n400_rsa")(out=tmp_path, lexicons=1, n_draws=200, allow_unlearned=True)
    assert result.provenance.synthetic
    assert result.score.sizes["model"] == 4
    assert float(result.score.sel(model="category").mean()) > 0
    assert "simulated, meanings from MiniLM" in (tmp_path / "scores.csv").read_text(encoding="utf-8")
