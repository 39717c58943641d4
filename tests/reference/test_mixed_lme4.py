"""Mixed models against R's lme4 and lmerTest, whose estimates are written down in ``tests/golden/mixed_lme4.json``.

The designs are made here from uniform numbers, so that R and these tests read the same tables. To renew the numbers:

    python tests/reference/test_mixed_lme4.py FOLDER
    Rscript tests/golden/mixed_lme4.R FOLDER tests/golden/mixed_lme4.json
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from neuroling.evaluation.mixed import mixed_model
from neuroling.numerics.statistics.mixed_fit import likelihood_ratio

GOLDEN = Path(__file__).parents[1] / "golden" / "mixed_lme4.json"


@dataclass(frozen=True)
class Design:
    """Sizes and standard deviations of one simulated experiment; ``kept`` is the share of its cells."""

    seed: int
    people: int = 20
    items: int = 24
    person: tuple[float, float] = (1.0, 0.0)  # intercept, slope
    item: tuple[float, float] = (0.7, 0.0)
    correlation: float = 0.0
    kept: float = 1.0
    between_items: bool = False  # the predictor is one number an item
    slopes: tuple[str, ...] = ()
    correlated: bool = False


BOTH = ("participant", "item")

DESIGNS = {
    "intercepts": Design(1),
    "intercepts, predictor of items": Design(2, between_items=True),
    "intercepts, unbalanced": Design(3, kept=0.6),
    "slopes of participants": Design(4, person=(1.0, 0.6), slopes=("participant",)),
    "slopes of both": Design(5, person=(1.0, 0.6), item=(0.7, 0.4), slopes=BOTH),
    "slopes of both, unbalanced": Design(6, person=(1.0, 0.6), item=(0.7, 0.4), kept=0.5, slopes=BOTH),
    "correlated slopes": Design(
        7, people=30, person=(1.0, 0.6), item=(0.7, 0.4), correlation=0.5, slopes=BOTH, correlated=True
    ),
    "no variance of items": Design(8, item=(0.0, 0.0)),
    "no variance of slopes": Design(9, slopes=BOTH),
    "few people": Design(10, people=6, items=40, person=(0.8, 0.5), kept=0.8, slopes=("participant",)),
}


def table_of(design: Design) -> pd.DataFrame:
    """Simulate one experiment; every number is a function of uniform ones."""
    rng = np.random.Generator(np.random.PCG64(design.seed))

    def normal(*shape: int) -> np.ndarray:
        return norm.ppf(rng.random(shape))

    person, item = np.divmod(np.arange(design.people * design.items), design.items)
    x = normal(design.items)[item] if design.between_items else normal(len(person))
    effects = []
    for levels, (intercept, slope) in ((design.people, design.person), (design.items, design.item)):
        first, second = normal(levels), normal(levels)
        second = design.correlation * first + np.sqrt(1 - design.correlation**2) * second
        effects.append((intercept * first, slope * second))
    (p0, p1), (i0, i1) = effects
    y = 2 + 0.5 * x + p0[person] + p1[person] * x + i0[item] + i1[item] * x + normal(len(person))
    table = pd.DataFrame({"participant": person, "item": item, "x": x, "y": y}).round(6)
    return table[rng.random(len(table)) < design.kept].reset_index(drop=True)


@cache
def fitted(name: str, *, restricted: bool = True, fixed: tuple[str, ...] = ("x",)):
    design = DESIGNS[name]
    random = {group: ["1", "x"] if group in design.slopes else ["1"] for group in ("participant", "item")}
    table = table_of(design)
    return mixed_model(table, "y", list(fixed), random, correlated=design.correlated, restricted=restricted)


@pytest.fixture(scope="module")
def golden():
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", DESIGNS)
def test_the_tables_are_those_that_r_has_read(golden, name):
    table, said = table_of(DESIGNS[name]), golden["designs"][name]
    assert len(table) == said["rows"]
    assert table["y"].sum() == pytest.approx(said["sum"], abs=1e-4)


@pytest.mark.parametrize("name", DESIGNS)
def test_standard_errors_are_those_of_lme4_to_a_thousandth(golden, name):
    np.testing.assert_allclose(fitted(name).fit.standard_errors, golden["designs"][name]["standard_errors"], rtol=1e-3)


@pytest.mark.parametrize("name", DESIGNS)
def test_estimates_are_those_of_lme4_to_a_thousandth_of_their_error(golden, name):
    said = golden["designs"][name]
    off = (fitted(name).fit.coefficients - said["estimates"]) / np.array(said["standard_errors"])
    assert np.abs(off).max() < 1e-3


@pytest.mark.parametrize("name", DESIGNS)
def test_the_criterion_is_nowhere_worse_than_that_of_lme4(golden, name):
    assert fitted(name).fit.criterion <= golden["designs"][name]["criterion"] + 1e-4


@pytest.mark.parametrize("name", DESIGNS)
def test_standard_deviations_are_those_of_lme4(golden, name):
    said = golden["designs"][name]["standard_deviations"]
    found = fitted(name).standard_deviations()
    for effect, value in said.items():
        assert found[effect] == pytest.approx(value, rel=5e-3, abs=5e-3)


@pytest.mark.parametrize("name", DESIGNS)
def test_degrees_of_freedom_are_those_of_lmertest(golden, name):
    np.testing.assert_allclose(fitted(name).fit.degrees_of_freedom, golden["designs"][name]["df"], rtol=0.02)


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("name", DESIGNS)
def test_likelihood_and_information_criteria_are_those_of_lme4(golden, name, restricted):
    said, fit = golden["designs"][name]["reml" if restricted else "ml"], fitted(name, restricted=restricted).fit
    found = {"log_likelihood": fit.log_likelihood, "aic": fit.aic, "bic": fit.bic}
    assert found == pytest.approx({kind: said[kind] for kind in found}, abs=1e-7)


@pytest.mark.parametrize("name", DESIGNS)
def test_ml_estimates_are_those_of_lme4(golden, name):
    np.testing.assert_allclose(
        fitted(name, restricted=False).fit.coefficients, golden["designs"][name]["ml"]["estimates"], rtol=1e-5
    )


@pytest.mark.parametrize("name", DESIGNS)
def test_likelihood_ratio_is_that_of_lme4(golden, name):
    said = golden["designs"][name]["ratio"]
    smaller, larger = (fitted(name, restricted=False, fixed=fixed).fit for fixed in ((), ("x",)))
    test = likelihood_ratio(smaller, larger)
    assert test.df == said["df"]
    assert test.statistic == pytest.approx(said["statistic"], abs=1e-6)
    assert test.p == pytest.approx(said["p"], rel=1e-5)


@pytest.mark.parametrize("name", DESIGNS)
def test_random_effects_are_those_of_lme4(golden, name):
    result = fitted(name)
    for group, columns in golden["designs"][name]["random_effects"].items():
        ours = result.random_effects(group).sort_index()
        for effect, values in columns.items():
            np.testing.assert_allclose(ours[effect.replace("(Intercept)", "1")], values, atol=1e-5)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for design_name, one in DESIGNS.items():
        table_of(one).to_csv(folder / f"{design_name}.csv", index=False)
        (folder / f"{design_name}.json").write_text(json.dumps({"slopes": one.slopes, "correlated": one.correlated}))
