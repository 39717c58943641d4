"""No code in the current folder runs in child processes of the package."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io

PACKAGE = Path(__file__).resolve().parents[2] / "neuroling"
NAMES = ("scipy", "numpy", "typer", "neuroling", "json", "h5py", "random")


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """Modules of common names in the current folder, each of which leaves a mark when it is imported."""
    for name in NAMES:
        mark = f"import pathlib; pathlib.Path({str(tmp_path / 'canary')!r}).touch()\nraise ImportError('planted')\n"
        (tmp_path / f"{name}.py").write_text(mark)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "canary"


def test_reading_a_mat_file_imports_nothing_from_the_current_folder(trap, tmp_path):
    from neuroling.data.matfile import read_mat

    folder = tmp_path / "data"
    folder.mkdir()
    scipy.io.savemat(folder / "x.mat", {"x": np.arange(3.0)})
    read = read_mat(folder / "x.mat", ["x"])
    np.testing.assert_array_equal(np.ravel(read["x"]), np.arange(3.0))
    assert not trap.exists()


def test_measuring_a_call_imports_nothing_from_the_current_folder(trap):
    from neuroling.cli.resource_estimate import measure

    measure(["--version"])
    assert not trap.exists()


def test_every_child_process_of_the_interpreter_is_kept_from_the_current_folder():
    """Lists that begin with sys.executable go on with -P or -I."""
    open_to_the_folder = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.List) and node.elts and ast.unparse(node.elts[0]) == "sys.executable":
                second = node.elts[1]
                if not (isinstance(second, ast.Constant) and second.value in ("-P", "-I")):
                    open_to_the_folder.append(f"{path.name}:{node.lineno}")
    assert open_to_the_folder == []


def test_the_trap_works(trap):
    environment = {**os.environ, "PYTHONPATH": ""}
    subprocess.run([sys.executable, "-c", "import random"], env=environment, capture_output=True, check=False)
    assert trap.exists()
