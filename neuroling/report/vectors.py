"""Vectors of texts as a map in two dimensions, which says how far to trust it."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.report.figures import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_vector_map(vectors: xr.DataArray, groups: Sequence[str], *, rng: int = 0) -> Axes:
    """Draw vectors as points, near one another where cosines are high, coloured by group.

    By UMAP (McInnes et al. 2018) where ``umap-learn`` is installed, else by t-SNE (van der Maaten and Hinton 2008). The
    title says which, and the trustworthiness of the map (Venna and Kaski 2001): 1 where neighbours on the map are
    neighbours among the vectors.

    Parameters
    ----------
    vectors : xarray.DataArray, dims (sample, feature)
        Such as sentence embeddings; at least twelve.
    groups : sequence of str
        Group of each sample.
    rng : int
        Seed of the map.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> values = np.random.default_rng(0).standard_normal((20, 5))
    >>> vectors = xr.DataArray(values, dims=("sample", "feature"))
    >>> "trustworthiness" in plot_vector_map(vectors, ["a"] * 10 + ["b"] * 10).get_title()
    True
    """
    from sklearn.manifold import trustworthiness

    values = vectors.transpose("sample", "feature").to_numpy()
    if len(values) != len(groups):
        raise ValueError(f"groups: got {len(groups)} for {len(values)} vectors; expected one for each.")
    method, points = _flattened(values, rng)
    trust = trustworthiness(values, points, n_neighbors=5, metric="cosine")
    axes = new_axes(7.5, 6)
    labels = np.asarray(groups)
    for name in dict.fromkeys(groups):
        axes.scatter(*points[labels == name].T, label=name)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set_title(f"{method}: trustworthiness {trust:.2f}")
    axes.set_xticks([])
    axes.set_yticks([])
    return axes


def _flattened(values: NDArray[Any], seed: int) -> tuple[str, NDArray[Any]]:
    """Bring vectors to two dimensions, and say how."""
    if importlib.util.find_spec("umap") is None:
        from sklearn.manifold import TSNE

        points = TSNE(perplexity=5, init="pca", metric="cosine", random_state=seed).fit_transform(values)
        return "t-SNE", np.asarray(points)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # of its parametric relative, which needs Tensorflow
        from umap import UMAP

    reducer = UMAP(n_neighbors=8, min_dist=0.3, metric="cosine", random_state=seed, n_jobs=1)
    return "UMAP", np.asarray(reducer.fit_transform(values))
