from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from neuroling.cli.extract import read_stimuli
from neuroling.features.extract import extract_text_features
from neuroling.features.transformer.encoder import load_encoder
from neuroling.features.words.words import split_words


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
        expected = extract_text_features(read_stimuli(table), load_encoder("minilm", device="cpu"), layers=[0, -1])
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
        (("--unit", "word", "--context", "rolling:4,left=2"), "expected whole, rolling:WORDS"),
        (("--unit", "word", "--context", "rolling:4,stride=0"), "at least 0 and at least 1 words"),
        (("--unit", "word", "--context", "overlapping:8,tokens=8"), "more tokens than left and right together"),
        (("--cache", "kept"), "expected one of -o FILE and --cache FOLDER"),
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
        (b"sample,text\na,Hello, world\nb,Yes, please\n", "line 2 has 3 cells where the header has 2"),
        (b"text\nHello, world\nYes, please\n", "line 2 has 2 cells where the header has 1"),
        (b'sample,text\na,"two\nlines"\nb,Hello, world\n', "line 4 has 3 cells"),
        (b"sample,text,condition\na,b,c\na,b\n", "line 3 has 2 cells where the header has 3"),
        (b"text\nx\n\ny\n", "line 3 is blank"),
        (b"\ntext\nx\n", "line 1 is blank"),
        (b"text,text\na,b\n", "columns ['text'] stand more than once"),
        (b'text\n"Hello," she said\n', "line 2 cannot be read"),
        (b'text\nx\n"Hello\ny\n', "line 3 cannot be read"),
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


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("t.csv", "\ufefftext\na\n", ["a"]),
        ("t.csv", "text\r\na\r\nb\r\n", ["a", "b"]),
        ("t.csv", "text\na\nb", ["a", "b"]),
        ("t.csv", "text\na\nb\n\n\n", ["a", "b"]),
        ("t.csv", "text\nNA\nnull\nNone\nnan\nN/A\n1\n", ["NA", "null", "None", "nan", "N/A", "1"]),
        ("t.csv", 'text\n"Hello, world"\n"two\nlines"\n', ["Hello, world", "two\nlines"]),
        ("t.csv", 'text\nsay "hi"\n"say ""hi"""\n', ['say "hi"', 'say "hi"']),
        ("t.csv", f"text\n{'a' * 200_000}\n", ["a" * 200_000]),
        ("t.TSV", "sample\ttext\nNA\tHello, world\nb\tYes, please\n", ["Hello, world", "Yes, please"]),
        ("t.txt", "text\nHello, world\n", ["Hello, world"]),
    ],
)
def test_texts_are_read_to_the_letter(tmp_path, name, content, texts):
    (tmp_path / name).write_bytes(content.encode())
    assert read_stimuli(tmp_path / name).texts == texts


def test_a_tab_too_many_is_refused_where_tabs_part_columns(tmp_path):
    (tmp_path / "t.tsv").write_text("sample\ttext\na\tHello,\tworld\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 2 has 3 cells .* put quotes around a text that holds a tab"):
        read_stimuli(tmp_path / "t.tsv")


def test_columns_without_a_name_travel_along(tmp_path):
    """As pandas writes them: its index first, without a name."""
    (tmp_path / "t.csv").write_text(",text,\n0,a,\n1,b,\n", encoding="utf-8")
    stimuli = read_stimuli(tmp_path / "t.csv")
    assert (stimuli.texts, len(stimuli.table.columns)) == (["a", "b"], 3)


# --- options of the Python function -----------------------------------------------------------------------------------

WORDS = "sample,text,group\n1,cat,s\n2,\u200d,s\n3,dog,s\n4,saw,s\n5,ship,s\n"


@pytest.fixture
def word_table(tmp_path: Path) -> Path:
    path = tmp_path / "words.csv"
    path.write_text(WORDS, encoding="utf-8")
    return path


AS_WORDS = ("--unit", "word", "-l", "0", "--device", "cpu", "--no-progress")


def test_words_without_pieces_may_be_nan(call, word_table, tmp_path):
    refused = call("--quiet", "extract", word_table, "-o", tmp_path / "f.nc", *AS_WORDS)
    assert (refused.exit_code, "say --missing nan" in refused.stderr) == (1, True)
    answer = call("extract", word_table, "-o", tmp_path / "f.nc", *AS_WORDS, "--missing", "nan", "--shared", "both")
    assert answer.exit_code == 0, answer.stderr
    with xr.open_dataarray(tmp_path / "f.nc") as found:
        assert found.isnull().all(["layer", "feature"]).values.tolist() == [False, True, False, False, False]


