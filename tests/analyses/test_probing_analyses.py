"""The scripts that look into language models, on twins: they run, label what is made up, and find what was planted."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from neuroling.report.expected import read_expected

ANALYSES = Path(__file__).parents[2] / "analyses"


@pytest.fixture
def on_the_twin(monkeypatch):
    def load(name):
        spec = importlib.util.spec_from_file_location(f"analysis_{name}", ANALYSES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(module, "real_or_twin", lambda name, load, twin: twin())
        return module

    return load


@pytest.mark.slow
def test_the_probe_beats_linear_order_and_random_trees_on_a_grammar(tmp_path, capsys, on_the_twin):
    results = on_the_twin("structural_probe").main(tmp_path, rank=32, n_epochs=4)
    score = results["UUAS"].score
    assert float(score.sel(model="MiniLM").max()) > 0.55  # linear order has 0.43, random trees 0.20
    assert "SYNTHETIC UUAS" in capsys.readouterr().out
    assert results["UUAS"].provenance.synthetic
    assert sorted(path.name for path in tmp_path.glob("parse_*.png")) == [f"parse_{n}.png" for n in (1, 2, 3)]
    assert "synthetic data" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_labels_drawn_at_random_are_harder_than_parts_of_speech(tmp_path, on_the_twin):
    results = on_the_twin("layer_mixing").main(tmp_path, n_epochs=2)
    assert float(results["part of speech"].score.min()) > 0.9
    assert results["selectivity"].score.sizes["model"] == 4
    assert (tmp_path / "mixtures.png").stat().st_size > 5000
    assert "synthetic data" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_heads_are_drawn_silenced_and_scored(tmp_path, on_the_twin):
    lost = on_the_twin("attention_maps").main(tmp_path, n_sentences=20)
    assert lost.loc["all heads", "change"] == 0
    assert lost["heads"].iloc[1:7].tolist() == [12] * 6
    assert np.isfinite(lost["score"]).all()
    assert "Synthetic text" in (tmp_path / "heads.html").read_text(encoding="utf-8")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "synthetic data" in page
    assert "smoothed identity" in page
    assert "NOT RUN" not in page


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:stimuli.*unknown to:UserWarning")
def test_training_on_pairs_moves_the_score_of_vectors(tmp_path, on_the_twin):
    result = on_the_twin("sentence_vectors").main(tmp_path, n_pairs=96, batch_size=8)
    assert "synthetic data" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert result.provenance.synthetic
    assert float(result.score.sel(model="MiniLM, siamese")) > 0.5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:stimuli.*unknown to:UserWarning")
@pytest.mark.filterwarnings("ignore:words.*unknown to the 3-gram model:UserWarning")
def test_every_checkpoint_has_a_perplexity_and_two_scores(tmp_path, capsys, on_the_twin):
    table = on_the_twin("checkpoints").main(tmp_path, steps=64, seeds=2)
    assert table.loc[table["seed"] == 0, "step"].tolist() == [0, 2, 4, 8, 16, 32, 64]
    assert (table.groupby("seed")["perplexity"].diff().dropna() < 0).all()
    assert np.isfinite(table[["Alice", "N400"]]).all(axis=None)
    assert not np.array_equal(*(table.loc[table["seed"] == seed, "perplexity"] for seed in (0, 1)))
    assert "SYNTHETIC {'seed': 0, 'step': 64" in capsys.readouterr().out
    assert all((tmp_path / f"{name}.png").stat().st_size > 5000 for name in ("Alice", "N400"))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "synthetic data" in page
    assert "smoothed identity" in page
    assert "NOT RUN" not in page


def test_what_is_expected_of_checkpoints_has_every_step_and_control():
    expected = read_expected(ANALYSES / "expected" / "checkpoints.json")
    steps = {name.rpartition(" ")[2] for name in expected if name.startswith("N400, step")}
    assert steps == {"0", "50", "100", "200", "400", "800", "1600"}
    assert expected["perplexity, step 1600"].value < expected["perplexity by frequency"].value
