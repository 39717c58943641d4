"""What the tool that changes the code does."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutants", Path(__file__).with_name("mutants.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutants"] = module
    spec.loader.exec_module(module)
    return module


SOURCE = '''
def clipped(x: int = 3) -> int:
    """Give 1 or x."""
    if not x < 1 and x != 2:
        return x * 2.0
    raise ValueError(f"x: got {x + 1}")
'''


def test_every_kind_of_change_is_made_and_messages_are_left_alone(tool: ModuleType) -> None:
    changes = {(mutant.before, mutant.after) for mutant in tool.mutants_of("a.py", SOURCE)}
    assert changes == {
        ("3", "4"),
        ("and", "or"),
        ("not ", ""),
        ("<", "<="),
        ("1", "2"),
        ("!=", "=="),
        ("2", "3"),
        ("*", "/"),
        ("2.0", "3.0"),
        ("x * 2.0", "None"),
    }


def test_a_change_is_made_in_one_place_and_can_be_read(tool: ModuleType) -> None:
    for mutant in tool.mutants_of("a.py", SOURCE):
        source = tool.changed(mutant, SOURCE)
        ast.parse(source)
        assert source != SOURCE
        differing = [one for one, other in zip(source.splitlines(), SOURCE.splitlines(), strict=True) if one != other]
        assert len(differing) == 1


def test_a_change_is_named_by_its_line(tool: ModuleType) -> None:
    mutant = next(mutant for mutant in tool.mutants_of("a.py", SOURCE) if mutant.before == "*")
    assert mutant.key(SOURCE) == "a.py | return x * 2.0 | * -> /"
    assert mutant.line == 5
