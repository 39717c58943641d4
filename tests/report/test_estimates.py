"""Pictures of estimates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroling import GroupMean, MixedModel, SignFlip, align_table, estimate

RANDOM = {"reader": ["1"], "item": ["1"]}


def data():
    rng = np.random.default_rng(0)
    reader, item = np.divmod(np.arange(120), 12)
    table = pd.DataFrame({"x": rng.standard_normal(120), "z": rng.standard_normal(120), "reader": reader, "item": item})
    return align_table(table.assign(rt=table["x"] + 0.3 * reader + rng.standard_normal(120)), "rt", ["x", "z"])


def waves(n_channels=None):
    time = np.arange(-0.1, 0.6, 0.02)
    values = np.random.default_rng(0).standard_normal((16, len(time), n_channels or 1))
    values -= 3 * np.exp(-(((time - 0.4) / 0.08) ** 2))[:, None]
    both = xr.DataArray(values, dims=("subject", "time", "channel"), coords={"time": time})
    return both if n_channels else both.isel(channel=0)


def test_effects_are_points_with_intervals_and_the_intercept_is_left_out():
    ax = estimate(MixedModel(["x", "z"], RANDOM), data()).plot()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["x", "z"]


def test_models_are_told_apart():
    models = {"both": MixedModel(["x", "z"], RANDOM), "one": MixedModel(["x"], RANDOM)}
    ax = estimate(models, data()).plot()
    assert {"both", "one"} <= {text.get_text() for text in ax.get_legend().get_texts()}


def test_waves_are_curves_with_bars_where_clusters_are_significant():
    result = estimate(GroupMean(), waves(), inference=SignFlip("subject", clusters="mass"))
    ax = result.plot()
    curve = next(line for line in ax.lines if line.get_label() == "estimate")
    np.testing.assert_allclose(curve.get_ydata(), result.score)
    assert ax.get_xlabel() == "time (ms)"
    assert any("clusters" in text.get_text() for text in ax.get_legend().get_texts())


def test_a_single_mean_is_a_point():
    values = xr.DataArray(np.arange(1.0, 8.0), dims="subject")
    ax = estimate(GroupMean(), values).plot()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["mean"]


def test_too_many_axes_are_refused():
    with pytest.raises(ValueError, match="too many for one picture"):
        estimate(GroupMean(), waves(n_channels=2)).plot()
