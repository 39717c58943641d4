"""``neuroling pretrain`` and ``neuroling finetune``, from files to scores."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from neuroling.cli.app import build
from neuroling.cli.finetune import read_tasks

TEXT = "the cat sees the dog .\nthe dog hears the cat .\n\nthe child meets the cat .\nthe dog likes the child .\n"


def invoke(*arguments):
    return CliRunner().invoke(build(), [str(one) for one in arguments])


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrain")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    options = ["--vocabulary", 60, "--steps", 3, "--batch-size", 4, "--max-length", 32, "--device", "cpu"]
    done = invoke("--quiet", "pretrain", folder / "text.txt", "--out", folder / "run", *options)
    assert done.exit_code == 0, done.output
    return folder / "run" / "step-00000003", done.output


def test_pretraining_names_the_last_checkpoint_and_its_loss(pretrained):
    folder, said = pretrained
    assert str(folder) in said
    assert "loss" in said


def tables(tmp_path, train="the cat sees\t1\nthe dog hears\t0\n", test="the cat hears\t1\nthe dog sees\t0\n"):
    for name, rows in (("train", train), ("test", test)):
        (tmp_path / f"{name}.tsv").write_text("sentence\tlabel\n" + rows, encoding="utf-8")
    return ["--train", tmp_path / "train.tsv", "--test", tmp_path / "test.tsv", "--out", tmp_path / "out"]


def test_fine_tuning_writes_its_scores(pretrained, tmp_path):
    done = invoke("-q", "finetune", "sst-2", *tables(tmp_path), "--model", pretrained[0], "--device", "cpu")
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert set(found["scores"]) == {"accuracy", "f1", "matthews"}


def test_a_test_that_was_trained_on_is_refused(pretrained, tmp_path):
    files = tables(tmp_path, test="the cat sees\t1\n")
    done = invoke("-q", "finetune", "sst-2", *files, "--model", pretrained[0])
    assert done.exit_code == 1
    assert "1 of 1 texts were trained on as well" in done.output


@pytest.mark.parametrize(
    ("layout", "message"), [("imdb", "layout: got 'imdb'"), ("jsts", "line 1 is no rated pair")], ids=["name", "file"]
)
def test_a_layout_that_does_not_fit_is_one_sentence(tmp_path, layout, message):
    done = invoke("-q", "finetune", layout, *tables(tmp_path))
    assert done.exit_code == 1
    assert message in done.output


def test_tags_of_two_files_are_numbered_alike(tmp_path):
    row = "{}\t{}\t_\t{}\t_\t_\t{}\t{}\t_\t_\n"
    for name, tag in (("a", "NOUN"), ("b", "ADJ")):
        text = row.format(1, "cat", tag, 2, "nsubj") + row.format(2, "sees", "VERB", 0, "root") + "\n"
        (tmp_path / name).write_text(text, encoding="utf-8")
    one, two = read_tasks("conllu", tmp_path / "a", tmp_path / "b")
    assert one.names == two.names == ("ADJ", "NOUN", "VERB")
    assert (one.tags, two.tags) == (((1, 2),), ((0, 2),))
