"""Exchanged labels as one product: equal to doing everything again, and at its nominal rate on noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import pdist
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from neuroling import ByItem, NoSplit, Permutation, cosine, evaluate, pearson, spearman
from neuroling.core.align import pair_order
from neuroling.evaluation.inference.exchange import ItemOrders
from neuroling.evaluation.scoring import Scorer
from neuroling.evaluation.splits import checked_splits
from neuroling.evaluation.strategies.exchanged_items import ExchangedItems
from neuroling.rsa.dissimilarity import PairLabels
from neuroling.rsa.pairs import FixedRDM, paired


def pairs(rng, n_items=10, n_times=4, ties=False):
    labels = PairLabels.of(np.array([f"i{place}" for place in range(n_items)])).coords()
    n_pairs = n_items * (n_items - 1) // 2
    model = rng.standard_normal(n_pairs)
    model = (model > 0) * 1.0 if ties else model
    x = xr.DataArray(model[:, None], dims=("sample", "model"), coords={**labels, "model": ["m"]})
    y = xr.DataArray(rng.standard_normal((n_pairs, n_times)), dims=("sample", "time"), coords=labels)
    return paired(x.isel(sample=rng.permutation(n_pairs)), y)


@pytest.mark.parametrize("metric", [spearman, pearson])
@pytest.mark.parametrize("ties", [False, True])
def test_draws_equal_those_of_doing_everything_again(metric, ties):
    data = pairs(np.random.default_rng(0), ties=ties)
    splits = checked_splits(NoSplit(), data)
    orders = ItemOrders(data, np.stack([np.random.default_rng(i).permutation(10) for i in range(50)]))
    plain = replace(metric, score=lambda truth, prediction: metric.score(truth, prediction))  # no inner product of ours
    fast, slow = (np.stack(list(Scorer(FixedRDM(), data, splits, m).reordered(orders))) for m in (metric, plain))
    np.testing.assert_allclose(fast, slow, atol=1e-12)


def test_the_product_is_taken_where_items_are_exchanged_for_a_fixed_model():
    """And nowhere else: not for plain orders, other metrics, models that are fitted or splits by item."""
    data = pairs(np.random.default_rng(0))
    items = ItemOrders(data, np.stack([np.random.default_rng(0).permutation(10)]))
    by_item = ByItem.of(KFold(2), data)
    cases = [
        (FixedRDM(), NoSplit(), spearman, items, True),
        (FixedRDM(), NoSplit(), spearman, items[:], False),
        (FixedRDM(), NoSplit(), cosine.uncentred(), items, False),
        (LinearRegression(), by_item, spearman, items, False),
        (FixedRDM(), by_item, spearman, items, False),
    ]
    for model, splitter, metric, orders, expected in cases:
        scorer = Scorer(model, data, checked_splits(splitter, data), metric)
        strategy = next(s for s in scorer.strategies if isinstance(s, ExchangedItems))
        assert strategy.scores_reordered(orders, None) is expected


def test_items_take_their_pairs_along():
    data = pairs(np.random.default_rng(0))
    permutation = np.random.default_rng(1).permutation(10)
    np.testing.assert_array_equal(ItemOrders(data, permutation[None])[0], pair_order(data, permutation))


def test_equal_seeds_agree_and_others_do_not():
    data = pairs(np.random.default_rng(1))
    one, same, other = (
        evaluate(FixedRDM(), data, splits=NoSplit(), metric=spearman, inference=Permutation(20), rng=seed).null.best
        for seed in (1, 1, 2)
    )
    xr.testing.assert_equal(one, same)
    assert not one.equals(other)


@pytest.mark.parametrize("n_models", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_geometries_that_share_nothing_are_told_apart_at_the_nominal_rate(n_models):
    """Pairs of the same items are not independent: entry shuffles err in 26 of 100, labels do not."""
    rng = np.random.default_rng(2)
    p = np.concatenate([p_values_of_nothing(rng) for _ in range(n_models)])
    assert 0.03 - 0.005 * (n_models == 1) <= float((p <= 0.05).mean()) <= 0.07 + 0.005 * (n_models == 1)


def p_values_of_nothing(rng):
    """Test 600 geometries against a model that has nothing to do with them."""
    labels = PairLabels.of(np.array([f"i{place:02d}" for place in range(16)])).coords()
    y = np.stack([pdist(rng.standard_normal((16, 4))) for _ in range(600)], axis=1)
    model = xr.DataArray(
        pdist(rng.standard_normal((16, 4)))[:, None], dims=("sample", "model"), coords={**labels, "model": ["m"]}
    )
    data = paired(model, xr.DataArray(y, dims=("sample", "voxel"), coords=labels))
    result = evaluate(FixedRDM(), data, splits=NoSplit(), metric=spearman, inference=Permutation(399))
    return result.p_values().to_numpy()
