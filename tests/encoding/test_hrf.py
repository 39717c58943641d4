from __future__ import annotations

import time

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.glm.first_level import compute_regressor

from neuroling.encoding.hrf import convolve

FRAMES = np.arange(100) * 2.0


def words(onsets: object, values: object = None, name: str = "onset") -> xr.DataArray:
    onsets = np.asarray(onsets, dtype=float)
    values = np.ones((len(onsets), 1)) if values is None else np.asarray(values)
    coords = {"sample": [f"w{i}" for i in range(len(onsets))], name: ("sample", onsets)}
    return xr.DataArray(values, dims=("sample", "feature"), coords=coords)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    tr=st.sampled_from([0.8, 1.0, 2.0, 2.5]),
    start=st.sampled_from([0.0, 10.0]),
    hrf=st.sampled_from(["spm", "glover"]),
)
def test_equals_nilearn_within_its_sampling(seed: int, tr: float, start: float, hrf: str) -> None:
    rng = np.random.default_rng(seed)
    frames = start + np.arange(150) * tr
    onsets = np.sort(rng.uniform(0, frames[-1] - tr, 60))
    heights = rng.normal(size=60)
    theirs, _ = compute_regressor((onsets, np.zeros(60), heights), hrf, frames, oversampling=50)
    ours = convolve(words(onsets, heights[:, None]), frames, hrf=hrf)  # type: ignore[arg-type]
    # nilearn moves every onset to the next of 50 steps in a volume, so two steps of the steepest slope at most
    assert np.corrcoef(ours[:, 0], theirs[:, 0])[0, 1] > 0.999
    np.testing.assert_allclose(ours[:, 0], theirs[:, 0], atol=0.05 * np.abs(theirs).max())


def test_finer_sampling_comes_closer_to_nilearn() -> None:
    onsets = np.sort(np.random.default_rng(0).uniform(0, 150, 40))
    gaps = []
    for oversampling in (10, 100, 1000):
        theirs, _ = compute_regressor((onsets, np.zeros(40), np.ones(40)), "spm", FRAMES, oversampling=oversampling)
        ours = convolve(words(onsets), FRAMES, oversampling=oversampling).values
        gaps.append(np.abs(ours - theirs).max() / theirs.max())
    assert gaps[0] > 5 * gaps[1] > 25 * gaps[2]


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_responses_add_up(a: float, b: float) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 5, 1))
    onsets = [1, 3, 9, 40, 80]
    together = convolve(words(onsets, a * x + b * y), FRAMES)
    apart = a * convolve(words(onsets, x), FRAMES) + b * convolve(words(onsets, y), FRAMES)
    np.testing.assert_allclose(together, apart, atol=1e-12)


def test_moving_words_by_a_volume_moves_the_response_by_a_volume() -> None:
    now, later = convolve(words([10.3, 31.1]), FRAMES), convolve(words([12.3, 33.1]), FRAMES)
    np.testing.assert_allclose(later[1:], now[:-1], atol=1e-12)


def test_nothing_answers_before_it_is_asked() -> None:
    assert not np.abs(convolve(words([50.1]), FRAMES)[:26]).max()


def test_words_before_the_first_kept_volume_still_count() -> None:
    whole = convolve(words([3.0, 17.0, 60.0]), FRAMES)
    np.testing.assert_allclose(convolve(words([3.0, 17.0, 60.0]), FRAMES[10:]), whole[10:], atol=1e-12)


def test_volumes_carry_labels_times_features_and_provenance() -> None:
    spaces = ("feature", ["rate", "length"])
    x = (
        words([1.0, 2], np.eye(2))
        .assign_coords(feature=["rate", "length"], space=spaces)
        .assign_attrs(encoder="minilm")
    )
    labels = [f"v{i}" for i in range(20)]
    found = convolve(x, FRAMES[:20], labels=labels)
    assert found.sample.values.tolist() == labels
    assert found.frame_time.values[:4].tolist() == [0, 2, 4, 6]
    assert found.feature.values.tolist() == found.space.values.tolist() == ["rate", "length"]
    assert (found.attrs["encoder"], found.attrs["hrf"]) == ("minilm", "spm")


