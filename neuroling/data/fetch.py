"""Where a data set lies, whether it is whole, and how it comes here."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from neuroling.data.archives import unpack
from neuroling.data.cards import Card, CardFile, card, readable_size, root
from neuroling.data.checksums import is_unfetched_annex_file, wrong_with
from neuroling.data.downloads import download_all
from neuroling.data.embedded import sample
from neuroling.data.errors import CorruptData, DataNotFound

logger = logging.getLogger(__name__)

VARIABLE = "NEUROLING_DATA"
"""Environment variable that names a folder of data sets."""

ALWAYS_HASHED = 64_000_000
"""Files up to so many bytes are hashed whenever they are located (0.05 s); larger ones only by :func:`verify`."""


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
        looked.append(f"{folder} ({_lacking(folder, missing)})")
    return None, looked


@dataclass(frozen=True)
class FetchPlan:
    """What a download would bring, told before it begins.

    Attributes
    ----------
    name : str
        Name of the data set.
    folder : pathlib.Path
        Where it is put.
    missing : tuple of CardFile
        Files that are not there, or not what the card says.
    n_present : int
        Files that are there already.
    n_bytes : int
        Bytes of the missing files.
    n_free : int
        Bytes that are free in the file system of the folder.
    """

    name: str
    folder: Path
    missing: tuple[CardFile, ...]
    n_present: int
    n_bytes: int
    n_free: int

    def __str__(self) -> str:
        return (
            f"{len(self.missing)} files to fetch, {readable_size(self.n_bytes)}; {self.n_present} there already; "
            f"{readable_size(self.n_free)} free at {self.folder}"
        )


def plan_fetch(name: str, files: Collection[str] | None = None) -> FetchPlan:
    """Say which files a download would bring, without bringing any.

    Parameters
    ----------
    name : str
        Name of the data set; its access must be open.
    files : collection of str, optional
        Paths of the files that are needed; by default all of the card but those of optional parts.

    Returns
    -------
    FetchPlan

    Raises
    ------
    DataNotFound
        If the data set is not open.
    """
    entry = card(name)
    if entry.access != "open":
        raise DataNotFound(f"{name}: access is {entry.access!r}, so it is not fetched. {_how_to_get(entry)}")
    folder = home_folder() / name
    needed = _needed(entry, files)
    missing = tuple(file for file in needed if wrong_with(folder / file.path, file, ALWAYS_HASHED))
    there = next((place for place in (folder, *folder.parents) if place.is_dir()), Path.cwd())
    n_bytes = sum(file.bytes or 0 for file in missing)
    return FetchPlan(name, folder, missing, len(needed) - len(missing), n_bytes, shutil.disk_usage(there).free)


def fetch(name: str, files: Collection[str] | None = None, *, n_parallel: int = 4) -> Path:
    """Download what is missing of a data set, check it, and put it in place.

    Files are written under another name, compared with size and checksum, and moved into place only when all are
    there: an interrupted run leaves nothing half-written in the data set, and the next one resumes where it stopped,
    within a file too.

    Parameters
    ----------
    name : str
        Name of the data set; its access must be open.
    files : collection of str, optional
        Paths of the files that are needed; by default all of the card but those of optional parts. See
        :func:`neuroling.data.selection.select_files`.
    n_parallel : int
        Downloads at a time.

    Returns
    -------
    pathlib.Path
        Its folder, below ``$NEUROLING_DATA`` or the user's cache.

    Raises
    ------
    DataNotFound
        If it is not open, or cannot be reached.
    CorruptData
        If what came is not what the card says, a login page for example; or if files are links of git-annex.
    OSError
        If the folder cannot be written, or has too little space; the latter is said before anything is fetched.
    """
    if n_parallel < 1:
        raise ValueError(f"n_parallel: got {n_parallel}; expected at least 1.")
    entry, plan = card(name), plan_fetch(name, files)
    folder, staging = plan.folder, plan.folder.with_name(f".{name}.partial")
    links = [file.path for file in plan.missing if is_unfetched_annex_file(folder / file.path)]
    if links:
        raise CorruptData(
            folder / links[0],
            f"a git-annex link whose content was not fetched, as are {len(links) - 1} others",
            f"content; run `datalad get` in {folder}, which is a clone of its own and is left as it is",
        )
    n_begun = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file()) if staging.is_dir() else 0
    if plan.n_bytes - n_begun > plan.n_free:
        raise OSError(
            errno.ENOSPC,
            f"{name}: {len(plan.missing)} files need {readable_size(plan.n_bytes)}, and {readable_size(plan.n_free)} "
            f"are free; nothing was fetched. Ask for fewer files, or set {VARIABLE} to a folder with more space",
            str(folder.parent),
        )
    try:
        _bring(entry, plan, staging, n_parallel)
    except DataNotFound:
        raise
    except OSError as error:
        raise OSError(
            error.errno,
            f"{name}: the folder cannot be written ({error.strerror or error}); expected a writable folder with space "
            f"for {readable_size(plan.n_bytes)}. Set {VARIABLE} to another one",
            str(folder.parent),
        ) from error
    return folder


def _bring(entry: Card, plan: FetchPlan, staging: Path, n_parallel: int) -> None:
    """Download into the staging folder, and move everything into place once it is complete."""
    advice = f"Check the network, or set {VARIABLE} to a folder that holds {entry.name}/."
    n_done = count(1)

    def tell(file: CardFile) -> None:
        logger.info("%s: %d of %d, %s", entry.name, next(n_done), len(plan.missing), file.path)

    download_all(plan.missing, staging, advice=advice, n_parallel=n_parallel, name=entry.name, on_file=tell)
    for file in plan.missing:
        _place(staging / file.path, plan.folder / file.path)
        if file.unpack:
            unpack(plan.folder / file.path, plan.folder)
    if staging.is_dir():
        _remove_complete(staging)


def _remove_complete(staging: Path) -> None:
    """Remove the staging folder, unless other files of the data set were begun there."""
    if not any(path.is_file() for path in staging.rglob("*")):
        shutil.rmtree(staging)


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
        Empty if all is well. Files of single participants or stories, and of optional parts, need not be there: one
        sentence says so if none of the data set's files are.
    """
    entry = card(name)
    folder = folder or next((place for place in _places(name) if place.is_dir()), None)
    if folder is None:
        return [f"{name}: no folder at {', '.join(map(str, _places(name)))}. {_how_to_get(entry)}"]
    findings = []
    present = count_present(name, folder)
    if not present:
        return [f"{folder}: none of the {len(entry.files)} files of {name} is there. {_how_to_get(entry)}"]
    for file in entry.files:
        if (file.derived or file.subject or file.story or file.part) and not (folder / file.path).is_file():
            continue
        wrong = wrong_with(folder / file.path, file, None)
        if wrong:
            findings.append(f"{folder / file.path}: {wrong}")
        elif file.checksum is None:
            findings.append(f"{folder / file.path}: present; no published checksum exists, so it cannot be verified.")
    return findings


