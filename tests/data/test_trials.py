"""Single trials in plain arrays become a recording: by item, with unequal repeats, units and rejected trials."""

from __future__ import annotations

import mne
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from neuroling.data.eeg import from_arrays, from_epochs, join_subjects

TIMES = np.arange(-10, 30) / 100
CHANNELS = ["Fz", "Cz", "Pz"]
LABELS = ["cat", "dog", "cat", "saw", "dog", "cat"]


def trials(scale=10.0, n=6):
    return scale * np.random.default_rng(0).standard_normal((n, 3, 40))


def made(**options):
    return from_arrays(trials(), LABELS, TIMES, CHANNELS, **{"unit": "µV", **options})


def test_every_trial_is_a_repeat_and_lacking_ones_are_nan():
    found = made()
    assert found.dims == ("sample", "repeat", "channel", "time")
    assert found.sample.to_numpy().tolist() == ["cat", "dog", "saw"]
    assert found.n_trials.to_numpy().tolist() == [3, 2, 1]
    assert found.n_averaged.to_numpy().tolist() == [[1, 1, 1], [1, 1, 0], [1, 0, 0]]
    np.testing.assert_array_equal(found.sel(sample="dog").isel(repeat=slice(2)), trials()[[1, 4]])
    assert np.isnan(found.sel(sample="saw").isel(repeat=slice(1, None))).all()
    assert found.attrs["units"] == "µV"


@pytest.mark.parametrize("folds", [None, 2, "trials"])
def test_arrays_and_epochs_give_the_same_recording(folds):
    labels = ["cat", "dog", "cat", "dog", "dog", "cat"]
    table = pd.DataFrame({"word": labels, "length": [3] * 6})
    info = mne.create_info(CHANNELS, 100.0, "eeg", verbose="error")
    epochs = mne.EpochsArray(1e-6 * trials(), info, tmin=-0.1, metadata=table, verbose="error")
    ours = from_arrays(
        1e-6 * trials(), table["word"], TIMES, CHANNELS, unit="V", folds=folds, columns=table[["length"]], rng=3
    )
    theirs = from_epochs(epochs, item="word", folds=folds, columns=["length"], rng=3)
    xr.testing.assert_allclose(ours.drop_vars("n_rejected").drop_attrs(), theirs.drop_attrs())


@pytest.mark.parametrize(("unit", "factor"), [("V", 1e-6), ("mV", 1e-3), ("µV", 1), ("uV", 1), ("μV", 1), ("nV", 1e3)])
def test_voltages_become_microvolts(unit, factor):
    found = from_arrays(factor * trials(), LABELS, TIMES, CHANNELS, unit=unit)
    xr.testing.assert_allclose(found, made())


def test_other_units_stay_as_they_are_and_are_not_judged():
    found = from_arrays(1e9 * trials(), LABELS, TIMES, CHANNELS, unit="a.u.")
    assert found.attrs["units"] == "a.u."
    np.testing.assert_array_equal(found.isel(sample=1, repeat=0), 1e9 * trials()[1])


def test_trials_without_times_have_no_time_axis():
    found = from_arrays(trials()[..., 0], LABELS, None, CHANNELS, unit="µV")
    assert found.dims == ("sample", "repeat", "channel")
    assert "time" not in found.coords


def test_equal_seeds_deal_alike_and_others_do_not():
    one, same, other = (
        from_arrays(trials(n=12), list("ab") * 6, TIMES, CHANNELS, unit="µV", folds=3, rng=seed) for seed in (1, 1, 2)
    )
    assert one.equals(same)
    assert not one.equals(other)
    assert one.n_averaged.to_numpy().tolist() == [[2, 2, 2], [2, 2, 2]]


# --- rejection --------------------------------------------------------------------------------------------------------


def with_artefacts():
    """Trials 2 and 4 with amplitudes of 1,340 µV, one at the offset of a DC amplifier."""
    values = trials()
    values[2, 0, 5:8] += 1340
    values[4, 1, 20] -= 1340
    values[5] += 30_000
    return values


