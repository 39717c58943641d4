"""``estimate``: values, labels, files, families of models, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroling import GroupMean, MixedModel, Result, SignFlip, Stimuli, align, align_table, combine, estimate
from neuroling.evaluation.mixed import mixed_model

RANDOM = {"reader": ["1"], "item": ["1"]}


def trials(n_readers=10, n_items=20, seed=0):
    rng = np.random.default_rng(seed)
    reader, item = np.divmod(np.arange(n_readers * n_items), n_items)
    x, z = rng.standard_normal(len(item)), rng.standard_normal(n_items)[item]
    rt = 300 + 20 * x + 9 * rng.standard_normal(n_readers)[reader] + 9 * rng.standard_normal(n_items)[item]
    rt = rt + 30 * rng.standard_normal(len(item))
    return pd.DataFrame({"rt": rt, "x": x, "z": z, "reader": [f"r{number}" for number in reader], "item": item})


def data(**options):
    return align_table(trials(), "rt", ["x", "z"], **options)


def test_estimates_are_those_of_the_table():
    table = mixed_model(trials(), "rt", ["x", "z"], RANDOM).to_dataframe()
    result = estimate(MixedModel(["x", "z"], RANDOM), data())
    for name, column in (("estimate", "estimate"), ("df", "df"), ("p", "p"), ("low", "low"), ("high", "high")):
        np.testing.assert_allclose(result.estimates[name], table[column], rtol=1e-10)
    assert result.score.feature.to_numpy().tolist() == ["1", "x", "z"]


def test_log_likelihood_and_criteria_stand_beside_the_estimates():
    fit = mixed_model(trials(), "rt", ["x"], RANDOM, restricted=False).fit
    found = estimate(MixedModel(["x"], RANDOM, restricted=False), data()).diagnostics
    assert found.log_likelihood.item() == pytest.approx(-fit.criterion / 2)
    assert found.aic.item() == pytest.approx(fit.criterion + 2 * 5)
    assert found.bic.item() == pytest.approx(fit.criterion + np.log(200) * 5)


def test_a_saved_result_says_the_same(tmp_path):
    result = estimate(MixedModel(["x"], RANDOM), data())
    result.save(tmp_path / "effects.nc")
    loaded = Result.load(tmp_path / "effects.nc")
    assert str(loaded) == str(result)
    xr.testing.assert_identical(loaded.estimates, result.estimates)


def test_summary_gives_each_effect_with_its_interval_and_p():
    said = str(estimate(MixedModel(["x"], RANDOM), data()))
    assert "linear mixed model (REML), 200 observations" in said
    assert "x: 17.49, 95 % interval 12.97 to 22.02; t(187.7) = 7.62, p = 1.2e-12" in said


def test_models_are_an_axis_and_an_effect_that_one_lacks_is_undefined():
    models = {"both": MixedModel(["x", "z"], RANDOM), "one": MixedModel(["x"], RANDOM)}
    result = estimate(models, data())
    assert result.score.model.to_numpy().tolist() == ["both", "one"]
    assert np.isnan(result.score.sel(model="one", feature="z"))
    alone = estimate(models["one"], data())
    np.testing.assert_allclose(result.estimates.p.sel(model="one", feature=["1", "x"]), alone.estimates.p)


def test_results_of_two_studies_join():
    one = estimate(MixedModel(["x"], RANDOM), data())
    assert combine({"first": one, "second": one}, dim="region").estimates.p.sizes == {"region": 2, "feature": 2}


def test_every_time_point_is_fitted_by_itself():
    rng = np.random.default_rng(0)
    table = trials()
    aligned = data()
    waves = xr.concat([aligned.y, aligned.y + rng.standard_normal(len(table))], "time").transpose("sample", "time")
    result = estimate(MixedModel(["x"], RANDOM), align(aligned.x, waves.assign_coords(time=[0.1, 0.2])))
    alone = estimate(MixedModel(["x"], RANDOM), aligned)
    np.testing.assert_allclose(result.score.sel(time=0.1), alone.score)
    assert result.diagnostics.aic.dims == ("time",)


def test_repeats_may_be_a_grouping_and_those_that_lack_are_no_rows():
    stimuli = Stimuli.from_texts([f"word {number}" for number in range(12)])
    rng = np.random.default_rng(0)
    features = stimuli.features(rng.standard_normal((12, 1)), ["x"])
    y = rng.standard_normal((12, 5)) + rng.standard_normal(5)
    y[3, 4] = np.nan
    recording = xr.DataArray(y, dims=("sample", "repeat"), coords={"sample": features.sample.to_numpy()})
    result = estimate(MixedModel(["x"], {"repeat": ["1"], "sample": ["1"]}), align(features, recording))
    rows = [(features.to_numpy()[i, 0], k, i, y[i, k]) for i in range(12) for k in range(5) if not np.isnan(y[i, k])]
    table = pd.DataFrame(rows, columns=["x", "person", "word", "y"])
    same = mixed_model(table, "y", ["x"], {"person": ["1"], "word": ["1"]}).to_dataframe()
    np.testing.assert_allclose(result.estimates.t, same["t"], rtol=1e-6)
    assert result.diagnostics.n_observations == 59


def test_a_crossing_of_groupings_is_a_grouping():
    table = pd.concat([trials(seed=0), trials(seed=1)], ignore_index=True)
    table["cell"] = table["reader"] + ":" + table["item"].astype(str)
    aligned = align_table(table, "rt", ["x"])
    named = estimate(MixedModel(["x"], {**RANDOM, "cell": ["1"]}), aligned)
    crossed = estimate(MixedModel(["x"], {**RANDOM, "reader:item": ["1"]}), aligned)
    np.testing.assert_allclose(crossed.estimates.t, named.estimates.t)


def test_random_effects_are_given_by_level():
    model = MixedModel(["x"], RANDOM).fit_to(data())
    effects = model.random_effects("reader")
    assert list(effects.index) == [f"r{number}" for number in range(10)]
    assert abs(effects["1"].sum()) < 1e-6


def test_prediction_uses_the_random_effects_of_known_levels_alone():
    table = trials()
    model = MixedModel(["x"], RANDOM).fit(table, table["rt"])
    row = table.iloc[[0]]
    known, new = model.predict(row)[0], model.predict(row.assign(reader="nobody", item=-5))[0]
    effects = model.random_effects("reader").loc["r0", "1"] + model.random_effects("item").loc[0, "1"]
    assert known - new == pytest.approx(effects)


def test_density_of_a_new_level_has_the_variance_of_levels_too():
    table = trials()
    model = MixedModel(["x"], RANDOM).fit(table, table["rt"])
    sds = model.standard_deviations()
    row = table.iloc[[0]].assign(reader="nobody", item=-5)
    at_mean = model.log_density(row, model.predict(row))[0]
    assert at_mean == pytest.approx(-np.log(np.sqrt(2 * np.pi * (sds**2).sum())))


def test_estimating_leaves_the_model_as_it_was():
    model = MixedModel(["x"], RANDOM)
    estimate(model, data())
    assert not hasattr(model, "fits_")


def waves(n=16, n_channels=None, *, effect=3.0, seed=0):
    time = np.arange(-0.1, 0.6, 0.02)
    shape = (n, len(time)) if n_channels is None else (n, len(time), n_channels)
    values = np.random.default_rng(seed).standard_normal(shape)
    course = -effect * np.exp(-(((time - 0.4) / 0.08) ** 2))
    values = values + (course if n_channels is None else course[:, None])
    dims = ("subject", "time") if n_channels is None else ("subject", "time", "channel")
    return xr.DataArray(values, dims=dims, coords={"time": time})


def test_group_mean_is_a_t_test_at_every_location():
    from scipy import stats

    values = waves(n_channels=3)
    found = estimate(GroupMean(), values).estimates
    expected = stats.ttest_1samp(values.to_numpy(), 0)
    np.testing.assert_allclose(found.t, expected.statistic)
    np.testing.assert_allclose(found.p, expected.pvalue)
    np.testing.assert_allclose(found.high, expected.confidence_interval().high)


def test_group_waves_are_tested_by_clusters_in_the_same_call():
    result = estimate(GroupMean(), waves(), inference=SignFlip("subject", clusters="mass"))
    p = result.p_values("cluster")
    assert p.sel(time=0.4, method="nearest") < 0.05
    assert p.sel(time=0.0, method="nearest") > 0.05


def test_the_test_can_be_asked_afterwards():
    inference = SignFlip("subject", clusters="mass")
    once = estimate(GroupMean(), waves(), inference=inference, rng=3)
    later = estimate(GroupMean(), waves()).test(inference, rng=3)
    xr.testing.assert_equal(once.p_values("cluster"), later.p_values("cluster"))
    assert later.is_estimate


def test_false_discoveries_leave_the_intercept_out():
    result = estimate(MixedModel(["x", "z"], RANDOM), data())
    p = result.p_values().to_numpy()
    np.testing.assert_allclose(result.p_values("fdr"), [p[0], min(2 * p[1], p[2]), p[2]])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((4, 3)), "expected align"),
        (waves().rename(subject="sample"), "no 'subject'"),
        (waves().isel(subject=[0]), "at least two participants"),
        (waves() * np.nan, "NaN or infinite"),
        (xr.ones_like(waves()), "the same value"),
    ],
)
def test_values_that_have_no_group_mean_are_refused(values, message):
    with pytest.raises((TypeError, ValueError), match=message):
        estimate(GroupMean(), values)


def test_models_that_predict_are_sent_to_evaluate():
    from sklearn.linear_model import LinearRegression

    with pytest.raises(TypeError, match="Models that predict are for evaluate"):
        estimate(LinearRegression(), data())


def test_a_class_instead_of_a_model_is_refused():
    with pytest.raises(TypeError, match="got GroupMean; expected an instance"):
        estimate(GroupMean, waves())


def test_repeats_that_no_random_effect_names_are_refused():
    aligned = data()
    with pytest.raises(ValueError, match="axis 'repeat', which is in no random effect"):
        estimate(MixedModel(["x"], RANDOM), align(aligned.x, xr.concat([aligned.y] * 2, "repeat").T))


def test_estimates_without_a_null_have_no_family_wise_p():
    with pytest.raises(ValueError, match="come from no null distribution"):
        estimate(GroupMean(), waves()).p_values("max")


def test_scores_are_not_estimates():
    with pytest.raises(ValueError, match="not estimates of effects"):
        _ = Result.of(xr.DataArray([[0.1]], dims=("split", "model")), metric="pearson").estimates
