"""What every member of a family must do; a new member joins one list and gets all checks."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import LinearRegression
from sklearn.linear_model import RidgeCV as SklearnRidgeCV
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, ShuffleSplit

from neuroling import (
    BlockPermutation,
    ByItem,
    CircularShift,
    ContiguousFolds,
    LeaveOneOutCeiling,
    LeavePOut,
    NoSplit,
    Permutation,
    Ridge,
    RidgeCV,
    SignFlip,
    SplitHalfCeiling,
    cosine,
    evaluate,
    pearson,
    r2,
    spearman,
    two_vs_two,
)
from neuroling.encoding import StableVoxels, Standardized
from neuroling.evaluation import ExplainableVarianceCeiling, HeldOutPermutation, ShufflesTime
from neuroling.evaluation.metrics import apply
from neuroling.evaluation.splits import checked_splits
from neuroling.evaluation.variance import explained

METRICS = [
    pearson,
    spearman,
    r2,
    cosine,
    two_vs_two,
    pearson.pooled(),
    pearson.along("sample", "voxel"),
    cosine.uncentred(),
    cosine.along("voxel", "sample"),
    two_vs_two.uncentred(),
    explained,
]
CEILINGS = [
    SplitHalfCeiling(),
    SplitHalfCeiling(n_halvings=2),
    SplitHalfCeiling("subject"),
    LeaveOneOutCeiling(),
    ExplainableVarianceCeiling(),
]
ONCE = ShuffleSplit(1, test_size=0.4, random_state=0)
INFERENCES = [
    (Permutation(40), KFold(4), {}),
    (Permutation(40, groups="within", group_by="condition"), KFold(4), {}),
    (HeldOutPermutation(40), ONCE, {}),
    (CircularShift(), ContiguousFolds(3, gap=2), {"phi": 0.5}),
    (CircularShift(n_draws=25, minimum=5), ContiguousFolds(3), {"phi": 0.5}),
    (BlockPermutation(8, 40), ContiguousFolds(3, gap=2), {"phi": 0.5}),
    (SignFlip(n_draws=40, keep_draws=True), KFold(4), {}),
    (SignFlip(n_draws=40, clusters="mass", keep_draws=True), KFold(4), {}),
    (SignFlip(n_draws=40, clusters="tfce", keep_draws=True), KFold(4), {}),
]
SPLITTERS = [
    (LeavePOut(1), {}),
    (LeavePOut(2), {}),
    (LeavePOut(2, 7, rng=1), {}),
    (ContiguousFolds(3), {}),
    (ContiguousFolds(3, gap=2), {"phi": 0.5}),
    (NoSplit(), {}),
    (ShufflesTime(KFold(3, shuffle=True, random_state=0), because="a check"), {"phi": 0.5}),
    (KFold(4), {}),
    (GroupKFold(3), {"coords": {"group": np.repeat(np.arange(6), 4)}}),
    (LeaveOneGroupOut(), {"coords": {"group": np.repeat(np.arange(6), 4)}}),
]
PREDICTORS = [
    Ridge(device="cpu"),
    Ridge(0.0, device="cpu"),
    RidgeCV([0.1, 10.0], device="cpu"),
    RidgeCV([0.1, 10.0], alpha_per_target=False, device="cpu"),
    LinearRegression(),
    SklearnRidgeCV(),
    Standardized(Ridge(device="cpu")),
    Standardized(RidgeCV([0.1, 10.0], device="cpu"), scale_targets=False),
]


def label(value):
    return getattr(value, "name", None) or " ".join(repr(value).split())


# --- metrics ----------------------------------------------------------------------------------------------------------


def check_metric(metric):
    rng = np.random.default_rng(0)
    truth, prediction = rng.standard_normal((2, 8, 5))
    dims = ("sample", "voxel")
    scores = apply(metric, truth, prediction, dims, None)
    kept = metric.kept(dims)
    assert scores.shape == tuple({"sample": 8, "voxel": 5}[dim] for dim in kept)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    best = apply(metric, truth, truth, dims, None)
    assert (best >= scores).all() if metric.larger_is_better else (best <= scores).all()
    untouched = truth.copy()
    apply(metric, truth, prediction, dims, None)
    np.testing.assert_array_equal(truth, untouched)
    frozen = truth.copy(), prediction.copy()
    for side in frozen:
        side.flags.writeable = False
    np.testing.assert_array_equal(apply(metric, *frozen, dims, None), scores)
    assert pickle.loads(pickle.dumps(metric)) == metric  # noqa: S301 - our own bytes
    with pytest.raises(AttributeError):
        metric.name = "another"


@pytest.mark.parametrize("metric", METRICS, ids=label)
def test_metric(metric):
    check_metric(metric)


@pytest.mark.parametrize("metric", METRICS, ids=label)
def test_metric_evaluates_and_refuses_axes_that_are_not_there(make_data, metric):
    result = evaluate(Ridge(device="cpu"), make_data(24, signal=1.0), splits=KFold(4), metric=metric)
    assert result.metric == metric.name
    assert result.score.dims == tuple(dim for dim in ("voxel",) if dim not in metric.over)
    with pytest.raises(ValueError, match=r"metric: .*consumes.*frequency.*but the recording has"):
        evaluate(Ridge(device="cpu"), make_data(24), splits=KFold(4), metric=metric.along("sample", "frequency"))


# --- ceilings ---------------------------------------------------------------------------------------------------------


def check_ceiling(ceiling, make_data):
    data = make_data(24, p=1, repeats=4, signal=0.8, subject=6)
    before = data.y.copy(deep=True)
    result = evaluate(Ridge(device="cpu"), data, splits=KFold(2), metric=pearson, ceiling=ceiling, rng=1)
    again = evaluate(Ridge(device="cpu"), data, splits=KFold(2), metric=pearson, ceiling=ceiling, rng=1)
    xr.testing.assert_identical(result.ceiling, again.ceiling)
    assert result.ceiling.dims[0] == "bound"
    assert set(result.ceiling.dims[1:]) == set(result.score.dims)
    assert len(set(result.ceiling["bound"].values.tolist())) == result.ceiling.sizes["bound"]
    xr.testing.assert_identical(data.y, before)
    noise = evaluate(
        Ridge(device="cpu"), make_data(24, repeats=4, subject=6), splits=KFold(2), metric=r2, ceiling=ceiling
    )
    assert result.ceiling.mean() > noise.ceiling.mean()  # signal is seen
    assert noise.ceiling.min() < 0  # and nothing is clipped
    assert result.provenance.options["ceiling"].startswith(type(ceiling).__name__)


@pytest.mark.parametrize("ceiling", [c for c in CEILINGS if c != SplitHalfCeiling("subject")], ids=label)
def test_ceiling(make_data, ceiling):
    check_ceiling(ceiling, make_data)


@pytest.mark.parametrize("ceiling", CEILINGS, ids=label)
def test_ceiling_refuses_a_recording_without_its_axis(make_data, ceiling):
    with pytest.raises(ValueError, match=rf"ceiling: .*{ceiling.axis!r}.*the recording has"):
        evaluate(Ridge(device="cpu"), make_data(24), splits=KFold(2), metric=pearson, ceiling=ceiling)


# --- inference --------------------------------------------------------------------------------------------------------


def check_inference(inference, splits, data, rng=3):
    options = {"splits": splits, "metric": pearson, "inference": inference}
    before = data.y.copy(deep=True)
    one, again, other = (evaluate(Ridge(device="cpu"), data, rng=seed, **options) for seed in (rng, rng, rng + 1))
    xr.testing.assert_identical(one.data, again.data)
    assert not one.null.draws.equals(other.null.draws)
    xr.testing.assert_identical(data.y, before)
    null = one.null
    assert null.n_draws == null.draws.sizes["draw"]
    assert null.draws.dims == ("draw", *null.observed.dims)
    if not isinstance(inference, SignFlip):
        xr.testing.assert_allclose(null.observed, one.score)
    for correction in ("none", "fdr", "max"):
        p = null.p_values(correction)
        assert p.dims == null.observed.dims
        assert ((p > 0) & (p <= 1)).all()
    np.testing.assert_array_equal(null.exceedances, (null.draws >= null.observed).sum("draw"))
    np.testing.assert_array_equal(null.best, null.draws.max([d for d in null.draws.dims if d != "draw"]))
    assert null.method in str(one)


@pytest.mark.parametrize(("inference", "splits", "kind"), INFERENCES, ids=label)
def test_inference(make_data, inference, splits, kind):
    condition = {"condition": np.repeat(["a", "b"], 30)}
    check_inference(inference, splits, make_data(60, coords=condition, **kind, subject=6, time=3))


def test_inference_on_pairs_of_items(make_pairs):
    data = make_pairs(12, 3)
    check_inference(Permutation(40), ByItem.of(KFold(2), data), data)


@pytest.mark.parametrize(
    ("inference", "splits", "kind"), [case for case in INFERENCES if not isinstance(case[0], SignFlip)], ids=label
)
def test_inference_without_draws_gives_the_same_p_values(make_data, inference, splits, kind):
    data = make_data(60, coords={"condition": np.repeat(["a", "b"], 30)}, **kind)
    lean = type(inference)(**{**inference.__dict__, "keep_draws": False})
    options = {"splits": splits, "metric": pearson}
    one, other = (evaluate(Ridge(device="cpu"), data, inference=i, **options) for i in (inference, lean))
    assert other.null.draws is None
    for correction in ("none", "fdr", "max"):
        xr.testing.assert_identical(one.p_values(correction), other.p_values(correction))


# --- splitters --------------------------------------------------------------------------------------------------------


def check_splitter(splitter, data):
    first, again = checked_splits(splitter, data), checked_splits(copy.deepcopy(splitter), data)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.train, other.train)
        np.testing.assert_array_equal(one.test, other.test)
    for split in first:
        assert not set(split.train) & set(split.test)
        assert set(split.train) | set(split.test) <= set(range(data.n_samples))
        assert len(split.test)


@pytest.mark.parametrize(("splitter", "kind"), SPLITTERS, ids=label)
def test_splitter(make_data, splitter, kind):
    check_splitter(splitter, make_data(24, **kind))


def test_splitter_of_pairs(make_pairs):
    data = make_pairs(9, 2)
    check_splitter(ByItem.of(KFold(3), data), data)


# --- predictors -------------------------------------------------------------------------------------------------------


def check_predictor(model, make_data):
    data = make_data(30, signal=3.0, voxel=4)
    before = repr(model), data.x.copy(deep=True)
    result = evaluate(model, data, splits=KFold(3), metric=pearson)
    assert result.score.min() > 0.7  # planted signal is found
    assert repr(model) == before[0]
    assert not hasattr(model, "coef_")  # the model handed in stays unfitted
    xr.testing.assert_identical(data.x, before[1])
    xr.testing.assert_identical(result.data, evaluate(model, data, splits=KFold(3), metric=pearson).data)
    order = [2, 0, 3, 1]
    moved = evaluate(model, type(data)(data.x, data.y.isel(voxel=order)), splits=KFold(3), metric=pearson)
    xr.testing.assert_allclose(moved.score, result.score.isel(voxel=order))
    single = evaluate(model, type(data)(data.x.astype("f4"), data.y.astype("f4")), splits=KFold(3), metric=pearson)
    xr.testing.assert_allclose(single.score, result.score, atol=1e-3)
    chosen = evaluate(
        model, make_data(8, repeats=2, voxel=6), splits=LeavePOut(2), metric=two_vs_two, select=StableVoxels(3)
    )
    assert 0 <= chosen.score.item() <= 1


@pytest.mark.parametrize("model", PREDICTORS, ids=label)
def test_predictor(make_data, model):
    check_predictor(model, make_data)


def test_predictor_with_nothing_to_fit(make_pairs, nothing_to_fit):
    result = evaluate(nothing_to_fit, make_pairs(8, 3, signal=5.0), splits=NoSplit(), metric=spearman)
    assert result.score.min() > 0.7
