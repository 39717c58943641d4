"""Recordings of MNE that gave a wrong number, or were refused, without a word."""

from __future__ import annotations

import mne
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroling.data.eeg import (
    channel_positions,
    from_epoch_runs,
    from_epochs,
    from_evokeds,
    from_raw,
    join_subjects,
    read_epochs,
)
from neuroling.rsa.searchlight import neighbours_within

mne.set_log_level("error")


# --- units: eeg_units_mixed ------------------------------------------------------------------------------------------


def subject(eog):
    info = mne.create_info(["Fz", "Cz", "HEOG"], 250.0, ["eeg", "eeg", eog])
    data = np.random.default_rng(0).standard_normal((8, 3, 100)) * 1e-5
    return mne.EpochsArray(data, info, metadata=pd.DataFrame({"word": list("abcd") * 2}))


def test_eeg_stays_in_microvolts_beside_another_channel_type():
    picks = ["Fz", "Cz", "HEOG"]
    both = join_subjects(
        {
            "typed eog": from_epochs(subject("eog"), item="word", picks=picks),
            "left as eeg": from_epochs(subject("eeg"), item="word", picks=picks),
        }
    )
    spread = [float(both.sel(subject=s, channel="Fz").std()) for s in both.subject.to_numpy()]
    assert spread[0] == spread[1] == pytest.approx(10 / np.sqrt(2), rel=0.1)  # µV, means of two trials
    assert both.attrs["units"] == "µV"
    assert both.unit.to_numpy().tolist() == ["µV"] * 3


@pytest.mark.parametrize("kind", ["ecg", "emg", "seeg", "ecog", "bio", "dbs"])
def test_every_voltage_is_in_microvolts(kind):
    found = from_epochs(subject(kind), item="word", picks="all")
    assert set(found.unit.to_numpy()) == {"µV"}
    np.testing.assert_allclose(found.sel(channel="HEOG").isel(sample=0), 1e6 * subject(kind).get_data()[::4, 2].mean(0))


@pytest.mark.parametrize(("kind", "unit", "size"), [("mag", "T", 1e-13), ("grad", "T/m", 1e-11), ("misc", None, 1.0)])
def test_other_sensors_keep_their_unit_and_say_so(kind, unit, size):
    epochs = subject(kind)
    epochs._data[:, 2] *= size / 1e-5
    found = from_epochs(epochs, item="word", picks=["Fz", "HEOG"])
    assert found.unit.to_numpy().tolist() == ["µV", unit or "as in MNE"]
    assert found.attrs["units"] == f"µV and {unit or 'as in MNE'}"
    np.testing.assert_allclose(found.sel(channel="Fz").isel(sample=0), 1e6 * epochs.get_data()[::4, 0].mean(axis=0))
    np.testing.assert_allclose(found.sel(channel="HEOG").isel(sample=0), epochs.get_data()[::4, 2].mean(axis=0))


def test_units_of_channels_are_compared_before_participants_are_joined():
    known, other = (from_epochs(subject(kind), item="word", picks="all") for kind in ("eog", "misc"))
    with pytest.raises(ValueError, match=r"in 1 channels, first 'HEOG': 'b' has as in MNE, 'a' has µV"):
        join_subjects({"a": known, "b": other})
    with pytest.raises(ValueError, match="'b' has none, 'a' has µV"):
        join_subjects({"a": known, "b": known.drop_vars("unit").drop_attrs()})
    volts = (known * 1e-6).drop_vars("unit").assign_attrs(units="V")
    with pytest.raises(ValueError, match="'b' has V, 'a' has µV"):
        join_subjects({"a": known, "b": volts})
    np.testing.assert_array_equal(join_subjects({"a": known, "b": known}).sel(subject="b"), known)


@pytest.mark.parametrize("spelling", ["uV", "\u03bcV", "\u00b5V", "microvolts", "UV"])
def test_one_unit_in_another_spelling_is_one_unit(spelling):
    known = from_epochs(subject("eog"), item="word")
    units = [spelling] * known.sizes["channel"]
    other = known.assign_coords(unit=("channel", units)).assign_attrs(units=spelling)
    assert join_subjects({"a": known, "b": other}).sizes["subject"] == 2


