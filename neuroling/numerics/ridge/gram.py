"""Features or a Gram matrix, the rows of folds, and factors of shifted Gram matrices."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from neuroling.numerics.device import room
from neuroling.numerics.products import cholesky, invert, multiply
from neuroling.numerics.ridge.decomposition import Folds
from neuroling.numerics.ridge.kernels import Kernel, Linear

FLOAT32_CONDITION = 3e4
"""Largest ratio of the first eigenvalue to the penalty for which a float32 Cholesky factor is good enough.

The relative error of a score is about 5e-5 at a ratio of 1.5e5 and 1e-5 at 1e4, where an eigendecomposition in float32
would lose two digits more (measured on 2,400 training samples of 3,072 features). Beyond it, float64 is used."""

POWER_STEPS = 12

SLABS = 8
"""Largest number of runs of rows that are copied one after the other; a heuristic."""


@dataclass(frozen=True)
class Design:
    """Features or a Gram matrix, on the device, in float64.

    Attributes
    ----------
    gram : Tensor or None, shape (sample, sample)
        Inner products of samples, any origin; None if only features are needed.
    features : Tensor or None, shape (sample, feature)
        Features less their mean; None for a kernel that is not linear.
    """

    gram: torch.Tensor | None
    features: torch.Tensor | None

    @classmethod
    def linear(cls, features: torch.Tensor) -> Design:
        """Take features; their Gram matrix is made only where they outnumber samples.

        Parameters
        ----------
        features : Tensor, shape (sample, feature)
            In any precision; the design is in float64.
        """
        centred = features.to(torch.float64, copy=True)
        centred -= centred.mean(0)
        wide = centred.shape[1] >= centred.shape[0]
        return cls(multiply(centred, centred.T) if wide else None, centred)

    @classmethod
    def of_kernel(cls, kernel: Kernel, features: torch.Tensor) -> Design:
        """Take features as a kernel sees them; a linear one keeps the features, less their mean.

        Parameters
        ----------
        kernel : Kernel
            Gives inner products.
        features : Tensor, shape (sample, feature)
        """
        if isinstance(kernel, Linear):
            return cls.linear(features)
        features = features.to(torch.float64)
        return cls(kernel(features, features), None)

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        some = self.gram if self.gram is not None else self.features
        return 0 if some is None else len(some)

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return (self.gram if self.features is None else self.features).device  # type: ignore[union-attr]  # one is there

    @property
    def n_bytes(self) -> int:
        """Bytes held."""
        return sum(part.nbytes for part in (self.gram, self.features) if part is not None)

    @property
    def rank(self) -> int:
        """Largest possible rank of the centred Gram matrix."""
        n_features = self.n_samples if self.features is None else self.features.shape[1]
        return min(self.n_samples, n_features)

    def full_gram(self) -> torch.Tensor:
        """Give the Gram matrix."""
        if self.gram is not None:
            return self.gram
        assert self.features is not None  # noqa: S101 - one of the two is there
        return multiply(self.features, self.features.T)

    def trace(self) -> float:
        """Give the trace of the centred Gram matrix."""
        if self.features is not None:
            return float(torch.linalg.vector_norm(self.features)) ** 2
        gram = self.full_gram()
        return float(gram.diagonal().sum() - gram.mean() * len(gram))


class Fold(NamedTuple):
    """Row numbers of a fold, on the device."""

    train: torch.Tensor
    test: torch.Tensor


def to_folds(folds: Folds, device: torch.device) -> list[Fold]:
    """Bring row numbers to the device.

    Parameters
    ----------
    folds : sequence of (train, test)
        Row numbers.
    device : torch.device

    Returns
    -------
    list of Fold
    """
    return [
        Fold(*(torch.from_numpy(np.ascontiguousarray(rows, dtype=np.int64)).to(device) for rows in fold))
        for fold in folds
    ]


def take(matrix: torch.Tensor, rows: torch.Tensor, axis: int) -> torch.Tensor:
    """Take rows or columns, as slabs where they run on: much faster than one by one.

    Parameters
    ----------
    matrix : Tensor, shape (row, column)
    rows : Tensor of int, shape (chosen,)
        Which.
    axis : int
        0 for rows, 1 for columns.

    Returns
    -------
    Tensor
        A view where the chosen ones are one slab.

    Examples
    --------
    >>> take(torch.arange(6).reshape(2, 3), torch.tensor([0, 2]), axis=1).tolist()
    [[0, 2], [3, 5]]
    """
    cut = slabs(rows)
    if len(cut) > SLABS:
        return matrix.index_select(axis, rows)
    parts = [matrix.narrow(axis, slab.start, slab.stop - slab.start) for slab in cut]
    return parts[0] if len(parts) == 1 else torch.cat(parts, axis)


def slabs(rows: torch.Tensor) -> list[slice]:
    """Cut row numbers into stretches that run on.

    Parameters
    ----------
    rows : Tensor of int, shape (chosen,)

    Returns
    -------
    list of slice

    Examples
    --------
    >>> slabs(torch.tensor([0, 1, 4, 5]))
    [slice(0, 2, None), slice(4, 6, None)]
    """
    breaks = (torch.nonzero(rows[1:] != rows[:-1] + 1).flatten() + 1).tolist()
    bounds = pairwise([0, *breaks, len(rows)])
    return [slice(first := int(rows[start]), first + stop - start) for start, stop in bounds]


def largest_eigenvalue(gram: torch.Tensor) -> float:
    """Estimate the largest eigenvalue of a positive semi-definite matrix by power iteration, from below.

    Parameters
    ----------
    gram : Tensor, shape (sample, sample)

    Returns
    -------
    float
    """
    vector = gram[gram.diagonal().argmax()].clone()  # a column is seldom orthogonal to the first eigenvector
    length = torch.linalg.vector_norm(vector)
    for _ in range(POWER_STEPS):
        if not float(length) > 0:
            return 0.0
        vector = gram @ (vector / length)
        length = torch.linalg.vector_norm(vector)
    return float(length)


def factor_dtype(largest: float, alpha: float, dtype: torch.dtype) -> torch.dtype:
    """Choose the precision of a Cholesky factor.

    Parameters
    ----------
    largest : float
        Largest eigenvalue.
    alpha : float
        Penalty.
    dtype : torch.dtype
        Of the targets.

    Returns
    -------
    torch.dtype
    """
    return dtype if largest <= FLOAT32_CONDITION * alpha else torch.float64


class ShiftedGram:
    """Cholesky factors of a Gram matrix with any penalty on its diagonal, each in the precision that it needs.

    It keeps copies of its own, one for each precision and use, and writes over them: whatever :meth:`factor` or
    :meth:`inverse` gave is gone at the next call.

    Parameters
    ----------
    gram : Tensor, shape (sample, sample)
        Symmetric, positive semi-definite, float64.
    dtype : torch.dtype
        Of the targets; the precision of well-conditioned factors.
    """

    def __init__(self, gram: torch.Tensor, dtype: torch.dtype) -> None:
        self._gram = gram
        self._dtype = dtype
        self._largest = largest_eigenvalue(gram)
        self._rooms: dict[tuple[str, torch.dtype], torch.Tensor] = {}

    def factor(self, alpha: float) -> torch.Tensor:
        """Factor the matrix with a penalty on its diagonal.

        Parameters
        ----------
        alpha : float

        Returns
        -------
        Tensor, shape (sample, sample)
            Lower triangular, of the dtype that :func:`factor_dtype` takes.
        """
        return cholesky(self._shifted("factor", alpha))

    def inverse(self, alpha: float) -> torch.Tensor:
        """Invert the matrix with a penalty on its diagonal, by its factor.

        Parameters
        ----------
        alpha : float

        Returns
        -------
        Tensor, shape (sample, sample)
            Of the dtype that :func:`factor_dtype` takes.
        """
        return invert(self._shifted("inverse", alpha))

    def _shifted(self, use: str, alpha: float) -> torch.Tensor:
        """Write the matrix with a penalty on its diagonal into the memory for one use."""
        kind = factor_dtype(self._largest, alpha, self._dtype)
        if (use, kind) not in self._rooms:
            self._rooms[use, kind] = room(*self._gram.shape, dtype=kind, device=self._gram.device)
        shifted = self._rooms[use, kind].copy_(self._gram)
        shifted.diagonal().copy_(self._gram.diagonal() + alpha)
        return shifted
