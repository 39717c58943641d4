"""Summaries of a repetition simulation."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroling.n400.summary import band_table, pool_lexicons, shape_table

TIMES = np.arange(-4, 40) * 0.02


def repetition(drop=0.2):
    hump = np.exp(-((TIMES - 0.4) ** 2) / (2 * 0.05**2))
    values = np.stack([hump, (1 - drop) * hump])[:, None] * np.ones((1, 3, 1))
    coords = {"sample": ["a", "b"], "condition": ("sample", ["new", "repeated"]), "repeat": range(3), "time": TIMES}
    return xr.DataArray(values, dims=("sample", "repeat", "time"), coords=coords, attrs={"model": "made"})


def test_shape_of_a_known_hump():
    row = shape_table(repetition()).iloc[0]
    assert row["peaks"] == 1
    assert row["latency"] == pytest.approx(0.4)
    assert row["peak"] == pytest.approx(1)
    assert row["final"] < 0.01
    assert row["power at 0.0 Hz"] == pytest.approx(0.8**2)


def test_lexicons_are_told_apart():
    pooled = pool_lexicons([repetition(), repetition(0.5)])
    assert pooled.sizes == {"sample": 4, "repeat": 3, "time": len(TIMES)}
    assert list(pooled["lexicon"].values) == ["0", "0", "1", "1"]
    assert pooled["sample"].to_index().is_unique


def test_nothing_to_pool_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        pool_lexicons([])


def test_bands_of_a_slow_wave_lie_low():
    slow = repetition().assign_coords(kind=("sample", ["word", "word"]))
    slow = slow.copy(data=np.broadcast_to(1 + np.cos(2 * np.pi * 2.5 * TIMES), slow.shape))
    table = band_table(slow)
    assert table[["kind", "condition"]].to_numpy().tolist() == [["word", "new"], ["word", "repeated"]]
    assert table["delta"][0] > 10 * table["theta"][0]
    assert (table[["constant", "delta", "theta", "alpha", "beta"]].sum(axis=1) <= 1 + 1e-9).all()


def test_bands_that_the_ticks_do_not_resolve_are_left_out():
    slow = repetition().assign_coords(kind=("sample", ["word", "word"]))
    assert "beta" not in band_table(slow.isel(time=slice(None, None, 2)))
