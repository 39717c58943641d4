"""The RSA scripts: on their twins always, on people's data where they are at hand, against published figures."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from neuroling.data.errors import DataNotFound
from neuroling.data.fetch import locate

pytestmark = [
    # what the scripts say themselves: few items, and a test over participants says nothing of others
    pytest.mark.filterwarnings("ignore:.*items-fixed"),
    # MiniLM reads Dutch words in wordpairs_eeg, which says so
    pytest.mark.filterwarnings("ignore:.*is it made for this language"),
]
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


@pytest.mark.slow
def test_karapetian2023_finds_what_was_planted(tmp_path, capsys, caplog):
    result = script("karapetian2023").main(tmp_path, n_subjects=8, n_items=12, n_draws=2)
    said = capsys.readouterr().out
    early, late = (float(re.search(rf"{name} peaks at ([\d.]+)", said)[1]) for name in ("feed-forward", "recurrent"))
    assert abs(early - 0.12) < 0.02
    assert abs(late - 0.18) < 0.02
    assert result.provenance.synthetic
    names = {"decoding", "rsa", "difference", "mds", "strip", "generalization", "topography"}
    assert {path.stem for path in tmp_path.glob("*.png")} == names
    assert "Departures" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Not as expected" not in caplog.text


@pytest.mark.slow
@pytest.mark.real_data
def test_vanvliet2018_gives_the_published_correlation(tmp_path, capsys, caplog):
    pytest.importorskip("transformers")
    at_hand("vanvliet2018_n400_distances")
    script("vanvliet2018").main(tmp_path, n_draws=200)
    assert (tmp_path / "report.html").is_file()
    said = capsys.readouterr().out
    assert float(re.search(r"category +(-?[\d.]+)", said)[1]) == pytest.approx(0.48, abs=0.005)
    assert float(re.search(r"English length +(-?[\d.]+)", said)[1]) == pytest.approx(-0.04, abs=0.005)
    assert "Not as expected" not in caplog.text


@pytest.mark.slow
@pytest.mark.real_data
def test_wordpairs_eeg_gives_the_published_t(tmp_path, capsys, caplog):
    pytest.importorskip("transformers")
    at_hand("vanvliet_eeg_wordpairs")
    script("wordpairs_eeg").main(tmp_path, n_draws=100)
    assert (tmp_path / "report.html").is_file()
    said = capsys.readouterr().out
    assert float(re.search(r"t = (-?[\d.]+)", said)[1]) == pytest.approx(3.45, abs=0.01)
    assert float(re.search(r"strength: r = (-?[\d.]+)", said)[1]) == pytest.approx(0.24, abs=0.005)
    assert "Not as expected" not in caplog.text
