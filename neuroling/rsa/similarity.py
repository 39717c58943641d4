"""Agreement of a recording with many models over time: streamed in blocks, ceilings included."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any, NamedTuple, Protocol

import numpy as np
import xarray as xr
from numpy.typing import DTypeLike, NDArray

from neuroling.core.arrays import each_near_one, near_one
from neuroling.core.item_pairs import in_condensed_order
from neuroling.core.notices import warn
from neuroling.core.provenance import Provenance, content_hash, current_versions, now
from neuroling.core.result import Result
from neuroling.core.sample_sizes import check_items
from neuroling.numerics.rdm.comparison import LEAST_PAIRS, with_gaps
from neuroling.numerics.rdm.ranks import centred_ranks
from neuroling.rsa.comparators import Comparator, as_comparator
from neuroling.rsa.dissimilarity import BLOCK_BYTES, Noise, PairLabels, Plan, check_dissimilarities, check_patterns
from neuroling.rsa.distances import Distance
from neuroling.rsa.models import check_models, in_order_of, model_names

Array = NDArray[np.floating[Any]]


# More than eight parameters: each is one decision of a study that its methods section reports.
def similarity(
    recording: xr.DataArray,
    models: xr.DataArray,
    *,
    distance: Distance | str | None = None,
    comparator: Comparator | str | None = None,
    controls: xr.DataArray | None = None,
    over: str = "channel",
    window: int = 1,
    noise: Noise = None,
    allow_bias: bool = False,
    ceiling: bool = True,
    dtype: DTypeLike = np.float32,
) -> Result:
    r"""Compare a recording with models, at every time and for every participant, without keeping a dissimilarity.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, [repeat,] over, \*targets)
        As in :func:`~neuroling.rsa.dissimilarity.rdms`.
    models : xarray.DataArray, dims (sample, model)
        Models of the pairs of the same items, in any order.
    distance : Distance or str, optional
        Crossnobis where there are repeats, else the correlation distance.
    comparator : Comparator or str, optional
        By default rho-a if some model has ties, else Spearman.
    controls : xarray.DataArray, optional, dims (sample, model)
        Models held constant; Spearman and Pearson have partial forms.
    over, window, noise, allow_bias
        As in :func:`~neuroling.rsa.dissimilarity.rdms`.
    ceiling : bool
        Where ``subject`` is the only axis beside time: how well participants agree with the others (``lower``) and with
        all (``upper``). Partial agreement has none, since what controls leave differs from model to model.
    dtype : dtype
        What is computed in; float32 is several times faster, and off by less than 1e-6.

    Returns
    -------
    Result
        ``score`` (split, \*targets, model), with one split: nothing is fitted.

    Raises
    ------
    TypeError, ValueError
        If the parts do not fit together; the message says which.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> items = [f"word {i}" for i in range(8)]
    >>> recording = xr.DataArray(
    ...     rng.standard_normal((8, 5, 3)), dims=("sample", "channel", "time"), coords={"sample": items}
    ... )
    >>> from neuroling.rsa.models import model_rdms
    >>> features = xr.DataArray(np.eye(8)[:, :3], dims=("sample", "feature"), coords={"sample": items})
    >>> model = model_rdms(features, "euclidean")
    >>> result = similarity(recording, model, distance="correlation")
    >>> result.score.dims, result.metric
    (('time', 'model'), 'rho-a')
    """
    check_patterns(recording, over)
    light = near_one(recording).astype(dtype, copy=False)
    plan = Plan.of(light, distance, over=over, window=window, noise=noise, allow_bias=allow_bias)
    said = {"distance": plan.distance.name, "window": str(window), "over": over, "noise": _named(noise)}
    return _compare(plan, PairLabels.of(plan.items).sample, models, comparator, controls, ceiling, recording, said)


def rdm_similarity(
    dissimilarities: xr.DataArray,
    models: xr.DataArray,
    *,
    comparator: Comparator | str | None = None,
    controls: xr.DataArray | None = None,
    ceiling: bool = True,
    dtype: DTypeLike = np.float64,
) -> Result:
    r"""Compare dissimilarities that are at hand, such as reaction times or decoding accuracies, with models.

    Parameters
    ----------
    dissimilarities : xarray.DataArray, dims (sample, \*targets)
        Of every pair of items; NaN where a pair is missing.
    models, comparator, controls, ceiling, dtype
        As in :func:`similarity`.

    Returns
    -------
    Result
        ``score`` (split, \*targets, model).
    """
    check_dissimilarities(dissimilarities)
    check_models(models)
    if getattr(as_comparator(comparator, models), "of_present", None) is not None:
        dissimilarities = in_condensed_order(dissimilarities, "dissimilarities")
    held = Held.of(near_one(dissimilarities).astype(dtype, copy=False))
    labels = np.asarray(dissimilarities.coords["sample"])
    return _compare(held, labels, models, comparator, controls, ceiling, dissimilarities, {})


class Source(Protocol):
    """Where rows of dissimilarities come from, block by block."""

    @property
    def n_places(self) -> int:
        """Positions along the axes other than time."""
        ...

    @property
    def n_times(self) -> int:
        """Positions along time, 1 without one."""
        ...

    @property
    def others(self) -> tuple[str, ...]:
        """Axes that places run over."""
        ...

    @property
    def other_shape(self) -> tuple[int, ...]:
        """Lengths of the other axes."""
        ...

    @property
    def time_shape(self) -> tuple[int, ...]:
        """``(n_times,)``, or nothing without a time axis."""
        ...

    @property
    def attrs(self) -> dict[str, Any]:
        """What is written on the dissimilarities."""
        ...

    def block_size(self, n_at_once: int = 1) -> int:
        """Say how many times of so many places to take at once."""
        ...

    def stream(self, place: int, block: int) -> Iterator[Array]:
        """Yield rows (time, pair) of one place."""
        ...

    def labelled(self, values: Array, *leading: str) -> xr.DataArray:
        """Put labels on values (*leading, *others, [time])."""
        ...


@dataclass(frozen=True)
class Held:
    """Dissimilarities that are in memory, as a source of rows.

    Attributes
    ----------
    values : ndarray, shape (place, time, pair)
        Rows.
    template : xarray.DataArray
        Where labels come from.
    others : tuple of str
        Axes that places run over.
    """

    values: Array
    template: xr.DataArray
    others: tuple[str, ...]

    @classmethod
    def of(cls, dissimilarities: xr.DataArray) -> Held:
        """Lay dissimilarities out."""
        others = tuple(str(dim) for dim in dissimilarities.dims if dim not in ("sample", "time"))
        present = dissimilarities if "time" in dissimilarities.dims else dissimilarities.expand_dims("time")
        laid = present.transpose(*others, "time", "sample")
        return cls(laid.values.reshape(-1, *laid.shape[-2:]), dissimilarities, others)

    @property
    def n_places(self) -> int:
        """Positions along the axes other than time."""
        return int(self.values.shape[0])

    @property
    def n_times(self) -> int:
        """Positions along time, 1 without one."""
        return int(self.values.shape[1])

    @property
    def other_shape(self) -> tuple[int, ...]:
        """Lengths of the other axes."""
        return tuple(self.template.sizes[axis] for axis in self.others)

    @property
    def time_shape(self) -> tuple[int, ...]:
        """``(n_times,)``, or nothing without a time axis."""
        return (self.n_times,) if "time" in self.template.dims else ()

    @property
    def attrs(self) -> dict[str, Any]:
        """What is written on the dissimilarities."""
        return {str(key): value for key, value in self.template.attrs.items()}

    def block_size(self, n_at_once: int = 1) -> int:
        """Say how many times of so many places to take at once."""
        return max(1, min(self.n_times, BLOCK_BYTES // (int(self.values.shape[2]) * 8 * n_at_once)))

    def stream(self, place: int, block: int) -> Iterator[Array]:
        """Yield rows (time, pair) of one place."""
        for start in range(0, self.n_times, block):
            yield self.values[place, start : start + block]

    def labelled(self, values: Array, *leading: str) -> xr.DataArray:
        """Put labels on values (*leading, *others, [time])."""
        dims = (*self.others, *(("time",) if "time" in self.template.dims else ()))
        coords = {n: c for n, c in self.template.coords.items() if c.dims and set(c.dims) <= set(dims)}
        return xr.DataArray(values, dims=(*leading, *dims), coords=coords, attrs=self.template.attrs)


@dataclass(frozen=True)
class Comparison:
    """Models and controls in the order of the data, ready to be compared with rows.

    Attributes
    ----------
    comparator : Comparator
        The measure.
    models, controls : ndarray, shape (model, pair) and (control, pair)
        Float64.
    """

    comparator: Comparator
    models: Array
    controls: Array

    def scores(self, rows: Array, vectors: Array | None) -> Array:
        """Compare rows (row, pair) with all models; (row, model)."""
        if vectors is not None and self.comparator.embed is not None:
            return np.asarray(vectors @ self.columns(vectors.dtype), dtype=np.float64)
        if self.comparator.products is not None and not len(self.controls) and np.isfinite(rows).all():
            return self.comparator.products(rows, self.columns(rows.dtype))
        if not len(self.controls):
            return np.asarray(with_gaps(self.comparator.compare, self.comparator.of_present)(rows, self.models))
        partial, n_models = self.comparator.partial, len(self.models)
        assert partial is not None  # noqa: S101 - checked where the comparison was made

        def compare(some: Array, joint: Array) -> NDArray[np.float64]:
            left = np.asarray(partial(some, joint[:n_models], joint[n_models:]), dtype=np.float64)
            return np.concatenate([left, np.full((len(some), len(joint) - n_models), np.nan)], axis=1)

        return np.asarray(with_gaps(compare)(rows, np.concatenate([self.models, self.controls]))[:, :n_models])

    @cached_property
    def _double(self) -> Array:
        assert self.comparator.embed is not None  # noqa: S101 - asked for only where there is one
        return np.ascontiguousarray(self.comparator.embed(self.models).T)

    @cached_property
    def _single(self) -> Array:
        return self._double.astype(np.float32)

    def columns(self, dtype: DTypeLike) -> Array:
        """Give the vectors of the models (value, model)."""
        return self._single if np.dtype(dtype) == np.float32 else self._double

    def ranks(self, rows: Array) -> Array | None:
        """Give centred mid-ranks of rows, if ranks are compared and no pair is missing."""
        if not self.comparator.is_ranked or len(self.controls) or not np.isfinite(rows).all():
            return None
        return centred_ranks(rows)[0]

    def vectors(self, rows: Array, ranks: Array | None = None) -> Array | None:
        """Give vectors whose inner products are scores, if the comparator has such and no pair is missing."""
        if ranks is not None:
            return None if self.comparator.from_ranks is None else self.comparator.from_ranks(ranks)
        if self.comparator.embed is None or len(self.controls) or not np.isfinite(rows).all():
            return None
        return self.comparator.embed(rows)


def _compare(
    source: Source,
    pairs: NDArray[np.str_],
    models: xr.DataArray,
    comparator: Comparator | str | None,
    controls: xr.DataArray | None,
    ceiling: bool,
    recording: xr.DataArray,
    options: dict[str, str],
) -> Result:
    comparison, models = prepared(pairs, models, comparator, controls)
    with_ceiling = ceiling and source.others == ("subject",) and source.n_places > 1 and controls is None
    scores, bounds, gaps = scan(source, comparison, with_ceiling=with_ceiling)
    warn_of_nan(scores)
    notes = warn_of_gaps(gaps, recording, bounds)
    return labelled_result(source, scores, bounds, models, comparison, controls, recording, options, notes)


@dataclass
class Gaps:
    """How many dissimilarities were missing, counted while they streamed by.

    Attributes
    ----------
    rows, values : int
        Rows (a place and time each) with a missing pair, and missing pairs in all of them.
    all_rows, all_values : int
        What there was of both.
    """

    rows: int = 0
    values: int = 0
    all_rows: int = 0
    all_values: int = 0

    def count(self, rows: Array) -> None:
        """Count the missing pairs of rows (row, pair)."""
        self.all_rows += len(rows)
        self.all_values += rows.size
        missing = np.isnan(rows)
        if missing.any():
            self.rows += int(missing.any(axis=1).sum())
            self.values += int(missing.sum())

    def plus(self, other: Gaps) -> Gaps:
        """Add up two counts."""
        return Gaps(
            self.rows + other.rows,
            self.values + other.values,
            self.all_rows + other.all_rows,
            self.all_values + other.all_values,
        )

    def sentence(self) -> str:
        """Say what is missing and what is done about it."""
        return (
            f"{self.values} of {self.all_values} dissimilarities are missing (NaN), in {self.rows} of {self.all_rows} "
            "rows (a participant, channel or time each); agreement there is over the pairs that are left."
        )


class Scan(NamedTuple):
    """What comparing all rows of a source gave.

    Attributes
    ----------
    scores : ndarray, shape (place, time, model)
        Agreement.
    bounds : ndarray or None, shape (2, place, time)
        Ceilings.
    gaps : Gaps
        What was missing.
    """

    scores: Array
    bounds: Array | None
    gaps: Gaps


def scan(source: Source, comparison: Comparison, *, with_ceiling: bool) -> Scan:
    """Compare all rows of a source, block by block.

    Parameters
    ----------
    source : Source
        Where rows come from.
    comparison : Comparison
        What they are compared with.
    with_ceiling : bool
        Take places for participants, and bound how well any model could do.

    Returns
    -------
    Scan
    """
    scores, gaps = np.empty((source.n_places, source.n_times, len(comparison.models))), Gaps()
    if not with_ceiling:
        direct = comparison.comparator.products is not None
        for place in range(source.n_places):
            start = 0
            for rows in source.stream(place, source.block_size()):
                gaps.count(rows)
                vectors = None if direct else comparison.vectors(rows)
                scores[place, start : start + len(rows)] = comparison.scores(rows, vectors)
                start += len(rows)
        return Scan(scores, None, gaps)
    bounds = np.empty((2, source.n_places, source.n_times))
    block, start = source.block_size(source.n_places), 0
    for together in zip(*(source.stream(place, block) for place in range(source.n_places)), strict=True):
        stop = start + len(together[0])
        ranks = [comparison.ranks(rows) for rows in together]
        embedded = [comparison.vectors(rows, own) for rows, own in zip(together, ranks, strict=True)]
        for place, (rows, vectors) in enumerate(zip(together, embedded, strict=True)):
            gaps.count(rows)
            scores[place, start:stop] = comparison.scores(rows, vectors)
        bounds[:, :, start:stop] = _bounds(comparison.comparator, together, embedded, ranks)
        start = stop
    return Scan(scores, bounds, gaps)


def prepared(
    pairs: NDArray[np.str_],
    models: xr.DataArray,
    comparator: Comparator | str | None,
    controls: xr.DataArray | None = None,
) -> tuple[Comparison, xr.DataArray]:
    """Check models and bring them into the order of the data.

    Parameters
    ----------
    pairs : ndarray of str, shape (pair,)
        Labels of the data.
    models, controls : xarray.DataArray, dims (sample, model)
        What to compare with, and what to hold constant.
    comparator : Comparator, str or None
        As in :func:`similarity`.

    Returns
    -------
    comparison : Comparison
    models : xarray.DataArray, dims (sample, model)
        In the order of the data.
    """
    check_models(models)
    models = in_order_of(models, pairs, "models").transpose("sample", "model")
    check_items("models", _n_items(models))
    chosen = as_comparator(comparator, models)
    held: Array = np.empty((0, models.sizes["sample"]))
    if controls is not None:
        check_models(controls, "controls")
        if chosen.partial is None:
            raise ValueError(f"controls: {chosen.name} has no partial form; take comparator='spearman' or 'pearson'.")
        ordered = in_order_of(controls, pairs, "controls").transpose("model", "sample")
        held = each_near_one(ordered.values.astype(np.float64))
        _refuse_explained(models, controls, held)
    values = each_near_one(models.transpose("model", "sample").values.astype(np.float64))
    return Comparison(chosen, values, held), models


def _n_items(models: xr.DataArray) -> int:
    """Count the items of pairs: by their labels, or the most that so many pairs can be of where there are none."""
    if {"first", "second"} <= set(models.coords):
        return len(np.union1d(models.coords["first"].to_numpy(), models.coords["second"].to_numpy()))
    return int((1 + np.sqrt(1 + 8 * models.sizes["sample"])) / 2)


def _refuse_explained(models: xr.DataArray, controls: xr.DataArray, held: Array) -> None:
    """Refuse a model that the controls explain altogether: nothing would be left to correlate."""
    design = np.column_stack([np.ones(held.shape[1]), held.T])
    for name, column in zip(models.model.values, models.transpose("model", "sample").values, strict=True):
        left = column - design @ np.linalg.lstsq(design, column, rcond=None)[0]
        if left.var() <= 1e-10 * column.var():
            raise ValueError(
                f"controls: {[str(c) for c in controls.model.values]} explain the model {str(name)!r} altogether, so "
                "nothing of it is left to compare; take it out of the controls."
            )


def _bounds(
    comparator: Comparator, rows: tuple[Array, ...], vectors: list[Array | None], ranks: list[Array | None]
) -> Array:
    """Give ceilings of every participant, (bound, subject, time)."""
    if comparator.is_ranked:
        known = [own for own in ranks if own is not None]
        of_all = _by_time(tuple(known)) if len(known) == len(rows) else repeat(None)
        pairs = zip(_by_time(rows), of_all, strict=False)
        return np.stack([_ranked_bounds(comparator, here, own) for here, own in pairs], axis=-1)
    embedded = [vector for vector in vectors if vector is not None]
    if len(embedded) == len(rows):
        stacked = np.stack(embedded, axis=1)  # (time, subject, value)
        return ceilings_from_products(np.matmul(stacked, stacked.swapaxes(1, 2), dtype=np.float64))
    bounds = np.full((2, len(rows), len(rows[0])), np.nan)
    for time, here in enumerate(_by_time(rows)):
        present = np.asarray(np.isfinite(here).all(axis=0))
        if present.sum() >= LEAST_PAIRS:
            products = comparator.between(here[:, present], present)
            bounds[:, :, time] = ceilings_from_products(products[None])[:, :, 0]
    return bounds


def _by_time(rows: tuple[Array, ...]) -> Iterator[Array]:
    """Give the rows of all participants at one time after the other, (subject, pair) each."""
    yield from (np.stack([some[time] for some in rows]) for time in range(len(rows[0])))


def _ranked_bounds(comparator: Comparator, rows: Array, ranks: Array | None) -> Array:
    """Compare the ranks of each participant with mean ranks of the others and of all, ranked again: (bound, subject).

    As Nili et al. (2014) have it: each participant is ranked, ranks are averaged, and the measure ranks the mean. So
    the upper bound is the score of the mean as a model; for tau-a it is approximate, for no mean maximises it exactly.
    """
    here = rows[:, np.isfinite(rows).all(axis=0)]
    if here.shape[1] < LEAST_PAIRS:
        return np.full((2, len(rows)), np.nan)
    ranks = (
        centred_ranks(here)[0] if ranks is None else ranks
    )  # halves of whole numbers, so that sums of them tie where they should
    exact = len(ranks) * here.shape[1] < EXACT_FLOAT32
    total = ranks.sum(axis=0, dtype=np.float64)
    means = np.concatenate([total - ranks, total[None]]).astype(ranks.dtype if exact else np.float64)
    if comparator.from_ranks is None or comparator.embed is None:
        lower = [comparator.compare(here[s : s + 1], means[s : s + 1])[0, 0] for s in range(len(here))]
        return np.stack([np.array(lower), comparator.compare(here, means[-1:])[:, 0]])
    own, again = comparator.from_ranks(ranks), comparator.embed(means)
    lower = np.einsum("sp,sp->s", own, again[:-1], dtype=np.float64)
    return np.stack([lower, (own @ again[-1]).astype(np.float64)])


EXACT_FLOAT32 = 2**23
"""Participants times pairs up to which float32 holds sums of their ranks exactly."""


def ceilings_from_products(products: Array) -> Array:
    r"""Give how well each participant agrees with the mean of the others, and of all.

    .. math:: u_s = \frac{\sum_t c_{st}}{\sqrt{c_{ss} \sum_{tu} c_{tu}}}, \qquad
       l_s = \frac{\sum_{t \ne s} c_{st}}{\sqrt{c_{ss} \sum_{t, u \ne s} c_{tu}}}

    Parameters
    ----------
    products : ndarray, shape (time, subject, subject)
        Inner products of participants' dissimilarities, brought to length one, so that all weigh the same.

    Returns
    -------
    ndarray, shape (2, subject, time)
        Lower, then upper bounds (Nili et al. 2014), for measures that are inner products of the values themselves.
    """
    own = np.diagonal(products, axis1=1, axis2=2)  # (time, subject)
    row, total = products.sum(axis=2), products.sum(axis=(1, 2))[:, None]
    others = total - 2 * row + own
    with np.errstate(invalid="ignore", divide="ignore"):
        upper = row / np.sqrt(own * total)
        lower = (row - own) / np.sqrt(own * others)
    return np.stack([lower.T, upper.T])


def warn_of_nan(scores: Array) -> None:
    """Warn of undefined scores, once for all.

    Parameters
    ----------
    scores : ndarray
        Any shape.
    """
    undefined = int(np.isnan(scores).sum())
    if undefined:
        warn(
            "undefined-scores",
            "recording",
            f"{undefined} of {scores.size} scores are undefined (NaN), because dissimilarities there are all equal or "
            f"missing, but for fewer than {LEAST_PAIRS} pairs.",
        )


def warn_of_gaps(gaps: Gaps, recording: xr.DataArray, bounds: Array | None = None) -> tuple[str, ...]:
    """Warn of missing pairs, and of ceilings that they leave undefined; give the sentences, for the result.

    Parameters
    ----------
    gaps : Gaps
        What was missing.
    recording : xarray.DataArray
        Items, or pairs of items, along ``sample``, some of which have NaN.
    bounds : ndarray, optional, shape (2, place, time)
        Ceilings.

    Returns
    -------
    tuple of str
    """
    notes = []
    if gaps.values:
        table = recording.transpose("sample", ...).to_numpy()
        labels = recording["sample"].to_numpy()[np.isnan(table.reshape(len(table), -1)).any(axis=1)]
        notes.append(f"{gaps.sentence()} NaN is in the values of {len(labels)} samples, first {labels[:3].tolist()}.")
        warn("missing-pairs", "recording", notes[-1])
    undefined = 0 if bounds is None else int(np.isnan(bounds).sum())
    if bounds is not None and undefined:
        notes.append(f"{undefined} of {bounds.size} values of the ceiling are undefined (NaN); means exclude them.")
        warn("ceiling-undefined", "ceiling", notes[-1])
    return tuple(notes)


def labelled_result(
    source: Source,
    scores: Array,
    bounds: Array | None,
    models: xr.DataArray,
    comparison: Comparison,
    controls: xr.DataArray | None,
    recording: xr.DataArray,
    options: dict[str, str],
    notes: tuple[str, ...] = (),
) -> Result:
    """Put scores, bounds and labels together; parameters as made by :func:`scan` and :func:`prepared`."""
    score = _with_models(source, scores, models).expand_dims("split")
    ceiling = None
    if bounds is not None:
        ceiling = source.labelled(_reshaped(source, bounds, 1), "bound").assign_coords(bound=["lower", "upper"])
        ceiling = ceiling.drop_attrs()
    name = metric_name(comparison, controls)
    attrs = dict(source.attrs)
    data = {"models": model_hash(models), "recording": recording_hash(recording)}
    provenance = Provenance(
        options={**options, "comparator": name, "dtype": str(recording.dtype)},
        data=data | {f"recording.{key}": str(value) for key, value in attrs.items()},
        seed="none",
        synthetic=bool(recording.attrs.get("synthetic", False)),
        versions=current_versions(),
        created=now(),
        notes=(*_notes(source, attrs), *notes),
    )
    return Result.of(score, metric=name, ceiling=ceiling, provenance=provenance)


def metric_name(comparison: Comparison, controls: xr.DataArray | None) -> str:
    """Say what scores are.

    Parameters
    ----------
    comparison : Comparison
        What was compared.
    controls : xarray.DataArray or None
        What was held constant.

    Returns
    -------
    str
    """
    name = comparison.comparator.name
    return name if controls is None else f"partial {name} given {', '.join(map(str, controls.model.values))}"


def model_hash(models: xr.DataArray) -> str:
    """Hash models that are in the order of the data: values and names, not half a million labels of pairs.

    Parameters
    ----------
    models : xarray.DataArray, dims (sample, model)
        Models of dissimilarities.

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    return content_hash(models.reset_coords(drop=True).drop_vars("sample", errors="ignore"))


