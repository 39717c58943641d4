"""Repeats that samples lack: found, left out of means, and weighted by their trials."""

from __future__ import annotations

import numpy as np
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroling.core.repeats import lacking_repeats, mean_over_repeats


def recording(rng, counts, n_targets=3, subjects=0):
    shape = (len(counts), max(counts), *([subjects] if subjects else []), n_targets)
    values = rng.standard_normal(shape)
    for row, count in enumerate(counts):
        values[row, count:] = np.nan
    dims = ("sample", "repeat", *(["subject"] if subjects else []), "voxel")
    return xr.DataArray(values, dims=dims, attrs={"units": "z"}, name="bold")


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(0, 2), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_means_are_those_of_the_repeats_that_are_there(counts, subjects, seed):
    data = recording(np.random.default_rng(seed), counts, subjects=subjects)
    mean = mean_over_repeats(data)
    np.testing.assert_allclose(mean, np.nanmean(data, axis=1))
    assert (mean.attrs, mean.name) == (data.attrs, data.name)
    assert mean.dims == tuple(dim for dim in data.dims if dim != "repeat")


def test_trials_weight_the_mean():
    data = recording(np.random.default_rng(0), [3, 2]).assign_coords(
        n_averaged=(("sample", "repeat"), [[2, 1, 1], [3, 1, 0]])
    )
    values = data.values
    expected = [(2 * values[0, 0] + values[0, 1] + values[0, 2]) / 4, (3 * values[1, 0] + values[1, 1]) / 4]
    np.testing.assert_allclose(mean_over_repeats(data), expected)


def test_equal_repeats_are_averaged_to_the_last_digit_as_ever():
    data = recording(np.random.default_rng(0), [3, 3])
    np.testing.assert_array_equal(mean_over_repeats(data), data.mean("repeat"))
    counted = data.assign_coords(n_averaged=(("sample", "repeat"), np.full((2, 3), 4)))
    np.testing.assert_array_equal(mean_over_repeats(counted), data.mean("repeat"))


def test_a_participant_may_lack_repeats_that_others_have():
    data = recording(np.random.default_rng(0), [3, 3], subjects=2)
    data[1, 2, 0] = np.nan
    lacking = lacking_repeats(data)
    assert lacking.dims == ("sample", "repeat", "subject")
    assert int(lacking.sum()) == 1
    np.testing.assert_allclose(mean_over_repeats(data)[1, 0], data.values[1, :2, 0].mean(axis=0))


def test_a_nan_in_a_repeat_that_is_there_stays():
    data = recording(np.random.default_rng(0), [3, 2])
    data[0, 1, 2] = np.nan
    mean = mean_over_repeats(data)
    assert np.argwhere(np.isnan(mean.values)).tolist() == [[0, 2]]


def test_types_are_kept():
    data = recording(np.random.default_rng(0), [3, 2]).astype(np.float32)
    assert mean_over_repeats(data).dtype == np.float32
