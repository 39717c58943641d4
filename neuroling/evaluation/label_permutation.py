"""Item labels exchanged for a fixed model of dissimilarities: thousands of draws as one product."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.protocols import Scoring
from neuroling.core.result import NullDistribution
from neuroling.evaluation.metrics import InnerProductScore, Metric

Array = NDArray[np.floating[Any]]
BATCH_PAIRS = 2**22
"""Permuted model values held at once (32 MiB of float64); a heuristic."""


@dataclass(frozen=True)
class LabelPermutation:
    """Exchange the labels of items, for models with nothing to fit: what ``Permutation`` gives, much faster.

    Ranks are made once; a relabelling only moves the model's ranks among pairs, and all draws and targets are one
    matrix product. Draw by draw equal to :class:`~neuroling.evaluation.inference.Permutation` with the same seed.

    Parameters
    ----------
    n_draws : int
        Number of relabelings.
    keep_draws : bool
        Keep every draw, or only counts and the best of each.
    """

    n_draws: int = 1000
    keep_draws: bool = True

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> NullDistribution:
        """Draw the null.

        Parameters
        ----------
        scoring : Scoring
            Of a fixed model, by Spearman or Pearson over pairs, all at once.
        rng : numpy.random.Generator
            Source of the relabelings.

        Returns
        -------
        NullDistribution
        """
        if self.n_draws < 20:
            raise ValueError(f"n_draws: got {self.n_draws}; at least 20 are needed for p = 0.05 to be possible.")
        vectors = _vectors_of(scoring)
        data = scoring.data
        target = vectors(data.y_mean.values.reshape(data.n_samples, -1).T)  # (target, pair)
        model = vectors(np.asarray(data.x.values[:, :1].T, dtype=np.float64))[0]
        observed = scoring.observed()
        draws = self._draws(model, target, data, observed, rng)
        return NullDistribution.collect(
            observed,
            draws,
            method="permutation of items",
            larger_is_better=scoring.larger_is_better,
            keep_draws=self.keep_draws,
        )

    def _draws(
        self, model: Array, target: Array, data: Any, observed: xr.DataArray, rng: np.random.Generator
    ) -> Iterator[xr.DataArray]:
        first = np.searchsorted(data.items, data.coordinate("first"))
        second = np.searchsorted(data.items, data.coordinate("second"))
        n_items = len(data.items)
        if data.n_samples != n_items * (n_items - 1) // 2:
            raise ValueError(
                f"data: {data.n_samples} pairs of {n_items} items; labels can be exchanged only where each of the "
                f"{n_items * (n_items - 1) // 2} pairs occurs once."
            )
        square = np.zeros((n_items, n_items))
        square[first, second] = square[second, first] = model
        flat, places = square.ravel(), np.empty(data.n_samples, dtype=np.intp)
        batch = max(1, BATCH_PAIRS // data.n_samples)
        for start in range(0, self.n_draws, batch):
            size = min(batch, self.n_draws - start)
            # a pair takes the values of the pair of permuted items: the model moves the other way
            orders = [np.argsort(rng.permutation(n_items)) for _ in range(size)]
            moved = np.empty((size, data.n_samples))
            for draw, order in enumerate(orders):
                (order * n_items).take(first, out=places)
                np.add(places, order.take(second), out=places)
                flat.take(places, out=moved[draw], mode="clip")  # (draw, pair)
            for scores in moved @ target.T:
                yield observed.copy(data=scores.reshape(observed.shape))


def _vectors_of(scoring: Scoring) -> Any:
    """Give the function that turns rows into vectors whose inner products are the scores, or refuse."""
    metric, model = getattr(scoring, "metric", None), getattr(scoring, "model", None)
    if scoring.data.unit != "item" or not getattr(model, "is_fixed", False) or scoring.scores.sizes["split"] != 1:
        raise ValueError(
            "inference: LabelPermutation is for pairs of items, a fixed model and NoSplit(); for models that are "
            "fitted use Permutation, which fits them again."
        )
    is_plain = isinstance(metric, Metric) and metric.over == ("sample",) and metric.contrast is None
    score = getattr(metric, "score", None)
    if is_plain and isinstance(score, InnerProductScore):
        return score.unit_vectors
    raise ValueError(
        f"inference: LabelPermutation knows spearman and pearson over 'sample', got {getattr(metric, 'name', metric)}; "
        "use Permutation."
    )
