"""Change one thing in the code at random, and see whether a test fails.

    python tests/mutation/mutants.py --coverage .coverage [--number 300] [--seed 0] [--results FILE]

A mutant differs from the code in one place: a comparison, an operator, a number, a condition, a truth value or a
returned value. It is killed if a test that runs the changed line fails, or takes ten times as long as tests may. Which
tests run a line is read from a coverage file with contexts:

    python -m pytest -n 1 --cov --cov-branch --cov-context=test --cov-report=

Each mutant is tried in a copy of the project, first with the tests that lie nearest to it, then with all others that
run the line. Results are written line by line, and a run that is started again goes on where the last one stopped.
Survivors that behave like the code are listed in ``equivalent.json`` with the reason.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
TARGETS = ("neuroling/evaluation", "neuroling/numerics/permutation", "neuroling/rsa", "neuroling/n400")
EQUIVALENT = Path(__file__).with_name("equivalent.json")

FIRST, MOST = 25, 400
"""Tests that are tried first, and at most."""

LONGEST = 600
"""Seconds after which a mutant that still runs counts as killed: it loops."""

COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
SIGNS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}
OPERATORS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.MatMult: ("@", "+"),
}


@dataclass(frozen=True)
class Mutant:
    """One change: where it is, what stood there and what stands there now."""

    file: str
    line: int
    column: int
    kind: str
    before: str
    after: str

    def key(self, source: str) -> str:
        """Name the change by the text of its line, which stays when lines above it are added."""
        text = source.splitlines()[self.line - 1].strip()
        return f"{self.file} | {text} | {self.before} -> {self.after}"


def mutants_of(file: str, source: str) -> Iterator[Mutant]:
    """Give every change of a file that the kinds above allow; docstrings, annotations and messages are left alone."""
    tree = ast.parse(source)
    offsets = _line_offsets(source)
    skipped = {id(child) for node in _skipped(tree) for child in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        for kind, start, stop, after in _changes(node, source, offsets):
            line = source.count("\n", 0, start) + 1
            column = start - (source.rfind("\n", 0, start) + 1)
            yield Mutant(file, line, column, kind, source[start:stop], after)


def _line_offsets(source: str) -> list[int]:
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def _skipped(tree: ast.Module) -> Iterator[ast.AST]:
    """Give what no change is made in: annotations, type checks, raised messages, assertions, names of a module."""
    for node in ast.walk(tree):
        match node:
            case ast.Raise() | ast.Assert() | ast.JoinedStr():
                yield node
            case ast.AnnAssign(annotation=annotation) | ast.arg(annotation=ast.expr() as annotation):
                yield annotation
            case ast.FunctionDef(returns=ast.expr() as returned):
                yield returned
            case ast.If(test=test) if ast.unparse(test) == "TYPE_CHECKING":
                yield node
            case ast.Subscript(value=value) if "Float" in ast.unparse(value):
                yield node


def _changes(node: ast.AST, source: str, offsets: list[int]) -> Iterator[tuple[str, int, int, str]]:
    def span(of: ast.expr | ast.stmt) -> tuple[int, int]:
        first = offsets[of.lineno - 1] + len(source[offsets[of.lineno - 1] :].encode()[: of.col_offset].decode())
        last_line = offsets[(of.end_lineno or of.lineno) - 1]
        return first, last_line + len(source[last_line:].encode()[: of.end_col_offset].decode())

    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        between = span(node.left)[1], span(node.comparators[0])[0]
        sign = SIGNS[type(node.ops[0])]
        place = source.find(sign, *between)
        if place >= 0:
            yield "comparison", place, place + len(sign), COMPARISONS[type(node.ops[0])]
    elif isinstance(node, ast.BinOp) and not isinstance(node.left, ast.Constant | ast.JoinedStr | ast.List):
        if type(node.op) in OPERATORS:
            sign, after = OPERATORS[type(node.op)]
            place = source.find(sign, span(node.left)[1], span(node.right)[0])
            if place >= 0:
                yield "operator", place, place + len(sign), after
    elif isinstance(node, ast.BoolOp):
        sign, after = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        place = source.find(sign, span(node.values[0])[1], span(node.values[1])[0])
        if place >= 0:
            yield "condition", place, place + len(sign), after
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        start, _ = span(node)
        yield "condition", start, start + len("not "), ""
    elif isinstance(node, ast.Constant):
        start, stop = span(node)
        if isinstance(node.value, bool):
            yield "truth value", start, stop, str(not node.value)
        elif isinstance(node.value, int):
            yield "number", start, stop, str(node.value + 1)
        elif isinstance(node.value, float):
            yield "number", start, stop, repr(node.value * 1.5 + 0.1 * (node.value == 0))
    elif isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
        start, stop = span(node.value)
        yield "returned value", start, stop, "None"


def changed(mutant: Mutant, source: str) -> str:
    """Give the source of a mutant."""
    start = _line_offsets(source)[mutant.line - 1] + mutant.column
    stop = start + len(mutant.before)
    assert source[start:stop] == mutant.before, f"{mutant}: the file is another one"
    return source[:start] + mutant.after + source[stop:]


def all_mutants() -> list[Mutant]:
    """Give every change of every file, in order."""
    files = sorted(path for target in TARGETS for path in (PROJECT / target).rglob("*.py"))
    return [mutant for path in files for mutant in mutants_of(path.relative_to(PROJECT).as_posix(), path.read_text())]


class Tests:
    """Which tests run a line, the nearest first."""

    def __init__(self, coverage_file: Path) -> None:
        from coverage import CoverageData

        self.data = CoverageData(str(coverage_file))
        self.data.read()
        self.names = {Path(name): name for name in self.data.measured_files()}

    def of(self, mutant: Mutant) -> list[str]:
        """Give the tests that run a line, or, for a line that runs when the module is loaded, any of its lines."""
        name = next((name for path, name in self.names.items() if path.as_posix().endswith("/" + mutant.file)), None)
        if name is None:
            return []
        contexts = self.data.contexts_by_lineno(name)
        chosen = [test for test in contexts.get(mutant.line, []) if test]
        if not chosen:
            chosen = sorted({test for tests in contexts.values() for test in tests if test})
        tests = sorted({test.rsplit("|", 1)[0] for test in chosen})
        package, stem = Path(mutant.file).parts[1], Path(mutant.file).stem

        def distance(test: str) -> tuple[bool, bool, str]:
            return f"test_{stem}" not in test, f"/{package}/" not in test, test

        return sorted(tests, key=distance)[:MOST]


def survives(copy: Path, tests: list[str]) -> bool:
    """Run tests in a copy of the project; say whether all pass."""
    return all(_pass(copy, some) for some in (tests[:FIRST], tests[FIRST:]) if some)


def _pass(copy: Path, tests: list[str]) -> bool:
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--no-header", "-n", "0"]
    environment = os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=copy,
            env=environment,
            capture_output=True,
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coverage", type=Path, required=True, help="coverage file with contexts")
    parser.add_argument("--number", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=Path("mutants.jsonl"))
    options = parser.parse_args()
    mutants = all_mutants()
    chosen = random.Random(options.seed).sample(mutants, min(options.number, len(mutants)))  # noqa: S311
    done = set()
    if options.results.exists():
        done = {json.loads(line)["number"] for line in options.results.read_text().splitlines()}
    tests = Tests(options.coverage)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache"))
        for number, mutant in enumerate(chosen):
            if number in done:
                continue
            source = (PROJECT / mutant.file).read_text()
            (copy / mutant.file).write_text(changed(mutant, source))
            some = tests.of(mutant)
            survived = survives(copy, some)
            (copy / mutant.file).write_text(source)
            facts = {"number": number, "survived": survived, "tests": len(some), "key": mutant.key(source)}
            with options.results.open("a") as lines:
                lines.write(json.dumps(asdict(mutant) | facts) + "\n")
            print(f"{number:4d} {'SURVIVED' if survived else 'killed  '} {facts['key']}", flush=True)
    return summary(options.results)


def summary(results: Path) -> int:
    """Print the share that was killed; 1 if it is under 80 % of those that are not equivalent to the code."""
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    equivalent = json.loads(EQUIVALENT.read_text()) if EQUIVALENT.exists() else {}
    alive = [line for line in lines if line["survived"]]
    same = [line for line in alive if line["key"] in equivalent]
    killed = len(lines) - len(alive)
    share = killed / max(1, len(lines))
    print(f"{len(lines)} mutants, {killed} killed ({share:.1%}), {len(same)} equivalent, {len(alive) - len(same)} not")
    return 0 if share >= 0.8 else 1


if __name__ == "__main__":
    sys.exit(main())
