"""A linear trend in each run, in features and in recording, and nothing else in common: how often is p < 0.05?"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter
from sklearn.model_selection import LeaveOneGroupOut

from neuroling import BlockPermutation, CircularShift, Ridge, align, evaluate, pearson
from neuroling.core.notices import CodedWarning

RUNS, LENGTH, VOXELS = 4, 100, 8
COORDS = {
    "sample": np.arange(RUNS * LENGTH),
    "group": ("sample", np.repeat([f"run {k}" for k in range(RUNS)], LENGTH)),
    "time_index": ("sample", np.tile(np.arange(LENGTH), RUNS)),
}


def series(rng, columns, *, same_sign):
    noise = lfilter([1.0], [1.0, -0.3], rng.standard_normal((RUNS, LENGTH, columns)), axis=1)
    signs = 1.0 if same_sign else rng.choice([-1.0, 1.0], (RUNS, 1, columns))
    return (noise + np.linspace(-0.75, 0.75, LENGTH)[None, :, None] * signs).reshape(-1, columns)


@pytest.mark.slow
@pytest.mark.parametrize("same_sign", [False, True], ids=["signs at random", "same signs"])
@pytest.mark.parametrize("inference", [CircularShift(99), BlockPermutation(12, 99)], ids=["shift", "blocks"])
def test_trends_of_runs_are_no_relation(inference, same_sign):
    """150 data sets of 8 voxels; before, 13.8 % (20 % family-wise), with the same signs 21.5 and 62 %."""
    rejected, families = rates(inference, same_sign, 150)
    assert 0.02 <= rejected <= 0.07
    assert families <= 0.09  # one standard error at 5 %: 1.8 points


def test_trends_of_runs_are_no_relation_in_a_few_data_sets():
    rejected, families = rates(CircularShift(39), True, 12)
    assert rejected <= 0.15
    assert families <= 0.35


def rates(inference, same_sign, n_sets):
    rejected, families = [], []
    for seed in range(n_sets):
        rng = np.random.default_rng(seed)
        x = xr.DataArray(series(rng, 3, same_sign=same_sign), dims=("sample", "feature"), coords=COORDS)
        y = xr.DataArray(series(rng, VOXELS, same_sign=same_sign), dims=("sample", "voxel"), coords=COORDS)
        result = evaluate(
            Ridge(1.0), align(x, y), splits=LeaveOneGroupOut(), metric=pearson, inference=inference, rng=seed
        )
        rejected.append(float((result.p_values("none") < 0.05).mean()))
        families.append(bool((result.p_values("max") < 0.05).any()))
    return np.mean(rejected), np.mean(families)


COURSES = {
    "step": np.sign(np.linspace(-1, 1, LENGTH)) / 2,
    "wave": np.sin(np.pi * np.linspace(-1, 1, LENGTH)) / 2,
    "none": np.zeros(LENGTH),
}


@pytest.mark.parametrize("inference", [CircularShift(20), BlockPermutation(12, 20)], ids=["shift", "blocks"])
@pytest.mark.parametrize("course", COURSES)
def test_courses_that_no_polynomial_follows_are_warned_of(inference, course):
    """A step in the middle of every run gave 88 % false positives, one slow wave 71 %, without a word."""
    rng = np.random.default_rng(0)
    sides = []
    for axis, columns in (("feature", 3), ("voxel", VOXELS)):
        values = series(rng, columns, same_sign=True) + 1.5 * np.tile(COURSES[course], RUNS)[:, None]
        sides.append(xr.DataArray(values, dims=("sample", axis), coords=COORDS))
    options = {"splits": LeaveOneGroupOut(), "metric": pearson, "inference": inference}
    if course == "none":
        evaluate(Ridge(1.0), align(*sides), **options)  # warnings are errors
        return
    with pytest.warns(CodedWarning, match=r"one slow course in all 4 runs, beside polynomials of degree 2") as caught:
        evaluate(Ridge(1.0), align(*sides), **options)
    assert {warning.message.code for warning in caught} == {"shared-run-course"}


def test_stimuli_that_are_the_same_in_every_run_are_no_drift():
    rng = np.random.default_rng(0)
    heard = np.tile(lfilter([1.0], [1.0, -0.9], rng.standard_normal((LENGTH, 3)), axis=0), (RUNS, 1))
    noise = rng.standard_normal((RUNS * LENGTH, VOXELS))
    features = xr.DataArray(heard, dims=("sample", "feature"), coords=COORDS)
    recording = xr.DataArray(heard @ rng.standard_normal((3, VOXELS)) + noise, dims=("sample", "voxel"), coords=COORDS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(
            Ridge(1.0),
            align(features, recording),
            splits=LeaveOneGroupOut(),
            metric=pearson,
            inference=CircularShift(20),
            allow_leakage="the same story in every run",
        )
