"""Expected numbers are held against what was found, and a departure is said."""

import json
import math

import pytest

from neuroling.report.expected import compare_with_expected


@pytest.fixture
def expected(tmp_path):
    path = tmp_path / "study.json"
    numbers = {"a": {"value": 0.5, "tolerance": 0.01}, "b": {"value": 1.0, "tolerance": 0.1}}
    path.write_text(json.dumps({"command": "x", "versions": {}, "reason": "y", "numbers": numbers}))
    return path


def test_numbers_within_tolerance_pass(expected):
    assert compare_with_expected({"a": 0.505, "b": 1.0}, expected) == []


@pytest.mark.parametrize("value", [0.52, math.nan])
def test_a_number_outside_its_tolerance_is_named(expected, value):
    (complaint,) = compare_with_expected({"a": value, "b": 1.0}, expected)
    assert complaint.startswith("a: ")
    assert "0.5000 ± 0.0100" in complaint


def test_a_missing_number_is_named(expected):
    assert compare_with_expected({"a": 0.5}, expected) == ["b: expected, but not found"]


def test_numbers_of_another_study_are_refused(expected):
    with pytest.raises(ValueError, match=r"found: names \['c'\]; study.json expects \['a', 'b'\]"):
        compare_with_expected({"c": 1.0}, expected)
