"""Bad input for EEG, rows 98 to 110 of the catalogue: each ends in an error or a warning that names what was given."""

from __future__ import annotations

import warnings

import mne
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroling import align
from neuroling.data.eeg import (
    channel_positions,
    from_arrays,
    from_epoch_runs,
    from_epochs,
    from_evokeds,
    from_raw,
    join_subjects,
)

mne.set_log_level("error")
NAMES = ["Fz", "Cz", "Pz", "Oz"]


def epochs_of(names=NAMES, sfreq=100.0, words="abcd", **options):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"word": list(words)})
    values = 1e-5 * rng.standard_normal((len(words), len(names), 61))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # what MNE does to names that occur twice
        info = mne.create_info(list(names), sfreq, "eeg")
    return mne.EpochsArray(values, info, tmin=-0.1, metadata=table, **options)


def raw_of(names=NAMES, n=2000):
    values = 1e-5 * np.random.default_rng(0).standard_normal((len(names), n))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        info = mne.create_info(list(names), 100.0, "eeg")
    return mne.io.RawArray(values, info)


def evoked_of(epochs):
    return {"a": epochs[:2].average(), "b": epochs[2:].average()}


def each_entry(names):
    """Every way in from MNE, of a recording with these channel names."""
    epochs = epochs_of(names)
    return {
        "from_epochs": lambda **options: from_epochs(epochs, **options),
        "from_epoch_runs": lambda **options: from_epoch_runs(epochs, **options),
        "from_raw": lambda **options: from_raw(raw_of(names), **options),
        "from_evokeds": lambda **options: from_evokeds(evoked_of(epochs), **options),
        "channel_positions": lambda **options: channel_positions(
            epochs.copy().set_montage("standard_1020", on_missing="ignore", match_case=False), **options
        ),
    }


ENTRIES = tuple(each_entry(NAMES))


def test_row_98_channels_that_the_montage_lacks_are_listed():
    epochs = epochs_of(["Fz", "Cz", "X1", "X2"]).set_montage("standard_1020", on_missing="ignore")
    with pytest.raises(ValueError, match=r"2 have no position, first \['X1', 'X2'\]; set a montage"):
        channel_positions(epochs)


@pytest.mark.parametrize("entry", ENTRIES)
def test_row_99_names_that_differ_in_case_are_matched_with_a_warning(entry):
    call = each_entry(NAMES)[entry]
    with pytest.warns(UserWarning, match=r"2 channels are matched although their case differs, first \[\('CZ', 'Cz'\)"):
        found = call(picks=["Fz", "CZ", "oz"])
    assert found.channel.to_numpy().tolist() == ["Fz", "Cz", "Oz"]


def test_row_99_participants_whose_channels_differ_in_case_are_joined_with_a_warning():
    recordings = {"s1": from_epochs(epochs_of()), "s2": from_epochs(epochs_of(["FZ", "CZ", "PZ", "Oz"]))}
    with pytest.warns(UserWarning, match=r"3 channels of 's2' are matched with those of 's1'.*\('FZ', 'Fz'\)"):
        joined = join_subjects(recordings)
    np.testing.assert_array_equal(joined.sel(subject="s2"), joined.sel(subject="s1"))


@pytest.mark.parametrize("entry", ENTRIES)
def test_row_100_channels_of_one_name_are_refused(entry):
    with pytest.raises(ValueError, match=r"channels \['Cz-0', 'Cz-1'\] had one name"):
        each_entry(["Fz", "Cz", "Cz", "Oz"])[entry]()


def test_row_100_arrays_with_channels_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"channels: \['Cz'\] occur more than once"):
        from_arrays(np.zeros((2, 3, 4)), ["a", "b"], np.arange(4) / 100, ["Fz", "Cz", "Cz"], unit="µV")


def test_row_100_numbered_channels_that_are_alone_are_names_like_others():
    assert from_epochs(epochs_of(["Fz", "Cz-1", "E-10", "E-11"])).sizes["channel"] == 4


