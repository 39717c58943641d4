"""What the sweep over trainings keeps, passes over and says of seeds and lexicons."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "n400_sweep.py"


@pytest.fixture(scope="module")
def sweep() -> ModuleType:
    spec = importlib.util.spec_from_file_location("n400_sweep", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(sweep, repetition, participants=4, variant="reference"):
    table = pd.DataFrame(dict.fromkeys(sweep.SUMMARISED, 0.5), index=range(len(repetition)))
    return table.assign(repetition=repetition, participants=participants, variant=variant)


def test_summary_is_a_t_interval_over_networks(sweep):
    table = sweep.summary(rows_of(sweep, [0.10, 0.12, 0.14]), 4).loc["repetition"]
    np.testing.assert_allclose(table[["mean", "low", "high"]].astype(float), [0.12, 0.0703, 0.1697], atol=1e-4)
    assert (table["least"], table["most"], table["networks"]) == (0.10, 0.14, 3)


def test_summary_leaves_other_variants_and_sizes_out(sweep):
    rows = [rows_of(sweep, [0.1, 0.2]), rows_of(sweep, [0.9], 24), rows_of(sweep, [0.9], variant="two stages")]
    assert sweep.summary(pd.concat(rows), 4).loc["repetition", "mean"] == pytest.approx(0.15)


def test_summary_of_one_network_is_refused(sweep):
    with pytest.raises(ValueError, match="1 networks of 4 participants; expected 2 or more"):
        sweep.summary(rows_of(sweep, [0.1]), 4)


def test_kept_rows_are_one_a_network_and_of_known_variants(sweep):
    rows = pd.read_csv(sweep.OUT)
    assert not rows.duplicated(["variant", "lexicon", "seed", "participants"]).any()
    assert set(rows["variant"]) <= set(sweep.VARIANTS)


def test_kept_settings_are_complete(sweep):
    rows = pd.read_csv(sweep.OUT_SETTINGS)
    n_settings = len(sweep.TIME_CONSTANTS) * len(sweep.THRESHOLDS) * len(sweep.BLANKS)
    assert rows.groupby(["time_constant", "threshold", "blank"])["lexicon"].nunique().tolist() == [3] * n_settings


def test_network_that_has_a_row_is_passed_over(sweep, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(sweep, "train_networks", lambda **options: [options["training_seed"]])
    monkeypatch.setattr(sweep, "measured", lambda network: made.append(network) or {"repetition": 0.1})
    words = ["n400_sweep.py", "--variants", "reference", "--lexicons", "0", "--out", str(tmp_path / "rows.csv")]
    for seeds in (["0"], ["0", "1"]):
        monkeypatch.setattr(sys, "argv", [*words, "--seeds", *seeds])
        sweep.main()
    assert made == [0, 1]
    assert pd.read_csv(tmp_path / "rows.csv")["seed"].tolist() == [0, 1]
