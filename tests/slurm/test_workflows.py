"""The workflows that come with the package, on a handful of numbers and without a cluster; part of the slow suite."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroling import workflow

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path, snakemake):
    """Run a workflow in a folder of its own, with this Python's command in front."""
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "neuroling").write_text(f'#!/bin/sh\nexec {sys.executable} -m neuroling.cli "$@"\n')
    (commands / "neuroling").chmod(0o755)
    path = f"{commands}:{Path(snakemake).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def call(name: str, configuration: str) -> Path:
        (tmp_path / "config.yaml").write_text(configuration)
        where = ("--snakefile", str(workflow.path(name)), "--directory", str(tmp_path))
        how = ("--configfile", str(tmp_path / "config.yaml"), "--profile", str(workflow.profile("local")))
        command = (snakemake, *where, *how, "--cores", "1")
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stderr[-4000:]
        return tmp_path

    return call


@pytest.fixture
def features(tmp_path):
    """Features of two layers for forty samples."""
    values = np.random.default_rng(0).standard_normal((40, 2, 6))
    coords = {"sample": [f"w{i}" for i in range(40)], "layer": [0, 6]}
    array = xr.DataArray(values, dims=("sample", "layer", "feature"), coords=coords, name="features")
    array.to_netcdf(tmp_path / "features.nc", engine="h5netcdf")
    return array


@pytest.fixture
def people(features, tmp_path):
    """Recordings of two participants, and the table of their study."""
    rows = [
        f"{subject},minilm,{tmp_path}/features.nc,{record(tmp_path, subject, features)}" for subject in ("s1", "s2")
    ]
    (tmp_path / "study.csv").write_text("\n".join(["subject,model,features,recording", *rows]) + "\n")
    return tmp_path / "study.csv"


def record(folder: Path, subject: str, features: xr.DataArray, seed: int = 1) -> Path:
    values = np.random.default_rng([seed, *subject.encode()]).standard_normal((40, 3, 8, 16))
    coords = {"sample": features.sample, "time": np.arange(16) / 100}
    recording = xr.DataArray(values, dims=("sample", "repeat", "channel", "time"), coords=coords, name="recording")
    recording.to_netcdf(folder / f"{subject}.nc", engine="h5netcdf")
    return folder / f"{subject}.nc"


def test_rsa_over_participants_and_models(run, people):
    out = run("rsa", f"table: {people}\noptions: --layer 6\n")
    table = pd.read_csv(out / "results" / "table.csv")
    assert (set(table.subject), set(table.model), len(table)) == ({"s1", "s2"}, {"minilm"}, 32)


def test_new_data_of_the_first_participant_leave_the_others_as_they_are(run, features, people):
    """The estimate is of the first participant, but nothing is made again because of it."""
    out = run("rsa", f"table: {people}\noptions: --layer 6\n")
    before = made(out / "results")
    record(out, "s1", features, seed=2)
    run("rsa", f"table: {people}\noptions: --layer 6\n")
    after = made(out / "results")
    assert {name for name in before if after[name] > before[name]} == {"s1/minilm.nc"}


def made(results: Path) -> dict[str, int]:
    """When the estimate and the units were made."""
    names = ("estimate.json", "s1/minilm.nc", "s2/minilm.nc")
    return {name: (results / name).stat().st_mtime_ns for name in names}


def test_encoding_over_participants_layers_and_tiles(run, features, tmp_path):
    rng = np.random.default_rng(1)
    rows = []
    for subject in ("s1", "s2"):
        signal = features.sel(layer=0).to_numpy() @ rng.standard_normal((6, 40))
        np.save(tmp_path / f"{subject}.npy", signal + rng.standard_normal((40, 40)))
        for layer in ("0", "6"):
            files = f"{tmp_path}/features.nc,{tmp_path}/{subject}.npy,{tmp_path}/samples.csv"
            rows.append(f"{subject},toy,{layer},{files}")
    (tmp_path / "samples.csv").write_text("sample\n" + "\n".join(features.sample.to_numpy()) + "\n")
    (tmp_path / "study.csv").write_text("\n".join(["subject,model,layer,features,targets,samples", *rows]) + "\n")
    out = run("encoding", f"table: {tmp_path}/study.csv\ntiles: 2\n")
    mean = pd.read_csv(out / "results" / "table.csv").groupby("layer").score.mean()
    assert mean[0] > 0.5 > abs(mean[6])


def test_a_sweep_of_the_simulator(run):
    options = "--participants 4 --epochs 2 --allow-unlearned"
    out = run("n400", f"time_constants: [8, inf]\nseeds: [0, 1]\noptions: {options}\n")
    table = pd.read_csv(out / "results" / "table.csv")
    assert (set(table.model), set(table.subject), len(table)) == ({"T8", "Tinf"}, {"lexicon0", "lexicon1"}, 16)


def test_features_in_shards(run, tmp_path):
    pytest.importorskip("transformers", reason="the encoder needs the extra neuroling[minilm]")
    rows = [f"{name},The cat saw dog number {name}." for name in "abcdefghijkl"]
    (tmp_path / "words.csv").write_text("\n".join(["sample,text", *rows]) + "\n")
    (tmp_path / "models.csv").write_text("model,source\nsmall,minilm\n")
    out = run("extract", f"table: {tmp_path}/models.csv\nstimuli: {tmp_path}/words.csv\nshards: 2\n")
    with xr.open_dataarray(out / "features" / "small.nc", engine="h5netcdf") as found:
        assert found.sample.to_numpy().tolist() == list("abcdefghijkl")
