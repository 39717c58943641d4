r"""Intervals that hold for other participants and other items: the dual bootstrap, corrected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import DTypeLike, NDArray

from neuroling.core.arrays import each_near_one, near_one
from neuroling.core.item_pairs import in_condensed_order
from neuroling.core.notices import warn
from neuroling.core.sample_sizes import LEAST_ITEMS
from neuroling.numerics.rdm import bootstrap as resample
from neuroling.numerics.rdm import comparison as rdm_compare
from neuroling.numerics.rdm.distances import n_items_of, pairs_of

Array = NDArray[np.floating[Any]]
BATCH_BYTES = 2**25
"""Weighted ranks held at once (32 MiB); a heuristic."""

FEWEST_ITEMS = 14
"""Items below which tests err in more than 7 % of null studies at 5 %: 10 % with 10 items, 7 to 9 % with 12, 6 % with
14 (1,500 simulations each of people who share a geometry)."""

MEASURES = {"spearman": rdm_compare.spearman, "pearson": rdm_compare.pearson}
"""Comparators that can be weighted."""


@dataclass(frozen=True)
class DualBootstrap:
    r"""Mean scores of models under resampled participants, resampled items, both, and with each item left out.

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

    Attributes
    ----------
    observed : xarray.DataArray, dims ([time,] model)
        Mean score over participants.
    participants, items, both : xarray.DataArray, dims (draw, [time,] model)
        The same under resampling; a draw of ``both`` takes the participants and the items of the other two.
    left_out : xarray.DataArray, dims (draw, subject, [time,] model)
        Scores of each participant without one item, each once.
    n_participants, n_items : int
        How many were resampled.
    """

    observed: xr.DataArray
    participants: xr.DataArray
    items: xr.DataArray
    both: xr.DataArray
    left_out: xr.DataArray
    n_participants: int
    n_items: int

    def variance(self) -> xr.DataArray:
        """Give the corrected variance of the mean score, for new participants and new items."""
        people, items = self._sources()
        return self.observed.copy(data=people + items).rename("variance")

    def freedom(self) -> xr.DataArray:
        """Give the degrees of freedom of the variance (Satterthwaite 1946)."""
        people, items = self._sources()
        each = people**2 / (self.n_participants - 1) + items**2 / (self.n_items - 1)
        return self.observed.copy(data=(people + items) ** 2 / each).rename("freedom")

    def _sources(self) -> tuple[Array, Array]:
        """Give the variance that new participants make, and what new items add to it."""
        n_people, n_items = self.n_participants, self.n_items
        people = _drawn_variance(self.participants, n_people)
        beyond = _drawn_variance(self.both - self.items - self.participants, n_people) * n_items / (n_items - 1)
        jackknife = self.left_out.mean("subject").var("draw", ddof=0).values * (n_items - 1)
        each = self.left_out.var("draw", ddof=0).mean("subject").values * (n_items - 1)
        items = 2 * jackknife - _drawn_variance(self.items, n_items)
        shared = 2 * (each - jackknife) / (n_people - 1) - beyond
        return people, np.maximum(items - shared, 0)

    def interval(self, level: float = 0.95) -> xr.DataArray:
        """Give confidence intervals, from t with :meth:`freedom` degrees.

        Parameters
        ----------
        level : float
            Share of such intervals that cover the truth.

        Returns
        -------
        xarray.DataArray, dims (bound, [time,] model)
            Bounds ``lower`` and ``upper``.
        """
        from scipy.stats import t

        if not 0.5 < level < 1:
            raise ValueError(f"level: got {level}; expected between 0.5 and 1, such as 0.95.")
        reach = t.ppf((1 + level) / 2, self.freedom().values) * np.sqrt(self.variance().values)
        bounds = [self.observed - reach, self.observed + reach]
        joined: xr.DataArray = xr.concat(bounds, "bound")
        joined["bound"] = ["lower", "upper"]
        return joined

    def p_values(self) -> xr.DataArray:
        """Give two-sided p values of a mean score of zero, for new participants and new items."""
        from scipy.stats import t

        ratio = abs(self.observed.values) / np.sqrt(self.variance().values)
        return self.observed.copy(data=2 * t.sf(ratio, self.freedom().values)).rename("p")

    def difference(self, model: str, other: str) -> DualBootstrap:
        """Subtract the scores of one model from those of another, draw by draw, sign kept.

        Parameters
        ----------
        model, other : str
            Which to subtract from which.

        Returns
        -------
        DualBootstrap
            Without an axis ``model``.
        """
        names = [str(name) for name in self.observed.model.values]
        for name in (model, other):
            if name not in names:
                raise ValueError(f"model: got {name!r}; there are {names}.")

        def less(scores: xr.DataArray) -> xr.DataArray:
            return scores.sel(model=model, drop=True) - scores.sel(model=other, drop=True)

        return DualBootstrap(
            less(self.observed),
            less(self.participants),
            less(self.items),
            less(self.both),
            less(self.left_out),
            self.n_participants,
            self.n_items,
        )


def dual_bootstrap(
    dissimilarities: xr.DataArray,
    models: xr.DataArray,
    *,
    measure: Literal["spearman", "pearson"] = "spearman",
    n_draws: int = 1000,
    rng: int | np.random.Generator = 0,
    dtype: DTypeLike = np.float32,
) -> DualBootstrap:
    """Resample participants and items, and compare again without sorting again.

    Parameters
    ----------
    dissimilarities : xarray.DataArray, dims (sample, subject, [time])
        Of every pair of items, finite.
    models : xarray.DataArray, dims (sample, model)
        With the same labels of pairs in the same order.
    measure : {"spearman", "pearson"}
        Comparator.
    n_draws : int
        Number of resamplings; an item drawn twice is not paired with its copy.
    rng : int or numpy.random.Generator
        Seed of the draws.
    dtype : dtype
        What is computed in.

    Returns
    -------
    DualBootstrap

    Warns
    -----
    UserWarning
        With fewer than 14 items, for which the intervals are too narrow.
    """
    rows, model_rows, laid = _checked(dissimilarities, models, measure, n_draws)
    generator = np.random.default_rng(rng)
    n_subjects, n_times = rows.shape[:2]
    n_items = n_items_of(rows.shape[2])
    if n_items < FEWEST_ITEMS:
        warn(
            "few-items",
            "dissimilarities",
            f"{n_items} items; with fewer than {FEWEST_ITEMS} the intervals are too narrow, and tests at 5 % err in 7 "
            "to 10 %. Read them as a lower bound of the uncertainty.",
        )
    draws = _item_draws(generator, n_draws, n_items)
    subjects = generator.integers(0, n_subjects, (n_draws, n_subjects))
    whole = np.stack(
        [MEASURES[measure](rows[:, time], model_rows) for time in range(n_times)]
    )  # (time, subject, model)
    scores = _resampled(rows, model_rows, draws, measure, np.dtype(dtype))  # (draw, time, subject, model)
    scores, without = scores[:n_draws], scores[n_draws:]
    counts = np.stack([np.bincount(draw, minlength=n_subjects) for draw in subjects]) / n_subjects
    parts = {
        "observed": whole.mean(axis=1),
        "participants": np.einsum("ds,tsm->dtm", counts, whole),
        "items": scores.mean(axis=2),
        "both": np.einsum("ds,dtsm->dtm", counts, scores),
        "left_out": without.swapaxes(1, 2),  # (draw, subject, time, model)
    }
    coords = {"model": np.asarray(models.model)} | ({"time": laid.time} if "time" in laid.coords else {})

    def label(name: str) -> xr.DataArray:
        values = parts[name]
        leading = {2: (), 3: ("draw",), 4: ("draw", "subject")}[values.ndim]
        array = xr.DataArray(values, dims=(*leading, "time", "model"), coords=coords)
        return array if "time" in dissimilarities.dims else array.isel(time=0, drop=True)

    labelled = (label("observed"), label("participants"), label("items"), label("both"), label("left_out"))
    return DualBootstrap(*labelled, n_participants=n_subjects, n_items=n_items)


def _drawn_variance(draws: xr.DataArray, n: int) -> Array:
    return np.asarray(draws.var("draw", ddof=1).values * n / (n - 1))


def _item_draws(rng: np.random.Generator, n_draws: int, n_items: int) -> NDArray[np.intp]:
    """Draw items with replacement; a draw of fewer than three different ones has too few pairs and is made again."""
    draws = rng.integers(0, n_items, (n_draws, n_items))
    while True:
        poor = np.array([len(np.unique(draw)) < 3 for draw in draws])
        if not poor.any():
            return np.asarray(draws, dtype=np.intp)
        draws[poor] = rng.integers(0, n_items, (int(poor.sum()), n_items))


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


def _checked(
    dissimilarities: xr.DataArray, models: xr.DataArray, measure: str, n_draws: int
) -> tuple[Array, Array, xr.DataArray]:
    if measure not in MEASURES:
        raise ValueError(f"measure: got {measure!r}; expected one of {', '.join(map(repr, MEASURES))}.")
    if n_draws < 100:
        raise ValueError(f"n_draws: got {n_draws}; a variance needs at least 100 draws, an interval rather 1,000.")
    if not isinstance(dissimilarities, xr.DataArray) or not isinstance(models, xr.DataArray):
        raise TypeError(
            f"dissimilarities, models: got {type(dissimilarities).__name__} and {type(models).__name__}; expected "
            "labelled arrays, from rdms and model_rdms."
        )
    present = dissimilarities if "time" in dissimilarities.dims else dissimilarities.expand_dims("time")
    if set(present.dims) != {"sample", "subject", "time"}:
        raise ValueError(f"dissimilarities: got axes {dissimilarities.dims}; expected (sample, subject, [time]).")
    if present.sizes["subject"] < 3:
        raise ValueError(f"dissimilarities: {present.sizes['subject']} subjects; expected at least 3 to resample.")
    if not np.isfinite(present.values).all():
        raise ValueError("dissimilarities: some are NaN or infinite; resample the items that everybody has.")
    if "sample" not in models.coords or not models.indexes["sample"].equals(present.indexes["sample"]):
        raise ValueError("models: labels of pairs differ from those of the dissimilarities, or their order does.")
    if in_condensed_order(present, "dissimilarities") is not present:
        raise ValueError(
            "dissimilarities: their pairs do not stand in condensed order; take them as rdms gives them, or sort both "
            "sides by label first."
        )
    n_items = n_items_of(present.sizes["sample"])
    if n_items < LEAST_ITEMS:
        raise ValueError(f"dissimilarities: {n_items} items; expected at least {LEAST_ITEMS} to resample.")
    laid = near_one(present).transpose("subject", "time", "sample")
    return laid.values, each_near_one(models.transpose("model", "sample").values.astype(np.float64)), laid
