"""Measures on curves whose answers are known, and conversion to MNE."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroling.n400.measures import (
    band_power,
    difference_wave,
    fractional_latency,
    fwhm_window,
    mean_amplitude,
    peak,
    rebound,
    spectrum,
)
from neuroling.n400.mne_objects import to_epochs, to_evoked

TIMES = np.arange(0, 1, 0.01)


def wave(values, times=TIMES):
    return xr.DataArray(np.asarray(values, dtype=float), dims="time", coords={"time": times})


def gaussian(centre=0.4, sd=0.05):
    return wave(np.exp(-((TIMES - centre) ** 2) / (2 * sd**2)))


def recording(n_samples=4, n_repeats=2):
    values = np.random.default_rng(0).standard_normal((n_samples, n_repeats, len(TIMES)))
    coords = {
        "sample": [f"item {i}" for i in range(n_samples)],
        "condition": ("sample", ["new", "repeated"] * (n_samples // 2)),
        "repeat": np.arange(n_repeats),
        "time": TIMES,
    }
    return xr.DataArray(values, dims=("sample", "repeat", "time"), coords=coords)


def test_mean_amplitude_of_a_ramp_is_its_middle():
    assert float(mean_amplitude(wave(TIMES), (0.2, 0.4))) == pytest.approx(0.3)


def test_width_of_a_gaussian_is_known():
    start, stop = fwhm_window(gaussian(sd=0.05))
    assert stop - start == pytest.approx(2.3548 * 0.05, rel=0.01)
    assert (start + stop) / 2 == pytest.approx(0.4, abs=1e-3)


def test_width_follows_the_polarity():
    assert fwhm_window(-gaussian(), polarity="negative") == pytest.approx(fwhm_window(gaussian()))


def test_width_is_not_sought_outside_the_window():
    start, stop = fwhm_window(gaussian(centre=0.45), within=(0.25, 0.45))
    assert 0.25 <= start < stop <= 0.45


def test_peak_and_latency_of_a_gaussian():
    amplitude, latency = peak(gaussian(centre=0.37))
    assert float(amplitude) == pytest.approx(1)
    assert float(latency) == pytest.approx(0.37)


def test_half_of_a_triangle_is_reached_halfway():
    triangle = wave(np.clip(1 - abs(TIMES - 0.4) / 0.2, 0, None))
    assert float(fractional_latency(triangle)) == pytest.approx(0.3)


def test_fractional_latency_keeps_the_other_axes():
    assert fractional_latency(abs(recording())).dims == ("sample", "repeat")


def test_difference_wave_subtracts_means():
    data = recording()
    by_hand = data.values[::2].mean(axis=0) - data.values[1::2].mean(axis=0)
    np.testing.assert_allclose(difference_wave(data, "condition", "new", "repeated"), by_hand)


@pytest.mark.parametrize("method", ["periodogram", "welch", "multitaper"])
def test_sine_has_its_power_at_its_frequency(method):
    power = spectrum(wave(np.sin(2 * np.pi * 10 * TIMES)), method=method)
    assert float(power["frequency"][int(np.argmax(power.values))]) == pytest.approx(
        10, abs=4
    )  # multitaper is flat over its bandwidth


def test_periodogram_keeps_the_power():
    values = wave(np.random.default_rng(1).standard_normal(len(TIMES)))
    power = spectrum(values)
    assert float(power.sum()) == pytest.approx(float((values**2).mean()), rel=1e-6)  # steps of 1 Hz


def test_relative_power_sums_to_one():
    np.testing.assert_allclose(spectrum(recording(), relative=True).sum("frequency"), 1)


def test_bands_add_up():
    power = spectrum(recording())
    bands = band_power(power, {"low": (0, 20), "high": (20, 51)})
    np.testing.assert_allclose(bands["low"] + bands["high"], power.sum("frequency"))


def test_epochs_carry_trials_participants_and_times():
    data = recording()
    epochs = to_epochs(data, polarity="negative")
    assert len(epochs) == 8
    assert list(epochs.metadata["participant"][:2]) == [0, 1]
    np.testing.assert_allclose(epochs.get_data()[1, 0], -data.values[0, 1])
    assert epochs.get_channel_types() == ["misc"]
    assert len(epochs["condition == 'new'"]) == 4


def test_evokeds_are_means_by_condition_and_participant():
    data = recording()
    evokeds = to_evoked(data)
    assert {name: len(group) for name, group in evokeds.items()} == {"new": 2, "repeated": 2}
    np.testing.assert_allclose(evokeds["new"][1].data[0], data.values[::2, 1].mean(axis=0))
    assert evokeds["new"][0].nave == 2


UNEVEN = wave([0.0, 1.0, 2.0], [0.0, 0.1, 0.3])
BAD = {
    "a window outside the epoch": (lambda: mean_amplitude(gaussian(), (0.5, 2.0)), ValueError, "out of the epoch"),
    "a window before the epoch": (lambda: peak(gaussian(), (-1.0, 0.4)), ValueError, "out of the epoch"),
    "a window the wrong way round": (lambda: mean_amplitude(gaussian(), (0.4, 0.2)), ValueError, "earlier first"),
    "a window between points": (lambda: mean_amplitude(gaussian(), (0.402, 0.408)), ValueError, "no time point"),
    "a NaN window": (lambda: mean_amplitude(gaussian(), (np.nan, 0.4)), ValueError, "finite"),
    "no time axis": (lambda: mean_amplitude(gaussian().rename(time="voxel")), ValueError, "no 'time'"),
    "a bare array": (lambda: mean_amplitude(np.zeros(3)), TypeError, "DataArray"),
    "times that shrink": (lambda: mean_amplitude(wave(TIMES, TIMES[::-1])), ValueError, "growing"),
    "a flat curve": (lambda: fwhm_window(wave(np.ones(len(TIMES)))), ValueError, "flat"),
    "many curves": (lambda: fwhm_window(recording()), ValueError, "Average over"),
    "an unknown polarity": (lambda: fwhm_window(gaussian(), polarity="up"), ValueError, "polarity"),
    "a whole fraction": (lambda: fractional_latency(gaussian(), fraction=1), ValueError, "both excluded"),
    "an unknown coordinate": (lambda: difference_wave(recording(), "kind", "a", "b"), ValueError, "no 'kind'"),
    "an absent condition": (lambda: difference_wave(recording(), "condition", "a", "new"), ValueError, "no sample is"),
    "an uneven rate": (lambda: spectrum(UNEVEN), ValueError, "resample"),
    "an unknown method": (lambda: spectrum(gaussian(), method="fft"), ValueError, "'welch', 'multitaper'"),
    "shares of nothing": (lambda: spectrum(0 * gaussian(), relative=True), ValueError, "zero throughout"),
    "a transform of one point": (lambda: spectrum(gaussian(), n_fft=1), ValueError, "at least 2"),
    "bands of no spectrum": (lambda: band_power(gaussian()), ValueError, "call spectrum"),
    "a band above the spectrum": (lambda: band_power(spectrum(gaussian()), {"x": (90, 99)}), ValueError, "none of"),
    "epochs of one curve": (lambda: to_epochs(gaussian()), ValueError, "sample, repeat and time"),
    "evokeds by no coordinate": (lambda: to_evoked(recording(), "kind"), ValueError, "no sample coordinate"),
    "epochs upside down": (lambda: to_epochs(recording(), polarity="down"), ValueError, "polarity"),
}


@pytest.mark.parametrize("case", BAD, ids=lambda name: name.replace(" ", "_"))
def test_bad_input_is_answered_by_a_sentence(case):
    call, error, message = BAD[case]
    with pytest.raises(error, match=message):
        call()


def test_mne_draws_the_evokeds():
    import matplotlib as mpl

    with mpl.rc_context({"backend": "Agg"}):
        import mne

        figures = mne.viz.plot_compare_evokeds(to_evoked(recording()), picks=["sN400"], show=False, show_sensors=False)
    assert len(figures[0].axes) >= 1


DRAWN = {
    "an evoked response": lambda: to_evoked(recording())["new"][0].plot(picks="misc", show=False),
    "an image of an evoked response": lambda: to_evoked(recording())["new"][0].plot_image(picks=["sN400"], show=False),
    "an image of all trials": lambda: to_epochs(recording()).plot_image(picks=["sN400"], evoked=False, show=False)[0],
}


@pytest.mark.parametrize("case", DRAWN, ids=lambda name: name.replace(" ", "_"))
def test_mne_draws_what_is_simulated(case):
    import matplotlib as mpl

    with mpl.rc_context({"backend": "Agg"}):
        assert len(DRAWN[case]().axes) >= 1


def test_single_hump_does_not_rise_again():
    assert float(rebound(gaussian(centre=0.37))) == 0


@pytest.mark.parametrize("share", [0.1, 0.25, 0.6])
def test_second_hump_is_measured_from_the_trough(share):
    two = wave(np.exp(-(((TIMES - 0.2) / 0.03) ** 2)) + share * np.exp(-(((TIMES - 0.6) / 0.03) ** 2)))
    assert float(rebound(two)) == pytest.approx(share, abs=1e-3)


def test_rise_before_the_peak_is_no_rebound():
    two = wave(0.5 * np.exp(-(((TIMES - 0.2) / 0.03) ** 2)) + np.exp(-(((TIMES - 0.6) / 0.03) ** 2)))
    assert float(rebound(two)) == pytest.approx(0, abs=1e-6)


def test_rebound_does_not_depend_on_scale_and_keeps_the_other_axes():
    data = abs(recording()) + 0.1
    np.testing.assert_allclose(rebound(3 * data), rebound(data))
    assert rebound(data).dims == ("sample", "repeat")


def test_response_without_a_positive_peak_has_no_rebound():
    with pytest.raises(ValueError, match="1 responses have no positive peak"):
        rebound(wave(-np.ones(len(TIMES))))
