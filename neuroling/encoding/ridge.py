"""Ridge regression for many targets: with a given penalty, or one chosen inside the training set."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from neuroling.core.arrays import read_numbers
from neuroling.core.gate import (
    check_features,
    check_training_sets,
    features_and_targets,
    features_to_predict,
    in_own_units,
    usable_targets,
)
from neuroling.core.protocols import LinearPart
from neuroling.encoding.linear_parts import parts_of_penalties
from neuroling.encoding.validation import (
    ALPHAS,
    CrossValidated,
    ManyTargets,
    Splits,
    best_penalties,
    of_usable,
    one_step_in,
    spread,
    warn_at_edge,
    warn_if_shrunk,
)
from neuroling.numerics.device import resolve_device, to_tensor
from neuroling.numerics.memory import Targets
from neuroling.numerics.ridge.alpha_search import cv_fit
from neuroling.numerics.ridge.choice_forms import error_forms
from neuroling.numerics.ridge.decomposition import (
    GRAM_LIMIT,
    apply_operators,
    fit_ridge,
    predict_ridge,
    prediction_operator,
    prediction_operators,
    residual_maker,
)
from neuroling.numerics.ridge.gram import Design
from neuroling.numerics.ridge.leave_two_out import LeverageError, held_out_operators
from neuroling.numerics.ridge.refit import SampleWeights, fit_dual, fit_linear

SPLITS_AT_ONCE = 256
"""Splits whose operators are made together; a heuristic."""


class Linear(ManyTargets):
    """What linear estimators share: weights in, predictions out."""

    device: str
    coef_: NDArray[np.floating]
    intercept_: NDArray[np.floating] | np.floating[Any]

    def _store(self, coef: NDArray[np.floating], intercept: NDArray[np.floating], n_axes: int) -> None:
        kind = np.result_type(coef, intercept)  # one of them may have needed float64
        coef, intercept = coef.astype(kind, copy=False), intercept.astype(kind, copy=False)
        self.coef_ = coef.T if n_axes == 2 else coef[:, 0]  # (target, feature) or (feature,)
        self.intercept_ = intercept if n_axes == 2 else intercept[0]  # (target,) or scalar

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
        coef, intercept = np.atleast_2d(self.coef_).T, np.atleast_1d(self.intercept_)
        predicted = predict_ridge(features, coef, intercept, device=resolve_device(self.device))  # (sample, target)
        return predicted if self.coef_.ndim == 2 else predicted[:, 0]


class Ridge(Linear):
    r"""Ridge regression with a given penalty and an intercept that is never penalised.

    Minimises :math:`\lVert Y - 1 b^\top - X B \rVert^2 + \alpha \lVert B \rVert^2`. The penalty is what is added
    to :math:`X_c^\top X_c`; features are centred in the fit but not scaled.

    Parameters
    ----------
    alpha : float
        Penalty, at least 0; with 0 it is least squares of minimum norm.
    device : str
        Where to compute, resolved at ``fit``: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``.

    Attributes
    ----------
    coef_ : ndarray, shape (target, feature) or (feature,)
        Weights, in the dtype of the targets.
    intercept_ : ndarray, shape (target,), or scalar
        Predictions at zero features.
    n_features_in_ : int
        Number of features seen at ``fit``.

    Examples
    --------
    >>> X, y = np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0])
    >>> model = Ridge(alpha=0.0, device="cpu").fit(X, y)
    >>> model.coef_.round(6), float(round(model.intercept_, 6))
    (array([2.]), 1.0)
    """

    independent_targets = True
    """Whether the prediction of a target is the same whatever other targets are fitted beside it."""

    def __init__(self, alpha: float = 1.0, *, device: str = "auto") -> None:
        self.alpha = alpha
        self.device = device

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit the weights.

        Parameters
        ----------
        X : array-like, shape (sample, feature)
            Features.
        y : array-like, shape (sample, target) or (sample,)
            Targets; their dtype, float32 or float64, is that of weights and predictions.

        Returns
        -------
        Ridge
            Itself.
        """
        alpha = self._checked_alpha()
        checked = self._read(X, y)
        usable = usable_targets(checked.targets)
        self.constant_targets_ = usable.constant
        targets, units = in_own_units(checked.targets, usable.largest)
        coef, intercept = fit_ridge(checked.features, targets, alpha, device=resolve_device(self.device))
        self._store(units.back(coef), units.back(intercept), checked.n_axes)
        return self

    def held_out(self, X: ArrayLike, y: ArrayLike, splits: Splits) -> Iterator[NDArray[np.floating]]:
        """Predict every test set from its training set; equal to refitting, at the price of about one fit.

        Where a training set is all that its test set is not, the prediction follows from the fit to all rows
        (:mod:`neuroling.numerics.ridge.leave_two_out`). Other splits, those with a gap for instance, are fitted one by
        one.

        Parameters
        ----------
        X : array-like, shape (sample, feature)
            Features of all rows.
        y : array-like, shape (sample, target) or (sample,)
            Targets of all rows.
        splits : sequence of (train, test)
            Row indices.

        Yields
        ------
        ndarray, shape (test, target) or (test,)
            One prediction per split, in their order.
        """
        alpha = self._checked_alpha()
        checked = features_and_targets(self, X, y, purpose="held_out")
        check_training_sets(splits)
        targets, units = in_own_units(checked.targets, usable_targets(checked.targets).largest)
        operators = _operators(checked.features, alpha, splits)
        for scaled in apply_operators(operators, targets, device=resolve_device(self.device)):
            predicted = units.back(scaled)
            yield predicted if checked.n_axes == 2 else predicted[:, 0]

    def held_out_operators(self, X: NDArray[np.floating], splits: Splits) -> Iterator[NDArray[np.float64]]:
        """Give the matrices that take a recording to its held-out predictions, whatever the recording.

        Parameters
        ----------
        X : ndarray, shape (sample, feature)
            Features of all rows.
        splits : sequence of (train, test)
            Row indices; every training set must be all that its test set is not.

        Yields
        ------
        ndarray, shape (test, sample)
            Exactly zero in the columns of the test set; rows sum to one.

        Raises
        ------
        ValueError
            If some training set is not the complement of its test set.
        """
        alpha = self._checked_alpha()
        X = read_numbers("X", X).values
        check_features(X, varied=True)
        for number, (train, test) in enumerate(splits):
            if not is_partition(train, test, len(X)):
                raise ValueError(
                    f"splits: split {number} trains on {len(train)} and tests on {len(test)} of {len(X)} samples; "
                    "expected every training set to be all samples outside its test set. Use held_out, which refits."
                )
        return _operators(X, alpha, splits)

    def linear_parts(self, X_train: NDArray[np.floating], X_test: NDArray[np.floating]) -> list[LinearPart]:
        """Give the operator from training to test rows; see :func:`neuroling.encoding.linear_parts.parts_of_penalties`.

        Parameters
        ----------
        X_train, X_test : ndarray, shapes (train, feature) and (test, feature)
            Features; the first are those of ``fit``.
        """
        check_is_fitted(self)
        return parts_of_penalties(np.full(np.atleast_1d(self.intercept_).shape, self._checked_alpha()), X_train, X_test)

    def _checked_alpha(self) -> float:
        number = self.alpha
        if not isinstance(number, numbers.Real) or isinstance(number, bool) or not 0 <= number < np.inf:
            raise ValueError(f"alpha: got {number!r}; expected a finite number of at least 0.")
        return float(number)


