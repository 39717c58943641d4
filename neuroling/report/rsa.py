"""Pictures of dissimilarities and of their agreement with models; scores back as MNE objects."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.result import Result
from neuroling.data.eeg import vertex_labels
from neuroling.report.figures import CEILING, CHANCE, INK, MARKERS, NULL, SERIES, new_axes, significance_bars

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mne import EvokedArray, SourceEstimate, VolSourceEstimate
    from mne.channels import DigMontage

SIGNIFICANCE = 0.05
CORRECTIONS = {"none": "uncorrected", "fdr": "false discovery rate", "max": "family-wise", "cluster": "clusters"}
"""How a legend names what p values allow for."""

STYLES = ("-", "--", "-.", ":")
FRAMES_PER_SECOND = 8


def plot_models_over_time(result: Result, ax: Axes | None = None, *, correct: str = "max") -> Axes:
    """Draw the score of each model over time, with the ceiling as a band and a bar where it beats its null.

    Parameters
    ----------
    result : Result
        With axes time, model, and perhaps subject, whose mean is drawn with its standard error.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    correct : {"none", "fdr", "max", "cluster"}
        How the p values of the bars allow for many positions; bars are drawn only where the result has a null.

    Returns
    -------
    matplotlib.axes.Axes
    """
    score = _models_over_time(result)
    ax = ax or new_axes()
    time = 1000 * np.asarray(score.time, dtype=np.float64)
    ax.axhline(result.chance, color=CHANCE, linestyle=(0, (5, 3)), linewidth=1.0)
    ax.axvline(0, color=NULL, linewidth=0.8)
    if "ceiling" in result.data:
        bounds = result.mean_ceiling(over=[str(dim) for dim in result.ceiling.dims if dim not in ("bound", "time")])
        low, high = bounds.sel(bound="lower").values, bounds.sel(bound="upper").values
        ax.fill_between(time, low, high, color=CEILING, alpha=0.55, linewidth=0, label="noise ceiling")
    names = [str(name) for name in score.model.values]
    for model_number, name in enumerate(names):
        curve = score.isel(model=model_number)
        mean = curve.mean("subject") if "subject" in curve.dims else curve
        colour, style = _look(model_number)
        ax.plot(time, mean.values, color=colour, linestyle=style, linewidth=2, label=name)
        if "subject" in curve.dims and curve.sizes["subject"] > 1:
            error = curve.std("subject", ddof=1) / np.sqrt(curve.sizes["subject"])
            ax.fill_between(time, (mean - error).values, (mean + error).values, color=colour, alpha=0.18, linewidth=0)
    if "null_observed" in result.data:
        significant = result.null.p_values(correct) < SIGNIFICANCE  # type: ignore[arg-type]  # checked there
        significance_bars(
            ax,
            time,
            significant.transpose("model", "time").values,
            correction=f"p < {SIGNIFICANCE:g}, {CORRECTIONS[correct]}",
            colors=[_look(number)[0] for number in range(len(names))],
        )
    ax.set_xlabel("time (ms)")
    ax.set_ylabel(result.metric)
    ax.margins(x=0)
    _finish(ax, result.provenance.synthetic)
    ax.legend(frameon=False, fontsize=8, loc="upper right")
    return ax


def _models_over_time(result: Result) -> xr.DataArray:
    score = result.score
    if not {"time", "model"} <= set(score.dims) <= {"time", "model", "subject"}:
        raise ValueError(
            f"result: its scores have {score.dims}; expected time, model and perhaps subject. Select first."
        )
    return score


def _look(place: int) -> tuple[str, str]:
    """Give colour and style of a series, told apart up to the product of both."""
    return SERIES[place % len(SERIES)], STYLES[place // len(SERIES) % len(STYLES)]


def plot_rdm_strip(
    dissimilarities: xr.DataArray, times: Sequence[float], *, order: Sequence[str] | None = None
) -> Figure:
    """Draw dissimilarity matrices at some times side by side, on one scale.

    Parameters
    ----------
    dissimilarities : xarray.DataArray, dims (sample, time)
        Mean over participants, pairs labelled by ``first`` and ``second``.
    times : sequence of float
        Which to draw, the nearest sample of each, in s.
    order : sequence of str, optional
        Items from top to bottom; those of a condition together, for instance.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if set(dissimilarities.dims) != {"sample", "time"}:
        raise ValueError(f"dissimilarities: got axes {dissimilarities.dims}; expected (sample, time). Average first.")
    nearest_rdms = [dissimilarities.sel(time=time, method="nearest") for time in times]
    squares = [square(rdm, order) for rdm in nearest_rdms]
    low, high = min(np.nanmin(s) for s in squares), max(np.nanmax(s) for s in squares)
    figure = _figure(2.1 * len(times) + 0.8, 2.5)
    axes = figure.subplots(1, len(times), squeeze=False)[0]
    image = None
    for ax, rdm, matrix in zip(axes, nearest_rdms, squares, strict=True):
        image = ax.imshow(matrix, vmin=low, vmax=high, cmap="viridis", interpolation="nearest")
        ax.set_title(f"{float(rdm.time) * 1000:.0f} ms", fontsize=9)
        ax.set_xticks([])
        ax.set_yticks([])
    if image is not None:
        figure.colorbar(
            image, ax=list(axes), shrink=0.8, label=str(dissimilarities.attrs.get("distance", "dissimilarity"))
        )
    _stamp_if(figure, dissimilarities)
    return figure


