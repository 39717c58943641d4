from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroling.core.result import Result
from neuroling.core.units import stamp


@pytest.fixture
def units(tmp_path):
    paths = []
    for number, subject in enumerate(("s1", "s2")):
        result = Result.of(
            xr.DataArray(np.full((1, 2), number / 4), dims=("split", "region"), coords={"region": ["a", "b"]}),
            metric="pearson",
        )
        paths.append(tmp_path / f"{subject}.nc")
        stamp(result, {"subject": subject}, {"seed": "0"}).save(paths[-1])
    return paths


def test_units_are_gathered_into_one_file(call, units, tmp_path):
    answer = call("gather", *units, "-o", tmp_path / "all.nc")
    assert answer.exit_code == 0, answer.stderr
    assert Result.load(tmp_path / "all.nc").score.sel(subject="s2").to_numpy().tolist() == [0.25, 0.25]


def test_the_table_has_the_same_bytes_in_any_order_of_the_files(call, units, tmp_path):
    for name, files in (("a", units), ("b", units[::-1])):
        call("gather", *files, "-o", tmp_path / f"{name}.nc", "--table", tmp_path / f"{name}.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_the_table_has_a_row_a_position(call, units, tmp_path):
    call("gather", *units, "-o", tmp_path / "all.nc", "--table", tmp_path / "all.csv")
    assert pd.read_csv(tmp_path / "all.csv").score.tolist() == [0.0, 0.25, 0.0, 0.25]


def test_a_missing_file_ends_in_status_one(call, units, tmp_path):
    answer = call("gather", *units, tmp_path / "s3.nc", "-o", tmp_path / "all.nc")
    assert answer.exit_code == 1
    assert "s3.nc is not a file" in answer.stderr


def test_whole_files_pass(call, units):
    answer = call("check", *units)
    assert (answer.exit_code, answer.stdout) == (0, "2 of 2 files are whole\n")


def test_a_flipped_bit_is_noticed(call, units):
    content = bytearray(units[0].read_bytes())
    content[len(content) // 2] ^= 1
    units[0].write_bytes(content)
    answer = call("check", *units)
    assert answer.exit_code == 1
    assert "1 of 2 files are whole" in answer.stdout


def test_old_partial_files_are_swept(call, units, tmp_path):
    left = tmp_path / ".s3.nc.1234.partial"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    answer = call("check", "--sweep", tmp_path)
    assert (answer.exit_code, left.exists(), all(path.exists() for path in units)) == (0, False, True)


def test_nothing_to_check_is_a_wrong_call(call):
    assert call("check").exit_code == 2
