"""The leave-two-out report: nulls of participants and of their mean, clusters by size."""

from dataclasses import replace

import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroling.core.provenance import Provenance
from neuroling.core.result import NullDistribution, Result
from neuroling.evaluation.joining import combine
from neuroling.report.controls import ControlSet
from neuroling.report.matching import MatchingStudy, clusters, participant_table, write_matching_report


def one_participant(accuracy: float, seed: int) -> Result:
    draws = 0.5 + 0.05 * np.random.default_rng(seed).standard_normal(60)
    observed = xr.DataArray(accuracy)
    null = NullDistribution.collect(observed, [xr.DataArray(draw) for draw in draws], method="permutation")
    ceiling = xr.DataArray([0.9], dims="bound", coords={"bound": ["half"]})
    score, made_up = xr.DataArray([accuracy], dims="split"), Provenance(synthetic=True)
    return Result.of(score, metric="two_vs_two", chance=0.5, ceiling=ceiling, null=null, provenance=made_up)


@pytest.fixture
def image():
    values = np.zeros((12, 12, 12), dtype=np.float32)
    values[2:5, 2:5, 2:4] = 0.4  # 18 voxels
    values[8:10, 8:10, 8:10] = 0.5  # 8 voxels: too few
    affine = np.diag([8.0, 8, 8, 1])
    affine[:3, 3] = -48
    return nibabel.Nifti1Image(values, affine)


@pytest.fixture
def study(image):
    result = combine({"P1": one_participant(0.8, 0), "P2": one_participant(0.6, 1)}, dim="subject")
    mean = result.null.draws.mean("subject")
    group = NullDistribution.collect(
        result.score.mean("subject"), (mean.isel(draw=i) for i in range(60)), method="permutation, mean"
    )
    anchors = pd.DataFrame([{"source": "paper", "accuracy": 0.77}])
    return MatchingStudy(
        "Nouns", "Which?", result, group, {"published": result}, {"P1": image, "P2": image}, 0.28, 10, anchors, "Done."
    )


def test_only_large_clusters_are_listed(image):
    (row,) = clusters(image, 0.28, 10).to_dict("records")
    assert row["voxels"] == 18
    assert row["peak r"] == pytest.approx(0.4)


def test_voxels_that_touch_by_an_edge_only_are_apart():
    values = np.zeros((4, 4, 4), dtype=np.float32)
    values[0, 0, :] = values[1, 1, :] = 0.5
    found = clusters(nibabel.Nifti1Image(values, np.eye(4)), 0.28, 2)
    assert found["voxels"].tolist() == [4, 4]


def test_the_mean_has_a_null_of_its_own(study):
    table = participant_table(study).set_index("participant")
    assert table.loc["mean", "accuracy"] == pytest.approx(0.7)
    assert table.loc["mean", "null 95 %"] < table.loc["P1", "null 95 %"]


def test_the_report_marks_synthetic_data_and_lists_clusters(study, tmp_path):
    page = write_matching_report(study, tmp_path).read_text(encoding="utf-8")
    assert "synthetic data" in page
    assert "clusters of at least 10 contiguous voxels" in page
    assert (tmp_path / "correlation_P1.nii.gz").is_file()
    assert (tmp_path / "clusters.png").is_file()


def test_controls_that_were_not_run_stand_in_the_report(study, tmp_path):
    page = write_matching_report(study, tmp_path).read_text(encoding="utf-8")
    assert "Not run: word rate, position, length, frequency, smoothed identity, untrained network" in page


def test_a_control_stands_with_its_mean_accuracy(study, tmp_path):
    with_control = replace(study, controls=ControlSet({"length": "published"}))
    page = write_matching_report(with_control, tmp_path).read_text(encoding="utf-8")
    assert "Not run: word rate, position, frequency" in page
