from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroling.cli import comparison
from neuroling.core.provenance import Provenance
from neuroling.core.result import Result


def _over_time(values: np.ndarray) -> Result:
    score = xr.DataArray(values[None], dims=("split", "subject", "time"))
    return Result.of(score, metric="pearson", provenance=Provenance(data={"recording": "r"}))


def test_several_positions_are_tested_family_wise():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((12, 5)) / 10
    a = _over_time(noise + np.array([0.0, 0.0, 2.0, 0.0, -2.0]))
    b = _over_time(np.zeros((12, 5)))
    said = comparison.paired_test(a, b, comparison.difference_of(a, b), n_draws=500)
    assert said.startswith("test: A above B at 1, below at 1 of 5 positions, p < 0.05 family-wise")


@pytest.mark.filterwarnings("ignore:inference. scores of the")  # noise of six is skewed now and then
def test_noise_is_rarely_called_a_difference():
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(40):
        a, b = (_over_time(rng.standard_normal((6, 1))) for _ in range(2))
        said = comparison.paired_test(a, b, comparison.difference_of(a, b), n_draws=63)
        rejected += "above B at 0, below at 0" not in said
    assert rejected <= 6  # with 5 % of 40 expected, more happens once in 70 times


def test_the_difference_changes_its_sign_when_results_change_places():
    rng = np.random.default_rng(0)
    a, b = (_over_time(rng.standard_normal((6, 2))) for _ in range(2))
    xr.testing.assert_allclose(comparison.difference_of(a, b), -comparison.difference_of(b, a))


def test_combined_results_are_paired_by_every_recording():
    result = _over_time(np.zeros((6, 2)))
    combined = Result(result.data, Provenance(data={"P1.recording": "1", "P2.recording": "2", "P1.features": "x"}))
    assert comparison._recordings(combined) == {"P1.recording": "1", "P2.recording": "2"}


def test_long_values_are_cut_in_the_list_of_differences():
    assert comparison._short("x" * 100) == "x" * 59 + "…"
