"""Every row of the catalogue of bad input at every entry point that it fits: no bare error, nothing silent or wrong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from frame import Case, tables

TABLES = tables(Path(__file__).parent)
CASES = [case for cases in TABLES.values() for case in cases]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_is_due(case: Case) -> None:
    case.verify()


def test_every_case_has_a_name_of_its_own() -> None:
    twice = [name for name, count in Counter(case.id for case in CASES).items() if count > 1]
    assert twice == []


def test_the_catalogue_is_not_thinned_out() -> None:
    assert len(CASES) >= 600
    rows = {case.row for case in CASES}
    assert {*range(26, 61), *range(111, 120)} - rows == set()
