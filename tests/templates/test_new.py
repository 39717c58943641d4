from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from neuroling.cli.app import build
from neuroling.cli.new import kinds
from neuroling.workflow import profile

ROOT = Path(__file__).resolve().parents[2]
KINDS = sorted(kinds())


def invoke(*arguments):
    return CliRunner().invoke(build(), list(arguments), prog_name="neuroling")


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_study_is_a_short_script_with_typed_main_its_tables_and_a_snakefile(kind):
    answer = invoke("new", kind, "my_study")
    assert answer.exit_code == 0, answer.output
    script = Path("my_study/my_study.py").read_text("utf-8")
    assert len(script.splitlines()) <= 60
    assert "NAME" not in script
    assert {path.name for path in Path("my_study").iterdir()} == {"my_study.py", "README.md", "Snakefile", "sample"}
    assert len(Path("my_study/Snakefile").read_text("utf-8").splitlines()) <= 45
    assert "Next: neuroling run my_study/my_study.py" in answer.output


@pytest.mark.parametrize("kind", KINDS)
def test_the_options_of_a_study_are_shown_by_help(kind):
    invoke("new", kind, "my_study")
    answer = invoke("run", "my_study/my_study.py", "--help")
    assert answer.exit_code == 0, answer.output
    assert "--out" in answer.output


def test_without_a_kind_all_are_listed():
    answer = invoke("new")
    assert answer.exit_code == 2
    assert all(kind in answer.stderr for kind in KINDS)


def test_a_mistyped_kind_suggests_a_close_one():
    answer = invoke("new", "storyfmri", "x")
    assert answer.exit_code == 2
    assert "Did you mean 'story-fmri'?" in answer.stderr


@pytest.mark.parametrize("name", ["../x", "a b", "1st", "", "a/b", "x.py"])
def test_a_name_that_is_no_name_is_refused(name):
    answer = invoke("new", "story-fmri", name)
    assert answer.exit_code == 2
    assert list(Path().iterdir()) == []


def test_nothing_is_overwritten():
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("x")
    answer = invoke("new", "story-fmri", "mine")
    assert answer.exit_code == 1
    assert "choose another name" in answer.stderr
    assert [path.name for path in Path("mine").iterdir()] == ["notes.txt"]


def test_a_script_that_is_not_there_is_wrong_usage():
    answer = invoke("run", "nowhere/study.py")
    assert answer.exit_code == 2
    assert "nowhere/study.py is not there" in answer.stderr


def test_the_snakefile_names_a_profile_that_is_there():
    assert Path(profile("slurm-cpu")).is_dir()
