"""The report of a leave-two-out study: participants, their nulls and ceilings, and clusters of predicted voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.null_distribution import NullDistribution
from neuroling.core.result import Result
from neuroling.report.brain import glass_brain
from neuroling.report.controls import ControlSet, controls_section
from neuroling.report.figures import axes_to_png, new_axes, plot_null, plot_points
from neuroling.report.html import Block, Callout, Figure, Section, Table, Text, write_page

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage


@dataclass(frozen=True)
class MatchingStudy:
    """What a leave-two-out report shows.

    Attributes
    ----------
    title, question : str
        Heading and the sentence below it.
    result : Result
        Accuracy (subject,), with null and split-half ceiling.
    group_null : NullDistribution
        Of the mean over participants.
    variants : mapping of str to Result
        Accuracy (subject,) under other named ways.
    images : mapping of str to nibabel image
        Correlation of predicted and observed values by participant.
    least_r, least_size : float, int
        Voxels at or above this correlation, in clusters of at least so many, are drawn and listed.
    anchors : pandas.DataFrame
        Published figures.
    methods : str
        How it was done; blank lines part paragraphs.
    controls : ControlSet
        Which variants are controls of which kind; a report without them says so.
    """

    title: str
    question: str
    result: Result
    group_null: NullDistribution
    variants: Mapping[str, Result]
    images: Mapping[str, SpatialImage]
    least_r: float
    least_size: int
    anchors: pd.DataFrame
    methods: str
    controls: ControlSet = field(default_factory=ControlSet)


def participant_table(study: MatchingStudy) -> pd.DataFrame:
    """Lay out participants with null, ceiling and variants, and their mean.

    Parameters
    ----------
    study : MatchingStudy
        What to show.

    Returns
    -------
    pandas.DataFrame
        One row a participant, the mean last.
    """
    result, group = study.result, study.group_null
    columns = {
        "accuracy": result.score,
        "null 95 %": result.null.quantile(0.95),
        "p": result.p_values(),
        "half against half": result.ceiling.sel(bound="half", drop=True),
        **{name: variant.score for name, variant in study.variants.items()},
    }
    table = pd.DataFrame({name: values.to_series() for name, values in columns.items()}).rename_axis("participant")
    mean = table.mean().to_dict() | {"null 95 %": float(group.quantile(0.95)), "p": float(group.p_values())}
    return pd.concat([table, pd.DataFrame(mean, index=["mean"])]).rename_axis("participant").reset_index()


def clusters(image: SpatialImage, least_r: float, least_size: int) -> pd.DataFrame:
    """List clusters of contiguous voxels with high scores.

    Parameters
    ----------
    image : nibabel image
        Scores; NaN or 0 outside.
    least_r : float
        Voxels at or above it count.
    least_size : int
        Voxels that a cluster must have; voxels touch by their faces.

    Returns
    -------
    pandas.DataFrame
        Columns ``voxels``, ``peak r``, ``mean r``, ``x``, ``y``, ``z`` (mm, of the peak), largest first.
    """
    from scipy.ndimage import label

    scores = np.nan_to_num(np.asarray(image.get_fdata()))
    labels, n_clusters = label(scores >= least_r)
    rows = []
    for number in range(1, n_clusters + 1):
        inside = labels == number
        if inside.sum() >= least_size:
            peak = np.unravel_index(np.where(inside, scores, -np.inf).argmax(), scores.shape)
            position_mm = (np.asarray(image.affine) @ [*peak, 1])[:3]
            values = scores[inside]
            row = {"voxels": int(inside.sum()), "peak r": values.max(), "mean r": values.mean()}
            rows.append({**row, **dict(zip("xyz", position_mm.round().astype(int).tolist(), strict=True))})
    columns = ["voxels", "peak r", "mean r", "x", "y", "z"]
    return pd.DataFrame(rows, columns=columns).sort_values("voxels", ascending=False, ignore_index=True)


def write_matching_report(study: MatchingStudy, folder: Path | str) -> Path:
    """Write the report of a leave-two-out study, its pictures, and a NIfTI map a participant.

    Parameters
    ----------
    study : MatchingStudy
        What to show.
    folder : path
        Gets ``report.html``, pictures and ``correlation_PARTICIPANT.nii.gz``.

    Returns
    -------
    Path
        The report.
    """
    folder = Path(folder)
    record = study.result.provenance
    for participant, image in study.images.items():
        image.to_filename(folder / f"correlation_{participant}.nii.gz")
    pictures = {"participants": _participants(study), "null": _null(study)}
    for name, figure in pictures.items():
        (folder / f"{name}.png").write_bytes(figure.png)
    scores = Table(participant_table(study), TABLE)
    means = {"model": study.result, **study.variants}
    sections = [
        Section("What came out", [Callout("result", _headline(study)), scores, pictures["participants"]]),
        controls_section(
            study.controls,
            {name: float(found.score.mean()) for name, found in means.items()},
            score="Mean accuracy",
            synthetic=record.synthetic,
        ),
        Section("Published figures", [Table(study.anchors, "For comparison, on the authors' data.")]),
        Section("The null of the mean", [pictures["null"]]),
        Section("Voxels that are predicted", _cluster_blocks(study, folder)),
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


TABLE = (
    "Share of pairs of held-out nouns matched with their images; chance is 0.5. Half against half: images of three "
    "presentations matched with those of the other three; a model may pass that, since it averages over nouns. p of a "
    "participant is not corrected for the number of participants."
)


def _headline(study: MatchingStudy) -> str:
    mean, edge = float(study.group_null.observed), float(study.group_null.quantile(0.95))
    above = int((study.result.p_values("max") < 0.05).sum())
    return (
        f"Mean accuracy {mean:.3f}; 95 % of the relabelled draws have a mean below {edge:.3f} "
        f"(p = {float(study.group_null.p_values()):.2g}). {above} of {study.result.score.size} participants exceed "
        "their null at p < 0.05, family-wise over participants."
    )


def _participants(study: MatchingStudy) -> Figure:
    result = study.result
    axes = plot_points(
        result.score,
        along="subject",
        edge=result.null.quantile(0.95),
        chance=result.chance,
        label="2-versus-2 accuracy",
        ax=new_axes(7.5, 4.0),
    )
    caption = "Accuracy of each participant, and the score that 5 % of relabelings exceed."
    listed = ", ".join(
        f"{s} {float(v):.2f}" for s, v in zip(result.score.subject.to_numpy(), result.score, strict=True)
    )
    return Figure(axes_to_png(axes, synthetic=result.provenance.synthetic), caption, f"Accuracies: {listed}.")


def _null(study: MatchingStudy) -> Figure:
    null = study.group_null
    draws = null.draws if null.draws is not None else xr.DataArray(np.empty(0))
    axes = plot_null(draws.to_numpy(), float(null.observed), label="mean 2-versus-2 accuracy", p=float(null.p_values()))
    return Figure(
        axes_to_png(axes, synthetic=study.result.provenance.synthetic),
        "Mean over participants under relabelled nouns, and as observed.",
        "Histogram of the null around 0.5 with the observed mean to its right.",
    )


def _cluster_blocks(study: MatchingStudy, folder: Path) -> list[Block]:
    clusters_of_image = {name: clusters(image, study.least_r, study.least_size) for name, image in study.images.items()}
    listed = pd.concat([table.assign(participant=name) for name, table in clusters_of_image.items()], ignore_index=True)
    description = f"clusters of at least {study.least_size} contiguous voxels with r at or above {study.least_r:g}"
    if listed.empty:
        return [Text(f"No participant has {description}.")]
    best = max(clusters_of_image, key=lambda name: int(clusters_of_image[name]["voxels"].sum()))
    synthetic = study.result.provenance.synthetic
    picture = Figure(
        glass_brain(
            {best: _clusters_alone(study.images[best], study.least_r, study.least_size)},
            unit="correlation r",
            threshold=study.least_r,
            synthetic=synthetic,
        ),
        f"Participant {best}: {description}. The place in the template is approximate, the files state none.",
        f"Glass brain with {len(clusters_of_image[best])} clusters.",
    )
    (folder / "clusters.png").write_bytes(picture.png)
    rows = listed[["participant", *listed.columns.drop("participant")]]
    return [picture, Table(rows, f"All {description}; places in mm, approximate.")]


def _clusters_alone(image: SpatialImage, least_r: float, least_size: int) -> SpatialImage:
    from nilearn.image import threshold_img

    shown: SpatialImage = threshold_img(
        image, least_r, cluster_threshold=least_size - 1, two_sided=False, copy_header=True
    )
    return shown