def test_row_101_channels_in_another_order_are_aligned_by_name():
    one = from_epochs(epochs_of())
    joined = join_subjects({"s1": one, "s2": one.isel(channel=[2, 0, 3, 1])})
    np.testing.assert_array_equal(joined.sel(subject="s2"), one)
    assert joined.channel.to_numpy().tolist() == NAMES


def test_row_102_other_channels_are_refused_and_intersected_where_asked():
    one, other = from_epochs(epochs_of()), from_epochs(epochs_of(["Fz", "Cz", "Pz", "T7"]))
    with pytest.raises(ValueError, match=r"'s2' lacks \['Oz'\] and has \['T7'\] besides .* 3 of 4 are common to all"):
        join_subjects({"s1": one, "s2": other})
    common = join_subjects({"s1": one, "s2": other}, channels="common")
    assert common.channel.to_numpy().tolist() == ["Fz", "Cz", "Pz"]
    with pytest.raises(ValueError, match="no channel is common to all"):
        join_subjects({"s1": one, "s2": from_epochs(epochs_of(list("wxyz")))}, channels="common")


@pytest.mark.parametrize("entry", ENTRIES)
def test_row_103_all_channels_bad_is_said(entry):
    epochs, raw = epochs_of(), raw_of()
    epochs.info["bads"] = raw.info["bads"] = NAMES
    call = {
        "from_epochs": lambda: from_epochs(epochs),
        "from_epoch_runs": lambda: from_epoch_runs(epochs),
        "from_raw": lambda: from_raw(raw),
        "from_evokeds": lambda: from_evokeds(evoked_of(epochs)),
        "channel_positions": lambda: channel_positions(epochs),
    }[entry]
    with pytest.raises(ValueError, match="all 4 channels of 'eeg' are marked as bad"):
        call()


@pytest.mark.parametrize("factor", [1e3, 1e6, 1e9, 1e-6])
@pytest.mark.parametrize("entry", ["from_epochs", "from_epoch_runs", "from_raw", "from_evokeds"])
def test_row_104_volts_and_microvolts_are_not_mixed_up(entry, factor):
    epochs, raw = epochs_of(), raw_of()
    epochs._data *= factor
    raw._data *= factor
    call = {
        "from_epochs": lambda: from_epochs(epochs),
        "from_epoch_runs": lambda: from_epoch_runs(epochs),
        "from_raw": lambda: from_raw(raw),
        "from_evokeds": lambda: from_evokeds(evoked_of(epochs)),
    }[entry]
    with pytest.raises(ValueError, match=f"seem {max(factor, 1 / factor):,.0f} times too"):
        call()


@pytest.mark.parametrize(("unit", "factor"), [("V", 1.0), ("µV", 1e-6), ("mV", 1.0), ("nV", 1e-6)])
def test_row_104_arrays_in_another_unit_than_they_say_are_refused(unit, factor):
    values = 10 * factor * np.random.default_rng(0).standard_normal((6, 2, 50))
    with pytest.raises(ValueError, match="times too"):
        from_arrays(values, list("aabbcc"), np.arange(50) / 100, ["Fz", "Cz"], unit=unit)


def test_row_104_trials_that_no_brain_has_are_warned_of():
    epochs = epochs_of()
    epochs._data[1, 2, 5] += 1340e-6
    with pytest.warns(UserWarning, match=r"1 of 4 trials exceed 500 µV peak to peak \(up to 13\d\d µV, in 'Pz'\)"):
        from_epochs(epochs)


def test_row_105_another_sampling_rate_is_refused():
    one, other = from_epochs(epochs_of()), from_epochs(epochs_of(sfreq=125.0))
    with pytest.raises(ValueError, match=r"61 times from -0.096 to 0.384 s at 125 Hz in 's2', .* at 100 Hz in 's1'"):
        join_subjects({"s1": one, "s2": other})


def test_row_105_evoked_responses_at_other_rates_are_refused():
    with pytest.raises(ValueError, match="'b' and 'a' have other times"):
        from_evokeds({"a": epochs_of().average(), "b": epochs_of(sfreq=125.0).average()})


