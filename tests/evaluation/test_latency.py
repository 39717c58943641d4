"""Latencies of peaks and onsets: exact on clean curves, and intervals that cover the truth."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import ndimage
from scipy.stats import ttest_1samp

from neuroling.evaluation.latency import onset_latency, peak_latency, peak_p_value, score_at_others_peak
from neuroling.numerics.statistics.latencies import onset_interval, onset_times, rising_crossing

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


# --- polarity, and intervals that leave the window --------------------------------------------------------------------


@pytest.mark.parametrize("find", [peak_latency, onset_latency])
def test_a_negative_wave_turned_over_has_the_latency_of_the_positive_one(find):
    data = courses(np.random.default_rng(12), noise=0.5)
    up, down = find(data, window=WINDOW), find(-data, window=WINDOW, polarity="negative")
    assert (up.estimate, up.lower, up.upper) == (down.estimate, down.lower, down.upper)
    np.testing.assert_array_equal(up.draws, down.draws)


def test_scores_at_the_peak_of_a_negative_wave_keep_their_sign():
    data = courses(np.random.default_rng(13), noise=0.5)
    up, down = (
        score_at_others_peak(s * data, window=WINDOW, polarity=p) for s, p in ((1, "positive"), (-1, "negative"))
    )
    np.testing.assert_array_equal(up, -down)
    np.testing.assert_array_equal(up.time, down.time)
    p_up, p_down = (
        peak_p_value(s * data, window=WINDOW, polarity=p, n_draws=100) for s, p in ((1, "positive"), (-1, "negative"))
    )
    assert p_up == p_down < 0.05


@pytest.mark.parametrize("find", [peak_latency, onset_latency])
def test_a_wave_of_the_other_polarity_is_not_dated_without_a_word(find):
    data = courses(np.random.default_rng(14), noise=0.3)
    with pytest.raises(ValueError, match=r"never positive in the window.*polarity='negative'"):
        find(-data - 1, window=(0.1, 0.3))
    with pytest.warns(UserWarning, match="as far the other way as it is positive; say polarity='negative'"):
        find(-data + 0.3, window=(0.1, 0.3))
    with pytest.raises(ValueError, match="polarity: got 'down'"):
        find(data, window=WINDOW, polarity="down")


def test_the_n400_is_dated_at_its_trough():
    times = np.arange(-0.1, 0.8, 0.004)
    rng = np.random.default_rng(15)
    wave = 3 * np.exp(-0.5 * ((times - 0.2) / 0.03) ** 2) - 5 * np.exp(-0.5 * ((times - 0.4) / 0.05) ** 2)
    data = xr.DataArray(
        wave + ndimage.gaussian_filter1d(rng.standard_normal((16, len(times))), 6, axis=1),
        dims=("subject", "time"),
        coords={"time": times},
    )
    found = peak_latency(data, window=(0.2, 0.6), polarity="negative")
    assert found.estimate == pytest.approx(0.4, abs=0.01)
    assert found.lower < 0.4 < found.upper


def test_an_interval_that_leaves_the_window_is_refused():
    noise = xr.DataArray(
        np.random.default_rng(16).standard_normal((12, len(TIMES))), dims=("subject", "time"), coords={"time": TIMES}
    )
    with pytest.raises(ValueError, match=r"they do not tell when the peak is: .* leaves the window, 0 to 0\.6"):
        peak_latency(noise, window=WINDOW)


def test_an_interval_of_an_onset_says_where_the_data_do_not_bound_it():
    noise = courses(np.random.default_rng(17), noise=8.0, n=6)
    found = onset_latency(noise, window=WINDOW)
    assert not (found.is_bounded_below and found.is_bounded_above)
    assert "window's" in str(found)
    assert 0.0 <= found.lower <= found.estimate <= found.upper <= 0.6 + 1e-9
    clear = onset_latency(courses(np.random.default_rng(17), noise=0.2), window=WINDOW)
    assert clear.is_bounded_below
    assert clear.is_bounded_above
    assert "window" not in str(clear)


# --- onsets at low signal ---------------------------------------------------------------------------------------------


def at_signal(rng, snr, n, *, peak=0.35, width=0.1, smooth=6):
    """A Gaussian of ``snr`` standard deviations in noise as autocorrelated as that of EEG, shape (subject, time)."""
    noise = ndimage.gaussian_filter1d(rng.standard_normal((n, len(TIMES) + 80)), smooth, axis=1)[:, 40:-40]
    return snr * np.exp(-0.5 * ((TIMES - peak) / width) ** 2) + noise * np.sqrt(2 * np.sqrt(np.pi) * smooth)


INSIDE = (TIMES > -1e-9) & (TIMES < 0.6 + 1e-9)
TRUE_ONSET = 0.35 - 0.1 * np.sqrt(2 * np.log(2))


def test_onsets_at_low_signal_are_neither_late_nor_early():
    """Half of the largest value, passed last, is 35 ms late here on average."""
    rng = np.random.default_rng(18)
    sets = [at_signal(rng, 0.6, 12)[:, INSIDE] for _ in range(400)]
    found = np.array([onset_times(np.ones((1, 12)), data, TIMES[INSIDE], 0.5)[0] for data in sets]) - TRUE_ONSET
    naive = []
    for data in sets:
        mean = data.mean(axis=0)
        below = np.flatnonzero(mean[: mean.argmax()] < mean.max() / 2)
        naive.append(TIMES[INSIDE][below[-1] if len(below) else 0] - TRUE_ONSET)
    assert np.mean(naive) > 0.025
    assert abs(np.median(found)) < 0.02
    assert abs(np.mean(found)) < 0.03
    rng = np.random.default_rng(19)
    clear = [
        onset_times(np.ones((1, 12)), at_signal(rng, 2.0, 12)[:, INSIDE], TIMES[INSIDE], 0.5)[0] for _ in range(200)
    ]
    assert np.mean(clear) == pytest.approx(TRUE_ONSET, abs=0.006)


@pytest.mark.parametrize(("snr", "n"), [(0.6, 6), (1.0, 12), (2.0, 24)])
def test_intervals_of_onsets_cover_the_truth_at_any_signal(snr, n):
    """A small part of benchmarks/calibration/latencies.py: of 200 data sets 181 to 199 are within chance of 190."""
    rng = np.random.default_rng(20)
    covered = 0
    for _ in range(200):
        found = onset_interval(at_signal(rng, snr, n)[:, INSIDE], TIMES[INSIDE], 0.5, 0.95)
        covered += found.lower <= TRUE_ONSET <= found.upper
    assert 181 <= covered <= 199


def test_misses_are_on_both_sides():
    """Thirty-four of thirty-five were on one."""
    rng, early, late = np.random.default_rng(21), 0, 0
    for _ in range(400):
        found = onset_interval(at_signal(rng, 1.0, 12)[:, INSIDE], TIMES[INSIDE], 0.5, 0.8)
        early += found.upper < TRUE_ONSET
        late += found.lower > TRUE_ONSET
    assert early + late > 20
    assert min(early, late) > (early + late) / 5


def test_a_crossing_is_where_a_step_fits_best():
    """The minimum of the integral, here against a search over a fine grid."""
    rng = np.random.default_rng(22)
    times = np.cumsum(rng.uniform(0.5, 1.5, 40))
    for _ in range(20):
        mean = np.cumsum(rng.standard_normal(40)) / 3 + np.linspace(-2, 3, 40)
        peak = int(mean.argmax())
        found = rising_crossing(mean, times, peak, 0.5 * mean[peak])
        fine = np.linspace(times[0], times[peak], 20_000)
        above = np.interp(fine, times, mean) - 0.5 * mean[peak]
        area = np.concatenate([[0], np.cumsum((above[1:] + above[:-1]) / 2 * np.diff(fine))])
        assert found == pytest.approx(fine[area.argmin()], abs=0.01)


@pytest.mark.parametrize("scale", [1e-13, 1e-6, 1e9])
def test_latencies_do_not_depend_on_the_unit(scale):
    data = courses(np.random.default_rng(23))
    for find in (peak_latency, onset_latency):
        one, other = find(data, window=WINDOW), find(scale * data, window=WINDOW)
        np.testing.assert_allclose([one.estimate, one.lower, one.upper], [other.estimate, other.lower, other.upper])
