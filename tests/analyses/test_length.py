"""Analyses are short, and every number in them comes from the two verbs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ANALYSES = sorted((Path(__file__).parents[2] / "analyses").glob("*.py"))
LONGEST, LONGEST_MAIN = 120, 30

LONGER = {
    "alice_eeg",
    "alice2016",
    "alice2016_layers",
    "attention_maps",
    "bert_ablation",
    "checkpoints",
    "chihaya",
    "laszlo_armstrong2014",
    "layer_mixing",
    "layers_alice",
    "lebel2023",
    "mitchell2008",
    "n400_effects",
    "n400_people",
    "natural_stories",
    "neurosynth",
    "podcast_ecog",
    "structural_probe",
    "tour",
}
"""Analyses that are still longer, four of them by a few lines of main; a name goes when its analysis is shortened."""


def lines_of_main(path: Path) -> int:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (main,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    assert main.end_lineno is not None
    return main.end_lineno - main.lineno + 1


def is_short(path: Path) -> bool:
    return len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST and lines_of_main(path) <= LONGEST_MAIN


@pytest.mark.parametrize("path", ANALYSES, ids=lambda path: path.stem)
def test_an_analysis_fits_on_a_screen_or_two(path):
    assert is_short(path) != (path.stem in LONGER)


@pytest.mark.parametrize("path", ANALYSES, ids=lambda path: path.stem)
def test_no_analysis_puts_a_result_together_by_hand(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\bResult\(|\bResult\.of\(|\breplace\(result", text)
