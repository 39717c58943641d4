from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from neuroling.cli import analyses
from neuroling.cli.app import build
from neuroling.core.provenance import Provenance
from neuroling.core.result import Result

SCRIPT = '''"""Count to a number, aloud.

More about counting.
"""
import logging
from typing import Annotated
import typer

def main(upto: int = 3, fail: Annotated[str, typer.Option(help="Kind of failure.")] = "") -> None:
    logging.getLogger(__name__).info("counting to %d", upto)
    typer.echo(" ".join(map(str, range(1, upto + 1))))
    if fail == "interrupt":
        raise KeyboardInterrupt
    if fail:
        raise {"value": ValueError, "bug": RuntimeError, "disk": OSError}[fail]("the cellar\\n is full")
'''


@pytest.fixture
def call() -> Callable[..., object]:
    """Run the command line in this process."""
    return lambda *arguments: CliRunner().invoke(build(), list(map(str, arguments)), prog_name="neuroling")


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one analysis, which the command line finds."""
    folder = tmp_path / "analyses"
    folder.mkdir()
    (folder / "counting.py").write_text(SCRIPT, encoding="utf-8")
    (folder / "_shared.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(analyses, "folder", lambda: folder)
    return folder


def result_of(
    values: Sequence[float] | np.ndarray,
    dim: str | None = "subject",
    labels: Sequence[str] | None = None,
    *,
    metric: str = "pearson",
    recording: str = "a" * 64,
    synthetic: bool = False,
    **options: str,
) -> Result:
    """A result with one split and one kept axis, or none."""
    array = np.asarray(values, dtype=float)[None]
    dims = ("split",) if dim is None else ("split", dim)
    coords = {} if dim is None else {dim: labels or [f"{dim} {i}" for i in range(array.shape[1])]}
    score = xr.DataArray(array[:, 0] if dim is None else array, dims=dims, coords=coords)
    provenance = Provenance(
        options={"model": "Ridge()", **options},
        data={"features": "f" * 64, "recording": recording} if recording else {},
        seed="0",
        synthetic=synthetic,
        versions={"numpy": "2.0"},
        created="2024-05-06T07:08:09+00:00",
    )
    return Result.of(score, metric=metric, provenance=provenance)


@pytest.fixture
def make_result() -> Callable[..., Result]:
    return result_of


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Save a result under a name."""

    def save(name: str, *args: object, **options: object) -> Path:
        path = tmp_path / name
        result_of(*args, **options).save(path)
        return path

    return save
