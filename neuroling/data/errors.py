"""What can be wrong with data: absent, or not what it should be."""

from __future__ import annotations

from pathlib import Path


class DataNotFound(FileNotFoundError):  # noqa: N818 - reads as what happened: data not found
    """Raised where a data set, or one of its files, is at none of the places looked at."""


class CorruptData(ValueError):  # noqa: N818 - reads as what happened: corrupt data
    """Raised where a file is not what its card, its format or its documentation says.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    seen : str
        What is in it; opens the sentence after the path.
    expected : str
        What should be.
    """

    def __init__(self, path: Path, seen: str, expected: str) -> None:
        super().__init__(f"{path}: {seen}; expected {expected}.")
        self.path = path


def require_file(path: Path, what: str) -> Path:
    """Give the path back if a file is there.

    Parameters
    ----------
    path : pathlib.Path
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
    if not path.is_file():
        beside = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else "no such folder"
        raise DataNotFound(f"{path}: no such file; expected {what}. Beside it: {beside[:8] or 'an empty folder'}.")
    return path
