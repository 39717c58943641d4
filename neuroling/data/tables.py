"""Tables on disk: decoded strictly, nothing guessed, every word kept (``NA`` and ``null`` are words)."""

from __future__ import annotations

import gzip
import io
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from neuroling.core.cells import rows_of_cells
from neuroling.core.lines import split_lines
from neuroling.core.stimuli import Stimuli
from neuroling.data.errors import CorruptData, require_file
from neuroling.data.synthetic import lies_in_synthetic

SEPARATORS = {".csv": ",", ".tsv": "\t"}
"""File endings that are read, a further ``.gz`` allowed, and what stands between their columns."""

LARGEST_TABLE = 2_000_000_000
"""Most bytes that a table may have once unpacked: ten thousand times the largest one at hand, so no gzip bomb."""


def read_text(path: Path | str) -> str:
    """Read a UTF-8 text file, unpacked if its name ends in ``.gz``.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    str
        Its text without a byte order mark.

    Raises
    ------
    DataNotFound
        If the file is absent.
    CorruptData
        If it is truncated or damaged (gzip) or not UTF-8; the message gives the byte offset.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "corpus.txt"
    ...     written = path.write_text("once upon a time", encoding="utf-8")
    ...     read_text(path)
    'once upon a time'
    """
    path = require_file(path, "a text file")
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = _unpacked(path, content)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorruptData(
            path, f"byte {error.object[error.start]:#04x} at offset {error.start} is not UTF-8", "a UTF-8 file"
        ) from error
    if "\0" in text:
        raise CorruptData(path, f"a NUL character at position {text.index(chr(0))}", "text")
    return text


def read_table(
    path: Path, columns: Sequence[str], *, numbers: Sequence[str] = (), separator: str | None = None
) -> pd.DataFrame:
    """Read a table whose columns are known; every cell is text but those of the numeric columns.

    Parameters
    ----------
    path : pathlib.Path
        A ``.csv`` or ``.tsv``, perhaps ``.gz``.
    columns : sequence of str
        Columns that must be there; others are kept as text.
    numbers : sequence of str, optional
        Those of them that hold finite numbers.
    separator : str, optional
        Column separator, by default the one that the file ending stands for.

    Returns
    -------
    pandas.DataFrame
        Text cells as they are (``NA`` stays ``NA``, an empty cell is ``""``), numbers as float64. For files in a folder
        that is marked as synthetic, ``attrs["synthetic"]`` is True.

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent or unreadable, a column is missing, or a cell is not a finite number.
    """
    text = read_text(path)
    mark = _separator(path) if separator is None else separator
    table = _parsed(path, text, mark, columns)
    missing = [name for name in columns if name not in table]
    if missing:
        raise CorruptData(path, f"columns {list(table.columns)[:12]}, so {missing} are missing", f"{list(columns)}")
    read = table.assign(**{name: finite_column(path, table[name]) for name in numbers})
    if lies_in_synthetic(path):
        read.attrs["synthetic"] = True
    return read


def read_numbers(path: Path | str, shape: tuple[int | None, int | None]) -> np.ndarray:
    """Read a file of finite numbers between blanks.

    Parameters
    ----------
    path : path
        A text file, one row a line.
    shape : tuple of (int or None)
        Rows and columns that must be there; None leaves the number open.

    Returns
    -------
    numpy.ndarray, shape (row, column), float64

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent, of another shape, or holds something that is not a finite number.
    """
    expected = " × ".join("any number" if size is None else str(size) for size in shape) + " finite numbers"
    rows = [line.split() for line in split_lines(read_text(path)) if line.strip()]
    try:
        numbers = np.array(rows, dtype=np.float64).reshape(len(rows), -1)
    except ValueError as error:
        raise CorruptData(path, f"not a rectangle of numbers ({error})", expected) from error
    if any(size not in (None, seen) for size, seen in zip(shape, numbers.shape, strict=True)):
        raise CorruptData(path, f"{numbers.shape[0]} × {numbers.shape[1]} numbers", expected)
    if not np.isfinite(numbers).all():
        row, column = np.argwhere(~np.isfinite(numbers))[0]
        raise CorruptData(path, f"{numbers[row, column]} in row {row + 1}, column {column + 1}", expected)
    return numbers


def read_stimuli(path: Path | str, *, text: str = "text", label: str | None = None) -> Stimuli:
    """Read stimuli from a table of one's own.

    Parameters
    ----------
    path : path
        A UTF-8 ``.csv`` or ``.tsv`` with a header line, perhaps ``.gz``. ``onset``, ``offset`` (seconds) and
        ``position`` are read as numbers; every other column is text, so that the words NA, null and None stay words.
    text : str
        Column that holds the texts.
    label : str, optional
        Column that holds unique sample labels; the texts themselves by default.

    Returns
    -------
    Stimuli

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent, not UTF-8, damaged, or lacks a column.
    ValueError
        If the table breaks a rule of :class:`~neuroling.core.stimuli.Stimuli`; the message names the file.
    """
    path = Path(path)
    columns = [text] if label is None else [text, label]
    table = read_table(path, columns)
    numbers = {
        name: finite_column(path, table[name])
        for name in ("onset", "offset", "position")
        if name in table and name != label
    }
    table = table.assign(**numbers)
    table.index = pd.Index(table[text if label is None else label].astype(object), name="sample")
    kept = table.drop(columns=[label] if label not in (None, text) else []).rename(columns={text: "text"})
    try:
        return Stimuli(kept)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _parsed(path: Path, text: str, separator: str, columns: Sequence[str]) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # pandas would drop surplus cells
            table = pd.read_csv(
                io.StringIO(text.rstrip("\r\n") + "\n"),
                sep=separator,
                dtype=str,
                keep_default_na=False,
                index_col=False,
                skip_blank_lines=False,  # pandas would also skip a cell that holds blanks alone
            )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning) as error:
        raise CorruptData(path, f"no table can be read ({str(error).strip()})", f"columns {list(columns)}") from error
    for line, cells in rows_of_cells(text, separator, strict=False):
        if len(cells) != len(table.columns):  # pandas would fill up a row that was cut short, and skip a blank line
            found = f"{len(cells)} cells in line {line}" if cells else f"line {line} is blank"
            raise CorruptData(path, found, f"{len(table.columns)}, one a column")
    return table


def _separator(path: Path) -> str:
    ending = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if ending not in SEPARATORS:
        raise ValueError(f"path: got {path.name!r}; expected a name ending in {' or '.join(SEPARATORS)}, perhaps .gz.")
    return SEPARATORS[ending]


def _unpacked(path: Path, content: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            unpacked = stream.read(LARGEST_TABLE + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CorruptData(
            path, f"{len(content)} bytes that do not unpack ({error})", "a whole gzip file; fetch it again"
        ) from error
    if len(unpacked) > LARGEST_TABLE:
        raise CorruptData(path, f"more than {LARGEST_TABLE} bytes once unpacked", "a table")
    return unpacked


def finite_column(path: Path, column: pd.Series) -> pd.Series:
    """Read the cells of a column as finite numbers.

    Parameters
    ----------
    path : pathlib.Path
        File that the column is from, for the message.
    column : pandas.Series of str
        Cells.

    Returns
    -------
    pandas.Series of float

    Raises
    ------
    CorruptData
        If a cell is not a finite number; the message gives its line.
    """
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        raise CorruptData(
            path,
            f"{len(bad)} cells of the column {column.name!r} are not finite numbers, the first is "
            f"{column.iloc[bad[0]]!r} in line {bad[0] + 2}",
            "numbers",
        )
    return numbers
