"""The sweep: each combination equals its own simulation, and the map has its shape."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pandas as pd
import pytest

from neuroling.n400.alpha import Alpha
from neuroling.n400.experiments import Timing, repetition
from neuroling.n400.published import against_published, item_orders
from neuroling.n400.sensitivity import as_text, diagnose, sensitivity
from neuroling.n400.simulate import simulate

module = import_module("neuroling.n400.sensitivity")

SHORT = Timing(shown=6, blank=4, target=12, before=1)


def sweep(network, **options):
    arguments = {"time_constants": [3.0, np.inf], "blanks": [4], "items_per_kind": 4}
    return sensitivity(network, alpha=Alpha(5), rng=0, timing=SHORT, device="cpu", **{**arguments, **options})


@pytest.mark.parametrize(("row", "alpha"), [(0, Alpha(3)), (1, None)])
def test_each_combination_equals_its_own_simulation(network, row, alpha):
    found = sweep(network, items_per_kind=100).iloc[row]
    recording = simulate(
        network, repetition(network.lexicon, rng=0), alpha=alpha, timing=SHORT, allow_unlearned=True, device="cpu"
    ).isel(time=slice(1, None))
    new = np.asarray(recording["condition"]) == "new"
    curve = recording[new].mean(["sample", "repeat"]).to_numpy()
    height = curve - curve.min()
    inside = np.flatnonzero(height >= height.max() / 2)
    top = height.argmax()
    start = max([tick for tick in inside if tick <= top and set(range(tick, top)) <= set(inside)][:1])
    stop = max(tick for tick in inside if set(range(top, tick + 1)) <= set(inside)) + 1
    amplitude = recording[:, :, start:stop].mean("time")
    kinds = np.asarray(recording["kind"])
    drops = [
        float(amplitude[new & (kinds == kind)].mean() - amplitude[~new & (kinds == kind)].mean())
        for kind in dict.fromkeys(kinds)
    ]
    assert found["repetition"] == pytest.approx(np.mean(drops) / float(amplitude[new].mean()), abs=1e-5)


def test_there_is_a_row_for_every_combination(network):
    table = sweep(network, thresholds=[0.1, 0.2], inhibition=[0.5, 1.0], blanks=[4, 0])
    assert len(table) == 2 * 2 * 2 * 2
    assert (table["soa"] == table["blank"] + SHORT.shown).all()
    np.testing.assert_allclose(table["ratio"], table["soa"] / table["time_constant"])


def test_order_of_the_blanks_does_not_matter(network):
    one, other = sweep(network, blanks=[0, 4, 8]), sweep(network, blanks=[8, 0, 4])
    keys = ["time_constant", "blank"]
    np.testing.assert_allclose(one.sort_values(keys)["repetition"], other.sort_values(keys)["repetition"], atol=1e-9)


def test_equal_seeds_agree_and_different_ones_do_not(network):
    options = {"alpha": Alpha(5), "time_constants": [3.0], "blanks": [4], "timing": SHORT, "device": "cpu"}
    one, same, other = (sensitivity(network, rng=seed, items_per_kind=3, **options) for seed in (0, 0, 1))
    assert one["repetition"][0] == same["repetition"][0] != other["repetition"][0]


def test_lexicons_in_one_batch_equal_each_by_itself(network):
    from neuroling.n400.regime import Training
    from neuroling.n400.training import train

    other = train(network.lexicon, participants=2, rng=9, training=Training().with_epochs(20), device="cpu")
    both = sweep([network, other], items_per_kind=100)
    assert both["lexicon"].tolist() == [0, 1, 0, 1]
    generators = np.random.default_rng(0).spawn(2)
    for place, one in enumerate((network, other)):
        alone = sensitivity(
            one,
            alpha=Alpha(5),
            rng=generators[place],
            timing=SHORT,
            device="cpu",
            time_constants=[3.0, np.inf],
            blanks=[4],
            items_per_kind=100,
        )
        here = both[both["lexicon"] == place].reset_index(drop=True)
        np.testing.assert_allclose(here["repetition"], alone["repetition"], atol=1e-5)


def test_text_gives_the_map_and_what_else_was_swept(network):
    text = as_text(sweep(network, thresholds=[0.1, 0.2]))
    assert "inf = ERP model" in text
    assert "by threshold: 0.1: " in text


def test_diagnosis_sweeps_lexicons_and_all_that_it_names(network, monkeypatch):
    monkeypatch.setattr(module, "SWEEP", {"time_constants": (6.0,), "thresholds": (0.1,), "inhibition": (1.0, 1.2)})
    monkeypatch.setattr(module, "BLANKS", (2,))
    table = diagnose([network, network], alpha=Alpha(8), rng=0, device="cpu")
    assert len(table) == 2 * 2


def test_networks_of_different_sizes_are_refused(network):
    from neuroling.n400.network import Architecture
    from neuroling.n400.regime import Training
    from neuroling.n400.training import train

    small = train(
        network.lexicon, participants=1, rng=0, architecture=Architecture(hidden=9), training=Training().with_epochs(1)
    )
    with pytest.raises(ValueError, match="differ in sizes"):
        sweep([network, small])


BAD = {
    "no time constant": ({"time_constants": []}, "time_constants: empty"),
    "a negative time constant": ({"time_constants": [-1.0]}, "positive numbers"),
    "no blank": ({"blanks": []}, "blanks: empty"),
    "a negative blank": ({"blanks": [-2]}, "0 ticks or more"),
    "a threshold above one": ({"thresholds": [1.5]}, "between 0 and 1"),
    "negative inhibition": ({"inhibition": [-1.0]}, "0 or more"),
    "an unknown effect": ({"effect": "priming"}, "'repetition' or 'neighbourhood'"),
    "one item": ({"items_per_kind": 1}, "2 or more"),
}


@pytest.mark.parametrize("case", BAD, ids=lambda name: name.replace(" ", "_"))
def test_bad_sweep_is_answered_by_a_sentence(network, case):
    options, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        as_text(sweep(network), **options) if "effect" in options else sweep(network, **options)


def test_published_curves_are_set_beside_a_simulation(network):
    trials = repetition(network.lexicon, rng=0)
    recording = simulate(network, trials, alpha=Alpha(5), allow_unlearned=True, device="cpu")
    table = against_published(recording, (0.1, 0.4))
    assert list(table.index) == ["word", "acronym", "pseudoword", "illegal"]
    np.testing.assert_allclose(table["ratio"], table["second"] / table["first"])
    assert table["published ratio"].between(0.7, 0.9).all()
    assert (table["published 0 Hz gained"] > 0).all()


def like_people(sign=1.0):
    """Amplitudes that order as people's N400s do, or the reverse."""
    first = sign * pd.Series({"word": 4.0, "pseudoword": 3.0, "illegal": 2.0, "acronym": 1.0})
    drop = sign * pd.Series({"word": 0.4, "pseudoword": 0.3, "acronym": 0.2, "illegal": 0.1})
    return pd.DataFrame({"first": first, "second": first - drop, "0 Hz gained": drop})


@pytest.mark.parametrize("sign", [1, -1])
def test_orders_of_item_types_are_set_beside_peoples(sign):
    orders = item_orders(like_people(sign))
    assert orders["with people"].to_list()[:2] == [sign, sign]
    assert orders.loc["repetition effect", "people"] == "word > pseudoword > acronym > illegal"


def test_missing_type_is_refused(network):
    trials = repetition(network.lexicon, rng=0)
    words = trials.subset(list(trials.labels[trials.table["kind"] == "word"]))
    recording = simulate(network, words, alpha=None, allow_unlearned=True, device="cpu")
    with pytest.raises(ValueError, match="'acronym'"):
        against_published(recording, (0.1, 0.4))
