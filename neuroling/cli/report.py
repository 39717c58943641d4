"""``neuroling report``: the page of a result file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neuroling.cli.command import say


def report(
    files: Annotated[list[Path], typer.Argument(metavar="RESULT.nc...", help="Result files; the first is the answer.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder that gets report.html and references.bib.")],
    model: Annotated[str | None, typer.Option(help="Model that the study asks about, on the axis `model`.")] = None,
    control: Annotated[
        list[str] | None, typer.Option("--control", help="Name of a model that is a control; repeat for several.")
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Report",
    question: Annotated[str, typer.Option(help="What the study asks, in a sentence.")] = "",
) -> None:
    """Write the page of a result: answer, figures, controls, ceiling, methods text, references.

    Parameters
    ----------
    files : list of pathlib.Path
        Result files.
    out : pathlib.Path
        Folder.
    model : str, optional
        Name on the axis ``model``.
    control : list of str, optional
        Names on the axis ``model``.
    title, question : str
        Heading and the sentence below it.
    """
    from neuroling.cli.unit_options import check_place
    from neuroling.core.result import Result
    from neuroling.report.comparison import model_names
    from neuroling.report.study import write_report

    check_place(out)
    results = {path.stem if len(files) > 1 else "": Result.load(path) for path in files}
    if len(results) < len(files):
        raise ValueError(f"files: {len(files)} files have {len(results)} different names; expected a name for each.")
    names_of_models = [name for result in results.values() for name in model_names(result)]
    unknown = [name for name in control or () if name not in names_of_models]
    if unknown:
        raise typer.BadParameter(
            f"got {unknown}; the results have the models {names_of_models}.", param_hint="--control"
        )
    if model is not None and model not in names_of_models:
        raise typer.BadParameter(f"got {model!r}; the results have the models {names_of_models}.", param_hint="--model")
    page = write_report(results, out, title=title, question=question, model=model, controls=control or [])
    say(str(page))
