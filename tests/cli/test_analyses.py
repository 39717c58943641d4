from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neuroling.cli import analyses


def test_without_a_name_the_analyses_are_listed_and_the_call_was_wrong(call, scripts):
    answer = call("run")
    assert answer.exit_code == 2
    assert "counting  Count to a number, aloud." in answer.stderr


def test_help_lists_the_analyses_and_succeeds(call, scripts):
    answer = call("run", "--help")
    assert answer.exit_code == 0
    assert "Count to a number" in answer.stdout


def test_an_unknown_name_suggests_a_close_one(call, scripts):
    answer = call("run", "conuting")
    assert answer.exit_code == 2
    assert "Did you mean 'counting'?" in answer.stderr
    assert "Count to a number" in answer.stderr


def test_scripts_with_an_underscore_are_not_analyses(scripts):
    assert list(analyses.find()) == ["counting"]


def test_a_script_runs_with_its_defaults(call, scripts):
    answer = call("run", "counting")
    assert (answer.exit_code, answer.stdout) == (0, "1 2 3\n")


def test_options_are_passed_to_the_script(call, scripts):
    assert call("run", "counting", "--upto", "5").stdout == "1 2 3 4 5\n"


def test_help_after_a_name_is_the_help_of_the_script(call, scripts):
    answer = call("run", "counting", "--help")
    assert answer.exit_code == 0
    assert "--upto" in answer.stdout
    assert "Usage: neuroling run counting" in answer.stdout


def test_a_wrong_option_of_the_script_is_wrong_usage(call, scripts):
    answer = call("run", "counting", "--upto", "many")
    assert answer.exit_code == 2
    assert "--upto" in answer.stderr


@pytest.mark.parametrize("kind", ["value", "disk"])
def test_a_known_failure_is_one_line_and_status_1(call, scripts, kind):
    answer = call("--quiet", "run", "counting", "--fail", kind)
    assert (answer.exit_code, answer.stderr) == (1, "neuroling: the cellar is full\n")


def test_debug_keeps_the_traceback_of_a_known_failure(call, scripts):
    answer = call("--debug", "run", "counting", "--fail", "value")
    assert isinstance(answer.exception, ValueError)
    assert answer.exit_code == 1


def test_a_fault_of_the_program_keeps_its_traceback(call, scripts):
    answer = call("run", "counting", "--fail", "bug")
    assert isinstance(answer.exception, RuntimeError)


def test_an_interrupted_script_leaves_with_130(call, scripts):
    assert call("run", "counting", "--fail", "interrupt").exit_code == 130


def test_a_script_without_main_is_a_failure_that_says_so(call, scripts):
    (scripts / "empty.py").write_text("x = 1\n", encoding="utf-8")
    answer = call("run", "empty")
    assert answer.exit_code == 1
    assert "has no function main" in answer.stderr


def test_a_script_that_cannot_be_read_does_not_hide_the_others(call, scripts):
    (scripts / "broken.py").write_text("def :\n", encoding="utf-8")
    listing = call("run", "--help").stdout
    assert "counting" in listing
    assert "line 1" in listing


def test_an_exit_status_of_the_script_is_handed_on(call, scripts):
    (scripts / "leaving.py").write_text(
        "import typer\ndef main() -> None:\n    raise typer.Exit(7)\n", encoding="utf-8"
    )
    assert call("run", "leaving").exit_code == 7


def test_what_a_script_returns_is_no_exit_status_unless_a_number(call, scripts):
    (scripts / "giving.py").write_text("def main() -> str:\n    return 'a result'\n", encoding="utf-8")
    assert call("run", "giving").exit_code == 0


def test_scripts_are_found_beside_the_package_or_inside_it():
    assert analyses.folder().name in {"analyses", "_analyses"}


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ")
def test_a_signal_from_the_keyboard_ends_a_running_script_with_130(tmp_path: Path):
    ready = tmp_path / "ready"
    script = tmp_path / "waiting.py"
    script.write_text(
        f"import pathlib, time\ndef main() -> None:\n    pathlib.Path({str(ready)!r}).touch()\n    time.sleep(60)\n",
        encoding="utf-8",
    )
    code = (
        "import pathlib, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from neuroling.cli import analyses, main\n"
        f"analyses.folder = lambda: pathlib.Path({str(tmp_path)!r})\n"
        "sys.argv = ['neuroling', 'run', 'waiting']\n"
        "main()\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not ready.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGINT)
    _, said = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "Traceback" not in said
