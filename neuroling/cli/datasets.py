"""``neuroling datasets``: what is known of each data set, and whether it is here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from neuroling.cli.command import Command, say

if TYPE_CHECKING:
    from neuroling.data.cards import Card

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a data set, as `datasets list` shows it.")]


def build() -> typer.Typer:
    """Put the commands about data sets together.

    Returns
    -------
    typer.Typer
    """
    app = typer.Typer(help="Data sets: list, show, fetch, verify.", no_args_is_help=True, rich_markup_mode=None)
    app.command("list", cls=Command)(list_all)
    app.command("show", cls=Command)(show)
    app.command("fetch", cls=Command)(fetch)
    app.command("verify", cls=Command)(verify)
    return app


def list_all() -> None:
    """List all data sets and whether they are at hand."""
    from neuroling.data.cards import cards

    known = cards()
    name_width = max(map(len, known))
    for name, card in known.items():
        here, _ = at_hand(name)
        say(f"{name:<{name_width}}  {here:<8}  {_size(card):>9}  {card.access:<7}  {card.title}")


def show(name: Name) -> None:
    """Show the card of a data set, and its notes.

    Parameters
    ----------
    name : str
        Name of the data set.
    """
    from neuroling.data.cards import card, root

    entry = card(name)
    here, where = at_hand(name)
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
        "at hand": f"{here}: {where}",
    }
    for key, value in lines.items():
        say(f"{key + ':':<10} {value}")
    notes = root() / name / "README.md"
    if notes.is_file():
        say("\n" + notes.read_text(encoding="utf-8").strip())


def fetch(name: Name) -> None:
    """Download a data set, check every file, and say where it lies.

    Parameters
    ----------
    name : str
        Name of the data set.
    """
    from neuroling.data import fetch as fetching

    say(str(fetching.fetch(name)))


def verify(name: Name) -> None:
    """Compare every file of a data set with its card; status 1 if anything is wrong.

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
