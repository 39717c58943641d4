"""From words to volumes: sums that add up, nothing that crosses into another run."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroling.encoding.downsample import run_by_run, to_volumes
from neuroling.encoding.hrf import convolve

FRAMES = np.arange(50) * 2.0


def words(onsets, values=None, **coords):
    onsets = np.asarray(onsets, dtype=float)
    values = np.arange(1.0, len(onsets) + 1)[:, None] if values is None else np.asarray(values, dtype=float)
    labels = [f"w{i}" for i in range(len(onsets))]
    given = {name: ("sample", np.asarray(value)) for name, value in coords.items()}
    return xr.DataArray(
        values, dims=("sample", "feature"), coords={"sample": labels, "onset": ("sample", onsets), **given}
    )


@pytest.mark.parametrize(
    ("by", "expected"), [("sum", [6.0, 4.0, 0.0]), ("mean", [2.0, 4.0, 0.0]), ("last", [3.0, 4.0, 0.0])]
)
def test_words_are_gathered_in_the_volume_in_which_they_begin(by, expected):
    found = to_volumes(words([0.0, 1.0, 1.99, 2.0]), [0.0, 2.0, 4.0], by=by)
    assert found.values.ravel().tolist() == expected


def test_volumes_without_words_are_counted():
    assert to_volumes(words([0.0, 1.0]), FRAMES, by="mean").attrs["n_empty_volumes"] == 49


def test_sums_over_volumes_are_sums_over_words():
    x = words(np.sort(np.random.default_rng(0).uniform(0, 99, 200)), np.random.default_rng(1).standard_normal((200, 3)))
    np.testing.assert_allclose(to_volumes(x, FRAMES, by="sum").sum("sample"), x.sum("sample"))


def test_lanczos_of_an_even_rate_is_that_rate():
    x = words(np.arange(0, 100, 0.5), np.ones((200, 1)))
    found = to_volumes(x, FRAMES).values[5:-5]
    np.testing.assert_allclose(found, 4.0, rtol=0.02)


def test_runs_are_spread_by_themselves_and_named():
    x = words([0.5, 97.0, 0.5], group=["a", "a", "b"])
    found = run_by_run(convolve, x, {"a": FRAMES, "b": FRAMES})
    alone = convolve(x[2:], FRAMES)
    np.testing.assert_allclose(found[50:], alone)
    assert found.time_index.values.tolist() == [*range(50), *range(50)]
    assert found.group.values[[0, 49, 50]].tolist() == ["a", "a", "b"]


def test_a_run_without_frame_times_is_named():
    with pytest.raises(ValueError, match=r"frame_times: runs \['b'\]"):
        run_by_run(convolve, words([0.5, 1.0], group=["a", "b"]), {"a": FRAMES})


def test_words_without_a_run_are_refused():
    with pytest.raises(ValueError, match="group: the words have no sample coordinate 'group'"):
        run_by_run(convolve, words([0.5]), {"a": FRAMES})


@pytest.mark.parametrize(
    ("onsets", "options", "message"),
    [
        ([0.5, 1.0], {"by": "median"}, "by: got 'median'"),
        ([1.0, 0.5], {}, "times go back"),
        ([1.0, np.nan], {}, "NaN"),
        ([500.0, 1000.0, 98000.0], {}, "milliseconds"),
        ([0.5], {"labels": [1, 2]}, "labels: got 2 for 50"),
        ([0.5], {"onset": "offset"}, "no sample coordinate 'offset'"),
    ],
    ids=["unknown way", "disorder", "missing time", "milliseconds", "labels", "no times"],
)
def test_bad_input_gets_a_sentence(onsets, options, message):
    with pytest.raises(ValueError, match=message):
        to_volumes(words(onsets), FRAMES, **options)


def test_a_missing_value_is_refused_before_it_spreads():
    with pytest.raises(ValueError, match="features: some values are NaN"):
        to_volumes(words([1.0, 2.0], [[1.0], [np.nan]]), FRAMES, by="sum")


def test_words_after_the_end_are_told():
    with pytest.warns(UserWarning, match=r"1 of 2 words lie outside the run.*w1"):
        to_volumes(words([1.0, 101.0]), FRAMES, by="sum")
