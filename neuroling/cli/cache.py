"""``neuroling cache``: what is kept of earlier features, whether it is whole, and what may go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neuroling.cli.command import Command, say

Folder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="Folder of a feature cache, as given to `extract --cache`.")
]


def build() -> typer.Typer:
    """Put the commands about caches together.

    Returns
    -------
    typer.Typer
    """
    app = typer.Typer(help="List, verify and prune a feature cache.", no_args_is_help=True, rich_markup_mode=None)
    app.command("list", cls=Command)(list_all)
    app.command("verify", cls=Command)(verify)
    app.command("prune", cls=Command)(prune)
    return app


def list_all(folder: Folder) -> None:
    """List the entries of a feature cache, the most recently used last.

    Parameters
    ----------
    folder : pathlib.Path
        The cache.
    """
    from neuroling.features.storage.cache import entries

    cache_entries = entries(folder)
    for entry in cache_entries:
        say(f"{entry.path.name[:12]}  {_size(entry.n_bytes):>9}  {entry.used:%Y-%m-%d %H:%M}  {entry.summary}")
    say(f"{len(cache_entries)} entries, {_size(sum(entry.n_bytes for entry in cache_entries))}")


def verify(folder: Folder) -> None:
    """Verify checksum and key of every entry; exit status 1 if one is damaged.

    Parameters
    ----------
    folder : pathlib.Path
        The cache.
    """
    from neuroling.features.storage.cache import damage, entries

    cache_entries = entries(folder)
    bad = [(entry, what) for entry in cache_entries if (what := damage(entry.path))]
    for entry, what in bad:
        say(f"{entry.path.name}: {what}")
    say(f"{len(cache_entries) - len(bad)} of {len(cache_entries)} entries are whole")
    if bad:
        raise typer.Exit(1)


def prune(
    folder: Folder,
    older_than: Annotated[
        float | None, typer.Option("--older-than", min=0, help="Remove entries not used for this number of days.")
    ] = None,
    larger_than: Annotated[
        float | None,
        typer.Option(
            "--larger-than", min=0, help="Largest total size in GB; entries unused for longest are removed first."
        ),
    ] = None,
    damaged: Annotated[bool, typer.Option("--damaged", help="Remove damaged entries.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Remove the entries. Default: only list what would be removed.")
    ] = False,
) -> None:
    """Remove entries and remains of interrupted writes. Without --yes, list what would be removed.

    Parameters
    ----------
    folder : pathlib.Path
        The cache.
    older_than : float, optional
        Days.
    larger_than : float, optional
        GB.
    damaged : bool
        Whether damaged entries go.
    yes : bool
        Whether to remove rather than to say.
    """
    from neuroling.features.storage.cache import leavings, to_prune

    if older_than is None and larger_than is None and not damaged:
        raise typer.BadParameter("say what shall go: --older-than DAYS, --larger-than GB or --damaged.")
    going = to_prune(folder, older_than_days=older_than, most_bytes=_bytes(larger_than), damaged=damaged)
    paths = [entry.path for entry in going] + leavings(folder)
    for path in paths:
        say(f"{'removed' if yes else 'would remove'}  {path.name}")
        if yes:
            path.unlink(missing_ok=True)
    size = _size(sum(entry.n_bytes for entry in going))
    say(f"{len(paths)} files, {size}" + ("" if yes else "; add --yes to remove them"))


def _bytes(gigabytes: float | None) -> int | None:
    return None if gigabytes is None else int(gigabytes * 1e9)


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.2f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"
