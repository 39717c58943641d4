"""Metrics: constructed truths, identities, other people's implementations, and what noise scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold

from neuroling import LeavePOut, Metric, Ridge, cosine, evaluate, pearson, r2, spearman, two_vs_two
from neuroling.evaluation.metrics import apply

BY_VOXEL = ("sample", "voxel")


def name_of(metric):
    return metric.name


def score(metric, truth, prediction, dims=BY_VOXEL, condition=None):
    return apply(metric, np.asarray(truth, float), np.asarray(prediction, float), dims, condition)


def sides(seed, shape=(10, 4)):
    return np.random.default_rng(seed).standard_normal((2, *shape))


# --- constructed truths -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "expected"), [(pearson, 1), (spearman, 1), (r2, 1), (cosine, 1), (two_vs_two, 1)], ids=str
)
def test_a_perfect_prediction_scores_one(metric, expected):
    truth, _ = sides(0)
    np.testing.assert_allclose(score(metric, truth, truth), expected)


@pytest.mark.parametrize(
    ("metric", "expected"), [(pearson, -1), (spearman, -1), (cosine, -1), (two_vs_two, 0)], ids=str
)
def test_a_reversed_prediction_scores_the_opposite(metric, expected):
    truth, _ = sides(0)
    np.testing.assert_allclose(score(metric, truth, -truth), expected)


def test_predicting_the_mean_explains_nothing():
    truth, _ = sides(0)
    np.testing.assert_allclose(score(r2, truth, np.broadcast_to(truth.mean(axis=0), truth.shape)), 0, atol=1e-12)


def test_two_vs_two_counts_pairs():
    truth = np.eye(4)
    swapped = truth[[1, 0, 2, 3]]  # of six pairs only that of the two swapped is told apart wrongly, four tie with it
    similarity = swapped @ truth.T
    right = [
        np.sign(similarity[i, i] + similarity[j, j] - similarity[i, j] - similarity[j, i])
        for i in range(4)
        for j in range(i)
    ]
    np.testing.assert_allclose(score(two_vs_two, truth, swapped), np.mean((1 + np.array(right)) / 2))


@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_the_same_prediction_for_both_is_a_tie(scale):
    truth, prediction = sides(0, (2, 30))
    assert score(two_vs_two, truth, scale * prediction[[0, 0]]) == 0.5


def test_a_model_that_predicts_the_training_mean_ties_every_pair(make_data):
    result = evaluate(DummyRegressor(), make_data(8), splits=LeavePOut(2), metric=two_vs_two)
    np.testing.assert_array_equal(result.data["score"], 0.5)


def test_difference_waves_are_differences_of_condition_means():
    truth, prediction = sides(1, (6, 20))
    condition = np.array(["new", "old", "new", "old", "old", "new"])
    new, old = condition == "new", condition == "old"
    expected = pearsonr(*(side[new].mean(axis=0) - side[old].mean(axis=0) for side in (truth, prediction)))[0]
    metric = pearson.along("time").between("condition", "new", "old")
    np.testing.assert_allclose(score(metric, truth, prediction, ("sample", "time"), condition), expected)


# --- other implementations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        (pearson, lambda t, p: pearsonr(t, p)[0]),
        (spearman, lambda t, p: spearmanr(t, p)[0]),
        (r2, r2_score),
        (cosine, lambda t, p: t @ p / np.linalg.norm(t) / np.linalg.norm(p)),
    ],
    ids=["pearson", "spearman", "r2", "cosine"],
)
@given(seed=st.integers(0, 2**32 - 1), ties=st.booleans())
def test_scores_are_those_of_scipy_and_sklearn(metric, reference, seed, ties):
    truth, prediction = (np.round(side, 1) if ties else side for side in sides(seed))
    expected = [reference(truth[:, voxel], prediction[:, voxel]) for voxel in range(4)]
    np.testing.assert_allclose(score(metric, truth, prediction), expected, atol=1e-12)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 7))
def test_two_vs_two_is_the_loop_over_pairs(seed, n):
    truth, prediction = sides(seed, (n, 5))

    def cos(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    wins = [
        cos(prediction[i], truth[i]) + cos(prediction[j], truth[j])
        > cos(prediction[i], truth[j]) + cos(prediction[j], truth[i])
        for i in range(n)
        for j in range(i)
    ]
    np.testing.assert_allclose(score(two_vs_two, truth, prediction), np.mean(wins))


# --- identities -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [pearson, spearman, r2, cosine], ids=name_of)
@given(seed=st.integers(0, 2**32 - 1))
def test_permuting_voxels_permutes_scores(metric, seed):
    truth, prediction = sides(seed)
    order = np.random.default_rng(seed).permutation(4)
    np.testing.assert_allclose(
        score(metric, truth[:, order], prediction[:, order]), score(metric, truth, prediction)[order]
    )


@given(seed=st.integers(0, 2**32 - 1))
def test_two_vs_two_does_not_see_the_order_of_voxels_or_samples(seed):
    truth, prediction = sides(seed)
    rows, columns = (np.random.default_rng(seed).permutation(k) for k in truth.shape)
    moved = score(two_vs_two, truth[rows][:, columns], prediction[rows][:, columns])
    np.testing.assert_allclose(moved, score(two_vs_two, truth, prediction))


@pytest.mark.parametrize("metric", [pearson, spearman], ids=name_of)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3))
def test_correlations_do_not_see_scale_and_offset(metric, seed, scale, shift):
    truth, prediction = sides(seed)
    np.testing.assert_allclose(
        score(metric, scale * truth + shift, prediction), score(metric, truth, prediction), atol=1e-7
    )


@pytest.mark.parametrize("metric", [pearson, spearman, cosine, two_vs_two], ids=name_of)
@given(seed=st.integers(0, 2**32 - 1))
def test_truth_and_prediction_may_trade_places(metric, seed):
    truth, prediction = sides(seed)
    np.testing.assert_allclose(score(metric, truth, prediction), score(metric, prediction, truth), atol=1e-12)


def test_kept_axes_are_those_not_consumed():
    truth, prediction = sides(0, (6, 3, 8))
    dims = ("sample", "subject", "time")
    assert score(pearson, truth, prediction, dims).shape == (3, 8)
    assert score(pearson.along("sample", "time"), truth, prediction, dims).shape == (3,)
    assert score(two_vs_two.along("sample", "time"), truth, prediction, dims).shape == (3,)
    assert score(two_vs_two.along("sample", "subject", "time"), truth, prediction, dims).shape == ()


def test_single_precision_at_a_large_offset_scores_as_it_should():
    truth, prediction = sides(0, (50, 3))
    shifted = (truth + 1e4).astype("f4")
    np.testing.assert_allclose(
        apply(pearson, shifted, prediction, BY_VOXEL, None), score(pearson, truth, prediction), atol=1e-2
    )


# --- names ------------------------------------------------------------------------------------------------------------


def test_every_variant_has_its_own_name():
    variants = [
        pearson,
        spearman,
        r2,
        cosine,
        two_vs_two,
        pearson.along("time"),
        pearson.pooled(),
        pearson.along("time").between("condition", "a", "b"),
        pearson.along("time").between("condition", "b", "a"),
        cosine.uncentred(),
        cosine.pooled(),
        cosine.pooled().uncentred(),
        cosine.along("voxel"),
        two_vs_two.uncentred(),
        two_vs_two.along("sample", "region"),
    ]
    assert len({metric.name for metric in variants}) == len(variants)


def test_names_say_what_is_subtracted():
    assert two_vs_two.name == "two_vs_two, training-mean-centred"
    assert two_vs_two.uncentred().name == "two_vs_two, uncentred"
    assert "centred" in pearson.pooled().name


# --- what noise scores ------------------------------------------------------------------------------------------------


def mean_and_error(make_data, metric, splits, model=None, n_data=25, n=24):
    """Mean over data sets without any effect, and twice its standard error; voxels of one set share features."""
    model = Ridge(1.0, device="cpu") if model is None else model
    means = [
        evaluate(model, make_data(n, voxel=50, seed=s), splits=splits, metric=metric).score.mean()
        for s in range(n_data)
    ]
    return np.mean(means), 2 * np.std(means) / np.sqrt(n_data)


@pytest.mark.parametrize("metric", [pearson, spearman, two_vs_two, cosine.along("voxel", "sample")], ids=name_of)
def test_noise_scores_no_better_than_chance(make_data, metric):
    mean, error = mean_and_error(make_data, metric, KFold(4))
    assert mean < metric.chance + error


def test_pairs_of_noise_score_one_half(make_data):
    mean, error = mean_and_error(make_data, two_vs_two, LeavePOut(2), n_data=60, n=16)
    assert abs(mean - 0.5) < 1.5 * error  # three standard errors


def test_explained_variance_of_noise_is_negative(make_data):
    mean, _ = mean_and_error(make_data, r2, KFold(4))
    assert mean < -0.1


def covariance(truth, prediction):
    return (truth * (prediction - prediction.mean(axis=-1, keepdims=True))).mean(axis=-1)


@pytest.mark.parametrize("alpha", [1.0, 100.0])
def test_pooled_covariance_of_noise_is_zero_and_raw_pooling_is_biased(make_data, alpha):
    """Each test mean lies opposite to its training mean; folds of four samples show it well."""
    splits, model, metric = KFold(6), Ridge(alpha, device="cpu"), Metric("covariance", covariance).pooled()
    mean, error = mean_and_error(make_data, metric, splits, model)
    raw, raw_error = mean_and_error(make_data, metric.uncentred(), splits, model)
    assert abs(mean) < error
    assert raw < -3 * raw_error


def test_pooled_correlation_of_noise_is_within_half_a_standard_error_of_zero(make_data):
    """The covariance is unbiased, but where it is large so is the length of the prediction: a little remains."""
    splits, model = KFold(6), Ridge(1e3, device="cpu")
    mean, _ = mean_and_error(make_data, pearson.pooled(), splits, model)
    raw, _ = mean_and_error(make_data, pearson.pooled().uncentred(), splits, model)
    assert -0.5 / np.sqrt(24) < mean < 0
    assert raw < 5 * mean


# --- custom metrics ---------------------------------------------------------------------------------------------------


def test_a_metric_of_ones_own_needs_a_name_and_a_function(make_data):
    error = Metric(
        "squared error", lambda truth, prediction: ((truth - prediction) ** 2).mean(axis=-1), larger_is_better=False
    )
    data = make_data(20, signal=2.0)
    result = evaluate(LinearRegression(), data, splits=KFold(4), metric=error)
    assert result.metric == "squared error"
    assert (result.score < data.y.var("sample")).all()


def test_a_constant_prediction_is_undefined_and_says_so(make_data):
    with pytest.warns(UserWarning, match="pearson: 5 of 5 scores are undefined"):
        result = evaluate(DummyRegressor(), make_data(20), splits=KFold(2), metric=pearson)
    assert np.isnan(result.score).all()
