"""The stream: its schedule, its losses against plain numpy, what is refused, and that it reads where trials do."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroling.n400.alpha import LAYERS, Alpha
from neuroling.n400.dynamics import arrange
from neuroling.n400.experiments import repetition
from neuroling.n400.lexicon import make_lexicon
from neuroling.n400.network import Architecture, Network, bank_rates
from neuroling.n400.reading import last_tick
from neuroling.n400.regime import ISOLATED, STAGES, Stage, Training
from neuroling.n400.training import loss_of_epoch, make_lesson, schedule, teach_again, train

sys.path.insert(0, str(Path(__file__).parent))
from plain import epoch_losses

LOW = replace(STAGES[2], activity_limit=0.02)  # so that the cost of activity is not zero


def losses_of(network, training, epochs):
    """Losses of the batched program in double precision, (epoch, participant)."""
    weights = {name: torch.as_tensor(values) for name, values in network.weights.items()}
    rates = bank_rates(network.architecture, weights["semantics.bias"])
    layers, state, found = arrange(weights, network.architecture.rates, rates), None, []
    lesson = make_lesson(network.lexicon, training, weights["semantics.bias"])
    for epoch in epochs:
        loss, state = loss_of_epoch(weights, layers, lesson, epoch, training, state)
        found.append(loss.numpy())
    return np.array(found)


@pytest.mark.parametrize(
    "training",
    [
        Training(stages=(replace(LOW, epochs=2),), blanks=(3, 10), semantic_rest_from=3),
        replace(ISOLATED, stages=(replace(ISOLATED.stages[0], epochs=2),)),
        Training(
            stages=(replace(LOW, epochs=2),), alpha=Alpha(5, layers=LAYERS[1:]), alpha_share=1.0, alpha_ticks=(6, 9)
        ),
    ],
    ids=["stream", "isolated", "alpha"],
)
def test_losses_equal_the_plain_reference(precise, training):
    lexicon = precise.lexicon
    network = Network(lexicon, precise.architecture, precise.weights, training)
    epochs = list(schedule(training, len(lexicon.known), np.random.default_rng(3)))
    batched = losses_of(network, training, epochs)
    plain = epoch_losses(network, 1, epochs)
    np.testing.assert_allclose(batched[:, 1], plain, rtol=1e-6)


def test_stream_goes_on_where_the_last_epoch_ended(precise):
    training = Training(stages=(Stage(epochs=2),), restarts=0.0)
    epochs = list(schedule(training, len(precise.lexicon.known), np.random.default_rng(0)))
    assert [epoch.restart for epoch in epochs] == [True, False]
    network = Network(precise.lexicon, precise.architecture, precise.weights, training)
    on = losses_of(network, training, epochs)
    anew = losses_of(network, training, [epochs[0], epochs[1]._replace(restart=True)])
    np.testing.assert_array_equal(on[0], anew[0])
    assert not np.allclose(on[1], anew[1])


def test_schedule_keeps_to_its_ranges_and_shares():
    training = Training().with_epochs(400)
    epochs = list(schedule(training, 50, np.random.default_rng(0)))
    assert len(epochs) == 400
    assert {epoch.blank for epoch in epochs} == set(range(3, 15))
    assert all(epoch.stage.shown[0] <= epoch.shown <= epoch.stage.shown[1] for epoch in epochs)
    again = np.mean([(one.strings == other.strings).mean() for one, other in pairwise(epochs)])
    assert again == pytest.approx(0.15 + 0.85 / 50, abs=0.01)  # drawn to repeat, or drawn anew and the same
    assert np.mean([epoch.restart for epoch in epochs]) == pytest.approx(0.05, abs=0.03)


def test_equal_seeds_draw_equal_streams_and_different_ones_do_not():
    def drawn(seed):
        return [tuple(one.strings) for one in schedule(Training().with_epochs(5), 9, np.random.default_rng(seed))]

    assert drawn(0) == drawn(0) != drawn(1)


def test_stages_keep_their_shares_of_fewer_epochs():
    assert [stage.epochs for stage in Training().with_epochs(31).stages] == [19, 6, 6]
    assert Training().with_epochs(1).epochs == 1


@pytest.mark.slow
def test_stream_reads_new_and_repeated_targets_alike_and_the_earlier_regime_does_not():
    lexicon = make_lexicon(rng=0, n_words=30, n_acronyms=6, n_pseudowords=2, n_illegal=2, richness=(3, 5))
    trials, differences = repetition(lexicon, rng=0), {}
    earlier = Architecture(rates=(0.3, 0.3, 0.3), fast_rate=0.3)
    regimes = {
        "stream": (Training(stages=(Stage(epochs=300),)), Architecture()),
        "isolated": (ISOLATED.with_epochs(300), earlier),
    }
    for name, (training, architecture) in regimes.items():
        network = train(lexicon, participants=2, rng=0, training=training, architecture=architecture, device="cpu")
        shares = last_tick(network.accuracy(trials, device="cpu")).groupby("trial")["recognised"].mean()
        assert shares.min() > 0.5
        differences[name] = abs(shares["new"] - shares["repeated"])
    assert differences["stream"] < 0.03 < 0.06 < differences["isolated"]


def test_only_participants_who_read_but_not_well_are_taught_again(precise, monkeypatch):
    shares = np.array([[0.95, 0.92], [0.95, 0.7], [0.95, 0.3]])  # (participant, kind of trial)
    asked = []

    def read(network):
        asked.append(network.n_participants)
        return shares.min(axis=1) if len(asked) == 1 else np.ones(network.n_participants)

    monkeypatch.setattr("neuroling.n400.training.lowest_share", read)
    before = {name: values.astype(np.float32) for name, values in precise.weights.items()}
    training = Training(stages=(Stage(epochs=1), Stage(epochs=2)))
    after = teach_again(precise.lexicon, precise.architecture, training, before, np.random.default_rng(0), "cpu")
    same = [np.array_equal(after["hidden.forward"][n], before["hidden.forward"][n]) for n in range(3)]
    assert same == [True, False, True]
    assert asked == [3, 3]


BAD = {
    "negative rounds": (lambda: Training(again=-1), "again of 0 or more, a whole number of rounds"),
    "no epoch": (lambda: Stage(epochs=0), "epochs of 1 or more"),
    "no epoch of all": (lambda: Training().with_epochs(0), "epochs of 1 or more"),
    "no stage": (lambda: Training(stages=()), "at least one"),
    "misses after the string": (lambda: Stage(misses_from=14), "misses_from: got 14; expected 0 to 13"),
    "an infinite learning rate": (lambda: Stage(learning_rate=float("inf")), "positive learning_rate"),
    "a negative learning rate": (lambda: Stage(learning_rate=-1), "positive learning_rate"),
    "a NaN learning rate": (lambda: Stage(learning_rate=float("nan")), "positive learning_rate"),
    "a NaN weight of the letters": (lambda: Training(autoencoding=float("nan")), "autoencoding of 0 or more"),
    "negative misses": (lambda: Stage(misses=-1), "misses of 0 or more"),
    "a negative blank": (lambda: Training(blank=-1), "blank of 0 or more, a whole number of ticks"),
    "blanks the longest first": (lambda: Training(blanks=(9, 3)), "fewest first"),
    "strings shorter than blanks": (lambda: Training(blanks=(3, 15)), "as long as the longest blank"),
    "strings of no tick": (lambda: Stage(shown=(0, 3)), "1 or more"),
    "an error after the string": (lambda: Stage(error_from=14), "before the shortest string is gone"),
    "spelling after the string": (lambda: Training(spelled_from=14), "before a string is gone"),
    "a share above one": (lambda: Training(repeated=1.2), "repeated: got 1.2; expected 0 to 1"),
    "an alpha share without alpha": (lambda: Training(alpha_share=0.5), "give alpha too"),
    "alpha ticks after the string": (
        lambda: Training(alpha=Alpha(8), alpha_share=0.5, alpha_ticks=(30, 40)),
        "before a string is gone",
    ),
}


@pytest.mark.parametrize("case", BAD, ids=lambda name: name.replace(" ", "_"))
def test_bad_training_is_answered_by_a_sentence(case):
    build, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        build()


WRONG_TYPES = {
    "one number of ticks of blanks": (lambda: Training(blanks=5), "blanks: got 5; expected two whole numbers"),
    "a single entry of blanks": (lambda: Training(blanks=(3,)), "expected two whole numbers"),
    "half a tick": (lambda: Training(blanks=(3.5, 14)), "expected two whole numbers"),
    "half a round": (lambda: Training(again=1.5), "a whole number of rounds"),
    "half an epoch": (lambda: Stage(epochs=1.5), "a whole number of passes"),
    "a stage alone": (lambda: Training(stages=Stage()), "expected a tuple of Stage"),
    "a share as text": (lambda: Training(repeated="0.2"), "repeated: got '0.2'; expected 0 to 1"),
}


@pytest.mark.parametrize("case", WRONG_TYPES, ids=lambda name: name.replace(" ", "_"))
def test_training_of_another_type_is_answered_by_a_sentence(case):
    build, message = WRONG_TYPES[case]
    with pytest.raises(TypeError, match=message):
        build()
