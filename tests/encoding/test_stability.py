"""The selector: training samples only, one call or all folds at once, sentences for wrong input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroling.encoding import StableVoxels
from neuroling.numerics.ridge.leave_two_out import all_pairs

RNG = np.random.default_rng


def _recording(repeats=4, n=10, v=20, seed=0):
    rng = RNG(seed)
    return rng.standard_normal((n, v)) * np.linspace(0, 2, v) + rng.standard_normal((repeats, n, v))


def test_planted_voxels_are_selected():
    recording = RNG(0).standard_normal((6, 30, 50))
    recording[:, :, [3, 17, 41]] += 3 * RNG(1).standard_normal((30, 3))
    assert np.flatnonzero(StableVoxels(3)(recording)).tolist() == [3, 17, 41]


@settings(deadline=None, max_examples=25)
@given(repeats=st.integers(2, 6), n=st.integers(5, 9), n_voxels=st.integers(1, 20), seed=st.integers(0, 99))
def test_all_folds_at_once_equal_one_call_per_training_set(repeats, n, n_voxels, seed):
    recording, select = _recording(repeats, n, seed=seed), StableVoxels(n_voxels)
    loop = [np.flatnonzero(select(np.delete(recording, pair, axis=1))) for pair in all_pairs(n)]
    np.testing.assert_array_equal(select.select_folds(recording, all_pairs(n)), loop)


def test_test_samples_do_not_matter():
    recording, tests = _recording(), [np.array([2, 7])]
    other = recording.copy()
    other[:, [2, 7]] = 1e6 * RNG(3).standard_normal((4, 2, 20))
    select = StableVoxels(5)
    np.testing.assert_array_equal(select.select_folds(recording, tests), select.select_folds(other, tests))


def test_permuting_voxels_permutes_the_mask():
    recording = _recording()
    np.testing.assert_array_equal(StableVoxels(5)(recording[:, :, ::-1]), StableVoxels(5)(recording)[::-1])


@pytest.mark.parametrize("n_voxels", [0, -3, 2.5, "500"])
def test_a_number_of_voxels_without_sense_is_named(n_voxels):
    with pytest.raises(ValueError, match=r"n_voxels: got .*; expected a whole number of at least 1"):
        StableVoxels(n_voxels)


@pytest.mark.parametrize(
    ("recording", "sentence"),
    [
        (np.ones((4, 10)), r"got shape \(4, 10\); expected three axes, \(repeat, sample, voxel\)"),
        (np.ones((1, 10, 20)), "got 1 presentation; expected at least 2"),
        (np.ones((4, 2, 20)), "training samples; expected at least 3"),
        (_recording(v=4), "n_voxels: got 5 for a recording of 4 voxels"),
        (np.ones((4, 10, 20)), "only 0 of 20 .* expected at least"),
    ],
)
@pytest.mark.parametrize(
    "use", [lambda select, r: select(r), lambda select, r: select.select_folds(r, [np.array([0])])], ids=["one", "all"]
)
def test_a_recording_that_cannot_be_ranked_is_named(recording, sentence, use):
    with pytest.raises(ValueError, match=sentence):
        use(StableVoxels(5), recording)


def test_no_folds_are_named():
    with pytest.raises(ValueError, match="tests: got no folds"):
        StableVoxels(5).select_folds(_recording(), [])
