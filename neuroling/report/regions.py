"""The report of a study over regions and participants: models side by side with their nulls and the ceiling."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.null_distribution import NullDistribution
from neuroling.core.result import Result
from neuroling.report.controls import ControlSet, controls_section
from neuroling.report.figures import axes_to_png, plot_models, plot_null, plot_points
from neuroling.report.html import Callout, Figure, Section, Table, Text, write_page


@dataclass(frozen=True)
class RegionStudy:
    """What a report over regions shows.

    Attributes
    ----------
    title, question : str
        Heading and the sentence below it.
    result : Result
        Scores (model, subject, region), with ceiling and null, the draws shared by participants.
    group_mean : pandas.DataFrame
        Plain correlations with the mean time course, nothing fitted.
    methods : str
        How it was done; blank lines part paragraphs.
    controls : ControlSet
        Which models are controls of which kind; a report without them says so.
    """

    title: str
    question: str
    result: Result
    group_mean: pd.DataFrame
    methods: str
    controls: ControlSet = field(default_factory=ControlSet)


def group_nulls(result: Result) -> dict[str, NullDistribution]:
    """Give the null of the mean over participants for every model, dims (region,).

    Parameters
    ----------
    result : Result
        Scores (model, subject, region) whose draws are shared by participants.

    Returns
    -------
    dict of str to NullDistribution
    """
    return {str(model): result.null.select(model=model).mean("subject") for model in result.score.model.to_numpy()}


def region_table(result: Result) -> pd.DataFrame:
    """Lay out models and regions with ceiling and p values of the mean over participants.

    Parameters
    ----------
    result : Result
        Scores (model, subject, region) with ceiling and null.

    Returns
    -------
    pandas.DataFrame
        One row a model and region.
    """
    rows = []
    lower = result.mean_ceiling("lower", ["subject"])
    for model, null in group_nulls(result).items():
        p, corrected = null.p_values(), null.p_values("max")
        for region in null.observed.region.to_numpy():
            r, ceiling = float(null.observed.sel(region=region)), float(lower.sel(model=model, region=region))
            row = {
                "model": model,
                "region": str(region),
                "r": r,
                "null 95 %": float(null.quantile(0.95).sel(region=region)),
            }
            row |= {"p": float(p.sel(region=region)), "p, all regions": float(corrected.sel(region=region))}
            rows.append({**row, "ceiling": ceiling, "share of ceiling": r / ceiling})
    return pd.DataFrame(rows)


def write_region_report(study: RegionStudy, folder: Path | str) -> Path:
    """Write the report of a study over regions, and its pictures.

    Parameters
    ----------
    study : RegionStudy
        What to show.
    folder : path
        Gets ``report.html`` and the pictures as PNG files.

    Returns
    -------
    Path
        The report.
    """
    folder = Path(folder)
    nulls = group_nulls(study.result)
    pictures = _pictures(study.result, nulls)
    for name, figure in pictures.items():
        (folder / f"{name}.png").write_bytes(figure.png)
    record = study.result.provenance
    sections = [
        Section(
            "What came out",
            [Callout("result", _headline(nulls)), _model_table(nulls, study.result), pictures["models"]],
        ),
        controls_section(
            study.controls,
            {name: float(_grand(null).observed) for name, null in nulls.items()},
            score="Held-out correlation, mean over participants and regions",
            synthetic=record.synthetic,
        ),
        Section("By region", [Table(region_table(study.result), REGIONS), pictures["participants"]]),
        Section("The null of the mean", [pictures["null"]]),
        Section("Word rate against the group mean", [Table(study.group_mean, "Pearson correlation, nothing fitted.")]),
        Section("How it was done", [Text(study.methods)]),
    ]
    return write_page(
        folder / "report.html",
        title=study.title,
        subtitle=study.question,
        sections=sections,
        provenance={"created": record.created, "seed": record.seed, **record.options, **record.data, **record.versions},
        synthetic=record.synthetic,
    )


REGIONS = (
    "Held-out correlations, mean over participants. p: one-sided, against rotations of the recording; p, all regions, "
    "against the best region of each rotation. Ceiling: each participant predicted by the mean of the others."
)


def _grand(null: NullDistribution) -> NullDistribution:
    """Average over regions as well."""
    return null.mean("region")


def _model_table(nulls: dict[str, NullDistribution], result: Result) -> Table:
    ceiling, undefined = float(result.mean_ceiling("lower")), int(np.isnan(result.ceiling.sel(bound="lower")).sum())
    excluded = f", {undefined} undefined values excluded" if undefined else ""
    rows = []
    for model, null in nulls.items():
        grand = _grand(null)
        subjects = result.score.sel(model=model).mean("region")
        rows.append(
            {
                "model": model,
                "r": float(grand.observed),
                "null 95 %": float(grand.quantile(0.95)),
                "p": float(grand.p_values()),
                "share of ceiling": float(grand.observed) / ceiling,
                "participants above 0": f"{int((subjects > 0).sum())} of {subjects.size}",
                "regions, p < 0.05 corrected": f"{int((null.p_values('max') < 0.05).sum())} of {null.observed.size}",
            }
        )
    caption = (
        f"Held-out correlation, mean over participants and regions; {next(iter(nulls.values())).n_draws} rotations of "
        f"the recording as null. Ceiling (each participant from the others): r = {ceiling:.3f}{excluded}. Controls and "
        "language model share every fold, penalty grid and rotation."
    )
    return Table(rows, caption)


def _headline(nulls: dict[str, NullDistribution]) -> str:
    grand = {model: _grand(null) for model, null in nulls.items()}
    best = max(grand, key=lambda model: float(grand[model].observed))
    listed = "; ".join(
        f"{name} r = {float(null.observed):.3f} (p = {float(null.p_values()):.2g})" for name, null in grand.items()
    )
    return f"Best is {best}. Mean held-out correlation by model: {listed}."


def _pictures(result: Result, nulls: dict[str, NullDistribution]) -> dict[str, Figure]:
    synthetic = result.provenance.synthetic
    score = result.score.mean("subject")
    ceiling = result.mean_ceiling("lower", ["subject"]).isel(model=0, drop=True)
    grands = {name: _grand(null) for name, null in nulls.items()}
    draws = {name: grand.draws.to_numpy() for name, grand in grands.items() if grand.draws is not None}
    models = plot_models(
        {name: float(grand.observed) for name, grand in grands.items()}, nulls=draws, label="held-out r, mean"
    )
    best = str(score.mean("region").idxmax("model").item())
    people = result.score.sel(model=best, drop=True)
    edge = xr.concat([nulls[best].quantile(0.95)], "one").isel(one=0)
    participants = plot_points(people, along="region", edge=edge, ceiling=ceiling, label=f"held-out r, {best}")
    grand = _grand(nulls[best])
    assert grand.draws is not None  # noqa: S101 - _grand keeps them
    null = plot_null(
        grand.draws.to_numpy(), float(grand.observed), label=f"mean held-out r, {best}", p=float(grand.p_values())
    )
    return {
        "models": Figure(
            axes_to_png(models, synthetic=synthetic),
            "Held-out correlation of each model, mean over participants and regions, beside the rotations of its null.",
            f"Points for {', '.join(nulls)}; {best} is highest.",
        ),
        "participants": Figure(
            axes_to_png(participants, synthetic=synthetic),
            f"Every participant's held-out correlation by region for {best}, and their mean. The bar is what 5 % of "
            "rotations exceed in the mean.",
            "Grey points for participants around a mean for each region.",
        ),
        "null": Figure(
            axes_to_png(null, synthetic=synthetic),
            f"Mean over participants and regions under all rotations of the recording, and as observed, for {best}.",
            "Histogram of the null with the observed score to its right.",
        ),
    }
