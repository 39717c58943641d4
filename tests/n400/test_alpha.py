"""The alpha function: where it peaks, what it leaves alone, and the clock."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroling.n400.alpha import Alpha, limit


def driven(alpha, drives):
    """Activation of one unit driven tick by tick."""
    clock, activations = torch.full((1,), -1.0, dtype=torch.float64), []
    for drive in drives:
        activation, clock = limit(torch.tensor([drive], dtype=torch.float64), clock, alpha)
        activations.append(float(activation))
    return np.array(activations)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40))
def test_envelope_peaks_at_its_time_constant(ticks):
    assert Alpha(ticks).envelope(np.arange(200)).argmax() == ticks


def test_envelope_follows_the_published_equation_with_the_minus_sign():
    t = np.arange(30)
    np.testing.assert_allclose(Alpha(6, scale=0.3).envelope(t), 0.3 * t * np.exp(-t / 6))


def test_default_scale_brings_the_peak_to_one():
    assert Alpha(7).envelope(7) == pytest.approx(1)


@pytest.mark.parametrize("mode", ["scale", "clip"])
def test_driven_unit_rises_peaks_and_falls_to_the_threshold(mode):
    activation = driven(Alpha(6, mode=mode, reset="never"), [1.0] * 80)
    assert activation.argmax() == 6
    assert (np.diff(activation[:7]) >= 0).all()
    assert (np.diff(activation[8:]) <= 1e-12).all()
    assert activation[-1] == pytest.approx(0.1, abs=1e-3)


def test_unit_below_threshold_is_left_alone():
    np.testing.assert_allclose(driven(Alpha(6), [0.05] * 10), 0.05)


def test_recovered_unit_fires_again_and_another_does_not():
    again, once = driven(Alpha(6, reset="recovered"), [0.9] * 60), driven(Alpha(6, reset="never"), [0.9] * 60)
    assert again[35:].max() == pytest.approx(0.9)
    assert once[35:].max() < 0.15


def test_clip_never_exceeds_the_drive():
    drive = np.random.default_rng(0).uniform(0, 1, 200)
    assert (driven(Alpha(5, mode="clip"), drive) <= drive + 1e-12).all()


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 40), st.floats(0.01, 0.9))
def test_recovery_is_the_first_tick_past_the_peak_below_the_threshold(time_constant, threshold):
    alpha = Alpha(time_constant, threshold=threshold)
    assert alpha.recovery > time_constant
    assert alpha.envelope(alpha.recovery) < threshold
    assert alpha.recovery - 1 < time_constant or alpha.envelope(alpha.recovery - 1) >= threshold - 1e-9


def test_recovery_takes_as_long_as_published_threshold_and_equation_say():
    assert Alpha(100).recovery == 489


def test_fatigue_outlasts_a_silence():
    activation = driven(Alpha(8, reset="recovered"), [0.9] * 14 + [0.0] * 14 + [0.9] * 4)
    assert activation[28:].max() < 0.4


def test_clock_counts_the_ticks_since_the_unit_became_active():
    drives = [0.0, 0.9, 0.9, 0.9, 0.1, 0.9, 0.9]
    clock, clocks = torch.full((1,), -1.0, dtype=torch.float64), []
    for drive in drives:
        _, clock = limit(torch.tensor([drive], dtype=torch.float64), clock, Alpha(8))
        clocks.append(int(clock))
    assert clocks == [-1, 0, 1, 2, -1, 0, 1]  # 0.1 is the threshold, not above it


def test_unit_that_was_silent_is_fresh_and_one_that_stayed_active_is_not():
    rested = driven(Alpha(8), [0.9] * 14 + [0.0] * 4 + [0.9] * 9)[18:]
    held = driven(Alpha(8), [0.9] * 14 + [0.3] * 4 + [0.9] * 9)[18:]
    assert rested.max() == pytest.approx(0.9)
    assert held.max() == pytest.approx(float(Alpha(8).envelope(18)))


def test_alpha_of_no_effect_far_from_its_fall():
    """With T -> infinity and a scale that brings the envelope to 1 at once, no unit is limited."""
    endless = Alpha(1e9, scale=1e9)
    np.testing.assert_allclose(driven(endless, [0.0, *[0.9] * 50])[2:], 0.9)


def test_all_excitatory_layers_are_the_default_as_published():
    assert Alpha(8).layers == ("orthography", "hidden", "semantics")


BAD = {
    "a time constant of zero": ({"time_constant": 0}, "positive number of ticks"),
    "a negative time constant": ({"time_constant": -3}, "positive number of ticks"),
    "a NaN time constant": ({"time_constant": float("nan")}, "positive number of ticks"),
    "a threshold of zero": ({"time_constant": 6, "threshold": 0}, "between 0 and 1"),
    "a threshold above every activation": ({"time_constant": 6, "threshold": 1.2}, "between 0 and 1"),
    "a negative scale": ({"time_constant": 6, "scale": -1}, "positive number per tick"),
    "a scale that peaks below threshold": ({"time_constant": 6, "scale": 0.01}, "no unit could rise"),
    "an unknown layer": ({"time_constant": 6, "layers": ("semantic",)}, "expected some of"),
    "a layer twice": ({"time_constant": 6, "layers": ("hidden", "hidden")}, "each once"),
    "no layer": ({"time_constant": 6, "layers": ()}, "alpha=None"),
    "an unknown mode": ({"time_constant": 6, "mode": "cut"}, "'scale' or 'clip'"),
    "an unknown reset": ({"time_constant": 6, "reset": "rearm"}, "'inactive', 'recovered' or 'never'"),
}


@pytest.mark.parametrize("case", BAD, ids=lambda name: name.replace(" ", "_"))
def test_bad_parameter_is_answered_by_a_sentence(case):
    arguments, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        Alpha(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": "semantics"}, r"layers: got 'semantics'; expected a tuple of some of .*such as \('semantics',\)"),
        ({"layers": ["semantics"]}, "expected a tuple of some of"),
        ({"layers": None}, "layers: got None"),
        ({"time_constant": "6"}, "time_constant: got '6'; expected a positive number of ticks"),
        ({"time_constant": True}, "time_constant: got True"),
        ({"threshold": None}, "threshold: got None; expected a number between 0 and 1"),
    ],
)
def test_parameter_of_another_type_is_answered_by_a_sentence(arguments, message):
    with pytest.raises(TypeError, match=message):
        Alpha(**{"time_constant": 6, **arguments})
