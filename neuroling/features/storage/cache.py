"""A folder of arrays named by what they were made from: read back only when every byte is as it was written."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuroling.core.files import write_whole
from neuroling.core.trust import distrust, is_shared_cache

DIGITS = 64
"""Hexadecimal digits of a SHA-256."""

FORMAT = "neuroling-features-2"
"""Name of the file layout; a change of layout or of any step that makes features changes it."""

UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What numpy and zipfile raise for files that were cut, flipped in any bit, or are of another kind."""


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
        If an entry is damaged or may have been planted by another user, which is then made anew, or could not be
        written; the values are right in all cases.
    """
    if folder is None:
        return compute()
    key = content_key(parts)
    path = Path(folder) / f"{key}.npz"
    doubt = distrust(path) if path.exists() else ""
    if doubt:
        warnings.warn(f"cache: {path.name} is not used, since {doubt}; computed again.", stacklevel=3)
    elif path.exists():
        try:
            values = read_entry(path, key)
            _touch(path)
            return values
        except UNREADABLE as error:
            warnings.warn(f"cache: {path.name} is damaged ({error}); computed again.", stacklevel=3)
    values = compute()
    try:
        write_entry(path, key, values, summary_of(parts))
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


def write_entry(path: Path, key: str, values: NDArray[np.float32], summary: str = "") -> None:
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
    summary : str
        What it is, in a few words.
    """
    archive = io.BytesIO()
    np.savez(archive, values=values, key=np.array(key), summary=np.array(summary))
    if not path.parent.exists():
        path.parent.mkdir(parents=True, mode=0o700)
    write_whole(path, archive.getvalue() + _checksum(archive.getvalue()), private=not is_shared_cache(path.parent))


@dataclass(frozen=True)
class Entry:
    """A file of a cache.

    Attributes
    ----------
    path : Path
        Where it stands.
    n_bytes : int
        How large it is.
    used : datetime
        When it was last written or read.
    summary : str
        What it holds.
    """

    path: Path
    n_bytes: int
    used: datetime
    summary: str


def summary_of(parts: Mapping[str, object]) -> str:
    """Say in a few words what a description is of.

    Parameters
    ----------
    parts : mapping
        As for :func:`remember`.

    Returns
    -------
    str

    Examples
    --------
    >>> summary_of({"step": "extract", "encoder": "minilm", "pool": "mean", "texts": ["a", "b"]})
    'extract minilm mean'
    """
    return " ".join(str(parts[name]) for name in ("step", "encoder", "unit", "pool") if name in parts)


def entries(folder: Path) -> list[Entry]:
    """List the entries of a cache.

    Parameters
    ----------
    folder : Path
        The cache.

    Returns
    -------
    list of Entry
        The latest use last.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"folder: there is no folder {folder}.")
    cache_entries = []
    for path in Path(folder).glob("*.npz"):
        if len(path.stem) == DIGITS:
            state = path.stat() if path.exists() else path.lstat()  # of a link to nothing, the link itself
            cache_entries.append(Entry(path, state.st_size, datetime.fromtimestamp(state.st_mtime), _summary(path)))
    return sorted(cache_entries, key=lambda entry: (entry.used, entry.path))


def damage(path: Path) -> str:
    """Say what is wrong with an entry.

    Parameters
    ----------
    path : Path
        Its file.

    Returns
    -------
    str
        Empty if nothing is.
    """
    if path.is_dir():
        return "it is a folder, which prune leaves alone; move it away"
    try:
        read_entry(path, path.stem)
    except UNREADABLE as error:
        return str(error) or type(error).__name__
    return ""


def to_prune(
    folder: Path, *, older_than_days: float | None = None, most_bytes: int | None = None, damaged: bool = False
) -> list[Entry]:
    """Choose entries that may go.

    Parameters
    ----------
    folder : Path
        The cache.
    older_than_days : float, optional
        Those not used for so long.
    most_bytes : int, optional
        The longest unused, until no more than so many bytes are left.
    damaged : bool
        Those whose checksum differs.

    Returns
    -------
    list of Entry
        Files and links only; a folder is nothing that a cache has written.
    """
    cache_entries = [entry for entry in entries(folder) if not entry.path.is_dir()]
    going = {entry.path for entry in cache_entries if damaged and damage(entry.path)}
    if older_than_days is not None:
        limit = time.time() - older_than_days * 86400
        going |= {entry.path for entry in cache_entries if entry.used.timestamp() < limit}
    left = sum(entry.n_bytes for entry in cache_entries if entry.path not in going)
    for entry in cache_entries:
        if most_bytes is None or left <= most_bytes:
            break
        if entry.path not in going:
            going.add(entry.path)
            left -= entry.n_bytes
    return [entry for entry in cache_entries if entry.path in going]


def leavings(folder: Path, *, older_than_s: float = 3600.0) -> list[Path]:
    """Find what writers that were killed have left behind.

    Parameters
    ----------
    folder : Path
        The cache.
    older_than_s : float
        Younger ones may still be written to; in seconds.

    Returns
    -------
    list of Path
    """
    limit = time.time() - older_than_s
    return sorted(path for path in Path(folder).glob(".*.partial") if path.stat().st_mtime < limit)


def _summary(path: Path) -> str:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as entry:
            return str(entry["summary"])
    except UNREADABLE:
        return "damaged: cannot be read"


def _touch(path: Path) -> None:
    """Note that an entry was used, where that may be written."""
    try:
        os.utime(path)
    except OSError:
        return


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
