"""``--dry-run``: what a unit will need, against what it then needs."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from neuroling.cli import resource_estimate as estimate
from neuroling.cli.resource_estimate import Needs, extrapolate, measure


def test_a_unit_too_small_to_be_divided_says_so():
    with pytest.raises(ValueError, match="too small to measure parts"):
        extrapolate(lambda _: [], 1)


def test_what_grows_is_drawn_out_and_what_does_not_is_counted_once(monkeypatch):
    measured = {16: Needs(132, 26, 22), 32: Needs(164, 42, 39)}
    monkeypatch.setattr(estimate, "measure", lambda words: measured[int(words[0])])
    assert extrapolate(lambda n: [str(n)], 64) == Needs(228, 74, 73)


def test_a_part_that_fails_tells_why(tmp_path):
    with pytest.raises(ValueError, match=r"what was to be measured failed.*none\.nc is not a file"):
        measure(["gather", str(tmp_path / "none.nc"), "-o", str(tmp_path / "all.nc")])


def test_the_size_of_who_measures_is_not_measured():
    ballast = np.ones(2**25)  # 256 MiB
    assert measure(["--version"]).memory_mb < ballast.nbytes / 2**20


def test_an_estimate_is_one_line_of_json():
    assert json.loads(Needs(1.23, 4.56, 7.89).to_json()) == {"memory_mb": 1.2, "seconds": 4.6, "cpu_seconds": 7.9}


def test_an_analysis_is_measured_as_it_is_called_but_for_its_output(call, scripts, monkeypatch):
    calls = []
    monkeypatch.setattr(estimate, "measure", lambda words: calls.append(words) or Needs(1, 2, 3))
    answer = call("run", "counting", "--upto", "5", "--dry-run", "--out", "kept.nc")
    assert json.loads(answer.stdout) == {"memory_mb": 1, "seconds": 2, "cpu_seconds": 3}
    [words] = calls
    assert words[:-1] == ["run", "counting", "--upto", "5", "--out", "kept.nc", "--out"]
    assert words[-1].endswith("unit.nc")


def encode(folder) -> list[str]:
    """A tile of 8,000 targets, 1,500 samples and 800 features."""
    rng = np.random.default_rng(0)
    labels = [f"t{i}" for i in range(1500)]
    _write(folder / "x.nc", rng.standard_normal((1500, 800)), ("sample", "feature"), sample=labels)
    np.save(folder / "y.npy", rng.standard_normal((1500, 8000)).astype("f4"))
    (folder / "samples.csv").write_text("sample,time_index\n" + "".join(f"t{i},{i}\n" for i in range(1500)))
    return ["encode", str(folder / "y.npy"), "-x", str(folder / "x.nc"), "--samples", str(folder / "samples.csv")]


def rsa(folder) -> list[str]:
    """A participant of 600 items, 4 repeats, 64 channels and 1,000 times."""
    rng = np.random.default_rng(0)
    items, times = [f"w{i}" for i in range(600)], np.arange(1000) / 500
    _write(folder / "x.nc", rng.standard_normal((600, 384)), ("sample", "feature"), sample=items)
    dims = ("sample", "repeat", "channel", "time")
    values = rng.standard_normal((600, 4, 64, 1000), dtype="f4")
    _write(folder / "y.nc", values, dims, sample=items, time=times)
    return ["rsa", str(folder / "x.nc"), str(folder / "y.nc")]


def n400(folder) -> list[str]:
    """A cohort of 160 participants."""
    return ["n400", "--participants", "160", "--epochs", "20", "--allow-unlearned", "--device", "cpu"]


def extract(folder) -> list[str]:
    """Four thousand sentences through every layer of MiniLM."""
    pytest.importorskip("transformers", reason="the encoder needs the extra neuroling[minilm]")
    rng = np.random.default_rng(0)
    words = ("the", "cat", "saw", "a", "dog", "near", "some", "old", "house", "while", "rain", "fell", "on", "fields")
    rows = (f"s{i},{' '.join(rng.choice(words, rng.integers(5, 26)))}.\n" for i in range(4000))
    (folder / "stimuli.csv").write_text("sample,text\n" + "".join(rows))
    return ["extract", str(folder / "stimuli.csv"), "--device", "cpu", "--no-progress"]


def alice(folder) -> list[str]:
    """A participant and a layer of the study about Alice, on its twin."""
    pytest.importorskip("transformers", reason="the encoder needs the extra neuroling[minilm]")
    return ["run", "alice2016", "--twin", "--n-shifts", "100", "--subject", "s18", "--layer", "4"]


def _write(path, values, dims, **coords) -> None:
    array = xr.DataArray(values.astype("f4"), dims=dims, coords=coords, name="values")
    array.to_netcdf(path, engine="h5netcdf")


@pytest.mark.slow
@pytest.mark.parametrize("prepare", [encode, rsa, n400, extract, alice])
def test_a_dry_run_tells_memory_and_time_within_a_quarter(prepare, tmp_path):
    """The estimate against the mean of a run before it and one after it.

    Time is that of the processor, since others may be at work on this machine.
    """
    arguments = prepare(tmp_path)
    before = measure([*arguments, "--out", str(tmp_path / "before.nc")])
    needs = json.loads(_said([*arguments, "--out", str(tmp_path / "dry.nc"), "--dry-run"]))
    after = measure([*arguments, "--out", str(tmp_path / "after.nc")])
    found = {name: (getattr(before, name) + getattr(after, name)) / 2 for name in ("memory_mb", "cpu_seconds")}
    assert {name: needs[name] for name in found} == pytest.approx(found, rel=0.25)
    assert not (tmp_path / "dry.nc").exists()


def _said(arguments: list[str]) -> str:
    command = [sys.executable, "-m", "neuroling.cli", "--quiet", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
