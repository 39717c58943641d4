"""Pictures of dissimilarities: what they show can be read back from them, and bad input gets a sentence."""

from __future__ import annotations

import io

import mne
import numpy as np
import pytest
import xarray as xr
from PIL import Image

from neuroling import Result, SignFlip
from neuroling.data.eeg import vertex_labels
from neuroling.report import rsa
from neuroling.report.figures import axes_to_png
from neuroling.rsa.dissimilarity import PairLabels

TIMES = np.round(np.linspace(-0.1, 0.4, 6), 3)
ITEMS = ["ant", "bee", "cat", "dog", "elk"]


@pytest.fixture
def result():
    rng = np.random.default_rng(0)
    values = 0.05 * rng.standard_normal((8, 6, 2))
    values[:, 3:5, 0] += 0.4
    score = xr.DataArray(values, dims=("subject", "time", "model"), coords={"time": TIMES, "model": ["a", "b"]})
    ceiling = xr.DataArray(
        np.full((2, 6), [[0.3], [0.5]]), dims=("bound", "time"), coords={"bound": ["lower", "upper"]}
    )
    plain = Result.of(score.expand_dims("split"), metric="rho-a", ceiling=ceiling)
    return plain.test(SignFlip(n_draws=100))


@pytest.fixture
def dissimilarities():
    labels = PairLabels.of(np.array(ITEMS)).coords()
    values = np.arange(60.0).reshape(10, 6)
    return xr.DataArray(values, dims=("sample", "time"), coords={**labels, "time": TIMES}, attrs={"synthetic": 1})


def test_each_model_is_a_line_with_a_bar_where_it_beats_its_null(result):
    ax = rsa.plot_models_over_time(result)
    labels = ax.get_legend_handles_labels()[1]
    assert labels == ["noise ceiling", "a", "b", "significant (p < 0.05, family-wise)"]
    bars = [path.get_extents() for drawn in ax.collections for path in drawn.get_paths() if len(path.vertices) == 5]
    assert [round(edge) for bar in bars[:1] for edge in (bar.x0, bar.x1)] == [150, 350]  # half a step on either side


def test_a_strip_has_one_matrix_a_time_and_says_that_data_are_synthetic(dissimilarities):
    figure = rsa.plot_rdm_strip(dissimilarities, [0.0, 0.21])
    assert [ax.get_title() for ax in figure.axes[:2]] == ["0 ms", "200 ms"]
    assert any("SYNTHETIC" in text.get_text() for text in figure.texts)


def test_a_square_holds_each_pair_twice_in_the_order_asked_for(dissimilarities):
    one = dissimilarities.isel(time=0)
    matrix = rsa.square(one, order=ITEMS[::-1])
    assert matrix[0, 1] == matrix[1, 0] == float(one.sel(sample="dog | elk"))
    assert np.isnan(np.diag(matrix)).all()
    with pytest.raises(ValueError, match="order: 4 items for 5"):
        rsa.square(one, order=ITEMS[1:])


def test_scaling_finds_a_plane_exactly():
    rng = np.random.default_rng(1)
    points = rng.standard_normal((5, 2))
    first, second = np.triu_indices(5, 1)
    labels = PairLabels.of(np.array(ITEMS)).coords()
    flat = xr.DataArray(np.linalg.norm(points[first] - points[second], axis=1), dims="sample", coords=labels)
    ax = rsa.plot_mds(flat, dict.fromkeys(ITEMS[:2], "insect"))
    assert "stress 0.00" in ax.get_xlabel()
    assert ax.get_legend_handles_labels()[1] == ["insect", "item"]


def test_topographies_are_drawn_for_known_channels():
    score = xr.DataArray(
        np.random.default_rng(2).standard_normal((6, 6)),
        dims=("channel", "time"),
        coords={"channel": ["Fz", "Cz", "Pz", "C3", "C4", "Oz"], "time": TIMES},
    )
    figure = rsa.plot_topographies(score, [0.1, 0.2], synthetic=True)
    assert figure.axes[0].get_title() == "100 ms"
    with pytest.raises(ValueError, match="does not know \\['E1'\\]"):
        rsa.to_evoked(score.assign_coords(channel=["E1", "Cz", "Pz", "C3", "C4", "Oz"]))


