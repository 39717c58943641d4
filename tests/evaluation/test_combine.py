"""Combining results: exactly, or a sentence that says what differs."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.model_selection import KFold

from neuroling import (
    LeaveOneOutCeiling,
    LeavePOut,
    Permutation,
    Result,
    Ridge,
    SplitHalfCeiling,
    combine,
    evaluate,
    pearson,
    two_vs_two,
)


def one(make_data, seed=0, n=20, metric=pearson, splits=None, **options):
    data = make_data(n, repeats=2, signal=3.0, seed=seed, voxel=4)
    return evaluate(Ridge(device="cpu"), data, splits=splits or KFold(4), metric=metric, rng=seed, **options)


def test_every_number_stands_under_its_label(make_data):
    parts = {f"P{i}": one(make_data, i, inference=Permutation(20), ceiling=SplitHalfCeiling()) for i in range(3)}
    joined = combine(parts, dim="subject")
    for label, part in parts.items():
        xr.testing.assert_equal(joined.score.sel(subject=label, drop=True), part.score)
        xr.testing.assert_equal(joined.ceiling.sel(subject=label, drop=True), part.ceiling)
        xr.testing.assert_equal(joined.p_values().sel(subject=label, drop=True), part.p_values())


def test_the_best_of_a_draw_is_the_best_over_all(make_data):
    parts = {f"P{i}": one(make_data, i, inference=Permutation(20)) for i in range(3)}
    expected = np.max([part.null.best for part in parts.values()], axis=0)
    np.testing.assert_array_equal(combine(parts, dim="subject").null.best, expected)


def test_accuracies_of_many_participants(make_data):
    options = {"metric": two_vs_two, "splits": LeavePOut(2), "n": 8}
    group = combine({f"P{i}": one(make_data, i, **options) for i in range(5)}, dim="subject")
    assert group.score.dims == ("subject",)
    assert group.data.sizes["split"] == 28


def test_provenance_keeps_what_each_was_made_of(make_data):
    group = combine({"a": one(make_data, 0), "b": one(make_data, 1)}, dim="model")
    assert group.provenance.data["a.recording"] != group.provenance.data["b.recording"]
    assert group.provenance.options["combined"] == "2 results along model"


def test_one_synthetic_part_makes_the_whole_synthetic(make_data):
    real = one(make_data)
    twin = Result(real.data, type(real.provenance)(synthetic=True))
    assert combine({"a": real, "b": twin}, dim="model").provenance.synthetic


def test_a_combined_result_comes_back_from_its_file(make_data, tmp_path):
    group = combine({f"P{i}": one(make_data, i, inference=Permutation(20)) for i in range(2)}, dim="subject")
    group.save(tmp_path / "group.nc")
    loaded = Result.load(tmp_path / "group.nc")
    xr.testing.assert_identical(loaded.data, group.data)
    assert loaded.provenance == group.provenance


def test_results_handed_in_are_not_changed(make_data):
    part = one(make_data, inference=Permutation(20))
    before = part.data.copy(deep=True)
    combine({"a": part, "b": part}, dim="model")
    xr.testing.assert_identical(part.data, before)


def relabelled(result, **coords):
    return Result(result.data.assign_coords(coords), result.provenance)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda r: relabelled(r, voxel=[0, 1, 2, 9]),
            r"labels along 'voxel' differ: 1 of 4 stand in 'a' alone \(first \[3\]\)",
        ),
        (lambda r: relabelled(r, voxel=[1, 0, 2, 3]), r"labels along 'voxel' differ: 0 of 4.*and the order differs"),
        (lambda r: Result(r.data.isel(voxel=[0, 1]), r.provenance), r"along 'voxel' 'a' has 4 entries and 'b' 2"),
        (lambda r: Result(r.data.drop_vars("voxel"), r.provenance), r"along 'voxel' of 'b' have no labels"),
        (lambda r: Result(r.data.isel(split=[0, 1]), r.provenance), r"along 'split'.*split alike"),
        (
            lambda r: Result(r.data.isel(voxel=0, drop=True), r.provenance),
            r"'a' has scores along .*'voxel'.* and 'b' along",
        ),
        (lambda r: Result(r.data.assign_attrs(metric="r2"), r.provenance), r"differ in metric: 'pearson' against 'r2'"),
        (lambda r: Result(r.data.drop_vars("ceiling"), r.provenance), r"only one of 'a' and 'b' has \['ceiling'\]"),
        (lambda r: relabelled(r, x_mm=("voxel", [0.0, 1, 2, 3])), r"coordinates of 'score' differ"),
        (lambda r: Result(r.data.expand_dims(model=["m"]), r.provenance), r"dim: 'b' already has an axis 'model'"),
    ],
)
def test_what_differs_is_named(make_data, change, message):
    result = relabelled(one(make_data, ceiling=SplitHalfCeiling()), x_mm=("voxel", [9.0, 1, 2, 3]))
    with pytest.raises(ValueError, match=message):
        combine({"a": result, "b": change(result)}, dim="model")


def test_nulls_of_different_sizes_are_named(make_data):
    parts = {n: one(make_data, inference=Permutation(n)) for n in (20, 30)}
    with pytest.raises(ValueError, match=r"along 'draw' 20 has 20 entries and 30 30. Draw nulls of one size"):
        combine(parts, dim="subject")


def test_a_ceiling_across_participants_needs_them_as_an_axis(make_data):
    with pytest.raises(ValueError, match=r"ceiling: LeaveOneOutCeiling\('subject'\) needs that axis among the targets"):
        one(make_data, ceiling=LeaveOneOutCeiling())