def square(dissimilarities: xr.DataArray, order: Sequence[str] | None = None) -> NDArray[np.floating[Any]]:
    """Lay dissimilarities out as a matrix of items.

    Parameters
    ----------
    dissimilarities : xarray.DataArray, dims (sample,)
        With coordinates ``first`` and ``second``.
    order : sequence of str, optional
        Order of the items; alphabetical by default.

    Returns
    -------
    numpy.ndarray, shape (item, item)
        NaN on the diagonal.
    """
    first, second = (
        np.array([str(n) for n in dissimilarities.coords[side].to_numpy()]) for side in ("first", "second")
    )
    all_items = np.unique(np.concatenate([first, second]))
    items = list(all_items) if order is None else [str(item) for item in order]
    if set(items) != set(all_items) or len(items) != len(all_items):
        raise ValueError(
            f"order: {len(items)} items for {len(all_items)} of the dissimilarities; expected the same, each once."
        )
    place = {item: number for number, item in enumerate(items)}
    rows, columns = [place[item] for item in first], [place[item] for item in second]
    matrix = np.full((len(items), len(items)), np.nan)
    matrix[rows, columns] = matrix[columns, rows] = dissimilarities.values
    return matrix


def plot_mds(
    dissimilarities: xr.DataArray,
    groups: Mapping[str, str] | None = None,
    ax: Axes | None = None,
    *,
    named: bool = True,
) -> Axes:
    """Draw items as points whose distances are as the dissimilarities, as far as two dimensions allow (Torgerson 1952).

    Parameters
    ----------
    dissimilarities : xarray.DataArray, dims (sample,)
        Negative estimates count as zero here: a picture has no negative lengths.
    groups : mapping of str to str, optional
        Item and its group, by colour and shape.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    named : bool
        Write the items' names beside their points.

    Returns
    -------
    matplotlib.axes.Axes
        The stress (Kruskal's first) is written below: above 0.2 the picture is a poor one.
    """
    names = [str(n) for n in np.unique(np.concatenate([dissimilarities.first.values, dissimilarities.second.values]))]
    points, stress = _scaled(np.nan_to_num(np.maximum(square(dissimilarities), 0)))
    ax = ax or new_axes(5, 4.6)
    kind_of = dict(groups or {})
    kinds = list(dict.fromkeys(kind_of.get(name, "item") for name in names))
    for place, kind in enumerate(kinds):
        inside = np.array([kind_of.get(name, "item") == kind for name in names])
        colour, marker = SERIES[place % len(SERIES)], MARKERS[place % len(MARKERS)]
        ax.scatter(points[inside, 0], points[inside, 1], s=36, color=colour, marker=marker, label=kind)
    for name, point in zip(names, points, strict=True) if named else ():
        ax.annotate(name, tuple(point), xytext=(3, 3), textcoords="offset points", fontsize=6, color=INK)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlabel(f"multidimensional scaling, stress {stress:.2f}", fontsize=8)
    if groups:
        ax.legend(frameon=False, fontsize=8)
    _finish(ax, bool(dissimilarities.attrs.get("synthetic", False)))
    return ax


def _scaled(matrix: NDArray[np.floating[Any]]) -> tuple[NDArray[np.floating[Any]], float]:
    """Give points (item, 2) from the leading part of the doubly centred squared distances, and their stress."""
    centred = matrix**2 - (matrix**2).mean(axis=0)
    values, vectors = np.linalg.eigh(-0.5 * (centred - centred.mean(axis=1, keepdims=True)))
    points = vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 0))
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    return points, float(np.sqrt(((apart - matrix) ** 2).sum() / (matrix**2).sum()))


