"""Errors in the words of the command line."""

from __future__ import annotations

import pytest

from neuroling.cli.option_names import as_typed, meant

NAMES = {
    "allow_unlearned": "--allow-unlearned",
    "max_length": "--max-length",
    "long": "--long",
    "n_splits": "--folds",
    "gap": "--gap",
    "table": "STIMULI.csv",
}


@pytest.mark.parametrize(
    ("python", "typed"),
    [
        ("pass allow_unlearned=True to go on.", "pass --allow-unlearned to go on."),
        ("long: got 'cut'.", "--long: got 'cut'."),
        ("pass long='split' or long='truncate'.", "pass --long split or --long truncate."),
        ("Raise max_length, or stop.", "Raise --max-length, or stop."),
        ("with max_length=None.", "with no --max-length."),
        ("ContiguousFolds(n_splits=5, gap=0) cannot.", "ContiguousFolds(n_splits=5, gap=0) cannot."),
        ("a long text; the gap is wide", "a long text; the gap is wide"),
        ("such as subject=s18, not 'max_length'", "such as subject=s18, not 'max_length'"),
        ("/data/max_length/gap=3.nc: damaged", "/data/max_length/gap=3.nc: damaged"),
    ],
)
def test_arguments_become_options_and_prose_stays(python: str, typed: str) -> None:
    assert as_typed(python, NAMES) == typed


def test_only_close_names_are_suggested() -> None:
    assert meant("sperman", "expected one of spearman, pearson.") == " Did you mean 'spearman'?"
    assert meant("tau", "expected one of spearman, pearson.") == ""
