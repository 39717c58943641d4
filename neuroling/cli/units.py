"""``neuroling gather`` and ``neuroling check``: the files of a study, put together and looked after."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Files = Annotated[list[Path], typer.Argument(metavar="RESULT.nc...", help="Files written by units of a study.")]

HOUR_S = 3600.0


def gather(
    files: Files,
    out: Annotated[Path, typer.Option("--out", "-o", help="Result file with all of them.")],
    table: Annotated[Path | None, typer.Option(help="Also a CSV, one row a position.")] = None,
) -> None:
    """Join units of one study along participants, layers or models; refuses what does not belong together.

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
    from neuroling.evaluation.gather import gather as join

    result = join({str(path): Result.load(path) for path in files})
    result.save(out)
    if table is not None:
        from neuroling.core.files import write_whole

        write_whole(table, result.to_dataframe().to_csv(index=False, lineterminator="\n").encode("utf-8"))
    typer.echo(f"{out}: {len(files)} units\n{result.summary()}")


def check(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[RESULT.nc...]", help="Result files.")] = None,
    sweep: Annotated[Path | None, typer.Option(help="Folder to clear of what killed writers left.")] = None,
    older_than: Annotated[float, typer.Option(help="Hours since the last byte, for --sweep.")] = 24.0,
) -> None:
    """Read result files whole and check their checksums; status 1 if one is damaged, missing or of another kind.

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
            typer.echo(f"{path}: {error}")
    if files:
        typer.echo(f"{len(files) - n_bad} of {len(files)} files are whole")
    if sweep is not None:
        gone = list(leftovers(sweep, older_than * HOUR_S))
        for path in gone:
            path.unlink()
        typer.echo(f"{len(gone)} partial files removed from {sweep}")
    if n_bad:
        raise typer.Exit(1)
