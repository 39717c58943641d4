"""The frame of the catalogue of bad input: rows, entry points, and what is due where they meet.

A *row* spoils one argument in one way and says what is due: an error that names the argument, a warning with a code,
or a result that is right all the same. An *entry point* is a call with arguments that are fine. Crossed, they give one
case each wherever the entry point takes the argument that the row spoils; a case bears the number and name of its row,
the argument and the entry point: ``026 NaN > X of RidgeCV.fit``. ``test_catalogue.py`` runs all cases of all tables.

Adding rows
-----------
A table is a file of its own in this folder, named ``rows_SUBJECT.py``, with a list ``CASES``; nothing else has to be
told of it. For calls that share arguments, cross rows with entry points::

    from frame import Entry, Gives, Refused, Row, Warned, cross

    ENTRIES = [Entry("convolve", lambda: {"features": words(), "frame_times": FRAMES}, convolve)]
    ROWS = [
        Row(65, "NaN onset", ["features"], lambda words: words.assign_coords(onset=…), Refused("onset", "NaN")),
        Row(63, "some words after the end", ["features"], later, Warned("events-outside-run")),
        Row(66, "float32 features", ["features"], lambda words: words.astype("f4"), Gives(like_clean)),
    ]
    CASES = cross(ROWS, ENTRIES)

A row may change several arguments at once (``["*"]``: it then gets the whole dictionary), and what is due may depend on
the entry point: give a function of it and of the argument that returns what is due, or None where they do not meet. A
case that fits no crossing is written out as ``Case(row, name, "entry point", call, due)``.

What is checked
---------------
``Refused(argument, *parts)``: a ValueError or TypeError (or a subclass) that this package raised itself, whose message
begins with the argument and says more than one thing, among them the ``parts``. ``argument=None`` stands for the
spoiled one. ``Warned(code, check)``: exactly these codes, of :data:`neuroling.core.notices.CODES`, and a result that
passes ``check``. ``Gives(check)``: no warning at all, and a result that passes. A check gets the result and that of the
same call with arguments that are fine (the entry point is called once for all its cases).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import neuroling
from neuroling.core.notices import CODES

PACKAGE = str(Path(neuroling.__file__).parent)
Arguments = dict[str, Any]
Check = Callable[[Any, Any], bool | np.bool_ | None]
"""Compares a result with that of arguments that are fine: asserts, or says whether it is right."""


@dataclass(frozen=True)
class Refused:
    """An error of this package that names the argument."""

    argument: str | None = None
    parts: tuple[str, ...] = ()

    def __init__(self, argument: str | None = None, *parts: str) -> None:
        object.__setattr__(self, "argument", argument)
        object.__setattr__(self, "parts", parts)

    def verify(self, call: Callable[[], Any], clean: Callable[[], Any], spoiled: str) -> None:
        """Call, and hold the error against what is due."""
        argument = self.argument or spoiled
        try:
            result = call()
        except (ValueError, TypeError) as error:
            _check_error(error, argument, self.parts)
            return
        raise AssertionError(f"not refused: {argument} gave {result!r:.200}")


@dataclass(frozen=True)
class Warned:
    """A warning with a code, beside a documented result."""

    codes: tuple[str, ...]
    check: Check

    def __init__(self, *codes: str, check: Check) -> None:
        assert set(codes) <= set(CODES), codes
        object.__setattr__(self, "codes", codes)
        object.__setattr__(self, "check", check)

    def verify(self, call: Callable[[], Any], clean: Callable[[], Any], spoiled: str) -> None:
        """Call, and hold codes and result against what is due."""
        result, codes = _with_codes(call, self.codes)
        assert codes == set(self.codes), f"warned of {sorted(codes)}, due is {sorted(self.codes)}"
        assert self.check(result, clean()) is not False


@dataclass(frozen=True)
class Gives:
    """A result that is right, without a word."""

    check: Check

    def verify(self, call: Callable[[], Any], clean: Callable[[], Any], spoiled: str) -> None:
        """Call, and hold the result against what is due."""
        result, codes = _with_codes(call, ())
        assert not codes, f"warned of {sorted(codes)}"
        assert self.check(result, clean()) is not False


Due = Refused | Warned | Gives


@dataclass
class Entry:
    """A call with arguments that are fine: made anew for every case, since a row may change them."""

    name: str
    arguments: Callable[[], Arguments]
    call: Callable[..., Any]
    kind: str = ""
    """What rows may ask for where what is due depends on the entry point."""

    @cached_property
    def roles(self) -> frozenset[str]:
        return frozenset(self.arguments())

    @cached_property
    def clean(self) -> Any:
        return self.call(**self.arguments())


@dataclass(frozen=True)
class Row:
    """One way to spoil an argument, and what is due."""

    number: int
    name: str
    arguments: Sequence[str]
    spoil: Callable[[Any], Any]
    due: Due | Callable[[Entry, str], Due | None]


@dataclass(frozen=True)
class Case:
    """A row at an entry point."""

    row: int
    name: str
    entry: str
    call: Callable[[], Any]
    due: Due
    argument: str = ""
    clean: Callable[[], Any] = field(default=lambda: None)

    @property
    def id(self) -> str:
        return f"{self.row:03d} {self.name} > {f'{self.argument} of ' if self.argument else ''}{self.entry}"

    def verify(self) -> None:
        self.due.verify(self.call, self.clean, self.argument)


def cross(rows: Iterable[Row], entries: Iterable[Entry]) -> list[Case]:
    """Give a case for every row and every entry point that takes an argument which the row spoils."""
    entries, cases = list(entries), []
    for row in rows:
        for entry in entries:
            for argument in row.arguments:
                if argument != "*" and argument not in entry.roles:
                    continue
                due = row.due(entry, argument) if callable(row.due) else row.due
                if due is not None:
                    cases.append(_case(row, entry, argument, due))
    return cases


def _case(row: Row, entry: Entry, argument: str, due: Due) -> Case:
    def call() -> Any:
        arguments = entry.arguments()
        if argument == "*":
            arguments = row.spoil(arguments)
        else:
            arguments[argument] = row.spoil(arguments[argument])
        return entry.call(**arguments)

    name = "" if argument == "*" else argument
    return Case(row.number, row.name, entry.name, call, due, name, lambda: entry.clean)


def _with_codes(call: Callable[[], Any], due: Sequence[str]) -> tuple[Any, set[str]]:
    """Call, and give the codes of all warnings; one without a code is none of ours and fails."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    plain = [str(warning.message) for warning in caught if not hasattr(warning.message, "code")]
    assert not plain, f"warned without a code: {plain}"
    codes = {warning.message.code for warning in caught}
    return result, codes - ({"alpha-at-edge"} - set(due))  # small grids, on purpose


def _check_error(error: Exception, argument: str, parts: Sequence[str]) -> None:
    message = str(error)
    frame = error.__traceback__
    assert frame is not None
    while frame.tb_next is not None:
        frame = frame.tb_next
    where = frame.tb_frame.f_code.co_filename
    assert where.startswith(PACKAGE), f"raised in {where}, not by this package: {message}"
    assert re.match(rf"{re.escape(argument)}\b", message), f"begins not with {argument!r}: {message}"
    assert re.search(r"[;.:] .*[a-z]{3}", message), f"says what is wrong and nothing else: {message}"
    absent = [part for part in parts if part not in message]
    assert not absent, f"lacks {absent}: {message}"


def tables(folder: Path) -> Mapping[str, list[Case]]:
    """Read the cases of all tables of a folder, by the name of the table."""
    import importlib

    found = {path.stem: importlib.import_module(path.stem).CASES for path in sorted(folder.glob("rows_*.py"))}
    assert found, f"no table rows_*.py in {folder}"
    return found
