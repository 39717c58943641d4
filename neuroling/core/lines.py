"""Lines of a text: cut at line feeds and carriage returns, and nowhere else.

``str.splitlines`` also cuts at U+2028, NEL, vertical tabs, form feeds and four more characters, all of which stand in
running text: a sentence would fall in two, and a JSON line would no longer be one. Every reader of this package that
goes by lines uses this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

LINE_END = re.compile(r"\r\n|\r|\n")

LONGEST_LINE = 2**26
"""Bytes of a line above which a file is no text: 64 MiB, a thousand times the longest line of word vectors."""

BYTES_AT_ONCE = 2**20


def split_lines(text: str) -> list[str]:
    r"""Cut a text at ``\n``, ``\r\n`` and ``\r``.

    Parameters
    ----------
    text : str
        All of it.

    Returns
    -------
    list of str
        Lines without their ends; what stands behind the last end is a line unless it is empty.

    Examples
    --------
    >>> split_lines("one\u2028line\r\ntwo\x0c\n")
    ['one\u2028line', 'two\x0c']
    """
    lines = LINE_END.split(text)
    return lines if lines[-1] else lines[:-1]


def read_lines(stream: BinaryIO) -> Iterator[bytes]:
    r"""Read a file line by line, cut as :func:`split_lines` cuts.

    Parameters
    ----------
    stream : binary file
        Open for reading.

    Yields
    ------
    bytes
        Lines without their ends.

    Raises
    ------
    ValueError
        If a line is longer than 64 MiB.

    Examples
    --------
    >>> from io import BytesIO
    >>> list(read_lines(BytesIO(b"one\r\ntwo\rthree")))
    [b'one', b'two', b'three']
    """
    rest = b""
    while chunk := stream.read(BYTES_AT_ONCE):
        text = rest + chunk
        held = b""
        if b"\r" in text:
            if text.endswith(b"\r"):  # whether a line feed follows is not known yet
                text, held = text[:-1], b"\r"
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        yield from lines
        rest += held
        if len(rest) > LONGEST_LINE:
            raise ValueError(f"a line has more than {LONGEST_LINE} bytes; expected lines of text")
    if rest.endswith(b"\r"):
        yield rest[:-1]
    elif rest:
        yield rest
