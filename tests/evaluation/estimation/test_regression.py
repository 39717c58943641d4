"""Regressions through ``estimate``, held against statsmodels' own calls and against known truth."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
import xarray as xr

from neuroling import MixedModel, Stimuli, align, estimate
from neuroling.evaluation import AutocorrelatedErrors, ClusteredErrors, HeteroscedasticErrors, Regression

N = 120
HAC = {"cov_type": "HAC", "cov_kwds": {"maxlags": 6, "use_correction": True}, "use_t": True}


def series(*, runs=1, rho=0.0, seed=0, n=N, in_time=True):
    rng = np.random.default_rng(seed)
    stimuli = Stimuli.from_texts([f"volume {number}" for number in range(n)])
    x = rng.standard_normal((n, 2))
    noise = rng.standard_normal(n)
    for row in range(1, n):
        noise[row] += rho * noise[row - 1]
    y = 1 + x @ np.array([0.5, 0.0]) + noise
    coords = {"sample": stimuli.labels, "reader": ("sample", np.arange(n) % 10)}
    if in_time:
        coords |= {"time_index": ("sample", np.arange(n)), "group": ("sample", np.repeat(np.arange(runs), n // runs))}
    return align(stimuli.features(x, ["a", "b"]), xr.DataArray(y, dims="sample", coords=coords))


def direct(data, **options):
    return sm.OLS(data.y.to_numpy(), sm.add_constant(data.x.to_numpy())).fit(**options)


@pytest.mark.parametrize(
    ("errors", "options"),
    [
        (None, {}),
        (HeteroscedasticErrors(), {"cov_type": "HC3", "use_t": True}),
        (
            AutocorrelatedErrors(6),
            {"cov_type": "HAC", "cov_kwds": {"maxlags": 6, "use_correction": True}, "use_t": True},
        ),
        (ClusteredErrors("reader"), {"cov_type": "cluster", "cov_kwds": {"groups": np.arange(N) % 10}, "use_t": True}),
    ],
    ids=str,
)
def test_estimates_and_tests_are_those_of_statsmodels(errors, options):
    data = series(rho=0.4)
    found, same = estimate(Regression(errors), data).estimates, direct(data, **options)
    np.testing.assert_allclose(found.estimate, same.params)
    np.testing.assert_allclose(found.standard_error, same.bse)
    np.testing.assert_allclose(found.p, same.pvalues, rtol=1e-8)
    np.testing.assert_allclose(np.stack([found.low, found.high], 1), same.conf_int())


def test_runs_are_kept_apart_by_autocorrelated_errors():
    data = series(runs=4, rho=0.4)
    found = estimate(Regression(AutocorrelatedErrors(6)), data).estimates
    groups = np.repeat(np.arange(4), N // 4)
    same = direct(data, cov_type="hac-panel", cov_kwds={"groups": groups, "maxlags": 6}, use_t=True)
    np.testing.assert_allclose(found.standard_error, same.bse)


def test_likelihood_and_criteria_are_those_of_statsmodels():
    data = series()
    found, same = estimate(Regression(), data).diagnostics, direct(data)
    assert found.log_likelihood.item() == pytest.approx(same.llf)
    assert found.aic.item() == pytest.approx(same.aic + 2)  # the residual variance is a parameter, as in R
    assert found.r2.item() == pytest.approx(same.rsquared)


def test_autoregressive_errors_are_estimated():
    result = estimate(Regression(autoregression=1), series(rho=0.6, n=600))
    assert result.diagnostics["autoregression at lag 1"].item() == pytest.approx(0.6, abs=0.08)
    assert result.estimates.low.sel(feature="a") < 0.5 < result.estimates.high.sel(feature="a")


def test_a_given_covariance_weighs_observations():
    data = series()
    variances = np.linspace(0.1, 10, N)
    found = estimate(Regression(covariance=np.diag(variances)), data).estimates
    same = sm.WLS(data.y.to_numpy(), sm.add_constant(data.x.to_numpy()), weights=1 / variances).fit()
    np.testing.assert_allclose(found.estimate, same.params)
    np.testing.assert_allclose(found.standard_error, same.bse)


def test_one_outlier_hardly_moves_robust_regression():
    data = series()
    spoilt = align(data.x, data.y.copy(data=np.where(np.arange(N) == 5, 1000.0, data.y.to_numpy())))
    robust, plain = (
        estimate(Regression(resists_outliers=choice), spoilt).score.sel(feature="a") for choice in (True, False)
    )
    assert abs(robust - 0.5) < 0.3
    assert abs(plain - 0.5) > 1


def test_autocorrelated_errors_tell_how_much_estimates_vary():
    """Feature and noise with a lag-1 correlation of 0.7: 40 data sets of 300 samples without an effect, as voxels."""
    rng = np.random.default_rng(0)
    x, noise = rng.standard_normal(300), rng.standard_normal((300, 40))
    for row in range(1, 300):
        x[row] += 0.7 * x[row - 1]
        noise[row] += 0.7 * noise[row - 1]
    stimuli = Stimuli.from_texts([f"v{number}" for number in range(300)])
    coords = {"sample": stimuli.labels, "time_index": ("sample", np.arange(300))}
    data = align(stimuli.features(x[:, None], ["x"]), xr.DataArray(noise, dims=("sample", "voxel"), coords=coords))
    hac, plain = (
        estimate(Regression(errors), data).estimates.sel(feature="x") for errors in (AutocorrelatedErrors(15), None)
    )
    spread = float(hac.estimate.std())
    assert float(hac.standard_error.mean()) == pytest.approx(spread, rel=0.25)
    assert float(plain.standard_error.mean()) < 0.7 * spread


def test_every_target_is_fitted_by_itself():
    data = series()
    both = align(data.x, xr.concat([data.y, -2 * data.y], "voxel").transpose("sample", "voxel"))
    found = estimate(Regression(), both).score
    np.testing.assert_allclose(found.isel(voxel=1), -2 * found.isel(voxel=0))


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (Regression(AutocorrelatedErrors()), {"in_time": False}, "time_index"),
        (Regression(AutocorrelatedErrors(500)), {}, "max_lag: got 500"),
        (Regression(ClusteredErrors("school")), {}, "'school'"),
        (Regression(autoregression=1), {"runs": 4}, "one run of consecutive samples"),
        (Regression(covariance=np.eye(3)), {}, r"covariance: got shape \(3, 3\)"),
        (Regression(AutocorrelatedErrors(), resists_outliers=True), {}, "exclude one another"),
    ],
)
def test_errors_that_do_not_fit_the_data_are_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        estimate(model, series(**options))


def test_dependent_features_are_refused():
    data = series()
    doubled = data.x.copy(data=np.column_stack([data.x.to_numpy()[:, 0]] * 2))
    with pytest.raises(ValueError, match="linearly dependent"):
        estimate(Regression(), align(doubled, data.y))


def test_mixed_models_and_regressions_stand_side_by_side():
    models = {"plain": Regression(), "mixed": MixedModel(["a", "b"], {"reader": ["1"]})}
    result = estimate(models, series(in_time=False))
    assert result.score.dims == ("model", "feature")