@pytest.mark.parametrize(
    ("given", "context"),
    [
        ("whole", "Whole()"),
        ("rolling:2", "Rolling(words=2, stride=1)"),
        ("rolling:2,stride=3", "Rolling(words=2, stride=3)"),
        ("overlapping:8", "Overlapping(left=8, right=0, tokens=None)"),
        ("overlapping:8,right=4", "Overlapping(left=8, right=4, tokens=None)"),
        ("overlapping:8,right=4,tokens=20", "Overlapping(left=8, right=4, tokens=20)"),
        ("overlapping:8,tokens=20", "Overlapping(left=8, right=0, tokens=20)"),
    ],
)
def test_every_setting_of_a_context_can_be_given(call, word_table, tmp_path, given, context):
    options = (*AS_WORDS, "--missing", "nan", "--context", given)
    answer = call("extract", word_table, "-o", tmp_path / "f.nc", *options)
    assert answer.exit_code == 0, answer.stderr
    with xr.open_dataarray(tmp_path / "f.nc") as found:
        assert found.attrs["context"] == context


def test_vectors_have_unit_length_on_request(call, table, tmp_path):
    options = ("-l", "6", "--device", "cpu", "--no-progress", "--normalise")
    answer = call("extract", table, "-o", tmp_path / "f.nc", *options)
    assert answer.exit_code == 0, answer.stderr
    with xr.open_dataarray(tmp_path / "f.nc") as found:
        np.testing.assert_allclose(np.linalg.norm(found.values, axis=-1), 1, atol=1e-5)


def test_a_cache_that_was_filled_serves_the_python_function(call, table, tmp_path, monkeypatch):
    answer = call("extract", table, "--cache", tmp_path / "kept", "-l", "6", "--device", "cpu", "--no-progress")
    assert answer.exit_code == 0, answer.stderr
    assert "kept: sample 4 × layer 1 × feature 384" in answer.stdout
    monkeypatch.setattr("neuroling.features.extract.embed", None)  # the model cannot run again
    found = extract_text_features(
        read_stimuli(table), load_encoder("minilm", device="cpu"), layers=6, cache=tmp_path / "kept"
    )
    assert found.sizes["sample"] == 4


def test_a_cache_that_takes_nothing_is_a_failure(call, table, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("neuroling.features.storage.cache.write_entry", full)
    options = ("-l", "0", "--device", "cpu", "--no-progress")
    answer = call("--quiet", "extract", table, "--cache", tmp_path / "kept", *options)
    assert (answer.exit_code, "could not be written" in answer.stderr) == (1, True)


def test_a_cache_that_is_a_file_is_refused_before_any_work(call, table):
    answer = call("--quiet", "extract", table, "--cache", table, "-m", "nowhere")
    assert (answer.exit_code, "is a file; choose a folder" in answer.stderr) == (1, True)


def test_a_place_for_features_must_be_given(call, table):
    answer = call("extract", table)
    assert answer.exit_code == 2
    assert "expected one of -o FILE and --cache FOLDER" in " ".join(answer.stderr.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--long", "cut"), "--long: got 'cut'"),
        (("-l", "7"), "--layer: got 7"),
        (("--context", "rolling:4"), "--context: is for words; with --unit sentence"),
        (("--missing", "nan"), "--missing: got 'nan', which is for words; with --unit sentence"),
        (("--shared", "none"), "--shared: got 'none', which is for words"),
        (("--unit", "word", "--shared", "none"), "--shared: got 'none'"),
        (("--unit", "split", "--long", "truncate"), "with --unit split choose --context rolling:WORDS or overlapping:"),
    ],
)
def test_errors_name_options_as_they_are_typed(call, table, tmp_path, options, message):
    answer = call("--quiet", "extract", table, "-o", tmp_path / "f.nc", "--device", "cpu", "--no-progress", *options)
    status = 2 if "got '" in message else 1  # a name that there is not makes the call wrong
    assert (answer.exit_code, message in answer.stderr) == (status, True), answer.stderr


def test_what_is_too_long_is_told_the_options_that_help(call, tmp_path):
    (tmp_path / "long.csv").write_text(f"sample,text\na,{'cat ' * 600}\n", encoding="utf-8")
    options = ("-o", tmp_path / "f.nc", "--device", "cpu", "--no-progress")
    answer = call("--quiet", "extract", tmp_path / "long.csv", *options)
    assert "say --long truncate" in answer.stderr
    answer = call("--quiet", "extract", tmp_path / "long.csv", *options, "--unit", "split")
    assert "use --context overlapping:TOKENS or rolling:WORDS" in answer.stderr


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


@pytest.mark.parametrize(("n", "measured"), [(2, [None]), (8, ["1/4", "1/2"])])
def test_a_dry_run_measures_a_table_of_two_rows_as_a_whole(call, tmp_path, monkeypatch, n, measured):
    from neuroling.cli import resource_estimate

    shards = []

    def measure(arguments):
        shards.append(arguments[arguments.index("--shard") + 1] if "--shard" in arguments else None)
        return resource_estimate.Needs(100.0, 1.0, 1.0)

    monkeypatch.setattr(resource_estimate, "measure", measure)
    (tmp_path / "few.csv").write_text("sample,text\n" + "".join(f"s{i},the cat saw\n" for i in range(n)))
    answer = call("extract", tmp_path / "few.csv", "-o", tmp_path / "f.nc", "--dry-run", "--no-progress")
    assert answer.exit_code == 0, answer.stderr
    assert shards == measured
