"""Stability: known voxels are found, and sums less held-out terms equal starting over in every fold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroling.numerics.ridge import voxel_stability as stable
from neuroling.numerics.ridge.leave_two_out import all_pairs

RNG = np.random.default_rng


def _recording(repeats=4, n=12, v=30, seed=0, dtype=np.float64):
    rng = RNG(seed)
    shared = rng.standard_normal((n, v)) * np.linspace(0, 2, v)
    return (shared + rng.standard_normal((repeats, n, v))).astype(dtype)


def _loop(recording, tests, n_keep):
    """Every fold from scratch."""
    kept = []
    for test in tests:
        train = np.setdiff1d(np.arange(recording.shape[1]), test)
        kept.append(np.sort(np.argsort(stable.stability(recording[:, train]), kind="stable")[-n_keep:]))
    return np.array(kept)


# --- truth ------------------------------------------------------------------------------------------------------------


def test_identical_presentations_are_perfectly_stable_and_opposite_ones_are_not():
    profile = RNG(0).standard_normal(10)
    recording = np.stack([np.column_stack([profile, profile]), np.column_stack([3 * profile + 1, -profile])])
    np.testing.assert_allclose(stable.stability(recording), [1, -1], atol=1e-15)


def test_stability_is_the_mean_correlation_between_presentations():
    recording = _recording(repeats=3, v=4)
    expected = [np.mean(np.corrcoef(recording[:, :, k])[np.triu_indices(3, 1)]) for k in range(4)]
    np.testing.assert_allclose(stable.stability(recording), expected, atol=1e-12)


def test_planted_voxels_are_chosen_in_every_fold():
    recording = RNG(0).standard_normal((6, 20, 50))
    recording[:, :, [3, 17, 41]] += 3 * RNG(1).standard_normal((20, 3))
    assert (stable.stable_targets(recording, all_pairs(20), 3) == [3, 17, 41]).all()


def test_a_voxel_that_is_stable_by_a_held_out_sample_only_is_not_chosen():
    recording = RNG(0).standard_normal((4, 20, 10))
    recording[:, 0, 5] += 50.0  # all its stability is this one sample
    chosen_without, chosen_with = stable.stable_targets(recording, [np.array([0, 1]), np.array([2, 3])], 1)
    assert chosen_with == [5]
    assert chosen_without == _loop(recording, [np.array([0, 1])], 1)


# --- fast equals slow -------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(repeats=st.integers(2, 6), n=st.integers(5, 10), v=st.integers(3, 20), seed=st.integers(0, 99))
def test_all_pairs_at_once_equal_a_loop_from_scratch(repeats, n, v, seed):
    recording = _recording(repeats, n, v, seed)
    np.testing.assert_array_equal(stable.stable_targets(recording, all_pairs(n), 2), _loop(recording, all_pairs(n), 2))


@settings(deadline=None, max_examples=30)
@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_test_sets_of_any_sizes_equal_a_loop_from_scratch(sizes, seed):
    recording = _recording(seed=seed)
    tests = [RNG(seed + k).permutation(12)[:size] for k, size in enumerate(sizes)]
    np.testing.assert_array_equal(stable.stable_targets(recording, tests, 5), _loop(recording, tests, 5))


def test_tiles_and_blocks_leave_no_seam(monkeypatch):
    monkeypatch.setattr(stable, "TARGETS_AT_ONCE", 7)
    monkeypatch.setattr(stable, "HELD_OUT_AT_ONCE", 10)
    recording = _recording()
    np.testing.assert_array_equal(
        stable.stable_targets(recording, all_pairs(12), 5), _loop(recording, all_pairs(12), 5)
    )


def test_float32_scores_agree_with_float64_at_a_bold_offset():
    recording = (_recording(6, 20, 200, dtype=np.float64) + 1e4).astype(np.float32)
    kept = stable.stable_targets(recording, all_pairs(20), 20)
    np.testing.assert_array_equal(kept, stable.stable_targets(recording.astype(np.float64), all_pairs(20), 20))


def test_a_heavy_outlier_costs_float32_no_digits():
    recording = _recording(dtype=np.float32)
    recording[:, 3, ::2] += 3e3
    recording[:, 7, ::2] -= 2e3
    kept = stable.stable_targets(recording, all_pairs(12), 9)
    np.testing.assert_array_equal(kept, _loop(recording, all_pairs(12), 9))


# --- undefined --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_voxel_constant_in_one_presentation_comes_last(dtype):
    recording = _recording(v=6, dtype=dtype)
    recording[1, :, 5] = 0.1
    assert stable.stability(recording)[5] == -np.inf
    assert (stable.stable_targets(recording, all_pairs(12), 5) == np.arange(5)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_voxel_that_varies_only_at_the_held_out_samples_comes_last(dtype):
    recording = _recording(v=6, dtype=dtype)
    recording[:, :, 5] = 0.1
    recording[:, 4, 5] += 3.3
    recording[:, 9, 5] -= 1.7
    kept = stable.stable_targets(recording, [np.array([4, 9]), np.array([0, 1])], 5)
    assert 5 not in kept[0]
    assert 5 in kept[1]


def test_too_few_voxels_that_vary_are_counted():
    recording = _recording(v=6)
    recording[0, :, :2] = 1.0
    with pytest.raises(ValueError, match=r"in fold 0 only 4 of 6 targets vary .* expected at least 5"):
        stable.stable_targets(recording, all_pairs(12), 5)


# --- grams ------------------------------------------------------------------------------------------------------------


def test_fold_grams_are_inner_products_over_the_kept_targets():
    Y, kept = RNG(0).standard_normal((5, 9)), np.array([[0, 3], [2, 8]])
    grams = stable.fold_grams(Y.astype(np.float32), kept)
    assert grams.dtype == np.float64
    for gram, keep in zip(grams, kept, strict=True):
        np.testing.assert_allclose(gram, Y[:, keep] @ Y[:, keep].T, atol=1e-6)
