"""Folders that the tests of this room share: twins on disk, and real data where they are at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from neuroling.data.errors import DataNotFound
from neuroling.data.fetch import locate
from neuroling.data.loaders import alice2016, mitchell2008, neurosynth


@pytest.fixture
def real() -> Callable[[str], Path]:
    """Give the folder of a real data set, or skip and say where it was looked for."""

    def find(name: str) -> Path:
        try:
            return locate(name)
        except DataNotFound as error:
            pytest.skip(str(error))

    return find


LAYOUTS = Path(__file__).resolve().parents[3] / "shared" / "layouts"
"""Published listings of data sets, with their real small files, beside a working tree."""


@pytest.fixture
def layout() -> Callable[[str], Path]:
    """Give the folder with the real small files of a data set, or skip."""

    def find(name: str) -> Path:
        folder = LAYOUTS / name / "files"
        if not folder.is_dir():
            pytest.skip(f"no small files of {name} at {folder}")
        return folder

    return find


@pytest.fixture
def tree(layout: Callable[[str], Path]) -> Callable[[str], dict[str, tuple[int, str]]]:
    """Give the published listing of a data set: bytes and checksum by path."""

    def read(name: str) -> dict[str, tuple[int, str]]:
        rows = (layout(name).parent / "tree.tsv").read_text().splitlines()[1:]
        cells = (row.split("\t") for row in rows)
        return {path: (int(size), key.rpartition(":")[2]) for path, _, size, key in cells}

    return read


@pytest.fixture
def neurosynth_folder(tmp_path: Path) -> Path:
    neurosynth.write_twin(tmp_path, 0, n_articles=40)
    return tmp_path


@pytest.fixture
def alice_folder(tmp_path: Path) -> Path:
    alice2016.write_twin(tmp_path, 0, n_subjects=3, n_volumes=40)
    return tmp_path


@pytest.fixture
def mitchell_folder(tmp_path: Path) -> Path:
    mitchell2008.write_twin(tmp_path, 0, participants=["P1"], n_voxels=60, grid_shape=(8, 9, 5))
    return tmp_path
