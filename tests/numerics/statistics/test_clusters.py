"""Cluster masses and threshold-free enhancement against hand-worked numbers and MNE."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, sparse, stats

from neuroling.numerics.statistics import clusters
from neuroling.numerics.statistics.sign_flips import flipped_t


def test_flipped_t_equals_scipy():
    rng = np.random.default_rng(0)
    values, signs = rng.standard_normal((9, 5)), rng.choice([-1.0, 1.0], (4, 9))
    expected = [stats.ttest_1samp(sign[:, None] * values, 0).statistic for sign in signs]
    np.testing.assert_allclose(flipped_t(values, signs), expected)


def test_masses_by_hand():
    t = np.array([[0.0, 2.0, 3.0, 0.5, 4.0], [2.0, 0.0, 0.0, 0.0, 2.5]])
    expected = [[0, 5, 5, 0, 4], [2, 0, 0, 0, 2.5]]
    np.testing.assert_allclose(clusters.cluster_mass(t, 1.0), expected)


def test_a_cluster_does_not_reach_into_the_next_draw():
    t = np.array([[0.0, 2.0], [2.0, 0.0]])
    np.testing.assert_allclose(clusters.cluster_mass(t, 1.0), t)


def test_a_chain_is_a_graph():
    t = np.random.default_rng(1).standard_normal((6, 40))
    label = clusters.graph_labels(clusters.grid_adjacency(40))
    np.testing.assert_allclose(clusters.cluster_mass(t, 0.5, label), clusters.cluster_mass(t, 0.5))
    np.testing.assert_allclose(clusters.threshold_free(t, label), clusters.threshold_free(t))


def test_neighbours_on_a_grid():
    channels = sparse.csr_array(np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]]))
    grid = clusters.grid_adjacency(channels, 2).toarray()  # (channel, time)
    assert grid[0].tolist() == [0, 1, 1, 0, 0, 0]  # channel 0, time 0: its next time, and channel 1
    assert grid[4].tolist() == [0, 0, 0, 0, 0, 1]


def test_enhancement_by_hand():
    # one step of 1: both positions at height 1 with extent 2; the second also at height 2, alone
    got = clusters.threshold_free(np.array([[1.0, 2.0, 0.0]]), step=1.0)
    np.testing.assert_allclose(got, [[np.sqrt(2), np.sqrt(2) + 4, 0]])


def test_enhanced_p_values_agree_with_mne():
    from mne.stats import permutation_cluster_1samp_test

    rng = np.random.default_rng(2)
    values = ndimage.gaussian_filter1d(rng.standard_normal((14, 40)), 3, axis=1) + 0.15 * (np.arange(40) > 20)
    _, _, theirs, _ = permutation_cluster_1samp_test(
        values, threshold={"start": 0.1, "step": 0.1}, n_permutations=1000, tail=1, verbose="error", seed=0
    )
    signs = np.concatenate([np.ones((1, 14)), rng.choice([-1.0, 1.0], (999, 14))])
    enhanced = clusters.threshold_free(flipped_t(values, signs))
    ours = (enhanced.max(axis=1)[:, None] >= enhanced[0]).mean(axis=0)
    assert 0.001 < ours.min() < 0.2
    np.testing.assert_allclose(ours, theirs, atol=0.06)
