from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neuroling import evaluate, spearman
from neuroling.cli import resource_estimate as estimate
from neuroling.core.result import Result
from neuroling.rsa.models import model_rdms
from neuroling.rsa.pairs import FixedRDM, pairwise

ITEMS = [f"word {n}" for n in range(8)]


@pytest.fixture
def files(tmp_path):
    """Features of two layers, and a recording of two participants."""
    rng = np.random.default_rng(0)
    features = xr.DataArray(
        rng.standard_normal((8, 2, 5)),
        dims=("sample", "layer", "feature"),
        coords={"sample": ITEMS, "layer": [0, 6]},
        name="features",
    )
    recording = xr.DataArray(
        rng.standard_normal((8, 3, 6, 20, 2)),
        dims=("sample", "repeat", "channel", "time", "subject"),
        coords={"sample": ITEMS, "time": np.arange(20) / 100, "subject": ["s1", "s2"]},
        name="recording",
    )
    paths = tmp_path / "features.nc", tmp_path / "recording.nc"
    for array, path in zip((features, recording), paths, strict=True):
        array.to_netcdf(path, engine="h5netcdf")
    return paths


def test_a_unit_of_rsa_is_what_the_library_gives(call, files, tmp_path):
    out = tmp_path / "unit.nc"
    answer = call("rsa", *files, "-o", out, "--layer", "6", "--subject", "s2")
    assert answer.exit_code == 0, answer.stderr
    features, recording = (xr.load_dataarray(path, engine="h5netcdf") for path in files)
    models = model_rdms(features.sel(layer=6, drop=True))
    expected = evaluate(FixedRDM(), pairwise(models, recording.sel(subject="s2", drop=True)), metric=spearman)
    assert np.array_equal(Result.load(out).score.to_numpy(), expected.score.to_numpy())


def test_every_layer_is_a_model_where_none_is_named(call, files, tmp_path):
    call("rsa", *files, "-o", tmp_path / "unit.nc")
    assert Result.load(tmp_path / "unit.nc").score.model.to_numpy().tolist() == ["layer 0", "layer 6"]


def test_a_unit_carries_its_labels_and_its_configuration(call, files, tmp_path):
    call("rsa", *files, "-o", tmp_path / "unit.nc", "--unit", "subject=s1", "--window", "3")
    record = Result.load(tmp_path / "unit.nc").provenance
    assert (record.unit, record.configuration["window"]) == ({"subject": "s1"}, "3")


def test_a_unit_that_is_a_model_of_its_study_has_no_axis_of_models(call, files, tmp_path):
    call("rsa", *files, "-o", tmp_path / "unit.nc", "--unit", "model=minilm", "--layer", "6")
    assert "model" not in Result.load(tmp_path / "unit.nc").score.dims


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--unit", "model=minilm"), "names one, but there are 2"),
        (("--layer", "7"), "got '7'"),
        (("--subject", "s3"), "has s1, s2"),
        (("--unit", "subject"), "expected NAME=LABEL"),
        (("--unit", "subject=a", "--unit", "subject=b"), "is given twice"),
    ],
    ids=["models", "layer", "subject", "label", "twice"],
)
def test_a_unit_that_does_not_exist_ends_in_words(call, files, tmp_path, options, said):
    answer = call("rsa", *files, "-o", tmp_path / "unit.nc", *options)
    assert answer.exit_code in (1, 2)
    assert said in answer.stderr
    assert not (tmp_path / "unit.nc").exists()


def test_a_missing_upstream_file_is_named(call, files, tmp_path):
    answer = call("rsa", tmp_path / "none.nc", files[1], "-o", tmp_path / "unit.nc")
    assert answer.exit_code == 1
    assert "none.nc is not there; expected features" in answer.stderr


def test_a_file_of_another_kind_is_named(call, files, tmp_path):
    (tmp_path / "text.nc").write_text("words")
    answer = call("rsa", tmp_path / "text.nc", files[1], "-o", tmp_path / "unit.nc")
    assert answer.exit_code == 1
    assert "does not read as one labelled array" in answer.stderr


def test_a_missing_folder_ends_in_words(call, files, tmp_path):
    answer = call("rsa", *files, "-o", tmp_path / "nowhere" / "unit.nc")
    assert answer.exit_code == 1
    assert "nowhere is not there; make the folder" in answer.stderr


def test_a_folder_that_cannot_be_written_to_is_refused_before_any_work(call, files, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda place, _: Path(place) != tmp_path)  # root may write everywhere
    answer = call("rsa", *files, "-o", tmp_path / "unit.nc")
    assert (answer.exit_code, "cannot be written to" in answer.stderr) == (1, True)


