"""What is scored, and how held-out predictions of it become scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from neuroling.core.align import Aligned
from neuroling.core.arrays import each_near_one
from neuroling.core.pair_models import in_order_of
from neuroling.core.protocols import Array, GivesDensities, Predictor, Rows, SelectsFolds, Split, TargetSelector
from neuroling.core.repeats import lacking_repeats
from neuroling.evaluation.heldout import HeldOut
from neuroling.evaluation.metrics import Metric, apply


@dataclass(frozen=True)
class ScoringTask:
    """A model, data, splits and a metric; what does not depend on the strategy of scoring is computed here, once.

    Attributes
    ----------
    model : Predictor
        The model.
    data : Aligned
        Features and recording.
    splits : sequence of Split
        Row numbers.
    metric : Metric
        The metric.
    select : TargetSelector, optional
        Chooses targets in every training set.
    keep_choices : bool
        Whether reordered recordings are predicted with the penalties that were chosen for the recording as it is.
    """

    model: Predictor
    data: Aligned
    splits: Sequence[Split]
    metric: Metric
    select: TargetSelector | None = None
    keep_choices: bool = False

    def __post_init__(self) -> None:
        _check_model(self.model)
        if self.metric.of_densities and not isinstance(self.model, GivesDensities):
            raise TypeError(
                f"model: {type(self.model).__name__} gives no density of an observation (log_density), which "
                f"{self.metric.name} is the mean of; use MixedModel or Regression, or another metric."
            )
        self.metric.kept(self.dims)
        if self.select is not None:
            _check_selector(self.select, self.metric, self.data.targets)
        if self.metric.is_pooled and self.metric.is_pattern:
            _check_held_out_once(self.splits, self.metric)
        if self.metric.baseline == "training mean" and any(len(split.train) == 0 for split in self.splits):
            raise ValueError(
                f"metric: {self.metric.name} counts from the training mean, but a split has no training samples; "
                "use .uncentred()."
            )

    @property
    def dims(self) -> tuple[str, ...]:
        """Axes of truth and prediction."""
        return ("sample", *self.data.targets)

    @property
    def kept_shape(self) -> tuple[int, ...]:
        """Lengths of the axes that the metric keeps."""
        return tuple(self.data.y.sizes[dim] for dim in self.metric.kept(self.dims))

    @property
    def is_plain(self) -> bool:
        """Whether every split is scored by itself, sample by sample: nothing pooled or controlled, no difference."""
        return not self.metric.is_pooled and self.metric.contrast is None and self.metric.controls is None

    @property
    def consumes_all(self) -> bool:
        """Whether the metric leaves one score a split."""
        return set(self.dims) == set(self.metric.over)

    @cached_property
    def recording(self) -> Array:
        r"""Recording with its repeats averaged, shape (sample, \*targets)."""
        return np.asarray(self.data.y_mean.values)

    @property
    def flat_recording(self) -> Array:
        """The same, shape (sample, target)."""
        return self.recording.reshape(self.data.n_samples, -1)

    @cached_property
    def condition(self) -> NDArray[np.generic] | None:
        """Values of the contrast's coordinate, shape (sample,)."""
        return None if self.metric.contrast is None else self.data.coordinate(self.metric.contrast.coord)

    @cached_property
    def controls(self) -> Array | None:
        """What the metric holds constant, in the order of the samples and near one, shape (control, sample)."""
        if self.metric.controls is None:
            return None
        labels = self.data.y.coords["sample"].to_numpy()
        ordered = in_order_of(self.metric.controls.values, labels, "controls").transpose("model", "sample")
        return each_near_one(ordered.to_numpy().astype(np.float64))

    @cached_property
    def is_complementary(self) -> bool:
        """Whether every sample is in the training set or the test set of every split."""
        return all(len(s.train) + len(s.test) == self.data.n_samples for s in self.splits)

    @cached_property
    def selected(self) -> list[Rows] | None:
        """Targets chosen in the training set of every split, or None where all are scored."""
        if self.select is None:
            return None
        if "repeat" in self.data.y.dims and bool(lacking_repeats(self.data.y).any()):
            raise ValueError(
                "select: targets are chosen by comparing repeats, and samples have unequal numbers of them. Deal the "
                "trials of each into as many folds, or choose targets beforehand on other data."
            )
        y = self.data.y.values if "repeat" in self.data.y.dims else self.data.y.values[:, None]
        recording = np.moveaxis(y.reshape(*y.shape[:2], -1), 1, 0)  # (repeat, sample, target)
        if isinstance(self.select, SelectsFolds) and self.is_complementary:
            chosen = list(self.select.select_folds(recording, [split.test for split in self.splits]))
        else:
            _check_looks(self.select, recording[:, self.splits[0].train])
            chosen = [np.flatnonzero(_checked_mask(self.select, recording[:, split.train])) for split in self.splits]
        if self.metric.is_pattern and min(map(len, chosen)) < self.metric.least:
            raise ValueError(
                f"select: {self.select!r} chose {min(map(len, chosen))} target in some training set, and a pattern for "
                f"{self.metric.name} takes at least {self.metric.least} values; choose more."
            )
        return chosen

    def for_model(self, model: Predictor, data: Aligned) -> ScoringTask:
        """Give the task of another model or feature space of the same recording; what the recording says is shared.

        Parameters
        ----------
        model : Predictor
            The model.
        data : Aligned
            Its features, beside the same recording.
        """
        other = replace(self, model=model, data=data)
        if self.select is not None:
            _ = self.selected
        shared = ("recording", "condition", "controls", "is_complementary", "selected")
        other.__dict__.update({name: self.__dict__[name] for name in shared if name in self.__dict__})
        return other

    def reordered(self, order: NDArray[np.intp], fixed: Array | None = None) -> ScoringTask:
        r"""Give the same task with the recording's rows in another order.

        Parameters
        ----------
        order : ndarray of int, shape (sample,)
            A permutation.
        fixed : ndarray, optional, shape (sample, \*targets)
            What stays in place, in every repeat; the rest is reordered.
        """
        data = self.data.reordered(order)
        if fixed is None:
            return replace(self, data=data)
        y = self.data.y.values
        in_place = fixed[:, None] if "repeat" in self.data.y.dims else fixed
        moved = (in_place + (y - in_place)[order]).astype(y.dtype, copy=False)
        return replace(self, data=replace(data, y=data.y.copy(data=moved)))

    def score_pairs(
        self, pairs: Iterable[HeldOut], y: Array, y_predicted: Array | None = None, dims: tuple[str, ...] | None = None
    ) -> Array:
        r"""Score held-out predictions of every split, or of all splits at once where the metric pools them.

        Parameters
        ----------
        pairs : iterable of HeldOut
            One for each split.
        y : ndarray, shape ``dims``
            All samples of the truth, for the training means.
        y_predicted : ndarray, optional, shape ``dims``
            All samples of a recording that serves as prediction, with training means of its own.
        dims : tuple of str, optional
            Axes of truth and prediction; :attr:`dims` by default.

        Returns
        -------
        ndarray, shape (split, \*kept)
            One row where the metric pools.
        """
        dims = self.dims if dims is None else dims
        centred = self.centred(pairs, y, y_predicted)
        if self.metric.is_pooled:
            rows = np.concatenate([split.test for split in self.splits])
            truth, prediction = (np.concatenate(side) for side in zip(*centred, strict=True))
            return apply(self.metric, truth, prediction, dims, self._conditions(rows))[None]
        return np.stack([self._score_split(number, *pair, dims) for number, pair in enumerate(centred)])

    def centred(
        self, pairs: Iterable[HeldOut], y: Array, y_predicted: Array | None = None
    ) -> Iterator[tuple[Array, Array]]:
        """Count truth and prediction of every split from the metric's baseline; parameters as :meth:`score_pairs`."""
        if self.metric.baseline == "none":
            yield from ((pair.truth, pair.prediction) for pair in pairs)
            return
        means = training_means(y, self.splits)
        predicted_means = repeat(None) if y_predicted is None else training_means(y_predicted, self.splits)
        for pair, mean, predicted_mean in zip(pairs, means, predicted_means, strict=False):
            yield pair.truth - mean, pair.prediction - (mean if predicted_mean is None else predicted_mean)

    def at_selected(self, number: int, truth: Array, prediction: Array) -> tuple[Array, Array]:
        """Give truth and prediction of a split at the targets that it selects."""
        if self.selected is None:
            return truth, prediction
        return truth[..., self.selected[number]], prediction[..., self.selected[number]]

    def _score_split(self, number: int, truth: Array, prediction: Array, dims: tuple[str, ...]) -> Array:
        truth, prediction = self.at_selected(number, truth, prediction)
        test = self.splits[number].test
        controls = None if self.controls is None else self.controls[:, test]
        return apply(self.metric, truth, prediction, dims, self._conditions(test), controls)

    def _conditions(self, rows: Rows) -> NDArray[np.generic] | None:
        return None if self.condition is None else self.condition[rows]


