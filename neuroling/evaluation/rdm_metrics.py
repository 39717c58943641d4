"""Metrics for pairs of items beside Spearman and Pearson: fair to ties, or aware that pairs share items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.pair_models import check_models
from neuroling.core.sample_sizes import FEW_VALUES, LEAST_VALUES
from neuroling.evaluation.metrics import Metric, cosine, pearson, spearman
from neuroling.numerics.rdm import comparators
from neuroling.numerics.rdm.comparators import Comparator
from neuroling.numerics.rdm.ranks import share_tied

Array = NDArray[np.floating[Any]]

TIES = 0.01
"""Share of tied pairs in a model above which :func:`fair_to_ties` takes rho-a."""


@dataclass(frozen=True)
class RowScore:
    """Agreement over the last axis as a comparator of dissimilarities gives it.

    Attributes
    ----------
    comparator : Comparator
        The measure.
    """

    comparator: Comparator

    def __call__(self, truth: Array, prediction: Array) -> Array:
        """Compare (…, pair) with (…, pair), each row with its own prediction."""
        kept = truth.shape[:-1]
        rows = truth.reshape(-1, truth.shape[-1])
        models = np.broadcast_to(prediction, truth.shape).reshape(rows.shape)
        if (models == models[:1]).all():
            return np.asarray(self.comparator.compare(rows, models[:1])[:, 0].reshape(kept))
        each = [self.comparator.compare(row[None], model[None])[0, 0] for row, model in zip(rows, models, strict=True)]
        return np.asarray(each).reshape(kept)


tau_a = Metric("tau-a", RowScore(comparators.tau_a), least=LEAST_VALUES, few=FEW_VALUES)
"""Kendall's tau-a over pairs; fair to models with ties, and slow: use rho-a for time courses."""

rho_a = Metric("rho-a", RowScore(comparators.rho_a), least=LEAST_VALUES, few=FEW_VALUES)
"""Rank correlation with ties broken at random, in expectation; fair to models with ties."""

whitened_cosine = Metric(
    "whitened cosine", RowScore(comparators.whitened_cosine), least=LEAST_VALUES, of_all_pairs=True
)
"""Cosine of dissimilarities with the covariance of pairs divided out; needs all pairs in condensed order."""

whitened_correlation = Metric(
    "whitened correlation", RowScore(comparators.whitened_correlation), least=LEAST_VALUES, of_all_pairs=True
)
"""Correlation of dissimilarities with the covariance of pairs divided out; needs all pairs in condensed order."""

RDM_METRICS = (spearman, pearson, rho_a, tau_a, cosine.uncentred(), whitened_cosine, whitened_correlation)
"""What dissimilarities can be compared with models by."""


def fair_to_ties(models: xr.DataArray) -> Metric:
    """Choose rho-a if more than 1 % of the pairs of some model are tied, else Spearman.

    Parameters
    ----------
    models : xarray.DataArray, dims (sample, model)
        Models of dissimilarities. Spearman may prefer a coarse copy of the true model to the model itself; rho-a does
        not.

    Returns
    -------
    Metric

    Examples
    --------
    >>> pairs = {"sample": ["a | b", "a | c", "b | c"], "model": ["class"]}
    >>> fair_to_ties(xr.DataArray([[0.0], [1.0], [1.0]], dims=("sample", "model"), coords=pairs)).name
    'rho-a'
    """
    check_models(models)
    columns = models.transpose("model", "sample").values
    return rho_a if any(share_tied(column) > TIES for column in columns) else spearman
