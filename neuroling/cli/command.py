"""A command whose help is written for people who type it: what its docstring says before the numpydoc sections."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from neuroling.cli.option_names import in_words_of_the_call, refuse_no_numbers, with_what_was_meant

FAILURES = (ValueError, OSError, EOFError, ModuleNotFoundError, MemoryError)
"""Errors that say themselves what is wrong; ``DataNotFound``, ``CorruptData`` and ``ResultFileError`` are among them.
Anything else is a fault of the program and keeps its traceback."""

SECTION = re.compile(r"^\w+\n-{3,}$", re.MULTILINE)
"""A heading of numpydoc: a word, and a line of hyphens below it."""


UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, but for line feed and tab, and marks that turn the direction of writing; terminals obey them."""


def printable(text: str) -> str:
    r"""Write control characters of a text as escapes, so that no file can move the cursor or colour the terminal.

    Parameters
    ----------
    text : str
        What is to be shown, perhaps from a file of somebody else.

    Returns
    -------
    str

    Examples
    --------
    >>> printable("a\x1b[31mred")
    'a\\x1b[31mred'
    """
    return UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def say(text: str, *, err: bool = False) -> None:
    """Print a text, control characters written as escapes.

    Parameters
    ----------
    text : str
        What is to be shown.
    err : bool
        Print to standard error.
    """
    typer.echo(printable(text), err=err)


OF_AN_ARGUMENT = re.compile(r"[a-z_]+: (got|holds|expected) ")
"""How a ``TypeError`` begins that says what an argument, or a file behind it, should have been."""


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
"""The option of every command whose output programs read too."""


def say_json(values: object) -> None:
    """Print JSON; numbers that are not finite become null.

    Parameters
    ----------
    values : object
        Of dictionaries, lists, texts, numbers and truth values, those of numpy among them.
    """
    say(json.dumps(_plain(values), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(values: object) -> object:
    if isinstance(values, Mapping):
        return {str(name): _plain(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [_plain(value) for value in values]
    if hasattr(values, "to_numpy"):
        return _plain(values.to_numpy().tolist())
    if hasattr(values, "tolist"):
        return _plain(values.tolist())
    if isinstance(values, float):
        return values if math.isfinite(values) else None
    return values if values is None or isinstance(values, str | bool | int) else str(values)


class Command(TyperCommand):
    """A command of ``neuroling``; its options describe themselves, so parameters of the function are left out."""

    def __init__(self, *args: Any, help: str | None = None, **options: Any) -> None:  # noqa: A002 - click's name
        super().__init__(*args, help=introduction(help or ""), **options)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # typer's own class is private
        """Run the command; failures are told in the words of the command line.

        Parameters
        ----------
        ctx : typer.Context
            Holds what was typed.
        """
        try:
            refuse_no_numbers(self, ctx.params)
            return super().invoke(ctx)
        except typer.BadParameter as error:
            raise with_what_was_meant(error) from error.__cause__
        except BrokenPipeError:
            raise
        except FAILURES as failure:
            raise in_words_of_the_call(one_line(failure), self, ctx.params) from failure
        except TypeError as failure:
            if not OF_AN_ARGUMENT.match(str(failure)):
                raise  # a fault of the program
            raise in_words_of_the_call(one_line(failure), self, ctx.params) from failure


def one_line(failure: BaseException) -> str:
    """Give the message of a failure without line breaks and without the system's number; its name if it has none.

    Parameters
    ----------
    failure : BaseException
        Any.
    """
    message = str(failure)
    if isinstance(failure, OSError) and failure.strerror and failure.filename is not None:
        message = f"{failure.filename}: {failure.strerror}"
    return printable(" ".join(message.split())) or type(failure).__name__


def introduction(docstring: str) -> str:
    r"""Give what stands before the first section of a docstring.

    Parameters
    ----------
    docstring : str
        Without common indentation.

    Returns
    -------
    str

    Examples
    --------
    >>> introduction("Do this.\n\nAnd that.\n\nParameters\n----------\nx : int")
    'Do this.\n\nAnd that.'
    """
    return SECTION.split(docstring, maxsplit=1)[0].strip()
