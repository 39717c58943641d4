"""Statistics that neighbours support: masses and sizes of clusters, threshold-free enhancement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

Statistics = Float[NDArray[np.floating], "draw position"]
Labeller = Callable[[NDArray[np.bool_]], NDArray[np.intp]]

STEP = 0.1
"""Height of a step of the threshold-free integral, in units of t."""

MOST_STEPS = 500
"""Steps at most: a t of 50 still takes steps of 0.1. A heuristic."""

STEPS_OF_SCORES = 100
"""Steps up to the largest value where steps have no natural height, as in FSL and nilearn."""

EXTENT_POWER, HEIGHT_POWER = 0.5, 2.0
"""Powers of extent and height (Smith and Nichols 2009, NeuroImage 44, 83-98)."""


def grid_adjacency(*axes: int | sparse.spmatrix | sparse.sparray) -> sparse.csr_array:
    """Say which positions of a grid are neighbours.

    Parameters
    ----------
    *axes : int or sparse matrix
        For each axis of the grid, in order: its length, where entry after entry are neighbours, or which of its entries
        are, such as channels.

    Returns
    -------
    scipy.sparse.csr_array, shape (position, position)
        Of the flattened grid, the last axis running fastest.
    """
    total = sparse.csr_array((1, 1))
    for axis in axes:
        if isinstance(axis, int | np.integer):
            along = sparse.diags_array([np.ones(axis - 1), np.ones(axis - 1)], offsets=[1, -1], shape=(axis, axis))
        else:
            along = sparse.csr_array(axis)
        total = sparse.kron(total, sparse.eye_array(along.shape[0])) + sparse.kron(
            sparse.eye_array(total.shape[0]), along
        )
    return sparse.csr_array(total)


def volume_adjacency(
    shape: tuple[int, int, int],
    voxels: Int[NDArray[np.integer], " voxel"],
    touching: Literal["faces", "edges", "corners"] = "faces",
) -> sparse.csr_array:
    """Say which voxels of a volume are neighbours.

    Parameters
    ----------
    shape : tuple of int
        Voxels along x, y and z.
    voxels : ndarray of int, shape (voxel,)
        Flat index (C order) of each voxel that counts; others have no neighbours.
    touching : {"faces", "edges", "corners"}
        What neighbours share at least: 6, 18 or 26 of them.

    Returns
    -------
    scipy.sparse.csr_array, shape (voxel, voxel)

    Examples
    --------
    >>> volume_adjacency((2, 2, 1), np.array([0, 1, 3])).toarray().astype(int).tolist()
    [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    """
    most = {"faces": 1, "edges": 2, "corners": 3}
    if touching not in most:
        raise ValueError(f"touching: got {touching!r}; expected one of {', '.join(most)}.")
    coordinates = np.stack(np.unravel_index(voxels, shape), axis=1)  # (voxel, 3)
    number = np.full(int(np.prod(shape)), -1, dtype=np.intp)
    number[voxels] = np.arange(len(voxels))
    steps = [step for step in np.ndindex(3, 3, 3) if 1 <= sum(abs(part - 1) for part in step) <= most[touching]]
    pairs = []
    for step in steps:
        moved = coordinates + np.array(step) - 1
        inside = np.flatnonzero(((moved >= 0) & (moved < shape)).all(axis=1))
        other = number[np.ravel_multi_index(tuple(moved[inside].T), shape)]
        pairs.append(np.stack([inside[other >= 0], other[other >= 0]]))
    one, other = np.concatenate(pairs, axis=1)
    return sparse.csr_array((np.ones(len(one)), (one, other)), shape=(len(voxels), len(voxels)))


def mesh_adjacency(faces: Int[NDArray[np.integer], "face 3"], n_vertices: int) -> sparse.csr_array:
    """Say which vertices of a mesh are neighbours: those that an edge joins.

    Parameters
    ----------
    faces : ndarray of int, shape (face, 3)
        Vertices of every triangle.
    n_vertices : int
        How many vertices there are.

    Returns
    -------
    scipy.sparse.csr_array, shape (vertex, vertex)

    Examples
    --------
    >>> mesh_adjacency(np.array([[0, 1, 2]]), 4).toarray().astype(int).tolist()
    [[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    """
    faces = np.asarray(faces)
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.min(initial=0) < 0 or faces.max(initial=0) >= n_vertices:
        raise ValueError(
            f"faces: got shape {faces.shape} with vertices up to {faces.max(initial=0)}; expected (face, 3) and fewer "
            f"than {n_vertices}."
        )
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    both = np.concatenate([edges, edges[:, ::-1]])
    found = sparse.csr_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(n_vertices, n_vertices))
    found.data[:] = 1.0  # an edge of two triangles is one edge
    return found


def chain_labels(above: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Give runs of neighbouring positions on a line a number, for all draws at once.

    Parameters
    ----------
    above : ndarray of bool, shape (draw, position)
        Which positions belong to some run.

    Returns
    -------
    ndarray of int, shape (draw, position)
        Numbers from 1, unique over draws, in order; 0 outside.
    """
    starts = above.copy()
    starts[:, 1:] &= ~above[:, :-1]
    return np.where(above, np.cumsum(starts.ravel()).reshape(above.shape), 0)


def graph_labels(adjacency: sparse.csr_array) -> Labeller:
    """Give a function that numbers connected positions of a graph.

    Parameters
    ----------
    adjacency : sparse matrix, shape (position, position)
        From :func:`grid_adjacency`.

    Returns
    -------
    callable
        As :func:`chain_labels`, draw by draw.
    """

    def label(above: NDArray[np.bool_]) -> NDArray[np.intp]:
        labels = np.zeros(above.shape, dtype=np.intp)
        offset = 0
        for draw, inside in enumerate(above):
            if inside.any():
                count, found = connected_components(adjacency[inside][:, inside], directed=False)
                labels[draw, inside] = found + 1 + offset
                offset += count
        return labels

    return label


def cluster_mass(statistics: Statistics, threshold: float, label: Labeller = chain_labels) -> Statistics:
    """Give at each position the sum of the statistic over its cluster, 0 outside of clusters.

    Parameters
    ----------
    statistics : ndarray, shape (draw, position)
        Such as t.
    threshold : float
        What a position has to pass to belong to a cluster.
    label : callable
        Numbers clusters.

    Returns
    -------
    ndarray, shape (draw, position)
    """
    labels = label(statistics > threshold)
    masses = np.bincount(labels.ravel(), weights=statistics.ravel(), minlength=1)
    masses[0] = 0
    return np.asarray(masses[labels], dtype=np.float64)


def cluster_size(statistics: Statistics, threshold: float, label: Labeller = chain_labels) -> Statistics:
    """Give at each position the number of positions in its cluster, 0 outside of clusters.

    Parameters
    ----------
    statistics : ndarray, shape (draw, position)
        Such as correlations.
    threshold : float
        What a position has to pass to belong to a cluster.
    label : callable
        Numbers clusters.

    Returns
    -------
    ndarray, shape (draw, position)

    Examples
    --------
    >>> cluster_size(np.array([[0.0, 3.0, 4.0, 0.0, 5.0]]), 2.0).tolist()
    [[0.0, 2.0, 2.0, 0.0, 1.0]]
    """
    labels = label(statistics > threshold)
    sizes = np.bincount(labels.ravel(), minlength=1)
    sizes[0] = 0
    return np.asarray(sizes[labels], dtype=np.float64)


def threshold_free(statistics: Statistics, label: Labeller = chain_labels, step: float = STEP) -> Statistics:
    r"""Enhance a statistic by what its neighbours support, over all thresholds at once.

    .. math:: \sum_{h = s, 2 s, \dots \le t} e(h)^{E} h^{H} s

    with :math:`e(h)` the number of locations in the cluster above :math:`h`. A row takes at most :data:`MOST_STEPS`
    steps: where it is so high that steps of ``step`` would be more, they are longer.

    Parameters
    ----------
    statistics : ndarray, shape (draw, location)
        Such as t; finite, or minus infinity where there is none.
    label : callable
        Numbers clusters.
    step : float
        Height of a step; 0 for a hundredth of the largest value of every row.

    Returns
    -------
    ndarray, shape (draw, location)
        0 where the statistic is below the first step.

    Examples
    --------
    >>> threshold_free(np.array([[0.0, 1.0, 1.0]]), step=0.5).round(3).tolist()
    [[0.0, 0.884, 0.884]]
    """
    enhanced = np.zeros(statistics.shape)
    top = statistics.max(axis=1, keepdims=True, initial=0.0)  # (draw, 1)
    steps = np.maximum(step, top / (MOST_STEPS if step > 0 else STEPS_OF_SCORES))
    n_steps = np.floor(np.divide(top, steps, out=np.zeros_like(top), where=steps > 0) * (1 + 1e-12)).astype(int)
    for number in range(1, int(n_steps.max(initial=0)) + 1):
        rows = np.flatnonzero(n_steps[:, 0] >= number)
        height = number * steps[rows]
        labels = label(statistics[rows] >= height * (1 - 1e-12))
        extents = np.bincount(labels.ravel())
        extents[0] = 0
        enhanced[rows] += extents[labels] ** EXTENT_POWER * (height**HEIGHT_POWER * steps[rows])
    return enhanced
