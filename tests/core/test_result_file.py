"""Result files: the same numbers come back, or a sentence says that the file is damaged."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from neuroling import Result
from neuroling.evaluation import NullDistribution, Provenance, ResultFileError


def example(seed: int = 0) -> Result:
    """A result with everything that a result can have."""
    rng = np.random.default_rng(seed)
    coords = {
        "voxel": ["left", "right", "größer"],
        "x_mm": ("voxel", [-4.0, np.nan, 4.0]),
        "roi": ("voxel", np.array([1, 2, 2], dtype="i2")),
        "inside": ("voxel", [True, False, True]),
    }
    score = xr.DataArray(rng.standard_normal((4, 3)), dims=("split", "voxel"), coords=coords)
    score.coords["x_mm"].attrs["unit"] = "mm"
    score[0, 0] = np.nan
    draws = (score[0].copy(data=draw) for draw in rng.standard_normal((25, 3)))
    null = NullDistribution.collect(score.mean("split"), draws, method="permutation of samples")
    null = NullDistribution(**{**null.__dict__, "cluster": null.p_values()})
    ceiling = xr.concat([score[0] + 1, score[0] + 2], "bound").assign_coords(bound=["lower", "upper"])
    provenance = Provenance(options={"model": "Ridge()"}, data={"features": "ab" * 32}, seed="7", notes=("α → ω",))
    return Result.of(score, metric="pearson", ceiling=ceiling, null=null, provenance=provenance)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("results") / "result.nc"
    example().save(path)
    return path


# --- what was written comes back --------------------------------------------------------------------------------------


def test_everything_comes_back_identical(saved):
    loaded = Result.load(saved)
    xr.testing.assert_identical(loaded.data, example().data)
    assert loaded.provenance == example().provenance


def test_types_come_back(saved):
    loaded, written = Result.load(saved).data, example().data
    assert {k: v.dtype for k, v in loaded.variables.items()} == {k: v.dtype for k, v in written.variables.items()}


@pytest.mark.parametrize("correction", ["none", "fdr", "max", "cluster"])
def test_p_values_come_back(saved, correction):
    xr.testing.assert_identical(Result.load(saved).p_values(correction), example().p_values(correction))


def test_a_result_loaded_and_saved_again_is_the_same_file(saved, tmp_path):
    Result.load(saved).save(tmp_path / "again.nc")
    xr.testing.assert_identical(Result.load(tmp_path / "again.nc").data, Result.load(saved).data)


def test_a_long_provenance_fits(tmp_path):
    provenance = Provenance(data={f"P{i}": "0123456789abcdef" * 4 for i in range(20_000)})
    Result.of(xr.DataArray([0.5], dims="split"), metric="m", provenance=provenance).save(tmp_path / "long.nc")
    assert Result.load(tmp_path / "long.nc").provenance == provenance


def test_any_hdf5_reader_opens_the_file(saved):
    with h5py.File(saved) as file:
        assert file["score"].shape == (4, 3)


def test_an_existing_file_is_replaced(tmp_path):
    path = tmp_path / "result.nc"
    for seed in (1, 2):
        example(seed).save(path)
    xr.testing.assert_identical(Result.load(path).data, example(2).data)
    assert [file.name for file in tmp_path.iterdir()] == ["result.nc"]


def test_other_people_may_read_what_the_umask_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        example().save(tmp_path / "result.nc")
    finally:
        os.umask(before)
    assert (tmp_path / "result.nc").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("name", ["mit Leerzeichen.nc", "λ.nc", "x" * 200 + ".nc", "no_suffix"])
def test_names_of_any_kind_do(tmp_path, name):
    example().save(str(tmp_path / name))
    assert Result.load(str(tmp_path / name)).metric == "pearson"


# --- damage is found --------------------------------------------------------------------------------------------------


def test_every_flipped_bit_is_found(saved, tmp_path):
    content, damaged = saved.read_bytes(), tmp_path / "damaged.nc"
    rng = np.random.default_rng(0)
    places = np.unique(np.r_[np.arange(16), len(content) - 1 - np.arange(120), rng.integers(len(content), size=200)])
    for place, bit in zip(places.tolist(), rng.integers(8, size=len(places)).tolist(), strict=True):
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        damaged.write_bytes(flipped)
        with pytest.raises(ResultFileError, match=r"path: .*damaged.nc"):
            Result.load(damaged)


def test_every_truncation_is_found(saved, tmp_path):
    content, short = saved.read_bytes(), tmp_path / "short.nc"
    lengths = {0, 1, 7, 8, 9, 512, 4096, *(len(content) - k for k in range(1, 120)), *range(0, len(content), 997)}
    for length in sorted(lengths):
        short.write_bytes(content[:length])
        with pytest.raises(ResultFileError, match=r"truncated, damaged|checksum"):
            Result.load(short)


def test_bytes_that_follow_or_precede_are_found(saved, tmp_path):
    path = tmp_path / "longer.nc"
    for content in (saved.read_bytes() + b"\0", b"\0" + saved.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(ResultFileError):
            Result.load(path)


# --- a disk that fails leaves the old file as it was ------------------------------------------------------------------


@pytest.fixture
def old(tmp_path) -> Path:
    path = tmp_path / "result.nc"
    example(1).save(path)
    return path


def assert_untouched(old: Path) -> None:
    xr.testing.assert_identical(Result.load(old).data, example(1).data)
    assert [file.name for file in old.parent.iterdir()] == [old.name]


def test_a_file_that_cannot_grow_leaves_the_old_one(old):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match=r"cannot write the result \(File too large\).*nothing that stood there"):
            example(2).save(old)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_untouched(old)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fails_at_the_last_moment_leaves_the_old_one(old, monkeypatch, code):
    def fail(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"cannot write the result .*result\.nc") as caught:
        example(2).save(old)
    assert caught.value.errno == code
    assert_untouched(old)


def test_an_interrupted_write_leaves_the_old_one(old, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        example(2).save(old)
    assert_untouched(old)


KILLED = """
import os, signal, xarray as xr
from neuroling.core.result import Result
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
Result.of(xr.DataArray([0.5], dims="split"), metric="m").save({path!r})
"""


def test_a_killed_write_leaves_the_old_one(old):
    done = subprocess.run([sys.executable, "-c", KILLED.format(path=str(old))], check=False)
    assert done.returncode == -9
    xr.testing.assert_identical(Result.load(old).data, example(1).data)


def test_a_read_only_folder_is_named(tmp_path, monkeypatch):
    def refuse(path, *_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match=r"cannot write the result \(Read-only file system\).*result\.nc"):
        example().save(tmp_path / "result.nc")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(OSError, match=r"cannot write the result \(No such file or directory\).*nowhere"):
        example().save(tmp_path / "nowhere" / "result.nc")


def test_a_folder_is_not_overwritten(tmp_path):
    (tmp_path / "result.nc").mkdir()
    with pytest.raises(OSError, match="cannot write the result"):
        example().save(tmp_path / "result.nc")
    assert [file.name for file in tmp_path.iterdir()] == ["result.nc"]
