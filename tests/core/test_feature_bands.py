"""Bands are named by labels, and a model refuses features that it was not set up for."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone
from sklearn.model_selection import KFold

from neuroling import TRF, BandedRidgeCV, align, evaluate, pearson, r2
from neuroling.core.feature_bands import check_bands
from neuroling.encoding import Standardized, bands_of
from neuroling.evaluation.variance import join_spaces
from neuroling.features.lexical.tfidf import concatenate

LABELS = ["a@1", "b@1", "c@1", "a@-2", "b@-2", "c@-2"]


def features(labels=LABELS, n=40, **coords):
    values = np.random.default_rng(0).standard_normal((n, len(labels)))
    along = {name: ("feature", np.asarray(value)) for name, value in coords.items()}
    return xr.DataArray(values, dims=("sample", "feature"), coords={"sample": np.arange(n), "feature": labels, **along})


def columns(bands):
    return {name: found.tolist() for name, found in bands.items()}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (LABELS, {"a": [0, 3], "b": [1, 4], "c": [2, 5]}),
        (["me@home@1", "me@home@2", "x@1"], {"me@home": [0, 1], "x": [2]}),
        (["@1", "@2"], {"": [0, 1]}),
        (["rate", "m0@1", "m0@2"], {"rate": [0], "m0": [1, 2]}),
        (["x@y", "x@1", "x@2"], {"x@y": [0], "x": [1, 2]}),
    ],
)
def test_all_delays_of_a_feature_are_one_band(labels, expected):
    assert columns(bands_of(features(labels))) == expected


def test_the_coordinate_space_comes_first():
    assert columns(bands_of(features(space=list("xyyxyy")))) == {"x": [0, 3], "y": [1, 2, 4, 5]}


def test_spaces_that_were_joined_know_their_names():
    spaces = {"rate": features(["r"]), "meaning": features(["m0", "m1"])}
    assert columns(bands_of(join_spaces(spaces))) == {"rate": [0], "meaning": [1, 2]}
    assert columns(bands_of(concatenate(spaces, train=np.arange(40)))) == {"rate": [0], "meaning": [1, 2]}


def test_bands_follow_their_features_wherever_these_are():
    moved = features().isel(feature=[5, 2, 0, 4, 1, 3])
    assert columns(bands_of(moved)) == {"c": [0, 1], "a": [2, 5], "b": [3, 4]}


def test_bands_can_be_copied_compared_and_hashed():
    bands = bands_of(features())
    assert copy.deepcopy(bands) == bands
    assert hash(copy.deepcopy(bands)) == hash(bands)
    assert bands != bands_of(features(space=list("xyyxyy")))
    assert clone(BandedRidgeCV(bands)).bands == bands
    with pytest.raises(KeyError):
        bands["z"]


def test_the_record_of_a_model_tells_bands_apart():
    swapped = bands_of(features(["a@1", "b@1", "a@2", "b@2"])), bands_of(features(["b@1", "a@1", "b@2", "a@2"]))
    assert repr(swapped[0]).startswith("FeatureBands({'a': 2, 'b': 2}, ")
    assert len({repr(bands) for bands in swapped}) == 2


def data(x):
    y = x.isel(feature=slice(0, 2)).rename(feature="voxel").drop_vars("space", errors="ignore")
    return align(x, y + 0.1)


def test_evaluate_accepts_bands_of_its_features():
    x = features()
    model = BandedRidgeCV(bands_of(x), device="cpu")
    assert float(evaluate(model, data(x), splits=KFold(3), metric=r2).score.mean()) > 0.5


WRONG = {
    "other order": (lambda x: x.isel(feature=[1, 0, 2, 3, 4, 5]), "column 0 is 'a@1', and there it is 'b@1'"),
    "other number": (lambda x: x.isel(feature=slice(0, 5)), "made for 6 features, and there are 5"),
    "other names": (lambda x: x.assign_coords(feature=list("uvwxyz")), "column 0 is 'a@1', and there it is 'u'"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("wrap", [lambda model: model, Standardized])
def test_evaluate_refuses_other_features(case, wrap):
    change, message = WRONG[case]
    model = wrap(BandedRidgeCV(bands_of(features()), device="cpu"))
    with pytest.raises(ValueError, match=message):
        evaluate(model, data(change(features())), splits=KFold(3), metric=pearson)


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        ({"first": slice(0, 1), "rest": slice(1, None)}, "'a' are in 2 bands .'a@1' in 'first', 'a@-2' in 'rest'"),
        ([("first", [0, 1, 2]), ("second", [3, 4, 5])], "'a' are in 2 bands"),
        (["p", "q", "q", "q", "q", "q"], "'a' are in 2 bands"),
    ],
)
def test_bands_that_tear_a_feature_apart_are_refused(bands, message):
    for model in (BandedRidgeCV(bands), TRF((0, 1), bands=bands)):
        with pytest.raises(ValueError, match=message):
            model.check_features(features())


def test_bands_that_hold_several_features_or_spaces_whole_are_fine():
    check_bands({"ab": [0, 1, 3, 4], "c": [2, 5]}, features())
    check_bands({"all": slice(None)}, features(space=list("xyyxyy")))
    check_bands(None, features())
    check_bands({"first": [0], "rest": slice(1, None)}, features(list("abc")))


def test_bands_that_part_a_space_are_refused():
    with pytest.raises(ValueError, match="the columns of 'y' are in 2 bands"):
        check_bands({"x": [0, 3], "y": [1, 2], "z": [4, 5]}, features(space=list("xyyxyy")))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (features(list("abc")), "no feature coordinate 'space'"),
        (features(list("abc"), space=np.array(["x", None, "y"], dtype=object)), "1 entries of the coordinate 'space'"),
        (np.zeros((3, 2)), "got ndarray"),
        (xr.DataArray(np.zeros(3), dims="sample"), r"got \('sample',\)"),
    ],
)
def test_features_that_name_no_spaces_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        bands_of(given)