def plot_topographies(
    score: xr.DataArray,
    times: Sequence[float],
    *,
    montage: str | xr.DataArray = "biosemi64",
    label: str = "score",
    synthetic: bool = False,
) -> Figure:
    """Draw scores of a searchlight over the head at some times, on one scale about zero.

    Parameters
    ----------
    score : xarray.DataArray, dims (channel, time)
        Mean over participants, of one model.
    times : sequence of float
        Which to draw, in s.
    montage : str or xarray.DataArray, dims (channel, feature)
        Where channels are: a montage that MNE knows by name, or the positions of the recording itself, from
        :func:`neuroling.data.channel_positions`.
    label : str
        Name of the score.
    synthetic : bool
        Write so on the figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import mne

    evoked = to_evoked(score.transpose("channel", "time"), montage=montage)
    nearest_scores = [score.sel(time=time, method="nearest") for time in times]
    bound = float(max(abs(topography).max() for topography in nearest_scores))
    figure = _figure(2.0 * len(times) + 0.9, 2.5)
    axes = figure.subplots(1, len(times), squeeze=False)[0]
    image = None
    for ax, topography in zip(axes, nearest_scores, strict=True):
        image, _ = mne.viz.plot_topomap(
            topography.values, evoked.info, axes=ax, show=False, vlim=(-bound, bound), cmap="RdBu_r", contours=4
        )
        ax.set_title(f"{float(topography.time) * 1000:.0f} ms", fontsize=9)
    if image is not None:
        figure.colorbar(image, ax=list(axes), shrink=0.7, label=label)
    if synthetic:
        _mark(figure)
    return figure


def plot_layers(result: Result, ax: Axes | None = None) -> Axes:
    """Draw scores as a map of models (such as layers) by time.

    Parameters
    ----------
    result : Result
        With axes time, model and perhaps subject. Where it has a null, what beats it is outlined (family-wise over the
        whole map: layers are correlated, and are tested together).
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    score = _models_over_time(result)
    mean = (score.mean("subject") if "subject" in score.dims else score).transpose("model", "time")
    ax = ax or new_axes(7, 1.2 + 0.28 * mean.sizes["model"])
    time = 1000 * np.asarray(mean.time, dtype=np.float64)
    step = float(np.diff(time).mean()) if len(time) > 1 else 1.0
    extent = (time[0] - step / 2, time[-1] + step / 2, -0.5, mean.sizes["model"] - 0.5)
    bound = float(abs(mean - result.chance).max())
    image = ax.imshow(
        mean.values,
        aspect="auto",
        origin="lower",
        extent=extent,
        cmap="RdBu_r",
        vmin=result.chance - bound,
        vmax=result.chance + bound,
        interpolation="nearest",
    )
    if "null_observed" in result.data:
        inside = (result.null.p_values("max") < SIGNIFICANCE).transpose("model", "time").values
        _outline(ax, inside, time[0] - step / 2, step)
    ax.set_yticks(range(mean.sizes["model"]), [str(name) for name in mean.model.values], fontsize=8)
    ax.set_xlabel("time (ms)")
    ax.figure.colorbar(image, ax=ax, label=result.metric)
    _finish(ax, result.provenance.synthetic)
    return ax


def _outline(ax: Axes, inside: NDArray[np.bool_], left: float, step: float) -> None:
    """Draw the edges between cells (row, column) inside and outside; columns are ``step`` wide from ``left``."""
    from matplotlib.collections import LineCollection

    padded = np.pad(inside, 1)
    upright = [
        [(left + column * step, row - 0.5), (left + column * step, row + 0.5)]
        for row, column in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])
    ]
    level = [
        [(left + column * step, row - 0.5), (left + (column + 1) * step, row - 0.5)]
        for row, column in np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])
    ]
    ax.add_collection(LineCollection(upright + level, colors=INK, linewidths=1.4, capstyle="round", clip_on=False))


