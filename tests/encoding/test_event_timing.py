"""Rows 61 to 83 of the catalogue of bad inputs: times of words and volumes, runs and splits."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.model_selection import KFold, LeaveOneGroupOut

from neuroling import ContiguousFolds, Ridge, Stimuli, align, evaluate, pearson
from neuroling.core.notices import CodedWarning
from neuroling.encoding.delays import delay
from neuroling.encoding.downsample import run_by_run, to_volumes
from neuroling.encoding.hrf import convolve

FRAMES = np.arange(100) * 2.0
SPREAD = {"convolve": convolve, "lanczos": to_volumes, "sum": lambda x, t: to_volumes(x, t, by="sum")}


def words(onsets, values=None, **coords):
    onsets = np.asarray(onsets, dtype=float)
    values = np.arange(1.0, len(onsets) + 1)[:, np.newaxis] if values is None else np.asarray(values, dtype=float)
    along = {name: ("sample", np.asarray(value)) for name, value in coords.items()}
    labels = [f"w{number}" for number in range(len(onsets))]
    return xr.DataArray(
        values, dims=("sample", "feature"), coords={"sample": labels, "onset": ("sample", onsets), **along}
    )


REFUSED = {
    "61 milliseconds": (words([20_000, 90_000, 180_000]), FRAMES, "look like milliseconds"),
    "62 all after the end": (words([250, 300]), FRAMES, "all words lie outside the run"),
    "65 NaN": (words([1, np.nan]), FRAMES, r"1 of 2 are NaN or infinite, first at \['w1'\]"),
    "65 infinite": (words([1, np.inf]), FRAMES, "NaN or infinite"),
    "68 offset before onset": (words([1, 5], offset=[2, 4]), FRAMES, "offset: 1 words end before they begin .*by 1 s"),
    "68 negative duration": (words([1, 5], duration=[1, -2]), FRAMES, "duration: 1 words have a negative one"),
    "69 NaN feature": (words([1, 5], [[1], [np.nan]]), FRAMES, "features: some values are NaN or infinite .1 of 2."),
    "71 no words": (words([]), FRAMES, r"features: got shape \(0, 1\); expected at least one word"),
    "71 no features": (words([1.0], np.zeros((1, 0))), FRAMES, r"features: got shape \(1, 0\)"),
    "72 two repetition times": (words([1]), [0, 2, 4, 7, 10], "expected one repetition time in a run"),
    "74 zero": (words([1]), np.zeros(5), "repetition time must be above zero"),
    "74 negative": (words([1]), -FRAMES, "repetition time must be above zero"),
    "74 NaN": (words([1]), [0, np.nan, 4], "1 of 3 are NaN or infinite"),
    "75 not monotone": (words([1]), [0, 2, 6, 4, 8], "not increasing at volume 3"),
    "76 milliseconds": (words([1]), 1000 * FRAMES, "expected seconds. Divide milliseconds by 1000"),
    "83 runs end to end": (words([1, 90, 180, 2, 80, 170]), FRAMES, "as where runs lie end to end.*run_by_run"),
    "83 frames end to end": (words([1]), [0, 2, 4, 0, 2, 4], "runs are convolved one at a time"),
}


@pytest.mark.parametrize("way", SPREAD)
@pytest.mark.parametrize("row", REFUSED)
def test_a_row_of_the_catalogue_is_refused(row, way):
    features, frames, message = REFUSED[row]
    with pytest.raises(ValueError, match=message):
        SPREAD[way](features, frames)


TOLD = {
    "63 some after the end": (words([5, 230, 260]), "events-outside-run", "2 of 3 words lie outside the run"),
    "64 before time zero": (words([-3, 5]), "events-before-start", r"1 of 2 words begin before time zero.*at -3 s"),
    "66 unsorted": (words([5, 20, 15, 90, 100]), "events-out-of-order", "times go back 1 times; the 5 words were"),
    "67 simultaneous": (words([5, 5, 20]), "events-simultaneous", "1 of 3 words begin at the same time"),
}


@pytest.mark.parametrize("way", ["convolve", "lanczos"])
@pytest.mark.parametrize("row", TOLD)
def test_a_row_of_the_catalogue_is_told_with_a_code(row, way):
    features, code, message = TOLD[row]
    with pytest.warns(CodedWarning, match=rf"{message}.*\[{code}\]"):
        SPREAD[way](features, FRAMES)


@pytest.mark.parametrize("way", [*SPREAD, "last"])
def test_row_66_words_out_of_order_give_what_they_give_in_order(way):
    spread = SPREAD.get(way, lambda x, t: to_volumes(x, t, by="last"))
    x = words([5, 20, 60, 90, 100], np.random.default_rng(0).standard_normal((5, 2)))
    with pytest.warns(CodedWarning, match="events-out-of-order"):
        found = spread(x.isel(sample=[0, 2, 1, 4, 3]), FRAMES)
    xr.testing.assert_allclose(found, spread(x, FRAMES))


@pytest.mark.parametrize("missing", [np.nan, None, ""])
def test_row_70_a_word_without_a_run_is_refused(missing):
    group = np.array(["a", missing, "b"], dtype=object)
    with pytest.raises(ValueError, match="group: 1 of 3 words do not name their run"):
        run_by_run(convolve, words([1, 2, 3], group=group), {"a": FRAMES, "b": FRAMES})


def test_row_73_runs_may_have_times_of_their_own():
    x = words([1, 2, 3], group=["a", "a", "b"])
    found = run_by_run(convolve, x, {"a": FRAMES, "b": np.arange(50) * 1.5})
    assert found.frame_time.to_numpy()[[1, 101]].tolist() == [2.0, 1.5]
    assert found.attrs["longest_delay"] == 14  # of the shorter repetition time


def test_row_77_a_run_that_is_missing_is_named():
    with pytest.raises(ValueError, match=r"runs \['b'\] have words or frame times but not both"):
        run_by_run(convolve, words([1, 2], group=["a", "b"]), {"a": FRAMES})


def volumes(runs=2, n=30, n_recorded=None):
    """Features and a recording of as many runs, the last one recorded for longer or shorter."""
    rng = np.random.default_rng(0)

    def labelled(lengths, name):
        group = np.repeat([f"run-{number}" for number in range(runs)], lengths)
        time = np.concatenate([np.arange(length) for length in lengths])
        coords = {"sample": [f"{g}:{t}" for g, t in zip(group, time, strict=True)], "group": ("sample", group)}
        return xr.DataArray(
            rng.standard_normal((len(group), 3)),
            dims=("sample", name),
            coords={**coords, "time_index": ("sample", time)},
        )

    return labelled([n] * runs, "feature"), labelled([n] * (runs - 1) + [n_recorded or n], "voxel")


@pytest.mark.parametrize("n_recorded", [28, 31])
def test_row_77_a_run_of_another_length_is_told_run_by_run(n_recorded):
    features, recording = volumes(n_recorded=n_recorded)
    with pytest.raises(ValueError, match=rf"run-0: 30 and 30, run-1: 30 and {n_recorded}"):
        align(features, recording)


def test_row_77_a_run_that_was_not_recorded_is_told():
    features, recording = volumes(3)
    with pytest.raises(ValueError, match="run-2: 30 and 0"):
        align(features, recording.isel(sample=slice(0, 60)))


def score(splits, **options):
    return evaluate(Ridge(device="cpu"), align(*volumes(**options)), splits=splits, metric=pearson)


def test_row_78_random_folds_on_a_time_series_are_refused():
    with pytest.raises(ValueError, match="the samples are consecutive in time"):
        score(KFold(5, shuffle=True, random_state=0))


def test_row_79_one_group_cannot_be_held_out():
    with pytest.raises(ValueError, match=r"splits: LeaveOneGroupOut\(\) cannot split 30 samples"):
        score(LeaveOneGroupOut(), runs=1)


def test_row_82_delays_as_long_as_a_run_are_refused():
    features, _ = volumes(n=6)
    with pytest.raises(ValueError, match="delays: 6 volumes are not shorter than run 'run-0' with 6"):
        delay(features, [0, 6], runs="group")


def test_row_83_runs_without_a_boundary_are_refused():
    features, _ = volumes()
    with pytest.raises(ValueError, match="time_index: not counting up by one"):
        delay(features.drop_vars("group"), [1], runs=np.zeros(60))


# --- stimuli ----------------------------------------------------------------------------------------------------------


def test_row_68_a_stimulus_that_ends_before_it_begins_is_refused():
    with pytest.raises(ValueError, match=r"offset: 1 entries lie before their onset, first labels \['b'\]"):
        Stimuli.from_texts(["a", "b"], onset=[0.0, 1.0], offset=[0.5, 0.9])


def test_row_64_a_stimulus_before_time_zero_is_told():
    with pytest.warns(CodedWarning, match=r"onset: 1 entries are below 0 s.*\[events-before-start\]"):
        Stimuli.from_texts(["a", "b"], onset=[-1.0, 1.0])


def test_a_stimulus_without_duration_is_one():
    assert len(Stimuli.from_texts(["a"], onset=[1.0], offset=[1.0])) == 1


# --- what words carry into volumes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", SPREAD)
def test_feature_spaces_keep_their_names(way):
    x = words([1, 5], np.eye(2)).assign_coords(feature=["rate", "m0"], space=("feature", ["rate", "meaning"]))
    found = SPREAD[way](x, FRAMES)
    assert found.space.to_numpy().tolist() == ["rate", "meaning"]
    delayed = delay(found, [1, 2], runs=np.zeros(100))
    assert delayed.space.to_numpy().tolist() == ["rate", "meaning"] * 2


def test_the_reach_of_delays_adds_to_that_of_the_response():
    spread = convolve(words([1, 5]), FRAMES)
    assert delay(spread, [0, 3], runs=np.zeros(100)).attrs["longest_delay"] == 13
    assert to_volumes(words([1, 5]), FRAMES, lobes=3).attrs["longest_delay"] == 3
    assert "longest_delay" not in to_volumes(words([1, 5]), FRAMES, by="sum").attrs


def test_a_gap_shorter_than_the_response_is_refused():
    rng = np.random.default_rng(0)
    x = convolve(words(np.sort(rng.uniform(0, 190, 60)), rng.standard_normal((60, 2))), FRAMES)
    y = xr.DataArray(
        rng.standard_normal((100, 2)),
        dims=("sample", "voxel"),
        coords={"sample": x.sample, "time_index": ("sample", np.arange(100))},
    )
    data = align(x, y)
    with pytest.raises(ValueError, match="reach over 10 volumes, but split 0 leaves a gap of 9"):
        evaluate(Ridge(), data, splits=ContiguousFolds(4, gap=9), metric=pearson)
    assert np.isfinite(evaluate(Ridge(), data, splits=ContiguousFolds.of(data, 4), metric=pearson).score).all()


@pytest.mark.parametrize("onset", [["0.5", "1.5"], np.array(["0.5", "1.5"]), np.array([0.5, None], dtype=object)])
def test_times_that_are_no_numbers_are_refused_by_their_name(onset):
    features = words([0.5, 1.5]).assign_coords(onset=("sample", onset))
    for spread in (convolve, to_volumes):
        with pytest.raises((TypeError, ValueError), match="onset: "):
            spread(features, FRAMES)


def test_frame_times_that_are_text_are_refused():
    for spread in (convolve, to_volumes):
        with pytest.raises(TypeError, match="frame_times: "):
            spread(words([0.5, 1.5]), [str(time) for time in FRAMES])
