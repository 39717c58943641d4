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


def test_a_text_with_control_characters_is_refused_unless_it_may_be_cleaned(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT.replace("cat", "ca\x07t"), encoding="utf-8")
    options = ["--vocabulary", 60, "--steps", 1, "--batch-size", 2, "--max-length", 32, "--device", "cpu"]
    call = ["-q", "pretrain", tmp_path / "text.txt", "--out", tmp_path / "run", *options]
    refused = invoke(*call)
    assert refused.exit_code == 1
    assert "text.txt: documents: 3 texts hold control characters" in refused.output
    assert "remove them, or pass --clean" in " ".join(refused.output.split())
    with pytest.warns(UserWarning, match="3 texts held control characters"):
        done = invoke(*call, "--clean")
    assert done.exit_code == 0, done.output


def tables(tmp_path, train="the cat sees\t1\nthe dog hears\t0\n", test="the cat hears\t1\nthe dog sees\t0\n"):
    for name, rows in (("train", train), ("test", test)):
        (tmp_path / f"{name}.tsv").write_text("sentence\tlabel\n" + rows, encoding="utf-8")
    return ["--train", tmp_path / "train.tsv", "--test", tmp_path / "test.tsv", "--out", tmp_path / "out"]


def test_fine_tuning_writes_its_scores(pretrained, tmp_path):
    done = invoke("-q", "finetune", "sst-2", *tables(tmp_path), "--model", pretrained[0], "--device", "cpu")
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert set(found["scores"]) == {"accuracy", "f1", "matthews"}


RATED = '{{"sentence1": "{}", "sentence2": "{}", "label": {}}}\n'


def rated(tmp_path):
    rows = [("the cat sees", "the cat sees", 5), ("the dog", "the child likes the cat", 0.5), ("the dog", "the cat", 3)]
    for name, mark in (("train", "."), ("test", "")):
        text = "".join(RATED.format(a + mark, b + mark, rating) for a, b, rating in rows)
        (tmp_path / f"{name}.json").write_text(text, encoding="utf-8")
    return ["--train", tmp_path / "train.json", "--test", tmp_path / "test.json", "--out", tmp_path / "out"]


def test_vectors_of_pairs_are_trained_and_compared_with_those_before(pretrained, tmp_path):
    options = ["--model", pretrained[0], "--epochs", 4, "--batch-size", 3, "--learning-rate", 1e-2, "--device", "cpu"]
    done = invoke("-q", "finetune", "jsts", *rated(tmp_path), *options, "--siamese")
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert set(found["scores"]) == {"pearson", "spearman", "pearson before", "spearman before"}
    assert found["scores"]["pearson"] != found["scores"]["pearson before"]
    assert (found["siamese"], found["learning_rate"], found["steps"]) == (True, 1e-2, 4)


def test_a_head_alone_can_be_trained(pretrained, tmp_path):
    files = tables(tmp_path)
    done = invoke("-q", "finetune", "sst-2", *files, "--model", pretrained[0], "--device", "cpu", "--frozen")
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["frozen"] is True


@pytest.mark.parametrize(
    ("layout", "options", "message"),
    [
        ("sst-2", ["--siamese"], "is for jsts and sts-b"),
        ("sst-2", ["--long", "windows"], "windows are for passages"),
        ("sst-2", ["--long", "never"], "expected error, truncate or windows"),
    ],
    ids=["siamese", "windows", "long"],
)
def test_options_that_do_not_go_together_are_refused(pretrained, tmp_path, layout, options, message):
    done = invoke("-q", "finetune", layout, *tables(tmp_path), "--model", pretrained[0], "--device", "cpu", *options)
    assert done.exit_code == 2
    assert message in " ".join(done.output.replace("│", " ").split())


def test_long_passages_are_read_in_windows(pretrained, tmp_path):
    passage = "the dog likes the child . " * 8 + "the cat sees the dog ."
    for name, question in (("train", "the cat ?"), ("test", "the dog ?")):
        qas = [{"question": question, "answers": [{"text": "sees", "answer_start": passage.index("sees")}]}]
        content = {"data": [{"paragraphs": [{"context": passage, "qas": qas}]}]}
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    files = ["--train", tmp_path / "train.json", "--test", tmp_path / "test.json", "--out", tmp_path / "out"]
    options = ["--model", pretrained[0], "--device", "cpu", "--epochs", 2, "--learning-rate", 1e-2]
    assert invoke("-q", "finetune", "squad", *files, *options).exit_code == 1  # too long
    done = invoke("-q", "finetune", "squad", *files, *options, "--long", "windows", "--shared", 4)
    assert done.exit_code == 0, done.output
    assert set(json.loads((tmp_path / "out" / "scores.json").read_text())["scores"]) == {"exact", "f1"}


def test_a_test_that_was_trained_on_is_refused(pretrained, tmp_path):
    files = tables(tmp_path, test="the cat sees\t1\n")
    done = invoke("-q", "finetune", "sst-2", *files, "--model", pretrained[0])
    assert done.exit_code == 1
    assert "1 of 1 texts were trained on as well" in done.output


@pytest.mark.parametrize(
    ("layout", "message", "status"),
    [("imdb", "LAYOUT: got 'imdb'", 2), ("jsts", "line 1 is no rated pair", 1)],
    ids=["name", "file"],
)
def test_a_layout_that_does_not_fit_is_one_sentence(tmp_path, layout, message, status):
    done = invoke("-q", "finetune", layout, *tables(tmp_path))
    assert done.exit_code == status
    assert message in done.output


def test_tags_of_two_files_are_numbered_alike(tmp_path):
    row = "{}\t{}\t_\t{}\t_\t_\t{}\t{}\t_\t_\n"
    for name, tag in (("a", "NOUN"), ("b", "ADJ")):
        text = row.format(1, "cat", tag, 2, "nsubj") + row.format(2, "sees", "VERB", 0, "root") + "\n"
        (tmp_path / name).write_text(text, encoding="utf-8")
    one, two = read_tasks("conllu", tmp_path / "a", tmp_path / "b")
    assert one.names == two.names == ("ADJ", "NOUN", "VERB")
    assert (one.tags, two.tags) == (((1, 2),), ((0, 2),))
