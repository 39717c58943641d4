"""Where a data set lies, whether it is whole, and how it comes here."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from neuroling.data.archives import unpack
from neuroling.data.cards import Card, CardFile, card, root
from neuroling.data.embedded import sample
from neuroling.data.errors import CorruptData, DataNotFound

if TYPE_CHECKING:
    import requests

VARIABLE = "NEUROLING_DATA"
"""Environment variable that names a folder of data sets."""

ALWAYS_HASHED = 64_000_000
"""Files up to so many bytes are hashed whenever they are located (0.05 s); larger ones only by :func:`verify`."""

TIMEOUT_S = 10.0
"""Seconds without an answer after which a download is given up."""


def locate(name: str, files: Collection[str] | None = None) -> Path:
    """Find the folder of a data set and check what lies in it.

    Looked at, in this order: ``$NEUROLING_DATA/NAME``; ``../shared/data/NAME`` beside a working tree of the package;
    the user's cache, where :func:`fetch` puts it; the sample that comes with the package
    (:mod:`neuroling.data.embedded`), which is logged in one line. A folder laid out as the card says is used as it is.

    Parameters
    ----------
    name : str
        Name of the data set.
    files : collection of str, optional
        Paths of the files that are needed; by default all of the card.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    DataNotFound
        If no place has all of the files.
    CorruptData
        If the first place that has them all holds a file of another size or checksum than the card says.
    """
    complete, looked = _complete(name, files)
    if complete is not None:
        return complete
    embedded = sample(name, [file.path for file in _needed(card(name), files)])
    if embedded is not None:
        return embedded
    raise DataNotFound(f"{name}: not found; looked at {', '.join(looked)}. {_how_to_get(card(name))}")


def locate_complete(name: str, files: Collection[str] | None = None) -> Path:
    """Find the folder of a complete data set; samples that come with the package do not count.

    Parameters
    ----------
    name, files
        As in :func:`locate`.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    DataNotFound, CorruptData
        As in :func:`locate`.
    """
    complete, looked = _complete(name, files)
    if complete is None:
        raise DataNotFound(f"{name}: not found; looked at {', '.join(looked)}. {_how_to_get(card(name))}")
    return complete


def _complete(name: str, files: Collection[str] | None) -> tuple[Path | None, list[str]]:
    """Find the first folder that has all needed files, and say what was looked at."""
    needed = _needed(card(name), files)
    looked: list[str] = []
    for folder in _places(name):
        missing = [file.path for file in needed if not (folder / file.path).is_file()]
        if not missing:
            _check_files(folder, needed, ALWAYS_HASHED)
            return folder, looked
        looked.append(f"{folder} ({'no such folder' if not folder.is_dir() else f'lacks {missing[0]}'})")
    return None, looked


def fetch(name: str) -> Path:
    """Download what is missing of a data set, check it, and put it in place.

    Files are written under another name, compared with size and checksum, and moved into place only when all are
    there: an interrupted run leaves nothing half-written, and the next one goes on with what was whole.

    Parameters
    ----------
    name : str
        Name of the data set; its access must be open.

    Returns
    -------
    pathlib.Path
        Its folder, below ``$NEUROLING_DATA`` or the user's cache.

    Raises
    ------
    DataNotFound
        If it is not open, or cannot be reached.
    CorruptData
        If what came is not what the card says, a login page for example.
    OSError
        If the folder cannot be written.
    """
    entry = card(name)
    if entry.access != "open":
        raise DataNotFound(f"{name}: access is {entry.access!r}, so it is not fetched. {_how_to_get(entry)}")
    home = home_folder()
    folder, staging = home / name, home / f".{name}.partial"
    try:
        absent = [file for file in _needed(entry, None) if _wrong(folder, file, None)]
        for file in absent:
            _download(entry, file, staging)
        for file in absent:
            _place(staging / file.path, folder / file.path)
            if file.unpack:
                unpack(folder / file.path, folder)
        if staging.is_dir():
            shutil.rmtree(staging)
    except DataNotFound:
        raise
    except OSError as error:
        raise OSError(
            error.errno,
            f"{name}: the folder cannot be written ({error.strerror or error}); expected a writable folder with room "
            f"for {(entry.n_bytes or 0) / 1e6:.1f} MB. Set {VARIABLE} to another one",
            str(home),
        ) from error
    return folder


def verify(name: str, folder: Path | None = None) -> list[str]:
    """Compare every file of a data set with its card, checksums of large ones included.

    Parameters
    ----------
    name : str
        Name of the data set.
    folder : pathlib.Path, optional
        Where it lies; by default the first place that has a folder of that name.

    Returns
    -------
    list of str
        A sentence for each file that is missing, wrong, or cannot be checked because no checksum is published.
        Empty if all is well.
    """
    entry = card(name)
    folder = folder or next((place for place in _places(name) if place.is_dir()), None)
    if folder is None:
        return [f"{name}: no folder at {', '.join(map(str, _places(name)))}. {_how_to_get(entry)}"]
    findings = []
    for file in entry.files:
        if file.derived and not (folder / file.path).is_file():
            continue
        wrong = _wrong(folder, file, None)
        if wrong:
            findings.append(f"{folder / file.path}: {wrong}")
        elif file.sha256 is None:
            findings.append(f"{folder / file.path}: present; no published checksum exists, so it cannot be verified.")
    return findings


def home_folder() -> Path:
    """Give the folder that data sets are fetched into.

    Returns
    -------
    pathlib.Path
        ``$NEUROLING_DATA``, or the user's cache where that is not set.
    """
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else _cache()


def _cache() -> Path:
    import pooch

    return Path(pooch.os_cache("neuroling"))


def _places(name: str) -> list[Path]:
    named = os.environ.get(VARIABLE)
    beside = root().parent.parent / "shared" / "data" if root().name == "datasets" else None
    places = [Path(named).expanduser() if named else None, beside, _cache()]
    return [place / name for place in places if place is not None]


def _needed(entry: Card, files: Collection[str] | None) -> list[CardFile]:
    if files is None:
        return [file for file in entry.files if file.derived is None]
    unknown = sorted(set(files) - {file.path for file in entry.files})
    if unknown:
        raise ValueError(f"files: {unknown} not on the card of {entry.name}.")
    return [file for file in entry.files if file.path in files]


def _check_files(folder: Path, files: Iterable[CardFile], hash_up_to: int | None) -> None:
    for file in files:
        wrong = _wrong(folder, file, hash_up_to)
        if wrong:
            raise CorruptData(folder / file.path, wrong, "the file that the card describes; fetch it again")


def _wrong(folder: Path, file: CardFile, hash_up_to: int | None) -> str | None:
    """Say what is wrong with a file, None if nothing is; larger files than ``hash_up_to`` bytes are not hashed."""
    path = folder / file.path
    if not path.is_file():
        return "no such file"
    size = path.stat().st_size
    if file.bytes not in (None, size):
        return f"{size} bytes where the card says {file.bytes}{_web_page(path)}"
    if file.sha256 is None or (hash_up_to is not None and size > hash_up_to):
        return None
    with path.open("rb") as stream:
        seen = hashlib.file_digest(stream, "sha256").hexdigest()
    return None if seen == file.sha256 else f"sha256 {seen} where the card says {file.sha256}{_web_page(path)}"


def _web_page(path: Path) -> str:
    """Say so if a file is a web page, as login pages and error pages are that a server sends in place of data."""
    with path.open("rb") as stream:
        start = stream.read(512).lstrip().lower()
    return " (it is a web page, not data)" if start.startswith((b"<!doctype html", b"<html")) else ""


def _how_to_get(entry: Card) -> str:
    elsewhere = f"set {VARIABLE} to a folder that holds {entry.name}/."
    if entry.access == "open":
        return f"Run `neuroling datasets fetch {entry.name}`, or {elsewhere}"
    how = {"manual": "Download it by hand from", "form": "Fill in the form at", "request": "Ask the authors, see"}
    return f"{how[entry.access]} {entry.source}, then {elsewhere}"


def _download(entry: Card, file: CardFile, staging: Path) -> None:
    """Bring one file into the staging folder, whole and checked, unless it is there already."""
    import pooch
    import requests

    if not _wrong(staging, file, None):
        return
    target = staging / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial_file = target.with_name(target.name + f".{os.getpid()}.part")
    try:
        pooch.HTTPDownloader(timeout=TIMEOUT_S)(file.url, str(partial_file), None)
        partial_file.replace(target)
    except requests.exceptions.RequestException as error:
        address = urlsplit(str(file.url))
        raise DataNotFound(
            f"{entry.name}: {Path(address.path).name} cannot be had from {address.netloc} "
            f"({_reason(error)}). "
            f"Check the network, or set {VARIABLE} to a folder that holds {entry.name}/."
        ) from error
    finally:
        partial_file.unlink(missing_ok=True)
    wrong = _wrong(staging, file, None)
    if wrong:
        target.unlink()
        raise CorruptData(target, f"{wrong}; it came from {file.url}", "the file that the card describes")


def _reason(error: requests.exceptions.RequestException) -> str:
    status = getattr(error.response, "status_code", None)
    return type(error).__name__ if status is None else f"{type(error).__name__}, status {status}"


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    target.chmod(0o444)  # data are read, never written