def test_trials_above_a_peak_to_peak_amplitude_are_rejected_and_counted():
    found = from_arrays(with_artefacts(), LABELS, TIMES, CHANNELS, unit="µV", reject=150.0)
    assert found.n_trials.to_numpy().tolist() == [2, 1, 1]
    assert found.n_rejected.to_numpy().tolist() == [1, 1, 0]
    assert found.attrs["n_rejected"] == 2
    assert found.attrs["rejected"] == "trials above 150 µV peak to peak"
    np.testing.assert_array_equal(found.sel(sample="cat").isel(repeat=slice(2)), with_artefacts()[[0, 5]])


@pytest.mark.parametrize(("unit", "factor"), [("V", 1e-6), ("mV", 1e-3), ("µV", 1.0)])
def test_the_limit_is_in_the_unit_of_the_trials(unit, factor):
    found = from_arrays(factor * with_artefacts(), LABELS, TIMES, CHANNELS, unit=unit, reject=150 * factor)
    assert found.n_rejected.to_numpy().tolist() == [1, 1, 0]
    assert float(abs(found).max()) > 20_000  # µV, the offset


def test_extreme_trials_are_warned_of_where_none_are_rejected():
    with pytest.warns(UserWarning, match="2 of 6 trials exceed 500 µV peak to peak"):
        from_arrays(with_artefacts(), LABELS, TIMES, CHANNELS, unit="µV")


def test_an_item_that_loses_all_trials_is_named():
    values = trials()
    values[3, 0, 0] = 400
    with pytest.raises(ValueError, match=r"reject: 1 of 3 items lose all of their trials, first \['saw'\] \(1 of 6"):
        from_arrays(values, LABELS, TIMES, CHANNELS, unit="µV", reject=150)


def test_counts_of_rejected_trials_are_kept_for_every_participant():
    clean = made()
    cut = from_arrays(with_artefacts() - 0, LABELS, TIMES, CHANNELS, unit="µV", reject=150.0)
    joined = join_subjects({"s1": clean, "s2": cut})
    assert joined.n_rejected.to_numpy().tolist() == [[0, 0, 0], [1, 1, 0]]
    assert joined.n_trials.to_numpy().tolist() == [[3, 2, 1], [2, 1, 1]]
    assert joined.n_averaged.sel(subject="s2").to_numpy().tolist() == [[1, 1, 0], [1, 0, 0], [1, 0, 0]]


# --- participants -----------------------------------------------------------------------------------------------------


def test_unequal_numbers_of_repeats_are_padded():
    fewer = from_arrays(trials()[:4], LABELS[:4], TIMES, CHANNELS, unit="µV")
    joined = join_subjects({"s1": made(), "s2": fewer})
    assert joined.sizes["repeat"] == 3
    assert joined.n_averaged.sel(subject="s2", sample="cat").to_numpy().tolist() == [1, 1, 0]
    assert np.isnan(joined.sel(subject="s2").isel(repeat=2)).all()


def test_a_missing_item_has_no_trials():
    fewer = from_arrays(trials()[:3], LABELS[:3], TIMES, CHANNELS, unit="µV")
    joined = join_subjects({"s1": made(), "s2": fewer}, missing="nan")
    assert joined.n_trials.sel(subject="s2").to_numpy().tolist() == [2, 1, 0]
    assert np.isnan(joined.sel(subject="s2", sample="saw")).all()