def training_means(y: Array, splits: Sequence[Split]) -> Iterator[NDArray[np.float64]]:
    r"""Average the training samples of every split.

    Parameters
    ----------
    y : ndarray, shape (sample, \*targets)
        All samples.
    splits : sequence of Split
        Row numbers. Where few samples are held out, the mean follows from the sum over all less those few.

    Yields
    ------
    ndarray, shape (\*targets,)
        float64.
    """
    total = y.sum(axis=0, dtype=np.float64)
    for train, test in splits:
        if len(train) + len(test) == len(y) and len(test) < len(train):
            yield np.asarray((total - y[test].sum(axis=0, dtype=np.float64)) / len(train))
        else:
            yield np.asarray(y[train].mean(axis=0, dtype=np.float64))


def _check_model(model: Predictor) -> None:
    if isinstance(model, type):
        raise TypeError(f"model: got {model.__name__} itself; expected an instance, such as {model.__name__}().")
    missing = [name for name in ("fit", "predict") if not callable(getattr(model, name, None))]
    if missing:
        raise TypeError(f"model: {type(model).__name__} has no {' and no '.join(missing)}; expected a regressor.")


def _check_held_out_once(splits: Sequence[Split], metric: Metric) -> None:
    rows = np.concatenate([split.test for split in splits])
    if len(np.unique(rows)) < len(rows):
        raise ValueError(
            f"metric: {metric.name} compares all held-out samples with one another, but the splits hold out "
            f"{len(np.unique(rows))} samples {len(rows)} times; expected each once, as KFold does. Do not pool."
        )


