"""Pearson over two held-out samples is +1 or -1; so is a split-half ceiling made of such values."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.model_selection import KFold

from neuroling import (
    LeavePOut,
    NoSplit,
    Ridge,
    SplitHalfCeiling,
    align,
    cosine,
    evaluate,
    model_rdms,
    pairwise,
    pearson,
    r2,
    spearman,
)
from neuroling.core.notices import CodedWarning
from neuroling.evaluation.metrics import Metric
from neuroling.rsa import FixedRDM
from neuroling.rsa.dissimilarity import rdms
from neuroling.rsa.pairs import paired

MODEL = Ridge(1.0, device="cpu")


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((12, 3))
    signal = x @ rng.standard_normal((3, 20))
    y = signal[:, None] + rng.standard_normal((12, 6, 20))
    coords = {"sample": [f"word {k}" for k in range(12)]}
    return align(
        xr.DataArray(x, dims=("sample", "feature"), coords=coords),
        xr.DataArray(y, dims=("sample", "repeat", "voxel"), coords=coords),
    )


@pytest.mark.parametrize("metric", [pearson, spearman], ids=lambda metric: metric.name)
@pytest.mark.parametrize("n_held_out", [1, 2])
def test_correlations_over_fewer_than_three_samples_are_refused(data, metric, n_held_out):
    with pytest.raises(ValueError, match=rf"metric: {metric.name} would rest on {n_held_out} held-out value"):
        evaluate(MODEL, data, splits=LeavePOut(n_held_out), metric=metric, ceiling=SplitHalfCeiling())


@pytest.mark.parametrize("n_folds", [3, 4])
def test_correlations_over_fewer_than_five_samples_are_warned_of(data, n_folds):
    with pytest.warns(CodedWarning, match=r"pearson rests on . held-out values.*few-samples"):
        evaluate(MODEL, data, splits=KFold(n_folds), metric=pearson)


def test_pooled_correlations_rest_on_all_samples(data):
    assert evaluate(MODEL, data, splits=LeavePOut(1), metric=pearson.pooled()).data.sizes["split"] == 1


def test_the_cosine_over_one_value_is_refused(data):
    with pytest.raises(ValueError, match=r"metric: cosine.* would rest on 1 held-out value; expected at least 2"):
        evaluate(MODEL, data, splits=LeavePOut(1), metric=cosine)


def test_metrics_of_other_axes_count_these(data):
    assert np.isfinite(evaluate(MODEL, data, splits=LeavePOut(1), metric=pearson.along("sample", "voxel")).score)
    with pytest.warns(CodedWarning, match="r2 rests on 2 held-out values"):
        evaluate(MODEL, data, splits=LeavePOut(2), metric=r2)


@pytest.mark.parametrize("metric", [pearson, spearman, r2, cosine], ids=lambda metric: metric.name)
def test_metrics_called_by_hand_refuse_too_few_values(metric: Metric):
    with pytest.raises(ValueError, match="would rest on 1 held-out value"):
        metric.score(np.ones((4, 1)), np.ones((4, 1)))


@pytest.mark.parametrize("n_items", [2, 3])
def test_agreement_of_three_items_is_refused(n_items):
    rng = np.random.default_rng(0)
    coords = {"sample": [f"word {k}" for k in range(n_items)]}
    recording = xr.DataArray(rng.standard_normal((n_items, 5)), dims=("sample", "channel"), coords=coords)
    models = model_rdms(xr.DataArray(rng.standard_normal((n_items, 4)), dims=("sample", "feature"), coords=coords))
    with pytest.raises(ValueError, match=rf"{n_items} items have . pairs, over which|are equal"):
        evaluate(FixedRDM(), pairwise(models, recording, distance="correlation"), metric=spearman)


def test_agreement_of_three_items_is_refused_by_the_one_evaluation():
    rng = np.random.default_rng(0)
    coords = {"sample": ["a", "b", "c"]}
    recording = xr.DataArray(rng.standard_normal((3, 5)), dims=("sample", "channel"), coords=coords)
    models = model_rdms(xr.DataArray(rng.standard_normal((3, 4)), dims=("sample", "feature"), coords=coords))
    with pytest.raises(ValueError, match="data: 3 items have 3 pairs, over which agreement says nothing"):
        evaluate(FixedRDM(), paired(models, rdms(recording, "correlation")), splits=NoSplit(), metric=spearman)


def test_means_of_a_ceiling_say_how_many_locations_they_exclude(data):
    noise = data.y.copy(data=np.random.default_rng(1).standard_normal(data.y.shape))
    with pytest.warns(CodedWarning, match=r"ceiling: at \d+ of 20 locations the reliability is negative"):
        result = evaluate(MODEL, align(data.x, noise), splits=KFold(2), metric=pearson, ceiling=SplitHalfCeiling())
    undefined = int(np.isnan(result.ceiling.sel(bound="ceiling")).sum())
    assert f"undefined at {undefined} of 20" in str(result)
    with pytest.warns(
        CodedWarning, match=rf"ceiling: {undefined} of 20 values are undefined \(NaN\); means over voxel"
    ):
        mean = result.mean_ceiling("ceiling")
    assert mean.item() == pytest.approx(np.nanmean(result.ceiling.sel(bound="ceiling")))
