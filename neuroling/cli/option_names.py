"""Errors of Python functions in the words of the command line: options as they are typed, and names that were meant."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperOption

ALIASES = {
    "name": "model",
    "encoder": "model",
    "base": "model",
    "layers": "layer",
    "devices": "device",
    "alphas": "penalties",
    "n_draws": "draws",
    "n_splits": "folds",
    "splits": "folds",
    "rng": "seed",
    "memory": "memory_gb",
    "recording": "targets",
    "values": "targets",
    "allowed": "overlap",
    "older_than_days": "older_than",
}
"""Arguments of Python functions whose option has another name."""

VALUE = r"(True|False|None|…|-?\d[\w.+-]*|'[^']*'|\"[^\"]*\")"
"""What may stand behind an argument and its sign of equality."""

EXPRESSIONS = {
    "Rolling(words=…)": "rolling:WORDS",
    "Overlapping(left=…)": "overlapping:TOKENS",
    "--unusable score as NaN": "--unusable nan",
}
"""Values that are written otherwise on the command line."""


class CommandError(ValueError):
    """A failure of a command, in its own words.

    Parameters
    ----------
    message : str
        One line.
    is_usage : bool
        Whether the call itself is wrong, rather than a file or a machine.
    """

    def __init__(self, message: str, *, is_usage: bool) -> None:
        super().__init__(message)
        self.is_usage = is_usage


def spellings(command: TyperCommand) -> dict[str, str]:
    """Give the names of a command's parameters as they are typed, by the names of the function's arguments.

    Parameters
    ----------
    command : typer.core.TyperCommand
        With its options and arguments.

    Returns
    -------
    dict of str
    """
    typed = {str(parameter.name): _spelling(parameter) for parameter in command.params}
    others = {alias: typed[name] for alias, name in ALIASES.items() if name in typed and alias not in typed}
    return typed | others


def _spelling(parameter: Any) -> str:
    if isinstance(parameter, TyperOption):
        return next((name for name in parameter.opts if name.startswith("--")), parameter.opts[0])
    return str(parameter.metavar or parameter.human_readable_name).strip("[]").removesuffix("...").partition(" [")[0]


def as_typed(message: str, names: Mapping[str, str]) -> str:
    """Turn arguments into options: ``long='truncate'`` into ``--long truncate``, a leading ``pool:`` into ``--pool:``.

    Parameters
    ----------
    message : str
        Of a Python function.
    names : mapping of str to str
        From :func:`spellings`.

    Returns
    -------
    str

    Examples
    --------
    >>> names = {"long": "--long", "allow_unlearned": "--allow-unlearned"}
    >>> as_typed("long: is for texts; pass allow_unlearned=True.", names)
    '--long: is for texts; pass --allow-unlearned.'
    """
    if not names:
        return message
    name = f"({'|'.join(sorted(map(re.escape, names), key=len, reverse=True))})"
    with_underscore = [one for one in names if "_" in one]
    message = re.sub(rf"^{name}: ", lambda found: f"{names[found[1]]}: ", message)
    message = re.sub(rf"(?<![\w.(/])(?<!, ){name}={VALUE}", lambda found: _option(names[found[1]], found[2]), message)
    message = re.sub(rf"(?<![\w.]){name}=(?=[A-Z]\w*\()", lambda found: f"{names[found[1]]} ", message)
    for one in with_underscore:
        message = re.sub(rf"(?<![\w.'\"/-]){one}(?![\w=.'\"/(])", names[one], message)
    for python, typed in EXPRESSIONS.items():
        message = message.replace(python, typed)
    return message


def _option(name: str, value: str) -> str:
    """Write an option and its value as they are typed."""
    if not name.startswith("--") or value not in ("True", "False", "None"):
        return f"{name} {value.strip(chr(39) + chr(34))}"
    return {"True": name, "False": f"no {name}", "None": f"no {name}"}[value]


def meant(given: str, message: str) -> str:
    """Say which of the names in a message was probably meant.

    Parameters
    ----------
    given : str
        What was typed.
    message : str
        Holds the names that there are.

    Returns
    -------
    str
        A sentence with a blank before it, or nothing.

    Examples
    --------
    >>> meant("maen", "expected one of mean, first, last.")
    " Did you mean 'mean'?"
    """
    if "Did you mean" in message:
        return ""
    known = [word for word in re.findall(r"[\w][\w.-]*[\w]", message.replace(repr(given), "")) if word != given]
    close = difflib.get_close_matches(given, dict.fromkeys(known), n=1, cutoff=0.7)
    return f" Did you mean {close[0]!r}?" if close else ""


def in_words_of_the_call(message: str, command: TyperCommand, values: Mapping[str, object]) -> CommandError:
    """Write a failure as the command line spells it; a name that there is not makes it a wrong call.

    Parameters
    ----------
    message : str
        Of the error, one line.
    command : typer.core.TyperCommand
        That failed.
    values : mapping of str to object
        What its parameters were given.

    Returns
    -------
    CommandError
    """
    names = spellings(command)
    argument, _, rest = message.partition(": ")
    typed = names.get(argument, argument if argument in names.values() else None)
    given = next((values[name] for name in values if names.get(name) == typed), None)
    told = as_typed(message, names)
    files = [path for path in (given if isinstance(given, list | tuple) else [given]) if isinstance(path, Path)]
    if files and str(files[0]) not in rest:
        several = "" if len(files) == 1 else f" and {len(files) - 1} others"
        told = f"{f'{typed} ' if str(typed).startswith('--') else ''}{files[0]}{several}: {as_typed(rest, names)}"
    if isinstance(given, str):
        wrong = next((part for part in (given, *given.split(",")) if _is_refused(part, rest)), None)
        if wrong is not None:
            return CommandError(told + meant(wrong, told), is_usage=True)
    return CommandError(told, is_usage=False)


def _is_refused(given: str, message: str) -> bool:
    """Whether a message says of a value that there is no such thing."""
    quote = "'" if given.isdecimal() else "'?"  # a bare number may be another one
    return re.search(rf"\b(got|called) {quote}{re.escape(given)}{quote}[;,.]", message) is not None


@contextmanager
def renamed(**names: str) -> Iterator[None]:
    """Give arguments of a function the names that a command has for them, where their own mean something else there.

    Parameters
    ----------
    **names : str
        Parameter of the command by argument of the function.
    """
    try:
        yield
    except ValueError as error:
        argument, colon, rest = str(error).partition(": ")
        raise ValueError(f"{names.get(argument, argument)}{colon}{rest}") from error


def refuse_no_numbers(command: TyperCommand, values: Mapping[str, object]) -> None:
    """Refuse NaN, which passes every comparison with a bound, and negative seeds.

    Parameters
    ----------
    command : typer.core.TyperCommand
        With its options.
    values : mapping of str to object
        What its parameters were given.

    Raises
    ------
    typer.BadParameter
        The message names the option.
    """
    for parameter in command.params:
        value = values.get(str(parameter.name))
        numbers = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(number, float) and math.isnan(number) for number in numbers):
            raise typer.BadParameter("got nan; expected a number.", param_hint=_spelling(parameter))
        if parameter.name == "seed" and isinstance(value, int) and value < 0:
            raise typer.BadParameter(f"got {value}; expected 0 or more.", param_hint=_spelling(parameter))


def with_what_was_meant(error: typer.BadParameter) -> typer.BadParameter:
    """Add to a wrong value the name that was probably meant.

    Parameters
    ----------
    error : typer.BadParameter
        Whose message may quote the value and list the names that there are.
    """
    quoted = re.match(r"got ('[^']*')", error.message) or re.match(r"('[^']*') is not one of", error.message)
    if quoted:
        error.message += meant(quoted[1].strip("'"), error.message)
    return error
