"""``neuroling show`` and ``neuroling compare``: result files in the terminal."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroling.cli.command import AsJson, say, say_json

if TYPE_CHECKING:
    from neuroling.core.provenance import Provenance
    from neuroling.core.result import Result

File = Annotated[Path, typer.Argument(metavar="RESULT.nc", help="Result file, written by Result.save.")]


MOST_ROWS = 30
"""Positions that ``compare`` lists unasked: participants, models, layers, but not voxels."""


def show(
    path: File,
    provenance: Annotated[
        bool, typer.Option("--provenance", help="Print options, data and versions behind the numbers.")
    ] = False,
    table: Annotated[bool, typer.Option("--table", help="Print one row per location, tab-separated.")] = False,
    as_json: AsJson = False,
) -> None:
    """Summarize a result file.

    Parameters
    ----------
    path : pathlib.Path
        A file written by ``Result.save``.
    provenance : bool
        Show options, data, versions and seed as well.
    table : bool
        Show scores, ceiling and p values of every position instead of the summary.
    as_json : bool
        Print all of this as one JSON object.
    """
    from neuroling.core.result import Result

    result = Result.load(path)
    if as_json:
        say_json(_everything(path, result))
        return
    if table:
        say(result.to_dataframe().to_csv(sep="\t", index=False).rstrip())
    else:
        say(f"{result.summary()}\n  axes: {_axes(result)}")
    if provenance:
        say("\n" + _record(result.provenance))


def compare(
    first: Annotated[Path, typer.Argument(metavar="A.nc", help="Result file.")],
    second: Annotated[Path, typer.Argument(metavar="B.nc", help="Result file with the same metric and axes.")],
    table: Annotated[bool, typer.Option("--table", help="Print one row per location, tab-separated.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare two results: score differences, with a paired test, and every difference in options, data and versions.

    Parameters
    ----------
    first, second : pathlib.Path
        Files written by ``Result.save``.
    table : bool
        Show both scores and their difference at every position.
    as_json : bool
        Print all of this as one JSON object.
    """
    from neuroling.cli.comparison import difference_of, differences, means, paired_test, side_by_side, summary
    from neuroling.core.result import Result

    a, b = Result.load(first), Result.load(second)
    difference, rows = difference_of(a, b), side_by_side(a, b)
    if as_json:
        say_json(
            {
                "A": str(first),
                "B": str(second),
                "metric": a.metric,
                "chance": a.chance,
                "mean": {"A": means(a), "B": means(b), "A - B": means(a, difference)},
                "positions": rows.to_dict("records"),
                "paired test": paired_test(a, b, difference).removeprefix("test: "),
                "differs": differences(a, b),
            }
        )
        return
    if table:
        say(rows.to_csv(sep="\t", index=False).rstrip())
        return
    say(f"A: {first}\nB: {second}\n{summary(a, b, difference)}")
    if len(rows) <= MOST_ROWS:
        say(rows.to_string(index=False, float_format="{:.4f}".format))
    say(paired_test(a, b, difference))
    say("\n".join(["differs:", *(f"  {line}" for line in differences(a, b))]))


def _everything(path: Path, result: Result) -> dict[str, object]:
    from neuroling.cli.comparison import means

    return {
        "file": str(path),
        "metric": result.metric,
        "chance": result.chance,
        "axes": dict(result.score.sizes),
        "mean": means(result),
        "summary": result.summary().splitlines(),
        "positions": result.to_dataframe().to_dict("records"),
        "provenance": asdict(result.provenance),
    }


def _axes(result: Result) -> str:
    kept = " × ".join(f"{dim} {size}" for dim, size in result.score.sizes.items())
    return kept or "none left, one number"


def _record(provenance: Provenance) -> str:
    lines = [f"created: {provenance.created}", f"seed: {provenance.seed}", f"device: {provenance.device}"]
    lines += [f"synthetic: {'yes' if provenance.synthetic else 'no'}"]
    for title in ("options", "data", "versions"):
        lines += [f"{title}:", *(f"  {key}: {value}" for key, value in sorted(getattr(provenance, title).items()))]
    return "\n".join([*lines, *(f"note: {note}" for note in provenance.notes)])
