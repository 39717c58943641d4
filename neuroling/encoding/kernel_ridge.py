"""Kernel ridge regression for many targets, each with its own penalty."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from neuroling.core.gate import features_to_predict, in_own_units
from neuroling.encoding.validation import (
    ALPHAS,
    CrossValidated,
    best_penalties,
    columns,
    of_usable,
    one_step_in,
    spread,
    warn_at_edge,
    warn_if_shrunk,
)
from neuroling.numerics.device import resolve_device, to_tensor
from neuroling.numerics.memory import TILE_TARGETS, Targets
from neuroling.numerics.ridge.alpha_search import cv_fit
from neuroling.numerics.ridge.gram import Design
from neuroling.numerics.ridge.kernels import Kernel, Linear, Polynomial, RadialBasis
from neuroling.numerics.ridge.refit import fit_dual

KERNELS = ("linear", "rbf", "polynomial")


class KernelRidgeCV(CrossValidated):
    r"""Kernel ridge regression whose penalty is chosen per target inside the training set.

    The prediction is :math:`\hat y(x) = b + \sum_i w_i k(x, x_i)` with an intercept that is not penalised and weights
    that minimise squared error plus :math:`\alpha` times the squared norm in the space of the kernel.

    Parameters
    ----------
    alphas : sequence of float
        Penalties to try, each above 0.
    kernel : str
        ``"linear"``: :math:`x^\top z`; ``"rbf"``: :math:`\exp(-\gamma \lVert x - z \rVert^2)`; ``"polynomial"``:
        :math:`(\gamma x^\top z + c)^d`.
    gamma : float, optional
        Factor in the kernel, above 0; one over the number of features by default. Not used by the linear kernel.
    degree : int
        Power of the polynomial, at least 1.
    constant : float
        Constant of the polynomial, at least 0.
    folds, batch_targets, max_memory, targets_on_device, unusable_targets, device
        As in :class:`neuroling.RidgeCV`.

    Attributes
    ----------
    alpha_ : ndarray, shape (target,), or float
        The penalty chosen.
    cv_scores_ : ndarray, shape (alpha, target)
        Held-out :math:`R^2`; NaN for constant targets, which get the largest penalty.
    share_at_edge_ : float
        Share of targets whose penalty is the smallest or largest tried.
    dual_coef_ : ndarray, shape (sample, target) or (sample,)
        Weights of the training samples, in the dtype of the targets.
    intercept_ : ndarray, shape (target,), or scalar
        What is added to the weighted kernel values.
    X_fit_ : ndarray, shape (sample, feature)
        Training features.
    constant_targets_, unusable_targets_ : ndarray of int
        Indices of the targets that are constant, and of those left out.
    n_features_in_ : int
        Number of features seen at ``fit``.

    Examples
    --------
    >>> X = np.linspace(-2, 2, 40)[:, None]
    >>> model = KernelRidgeCV(alphas=(1e-3, 1.0), kernel="rbf", gamma=1.0, device="cpu").fit(X, np.sin(3 * X[:, 0]))
    >>> float(model.predict(np.zeros((1, 1)))[0].round(2)) == 0.0
    True
    """

    def __init__(
        self,
        alphas: Sequence[float] = ALPHAS,
        *,
        kernel: str = "linear",
        gamma: float | None = None,
        degree: int = 3,
        constant: float = 1.0,
        folds: Any = None,
        batch_targets: int | None = None,
        max_memory: int | None = None,
        targets_on_device: bool = False,
        unusable_targets: str = "refuse",
        device: str = "auto",
    ) -> None:
        self.alphas = alphas
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.constant = constant
        self.folds = folds
        self.batch_targets = batch_targets
        self.max_memory = max_memory
        self.targets_on_device = targets_on_device
        self.unusable_targets = unusable_targets
        self.device = device

    independent_targets = True
    """Whether the prediction of a target is the same whatever other targets are fitted beside it."""

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Choose the penalty of every target and fit the weights.

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
        KernelRidgeCV
            Itself.
        """
        alphas, limits = self._checked_alphas(), self._limits()
        features, y, n_axes, groups, _ = self._read(X, y, groups)
        kernel, folds = self._kernel(features.shape[1]), self._inner_folds(features, y, groups)
        (usable, _, largest), device = self._usable(y), resolve_device(self.device)
        values, units = in_own_units(of_usable(y, usable), largest[usable])
        targets = Targets(values, device, limits)
        design = Design.of_kernel(kernel, to_tensor(features, device))
        warn_if_shrunk(alphas, design.trace(), features.shape)
        scores, kept = cv_fit(design, targets, folds, alphas)
        best_alpha = best_penalties(alphas, scores)
        dual, mean = fit_dual(design, targets, best_alpha, (alphas, kept))
        offset = mean if design.features is not None else mean - _at_the_mean_sample(design, dual)
        intercept = units.back(offset.astype(dual.dtype))
        self._store(spread(units.back(dual), usable), spread(intercept, usable), n_axes)
        self.X_fit_ = features
        self.cv_scores_ = spread(scores, usable)
        self.share_at_edge_ = float(np.isin(best_alpha, [alphas.min(), alphas.max()]).mean())
        self.alpha_ = spread(best_alpha, usable) if n_axes == 2 else float(best_alpha[0])
        warn_at_edge(alphas, best_alpha, np.nanmax(scores, 0, initial=-np.inf), one_step_in(alphas, best_alpha, scores))
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
        device = resolve_device(self.device)
        seen, new = (to_tensor(rows, device, torch.float64) for rows in (self.X_fit_, features))
        dual = to_tensor(columns(self.dual_coef_), device)
        if self.kernel == "linear":  # features were centred; other kernels see them as they are
            seen, new = seen - seen.mean(0), new - seen.mean(0)
        across = self._kernel(seen.shape[1])(new, seen).to(dual.dtype)
        predicted: NDArray[np.floating] = (across @ dual).cpu().numpy() + self.intercept_  # (sample, target)
        return predicted if self.dual_coef_.ndim == 2 else predicted[:, 0]

    def _store(self, dual: NDArray[np.floating], offset: NDArray[np.floating], n_axes: int) -> None:
        self.dual_coef_ = dual if n_axes == 2 else dual[:, 0]  # (sample, target) or (sample,)
        self.intercept_ = offset if n_axes == 2 else offset[0]

    def _kernel(self, n_features: int) -> Kernel:
        return checked_kernel(self.kernel, self.gamma, self.degree, self.constant, n_features)


