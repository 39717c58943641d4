"""Mixed models on tables: names, contrasts, calibration, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroling.evaluation.mixed import contrast, mixed_model

RANDOM = {"person": ["1"], "item": ["1"]}


def trials(n_people=8, n_items=12, *, effect=0.5, seed=0, item_level=False):
    rng = np.random.default_rng(seed)
    person, item = np.divmod(np.arange(n_people * n_items), n_items)
    x = rng.standard_normal(n_items)[item] if item_level else rng.standard_normal(len(item))
    y = effect * x + rng.normal(0, 0.5, n_people)[person] + rng.normal(0, 0.5, n_items)[item]
    y += rng.normal(0, 0.5, len(y))
    return pd.DataFrame({"person": person, "item": item, "x": x, "y": y, "kind": np.where(x > 0, "high", "low")})


def test_planted_effect_lies_in_its_interval():
    row = mixed_model(trials(20, 30), "y", ["x"], RANDOM).to_dataframe().loc["x"]
    assert row["low"] < 0.5 < row["high"]
    assert row["p"] < 1e-10


def test_rows_in_another_order_give_the_same_table():
    table = trials()
    one = mixed_model(table, "y", ["x"], RANDOM).to_dataframe()
    other = mixed_model(table.sample(frac=1, random_state=1), "y", ["x"], RANDOM).to_dataframe()
    pd.testing.assert_frame_equal(one, other, rtol=1e-4)


def test_contrast_coefficient_is_the_difference_of_means():
    table = pd.DataFrame({"person": np.repeat(range(4), 6), "kind": ["a", "b"] * 12, "item": list(range(6)) * 4})
    table["y"] = np.random.default_rng(0).standard_normal(24) + 3 * (table["kind"] == "a")
    table["difference"] = contrast(table["kind"], "a", "b")
    fitted = mixed_model(table, "y", ["difference"], {"person": ["1"]}).to_dataframe()
    means = table.groupby("kind")["y"].mean()
    assert fitted.loc["difference", "estimate"] == pytest.approx(means["a"] - means["b"])


def test_interaction_is_the_product_of_its_columns():
    table = trials().assign(z=np.tile([-0.5, 0.5], 48))
    table["product"] = table["x"] * table["z"]
    one = mixed_model(table, "y", ["x", "z", ("x", "z")], RANDOM).to_dataframe()
    other = mixed_model(table, "y", ["x", "z", "product"], RANDOM).to_dataframe()
    assert one.index[-1] == "x:z"
    np.testing.assert_allclose(one.to_numpy(), other.to_numpy())


def test_standard_deviations_are_named():
    sds = mixed_model(trials(), "y", ["x"], {"person": ["1", "x"], "item": ["1"]}).standard_deviations()
    assert list(sds.index) == ["person: 1", "person: x", "item: 1", "residual"]


def test_table_names_the_random_effects_that_vanished():
    table = trials()
    table[["x", "y"]] -= table.groupby("person")[["x", "y"]].transform("mean")  # no person differs in the mean
    fitted = mixed_model(table, "y", ["x"], {"item": ["1"], "person": ["x", "1"]})
    assert "person: 1" in fitted.vanished
    assert fitted.to_dataframe().attrs["vanished"] == list(fitted.vanished)


def test_table_of_a_fit_within_its_bounds_names_no_vanished_effect():
    assert mixed_model(trials(), "y", ["x"], RANDOM).to_dataframe().attrs["vanished"] == []


def test_table_names_the_grouping_whose_effects_are_multiples_of_one_another():
    table = trials(20, 12)
    for _, rows in table.groupby("person"):  # each person's line has a slope of minus the intercept
        line = np.polynomial.Polynomial.fit(rows["x"], rows["y"], 1)
        own = np.cos(rows["person"])
        table.loc[rows.index, "y"] += own * (1 - rows["x"]) - line(rows["x"])
    fitted = mixed_model(table, "y", ["x"], {"item": ["1"], "person": ["1", "x"]}, correlated=True)
    assert "person" in fitted.singular
    assert fitted.fit.ranks[1] == 1
    assert fitted.to_dataframe().attrs["singular"] == list(fitted.singular)


def test_random_effects_are_labelled_by_level():
    table = trials(12, 10)
    table["person"] = np.array(list("lkjihgfedcba"))[table["person"]]
    effects = mixed_model(table, "y", ["x"], {"person": ["1", "x"], "item": ["1"]}).random_effects("person")
    residual = table["y"] - np.polyval(np.polyfit(table["x"], table["y"], 1), table["x"])
    assert list(effects.columns) == ["1", "x"]
    assert effects["1"].corr(residual.groupby(table["person"]).mean()) > 0.9


def test_random_effects_of_an_unknown_grouping_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"got 'noun'; expected one of \['person', 'item'\]"):
        mixed_model(trials(), "y", ["x"], RANDOM).random_effects("noun")


def test_ml_is_another_likelihood_than_reml():
    reml, ml = (mixed_model(trials(), "y", ["x"], RANDOM, restricted=restricted).fit for restricted in (True, False))
    assert (reml.restricted, ml.restricted) == (True, False)
    assert ml.residual_sd < reml.residual_sd


@pytest.mark.slow
def test_item_level_predictor_under_the_null_is_called_five_percent_of_the_time():
    draws = [trials(15, 20, effect=0, seed=seed, item_level=True) for seed in range(300)]
    p = np.array([mixed_model(d, "y", ["x"], RANDOM).to_dataframe().loc["x", "p"] for d in draws])
    assert 0.02 <= (p < 0.05).mean() <= 0.09  # by participant means alone it would be 0.15 and more


BAD = {
    "no table": (lambda t: (t["y"], "y", ["x"], RANDOM), TypeError, "expected a pandas.DataFrame"),
    "an unknown column": (lambda t: (t, "amplitude", ["x"], RANDOM), ValueError, "no such column"),
    "an unknown factor": (lambda t: (t, "y", ["x"], {"subject": ["1"]}), ValueError, "subject: no such column"),
    "words as numbers": (lambda t: (t, "y", ["kind"], RANDOM), TypeError, "contrast"),
    "no random effect": (lambda t: (t, "y", ["x"], {}), ValueError, "at least one grouping"),
    "a str for a list": (lambda t: (t, "y", ["x"], {"person": "1"}), TypeError, "expected a list"),
    "nothing that varies": (lambda t: (t, "y", ["x"], {"person": []}), ValueError, "nothing varies"),
    "one participant": (lambda t: (t[t["person"] == 0], "y", ["x"], RANDOM), ValueError, "several levels"),
    "one item": (lambda t: (t[t["item"] == 0], "y", ["x"], RANDOM), ValueError, "several levels"),
    "a row without level": (
        lambda t: (t.assign(person=t["person"].where(t["person"] > 0)), "y", ["x"], RANDOM), ValueError, "no level",
    ),
    "a str for the fixed effects": (lambda t: (t, "y", "xy", RANDOM), TypeError, "fixed: got the str 'xy'"),
    "one grouping under two names": (
        lambda t: (t.assign(who=t["person"] + 7), "y", ["x"], {"person": ["1"], "item": ["1"], "who": ["1"]}),
        ValueError, "person: 1, who: 1: .*distinguished",
    ),
    "a fixed effect that is the grouping": (
        lambda t: (t.assign(group=t["person"] % 2), "y", ["x", "group"], {"item": ["1"], "group": ["1"]}),
        ValueError, "group: 1: .*fixed",
    ),
    "an outcome without noise": (lambda t: (t.assign(y=2 * t["x"] + 1), "y", ["x"], RANDOM), ValueError, "exactly"),
    "a NaN outcome": (lambda t: (t.assign(y=np.nan), "y", ["x"], RANDOM), ValueError, "NaN"),
    "a doubled effect": (lambda t: (t, "y", ["x", "x"], RANDOM), ValueError, "rank"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD, ids=lambda name: name.replace(" ", "_"))
def test_bad_input_is_answered_by_a_sentence(case):
    arguments, error, message = BAD[case]
    with pytest.raises(error, match=message):
        mixed_model(*arguments(trials()))


def test_contrast_refuses_a_condition_that_does_not_occur():
    with pytest.raises(ValueError, match="no row is 'mid'"):
        contrast(trials()["kind"], "high", "mid")
