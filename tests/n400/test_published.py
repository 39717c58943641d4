"""Published curves: a simulation that is them fits exactly, and shifts and scales count as they should."""

from __future__ import annotations

import numpy as np
import pytest

from neuroling.n400.published import curves, fit_to_published, published_pair


def as_recording(values=None):
    model = curves().expand_dims(repeat=2).transpose("sample", "repeat", "time")
    return model if values is None else model.copy(data=np.broadcast_to(values[:, None], model.shape))


def test_published_curves_fit_themselves_in_time_and_frequency():
    fit = fit_to_published(as_recording())
    assert len(fit) == 4 * 2 * 2
    assert (fit["later"] == 0).all()
    np.testing.assert_allclose(fit["R2"], 1)
    np.testing.assert_allclose(fit["rmse"], 0, atol=1e-12)


def test_curves_that_come_three_ticks_early_are_moved_as_one():
    early = np.roll(curves().to_numpy(), -3, axis=1)
    fit = fit_to_published(as_recording(early))
    assert (fit["later"] == 3).all()
    np.testing.assert_allclose(fit.loc[fit["domain"] == "time", "R2"], 1)


def test_nothing_is_scaled():
    fit = fit_to_published(as_recording(2 * curves().to_numpy())).set_index(["kind", "condition", "domain"])
    y = curves().sel(sample="word, new").to_numpy()
    expected = 1 - (y**2).sum() / ((y - y.mean()) ** 2).sum()
    assert fit.loc[("word", "new", "time"), "R2"] == pytest.approx(expected)
    assert fit.loc[("word", "new", "time"), "r"] == pytest.approx(1)
    assert fit.loc[("word", "new", "frequency"), "R2"] == pytest.approx(1)  # shares of power have no scale


def test_pairs_are_by_tick_from_the_onset():
    ours, theirs = published_pair(as_recording(), "illegal", "repeated")
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(ours["time"], theirs["time"])
