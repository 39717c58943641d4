"""A command whose help is written for people who type it: what its docstring says before the numpydoc sections."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

SECTION = re.compile(r"^\w+\n-{3,}$", re.MULTILINE)
"""A heading of numpydoc: a word, and a line of hyphens below it."""


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