@pytest.mark.parametrize(("factor", "direction"), [(1e-6, "more"), (1e-3, "more"), (1e6, "less")])
@pytest.mark.parametrize("named", [True, False])
def test_a_participant_in_another_unit_is_refused_whatever_the_label_says(factor, direction, named):
    known = from_epochs(subject("eog"), item="word")
    known = known if named else known.drop_vars("unit").drop_attrs()
    people = {"a": known, "b": 3 * known, "c": factor * known}
    with pytest.raises(ValueError, match=rf"recordings: 'c' varies by .* times {direction}: their units"):
        join_subjects({name: one.assign_attrs(known.attrs) for name, one in people.items()})


def test_a_list_of_evoked_responses_is_refused_with_a_sentence():
    with pytest.raises(TypeError, match=r"evokeds: got list; expected a mapping from items to their responses"):
        from_evokeds([subject("eog").average()])


def test_evoked_responses_and_raw_say_their_unit():
    epochs = subject("eog")
    assert from_evokeds({"a": epochs["word == 'a'"].average()}).attrs["units"] == "µV"
    raw = mne.io.RawArray(1e-5 * np.random.default_rng(0).standard_normal((3, 500)), epochs.info)
    for found in (from_raw(raw, picks="all"), from_epoch_runs(epochs, picks="all")):
        assert found.unit.to_numpy().tolist() == ["µV"] * 3
        assert float(found.std()) == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("factor", [1e3, 1e6, 1e-6])
@pytest.mark.parametrize("offset", [0.0, 0.03])
def test_values_in_another_unit_than_volts_are_refused_with_the_factor(factor, offset):
    """Offsets of tens of millivolts, as BioSemi's raw recordings have, change nothing."""
    rng = np.random.default_rng(1)
    info = mne.create_info(8, 250.0, "eeg")
    data = 1e-5 * rng.standard_normal((8, 2000)) + offset * rng.uniform(-1, 1, (8, 1))
    assert float(from_raw(mne.io.RawArray(data, info)).std("sample").median()) == pytest.approx(10, rel=0.1)
    raw = mne.io.RawArray(factor * data, info)
    remedy = "1e-06" if factor == 1e6 else "0.001" if factor == 1e3 else r"1e\+06"
    with pytest.raises(ValueError, match=rf"recording: the median channel .* multiply them by {remedy} "):
        from_raw(raw)
    epochs = mne.make_fixed_length_epochs(raw, 0.5, preload=True)
    with pytest.raises(ValueError, match="times too"):
        from_epochs(epochs)
    with pytest.raises(ValueError, match="times too"):
        from_epoch_runs(epochs)
    with pytest.raises(ValueError, match="times too"):
        from_evokeds({"a": epochs[:4].average(), "b": epochs[4:].average()})


def test_one_broken_channel_does_not_decide_about_the_unit():
    data = 1e-5 * np.random.default_rng(1).standard_normal((8, 2000))
    data[3] *= 1e4
    data[4] = 0.0
    assert from_raw(mne.io.RawArray(data, mne.create_info(8, 250.0, "eeg"))).sizes["channel"] == 8


# --- bad stretches: raw_bad_off_by_one -------------------------------------------------------------------------------


def differences(raw):
    """Samples that from_raw keeps and MNE does not, and the reverse."""
    mine = set(from_raw(raw).to_numpy()[:, 0].round().astype(int))
    theirs = set((raw.get_data(reject_by_annotation="omit")[0] * 1e6).round().astype(int))
    return mine ^ theirs


def ramp(sfreq, first_samp=0, n=1000):
    return mne.io.RawArray(np.arange(float(n))[None] * 1e-6, mne.create_info(1, sfreq, "eeg"), first_samp=first_samp)


@pytest.mark.parametrize(("sfreq", "first_samp", "onset", "duration"), [(100.0, 0, 0.1, 0.2), (100.0, 1000, 0.3, 0.2)])
def test_the_samples_of_a_bad_stretch_are_those_of_mne(sfreq, first_samp, onset, duration):
    raw = ramp(sfreq, first_samp).set_annotations(mne.Annotations([onset], [duration], ["BAD"]))
    assert differences(raw) == set()


def test_no_bad_sample_is_kept_wherever_a_stretch_begins():
    raw = ramp(250.0, 2500)
    for k in range(1, 500, 7):
        assert differences(raw.copy().set_annotations(mne.Annotations([k / 250], [0.1], ["BAD"]))) == set()


