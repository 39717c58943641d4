"""Tables in text: the line in which each row begins, and its cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator


def rows_of_cells(text: str, separator: str, *, strict: bool = True) -> Iterator[tuple[int, list[str]]]:
    r"""Read a table row by row, to the letter: blank lines too, except those behind the last row.

    Parameters
    ----------
    text : str
        All of the table.
    separator : str
        What stands between cells.
    strict : bool
        Refuse quotation marks that do not match, instead of making the best of them.

    Yields
    ------
    line : int
        Number of the line in which the row begins, from 1; a cell in quotes may hold several lines.
    cells : list of str
        Empty for a blank line.

    Raises
    ------
    ValueError
        If quotation marks do not match and ``strict`` is set; the message begins with the line.

    Examples
    --------
    >>> list(rows_of_cells('text\n\n"one, two"\n', ","))
    [(1, ['text']), (2, []), (3, ['one, two'])]
    """
    before = csv.field_size_limit()
    csv.field_size_limit(max(before, len(text)))  # a story may stand in one cell
    reader = csv.reader(io.StringIO(text.rstrip("\r\n"), newline=""), delimiter=separator, strict=strict)
    line = 1
    try:
        for row in reader:
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"line {line} cannot be read ({error}); a text that begins with a quotation mark needs quotes around all "
            "of it, and its own doubled."
        ) from error
    finally:
        csv.field_size_limit(before)
