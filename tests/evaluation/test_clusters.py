"""Clusters on volumes and surfaces: what they find, what they leave alone, and at which rate they err on noise."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import xarray as xr
from scipy import ndimage, sparse
from sklearn.model_selection import KFold

from neuroling import BlockPermutation, Clusters, ContiguousFolds, Permutation, Ridge, SignFlip, evaluate, pearson
from neuroling.core.finished_scores import FinishedScores
from neuroling.evaluation import NullDistribution
from neuroling.evaluation.inference.clusters import with_clusters
from neuroling.numerics.statistics.clusters import mesh_adjacency, volume_adjacency

SHAPE = (4, 4, 3)
N_VOXELS = int(np.prod(SHAPE))
VOLUME = volume_adjacency(SHAPE, np.arange(N_VOXELS))


def octahedron():
    """A closed surface: six vertices, eight triangles, split twice, so that 66 vertices have four to six neighbours."""
    corners = [(0, 2, 4), (2, 1, 4), (1, 3, 4), (3, 0, 4), (2, 0, 5), (1, 2, 5), (3, 1, 5), (0, 3, 5)]
    faces, n_vertices = np.array(corners), 6
    for _ in range(2):
        middle: dict[tuple[int, int], int] = {}
        finer = []
        for a, b, c in faces.tolist():
            points = []
            for one, other in ((a, b), (b, c), (c, a)):
                points.append(middle.setdefault((min(one, other), max(one, other)), n_vertices + len(middle)))
            ab, bc, ca = points
            finer += [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        faces, n_vertices = np.array(finer), n_vertices + len(middle)
    return mesh_adjacency(faces, n_vertices)


SURFACE = octahedron()
PLACES = {"voxel": VOLUME, "vertex": SURFACE}
LEVEL = 0.2


def test_the_surface_of_these_tests_is_closed():
    """Euler: vertices, edges and triangles of a sphere."""
    assert SURFACE.shape[0] - SURFACE.nnz // 2 + 8 * 16 == 2


def around(axis):
    """A position and what lies within two steps of it."""
    steps = sparse.eye_array(PLACES[axis].shape[0]) + PLACES[axis]
    return np.flatnonzero((steps @ steps)[[10]].toarray()[0])


def smooth(values, adjacency):
    """Average every position with its neighbours, twice; the last axis is positions."""
    weights = sparse.csr_array(adjacency + sparse.eye_array(adjacency.shape[0]))
    mean = weights / weights.sum(axis=1)[:, None]
    return values @ (mean @ mean).T.toarray()


def null_of(observed, draws, clusters):
    wrapped = [xr.DataArray(draw, dims="voxel") for draw in draws]
    labelled = xr.DataArray(observed, dims="voxel")
    support = clusters.support_of_scores(labelled, "greater", 0.0)
    return NullDistribution.collect(labelled, wrapped, method="made up", support=support)


def extents(clusters, values):
    """What neighbours add to rows of scores."""
    return clusters.support_of_scores(xr.DataArray(values[0], dims="voxel"), "greater", 0.0)(values)


def line(n):
    return sparse.diags_array([np.ones(n - 1)] * 2, offsets=[1, -1], shape=(n, n)).tocsr()


def test_p_of_a_cluster_counts_draws_whose_largest_is_as_large():
    """A cluster of three and one of one; the largest of four draws are 0, 1, 3 and 4 positions."""
    draws = np.array([[0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], [1, 1, 1, 0, 1, 1], [0, 1, 1, 1, 1, 0]], float)
    p = null_of([1.0, 1, 1, 0, 1, 0], draws, Clusters("size", line(6), 0.5)).p_values("cluster")
    assert p.values.tolist() == [3 / 5, 3 / 5, 3 / 5, 1.0, 4 / 5, 1.0]


def test_mass_tells_high_clusters_from_low_ones_of_the_same_size():
    found = extents(Clusters("mass", line(5), 0.5), np.array([[2.0, 2.0, 0.0, 1.0, 1.0]]))
    assert found.tolist() == [[4.0, 4.0, 0.0, 2.0, 2.0]]


def test_masses_of_low_scores_are_not_pulled_down_by_what_is_outside():
    """Positions that are undefined or far below the threshold belong to no cluster and weigh nothing."""
    found = extents(Clusters("mass", line(4), 0.5), np.array([[2.0, np.nan, -50.0, 1.0]]))
    assert found.tolist() == [[2.0, 0.0, 0.0, 1.0]]


def test_sizes_in_a_volume_are_those_of_scipy_label():
    scores = np.random.default_rng(0).standard_normal((3, N_VOXELS))
    for row, found in zip(scores, extents(Clusters("size", VOLUME, 0.4), scores), strict=True):
        labels, _ = ndimage.label((row > 0.4).reshape(SHAPE))
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        np.testing.assert_array_equal(found, sizes[labels].ravel())


def simulated(make_data, axis, seed, *, effect=0.0):
    """Features and smooth noise over a volume or a surface, consecutive in time."""
    adjacency = PLACES[axis]
    data = make_data(60, 2, phi=0.3, seed=seed, **{axis: adjacency.shape[0]})
    y = smooth(data.y.values, adjacency)
    y = y / y.std(axis=0)
    y[:, around(axis)] += effect * data.x.values[:, :1]
    return type(data)(data.x, data.y.copy(data=y), data.unit)


def cluster_p(make_data, axis, seed, *, n_draws=59, level=LEVEL, **options):
    null = BlockPermutation(6, n_draws, keep_choices=True, clusters=Clusters("size", PLACES[axis], level))
    data = simulated(make_data, axis, seed, **options)
    folds = ContiguousFolds(3, gap=2)
    return evaluate(Ridge(1.0, device="cpu"), data, splits=folds, metric=pearson, inference=null, rng=seed).p_values(
        "cluster"
    )


@pytest.mark.parametrize("axis", PLACES)
def test_an_effect_is_found_in_its_cluster(make_data, axis):
    p = cluster_p(make_data, axis, 0, level=0.45, effect=2.0)
    assert (p[around(axis)] < 0.05).mean() > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("axis", PLACES)
def test_clusters_are_calibrated(make_data, axis):
    """Of 1,000 smooth recordings without anything in them, 5 % have a cluster that passes (one standard error 0.7)."""
    hits = [float(cluster_p(make_data, axis, seed).min()) <= 0.05 for seed in range(1000)]
    assert 0.03 <= np.mean(hits) <= 0.07, np.mean(hits)


@pytest.mark.slow
def test_clusters_of_exchanged_samples_are_calibrated(make_data):
    hits = []
    for seed in range(1000):
        data = make_data(30, 2, seed=seed, voxel=N_VOXELS)
        data = type(data)(data.x, data.y.copy(data=smooth(data.y.values, VOLUME)))
        null = Permutation(59, keep_choices=True, clusters=Clusters("size", VOLUME, 0.2))
        result = evaluate(Ridge(1.0, device="cpu"), data, splits=KFold(3), metric=pearson, inference=null, rng=seed)
        hits.append(float(result.p_values("cluster").min()) <= 0.05)
    assert 0.03 <= np.mean(hits) <= 0.07, np.mean(hits)


def participants(seed, axis, effect=0.0):
    adjacency = PLACES[axis]
    values = smooth(np.random.default_rng(seed).standard_normal((12, adjacency.shape[0])), adjacency)
    values[:, around(axis)] += effect
    return xr.DataArray(values, dims=("subject", axis))


@pytest.mark.parametrize("axis", PLACES)
@pytest.mark.parametrize("by", ["size", "mass", "tfce"])
def test_an_effect_over_participants_is_found(axis, by):
    test = SignFlip(n_draws=200, clusters=Clusters(by, PLACES[axis], 2.7))
    p = test(FinishedScores(participants(0, axis, effect=1.0)), np.random.default_rng(0)).p_values("cluster")
    assert (p[around(axis)] < 0.05).mean() > 0.6


def group_rate(axis, by, n_data):
    test = SignFlip(n_draws=59, clusters=None if by == "none" else Clusters(by, PLACES[axis]))
    correct = "max" if by == "none" else "cluster"
    hits = [
        float(test(FinishedScores(participants(seed, axis)), np.random.default_rng(seed)).p_values(correct).min())
        <= 0.05
        for seed in range(n_data)
    ]
    return np.mean(hits)


@pytest.mark.slow
@pytest.mark.parametrize("axis", PLACES)
@pytest.mark.parametrize("by", ["size", "mass", "none"])
def test_group_tests_are_calibrated(axis, by):
    found = group_rate(axis, by, 1000)
    assert 0.03 <= found <= 0.07, found


def kept_result(make_data, keep=True):
    null = BlockPermutation(6, 40, keep_choices=True, keep_draws=keep)
    data, folds = simulated(make_data, "voxel", 0), ContiguousFolds(3, gap=2)
    return evaluate(Ridge(1.0, device="cpu"), data, splits=folds, metric=pearson, inference=null, rng=0)


def test_clusters_of_kept_draws_are_those_made_on_the_way(make_data):
    after = with_clusters(kept_result(make_data), Clusters("size", VOLUME, LEVEL)).p_values("cluster")
    xr.testing.assert_identical(after.drop_attrs(), cluster_p(make_data, "voxel", 0, n_draws=40).drop_attrs())


def test_a_result_with_clusters_comes_back_from_its_file(make_data, tmp_path):
    from neuroling import Result

    result = with_clusters(kept_result(make_data), Clusters("size", VOLUME, LEVEL))
    result.save(tmp_path / "result.nc")
    xr.testing.assert_identical(Result.load(tmp_path / "result.nc").p_values("cluster"), result.p_values("cluster"))


def flip(axis, **options):
    clusters = Clusters(axes=(axis,), **options)
    SignFlip(n_draws=20, clusters=clusters)(FinishedScores(participants(0, axis)), np.random.default_rng(0))


BAD = {
    "draws that were not kept": (
        lambda make: with_clusters(kept_result(make, keep=False), Clusters("size", VOLUME, 0.1)),
        "the draws of its null were not kept",
    ),
    "adjacency of other positions": (
        lambda make: with_clusters(kept_result(make), Clusters("size", SURFACE, 0.1)),
        "adjacency: it is of 66 voxels, the scores have 48",
    ),
    "adjacency that is no square": (lambda _: Clusters("size", sparse.csr_array((2, 3)), 0.1), "expected a square"),
    "threshold": (lambda _: Clusters("size", VOLUME, np.nan), "expected a finite value"),
    "by": (lambda _: Clusters("extent", VOLUME, 0.1), "expected 'mass', 'size' or 'tfce'"),
    "voxels without neighbours": (lambda _: flip("voxel"), "voxels are no grid; .*neighbours_in_volume"),
    "neighbours of other voxels": (
        lambda _: flip("voxel", adjacency=SURFACE),
        "it is of 66 voxels, the scores have 48",
    ),
    "scores without a threshold": (
        lambda make: with_clusters(kept_result(make), Clusters("mass", VOLUME)),
        "threshold: none given; clusters by mass of scores need one",
    ),
    "masses of what is below chance": (
        lambda make: with_clusters(kept_result(make), Clusters("mass", VOLUME, -0.1)),
        r"threshold: got -0.1, which is no better than chance \(0\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_a_sentence(case, make_data):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make(partial(make_data))
