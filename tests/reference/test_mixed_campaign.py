"""Three hundred designs: one optimum in any unit and on any processor, and none that lme4 finds a better one for.

Boundaries are among them: variances of zero, correlations of 1 and -1, slopes hundreds of times the residual. The fast
tests take the first thirty. lme4's criteria, the best of many starts, are written down; to renew them:

    python tests/reference/test_mixed_campaign.py FOLDER
    Rscript tests/golden/mixed_campaign.R FOLDER tests/golden/mixed_campaign.json
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from neuroling.evaluation.mixed import MixedResult, mixed_model

if __package__:
    from .mixed_designs import N_DESIGNS, design
else:  # run as a script
    from mixed_designs import N_DESIGNS, design

GOLDEN = Path(__file__).parents[1] / "golden" / "mixed_campaign.json"

FAST = {*range(20), 97, 199, 207}
"""The last three have a valley beside the optimum, where most starts end, and a nearly level ridge."""

NUMBERS = [pytest.param(number, marks=() if number in FAST else pytest.mark.slow) for number in range(N_DESIGNS)]

UNITS = ((1e-6, 1e-6, 3.0), (1e-3, 1e4, -7.0), (1e3, 1e-3, 0.0), (1e6, 1e6, 1e3))
"""Factors of outcome and predictor, and what is added to the outcome."""

CORES = ("Haswell", "Zen", "SkylakeX", "Sandybridge", "Nehalem", "Prescott")
"""Processors for which OpenBLAS, the library of numpy and scipy, has products of its own."""


def fit(number: int, of_y: float = 1.0, of_x: float = 1.0, shift: float = 0.0, *, restricted: bool = True):
    model = design(number)
    table = model.table.assign(x=of_x * model.table["x"], y=of_y * (model.table["y"] + shift))
    return mixed_model(table, "y", ["x"], model.random, correlated=model.correlated, restricted=restricted)


@cache
def fitted(number: int) -> MixedResult:
    return fit(number)


@pytest.fixture(scope="module")
def golden():
    return json.loads(GOLDEN.read_text(encoding="utf-8"))["designs"]


@pytest.mark.parametrize("number", NUMBERS)
def test_units_change_neither_criterion_nor_tests_nor_what_vanished(number):
    """t to 2e-5, criteria to 1e-8, degrees of freedom to 2e-3; without extreme slopes all are 1e-9 and less."""
    one = fitted(number)
    for of_y, of_x, shift in UNITS[number % 4 :][:1] if number in FAST else UNITS:
        other = fit(number, of_y, of_x, shift)
        added = 2 * (one.n_rows - 2) * np.log(of_y) + 2 * np.log(of_x)
        assert other.fit.criterion - added == pytest.approx(one.fit.criterion, abs=1e-8)
        assert other.fit.t[1] == pytest.approx(one.fit.t[1], rel=2e-5)
        assert other.fit.degrees_of_freedom[1] == pytest.approx(one.fit.degrees_of_freedom[1], rel=2e-3)
        assert (other.vanished, other.fit.ranks) == (one.vanished, one.fit.ranks)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_table_is_that_which_r_has_read(golden, number):
    said, table = golden[f"{number:03d}"], design(number).table
    assert len(table) == said["rows"]
    assert table["y"].sum() == pytest.approx(said["sum"], rel=1e-9, abs=1e-4)


@pytest.mark.parametrize("number", NUMBERS)
def test_criterion_is_that_of_lme4(golden, number):
    assert fitted(number).fit.criterion == pytest.approx(golden[f"{number:03d}"]["reml"], abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(N_DESIGNS))
def test_ml_criterion_is_that_of_lme4(golden, number):
    assert fit(number, restricted=False).fit.criterion == pytest.approx(golden[f"{number:03d}"]["ml"], abs=1e-6)


@pytest.mark.parametrize("number", NUMBERS)
def test_standard_errors_are_those_of_lme4(golden, number):
    np.testing.assert_allclose(
        fitted(number).fit.standard_errors, golden[f"{number:03d}"]["standard_errors"], rtol=1e-4
    )


@pytest.mark.parametrize("number", NUMBERS)
def test_singular_is_what_lme4_calls_singular(golden, number):
    assert fitted(number).fit.is_singular == golden[f"{number:03d}"]["singular"]


def criteria_of(numbers: range, core: str) -> list[list[float]]:
    """Fit in a process of its own, with the products of another processor: criterion and t of each design."""
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_mixed_campaign as campaign; "
    script += f"campaign.print_criteria(range({numbers.start}, {numbers.stop}, {numbers.step}))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "OPENBLAS_CORETYPE": core},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def print_criteria(numbers: range) -> None:
    fits = [fit(number).fit for number in numbers]
    sys.stdout.write(json.dumps([[float(one.criterion), float(one.t[1]), *one.ranks] for one in fits]))


@pytest.mark.slow
@pytest.mark.parametrize("core", CORES)
def test_products_of_another_processor_change_nothing(core):
    ours = [[fitted(number).fit.criterion, fitted(number).fit.t[1]] for number in range(N_DESIGNS)]
    theirs = criteria_of(range(N_DESIGNS), core)
    np.testing.assert_allclose([row[0] for row in theirs], [row[0] for row in ours], rtol=0, atol=1e-8)
    np.testing.assert_allclose([row[1] for row in theirs], [row[1] for row in ours], rtol=2e-5)
    assert [row[2:] for row in theirs] == [list(fitted(number).fit.ranks) for number in range(N_DESIGNS)]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for one_number in range(N_DESIGNS):
        one_design = design(one_number)
        one_design.table.to_csv(folder / f"{one_number:03d}.csv", index=False)
        model_of = {"random": one_design.random, "correlated": one_design.correlated}
        (folder / f"{one_number:03d}.json").write_text(json.dumps(model_of))
