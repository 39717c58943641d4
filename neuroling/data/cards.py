"""Cards: what a data set is, where it comes from, and which files it is made of."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

Access = Literal["open", "form", "request", "manual"]
"""How one comes by the files: by an address that a program can use (open), by filling in a form, by asking the
authors, or by downloading them by hand from an address whose files have no published checksum (manual)."""

LOADER = re.compile(r"neuroling\.data\.loaders\.\w+:load")
HEX_DIGITS = {"sha256": 64, "md5": 32, "git_blob": 40}
"""Kinds of checksum that a card may give, and their lengths in hexadecimal digits."""

Tried = Literal["real files", "real small files, else synthetic", "synthetic files"]
"""What the loader has been run on."""


@dataclass(frozen=True)
class CardFile:
    """One file of a data set.

    Attributes
    ----------
    path : str
        Relative to the folder of the data set, with forward slashes.
    bytes : int or None
        Size; None only where nobody can know it beforehand (access "manual", "form" or "request").
    sha256, md5, git_blob : str or None
        Checksum, hexadecimal, of one kind; None as for ``bytes``. ``git_blob`` is the SHA-1 that git gives the content.
    url : str or None
        Address that the file is fetched from.
    derived : str or None
        How the file was made from others, if it cannot be fetched; such a file may be missing.
    unpack : bool
        Whether the file is an archive (tar or zip) that is unpacked into the folder once fetched.
    subject, story : str or None
        Participant and story (or task, or run) that the file belongs to; None for a file that all of them share.
    part : str or None
        Name of an optional part, which is fetched only when it is asked for; None for files that the loader reads.
    """

    path: str
    bytes: int | None = None
    sha256: str | None = None
    url: str | None = None
    derived: str | None = None
    unpack: bool = False
    md5: str | None = None
    git_blob: str | None = None
    subject: str | None = None
    story: str | None = None
    part: str | None = None

    @property
    def checksum(self) -> tuple[str, str] | None:
        """Kind and value of the checksum, None where none is published."""
        values = [(kind, getattr(self, kind)) for kind in HEX_DIGITS]
        return next(((kind, value) for kind, value in values if value is not None), None)


@dataclass(frozen=True)
class Card:
    """What is known of a data set before it is opened.

    Attributes
    ----------
    name : str
        Name of the data set and of its folder.
    title, citation, licence : str
        In words.
    doi : str
        DOI of the paper, without a resolver; empty if there is none.
    access : {"open", "form", "request", "manual"}
        How one comes by the files.
    modality : str
        What was recorded, such as ``"fMRI"``.
    shape : str
        How much of it, in words.
    language : str
        Language of the stimuli.
    people : int
        Participants; 0 where nobody was recorded.
    tried : str
        Whether the loader was run on the real files, on real small files beside synthetic ones, or on synthetic ones.
    files : tuple of CardFile
        What must be in the folder: the ``[[files]]`` of the card, and the rows of ``files.tsv`` beside it.
    loader : str or None
        ``"neuroling.data.loaders.MODULE:load"``; None for a card whose loader is still to come.
    source : str
        Address of the data set; files without an address of their own are fetched from below it.
    home_page : str
        Address for people; by default that of the source.
    accession : str
        Number at OpenNeuro or NEMAR, which is the name of the folder of a clone.
    """

    name: str
    title: str
    doi: str
    citation: str
    licence: str
    access: Access
    modality: str
    shape: str
    files: tuple[CardFile, ...]
    source: str
    loader: str | None = None
    language: str = ""
    people: int = 0
    tried: Tried = "synthetic files"
    home_page: str = ""
    accession: str = ""

    @property
    def n_bytes(self) -> int | None:
        """Bytes of all files together but those of optional parts, None if the size of one is not known."""
        sizes = [file.bytes for file in self.files if file.part is None]
        return None if None in sizes else sum(size for size in sizes if size is not None)


def root() -> Path:
    """Find the folder of the cards.

    Returns
    -------
    pathlib.Path
        ``_cards`` inside an installed package, else ``datasets`` beside the package in a working tree.

    Raises
    ------
    FileNotFoundError
        If neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    return _root_of(package)


