"""Banded ridge regression: several feature spaces, one penalty for each of them and every target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from neuroling.core.bands import Bands as FeatureSpaces
from neuroling.core.bands import band_columns
from neuroling.core.feature_bands import check_bands
from neuroling.core.gate import features_to_predict, in_own_units
from neuroling.encoding.band_search import BandSearch, DirichletSearch
from neuroling.encoding.ridge import Linear
from neuroling.encoding.validation import ALPHAS, CrossValidated, of_usable, spread, warn_at_edge, warn_if_shrunk
from neuroling.numerics.device import resolve_device
from neuroling.numerics.memory import Targets
from neuroling.numerics.ridge.banded import Bands, fit_bands
from neuroling.numerics.ridge.choice_forms import error_forms
from neuroling.numerics.ridge.decomposition import predict_ridge, prediction_operators

AT_ONCE = 256
"""Targets whose weights are widened to float64 at a time; a heuristic."""


class BandedRidgeCV(CrossValidated, Linear):
    r"""Ridge regression on several feature spaces, each with its own penalty for every target.

    Minimises :math:`\lVert y - b - \sum_s X_s \beta_s \rVert^2 + \sum_s \lambda_s \lVert \beta_s \rVert^2` with
    :math:`\lambda_s = \alpha / \gamma_s`; the weights :math:`\gamma` of the spaces and :math:`\alpha` are chosen for
    every target by held-out :math:`R^2` over inner folds.

    Parameters
    ----------
    bands : mapping of str to slice or columns, sequence of (name, columns), sequence of labels, or None
        The feature spaces: :func:`neuroling.bands_of` reads them off the labels of the features, delayed or not. For
        bare arrays: which columns of ``X`` each of them has, as a slice or as column numbers; or one label per column.
        Every column belongs to exactly one. None takes all columns as one space.
    alphas : sequence of float
        Penalties to try, each above 0.
    search : BandSearch, optional
        How weights are searched for: :class:`neuroling.DirichletSearch` (the default) or
        :class:`neuroling.GradientSearch`.
    folds, batch_targets, max_memory, targets_on_device, unusable_targets, device
        As in :class:`neuroling.RidgeCV`.

    Attributes
    ----------
    band_names_ : list of str
        Names of the feature spaces, in the order of all results.
    band_weights_ : ndarray, shape (band, target) or (band,)
        Weights :math:`\gamma`.
    alpha_ : ndarray, shape (target,), or float
        Penalty :math:`\alpha` beside these weights.
    penalties_ : ndarray, shape (band, target) or (band,)
        What is added to :math:`X_s^\top X_s`: :math:`\alpha / \gamma_s`, infinite for a space that is not used.
    cv_scores_ : ndarray, shape (step, target)
        Held-out :math:`R^2` of every step of the search; NaN for constant targets.
    share_at_edge_ : float
        Share of targets whose penalty is the smallest or largest tried.
    coef_ : ndarray, shape (target, feature) or (feature,)
        Weights, in the dtype of the targets.
    intercept_ : ndarray, shape (target,), or scalar
        Predictions at zero features.
    feature_means_ : ndarray, shape (feature,)
        Means of the training features, where :meth:`predict_bands` puts its zero.
    constant_targets_, unusable_targets_ : ndarray of int
        Indices of the targets that are constant, and of those left out.
    n_features_in_ : int
        Number of features seen at ``fit``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((60, 6))
    >>> y = X[:, :3].sum(1) + rng.standard_normal(60)
    >>> model = BandedRidgeCV({"words": slice(0, 3), "sound": slice(3, 6)}, device="cpu").fit(X, y)
    >>> bool(model.band_weights_[0] > model.band_weights_[1])
    True
    >>> model.predict_bands(X).shape
    (2, 60)
    """

    independent_targets = True
    """Whether the prediction of a target is the same whatever other targets are fitted beside it."""

    def __init__(
        self,
        bands: FeatureSpaces | None = None,
        alphas: Sequence[float] = ALPHAS,
        *,
        search: BandSearch | None = None,
        folds: Any = None,
        batch_targets: int | None = None,
        max_memory: int | None = None,
        targets_on_device: bool = False,
        unusable_targets: str = "refuse",
        device: str = "auto",
    ) -> None:
        self.bands = bands
        self.alphas = alphas
        self.search = search
        self.folds = folds
        self.batch_targets = batch_targets
        self.max_memory = max_memory
        self.targets_on_device = targets_on_device
        self.unusable_targets = unusable_targets
        self.device = device

    def check_features(self, features: xr.DataArray) -> None:
        """Refuse features whose labels do not agree with the bands; ``evaluate`` asks before it fits.

        Parameters
        ----------
        features : xarray.DataArray, dims (sample, feature)
            What the model is to be fitted to.
        """
        check_bands(self.bands, features)

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Choose weights of the spaces and penalties, and fit.

        Parameters
        ----------
        X : array-like, shape (sample, feature)
            Features of all spaces side by side.
        y : array-like, shape (sample, target) or (sample,)
            Targets; their dtype, float32 or float64, is that of weights and predictions.
        groups : array-like, shape (sample,), optional
            Runs, stories or lists; handed to ``folds.split``.

        Returns
        -------
        BandedRidgeCV
            Itself.
        """
        alphas, limits = self._checked_alphas(), self._limits()
        features, y, n_axes, groups, _ = self._read(X, y, groups)
        spaces = band_columns(self.bands, features.shape[1])
        folds, (usable, _, largest) = self._inner_folds(features, y, groups), self._usable(y)
        values, units = in_own_units(of_usable(y, usable), largest[usable])
        targets = Targets(values, resolve_device(self.device), limits)
        bands = Bands.of(features, list(spaces.values()), targets.device)
        warn_if_shrunk(alphas, float(len(features) * features.var(0, dtype=np.float64).sum()), features.shape)
        search_result = (self.search or DirichletSearch())(bands, targets, folds, alphas)
        coef, mean = fit_bands(
            bands, targets, search_result.weights, search_result.alphas, search_result.near, search_result.kept
        )
        self.feature_means_ = features.mean(0, dtype=np.float64)
        intercept = mean.astype(coef.dtype)
        for start in range(0, len(intercept), AT_ONCE):
            tile = slice(start, start + AT_ONCE)
            intercept[tile] = mean[tile] - self.feature_means_ @ coef[:, tile]  # in float64
        self._store(spread(units.back(coef), usable), spread(units.back(intercept), usable), n_axes)
        self.band_names_ = list(spaces)
        self._bands = spaces
        self._store_search(search_result, usable, n_axes, alphas)
        warn_at_edge(alphas, search_result.alphas, np.nanmax(search_result.scores, 0, initial=-np.inf))
        return self

    def count_options(self) -> tuple[int, int]:
        """Count weightings times regularization strengths, and the latter; none where the search is not random."""
        search = self.search or DirichletSearch()
        return (search.n_weightings * len(self.alphas) if isinstance(search, DirichletSearch) else 0), len(self.alphas)

    def choice_forms(
        self, X_train: NDArray[np.floating], groups: NDArray[np.generic] | None
    ) -> Iterator[NDArray[np.float64]] | None:
        """Give the inner errors as quadratic forms of a target, where weights are searched at random, on the CPU.

        Parameters
        ----------
        X_train : ndarray, shape (sample, feature)
            Features of all spaces side by side.
        groups : ndarray or None, shape (sample,)
            Handed to ``folds.split``.

        Returns
        -------
        iterator of ndarray of shape (alpha, sample, sample), or None
            One piece for every weighting.
        """
        folds = self._folds_without_targets(X_train, groups)
        if folds is None or self.count_options()[0] == 0 or resolve_device(self.device).type != "cpu":
            return None
        alphas = self._checked_alphas()
        return (error_forms(X_train * root, folds, alphas) for root in self._roots(X_train.shape[1]))

    def option_operators(
        self, X_train: NDArray[np.floating], X_test: NDArray[np.floating]
    ) -> Iterator[NDArray[np.float64]]:
        """Give the operators from training to test rows, those of one weighting after the other.

        Parameters
        ----------
        X_train, X_test : ndarray, shapes (train, feature) and (test, feature)
            Features.

        Yields
        ------
        ndarray, shape (alpha, test, train)
        """
        alphas = self._checked_alphas()
        for root in self._roots(X_train.shape[1]):
            yield prediction_operators(X_train * root, X_test * root, alphas)

    def _roots(self, n_features: int) -> Iterator[NDArray[np.float64]]:
        """Roots of the weights of all features (feature,), for every weighting."""
        spaces = band_columns(self.bands, n_features)
        search = self.search or DirichletSearch()
        assert isinstance(search, DirichletSearch)  # noqa: S101 - there are no options otherwise
        for weighting in search.weightings(len(spaces)):
            root = np.empty(n_features)
            for weight, columns in zip(weighting, spaces.values(), strict=True):
                root[columns] = np.sqrt(weight)
            yield root

    def _store_search(
        self, search_result: Any, usable: NDArray[np.bool_], n_axes: int, alphas: NDArray[np.float64]
    ) -> None:
        with np.errstate(divide="ignore"):
            penalties = search_result.alphas / search_result.weights  # (band, target), infinite where a weight is zero
        weights, penalties = spread(search_result.weights, usable), spread(penalties, usable)
        self.band_weights_ = weights if n_axes == 2 else weights[:, 0]
        self.penalties_ = penalties if n_axes == 2 else penalties[:, 0]
        self.alpha_ = spread(search_result.alphas, usable) if n_axes == 2 else float(search_result.alphas[0])
        self.cv_scores_ = spread(search_result.scores, usable)
        self.share_at_edge_ = float(np.isin(search_result.alphas, [alphas.min(), alphas.max()]).mean())

    def predict_bands(self, X: ArrayLike) -> NDArray[np.floating]:
        """Predict what every feature space contributes.

        Contributions are zero at the mean training features; with the means of the training targets added, their sum is
        :meth:`predict`.

        Parameters
        ----------
        X : array-like, shape (sample, feature)
            Features of all spaces side by side.

        Returns
        -------
        ndarray, shape (band, sample, target) or (band, sample)
            In the order of ``band_names_``.
        """
        check_is_fitted(self)
        features = features_to_predict(self, X)
        coef, device = np.atleast_2d(self.coef_).T, resolve_device(self.device)
        nothing = np.zeros(coef.shape[1], coef.dtype)
        band_predictions = [
            predict_ridge(features[:, chosen] - self.feature_means_[chosen], coef[chosen], nothing, device=device)
            for chosen in self._bands.values()
        ]
        contributions = np.stack(band_predictions)  # (band, sample, target)
        return contributions if self.coef_.ndim == 2 else contributions[..., 0]