def test_row_81_a_run_shorter_than_the_response_is_told() -> None:
    with pytest.warns(UserWarning, match="the run of 4 volumes lasts 8 s, and the response 32 s"):
        convolve(words([1.0]), FRAMES[:4])


@pytest.mark.parametrize(("tr", "hrf", "volumes"), [(2.0, "spm", 10), (1.0, "spm", 20), (2.0, "glover", 10)])
def test_the_reach_of_the_response_travels_along(tr: float, hrf: str, volumes: int) -> None:
    found = convolve(words([3.0]), np.arange(40) * tr, hrf=hrf)  # type: ignore[arg-type]
    assert found.attrs["longest_delay"] == volumes
    late = np.abs(convolve(words([0.0]), np.arange(40) * tr, hrf=hrf))[:, 0]  # type: ignore[arg-type]
    assert late[volumes + 1 :].max() < 0.05 * late.max()


def test_impulses_can_stand_at_the_ends_of_words() -> None:
    by_offset = convolve(words([5.0], name="offset"), FRAMES, onset="offset")
    np.testing.assert_array_equal(by_offset, convolve(words([5.0]), FRAMES))


def test_a_story_of_embeddings_takes_less_than_a_second() -> None:
    onsets = np.sort(np.random.default_rng(0).uniform(0, 740, 2127))
    x = words(onsets, np.ones((2127, 384), dtype=np.float32))
    convolve(x[:2], FRAMES)  # nilearn's import is not what is measured
    start = time.perf_counter()
    found = convolve(x, np.arange(372) * 2.0)
    assert time.perf_counter() - start < 1
    assert (found.shape, found.dtype) == ((372, 384), np.float32)


@pytest.mark.parametrize(
    ("onsets", "message"),
    [
        (np.array([20_000.0, 90_000, 180_000]), "look like milliseconds"),
        ([500.0, 600], "all words lie outside the run"),
        ([-90.0, -80], "all words lie outside the run"),
        ([1.0, np.nan], "NaN or infinite, first at"),
        ([1.0, np.inf], "NaN or infinite"),
        ([1.0, 5, 3], "times go back 1 times"),
    ],
)
def test_onsets_that_cannot_be_are_refused(onsets: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        convolve(words(onsets), FRAMES)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros(5), "repetition time must be above zero"),
        (-np.arange(5.0), "repetition time must be above zero"),
        ([0, 2, 4, 0, 2, 4], "runs are convolved one at a time"),
        (np.arange(5) * 2000.0, "Divide milliseconds by 1000"),
        ([0, 2, 4, np.nan], "NaN or infinite"),
        ([0, 2, 4, 7, 9, 11], "1 of 5 steps differ"),
        ([0.0], "at least two volumes"),
    ],
)
def test_frame_times_that_cannot_be_are_refused(frames: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        convolve(words([0.5]), frames)  # type: ignore[arg-type]


def test_words_outside_the_run_are_counted() -> None:
    with pytest.warns(UserWarning, match="2 of 3 words lie outside the run"):
        convolve(words([5.0, 230, 260]), FRAMES)


def test_words_during_the_last_volume_are_no_reason_to_warn() -> None:
    convolve(words([5.0, 199.5]), FRAMES)


def test_a_table_without_onsets_is_refused() -> None:
    with pytest.raises(ValueError, match="no sample coordinate 'onset'"):
        convolve(words([1.0]).drop_vars("onset"), FRAMES)


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN or infinite"):
        convolve(words([1.0], [[np.nan]]), FRAMES)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"hrf": "fir"}, "hrf: got 'fir'"),
        ({"oversampling": 0}, "oversampling: got 0"),
        ({"labels": [1]}, "labels: got 1"),
    ],
)
def test_options_that_do_not_exist_are_named(option: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        convolve(words([1.0]), FRAMES, **option)  # type: ignore[arg-type]


def test_a_leftover_axis_is_refused() -> None:
    with pytest.raises(ValueError, match="got axes"):
        convolve(words([1.0]).expand_dims("layer"), FRAMES)
