"""Files that others hand over: weights elsewhere, changed states, escape sequences, bombs, one unit twice."""

import json
import tarfile

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import save_file
from typer.testing import CliRunner

from neuroling import Result
from neuroling.cli.app import build
from neuroling.cli.command import printable
from neuroling.core.units import stamp
from neuroling.data import archives
from neuroling.data.errors import CorruptData
from neuroling.evaluation import Provenance
from neuroling.features.transformer.encoder import _weights_files, _weights_sha256
from neuroling.lm.checkpoints import STATE, CheckpointError, read_checkpoint, write_checkpoint


@pytest.fixture
def sharded(tmp_path):
    """A model in two shards, its real weights, and a stray file beside them."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    for name in ("model-1.safetensors", "model-2.safetensors", "stray.safetensors"):
        save_file({name: torch.zeros(2)}, folder / name)
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_only_the_weights_that_are_loaded_are_hashed(sharded):
    before = _weights_sha256(sharded)
    save_file({"x": torch.ones(3)}, sharded / "stray.safetensors")
    assert _weights_sha256(sharded) == before
    save_file({"x": torch.ones(3)}, sharded / "model-2.safetensors")
    assert _weights_sha256(sharded) != before
    assert [path.name for path in _weights_files(sharded)] == ["model-1.safetensors", "model-2.safetensors"]


@pytest.mark.parametrize("name", ["../other/model.safetensors", "/etc/passwd", "sub/x.safetensors", ".."])
def test_weights_outside_the_folder_are_refused(sharded, name):
    (sharded / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(ValueError, match="outside its folder"):
        _weights_sha256(sharded)


def test_a_missing_shard_is_named(sharded):
    (sharded / "model-2.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="1 of 2 shards"):
        _weights_sha256(sharded)


def test_an_index_that_is_none_is_refused(sharded):
    (sharded / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(ValueError, match="cannot be read"):
        _weights_sha256(sharded)


# --- states of checkpoints --------------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(tmp_path):
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    folder = write_checkpoint(
        tmp_path, 7, model, optimizer=optimizer, configuration={"seed": 1}, history={"loss": torch.ones(7)}
    )
    return folder, model, optimizer


def test_a_checkpoint_goes_on_at_its_step(checkpoint):
    step, history = read_checkpoint(*checkpoint, {"seed": 1})
    assert step == 7
    assert len(history["loss"]) == 7


@pytest.mark.parametrize("change", ["step", "lr", "weight_decay", "sha256", "state_sha256"])
def test_a_changed_state_is_refused(checkpoint, change):
    folder, model, optimizer = checkpoint
    state = json.loads((folder / STATE).read_text())
    if change in ("lr", "weight_decay"):
        state["groups"][0][change] = 0.5
    elif change == "step":
        state["step"] = 8
    else:
        state.pop(change)
    (folder / STATE).write_text(json.dumps(state))
    with pytest.raises(CheckpointError, match="not as it was written"):
        read_checkpoint(folder, model, optimizer, {"seed": 1})


def test_a_renamed_checkpoint_is_refused(checkpoint):
    folder, model, optimizer = checkpoint
    moved = folder.rename(folder.with_name("step-00000009"))
    with pytest.raises(CheckpointError, match="holds step 7"):
        read_checkpoint(moved, model, optimizer, {"seed": 1})


# --- the terminal, and archives ---------------------------------------------------------------------------------------


def test_escape_sequences_of_a_result_do_not_reach_the_terminal(tmp_path):
    score = xr.DataArray(np.array([[0.1, 0.2]]), dims=("split", "model"), coords={"model": ["\x1b[2Ja", "b\u202eb"]})
    note = "\x1b]0;title\x07 done"
    Result.of(score, metric="r\x1b[31m", provenance=Provenance(notes=(note,))).save(tmp_path / "r.nc")
    for options in ([], ["--table"], ["--provenance"]):
        shown = CliRunner().invoke(build(), ["show", str(tmp_path / "r.nc"), *options]).output
        assert not any(character in shown for character in "\x1b\x07\u202e")
        assert "r\\x1b[31m" in shown or options == ["--table"]


def test_ordinary_text_is_printed_as_it_is():
    assert printable("µV\tüber\n日本語 é") == "µV\tüber\n日本語 é"


def test_one_unit_given_twice_is_refused(tmp_path):
    unit = stamp(Result.of(xr.DataArray([0.5], dims="split"), metric="r"), {"subject": "s1"}, {"seed": "0"})
    unit.save(tmp_path / "res.nc")
    given = [str(tmp_path / "res.nc"), str(tmp_path / "." / "res.nc")]
    done = CliRunner().invoke(build(), ["gather", *given, "-o", str(tmp_path / "all.nc")])
    assert done.exit_code != 0
    assert "more than once" in str(done.output) + str(done.exception)


def test_an_archive_that_grows_without_measure_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "SMALL_BYTES", 1000)
    (tmp_path / "zeros").write_bytes(bytes(3_000_000))
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "zeros", "zeros")
    with pytest.raises(CorruptData, match="300 times"):
        archives.unpack(tmp_path / "bomb.tar.gz", tmp_path / "out")
    assert not (tmp_path / "out" / "zeros").exists()
