"""Summaries of a repetition simulation."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroling.n400.measures import rebound
from neuroling.n400.published import curves
from neuroling.n400.repetition_summary import (
    SINGLE_PEAKED,
    band_table,
    pool_lexicons,
    rebounds,
    shape_table,
    window_caption,
)

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


def test_caption_promises_a_half_width_only_where_there_is_a_hump():
    shape = shape_table(repetition())
    assert "width at half of the peak" in window_caption(shape)
    assert "no half-width" in window_caption(shape.assign(peaks=0))


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


def two_humps(second):
    """Ten readers whose response comes again at so large a share, give or take a hundredth."""
    shares = second + np.tile([-0.01, 0.01], 5)
    early, late = (np.exp(-((TIMES - centre) ** 2) / (2 * 0.04**2)) for centre in (0.2, 0.6))
    values = early + shares[None, :, None] * late
    coords = {"sample": ["a"], "condition": ("sample", ["new"]), "repeat": range(10), "time": TIMES}
    return xr.DataArray(values, dims=("sample", "repeat", "time"), coords=coords)


@pytest.mark.parametrize(("second", "single"), [(0.05, 1), (0.3, 0)])
def test_response_that_comes_again_is_not_single_peaked(second, single):
    found = rebounds(two_humps(second))
    assert found["rebound"] == pytest.approx(second, abs=0.005)
    assert found["rebound low"] < second < found["rebound high"]
    assert found["single-peaked"] == single


def test_one_reader_rising_again_is_not_hidden_by_the_mean():
    humps = two_humps(0.4)
    shifted = humps.copy(data=np.stack([np.roll(one, place, axis=-1) for place, one in enumerate(humps[0])])[None])
    assert rebounds(shifted)["rebound"] > 0.3


def test_lexicons_have_readers_of_their_own():
    pooled = pool_lexicons([two_humps(0.02), two_humps(0.5)])
    assert rebounds(pooled)["rebound"] == pytest.approx(0.26, abs=0.01)


def test_rebound_of_one_reader_is_refused():
    with pytest.raises(ValueError, match="two or more"):
        rebounds(two_humps(0.1).isel(repeat=[0]))


def test_published_first_presentations_pass_the_bar_and_second_ones_do_not():
    theirs = curves()
    rises = {
        name: rebound(theirs.sel(sample=f"word, {name}").isel(time=slice(4, None))) for name in ("new", "repeated")
    }
    assert float(rises["new"]) < SINGLE_PEAKED < float(rises["repeated"])
