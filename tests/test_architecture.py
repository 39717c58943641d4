"""What the project promises about itself: who imports whom, where things live, what is documented."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import neuroling

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "neuroling"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages([str(PACKAGE)], "neuroling.")
    if not module.name.startswith(("neuroling._cards", "neuroling._analyses"))
)
CARDS = sorted(path.parent.name for path in (ROOT / "datasets").glob("*/card.toml"))
LEGACY_RANDOM = re.compile(r"\bnp\.random\.(?!default_rng\b|Generator\b|SeedSequence\b|BitGenerator\b)\w+")
UNSAFE = re.compile(
    r"\b(?:import|from) (?:pickle|cloudpickle|dill|shelve)\b|read_pickle|to_pickle|trust_remote_code=(?!False)"
    r"|allow_pickle=(?!False)|weights_only=(?!True)|(?<![.\w])(?:eval|exec)\("
)
MACHINE = re.compile(r"/(?:work|home|root|Users)/\w|file://")
TEXT = {".py", ".md", ".rst", ".toml", ".cff", ".txt", ".json", ".html", ".css", ".yml", ".yaml", ""}


def _tracked() -> list[Path]:
    """Files of the repository, where this is a working tree of one."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a working tree")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# --- who imports whom ---------------------------------------------------------------------------------------------


