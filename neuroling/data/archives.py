"""Archives from elsewhere: unpacked without letting a member out of the folder, or fill the disk."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import IO, cast

from neuroling.data.errors import CorruptData

MOST_MEMBERS = 100_000
"""More files than any data set that is read here has."""

MOST_BYTES = 50_000_000_000
"""Most bytes that an archive may have once unpacked."""

MOST_RATIO = 300
"""Most times that an archive may grow when it is unpacked: texts and images grow tenfold, bombs a thousandfold."""

SMALL_BYTES = 100_000_000
"""Bytes up to which an unpacked archive may have grown by any factor."""


DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    NotImplementedError,  # what zipfile raises for methods that do not exist
    RuntimeError,  # and for members that are said to be encrypted
)
"""What tarfile, zipfile and the libraries of compression raise for damaged archives."""


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar or zip archive; nothing is written unless all of it is sound.

    Parameters
    ----------
    archive : pathlib.Path
        The archive.
    folder : pathlib.Path
        Where its members go.

    Raises
    ------
    CorruptData
        If it is neither tar nor zip, is damaged, has links, devices or members that would land outside of the folder,
        is larger than :data:`MOST_BYTES` or :data:`MOST_MEMBERS`, or grows more than :data:`MOST_RATIO` times.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as staging:
        try:
            _unpack_into(archive, Path(staging))
        except (*DAMAGED, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # a full disk, and not what bzip2 says of damage
                raise
            raise CorruptData(archive, f"cannot be unpacked ({error})", "a whole tar or zip archive") from error
        for source in sorted(path for path in Path(staging).rglob("*") if path.is_file()):
            target = folder / source.relative_to(staging)
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)


def _unpack_into(archive: Path, staging: Path) -> None:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            _check_members(archive, [(member.filename, member.file_size, True) for member in opened.infolist()])
            opened.extractall(staging)  # noqa: S202 - every name was checked above
        return
    with tarfile.open(archive) as opened:
        members = opened.getmembers()
        _check_members(archive, [(m.name, m.size, m.isfile() or m.isdir()) for m in members])
        opened.extractall(staging, members, filter="data")
    _read_to_the_end(archive)


def _read_to_the_end(archive: Path) -> None:
    """Compare the checksum that follows what is compressed, which tarfile does not reach."""
    with _decompressed(archive) as content:
        while content.read(2**20):
            pass


def _decompressed(archive: Path) -> IO[bytes]:
    with archive.open("rb") as file:
        start = file.read(6)
    if start.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(archive))
    if start.startswith(b"BZh"):
        return bz2.open(archive)
    if start.startswith(b"\xfd7zXZ"):
        return lzma.open(archive)
    return archive.open("rb")


def _check_members(archive: Path, members: list[tuple[str, int, bool]]) -> None:
    """Check names, sizes in bytes, and whether each is a plain file or folder."""
    for name, _, plain in members:
        parts = name.replace("\\", "/").split("/")
        if not plain or ".." in parts or parts[0] == "" or ":" in parts[0]:
            raise CorruptData(archive, f"member {name!r} is a link, a device, or points outside", "plain files inside")
    size = sum(size for _, size, _ in members)
    packed = archive.stat().st_size
    if size > SMALL_BYTES and size > MOST_RATIO * packed:
        raise CorruptData(
            archive, f"{packed} bytes that unpack to {size}", f"at most {MOST_RATIO} times as many, as data do"
        )
    if len(members) > MOST_MEMBERS or size > MOST_BYTES:
        raise CorruptData(archive, f"{len(members)} members, {size} bytes", f"at most {MOST_MEMBERS} and {MOST_BYTES}")
