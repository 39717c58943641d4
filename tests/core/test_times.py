"""Windows and grids of times: no sample is lost to rounding, and equal grids are equal."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroling.core.times import in_window, rows_in_window, same_times, since, with_shared_times

RATES = (50.0, 100.0, 128.0, 250.0, 256.0, 500.0, 512.0, 600.614990234375, 1000.0, 1024.0)


@given(st.sampled_from(RATES), st.integers(-300, 0), st.integers(0, 200), st.integers(0, 100), st.integers(0, 9))
@settings(max_examples=300, deadline=None)
def test_a_window_between_two_samples_holds_both_however_times_were_computed(rate, first, offset, length, maker):
    n = offset + length + 3
    exact = (first + np.arange(n)) / rate
    makers = (
        exact,
        np.arange(first, first + n) * (1 / rate),
        first / rate + np.arange(n) * (1 / rate),
        np.cumsum(np.concatenate([[first / rate], np.full(n - 1, 1 / rate)])),
        np.linspace(exact[0], exact[-1], n),
        exact.astype(np.float32).astype(np.float64),
        np.lib.stride_tricks.sliding_window_view(np.arange(first - 1, first + n + 1) / rate, 3).mean(axis=-1),
        1 + exact - 1,
        exact * 1000 / 1000,
        np.nextafter(exact, np.inf),
    )
    window = ((first + offset) / rate, (first + offset + length) / rate)
    assert rows_in_window(makers[maker], window).tolist() == list(range(offset, offset + length + 1))


def test_an_end_off_the_grid_takes_no_sample_from_outside():
    times = np.arange(0.0, 0.6, 0.02)
    inside = times[rows_in_window(times, (0.25, 0.45))]
    assert (inside[0], inside[-1]) == pytest.approx((0.26, 0.44))


def test_an_end_may_lie_half_a_step_outside_and_no_further():
    times = np.arange(10) * 0.02  # 0 to 0.18 s
    assert len(rows_in_window(times, (-0.01, 0.19))) == 10
    for window in ((-0.0105, 0.1), (0.0, 0.1905)):
        with pytest.raises(ValueError, match="out of the epoch"):
            rows_in_window(times, window)


@pytest.mark.parametrize(
    ("times", "window", "message"),
    [
        ([0.0, 0.1], (0.1, 0.0), "the earlier first"),
        ([0.0, 0.1], (0.0, np.nan), "two finite numbers"),
        ([0.0, 0.1], (0.0, 0.05, 0.1), "two finite numbers"),
        ([0.0, 0.1], ("a", 0.1), "two finite numbers"),
        ([0.0, 0.1], slice(0.0, 0.1), "two finite numbers"),
        ([0.0, 0.1, 0.2], (0.04, 0.06), "no time point"),
        ([0.1, 0.0], (0.0, 0.1), "growing"),
        ([0.0, np.nan], (0.0, 0.1), "finite seconds"),
        ([], (0.0, 0.1), "growing"),
    ],
)
def test_windows_that_do_not_fit_get_a_sentence(times, window, message):
    with pytest.raises(ValueError, match=message):
        rows_in_window(times, window)


def test_a_single_time_can_be_a_window():
    assert rows_in_window([0.3], (0.3, 0.3)).tolist() == [0]


def test_the_onset_itself_is_kept():
    times = np.arange(-20, 20) * 0.01
    wave = xr.DataArray(times, dims="time", coords={"time": times - 3e-17})
    assert since(wave).sizes["time"] == 20
    assert in_window(wave, (-0.05, 0.05)).sizes["time"] == 11


def test_grids_are_compared_in_samples():
    times = np.arange(-20, 60) / 250
    assert same_times(times, times + 3e-17)
    assert same_times(times, times + 0.009 / 250)
    assert not same_times(times, times + 0.011 / 250)
    assert not same_times(times, times[:-1])
    assert not same_times(times, np.arange(-20, 60) / 256)


def test_times_are_shared_where_they_are_the_same_and_kept_where_not():
    times = np.arange(5) / 100
    waves = {
        name: xr.DataArray(np.zeros(5), dims="time", coords={"time": values})
        for name, values in {"a": times, "b": times + 1e-17, "c": times + 0.004}.items()
    }
    shared = with_shared_times({**waves, "d": xr.DataArray(1.0)})
    assert list(shared) == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(shared["b"].time, times)
    np.testing.assert_array_equal(shared["c"].time, times + 0.004)
