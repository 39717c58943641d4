"""Samples of real data that come with the package: openly licensed, small, unpacked once and checked at every use.

A sample is a ``.tar.xz`` beside a ``manifest.json`` (size and SHA-256 of every file in it), a licence and a notice that
says what was left out or rounded. It is laid out as the card of its data set says, so that the loader of the real files
reads it; :func:`neuroling.data.fetch.locate` falls back to it where the complete data set is not at hand.
"""

from __future__ import annotations

import atexit
import gzip
import hashlib
import io
import json
import logging
import os
import shutil
import tarfile
import tempfile
from collections.abc import Collection, Iterable
from functools import lru_cache
from pathlib import Path

from neuroling.data.errors import CorruptData

logger = logging.getLogger(__name__)

ARCHIVE = "sample.tar.xz"
MANIFEST = "manifest.json"
LARGEST_SAMPLE = 50_000_000
"""Most bytes that an unpacked sample may have: the archives are small, and none is trusted to say so itself."""


def samples_folder() -> Path:
    """Give the folder of all samples inside the package.

    Returns
    -------
    pathlib.Path

    Examples
    --------
    >>> (samples_folder() / "nieuwland2018_n400" / "NOTICE.md").is_file()
    True
    """
    return Path(__file__).parent / "samples"


def sample_names() -> list[str]:
    """Name the data sets of which a sample comes with the package.

    Returns
    -------
    list of str

    Examples
    --------
    >>> "alice2016_fmri" in sample_names()
    True
    """
    return sorted(path.parent.name for path in samples_folder().glob(f"*/{MANIFEST}"))


def pack_sample(name: str, source: Path, files: Iterable[str], target: Path) -> None:
    """Write the archive and the manifest of a sample.

    Files whose names end in ``.gz`` are stored unpacked, since the archive compresses better than they do; they are
    packed again when the sample is unpacked.

    Parameters
    ----------
    name : str
        Name of the data set.
    source : pathlib.Path
        Folder laid out as its card says.
    files : iterable of str
        Paths below it, with forward slashes.
    target : pathlib.Path
        Folder of all samples; the sample is written to ``target / name``.
    """
    folder = target / name
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {}
    with tarfile.open(folder / ARCHIVE, "w:xz", preset=9) as archive:
        for path in sorted(files):
            content = (source / path).read_bytes()
            content = gzip.decompress(content) if path.endswith(".gz") else content
            manifest[path] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def sample(name: str, files: Collection[str] | None = None) -> Path | None:
    """Unpack the sample of a data set, unless it is unpacked already, and check every file of it.

    It is unpacked to the user's cache, or to a temporary folder where that cannot be written.

    Parameters
    ----------
    name : str
        Name of the data set.
    files : collection of str or None
        Paths that are needed; None for all that the sample has.

    Returns
    -------
    pathlib.Path or None
        A folder laid out as the card of the data set says; None if there is no sample, or if it lacks a needed file.

    Raises
    ------
    CorruptData
        If the archive of the package does not hold what its manifest says.
    """
    source = samples_folder() / name
    if not (source / MANIFEST).is_file():
        return None
    manifest = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
    if not set(files or ()) <= set(manifest):
        return None
    digest = hashlib.sha256((source / ARCHIVE).read_bytes()).hexdigest()[:12]
    folder = _cache() / "samples" / f"{name}-{digest}"
    if not _agrees(folder, manifest):
        try:
            folder = _unpacked(source, manifest, folder)
        except OSError:
            folder = _unpacked(source, manifest, _temporary_folder() / folder.name)
    logger.info(
        "Using the sample of %s that comes with neuroling (see NOTICE.md in %s). `neuroling datasets fetch %s` "
        "downloads the complete data set.",
        name,
        source,
        name,
    )
    return folder


def _cache() -> Path:
    import pooch

    return Path(pooch.os_cache("neuroling"))


def _agrees(folder: Path, manifest: dict[str, dict[str, object]]) -> bool:
    return all(
        (folder / path).is_file() and hashlib.sha256(_content(folder / path)).hexdigest() == entry["sha256"]
        for path, entry in manifest.items()
    )


def _content(path: Path) -> bytes:
    """Read a file; an unreadable ``.gz`` counts as empty, and is then unpacked anew."""
    content = path.read_bytes()
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError):
        return b""


def _unpacked(source: Path, manifest: dict[str, dict[str, object]], folder: Path) -> Path:
    """Unpack to a folder beside the wanted one, check, and move it into place in one step."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with tarfile.open(source / ARCHIVE, "r:xz") as archive:
            _extract(archive, manifest, staging, source / ARCHIVE)
        if folder.exists():
            shutil.rmtree(folder)
        try:
            staging.rename(folder)
        except OSError:
            if not _agrees(folder, manifest):  # another process may have been first
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def _extract(archive: tarfile.TarFile, manifest: dict[str, dict[str, object]], folder: Path, path: Path) -> None:
    """Write the files that the manifest names, and no others, each with the content that it states."""
    missing = set(manifest) - set(archive.getnames())
    if missing:
        raise CorruptData(path, f"{len(missing)} files are missing, {min(missing)} first", "those of its manifest")
    total = 0
    for name, entry in manifest.items():
        member = archive.extractfile(name)
        content = b"" if member is None else member.read(LARGEST_SAMPLE + 1)
        total += len(content)
        if hashlib.sha256(content).hexdigest() != entry["sha256"] or total > LARGEST_SAMPLE:
            raise CorruptData(path, f"{name} has another content", "the checksum of its manifest; install again")
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)


@lru_cache(maxsize=1)
def _temporary_folder() -> Path:
    """Make one folder for this process, where the user's cache cannot be written; it is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="neuroling-samples-"))
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)
    return folder
