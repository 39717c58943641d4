"""Names and sentences that a researcher reads without stopping: no name that says nothing alone, no private terms."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "neuroling"

SAY_NOTHING_ALONE = {
    *("asked", "chosen", "found", "given", "here", "kept", "known", "made", "one", "others", "ours", "own", "part"),
    *("parts", "place", "places", "room", "said", "some", "take", "theirs", "told", "wanted", "weigh", "what", "whole"),
}
"""Names that say nothing about the value: not to be used for one that lives longer than :data:`LINES` lines."""

LINES = 3

STILL_THERE = {
    "cli": 12,
    "core": 14,
    "data": 4,
    "encoding": 3,
    "evaluation": 54,
    "features": 10,
    "lm": 12,
    "n400": 4,
    "numerics": 45,
    "report": 10,
    "rsa": 3,
}
"""How many are left, by subpackage; these numbers only ever go down."""

PRIVATE = {
    r"\btell apart\b|\btold apart\b": "discriminate, distinguish",
    r"\bhow-manieth\b": "index",
    r"\bis alike to itself\b": "is autocorrelated",
    r"\bpenalty a voxel\b": "one alpha per voxel",
    r"\b[Rr]elabell?ings?\b": "permutations",
    r"\b(held|hold|holds) against\b|\b[Hh]old .{1,30} against each other\b": "compared with",
    r"\bof people\b|\bfor people\b": "of participants, human",
    r"\bFor programs\b": "Print JSON",
    r"\ba row an? [a-z]+\b|\ba file a [a-z]+\b|\bone a (GPU|job|process|word|text)\b": "one … per …",
}
"""Private vocabulary in messages and help, and the standard term."""


def functions_of(tree: ast.AST) -> list[ast.FunctionDef]:
    """Give functions and methods; what is nested in one belongs to it."""
    outermost = []
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.FunctionDef):
            outermost.append(child)
        else:
            outermost += functions_of(child)
    return outermost


def empty_names(function: ast.FunctionDef) -> list[str]:
    """Give names that say nothing, bound in a function and used over more than a few lines."""
    lines: dict[str, list[int]] = defaultdict(list)
    bound = set()
    for node in ast.walk(function):
        name = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else ""
        if name in SAY_NOTHING_ALONE:
            lines[name].append(node.lineno)
            if isinstance(node, ast.arg) or isinstance(node.ctx, ast.Store):
                bound.add(name)
    return [name for name in sorted(bound) if max(lines[name]) - min(lines[name]) >= LINES]


def test_a_name_that_says_nothing_is_found_where_it_lives_long():
    long = "def f(x):\n    found = x\n    y = 1\n    z = 2\n    return found"
    short = "def f(x):\n    found = x\n    return found"
    (lives_long,), (lives_short,) = functions_of(ast.parse(long)), functions_of(ast.parse(short))
    assert (empty_names(lives_long), empty_names(lives_short)) == (["found"], [])


def test_variables_say_what_they_hold():
    counts: Counter[str] = Counter()
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        folder = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for function in functions_of(ast.parse(path.read_text(encoding="utf-8"))):
            empty = empty_names(function)
            counts[folder] += len(empty)
            names += [f"{path.relative_to(ROOT)}: {function.name}: {name}" for name in empty]
    more = {folder: n for folder, n in counts.items() if n > STILL_THERE.get(folder, 0)}
    assert more == {}, [name for name in names if name.split("/")[1] in more]


def texts_for_users(tree: ast.AST) -> list[tuple[int, str]]:
    """Give the texts of errors, warnings and options: (line, text)."""
    texts = []
    for node in ast.walk(tree):
        parents = [node.exc] if isinstance(node, ast.Raise) and node.exc is not None else []
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            parents = [node] if name in {"warn", "Option", "Argument", "say", "BadParameter"} else parents
        for parent in parents:
            strings = [
                part for part in ast.walk(parent) if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
            texts += [(part.lineno, part.value) for part in strings]
    return texts


def test_messages_and_help_use_standard_terms():
    private = [
        f"{path.relative_to(ROOT)}:{line}: {match.group()!r}; write: {standard}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, text in texts_for_users(ast.parse(path.read_text(encoding="utf-8")))
        for pattern, standard in PRIVATE.items()
        for match in re.finditer(pattern, text)
    ]
    assert private == []
