from __future__ import annotations

import io
import sys

import matplotlib.image
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from neuroling.report.figures import (
    SERIES,
    figure_to_png,
    new_axes,
    plot_curve,
    plot_distribution,
    plot_models,
    plot_null,
    plot_penalty_curve,
    plot_points,
    sample_edges,
)

RNG = np.random.default_rng(0)
TIME = np.linspace(0, 1, 20)
CURVE = xr.DataArray(np.sin(TIME), dims="time", coords={"time": TIME})
MANY = xr.DataArray(RNG.normal(size=(4, 3)), dims=("subject", "region"), coords={"region": ["a", "b", "c"]})
PICTURES = {
    "models": lambda ax: plot_models({"a": 0.6, "b": 0.7}, nulls={"a": RNG.normal(size=9)}, chance=0.5, ax=ax),
    "null": lambda ax: plot_null(RNG.normal(size=50), 2.0, p=0.02, ax=ax),
    "curve": lambda ax: plot_curve(CURVE, ax=ax),
    "points": lambda ax: plot_points(MANY, ax=ax),
    "penalty": lambda ax: plot_penalty_curve([1, 10], {"a": [0.1, 0.2]}, chosen={"a": 10}, ax=ax),
    "distribution": lambda ax: plot_distribution(RNG.normal(size=50), ax=ax),
}


@pytest.mark.parametrize("name", PICTURES)
def test_an_axes_goes_in_and_comes_out(name: str) -> None:
    ax = new_axes()
    assert PICTURES[name](ax) is ax


@pytest.mark.parametrize("name", PICTURES)
def test_without_an_axes_a_figure_of_its_own_is_made(name: str) -> None:
    one, other = PICTURES[name](None), PICTURES[name](None)
    assert one.figure is not other.figure


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_names_its_axes(name: str) -> None:
    ax = PICTURES[name](None)
    assert ax.get_xlabel() or [text.get_text() for text in ax.get_xticklabels()]
    assert ax.get_ylabel() or [text.get_text() for text in ax.get_yticklabels()]


def test_nothing_is_left_in_pyplot() -> None:
    pyplot = sys.modules.get("matplotlib.pyplot")
    before = pyplot.get_fignums() if pyplot else []
    plot_null(RNG.normal(size=20), 1.0)
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert (pyplot.get_fignums() if pyplot else []) == before


def pixels(png: bytes) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(png))


def test_synthetic_figures_say_so_in_their_pixels() -> None:
    figure = plot_null(RNG.normal(size=20), 1.0).figure
    assert isinstance(figure, Figure)
    plain, stamped = pixels(figure_to_png(figure)), pixels(figure_to_png(figure, synthetic=True))
    assert (plain != stamped).any(-1).mean() > 0.02
    corner = stamped[-25:, :100, :3]
    assert (np.abs(corner - np.array([0xA3, 0x15, 0x1B]) / 255) < 0.02).all(-1).mean() > 0.2


def test_the_stamp_lies_above_every_axes() -> None:
    figure = new_axes().figure
    assert isinstance(figure, Figure)
    figure.add_axes((0, 0, 1, 1), zorder=5000, facecolor="white")
    assert (pixels(figure_to_png(figure, synthetic=True))[..., :3] < 0.9).any(-1).mean() > 0.02


def test_stamping_leaves_the_figure_as_it_was() -> None:
    figure = plot_null(RNG.normal(size=20), 1.0).figure
    assert isinstance(figure, Figure)
    figure_to_png(figure)  # matplotlib's layout settles to the last bit with its second drawing
    before = pixels(figure_to_png(figure))
    figure_to_png(figure, synthetic=True)
    assert len(figure.axes) == 1
    np.testing.assert_allclose(pixels(figure_to_png(figure)), before, atol=0.02)


def test_models_keep_their_order_from_top_to_bottom() -> None:
    ax = plot_models({"first": 0.1, "second": 0.2})
    low, high = ax.get_ylim()
    assert low > high
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["first", "second"]


def test_the_95th_percentile_is_drawn_where_it_is() -> None:
    draws = np.arange(101.0)
    ax = plot_null(draws, 99.0)
    drawn = [line.get_xdata()[0] for line in ax.lines]  # type: ignore[index]
    assert 95.0 in drawn
    assert 99.0 in drawn


def test_the_mean_of_participants_is_drawn() -> None:
    ax = plot_points(MANY)
    drawn = next(line for line in ax.lines if line.get_label() == "mean over subjects")
    np.testing.assert_allclose(drawn.get_ydata(), MANY.mean("subject"))


@pytest.mark.parametrize(("chance", "name"), [(0.0, "chance (0)"), (0.5, "chance (0.5)"), (None, "zero")])
def test_the_line_says_whether_it_is_chance(chance: float | None, name: str) -> None:
    line = next(line for line in plot_points(MANY, chance=chance).lines if line.get_linestyle() == "--")
    assert line.get_label() == name
    assert line.get_ydata()[0] == (chance or 0.0)  # type: ignore[index]


