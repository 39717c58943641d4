"""Measures of agreement between dissimilarities and models, with what makes them fast. None gives a p value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroling.numerics.rdm import comparison as kernels
from neuroling.numerics.rdm.ranks import centred_ranks, rank_products

Array = NDArray[np.floating[Any]]
Embedding = Callable[[Array], Array]


@dataclass(frozen=True)
class Comparator:
    """A measure of agreement between dissimilarities and models.

    Attributes
    ----------
    name : str
        As it stands in results.
    compare : callable
        Turns rows (row, pair) and models (model, pair) into scores (row, model).
    embed : callable or None
        Turns rows (row, pair) into vectors whose inner products are the scores, where there are such: then ceilings
        follow from products between participants.
    products : callable or None
        Turns rows and embedded models (value, model) into scores, without writing embedded rows down.
    partial : callable or None
        The same as ``compare`` with controls (control, pair) held constant.
    of_present : callable or None
        Gives the comparison for the pairs that are there, where it depends on which pairs are missing.
    is_ranked : bool
        Whether ranks are compared: means over participants are then means of ranks, which are ranked again.
    from_ranks : callable or None
        Turns centred mid-ranks (row, pair) into what ``embed`` gives for the values that they are ranks of.
    """

    name: str
    compare: kernels.Compare
    embed: Embedding | None = None
    products: Callable[[Array, Array], Array] | None = None
    partial: Callable[[Array, Array, Array], Array] | None = None
    of_present: kernels.OfPresent | None = None
    is_ranked: bool = False
    from_ranks: Embedding | None = None

    def between(self, rows: Array, present: NDArray[np.bool_]) -> Array:
        """Compare rows with one another on the pairs that are there; the products of their embedded vectors.

        Parameters
        ----------
        rows : ndarray, shape (row, present pair)
            Finite.
        present : ndarray of bool, shape (pair,)
            Which of all pairs these are.

        Returns
        -------
        ndarray, shape (row, row)
        """
        if self.of_present is not None:
            return self.of_present(present)(rows, rows)
        assert self.embed is not None  # noqa: S101 - asked for only where there is one
        vectors = self.embed(rows)
        return np.asarray((vectors @ vectors.T).astype(np.float64))


def _rank_vectors(rows: Array) -> Array:
    return np.asarray(centred_ranks(rows, "own")[0])


def _fair_rank_vectors(rows: Array) -> Array:
    return np.asarray(centred_ranks(rows, "untied")[0])


def _fair_rank_products(rows: Array, columns: Array) -> Array:
    return rank_products(rows, columns, "untied")


def _of_own_length(ranks: Array) -> Array:
    return np.asarray(ranks / kernels.lengths(ranks))


def _of_untied_length(ranks: Array) -> Array:
    n_pairs = ranks.shape[1]
    untied = np.sqrt((float(n_pairs) ** 3 - n_pairs) / 12)
    return np.asarray(np.where(np.isnan(kernels.lengths(ranks)), np.nan, ranks) / ranks.dtype.type(untied))


def _centred_vectors(rows: Array) -> Array:
    centred: Array = rows - rows.mean(axis=1, keepdims=True, dtype=np.float64).astype(rows.dtype)
    centred /= kernels.lengths(centred)
    return centred


def _unit_vectors(rows: Array) -> Array:
    return np.asarray(rows / kernels.lengths(rows))


def _whitened_vectors(rows: Array) -> Array:
    return _unit_vectors(kernels.doubly_centred(rows))


def _whitened_centred_vectors(rows: Array) -> Array:
    return _whitened_vectors(kernels.varied(rows))


spearman = Comparator(
    "spearman",
    kernels.spearman,
    _rank_vectors,
    rank_products,
    kernels.partial_spearman,
    is_ranked=True,
    from_ranks=_of_own_length,
)
"""Rank correlation; a model with ties may beat the true one, so see :data:`rho_a`."""

pearson = Comparator("pearson", kernels.pearson, _centred_vectors, kernels.pearson_products, kernels.partial_pearson)
"""Correlation, for distances whose differences mean something."""

rho_a = Comparator(
    "rho-a",
    kernels.rho_a,
    _fair_rank_vectors,
    _fair_rank_products,
    is_ranked=True,
    from_ranks=_of_untied_length,
)
"""Rank correlation with ties broken at random, in expectation; fair to models with ties."""

tau_a = Comparator("tau-a", kernels.tau_a, is_ranked=True)
"""Kendall's tau-a; fair to models with ties, and slow: use rho-a for time courses."""

cosine = Comparator("cosine", kernels.cosine, _unit_vectors)
"""Cosine, for distances whose zero means something."""

whitened_cosine = Comparator(
    "whitened cosine", kernels.whitened_cosine, _whitened_vectors, of_present=kernels.whitened_cosine_of
)
"""Cosine with the covariance of pairs that share an item divided out."""

whitened_correlation = Comparator(
    "whitened correlation",
    kernels.whitened_correlation,
    _whitened_centred_vectors,
    of_present=kernels.whitened_correlation_of,
)
"""Correlation with the covariance of pairs that share an item divided out."""

ALL = (spearman, pearson, rho_a, tau_a, cosine, whitened_cosine, whitened_correlation)
