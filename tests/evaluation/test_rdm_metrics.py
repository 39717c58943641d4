"""Metrics of pairs inside the one evaluation: equal to the stream."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroling import NoSplit, evaluate
from neuroling.evaluation import rdm_metrics
from neuroling.rsa.dissimilarity import PairLabels
from neuroling.rsa.pairs import FixedRDM, paired
from neuroling.rsa.similarity import rdm_similarity


@pytest.mark.parametrize("name", ["tau_a", "rho_a", "whitened_cosine", "whitened_correlation"])
def test_evaluate_gives_what_the_stream_gives(name):
    rng = np.random.default_rng(0)
    labels = PairLabels.of(np.array([f"i{place}" for place in range(8)])).coords()
    model = xr.DataArray(np.round(rng.random((28, 1)) * 3), dims=("sample", "model"), coords={**labels, "model": ["m"]})
    y = xr.DataArray(rng.random((28, 3, 2)), dims=("sample", "subject", "time"), coords=labels)
    metric = getattr(rdm_metrics, name)
    slow = evaluate(FixedRDM(), paired(model, y), splits=NoSplit(), metric=metric)
    fast = rdm_similarity(y, model, comparator=metric.name)
    np.testing.assert_allclose(slow.score.values, fast.score.values[..., 0])


def test_each_row_may_have_its_own_prediction():
    rng = np.random.default_rng(1)
    truth, prediction = rng.random((3, 10)), rng.random((3, 10))
    got = rdm_metrics.rho_a.score(truth, prediction)
    np.testing.assert_allclose(
        got,
        [
            np.corrcoef(t.argsort().argsort(), p.argsort().argsort())[0, 1]
            for t, p in zip(truth, prediction, strict=True)
        ],
    )
