"""A command whose help is written for people who type it: what its docstring says before the numpydoc sections."""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.core import TyperCommand

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


class Command(TyperCommand):
    """A command of ``neuroling``; its options describe themselves, so parameters of the function are left out."""

    def __init__(self, *args: Any, help: str | None = None, **options: Any) -> None:  # noqa: A002 - click's name
        super().__init__(*args, help=introduction(help or ""), **options)


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