def test_bad_stretches_at_random_are_those_of_mne():
    rng = np.random.default_rng(2)
    for sfreq in (100.0, 128.0, 250.0, 512.0, 600.614990234375, 1000.0):
        for first_samp in (0, 777, 123456):
            raw = ramp(sfreq, first_samp)
            if first_samp == 777:
                raw.set_meas_date(1e9)
            onsets, durations = rng.uniform(-0.05, raw.times[-1], 5), rng.uniform(0, 0.1, 5)
            kinds = rng.choice(["BAD_blink", "bad", "note"], 5)
            raw.set_annotations(
                mne.Annotations(onsets + (raw.first_time if first_samp == 777 else 0), durations, kinds)
            )
            assert differences(raw) == set()
            assert differences(raw.copy().crop(raw.times[100], raw.times[800])) == set()


@pytest.mark.parametrize("description", ["BAD", "bad_x", "EDGE boundary", "BAD boundary", "BAD_ACQ_SKIP", "note"])
def test_marks_of_any_kind_cost_the_samples_that_they_cost_in_mne(description):
    raw = ramp(100.0).set_annotations(mne.Annotations([1.0], [0.5], [description]))
    assert differences(raw) == set()
    parts = set(from_raw(raw).group.to_numpy().tolist())
    assert len(parts) == (1 if description == "note" else 2)


def test_recordings_that_were_joined_are_two_runs_and_lose_no_sample():
    joined = mne.concatenate_raws([ramp(100.0), ramp(100.0)])
    found = from_raw(joined)
    assert found.groupby("group").count().isel(channel=0).to_numpy().tolist() == [1000, 1000]
    assert found.time_index.to_numpy()[[999, 1000]].tolist() == [999, 0]
    assert found.attrs["bad_s"] == 0


# --- windows and times: times_differ_by_rounding ----------------------------------------------------------------------


@pytest.mark.parametrize("sfreq", [100.0, 128.0, 250.0, 256.0, 512.0, 600.614990234375, 1000.0, 1024.0])
def test_epochs_off_the_sampling_grid_take_their_own_baseline_window(sfreq):
    raw = mne.io.RawArray(1e-5 * np.random.default_rng(0).standard_normal((2, 3000)), mne.create_info(2, sfreq, "eeg"))
    events = np.array([[400, 0, 1], [1200, 0, 1]])
    epochs = mne.Epochs(raw, events, tmin=-0.1, tmax=0.5, baseline=(-0.1, 0.0), preload=True)
    found = from_epochs(epochs, window=epochs.baseline)
    grid = np.asarray(epochs.times)
    assert found.time.to_numpy().tolist() == grid[(grid >= -0.1 - 1e-9) & (grid <= 1e-9)].tolist()
    assert from_epochs(epochs, window=(-0.1, 0.5)).sizes["time"] >= len(grid) - 2


@pytest.mark.parametrize("sfreq", [100.0, 128.0, 250.0, 512.0, 1000.0])
def test_windows_of_epochs_hold_both_ends(sfreq):
    epochs = mne.EpochsArray(
        1e-5 * np.random.default_rng(0).standard_normal((2, 2, 400)), mne.create_info(2, sfreq, "eeg"), tmin=-50 / sfreq
    )
    for first, last in ((0, 10), (7, 8), (50, 399), (3, 3)):
        window = ((first - 50) / sfreq, (last - 50) / sfreq + 1e-12)
        found = from_epochs(epochs, window=window)
        np.testing.assert_array_equal(found.time, epochs.times[first : last + 1])
        np.testing.assert_allclose(found.to_numpy()[1], 1e6 * epochs.get_data()[1, :, first : last + 1])


def test_participants_whose_times_differ_by_rounding_are_joined():
    e = mne.EpochsArray(
        np.random.default_rng(0).standard_normal((4, 3, 300)) * 1e-6,
        mne.create_info(3, 1000.0, "eeg"),
        tmin=-0.1,
        metadata=pd.DataFrame({"w": list("abcd")}),
    )
    a = e.copy().decimate(15)
    b = mne.EpochsArray(a.get_data(), a.info, tmin=a.tmin, metadata=a.metadata)
    assert 0 < abs(a.times - b.times).max() < 1e-16
    joined = join_subjects({"s1": from_epochs(a, item="w"), "s2": from_epochs(b, item="w")})
    assert joined.sizes["time"] == len(a.times)
    evokeds = {"a": a.average(), "b": b.average()}
    assert from_evokeds(evokeds).sizes["time"] == len(a.times)


# --- channels: evoked_bads --------------------------------------------------------------------------------------------


def with_bad_channel():
    e = mne.EpochsArray(
        np.random.default_rng(0).standard_normal((8, 4, 50)) * 1e-6,
        mne.create_info(["Fz", "Cz", "Pz", "Oz"], 250.0, "eeg"),
        metadata=pd.DataFrame({"word": list("abcd") * 2}),
    )
    e.set_montage("standard_1020")
    e.info["bads"] = ["Pz"]
    return e