class RidgeCV(CrossValidated, Linear):
    """Ridge regression whose penalty is chosen inside the training set by cross-validation.

    Every penalty is scored by held-out :math:`R^2` over inner folds; the best one, per target or for all targets
    together, is then fitted to all rows.

    Parameters
    ----------
    alphas : sequence of float
        Penalties to try, each above 0.
    folds : splitter, optional
        Anything with scikit-learn's ``split(X, y, groups)``; by default five contiguous folds, without shuffling (fewer
        where there are fewer than five samples). Use folds of the same kind as the outer ones: groups given to ``fit``
        are passed on.
    alpha_per_target : bool
        Whether each target gets its own penalty, or all share the one with the best mean score.
    batch_targets : int, optional
        Targets that go through folds and penalties together; chosen by memory by default.
    max_memory : int, optional
        Bytes that may be used beside features, targets and results; half of what is free by default.
    targets_on_device : bool
        Whether a GPU holds all targets, or gets them a batch at a time from the memory of the CPU.
    unusable_targets : str
        What is done with targets that hold NaN or infinity: ``"refuse"`` raises an error that names them,
        ``"leave_out"`` fits the others and gives these NaN for weights and predictions. Constant targets are fitted by
        their constant under both; they are reported in the log.
    device : str
        Where to compute, resolved at ``fit``: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``.

    Attributes
    ----------
    alpha_ : ndarray, shape (target,), or float
        The penalty chosen; a float where targets share one or ``y`` has one axis.
    cv_scores_ : ndarray, shape (alpha, target)
        Held-out :math:`R^2`; NaN for constant targets, which get the largest penalty.
    share_at_edge_ : float
        Share of targets whose penalty is the smallest or largest tried: if it is not small, widen ``alphas``.
    coef_ : ndarray, shape (target, feature) or (feature,)
        Weights, in the dtype of the targets; where features outnumber samples they are made when first read.
    intercept_ : ndarray, shape (target,), or scalar
        Predictions at zero features.
    constant_targets_, unusable_targets_ : ndarray of int
        Indices of the targets that are constant, and of those left out.
    n_features_in_ : int
        Number of features seen at ``fit``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((40, 3))
    >>> model = RidgeCV(alphas=(0.01, 1.0, 100.0), device="cpu").fit(X, X @ np.ones((3, 2)))
    >>> model.alpha_, model.share_at_edge_
    (array([0.01, 0.01]), 1.0)
    """

    def __init__(
        self,
        alphas: Sequence[float] = ALPHAS,
        *,
        folds: Any = None,
        alpha_per_target: bool = True,
        batch_targets: int | None = None,
        max_memory: int | None = None,
        targets_on_device: bool = False,
        unusable_targets: str = "refuse",
        device: str = "auto",
    ) -> None:
        self.alphas = alphas
        self.folds = folds
        self.alpha_per_target = alpha_per_target
        self.batch_targets = batch_targets
        self.max_memory = max_memory
        self.targets_on_device = targets_on_device
        self.unusable_targets = unusable_targets
        self.device = device

    @property
    def independent_targets(self) -> bool:
        """Whether the prediction of a target is the same whatever other targets are fitted beside it."""
        return bool(self.alpha_per_target)

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Choose the penalty and fit the weights.

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
        RidgeCV
            Itself.
        """
        alphas, limits = self._checked_alphas(), self._limits()
        features, y, n_axes, groups, _ = self._read(X, y, groups)
        folds = self._inner_folds(features, y, groups)
        usable, _, largest = self._usable(y)
        values, units = in_own_units(of_usable(y, usable), largest[usable])
        targets = Targets(values, resolve_device(self.device), limits)
        design = Design.linear(to_tensor(features, targets.device))
        warn_if_shrunk(alphas, design.trace(), features.shape)
        wide = design.gram is not None
        scores, kept_solution = cv_fit(design, targets, folds, alphas, fit=wide and self.alpha_per_target)
        best_alpha = self._choose(alphas, scores)  # (usable target,)
        if wide and best_alpha.min() > GRAM_LIMIT * design.trace():
            dual, mean = fit_dual(design, targets, best_alpha, (alphas, kept_solution))
            self._store_samples(features, spread(units.back(dual), usable), spread(units.back(mean), usable), n_axes)
        else:
            coef, intercept = fit_linear(features, targets, best_alpha)
            self._store(spread(units.back(coef), usable), spread(units.back(intercept), usable), n_axes)
        self.cv_scores_ = spread(scores, usable)
        self.share_at_edge_ = float(np.isin(best_alpha, [alphas.min(), alphas.max()]).mean())
        self.alpha_ = spread(best_alpha, usable) if n_axes == 2 and self.alpha_per_target else float(best_alpha[0])
        if self.alpha_per_target:
            warn_at_edge(
                alphas, best_alpha, np.nanmax(scores, 0, initial=-np.inf), one_step_in(alphas, best_alpha, scores)
            )
        return self

    @property
    def coef_(self) -> NDArray[np.floating]:
        """Weights (target, feature) or (feature,); where features outnumber samples made when first read, then kept."""
        if "_samples" in vars(self):
            self._store(self._samples.coef(resolve_device(self.device)), self._samples.intercept(), self._n_axes)
        if "_coef" not in vars(self):
            raise AttributeError(f"This {type(self).__name__} is not fitted yet: it has no coef_. Call fit first.")
        return self._coef

    @coef_.setter
    def coef_(self, coef: NDArray[np.floating]) -> None:
        self._coef = coef
        self.__dict__.pop("_samples", None)

    def _store_samples(
        self, X: NDArray[np.floating], dual: NDArray[np.floating], mean: NDArray[np.floating], n_axes: int
    ) -> None:
        """Keep weights of samples (sample, target) and a copy of the features, of which those of features are made."""
        centre = X.mean(0, dtype=np.float64)
        self._samples = SampleWeights((X - centre).astype(dual.dtype), centre, dual, mean)
        self._n_axes = n_axes
        intercept = self._samples.intercept()
        self.intercept_ = intercept if n_axes == 2 else intercept[0]

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
        if "_samples" not in vars(self):
            return super().predict(X)
        features = features_to_predict(self, X)
        predicted = self._samples.predict(features, resolve_device(self.device))  # (sample, target)
        return predicted if self._n_axes == 2 else predicted[:, 0]

    def linear_parts(self, X_train: NDArray[np.floating], X_test: NDArray[np.floating]) -> list[LinearPart]:
        """Give the operators from training to test rows, a part for each penalty that was chosen.

        Parameters
        ----------
        X_train, X_test : ndarray, shapes (train, feature) and (test, feature)
            Features; the first are those of ``fit``.
        """
        check_is_fitted(self)
        chosen = np.broadcast_to(self.alpha_, np.atleast_1d(self.intercept_).shape)
        return parts_of_penalties(chosen, X_train, X_test)

    def count_options(self) -> tuple[int, int]:
        """Count the regularization strengths, whose forms come together."""
        return len(self.alphas), len(self.alphas)

    def choice_forms(self, X_train: NDArray[np.floating], groups: NDArray[np.generic] | None) -> Iterator[Any] | None:
        """Give the inner errors as quadratic forms of a target, where each chooses by itself, on the CPU.

        Parameters
        ----------
        X_train : ndarray, shape (sample, feature)
            Features.
        groups : ndarray or None, shape (sample,)
            Handed to ``folds.split``.

        Returns
        -------
        iterator of ndarray of shape (alpha, sample, sample), or None
            One piece, for :attr:`alphas` in their order.
        """
        if not self.alpha_per_target or resolve_device(self.device).type != "cpu":
            return None
        folds = self._folds_without_targets(X_train, groups)
        return None if folds is None else iter([error_forms(X_train, folds, self._checked_alphas())])

    def option_operators(
        self, X_train: NDArray[np.floating], X_test: NDArray[np.floating]
    ) -> Iterator[NDArray[np.float64]]:
        """Give the operators from training to test rows, one per regularization strength.

        Parameters
        ----------
        X_train, X_test : ndarray, shapes (train, feature) and (test, feature)
            Features.

        Yields
        ------
        ndarray, shape (alpha, test, train)
        """
        yield prediction_operators(X_train, X_test, self._checked_alphas())

    def _choose(self, alphas: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Penalty of every target by its scores: (alpha, target) -> (target,)."""
        if not self.alpha_per_target:
            defined = scores[:, ~np.isnan(scores).any(0)]
            scores = np.broadcast_to(defined.sum(1, keepdims=True), scores.shape)
        return best_penalties(alphas, scores)


