"""``neuroling run``: the published analyses, each a script with a typed ``main``."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from neuroling.cli.command import Command, say

HANDS_ON: dict[str, object] = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "allow_interspersed_args": False,
}
"""What follows the name belongs to the script, ``--help`` included."""

DRY_RUN = "--dry-run"
"""The one option after the name that is not the script's own: it asks what the call will need."""


def run(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME|SCRIPT.py [OPTIONS OF THE SCRIPT]")] = None,
) -> None:
    """Run an analysis script; `run NAME --help` lists its options, `--dry-run` estimates time and memory.

    Parameters
    ----------
    ctx : typer.Context
        Holds what follows the name.
    name : str, optional
        Name of a script in ``analyses/``, or the path of a script of your own, as ``neuroling new`` writes one; without
        it the scripts are listed.
    """
    scripts = find()
    if name is not None and name.endswith(".py"):
        scripts = {name: _own_script(name)}
    if name is None or name == "--help":
        say(_listing(scripts), err=name is None)
        raise typer.Exit(2 if name is None else 0)
    if name not in scripts:
        close = difflib.get_close_matches(name, scripts, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise typer.BadParameter(f"no analysis is called {name!r}.{hint}\n\n{_listing(scripts)}", param_hint="NAME")
    if DRY_RUN in ctx.args:
        _say_needs(name, [word for word in ctx.args if word != DRY_RUN])
        return
    status = _execute(name, load(name, scripts[name]), list(ctx.args))
    if isinstance(status, int) and status:
        raise typer.Exit(status)


def _own_script(name: str) -> Path:
    """Find a script by its path."""
    path = Path(name)
    if not path.is_file():
        raise typer.BadParameter(
            f"{name} is not there; expected the path of a script, or the name of an analysis.", param_hint="NAME"
        )
    return path.resolve()


def tour(ctx: typer.Context) -> None:
    """Run encoding, RSA, single-trial and simulation examples on included real data, in about two minutes.

    Parameters
    ----------
    ctx : typer.Context
        Holds the options of ``analyses/tour.py``; `tour --help` shows them.
    """
    run(ctx, "tour")


def _say_needs(name: str, arguments: list[str]) -> None:
    """Make the call once, its output thrown away: nobody but the script knows what part of it grows."""
    from tempfile import TemporaryDirectory

    from neuroling.cli.resource_estimate import measure

    with TemporaryDirectory() as place:
        needs = measure(["run", name, *arguments, "--out", str(Path(place) / "unit.nc")])  # the last --out counts
    say(needs.to_json())


def folder() -> Path:
    """Find the scripts: inside an installed package, else beside the package in a working tree.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    FileNotFoundError
        If there are none at either place.
    """
    package = Path(__file__).resolve().parents[1]
    folders = (package / "_analyses", package.parent / "analyses")
    for place in folders:
        if place.is_dir():
            return place
    raise FileNotFoundError(f"no analyses at {folders[0]} or {folders[1]}; install the package again.")


def find(where: Path | None = None) -> dict[str, Path]:
    """Find the scripts by name.

    Parameters
    ----------
    where : pathlib.Path, optional
        Folder to look in; that of :func:`folder` by default.

    Returns
    -------
    dict of pathlib.Path
        In alphabetical order.
    """
    return {path.stem: path for path in sorted((where or folder()).glob("[!_]*.py"))}


def load(name: str, path: Path) -> ModuleType:
    """Load a script as a module from its path.

    Parameters
    ----------
    name : str
        Name of the analysis, or the path of a script of one's own.
    path : pathlib.Path
        The script.

    Returns
    -------
    types.ModuleType

    Raises
    ------
    ValueError
        If it has no function ``main``.
    """
    full_name = f"neuroling.analyses.{Path(name).stem}"  # below "neuroling", so that its log is shown
    spec = importlib.util.spec_from_file_location(full_name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path}: not a Python script.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[full_name] = module  # dataclasses in the script look themselves up
    spec.loader.exec_module(module)
    if not callable(getattr(module, "main", None)):
        raise ValueError(  # noqa: TRY004 - the script is wrong, not the type of an argument
            f"{path}: has no function main; expected a typed one, whose arguments become options."
        )
    return module


def _execute(name: str, module: ModuleType, arguments: list[str]) -> object:
    """Call a script's ``main`` with options from the command line; gives its exit status, or what it returned."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    app.command(cls=Command, help=summary(module.__doc__))(module.main)
    command = typer.main.get_command(app)
    returned: object = command.main(args=arguments, prog_name=f"neuroling run {name}", standalone_mode=False)
    return returned


def summary(docstring: str | None) -> str:
    """Give the first line of a docstring.

    Parameters
    ----------
    docstring : str or None
        A docstring.

    Returns
    -------
    str
    """
    return (docstring or "").strip().partition("\n")[0]


def _listing(scripts: dict[str, Path]) -> str:
    if not scripts:
        return "No analyses are installed."
    width = max(map(len, scripts))
    lines = [f"  {name:<{width}}  {_described(path)}" for name, path in scripts.items()]
    usage = "Usage: neuroling run NAME|SCRIPT.py [OPTIONS OF THE SCRIPT] [--dry-run]"
    dry_run = "With --dry-run the call is made once, its result thrown away, and its memory and time printed as JSON."
    return "\n".join([usage, "", dry_run, "", "Analyses:", *lines])


def _described(path: Path) -> str:
    """First line of a script's docstring, read without running it."""
    try:
        return summary(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))))
    except SyntaxError as error:
        return f"(cannot be read: line {error.lineno}, {error.msg})"