def _check_selector(select: TargetSelector, metric: Metric, targets: tuple[str, ...]) -> None:
    if isinstance(select, type):
        raise TypeError(f"select: got {select.__name__} itself; expected an instance, such as {select.__name__}().")
    fitted = [name for name in getattr(select, "__dict__", {}) if name.endswith("_") and not name.startswith("_")]
    if not callable(select) or fitted:
        what = f" that is already fitted ({', '.join(fitted)})" if fitted else ""
        raise TypeError(
            f"select: got {type(select).__name__}{what}; expected a function of the training samples. A choice made "
            "beforehand has seen the test samples, and scores would rise on noise. Targets that are chosen without the "
            "recording, such as a region, are taken with .sel before align."
        )
    if len(targets) != 1 or not metric.consumes(targets[0]) or metric.is_pooled:
        raise ValueError(
            f"select: every split chooses its own among the targets {targets}, so the metric has to consume that one "
            f"axis split by split; {metric.name} consumes {metric.over}."
        )


def _check_looks(select: TargetSelector, train: Array) -> None:
    """Refuse a function that hands out a choice made beforehand: targets that trade places must take it along."""
    mask = _checked_mask(select, train)
    if not mask.all() and np.array_equal(mask, _checked_mask(select, np.roll(train, 1, axis=-1))):
        raise ValueError(
            f"select: {select!r} chose the same places when the targets had been moved by one, so it does not look at "
            "the training samples that it is given. A choice made beforehand has seen the test samples."
        )


def _checked_mask(select: TargetSelector, train: Array) -> NDArray[np.bool_]:
    mask = np.asarray(select(train))
    if mask.dtype != bool or mask.shape != train.shape[2:]:
        raise ValueError(
            f"select: {select!r} gave {mask.dtype} of shape {mask.shape}; expected a boolean mask of {train.shape[2:]}."
        )
    if not mask.any():
        raise ValueError(f"select: {select!r} chose no target in a training set of {train.shape[1]} samples.")
    return mask
