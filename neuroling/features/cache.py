"""A folder of arrays named by what they were made from: read back only when every byte is as it was written."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIGITS = 64
"""Hexadecimal digits of a SHA-256."""

FORMAT = "neuroling-features-1"
"""Name of the file layout; a change of layout or of any step that makes features changes it."""


def content_key(parts: Mapping[str, object]) -> str:
    """Hash a description of how an array is made.

    Parameters
    ----------
    parts : mapping
        Names to strings, numbers, booleans, None, or lists of these.

    Returns
    -------
    str
        SHA-256, hexadecimal, over canonical JSON: neither the order of the names nor any way of writing a value
        lets two descriptions share a key.

    Examples
    --------
    >>> content_key({"layer": 1, "pool": "mean"}) == content_key({"pool": "mean", "layer": 1})
    True
    >>> content_key({"layer": 1}) == content_key({"layer": "1"})
    False
    """
    text = json.dumps({"format": FORMAT, **parts}, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def remember(
    folder: Path | None, parts: Mapping[str, object], compute: Callable[[], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Read an array back if it has been made before, otherwise make it and keep it.

    Parameters
    ----------
    folder : Path or None
        Where entries live, one file each; None keeps nothing.
    parts : mapping
        Everything that the values depend on.
    compute : callable
        Makes the array, float32.

    Returns
    -------
    numpy.ndarray of float32

    Warns
    -----
    UserWarning
        If an entry is damaged, which is then made anew, or could not be written; the values are right in both cases.
    """
    if folder is None:
        return compute()
    key = content_key(parts)
    path = Path(folder) / f"{key}.npz"
    if path.exists():
        try:
            return read_entry(path, key)
        except (OSError, ValueError, KeyError) as error:
            warnings.warn(f"cache: {path.name} is damaged ({error}); computed again.", stacklevel=3)
    values = compute()
    try:
        write_entry(path, key, values)
    except OSError as error:
        warnings.warn(f"cache: {path.name} could not be written ({error}); the values are not affected.", stacklevel=3)
    return values


def read_entry(path: Path, key: str) -> NDArray[np.float32]:
    """Read an entry after verifying every byte of it, and its key.

    Parameters
    ----------
    path : Path
        File written by :func:`write_entry`.
    key : str
        Key that the entry must have been written under.

    Returns
    -------
    numpy.ndarray of float32

    Raises
    ------
    ValueError
        If the checksum or the key differ.
    """
    raw = path.read_bytes()
    content, checksum = raw[:-DIGITS], raw[-DIGITS:]
    if _checksum(content) != checksum:
        raise ValueError("its checksum differs")
    with np.load(io.BytesIO(content), allow_pickle=False) as entry:
        if str(entry["key"]) != key:
            raise ValueError("it was written under another key")
        return np.asarray(entry["values"], dtype=np.float32)


def write_entry(path: Path, key: str, values: NDArray[np.float32]) -> None:
    """Write an entry under a temporary name, flush it to disk, then rename it: nobody ever reads half a file.

    The file is an ordinary npz archive followed by the SHA-256 of the archive.

    Parameters
    ----------
    path : Path
        Where the entry shall stand.
    key : str
        Its key.
    values : ndarray of float32
        What to keep.
    """
    archive = io.BytesIO()
    np.savez(archive, values=values, key=np.array(key))
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".partial")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(archive.getvalue() + _checksum(archive.getvalue()))
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
