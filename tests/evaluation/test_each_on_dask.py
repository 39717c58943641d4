"""The recipe of docs/hpc.md with a dask cluster, on local workers."""

from __future__ import annotations

import joblib
import numpy as np
import pytest

from neuroling import ContiguousFolds, Permutation, Ridge, Stimuli, align, pearson
from neuroling.evaluation import evaluate_each

distributed = pytest.importorskip("distributed")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_workers_of_dask_give_the_same_numbers():
    stimuli = Stimuli.from_texts([f"word {i}" for i in range(24)])
    rng = np.random.default_rng(0)
    features = stimuli.features(rng.standard_normal((24, 3)))
    people = {
        name: align(features, stimuli.features(rng.standard_normal((24, 2)), ["a", "b"]).rename(feature="voxel"))
        for name in ("P1", "P2", "P3")
    }
    options = {"splits": ContiguousFolds(4), "metric": pearson, "inference": Permutation(20)}
    here = evaluate_each(Ridge(), people, dim="subject", **options)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        there = evaluate_each(Ridge(), people, dim="subject", **options)
    assert here.data.identical(there.data)
