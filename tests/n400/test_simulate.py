"""Simulation: labels, the control, batches, links, and networks that must not be simulated."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroling.core.stimuli import Stimuli
from neuroling.n400.alpha import Alpha
from neuroling.n400.experiments import Timing, experiment, repetition
from neuroling.n400.linking_hypotheses import LINKS, prediction_error, semantic_activation, semantic_update
from neuroling.n400.reading import NotLearned
from neuroling.n400.simulate import simulate, simulate_units

SHORT = Timing(shown=5, blank=4, target=8, before=3)


def run(network, trials, alpha=None, **options):
    return simulate(network, trials, alpha=alpha, allow_unlearned=True, device="cpu", **{"timing": SHORT, **options})


@pytest.fixture(scope="module")
def trials(lexicon):
    return repetition(lexicon, rng=0)


def test_simulation_is_a_recording(network, trials):
    recording = run(network, trials)
    assert recording.dims == ("sample", "repeat", "time")
    assert recording.shape == (len(trials), 3, 11)
    assert {"condition", "item", "kind", "context"} <= set(recording.coords)
    np.testing.assert_allclose(recording["time"], SHORT.times())


def test_simulation_says_that_it_is_one(network, trials):
    attrs = run(network, trials, Alpha(6)).attrs
    assert attrs["simulated"] == attrs["synthetic"] == 1
    assert "time_constant=6" in attrs["alpha"]


def test_without_alpha_it_is_the_erp_model(network, trials):
    assert run(network, trials).attrs["model"] == "ERP model"


def test_alpha_changes_nothing_before_a_unit_has_crossed_its_threshold(network, lexicon):
    trials = experiment(lexicon, [(lexicon.known[0], "", "alone")], name="x")
    plain, alpha = run(network, trials), run(network, trials, Alpha(6, threshold=0.9999))
    np.testing.assert_allclose(plain, alpha)


def test_order_of_the_trials_does_not_matter(network, trials):
    turned = Stimuli(trials.table.iloc[::-1])
    one, other = run(network, trials), run(network, turned)
    np.testing.assert_allclose(one, other.sel(sample=one["sample"]), atol=1e-6)


def test_little_memory_gives_the_same_numbers(network, trials):
    np.testing.assert_allclose(run(network, trials), run(network, trials, memory=20_000), atol=1e-6)


def test_contexts_of_different_length_can_be_mixed(network, lexicon):
    word, other = lexicon.known[:2]
    rows = [(word, "", "alone"), (word, other, "after one"), (word, f"{other} {word}", "after two")]
    mixed = run(network, experiment(lexicon, rows, name="x"))
    for place, row in enumerate(rows):
        alone = run(network, experiment(lexicon, [row], name="x"))
        np.testing.assert_allclose(mixed[place], alone[0], atol=1e-6)


def test_semantic_activation_is_the_mean_over_units(network, trials):
    few = Stimuli(trials.table.iloc[:4])
    units = simulate_units(network, few, alpha=None, timing=SHORT, device="cpu")
    np.testing.assert_allclose(units.mean("channel"), run(network, few), atol=1e-6)


def test_update_is_zero_at_the_first_tick(network, trials):
    assert float(abs(run(network, trials, link=semantic_update).isel(time=0)).max()) == 0


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link.name.replace(" ", "_"))
def test_every_link_gives_a_finite_waveform(network, lexicon, trials, link):
    known = trials.subset(list(trials.labels[trials.table["text"].isin(lexicon.known)]))
    recording = run(network, known, link=link)
    assert np.isfinite(recording).all()
    assert recording.attrs["link"] == link.name


def test_prediction_error_is_smallest_for_the_right_meaning(network, lexicon):
    import torch

    meaning = torch.as_tensor(lexicon.meaning(lexicon.known[:1]))
    trace = torch.stack([meaning[:, None], 1 - meaning[:, None]])  # (participant, trial, tick, unit)
    error = prediction_error.response(trace, meaning)
    assert error[0, 0, 0] < 0.1 < error[1, 0, 0]


def test_activation_of_a_known_trace_is_its_mean():
    import torch

    trace = torch.arange(8.0).reshape(1, 1, 2, 4)
    assert semantic_activation.response(trace, trace[0, :, 0]).tolist() == [[[1.5, 5.5]]]


def test_network_that_has_not_learned_is_refused(network, trials):
    with pytest.raises(NotLearned, match=r"new: mean \d+%, 3 of 3 participants below 85%.*allow_unlearned=True"):
        simulate(network, trials, alpha=None, device="cpu")


def test_recording_says_whether_its_participants_read(network, trials):
    attrs = run(network, trials, Alpha(6)).attrs
    assert attrs["reads"] == 0
    assert attrs["reading"].startswith("new ")
    assert "repeated" in attrs["reading_alpha"]


def test_experiment_without_known_targets_is_asked_about_the_lexicon(network, lexicon):
    strings = lexicon.of_kind("illegal")[:2]
    trials = experiment(lexicon, [(strings[0], strings[1], "new")], name="x")
    assert run(network, trials).attrs["reading"].startswith("alone ")


def test_meaning_is_needed_for_prediction_error(network, trials):
    with pytest.raises(ValueError, match="words and acronyms only"):
        run(network, trials, link=prediction_error)


def test_stimuli_without_contexts_are_refused(network):
    with pytest.raises(ValueError, match="no column 'context'"):
        run(network, Stimuli.from_texts(["bad"]))


def test_unknown_item_is_refused(network):
    with pytest.raises(ValueError, match="not in the lexicon"):
        run(network, Stimuli.from_texts(["zzz"], context=[""]))


def test_no_tick_before_the_target_is_refused(network, trials):
    with pytest.raises(ValueError, match="at least one tick before"):
        run(network, trials, timing=Timing(before=0))


def test_a_list_is_no_experiment(network):
    with pytest.raises(TypeError, match="expected Stimuli"):
        run(network, ["bad"])


def test_recording_survives_a_file(network, trials, tmp_path):
    recording = run(network, trials)
    recording.to_netcdf(tmp_path / "simulated.nc")
    with xr.open_dataarray(tmp_path / "simulated.nc") as again:
        np.testing.assert_array_equal(again, recording)
