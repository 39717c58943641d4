"""The commands put together, and what becomes of a failure.

Exit status: 0 done, 1 failed (one line says why), 2 called wrongly, 130 interrupted.
"""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from neuroling.cli import (
    allocation,
    analyses,
    cache,
    datasets,
    doctor,
    encode,
    extract,
    finetune,
    n400,
    new,
    report,
    results,
    rsa,
    units,
)
from neuroling.cli.command import FAILURES, Command, one_line, printable, say
from neuroling.cli.option_names import CommandError


class Root(TyperGroup):
    """The command ``neuroling``: turns known failures into one line and an exit status."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # typer's own class is private
        """Run the command that was named.

        Parameters
        ----------
        ctx : typer.Context
            Holds the option ``debug``.
        """
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, typer.Abort) as stop:
            say("neuroling: interrupted", err=True)
            raise typer.Exit(130) from stop
        except BrokenPipeError:
            raise  # the reader of our output has left, which typer handles
        except FAILURES as failure:
            if ctx.params["debug"]:
                raise
            say(f"neuroling: {one_line(failure)}", err=True)
            raise typer.Exit(2 if isinstance(failure, CommandError) and failure.is_usage else 1) from failure


def build() -> typer.Typer:
    """Put the commands together.

    Returns
    -------
    typer.Typer
    """
    app = typer.Typer(
        cls=Root, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=True
    )
    app.callback()(options)
    app.command("tour", context_settings=analyses.HANDS_ON, add_help_option=False)(analyses.tour)
    app.command("run", context_settings=analyses.HANDS_ON, add_help_option=False)(analyses.run)
    app.command("new", cls=Command)(new.new)
    app.add_typer(datasets.build(), name="datasets")
    app.command("extract", cls=Command)(extract.extract)
    app.command("encode", cls=Command)(encode.encode)
    app.add_typer(cache.build(), name="cache")
    app.command("pretrain", cls=Command)(finetune.pretrain)
    app.command("finetune", cls=Command)(finetune.finetune)
    app.command("report", cls=Command)(report.report)
    app.command("show", cls=Command)(results.show)
    app.command("compare", cls=Command)(results.compare)
    app.command("rsa", cls=Command)(rsa.rsa)
    app.command("n400", cls=Command)(n400.n400)
    app.command("gather", cls=Command)(units.gather)
    app.command("join", cls=Command)(units.join)
    app.command("check", cls=Command)(units.check)
    app.command("doctor", cls=Command)(doctor.doctor)
    return app


def _show_version(asked: bool) -> None:
    if asked:
        from neuroling import __version__

        say(__version__)
        raise typer.Exit


def options(
    ctx: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print warnings only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print every step.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.")] = False,
    version: Annotated[  # noqa: ARG001 - typer calls the callback
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Language models against the brain: encoding, RSA and N400 simulation through one evaluation call."""
    allocation.keep_to_allocation()
    _warn_in_a_line(ctx)
    _log_to_stderr(ctx, logging.WARNING if quiet else logging.DEBUG if verbose or debug else logging.INFO)


def _warn_in_a_line(ctx: typer.Context) -> None:
    """Show what a warning says, without the line of source that gave it, until the command ends."""
    before = warnings.formatwarning

    def only_said(message: Warning | str, category: type[Warning], *where: Any) -> str:
        if issubclass(category, UserWarning):
            return f"neuroling: warning: {printable(' '.join(str(message).split()))}\n"
        return before(message, category, *where)

    warnings.formatwarning = only_said  # type: ignore[assignment]  # the rest of the place is passed on as it comes
    ctx.call_on_close(lambda: setattr(warnings, "formatwarning", before))


def _log_to_stderr(ctx: typer.Context, level: int) -> None:
    """Send the package's log to stderr until the command ends."""
    logger = logging.getLogger("neuroling")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)

    def undo() -> None:
        logger.removeHandler(handler)
        logger.setLevel(before)

    ctx.call_on_close(undo)
