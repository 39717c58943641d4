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
    """List all data sets: modality, size, access, licence, and whether they are at hand and have a loader.

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
    name_width = max(map(len, all_cards))
    modality_width = max(len(card.modality) for card in all_cards.values())
    for name, card in all_cards.items():
        is_present, _ = at_hand(name)
        modality = f"{card.modality:<{modality_width}}"
        licence = f"{_shortened(card.licence, LICENCE_WIDTH):<{LICENCE_WIDTH}}"
        loader = "loader" if card.loader else "no loader"
        columns = [
            f"{name:<{name_width}}",
            f"{is_present:<8}",
            f"{_size(card):>9}",
            f"{card.access:<7}",
            modality,
            licence,
        ]
        say("  ".join([*columns, f"{loader:<9}", card.title]))


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
        "shape": entry.shape,
        "citation": entry.citation,
        "doi": entry.doi or "none",
        "licence": entry.licence,
        "access": entry.access,
        "source": entry.source,
        "loader": entry.loader or "to come",
        "files": f"{len(entry.files)}, {_size(entry)}",
        "at hand": f"{is_present}: {where}",
    }
    for key, value in lines.items():
        say(f"{key + ':':<10} {value}")
    notes = root() / name / "README.md"
    if notes.is_file():
        say("\n" + notes.read_text(encoding="utf-8").strip())


def fetch(name: Name) -> None:
    """Download a data set, verify every file, and print its folder.

    Parameters
    ----------
    name : str
        Name of the data set.
    """
    from neuroling.data import fetch as fetching

    say(str(fetching.fetch(name)))


def verify(name: Name) -> None:
    """Verify the checksum of every file of a data set; exit status 1 if one differs.

    Parameters
    ----------
    name : str
        Name of the data set.
    """
    from neuroling.data import fetch as fetching

    findings = fetching.verify(name)
    for finding in findings:
        say(finding)
    if findings:
        say(f"neuroling: {name}: {len(findings)} findings", err=True)
        raise typer.Exit(1)
    say(f"{name}: every file is as its card says.")


def at_hand(name: str) -> tuple[str, str]:
    """Say whether a data set is here.

    Parameters
    ----------
    name : str
        Name of the data set.

    Returns
    -------
    state : {"here", "sample", "absent", "damaged"}
        Complete; only the sample that comes with the package; nothing; or not what the card says.
    where : str
        Its folder, or what is wrong.
    """
    from neuroling.data.embedded import sample_names, samples_folder
    from neuroling.data.errors import CorruptData, DataNotFound
    from neuroling.data.fetch import locate_complete

    try:
        return "here", str(locate_complete(name))
    except DataNotFound as absent:
        if name in sample_names():
            return "sample", str(samples_folder() / name)
        return "absent", str(absent)
    except CorruptData as damaged:
        return "damaged", str(damaged)


def _size(card: Card) -> str:
    return "unknown" if card.n_bytes is None else f"{card.n_bytes / 1e6:.1f} MB"
