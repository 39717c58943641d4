from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from neuroling.cli.extract import read_stimuli
from neuroling.features.encoder import load_encoder
from neuroling.features.extract import extract
from neuroling.features.words import split_words


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "stimuli.csv"
    path.write_text("sample,text\na,The cat saw the dog.\nb,NA\nc,null\nd,A ship.\n", encoding="utf-8")
    return path


def test_features_are_written_with_their_provenance(call, table, tmp_path):
    out = tmp_path / "features.nc"
    answer = call("extract", table, "-o", out, "--layer", "0", "--layer", "-1", "--device", "cpu", "--no-progress")
    assert answer.exit_code == 0, answer.stderr
    assert "sample 4 × layer 2 × feature 384" in answer.stdout
    with xr.open_dataarray(out) as found:
        assert found.sample.values.tolist() == ["a", "b", "c", "d"]
        expected = extract(read_stimuli(table), load_encoder("minilm", device="cpu"), layers=[0, -1])
        np.testing.assert_allclose(found.transpose(*expected.dims).values, expected.values, atol=1e-5)
        assert {"encoder", "revision", "weights_sha256", "device", "dtype", "torch"} <= set(found.attrs)


def test_texts_are_split_into_words_on_request(call, table, tmp_path):
    out = tmp_path / "words.nc"
    answer = call("extract", table, "-o", out, "--unit", "split", "-l", "6", "--context", "rolling:3", "--no-progress")
    assert answer.exit_code == 0, answer.stderr
    with xr.open_dataarray(out) as found:
        assert found.sizes["sample"] == len(split_words(read_stimuli(table)))


@pytest.mark.filterwarnings("ignore:stimuli.*unknown to minilm:UserWarning")
def test_japanese_is_split_by_its_own_segmenter(call, tmp_path):
    pytest.importorskip("fugashi", reason="needs the extra neuroling[japanese]")
    (tmp_path / "ja.csv").write_text("sample,text\na,猫が魚を見た。\n", encoding="utf-8")
    options = ("--unit", "split", "--segment", "japanese", "-l", "0", "--device", "cpu", "--no-progress")
    answer = call("extract", tmp_path / "ja.csv", "-o", tmp_path / "f.nc", *options)
    assert answer.exit_code == 0, answer.stderr
    with xr.open_dataarray(tmp_path / "f.nc") as found:
        assert found.sizes["sample"] == 7


def test_what_another_precision_costs_is_said(call, table, tmp_path):
    options = ("-l", "6", "--dtype", "bfloat16", "--device", "cpu,cpu", "--no-progress")
    answer = call("extract", table, "-o", tmp_path / "f.nc", *options)
    assert answer.exit_code == 0, answer.stderr
    assert "of the largest state" in answer.stdout


def test_parts_together_are_the_whole(call, table, tmp_path):
    options = ("-l", "6", "--device", "cpu", "--no-progress")
    call("extract", table, "-o", tmp_path / "all.nc", *options)
    for part in (1, 2):
        answer = call("extract", table, "-o", tmp_path / f"{part}.nc", "--shard", f"{part}/2", *options)
        assert answer.exit_code == 0, answer.stderr
    parts = [xr.load_dataarray(tmp_path / f"{part}.nc") for part in (1, 2)]
    whole = xr.load_dataarray(tmp_path / "all.nc")
    joined = xr.concat(parts, dim="sample", coords="minimal", compat="override", combine_attrs="drop")
    assert sorted(joined.sample.values) == sorted(whole.sample.values)
    np.testing.assert_allclose(joined.sel(sample=whole.sample), whole, atol=1e-5)


def test_a_second_run_finds_the_file_finished(call, table, tmp_path):
    options = (table, "-o", tmp_path / "f.nc", "-l", "6", "--no-progress")
    assert call("extract", *options).exit_code == 0
    before = (tmp_path / "f.nc").stat().st_mtime_ns
    assert call("extract", *options).exit_code == 0
    assert (tmp_path / "f.nc").stat().st_mtime_ns == before
    answer = call("--quiet", "extract", *options, "--pool", "max")
    assert (answer.exit_code, "holds other features" in answer.stderr) == (1, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--unit", "letter"), "expected sentence, word or split"),
        (("--unit", "word", "--context", "all"), "expected whole, rolling:WORDS"),
        (("--shard", "3/2"), "expected I/N"),
        (("--unit", "split", "--segment", "klingon"), "expected blanks or japanese"),
    ],
)
def test_options_that_do_not_exist_are_wrong_usage(call, table, tmp_path, options, message):
    answer = call("extract", table, "-o", tmp_path / "f.nc", *options)
    assert answer.exit_code == 2
    assert message in " ".join(answer.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sample,text\na,café\n".encode("latin-1"), "byte 17 is no UTF-8"),
        (b"sample,word\na,b\n", "has no column 'text'"),
        (b"", "no table"),
        (b"sample,text,onset\na,b,early\n", "onset: 1 entries are no numbers"),
        (b"sample,text\na,b\na,c\n", "occur more than once"),
        (b"sample,text\na,\n", "empty or blank"),
    ],
)
def test_tables_that_cannot_be_read_fail_in_one_line(call, tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    answer = call("--quiet", "extract", tmp_path / "t.csv", "-o", tmp_path / "f.nc")
    assert answer.exit_code == 1
    assert message in answer.stderr


def test_an_unpinned_model_fails_in_one_line(call, table, tmp_path):
    answer = call("--quiet", "extract", table, "-o", tmp_path / "f.nc", "-m", "someone/model")
    assert (answer.exit_code, "needs a commit hash" in answer.stderr) == (1, True)


def test_words_that_look_like_missing_values_stay_words(table):
    assert read_stimuli(table).texts == ["The cat saw the dog.", "NA", "null", "A ship."]


def test_shards_follow_the_order_of_the_table(tmp_path):
    from neuroling.cli.extract import _shard

    path = tmp_path / "twelve.csv"
    path.write_text("sample,text\n" + "".join(f"s{n},a text\n" for n in range(12)), encoding="utf-8")
    stimuli = read_stimuli(path)
    parts = [_shard(stimuli, f"{number}/3").labels.tolist() for number in (1, 2, 3)]
    assert [label for part in parts for label in part] == stimuli.labels.tolist()


def test_a_disk_without_room_is_refused_before_any_work(call, table, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**19))
    answer = call("--quiet", "extract", table, "-o", tmp_path / "f.nc", "-l", "6", "--device", "cpu", "--no-progress")
    assert (answer.exit_code, "1.0 MiB are needed and 0.5 are free" in answer.stderr) == (1, True)
    assert list(tmp_path.glob("f.nc*")) == []


def test_a_missing_table_is_named(call, tmp_path):
    answer = call("--quiet", "extract", tmp_path / "none.csv", "-o", tmp_path / "f.nc")
    assert (answer.exit_code, "none.csv is not there; expected a table" in answer.stderr) == (1, True)
