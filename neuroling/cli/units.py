"""``neuroling gather`` and ``neuroling check``: the files of a study, put together and looked after."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroling.cli.command import say

if TYPE_CHECKING:
    from neuroling.core.result import Result

Files = Annotated[list[Path], typer.Argument(metavar="RESULT.nc...", help="Result files of the units of one study.")]

HOUR_S = 3600.0


def gather(
    files: Files,
    out: Annotated[Path, typer.Option("--out", "-o", help="Result file to write.")],
    table: Annotated[Path | None, typer.Option(help="CSV file to write as well, one row per location.")] = None,
) -> None:
    """Join the results of one study along tiles, participants, layers or models; refuse results of other studies.

    Parameters
    ----------
    files : list of pathlib.Path
        Result files, each a unit.
    out : pathlib.Path
        Result file to be written.
    table : pathlib.Path, optional
        CSV file to be written: labels, score, ceiling, p; the same bytes for the same numbers.
    """
    from neuroling.core.result import Result
    from neuroling.evaluation.study_files import gather as join

    twice = sorted({str(path) for path in files if [other.resolve() for other in files].count(path.resolve()) > 1})
    if twice:
        raise ValueError(f"files: {twice[0]} is given more than once; expected each unit once.")
    whole = _without_tiles({str(path): Result.load(path) for path in files})
    alone = next(iter(whole.values()))
    result = alone if len(whole) == 1 and not alone.provenance.unit else join(whole)
    result.save(out)
    if table is not None:
        from neuroling.core.files import write_whole

        write_whole(table, result.to_dataframe().to_csv(index=False, lineterminator="\n").encode("utf-8"))
    say(f"{out}: {len(files)} units\n{result.summary()}")


def _without_tiles(results: dict[str, Result]) -> dict[str, Result]:
    """Join the tiles of every recording; results that are no tiles stay as they are."""
    from neuroling.evaluation.tiles import TILE, join_tiles

    recordings: dict[object, dict[str, Result]] = {}
    for name, result in results.items():
        unit = result.provenance.unit
        key: object = (
            tuple(sorted((axis, label) for axis, label in unit.items() if axis != TILE)) if TILE in unit else name
        )
        recordings.setdefault(key, {})[name] = result
    return {
        next(iter(parts)): join_tiles(parts) if isinstance(key, tuple) else next(iter(parts.values()))
        for key, parts in recordings.items()
    }


def join(
    shards: Annotated[
        list[Path], typer.Argument(metavar="SHARD.nc...", help="Feature files written by `extract --shard`.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="NetCDF file to write.")],
) -> None:
    """Join features extracted in shards into one file, in the given order.

    Parameters
    ----------
    shards : list of pathlib.Path
        Files of all shards.
    out : pathlib.Path
        NetCDF file.
    """
    from neuroling.features.storage.shards import join_shards

    features = join_shards(shards, out)
    say(f"{out}: " + " × ".join(f"{dim} {size}" for dim, size in features.sizes.items()))
    features.close()


def check(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[RESULT.nc...]", help="Result files.")] = None,
    sweep: Annotated[
        Path | None, typer.Option(help="Folder to clear of temporary files of interrupted writes.")
    ] = None,
    older_than: Annotated[
        float, typer.Option(min=0, help="Minimum age in hours of the files that --sweep removes.")
    ] = 24.0,
) -> None:
    """Verify the checksums of result files; exit status 1 if one is damaged, missing or of another format.

    Parameters
    ----------
    files : list of pathlib.Path, optional
        Result files.
    sweep : pathlib.Path, optional
        Remove partial files in this folder and below it, which only killed writers leave.
    older_than : float
        Hours since the last byte was written; younger files may belong to a writer that is still at work.
    """
    from neuroling.core.result import Result, ResultFileError
    from neuroling.core.units import leftovers

    if not files and sweep is None:
        raise typer.BadParameter("give result files to check, or --sweep FOLDER.", param_hint="RESULT.nc")
    n_bad = 0
    for path in files or []:
        try:
            Result.load(path)
        except ResultFileError as error:
            n_bad += 1
            say(f"{path}: {error}")
    if files:
        say(f"{len(files) - n_bad} of {len(files)} files are whole")
    if sweep is not None:
        gone = list(leftovers(sweep, older_than * HOUR_S))
        for path in gone:
            path.unlink()
        say(f"{len(gone)} partial files removed from {sweep}")
    if n_bad:
        raise typer.Exit(1)
