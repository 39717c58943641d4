"""Permutation tests: samples are exchanged, or the items that samples are pairs of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import lgamma, log

import numpy as np

from neuroling.core.align import Aligned
from neuroling.core.notices import warn
from neuroling.core.null_distribution import NullDistribution
from neuroling.core.protocols import Orders, Scoring
from neuroling.evaluation.inference.clusters import ClusterKind, Clusters
from neuroling.evaluation.inference.collecting import all_same, check_draws, null_of_orders, null_of_scores
from neuroling.evaluation.inference.exchange import FEWEST_ORDERS, Groups, ItemOrders, exchange_of
from neuroling.evaluation.leaks import rows_resemble_neighbours


@dataclass(frozen=True)
class Permutation:
    """Exchange samples (or items, where samples are pairs of them) and do everything again.

    Parameters
    ----------
    n_draws : int
        Number of permutations.
    groups : {"auto", "within", "whole", "across"}
        How samples of groups are exchanged, since samples of a group may be more alike than others in features and
        recording: ``"within"`` groups; groups as a ``"whole"`` with others of their size; or ``"across"`` groups, as if
        there were none. By default within groups if each has at least 10 samples, and as a whole if all have the same
        smaller size; anything else is refused until it is said. Across groups with offsets as large as the noise, 14 %
        false positives were measured with four groups held out at a time and 27 % family-wise; within groups 6 %.
    group_by : str
        Sample coordinate that names the groups.
    two_sided : bool, optional
        Count scores far from chance in either direction; by default only for differences of models.
    clusters : Clusters or {"mass", "size", "tfce"}, optional
        What neighbours add: gives ``p_values("cluster")``.
    keep_choices : bool
        Keep the penalties that were chosen for the recording as it is, and fit only weights anew: a thousand draws then
        cost about as much as 15 to 25 whole evaluations.
    keep_draws : bool
        Keep every draw, or only counts and the best of each.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import KFold
    >>> from neuroling import Ridge, Stimuli, align, evaluate, pearson
    >>> rng = np.random.default_rng(0)
    >>> texts = Stimuli.from_texts([f"text {number}" for number in range(40)])
    >>> features = texts.features(rng.standard_normal((40, 3)))
    >>> recording = texts.features(features.values[:, :2] + rng.standard_normal((40, 2))).rename(feature="voxel")
    >>> result = evaluate(
    ...     Ridge(), align(features, recording), splits=KFold(5), metric=pearson, inference=Permutation(99), rng=0
    ... )
    >>> result.p_values().values.tolist()
    [0.01, 0.01]
    """

    n_draws: int = 1000
    groups: Groups = "auto"
    group_by: str = "group"
    two_sided: bool | None = None
    clusters: Clusters | ClusterKind | None = None
    keep_choices: bool = False
    keep_draws: bool = True

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> NullDistribution:
        """Draw the null.

        Parameters
        ----------
        scoring : Scoring
            The evaluation.
        rng : numpy.random.Generator
            Source of the permutations.

        Returns
        -------
        NullDistribution
        """
        check_draws(self.n_draws)
        data = scoring.data
        if data.unit == "time":
            raise ValueError(
                "inference: Permutation exchanges single samples, but the samples are consecutive in time and alike to "
                "their neighbours; use CircularShift or BlockPermutation."
            )
        orders, exchanged = self._items(data, rng) if data.unit == "item" else self._samples(data, rng)
        return null_of_orders(scoring, orders, f"permutation of {exchanged}", self, keep_choices=self.keep_choices)

    def _samples(self, data: Aligned, rng: np.random.Generator) -> tuple[Orders, str]:
        _warn_if_in_time(data)
        exchange = exchange_of(data, self.groups, self.group_by)
        return np.stack([exchange.order(data.n_samples, rng) for _ in range(self.n_draws)]), exchange.method

    def _items(self, data: Aligned, rng: np.random.Generator) -> tuple[Orders, str]:
        if self.groups not in ("auto", "across") or self.group_by != "group":
            raise ValueError(
                f"groups: got {self.groups!r} by {self.group_by!r}, but the samples are pairs of items, and items are "
                "exchanged; expected the default."
            )
        n_items = len(data.items)
        if lgamma(n_items + 1) < log(FEWEST_ORDERS):
            raise ValueError(
                f"inference: {n_items} items have fewer than {FEWEST_ORDERS} orders, too few for p = 0.05; expected at "
                "least 4."
            )
        return ItemOrders(data, np.stack([rng.permutation(n_items) for _ in range(self.n_draws)])), "items"


@dataclass(frozen=True)
class HeldOutPermutation:
    """Exchange held-out samples within their split, predictions kept.

    Conditional on the training set, held-out samples are exchangeable when the features say nothing about them; nothing
    is fitted again, so many draws of many voxels are cheap. It needs many held-out samples that train nothing: over the
    folds of a cross-validation, scores of different folds share samples and rise together, the draws here do not, and
    12 % false positives were measured where 5 % were meant.

    Parameters
    ----------
    n_draws : int
        Number of permutations.
    groups, group_by
        As in :class:`Permutation`, among the held-out samples of every split.
    two_sided, clusters, keep_draws
        As in :class:`Permutation`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import KFold
    >>> from neuroling import Ridge, Stimuli, align, evaluate, pearson
    >>> rng = np.random.default_rng(0)
    >>> texts = Stimuli.from_texts([f"text {number}" for number in range(40)])
    >>> features = texts.features(rng.standard_normal((40, 3)))
    >>> recording = texts.features(features.values[:, :2] + rng.standard_normal((40, 2))).rename(feature="voxel")
    >>> from sklearn.model_selection import ShuffleSplit
    >>> half = ShuffleSplit(1, test_size=0.5, random_state=0)
    >>> result = evaluate(
    ...     Ridge(), align(features, recording), splits=half, metric=pearson, inference=HeldOutPermutation(99), rng=0
    ... )
    >>> bool((result.p_values() <= 0.05).all())
    True
    """

    n_draws: int = 1000
    groups: Groups = "auto"
    group_by: str = "group"
    two_sided: bool | None = None
    clusters: Clusters | ClusterKind | None = None
    keep_draws: bool = True

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> NullDistribution:
        """Draw the null.

        Parameters
        ----------
        scoring : Scoring
            The evaluation.
        rng : numpy.random.Generator
            Source of the permutations.

        Returns
        -------
        NullDistribution
        """
        check_draws(self.n_draws)
        self._check(scoring)
        data = scoring.data
        _warn_if_in_time(data)
        exchanges = [exchange_of(data, self.groups, self.group_by, split.test) for split in scoring.splits]
        positions = [_positions(split.test, data.n_samples) for split in scoring.splits]
        draws = [
            [
                position[exchange.order(data.n_samples, rng)[split.test]]
                for split, exchange, position in zip(scoring.splits, exchanges, positions, strict=True)
            ]
            for _ in range(self.n_draws)
        ]
        observed = scoring.observed()
        scores = (
            observed if all_same(orders) else score
            for score, orders in zip(scoring.relabelled(draws), draws, strict=True)
        )
        digest = hashlib.sha256("\x1f".join(map(str, data.y.indexes["sample"])).encode("utf-8", "surrogatepass"))
        for order in (order for orders in draws for order in orders):
            digest.update(order.astype(np.int32).tobytes())
        method = f"permutation of held-out {exchanges[0].method}"
        return null_of_scores(scoring, scores, method, self, relabelings=digest.hexdigest())

    def _check(self, scoring: Scoring) -> None:
        if scoring.data.unit != "sample":
            raise ValueError(
                f"inference: HeldOutPermutation exchanges single samples, but here the unit is {scoring.data.unit!r}; "
                "use Permutation for pairs of items, CircularShift or BlockPermutation for time series."
            )
        smallest = min(len(split.test) for split in scoring.splits)
        if smallest < 10:
            raise ValueError(
                f"inference: the smallest test set has {smallest} samples; HeldOutPermutation needs at least 10 of "
                "them to exchange. Use Permutation, which relabels all samples."
            )
        tested = np.concatenate([split.test for split in scoring.splits])
        shared = np.intersect1d(tested, np.concatenate([split.train for split in scoring.splits]))
        if len(shared) or len(np.unique(tested)) < len(tested):
            raise ValueError(
                f"inference: of {len(np.unique(tested))} held-out samples {len(shared)} also train another split, or "
                "are held out twice, so the scores of splits rise and fall together while these draws would not. Hold "
                "out once, as ShuffleSplit(1, random_state=0) does, or use Permutation, which fits again."
            )


def _warn_if_in_time(data: Aligned) -> None:
    """Warn where samples follow each other in time, as their values show, and nobody has said so."""
    if not rows_resemble_neighbours(data):
        return
    warn(
        "exchanged-in-time",
        "inference",
        "rows resemble the rows before them, in features and in recording, and this test exchanges single rows: with "
        "an autocorrelation of 0.8 it finds something in more than half of studies where there is nothing. If rows "
        "are consecutive in time, add the coordinate 'time_index' (and 'group' for runs) and use CircularShift or "
        "BlockPermutation; if they are not, sort them so that neighbours have nothing in common.",
    )


def _positions(test: np.ndarray, n_samples: int) -> np.ndarray:
    """Say where each sample stands in a test set."""
    position = np.full(n_samples, -1, dtype=np.intp)
    position[test] = np.arange(len(test))
    return position
