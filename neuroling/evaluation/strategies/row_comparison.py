"""Rows of dissimilarities held against all models at once, and what is missing from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from neuroling.numerics.rdm.comparators import Comparator
from neuroling.numerics.rdm.comparison import LEAST_PAIRS, partial_of_products, with_gaps
from neuroling.numerics.rdm.ranks import centred_ranks

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class RowComparison:
    """Models and controls in the order of the samples, ready to be compared with rows.

    Attributes
    ----------
    comparator : Comparator
        The measure.
    models, controls : ndarray, shape (model, pair) and (control, pair)
        Float64.
    """

    comparator: Comparator
    models: Array
    controls: Array

    def scores(self, rows: Array, vectors: Array | None) -> Array:
        """Compare rows (row, pair), whose vectors may have been made already, with all models; (row, model)."""
        if vectors is not None and self.comparator.embed is not None:
            return np.asarray(vectors @ self.columns(vectors.dtype), dtype=np.float64)
        if self.comparator.products is not None and not len(self.controls) and np.isfinite(rows).all():
            return self.comparator.products(rows, self.columns(rows.dtype))
        if not len(self.controls):
            return np.asarray(with_gaps(self.comparator.compare, self.comparator.of_present)(rows, self.models))
        partial, n_models = self.comparator.partial, len(self.models)
        assert partial is not None  # noqa: S101 - asked in Metric.partial

        def compare(present: Array, joint: Array) -> NDArray[np.float64]:
            left = np.asarray(partial(present, joint[:n_models], joint[n_models:]), dtype=np.float64)
            return np.concatenate([left, np.full((len(present), len(joint) - n_models), np.nan)], axis=1)

        return np.asarray(with_gaps(compare)(rows, self.joint)[:, :n_models])

    @cached_property
    def joint(self) -> Array:
        """Models, then controls, (model + control, pair)."""
        return np.concatenate([self.models, self.controls])

    @cached_property
    def _double(self) -> Array:
        assert self.comparator.embed is not None  # noqa: S101 - asked for only where there is one
        return np.ascontiguousarray(self.comparator.embed(self.models).T)

    @cached_property
    def _single(self) -> Array:
        return self._double.astype(np.float32)

    def columns(self, dtype: DTypeLike) -> Array:
        """Give the vectors of the models (value, model)."""
        return self._single if np.dtype(dtype) == np.float32 else self._double

    def ranks(self, rows: Array) -> Array | None:
        """Give centred mid-ranks of rows, if ranks are compared and no pair is missing."""
        if not self.comparator.is_ranked or len(self.controls) or not np.isfinite(rows).all():
            return None
        return centred_ranks(rows)[0]

    def vectors(self, rows: Array, ranks: Array | None = None) -> Array | None:
        """Give vectors whose inner products are scores, if the comparator has such and no pair is missing."""
        if ranks is not None:
            return None if self.comparator.from_ranks is None else self.comparator.from_ranks(ranks)
        if self.comparator.embed is None or len(self.controls) or not np.isfinite(rows).all():
            return None
        return self.comparator.embed(rows)

    def scores_of_moved(self, rows: Array, moved: Array) -> Array:
        """Compare rows with models and controls that have been moved among the pairs together.

        Parameters
        ----------
        rows : ndarray, shape (row, pair)
            Finite. Where the comparator embeds, what it makes of them in float64.
        moved : ndarray, shape (draw, model + control, value)
            The joint models of every draw; where the comparator embeds, their vectors.

        Returns
        -------
        ndarray, shape (draw, model, row)
        """
        n_draws, n_joint, n_models = *moved.shape[:2], len(self.models)
        flat = moved.reshape(n_draws * n_joint, -1)
        if self.comparator.embed is None:
            return np.asarray(self.comparator.compare(rows, flat).T.reshape(n_draws, n_joint, -1))
        products = (flat @ rows.T).reshape(n_draws, n_joint, -1)  # (draw, joint, row)
        if not len(self.controls):
            return products
        among = moved[0] @ moved[0].T  # the same in every draw
        return np.stack([partial_of_products(draw.T, among, n_models).T for draw in products])


@dataclass
class Gaps:
    """How many values of rows were missing, counted while they streamed by.

    Attributes
    ----------
    rows, values : int
        Rows (a location and time each) with a missing pair, and missing pairs in all of them.
    all_rows, all_values : int
        What there was of both.
    """

    rows: int = 0
    values: int = 0
    all_rows: int = 0
    all_values: int = 0

    def count(self, rows: Array) -> None:
        """Count the missing pairs of rows (row, pair)."""
        self.all_rows += len(rows)
        self.all_values += rows.size
        missing = np.isnan(rows)
        if missing.any():
            self.rows += int(missing.any(axis=1).sum())
            self.values += int(missing.sum())

    def __add__(self, other: Gaps) -> Gaps:
        """Add up two counts."""
        return Gaps(
            self.rows + other.rows,
            self.values + other.values,
            self.all_rows + other.all_rows,
            self.all_values + other.all_values,
        )

    def sentence(self) -> str:
        """Say what is missing and what is done about it."""
        return (
            f"{self.values} of {self.all_values} dissimilarities are missing (NaN), in {self.rows} of {self.all_rows} "
            "rows (a participant, channel or time each); agreement there is over the pairs that are left."
        )


UNDEFINED = (
    "scores are undefined (NaN), because dissimilarities there are all equal or missing, but for fewer than "
    f"{LEAST_PAIRS} pairs."
)
"""Why an agreement is undefined."""
