from __future__ import annotations

import subprocess
import sys

import pytest

from neuroling import workflow

ROWS = "subject,layer,features\ns1,4,{there}\ns1,8,{there}\n"


@pytest.fixture
def table(tmp_path):
    """Write the table of a study, with a file that is there."""
    there = tmp_path / "features.nc"
    there.write_bytes(b"")

    def write(text: str = ROWS, name: str = "study.csv"):
        path = tmp_path / name
        path.write_text(text.format(there=there), encoding="utf-8")
        return path

    return write


def read(path):
    return workflow.read_study(path, labels=("subject", "layer"), files=("features",))


@pytest.mark.parametrize("name", workflow.WORKFLOWS)
def test_every_workflow_is_there(name):
    assert workflow.path(name).is_file()


@pytest.mark.parametrize("name", workflow.PROFILES)
def test_every_profile_is_there(name):
    assert (workflow.profile(name) / "config.yaml").is_file()


def test_no_workflow_is_forgotten():
    found = {path.parent.name for path in workflow.path().glob("*/Snakefile")}
    assert found == set(workflow.WORKFLOWS)


@pytest.mark.parametrize("find", [workflow.path, workflow.profile])
def test_an_unknown_name_is_told_what_there_is(find):
    with pytest.raises(ValueError, match="got 'nothing'; expected one of"):
        find("nothing")


def test_the_environment_of_snakemake_needs_no_numpy():
    code = "import sys, neuroling.workflow; sys.exit('numpy' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_rows_name_the_files_of_their_units(table):
    assert read(table()).files("{subject}/{layer}.nc") == ["s1/4.nc", "s1/8.nc"]


def test_tables_with_tabs_are_read_by_their_name(table):
    assert read(table(ROWS.replace(",", "\t"), "study.tsv"))[1]["layer"] == "8"


def test_a_row_is_found_by_its_labels(table):
    assert read(table()).row({"subject": "s1", "layer": "8", "tile": "3"})["layer"] == "8"


def test_a_unit_that_does_not_exist_is_an_error(table):
    with pytest.raises(ValueError, match="there is no unit s2, 4"):
        read(table()).row({"subject": "s2", "layer": "4"})


def test_two_rows_for_one_unit_are_named(table):
    with pytest.raises(ValueError, match="rows 2 and 4 are the same unit, s1, 4"):
        read(table(ROWS + "s1,4,{there}\n"))


def test_a_missing_upstream_file_is_named(table):
    with pytest.raises(FileNotFoundError, match=r"row 4 names nowhere\.nc, which is not there"):
        read(table(ROWS + "s2,4,nowhere.nc\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("subject,features\ns1,{there}\n", "has no column layer"),
        ("subject,layer,features\n", "has no rows"),
        ("", "has no column"),
        (ROWS + "s1,,{there}\n", "row 4 has nothing under layer"),
        (ROWS + "../s1,4,{there}\n", "row 4 has the label '../s1'"),
        (ROWS + "..,4,{there}\n", "row 4 has the label '..'"),
        (ROWS + "s 1,4,{there}\n", "row 4 has the label 's 1'"),
    ],
    ids=["no column", "no rows", "empty", "empty cell", "path", "dots", "blank"],
)
def test_a_bad_table_is_refused(table, text, said):
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        read(table(text))


def test_a_missing_table_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected the table of a study"):
        read(tmp_path / "none.csv")


def test_a_table_that_the_configuration_does_not_name_is_asked_for():
    with pytest.raises(FileNotFoundError, match="the configuration names none; expected the table of a study"):
        read("")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "has nothing"),
        ({"layers": []}, r"has \[\]"),
        ({"layers": "s18"}, "has 's18'"),
        ({"layers": 8}, "has 8"),
        ({"layers": [4, "4"]}, r"has \[4, '4'\]"),
    ],
    ids=["absent", "empty", "text", "number", "twice"],
)
def test_a_list_that_is_none_is_refused(config, said):
    with pytest.raises(ValueError, match=f"layers: the configuration {said}; expected a list"):
        workflow.read_list(config, "layers")


def test_an_absent_list_may_have_a_default():
    assert workflow.read_list({}, "seeds", default=[0]) == ["0"]


@pytest.mark.parametrize(("config", "given"), [({}, "has nothing"), ({"stimuli": "absent.csv"}, "has 'absent.csv'")])
def test_a_file_that_is_not_there_is_named(config, given):
    with pytest.raises(FileNotFoundError, match=f"stimuli: the configuration {given}; expected"):
        workflow.read_file(config, "stimuli")


def test_requests_leave_a_margin_and_grow_with_every_attempt(tmp_path):
    (tmp_path / "e.json").write_text('{"memory_mb": 1000.0, "seconds": 600.0}')
    first, second = (workflow.requests(tmp_path / "e.json", attempt) for attempt in (1, 2))
    assert (first, second) == ({"mem_mb": 1500, "runtime": 13}, {"mem_mb": 2800, "runtime": 26})


def test_what_is_no_estimate_is_refused(tmp_path):
    (tmp_path / "e.json").write_text("{}")
    with pytest.raises(ValueError, match="no estimate of a unit"):
        workflow.requests(tmp_path / "e.json")


@pytest.mark.parametrize(
    ("script", "asks"),
    [
        ("echo 'Slurm accounting storage is disabled' >&2; exit 1", "squeue"),
        ("exit 0", "sacct"),
        (None, "squeue"),
    ],
    ids=["disabled", "enabled", "absent"],
)
def test_without_accounting_the_queue_is_asked(tmp_path, monkeypatch, script, asks):
    for name, text in (("squeue", "exit 0"), ("sacct", script)):
        if text is not None:
            (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin" if script else str(tmp_path))
    assert workflow.status_command() == asks


def test_without_slurm_the_profile_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="cannot submit jobs"):
        workflow.status_command()