def _at_the_mean_sample(design: Design, dual: NDArray[np.floating]) -> NDArray[np.float64]:
    """Weighted kernel values (target,) of the mean sample, which must be predicted by the mean of the targets."""
    centre = design.full_gram().mean(0).cpu().numpy()
    tiles = [slice(start, start + TILE_TARGETS) for start in range(0, dual.shape[1], TILE_TARGETS)]
    return np.concatenate([centre @ dual[:, tile] for tile in tiles])


def checked_kernel(kernel: str, gamma: float | None, degree: int, constant: float, n_features: int) -> Kernel:
    """Check the numbers of a kernel, and make it.

    Parameters
    ----------
    kernel : str
        ``"linear"``, ``"rbf"`` or ``"polynomial"``.
    gamma : float or None
        Factor; one over the number of features if None.
    degree : int
        Power of the polynomial.
    constant : float
        Constant of the polynomial.
    n_features : int
        Number of features.

    Returns
    -------
    Kernel

    Raises
    ------
    ValueError
        If one of them makes no kernel.

    Examples
    --------
    >>> checked_kernel("rbf", None, 3, 1.0, n_features=4)
    RadialBasis(gamma=0.25)
    """
    if kernel not in KERNELS:
        raise ValueError(f"kernel: got {kernel!r}; expected one of {', '.join(KERNELS)}.")
    factor = 1 / n_features if gamma is None else gamma
    if not isinstance(factor, numbers.Real) or not 0 < factor < np.inf:
        raise ValueError(f"gamma: got {gamma!r}; expected a finite number above 0, or None.")
    if not isinstance(degree, numbers.Integral) or degree < 1:
        raise ValueError(f"degree: got {degree!r}; expected a whole number of at least 1.")
    if not isinstance(constant, numbers.Real) or not 0 <= constant < np.inf:
        raise ValueError(f"constant: got {constant!r}; expected a finite number of at least 0.")
    if kernel == "linear":
        return Linear()
    if kernel == "rbf":
        return RadialBasis(float(factor))
    return Polynomial(float(factor), int(degree), float(constant))
