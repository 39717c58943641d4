"""Study tables and configurations cannot run commands through the workflows."""

import csv
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from neuroling import workflow

SNAKEMAKE = shutil.which("snakemake") or os.environ.get("NEUROLING_SNAKEMAKE")
BAD = [
    "$(touch canary)",
    "`touch canary`",
    "; touch canary",
    "a b; touch canary #",
    "x' ; touch canary '",
    "| touch canary",
]

FAKE = """#!{python}
import sys
with open({log!r}, "a") as log:
    log.write(repr(sys.argv[1:]) + "\\n")
out = sys.argv[sys.argv.index("-o") + 1] if "-o" in sys.argv else None
if "--dry-run" in sys.argv:
    print('{{"memory_mb": 10, "seconds": 1}}')
elif out:
    open(out, "w").write("x")
"""


@pytest.mark.parametrize("bad", BAD)
def test_options_are_quoted_word_by_word(bad):
    text = workflow.shell_options({}, bad)
    assert shlex.split(text) == [bad]
    assert subprocess.run(["bash", "-c", f"printf %s {text}"], capture_output=True, text=True).stdout == bad


@pytest.mark.parametrize("bad", BAD)
def test_labels_that_a_shell_would_read_are_refused(tmp_path, bad):
    table = tmp_path / "study.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["subject"], [bad]])
    with pytest.raises(ValueError, match="label"):
        workflow.read_study(table, labels=["subject"])
    with pytest.raises(ValueError, match="time_constants"):
        workflow.read_list({"time_constants": [bad]}, "time_constants")


@pytest.mark.parametrize("bad", ["-rf", "a\nb", "{wildcards.model}", "", 3])
def test_folders_that_are_options_or_patterns_are_refused(bad):
    with pytest.raises(ValueError, match="out:"):
        workflow.read_out({"out": bad}, "results")


def test_values_that_are_options_are_refused(tmp_path):
    table = tmp_path / "study.csv"
    table.write_text("model,source\nm,--cache=/elsewhere\n")
    with pytest.raises(ValueError, match="source"):
        workflow.read_study(table, labels=["model"], values=["source"])


@pytest.mark.skipif(SNAKEMAKE is None, reason="needs snakemake: pip install 'neuroling[hpc]'")
@pytest.mark.parametrize("bad", BAD)
def test_no_cell_of_a_study_runs_in_the_workflow_of_extraction(tmp_path, bad):
    commands = tmp_path / "bin"
    commands.mkdir()
    log = tmp_path / "log.txt"
    fake = commands / "neuroling"
    fake.write_text(FAKE.format(python=sys.executable, log=str(log)))
    fake.chmod(0o755)
    with (tmp_path / "study.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["model", "source", "revision"], ["m", bad, bad]])
    (tmp_path / "my words.csv").write_text("text\ncat\n")
    options = f"--pool {shlex.quote(bad)}"
    config = {"table": "study.csv", "stimuli": "my words.csv", "out": "my results", "options": options}
    (tmp_path / "config.json").write_text(json.dumps(config))
    environment = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}"}
    environment["PYTHONPATH"] = str(Path(workflow.__file__).resolve().parents[1])
    command = [SNAKEMAKE, "-s", str(workflow.path("extract")), "--cores", "1", "--configfile", "config.json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    calls = log.read_text()
    assert calls.count(repr(bad)) >= 6  # source, revision and option of the estimate and of the shard
    assert not list(tmp_path.rglob("canary"))
