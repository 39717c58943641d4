"""MNE objects laid out by item, and what does not fit."""

from __future__ import annotations

import mne
import numpy as np
import pandas as pd
import pytest

from neuroling.data import eeg

CHANNELS = ["Fz", "Cz", "Pz", "EOG"]


@pytest.fixture
def epochs():
    rng = np.random.default_rng(0)
    info = mne.create_info(CHANNELS, 100.0, ["eeg", "eeg", "eeg", "eog"], verbose="error")
    words = ["cat", "dog", "cat", "saw", "dog", "saw", "cat", "dog", "saw"]
    table = pd.DataFrame({"word": words, "length": [3] * 9, "trial": range(9)})
    made = mne.EpochsArray(1e-6 * rng.standard_normal((9, 4, 31)), info, tmin=-0.1, metadata=table, verbose="error")
    return made.set_montage("biosemi64", on_missing="ignore", verbose="error")


def test_trials_of_an_item_are_averaged_in_microvolts(epochs):
    got = eeg.from_epochs(epochs, item="word", columns=["length"])
    assert got.dims == ("sample", "channel", "time")
    assert got.sample.to_numpy().tolist() == ["cat", "dog", "saw"]
    assert got["n_trials"].to_numpy().tolist() == [3, 3, 3]
    assert got["length"].to_numpy().tolist() == [3, 3, 3]
    expected = 1e6 * epochs.get_data(picks="eeg")[[1, 4, 7]].mean(axis=0)
    np.testing.assert_allclose(got.sel(sample="dog").to_numpy(), expected)


def test_folds_hold_every_trial_once(epochs):
    got = eeg.from_epochs(epochs, item="word", folds=3)
    whole = eeg.from_epochs(epochs, item="word")
    assert got.dims == ("sample", "repeat", "channel", "time")
    np.testing.assert_allclose(got.mean("repeat").to_numpy(), whole.to_numpy())


def test_dealing_follows_the_seed(epochs):
    one, same, other = (eeg.from_epochs(epochs, item="word", folds=3, rng=seed) for seed in (1, 1, 2))
    assert one.equals(same)
    assert not one.equals(other)


def test_single_trials_keep_their_order(epochs):
    got = eeg.from_epochs(epochs, item="word", folds="trials")
    np.testing.assert_allclose(got.sel(sample="cat").to_numpy(), 1e6 * epochs.get_data(picks="eeg")[[0, 2, 6]])


def test_without_an_item_every_epoch_is_one(epochs):
    assert eeg.from_epochs(epochs).sample.to_numpy()[:2].tolist() == ["trial 0", "trial 1"]


def test_bad_channels_are_left_out_and_windows_cut(epochs):
    epochs.info["bads"] = ["Cz"]
    got = eeg.from_epochs(epochs, window=(0.0, 0.1))
    assert got.channel.to_numpy().tolist() == ["Fz", "Pz"]
    assert (got.time.to_numpy()[0], got.time.to_numpy()[-1]) == pytest.approx((0.0, 0.1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"item": "lemma"}, "not in the metadata"),
        ({"item": "word", "folds": 1}, "at least two"),
        ({"item": "word", "folds": 4}, "fewer trials, first \\['cat'"),
        ({"item": "word", "columns": ["trial"]}, "several values for the item 'cat'"),
        ({"item": "word", "columns": ["lemma"]}, "not in the metadata"),
        ({"picks": ["Fz", "Oz"]}, "\\['Oz'\\] are not among the channels"),
        ({"picks": ["Fz", "Fz"]}, "named twice"),
        ({"picks": "meg"}, "picks no channel"),
        ({"window": (0.0, 3.0)}, "run from -0.1 to 0.2 s"),
        ({"window": (0.1, 0.0)}, "the earlier first"),
    ],
)
def test_what_does_not_fit_gets_a_sentence(epochs, options, message):
    with pytest.raises(ValueError, match=message):
        eeg.from_epochs(epochs, **options)


def test_unequal_trials_leave_the_lacking_repeats_empty(epochs):
    got = eeg.from_epochs(epochs[1:], item="word", folds="trials")
    assert got["n_averaged"].sel(sample="cat").to_numpy().tolist() == [1, 1, 0]
    assert np.isnan(got.sel(sample="cat").isel(repeat=2)).all()
    np.testing.assert_allclose(got.sel(sample="cat").isel(repeat=0), 1e6 * epochs.get_data(picks="eeg")[2])


def test_nan_trials_are_named(epochs):
    epochs.load_data()._data[4, 1, 3] = np.nan
    with pytest.raises(ValueError, match="1 values are NaN or infinite, in trials \\[4\\] and channels \\['Cz'\\]"):
        eeg.from_epochs(epochs)


def test_epochs_without_metadata_are_named(epochs):
    epochs.metadata = None
    with pytest.raises(ValueError, match="no metadata"):
        eeg.from_epochs(epochs, item="word")


def test_something_else_is_refused():
    with pytest.raises(TypeError, match="expected MNE epochs"):
        eeg.from_epochs(np.zeros((2, 3)))


def test_evoked_responses_become_items(epochs):
    evokeds = {word: epochs[f"word == '{word}'"].average() for word in ("cat", "dog")}
    got = eeg.from_evokeds(evokeds)
    np.testing.assert_allclose(
        got.to_numpy(), eeg.from_epochs(epochs, item="word").sel(sample=["cat", "dog"]).to_numpy()
    )
    assert got["n_trials"].to_numpy().tolist() == [3, 3]
    evokeds["dog"] = evokeds["dog"].copy().crop(0, 0.1)
    with pytest.raises(ValueError, match="other times"):
        eeg.from_evokeds(evokeds)


def test_source_estimates_become_items():
    vertices = [np.array([3, 7]), np.array([5])]
    stcs = {w: mne.SourceEstimate(np.full((3, 4), k), vertices, 0.0, 0.01) for k, w in enumerate(("cat", "dog"))}
    got = eeg.from_source_estimates(stcs)
    assert got.voxel.to_numpy().tolist() == ["lh-3", "lh-7", "rh-5"]
    assert got.sel(sample="dog", voxel="rh-5").to_numpy().tolist() == [1, 1, 1, 1]
    stcs["saw"] = mne.SourceEstimate(np.zeros((3, 4)), [np.array([3, 8]), np.array([5])], 0.0, 0.01)
    with pytest.raises(ValueError, match="morph them first"):
        eeg.from_source_estimates(stcs)


def test_subjects_are_joined_by_label(epochs):
    one = eeg.from_epochs(epochs, item="word")
    joined = eeg.join_subjects({"s1": one, "s2": one.isel(sample=[2, 0, 1])})
    np.testing.assert_allclose(joined.sel(subject="s2").to_numpy(), one.to_numpy())
    with pytest.raises(ValueError, match="'s2' lacks 1 of 3 items, first \\['saw'\\]"):
        eeg.join_subjects({"s1": one, "s2": one.isel(sample=[0, 1])})
    gap = eeg.join_subjects({"s1": one, "s2": one.isel(sample=[0, 1])}, missing="nan")
    assert np.isnan(gap.sel(subject="s2", sample="saw")).all()
    with pytest.raises(ValueError, match="differ between participants"):
        eeg.join_subjects({"s1": one, "s2": one.isel(channel=[0, 1])})


def test_positions_come_from_the_montage(epochs):
    got = eeg.channel_positions(epochs)
    assert got.sizes == {"channel": 3, "feature": 3}
    with pytest.raises(ValueError, match="1 have no position, first \\['EOG'\\]"):
        eeg.channel_positions(epochs, picks=["Fz", "EOG"])
