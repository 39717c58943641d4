"""Scaling: from the training rows alone, and trends from each stretch alone."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneGroupOut

from neuroling import ContiguousFolds, Ridge, RidgeCV, evaluate, pearson
from neuroling.core.notices import CodedWarning
from neuroling.encoding.standardize import Standardized, remove_trend


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return rng.standard_normal((40, 3)) * [1, 10, 100] + [5, 0, -50], rng.standard_normal((40, 4)) * 3 + 7


def test_least_squares_does_not_care_about_the_scale(table):
    X, y = table
    inside = Standardized(LinearRegression()).fit(X[:30], y[:30]).predict(X[30:])
    np.testing.assert_allclose(inside, LinearRegression().fit(X[:30], y[:30]).predict(X[30:]))


def test_means_and_deviations_are_those_of_the_training_rows(table):
    X, y = table
    model = Standardized(Ridge(1.0)).fit(X[:30], y[:30])
    np.testing.assert_allclose(model.x_mean_, X[:30].mean(axis=0))
    np.testing.assert_allclose(model.y_scale_, y[:30].std(axis=0))


def test_test_rows_have_no_part_in_the_scaling(table):
    X, y = table
    before = Standardized(Ridge(1.0)).fit(X[:30], y[:30]).predict(X[30:31])
    X[31:] *= 100
    np.testing.assert_array_equal(Standardized(Ridge(1.0)).fit(X[:30], y[:30]).predict(X[30:31]), before)


def test_the_unit_of_a_feature_is_without_effect(table):
    X, y = table
    one = Standardized(Ridge(5.0)).fit(X, y).predict(X)
    np.testing.assert_allclose(Standardized(Ridge(5.0)).fit(X * [1e3, 1, 1e-3], y).predict(X * [1e3, 1, 1e-3]), one)


def test_a_feature_constant_in_training_is_named_and_of_no_effect(table):
    X, y = table
    X[:30, 1] = 2.0
    with pytest.warns(CodedWarning, match="constant-features"):
        model = Standardized(Ridge(1.0)).fit(X[:30], y[:30])
    assert model.constant_features_.tolist() == [1]
    other = X[30:].copy()
    other[:, 1] += 1000
    np.testing.assert_array_equal(model.predict(other), model.predict(X[30:]))


def test_runs_reach_the_model_inside(make_data):
    data = make_data(60, phi=0.5, signal=1.0, coords={"group": np.repeat([0, 1, 2], 20)})
    data = type(data)(data.x, data.y.assign_coords(time_index=("sample", np.tile(np.arange(20), 3))), data.unit)
    model = Standardized(RidgeCV(folds=LeaveOneGroupOut()))
    assert evaluate(model, data, splits=LeaveOneGroupOut(), metric=pearson).score.mean() > 0.3


def test_precision_is_kept(table):
    X, y = (side.astype(np.float32) for side in table)
    assert Standardized(Ridge(1.0)).fit(X, y).predict(X).dtype == np.float32


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="X, y: got shapes"):
        Standardized(Ridge()).fit(np.zeros((3, 2)), np.zeros(4))


def test_scaling_before_the_split_lets_test_rows_change_one_another(table):
    """The trap itself: the same change of other test rows that the scaler in the fold never sees."""
    X, y = table

    def leaked(X):
        scaled = (X - X.mean(axis=0)) / X.std(axis=0)
        return Ridge(1.0).fit(scaled[:30], y[:30]).predict(scaled[30:31])

    before = leaked(X)
    X[31:] *= 100
    assert np.abs(leaked(X) - before).max() > 0.1


# --- trends -----------------------------------------------------------------------------------------------------------


def recording(values, **coords):
    given = {name: ("sample", np.asarray(value)) for name, value in coords.items()}
    return xr.DataArray(np.asarray(values, dtype=float), dims=("sample", "voxel"), coords=given)


def test_a_polynomial_is_gone_and_the_rest_stays():
    rng = np.random.default_rng(0)
    time, noise = np.linspace(-1, 1, 50)[:, None], rng.standard_normal((50, 3))
    rest = remove_trend(recording(noise), np.zeros(50), order=2)
    np.testing.assert_allclose(remove_trend(recording(noise + 4 - 3 * time + 2 * time**2), np.zeros(50), order=2), rest)


def test_a_stretch_knows_nothing_of_another():
    rng = np.random.default_rng(0)
    y = rng.standard_normal((60, 2))
    labels = ContiguousFolds(3).stretches(60)
    before = remove_trend(recording(y), labels)
    y[:20] *= 50
    np.testing.assert_array_equal(remove_trend(recording(y), labels)[20:], before[20:])


def test_stretches_are_those_that_are_held_out():
    groups = np.repeat([0, 1], [14, 17])
    labels = ContiguousFolds(3, gap=1).stretches(31, groups)
    for _, test in ContiguousFolds(3, gap=1).split(np.zeros((31, 1)), None, groups):
        assert set(labels[test]).isdisjoint(np.delete(labels, test))


def test_deviations_can_be_made_one_by_stretch():
    y = np.random.default_rng(0).standard_normal((40, 2)) * np.repeat([[1.0], [9.0]], 20, axis=0)
    found = remove_trend(recording(y, group=np.repeat(["a", "b"], 20)), "group", order=0, zscore=True)
    np.testing.assert_allclose(found.groupby("group").std(), 1.0)


@pytest.mark.parametrize(
    ("stretches", "options", "message"),
    [
        ("group", {}, "no sample coordinate 'group'"),
        ([0] * 3, {}, "stretches: got shape"),
        ([0, 1] * 3, {"order": 2}, "stretch 0 has 3 rows; expected at least 4"),
        ([0] * 6, {"order": -1}, "order: got -1"),
        ([0] * 6, {"zscore": True}, "2 series are constant over stretch 0"),
    ],
    ids=["no coordinate", "too few labels", "too short", "negative order", "nothing left"],
)
def test_bad_stretches_get_a_sentence(stretches, options, message):
    line = recording(np.arange(6.0)[:, None] * [1.0, 2.0])
    with pytest.raises(ValueError, match=message):
        remove_trend(line, stretches, **options)
