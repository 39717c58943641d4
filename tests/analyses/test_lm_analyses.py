"""The scripts about language models: on twins, and the poems against what is expected."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from neuroling.data.errors import DataNotFound
from neuroling.data.fetch import locate
from neuroling.report.expected import compare_with_expected, read_expected

ANALYSES = Path(__file__).parents[2] / "analyses"


def script(name):
    spec = importlib.util.spec_from_file_location(f"analysis_{name}", ANALYSES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.real_data
def test_all_poems_are_recalled_and_the_lectures_curve_is_copying(tmp_path):
    try:
        locate("hyakunin_isshu", ["poems.tsv"])
    except DataNotFound as error:
        pytest.skip(str(error))
    module = script("chihaya")
    finals = module.main(tmp_path).set_index("model")
    assert finals.loc["Transformer", "free, verses"] == 1.0
    assert finals.loc["no shift", "helped, verses"] >= 0.98
    assert finals.loc["no shift, shuffled upper verses", "helped, verses"] >= 0.94
    assert finals.loc["no shift", "free, verses"] == 0.0
    curves = module.pd.read_csv(tmp_path / "curves.csv")
    assert compare_with_expected(module.numbers(curves, finals.reset_index()), module.EXPECTED) == []


@pytest.mark.slow
def test_made_up_poems_are_labelled_and_learnt_by_heart_too(tmp_path, monkeypatch):
    module = script("chihaya")
    monkeypatch.setattr(module, "real_or_twin", lambda name, load, twin: twin())
    finals = module.main(tmp_path, epochs=110).set_index("model")
    assert finals.loc["Transformer", "free, verses"] > 0.9
    assert "synthetic data" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_ablation_runs_on_twins_and_says_so(tmp_path, monkeypatch):
    module = script("bert_ablation")
    monkeypatch.setattr(module, "real_or_twin", lambda name, load, twin: twin())
    table = module.main(tmp_path, steps=3, seeds=2, vocabulary=1500)
    assert set(table["condition"]) == set(module.CONDITIONS)
    assert table[["head alone", "tagged right"]].apply(lambda column: column.between(0, 1)).all(axis=None)
    assert set(table.loc[table["steps"] == 0, "condition"]) == set(module.STARTS)
    assert len(list(tmp_path.glob("*.png"))) == len(module.FIGURES) * len(module.MEASURES)
    settled = table[~table["condition"].isin(module.UNSETTLED)]
    named = module.numbers(table)
    assert len(named) == settled[list(module.MEASURES)].notna().sum().sum() + 2  # the gain of 5 %, two seeds
    assert "synthetic data" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_what_is_expected_of_the_ablation_has_every_run():
    module = script("bert_ablation")
    expected = read_expected(module.EXPECTED)
    seeds, steps = range(module.DEFAULTS["seeds"]), module.DEFAULTS["steps"]
    runs = {f"{name}, seed {seed}, step {steps}" for name in module.CONDITIONS for seed in seeds}
    starts = {f"{name}, seed {seed}, step 0" for name in module.STARTS for seed in seeds}
    assert {name.partition(":")[0] for name in expected} == runs | starts
    left_out = sum(map(len, module.UNSETTLED.values())) * len(seeds)
    assert len(expected) == len(runs) * len(module.MEASURES) + len(starts) * 2 - left_out