def test_a_bad_channel_is_left_out_of_epochs_evokeds_and_positions():
    e = with_bad_channel()
    evokeds = {w: e[f"word == '{w}'"].average() for w in "abcd"}
    expected = ["Fz", "Cz", "Oz"]
    assert from_epochs(e, item="word").channel.to_numpy().tolist() == expected
    assert from_evokeds(evokeds).channel.to_numpy().tolist() == expected
    assert channel_positions(e).channel.to_numpy().tolist() == expected
    assert channel_positions(evokeds["a"]).channel.to_numpy().tolist() == expected
    assert len(neighbours_within(channel_positions(e), radius=0.2)) == 3


def test_a_bad_channel_is_kept_where_it_is_named():
    e = with_bad_channel()
    evokeds = {w: e[f"word == '{w}'"].average() for w in "ab"}
    for found in (from_epochs(e, picks=["Pz"]), from_evokeds(evokeds, picks=["Pz"]), channel_positions(e, ["Pz"])):
        assert found.channel.to_numpy().tolist() == ["Pz"]


def test_evokeds_with_other_bad_channels_are_named():
    e = with_bad_channel()
    a, b = e["word == 'a'"].average(), e["word == 'b'"].average()
    b.info["bads"] = ["Cz"]
    with pytest.raises(ValueError, match=r"other channels, \['Cz', 'Pz'\] in one alone \(marked as bad: \['Cz'\]"):
        from_evokeds({"a": a, "b": b})


def test_evokeds_with_channels_in_another_order_are_matched_by_name():
    e = with_bad_channel()
    a, b = e["word == 'a'"].average(), e["word == 'b'"].average()
    turned = b.copy().reorder_channels(["Oz", "Pz", "Cz", "Fz"])
    xr.testing.assert_identical(from_evokeds({"a": a, "b": turned}), from_evokeds({"a": a, "b": b}))


# --- lazy_epochs ------------------------------------------------------------------------------------------------------


def lazy(**options):
    raw = mne.io.RawArray(np.random.default_rng(0).standard_normal((3, 2000)) * 1e-6, mne.create_info(3, 100.0, "eeg"))
    events = np.array([[200, 0, 1], [500, 0, 1], [800, 0, 1]])
    table = pd.DataFrame({"w": list("abc")})
    return mne.Epochs(raw, events, tmin=-0.1, tmax=0.5, metadata=table, **options)


def test_epochs_that_are_not_in_memory_are_read_and_stay_as_they_were():
    epochs = lazy()
    assert from_epochs(epochs, item="w").shape == (3, 3, 61)
    assert not epochs.preload
    xr.testing.assert_identical(from_epochs(epochs, item="w"), from_epochs(lazy(preload=True), item="w"))
    xr.testing.assert_identical(from_epoch_runs(epochs), from_epoch_runs(lazy(preload=True)))


def test_bad_epochs_are_dropped_from_those_that_are_not_in_memory():
    amplitudes = np.ptp(lazy().get_data(), axis=2).max(axis=1)
    limit = float(np.sort(amplitudes)[-2:].mean())
    found = from_epochs(lazy(reject={"eeg": limit}), item="w")
    assert found.sample.to_numpy().tolist() == [w for w, a in zip("abc", amplitudes, strict=True) if a <= limit]


def test_a_file_of_epochs_is_read_whole_or_not(tmp_path):
    lazy().save(tmp_path / "x-epo.fif")
    unread = mne.read_epochs(tmp_path / "x-epo.fif", preload=False)
    whole = read_epochs(tmp_path / "x-epo.fif")
    xr.testing.assert_identical(from_epochs(unread, item="w"), from_epochs(whole, item="w"))


# --- reference_not_applied --------------------------------------------------------------------------------------------


def with_projector():
    e = mne.EpochsArray(
        np.random.default_rng(0).standard_normal((4, 4, 50)) * 1e-6 + 50e-6,
        mne.create_info(4, 250.0, "eeg"),
        metadata=pd.DataFrame({"w": list("abcd")}),
    )
    return e.set_eeg_reference(projection=True)


