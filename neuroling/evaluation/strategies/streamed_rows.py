"""Fixed models of dissimilarities: all of them against a recording in one pass, a block of it at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroling.core.arrays import each_near_one
from neuroling.core.item_pairs import item_order
from neuroling.core.notices import warn
from neuroling.core.protocols import Array, Orders
from neuroling.core.row_streams import HeldRows, RowPart, RowStream, n_locations, n_times
from neuroling.evaluation.heldout import predict_splits
from neuroling.evaluation.inference.exchange import ItemOrders
from neuroling.evaluation.metrics import comparator_of
from neuroling.evaluation.strategies.row_comparison import UNDEFINED, Gaps, RowComparison
from neuroling.evaluation.strategies.strategy import Strategy
from neuroling.evaluation.strategies.task import ScoringTask
from neuroling.numerics.rdm.ceilings import participant_bounds

DRAW_BYTES = 2**28
"""Bytes of the scores of draws that are held at once (256 MiB), and of the rows and moved models beside them."""


class Scan(NamedTuple):
    """What comparing all rows with all models gave.

    Attributes
    ----------
    scores : ndarray, shape (model, target axes)
        Agreement.
    bounds : ndarray or None, shape (bound, target axes)
        Ceilings over participants.
    gaps : Gaps
        What was missing.
    """

    scores: Array
    bounds: Array | None
    gaps: Gaps


class StreamedRows(Strategy):
    """Compare every row of samples (the dissimilarities at one location and time) with all models, and forget it.

    It applies where samples are pairs of items, the model has nothing to fit, all pairs are scored at once, and the
    metric compares rows with models. Ranks (or what else the metric makes of a row) are made once for all models and
    for the ceiling. Dissimilarities that are made on demand are never held together.

    Parameters
    ----------
    task : ScoringTask
        What is scored.
    *others : ScoringTask
        Other models of the same recording, scored in the same pass.
    """

    def __init__(self, task: ScoringTask, *others: ScoringTask) -> None:
        super().__init__(task)
        self.tasks = (task, *others)
        self._scans: dict[str | None, Scan] = {}

    @staticmethod
    def applies_to(task: ScoringTask) -> bool:
        """Whether a model has nothing to fit and is compared with all pairs at once."""
        metric, splits = task.metric, task.splits
        return (
            task.data.unit == "item"
            and bool(getattr(task.model, "is_fixed", False))
            and "repeat" not in task.data.y.dims
            and len(splits) == 1
            and len(splits[0].train) == 0
            and np.array_equal(splits[0].test, np.arange(task.data.n_samples))
            and comparator_of(metric) is not None
            and metric.over == ("sample",)
            and metric.contrast is None
            and metric.baseline == "none"
            and not metric.is_pooled
            and task.select is None
        )

    @cached_property
    def scores_recording(self) -> bool:
        """Whether every model has nothing to fit and is compared with all pairs at once."""
        return all(self.applies_to(task) for task in self.tasks)

    def scores_reordered(self, orders: Orders, fixed: Array | None) -> bool:
        """Whether items are exchanged in a recording that is made on demand."""
        is_on_demand = self.task.data.stream is not None
        return is_on_demand and fixed is None and isinstance(orders, ItemOrders) and self.scores_recording

    @property
    def notes(self) -> tuple[str, ...]:
        """What was missing from the rows, once they have been compared."""
        scans = list(self._scans.values())
        return tuple(sentence for _, _, sentence in self._findings(scans[-1])) if scans else ()

    def scores(self) -> Array:
        r"""Score the only model, shape (split, \*kept)."""
        return self.family_scores()[:, 0]

    def family_scores(self) -> Array:
        r"""Score all models, shape (split, model, \*kept)."""
        return self._scan(next(iter(self._scans), None)).scores[None]

    def agreement_bounds(self, axis: str) -> Array | None:
        r"""Compare participants with the mean of the others, and of all, shape (bound, \*kept)."""
        is_given = self.scores_recording and axis in self.rows.others
        return self._scan(axis).bounds if is_given else None

    def reordered(self, orders: Orders, fixed: Array | None = None) -> Iterator[Array]:
        r"""Yield the scores of the only model, shape (\*kept,), for every order."""
        for scores in self.family_reordered(orders, fixed):
            yield scores[0]

    def family_reordered(self, orders: Orders, fixed: Array | None = None) -> Iterator[Array]:  # noqa: ARG002
        r"""Yield the scores of all models, shape (model, \*kept), for every order of the items."""
        assert isinstance(orders, ItemOrders)  # noqa: S101 - asked in scores_reordered
        n_targets = self.rows.n_parts * n_locations(self.rows) * n_times(self.rows)
        n_draws = max(1, DRAW_BYTES // (8 * n_targets * len(self.tasks)))
        for start in range(0, len(orders), n_draws):
            yield from self._scores_of_draws(orders, slice(start, min(start + n_draws, len(orders))))

    @cached_property
    def rows(self) -> RowStream:
        """Where rows come from."""
        data = self.task.data
        return data.stream if data.stream is not None else HeldRows(data.y)

    @property
    def is_condensed(self) -> bool:
        """Whether the samples are all pairs of some items, in condensed order."""
        data = self.task.data
        if self.rows.is_condensed:
            return True
        return item_order(data.coordinate("first"), data.coordinate("second")) is not None

    @cached_property
    def comparison(self) -> RowComparison:
        """All models, and the controls, in the order of the pairs."""
        comparator = comparator_of(self.task.metric)
        assert comparator is not None  # noqa: S101 - asked in applies_to
        models = each_near_one(np.stack([_prediction(task) for task in self.tasks], axis=1).T)
        controls = self.task.controls
        if controls is None:
            return RowComparison(comparator, models, np.empty((0, models.shape[1])))
        for task, model in zip(self.tasks, models, strict=True):
            _refuse_explained(task, model, controls)
        return RowComparison(comparator, models, controls)

    def _scan(self, axis: str | None) -> Scan:
        """Compare all rows with all models, and participants along an axis with one another; once."""
        if axis not in self._scans:
            parts = [self._scan_part(part, axis) for part in self.rows.parts()]
            self._scans[axis] = Scan(
                self._in_order([found[0] for found in parts]),
                None if axis is None else self._in_order([found[1] for found in parts]),
                sum((found[2] for found in parts), Gaps()),
            )
            self._warn(self._scans[axis])
        return self._scans[axis]

    def _scan_part(self, part: RowPart, axis: str | None) -> tuple[Array, Array, Gaps]:
        """Give scores (location, time, model), bounds (location, time, bound) if any, and what was missing."""
        comparison, gaps = self.comparison, Gaps()
        scores = np.empty((n_locations(part), n_times(part), len(self.tasks)))
        if axis is None:
            direct = comparison.comparator.products is not None
            for location in range(len(scores)):
                start = 0
                for rows in part.stream(location, part.block_size()):
                    gaps.count(rows)
                    vectors = None if direct else comparison.vectors(rows)
                    scores[location, start : start + len(rows)] = comparison.scores(rows, vectors)
                    start += len(rows)
            return scores, np.empty((*scores.shape[:2], 0)), gaps
        bounds = np.empty((*scores.shape[:2], 2))
        for locations in locations_along(part, axis):
            block, start = part.block_size(len(locations)), 0
            for together in zip(*(part.stream(location, block) for location in locations), strict=True):
                stop = start + len(together[0])
                ranks = [comparison.ranks(rows) for rows in together]
                embedded = [comparison.vectors(rows, own) for rows, own in zip(together, ranks, strict=True)]
                for location, rows, vectors in zip(locations, together, embedded, strict=True):
                    gaps.count(rows)
                    scores[location, start:stop] = comparison.scores(rows, vectors)
                controls = comparison.controls if len(comparison.controls) else None
                found = participant_bounds(comparison.comparator, together, embedded, ranks, controls)
                bounds[locations, start:stop] = np.moveaxis(found, 0, -1)
                start = stop
        return scores, bounds, gaps

    def _in_order(self, parts: Sequence[Array]) -> Array:
        r"""Turn parts (location, time, value) into (value, \*targets), targets in the order of the recording."""
        stream = self.rows
        values = np.stack(parts, axis=1)  # (location, part, time, value)
        shape = (*stream.other_shape, *_part_shape(stream), *stream.time_shape, values.shape[-1])
        axes = (*stream.others, *(() if stream.part_axis is None else (stream.part_axis,)))
        axes = (*axes, *(("time",) if stream.time_shape else ()))
        order = [axes.index(axis) for axis in self.task.data.targets]
        return np.ascontiguousarray(values.reshape(shape).transpose(len(axes), *order))

    def _scores_of_draws(self, orders: ItemOrders, draws: slice) -> Iterator[Array]:
        """Score some draws, all rows of the recording passing by once."""
        moves = _MovedModels(self.comparison, orders)
        n_draws, n_samples = draws.stop - draws.start, self.task.data.n_samples
        parts = []
        for part in self.rows.parts():
            scores = np.empty((n_locations(part), n_times(part), n_draws * len(self.tasks)))
            most = max(1, DRAW_BYTES // (8 * n_samples))
            for location, start, rows in _gathered(part, most):
                if np.isnan(rows).any():
                    raise ValueError(
                        f"inference: {int(np.isnan(rows).sum())} dissimilarities of a participant, channel or time "
                        "are missing (NaN), and items cannot be exchanged among pairs that are not there. Exclude "
                        "the items that are missing, or test over participants with SignFlip."
                    )
                own = rows if moves.embed is None else moves.embed(rows.astype(np.float64))
                for first, moved in moves.batches(draws, DRAW_BYTES):
                    found = self.comparison.scores_of_moved(own, moved)  # (draw, model, row)
                    columns = slice(first * len(self.tasks), (first + len(moved)) * len(self.tasks))
                    scores[location, start : start + len(rows), columns] = found.reshape(-1, len(rows)).T
            parts.append(scores)
        joined = self._in_order(parts)  # (draw · model, *targets)
        yield from joined.reshape(n_draws, len(self.tasks), *joined.shape[1:])

    def _warn(self, scan: Scan) -> None:
        undefined = int(np.isnan(scan.scores).sum())
        if undefined:
            warn("undefined-scores", "recording", f"{undefined} of {scan.scores.size} {UNDEFINED}")
        for code, argument, sentence in self._findings(scan):
            warn(code, argument, sentence)

    def _findings(self, scan: Scan) -> Iterator[tuple[str, str, str]]:
        """Say which pairs were missing, and which ceilings that leaves undefined: code, argument, sentence."""
        if scan.gaps.values:
            recording = self.rows.recording.transpose("sample", ...)
            table = recording.to_numpy().reshape(recording.sizes["sample"], -1)
            labels = recording["sample"].to_numpy()[np.isnan(table).any(axis=1)]
            holders = (
                f"NaN is in the values of {len(labels)} samples, first {labels[:3].tolist()}."
                if len(labels)
                else "No value is NaN: patterns that are the same in all channels have no such dissimilarity."
            )
            yield "missing-pairs", "recording", f"{scan.gaps.sentence()} {holders}"
        undefined = 0 if scan.bounds is None else int(np.isnan(scan.bounds).sum())
        if scan.bounds is not None and undefined:
            n_bounds = scan.bounds.size
            sentence = f"{undefined} of {n_bounds} values of the ceiling are undefined (NaN); means exclude them."
            yield "ceiling-undefined", "ceiling", sentence


class _MovedModels:
    """Models and controls moved among pairs as their items are exchanged, or the vectors that a comparator embeds."""

    def __init__(self, comparison: RowComparison, orders: ItemOrders) -> None:
        self.embed = comparison.comparator.embed
        self._orders = orders
        # vectors move like values, unless they depend on which pairs share an item
        self._embeds_first = self.embed is not None and comparison.comparator.of_present is None
        values = comparison.joint if self.embed is None or not self._embeds_first else self.embed(comparison.joint)
        n_items = orders.items.shape[1]
        square = np.zeros((len(values), n_items, n_items))
        square[:, orders.first, orders.second] = square[:, orders.second, orders.first] = values
        self._flat = square.reshape(len(values), -1)

    def batches(self, draws: slice, n_bytes: int) -> Iterator[tuple[int, Array]]:
        """Yield the first draw of a batch, counted from the first of all, and moved vectors (draw, joint, value)."""
        n_joint, n_pairs, n_items = len(self._flat), len(self._orders.first), self._orders.items.shape[1]
        size = max(1, n_bytes // (8 * n_joint * n_pairs))
        for start in range(draws.start, draws.stop, size):
            permutations = self._orders.items[start : min(start + size, draws.stop)]
            moved: Array = np.empty((len(permutations), n_joint, n_pairs))
            for draw, permutation in enumerate(permutations):
                # a pair takes the values of the pair of permuted items: the model moves the other way
                order = np.argsort(permutation)
                cell = order[self._orders.first] * n_items + order[self._orders.second]
                moved[draw] = self._flat[:, cell]
            if self.embed is not None and not self._embeds_first:
                embedded = self.embed(moved.reshape(-1, n_pairs))
                moved = embedded.reshape(len(permutations), n_joint, -1)
            yield start - draws.start, moved


def _prediction(task: ScoringTask) -> Array:
    """Predict every sample by a model that has nothing to fit, shape (sample,), float64."""
    nothing = np.zeros((task.data.n_samples, 1))
    (prediction,) = predict_splits(task.model, task.data.x.values, nothing, task.splits, None)
    return np.asarray(prediction[:, 0], dtype=np.float64)


def _refuse_explained(task: ScoringTask, model: Array, controls: Array) -> None:
    """Refuse a model that the controls explain altogether: nothing would be left to correlate."""
    design = np.column_stack([np.ones(controls.shape[1]), controls.T])
    left = model - design @ np.linalg.lstsq(design, model, rcond=None)[0]
    if left.var() <= 1e-10 * model.var():
        name = task.data.x.feature.to_numpy()[0]
        raise ValueError(
            f"controls: what {task.metric.name!r} holds constant explains the model {str(name)!r} altogether, so that "
            "nothing of it is left to compare; take it out of the controls."
        )


def locations_along(part: RowPart, axis: str) -> Iterator[NDArray[np.intp]]:
    """Give the locations that differ along an axis alone, for every position along the others.

    Parameters
    ----------
    part : RowPart
        Rows.
    axis : str
        One of its axes other than time.
    """
    grid = np.arange(n_locations(part)).reshape(part.other_shape)
    yield from np.moveaxis(grid, part.others.index(axis), -1).reshape(-1, grid.shape[part.others.index(axis)])


def _gathered(part: RowPart, most: int) -> Iterator[tuple[int, int, Array]]:
    """Yield location, first time and rows (time, sample), as many times at once as may be held."""
    for location in range(n_locations(part)):
        start = 0
        for rows in part.stream(location, min(most, n_times(part))):
            yield location, start, rows
            start += len(rows)


def _part_shape(stream: RowStream) -> tuple[int, ...]:
    return () if stream.part_axis is None else (stream.n_parts,)
