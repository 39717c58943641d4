"""Pictures of brains: per-voxel scores on nilearn's packaged templates, the same limits in every panel."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from neuroling.report.figures import INK, figure_to_png

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from nibabel.spatialimages import SpatialImage

    Box = tuple[float, float, float, float]
    Panel = Callable[[SpatialImage, Figure, Box, dict[str, object]], None]

Kind = Literal["score", "difference"]

LIMIT_QUANTILE = 0.999
"""Share of voxels within the colour limits where none are given; the brightest few would dim all others."""

AXIAL_CUTS = (-24, -10, 4, 18, 32, 46, 58)
"""Heights of the slices in mm of MNI space, where the maps reach so far: from the temporal poles to the parietal
cortex."""

TEMPLATE_BOX_MM = ((-100.0, 100.0), (-136.0, 102.0), (-76.0, 112.0))
"""What the MNI152 template of nilearn covers along x, y and z, and a few mm more."""

TITLE_INCHES = 0.34
SCALE_INCHES = 0.85


@dataclass(frozen=True)
class _Scale:
    """What a colour means."""

    low: float
    high: float
    threshold: float
    colors: Colormap
    unit: str
    kind: Kind
    shown: str


def glass_brain(
    images: Mapping[str, SpatialImage],
    *,
    unit: str,
    threshold: float,
    limit: float | None = None,
    kind: Kind = "score",
    shown: str | None = None,
    synthetic: bool = False,
) -> bytes:
    r"""Draw maps through a transparent brain, one row each, with one colour scale.

    Every pixel shows the largest value along its line of sight.

    Parameters
    ----------
    images : mapping of str to nibabel image, shape (x, y, z)
        Maps in MNI space by title. NaN is outside the brain.
    unit : str
        What the colours mean, such as ``"correlation r"``.
    threshold : float
        Voxels up to this value (in a difference: of either sign) are left blank. It is written into the titles.
    limit : float, optional
        Value of the last colour; by default the 99.9th percentile over all maps.
    kind : {"score", "difference"}
        A score has colours above zero only, from pale to dark; negative scores are left blank. A difference has two
        colours, symmetric about zero.
    shown : str, optional
        Which voxels are drawn, where the images hold zeros for the others, such as ``"p < 0.05, family-wise"``; written
        into the titles in place of the threshold.
    synthetic : bool
        Write "SYNTHETIC DATA" across the figure.

    Returns
    -------
    bytes
        A PNG file.

    Examples
    --------
    >>> import nibabel
    >>> values = np.zeros((20, 24, 20), dtype=np.float32)
    >>> values[4:8, 8:14, 8:12] = 0.3
    >>> affine = np.diag([8.0, 8, 8, 1])
    >>> affine[:3, 3] = -76, -110, -68
    >>> picture = glass_brain({"MiniLM": nibabel.Nifti1Image(values, affine)}, unit="r", threshold=0.1)
    >>> picture[:4]
    b'\x89PNG'
    """
    from nilearn.plotting import plot_glass_brain

    def draw(image: SpatialImage, figure: Figure, box: Box, style: dict[str, object]) -> None:
        plot_glass_brain(image, figure=figure, axes=box, display_mode="lyrz", plot_abs=False, **style)

    return _panels(images, draw, _scale(images, unit, threshold, limit, kind, shown), 2.0, synthetic)


def stat_map(
    images: Mapping[str, SpatialImage],
    *,
    unit: str,
    threshold: float,
    cuts: Sequence[float] | None = None,
    limit: float | None = None,
    kind: Kind = "score",
    shown: str | None = None,
    synthetic: bool = False,
) -> bytes:
    """Draw maps over axial slices of the MNI152 template, one row each, with one colour scale and the same slices.

    Parameters
    ----------
    images : mapping of str to nibabel image, shape (x, y, z)
        Maps in MNI space by title. NaN is outside the brain.
    unit : str
        What the colours mean, such as ``"correlation r"``.
    threshold : float
        Voxels up to this value (in a difference: of either sign) show the anatomy. It is written into the titles.
    cuts : sequence of float, optional
        Heights of the slices, in mm; one outside an image shows the anatomy alone. By default :data:`AXIAL_CUTS`, or
        where the maps do not reach so far, as many slices spread over the heights at which they have values.
    limit : float, optional
        Value of the last colour; by default the 99.9th percentile over all maps.
    kind : {"score", "difference"}
        A score has colours above zero only; a difference has two, symmetric about zero.
    shown : str, optional
        Which voxels are drawn, where the images hold zeros for the others, such as ``"p < 0.05, family-wise"``; written
        into the titles in place of the threshold.
    synthetic : bool
        Write "SYNTHETIC DATA" across the figure.

    Returns
    -------
    bytes
        A PNG file. The left of a slice is the left of the brain.
    """
    from nilearn.plotting import plot_stat_map

    heights = _axial_cuts(images) if cuts is None else [float(cut) for cut in cuts]
    if not heights or not np.isfinite(heights).all():
        raise ValueError(f"cuts: got {heights}; expected heights in mm, at least one.")
    low, high = _heights_of(images)
    if not any(low <= height <= high for height in heights):
        raise ValueError(
            f"cuts: got {heights}, and the images reach from {low:g} to {high:g} mm; expected at least one height "
            "inside. Leave cuts out to have them chosen."
        )

    def draw(image: SpatialImage, figure: Figure, box: Box, style: dict[str, object]) -> None:
        plot_stat_map(
            image,
            figure=figure,
            axes=box,
            display_mode="z",
            cut_coords=heights,
            black_bg=False,
            dim=-0.4,
            draw_cross=False,
            **style,
        )

    return _panels(images, draw, _scale(images, unit, threshold, limit, kind, shown), 1.55, synthetic, heights)


def _axial_cuts(images: Mapping[str, SpatialImage]) -> list[float]:
    """Choose heights at which the maps have values."""
    reached = [_heights_with_values(name, image) for name, image in images.items()]
    lowest, highest = min(low for low, _ in reached), max(high for _, high in reached)
    if lowest <= AXIAL_CUTS[0] and AXIAL_CUTS[-1] <= highest:
        return [float(cut) for cut in AXIAL_CUTS]
    inner = np.linspace(lowest, highest, len(AXIAL_CUTS) + 2)[1:-1]
    return list(dict.fromkeys(np.round(inner).tolist()))


def _heights_of(images: Mapping[str, SpatialImage]) -> tuple[float, float]:
    """Give the lowest and the highest edge of all images in mm."""
    edges = []
    for image in images.values():
        corners = np.stack(np.meshgrid(*([-0.5, size - 0.5] for size in image.shape[:3])), axis=-1).reshape(-1, 3)
        edges.append(corners @ np.asarray(image.affine)[2, :3] + np.asarray(image.affine)[2, 3])
    return float(np.min(edges)), float(np.max(edges))


def _heights_with_values(name: str, image: SpatialImage) -> tuple[float, float]:
    """Lowest and highest edge in mm of the voxels that hold a value other than zero, or of all if none does."""
    _finite_values(name, image)
    values = np.asarray(image.dataobj, dtype=np.float64)
    held = np.argwhere(np.isfinite(values) & (values != 0))
    indices = held if len(held) else np.argwhere(np.isfinite(values))
    affine = np.asarray(image.affine)
    centres = indices @ affine[2, :3] + affine[2, 3]  # (voxel,) in mm
    half = np.abs(affine[2, :3]).max() / 2
    return float(centres.min() - half), float(centres.max() + half)


def _scale(
    images: Mapping[str, SpatialImage],
    unit: str,
    threshold: float,
    limit: float | None,
    kind: Kind,
    shown: str | None,
) -> _Scale:
    if not images:
        raise ValueError("images: got none; expected at least one map.")
    if kind not in ("score", "difference"):
        raise ValueError(f"kind: got {kind!r}; expected 'score' or 'difference'.")
    values = np.concatenate([_finite_values(name, image) for name, image in images.items()])
    sizes = np.abs(values) if kind == "difference" else values
    high = float(np.quantile(sizes[sizes != 0], LIMIT_QUANTILE)) if limit is None and sizes.any() else float(limit or 1)
    if not 0 <= threshold < high:
        raise ValueError(
            f"threshold: got {threshold:g} with colours up to {high:g}; expected a number from zero to below that, as "
            "otherwise nothing is drawn."
        )
    quantity = f"|{unit}|" if kind == "difference" else unit
    text = f"shown: {quantity} > {threshold:g}" if shown is None else shown
    return _Scale(-high if kind == "difference" else 0.0, high, threshold, map_colors(kind), unit, kind, text)


def _finite_values(name: str, image: SpatialImage) -> np.ndarray:
    values = np.asarray(image.dataobj, dtype=np.float64)
    if values.ndim != 3:
        raise ValueError(f"images[{name!r}]: got shape {values.shape}; expected one volume (x, y, z).")
    finite: np.ndarray = values[np.isfinite(values)]
    if not len(finite):
        raise ValueError(f"images[{name!r}]: no voxel holds a finite number.")
    return finite


def map_colors(kind: Kind) -> Colormap:
    """Give pale yellow to dark red for scores (no white, which would vanish on paper), blue to red for differences.

    Parameters
    ----------
    kind : {"score", "difference"}
        What is drawn.
    """
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    if kind == "difference":
        return colormaps["RdBu_r"]
    return ListedColormap(colormaps["YlOrRd"](np.linspace(0.12, 1.0, 256)), name="scores")


def _panels(
    images: Mapping[str, SpatialImage],
    draw: Panel,
    scale: _Scale,
    row_inches: float,
    synthetic: bool,
    heights: Sequence[float] = (),
) -> bytes:
    """Draw one row for each map, and the colour scale below them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = len(images) * (row_inches + TITLE_INCHES) + SCALE_INCHES
    figure = Figure(figsize=(10.0, height), facecolor="white")
    FigureCanvasAgg(figure)
    style: dict[str, object] = {
        "threshold": scale.threshold or None,
        "vmin": scale.low,
        "vmax": scale.high,
        "cmap": scale.colors,
        "colorbar": False,
        "symmetric_cbar": scale.kind == "difference",
        "annotate": True,
    }
    top = height
    for name, image in images.items():
        top -= TITLE_INCHES
        figure.text(0.012, (top + 0.08) / height, name, fontsize=12, weight="bold", color=INK)
        figure.text(0.988, (top + 0.08) / height, scale.shown, fontsize=9, ha="right", color=INK)
        top -= row_inches
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "empty mask", UserWarning)  # a map without a voxel to show is drawn empty
            draw(
                _paintable(image, scale.kind, heights), figure, (0.005, top / height, 0.99, row_inches / height), style
            )
    _color_bar(figure, scale, height)
    return figure_to_png(figure, synthetic=synthetic)