@pytest.mark.parametrize("entry", [from_epochs, from_epoch_runs])
def test_row_106_repeated_events_are_refused(entry):
    with pytest.raises(RuntimeError, match="not unique"):
        epochs_of(events=np.array([[5, 0, 1], [5, 0, 1], [9, 0, 1], [12, 0, 1]]))
    epochs = epochs_of()
    epochs.events[:, 0] = [5, 5, 9, 12]
    with pytest.raises(ValueError, match=r"1 events are repeated, first at samples \[5\]"):
        entry(epochs)


def test_row_106_events_that_are_not_in_order_are_warned_of_by_mne_and_keep_their_rows():
    events = np.array([[500, 0, 1], [200, 0, 1], [800, 0, 1]])
    with mne.use_log_level("warning"), pytest.warns(RuntimeWarning, match="not chronologically ordered"):
        epochs = mne.Epochs(
            raw_of(), events, tmin=0, tmax=0.5, baseline=None, metadata=pd.DataFrame({"w": list("abc")})
        )
    found = from_epochs(epochs, item="w")
    np.testing.assert_allclose(found.sel(sample="b", channel="Fz"), 1e6 * raw_of().get_data()[0, 200:251])


@pytest.mark.parametrize("entry", [from_epochs, from_epoch_runs])
def test_row_107_no_epoch_left_gives_the_drop_log(entry):
    events = np.array([[200, 0, 1], [500, 0, 1], [1999, 0, 1]])
    for preload in (False, True):
        epochs = mne.Epochs(raw_of(), events, tmin=0, tmax=0.5, baseline=None, reject={"eeg": 1e-9}, preload=preload)
        with pytest.raises(
            ValueError, match=r"none are left; all 3 were dropped \(drop log: .*'Fz': 2.*'TOO_SHORT': 1"
        ):
            entry(epochs)


def test_row_108_metadata_of_another_length_are_refused():
    with pytest.raises(ValueError, match="same number of rows"):
        epochs_of().metadata = pd.DataFrame({"word": list("abc")})
    with pytest.raises(ValueError, match=r"labels: got shape \(3,\) for 4 trials"):
        from_arrays(np.ones((4, 1, 2)), list("abc"), [0.0, 0.01], ["Fz"], unit="µV")
    with pytest.raises(ValueError, match="columns: 3 rows for 4 trials"):
        from_arrays(np.ones((4, 1, 2)), list("abca"), [0.0, 0.01], ["Fz"], unit="µV", columns={"x": [1, 2, 3]})


@pytest.mark.parametrize("entry", [from_epochs, from_epoch_runs])
@pytest.mark.parametrize(
    "window", [(-0.2, 0.0), (0.0, 0.6), (-1.0, -0.5), (0.3, 0.1), (0.1, np.inf), (np.nan, 0.1), (100.0, 300.0)]
)
def test_row_109_a_window_outside_the_epoch_is_refused(entry, window):
    with pytest.raises(ValueError, match="window: "):
        entry(epochs_of(), window=window)


def test_row_110_trials_without_a_word_are_listed():
    epochs = epochs_of(words="abcdef")
    for missing in (np.nan, None, "", "  "):
        epochs.metadata = pd.DataFrame({"word": ["a", missing, "c", "d", missing, "f"]})
        with pytest.raises(ValueError, match=r"item: 2 of 6 trials have no item .* first trials \[1, 4\]"):
            from_epochs(epochs, item="word")


def test_row_110_words_without_features_are_listed():
    recording = from_epochs(epochs_of(), item="word")
    features = xr.DataArray(np.eye(3), dims=("sample", "feature"), coords={"sample": list("abc")})
    with pytest.raises(ValueError, match=r"1 of 4 in the recording alone \(first \['d'\]\)"):
        align(features, recording)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("picks", [None, 3, [0, 1], [None]])
def test_picks_that_are_no_names_are_refused(entry, picks):
    with pytest.raises(TypeError, match=r"picks: got|evokeds.*: got"):
        each_entry(NAMES)[entry](picks=picks)
