r"""Inference over participants and items together: the bias-corrected dual bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroling.core.intervals import Intervals
from neuroling.core.notices import warn
from neuroling.core.protocols import ParticipantRows, Scoring
from neuroling.core.sample_sizes import LEAST_ITEMS
from neuroling.numerics.rdm import bootstrap as resample
from neuroling.numerics.rdm import comparison as rdm_compare
from neuroling.numerics.rdm.distances import n_items_of, pairs_of

Array = NDArray[np.floating[Any]]
BATCH_BYTES = 2**25
"""Weighted ranks held at once (32 MiB); a heuristic."""

BLOCK_BYTES = 2**28
"""Bytes of the resampled scores, or of the dissimilarities, of the times that are resampled together (256 MiB)."""

FEWEST_ITEMS = 14
"""Items below which tests err in more than 7 % of null studies at 5 %: 10 % with 10 items, 7 to 9 % with 12, 6 % with
14 (1,500 simulations each of people who share a geometry)."""

MEASURES = {"spearman": rdm_compare.spearman, "pearson": rdm_compare.pearson}
"""Metrics that can be weighted."""


MOST_ROUNDS = 100
"""How often draws of items that say nothing are made again."""


@dataclass(frozen=True)
class DualBootstrap:
    r"""Resample participants and items: intervals that generalise to new participants and new items.

    The variance for new participants *and* new items is

    .. math:: \sigma^2 = \sigma^2_P + \max(\sigma^2_I - \sigma^2_{P \times I}, 0), \qquad
       \sigma^2_I = 2 \sigma^2_J - \tilde\sigma^2_I, \qquad
       \sigma^2_{P \times I} = 2 \kappa^2_J - \tilde\sigma^2_{P \times I}

    with the bootstrap variance of participants :math:`\sigma^2_P`, and for items the bootstrap's
    :math:`\tilde\sigma^2_I` and the jackknife's :math:`\sigma^2_J`; :math:`\tilde\sigma^2_{P \times I}` is the variance
    of what resampling both does beyond the sum of the two, and :math:`\kappa^2_J` what participants differ in under the
    jackknife; each is multiplied by :math:`n / (n - 1)` of what it resamples. What one participant's items make is in
    :math:`\sigma^2_P` and in :math:`\sigma^2_I`, so it is taken out once; resampling both would count it three times
    (Schütt, Kipnis, Diedrichsen and Kriegeskorte 2023, eLife 12, e82566). By the same argument what belongs to single
    *pairs* is counted three times when their items are drawn, and twice when they are left out: each formula takes that
    back.

    It takes fixed models of dissimilarities, compared by Spearman's or Pearson's correlation, and all pairs of the
    items. Ranks are weighted and never sorted again.

    Parameters
    ----------
    axis : str
        Axis along which participants lie.
    n_draws : int
        Number of resamplings; an item drawn twice is not paired with its copy.

    Examples
    --------
    >>> import xarray as xr
    >>> from neuroling import evaluate, pairwise, spearman
    >>> from neuroling.rsa import FixedRDM
    >>> rng = np.random.default_rng(0)
    >>> words = {"sample": [f"word {number:02d}" for number in range(20)]}
    >>> features = xr.DataArray(rng.standard_normal((20, 3)), dims=("sample", "feature"), coords=words)
    >>> people = [features.rename(feature="channel") + rng.standard_normal((20, 3)) for _ in range(8)]
    >>> recording = xr.concat(people, "subject")
    >>> pairs = pairwise(features, recording, distance="euclidean", model_distance="euclidean")
    >>> result = evaluate(FixedRDM(), pairs, metric=spearman, inference=DualBootstrap(n_draws=200))
    >>> bool(result.intervals.interval().sel(bound="lower") > 0), bool(result.p_values() < 0.05)
    (True, True)
    """

    axis: str = "subject"
    n_draws: int = 1000

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> Intervals:
        """Resample, and give the mean score over participants with its uncertainty.

        Parameters
        ----------
        scoring : Scoring
            An evaluation of fixed models of dissimilarities.
        rng : numpy.random.Generator
            Source of the draws.

        Returns
        -------
        Intervals

        Warns
        -----
        CodedWarning
            ``few-items``, with fewer than 14 items, for which the intervals are too narrow.
        """
        rows = self._checked(scoring)
        n_pairs, n_people = rows.models.shape[1], rows.n_participants
        n_items = n_items_of(n_pairs)
        items = item_draws(rng, self.n_draws, n_items, rows.models)
        people = rng.integers(0, n_people, (self.n_draws, n_people))
        most = BLOCK_BYTES // (8 * n_people * max(n_pairs, (self.n_draws + n_items) * len(rows.models)))
        found: list[tuple[slice, Array]] = []
        for places, block in rows.blocks(max(1, most)):
            _refuse_missing(block)
            drawn = resampled(block, rows.models, items, people, rows.metric)
            found.append((places, drawn.combined(rows.columns).summary()))
        n_places = max(places.stop for places, _ in found)
        parts = np.empty((3, n_places, rows.columns.shape[1]))  # mean, variance, df
        for places, summary in found:
            parts[:, places] = summary
        _refuse_undefined(parts[1])
        mean, variance, df = (rows.labelled(part) for part in parts)
        method = f"dual bootstrap of {n_people} participants and {n_items} items, {self.n_draws} draws"
        return Intervals(mean, variance**0.5, df, method, scoring.chance)

    def _checked(self, scoring: Scoring) -> ParticipantRows:
        if self.n_draws < 100:
            raise ValueError(
                f"n_draws: got {self.n_draws}; a variance needs at least 100 draws, an interval rather 1,000."
            )
        rows = scoring.participant_rows(self.axis)
        if rows is None:
            raise ValueError(
                f"inference: DualBootstrap({self.axis!r}) resamples items of fixed models of dissimilarities, from "
                f"pairwise, and participants along {self.axis!r}, which the recording has to have."
            )
        if rows.metric not in MEASURES:
            raise ValueError(f"metric: got {rows.metric}; DualBootstrap takes {' or '.join(MEASURES)}.")
        if rows.n_participants < 3:
            raise ValueError(
                f"inference: {rows.n_participants} along {self.axis!r}; expected at least 3 participants to resample."
            )
        if not rows.is_complete:
            raise ValueError(
                "inference: DualBootstrap takes all pairs of some items, in condensed order, as pairwise gives them; "
                "some pairs are missing."
            )
        n_items = n_items_of(rows.models.shape[1])
        if n_items < LEAST_ITEMS:
            raise ValueError(f"inference: {n_items} items; expected at least {LEAST_ITEMS} to resample.")
        if n_items < FEWEST_ITEMS:
            warn(
                "few-items",
                "inference",
                f"{n_items} items; with fewer than {FEWEST_ITEMS} the intervals are too narrow, and tests at 5 % err "
                "in 7 to 10 %. Read them as a lower bound of the uncertainty.",
            )
        return rows


def _refuse_missing(rows: Array) -> None:
    missing = int((~np.isfinite(rows)).sum())
    if missing:
        raise ValueError(
            f"inference: {missing} dissimilarities are NaN or infinite; resample the items that everybody has."
        )


def _refuse_undefined(variance: Array) -> None:
    undefined = int((~np.isfinite(variance)).sum())
    if undefined:
        raise ValueError(
            f"inference: the variance of {undefined} of {variance.size} scores is undefined, because a model or the "
            "dissimilarities of a participant are constant without one item. Leave that model out."
        )


@dataclass(frozen=True)
class Resamplings:
    """Mean scores under resampled participants, resampled items, both, and with each item left out.

    Attributes
    ----------
    observed : ndarray, shape (time, model)
        Mean score over participants.
    participants, items, both : ndarray, shape (draw, time, model)
        The same under resampling; a draw of ``both`` takes the participants and the items of the other two.
    left_out : ndarray, shape (item, participant, time, model)
        Scores of each participant without one item, each once.
    """

    observed: Array
    participants: Array
    items: Array
    both: Array
    left_out: Array

    def combined(self, columns: Array) -> Resamplings:
        """Give combinations of models (model, column) in place of models, such as the difference of two."""
        parts = (self.observed, self.participants, self.items, self.both, self.left_out)
        return Resamplings(*(part @ columns for part in parts))

    def summary(self) -> Array:
        """Give mean, variance and degrees of freedom, (3, time, model)."""
        return np.stack([self.observed, self.variance(), self.freedom()])

    def variance(self) -> Array:
        """Give the corrected variance of the mean score, for new participants and new items (time, model)."""
        people, items = self._sources()
        return people + items

    def freedom(self) -> Array:
        """Give the degrees of freedom of the variance (Satterthwaite 1946), (time, model)."""
        people, items = self._sources()
        n_items, n_people = self.left_out.shape[:2]
        return np.asarray((people + items) ** 2 / (people**2 / (n_people - 1) + items**2 / (n_items - 1)))

    def _sources(self) -> tuple[Array, Array]:
        """Give the variance that new participants make, and what new items add to it."""
        n_items, n_people = self.left_out.shape[:2]
        people = _drawn_variance(self.participants, n_people)
        beyond = _drawn_variance(self.both - self.items - self.participants, n_people) * n_items / (n_items - 1)
        jackknife = self.left_out.mean(axis=1).var(axis=0) * (n_items - 1)
        each = self.left_out.var(axis=0).mean(axis=0) * (n_items - 1)
        items = 2 * jackknife - _drawn_variance(self.items, n_items)
        shared = 2 * (each - jackknife) / (n_people - 1) - beyond
        return people, np.maximum(items - shared, 0)


def resampled(
    rows: Array,
    models: Array,
    items: NDArray[np.intp],
    people: NDArray[np.intp],
    measure: str,
    dtype: type[np.floating[Any]] = np.float32,
) -> Resamplings:
    """Compare again under every draw of items and participants, without sorting again.

    Parameters
    ----------
    rows : ndarray, shape (participant, time, pair)
        Finite dissimilarities of all pairs, in condensed order.
    models : ndarray, shape (model, pair)
        Models of them.
    items, people : ndarray of int, shape (draw, item) and (draw, participant)
        What is drawn.
    measure : {"spearman", "pearson"}
        Metric.
    dtype : type
        What is computed in.

    Returns
    -------
    Resamplings
    """
    n_draws, n_people = people.shape
    observed = np.stack([MEASURES[measure](rows[:, time], models) for time in range(rows.shape[1])])
    scores = _resampled(rows, models, items, measure, np.dtype(dtype))  # (draw, time, participant, model)
    scores, without = scores[:n_draws], scores[n_draws:]
    counts = np.stack([np.bincount(draw, minlength=n_people) for draw in people]) / n_people
    return Resamplings(
        observed=observed.mean(axis=1),
        participants=np.einsum("ds,tsm->dtm", counts, observed),
        items=scores.mean(axis=2),
        both=np.einsum("ds,dtsm->dtm", counts, scores),
        left_out=without.swapaxes(1, 2),
    )


def _drawn_variance(draws: Array, n: int) -> Array:
    return np.asarray(draws.var(axis=0, ddof=1) * n / (n - 1))


def item_draws(rng: np.random.Generator, n_draws: int, n_items: int, models: Array | None = None) -> NDArray[np.intp]:
    """Draw items with replacement.

    A draw of fewer than three different ones has too few pairs and is made again, and so is one in which a model is
    constant, as one of categories is where all drawn items are of one category: no score is defined there.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the draws.
    n_draws, n_items : int
        How many.
    models : ndarray, shape (model, pair), optional
        Models of dissimilarities, pairs in condensed order.

    Returns
    -------
    ndarray of int, shape (draw, item)

    Raises
    ------
    ValueError
        If a model is constant in nearly all draws.
    """
    tied = np.empty((0, 0)) if models is None else models[[_has_ties(model) for model in models]]
    draws = rng.integers(0, n_items, (n_draws, n_items))
    for _ in range(MOST_ROUNDS):
        poor = np.array([_says_nothing(np.unique(draw), tied, n_items) for draw in draws])
        if not poor.any():
            return np.asarray(draws, dtype=np.intp)
        draws[poor] = rng.integers(0, n_items, (int(poor.sum()), n_items))
    raise ValueError(
        f"inference: a model is constant in {int(poor.sum())} of {n_draws} resamplings of {n_items} items, also when "
        "they are drawn again; it tells too few items apart to be tested."
    )


def _has_ties(model: Array) -> bool:
    """Say whether three pairs, as three items have them, can have one value."""
    return bool(np.unique(model, return_counts=True)[1].max() >= 3)


def _says_nothing(items: NDArray[np.intp], models: Array, n_items: int) -> bool:
    """Say whether a draw has too few items, or leaves a model constant."""
    if len(items) < 3:
        return True
    if not len(models):
        return False
    first, second = np.triu_indices(len(items), 1)
    i, j = items[first], items[second]
    of_pairs = models[:, i * n_items - i * (i + 1) // 2 + j - i - 1]
    return bool((np.ptp(of_pairs, axis=1) == 0).any())


def _resampled(rows: Array, models: Array, draws: NDArray[np.intp], measure: str, dtype: np.dtype[Any]) -> Array:
    n_subjects, n_times, n_pairs = rows.shape
    n_items = n_items_of(n_pairs)
    scores = np.empty((len(draws) + n_items, n_times, n_subjects, len(models)))
    n_held = len(models) + n_subjects + 4 if measure == "spearman" else 4  # rows of pairs for each draw
    batch = max(1, BATCH_BYTES // (n_pairs * dtype.itemsize * n_held))
    for start in range(0, len(scores), batch):
        part = slice(start, start + batch)
        weights = _weights(draws, n_items, range(len(scores))[part], dtype)
        ranked = resample.model_ranks(models, weights) if measure == "spearman" else None
        for time in range(n_times):
            if ranked is not None:
                scores[part, time] = resample.rank_scores(rows[:, time], ranked, weights)
            else:
                scores[part, time] = resample.weighted_pearson(rows[:, time], models, weights)
    return scores


def _weights(draws: NDArray[np.intp], n_items: int, numbers: range, dtype: np.dtype[Any]) -> Array:
    """Give weights of pairs: first of the draws, then with each item left out."""
    drawn = [number for number in numbers if number < len(draws)]
    left_out = [number - len(draws) for number in numbers if number >= len(draws)]
    parts = []
    if drawn:
        parts.append(resample.pair_weights(draws[drawn], dtype.type))
    if left_out:
        first, second = pairs_of(n_items)
        parts.append(np.array([(first != item) & (second != item) for item in left_out], dtype=dtype))
    return np.concatenate(parts)
