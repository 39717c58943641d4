"""The structural probe of Hewitt and Manning (2019): a linear map after which squared lengths are tree distances."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from neuroling.numerics.device import resolve_device

Floats = NDArray[np.floating[Any]]
INITIAL = 0.05
"""Largest entry of the map at the start, as in the authors' code."""


class StructuralProbe(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    r"""Predict squared lengths after a linear map, :math:`\lVert B x \rVert^2`.

    With differences of the vectors of two words (:func:`~neuroling.probing.pairs.word_pairs`) this is the distance
    probe, :math:`\lVert B (h_i - h_j) \rVert^2`, and with the vectors themselves
    (:func:`~neuroling.probing.pairs.word_depths`) the depth probe. The loss is the absolute error, averaged in each
    sentence and then over sentences, minimised by Adam with a learning rate that falls to zero.

    Parameters
    ----------
    rank : int
        Rows of :math:`B`; the rank of the metric is at most that.
    n_epochs : int
        Passes through all sentences.
    learning_rate : float
        Of Adam at the start.
    batch_groups : int
        Sentences a step.
    seed : int
        Of the first map and of the order of sentences.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"`` …

    Attributes
    ----------
    projection_ : ndarray, shape (rank, feature)
        The map :math:`B`.
    losses_ : ndarray, shape (epoch,)
        Mean loss in each pass.
    n_features_in_ : int
        Number of features.

    References
    ----------
    Hewitt, J. and Manning, C. D. (2019). A structural probe for finding syntax in word representations. NAACL.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((400, 5))
    >>> probe = StructuralProbe(2, n_epochs=300, learning_rate=0.02).fit(X, X[:, 0] ** 2 + X[:, 1] ** 2)
    >>> (probe.projection_.T @ probe.projection_).round(1).diagonal().tolist()
    [1.0, 1.0, 0.0, 0.0, 0.0]
    """

    def __init__(
        self,
        rank: int = 64,
        *,
        n_epochs: int = 20,
        learning_rate: float = 1e-3,
        batch_groups: int = 20,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.rank = rank
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.batch_groups = batch_groups
        self.seed = seed
        self.device = device

    def fit(self, X: Floats, y: Floats, groups: NDArray[np.generic] | None = None) -> Self:
        """Find the map.

        Parameters
        ----------
        X : ndarray, shape (sample, feature)
            Differences of pairs of words, or words.
        y : ndarray, shape (sample,) or (sample, 1)
            Distances or depths.
        groups : ndarray, optional, shape (sample,)
            Sentence of each sample. Without it samples are cut into stretches of a hundred, which weigh the same.
        """
        X, target = self._checked(X, y)
        device = resolve_device(self.device)
        generator = torch.Generator().manual_seed(self.seed)
        scale = float(np.sqrt(np.mean(np.square(X, dtype=np.float64)))) or 1.0
        x, t = (torch.as_tensor(np.ascontiguousarray(a, dtype=np.float32), device=device) for a in (X, target))
        order, sizes = _by_group(groups, len(X))
        start = (torch.rand((self.rank, X.shape[1]), generator=generator) * 2 - 1) * (INITIAL / scale)
        B = start.to(device).requires_grad_()
        optimiser = torch.optim.Adam([B], lr=self.learning_rate / scale)
        batches = -(-len(sizes) // self.batch_groups)
        schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.01, total_iters=self.n_epochs * batches)
        losses = []
        for _ in range(self.n_epochs):
            total = 0.0
            for batch in torch.split(torch.randperm(len(sizes), generator=generator), self.batch_groups):
                rows = torch.cat([order[sizes[g]] for g in batch.tolist()]).to(device)
                share = torch.cat([_share(sizes[g]) for g in batch.tolist()]).to(device)  # (sample,), 1 a sentence
                error = ((x[rows] @ B.T).square().sum(1) - t[rows]).abs() @ share
                optimiser.zero_grad()
                (error / len(batch)).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
                optimiser.step()
                schedule.step()
                total += float(error.detach())
            losses.append(total / len(sizes))
        self.projection_ = B.detach().cpu().numpy()
        self.losses_ = np.asarray(losses)
        self.n_features_in_ = X.shape[1]
        if not np.isfinite(self.projection_).all():
            raise ValueError(
                f"learning_rate: with {self.learning_rate} the probe diverged (loss {losses[-1]}); try a tenth of it."
            )
        return self

    def predict(self, X: Floats) -> Floats:
        """Give squared lengths after the map.

        Parameters
        ----------
        X : ndarray, shape (sample, feature)
            As for :meth:`fit`.

        Returns
        -------
        ndarray, shape (sample,)
            At least 0.
        """
        if not hasattr(self, "projection_"):
            raise ValueError("StructuralProbe: it has not been fitted; call fit first.")
        values = np.asarray(X)
        if values.ndim != 2 or values.shape[1] != self.n_features_in_:
            raise ValueError(f"X: got shape {values.shape}; expected {self.n_features_in_} features, as in fit.")
        return np.asarray(np.square(values.astype(np.float32) @ self.projection_.T).sum(1))

    def _checked(self, X: Floats, y: Floats) -> tuple[Floats, Floats]:
        if min(self.rank, self.n_epochs, self.batch_groups) < 1 or not self.learning_rate > 0:
            raise ValueError(
                f"StructuralProbe: got rank {self.rank}, n_epochs {self.n_epochs}, batch_groups {self.batch_groups}, "
                f"learning_rate {self.learning_rate}; expected all above zero."
            )
        X, y = np.asarray(X), np.asarray(y)
        target = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
        if X.ndim != 2 or target.shape != (len(X),) or not len(X):
            raise ValueError(f"X, y: got shapes {X.shape} and {y.shape}; expected (sample, feature) and (sample,).")
        if not (np.isfinite(X).all() and np.isfinite(target).all()):
            raise ValueError("X, y: some values are NaN or infinite; expected finite numbers.")
        if target.min() < 0:
            raise ValueError(f"y: the smallest is {target.min()}; distances and depths are at least 0.")
        return X, target


def _by_group(groups: NDArray[np.generic] | None, n: int) -> tuple[torch.Tensor, list[slice]]:
    """Give the rows sorted by group, and where each group lies among them."""
    codes = np.arange(n) // 100 if groups is None else np.unique(groups, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(codes.max() + 2))
    slices = [slice(a, b) for a, b in pairwise(edges.tolist())]
    return torch.as_tensor(order), slices


def _share(rows: slice) -> torch.Tensor:
    n = rows.stop - rows.start
    return torch.full((n,), 1 / n)
