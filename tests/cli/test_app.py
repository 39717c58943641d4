from __future__ import annotations

import logging
import subprocess
import sys
import warnings

import pytest

import neuroling

HEAVY = {"torch", "mne", "nilearn", "matplotlib", "sklearn", "pandas", "xarray", "numpy", "scipy", "transformers"}


def test_no_command_is_wrong_usage(call):
    assert call().exit_code == 2


def test_an_unknown_command_is_wrong_usage_and_a_close_one_is_suggested(call):
    answer = call("sow")
    assert answer.exit_code == 2
    assert "show" in answer.stderr


def test_the_version_is_the_package_version(call):
    assert call("--version").stdout.strip() == neuroling.__version__


def test_shells_can_complete(call):
    assert "--install-completion" in call("--help").stdout


@pytest.mark.parametrize(
    "wrong", [["shwo"], ["--quite"], ["datasets", "lsit"], ["show", "--tabel"], ["run", "neurosynht"]]
)
def test_a_mistyped_name_is_a_wrong_call_with_the_name_that_was_meant(call, wrong):
    answer = call(*wrong)
    assert answer.exit_code == 2
    assert "Did you mean" in answer.stderr or "Possible options" in answer.stderr


def test_help_names_every_command(call):
    text = call("--help").stdout
    assert all(name in text for name in ("run", "datasets", "show", "compare", "doctor"))


@pytest.mark.parametrize("command", ["show", "compare", "doctor", "datasets"])
def test_every_command_has_help(call, command):
    answer = call(command, "--help")
    assert answer.exit_code == 0
    assert "Usage: neuroling " + command in answer.stdout


COMMANDS = [
    *(["extract"], ["encode"], ["pretrain"], ["finetune"], ["show"], ["compare"], ["rsa"], ["n400"], ["gather"]),
    *(["join"], ["check"], ["doctor"], ["datasets", "list"], ["datasets", "show"], ["datasets", "fetch"]),
    *(["datasets", "verify"], ["cache", "list"], ["cache", "verify"], ["cache", "prune"]),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_is_for_people_who_type_and_not_for_those_who_program(call, command):
    answer = call(*command, "--help")
    assert answer.exit_code == 0
    assert "Parameters" not in answer.stdout
    assert "----" not in answer.stdout.replace("--help", "")
    assert len(answer.stdout.split("\n\n")[1].strip()) > 10  # what it does


def test_the_log_goes_to_stderr(call, scripts):
    answer = call("run", "counting")
    assert "counting to 3" in answer.stderr
    assert "counting to" not in answer.stdout


def test_quiet_silences_the_log(call, scripts):
    assert call("--quiet", "run", "counting").stderr == ""


def test_logging_is_left_as_it_was_found(call, scripts):
    logger = logging.getLogger("neuroling")
    before = (logger.level, list(logger.handlers))
    call("--verbose", "run", "counting")
    assert (logger.level, list(logger.handlers)) == before


def test_a_warning_is_one_line_that_shows_no_source(call, scripts):
    shown = "print(warnings.formatwarning('cut\\nshort', UserWarning, 'some.py', 7), end='')"
    (scripts / "warned.py").write_text(f"import warnings\n\n\ndef main() -> None:\n    {shown}\n")
    assert call("run", "warned").stdout == "neuroling: warning: cut short\n"


def test_other_warnings_and_other_programs_are_left_as_they_were(call, scripts):
    before = warnings.formatwarning
    shown = "print(warnings.formatwarning('old', DeprecationWarning, 'some.py', 7, ''), end='')"
    (scripts / "warned.py").write_text(f"import warnings\n\n\ndef main() -> None:\n    {shown}\n")
    assert "some.py:7: DeprecationWarning: old" in call("run", "warned").stdout
    assert warnings.formatwarning is before


def test_the_command_line_starts_without_heavy_packages():
    code = (
        "import sys; from neuroling.cli.app import build; import typer.main; typer.main.get_command(build()); "
        f"sys.exit(', '.join(sorted({HEAVY} & set(sys.modules))) or 0)"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (child.returncode, child.stderr) == (0, "")


def test_the_installed_command_runs():
    code = "from neuroling.cli import main; main()"
    child = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=False)
    assert child.stdout.strip() == neuroling.__version__
