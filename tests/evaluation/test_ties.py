"""Every inference: the draw that changes nothing ties, p has no unit, and none is below the smallest possible."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold, ShuffleSplit

from neuroling import (
    BlockPermutation,
    CircularShift,
    Clusters,
    ContiguousFolds,
    Metric,
    NoSplit,
    Permutation,
    Ridge,
    SignFlip,
    evaluate,
    pearson,
    spearman,
)
from neuroling.core.finished_scores import FinishedScores
from neuroling.core.notices import without
from neuroling.evaluation import HeldOutPermutation, NullDistribution
from neuroling.evaluation.latency import peak_p_value
from neuroling.numerics.statistics.sign_flips import flipped_t
from neuroling.rsa import FixedRDM

SCALES = st.integers(-15, 15).map(lambda power: 10.0**power)
COVARIANCE = Metric("covariance", lambda truth, prediction: (truth * prediction).mean(-1))
"""A score that has the unit of the recording, so that a tie cannot be an absolute number."""
ABOVE_NOTHING = Clusters("size", threshold=0.0)
GROUPS = {"group": np.repeat(np.arange(6), 10)}
ONCE = ShuffleSplit(1, test_size=0.5, random_state=0)

CASES = {
    "samples": (Permutation(39, clusters=ABOVE_NOTHING), KFold(4), {}),
    "samples, both sides": (Permutation(39, two_sided=True, clusters="tfce"), KFold(4), {}),
    "within groups": (Permutation(39), ShuffleSplit(1, random_state=0), {"coords": {"kind": np.repeat([0, 1], 30)}}),
    "held out": (HeldOutPermutation(39, clusters=ABOVE_NOTHING), ONCE, {}),
    "rotations": (CircularShift(39, clusters=ABOVE_NOTHING), ContiguousFolds(3), {"phi": 0.5}),
    "blocks": (BlockPermutation(8, 39), ContiguousFolds(3), {"phi": 0.5}),
    "participants": (SignFlip(n_draws=39, clusters="mass"), KFold(4), {}),
    "participants, both sides": (SignFlip(n_draws=39, two_sided=True, clusters="tfce"), KFold(4), {}),
}


def p_of(case, data, metric):
    inference, splits, _ = CASES[case]
    null = evaluate(Ridge(1.0, device="cpu"), data, splits=splits, metric=metric, inference=inference, rng=2).null
    corrections = ["none", "fdr", "max", *(["cluster"] if null.cluster is not None else [])]
    return np.stack([null.p_values(correct).values for correct in corrections])


@pytest.mark.parametrize("metric", [pearson, COVARIANCE], ids=lambda metric: metric.name)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [1e-15, 1e-9, 1e9, 1e15])
def test_p_has_no_unit(make_data, case, metric, dtype, scale):
    kind = CASES[case][2]
    data = make_data(60, **kind, subject=6, time=3, signal=0.3)
    data = replace(data, y=data.y.astype(dtype))
    scaled = replace(data, y=(data.y.astype(np.float64) * scale).astype(dtype))
    np.testing.assert_array_equal(p_of(case, scaled, metric), p_of(case, data, metric))


@settings(max_examples=8)
@given(scale=SCALES, seed=st.integers(0, 99), n=st.integers(6, 9), offset=st.sampled_from([0.0, 0.5, 1e3]))
def test_p_of_flips_has_no_unit_and_no_draw_but_the_identity_beats_it(scale, seed, n, offset):
    values = np.random.default_rng(seed).standard_normal((n, 7)) + offset
    for clusters in ("mass", "tfce", None):
        for two_sided in (False, True):
            test = SignFlip(n_draws=1000, two_sided=two_sided, clusters=clusters)
            scores = [FinishedScores(xr.DataArray(values * s, dims=("subject", "time"))) for s in (1.0, scale)]
            with without("skewed-scores"):
                nulls = [test(each, np.random.default_rng(0)) for each in scores]
            for correct in ("none", "max", *(["cluster"] if clusters else [])):
                p, scaled = (null.p_values(correct).values for null in nulls)
                np.testing.assert_array_equal(p, scaled)
                assert p.min() >= (2 if two_sided else 1) / 2**n


@given(scale=SCALES, seed=st.integers(0, 99))
def test_p_of_a_peak_has_no_unit(scale, seed):
    values = np.random.default_rng(seed).standard_normal((8, 12)) + 0.5
    coords = {"time": np.arange(12.0)}
    p, scaled = (
        peak_p_value(xr.DataArray(values * s, dims=("subject", "time"), coords=coords), window=(1, 10), n_draws=100)
        for s in (1.0, scale)
    )
    assert p == scaled


class Identities:
    """A generator whose permutations change nothing every other time."""

    def __init__(self, seed):
        self.rng, self.count = np.random.default_rng(seed), 0

    def permutation(self, values):
        self.count += 1
        values = np.arange(values) if np.isscalar(values) else np.asarray(values)
        return values.copy() if self.count % 2 else self.rng.permutation(values)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("metric", "keep_choices"),
    [(pearson, False), (pearson, True), (spearman, False), (COVARIANCE, False)],
    ids=["pearson", "choices kept", "spearman", "covariance"],
)
def test_orders_that_change_nothing_tie_to_the_last_bit(make_data, metric, keep_choices, dtype):
    data = make_data(40, signal=2.0)
    data = replace(data, y=data.y.astype(dtype))
    scoring = evaluate(Ridge(1.0, device="cpu"), data, splits=KFold(4), metric=metric).scoring
    null = Permutation(40, keep_choices=keep_choices)(scoring, Identities(0))
    assert int((null.draws == null.observed).all("voxel").sum()) == 20
    assert float(null.p_values("max").min()) >= 21 / 41


def test_items_that_change_nothing_tie_to_the_last_bit(make_pairs):
    data = make_pairs(8, 3, signal=3.0)
    scoring = evaluate(FixedRDM(), data, splits=NoSplit(), metric=spearman).scoring
    null = Permutation(40)(scoring, Identities(0))
    assert int((null.draws == null.observed).all("time").sum()) == 20


def test_flips_of_all_or_of_none_give_t_itself():
    values = 0.5 + 1e-7 * np.random.default_rng(0).standard_normal((9, 4))
    signs = np.random.default_rng(1).choice([-1.0, 1.0], (30, 9))
    signs[[3, 20]], signs[7] = 1.0, -1.0
    t = flipped_t(values, signs)
    np.testing.assert_array_equal(t[3], t[20])
    np.testing.assert_array_equal(t[3], -t[7])
    from scipy.stats import ttest_1samp

    np.testing.assert_allclose(t[3], ttest_1samp(values, 0).statistic, rtol=1e-8)


def test_flips_that_make_all_scores_equal_are_as_extreme_as_rounding_can_say():
    """Accuracies of the same size and different signs: one flip of them has no variance left."""
    t = flipped_t(np.array([[0.1], [0.1], [-0.1], [0.1], [-0.1]]), np.array([[1.0, 1, -1, 1, -1], [1, 1, 1, 1, 1]]))
    assert np.isfinite(t).all()
    assert t[0, 0] > 1e6 > t[1, 0]


@given(st.integers(1, 30), st.floats(1e-15, 1e15), st.integers(0, 50))
def test_draws_within_rounding_of_the_observed_value_tie(n_same, scale, seed):
    rng = np.random.default_rng(seed)
    observed = xr.DataArray(np.abs(rng.standard_normal(3)) * scale, dims="voxel")
    near = [observed * (1 - 1e-13 * rng.random()) for _ in range(n_same)]
    far = [observed * 0.5 for _ in range(30)]
    null = NullDistribution.collect(observed, [*near, *far], method="made up")
    np.testing.assert_allclose(null.p_values(), (1 + n_same) / (31 + n_same))
    assert float(null.p_values("max").min()) >= (1 + n_same) / (31 + n_same)