def _root_of(package: Path) -> Path:
    folders = (package / "_cards", package.parent / "datasets")
    for place in folders:
        if place.is_dir():
            return place
    raise FileNotFoundError(f"no cards at {folders[0]} or {folders[1]}; install the package again.")


def cards() -> dict[str, Card]:
    """Read every card.

    Returns
    -------
    dict of Card
        By name, in alphabetical order.
    """
    return dict(_cards_in(root()))


@lru_cache(maxsize=4)
def _cards_in(folder: Path) -> Mapping[str, Card]:
    return {path.parent.name: read_card(path) for path in sorted(folder.glob("*/card.toml"))}


def card(name: str) -> Card:
    """Read the card of one data set.

    Parameters
    ----------
    name : str
        Name of the data set.

    Returns
    -------
    Card

    Raises
    ------
    ValueError
        If there is no such card; the message lists the names.
    """
    all_cards = cards()
    if name not in all_cards:
        raise ValueError(f"name: no data set is called {name!r}; expected one of {', '.join(all_cards)}.")
    return all_cards[name]


def read_card(path: Path) -> Card:
    """Read and check one ``card.toml``.

    Parameters
    ----------
    path : pathlib.Path
        The file; the folder that it lies in bears the name of the data set.

    Returns
    -------
    Card

    Raises
    ------
    ValueError
        If it breaks the schema; the message names file and entry.
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not TOML ({error}).") from error
    listed = _read_listing(path.with_name(LISTING))
    _check_entries(f"{path}", Card, {**({"files": []} if listed else {}), **entries})
    tables = [*entries.get("files", []), *listed] if isinstance(entries.get("files", []), list) else []
    if not tables:
        raise ValueError(f"{path}: 'files' is {entries['files']!r}; expected at least one [[files]] table.")
    files = tuple(_read_file(path, number, file, entries) for number, file in enumerate(tables, start=1))
    _check_card(path, entries, files)
    return Card(**{**entries, "files": files})


TYPES: dict[str, type] = {"files": list, "bytes": int, "unpack": bool, "people": int}
"""What entries other than text are written as."""

LISTING = "files.tsv"
"""Table of files beside a card that has too many to be written as TOML."""

LISTING_COLUMNS = ("path", "bytes", "checksum", "subject", "story", "part")
"""Its columns; ``checksum`` is written ``KIND:HEXADECIMAL``, and an empty cell means that there is nothing to say."""


def _read_listing(path: Path) -> list[dict[str, Any]]:
    """Read the table of files beside a card, if there is one, as entries of ``[[files]]``."""
    if not path.is_file():
        return []
    header, *rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    if tuple(header) != LISTING_COLUMNS:
        raise ValueError(f"{path}: columns {header}; expected {list(LISTING_COLUMNS)}.")
    return [_listed_file(f"{path}, line {number}", row) for number, row in enumerate(rows, start=2)]


def _listed_file(where: str, row: list[str]) -> dict[str, Any]:
    if len(row) != len(LISTING_COLUMNS):
        raise ValueError(f"{where}: {len(row)} cells; expected {len(LISTING_COLUMNS)}.")
    cells = dict(zip(LISTING_COLUMNS, row, strict=True))
    kind, _, value = cells.pop("checksum").partition(":")
    if not cells["bytes"].isdecimal() or kind not in ("", *HEX_DIGITS):
        raise ValueError(
            f"{where}: bytes {cells['bytes']!r}, checksum {kind!r}; expected a number, {list(HEX_DIGITS)}."
        )
    entries: dict[str, Any] = {name: text for name, text in cells.items() if text}
    return {**entries, "bytes": int(cells["bytes"]), **({kind: value} if kind else {})}


def _check_entries(where: str, kind: type, entries: dict[str, Any]) -> None:
    is_required = {field.name: field.default is MISSING for field in fields(kind)}
    missing = [name for name, required in is_required.items() if required and name not in entries]
    unknown = [name for name in entries if name not in is_required]
    if missing or unknown:
        raise ValueError(f"{where}: missing {missing}, unknown {unknown}; expected entries among {list(is_required)}.")
    for name, value in entries.items():
        wanted = TYPES.get(name, str)
        if type(value) is not wanted:
            raise ValueError(f"{where}: {name!r} is {value!r}; expected {wanted.__name__}.")


def _read_file(path: Path, number: int, entries: Any, card_entries: dict[str, Any]) -> CardFile:
    where = f"{path}, file {number}"
    if not isinstance(entries, dict):
        raise ValueError(f"{where}: {entries!r}; expected a [[files]] table.")  # noqa: TRY004 - the file is wrong
    _check_entries(where, CardFile, entries)
    relative = PurePosixPath(entries["path"])
    if relative.is_absolute() or ".." in relative.parts or "\\" in entries["path"] or not relative.name:
        raise ValueError(f"{where}: path {entries['path']!r}; expected one inside the folder of the data set.")
    for kind, n_digits in HEX_DIGITS.items():
        if kind in entries and not re.fullmatch(f"[0-9a-f]{{{n_digits}}}", entries[kind]):
            raise ValueError(
                f"{where}: {kind} {entries[kind]!r}; expected {n_digits} hexadecimal digits in lower case."
            )
    if "url" not in entries and "derived" not in entries:
        entries = {**entries, "url": str(card_entries["source"]).rstrip("/") + "/" + entries["path"]}
    if not str(entries.get("url", "https://")).startswith(("https://", "http://")):
        raise ValueError(f"{where}: url {entries['url']!r}; expected one that starts with https:// or http://.")
    return CardFile(**entries)


def _check_card(path: Path, entries: dict[str, Any], files: tuple[CardFile, ...]) -> None:
    if entries["name"] != path.parent.name:
        raise ValueError(f"{path}: name {entries['name']!r}; expected that of its folder, {path.parent.name!r}.")
    if entries["access"] not in get_args(Access):
        raise ValueError(f"{path}: access {entries['access']!r}; expected one of {get_args(Access)}.")
    if "loader" in entries and not LOADER.fullmatch(entries["loader"]):
        raise ValueError(
            f"{path}: loader {entries['loader']!r}; expected 'neuroling.data.loaders.MODULE:load', or no such entry."
        )
    if entries.get("tried", "synthetic files") not in get_args(Tried):
        raise ValueError(f"{path}: tried {entries['tried']!r}; expected one of {get_args(Tried)}.")
    twice = sorted(name for name, count in Counter(file.path for file in files).items() if count > 1)
    if twice:
        raise ValueError(f"{path}: {twice} listed more than once.")
    unchecked = [file.path for file in files if file.bytes is None or file.checksum is None]
    if unchecked and entries["access"] == "open":
        raise ValueError(f"{path}: no bytes or sha256 for {unchecked}; expected both for every file of open access.")


def as_table(all_cards: Mapping[str, Card]) -> str:
    """Write the cards as a Markdown table, as it stands in ``datasets/README.md``.

    Parameters
    ----------
    all_cards : mapping of Card
        By name.

    Returns
    -------
    str
    """
    columns = ("name", "what", "modality", "language", "shape", "size", "licence", "access", "loader", "tried on")
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    return head + "".join(_row(entry) for entry in all_cards.values())


def _row(entry: Card) -> str:
    size = "not known" if entry.n_bytes is None else readable_size(entry.n_bytes)
    loader = "to come" if entry.loader is None else f"`{entry.loader.rpartition('.')[2]}`"
    cells = [f"[`{entry.name}`]({entry.name}/README.md)", entry.title, entry.modality, entry.language]
    return "| " + " | ".join([*cells, entry.shape, size, entry.licence, entry.access, loader, entry.tried]) + " |\n"


def readable_size(n_bytes: int) -> str:
    """Write a number of bytes for people, in MB or GB.

    Parameters
    ----------
    n_bytes : int
        Number of bytes.

    Returns
    -------
    str

    Examples
    --------
    >>> readable_size(2_447_000_216), readable_size(998_492)
    ('2.4 GB', '1.0 MB')
    """
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"