def plot_generalization(result: Result, ax: Axes | None = None) -> Axes:
    """Draw agreement time by time as a square map.

    Parameters
    ----------
    result : Result
        Score of each participant (subject, time, model), where the models are the times of the others, from
        :func:`~neuroling.rsa.scaling.rdms_of_others`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    mean = result.score.mean("subject").transpose("time", "model")
    times = np.asarray(mean.time, dtype=np.float64)
    ax = ax or new_axes(5, 4.2)
    bound = float(abs(mean).max())
    image = ax.imshow(
        mean.values,
        origin="lower",
        extent=(times[0], times[-1], times[0], times[-1]),
        cmap="RdBu_r",
        vmin=-bound,
        vmax=bound,
    )
    ax.axhline(0, color=NULL, linewidth=0.8)
    ax.axvline(0, color=NULL, linewidth=0.8)
    ax.set_xlabel("time of the others (s)")
    ax.set_ylabel("time of the participant (s)")
    ax.figure.colorbar(image, ax=ax, label=result.metric)
    _finish(ax, result.provenance.synthetic)
    return ax


def plot_collinearity(models: xr.DataArray, ax: Axes | None = None) -> Axes:
    """Draw how models correlate with one another, numbers written in.

    Parameters
    ----------
    models : xarray.DataArray, dims (sample, model)
        Models of dissimilarities.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the condition number of the standardised models below.
    """
    from neuroling.rsa.models import condition_number

    names = [str(name) for name in models.model.values]
    among = np.corrcoef(models.transpose("model", "sample").values)
    ax = ax or new_axes(1.8 + 0.6 * len(names), 1.4 + 0.55 * len(names))
    image = ax.imshow(among, vmin=-1, vmax=1, cmap="RdBu_r")
    for (row, column), value in np.ndenumerate(among):
        ax.text(
            column,
            row,
            f"{value:.2f}",
            ha="center",
            va="center",
            fontsize=7,
            color="white" if abs(value) > 0.6 else INK,
        )
    ax.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=8)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set_xlabel(f"condition number {condition_number(models):.3g}", fontsize=8)
    ax.figure.colorbar(image, ax=ax, label="correlation of models")
    return ax


def animate_rdm(dissimilarities: xr.DataArray, *, order: Sequence[str] | None = None) -> bytes:
    """Draw the matrix over time as a moving picture.

    Parameters
    ----------
    dissimilarities : xarray.DataArray, dims (sample, time)
        Mean over participants.
    order : sequence of str, optional
        Items from top to bottom.

    Returns
    -------
    bytes
        A GIF, one frame a time, on one scale.
    """
    from PIL import Image

    if set(dissimilarities.dims) != {"sample", "time"}:
        raise ValueError(f"dissimilarities: got axes {dissimilarities.dims}; expected (sample, time). Average first.")
    low, high = float(dissimilarities.min()), float(dissimilarities.max())
    frames = []
    for place in range(dissimilarities.sizes["time"]):
        rdm = dissimilarities.isel(time=place)
        figure = _figure(3.4, 3.2)
        ax = figure.subplots()
        image = ax.imshow(square(rdm, order), vmin=low, vmax=high, cmap="viridis", interpolation="nearest")
        ax.set_title(f"{float(rdm.time) * 1000:.0f} ms")
        ax.set_xticks([])
        ax.set_yticks([])
        figure.colorbar(image, ax=ax, label=str(dissimilarities.attrs.get("distance", "dissimilarity")))
        _stamp_if(figure, dissimilarities)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=80)
        frames.append(Image.open(buffer).convert("P", palette=Image.Palette.ADAPTIVE))
    buffer = io.BytesIO()
    frames[0].save(
        buffer, format="GIF", save_all=True, append_images=frames[1:], duration=1000 // FRAMES_PER_SECOND, loop=0
    )
    return buffer.getvalue()


def to_evoked(score: xr.DataArray, *, montage: str | xr.DataArray = "biosemi64", comment: str = "score") -> EvokedArray:
    """Turn scores into an MNE object, for its plots and its files.

    Parameters
    ----------
    score : xarray.DataArray, dims (channel, time) or (time,)
        A single time course becomes one channel of type ``misc``.
    montage : str or xarray.DataArray, dims (channel, feature)
        As in :func:`plot_topographies`.
    comment : str
        What the values are; they have no physical unit.

    Returns
    -------
    mne.EvokedArray
    """
    import mne

    if set(score.dims) - {"channel", "time"} or "time" not in score.dims:
        raise ValueError(f"score: got axes {score.dims}; expected (channel, time) or (time,). Select or average first.")
    times = np.asarray(score.time, dtype=np.float64)
    rate = 1.0 if len(times) < 2 else 1 / float(np.diff(times).mean())
    with mne.use_log_level("error"):
        if "channel" not in score.dims:
            info = mne.create_info([comment], rate, "misc")
            return mne.EvokedArray(score.values[None], info, tmin=float(times[0]), comment=comment)
        names = [str(name) for name in score.channel.values]
        info = mne.create_info(names, rate, "eeg")
        evoked = mne.EvokedArray(score.transpose("channel", "time").values, info, tmin=float(times[0]), comment=comment)
        known = _montage(montage)
        absent = [name for name in names if name not in known.ch_names]
        if absent:
            called = repr(montage) if isinstance(montage, str) else "these positions"
            raise ValueError(f"montage: {called} does not know {absent[:5]}; name another that does.")
        return evoked.set_montage(known)


def _montage(montage: str | xr.DataArray) -> DigMontage:
    """Give a montage by its name, or make one of positions in m, in the coordinates of the head."""
    import mne

    if isinstance(montage, str):
        return mne.channels.make_standard_montage(montage)
    if set(montage.dims) != {"channel", "feature"} or montage.feature.to_numpy().tolist() != list("xyz"):
        raise ValueError(
            f"montage: got positions with axes {montage.dims}; expected (channel, feature) with features x, y and z, "
            "as from channel_positions."
        )
    places = montage.transpose("channel", "feature").to_numpy()
    by_name = {str(name): place for name, place in zip(montage.channel.to_numpy(), places, strict=True)}
    return mne.channels.make_dig_montage(by_name, coord_frame="head")


def montage_positions(channels: Sequence[str], montage: str = "biosemi64") -> xr.DataArray:
    """Give where channels of a montage are, by their names.

    Parameters
    ----------
    channels : sequence of str
        Names.
    montage : str
        As MNE knows it.

    Returns
    -------
    xarray.DataArray, dims (channel, feature)
        Features ``x``, ``y``, ``z`` in m.
    """
    import mne

    position_of_channel = mne.channels.make_standard_montage(montage).get_positions()["ch_pos"]
    names = [str(name) for name in channels]
    absent = [name for name in names if name not in position_of_channel]
    if absent:
        raise ValueError(f"montage: {montage!r} does not know {absent[:5]}; name another that does.")
    values = np.array([position_of_channel[name] for name in names])
    return xr.DataArray(values, dims=("channel", "feature"), coords={"channel": names, "feature": list("xyz")})


def to_source_estimate(
    score: xr.DataArray, vertices: Sequence[NDArray[np.integer[Any]]]
) -> SourceEstimate | VolSourceEstimate:
    """Turn scores of a source-space searchlight into an MNE source estimate.

    Parameters
    ----------
    score : xarray.DataArray, dims (voxel, time)
        Voxels labelled by vertex, as :func:`~neuroling.data.eeg.from_source_estimates` does, in any order.
    vertices : sequence of ndarray
        As in ``stc.vertices``: those of left and right hemisphere, or of one volume.

    Returns
    -------
    mne.SourceEstimate or mne.VolSourceEstimate
    """
    import mne

    labels = vertex_labels(vertices)
    held = [str(label) for label in score.indexes["voxel"]] if "voxel" in score.indexes else []
    if set(score.dims) != {"voxel", "time"} or sorted(held) != sorted(labels):
        raise ValueError(
            f"score: got axes {score.dims} with {len(held)} voxels {held[:3]}; expected (voxel, time) with the "
            f"{len(labels)} voxels {labels[:3]} and so on."
        )
    values = score.sel(voxel=labels).transpose("voxel", "time").to_numpy()
    times = np.asarray(score.time, dtype=np.float64)
    step = float(np.diff(times).mean()) if len(times) > 1 else 1.0
    kind = mne.SourceEstimate if len(vertices) == 2 else mne.VolSourceEstimate
    return kind(values, list(vertices), float(times[0]), step)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _finish(ax: Axes, synthetic: bool) -> None:
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    if synthetic:
        ax.text(0.01, 0.99, "SYNTHETIC DATA", transform=ax.transAxes, va="top", color=CHANCE, weight="bold", fontsize=8)


def _stamp_if(figure: Figure, dissimilarities: xr.DataArray) -> None:
    if dissimilarities.attrs.get("synthetic"):
        _mark(figure)


def _mark(figure: Figure) -> None:
    figure.text(0.005, 0.005, "SYNTHETIC DATA", color=CHANCE, weight="bold", fontsize=8, va="bottom")
