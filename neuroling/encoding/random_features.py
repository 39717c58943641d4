"""Kernel ridge by random features: for more samples than a Gram matrix can be decomposed for."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from neuroling.core.gate import features_to_predict
from neuroling.core.notices import without
from neuroling.encoding.kernel_ridge import checked_kernel
from neuroling.encoding.ridge import RidgeCV
from neuroling.encoding.validation import ALPHAS, CrossValidated
from neuroling.numerics.device import resolve_device, to_tensor
from neuroling.numerics.ridge.kernels import Polynomial, RadialBasis
from neuroling.numerics.ridge.random_features import FourierFeatures, SketchFeatures


class RandomFeatureRidgeCV(CrossValidated):
    r"""Ridge regression on random features of a kernel, with a penalty per target.

    An approximation of :class:`neuroling.KernelRidgeCV` whose cost grows with samples times random features instead of
    samples squared. Its error shrinks with the root of the number of random features.

    Parameters
    ----------
    alphas : sequence of float
        Penalties to try, each above 0; they mean what they mean for the kernel.
    kernel : str
        ``"rbf"`` (orthogonal Fourier features) or ``"polynomial"`` (sketches).
    n_random : int
        Number of random features, at least 2.
    gamma : float, optional
        Factor in the kernel, above 0; one over the number of features by default.
    degree : int
        Power of the polynomial, at least 1.
    constant : float
        Constant of the polynomial, at least 0.
    seed : int
        Seed of the draw.
    folds, batch_targets, max_memory, targets_on_device, unusable_targets, device
        As in :class:`neuroling.RidgeCV`.

    Attributes
    ----------
    features_ : callable
        The map that was drawn.
    ridge_ : RidgeCV
        The model of the mapped features.
    alpha_, cv_scores_, share_at_edge_, constant_targets_, unusable_targets_
        As in :class:`neuroling.RidgeCV`.
    n_features_in_ : int
        Number of features seen at ``fit``.

    Examples
    --------
    >>> X = np.linspace(-2, 2, 60)[:, None]
    >>> model = RandomFeatureRidgeCV(alphas=(1e-3, 1.0), n_random=200, gamma=1.0, device="cpu")
    >>> float(model.fit(X, np.sin(3 * X[:, 0])).score(X, np.sin(3 * X[:, 0]))) > 0.99
    True
    """

    independent_targets = True
    """Whether the prediction of a target is the same whatever other targets are fitted beside it."""

    def __init__(
        self,
        alphas: Sequence[float] = ALPHAS,
        *,
        kernel: str = "rbf",
        n_random: int = 2000,
        gamma: float | None = None,
        degree: int = 3,
        constant: float = 1.0,
        seed: int = 0,
        folds: Any = None,
        batch_targets: int | None = None,
        max_memory: int | None = None,
        targets_on_device: bool = False,
        unusable_targets: str = "refuse",
        device: str = "auto",
    ) -> None:
        self.alphas = alphas
        self.kernel = kernel
        self.n_random = n_random
        self.gamma = gamma
        self.degree = degree
        self.constant = constant
        self.seed = seed
        self.folds = folds
        self.batch_targets = batch_targets
        self.max_memory = max_memory
        self.targets_on_device = targets_on_device
        self.unusable_targets = unusable_targets
        self.device = device

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Draw the random features, choose the penalty of every target and fit the weights.

        Parameters
        ----------
        X : array-like, shape (sample, feature)
            Features.
        y : array-like, shape (sample, target) or (sample,)
            Targets; their dtype, float32 or float64, is that of weights and predictions.
        groups : array-like, shape (sample,), optional
            Runs, stories or lists; handed to ``folds.split``.

        Returns
        -------
        RandomFeatureRidgeCV
            Itself.
        """
        features, targets, n_axes, groups, _ = self._read(X, y, groups)
        self.features_ = self._draw(features.shape[1])
        with without("constant-features"):  # of random features, which say nothing about X
            self.ridge_ = RidgeCV(
                self.alphas,
                folds=self.folds,
                batch_targets=self.batch_targets,
                max_memory=self.max_memory,
                targets_on_device=self.targets_on_device,
                unusable_targets=self.unusable_targets,
                device=self.device,
            ).fit(self._mapped(features), targets if n_axes == 2 else targets[:, 0], groups)
        self.alpha_, self.cv_scores_ = self.ridge_.alpha_, self.ridge_.cv_scores_
        self.share_at_edge_ = self.ridge_.share_at_edge_
        self.constant_targets_, self.unusable_targets_ = self.ridge_.constant_targets_, self.ridge_.unusable_targets_
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.floating]:
        """Predict targets.

        Parameters
        ----------
        X : array-like, shape (sample, feature)
            Features.

        Returns
        -------
        ndarray, shape (sample, target) or (sample,)
            As the targets had at ``fit``, in their dtype.
        """
        check_is_fitted(self)
        features = features_to_predict(self, X)
        predicted: NDArray[np.floating] = self.ridge_.predict(self._mapped(features))
        return predicted

    def _draw(self, n_inputs: int) -> Callable[[torch.Tensor], torch.Tensor]:
        if not isinstance(self.n_random, numbers.Integral) or self.n_random < 2:
            raise ValueError(f"n_random: got {self.n_random!r}; expected a whole number of at least 2.")
        kernel = checked_kernel(self.kernel, self.gamma, self.degree, self.constant, n_inputs)
        size, rng = int(self.n_random), np.random.default_rng(self.seed)
        if isinstance(kernel, RadialBasis):
            return FourierFeatures.draw(n_inputs, size, gamma=kernel.gamma, rng=rng)
        if isinstance(kernel, Polynomial):
            options = {"gamma": kernel.gamma, "constant": kernel.constant}
            return SketchFeatures.draw(n_inputs, size, degree=kernel.degree, rng=rng, **options)
        raise ValueError("kernel: got 'linear', which needs no random features; use RidgeCV.")

    def _mapped(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        rows = to_tensor(features, resolve_device(self.device), torch.float64)
        mapped: NDArray[np.float64] = self.features_(rows).cpu().numpy()
        return mapped
