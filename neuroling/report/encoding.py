"""The report of an encoding study: models side by side, where in the brain, and how it was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.result import Result
from neuroling.report.brain import glass_brain, stat_map
from neuroling.report.controls import ControlSet, controls_section
from neuroling.report.figures import axes_to_png, plot_models, plot_penalty_curve
from neuroling.report.html import Callout, Figure, Section, Table, Text, write_report

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class EncodingStudy:
    """What an encoding report shows.

    Attributes
    ----------
    title, question : str
        Heading and the sentence below it.
    accuracy : mapping of str to Result
        One number a model, with its null: the matching of held-out samples.
    voxels : mapping of str to Result
        One correlation a voxel, with its null, for the same models.
    penalties : pandas.DataFrame
        Mean inner score; one row a penalty (the index), one column a model.
    variants : pandas.DataFrame
        Scores under other named ways of scoring; first column the model.
    methods : str
        How it was done; blank lines part paragraphs.
    to_image : callable
        Turns scores on voxels, dims (voxel,), into a brain image.
    controls : ControlSet
        Which models are controls of which kind; a report without them says so.
    """

    title: str
    question: str
    accuracy: Mapping[str, Result]
    voxels: Mapping[str, Result]
    penalties: pd.DataFrame
    variants: pd.DataFrame
    methods: str
    to_image: Callable[[xr.DataArray], SpatialImage]
    controls: ControlSet = field(default_factory=ControlSet)

    @property
    def synthetic(self) -> bool:
        """Whether the recording is a synthetic twin."""
        return any(result.provenance.synthetic for result in self.accuracy.values())


def write_encoding_report(study: EncodingStudy, folder: Path) -> Path:
    """Write the report, its pictures and the maps of an encoding study.

    Parameters
    ----------
    study : EncodingStudy
        What to show.
    folder : Path
        Gets ``report.html``, a NIfTI map ``correlation_MODEL.nii.gz`` a model, and the pictures as PNG files.

    Returns
    -------
    Path
        The report.
    """
    images = {name: study.to_image(result.score) for name, result in study.voxels.items()}
    pictures = _pictures(study, images)
    for name, figure in pictures.items():
        (folder / f"{name}.png").write_bytes(figure.png)
    for name, image in images.items():
        image.to_filename(folder / f"correlation_{_file_name(name)}.nii.gz")
    sections = [
        Section("What came out", [Callout("result", _headline(study)), pictures["models"], _model_table(study)]),
        controls_section(
            study.controls,
            {name: float(result.score) for name, result in study.accuracy.items()},
            score="2-versus-2 accuracy",
            synthetic=study.synthetic,
        ),
        Section("Where in the brain", [pictures["glass_brain"], pictures["stat_map"], Text(_how_to_read_maps(study))]),
        Section("The same predictions, scored in other ways", [Table(study.variants, VARIANTS)]),
        Section("Penalty, chosen inside the training set", [pictures["penalties"]]),
        Section("How it was done", [Text(study.methods)]),
    ]
    provenance = {name: _provenance(result) for name, result in study.accuracy.items()}
    return write_report(
        folder / "report.html",
        title=study.title,
        subtitle=study.question,
        sections=sections,
        provenance=provenance,
        synthetic=study.synthetic,
    )


VARIANTS = (
    "2-versus-2 accuracy of the same splits and features, chance 0.5. How maps are centred and scaled changes it, "
    "so each column names its own. Centred: predicted and true maps counted from the training mean. Uncentred: nothing "
    "taken off. Densities: every true map, too, scaled to a sum of one, and fitted anew."
)


def model_table(accuracy: Mapping[str, Result], voxels: Mapping[str, Result]) -> pd.DataFrame:
    """Lay out the models side by side with their nulls.

    Parameters
    ----------
    accuracy, voxels : mapping of str to Result
        As in :class:`EncodingStudy`.

    Returns
    -------
    pandas.DataFrame
        One row a model.
    """
    rows = []
    for name, result in accuracy.items():
        null, r = result.null, voxels[name]
        rows.append(
            {
                "model": name,
                "2-versus-2": float(result.score),
                "null mean": np.nan if null.draws is None else float(null.draws.mean()),
                "null 95 %": float(null.quantile(0.95)),
                "p": float(result.p_values()),
                "best voxel r": float(r.score.max()),
                "mean r": float(r.score.mean()),
                "voxels, p < 0.05": int((r.p_values("max") < SIGNIFICANCE).sum()),
            }
        )
    return pd.DataFrame(rows)


def _model_table(study: EncodingStudy) -> Table:
    n_voxels, null = next(iter(study.voxels.values())).score.size, next(iter(study.accuracy.values())).null
    caption = (
        f"Held-out scores by model over {n_voxels:,} voxels. 2-versus-2: share of pairs of held-out articles whose "
        f"maps are told apart, chance 0.5. Null: {null.method}, {null.n_draws:,} draws. The last column "
        "counts voxels whose correlation beats the best voxel of 95 % of the draws."
    )
    return Table(model_table(study.accuracy, study.voxels), caption)


def _headline(study: EncodingStudy) -> str:
    best = max(study.accuracy, key=lambda name: float(study.accuracy[name].score))
    result = study.accuracy[best]
    edge = float(result.null.quantile(0.95))
    return (
        f"{best} tells two held-out articles apart by their maps in {float(result.score):.1%} of all pairs, where "
        f"chance is 50 % and 95 % of the relabelled draws stay below {edge:.1%} (p = {float(result.p_values()):.2g}). "
        f"Its best voxel correlates at r = {float(study.voxels[best].score.max()):.2f} with what was reported."
    )


def _pictures(study: EncodingStudy, images: Mapping[str, SpatialImage]) -> dict[str, Figure]:
    unit, synthetic = "correlation r", study.synthetic
    limit = max(float(result.score.quantile(0.999, skipna=True)) for result in study.voxels.values())
    threshold = round(limit / 4, 2)
    return {
        "models": _models(study),
        "glass_brain": Figure(
            glass_brain(images, unit=unit, threshold=threshold, limit=limit, synthetic=synthetic),
            "Correlation of predicted and reported activation over held-out articles, seen through the brain.",
            "Glass brains, one row a model, darker where held-out correlation is higher.",
        ),
        "stat_map": Figure(
            stat_map(images, unit=unit, threshold=threshold, limit=limit, synthetic=synthetic),
            "The same correlations on axial slices of the MNI template.",
            "Axial slices, one row a model, coloured where held-out correlation is above the threshold.",
        ),
        "penalties": _penalties(study),
    }


def _models(study: EncodingStudy) -> Figure:
    scores = {name: float(result.score) for name, result in study.accuracy.items()}
    nulls = {name: r.null.draws.to_numpy() for name, r in study.accuracy.items() if r.null.draws is not None}
    axes = plot_models(scores, nulls=nulls, chance=0.5, label="2-versus-2 accuracy, held out")
    listed = ", ".join(f"{name} {score:.3f}" for name, score in scores.items())
    return Figure(
        axes_to_png(axes, synthetic=study.synthetic),
        "Each model's held-out accuracy beside the draws of its own null.",
        f"Accuracy by model: {listed}; the null draws lie around 0.5.",
    )


def _penalties(study: EncodingStudy) -> Figure:
    curves = {str(name): column.to_numpy() for name, column in study.penalties.items()}
    axes = plot_penalty_curve(study.penalties.index.to_numpy(), curves, label="inner R², mean over voxels")
    return Figure(
        axes_to_png(axes, synthetic=study.synthetic),
        "Mean score over voxels by penalty, from folds inside the training set; every voxel takes its own best.",
        "Curves of inner cross-validation score against the penalty, one a model.",
    )


def _how_to_read_maps(study: EncodingStudy) -> str:
    best = max(study.voxels, key=lambda name: float(study.voxels[name].score.max()))
    score = study.voxels[best].score
    at = score.isel(voxel=int(score.argmax("voxel")))
    place = ", ".join(f"{float(at[axis]):.0f}" for axis in ("x", "y", "z"))
    return (
        f"All models share one colour scale, and the threshold is for display only. The highest correlation, r = "
        f"{float(at):.3f} ({best}), is at ({place}) mm in MNI space. Maps of every voxel, unthresholded, lie beside "
        "this page as NIfTI files."
    )


def _provenance(result: Result) -> dict[str, object]:
    record = result.provenance
    return {"created": record.created, "seed": record.seed, **record.options, **record.data, **record.versions}


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower())
