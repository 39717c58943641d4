"""What stands beside every language model in a report: the controls, and the variance that is left for the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.evaluation.variance import Partition
from neuroling.report.figures import axes_to_png, plot_points
from neuroling.report.html import Block, Callout, Figure, Section, Table

CONTROLS: dict[str, str] = {
    "word rate": "how many words there are at the moment",
    "position": "where in its run or list a sample stands",
    "length": "how long the words are",
    "frequency": "how frequent the words are",
    "smoothed identity": "which samples are neighbours in time, and nothing else",
    "untrained network": "the same architecture with random weights",
}
"""Controls of a language model, and what each of them knows. A report that scores one lists them all."""


@dataclass(frozen=True)
class ControlSet:
    """Which model of a study is which control, why others are missing, and how variance is parted between them.

    Attributes
    ----------
    models : mapping of str to str
        Control, a name in :data:`CONTROLS`, and the name of the study's model that is it.
    excused : mapping of str to str
        Control that was not run, and why it has no meaning here, as a sentence.
    partitions : mapping of str to Partition
        Heading, and a partition of variance between the language model and controls.
    """

    models: Mapping[str, str] = field(default_factory=dict)
    excused: Mapping[str, str] = field(default_factory=dict)
    partitions: Mapping[str, Partition] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = sorted({*self.models, *self.excused} - set(CONTROLS))
        if unknown:
            raise ValueError(f"controls: {unknown} are not known; expected names among {', '.join(CONTROLS)}.")
        both = sorted(set(self.models) & set(self.excused))
        if both:
            raise ValueError(f"controls: {both} were run and are excused at once.")


def control_table(controls: ControlSet, scores: Mapping[str, float]) -> pd.DataFrame:
    """List all controls with their scores, those that were not run too.

    Parameters
    ----------
    controls : ControlSet
        Which model is which control.
    scores : mapping of str to float
        Score of every model of the study.

    Returns
    -------
    pandas.DataFrame
        One row a control: ``control``, ``knows``, ``model``, ``score``, ``note``.

    Raises
    ------
    ValueError
        If a control names a model that the study does not have.

    Examples
    --------
    >>> table = control_table(ControlSet({"word rate": "rate"}), {"rate": 0.17, "MiniLM": 0.07})
    >>> table["score"].tolist()[:2], table["note"].tolist()[1]
    ([0.17, nan], 'NOT RUN')
    """
    absent = sorted(set(controls.models.values()) - set(scores))
    if absent:
        raise ValueError(f"controls: the study has no models {absent}; it has {list(scores)}.")
    rows = []
    for control, knows in CONTROLS.items():
        model = controls.models.get(control)
        note = "" if model else controls.excused.get(control, "NOT RUN")
        score = np.nan if model is None else scores[model]
        rows.append({"control": control, "knows": knows, "model": model or "", "score": score, "note": note})
    return pd.DataFrame(rows)


def controls_section(controls: ControlSet, scores: Mapping[str, float], *, score: str, synthetic: bool) -> Section:
    """Write the section on controls, which no report of a language model goes without.

    Parameters
    ----------
    controls : ControlSet
        Which model is which control.
    scores : mapping of str to float
        Score of every model of the study.
    score : str
        What the scores are, for the caption.
    synthetic : bool
        Whether the recording is a synthetic twin.

    Returns
    -------
    Section
    """
    table = control_table(controls, scores)
    missing = table.loc[table["note"] == "NOT RUN", "control"].tolist()
    blocks: list[Block] = []
    if missing:
        text = f"Not run: {', '.join(missing)}. What a language model scores here may be what these would score."
        blocks.append(Callout("warning", text))
    others = [name for name in scores if name not in controls.models.values()]
    listed = "; ".join(f"{name} {scores[name]:.3f}" for name in others)
    caption = f"{score} of the controls, on the same splits as all models. Beside them: {listed}."
    blocks.append(Table(table, caption))
    for heading, partition in controls.partitions.items():
        blocks += partition_blocks(heading, partition, synthetic=synthetic)
    return Section("Controls", blocks)


def controls_of_layers(
    controls: Mapping[str, float],
    trained: Mapping[str, float],
    untrained: Mapping[str, float],
    *,
    score: str,
    synthetic: bool,
) -> Section:
    """Write the section on controls of a study of layers.

    Parameters
    ----------
    controls : mapping of str to float
        Scores by control, under the names of :data:`CONTROLS`; other names stand beside the layers.
    trained, untrained : mapping of str to float
        Scores by what was taken, such as ``"layer 3"``, of the network and with random weights, of which the best is
        the control.
    score : str
        What the scores are, for the caption.
    synthetic : bool
        Whether the recording is a synthetic twin.

    Returns
    -------
    Section

    Examples
    --------
    >>> scores = {"layer 3": 0.187}, {"layer 0": 0.154, "layer 3": 0.153}
    >>> section = controls_of_layers({"word rate": 0.17}, *scores, score="Held-out r", synthetic=False)
    >>> section.blocks[-1].rows["model"].tolist()[-1]
    'untrained, layer 0'
    """
    best = max(untrained, key=lambda layer: untrained[layer])
    name = f"untrained, {best}"
    models = {control: control for control in CONTROLS if control in controls} | {"untrained network": name}
    scores = {**controls, name: untrained[best], **trained}
    return controls_section(ControlSet(models), scores, score=score, synthetic=synthetic)


def partition_blocks(heading: str, partition: Partition, *, synthetic: bool) -> list[Block]:
    """Show a partition of variance as a table and a picture.

    Parameters
    ----------
    heading : str
        What is parted, as it opens the captions.
    partition : Partition
        From :func:`neuroling.partition_variance`.
    synthetic : bool
        Whether the recording is a synthetic twin.

    Returns
    -------
    list of Table and Figure
    """
    metric = partition.result.metric.partition(",")[0]
    caption = (
        f"{heading}: held-out {metric}, mean over all targets. Alone: the space by itself; unique: what is lost "
        "without it; shared: what no space has for itself. Nothing is clipped: below zero a space harms."
    )
    plotted = plotted_parts(partition)
    mean = {str(name): float(plotted.sel(model=name).mean()) for name in plotted.model.to_numpy()}
    axes = plot_points(plotted, along="model", chance=None, label=f"part of {metric}")
    picture = Figure(
        axes_to_png(axes, synthetic=synthetic),
        f"{heading}: unique parts of each space, what they share, and all together"
        + (f"; grey: each {plotted.dims[0]}." if len(plotted.dims) > 1 else "."),
        "; ".join(f"{name} {value:.4f}" for name, value in mean.items()),
    )
    return [Table(partition.table(), caption, digits=4), picture]


def plotted_parts(partition: Partition) -> xr.DataArray:
    """Lay out unique parts, the shared one and the whole, dims ([subject,] model); other targets are averaged.

    Parameters
    ----------
    partition : Partition
        Any.

    Returns
    -------
    xarray.DataArray
    """
    retained_axes = [str(dim) for dim in partition.full.dims if dim != "subject"]
    whole = [part.expand_dims("model") for part in (partition.shared, partition.full)]
    labels = [*partition.names, "shared", "all together"]
    together = xr.concat([partition.unique.drop_vars("model"), *whole], "model").assign_coords(model=labels)
    mean = together.mean(retained_axes)
    return mean.transpose("subject", "model") if "subject" in mean.dims else mean
