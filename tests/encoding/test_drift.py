"""Slow drifts go, run by run; what is faster stays."""

import numpy as np
import pytest
import xarray as xr

from neuroling.encoding.drift import mean_participant, remove_drift


@pytest.fixture
def recording():
    values = np.random.default_rng(0).standard_normal((2, 200, 3))
    group = np.repeat(["a", "b"], 100)
    return xr.DataArray(values, dims=("subject", "sample", "region"), coords={"group": ("sample", group)})


def test_every_run_has_mean_zero_and_unit_variance(recording):
    for _, run in remove_drift(recording + 1e4, 2.0).groupby("group"):
        np.testing.assert_allclose(run.mean("sample"), 0, atol=1e-9)
        np.testing.assert_allclose(run.std("sample", ddof=1), 1, rtol=1e-6)


def test_a_slow_drift_leaves_no_trace(recording):
    drift = xr.DataArray(np.cos(np.pi * (np.arange(100) + 0.5) / 100), dims="sample")
    both = xr.concat([drift, drift], "sample")
    np.testing.assert_allclose(remove_drift(recording, 2.0), remove_drift(recording + 50 * both, 2.0), atol=1e-6)


def test_runs_do_not_touch_one_another(recording):
    changed = recording.copy()
    changed[:, :100] *= 3
    changed[:, :100] += np.linspace(0, 9, 100)[None, :, None]
    first = recording.group.to_numpy() == "b"
    np.testing.assert_allclose(remove_drift(recording, 2.0)[:, first], remove_drift(changed, 2.0)[:, first])


def test_axes_and_labels_stay(recording):
    clean = remove_drift(recording, 2.0)
    assert clean.dims == recording.dims
    assert clean.coords.equals(recording.coords)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tr_s": 2000.0}, r"tr_s: got 2000.0; expected seconds"),
        ({"tr_s": 2.0, "cutoff_s": 3.0}, r"cutoff_s: got 3.0 s at a repetition time of 2.0 s"),
        ({"tr_s": 0.5}, r"cutoff_s: 128.0 s is longer than run 'a' with 100 volumes"),
    ],
)
def test_times_that_do_not_fit_are_refused(recording, options, message):
    with pytest.raises(ValueError, match=message):
        remove_drift(recording, **options)


def test_a_constant_series_is_refused(recording):
    recording[0, :100, 2] = 4.0
    with pytest.raises(ValueError, match=r"1 series are constant over run 'a'"):
        remove_drift(recording, 2.0)


def test_the_mean_participant_is_the_mean_of_filtered_series_whatever_their_scale(recording):
    one_run = recording.drop_vars("group").assign_attrs(tr_s=2.0)
    louder = one_run.copy(data=one_run.values * np.array([1.0, 1000.0])[:, None, None])
    expected = remove_drift(one_run, 2.0).mean("subject").transpose("sample", "region")
    np.testing.assert_allclose(mean_participant(louder).std("sample"), mean_participant(one_run).std("sample"))
    np.testing.assert_allclose(np.corrcoef(mean_participant(one_run)[:, 0], expected[:, 0])[0, 1], 1)
