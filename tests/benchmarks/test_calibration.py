"""The kept error rates of inferences: complete, shown as they are, and none above the bar without a warning."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "benchmarks" / "calibration" / "inferences.py"
PAGE = ROOT / "docs" / "calibration.md"


@pytest.fixture(scope="module")
def calibration() -> ModuleType:
    spec = importlib.util.spec_from_file_location("calibration_of_inferences", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def kept(calibration) -> dict:
    return json.loads(calibration.RESULTS.read_text(encoding="utf-8"))


def test_every_cell_was_measured_on_1000_data_sets(calibration, kept):
    assert set(kept) == set(calibration.cells())
    assert {row["sets"] for row in kept.values()} == {1000}


def test_no_inference_errs_without_a_warning(calibration, kept):
    assert [name for name, row in kept.items() if calibration.verdict(row) == "MISSED"] == []


def test_the_page_shows_what_is_kept(calibration, kept):
    page = PAGE.read_text(encoding="utf-8")
    assert calibration.with_table(page, kept) == page


@pytest.mark.parametrize(
    "name",
    [
        "SignFlip, 8 participants, maximum, one-sided",
        "SignFlip, 8 participants, maximum, one-sided, skewed to small scores",
        "Permutation, few samples",
        "BootstrapT, 8 participants, two-sided, skewed to small scores",
    ],
)
def test_some_cells_come_out_as_kept(calibration, kept, name):
    row = calibration.measure(calibration.cells()[name], 100)
    low, high = kept[name]["low"], kept[name]["high"]
    assert row["low"] <= high
    assert row["high"] >= low
    assert abs(row["warned"] - kept[name]["warned"]) < 0.2
