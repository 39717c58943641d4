"""Continuous and epoched EEG as runs of samples: units, bad stretches, and a response found through the whole path."""

from __future__ import annotations

import mne
import numpy as np
import pytest
import xarray as xr

from neuroling import TRF, align, evaluate, pearson
from neuroling.data import eeg
from neuroling.encoding import to_volumes

RATE = 100.0


@pytest.fixture
def raw():
    rng = np.random.default_rng(0)
    info = mne.create_info(["Fz", "Cz", "Pz", "EOG"], RATE, ["eeg", "eeg", "eeg", "eog"])
    return mne.io.RawArray(1e-6 * rng.standard_normal((4, 1000)), info, verbose="error")


def test_a_recording_is_one_run_in_microvolts(raw):
    found = eeg.from_raw(raw)
    assert found.sizes == {"sample": 1000, "channel": 3}
    np.testing.assert_allclose(found, 1e6 * raw.get_data(picks="eeg").T)
    assert set(found.group.values) == {"run 0"}
    assert found.attrs["rate_hz"] == RATE


def test_bad_stretches_part_runs(raw):
    raw.set_annotations(mne.Annotations([2.0, 5.0], [1.0, 0.5], ["BAD_blink", "note"]))
    found = eeg.from_raw(raw)
    assert found.attrs["bad_s"] == pytest.approx(1.0)
    assert found.groupby("group").count().isel(channel=0).values.tolist() == [200, 700]
    assert found.time_index.values[[0, 199, 200]].tolist() == [0, 199, 0]
    assert found.onset.values[200] == pytest.approx(3.0)


def test_channels_marked_as_bad_are_left_out(raw):
    raw.info["bads"] = ["Cz"]
    assert eeg.from_raw(raw).channel.values.tolist() == ["Fz", "Pz"]


def test_epochs_are_runs(raw):
    epochs = mne.make_fixed_length_epochs(raw, 2.0, preload=True, verbose="error")
    found = eeg.from_epoch_runs(epochs)
    np.testing.assert_allclose(found.sel(sample=found.group == "epoch 3"), 1e6 * epochs.get_data(picks="eeg")[3].T)


def test_half_the_memory_is_possible(raw):
    assert eeg.from_raw(raw, dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize(
    ("spoil", "options", "message"),
    [
        (lambda raw: raw.set_annotations(mne.Annotations([0], [10], ["BAD"])), {}, "0 of 1000 samples are outside"),
        (lambda raw: raw, {"picks": ["Oz"]}, r"picks: \['Oz'\] are not among the channels"),
        (lambda raw: raw, {"picks": "meg"}, "picks no channel"),
        (lambda raw: raw.apply_function(lambda x: np.nan * x, picks=["Cz"]), {}, r"3?1000 values are NaN.*\['Cz'\]"),
        (lambda raw: 3, {}, "raw: got int"),
    ],
    ids=["all bad", "unknown channel", "no channel", "nan", "number"],
)
def test_bad_recordings_get_a_sentence(raw, spoil, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        eeg.from_raw(spoil(raw), **options)


def test_a_planted_response_to_words_is_found_from_onsets_to_channels():
    rng = np.random.default_rng(0)
    onsets = np.sort(rng.choice(np.arange(5900), 800, replace=False)) / RATE
    words = xr.DataArray(
        np.ones((800, 1)),
        dims=("sample", "feature"),
        coords={"sample": np.arange(800), "onset": ("sample", onsets), "feature": ["word"]},
    )
    times = np.arange(6000) / RATE
    impulses = to_volumes(words, times, by="sum")
    shape = np.array([0, 1, 3, 2, 1.0, 0])
    signal = np.convolve(impulses.values[:, 0], shape)[:6000]
    info = mne.create_info(["Cz"], RATE, ["eeg"])
    raw = mne.io.RawArray(1e-6 * (signal + rng.standard_normal(6000))[None], info, verbose="error")
    raw.set_annotations(mne.Annotations([30.0], [2.0], ["BAD"]))
    recording = eeg.from_raw(raw)
    features = impulses.sel(sample=np.round(recording.onset.values * RATE).astype(int))
    features = features.assign_coords(sample=recording.sample.values)
    model = TRF((0, 5), alphas=(1.0, 100.0), device="cpu")
    from sklearn.model_selection import LeaveOneGroupOut

    result = evaluate(model, align(features, recording), splits=LeaveOneGroupOut(), metric=pearson)
    fitted = model.fit(features.values, recording.values, recording.group.values)
    np.testing.assert_allclose(fitted.coef_[0, 0], shape, atol=0.15)
    assert float(result.score.mean()) > 0.7
