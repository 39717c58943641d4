"""MATLAB files from elsewhere, read in a process of their own: a damaged one can crash the reader, not the session.

``scipy.io.loadmat`` ends in a segmentation fault on some damaged files, so :func:`read_mat` starts a child that
flattens the file into plain arrays (no pickle), and turns a crash, a hang or an error of it into one sentence.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroling.data.errors import CorruptData, require_file

TIME_LIMIT_S = 120
"""Seconds after which a file is given up; one participant of Mitchell et al. takes about two."""

MEMORY_LIMIT = 16 * 2**30
"""Bytes of address space that the child may take."""

PROBLEM = "problem:"
"""Opens the key under which the child reports a variable that is no plain array."""


def read_mat(path: Path | str, variables: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Read variables of a MATLAB file (up to version 7) as plain arrays.

    Parameters
    ----------
    path : path
        The file.
    variables : sequence of str
        Variables that must be in it.

    Returns
    -------
    dict of numpy.ndarray
        A numeric variable under its name; fields of a struct as ``"meta.dimx"``; fields of a struct array and cells,
        stacked along the first axis, as ``"info.word"``. Text becomes ``str``. A field that cannot be stacked, its
        shapes being different, stands under ``"problem:NAME"`` as a sentence.

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent, cannot be read, or lacks a variable.
    """
    path = require_file(path, "a MATLAB file")
    with tempfile.TemporaryDirectory() as folder:
        flat = Path(folder) / "flat.npz"
        _run_child(path, variables, flat)
        with np.load(flat, allow_pickle=False) as arrays:
            contents = dict(arrays)
    missing = [name for name in variables if not any(_belongs(key, name) for key in contents)]
    if missing:
        raise CorruptData(path, f"no variable {', '.join(missing)}", f"the variables {', '.join(variables)}")
    return contents


def _belongs(key: str, variable: str) -> bool:
    return key.removeprefix(PROBLEM).partition(".")[0] == variable


def _run_child(path: Path, variables: Sequence[str], target: Path) -> None:
    command = [sys.executable, "-P", "-m", "neuroling.data.matfile", str(path), str(target), *variables]
    expected = "a whole MATLAB file, version 7 or older; fetch it again"
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise CorruptData(path, f"not read within {TIME_LIMIT_S} s", expected) from error
    if child.returncode < 0:
        raise CorruptData(path, f"reading it crashed (signal {-child.returncode})", expected)
    if child.returncode:
        reason = (child.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CorruptData(path, f"it cannot be read ({reason[:300]})", expected)


def flattened(name: str, value: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Flatten what ``loadmat`` gives for one variable.

    Parameters
    ----------
    name : str
        Name of the variable.
    value : numpy.ndarray
        Numbers, text, a cell array (object dtype) or a struct array (named fields).

    Returns
    -------
    dict of numpy.ndarray
        As described for :func:`read_mat`.
    """
    if value.dtype.names:
        parts = [_stacked(f"{name}.{field}", value[field].ravel()) for field in value.dtype.names]
        return {key: array for part in parts for key, array in part.items()}
    return _stacked(name, value.ravel()) if value.dtype == object else {name: value}


def _stacked(name: str, cells: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Stack cells along a new first axis; a single cell stays as it is."""
    arrays = [np.asarray(cell) for cell in cells]
    if len(arrays) == 1 and arrays[0].dtype == object:  # a cell array that is the field of a struct
        return _stacked(name, arrays[0].ravel())
    if all(array.dtype.kind == "U" and array.size <= 1 for array in arrays):
        return {name: np.array(["".join(array.ravel()) for array in arrays], dtype=str)}
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) != 1 or any(array.dtype.kind not in "fiub" for array in arrays):
        kinds = sorted({str(array.dtype) for array in arrays})
        return {PROBLEM + name: np.array(f"{len(arrays)} cells of shapes {shapes[:4]} and types {kinds[:4]}")}
    return {name: arrays[0] if len(arrays) == 1 else np.stack(arrays)}


def _convert(source: str, target: str, *variables: str) -> None:
    """Do the child's work."""
    from scipy.io import loadmat

    _limit_memory()
    contents = loadmat(source, variable_names=list(variables))
    flat: dict[str, NDArray[Any]] = {}
    for name in variables:
        flat |= flattened(name, contents[name]) if name in contents else {}
    np.savez(target, allow_pickle=False, **flat)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_LIMIT if most == resource.RLIM_INFINITY else min(MEMORY_LIMIT, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))


if __name__ == "__main__":
    _convert(*sys.argv[1:])
