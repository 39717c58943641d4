"""What the guard of the benchmarks' ratios says."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def quick() -> ModuleType:
    sys.path.insert(0, str(FOLDER))
    try:
        spec = importlib.util.spec_from_file_location("quick", FOLDER / "quick.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["quick"] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
    return module


def test_a_ratio_may_fall_by_15_percent_and_no_more(quick: ModuleType) -> None:
    kept = {"ridge": 6.0, "families": 1.2, "other": 9.0}
    assert quick.fallen({"ridge": 5.11, "families": 1.5, "new": 0.1}, kept) == []
    assert quick.fallen({"ridge": 5.09}, kept) == ["ridge: 5.09, kept 6"]


def test_ratios_are_kept_of_cases_that_exist(quick: ModuleType) -> None:
    for processor, ratios in json.loads(quick.KEPT.read_text()).items():
        assert processor
        assert set(ratios) <= set(quick.CASES)
        assert all(ratio > 0 for ratio in ratios.values())


def test_the_least_time_counts_and_is_scaled_to_the_whole(quick: ModuleType) -> None:
    runs = []
    comparison = quick.Comparison(
        quick.Case(lambda: runs.append("ours"), times=3), quick.Case(lambda: runs.append("theirs"), share=0.5), 0.0, 0.0
    )
    ours, theirs = quick.least_seconds(comparison, rounds=2)
    assert runs == ["ours"] * 3 + ["theirs"] + ["ours"] * 3 + ["theirs"]
    assert ours >= 0
    assert theirs >= 0