def test_the_edge_is_matched_to_its_place_by_label() -> None:
    edge = xr.DataArray([3.0, 1.0, 2.0], dims="region", coords={"region": ["c", "a", "b"]})
    ax = plot_points(MANY, edge=edge)
    heights = [segment[0][1] for segment in ax.collections[0].get_segments()]  # type: ignore[attr-defined]
    assert heights == [1.0, 2.0, 3.0]


def test_series_are_told_apart_by_colour_and_shape() -> None:
    ax = plot_points(MANY.rename(subject="model"), series="model")
    styles = {(line.get_color(), line.get_marker()) for line in ax.lines if line.get_linestyle() == "None"}
    assert len(styles) == 4


def test_significance_is_a_bar_below_the_curve() -> None:
    significant = xr.DataArray(TIME > 0.5, dims="time")
    ax = plot_curve(CURVE, significant=significant)
    (bar,) = _bars(ax)
    edges = sample_edges(1000 * TIME)
    assert bar.x0 == pytest.approx(edges[np.flatnonzero(TIME > 0.5)[0]])
    assert bar.x1 == pytest.approx(edges[-1])
    assert bar.y1 < CURVE.min()


def _bars(ax):
    return [path.get_extents() for bars in ax.collections for path in bars.get_paths() if len(path.vertices) == 5]


def test_a_lone_significant_sample_is_seen_as_wide_as_its_step() -> None:
    significant = xr.DataArray(np.arange(len(TIME)) == 3, dims="time")
    (bar,) = _bars(plot_curve(CURVE, significant=significant))
    assert bar.width == pytest.approx(1000 * np.diff(TIME).mean())
    assert (bar.x0 + bar.x1) / 2 == pytest.approx(1000 * TIME[3])


def test_models_are_curves_of_their_own_and_never_averaged() -> None:
    models = xr.concat([CURVE + 0.4, CURVE * 0], dim="model").assign_coords(model=["MiniLM", "control"])
    ax = plot_curve(models)
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_allclose(drawn["MiniLM"], CURVE + 0.4)
    np.testing.assert_allclose(drawn["control"], 0 * CURVE)


def test_models_are_distributions_of_their_own() -> None:
    ax = plot_distribution({"a": [0.1, 0.2, 0.3], "b": [0.4, 0.5]}, null=[0.0, -0.1, 0.1], ceiling=0.6)
    labels = ax.get_legend_handles_labels()[1]
    assert any(label.startswith("a: median 0.200") for label in labels)
    assert any(label.startswith("b: median 0.450") for label in labels)
    assert any("null, mean" in label for label in labels)
    assert any("ceiling" in label for label in labels)


def test_the_null_of_a_curve_is_a_band_around_its_mean() -> None:
    null = xr.DataArray(RNG.normal(-0.12, 0.01, (400, len(TIME))), dims=("draw", "time"))
    ax = plot_curve(CURVE, null=null)
    mean = next(line for line in ax.lines if line.get_label() == "null, mean")
    assert np.asarray(mean.get_ydata()).mean() == pytest.approx(-0.12, abs=0.005)


def test_a_ceiling_is_a_band() -> None:
    ceiling = xr.DataArray(np.stack([CURVE + 1, CURVE + 2]), dims=("bound", "time"))
    assert "ceiling" in plot_curve(CURVE, ceiling=ceiling).get_legend_handles_labels()[1]


def test_undefined_voxels_are_counted_on_the_axis() -> None:
    assert "(2 undefined)" in plot_distribution([0.1, np.nan, 0.2, np.nan]).get_ylabel()


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot_models({}), "scores: got none"),
        (lambda: plot_models({"a": 1.0}, nulls={"b": [1.0]}), r"nulls: no score for \['b'\]"),
        (lambda: plot_models({"a": 1.0}, nulls={"a": [np.nan]}), "row of finite numbers"),
        (lambda: plot_null([], 1.0), "draws: got shape"),
        (lambda: plot_curve(MANY), "expected 'time'"),
        (lambda: plot_points(MANY.expand_dims("model")), "expected one or two"),
        (lambda: plot_points(MANY, along="voxel"), "the axes are"),
        (
            lambda: plot_points(xr.DataArray(np.ones((len(SERIES) + 1, 2)), dims=("model", "region")), series="model"),
            "at most",
        ),
        (lambda: plot_penalty_curve([0, 1], {"a": [1, 2]}), "zero or negative"),
        (lambda: plot_penalty_curve([1, 2], {"a": [1, 2, 3]}), r"scores\['a'\]: got shape"),
        (lambda: plot_distribution([np.nan]), "none of 1 is a finite"),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence(draw: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()  # type: ignore[operator]