def recording_hash(recording: xr.DataArray) -> str:
    """Hash a recording participant by participant, so that no copy of all of it is made.

    Parameters
    ----------
    recording : xarray.DataArray
        Perhaps large.

    Returns
    -------
    str
        SHA-256, hexadecimal: that of the whole without an axis ``subject``, else of the participants' hashes.
    """
    if "subject" not in recording.dims:
        return content_hash(recording)
    each = [content_hash(recording.isel(subject=place)) for place in range(recording.sizes["subject"])]
    return hashlib.sha256("".join(each).encode()).hexdigest()


def _notes(source: Source, attrs: dict[Any, Any]) -> tuple[str, ...]:
    notes = []
    if attrs.get("biased"):
        notes.append(
            f"the {attrs.get('distance', '')} distance is biased by noise; differences in trial counts would show"
        )
    if isinstance(source, Plan) and source.window > 1 and source.time_shape and "time" in source.recording.coords:
        times = np.asarray(source.recording.coords["time"], dtype=np.float64)
        if times[0] < 0 < times[-1]:
            notes.append(
                f"windows of {source.window} samples; those within half a window of 0 hold samples of both sides"
            )
    return tuple(notes)


def _reshaped(source: Source, values: Array, n_leading: int = 0) -> Array:
    """Turn (*leading, place, time) into (*leading, *others, [time])."""
    return values.reshape((*values.shape[:n_leading], *source.other_shape, *source.time_shape))


def _with_models(source: Source, scores: Array, models: xr.DataArray) -> xr.DataArray:
    one = source.labelled(_reshaped(source, scores[..., 0]))
    names = model_names(models)
    values = scores.reshape((*one.shape, len(names)))
    return xr.DataArray(values, dims=(*one.dims, "model"), coords={**one.coords, "model": names})


def _named(noise: Noise) -> str:
    return "given covariance" if isinstance(noise, xr.DataArray) else str(noise)