def _paintable(image: SpatialImage, kind: Kind, heights: Sequence[float] = ()) -> SpatialImage:
    """Put zero, which is never painted, where there is no number, where a score is negative, and around the image.

    nilearn looks slices up by their index, so that a slice below an image of a part of the brain would be taken from
    its other end, and a view of one hemisphere cuts at an index that may not exist.
    """
    import nibabel

    values = np.nan_to_num(np.asarray(image.dataobj, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    painted = values if kind == "difference" else np.maximum(values, 0)
    affine = np.array(image.affine, dtype=np.float64)
    before, after = _margins(painted.shape, affine, heights)
    padded = np.pad(painted, list(zip(before, after, strict=True)))
    affine[:3, 3] -= affine[:3, :3] @ before
    return nibabel.Nifti1Image(padded, affine)  # type: ignore[no-untyped-call]  # nibabel leaves it untyped


def _margins(shape: tuple[int, ...], affine: np.ndarray, heights: Sequence[float]) -> tuple[list[int], list[int]]:
    """Count the voxels that an image lacks on either side to cover the template and all slices."""
    low, high = TEMPLATE_BOX_MM[2]
    box = (*TEMPLATE_BOX_MM[:2], (min(low, *heights, low), max(high, *heights, high)))
    corners = np.array(list(itertools.product(*box)))
    indices = (corners - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T  # (corner, 3)
    before = np.maximum(0, np.ceil(-indices.min(axis=0)) + 1).astype(int)
    after = np.maximum(0, np.ceil(indices.max(axis=0)) + 2 - shape).astype(int)
    return before.tolist(), after.tolist()


def _color_bar(figure: Figure, scale: _Scale, height: float) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    box = figure.add_axes((0.3, 0.52 / height, 0.4, 0.14 / height))
    mappable = ScalarMappable(Normalize(scale.low, scale.high), scale.colors)
    bar = figure.colorbar(mappable, cax=box, orientation="horizontal")
    for edge in {scale.threshold, -scale.threshold if scale.low < 0 else scale.threshold}:
        if edge:
            bar.ax.axvline(edge, color=INK, linewidth=1.5)
    bar.set_label(scale.unit, fontsize=10, color=INK)
    bar.ax.tick_params(labelsize=9, colors=INK)
