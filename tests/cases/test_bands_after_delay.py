"""Case docs/bands_after_delay: after a delay the columns of a feature do not lie side by side, and bands go by name."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroling import BandedRidgeCV, ContiguousFolds, align, delay, evaluate, pearson
from neuroling.encoding import DirichletSearch, bands_of
from neuroling.evaluation import product_measure

N = 600
BY_POSITION = {"rate": [0], "meaning": slice(1, None)}


@pytest.fixture(scope="module")
def study():
    """Features of which the response follows the rate of words alone, 2 to 4 volumes late."""
    rng = np.random.default_rng(0)
    names = ["rate"] + [f"m{number}" for number in range(20)]
    coords = {
        "sample": np.arange(N),
        "group": ("sample", np.repeat(["a", "b", "c"], 200)),
        "time_index": ("sample", np.tile(np.arange(200), 3)),
    }
    features = xr.DataArray(
        rng.standard_normal((N, 21)),
        dims=("sample", "feature"),
        coords={**coords, "feature": names, "space": ("feature", ["rate"] + ["meaning"] * 20)},
    )
    delayed = delay(features, range(1, 5), runs="group")
    response = delayed.sel(feature=["rate@2", "rate@3", "rate@4"]).to_numpy().sum(1)
    noise = rng.standard_normal(N)[:, np.newaxis] * np.ones(3) + 0.1 * rng.standard_normal((N, 3))
    recording = xr.DataArray(response[:, np.newaxis] + noise, dims=("sample", "voxel"), coords=coords)
    return align(delayed, recording)


def model(bands, folds):
    return BandedRidgeCV(bands, np.logspace(-1, 5, 7), folds=folds, search=DirichletSearch(20), device="cpu")


def test_bands_by_position_are_refused_after_a_delay(study):
    folds = ContiguousFolds.of(study, 5, beyond=6)
    with pytest.raises(ValueError, match=r"bands: the columns of 'rate' are in 2 bands .*'rate@1' in 'rate', 'rate@2'"):
        evaluate(model(BY_POSITION, folds), study, splits=folds, metric=pearson)
    with pytest.raises(ValueError, match="bands: the columns of 'rate' are in 2 bands"):
        product_measure(model(BY_POSITION, folds), study, BY_POSITION, splits=folds)


def test_bands_by_name_credit_the_rate(study):
    folds = ContiguousFolds.of(study, 5, beyond=6)
    bands = bands_of(study.x)
    assert {name: len(columns) for name, columns in bands.items()} == {"rate": 4, "meaning": 80}
    parts = product_measure(model(bands, folds), study, bands, splits=folds).mean(["split", "voxel"])
    assert float(parts.sel(model="rate")) > 0.6
    assert abs(float(parts.sel(model="meaning"))) < 0.03


def test_without_spaces_every_feature_is_a_band_with_all_its_delays(study):
    bands = bands_of(study.x.drop_vars("space"))
    assert list(bands) == ["rate"] + [f"m{number}" for number in range(20)]
    assert study.x.feature.to_numpy()[bands["rate"]].tolist() == ["rate@1", "rate@2", "rate@3", "rate@4"]


def test_features_that_are_delayed_twice_stay_one_band(study):
    again = delay(study.x.drop_vars("space"), [0, 1], runs="group")
    bands = bands_of(again)
    assert list(bands) == ["rate"] + [f"m{number}" for number in range(20)]
    assert again.feature.to_numpy()[bands["rate"]].tolist()[:2] == ["rate@1@0", "rate@2@0"]
