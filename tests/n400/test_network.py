"""Training and dynamics: the batched program against plain numpy, seeds, constraints, bad input."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from neuroling.n400.alpha import Alpha
from neuroling.n400.experiments import Timing, experiment, repetition
from neuroling.n400.lexicon import make_lexicon
from neuroling.n400.network import Architecture, Network, Training, train
from neuroling.n400.simulate import simulate_units

sys.path.insert(0, str(Path(__file__).parent))
from plain import semantic_trace

SHORT = Training(epochs=4)


@pytest.mark.parametrize(
    "alpha",
    [
        None,
        Alpha(5),
        Alpha(4, mode="clip", threshold=0.2),
        Alpha(3, layers=("orthography", "hidden", "semantics")),
        Alpha(3, scale=0.5, rearm=False),
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
    assert (network.loss[-1] < 0.6 * network.loss[0]).all()


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
    weights = train(make_lexicon(rng=0), participants=1, rng=0, training=Training(epochs=1), device="cpu").weights
    shapes = [weights[f"{layer}.forward"].shape[1:] for layer in ("orthography", "hidden", "semantics")]
    assert shapes == [(15, 20), (20, 50), (50, 50)]


def test_network_without_any_inhibition_can_be_built(lexicon):
    bare = Architecture(fast=(0, 0, 0), slow=(0, 0, 0))
    assert train(lexicon, participants=1, rng=0, training=SHORT, architecture=bare, device="cpu").n_participants == 1


def test_frequent_items_weigh_more_in_learning(lexicon):
    weighted = train(lexicon, participants=1, rng=0, training=SHORT, device="cpu")
    flat = train(lexicon, participants=1, rng=0, training=Training(epochs=4, frequency_weighted=False), device="cpu")
    assert weighted.loss[0, 0] != flat.loss[0, 0]


def test_accuracy_is_a_share_for_each_participant(network):
    accuracy = network.accuracy("cpu")
    assert accuracy.shape == (3,)
    assert ((accuracy >= 0) & (accuracy <= 1)).all()


def test_participants_can_be_picked(network):
    picked = network.participants(np.array([2, 0]))
    np.testing.assert_array_equal(picked.weights["hidden.bias"], network.weights["hidden.bias"][[2, 0]])


def test_blank_before_training_trials_is_where_simulated_trials_start(lexicon):
    """A network taught after a blank reads the first string of a trial as it did in training."""
    taught = train(lexicon, participants=2, rng=0, training=Training(epochs=4, blank=9), device="cpu")
    one, other = lexicon.known[:2]
    timing = Timing(shown=taught.training.ticks, blank=0, target=2, before=1)
    trials = experiment(lexicon, [(other, one, "new")], name="one")
    last = simulate_units(taught, trials, alpha=None, timing=timing, device="cpu").isel(time=0, sample=0)
    for participant in range(2):
        shown = [lexicon.spell([one])[0]] * taught.training.ticks
        plain = semantic_trace(taught, participant, shown, None)[-1]
        np.testing.assert_allclose(last.isel(repeat=participant), plain, atol=1e-5)


def test_blank_before_training_trials_changes_what_is_learned(lexicon):
    one, other = (
        train(lexicon, participants=1, rng=0, training=Training(epochs=4, blank=blank), device="cpu")
        for blank in (0, 14)
    )
    assert one.loss[0, 0] != other.loss[0, 0]


def test_accuracy_can_be_asked_after_another_blank(network):
    long, longer = (network.accuracy("cpu", blank=blank) for blank in (200, 300))
    np.testing.assert_array_equal(long, longer)  # inhibition has settled by then


def test_one_context_serves_many_trials(network):
    trials = repetition(network.lexicon, rng=0)
    assert trials.table["context"].nunique() == len(trials) / 2


BAD = {
    "no hidden unit": (lambda: Architecture(hidden=0), "1 unit or more"),
    "banks for two layers": (lambda: Architecture(fast=(4, 10)), "for each of"),
    "a negative bank": (lambda: Architecture(slow=(4, -1, 10)), "0 or more"),
    "a rate of zero": (lambda: Architecture(rate=0), "more than 0 and at most 1"),
    "a rate above one": (lambda: Architecture(slow_rate=1.5), "more than 0 and at most 1"),
    "no epoch": (lambda: Training(epochs=0), "epochs of 1 or more"),
    "a negative learning rate": (lambda: Training(learning_rate=-1), "positive learning_rate"),
    "a NaN range of weights": (lambda: Architecture(forward_range=float("nan")), "finite number"),
    "a negative range of weights": (lambda: Architecture(to_bank_range=-1), "0 or more"),
    "a NaN bias": (lambda: Architecture(bias=float("nan")), "finite number"),
    "a NaN weight of the letters": (lambda: Training(autoencoding=float("nan")), "autoencoding of 0 or more"),
    "a negative blank": (lambda: Training(blank=-1), "0 ticks or more"),
    "an error after the trial": (lambda: Training(error_from=20), "within the trial"),
}


@pytest.mark.parametrize("case", BAD, ids=lambda name: name.replace(" ", "_"))
def test_bad_parameter_is_answered_by_a_sentence(case):
    build, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        build()


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
