"""Held-out log-likelihood: values, gains over a baseline, and their test over items."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, GroupShuffleSplit

from neuroling import MixedModel, align, align_table, evaluate, pearson
from neuroling.evaluation import HeldOutPermutation, ItemSignFlip, Regression, log_likelihood

RANDOM = {"reader": ["1"], "item": ["1"]}


def table(n_readers=8, n_items=24, *, effect=1.0, seed=0):
    rng = np.random.default_rng(seed)
    reader, item = np.divmod(np.arange(n_readers * n_items), n_items)
    x, z = rng.standard_normal((2, n_items))[:, item]
    y = effect * x + 0.5 * rng.standard_normal(n_readers)[reader] + 0.5 * rng.standard_normal(n_items)[item]
    rows = pd.DataFrame({"surprisal": x, "length": z, "reader": reader, "item": item})
    return rows.assign(rt=y + rng.standard_normal(len(y)))


def trials(*, n_readers=5, n_items=18, **options):
    return align_table(table(n_readers, n_items, **options), "rt", ["surprisal", "length"], group="item")


MODELS = {"full": MixedModel(["surprisal", "length"], RANDOM), "baseline": MixedModel(["length"], RANDOM)}


def test_score_is_the_mean_log_density_of_held_out_trials():
    rows, splits = table(5, 18), GroupKFold(3)
    result = evaluate(MODELS["full"], trials(), splits=splits, metric=log_likelihood)
    expected = []
    for train, test in splits.split(rows, groups=rows["item"]):
        model = MixedModel(["surprisal", "length"], RANDOM).fit(rows.iloc[train], rows["rt"].iloc[train])
        sds = model.standard_deviations()
        spread = np.sqrt(sds["residual"] ** 2 + sds["item: 1"] ** 2)  # readers are known, items are new
        expected.append(stats.norm.logpdf(rows["rt"].iloc[test], model.predict(rows.iloc[test]), spread).mean())
    np.testing.assert_allclose(result.data["score"], expected)


def test_regression_scores_as_a_normal_distribution_around_least_squares():
    rows = table(5, 18)
    result = evaluate(Regression(), trials(), splits=GroupKFold(3), metric=log_likelihood)
    expected = []
    for train, test in GroupKFold(3).split(rows, groups=rows["item"]):
        X, y = rows[["surprisal", "length"]].to_numpy(), rows["rt"].to_numpy()
        model = LinearRegression().fit(X[train], y[train])
        spread = np.sqrt(((y[train] - model.predict(X[train])) ** 2).sum() / (len(train) - 3))
        expected.append(stats.norm.logpdf(y[test], model.predict(X[test]), spread).mean())
    np.testing.assert_allclose(result.data["score"], expected)


def test_gain_over_a_baseline_does_not_depend_on_the_unit():
    gains = []
    for factor in (1.0, 1000.0):
        rows = table(5, 18).assign(rt=lambda rows, factor=factor: factor * rows["rt"])
        data = align_table(rows, "rt", ["surprisal", "length"], group="item")
        gains.append(evaluate(MODELS, data, splits=GroupKFold(3), metric=log_likelihood).difference("full", "baseline"))
    assert float(gains[0].score) == pytest.approx(float(gains[1].score), abs=1e-6)
    assert float(gains[0].score) > 0


def test_gain_is_tested_over_items_by_t():
    difference = evaluate(MODELS, trials(effect=3.0), splits=GroupKFold(3), metric=log_likelihood).difference(
        "full", "baseline"
    )
    samples = difference.scoring.sample_scores().to_numpy()
    of_items = pd.Series(samples).groupby(table(5, 18)["item"]).mean()
    null = difference.test(ItemSignFlip("item")).null
    assert float(null.observed) == pytest.approx(stats.ttest_1samp(of_items, 0).statistic)
    assert float(null.p_values()) < 0.05


def test_a_predictor_that_says_nothing_is_rarely_found():
    """In 20 studies without an effect of surprisal; more than 3 are in 2 % of cases at a rate of 5 %."""
    rejected = 0
    for seed in range(20):
        data = trials(n_readers=4, n_items=20, effect=0.0, seed=seed)
        models = {"full": Regression(), "baseline": Regression()}
        spaces = {"full": data.x, "baseline": data.x.sel(feature=["length"])}
        result = evaluate(models, align(spaces, data.y), splits=GroupKFold(3), metric=log_likelihood)
        rejected += float(result.difference("full", "baseline").test(ItemSignFlip(n_draws=200)).p_values()) <= 0.05
    assert rejected <= 3


def test_a_mixed_model_predicts_for_any_metric():
    result = evaluate(MODELS["full"], trials(), splits=GroupKFold(3), metric=pearson)
    assert float(result.score) > 0.3


def test_held_out_trials_exchanged_within_splits_lose_likelihood():
    data, once = trials(effect=3.0), GroupShuffleSplit(1, test_size=0.4, random_state=0)
    result = evaluate(Regression(), data, splits=once, metric=log_likelihood, inference=HeldOutPermutation(99))
    assert float(result.p_values()) == pytest.approx(1 / 100)


def test_provenance_names_features_rather_than_rows():
    one, other = (
        evaluate(MODELS["full"], data, splits=GroupKFold(3), metric=log_likelihood).provenance.data["features"]
        for data in (trials(), trials(seed=1))
    )
    assert one != other


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluate(LinearRegression(), trials(), splits=GroupKFold(3), metric=log_likelihood), "no density"),
        (lambda: log_likelihood.pooled(), "nothing to pool"),
        (lambda: log_likelihood.between("kind", "a", "b"), "nothing to pool or subtract"),
        (
            lambda: evaluate(
                Regression(), trials(), splits=GroupKFold(3), metric=log_likelihood, inference=ItemSignFlip("item")
            ),
            "no chance level",
        ),
        (
            lambda: (
                evaluate(MODELS, trials(), splits=GroupKFold(3), metric=pearson)
                .difference("full", "baseline")
                .test(ItemSignFlip("item"))
            ),
            "scores samples together",
        ),
        (
            lambda: (
                evaluate(MODELS, trials(), splits=GroupKFold(3), metric=log_likelihood)
                .difference("full", "baseline")
                .test(ItemSignFlip("sentence"))
            ),
            "coordinate: got 'sentence'",
        ),
        (
            lambda: evaluate(MixedModel(["rarity"], RANDOM), trials(), splits=GroupKFold(3), metric=log_likelihood),
            "'rarity'",
        ),
    ],
)
def test_what_has_no_log_likelihood_is_refused(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_a_saved_gain_says_what_it_needs(tmp_path):
    gain = evaluate(MODELS, trials(), splits=GroupKFold(3), metric=log_likelihood).difference("full", "baseline")
    gain.save(tmp_path / "gain.nc")
    with pytest.raises(ValueError, match="finished scores"):
        type(gain).load(tmp_path / "gain.nc").test(ItemSignFlip("item"))
    assert "no chance level" in str(evaluate(Regression(), trials(), splits=GroupKFold(3), metric=log_likelihood))
