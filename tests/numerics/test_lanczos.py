"""Lanczos weights: a known kernel, and slow signals survive while fast ones go."""

from __future__ import annotations

import numpy as np
import pytest

from neuroling.numerics.lanczos import lanczos_weights

FRAMES = np.arange(60) * 2.0


def test_weights_are_the_windowed_sinc_written_out():
    onsets = np.sort(np.random.default_rng(0).uniform(0, 118, 80))
    u = (FRAMES[:, None] - onsets) / 2.0
    with np.errstate(invalid="ignore", divide="ignore"):
        plain = 3 * np.sin(np.pi * u) * np.sin(np.pi * u / 3) / (np.pi**2 * u**2)
    plain[u == 0], plain[np.abs(u) > 3] = 1.0, 0.0
    np.testing.assert_allclose(lanczos_weights(onsets, FRAMES).toarray(), plain, atol=1e-14)


def test_a_value_on_the_grid_stays_where_it_is():
    np.testing.assert_allclose(lanczos_weights(FRAMES, FRAMES).toarray(), np.eye(60), atol=1e-15)


def test_fast_changes_are_taken_out_and_slow_ones_kept():
    onsets = np.arange(0, 120, 0.25)
    slow, fast = np.sin(2 * np.pi * onsets / 40), np.sin(2 * np.pi * onsets / 2.5)
    weights = lanczos_weights(onsets, FRAMES)
    assert np.abs(weights @ slow)[10:-10].max() > 7  # eight words a volume add up
    assert np.abs(weights @ fast)[10:-10].max() < 1


def test_a_lower_cutoff_reaches_further():
    near, far = (
        (np.abs(lanczos_weights(np.array([61.0]), FRAMES, cutoff_hz=f).data) > 1e-9).sum() for f in (0.5, 0.25)
    )
    assert (near, far) == (6, 12)


@pytest.mark.parametrize("options", [{"lobes": 0}, {"cutoff_hz": 0.0}, {"cutoff_hz": np.inf}], ids=str)
def test_options_without_sense_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        lanczos_weights(FRAMES, FRAMES, **options)
