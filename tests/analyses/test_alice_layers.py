"""Layers of Alice's twin: everything is written, marked as synthetic, and controls stand beside every layer."""

import numpy as np
import pandas as pd
import pytest

from neuroling.cli.analyses import find, load
from neuroling.core.result import Result
from neuroling.data import at_hand
from neuroling.data.errors import DataNotFound

pytest.importorskip("transformers", reason="the encoder needs the extra neuroling[minilm]")


@pytest.mark.slow
def test_layers_of_the_twin_are_parted_from_the_controls(monkeypatch, tmp_path, capsys):
    def absent(name, files=None):
        raise DataNotFound(f"{name}: hidden for this test")

    monkeypatch.setattr(at_hand, "_find", absent)
    result = load("alice2016_layers", find()["alice2016_layers"]).main(out=tmp_path, n_subjects=5)
    assert "SYNTHETIC twin" in capsys.readouterr().out
    assert Result.load(tmp_path / "result.nc").provenance.synthetic
    assert result.score.sizes["layer"] == 7
    table = pd.read_csv(tmp_path / "unique.csv")
    assert {"MiniLM", "untrained twin", "p, difference"} <= set(table)
    assert np.isfinite(table.to_numpy(dtype=float)).all()
    assert (tmp_path / "layers.png").stat().st_size > 1000
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "synthetic data" in page
    assert "smoothed identity" in page
    assert "NOT RUN" not in page
