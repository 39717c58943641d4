r"""Kernels: inner products of samples in a space of functions of their features.

A Gram matrix :math:`K_{ij} = k(x_i, x_j)` is centred by the mean of the *training* samples in that space, which is what
an intercept that is never penalised amounts to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from neuroling.numerics.products import multiply


class Kernel(Protocol):
    """A function that gives the inner products of two sets of samples."""

    def __call__(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Turn features (one, feature) and (other, feature) into inner products (one, other)."""
        ...


@dataclass(frozen=True)
class Linear:
    r"""The inner product of the features, :math:`x^\top z`.

    Examples
    --------
    >>> Linear()(torch.eye(2), torch.ones(1, 2)).tolist()
    [[1.0], [1.0]]
    """

    def __call__(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Give inner products (one, other)."""
        return multiply(first, second.T)


@dataclass(frozen=True)
class RadialBasis:
    r"""The Gaussian of the distance, :math:`\exp(-\gamma \lVert x - z \rVert^2)`.

    Parameters
    ----------
    gamma : float
        Inverse of twice the squared width, above 0.

    Examples
    --------
    >>> RadialBasis(gamma=1.0)(torch.zeros(1, 1), torch.tensor([[0.0], [1.0]])).round(decimals=3).tolist()
    [[1.0, 0.36800000071525574]]
    """

    gamma: float

    def __call__(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Give kernel values (one, other)."""
        shift = first.mean(0)  # distances know no origin, and small numbers lose fewer digits
        first, second = first - shift, second - shift
        lengths = first.square().sum(1)[:, None] + second.square().sum(1)
        squared = multiply(first, second.T).mul_(-2).add_(lengths).clamp_(min=0)
        return squared.mul_(-self.gamma).exp_()


@dataclass(frozen=True)
class Polynomial:
    r"""A power of the inner product, :math:`(\gamma x^\top z + c)^d`.

    Parameters
    ----------
    gamma : float
        Factor, above 0.
    degree : int
        Power, at least 1.
    constant : float
        What is added before the power is taken; at least 0.

    Examples
    --------
    >>> Polynomial(gamma=1.0, degree=2, constant=1.0)(torch.ones(1, 1), torch.tensor([[2.0]])).tolist()
    [[9.0]]
    """

    gamma: float
    degree: int
    constant: float

    def __call__(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Give kernel values (one, other)."""
        return multiply(first, second.T).mul_(self.gamma).add_(self.constant).pow_(self.degree)


def centre_gram(gram: torch.Tensor) -> torch.Tensor:
    """Take the mean sample from both sides of a Gram matrix.

    Parameters
    ----------
    gram : Tensor, shape (sample, sample)

    Returns
    -------
    Tensor, shape (sample, sample)
        Rows and columns sum to zero.

    Examples
    --------
    >>> centre_gram(torch.tensor([[1.0, 2.0], [2.0, 4.0]])).tolist()
    [[0.25, -0.25], [-0.25, 0.25]]
    """
    mean = gram.mean(0)
    centred = gram - mean
    return centred.sub_(centred.mean(1, keepdim=True))


def to_contrasts(values: torch.Tensor) -> torch.Tensor:
    r"""Give coordinates of rows in an orthonormal basis of all contrasts, the vectors that sum to zero.

    What is constant over samples drops out. A centred Gram matrix has one eigenvalue that is zero but for rounding,
    and beside a small penalty that rounding is no longer small; among contrasts there is no such direction. The basis
    is a Householder reflection of the unit vectors but the first, so that this takes one pass.

    Parameters
    ----------
    values : Tensor, shape (sample, other)
        At least 2 samples.

    Returns
    -------
    Tensor, shape (sample - 1, other)

    Examples
    --------
    >>> to_contrasts(torch.tensor([[1.0], [3.0]])).abs().square().round(decimals=4)  # half of a difference squared
    tensor([[2.]])
    """
    n_samples = len(values)
    shift = values[0] / n_samples**0.5 - values[1:].sum(0) / (n_samples - n_samples**0.5)
    coordinates: torch.Tensor = values[1:] + shift
    return coordinates


def from_contrasts(coordinates: torch.Tensor) -> torch.Tensor:
    """Turn coordinates of :func:`to_contrasts` into vectors of samples that sum to zero.

    Parameters
    ----------
    coordinates : Tensor, shape (sample - 1, other)

    Returns
    -------
    Tensor, shape (sample, other)

    Examples
    --------
    >>> from_contrasts(to_contrasts(torch.tensor([[1.0], [3.0]]))).round(decimals=4).flatten().tolist()
    [-1.0, 1.0]
    """
    n_samples, total = len(coordinates) + 1, coordinates.sum(0)
    return torch.cat([total[None] / n_samples**0.5, coordinates - total / (n_samples - n_samples**0.5)])


def fold_grams(gram: torch.Tensor, train: torch.Tensor, test: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut a Gram matrix into training and test parts, both less the mean of the training samples.

    Parameters
    ----------
    gram : Tensor, shape (sample, sample)
    train, test : Tensor of int, shapes (train,) and (test,)
        Row numbers.

    Returns
    -------
    train_gram : Tensor, shape (train, train)
    test_gram : Tensor, shape (test, train)
    """
    block, across = gram[train][:, train], gram[test][:, train]
    mean = block.mean(0)  # (train,)
    total = mean.mean()
    block = block.sub_(mean).sub_((mean - total)[:, None])
    across = across.sub_(across.mean(1, keepdim=True)).sub_(mean - total)
    return block, across