def test_scores_become_mne_objects_and_keep_their_values(result):
    evoked = rsa.to_evoked(result.score.mean("subject").sel(model="a"), comment="rho-a")
    assert isinstance(evoked, mne.EvokedArray)
    np.testing.assert_allclose(evoked.times, TIMES)
    np.testing.assert_allclose(evoked.data[0], result.score.mean("subject").sel(model="a"))
    with pytest.raises(ValueError, match="expected \\(channel, time\\)"):
        rsa.to_evoked(result.score)


@pytest.mark.parametrize(
    ("vertices", "kind"),
    [([np.array([1, 5]), np.array([2])], mne.SourceEstimate), ([np.array([1, 5, 7])], mne.VolSourceEstimate)],
    ids=["surface", "volume"],
)
def test_scores_of_sources_become_estimates_matched_by_vertex(vertices, kind):
    labels = vertex_labels(vertices)
    score = xr.DataArray(np.arange(18.0).reshape(3, 6), dims=("voxel", "time"), coords={"voxel": labels, "time": TIMES})
    stc = rsa.to_source_estimate(score.isel(voxel=[2, 0, 1]), vertices)
    assert type(stc) is kind
    np.testing.assert_allclose(stc.data, score.values)
    np.testing.assert_allclose(stc.times, TIMES)
    with pytest.raises(ValueError, match="expected \\(voxel, time\\) with the 2 voxels"):
        rsa.to_source_estimate(score, [np.array([1]), np.array([2])])


def test_layers_are_a_map_with_what_is_significant_outlined(result):
    ax = rsa.plot_layers(result)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert len(ax.images) == 1
    edges = np.concatenate(ax.collections[-1].get_segments())
    assert (edges[:, 0].min(), edges[:, 0].max()) == pytest.approx((150, 350))  # two samples, 100 ms apart
    rows = np.flatnonzero((result.null.p_values("max") < 0.05).any("time").to_numpy())
    assert (edges[:, 1].min(), edges[:, 1].max()) == (rows.min() - 0.5, rows.max() + 0.5)


def test_models_are_drawn_with_their_condition_number():
    x = np.random.default_rng(3).standard_normal((66, 3))
    models = xr.DataArray(x, dims=("sample", "model"), coords={"model": list("abc")})
    assert rsa.plot_collinearity(models).get_xlabel().startswith("condition number 1.")


def test_the_moving_picture_has_a_frame_a_time(dissimilarities):
    movie = Image.open(io.BytesIO(rsa.animate_rdm(dissimilarities)))
    assert movie.n_frames == 6


def test_time_by_time_is_a_square_map():
    score = xr.DataArray(np.ones((1, 3, 6, 6)), dims=("split", "subject", "time", "model"), coords={"time": TIMES})
    assert axes_to_png(rsa.plot_generalization(Result.of(score, metric="spearman"))).startswith(b"\x89PNG")


@pytest.mark.parametrize("draw", [rsa.plot_models_over_time, rsa.plot_layers])
def test_scores_without_models_are_refused(draw, result):
    one = Result.of(result.data["score"].isel(model=0, drop=True), metric="rho-a")
    with pytest.raises(ValueError, match="expected time, model"):
        draw(one)


@pytest.mark.parametrize("draw", [lambda d: rsa.plot_rdm_strip(d, [0.0]), rsa.animate_rdm])
def test_participants_have_to_be_averaged_first(draw, dissimilarities):
    with pytest.raises(ValueError, match="Average first"):
        draw(dissimilarities.expand_dims("subject"))


def test_positions_of_unknown_channels_are_refused():
    assert rsa.montage_positions(["Cz", "Pz"]).sizes == {"channel": 2, "feature": 3}
    with pytest.raises(ValueError, match="does not know \\['E1'\\]"):
        rsa.montage_positions(["E1"])