def test_a_file_where_a_folder_should_be_is_named(call, recordings):
    answer = call("encode", recordings / "s1.npy", "-x", recordings / "x.nc", "--samples", recordings / "rows.csv",
                  "--layer", "0", "-o", recordings / "x.nc")  # fmt: skip
    assert (answer.exit_code, "x.nc is a file; choose a folder" in answer.stderr) == (1, True)


def test_a_disk_that_is_full_leaves_what_stood_there(call, files, tmp_path, monkeypatch):
    out = tmp_path / "unit.nc"
    call("rsa", *files, "-o", out)
    before = out.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    answer = call("rsa", *files, "-o", out)
    assert answer.stderr.startswith(f"neuroling: {out}: cannot write the result (No space left on device)")
    assert (answer.exit_code, [path.name for path in tmp_path.glob("*unit*")]) == (1, ["unit.nc"])
    assert out.read_bytes() == before


def test_the_file_of_another_unit_is_refused(call, files, tmp_path):
    call("rsa", *files, "-o", tmp_path / "unit.nc", "--subject", "s1", "--unit", "subject=s1")
    answer = call("rsa", *files, "-o", tmp_path / "unit.nc", "--subject", "s2", "--unit", "subject=s2")
    assert answer.exit_code == 1
    assert "was made with another unit: subject is 's1' there and 's2' now" in answer.stderr


def test_labels_are_checked_before_networks_are_trained(call, tmp_path, monkeypatch):
    monkeypatch.setattr("neuroling.n400.participants.train_networks", None)
    answer = call(*N400, "-o", tmp_path / "unit.nc", "--unit", "model")
    assert (answer.exit_code, "expected NAME=LABEL" in answer.stderr) == (2, True)


N400 = ("n400", "--participants", "2", "--epochs", "2", "--allow-unlearned", "--device", "cpu")


def test_a_unit_of_a_sweep_has_a_score_a_participant(call, tmp_path):
    answer = call(*N400, "-o", tmp_path / "unit.nc", "--unit", "model=T8")
    assert answer.exit_code == 0, answer.stderr
    result = Result.load(tmp_path / "unit.nc")
    assert (result.score.dims, result.score.sizes["repeat"], result.provenance.synthetic) == (("repeat",), 2, False)


def test_the_same_seed_gives_the_same_unit_and_another_one_does_not(call, tmp_path):
    scores = []
    for number, seed in enumerate((0, 0, 1)):
        call(*N400, "-o", tmp_path / f"{number}.nc", "--seed", seed)
        scores.append(Result.load(tmp_path / f"{number}.nc").score.to_numpy().tolist())
    assert (scores[0] == scores[1], scores[0] == scores[2]) == (True, False)


def test_layers_of_the_alpha_function_change_the_unit_and_are_recorded(call, tmp_path):
    for name, layers in (("all", []), ("semantics", ["--layers", "semantics"])):
        answer = call(*N400, *layers, "-o", tmp_path / f"{name}.nc")
        assert answer.exit_code == 0, answer.stderr
    everywhere, semantics = (Result.load(tmp_path / f"{name}.nc") for name in ("all", "semantics"))
    assert everywhere.score.to_numpy().tolist() != semantics.score.to_numpy().tolist()
    assert semantics.provenance.configuration["layers"] == "semantics"
    assert everywhere.provenance.configuration["layers"] == "orthography, hidden, semantics"


def test_layer_that_does_not_exist_is_refused_before_networks_are_trained(call, tmp_path, monkeypatch):
    monkeypatch.setattr("neuroling.n400.participants.train_networks", None)
    answer = call(*N400, "--layers", "semantic", "-o", tmp_path / "unit.nc")
    assert answer.exit_code != 0
    assert "expected some of ('orthography', 'hidden', 'semantics')" in answer.stderr


def test_a_unit_says_whether_its_participants_read(call, tmp_path):
    call(*N400, "-o", tmp_path / "unit.nc")
    (note,) = [one for one in Result.load(tmp_path / "unit.nc").provenance.notes if "recognised" in one]
    assert note.startswith("THEY DO NOT READ; known targets recognised without alpha: new 0% (lowest 0%)")


def test_networks_that_cannot_read_end_in_words(call, tmp_path):
    answer = call(*(word for word in N400 if word != "--allow-unlearned"), "-o", tmp_path / "unit.nc")
    assert answer.exit_code == 1
    assert not (tmp_path / "unit.nc").exists()


@pytest.fixture
def parts(call, monkeypatch):
    """Commands that a dry run measures, made in this process."""
    made = []

    def measure(words):
        answer = call(*words)
        assert answer.exit_code == 0, answer.stderr
        made.append(words)
        return estimate.Needs(100.0, 10.0, 1.0)

    monkeypatch.setattr(estimate, "measure", measure)
    return made


