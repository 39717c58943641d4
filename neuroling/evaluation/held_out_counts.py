"""Check, before anything is fitted, that a metric has enough held-out samples."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from neuroling.core.align import Aligned
from neuroling.core.item_pairs import item_order
from neuroling.core.protocols import Split
from neuroling.core.sample_sizes import LEAST_VALUES, check_items, check_values
from neuroling.evaluation.metrics import Metric, comparator_of


def check_held_out(metric: Metric, data: Aligned, splits: Sequence[Split]) -> None:
    """Refuse scores over too few held-out values or items, and warn of few.

    Parameters
    ----------
    metric : Metric
        Says how many values it needs (``least``) and below how many it is mostly chance (``few``).
    data : Aligned
        Features and recording.
    splits : sequence of Split
        Row numbers.

    Raises
    ------
    ValueError
        If a score would rest on too few values or items, or a metric of all pairs would get others.

    Warns
    -----
    CodedWarning
        ``few-samples`` or ``few-items``.
    """
    if metric.of_all_pairs and data.unit != "item":
        raise ValueError(
            f"metric: {metric.name} is of all pairs of some items, but these samples are no pairs; make them with "
            "pairwise, or take pearson or cosine."
        )
    of_items = data.unit == "item" and metric.consumes("sample")
    if of_items:
        _check_pairs(metric, data, splits)
    few = 0 if of_items else metric.few  # few items have been warned of
    check_values("metric", metric.name, _fewest_values(metric, data, splits), metric.least, few)


def _fewest_values(metric: Metric, data: Aligned, splits: Sequence[Split]) -> int:
    """Count the values that the score of the smallest test set rests on."""
    beside = prod(data.y.sizes[axis] for axis in metric.over if axis != "sample")
    if metric.is_pattern or "sample" not in metric.over:
        return beside
    sizes = [len(split.test) for split in splits]
    return beside * (sum(sizes) if metric.is_pooled else min(sizes))


def _check_pairs(metric: Metric, data: Aligned, splits: Sequence[Split]) -> None:
    is_whole = len(splits) == 1 and len(splits[0].test) == data.n_samples
    if is_whole and data.stream is not None and data.stream.is_condensed:
        check_items("data", len(data.items))
        return
    first, second = (np.searchsorted(data.items, data.coordinate(side)) for side in ("first", "second"))
    tests = [np.concatenate([split.test for split in splits])] if metric.is_pooled else [split.test for split in splits]
    if metric.least >= LEAST_VALUES or comparator_of(metric) is not None:
        check_items("data", min(len(np.union1d(first[test], second[test])) for test in tests))
    if metric.of_all_pairs:
        for number, test in enumerate(tests):
            if item_order(first[test], second[test]) is None:
                raise ValueError(
                    f"metric: {metric.name} takes all pairs of some items, in condensed order, but split {number} "
                    f"holds out {len(test)} others; hold out items with ByItem or everything with NoSplit, in the "
                    "order that pairwise gives."
                )