def test_coordinates_that_differ_between_participants_have_their_axis():
    columns = {"length": [3] * 6, "speed": [1.0, 2, 1, 3, 2, 1]}
    one = made(columns=columns)
    other = made(columns={**columns, "speed": [9.0, 8, 9, 7, 8, 9]})
    joined = join_subjects({"s1": one, "s2": other})
    assert joined.length.dims == ("sample",)
    assert joined.speed.sel(subject="s2", sample="saw").item() == 7
    partial = join_subjects({"s1": one.sel(sample=["dog"]), "s2": one}, missing="nan")
    assert partial.speed.sel(sample=["cat", "dog", "saw"]).to_numpy().tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match=r"only some participants have the coordinates \['speed'\]"):
        join_subjects({"s1": one, "s2": other.drop_vars("speed")})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trials": np.zeros((6, 40, 3))}, "last two axes seem to be exchanged"),
        ({"trials": np.zeros((6, 3))}, r"got shape \(6, 3\); expected \(trial, channel, time\) with 3 and 40"),
        ({"trials": np.zeros((0, 3, 40)), "labels": []}, "none given"),
        ({"trials": np.full((6, 3, 40), np.nan)}, r"720 values are NaN or infinite, in trials \[0, 1"),
        ({"trials": np.ma.masked_less(trials(), 0)}, "masked"),
        ({"times": TIMES * 1000}, "milliseconds"),
        ({"times": TIMES**2}, "growing"),
        ({"times": np.exp(TIMES)}, "evenly spaced"),
        ({"channels": "abc"}, "is one text"),
        ({"labels": ["cat", None, "cat", "", "dog", "cat"]}, r"2 of 6 trials have no item .* \[1, 3\]"),
        ({"labels": [["cat"]] * 6}, r"labels: got shape \(6, 1\)"),
        ({"unit": " "}, "unit: got an empty one"),
        ({"folds": 1}, "at least two"),
        ({"folds": 2}, r"1 items have fewer trials, first \['saw'\]"),
        ({"reject": 0}, "largest peak-to-peak amplitude in µV"),
        ({"reject": np.nan}, "largest peak-to-peak amplitude in µV"),
        ({"columns": {"speed": [1, 2, 3, 4, 5, 6]}}, "several values for the item 'cat'"),
        (
            {"labels": pd.Series(LABELS), "columns": pd.DataFrame({"a": [1] * 6}, index=[5, 4, 3, 2, 1, 0])},
            "matched by position",
        ),
    ],
)
def test_what_does_not_fit_gets_a_sentence(change, message):
    given = {"trials": trials(), "labels": LABELS, "times": TIMES, "channels": CHANNELS, "unit": "µV", **change}
    with pytest.raises(ValueError, match=message):
        from_arrays(**given)


@pytest.mark.parametrize("values", [trials() + 1j, trials().astype(str), np.full((6, 3, 40), "a", object)])
def test_values_that_are_no_real_numbers_are_refused(values):
    with pytest.raises((TypeError, ValueError), match=r"trials: got .*(real number|complex)"):
        from_arrays(values, LABELS, TIMES, CHANNELS, unit="µV")


def test_trials_without_a_course_cannot_be_rejected_by_it():
    with pytest.raises(ValueError, match="no time axis"):
        from_arrays(trials()[..., 0], LABELS, None, CHANNELS, unit="µV", reject=100)


def test_participants_from_arrays_and_from_mne_are_joined():
    info = mne.create_info(CHANNELS, 100.0, "eeg", verbose="error")
    table = pd.DataFrame({"word": LABELS})
    epochs = mne.EpochsArray(1e-6 * trials(), info, tmin=-0.1, metadata=table, verbose="error")
    joined = join_subjects({"array": made(), "mne": from_epochs(epochs, item="word", folds="trials")})
    np.testing.assert_allclose(joined.sel(subject="mne"), joined.sel(subject="array"))
    assert "n_rejected" not in joined.coords
    with pytest.raises(ValueError, match=r"'b' does not count its trials \(n_averaged\)"):
        join_subjects({"a": made(), "b": made().drop_vars("n_averaged")})


@pytest.mark.parametrize(
    "given",
    [
        lambda values: values.tolist(),
        lambda values: values.astype(object),
        lambda values: torch.tensor(values, requires_grad=True),
        lambda values: xr.DataArray(values, dims=("trial", "channel", "time")),
        lambda values: values.astype(">f8"),
        lambda values: np.asfortranarray(values),
    ],
)
def test_trials_are_read_as_every_array_is(given):
    found = from_arrays(given(trials()), LABELS, TIMES, CHANNELS, unit="µV")
    np.testing.assert_array_equal(found, made())


def test_a_list_of_numbers_and_text_names_items():
    found = from_arrays(trials(), [1, 1.0, "1", 2, 2.0, 1], TIMES, CHANNELS, unit="µV")
    assert found.sample.to_numpy().tolist() == ["1", "2"]
    assert found.n_trials.to_numpy().tolist() == [4, 2]


def test_millivolts_that_are_called_microvolts_are_refused():
    with pytest.raises(ValueError, match=r"trials: .* 1,000 times too small, .* multiply them by 1000"):
        from_arrays(1e-3 * trials(), LABELS, TIMES, CHANNELS, unit="µV")