def test_an_average_reference_that_was_not_applied_is_refused_everywhere():
    e = with_projector()
    raw = mne.io.RawArray(e.get_data()[0], e.info)
    calls = (
        lambda: from_epochs(e, item="w"),
        lambda: from_epoch_runs(e),
        lambda: from_raw(raw),
        lambda: from_evokeds({"a": e.average()}),
    )
    for call in calls:
        with pytest.raises(ValueError, match="average reference was set as a projector and not applied"):
            call()
    applied = from_epochs(e.copy().apply_proj(), item="w")
    assert float(abs(applied.mean("channel")).max()) < 1e-9
    assert float(from_epochs(e.copy().del_proj(), item="w").mean()) == pytest.approx(50, rel=0.05)


def test_other_projectors_that_are_not_applied_are_warned_of():
    e = with_projector().del_proj()
    vector = {"data": np.full((1, 4), 0.5), "col_names": e.ch_names, "row_names": None, "nrow": 1, "ncol": 4}
    e.add_proj(mne.Projection(data=vector, active=False, desc="blinks", kind=1))
    with pytest.warns(UserWarning, match="1 projectors are not applied, first 'blinks'"):
        from_epochs(e, item="w")
    from_epochs(e.apply_proj(), item="w")


# --- labels and columns -----------------------------------------------------------------------------------------------


def with_table(**columns):
    data = np.random.default_rng(0).standard_normal((4, 2, 20)) * 1e-6
    return mne.EpochsArray(data, mne.create_info(2, 100.0, "eeg"), metadata=pd.DataFrame(columns))


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA])
def test_a_column_that_is_missing_for_all_trials_of_an_item_has_one_value(missing):
    number = from_epochs(with_table(w=list("abab"), v=[1.5, missing, 1.5, missing]), item="w", columns=["v"])
    np.testing.assert_array_equal(number.v, [1.5, np.nan])
    text = from_epochs(with_table(w=list("abab"), v=["x", missing, "x", missing]), item="w", columns=["v"])
    assert text.v.to_numpy().tolist() == ["x", ""]
    with pytest.raises(ValueError, match="several values for the item 'b'"):
        from_epochs(with_table(w=list("abab"), v=[1.5, missing, 1.5, 2.0]), item="w", columns=["v"])


def test_whole_numbers_are_one_label_whatever_their_type():
    labels = [
        from_epochs(with_table(w=pd.Series([1, 2, 1, 2], dtype=dtype)), item="w").sample.to_numpy().tolist()
        for dtype in ("int64", "float64", "Int64", "object", "int8", "float32")
    ]
    assert labels == [["1", "2"]] * 6
    assert from_epochs(with_table(w=[1, 1.0, "1", 2.5]), item="w").sample.to_numpy().tolist() == ["1", "2.5"]


def test_a_number_that_is_spelled_in_two_ways_is_refused():
    with pytest.raises(ValueError, match=r"first '1\.0' and '1'"):
        from_epochs(with_table(w=["1", "1.0", "2", "3"]), item="w")
    whole = from_epochs(with_table(w=[1, 2, 3, 4]), item="w")
    text = from_epochs(with_table(w=["1.0", "2.0", "3.0", "4.0"]), item="w")
    with pytest.raises(ValueError, match=r"spelled differently in others, first \[\('1', '1.0'\)"):
        join_subjects({"a": whole, "b": text}, missing="nan")


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        (["01", "1", "2", "3"], "numbers are spelled in two ways, first '1' and '01'"),
        (["2.50", "2.5", "1", "3"], "numbers are spelled in two ways"),
        (["a", "a ", "b", "c"], "labels are spelled in two ways, first 'a ' and 'a'"),
        (["New  York", "New York", "b", "c"], "labels are spelled in two ways"),
        (["caf\u00e9", "cafe\u0301", "b", "c"], r"labels are spelled in two ways, first 'caf\\xe9' and 'cafe\\u0301'"),
    ],
)
def test_one_item_in_two_spellings_is_not_two_items(labels, shown):
    with pytest.raises(ValueError, match=f"item: 1 {shown}"):
        from_epochs(with_table(w=labels), item="w")


@pytest.mark.parametrize("labels", [["1e3", "1000", "2", "3"], ["A", "a", "b", "c"], ["1", "-1", "10", "0.1"]])
def test_labels_that_differ_are_different_items(labels):
    assert from_epochs(with_table(w=labels), item="w").sizes["sample"] == 4


def test_items_that_differ_in_case_and_stand_in_one_participant_are_two_items():
    both = from_epochs(with_table(w=["polish", "Polish", "cat", "dog"]), item="w")
    joined = join_subjects({"a": both, "b": both.sel(sample=["polish", "cat"])}, missing="nan")
    assert joined.sizes["sample"] == 4
