"""Agreement of a recording with many models over time: streamed in blocks, ceilings included."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import DTypeLike, NDArray

from neuroling.core.provenance import Provenance, content_hash, current_versions, now
from neuroling.core.result import Result
from neuroling.numerics.rdm.comparison import with_gaps
from neuroling.rsa.comparators import Comparator, as_comparator
from neuroling.rsa.dissimilarity import BLOCK_BYTES, Noise, PairLabels, Plan
from neuroling.rsa.distances import Distance
from neuroling.rsa.models import check_models, in_order_of, model_names

Array = NDArray[np.floating[Any]]


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
    plan = Plan.of(
        recording.astype(dtype, copy=False), distance, over=over, window=window, noise=noise, allow_bias=allow_bias
    )
    options = {"distance": plan.distance.name, "window": str(window), "over": over, "noise": _named(noise)}
    return _compare(plan, PairLabels.of(plan.items).sample, models, comparator, controls, ceiling, recording, options)


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
    if not isinstance(dissimilarities, xr.DataArray) or "sample" not in dissimilarities.coords:
        raise TypeError(
            "dissimilarities: expected a DataArray (sample, …) whose samples are labelled pairs, from rdms."
        )
    held = Held.of(dissimilarities.astype(dtype, copy=False))
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
            return np.asarray(with_gaps(self.comparator.compare)(rows, self.models))
        partial, n_models = self.comparator.partial, len(self.models)
        assert partial is not None  # noqa: S101 - checked where the comparison was made

        def compare(some: Array, joint: Array) -> Array:
            return partial(some, joint[:n_models], joint[n_models:])

        gaps = np.isnan(rows).any(axis=1)
        if not gaps.any():
            return compare(rows, np.concatenate([self.models, self.controls]))
        joint = np.concatenate([self.models, self.controls])
        each = [compare(row[None, ~np.isnan(row)], joint[:, ~np.isnan(row)]) for row in rows]
        return np.concatenate(each)

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

    def vectors(self, rows: Array) -> Array | None:
        """Give vectors whose inner products are scores, if the comparator has such and no pair is missing."""
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
    scores, bounds = scan(source, comparison, with_ceiling=with_ceiling)
    warn_of_nan(scores)
    return labelled_result(source, scores, bounds, models, comparison, controls, recording, options)


def scan(source: Source, comparison: Comparison, *, with_ceiling: bool) -> tuple[Array, Array | None]:
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
    scores : ndarray, shape (place, time, model)
    bounds : ndarray or None, shape (2, place, time)
    """
    scores = np.empty((source.n_places, source.n_times, len(comparison.models)))
    if not with_ceiling:
        direct = comparison.comparator.products is not None
        for place in range(source.n_places):
            start = 0
            for rows in source.stream(place, source.block_size()):
                vectors = None if direct else comparison.vectors(rows)
                scores[place, start : start + len(rows)] = comparison.scores(rows, vectors)
                start += len(rows)
        return scores, None
    bounds = np.empty((2, source.n_places, source.n_times))
    block, start = source.block_size(source.n_places), 0
    for together in zip(*(source.stream(place, block) for place in range(source.n_places)), strict=True):
        stop = start + len(together[0])
        embedded = [comparison.vectors(rows) for rows in together]
        for place, (rows, vectors) in enumerate(zip(together, embedded, strict=True)):
            scores[place, start:stop] = comparison.scores(rows, vectors)
        bounds[:, :, start:stop] = _bounds(comparison.comparator, together, embedded)
        start = stop
    return scores, bounds


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
    if models.sizes["sample"] < 3:
        raise ValueError(
            f"models: {models.sizes['sample']} pair; agreement needs at least three items, so three pairs."
        )
    chosen = as_comparator(comparator, models)
    held = np.empty((0, models.sizes["sample"]))
    if controls is not None:
        check_models(controls, "controls")
        if chosen.partial is None:
            raise ValueError(f"controls: {chosen.name} has no partial form; take comparator='spearman' or 'pearson'.")
        held = in_order_of(controls, pairs, "controls").transpose("model", "sample").values.astype(np.float64)
        _refuse_explained(models, controls, held)
    values = models.transpose("model", "sample").values.astype(np.float64)
    return Comparison(chosen, values, held), models


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


def _bounds(comparator: Comparator, rows: tuple[Array, ...], vectors: list[Array | None]) -> Array:
    """Give ceilings of every participant, (bound, subject, time), from products between participants."""
    embedded = [vector for vector in vectors if vector is not None]
    if len(embedded) == len(rows):
        stacked = np.stack(embedded, axis=1)  # (time, subject, value)
        return ceilings_from_products(np.matmul(stacked, stacked.swapaxes(1, 2), dtype=np.float64))
    from neuroling.rsa.comparators import spearman

    bounds = np.empty((2, len(rows), len(rows[0])))
    for time in range(len(rows[0])):
        here = np.stack([some[time] for some in rows])  # (subject, pair)
        here = here[:, np.isfinite(here).all(axis=0)]
        embed = comparator.embed or spearman.embed
        assert embed is not None  # noqa: S101 - Spearman has one
        if here.shape[1] < 3:
            bounds[:, :, time] = np.nan
        elif comparator.embed is not None:
            vector = embed(here)
            bounds[:, :, time] = ceilings_from_products((vector @ vector.T)[None].astype(np.float64))[:, :, 0]
        else:
            bounds[:, :, time] = _direct_bounds(comparator, here, embed(here))
    return bounds


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
        Lower, then upper bounds (Nili et al. 2014), the mean of all taken without ranking it again.
    """
    own = np.diagonal(products, axis1=1, axis2=2)  # (time, subject)
    row, total = products.sum(axis=2), products.sum(axis=(1, 2))[:, None]
    others = total - 2 * row + own
    with np.errstate(invalid="ignore", divide="ignore"):
        upper = row / np.sqrt(own * total)
        lower = (row - own) / np.sqrt(own * others)
    return np.stack([lower.T, upper.T])


def _direct_bounds(comparator: Comparator, rows: Array, vectors: Array) -> Array:
    """Compare each participant with mean ranks; an upper bound of tau-a is approximate (Nili et al. 2014)."""
    total = vectors.sum(axis=0)
    upper = comparator.compare(rows, total[None])[:, 0]
    lower = [comparator.compare(rows[s : s + 1], (total - vectors[s])[None])[0, 0] for s in range(len(rows))]
    return np.stack([np.array(lower), upper])


def warn_of_nan(scores: Array) -> None:
    """Warn of undefined scores, once for all.

    Parameters
    ----------
    scores : ndarray
        Any shape.
    """
    undefined = int(np.isnan(scores).sum())
    if undefined:
        warnings.warn(
            f"similarity: {undefined} of {scores.size} scores are undefined (NaN), because dissimilarities there "
            "are all equal or missing.",
            stacklevel=4,
        )


def labelled_result(
    source: Source,
    scores: Array,
    bounds: Array | None,
    models: xr.DataArray,
    comparison: Comparison,
    controls: xr.DataArray | None,
    recording: xr.DataArray,
    options: dict[str, str],
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
        notes=_notes(source, attrs),
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
