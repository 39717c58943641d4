"""``neuroling datasets``: what is known of each data set, and whether it is here."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from neuroling.cli.command import AsJson, Command, say, say_json

if TYPE_CHECKING:
    from neuroling.data.cards import Card

LICENCE_WIDTH = 20
"""Characters of a licence in the list; `show` has it in full."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a data set, as listed by `datasets list`.")]


def build() -> typer.Typer:
    """Put the commands about data sets together.

    Returns
    -------
    typer.Typer
    """
    app = typer.Typer(
        help="List, describe, download and verify data sets.", no_args_is_help=True, rich_markup_mode=None
    )
    app.command("list", cls=Command)(list_all)
    app.command("show", cls=Command)(show)
    app.command("fetch", cls=Command)(fetch)
    app.command("verify", cls=Command)(verify)
    return app


def list_all(as_json: AsJson = False) -> None:
    """List all data sets: at hand or not, size, people, language, modality, licence, and what the loader was tried on.

    Parameters
    ----------
    as_json : bool
        Print a JSON list with everything that the cards say instead.
    """
    from neuroling.data.cards import cards

    all_cards = cards()
    if as_json:
        say_json([_entry(card) for card in all_cards.values()])
        return
    rows = [_row(card) for card in all_cards.values()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(card: Card) -> list[str]:
    """Give the columns of the list."""
    is_present, _ = at_hand(card.name)
    people = f"{card.people} people" if card.people > 1 else ("1 person" if card.people else "no people")
    tried = f"loader tried on {card.tried}" if card.loader else "no loader"
    licence = _shortened(card.licence, LICENCE_WIDTH)
    return [
        *(card.name, is_present, _size(card), card.access, people, card.language, card.modality, licence, tried),
        card.title,
    ]


def _entry(card: Card) -> dict[str, object]:
    """Give what is known of a data set, for programs."""
    here, where = at_hand(card.name)
    facts = {key: value for key, value in asdict(card).items() if key != "files"}
    return {**facts, "files": len(card.files), "bytes": card.n_bytes, "at hand": here, "where": where}


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def show(name: Name) -> None:
    """Print the description of a data set and its notes.

    Parameters
    ----------
    name : str
        Name of the data set.
    """
    from neuroling.data.cards import card, root

    entry = card(name)
    is_present, where = at_hand(name)
    lines = {
        "name": entry.name,
        "title": entry.title,
        "modality": entry.modality,
        "language": entry.language,
        "people": str(entry.people),
        "shape": entry.shape,
        "citation": entry.citation,
        "doi": entry.doi or "none",
        "licence": entry.licence,
        "access": entry.access,
        "source": entry.home_page or entry.source,
        "loader": entry.loader or "to come",
        "tried on": entry.tried if entry.loader else "nothing",
        "files": f"{len(entry.files)}, {_size(entry)}",
        "at hand": f"{is_present}: {where}",
    }
    for key, value in lines.items():
        say(f"{key + ':':<10} {value}")
    notes = root() / name / "README.md"
    if notes.is_file():
        say("\n" + notes.read_text(encoding="utf-8").strip())


def fetch(
    name: Name,
    subject: Annotated[list[str] | None, typer.Option(help="Participant; repeat for several. Default: all.")] = None,
    story: Annotated[list[str] | None, typer.Option(help="Story or task; repeat for several. Default: all.")] = None,
    optional_part: Annotated[
        list[str] | None, typer.Option("--part", help="Optional part besides what the loader reads; repeat.")
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, max=16, help="Downloads at a time.")] = 4,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be downloaded, and stop.")] = False,
) -> None:
    """Download a data set, or some participants and stories of it, verify every file, and print its folder.

    Licence and total size are printed before the download begins; an interrupted one is resumed by the same command.

    Parameters
    ----------
    name : str
        Name of the data set.
    subject, story, optional_part : list of str
        Which files; all by default.
    parallel : int
        Downloads at a time.
    dry_run : bool
        Download nothing.
    """
    from neuroling.data import fetch as fetching
    from neuroling.data.cards import card, readable_size
    from neuroling.data.selection import select_files

    entry = card(name)
    selection = {"subjects": subject or (), "stories": story or (), "optional_parts": optional_part or ()}
    files = [file.path for file in select_files(entry, **selection) if not file.derived]
    plan = fetching.plan_fetch(name, files)
    say(f"licence: {entry.licence}; cite: {entry.citation}", err=True)
    say(str(plan), err=True)
    if dry_run:
        for file in plan.missing:
            say(f"{readable_size(file.bytes or 0):>9}  {file.path}  {file.url}")
        return
    say(str(fetching.fetch(name, files, n_parallel=parallel)))


def verify(name: Name) -> None:
    """Verify the checksum of every file of a data set that is at hand; exit status 1 if one differs.

    Parameters
    ----------
    name : str
        Name of the data set.
    """
    from neuroling.data import fetch as fetching
    from neuroling.data.cards import card

    findings = fetching.verify(name)
    for finding in findings:
        say(finding)
    if findings:
        say(f"neuroling: {name}: {len(findings)} findings", err=True)
        raise typer.Exit(1)
    n_present, n_files = fetching.count_present(name), len(card(name).files)
    say(f"{name}: {n_present} of {n_files} files are at hand, and each is as its card says.")


def at_hand(name: str) -> tuple[str, str]:
    """Say whether a data set is here.

    Parameters
    ----------
    name : str
        Name of the data set.

    Returns
    -------
    state : {"here", "part", "sample", "absent", "damaged"}
        Complete; some files of it; only the sample that comes with the package; nothing; or not what the card says.
    where : str
        Its folder, or what is wrong.
    """
    from neuroling.data.embedded import sample_names, samples_folder
    from neuroling.data.errors import CorruptData, DataNotFound
    from neuroling.data.fetch import count_present, locate_complete

    try:
        return "here", str(locate_complete(name))
    except DataNotFound as absent:
        if n_present := count_present(name):
            return "part", f"{n_present} files; {absent}"
        if name in sample_names():
            return "sample", str(samples_folder() / name)
        return "absent", str(absent)
    except CorruptData as damaged:
        return "damaged", str(damaged)


def _size(card: Card) -> str:
    from neuroling.data.cards import readable_size

    return "unknown" if card.n_bytes is None else readable_size(card.n_bytes)
