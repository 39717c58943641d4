"""Public names: where they are listed, what is imported from where, how they are documented."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from importlib import import_module
from itertools import chain
from pathlib import Path
from types import ModuleType

import pytest

import neuroling

ROOT = Path(__file__).resolve().parents[1]
NAMESPACES = ("data", "encoding", "evaluation", "features", "lm", "n400", "probing", "report", "rsa")
PATHS = ("neuroling", *(f"neuroling.{name}" for name in NAMESPACES))
LINE = re.compile(r"^from (neuroling[\w.]*) import (\w+) as \2$", re.MULTILINE)

TIME_AN_INNER_FUNCTION = {
    "benchmarks/features_batching.py": "counts the tokens of each pack that the encoder plans",
    "benchmarks/leave_two_out.py": "times the operators of leave-two-out ridge by themselves, without labels",
    "benchmarks/rsa_peers.py": "times crossnobis on bare arrays, as the other package does",
}
"""Benchmarks that have to import from below the namespaces, and why."""

WITHOUT_EXAMPLE = {
    "neuroling.data.Treebank",
    "neuroling.data.from_epochs",
    "neuroling.data.from_raw",
    "neuroling.data.from_source_estimates",
    "neuroling.data.locate",
    "neuroling.data.open_nifti",
    "neuroling.data.read_table",
    "neuroling.data.real_or_twin",
    "neuroling.data.sample",
    "neuroling.data.source_positions",
    "neuroling.data.to_image",
    "neuroling.evaluation.ExplainableVarianceCeiling",
    "neuroling.evaluation.FinishedScores",
    "neuroling.evaluation.LeakageWarning",
    "neuroling.evaluation.NullDistribution",
    "neuroling.evaluation.Partition",
    "neuroling.evaluation.Provenance",
    "neuroling.evaluation.ResultFileError",
    "neuroling.evaluation.Split",
    "neuroling.evaluation.columns_of",
    "neuroling.evaluation.content_hash",
    "neuroling.evaluation.current_versions",
    "neuroling.evaluation.explained",
    "neuroling.evaluation.held_out",
    "neuroling.evaluation.join_tiles",
    "neuroling.evaluation.log_likelihood",
    "neuroling.evaluation.now",
    "neuroling.evaluation.onset_interval",
    "neuroling.evaluation.onset_times",
    "neuroling.evaluation.product_measure",
    "neuroling.evaluation.rho_a",
    "neuroling.evaluation.save_unit",
    "neuroling.evaluation.tau_a",
    "neuroling.evaluation.whitened_correlation",
    "neuroling.evaluation.whitened_cosine",
    "neuroling.features.Encoder",
    "neuroling.features.NGram",
    "neuroling.features.load_vectors",
    "neuroling.features.next_words",
    "neuroling.features.static_vectors",
    "neuroling.features.zipf_frequency",
    "neuroling.lm.Contrastive",
    "neuroling.lm.Masking",
    "neuroling.lm.NextSymbol",
    "neuroling.lm.Pretraining",
    "neuroling.lm.RatedPairs",
    "neuroling.lm.Recipe",
    "neuroling.lm.Shape",
    "neuroling.lm.Siamese",
    "neuroling.lm.Tagged",
    "neuroling.lm.assess",
    "neuroling.lm.beam",
    "neuroling.lm.checkpoints",
    "neuroling.lm.encode_pairs",
    "neuroling.lm.finetune",
    "neuroling.lm.greedy",
    "neuroling.lm.last_model",
    "neuroling.lm.latest_checkpoint",
    "neuroling.lm.pretrain",
    "neuroling.lm.recall",
    "neuroling.lm.refuse_overlap",
    "neuroling.lm.score",
    "neuroling.lm.seeded",
    "neuroling.lm.teacher_forced",
    "neuroling.lm.tokenize",
    "neuroling.lm.train",
    "neuroling.lm.train_sentence_vectors",
    "neuroling.lm.unigram_loss",
    "neuroling.load_language_model",
    "neuroling.n400.Architecture",
    "neuroling.n400.BLANKS",
    "neuroling.n400.Effect",
    "neuroling.n400.Hypothesis",
    "neuroling.n400.ISOLATED",
    "neuroling.n400.LAYERS",
    "neuroling.n400.Letters",
    "neuroling.n400.Network",
    "neuroling.n400.PHENOMENA",
    "neuroling.n400.SENTENCE_PHENOMENA",
    "neuroling.n400.STAGES",
    "neuroling.n400.SWEEP",
    "neuroling.n400.SimulatedERP",
    "neuroling.n400.Training",
    "neuroling.n400.against_published",
    "neuroling.n400.alone",
    "neuroling.n400.as_text",
    "neuroling.n400.associative_priming",
    "neuroling.n400.band_table",
    "neuroling.n400.best_tick",
    "neuroling.n400.cue_target_matrices",
    "neuroling.n400.diagnose",
    "neuroling.n400.effect_table",
    "neuroling.n400.first_window",
    "neuroling.n400.hypotheses",
    "neuroling.n400.last_tick",
    "neuroling.n400.make_lexicon",
    "neuroling.n400.pool_lexicons",
    "neuroling.n400.reading_of_lexicons",
    "neuroling.n400.reading_summary",
    "neuroling.n400.reading_warning",
    "neuroling.n400.repetition",
    "neuroling.n400.semantic_activation",
    "neuroling.n400.semantic_priming",
    "neuroling.n400.sensitivity",
    "neuroling.n400.sentence_effects",
    "neuroling.n400.sentence_probes",
    "neuroling.n400.shape_table",
    "neuroling.n400.simulate_units",
    "neuroling.n400.simulated_features",
    "neuroling.n400.teach_spellings",
    "neuroling.n400.to_epochs",
    "neuroling.n400.to_evoked",
    "neuroling.n400.window_caption",
    "neuroling.n400.word_probes",
    "neuroling.probing.PATTERNS",
    "neuroling.probing.WithinSentences",
    "neuroling.probing.centre_of_gravity",
    "neuroling.probing.dependency_accuracy",
    "neuroling.probing.depth_spearman",
    "neuroling.probing.distance_spearman",
    "neuroling.probing.random_heads",
    "neuroling.probing.root_found",
    "neuroling.probing.sentence_spans",
    "neuroling.probing.stack_layers",
    "neuroling.probing.with_heads",
    "neuroling.probing.without_heads",
    "neuroling.probing.word_depths",
    "neuroling.report.AttentionText",
    "neuroling.report.Block",
    "neuroling.report.Callout",
    "neuroling.report.ControlSet",
    "neuroling.report.EncodingStudy",
    "neuroling.report.Exhibit",
    "neuroling.report.Figure",
    "neuroling.report.MatchingStudy",
    "neuroling.report.RegionStudy",
    "neuroling.report.SERIES",
    "neuroling.report.Section",
    "neuroling.report.Table",
    "neuroling.report.Text",
    "neuroling.report.animate_rdm",
    "neuroling.report.axes_to_png",
    "neuroling.report.compare_with_expected",
    "neuroling.report.draw_heads",
    "neuroling.report.draw_training",
    "neuroling.report.figure_to_png",
    "neuroling.report.film_of_units",
    "neuroling.report.montage_positions",
    "neuroling.report.new_axes",
    "neuroling.report.plot_ablation",
    "neuroling.report.plot_against_published",
    "neuroling.report.plot_attention",
    "neuroling.report.plot_collinearity",
    "neuroling.report.plot_effect_table",
    "neuroling.report.plot_errors",
    "neuroling.report.plot_fit",
    "neuroling.report.plot_four_panels",
    "neuroling.report.plot_frequencies",
    "neuroling.report.plot_generalization",
    "neuroling.report.plot_head_table",
    "neuroling.report.plot_layers",
    "neuroling.report.plot_mds",
    "neuroling.report.plot_mixture",
    "neuroling.report.plot_models_over_time",
    "neuroling.report.plot_parse",
    "neuroling.report.plot_points",
    "neuroling.report.plot_rdm_strip",
    "neuroling.report.plot_reading",
    "neuroling.report.plot_recall",
    "neuroling.report.plot_sensitivity",
    "neuroling.report.plot_sweep",
    "neuroling.report.plot_symbol_attention",
    "neuroling.report.plot_topographies",
    "neuroling.report.plot_units",
    "neuroling.report.region_table",
    "neuroling.report.to_source_estimate",
    "neuroling.report.write_encoding_report",
    "neuroling.report.write_matching_report",
    "neuroling.report.write_region_report",
    "neuroling.rsa.KARAPETIAN_2023",
    "neuroling.rsa.PairLabels",
    "neuroling.rsa.collinearity",
    "neuroling.rsa.crossnobis",
    "neuroling.rsa.decoding_rdms",
    "neuroling.rsa.in_order_of",
    "neuroling.rsa.label_pairs",
    "neuroling.rsa.neighbours_within",
    "neuroling.rsa.noise_covariance",
    "neuroling.rsa.paired",
    "neuroling.rsa.stack_models",
    "neuroling.rsa.whiten",
}
"""Public names that still lack an example."""


def stub_of(path: str) -> Path:
    return ROOT.joinpath(*path.split("."), "__init__.pyi")


def listed(path: str) -> dict[str, str]:
    """Names of a namespace, and the module where each is defined."""
    return {name: home for home, name in LINE.findall(stub_of(path).read_text(encoding="utf-8"))}


HOMES = {path: listed(path) for path in PATHS}
PUBLIC = {home_and_name: path for path in reversed(PATHS) for home_and_name in [(h, n) for n, h in HOMES[path].items()]}
"""Each public object once, (module, name), with the path it is imported from: the package itself where it is there."""


def thing(home: str, name: str) -> object:
    """Import a public object from where it is defined."""
    module = import_module(home)
    is_module = home in PATHS or home == "neuroling.data.loaders"
    return import_module(f"{home}.{name}") if is_module and name.islower() else getattr(module, name)


KEYS = {f"{path}.{name}": (home, name) for (home, name), path in PUBLIC.items()}
"""Each public object once: (module, name) by the path that it is imported from."""


# --- lists of names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_every_line_of_a_stub_is_read(path):
    lines = stub_of(path).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("from") and not LINE.match(line)] == []
    assert len(HOMES[path]) == len([line for line in lines if line.startswith("from")])


@pytest.mark.parametrize("path", PATHS)
def test_every_listed_name_can_be_imported(path):
    namespace = import_module(path)
    assert namespace.__all__ == sorted(HOMES[path]) == dir(namespace)
    for name, home in HOMES[path].items():
        assert getattr(namespace, name) is thing(home, name)


def test_about_forty_names_are_on_top():
    assert 35 <= len(HOMES["neuroling"]) - len(NAMESPACES) - len(["workflow"]) <= 45


def test_names_on_top_are_those_of_the_namespaces():
    core = {"Aligned", "Result", "Stimuli", "align"}
    lower = {(home, name) for path in PATHS[1:] for name, home in HOMES[path].items()}
    top = {(home, name) for name, home in HOMES["neuroling"].items() if home != "neuroling" and name not in core}
    assert top - lower == set()


def test_a_name_means_one_thing_in_all_namespaces():
    homes: dict[str, set[str]] = {}
    for name, home in chain.from_iterable(HOMES[path].items() for path in PATHS):
        homes.setdefault(name, set()).add(home)
    assert {name for name, modules in homes.items() if len(modules) > 1} == {"train"}  # a language model, a network


def test_a_function_is_not_hidden_by_the_module_of_the_same_name():
    code = (
        "import neuroling.evaluation.evaluate, neuroling.n400.simulate\n"
        "from neuroling.evaluation import evaluate\nfrom neuroling.n400 import simulate\n"
        "assert callable(evaluate) and callable(simulate)\n"
        "from neuroling.n400.simulate import simulate_units\nassert callable(simulate_units)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_a_namespace_loads_nothing_heavy():
    heavy = {"torch", "mne", "nilearn", "matplotlib", "sklearn", "xarray", "pandas", "scipy", "numpy", "transformers"}
    code = f"import sys, {', '.join(PATHS)}; sys.exit(', '.join(sorted({heavy} & set(sys.modules))) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_misspelt_name_is_refused_with_one_that_is_spelt_like_it():
    with pytest.raises(AttributeError, match="did you mean evaluate"):
        _ = neuroling.evalute


def test_a_name_of_another_namespace_is_refused_with_its_path():
    with pytest.raises(AttributeError, match=r"`from neuroling.rsa import FixedRDM`"):
        _ = neuroling.FixedRDM
    with pytest.raises(AttributeError, match=r"`from neuroling import Stimuli`"):
        _ = neuroling.rsa.Stimuli


def test_a_name_unlike_any_other_is_refused_with_all_of_them():
    with pytest.raises(AttributeError, match=r"it has .*FixedRDM"):
        _ = neuroling.rsa.qqqqq


# --- who imports from where ---------------------------------------------------------------------------------------


def imports_in(text: str) -> list[tuple[str, str]]:
    """List what is imported from the package in Python or in a page: (module, name), or (module, "") for ``import``."""
    pattern = re.compile(r"^[ \t]*(?:>>> )?from (neuroling[\w.]*) import (\([^)]*\)|[^\n(]*)", re.MULTILINE)
    found = []
    for module, names in pattern.findall(text):
        bare = re.sub(r"#.*|\.\.\.|[()]", " ", names)
        found += [(module, name.split(" as ")[0].strip()) for name in bare.split(",") if name.strip()]
    found += [(module, "") for module in re.findall(r"^[ \t]*(?:>>> )?import (neuroling[\w.]*)", text, re.MULTILINE)]
    return found


def test_imports_in_pages_and_scripts_are_found():
    text = ">>> from neuroling.rsa import (\n...     FixedRDM,\n...     rdms as r,\n... )\nimport neuroling.rsa\n"
    assert imports_in(text) == [("neuroling.rsa", "FixedRDM"), ("neuroling.rsa", "rdms"), ("neuroling.rsa", "")]


PAGES = [path for path in (ROOT / "docs").rglob("*") if path.suffix in {".md", ".rst"}]
PAGES = [path for path in PAGES if not {"decisions", "changes", "_build", "generated", "_templates"} & set(path.parts)]
SCRIPTS = [path for folder in ("analyses", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
SCRIPTS = [path for path in SCRIPTS if path.parent.name != "reliability"]  # it damages files below the public readers
SNAKEFILES = list((ROOT / "analyses").rglob("Snakefile"))
READERS = sorted([ROOT / "README.md", *PAGES, *SCRIPTS, *SNAKEFILES])


@pytest.mark.parametrize("file", READERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pages_analyses_and_benchmarks_import_public_names_alone(file):
    allowed = {*PATHS, *(["neuroling.workflow"] if file.name in {"Snakefile", "hpc.md"} else [])}
    private = {module for module, name in imports_in(file.read_text(encoding="utf-8")) if module not in allowed}
    excused = file.relative_to(ROOT).as_posix() in TIME_AN_INNER_FUNCTION
    assert bool(private) == excused, sorted(private)


# --- documentation ------------------------------------------------------------------------------------------------


def test_the_reference_has_every_name_on_top_and_every_namespace():
    """Pages of the namespaces are made from their lists of names: docs/_templates/autosummary/namespace.rst."""
    index = (ROOT / "docs" / "api" / "index.rst").read_text(encoding="utf-8")
    entries = {
        line.strip().rpartition(".")[2] for line in index.splitlines() if line.startswith(("   ", ".. autodata"))
    }
    assert set(HOMES["neuroling"]) - entries - {"workflow"} == set()


def _fields_are_described(described: type) -> bool:
    """Whether a class that is its fields names them all: under Attributes, or for a tuple in its summary."""
    text = inspect.getdoc(described) or ""
    if dataclasses.is_dataclass(described):
        names = [field.name for field in dataclasses.fields(described) if not field.name.startswith("_")]
        return all(re.search(rf"^(\w+, )*{name}(, \w+)* :", text, re.MULTILINE) for name in names)
    return all(re.search(rf"\b{name}", text) for name in getattr(described, "_fields", ["no field at all"]))


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_public_name_is_documented(key):
    """Numpydoc: a docstring with a summary, its parameters described, none unknown and none out of order."""
    numpydoc = pytest.importorskip("numpydoc.validate")
    value = thing(*KEYS[key])
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        pytest.skip("a value; its module describes it")
    faults = numpydoc.validate(f"{value.__module__}.{value.__qualname__}")["errors"]
    serious = {"GL08", "SS01", "SS03", "PR01", "PR02", "PR03", "PR06", "PR07", "YD01"}
    errors = [error for error in faults if error[0] in serious]
    assert [error for error in errors if not (error[0] == "PR01" and _fields_are_described(value))] == []


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_public_method_has_a_docstring(key):
    value = thing(*KEYS[key])
    members = inspect.getmembers(value) if inspect.isclass(value) else []
    ours = [
        (name, member)
        for name, member in members
        if not name.startswith("_") and getattr(inspect.unwrap(member), "__module__", "").startswith("neuroling")
    ]
    assert [name for name, member in ours if not inspect.getdoc(member)] == []


def has_example(home: str, name: str) -> bool:
    """Whether an example is in its docstring, or for a value in that of its module."""
    value = thing(home, name)
    is_value = not (inspect.isclass(value) or inspect.isfunction(value) or isinstance(value, ModuleType))
    text = inspect.getdoc(import_module(home) if is_value else value) or ""
    code = "\n".join(line for line in text.splitlines() if re.match(r"\s*(>>>|\.\.\.) ", line))
    return bool(re.search(rf"\b{name}\b", code)) if is_value else bool(code)


def test_every_public_name_has_an_example():
    """The examples run in tests/test_docs.py."""
    bare = {
        key
        for key, (home, name) in KEYS.items()
        if not isinstance(thing(home, name), ModuleType) and not has_example(home, name)
    }
    assert bare - WITHOUT_EXAMPLE == set()


def test_no_public_function_has_more_than_eight_parameters_without_a_reason():
    """The reason is a comment above the function: ``# More than eight parameters: …``."""
    unexplained = []
    for key, (home, name) in KEYS.items():
        value = thing(home, name)
        if inspect.isfunction(value) and len(inspect.signature(value).parameters) > 8:
            source = Path(inspect.getfile(inspect.unwrap(value))).read_text(encoding="utf-8")
            if not re.search(
                rf"^# More than eight parameters: .{{20,}}\n(@.*\n)*def {value.__name__}\(", source, re.MULTILINE
            ):
                unexplained.append(key)
    assert unexplained == []