def test_a_dry_run_of_rsa_runs_a_quarter_and_a_half_of_the_times(call, files, tmp_path, parts):
    answer = call("rsa", *files, "-o", tmp_path / "unit.nc", "--layer", "6", "--subject", "s2", "--dry-run")
    assert answer.exit_code == 0, answer.stderr
    assert [words[words.index("--first-times") + 1] for words in parts] == ["5", "10"]


def test_a_dry_run_of_a_sweep_runs_a_quarter_and_a_half_of_the_participants(call, tmp_path, parts):
    answer = call(*N400, "--participants", "4", "-o", tmp_path / "unit.nc", "--dry-run")
    assert answer.exit_code == 0, answer.stderr
    assert [words[words.index("--participants") + 1] for words in parts] == ["1", "2"]


def test_a_dry_run_of_encoding_runs_a_quarter_and_a_half_of_the_targets(call, recordings, parts):
    np.save(recordings / "s1.npy", np.random.default_rng(0).standard_normal((40, 8)))
    answer = encode(call, recordings, "s1", "0", "--dry-run")
    assert answer.exit_code == 0, answer.stderr
    assert [words[words.index("--tile") + 1] for words in parts] == ["1/4", "1/2"]


def test_a_dry_run_writes_nothing(call, files, tmp_path, parts):
    call("rsa", *files, "-o", tmp_path / "unit.nc", "--dry-run")
    assert not (tmp_path / "unit.nc").exists()


@pytest.fixture
def recordings(tmp_path):
    """Features of two layers and matrices of two participants, as `encode` reads them."""
    rng = np.random.default_rng(0)
    labels = [f"t{i}" for i in range(40)]
    features = xr.DataArray(
        rng.standard_normal((40, 2, 3)),
        dims=("sample", "layer", "feature"),
        coords={"sample": labels, "layer": [0, 1]},
        name="features",
    )
    features.to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    for subject in ("s1", "s2"):
        signal = features.isel(layer=0).to_numpy() @ rng.standard_normal((3, 7))
        np.save(tmp_path / f"{subject}.npy", signal + rng.standard_normal((40, 7)))
    (tmp_path / "rows.csv").write_text("sample\n" + "\n".join(labels) + "\n")
    return tmp_path


def encode(call, folder, subject, layer, *options):
    where = ("-x", folder / "x.nc", "--samples", folder / "rows.csv", "-o", folder / subject / layer)
    unit = ("--unit", f"subject={subject}", "--unit", f"layer={layer}", "--layer", layer)
    return call("encode", folder / f"{subject}.npy", *where, *unit, *options)


def test_tiles_of_many_units_are_gathered_into_one_result(call, recordings):
    for subject in ("s1", "s2"):
        for layer in ("0", "1"):
            answer = encode(call, recordings, subject, layer, "--tiles", "2")
            assert answer.exit_code == 0, answer.stderr
    answer = call("gather", *sorted(recordings.glob("s?/?/*.nc")), "-o", recordings / "all.nc")
    assert answer.exit_code == 0, answer.stderr
    score = Result.load(recordings / "all.nc").score
    assert dict(score.sizes) == {"subject": 2, "layer": 2, "voxel": 7}
    assert float(score.sel(layer="0").mean()) > 0.5 > abs(float(score.sel(layer="1").mean()))


def test_a_tile_that_is_missing_stops_the_gathering(call, recordings):
    encode(call, recordings, "s1", "0", "--tile", "1/2")
    answer = call("gather", *recordings.glob("s?/?/*.nc"), "-o", recordings / "all.nc")
    assert answer.exit_code == 1
    assert "1 of 2 tiles are missing" in answer.stderr


def test_a_tile_out_of_range_ends_in_words(call, recordings):
    answer = encode(call, recordings, "s1", "0", "--tile", "3/2")
    assert answer.exit_code in (1, 2)
    assert "3/2" in answer.stderr


def test_units_of_another_configuration_are_not_mixed(call, recordings):
    encode(call, recordings, "s1", "0")
    encode(call, recordings, "s2", "0", "--folds", "4")
    answer = call("gather", *recordings.glob("s?/?/*.nc"), "-o", recordings / "all.nc")
    assert answer.exit_code == 1
    assert "different configurations" in answer.stderr


def test_more_cards_than_there_are_end_in_words(call, recordings):
    answer = encode(call, recordings, "s1", "0", "--device", "cuda:7")
    assert answer.exit_code == 2
    assert "got 'cuda:7'; expected 'auto' or one that exists here" in answer.stderr
