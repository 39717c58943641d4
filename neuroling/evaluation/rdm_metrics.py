"""Metrics for pairs of items beside Spearman and Pearson: fair to ties, or aware that pairs share items."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroling.core.sample_sizes import FEW_VALUES, LEAST_VALUES
from neuroling.evaluation.metrics import Metric
from neuroling.numerics.rdm import comparison as rdm_compare

Array = NDArray[np.floating[Any]]


def _row_by_row(compare: rdm_compare.Compare, truth: Array, prediction: Array) -> Array:
    """Compare (…, pair) with (…, pair), each row with its own prediction; (…)."""
    kept = truth.shape[:-1]
    rows = truth.reshape(-1, truth.shape[-1])
    models = np.broadcast_to(prediction, truth.shape).reshape(rows.shape)
    if (models == models[:1]).all():
        return np.asarray(compare(rows, models[:1])[:, 0].reshape(kept))
    each = [compare(row[None], model[None])[0, 0] for row, model in zip(rows, models, strict=True)]
    return np.asarray(each).reshape(kept)


def _tau_a(truth: Array, prediction: Array) -> Array:
    return _row_by_row(rdm_compare.tau_a, truth, prediction)


def _rho_a(truth: Array, prediction: Array) -> Array:
    return _row_by_row(rdm_compare.rho_a, truth, prediction)


def _whitened_cosine(truth: Array, prediction: Array) -> Array:
    return _row_by_row(rdm_compare.whitened_cosine, truth, prediction)


def _whitened_correlation(truth: Array, prediction: Array) -> Array:
    return _row_by_row(rdm_compare.whitened_correlation, truth, prediction)


tau_a = Metric("tau-a", _tau_a, least=LEAST_VALUES, few=FEW_VALUES)
"""Kendall's tau-a over pairs; fair to models with ties."""

rho_a = Metric("rho-a", _rho_a, least=LEAST_VALUES, few=FEW_VALUES)
"""Rank correlation with ties broken at random, in expectation; fair to models with ties."""

whitened_cosine = Metric("whitened cosine", _whitened_cosine, least=LEAST_VALUES, of_all_pairs=True)
"""Cosine of dissimilarities with the covariance of pairs divided out; needs all pairs in condensed order."""

whitened_correlation = Metric("whitened correlation", _whitened_correlation, least=LEAST_VALUES, of_all_pairs=True)
"""Correlation of dissimilarities with the covariance of pairs divided out; needs all pairs in condensed order."""
