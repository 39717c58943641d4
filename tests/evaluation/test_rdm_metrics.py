"""Metrics of pairs inside the one evaluation."""

from __future__ import annotations

import numpy as np

from neuroling.evaluation import rdm_metrics


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
