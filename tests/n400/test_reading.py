"""Reading in trials: shares by hand, kinds of trials, and the bars that participants have to pass."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from neuroling.core.stimuli import Stimuli
from neuroling.n400.experiments import Timing, experiment, repetition
from neuroling.n400.networks import trained_network
from neuroling.n400.reading import (
    NotLearned,
    Tally,
    alone,
    best_tick,
    check_reads,
    in_words,
    last_tick,
    reading_of_lexicons,
    reading_summary,
    reading_table,
    reading_warning,
    reads,
    trial_kinds,
)
from neuroling.n400.simulate import simulate_units

SHORT = Timing(shown=5, blank=4, target=8, before=3)


def shares(**by_trial):
    """Make a table of last ticks from lists of participants' shares."""
    rows = [
        {"participant": n, "trial": trial, "tick": 7, "recognised": share, "hits": share, "false_alarms": 0.0}
        for trial, values in by_trial.items()
        for n, share in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_kinds_of_trials_come_of_what_precedes_the_target():
    contexts = {"": "alone", "dog": "new", "bad": "repeated", "bad dog": "lagged", "dog cat": "new"}
    stimuli = Stimuli.from_texts(["bad"] * 5, labels=range(5), context=list(contexts), condition=["new"] * 5)
    assert trial_kinds(stimuli) == list(contexts.values())


def test_another_string_before_the_target_is_a_prime_unless_the_condition_is_new():
    stimuli = Stimuli.from_texts(["bad"], context=["dog"], condition=["related"])
    assert trial_kinds(stimuli) == ["primed"]


def test_shares_are_those_counted_by_hand(network, lexicon):
    meaning = lexicon.meaning(lexicon.known[:1])[0]
    wrong = meaning.copy()
    wrong[np.flatnonzero(meaning == 1)[0]] = 0  # a miss
    wrong[np.flatnonzero(meaning == 0)[:2]] = 1  # two false alarms
    stimuli = experiment(lexicon, [(lexicon.known[0], "", "alone")], name="x")
    tally = Tally(network.participants(slice(0, 1)), stimuli, Timing(before=1, target=2))
    trace = torch.as_tensor(np.stack([meaning, meaning, wrong]))[None, None]  # (participant, trial, tick, unit)
    tally.add(np.array([0]), trace)
    table = tally.table()
    assert table["tick"].tolist() == [0, 1]  # the tick before the target does not count
    assert table["recognised"].tolist() == [1.0, 0.0]
    assert table["hits"].tolist() == pytest.approx([1.0, 1 - 1 / meaning.sum()])
    assert table["false_alarms"].tolist() == pytest.approx([0.0, 2 / (1 - meaning).sum()])


def test_table_agrees_with_the_units_of_the_same_experiment(network, lexicon):
    trials = repetition(lexicon, rng=0)
    table = reading_table(network, trials, alpha=None, timing=SHORT, device="cpu")
    known = trials.subset(list(trials.labels[trials.table["text"].isin(lexicon.known)]))
    units = simulate_units(network, known, alpha=None, timing=SHORT, device="cpu").to_numpy()[..., SHORT.before :]
    meaning = lexicon.meaning(known.texts)[:, None, :, None]
    right = ((units > 0.5) == (meaning > 0.5)).all(axis=2)  # (trial, participant, tick)
    repeated = (known.table["condition"] == "repeated").to_numpy()
    found = table[table["trial"] == "repeated"].pivot_table(index="participant", columns="tick", values="recognised")
    np.testing.assert_allclose(found, right[repeated].mean(axis=0))


def test_batches_change_nothing(network, lexicon):
    trials = repetition(lexicon, rng=0)
    one, other = (
        reading_table(network, trials, alpha=None, timing=SHORT, device="cpu", memory=m) for m in (2**30, 20_000)
    )
    pd.testing.assert_frame_equal(one, other)


def test_trained_networks_read_in_all_trials_of_their_experiment():
    network = trained_network(0)
    for stimuli in (alone(network.lexicon), repetition(network.lexicon, rng=0)):
        assert reads(last_tick(network.accuracy(stimuli, device="cpu")))


def test_bars_are_of_the_mean_and_of_everybody_in_every_kind():
    assert reads(shares(new=[0.9, 0.9], repeated=[0.95, 0.85]))
    assert not reads(shares(new=[0.9, 0.89], repeated=[1.0, 1.0]))  # mean
    assert not reads(shares(new=[1.0, 0.84], repeated=[1.0, 1.0]))  # one participant


def test_refusal_says_which_kind_and_how_many():
    with pytest.raises(NotLearned, match="repeated: mean 50%, 2 of 3 participants below 85%, the lowest 10%") as caught:
        check_reads(shares(new=[1.0, 1.0, 1.0], repeated=[1.0, 0.4, 0.1]))
    assert "new" not in str(caught.value).partition("(")[2].partition(")")[0]


def test_best_tick_is_that_of_the_group():
    early, late = shares(new=[0.9, 0.1]).assign(tick=3), shares(new=[0.6, 0.6]).assign(tick=4)
    assert best_tick(pd.concat([early, late]))["tick"].unique().tolist() == [4]


def test_summary_and_words_name_the_lowest():
    table = shares(new=[0.9, 0.8])
    row = reading_summary(table).iloc[0]
    assert (row["recognised"], row["lowest"], row["below"], row["participants"]) == pytest.approx((0.85, 0.8, 1, 2))
    assert in_words(table) == "new 85% (lowest 80%)"


def test_experiment_without_known_targets_is_refused(network, lexicon):
    string, other = lexicon.of_kind("illegal")[:2]
    with pytest.raises(ValueError, match="none of 1 targets has a meaning"):
        network.accuracy(experiment(lexicon, [(string, other, "new")], name="x"), device="cpu")


def test_lexicons_are_asked_about_all_kinds_of_trials(network):
    table = reading_of_lexicons([network, network], None, 0, "control", timing=SHORT)
    assert list(dict.fromkeys(table["trial"])) == ["alone", "new", "repeated", "lagged", "primed"]
    assert table["participant"].nunique() == 2 * network.n_participants


def test_page_is_warned_of_participants_who_do_not_read():
    good, bad = shares(new=[0.95, 0.9]).assign(model="control"), shares(new=[0.2, 0.1]).assign(model="control")
    assert reading_warning(good, control_model="control")[1].startswith("Known targets recognised")
    summary, sentence = reading_warning(bad, control_model="control")
    assert sentence.startswith("WARNING: participants do not read")
    assert summary["which"].tolist() == ["last tick", "best tick"]
