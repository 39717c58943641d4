"""What the subpackages promise one another: predictors, splitters, selectors, ceilings, inferences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from neuroling.core.align import Aligned
from neuroling.core.estimates import Estimates
from neuroling.core.intervals import Intervals
from neuroling.core.null_distribution import NullDistribution

Array = NDArray[np.floating[Any]]
Rows = NDArray[np.intp]


@runtime_checkable
class Orders(Protocol):
    """Orders of samples, one for each draw; an array (draw, sample) is one."""

    def __len__(self) -> int:
        """Count the draws."""
        ...

    def __getitem__(self, draws: slice, /) -> NDArray[np.intp]:
        """Give some of the orders, (draw, sample)."""
        ...


class Split(NamedTuple):
    """Row numbers of one training set and one test set."""

    train: Rows
    test: Rows


class ParticipantBlock(NamedTuple):
    """Rows of all participants at some locations and times."""

    places: slice  # where their scores stand among those of all locations and times
    rows: Array  # (participant, place, sample)


class LinearPart(NamedTuple):
    """How some targets of a fitted model were predicted: held-out rows are an operator times training rows."""

    targets: Rows
    operator: Array  # (test, train); rows sum to one where the intercept is not penalised


class Predictor(Protocol):
    """Anything with scikit-learn's ``fit`` and ``predict``."""

    def fit(self, X: Array, y: Array) -> Predictor:
        """Learn from features ``X`` (sample, feature) and targets ``y`` (sample, target)."""
        ...

    def predict(self, X: Array) -> Array:
        """Predict targets (sample, target); ``(sample,)`` means the same prediction for every target."""
        ...


@runtime_checkable
class ChecksFeatures(Protocol):
    """A predictor that was set up for certain features and can tell whether these are they."""

    def check_features(self, features: xr.DataArray) -> None:
        """Refuse features (sample, feature) with other labels than it was set up for, by ValueError."""
        ...


@runtime_checkable
class HoldsOut(Protocol):
    """A predictor that knows its held-out predictions in closed form.

    The fast path must equal refitting; a property test holds every implementation to it.
    """

    def held_out(self, X: Array, y: Array, splits: Sequence[Split]) -> Iterable[Array]:
        """Predict the test rows of each split (test, target) from its training rows."""
        ...


@runtime_checkable
class LinearGivenChoices(Protocol):
    """A fitted model that is linear in its targets once its choices (penalties, weights of bands) are made.

    Its predictions for a recording in another order, the choices kept, then need a product and no fit.
    """

    def linear_parts(self, X_train: Array, X_test: Array) -> Sequence[LinearPart]:
        """Give the operators of all targets, each target in one part, for the features that it was fitted to."""
        ...


@runtime_checkable
class ChoosesByForms(Protocol):
    """A model that chooses options (penalties, weights of bands) per target by inner errors quadratic in the target.

    Which option each of many versions of a recording chooses then follows without a fit; predictions are an operator of
    the option times training rows.
    """

    def count_options(self) -> tuple[int, int]:
        """Count the options: all of them, and those whose forms come together; 0 where there are no forms."""
        ...

    def choice_forms(self, X_train: Array, groups: NDArray[np.generic] | None) -> Iterator[Array] | None:
        """Give the forms (option, train, train) of the inner errors, some options at a time; None if there are none."""
        ...

    def option_operators(self, X_train: Array, X_test: Array) -> Iterator[Array]:
        """Give the operators (option, test, train) in the same order and pieces; rows sum to one."""
        ...


@runtime_checkable
class LinearHoldsOut(Protocol):
    """A predictor whose held-out predictions are linear in the targets, by operators that no target enters.

    Row ``t`` of an operator says with which weights the recorded samples add up to the prediction of test row ``t``.
    Weights of held-out samples are zero; every row sums to one.
    """

    def held_out_operators(self, X: Array, splits: Sequence[Split]) -> Iterable[Array]:
        """Give the operator (test, sample) of each split; ValueError where a split has none in closed form."""
        ...


@runtime_checkable
class Splitter(Protocol):
    """Scikit-learn's cross-validators: anything with ``split``."""

    def split(self, X: Array, y: Any = None, groups: Any = None) -> Iterable[tuple[ArrayLike, ArrayLike]]:
        """Yield row numbers of training and test sets."""
        ...


class TargetSelector(Protocol):
    """Chooses targets from training samples alone."""

    def __call__(self, train: Array) -> NDArray[np.bool_]:
        """Turn (repeat, sample, target) into a mask (target,)."""
        ...


@runtime_checkable
class SelectsFolds(Protocol):
    """A selector that knows its choice for many folds at once; must equal the loop."""

    def select_folds(self, recording: Array, tests: Sequence[Rows]) -> NDArray[np.intp]:
        """Turn (repeat, sample, target) and the held-out rows of each fold into chosen targets (fold, chosen)."""
        ...


