from __future__ import annotations

import numpy as np
import pytest

from neuroling.data.synthetic import ar1_noise, convolved, double_gamma, zscored


@pytest.mark.parametrize("coefficient", [-0.4, 0.0, 0.8])
def test_ar1_noise_has_its_variance_and_its_autocorrelation(coefficient: float) -> None:
    noise = ar1_noise((20_000, 4), coefficient, np.random.default_rng(0))
    neighbours = np.mean([np.corrcoef(column[1:], column[:-1])[0, 1] for column in noise.T])
    assert noise.std() == pytest.approx(1, abs=0.03)
    assert neighbours == pytest.approx(coefficient, abs=0.02)


def test_equal_seeds_give_equal_noise_and_different_ones_do_not() -> None:
    draws = [ar1_noise((9, 2), 0.5, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


def test_noise_that_would_explode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"coefficient: got 1\.0"):
        ar1_noise((9,), 1.0, np.random.default_rng(0))


def test_a_constant_column_is_standardised_to_zero() -> None:
    assert zscored(np.array([[1.0, 5.0], [3.0, 5.0]])).tolist() == [[-1.0, 0.0], [1.0, 0.0]]


def test_the_response_is_zero_before_the_event_and_peaks_at_five_seconds() -> None:
    times = np.arange(-5, 30, 0.1)
    response = double_gamma(times)
    assert (response[times < 0] == 0).all()
    assert times[response.argmax()] == pytest.approx(5, abs=0.1)


def test_responses_to_events_add_up() -> None:
    times = np.arange(0, 40, 2.0)
    assert convolved([1.0, 3.0], times) == pytest.approx(double_gamma(times - 1) + double_gamma(times - 3))
