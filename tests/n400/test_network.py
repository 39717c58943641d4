"""Training and dynamics: the batched program against plain numpy, seeds, constraints, bad input."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuroling.n400.alpha import Alpha
from neuroling.n400.experiments import Timing, experiment, repetition
from neuroling.n400.lexicon import make_lexicon
from neuroling.n400.network import Architecture, Network
from neuroling.n400.regime import Training
from neuroling.n400.simulate import simulate_units
from neuroling.n400.training import train

sys.path.insert(0, str(Path(__file__).parent))
from plain import semantic_trace

SHORT = Training().with_epochs(4)


@pytest.mark.parametrize(
    "alpha",
    [
        None,
        Alpha(5),
        Alpha(4, mode="clip", threshold=0.2),
        Alpha(3, layers=("orthography", "hidden", "semantics")),
        Alpha(3, scale=0.5, reset="never"),
        Alpha(3, reset="recovered", mode="scale"),
    ],
)
def test_batched_dynamics_equal_the_plain_reference(precise, alpha):
    lexicon, timing = precise.lexicon, Timing(shown=6, blank=5, target=12, before=3)
    one, other = lexicon.known[0], lexicon.of_kind("illegal")[0]
    trials = experiment(lexicon, [(one, other, "new"), (one, one, "repeated")], name="two")
    traces = simulate_units(precise, trials, alpha=alpha, timing=timing, device="cpu")
    for trial, context in enumerate((other, one)):
        patterns = {string: lexicon.spell([string])[0] for string in (one, context)}
        shown = [patterns[context]] * 6 + [None] * 5 + [patterns[one]] * 12
        for participant in range(precise.n_participants):
            plain = semantic_trace(precise, participant, shown, alpha)[-15:]  # (tick, unit)
            batched = traces.isel(sample=trial, repeat=participant).transpose("time", "channel")
            np.testing.assert_allclose(batched, plain, atol=1e-6)


def test_training_lowers_the_error_of_every_participant(network):
    first = slice(0, network.training.stages[0].epochs)  # the next stage counts other mistakes
    assert (network.loss[first][-1] < 0.7 * network.loss[0]).all()


def test_equal_seeds_agree_and_different_ones_do_not(lexicon):
    one, same, other = (train(lexicon, participants=2, rng=seed, training=SHORT, device="cpu") for seed in (3, 3, 4))
    for name, values in one.weights.items():
        np.testing.assert_array_equal(values, same.weights[name])
    assert not np.allclose(one.weights["hidden.forward"], other.weights["hidden.forward"])


def test_participants_differ(network):
    assert not np.allclose(network.weights["hidden.forward"][0], network.weights["hidden.forward"][1])


def test_training_in_batches_changes_nothing_but_the_last_digits(lexicon):
    together = train(lexicon, participants=3, rng=0, training=SHORT, device="cpu")
    apart = train(lexicon, participants=3, rng=0, training=SHORT, device="cpu", batch=1)
    for name, values in together.weights.items():
        np.testing.assert_allclose(values, apart.weights[name], atol=1e-4)


def test_weights_between_and_within_layers_are_never_negative(network):
    constrained = [name for name in network.weights if name.split(".")[1] in ("forward", "to_bank", "from_bank")]
    assert min(network.weights[name].min() for name in constrained if not name.startswith("letters")) >= 0


def test_excitatory_units_outnumber_inhibitory_ones():
    architecture = Architecture()
    assert all(size > bank for size, bank in zip((20, 50, 50), architecture.banks, strict=True))


def test_published_sizes_are_the_default():
    weights = train(
        make_lexicon(rng=0), participants=1, rng=0, training=Training().with_epochs(1), device="cpu"
    ).weights
    shapes = [weights[f"{layer}.forward"].shape[1:] for layer in ("orthography", "hidden", "semantics")]
    assert shapes == [(15, 20), (20, 50), (50, 50)]


def test_network_without_any_inhibition_can_be_built(lexicon):
    bare = Architecture(fast=(0, 0, 0), slow=(0, 0, 0))
    assert train(lexicon, participants=1, rng=0, training=SHORT, architecture=bare, device="cpu").n_participants == 1


def test_frequent_items_weigh_more_in_learning(lexicon):
    weighted = train(lexicon, participants=1, rng=0, training=SHORT, device="cpu")
    flat = train(lexicon, participants=1, rng=0, training=replace(SHORT, frequency_exponent=0.0), device="cpu")
    assert weighted.loss[0, 0] != flat.loss[0, 0]


def test_accuracy_is_a_share_for_each_participant(network):
    accuracy = network.accuracy(device="cpu")
    assert accuracy.shape == (3,)
    assert ((accuracy >= 0) & (accuracy <= 1)).all()


def test_participants_can_be_picked(network):
    picked = network.participants(np.array([2, 0]))
    np.testing.assert_array_equal(picked.weights["hidden.bias"], network.weights["hidden.bias"][[2, 0]])


def test_blank_of_training_is_where_simulated_trials_start(lexicon):
    taught = train(lexicon, participants=2, rng=0, training=replace(SHORT, blank=9), device="cpu")
    one, other = lexicon.known[:2]
    timing = Timing(shown=20, blank=0, target=2, before=1)
    trials = experiment(lexicon, [(other, one, "new")], name="one")
    last = simulate_units(taught, trials, alpha=None, timing=timing, device="cpu").isel(time=0, sample=0)
    for participant in range(2):
        shown = [lexicon.spell([one])[0]] * 20
        plain = semantic_trace(taught, participant, shown, None)[-1]
        np.testing.assert_allclose(last.isel(repeat=participant), plain, atol=1e-5)


def test_one_context_serves_many_trials(network):
    trials = repetition(network.lexicon, rng=0)
    assert trials.table["context"].nunique() == len(trials) / 2


BAD = {
    "no hidden unit": (lambda: Architecture(hidden=0), "hidden of 1 or more, a whole number of units"),
    "banks for two layers": (lambda: Architecture(fast=(4, 10)), "for each of"),
    "a negative bank": (lambda: Architecture(slow=(4, -1, 10)), "0 or more"),
    "a rate of zero": (lambda: Architecture(rates=(0.6, 0, 0.2)), r"rates\[1\]: got 0; expected a number more than 0"),
    "a NaN rate": (lambda: Architecture(rates=(0.6, float("nan"), 0.2)), r"rates\[1\]"),
    "rates of two layers": (lambda: Architecture(rates=(0.6, 0.2)), "one number for each of"),
    "one rate for all": (lambda: Architecture(rates=0.5), "rates: got 0.5; expected a tuple of one number for each of"),
    "an infinite rate": (lambda: Architecture(fast_rate=float("inf")), "more than 0 and at most 1"),
    "a negative rate": (lambda: Architecture(rates=(-0.1, 0.6, 0.2)), r"rates\[0\]: got -0.1"),
    "a rate above one": (lambda: Architecture(slow_rate=1.5), "more than 0 and at most 1"),
    "a NaN range of weights": (lambda: Architecture(forward_range=float("nan")), "finite number"),
    "a negative range of weights": (lambda: Architecture(to_bank_range=-1), "0 or more"),
    "a NaN bias": (lambda: Architecture(bias=float("nan")), "finite number"),
}


@pytest.mark.parametrize("case", BAD, ids=lambda name: name.replace(" ", "_"))
def test_bad_parameter_is_answered_by_a_sentence(case):
    build, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("rates", [("fast", 0.6, 0.2), (None, 0.6, 0.2), (True, 0.6, 0.2)])
def test_rate_that_is_no_number_is_answered_by_a_sentence(rates):
    with pytest.raises(TypeError, match=r"rates\[0\]: got .*; expected a number more than 0 and at most 1"):
        Architecture(rates=rates)


@pytest.mark.parametrize("sizes", [{"participants": 0}, {"participants": 1, "batch": 0}])
def test_no_participant_is_refused(lexicon, sizes):
    with pytest.raises(ValueError, match="expected 1"):
        train(lexicon, rng=0, training=SHORT, **sizes)


def weights_but(network, **changes):
    return {**network.weights, **{name.replace("_", ".", 1): values for name, values in changes.items()}}


def test_missing_weights_are_refused(network):
    few = {name: values for name, values in network.weights.items() if name != "hidden.bias"}
    with pytest.raises(ValueError, match=r"\['hidden.bias'\] are missing"):
        Network(network.lexicon, network.architecture, few)


def test_weights_of_another_size_are_refused(network):
    with pytest.raises(ValueError, match=r"'hidden.bias' has shape \(3, 1, 4\)"):
        Network(network.lexicon, network.architecture, weights_but(network, hidden_bias=np.zeros((3, 1, 4))))


def test_no_participant_left_is_refused(network):
    with pytest.raises(ValueError, match="one participant or more"):
        network.participants(slice(0, 0))


def test_nan_weights_are_refused(network):
    weights = {**network.weights, "hidden.bias": network.weights["hidden.bias"] * np.nan}
    with pytest.raises(ValueError, match=r"hidden.bias.* are NaN or infinite"):
        Network(network.lexicon, network.architecture, weights)
