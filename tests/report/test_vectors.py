"""Maps of vectors keep groups together, and say how far to trust them."""

import numpy as np
import pytest
import xarray as xr

from neuroling.report.vectors import plot_vector_map


def test_groups_that_are_far_apart_are_drawn_apart():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(1, 0.1, (12, 5)), rng.normal([1, -1, 1, -1, 1], 0.1, (12, 5))])
    axes = plot_vector_map(xr.DataArray(values, dims=("sample", "feature")), ["a"] * 12 + ["b"] * 12)
    one, other = (np.asarray(points.get_offsets()) for points in axes.collections)
    within = max(np.ptp(points, axis=0).max() for points in (one, other))
    assert np.linalg.norm(one.mean(axis=0) - other.mean(axis=0)) > within / 2


def test_a_group_for_every_vector_is_needed():
    with pytest.raises(ValueError, match="got 1 for 12 vectors"):
        plot_vector_map(xr.DataArray(np.ones((12, 2)), dims=("sample", "feature")), ["a"])
