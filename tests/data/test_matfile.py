from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from neuroling.data import matfile
from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.matfile import read_mat


def cells(*values: object) -> np.ndarray:
    array = np.empty((len(values), 1), dtype=object)
    array[:, 0] = values
    return array


def test_structs_and_cells_become_plain_arrays(tmp_path: Path) -> None:
    info = np.zeros((1, 2), dtype=[("word", object), ("epoch", object)])
    info[0, 0], info[0, 1] = ("dog", 1.0), ("saw", 2.0)
    rows = [np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])]
    savemat(tmp_path / "a.mat", {"info": info, "data": cells(*rows), "meta": {"dim": 3.0, "name": "P1"}})
    contents = read_mat(tmp_path / "a.mat", ["info", "data", "meta"])
    assert contents["info.word"].tolist() == ["dog", "saw"]
    assert contents["info.epoch"].ravel().tolist() == [1.0, 2.0]
    assert contents["data"].tolist() == [[[1.0, 2.0]], [[3.0, 4.0]]]
    assert contents["meta.name"].tolist() == ["P1"]
    assert contents["meta.dim"].item() == 3


def test_ragged_cells_are_reported_and_not_stacked(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"data": cells(np.ones((1, 2)), np.ones((1, 3)))})
    contents = read_mat(tmp_path / "a.mat", ["data"])
    assert "2 cells of shapes [(1, 2), (1, 3)]" in str(contents["problem:data"])


def test_a_missing_variable_is_named(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"info": 1.0})
    with pytest.raises(CorruptData, match="no variable data; expected the variables info, data"):
        read_mat(tmp_path / "a.mat", ["info", "data"])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match=r"a.mat: no such file; expected a MATLAB file"):
        read_mat(tmp_path / "a.mat", ["info"])


@pytest.mark.parametrize("content", [b"", b"<html>log in</html>", bytes(200)])
def test_what_is_no_matlab_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(CorruptData, match=r"a.mat: it cannot be read \(.*fetch it again"):
        read_mat(tmp_path / "a.mat", ["info"])


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"data": np.arange(500.0)})
    (tmp_path / "a.mat").write_bytes((tmp_path / "a.mat").read_bytes()[:900])
    with pytest.raises(CorruptData, match="it cannot be read"):
        read_mat(tmp_path / "a.mat", ["data"])


def child(code: str) -> object:
    """Stand in for subprocess.run with a child that runs this code instead."""
    run = subprocess.run
    return lambda command, **options: run([sys.executable, "-c", code], **options)


def test_a_crash_of_the_reader_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mat").write_bytes(b"x")
    crash = f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})"
    monkeypatch.setattr(matfile.subprocess, "run", child(crash))
    with pytest.raises(CorruptData, match=rf"reading it crashed \(signal {int(signal.SIGSEGV)}\)"):
        read_mat(tmp_path / "a.mat", ["data"])


def test_a_reader_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mat").write_bytes(b"x")
    monkeypatch.setattr(matfile, "TIME_LIMIT_S", 0.2)
    monkeypatch.setattr(matfile.subprocess, "run", child("import time; time.sleep(9)"))
    with pytest.raises(CorruptData, match=r"not read within 0.2 s"):
        read_mat(tmp_path / "a.mat", ["data"])


def test_reading_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    savemat(tmp_path / "a.mat", {"data": np.arange(5.0)})
    (tmp_path / "work").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "work"))
    read_mat(tmp_path / "a.mat", ["data"])
    assert os.listdir(tmp_path / "work") == []  # noqa: PTH208 - a list of names is what is compared
