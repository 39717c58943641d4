"""The report over regions: means over participants have nulls of their own."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroling.core.provenance import Provenance
from neuroling.core.result import NullDistribution, Result
from neuroling.evaluation.joining import combine
from neuroling.report.regions import RegionStudy, group_nulls, region_table, write_region_report

SUBJECTS, REGIONS = ["s1", "s2", "s3"], ["LATL", "LIFG"]


def one_model(level: float, seed: int) -> Result:
    rng = np.random.default_rng(seed)
    coords = {"subject": SUBJECTS, "region": REGIONS}
    observed = xr.DataArray(level + 0.01 * rng.standard_normal((3, 2)), dims=tuple(coords), coords=coords)
    draws = [observed.copy(data=0.05 * rng.standard_normal((3, 2))) for _ in range(40)]
    ceiling = xr.concat([observed * 0 + 0.4, observed * 0 + 0.6], "bound").assign_coords(bound=["lower", "upper"])
    null = NullDistribution.collect(observed, draws, method="rotations", relabelings="the same in all")
    made_up = Provenance(synthetic=True)
    return Result.of(observed.expand_dims("split"), metric="pearson", ceiling=ceiling, null=null, provenance=made_up)


@pytest.fixture
def result():
    return combine({"word rate": one_model(0.3, 0), "noise": one_model(0.0, 1)}, dim="model")


def test_the_null_of_the_mean_is_the_mean_of_shared_draws(result):
    null = group_nulls(result)["word rate"]
    expected = result.null.draws.sel(model="word rate").mean("subject")
    np.testing.assert_allclose(null.draws, expected)
    assert null.p_values("max").max() < 0.05


def test_the_table_has_a_row_for_every_model_and_region(result):
    table = region_table(result)
    assert len(table) == 4
    row = table[(table["model"] == "word rate") & (table["region"] == "LIFG")].iloc[0]
    assert row["share of ceiling"] == pytest.approx(row["r"] / 0.4)


def test_the_report_marks_synthetic_data(result, tmp_path):
    study = RegionStudy("A story", "What?", result, pd.DataFrame([{"word rate": "as shipped", "LATL": 0.4}]), "Done.")
    page = write_region_report(study, tmp_path).read_text(encoding="utf-8")
    assert "synthetic data" in page
    assert "Best is word rate" in page
    assert {path.name for path in tmp_path.glob("*.png")} == {"models.png", "participants.png", "null.png"}
