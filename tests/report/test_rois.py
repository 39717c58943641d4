"""The table of regions gathers the scores that carry its labels, and says what is missing."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroling import Result
from neuroling.evaluation import NullDistribution
from neuroling.report.rois import roi_table

LABELS = [10, 11, 12, 13, 14]


def scores(values=(0.1, 0.5, 0.3, np.nan, 0.2), axis="voxel"):
    coords = {axis: LABELS, "x": (axis, np.arange(5.0)), "y": (axis, np.zeros(5)), "z": (axis, np.ones(5))}
    return xr.DataArray([list(values)], dims=("split", axis), coords=coords)


def parcels(numbers=(1, 1, 2, 2, 0), axis="voxel"):
    return xr.DataArray(np.asarray(numbers), dims=axis, coords={axis: LABELS})


def result(**parts):
    return Result.of(scores(), metric="pearson", **parts)


def test_means_are_those_of_each_region():
    assert roi_table(result(), parcels())["mean"].round(6).tolist() == [0.3, 0.3]


def test_parcels_are_matched_by_label():
    turned = parcels().isel(voxel=[4, 3, 2, 1, 0])
    assert roi_table(result(), turned).equals(roi_table(result(), parcels()))


def test_positions_without_a_region_do_not_count():
    assert roi_table(result(), parcels())["voxels"].sum() == 4


def test_positions_without_a_score_are_counted():
    assert roi_table(result(), parcels())["without score"].tolist() == [0, 1]


def test_the_best_place_is_given_in_mm():
    assert roi_table(result(), parcels())["best at"].tolist()[0] == "1.0, 0.0, 1.0"


def test_significant_positions_are_counted_over_the_whole_family():
    observed = scores((0.9, 0.5, 0.9, 0.1, 0.2)).isel(split=0)
    rng = np.random.default_rng(0)
    draws = (observed.copy(data=0.3 * rng.random(5)) for _ in range(199))
    null = NullDistribution.collect(observed, draws, method="made up")
    found = roi_table(Result.of(observed.expand_dims("split"), metric="pearson", null=null), parcels(), correct="max")
    assert found["voxels, p < 0.05"].tolist() == [2, 1]


def test_a_share_of_the_ceiling_is_not_clipped():
    ceiling = (0 * scores().isel(split=0).fillna(0) + 0.2).expand_dims(bound=["ceiling"])
    assert roi_table(result(ceiling=ceiling), parcels())["share of ceiling"].round(6).tolist() == [1.5, 1.5]


def test_regions_have_names():
    assert roi_table(result(), parcels(), {1: "STG", 2: "IFG"})["region"].tolist() == ["STG", "IFG"]


BAD = {
    "no name": (lambda: roi_table(result(), parcels(), {1: "STG"}), "1 regions of the parcels have no name, first .2."),
    "other labels": (
        lambda: roi_table(result(), parcels().isel(voxel=slice(3))),
        "2 of 5 voxels have none, first .13, 14.",
    ),
    "no numbers": (lambda: roi_table(result(), parcels().astype(float)), "expected whole numbers"),
    "other axis": (
        lambda: roi_table(result(), parcels(axis="vertex")),
        "along .'vertex',.; expected whole numbers along",
    ),
    "regions already": (
        lambda: roi_table(Result.of(scores(axis="region"), metric="pearson"), parcels()),
        "expected one axis, 'voxel' or 'vertex'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_a_sentence(case):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make()
