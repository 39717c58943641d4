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
from neuroling.report.html import Callout, Figure, Section, Table, Text, write_page

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

SIGNIFICANCE = 0.05
MAPS = ("glass_brain", "stat_map", "stat_map_unthresholded")


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


def write_encoding_report(study: EncodingStudy, folder: Path | str) -> Path:
    """Write the report, its pictures and the maps of an encoding study.

    Parameters
    ----------
    study : EncodingStudy
        What to show.
    folder : path
        Gets ``report.html``, a NIfTI map ``correlation_MODEL.nii.gz`` a model, and the pictures as PNG files.

    Returns
    -------
    Path
        The report.
    """
    folder = Path(folder)
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
        Section("Where in the brain", [*(pictures[name] for name in MAPS), Text(_how_to_read_maps(study))]),
        Section("The same predictions, scored in other ways", [Table(study.variants, VARIANTS)]),
        Section("Penalty, chosen inside the training set", [pictures["penalties"]]),
        Section("How it was done", [Text(study.methods)]),
    ]
    provenance = {name: _provenance(result) for name, result in study.accuracy.items()}
    return write_page(
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
    """Say how well the model of interest does beside its strongest control; a control alone is never the finding."""
    controls = set(study.controls.models.values())
    scores = {name: float(result.score) for name, result in study.accuracy.items()}
    of_interest = [name for name in scores if name not in controls]
    if not of_interest:
        listed = ", ".join(f"{name} {score:.1%}" for name, score in scores.items())
        return f"Only controls were scored ({listed}; chance 50 %), so nothing is said of a language model."
    model = max(of_interest, key=lambda name: scores[name])
    result = study.accuracy[model]
    edge = float(result.null.quantile(0.95))
    sentence = (
        f"{model} discriminates two held-out articles by their maps in {scores[model]:.1%} of all pairs (chance 50 %; "
        f"95 % of permutations stay below {edge:.1%}; p = {float(result.p_values()):.2g})."
    )
    rivals = [name for name in scores if name in controls]
    if not rivals:
        return f"{sentence} No control was scored beside it."
    rival = max(rivals, key=lambda name: scores[name])
    points = 100 * (scores[model] - scores[rival])
    return (
        f"{sentence} That is {abs(points):.1f} percentage points {'above' if points > 0 else 'below'} its strongest "
        f"control, {rival} ({scores[rival]:.1%}); the difference itself was not tested."
    )


def _pictures(study: EncodingStudy, images: Mapping[str, SpatialImage]) -> dict[str, Figure]:
    unit, synthetic = "correlation r", study.synthetic
    limit = max(float(result.score.quantile(0.999, skipna=True)) for result in study.voxels.values())
    significant = {name: result.p_values("max") < SIGNIFICANCE for name, result in study.voxels.items()}
    counts = {name: int(mask.sum()) for name, mask in significant.items()}
    shown = {
        f"{name}: {counts[name]:,} voxels": study.to_image(result.score.where(significant[name], 0.0))
        for name, result in study.voxels.items()
    }
    rule = f"p < {SIGNIFICANCE:g}, family-wise over voxels"
    listed = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    maps = {
        "glass_brain": Figure(
            glass_brain(shown, unit=unit, threshold=0.0, limit=limit, shown=rule, synthetic=synthetic),
            f"Correlation of predicted and reported activation over held-out articles, seen through the brain; {rule}.",
            f"Glass brains, one row per model. Significant voxels: {listed}.",
        ),
        "stat_map": Figure(
            stat_map(shown, unit=unit, threshold=0.0, limit=limit, shown=rule, synthetic=synthetic),
            f"The same correlations on axial slices of the MNI template; {rule}.",
            f"Axial slices, one row per model. Significant voxels: {listed}.",
        ),
        "stat_map_unthresholded": Figure(
            stat_map(
                images,
                unit=unit,
                threshold=0.0,
                limit=limit,
                kind="difference",
                shown="all voxels, no threshold",
                synthetic=synthetic,
            ),
            "All voxels without a threshold; negative correlations are blue.",
            "Axial slices, one row per model, red where correlations are positive and blue where they are negative.",
        ),
    }
    return {"models": _models(study), **maps, "penalties": _penalties(study)}


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
    peaks = []
    for name, result in study.voxels.items():
        at = result.score.isel(voxel=int(result.score.argmax("voxel")))
        place = ", ".join(f"{float(at[axis]):.0f}" for axis in ("x", "y", "z"))
        peaks.append(f"{name} r = {float(at):.3f} at ({place}) mm")
    return (
        "All models share one colour scale. Each voxel is tested against the best voxel of every permutation. Highest "
        f"correlations, in MNI space: {'; '.join(peaks)}. Maps of every voxel lie beside this page as NIfTI files."
    )


def _provenance(result: Result) -> dict[str, object]:
    record = result.provenance
    return {"created": record.created, "seed": record.seed, **record.options, **record.data, **record.versions}


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower())