def test_import_contracts_are_kept():
    check = [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_evaluate_and_align_are_imported_without_torch():
    code = "import sys; from neuroling import align, evaluate, pairwise, pearson; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0


def test_importing_the_package_loads_nothing_heavy():
    heavy = {"torch", "mne", "nilearn", "matplotlib", "sklearn", "xarray", "pandas", "scipy", "numpy", "transformers"}
    code = f"import sys, neuroling; sys.exit(', '.join(sorted({heavy} & set(sys.modules))) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_importing_a_module_logs_and_prints_nothing():
    code = "import importlib\n" + "".join(f"importlib.import_module({name!r})\n" for name in MODULES)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- where things live --------------------------------------------------------------------------------------------


def test_datasets_hold_no_code():
    assert [_relative(path) for path in (ROOT / "datasets").rglob("*.py")] == []


def test_analyses_are_scripts_not_a_package():
    assert [_relative(path) for path in (ROOT / "analyses").rglob("__init__.py")] == []


def test_only_the_samples_are_data_in_the_repository():
    heavy = [_relative(path) for path in _tracked() if path.stat().st_size > 1_000_000]
    assert [name for name in heavy if not name.startswith("neuroling/data/samples/")] == []


@pytest.mark.parametrize("name", CARDS)
def test_every_card_is_valid(name):
    from neuroling.data.cards import card

    assert card(name).name == name


@pytest.mark.parametrize("name", CARDS)
def test_every_loader_can_be_imported_and_has_a_twin(name):
    from neuroling.data.cards import card

    loader = card(name).loader
    if loader is None:
        pytest.skip("its loader is still to come")
    module, function = loader.split(":")
    loaded = importlib.import_module(module)
    assert callable(getattr(loaded, function))
    assert callable(loaded.twin)
    assert callable(loaded.write_twin)


@pytest.mark.parametrize("name", CARDS)
def test_every_data_set_has_notes_if_it_can_be_loaded(name):
    from neuroling.data.cards import card

    if card(name).loader is not None:
        assert (ROOT / "datasets" / name / "README.md").is_file()


def test_the_table_of_data_sets_is_in_step_with_the_cards():
    from neuroling.data.cards import as_table, cards

    assert as_table(cards()) in (ROOT / "datasets" / "README.md").read_text(encoding="utf-8")


def test_every_analysis_stands_in_their_table():
    table = (ROOT / "analyses" / "README.md").read_text(encoding="utf-8")
    assert [path.stem for path in (ROOT / "analyses").glob("[!_]*.py") if f"`{path.stem}`" not in table] == []


@pytest.mark.parametrize("path", sorted((ROOT / "analyses").glob("[!_]*.py")), ids=lambda path: path.stem)
def test_every_analysis_has_a_docstring_and_a_typed_main(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    main = next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"), None)
    assert ast.get_docstring(tree)
    assert main is not None
    assert all(argument.annotation for argument in (*main.args.args, *main.args.kwonlyargs))


# --- the map ------------------------------------------------------------------------------------------------------


def _map() -> str:
    return (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def _mapped_subpackages() -> dict[str, list[str]]:
    """Subpackages and their modules, as the tree in docs/architecture.md has them."""
    block = re.search(r"\nneuroling/\n(.*?)\ndatasets/", _map(), re.DOTALL)
    assert block is not None
    mapped: dict[str, list[str]] = {}
    parent = ""
    for entry in re.split(r"\n(?=  (?:  )?\w)", "\n" + block.group(1)):
        name, _, text = entry.strip().partition("/")
        if not text:
            continue
        is_nested = entry.startswith("    ")
        parent = parent if is_nested else name
        mapped[f"{parent}/{name}" if is_nested else name] = [m.strip() for m in text.rpartition(":")[2].split(",")]
    return mapped


def test_the_map_shows_the_real_tree():
    """What is not yet in the repository need not be on the map: it gets there in the same commit."""
    files = _tracked() if (ROOT / ".git").exists() else SOURCES
    real: dict[str, list[str]] = {}
    for path in sorted(files):
        if path.is_relative_to(PACKAGE) and path.suffix == ".py" and path.stem != "__init__" and path.parent != PACKAGE:
            folder = path.parent.relative_to(PACKAGE).as_posix()
            if folder != "data/loaders":
                real.setdefault(folder, []).append(path.stem)
    assert _mapped_subpackages() == real


def test_the_map_names_every_axis():
    from neuroling.core.axes import AXES

    assert [axis for axis in AXES if f"`{axis}`" not in _map()] == []


def test_the_map_fits_on_one_screen():
    assert len(_map().splitlines()) <= 100


def test_links_between_pages_lead_somewhere():
    pages = [path for path in _tracked() if path.suffix == ".md"]
    dead = [
        f"{_relative(page)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert dead == []


# --- documents ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda path: path.stem)
def test_decisions_are_short_and_say_when_to_revisit_them(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 40
    assert text.startswith(f"# {path.stem[:4]} ")
    headings = ("## Context", "## Decision", "## Consequences", "## When to revisit")
    earlier = ("**Context.**", "**Decision.**", "**What it costs.**", "**What would change our mind.**")
    expected = earlier if earlier[0] in text else headings
    assert [part for part in expected if part not in text] == []


def test_every_decision_has_a_number_of_its_own():
    numbers = [int(path.stem[:4]) for path in (ROOT / "docs" / "decisions").glob("*.md")]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(
    "path", sorted(set((ROOT / "docs" / "changes").glob("*")) - {ROOT / "docs" / "changes" / "README.md"}), ids=str
)
def test_news_fragments_are_one_sentence_under_a_name_that_says_their_kind(path):
    assert re.fullmatch(r"\d+(-\d+)?\.(added|changed|fixed|removed)\.md", path.name)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1


def test_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited is not None
    assert neuroling.__version__ == project == cited.group(1)


# --- docstrings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SOURCES, ids=_relative)
def test_every_module_function_and_class_without_an_underscore_has_a_docstring(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [tree, *(node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))]
    signatures = [node for node in nodes if any("overload" in ast.dump(d) for d in getattr(node, "decorator_list", ()))]
    bare = [getattr(node, "name", "module") for node in nodes if node not in signatures and not ast.get_docstring(node)]
    assert [name for name in bare if not name.startswith("_")] == []


# --- habits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SOURCES, ids=_relative)
def test_the_package_never_prints(path):
    calls = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
    assert [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"] == []


@pytest.mark.parametrize("path", SOURCES, ids=_relative)
def test_the_package_uses_generators_and_no_global_random_state(path):
    assert LEGACY_RANDOM.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", SOURCES, ids=_relative)
def test_the_package_runs_no_code_that_comes_with_data(path):
    assert UNSAFE.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", [path for path in SOURCES if "cli" not in path.parts], ids=_relative)
def test_only_the_command_line_configures_logging(path):
    assert re.findall(r"basicConfig|addHandler|StreamHandler", path.read_text(encoding="utf-8")) == []


def test_no_file_names_a_place_on_somebodys_machine():
    found = [
        f"{_relative(path)}: {match.group()}"
        for path in _tracked()
        if path.suffix in TEXT and path != Path(__file__)
        for match in MACHINE.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_notebooks_are_not_kept_here():
    assert [_relative(path) for path in _tracked() if path.suffix == ".ipynb"] == []


# --- the wheel ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_installed_wheel_has_its_cards_and_analyses(tmp_path):
    """Built without the network by the build back end itself, unpacked, and used from another folder."""
    pytest.importorskip("hatchling")
    build = (
        f"import os; os.chdir({str(ROOT)!r}); from hatchling import build; print(build.build_wheel({str(tmp_path)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", build], capture_output=True, text=True, check=True)
    wheel = tmp_path / done.stdout.split()[-1]
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    assert sorted(path.parent.name for path in site.glob("neuroling/_cards/*/card.toml")) == CARDS
    assert (site / "neuroling" / "_analyses" / "README.md").is_file()
    assert (site / "neuroling" / "py.typed").is_file()
    assert not list(site.rglob("tests"))
    use = (
        f"import sys, json; sys.path.insert(0, {str(site)!r})\n"
        "from neuroling.cli.analyses import folder\nfrom neuroling.data.cards import cards, root\n"
        "print(json.dumps([str(root()), str(folder()), list(cards())]))"
    )
    used = subprocess.run([sys.executable, "-I", "-c", use], cwd=tmp_path, capture_output=True, text=True, check=True)
    cards_folder, analyses_folder, names = json.loads(used.stdout)
    assert Path(cards_folder) == site / "neuroling" / "_cards"
    assert Path(analyses_folder) == site / "neuroling" / "_analyses"
    assert names == CARDS
