from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroling import convolve
from neuroling.encoding import run_by_run
from neuroling.encoding.words_in_volumes import in_volumes


def words(runs=("a", "b"), n=40, named=True):
    rng = np.random.default_rng(0)
    onset = np.concatenate([np.sort(rng.uniform(0, 70, n)) for _ in runs])
    coords = {"sample": range(n * len(runs)), "onset": ("sample", onset)}
    if named:
        coords["group"] = ("sample", np.repeat(runs, n))
    values = rng.standard_normal((n * len(runs), 2))
    return xr.DataArray(values, dims=("sample", "feature"), coords={**coords, "feature": ["x", "y"]})


def recording(runs=("a", "b"), n=40):
    coords = {
        "sample": [f"{run}:{i}" for run in runs for i in range(n)],
        "onset": ("sample", np.tile(2.0 * np.arange(n), len(runs))),
        "time_index": ("sample", np.tile(np.arange(n), len(runs))),
    }
    if len(runs) > 1:
        coords["group"] = ("sample", np.repeat(runs, n))
    return xr.DataArray(np.zeros((n * len(runs), 1)), dims=("sample", "voxel"), coords=coords)


def test_words_are_spread_run_by_run_with_the_labels_of_the_recording():
    spread = in_volumes({"model": words()}, recording())["model"]
    centred = words() - words().mean("sample")
    expected = run_by_run(convolve, centred, {"a": 2.0 * np.arange(40), "b": 2.0 * np.arange(40)})
    np.testing.assert_allclose(spread.values, expected.values)
    assert spread.sample.values.tolist() == recording().sample.values.tolist()
    assert spread.attrs["longest_delay"] > 0


def test_runs_in_another_order_keep_their_labels():
    turned = recording(("b", "a"))
    a, b = in_volumes({"m": words()}, recording())["m"], in_volumes({"m": words()}, turned)["m"]
    np.testing.assert_allclose(a.values, b.sel(sample=a.sample.values).values)


def test_one_run_needs_no_name_on_either_side():
    alone = in_volumes({"m": words(("a",), named=False)}, recording(("a",)))["m"]
    named = in_volumes({"m": words(("a",))}, recording(("a",)))["m"]
    np.testing.assert_array_equal(alone.values, named.values)


def test_the_rate_of_words_is_not_centred_away():
    rate = xr.ones_like(words()[:, :1])
    assert float(in_volumes({"rate": rate}, recording())["rate"].max()) > 0


def test_delays_stay_in_their_run():
    spread = in_volumes({"m": words()}, recording(), response=range(1, 4))["m"]
    assert spread.sizes["feature"] == 6
    assert (spread.values[40, :2] == 0).all()  # nothing of run a in the first volume of run b


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="do not name their run"):
        in_volumes({"m": words(("a",), named=False)}, recording())
    with pytest.raises(ValueError, match="runs"):
        in_volumes({"m": words(("a", "c"))}, recording())
    with pytest.raises(ValueError, match="'onset'"):
        in_volumes({"m": words()}, recording().drop_vars("onset"))
