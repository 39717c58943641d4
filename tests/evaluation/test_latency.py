"""Latencies of peaks and onsets: exact on clean curves, and intervals that cover the truth."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import ndimage
from scipy.stats import ttest_1samp

from neuroling.evaluation.latency import onset_latency, peak_latency, peak_p_value, score_at_others_peak

TIMES = np.arange(-0.2, 0.8, 0.005)
WINDOW = (0.0, 0.6)


def courses(rng, *, peak=0.18, width=0.04, noise=1.0, n=24):
    curve = np.exp(-0.5 * ((TIMES - peak) / width) ** 2)
    values = 2 * curve + noise * 3 * ndimage.gaussian_filter1d(rng.standard_normal((n, len(TIMES))), 6, axis=1)
    return xr.DataArray(values, dims=("subject", "time"), coords={"time": TIMES})


@pytest.mark.parametrize("peak", [0.15, 0.1812, 0.2])
def test_a_clean_peak_is_found_between_samples(peak):
    found = peak_latency(courses(np.random.default_rng(0), peak=peak, noise=0), window=WINDOW, n_draws=100)
    assert found.estimate == pytest.approx(peak, abs=2e-4)


@pytest.mark.parametrize("fraction", [0.25, 0.5, 0.9])
def test_a_clean_onset_is_found_between_samples(fraction):
    data = courses(np.random.default_rng(1), noise=0)
    found = onset_latency(data, window=WINDOW, fraction=fraction, n_draws=100)
    assert found.estimate == pytest.approx(0.18 - 0.04 * np.sqrt(-2 * np.log(fraction)), abs=5e-4)


def test_a_difference_keeps_its_sign():
    rng = np.random.default_rng(2)
    early, late = (courses(rng, peak=peak, noise=0.3) for peak in (0.15, 0.25))
    found = [peak_latency(data, window=WINDOW, rng=1) for data in (early, late)]
    difference = found[0].less(found[1])
    assert difference.upper < 0
    assert difference.estimate == pytest.approx(-0.1, abs=0.02)


def test_differences_of_equal_latencies_straddle_zero():
    """An interval of absolute differences lies above zero in a quarter of null cases; a signed one does not."""
    rng, above = np.random.default_rng(3), 0
    for _ in range(60):
        sides = [peak_latency(courses(rng), window=WINDOW, n_draws=150, rng=5) for _ in range(2)]
        difference = sides[0].less(sides[1])
        above += not difference.lower <= 0 <= difference.upper
    assert above <= 8


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.5, 1.0])
@pytest.mark.parametrize("find", [peak_latency, onset_latency])
def test_intervals_cover_the_truth(find, noise):
    rng = np.random.default_rng(4)
    truth = 0.18 if find is peak_latency else 0.18 - 0.04 * np.sqrt(2 * np.log(2))
    found = [find(courses(rng, noise=noise), window=WINDOW, n_draws=300, rng=rng) for _ in range(1500)]
    covered = np.mean([latency.lower <= truth <= latency.upper for latency in found])
    assert 0.93 <= covered <= 0.97


def test_equal_seeds_agree_and_others_do_not():
    data = courses(np.random.default_rng(5))
    one, same, other = (peak_latency(data, window=WINDOW, rng=seed) for seed in (1, 1, 2))
    assert (one.lower, one.upper) == (same.lower, same.upper)
    assert one.lower != other.lower


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": (0.5, 2.0)}, "inside the epoch"),
        ({"window": (-1.0, 0.5)}, "inside the epoch"),
        ({"window": (0.1, 0.105)}, "at least 3"),
        ({"window": WINDOW, "level": 95}, "between 0.5 and 1"),
        ({"window": WINDOW, "n_draws": 5}, "at least 100"),
        ({"window": WINDOW, "axis": "draw"}, "expected \\('draw', 'time'\\)"),
    ],
)
def test_bad_options_get_a_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        peak_latency(courses(np.random.default_rng(6)), **options)


def test_bad_scores_get_a_sentence():
    data = courses(np.random.default_rng(7))
    with pytest.raises(ValueError, match="at least 5 participants"):
        peak_latency(data.isel(subject=slice(4)), window=WINDOW)
    with pytest.raises(ValueError, match="NaN"):
        peak_latency(data.where(data < 1), window=WINDOW)
    with pytest.raises(ValueError, match="fraction"):
        onset_latency(data, window=WINDOW, fraction=1.5)
    with pytest.raises(ValueError, match="same number"):
        peak_latency(data, window=WINDOW, n_draws=100).less(peak_latency(data, window=WINDOW, n_draws=200))


def test_a_peak_chosen_on_others_is_tested_at_the_nominal_rate():
    """Chosen on the same data, most null time courses have a significant peak; chosen on others, one in six for t."""
    rng = np.random.default_rng(8)
    same, others = 0, 0
    for _ in range(150):
        noise = ndimage.gaussian_filter1d(rng.standard_normal((20, 120)), 8, axis=1)
        data = xr.DataArray(noise, dims=("subject", "time"), coords={"time": np.arange(120) * 0.005})
        at_peak = data.isel(time=int(data.mean("subject").argmax("time")))
        same += ttest_1samp(at_peak, 0, alternative="greater").pvalue < 0.05
        others += peak_p_value(data, window=(0.0, 0.595), n_draws=100, rng=rng) <= 0.05
    assert same > 45
    assert others <= 15  # 7.5 expected


@pytest.mark.slow
def test_nominal_rate_at_the_peak_of_others():
    rng, hits = np.random.default_rng(10), 0
    for _ in range(1500):
        noise = ndimage.gaussian_filter1d(rng.standard_normal((20, 120)), 8, axis=1)
        data = xr.DataArray(noise, dims=("subject", "time"), coords={"time": np.arange(120) * 0.005})
        hits += peak_p_value(data, window=(0.0, 0.595), n_draws=199, rng=rng) <= 0.05
    assert 0.03 <= hits / 1500 <= 0.07


def test_seeds_of_the_peak_test():
    data = courses(np.random.default_rng(11), noise=4.0)
    one, same, other = (peak_p_value(data, window=WINDOW, n_draws=100, rng=seed) for seed in (1, 1, 2))
    assert one == same
    assert 0 < other <= 1


def test_a_real_peak_is_found_by_the_others():
    chosen = score_at_others_peak(courses(np.random.default_rng(9), noise=0.3), window=WINDOW)
    assert abs(chosen.time - 0.18).max() < 0.03
    assert float(chosen.mean()) > 1.5