def _operators(X: NDArray[np.floating], alpha: float, splits: Splits) -> Iterator[NDArray[np.float64]]:
    """Held-out operators of all splits, from the fit to all rows wherever it determines them."""
    maker = residual_maker(X, alpha)
    for start in range(0, len(splits), SPLITS_AT_ONCE):
        some = splits[start : start + SPLITS_AT_ONCE]
        yield from _from_full_fit(maker, some) or [prediction_operator(X, alpha, train, test) for train, test in some]


def _from_full_fit(maker: NDArray[np.float64], splits: Splits) -> list[NDArray[np.float64]] | None:
    """Operators by the identity, or None where it does not hold or would lose digits."""
    if not all(is_partition(train, test, len(maker)) for train, test in splits):
        return None
    try:
        return list(held_out_operators(maker, [test for _, test in splits]))
    except LeverageError:
        return None


def is_partition(train: NDArray[np.integer], test: NDArray[np.integer], n_samples: int) -> bool:
    """Tell whether the two sets together are all samples, each once.

    Parameters
    ----------
    train, test : ndarray of int
        Row numbers.
    n_samples : int
        How many rows there are.
    """
    if len(train) + len(test) != n_samples:
        return False
    seen = np.zeros(n_samples, bool)
    seen[train] = True
    seen[test] = True
    return bool(seen.all())
