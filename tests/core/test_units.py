from __future__ import annotations

import os

import numpy as np
import pytest
import xarray as xr

from neuroling.core.provenance import Provenance, current_versions
from neuroling.core.result import Result
from neuroling.core.units import leftovers, save_unit, stamp, unit_rng

UNIT = {"subject": "s18", "layer": "4"}


def test_a_unit_draws_the_same_numbers_twice():
    assert np.array_equal(unit_rng(3, UNIT).random(5), unit_rng(3, dict(reversed(UNIT.items()))).random(5))


@pytest.mark.parametrize(
    "other", [{"subject": "s18", "layer": "5"}, {"subject": "s18"}, {"subject": "s184", "layer": ""}]
)
def test_two_units_draw_different_numbers(other):
    assert unit_rng(3, UNIT).random() != unit_rng(3, other).random()


def test_two_seeds_draw_different_numbers():
    assert unit_rng(3, UNIT).random() != unit_rng(4, UNIT).random()


def test_the_draws_of_many_units_are_not_correlated():
    draws = np.array([unit_rng(0, {"subject": f"s{i}"}).standard_normal(2000) for i in range(20)])
    correlations = np.corrcoef(draws)[np.triu_indices(20, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(2000)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="at least 0"):
        unit_rng(-1, UNIT)


def test_the_stamp_travels_in_the_file(tmp_path):
    result = stamp(Result.of(xr.DataArray([0.5], dims="split"), metric="pearson"), UNIT, {"seed": "0", "alpha": "1"})
    result.save(tmp_path / "a.nc")
    found = Result.load(tmp_path / "a.nc").provenance
    assert (found.unit, found.configuration) == (UNIT, {"alpha": "1", "seed": "0"})


def test_only_old_partial_files_are_left_over(tmp_path):
    for name in (".old.nc.1a.partial", ".young.nc.1a.partial", "whole.nc"):
        (tmp_path / name).write_bytes(b"")
    for name in (".old.nc.1a.partial", "whole.nc"):
        os.utime(tmp_path / name, (0, 0))
    assert [path.name for path in leftovers(tmp_path, 3600.0)] == [".old.nc.1a.partial"]


def test_a_missing_folder_has_no_leftovers_to_look_for(tmp_path):
    with pytest.raises(NotADirectoryError, match="is not a folder"):
        list(leftovers(tmp_path / "nowhere", 0.0))


def unit(value=0.5, *, configuration=None, **changes):
    record = Provenance(
        **{"data": {"recording": "a"}, "options": {"model": "m"}, "seed": "0", "versions": current_versions()} | changes
    )
    score = xr.DataArray([value], dims="split")
    return stamp(Result.of(score, metric="pearson", provenance=record), UNIT, configuration or {"window": "1"})


def test_a_unit_that_is_made_again_replaces_its_file(tmp_path):
    for value in (0.25, 0.75):
        save_unit(unit(value), tmp_path / "unit.nc")
    assert Result.load(tmp_path / "unit.nc").score.item() == 0.75


OTHERS = {
    "configuration": lambda: unit(configuration={"window": "2"}),
    "option": lambda: unit(options={"model": "other"}),
    "seed": lambda: unit(seed="1"),
    "recording": lambda: unit(data={"recording": "b"}),
    "unit": lambda: stamp(unit(), {"subject": "s19", "layer": "4"}, {"window": "1"}),
    "version": lambda: unit(versions=current_versions() | {"torch": "1.0"}),
}


@pytest.mark.parametrize("what", OTHERS)
def test_the_file_of_something_else_is_not_replaced(tmp_path, what):
    OTHERS[what]().save(tmp_path / "unit.nc")
    before = (tmp_path / "unit.nc").read_bytes()
    with pytest.raises(ValueError, match=f"unit.nc was made with another {what}: "):
        save_unit(unit(), tmp_path / "unit.nc")
    assert (tmp_path / "unit.nc").read_bytes() == before


def test_nodes_of_a_cluster_may_differ(tmp_path):
    unit(versions=current_versions() | {"platform": "another node"}).save(tmp_path / "unit.nc")
    save_unit(unit(0.75), tmp_path / "unit.nc")
    assert Result.load(tmp_path / "unit.nc").score.item() == 0.75


def test_what_is_no_result_is_not_replaced(tmp_path):
    (tmp_path / "notes.txt").write_text("precious")
    with pytest.raises(ValueError, match=r"notes\.txt is no whole result; choose another place"):
        save_unit(unit(), tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "precious"
