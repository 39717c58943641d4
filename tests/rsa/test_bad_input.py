"""What bad input gets: one sentence that names what was given, what was expected, and what to do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from agreement import agreement
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from neuroling import ByItem, align, evaluate, spearman
from neuroling.rsa import models as room
from neuroling.rsa.dissimilarity import label_pairs, rdms
from neuroling.rsa.distances import as_distance
from neuroling.rsa.noise import noise_covariance, whiten
from neuroling.rsa.pairs import FixedRDM, paired, pairwise


def table(**columns):
    return pd.DataFrame({"length": [3, 4, 5], **columns}, index=["a", "b", "c"])


RECORDINGS = {
    "one item": (lambda r: (r.isel(sample=[0]), {}), "items: got 1"),
    "an item twice": (lambda r: (r.assign_coords(sample=["x"] * 12), {}), "occur more than once"),
    "a channel twice": (lambda r: (r.assign_coords(channel=["E"] * 8), {}), "more than once along 'channel'"),
    "no labels": (lambda r: (r.drop_vars("sample"), {}), "no labels"),
    "no channels": (lambda r: (r.isel(channel=0, drop=True), {}), "have no 'channel'"),
    "another axis": (lambda r: (r.rename(channel="sensor"), {}), "unknown axis"),
    "text": (lambda r: (r.astype(str), {}), "real numbers"),
    "one channel, an angle": (lambda r: (r.isel(channel=[0]), {"distance": "correlation"}), "at least two; use"),
    "one fold": (lambda r: (r.isel(repeat=[0]), {"distance": "crossnobis"}), "has 1 repeat"),
    "unequal counts": (
        lambda r: (r.assign_coords(n_trials=("sample", range(12))), {"distance": "correlation"}),
        "rest on 0 to 11 trials",
    ),
    "an unknown distance": (lambda r: (r, {"distance": "manhattan"}), "expected one of 'crossnobis'"),
    "a window too long": (lambda r: (r, {"window": 99}), "window: got 99"),
    "a window of nothing": (lambda r: (r, {"window": 0}), "window: got 0"),
    "a window without time": (lambda r: (r.isel(time=0, drop=True), {"window": 3}), "no time axis"),
    "noise by another name": (lambda r: (r, {"noise": "all folds"}), "'training folds', a covariance, or None"),
    "noise for a plain distance": (
        lambda r: (r, {"distance": "euclidean", "noise": "training folds"}),
        "no training folds",
    ),
    "two folds for noise": (lambda r: (r.isel(repeat=slice(2)), {"noise": "training folds"}), "at least three folds"),
    "mahalanobis without noise": (lambda r: (r, {"distance": "mahalanobis"}), "needs a covariance"),
    "noise of other channels": (
        lambda r: (r, {"noise": noise_covariance(r.isel(channel=slice(None, None, -1)))}),
        "not those of the recording",
    ),
    "noise as an array": (lambda r: (r, {"noise": xr.DataArray(np.eye(8))}), "from noise_covariance"),
}


@pytest.mark.parametrize("case", RECORDINGS)
def test_recordings(recording, case):
    change, message = RECORDINGS[case]
    broken, options = change(recording)
    with pytest.raises((ValueError, TypeError), match=message):
        rdms(broken, **options)


MODELS = {
    "other items": (lambda r, m: (r, m.isel(sample=slice(20)), {}), "labels of pairs differ"),
    "an array": (lambda r, m: (r, m.to_numpy(), {}), "expected a DataArray"),
    "a name twice": (lambda r, m: (r, xr.concat([m, m], "model"), {}), "one unique name"),
    "all pairs equal": (lambda r, m: (r, m * 0 + 1, {}), "all pairs of 'features' are equal"),
    "NaN": (lambda r, m: (r, m.where(m > 1), {}), "NaN or infinite"),
    "two items": (lambda r, m: (r.isel(sample=[0, 1]), m.isel(sample=[0]), {}), "at least three items|are equal"),
    "controls without a partial form": (
        lambda r, m: (r, m, {"metric": "tau-a", "controls": m + m**2}),
        "no partial form",
    ),
    "controls that explain everything": (
        lambda r, m: (r, m, {"metric": "spearman", "controls": (2 * m).assign_coords(model=["twice"])}),
        "explains the model 'features' altogether",
    ),
}


@pytest.mark.parametrize("case", MODELS)
def test_models(features, recording, case):
    change, message = MODELS[case]
    broken, models, options = change(recording, room.model_rdms(features, "euclidean"))
    with pytest.raises((ValueError, TypeError), match=message):
        agreement(broken, models, **options)


@pytest.mark.parametrize(
    ("columns", "values", "message"),
    [
        (["weight"], {}, "'weight' is not in the table"),
        ([], {}, "none given"),
        (["kind"], {"kind": ["x", None, "y"]}, "missing for \\['b'\\]"),
        (["kind"], {"kind": ["x", "x", "x"]}, "all pairs differ by 0"),
        ({"length": "colour"}, {}, "expected 'number', 'class' or 'spelling'"),
    ],
)
def test_tables(columns, values, message):
    with pytest.raises(ValueError, match=message):
        room.confound_rdms(table(**values), columns)


def test_a_small_lexicon_has_no_twenty_neighbours():
    with pytest.raises(ValueError, match="1 other words"):
        room.old20(["cat"], ["cat", "car"])


def test_models_of_one_name_are_not_stacked():
    one = room.confound_rdms(table(), ["length"])
    with pytest.raises(ValueError, match="\\['length'\\] occur more than once"):
        room.stack_models(one, one)
    with pytest.raises(ValueError, match="none given"):
        room.stack_models()


def test_pairs_are_made_of_items_once(features, recording):
    pairs = pairwise(features, recording)
    with pytest.raises(ValueError, match="distance: the recording holds dissimilarities of pairs already"):
        pairwise(features, pairs.y, distance="euclidean")
    with pytest.raises(TypeError, match="recording: got Aligned"):
        pairwise(features, align(features, recording))
    with pytest.raises(TypeError, match="models: got ndarray"):
        pairwise(features.to_numpy(), recording)
    with pytest.raises(TypeError, match="models: got an empty mapping"):
        pairwise({}, recording)


def test_models_with_something_to_fit_need_splits(features, recording):
    with pytest.raises(TypeError, match="splits: none given, but LinearRegression has something to fit"):
        evaluate(LinearRegression(), pairwise(features, recording), metric=spearman)


def test_a_gap_is_refused_where_models_are_fitted(features, recording):
    pairs = pairwise(features, rdms(recording.where(recording.subject != "s1")))
    splits = ByItem.of(KFold(3), pairs)
    with pytest.raises(ValueError, match="recording: 858 of 4290 values are NaN or infinite"):
        evaluate(LinearRegression(), pairs, splits=splits, metric=spearman)


def test_a_gap_is_refused_by_the_one_evaluation(features, recording):
    gap = rdms(recording.where(recording.subject != "s1"))
    with pytest.raises(ValueError, match="NaN or infinite"):
        paired(room.model_rdms(features, "euclidean"), gap)


def test_a_fixed_model_is_one_column():
    with pytest.raises(ValueError, match="one column"):
        FixedRDM().fit(np.zeros((3, 2)), np.zeros((3, 1)))


def test_dissimilarities_need_labels():
    with pytest.raises(ValueError, match="which two items"):
        label_pairs(xr.DataArray(np.zeros(3), dims="sample"))
    both = {"first": ("sample", ["a", "b"]), "second": ("sample", ["b", "a"])}
    with pytest.raises(ValueError, match="occurs twice"):
        label_pairs(xr.DataArray(np.zeros(2), dims="sample", coords=both))


def test_something_that_is_no_distance_or_comparator_is_refused(features):
    with pytest.raises(TypeError, match="expected a Distance"):
        as_distance(3)
    with pytest.raises(TypeError, match="expected a DataArray"):
        room.model_rdms(np.zeros((3, 2)))


def test_whitening_takes_the_same_channels(recording):
    covariance = noise_covariance(recording)
    with pytest.raises(ValueError, match="in that order"):
        whiten(recording.isel(channel=slice(None, None, -1)), covariance)
    with pytest.raises(ValueError, match="no 'channel'"):
        whiten(recording.isel(channel=0, drop=True), covariance)
    with pytest.raises(ValueError, match="no 'repeat'"):
        noise_covariance(recording.mean("repeat"))
