"""The choice of libraries: measured once, remembered safely, the same for all processes, and never at import."""

import json
import os
import subprocess
import sys

import pytest

from neuroling.numerics import library_choice as choice
from neuroling.numerics.library_choice import Memory, Setup, Task, as_text, fastest, remembered_or_measured

LARGE = Task("multiply", "float32", "large")
FACTOR = Task("cholesky", "float64", "small")
MEASURED = {LARGE: {"torch": 2.0, "numpy": 1.0}, FACTOR: {"torch": 1.0, "scipy": 0.99}}
HERE = Setup("a processor", 1, {"torch": "2"})

posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights as POSIX has them")
not_root = pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    return tmp_path / "neuroling" / "products"


def _never():
    raise AssertionError("measured")


# --- choosing ---------------------------------------------------------------------------------------------------------


def test_the_fastest_library_is_chosen_only_where_it_is_clearly_faster_than_torch():
    assert fastest(MEASURED) == {LARGE: "numpy", FACTOR: "torch"}


def test_a_choice_reads_in_one_line():
    chosen = {Task("eigh", "float64", size): "scipy" for size in choice.SIZES} | {LARGE: "numpy"}
    assert as_text(chosen) == "eigh float64 scipy; multiply float32 numpy"


def test_an_unknown_library_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"NEUROLING_PRODUCTS: got 'mkl'; expected 'measured' .* torch, onednn"):
        choice.named_library("mkl")


# --- remembering ------------------------------------------------------------------------------------------------------


def test_what_was_measured_is_not_measured_again():
    assert remembered_or_measured(HERE, lambda: MEASURED) == MEASURED
    assert remembered_or_measured(HERE, _never) == MEASURED


@pytest.mark.parametrize(
    "other", [Setup("another", 1, {"torch": "2"}), Setup("a processor", 2, {"torch": "2"}), HERE._replace(versions={})]
)
def test_another_processor_thread_count_or_version_is_measured_anew(other):
    remembered_or_measured(HERE, lambda: MEASURED)
    assert remembered_or_measured(other, lambda: {LARGE: {"torch": 1.0}}) == {LARGE: {"torch": 1.0}}
    assert remembered_or_measured(HERE, _never) == MEASURED


def test_of_two_processes_that_measure_at_once_the_first_to_write_is_believed_by_both():
    memory = Memory.of(HERE)
    assert memory.write(MEASURED) == MEASURED
    assert memory.write({LARGE: {"torch": 1.0}}) == MEASURED


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"setup": 1, "seconds": {}}'])
def test_a_damaged_file_is_replaced(text, cache):
    remembered_or_measured(HERE, lambda: MEASURED)
    (file,) = cache.iterdir()
    file.write_text(text)
    assert remembered_or_measured(HERE, lambda: {LARGE: {"torch": 1.0}}) == {LARGE: {"torch": 1.0}}
    assert remembered_or_measured(HERE, _never) == {LARGE: {"torch": 1.0}}


def test_a_file_with_nonsense_inside_is_measured_anew(cache):
    remembered_or_measured(HERE, lambda: MEASURED)
    (file,) = cache.iterdir()
    record = json.loads(file.read_text())
    file.write_text(json.dumps(record | {"seconds": {"multiply float32": {"torch": 1.0}}}))
    assert remembered_or_measured(HERE, lambda: MEASURED) == MEASURED


@posix
def test_nobody_else_can_read_or_write_what_is_remembered(cache):
    remembered_or_measured(HERE, lambda: MEASURED)
    (file,) = cache.iterdir()
    assert cache.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o777 == 0o600


@posix
@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_folder_that_others_can_write_to_is_not_believed(mode, cache):
    remembered_or_measured(HERE, lambda: MEASURED)
    cache.chmod(mode)
    assert remembered_or_measured(HERE, _never) == {}


@posix
def test_a_folder_of_another_user_is_not_believed(monkeypatch):
    remembered_or_measured(HERE, lambda: MEASURED)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert remembered_or_measured(HERE, _never) == {}


@posix
@not_root
def test_where_nothing_can_be_written_nothing_is_measured(cache):
    cache.parent.mkdir(parents=True)
    cache.parent.chmod(0o500)
    assert remembered_or_measured(HERE, _never) == {}


def test_a_file_where_the_folder_should_be_leaves_all_to_torch(tmp_path):
    (tmp_path / "neuroling").write_text("")
    assert remembered_or_measured(HERE, _never) == {}


def test_a_full_disk_leaves_all_to_torch_and_nothing_behind(monkeypatch, cache):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    memory = Memory.of(HERE)
    monkeypatch.setattr(os, "open", full)
    assert memory.write(MEASURED) == {}
    assert list(cache.iterdir()) == []


def test_a_file_system_without_links_remembers_too(monkeypatch):
    def refuse(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert remembered_or_measured(HERE, lambda: MEASURED) == MEASURED
    assert remembered_or_measured(HERE, _never) == MEASURED


# --- a process --------------------------------------------------------------------------------------------------------


def test_nothing_is_chosen_or_written_at_import(cache):
    code = (
        "import neuroling.numerics.ridge.refit, neuroling.core.provenance as provenance\n"
        "assert 'matrix products' not in provenance.current_versions()"
    )
    environment = {**os.environ, "NEUROLING_PRODUCTS": "measured"}
    subprocess.run([sys.executable, "-P", "-c", code], check=True, env=environment)
    assert not cache.exists()


def test_a_process_remembers_its_choice_and_records_it(cache):
    """Four processes at once: all believe one file."""
    code = (
        "import torch\n"
        "from neuroling.core.provenance import current_versions\n"
        "from neuroling.numerics.products import multiply\n"
        "multiply(torch.ones(100, 100), torch.ones(100, 100))\n"
        "print(current_versions()['matrix products'])"
    )
    environment = {**os.environ, "NEUROLING_PRODUCTS": "measured"}
    command = [sys.executable, "-P", "-c", code]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in running]
    assert len(set(said)) == 1
    assert "multiply float32" in said[0]
    assert len(list(cache.iterdir())) == 1