def count_present(name: str, folder: Path | None = None) -> int:
    """Count the files of a data set that are at hand.

    Parameters
    ----------
    name : str
        Name of the data set.
    folder : pathlib.Path, optional
        Where it lies; by default the first place that has a folder of that name.

    Returns
    -------
    int
        Files with content, links of git-annex not among them.
    """
    folder = folder or next((place for place in _places(name) if place.is_dir()), None)
    if folder is None:
        return 0
    return sum((folder / file.path).is_file() for file in card(name).files)


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
    parents = [Path(named).expanduser() if named else None, beside, _cache()]
    clone = card(name).accession
    names = (name, clone) if clone else (name,)
    return [place / folder for place in parents if place is not None for folder in names]


def _needed(entry: Card, files: Collection[str] | None) -> list[CardFile]:
    if files is None:
        return [file for file in entry.files if file.derived is None and file.part is None]
    unknown = sorted(set(files) - {file.path for file in entry.files})
    if unknown:
        raise ValueError(f"files: {unknown} not on the card of {entry.name}.")
    return [file for file in entry.files if file.path in files]


def _check_files(folder: Path, files: Iterable[CardFile], hash_up_to: int | None) -> None:
    for file in files:
        wrong = wrong_with(folder / file.path, file, hash_up_to)
        if wrong:
            raise CorruptData(folder / file.path, wrong, "the file that the card describes; fetch it again")


def _lacking(folder: Path, missing: list[str]) -> str:
    """Say what a folder lacks, and whether git-annex knows of it."""
    if not folder.is_dir():
        return "no such folder"
    links = [path for path in missing if is_unfetched_annex_file(folder / path)]
    if links:
        return f"{len(links)} git-annex links were not fetched, first {links[0]}; run `datalad get` there"
    return f"lacks {missing[0]}" + (f" and {len(missing) - 1} others" if len(missing) > 1 else "")


def _how_to_get(entry: Card) -> str:
    elsewhere = f"set {VARIABLE} to a folder that holds {entry.name}/."
    if entry.access == "open":
        return f"Run `neuroling datasets fetch {entry.name}`, or {elsewhere}"
    how = {"manual": "Download it by hand from", "form": "Fill in the form at", "request": "Ask the authors, see"}
    return f"{how[entry.access]} {entry.home_page or entry.source}, then {elsewhere}"


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    target.chmod(0o444)  # data are read, never written
