"""Pictures of cortical surfaces: per-vertex scores on inflated hemispheres, the same limits in every panel."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroling.report.brain import LIMIT_QUANTILE, SCALE_INCHES, TITLE_INCHES, Kind, map_colors
from neuroling.report.figures import INK, figure_to_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Box = tuple[float, float, float, float]

Parts = Mapping[str, NDArray[np.floating[Any]]]
"""Values of whole hemispheres, ``{"left": …, "right": …}``; ``neuroling.data.surfaces.surface_parts`` gives them."""

VIEWS = (("left", "lateral"), ("left", "medial"), ("right", "medial"), ("right", "lateral"))
"""Views of a row, from left to right."""

ROW_INCHES = 2.2
ZOOM = 1.35
"""How much of its panel a hemisphere fills; found by looking."""


def surface_map(
    maps: Mapping[str, Parts],
    *,
    unit: str,
    threshold: float,
    limit: float | None = None,
    kind: Kind = "score",
    synthetic: bool = False,
) -> bytes:
    r"""Draw maps on the inflated cortex of fsaverage5, one row each, with one colour scale.

    Parameters
    ----------
    maps : mapping of str to mapping of str to ndarray, shape (10242,)
        Maps by title, each with the values of its hemispheres. NaN shows the cortex.
    unit : str
        What the colours mean, such as ``"correlation r"``.
    threshold : float
        Vertices up to this value (in a difference: of either sign) show the cortex. It is written into the titles.
    limit : float, optional
        Value of the last colour; by default the 99.9th percentile over all maps.
    kind : {"score", "difference"}
        A score has colours above zero only; a difference has two, symmetric about zero.
    synthetic : bool
        Write "SYNTHETIC DATA" across the figure.

    Returns
    -------
    bytes
        A PNG file. Dark cortex is sulci.

    Raises
    ------
    ValueError
        If a hemisphere has another number of vertices than the mesh, or nothing would be drawn.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from nilearn.datasets import load_fsaverage, load_fsaverage_data

    mesh = load_fsaverage("fsaverage5")["inflated"]
    sulci = load_fsaverage_data(mesh="fsaverage5", mesh_type="inflated", data_type="sulcal")
    high = _limit(maps, {side: len(part.coordinates) for side, part in mesh.parts.items()}, threshold, limit, kind)
    low = -high if kind == "difference" else 0.0
    height = len(maps) * (ROW_INCHES + TITLE_INCHES) + SCALE_INCHES
    figure = Figure(figsize=(10.0, height), facecolor="white")
    FigureCanvasAgg(figure)
    top = height
    for title, surface in maps.items():
        top -= TITLE_INCHES
        shown = f"shown: {f'|{unit}|' if kind == 'difference' else unit} > {threshold:g}"
        figure.text(0.012, (top + 0.08) / height, title, fontsize=12, weight="bold", color=INK)
        figure.text(0.988, (top + 0.08) / height, shown, fontsize=9, ha="right", color=INK)
        top -= ROW_INCHES
        for number, (side, view) in enumerate(VIEWS):
            box = (0.25 * number, top / height, 0.25, ROW_INCHES / height)
            values = _shown(surface.get(side), threshold, kind, len(mesh.parts[side].coordinates))
            style = {"hemi": side, "view": view, "vmin": low, "vmax": high, "cmap": map_colors(kind)}
            _draw(figure, box, mesh.parts[side], values, np.asarray(sulci.data.parts[side]).ravel(), style)
            label = f"{side[0].upper()} {view}"
            figure.text(0.25 * number + 0.125, (top + 0.04) / height, label, fontsize=8, ha="center", color=INK)
    _scale_bar(figure, (low, high), threshold, unit, kind)
    return figure_to_png(figure, synthetic=synthetic)


def _shown(
    values: NDArray[np.floating[Any]] | None, threshold: float, kind: Kind, n_vertices: int
) -> NDArray[np.float64]:
    """Put NaN, through which the cortex shows, wherever there is nothing above the threshold."""
    if values is None:
        return np.full(n_vertices, np.nan)
    found = np.array(values, dtype=np.float64)
    found[~((np.abs(found) if kind == "difference" else found) > threshold)] = np.nan
    return found


def _draw(
    figure: Figure,
    box: Box,
    mesh: Any,
    values: NDArray[np.float64],
    background: NDArray[np.floating[Any]],
    style: dict[str, Any],
) -> None:
    from nilearn.plotting import plot_surf

    axes: Any = figure.add_axes(box, projection="3d")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=RuntimeWarning)  # averages over triangles without any value
        warnings.filterwarnings("ignore", category=UserWarning, module="nilearn")  # it takes NaN for a mistake
        plot_surf(
            mesh,
            surf_map=values,
            bg_map=background,
            engine="matplotlib",
            axes=axes,
            figure=figure,
            colorbar=False,
            **style,
        )
    axes.set_box_aspect(None, zoom=ZOOM)


def _limit(
    maps: Mapping[str, Parts], sizes: Mapping[str, int], threshold: float, limit: float | None, kind: Kind
) -> float:
    if not maps:
        raise ValueError("maps: got none; expected at least one map.")
    if kind not in ("score", "difference"):
        raise ValueError(f"kind: got {kind!r}; expected 'score' or 'difference'.")
    for title, surface in maps.items():
        for side, values in surface.items():
            if side not in sizes or np.shape(values) != (sizes[side],):
                raise ValueError(
                    f"maps[{title!r}]: {side!r} has shape {np.shape(values)}; expected 'left' and 'right' of "
                    f"{sizes['left']} vertices each, those of fsaverage5."
                )
    values = np.concatenate(
        [np.asarray(part, dtype=np.float64) for surface in maps.values() for part in surface.values()]
    )
    shown = np.abs(values[np.isfinite(values)]) if kind == "difference" else values[np.isfinite(values)]
    if not len(shown):
        raise ValueError("maps: no vertex holds a finite number.")
    high = float(np.quantile(shown, LIMIT_QUANTILE)) if limit is None else float(limit)
    if not 0 <= threshold < high:
        raise ValueError(
            f"threshold: got {threshold:g} with colours up to {high:g}; expected a number from zero to below that, as "
            "otherwise nothing is drawn."
        )
    return high


def _scale_bar(figure: Figure, limits: tuple[float, float], threshold: float, unit: str, kind: Kind) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    height = figure.get_size_inches()[1]
    box = figure.add_axes((0.3, 0.52 / height, 0.4, 0.14 / height))
    bar = figure.colorbar(ScalarMappable(Normalize(*limits), map_colors(kind)), cax=box, orientation="horizontal")
    for edge in {threshold, -threshold if limits[0] < 0 else threshold}:
        if edge:
            bar.ax.axvline(edge, color=INK, linewidth=1.5)
    bar.set_label(unit, fontsize=10, color=INK)
    bar.ax.tick_params(labelsize=9, colors=INK)
