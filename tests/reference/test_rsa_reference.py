"""RSA against mne-rsa and rsatoolbox, where those are installed and right."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import pdist

from neuroling import LeaveOneOutCeiling, evaluate
from neuroling.evaluation.rdm_metrics import RDM_METRICS
from neuroling.numerics.rdm import comparison as rdm_compare
from neuroling.numerics.rdm.distances import correlation, crossnobis
from neuroling.rsa.dissimilarity import PairLabels
from neuroling.rsa.pairs import FixedRDM, pairwise


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    models = [rng.random(66), (rng.random(66) > 0.5) * 1.0, np.round(3 * rng.random(66))]
    return rng.random((4, 66)), np.stack(models)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (rdm_compare.spearman, "spearman"),
        (rdm_compare.pearson, "corr"),
        (rdm_compare.cosine, "cosine"),
        (rdm_compare.tau_a, "tau-a"),
        (rdm_compare.rho_a, "rho-a"),
        (rdm_compare.whitened_cosine, "cosine_cov"),
        (rdm_compare.whitened_correlation, "corr_cov"),
    ],
)
def test_comparators_equal_rsatoolbox(rows, ours, theirs):
    toolbox = pytest.importorskip("rsatoolbox")
    expected = toolbox.rdm.compare(toolbox.rdm.RDMs(rows[0]), toolbox.rdm.RDMs(rows[1]), method=theirs)
    np.testing.assert_allclose(ours(*rows), expected, atol=1e-8)


@pytest.mark.filterwarnings("ignore:Noise ceiling for tau:UserWarning")
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("spearman", "spearman"), ("rho-a", "rho-a"), ("tau-a", "tau-a"), ("pearson", "corr"), ("cosine", "cosine")],
)
@pytest.mark.parametrize("ties", [False, True], ids=["no ties", "ties"])
def test_ceilings_equal_rsatoolbox(ours, theirs, ties):
    toolbox = pytest.importorskip("rsatoolbox")
    values = 1 + np.random.default_rng(5).random((5, 28)) + np.random.default_rng(6).random(28)
    values = np.round(values, 1) if ties else values
    labels = PairLabels.of(np.arange(8)).coords()
    people = xr.DataArray(values.T, dims=("sample", "subject"), coords={**labels, "subject": range(5)})
    model = xr.DataArray(np.arange(28.0)[:, None], dims=("sample", "model"), coords={**labels, "model": ["any"]})
    metric = next(metric for metric in RDM_METRICS if metric.name.removesuffix(", uncentred") == ours)
    result = evaluate(FixedRDM(), pairwise(model, people), metric=metric, ceiling=LeaveOneOutCeiling())
    got = result.ceiling.mean("subject").values
    expected = toolbox.inference.noise_ceiling.boot_noise_ceiling(toolbox.rdm.RDMs(values), method=theirs)
    np.testing.assert_allclose(got, expected, atol=1e-8)


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")  # NaN to int, in theirs
def test_crossnobis_equals_rsatoolbox():
    toolbox = pytest.importorskip("rsatoolbox")
    rng = np.random.default_rng(1)
    folds, root = rng.standard_normal((4, 9, 6)), rng.standard_normal((6, 6))
    data = toolbox.data.Dataset(
        folds.reshape(36, 6), obs_descriptors={"c": np.tile(np.arange(9), 4), "f": np.repeat(np.arange(4), 9)}
    )
    expected = toolbox.rdm.calc_rdm(
        data, method="crossnobis", descriptor="c", cv_descriptor="f", noise=root @ root.T
    ).dissimilarities[0]
    np.testing.assert_allclose(crossnobis(folds, root @ root.T), expected)


@pytest.mark.parametrize(("ours", "theirs"), [(rdm_compare.spearman, "spearman"), (rdm_compare.pearson, "pearson")])
def test_scores_equal_mne_rsa(rows, ours, theirs):
    peer = pytest.importorskip("mne_rsa")
    expected = [peer.rsa(row, list(rows[1]), metric=theirs) for row in rows[0]]
    np.testing.assert_allclose(ours(*rows), expected, atol=1e-12)


def test_partial_correlations_equal_mne_rsa(rows):
    """Theirs holds every model constant for every other; ours is told which."""
    peer = pytest.importorskip("mne_rsa")
    models = rows[1]
    expected = peer.rsa(rows[0][0], list(models), metric="partial")
    got = [
        rdm_compare.partial_pearson(rows[0][:1], models[k : k + 1], np.delete(models, k, axis=0))[0, 0]
        for k in range(3)
    ]
    np.testing.assert_allclose(got, expected, atol=1e-10)


def test_correlation_distance_equals_mne_rsa():
    peer = pytest.importorskip("mne_rsa")
    x = np.random.default_rng(2).standard_normal((7, 9))
    np.testing.assert_allclose(correlation(x), peer.compute_rdm(x, metric="correlation"))
    np.testing.assert_allclose(correlation(x), pdist(x, "correlation"))


def test_the_released_crossvalidation_of_mne_rsa_is_biased_and_ours_is_not():
    """Two folds of noise: theirs equals the plain distance, 2 per channel; the truth is 0."""
    peer = pytest.importorskip("mne_rsa")
    noise = np.random.default_rng(3).standard_normal((2, 40, 64))
    theirs = peer.compute_rdm_cv(noise, "sqeuclidean").mean() / 64
    assert theirs > 1.5
    assert abs(crossnobis(noise).mean()) < 0.1
