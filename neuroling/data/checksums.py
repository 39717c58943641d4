"""Whether a file is the one that a card describes: size, checksum, and what stands in its place."""

from __future__ import annotations

import hashlib
from pathlib import Path

from neuroling.data.cards import CardFile

ANNEX = b"/annex/objects/"
"""What a file that git-annex has not fetched consists of: a link to such a place, or a few bytes that name it."""

POINTER_BYTES = 32_768
"""No pointer of git-annex is longer."""


def wrong_with(path: Path, file: CardFile, hash_up_to: int | None) -> str | None:
    """Say what is wrong with a file, None if nothing is.

    Parameters
    ----------
    path : pathlib.Path
        Where it lies.
    file : CardFile
        What it should be.
    hash_up_to : int or None
        Larger files are not hashed; None to hash all.

    Returns
    -------
    str or None
    """
    if is_unfetched_annex_file(path):
        return "a git-annex link whose content was not fetched; run `datalad get` on it"
    if not path.is_file():
        return "no such file"
    size = path.stat().st_size
    if file.bytes not in (None, size):
        return f"{size} bytes where the card says {file.bytes}{_web_page(path)}"
    if file.checksum is None or (hash_up_to is not None and size > hash_up_to):
        return None
    kind, expected = file.checksum
    seen = checksum_of(path, kind)
    return None if seen == expected else f"{kind} {seen} where the card says {expected}{_web_page(path)}"


def checksum_of(path: Path, kind: str) -> str:
    """Compute a checksum of a file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    kind : {"sha256", "md5", "git_blob"}
        Which one; the last is the SHA-1 of the content behind git's header, ``blob SIZE`` and a zero byte.

    Returns
    -------
    str
        In hexadecimal.
    """
    with path.open("rb") as stream:
        if kind != "git_blob":
            return hashlib.file_digest(stream, kind).hexdigest()
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        while block := stream.read(2**20):
            digest.update(block)
        return digest.hexdigest()


def is_unfetched_annex_file(path: Path) -> bool:
    """Say whether git-annex (DataLad) knows the file but has not fetched its content.

    Parameters
    ----------
    path : pathlib.Path
        A link that leads nowhere, or a small file that names a key.

    Returns
    -------
    bool
    """
    if path.is_symlink() and not path.exists():
        return ANNEX.decode() in path.readlink().as_posix()
    if not path.is_file() or path.stat().st_size > POINTER_BYTES:
        return False
    with path.open("rb") as stream:
        return stream.read(len(ANNEX)) == ANNEX


def _web_page(path: Path) -> str:
    """Say so if a file is a web page, as login pages and error pages are that a server sends in place of data."""
    with path.open("rb") as stream:
        start = stream.read(512).lstrip().lower()
    return " (it is a web page, not data)" if start.startswith((b"<!doctype html", b"<html")) else ""
