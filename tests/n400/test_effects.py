"""Effects: planted ones are found, null ones are bounded, and the table has a row for everything."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import neuroling as nl
from neuroling.n400 import published
from neuroling.n400.alpha import Alpha
from neuroling.n400.effects import (
    NOT_CARRIED,
    NOT_JUDGED,
    PHENOMENA,
    Hypothesis,
    amplitude_table,
    effect_table,
    estimate,
    first_window,
    hypotheses,
)
from neuroling.n400.experiments import Timing, repetition
from neuroling.n400.lexicon import make_lexicon
from neuroling.n400.linking_hypotheses import semantic_activation
from neuroling.n400.measures import mean_amplitude
from neuroling.n400.networks import trained_network
from neuroling.n400.simulate import simulate, simulate_links

SHORT = Timing(shown=5, blank=4, target=10, before=3)


def planted(effect, seed=0, n_people=8, n_items=10, noise=0.02):
    rng = np.random.default_rng(seed)
    person, item, new = (a.ravel() for a in np.meshgrid(range(n_people), range(n_items), (-0.5, 0.5), indexing="ij"))
    y = 1 + effect * new + rng.normal(0, 0.1, n_people)[person] + rng.normal(0, 0.1, n_items)[item]
    return pd.DataFrame(
        {
            "amplitude": y + rng.normal(0, noise, len(new)),
            "participant": person.astype(str),
            "item": item.astype(str),
            "new": new,
        }
    )


def effect_of(table):
    return estimate(table, table["new"], within_items=True)


def test_planted_effect_is_in_its_interval_and_as_people():
    effect = effect_of(planted(0.1))
    assert effect.low < 0.1 < effect.high
    assert effect.verdict("larger") == "as people"
    assert effect.participants == 1.0


def test_relative_effect_is_a_share_of_the_mean_amplitude():
    table = planted(0.1)
    effect = effect_of(table)
    assert effect.relative == pytest.approx(effect.estimate / table["amplitude"].mean())


def test_reversed_effect_is_called_so():
    assert effect_of(planted(-0.1)).verdict("larger") == "reversed"


def test_significant_but_tiny_effect_is_called_negligible():
    effect = effect_of(planted(0.004, noise=0.001))
    assert effect.p < 0.001
    assert effect.verdict("larger") == "as people, but negligible"
    assert effect.verdict("none") == "as people"


def test_noise_is_not_called_absence():
    effect = effect_of(planted(0.0, noise=0.6, n_people=3, n_items=4))
    assert effect.verdict("larger") == "undecided"


def test_lexicons_differ_in_level_without_harm():
    table = pd.concat([planted(0.1).assign(lexicon="0"), planted(0.1, seed=1).assign(lexicon="1")], ignore_index=True)
    table["amplitude"] += 5.0 * (table["lexicon"] == "1")
    table["participant"] += table["lexicon"]
    table["item"] += table["lexicon"]
    assert effect_of(table).estimate == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("name", ["participant", "item"])
def test_one_level_is_refused(name):
    table = planted(0.1)
    with pytest.raises(ValueError, match="needs several"):
        effect_of(table[table[name] == "0"])


def test_constant_predictor_is_refused():
    table = planted(0.1)
    with pytest.raises(ValueError, match="cannot be estimated"):
        estimate(table, 0 * table["new"])


def test_amplitude_table_has_a_row_a_trial_and_participant(network, lexicon):
    trials = repetition(lexicon, rng=0)
    recording = simulate(network, trials, alpha=None, timing=SHORT, allow_unlearned=True, device="cpu")
    table = amplitude_table(recording, lexicon, (0.0, 0.2))
    assert len(table) == 3 * len(trials)
    inside = recording.sel(time=slice(-1e-9, 0.2 + 1e-9)).mean("time")
    row = table.query("participant == '1'").iloc[5]
    assert row["amplitude"] == pytest.approx(float(inside[5, 1]), rel=1e-5)
    assert row["item"] == str(np.asarray(recording["item"])[5])


def test_window_lies_around_the_peak_of_first_presentations(network, lexicon):
    trials = repetition(lexicon, rng=0)
    recording = simulate(network, trials, alpha=None, timing=SHORT, allow_unlearned=True, device="cpu")
    start, stop = first_window(recording)
    new = recording[np.flatnonzero(np.asarray(recording["condition"]) == "new")].mean(["sample", "repeat"])
    after = new.sel(time=slice(0, None))
    assert start <= float(after["time"][int(np.argmax(np.asarray(after)))]) <= stop


def test_recording_without_first_presentations_has_no_window(network, lexicon):
    trials = repetition(lexicon, rng=0)
    repeated = trials.subset(list(trials.labels[trials.table["condition"] == "repeated"]))
    recording = simulate(network, repeated, alpha=None, timing=SHORT, allow_unlearned=True, device="cpu")
    with pytest.raises(ValueError, match="condition is 'new'"):
        first_window(recording)


@pytest.mark.slow
def test_table_has_a_row_for_everything(network):
    asked = hypotheses(Alpha(5))
    table = effect_table([network], asked, rng=0, timing=SHORT, allow_unlearned=True, device="cpu")
    assert len(table) == len(asked) * (len(PHENOMENA) + len(NOT_CARRIED))
    assert table["verdict"].notna().all()
    assert set(table.dropna(subset="estimate")["verdict"]) == {NOT_JUDGED}  # 30 epochs are too few to read
    carried = table[table["estimate"].notna()]
    assert (carried["low"] <= carried["estimate"]).all()
    assert (carried["estimate"] <= carried["high"]).all()


def test_equal_seeds_give_equal_tables_and_different_ones_do_not(network):
    asked = [Hypothesis("alpha", Alpha(5), semantic_activation)]
    few = [one for one in PHENOMENA if one.name == "immediate repetition"]
    one, same, other = (
        effect_table([network], asked, rng=seed, phenomena=few, timing=SHORT, allow_unlearned=True, device="cpu")
        for seed in (0, 0, 1)
    )
    assert one["estimate"][0] == same["estimate"][0]
    assert one["estimate"][0] != other["estimate"][0]


def test_lag_of_the_table_is_the_number_of_strings_between(network, monkeypatch):
    shown = []

    def watched(network, stimuli, links, **options):
        shown.append(stimuli)
        return simulate_links(network, stimuli, links, **options)

    monkeypatch.setattr("neuroling.n400.effects.simulate_links", watched)
    asked = [Hypothesis("alpha", Alpha(5), semantic_activation)]
    few = [one for one in PHENOMENA if one.name == "lagged repetition"]
    effect_table([network], asked, rng=0, phenomena=few, lag=3, timing=SHORT, allow_unlearned=True, device="cpu")
    assert [set(one.table["context"].str.split().str.len()) for one in shown] == [{1}, {4}]


def test_repetition_effect_is_that_of_a_mixed_model_through_estimate():
    network = trained_network(0)
    trials = repetition(network.lexicon, rng=0)
    trials = trials.subset(list(trials.labels[trials.table["kind"] == "acronym"]))
    recording = simulate(network, trials, alpha=Alpha(7.5), device="cpu")
    table = amplitude_table(recording, network.lexicon, (0.29, 0.63))
    effect = estimate(table, table["new_z"], within_items=True)
    coded = trials.features(np.where(trials.table["condition"] == "new", 0.5, -0.5)[:, None], ["new"])
    model = nl.MixedModel(["new"], {"repeat": ["1", "new"], "item": ["1", "new"]})
    result = nl.estimate(model, nl.align(coded, mean_amplitude(recording, (0.29, 0.63))))
    found = result.estimates.sel(feature="new")
    for name in ("estimate", "low", "high", "t", "df", "p"):
        assert float(found[name]) == pytest.approx(getattr(effect, name), rel=1e-4, abs=1e-12), name


def test_hypotheses_of_one_name_are_refused(network):
    one = Hypothesis("alpha", Alpha(5), semantic_activation)
    with pytest.raises(ValueError, match="name them apart"):
        effect_table([network], [one, one], rng=0)


def test_absent_covariate_is_refused():
    table = planted(0.1)
    with pytest.raises(ValueError, match=r"no columns \['rarity'\]"):
        estimate(table, table["new"], covariates=["rarity"])


def test_level_of_an_interval_is_a_share():
    table = planted(0.1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        estimate(table, table["new"], level=95)


def test_empty_request_is_refused(network):
    with pytest.raises(ValueError, match="at least one network"):
        effect_table([], hypotheses(Alpha(5)), rng=0)


def test_published_ratios_are_those_of_the_figure():
    assert published.repetition_ratios().round(2).tolist() == [0.79, 0.81, 0.82, 0.85]


def test_published_curves_peak_where_the_figure_does():
    curves = published.curves(tick=1.0)
    assert float(curves.sel(sample="word, new").max()) == 0.196
    assert int(np.argmax(np.asarray(curves.sel(sample="word, new")))) == 29 - published.ONSET_TICK


def test_published_table_of_people_adds_up():
    people = published.PEOPLE
    np.testing.assert_allclose(people["second"] - people["first"], people["repetition"], atol=0.011)


def test_predictors_of_a_full_lexicon_are_standardised(network):
    from neuroling.n400.effects import _item_predictors

    predictors = _item_predictors(make_lexicon(rng=0))
    words = predictors[predictors["kind"] == "word"]
    assert words["rarity"].mean() == pytest.approx(0, abs=1e-9)
    assert words["richness_z"].std(ddof=0) == pytest.approx(1)
    assert predictors.groupby("kind")["neighbours_within"].mean().abs().max() < 1e-9