class ParticipantRows(Protocol):
    """What participants' recordings are compared with, and the recordings in blocks, for resampling."""

    @property
    def metric(self) -> str:
        """Name of the metric."""
        ...

    @property
    def models(self) -> Array:
        """Models (model, sample)."""
        ...

    @property
    def columns(self) -> Array:
        """Which scores are asked for, as combinations of models (model, column)."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether samples are all pairs of some items, in condensed order."""
        ...

    @property
    def n_participants(self) -> int:
        """Number of participants."""
        ...

    def blocks(self, most_times: int) -> Iterator[ParticipantBlock]:
        """Yield rows of all participants, at most so many times at once."""
        ...

    def labelled(self, values: Array) -> xr.DataArray:
        r"""Put labels on values (place, column); dims ([model,] \*kept), participants aside."""
        ...

    def difference(self, model: str, other: str) -> ParticipantRows:
        """Ask for the difference of two models instead."""
        ...


class Scoring(Protocol):
    """What a ceiling or an inference may ask of an evaluation."""

    @property
    def data(self) -> Aligned:
        """The data that are evaluated."""
        ...

    @property
    def spaces(self) -> Sequence[Aligned]:
        """Each feature space that is evaluated, with the recording; :attr:`data` is the first of them."""
        ...

    @property
    def splits(self) -> Sequence[Split]:
        """Training and test rows of every split."""
        ...

    @property
    def larger_is_better(self) -> bool:
        """Direction of the metric."""
        ...

    @property
    def chance(self) -> float:
        """Value of the metric that means no relation."""
        ...

    @property
    def is_correlation(self) -> bool:
        """Whether the metric is a correlation."""
        ...

    @property
    def scores(self) -> xr.DataArray:
        r"""Score of every split, dims (split, \*kept)."""
        ...

    def observed(self) -> xr.DataArray:
        r"""Mean score over splits, dims (\*kept,)."""
        ...

    def score_pair(self, truth: xr.DataArray, prediction: xr.DataArray) -> xr.DataArray:
        r"""Score one recording against another on the same splits and targets, dims (split, \*kept)."""
        ...

    def agreement_bounds(self, axis: str) -> xr.DataArray | None:
        r"""Agreement of participants along an axis with the mean of the others, and of all, dims (bound, \*kept).

        None where participants are predicted from the mean of the recording itself.
        """
        ...

    def participant_rows(self, axis: str) -> ParticipantRows | None:
        """Rows of participants and the models that they are compared with; None where models are fitted."""
        ...

    @property
    def two_sided(self) -> bool:
        """Whether both directions count as an effect, as for a difference of two models."""
        ...

    def reordered(
        self, orders: Orders, *, keep_choices: bool = False, fixed: Array | None = None
    ) -> Iterator[xr.DataArray]:
        r"""Mean scores with the recording's rows taken in each of the ``orders`` (draw, sample), all fitted anew.

        With ``keep_choices`` penalties stay what they were for the recording as it is. ``fixed`` (sample, \*targets) is
        a part of the recording that stays where it is, such as the trends of its runs: the rest is reordered.
        """
        ...

    def relabelled(self, orders: Iterable[Sequence[NDArray[np.intp]]]) -> Iterator[xr.DataArray]:
        """Mean scores with the held-out truths of each split taken in another order, predictions kept."""
        ...


class Ceiling(Protocol):
    """Predicts a recording from itself; scored like a model, on the same splits with the same selection."""

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> xr.DataArray:
        r"""Give each bound's mean score over splits, dims (bound, \*kept)."""
        ...


class Inference(Protocol):
    """Turns an evaluation into a null distribution of its scores, or into intervals of their mean."""

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> NullDistribution | Intervals:
        """Draw."""
        ...


@runtime_checkable
class Estimator(Protocol):
    """A model whose estimates are what is asked for, rather than its predictions."""

    def estimate(self, data: Any) -> Estimates:
        """Estimate from aligned data, or from an array of participants' values."""
        ...


@runtime_checkable
class ScoresParticipants(Protocol):
    """An estimator of what participants have in common, whose values an inference over them can be given."""

    def scoring(self, data: xr.DataArray) -> Scoring:
        """Give the participants' values for inferences."""
        ...


@runtime_checkable
class GivesDensities(Protocol):
    """A predictor that says how probable an observation is, as scoring by log-likelihood needs."""

    def fit(self, X: Array, y: Array) -> Predictor:
        """Learn from features ``X`` (sample, feature) and targets ``y`` (sample, target)."""
        ...

    def log_density(self, X: Array, y: Array) -> Array:
        """Give the natural logarithm of the density of each target (sample, target)."""
        ...


@runtime_checkable
class NeedsLabels(Protocol):
    """A model that reads labels of the samples, such as participants and items, and not their features alone."""

    def on_rows(self, data: Aligned) -> Predictor:
        """Give a predictor whose one feature is the number of the row."""
        ...


@runtime_checkable
class ScoresSamples(Protocol):
    """An evaluation whose score is a mean over samples, each of which has one of its own."""

    def sample_scores(self) -> xr.DataArray:
        r"""Give the held-out score of every sample, dims (sample, \*kept)."""
        ...
