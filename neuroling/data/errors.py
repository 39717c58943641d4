"""What can be wrong with data: absent, or not what it should be."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

REASON_LENGTH = 300
"""Characters of a foreign reader's message that are passed on; some print the whole file."""


class DataNotFound(FileNotFoundError):  # noqa: N818 - reads as what happened: data not found
    """Raised where a data set, or one of its files, is at none of the places looked at."""


class CorruptData(ValueError):  # noqa: N818 - reads as what happened: corrupt data
    """Raised where a file is not what its card, its format or its documentation says.

    Parameters
    ----------
    path : path
        The file.
    seen : str
        What is in it; opens the sentence after the path.
    expected : str
        What should be.
    """

    def __init__(self, path: Path | str, seen: str, expected: str) -> None:
        super().__init__(f"{path}: {seen}; expected {expected}.")
        self.path = Path(path)


class reading:  # noqa: N801 - a context manager that reads as a sentence: with reading(path, ...)
    """Turn whatever a foreign reader makes of a damaged file into :class:`CorruptData`.

    Readers of other packages answer a truncated or damaged file with errors of any kind (``EOFError``,
    ``zlib.error``, ``ExpatError``, ``ImageFileError``, ``KeyError``), most of which name neither the file nor what is
    wrong with it. Errors of the operating system (no such file, no permission, no space), a package that is not
    installed and too little memory are passed on as they are, since the file is not to blame.

    Parameters
    ----------
    path : path
        The file that is read inside the block.
    expected : str
        What it should be, as a noun phrase.
    reader : str, optional
        Package that reads it, named in the message.

    Examples
    --------
    >>> with reading(Path("run.nii.gz"), "a complete NIfTI file"):
    ...     raise EOFError("Compressed file ended before the end-of-stream marker was reached")
    Traceback (most recent call last):
    neuroling.data.errors.CorruptData: run.nii.gz: cannot be read (EOFError: Compressed file ended before the
    end-of-stream marker was reached); expected a complete NIfTI file.
    """

    def __init__(self, path: Path | str, expected: str, *, reader: str = "") -> None:
        self.path = Path(path)
        self.expected = expected
        self.reader = reader

    def __enter__(self) -> reading:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception) or isinstance(error, CorruptData | ImportError | MemoryError):
            return
        if isinstance(error, OSError) and error.errno is not None:
            return
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:REASON_LENGTH].rstrip(": ")
        failed = f"{self.reader} cannot read it" if self.reader else "cannot be read"
        raise CorruptData(self.path, f"{failed} ({reason})", self.expected) from error


def require_file(path: Path | str, what: str) -> Path:
    """Give the path back if a file is there.

    Parameters
    ----------
    path : path
        File that must exist.
    what : str
        What the file holds; stands in the message.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    DataNotFound
        If there is no such file.
    """
    path = Path(path)
    if path.is_dir():
        raise DataNotFound(f"{path}: is a folder; expected {what}. Name the file in it.")
    if not path.is_file():
        beside = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else "no such folder"
        raise DataNotFound(f"{path}: no such file; expected {what}. Beside it: {beside[:8] or 'an empty folder'}.")
    return path
