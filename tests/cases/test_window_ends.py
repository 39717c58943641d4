"""Window ends that were lost to rounding: the peak on the first or last sample of a window is found there."""

from __future__ import annotations

import mne
import numpy as np
import pytest
import xarray as xr

from neuroling import Result, align, combine
from neuroling.cli.comparison import difference_of, side_by_side
from neuroling.encoding import to_volumes
from neuroling.evaluation import peak_latency
from neuroling.n400.measures import fractional_latency, mean_amplitude, peak


def test_a_peak_on_the_first_sample_of_the_window_is_reported_there():
    times = mne.EpochsArray(np.zeros((1, 1, 100)), mne.create_info(1, 100.0, "eeg"), tmin=-0.2, verbose="error").times
    times = np.lib.stride_tricks.sliding_window_view(times, 3).mean(-1)  # what rdms(window=3) gives
    i = int(np.argmin(abs(times - 0.2)))
    a = 0.001 * np.random.default_rng(0).standard_normal((8, len(times)))
    a[:, i] += 5
    scores = xr.DataArray(a, dims=("subject", "time"), coords={"time": times})
    assert peak_latency(scores, window=(0.2, 0.4)).estimate == pytest.approx(0.20, abs=1e-3)


@pytest.mark.parametrize("rate", [100.0, 128.0, 250.0, 256.0, 500.0, 512.0, 1000.0])
@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_both_ends_of_every_window_are_looked_at(rate, width):
    """392 combinations in the report; here rates, widths of moving means, and windows of both signs."""
    tmin = -round(0.2 * rate) / rate
    n = int(0.9 * rate)
    times = mne.EpochsArray(np.zeros((1, 1, n)), mne.create_info(1, rate, "eeg"), tmin=tmin, verbose="error").times
    times = np.lib.stride_tricks.sliding_window_view(times, width).mean(-1)
    for first in (0.0, 0.1, 0.2, 0.3):
        start = int(np.argmin(abs(times - first)))
        stop = int(np.argmin(abs(times - first - 0.2)))
        window = (float(np.round(times[start], 9)), float(np.round(times[stop], 9)))
        wave = xr.DataArray(np.zeros(len(times)), dims="time", coords={"time": times})
        wave[start], wave[stop] = 2.0, 1.0
        assert float(mean_amplitude(wave, window)) == pytest.approx(3 / (stop - start + 1))
        assert float(peak(wave, window)[1]) == times[start]
        scores = wave + xr.DataArray(0.001 * np.arange(6.0), dims="subject")
        assert peak_latency(scores, window=window, n_draws=100).estimate == pytest.approx(times[start], abs=0.5 / rate)
        if start > 0:
            assert float(fractional_latency(wave, window)) == pytest.approx(times[start] - 0.5 / rate)


def test_results_whose_times_differ_by_rounding_are_combined_and_compared():
    times = np.arange(-5, 15) / 50
    results = {
        name: Result.of(
            xr.DataArray(np.ones((2, 20)), dims=("split", "time"), coords={"time": times + shift}), metric="pearson"
        )
        for name, shift in {"s1": 0.0, "s2": 2.7e-17, "s3": 0.004}.items()
    }
    assert combine({name: results[name] for name in ("s1", "s2")}, "subject").score.sizes == {"subject": 2, "time": 20}
    assert float(abs(difference_of(results["s1"], results["s2"])).max()) == 0
    assert len(side_by_side(results["s1"], results["s2"])) == 20
    with pytest.raises(ValueError, match="labels along 'time' differ"):
        combine({name: results[name] for name in ("s1", "s3")}, "subject")


def test_onsets_that_differ_by_rounding_are_the_same_onsets():
    rng = np.random.default_rng(0)
    onset = np.arange(12) / 10
    coords = {"sample": np.arange(12), "onset": ("sample", onset)}
    features = xr.DataArray(rng.standard_normal((12, 2)), dims=("sample", "feature"), coords=coords)
    recording = features.rename(feature="channel").assign_coords(onset=("sample", np.arange(12) * 0.1 + 3e-17))
    assert align(features, recording).n_samples == 12
    with pytest.raises(ValueError, match="'onset': features and recording disagree"):
        align(features, recording.assign_coords(onset=("sample", onset + 0.002)))


@pytest.mark.parametrize("by", ["sum", "mean", "last"])
def test_a_word_at_a_sample_falls_into_that_sample(by):
    frames = np.arange(100) * 0.1  # 0.30000000000000004 and the like
    onsets = np.round(np.arange(100) * 0.1, 1)
    coords = {"sample": np.arange(100), "onset": ("sample", onsets)}
    words = xr.DataArray(np.arange(100.0)[:, None], dims=("sample", "feature"), coords=coords)
    np.testing.assert_array_equal(to_volumes(words, frames, by=by).values[:, 0], np.arange(100.0))
