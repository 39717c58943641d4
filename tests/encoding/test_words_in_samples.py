from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroling.core.notices import CodedWarning
from neuroling.encoding.words_in_samples import in_samples


def eeg(start=0.0, n=100, rate=50.0, hole=None):
    rows = np.arange(n)
    group = np.full(n, "run 0", dtype="<U8")
    if hole is not None:
        rows = np.delete(rows, np.arange(*hole))
        group = np.where(rows < hole[0], "run 0", "run 1")
    index = np.concatenate([np.arange((group == name).sum()) for name in dict.fromkeys(group[: len(rows)].tolist())])
    coords = {
        "sample": np.arange(len(rows)),
        "onset": ("sample", start + rows / rate),
        "group": ("sample", group[: len(rows)]),
        "time_index": ("sample", index),
    }
    return xr.DataArray(np.zeros((len(rows), 1)), dims=("sample", "channel"), coords=coords, attrs={"rate_hz": rate})


def words(*onsets, values=None):
    values = np.ones(len(onsets)) if values is None else np.asarray(values, dtype=float)
    coords = {"sample": range(len(onsets)), "onset": ("sample", list(onsets)), "feature": ["x"]}
    return xr.DataArray(values[:, None], dims=("sample", "feature"), coords=coords)


def at(array):
    return np.flatnonzero(array.to_numpy()[:, 0]).tolist()


def test_words_lie_at_the_nearest_sample():
    assert at(in_samples({"rate": words(0.0, 0.049, 0.051, 1.98)}, eeg())["rate"]) == [0, 2, 3, 99]


def test_a_recording_that_starts_late_keeps_its_clock():
    assert at(in_samples({"rate": words(10.1)}, eeg(start=10.0))["rate"]) == [5]


def test_features_that_vary_are_centred_over_words_and_rate_is_not():
    found = in_samples({"rate": words(0.1, 0.2), "length": words(0.1, 0.2, values=[3, 5])}, eeg())
    assert found["length"].to_numpy()[[5, 10], 0].tolist() == [-1.0, 1.0]
    assert found["rate"].to_numpy()[[5, 10], 0].tolist() == [1.0, 1.0]


def test_words_in_a_stretch_that_was_left_out_are_told_of_once():
    recording = eeg(hole=(20, 60))  # 0.4 to 1.2 s
    with pytest.warns(CodedWarning, match=r"2 of 3 words lie outside .*events-outside-run") as told:
        found = in_samples({"a": words(0.1, 0.8, 5.0), "b": words(0.1, 0.8, 5.0)}, recording)
    assert len(told) == 1
    assert at(found["a"]) == [5]


def test_words_at_one_sample_add_up():
    found = in_samples({"rate": words(0.1, 0.101)}, eeg())["rate"]
    assert float(found.max()) == 2.0


def test_another_clock_and_missing_times_are_refused():
    with pytest.raises(ValueError, match="none of 2 words lies in the recording"):
        in_samples({"a": words(100.0, 900.0)}, eeg())
    with pytest.raises(ValueError, match="NaN"):
        in_samples({"a": words(0.1, np.nan)}, eeg())
    with pytest.raises(ValueError, match="no coordinate 'onset'"):
        in_samples({"a": words(0.1).drop_vars("onset")}, eeg())
    with pytest.raises(ValueError, match="rate_hz"):
        in_samples({"a": words(0.1)}, eeg().drop_attrs())
