"""Dissimilarities of item pairs from a recording, over time, with their bias recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.arrays import real_numbers
from neuroling.core.pair_names import name_pairs
from neuroling.core.provenance import content_hash
from neuroling.core.row_streams import BLOCK_BYTES, bias_notes, n_locations
from neuroling.numerics.rdm import noise_normalisation as whitening
from neuroling.numerics.rdm.distances import pairs_of, sliding_correlation, times_first
from neuroling.rsa import distances
from neuroling.rsa.checks import check_numbers, refuse_extreme_units, refuse_infinite
from neuroling.rsa.distances import Distance, as_distance
from neuroling.rsa.noise import refuse_second_whitening

Array = NDArray[np.floating[Any]]
Noise = Literal["training folds"] | xr.DataArray | None

LEAST_BLOCK = 16
"""Times in a block of one place, so that buffers for sorting are made once for many; a heuristic."""

TRANSPOSED = 64
"""Times that are brought into the order of patterns at once, so that every cache line is read once; a heuristic."""


@dataclass(frozen=True)
class PairLabels:
    """Names of the pairs of some items, the same whatever the order of the items.

    Attributes
    ----------
    sample : ndarray of str, shape (pair,)
        ``"a | b"`` with ``a`` before ``b`` in the alphabet; see :func:`~neuroling.core.pair_names.name_pairs`.
    first, second : ndarray of str, shape (pair,)
        The two items.
    """

    sample: NDArray[np.str_]
    first: NDArray[np.str_]
    second: NDArray[np.str_]

    @classmethod
    def of(cls, items: NDArray[np.generic]) -> PairLabels:
        """Name the pairs of items, in condensed order.

        Parameters
        ----------
        items : ndarray, shape (item,)
            Unique labels.

        Examples
        --------
        >>> PairLabels.of(np.array(["cat", "ant", "dog"])).sample.tolist()
        ['ant | cat', 'cat | dog', 'ant | dog']
        """
        names = cls.check(items)
        a, b = (names[places] for places in pairs_of(len(names)))
        first, second = np.where(a < b, a, b), np.where(a < b, b, a)
        return cls(name_pairs(first, second), first, second)

    @staticmethod
    def check(items: NDArray[np.generic]) -> NDArray[np.str_]:
        """Refuse labels that cannot name pairs; give them as text."""
        names = np.array([str(item) for item in np.asarray(items)])
        if len(names) < 2:
            raise ValueError(f"items: got {len(names)}; a dissimilarity needs two, and comparing them at least four.")
        if len(np.unique(names)) < len(names):
            values, counts = np.unique(names, return_counts=True)
            raise ValueError(f"items: {values[counts > 1][:5].tolist()} occur more than once; expected unique labels.")
        return names

    def coords(self) -> dict[str, tuple[str, NDArray[np.str_]]]:
        """Give the labels as coordinates of a ``DataArray``."""
        return {"sample": ("sample", self.sample), "first": ("sample", self.first), "second": ("sample", self.second)}


def label_pairs(dissimilarities: xr.DataArray) -> xr.DataArray:
    """Label pairs by their two items, in the way that models of them are labelled.

    Parameters
    ----------
    dissimilarities : xarray.DataArray, dims (sample, …)
        Measured elsewhere, with coordinates ``first`` and ``second``.

    Returns
    -------
    xarray.DataArray
        ``sample`` is ``"a | b"``, the two in alphabetical order.
    """
    absent = [name for name in ("first", "second") if name not in dissimilarities.coords]
    if absent:
        raise ValueError(f"dissimilarities: no coordinates {absent}; say which two items each pair is of.")
    a, b = (np.array([str(n) for n in dissimilarities.coords[side].to_numpy()]) for side in ("first", "second"))
    if (a == b).any():
        raise ValueError(
            f"dissimilarities: {int((a == b).sum())} pairs are of an item with itself, first {a[a == b][:3].tolist()}; "
            "leave the diagonal out."
        )
    first, second = np.where(a < b, a, b), np.where(a < b, b, a)
    names = name_pairs(first, second)
    if len(np.unique(names)) < len(names):
        raise ValueError("dissimilarities: some pair occurs twice; average the two orders of its items first.")
    return dissimilarities.assign_coords(sample=names, first=("sample", first), second=("sample", second))


def rdms(
    recording: xr.DataArray,
    distance: Distance | str | None = None,
    *,
    over: str = "channel",
    window: int = 1,
    noise: Noise = None,
    allow_bias: bool = False,
) -> xr.DataArray:
    r"""Give the dissimilarity of every pair of items, everywhere else along the recording.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, [repeat,] over, \*targets)
        Patterns lie along ``over``. Repeats are folds to a cross-validated distance and are averaged for any other. A
        coordinate ``n_trials`` (sample,) says how many trials each item's patterns rest on, one per repeat by default.
        A repeat of an item that is NaN throughout is one that the item does not have: items may have unequal numbers
        of repeats, and a coordinate ``n_averaged`` (sample, repeat) weights them by their trials. An item without any
        repeat, or a NaN in one, makes the pairs of its item NaN there, and nothing else.
    distance : Distance or str, optional
        Crossnobis where there are repeats, else the correlation distance.
    over : str
        Axis of the patterns.
    window : int
        Samples of the time axis that belong to one pattern, side by side; times are then centres of windows.
    noise : {"training folds"} or xarray.DataArray, optional
        Divide by the noise covariance: learned in each fold from the other folds, or one from
        :func:`~neuroling.rsa.noise.noise_covariance` of other data.
    allow_bias : bool
        Accept a biased distance of items with unequal numbers of trials.

    Returns
    -------
    xarray.DataArray, dims (sample, \*targets)
        A sample is a pair, with coordinates ``first`` and ``second``; attributes ``distance``, ``biased``,
        ``n_trials_min`` and ``n_trials_max``.

    Raises
    ------
    ValueError
        If axes, counts, units or windows do not fit; the message says which.

    Examples
    --------
    >>> patterns = xr.DataArray(np.eye(3), dims=("sample", "channel"), coords={"sample": ["a", "b", "c"]})
    >>> rdms(patterns, "squared euclidean").values.tolist()
    [2.0, 2.0, 2.0]
    """
    pairs = PatternPairs.of(recording, distance, over=over, window=window, noise=noise, allow_bias=allow_bias)
    blocks = [np.concatenate(list(pairs.stream(place, pairs.block_size()))) for place in range(n_locations(pairs))]
    values = np.stack(blocks).reshape(*pairs.other_shape, *pairs.time_shape, -1)  # (*others, [time,] pair)
    return pairs.labelled(np.moveaxis(values, -1, 0), "sample")


@dataclass(frozen=True)
class PatternPairs:
    """Dissimilarities of a recording, made in blocks: which axis is what is checked once.

    Attributes
    ----------
    values : ndarray, shape (place, repeat, item, channel, time)
        Places are all positions along the other axes, such as subjects; time has length one where there is none.
    recording : xarray.DataArray
        Where the labels come from.
    distance : Distance
        The distance.
    others : tuple of str
        Axes that places run over.
    window : int
        Samples in a window.
    precisions : list of ndarray or None
        What patterns of each place are multiplied with.
    weights : ndarray, shape (place, repeat, item), or None
        Trials behind each pattern, where they are not all alike; 0 where an item lacks a repeat.
    attrs : dict
        What is written on the dissimilarities.
    options : dict
        How they are made, for the record of a result.
    """

    values: Array
    recording: xr.DataArray
    distance: Distance
    others: tuple[str, ...]
    window: int
    precisions: list[Array] | None
    weights: Array | None
    attrs: dict[str, Any]
    options: dict[str, str]

    part_axis = None
    n_parts = 1
    is_condensed = True

    @classmethod
    def of(
        cls,
        recording: xr.DataArray,
        distance: Distance | str | None,
        *,
        over: str,
        window: int,
        noise: Noise,
        allow_bias: bool,
    ) -> PatternPairs:
        """Check a recording and lay it out; parameters as in :func:`rdms`."""
        check_patterns(recording, over)
        n_repeats = recording.sizes.get("repeat", 1)
        distance = _chosen(distance, n_repeats)
        if recording.sizes[over] * window < 2 and distance in _ANGLES:
            raise ValueError(
                f"recording: one entry along {over!r}, and a {distance.name} distance needs at least two; use "
                "'euclidean'."
            )
        fixed = ("sample", "repeat", over, "time")
        other_axes = tuple(str(dim) for dim in recording.dims if dim not in fixed)
        present = recording
        for axis in ("repeat", "time"):
            present = present if axis in present.dims else present.expand_dims(axis)
        laid = present.transpose(*other_axes, "repeat", "sample", over, "time")
        values = laid.values.reshape(-1, *laid.shape[len(other_axes) :])
        values = real_numbers("recording", values)
        refuse_extreme_units(values)
        _check_window(window, values.shape[-1], "time" in recording.dims)
        weights = _weights(recording, values, other_axes)
        _check_repeats(recording, distance, weights)
        counts = _check_counts(recording, distance, values, weights, allow_bias)
        _check_units(recording, over, noise)
        precisions = _precisions(noise, recording, values, distance, over, other_axes)
        attrs = dict(recording.attrs) | {"distance": distance.name, "biased": int(distance.is_biased), **counts}
        if noise is not None:
            attrs["whitened"] = 1
        options = {"distance": distance.name, "window": str(window), "over": over, "noise": _named(noise)}
        return cls(values, recording, distance, other_axes, window, precisions, weights, attrs, options)

    @property
    def other_shape(self) -> tuple[int, ...]:
        """Lengths of the other axes."""
        return tuple(self.recording.sizes[axis] for axis in self.others)

    @property
    def n_times(self) -> int:
        """Number of windows."""
        return int(self.values.shape[-1]) - self.window + 1

    @property
    def time_shape(self) -> tuple[int, ...]:
        """``(n_times,)``, or nothing for a recording without a time axis."""
        return (self.n_times,) if "time" in self.recording.dims else ()

    @property
    def items(self) -> NDArray[np.str_]:
        """Labels of the items, shape (item,)."""
        return np.array([str(item) for item in np.asarray(self.recording.coords["sample"])])

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of a result has to know: a distance that noise biases, and windows that span the onset."""
        notes = bias_notes(self.attrs)
        if self.window > 1 and self.time_shape and "time" in self.recording.coords:
            times = np.asarray(self.recording.coords["time"], dtype=np.float64)
            if times[0] < 0 < times[-1]:
                within = f"windows of {self.window} samples; those within half a window of 0 hold samples of both sides"
                notes = (*notes, within)
        return notes

    def digest(self) -> str:
        """Hash the recording."""
        return digest_of_recording(self.recording)

    def parts(self) -> Iterator[PatternPairs]:
        """Give itself: there is one part."""
        yield self

    def block_size(self, n_at_once: int = 1) -> int:
        """Say how many times of ``n_at_once`` places fit into a block."""
        square = int(self.values.shape[2]) ** 2 * int(self.values.itemsize)
        least = LEAST_BLOCK if n_at_once == 1 else 1
        return min(self.n_times, max(least, BLOCK_BYTES // (square * n_at_once)))

    def stream(self, place: int, block: int) -> Iterator[Array]:
        """Yield dissimilarities of one place, (time, pair), so many times in a row.

        Parameters
        ----------
        place : int
            Position along the other axes.
        block : int
            Times at once.
        """
        folds = self.values[place]
        weights = None if self.weights is None else self.weights[place]
        if not self.distance.is_crossed and len(folds) > 1:
            folds = folds.mean(axis=0, keepdims=True) if weights is None else _weighted_mean(folds, weights)
        precision = None if self.precisions is None else self.precisions[place]
        if self._slides(precision, folds):
            yield from sliding_correlation(folds[0], self.window, block)
            return
        step = block * max(1, TRANSPOSED // block)
        for begin in range(0, self.n_times, step):
            end = min(begin + step, self.n_times)
            patterns = times_first(folds[..., begin : end + self.window - 1])  # (time, fold, item, channel)
            for start in range(0, end - begin, block):
                rows = slice(start, min(start + block, end - begin) + self.window - 1)
                yield self._compute(patterns[rows], precision, weights)

    def _slides(self, precision: Array | None, folds: Array) -> bool:
        plain = self.distance is distances.correlation and precision is None
        return plain and self.window > 1 and bool(np.isfinite(folds).all())

    def _compute(self, patterns: Array, precision: Array | None, weights: Array | None) -> Array:
        if self.window > 1:
            windows = np.lib.stride_tricks.sliding_window_view(patterns, self.window, 0)
            patterns = windows.reshape(*windows.shape[:-2], -1)  # (time, fold, item, channel · window)
        if precision is not None:
            precision = np.kron(precision, np.eye(self.window)) if self.window > 1 else precision
        if self.distance is distances.crossnobis:
            return self.distance.compute(patterns, precision, weights)
        if precision is not None:
            patterns = patterns @ precision
        if not self.distance.is_crossed:
            return self.distance.compute(patterns[:, 0])
        return self.distance.compute(patterns) if weights is None else self.distance.compute(patterns, weights=weights)

    def labelled(self, values: Array, *leading: str) -> xr.DataArray:
        """Put labels on values of dims (*leading, *others, [time])."""
        dims = (*leading, *self.others, *(("time",) if self.time_shape else ()))
        coords = self.coords() | (PairLabels.of(self.items).coords() if "sample" in leading else {})
        return xr.DataArray(values, dims=dims, coords=coords, attrs=self.attrs, name="dissimilarity")

    def coords(self) -> dict[Any, Any]:
        """Give the labels of all axes but the pairs."""
        along = self.recording.coords.items()
        coords: dict[Any, Any] = {name: c for name, c in along if c.dims and set(c.dims) <= set(self.others)}
        if self.time_shape and "time" in self.recording.coords:
            coords["time"] = ("time", self.window_centres())
        return coords

    def window_centres(self) -> Array:
        """Give the middle of every window, in the units of the time axis."""
        times = np.asarray(self.recording.coords["time"], dtype=np.float64)
        return np.asarray(np.lib.stride_tricks.sliding_window_view(times, self.window).mean(axis=-1))


def digest_of_recording(recording: xr.DataArray) -> str:
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


_ANGLES = (distances.correlation, distances.cosine, distances.crossvalidated_correlation)


def check_patterns(recording: xr.DataArray, over: str, name: str = "recording") -> None:
    """Refuse what holds no labelled patterns of items.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, over, …)
        Patterns.
    over : str
        Axis of the patterns.
    name : str
        What the argument is called; opens the message.

    Raises
    ------
    TypeError, ValueError
        If it is no labelled array of real numbers, axes are missing, empty or not labelled, or values are infinite.
    """
    check_numbers(recording, name)
    for axis in ("sample", over):
        if axis not in recording.dims:
            raise ValueError(
                f"{name}: axes {recording.dims} have no {axis!r}; items lie along 'sample' and patterns along {over!r}."
            )
    if "sample" not in recording.coords:
        raise ValueError(f"{name}: the axis 'sample' has no labels; attach them with .assign_coords(sample=items).")
    PairLabels.check(np.asarray(recording.coords["sample"]))
    for dim, labels in recording.indexes.items():
        if not labels.is_unique:
            twice = labels[labels.duplicated()].unique()
            raise ValueError(
                f"{name}: labels {list(twice[:5])} occur more than once along {dim!r}; expected unique ones."
            )


def check_dissimilarities(dissimilarities: xr.DataArray, name: str = "dissimilarities") -> None:
    """Refuse dissimilarities that have no labels, are no real numbers, or infinite; NaN is a missing pair.

    Parameters
    ----------
    dissimilarities : xarray.DataArray, dims (sample, …)
        Of pairs of items.
    name : str
        What they are called; opens the message.
    """
    if not isinstance(dissimilarities, xr.DataArray) or "sample" not in dissimilarities.coords:
        raise TypeError(
            f"{name}: got {type(dissimilarities).__name__}; expected a DataArray (sample, …) whose samples "
            "are labelled pairs, from rdms."
        )
    if dissimilarities.dtype.kind not in "fiub":
        raise TypeError(f"{name}: got values of type {dissimilarities.dtype}; expected real numbers.")
    labels = dissimilarities.indexes["sample"]
    if not labels.is_unique:
        twice = labels[labels.duplicated()].unique()
        raise ValueError(f"{name}: pairs {list(twice[:5])} occur more than once; average them, or keep one of each.")
    refuse_infinite(name, dissimilarities)
    if {"first", "second"} <= set(dissimilarities.coords):
        is_self_pair = dissimilarities.coords["first"].to_numpy() == dissimilarities.coords["second"].to_numpy()
        if is_self_pair.any():
            raise ValueError(
                f"{name}: {int(is_self_pair.sum())} pairs are of an item with itself, first "
                f"{labels[is_self_pair][:3].tolist()}; leave the diagonal out."
            )


def _named(noise: Noise) -> str:
    return "given covariance" if isinstance(noise, xr.DataArray) else str(noise)


def _chosen(distance: Distance | str | None, n_repeats: int) -> Distance:
    if distance is None:
        return distances.crossnobis if n_repeats > 1 else distances.correlation
    distance = as_distance(distance)
    if distance.is_crossed and n_repeats < 2:
        raise ValueError(
            f"distance: {distance.name} multiplies folds, but the recording has {n_repeats} repeat. Average "
            "trials into at least two folds an item, let subjects be the folds, or take a biased distance such as "
            "'correlation'."
        )
    return distance


def _check_units(recording: xr.DataArray, over: str, noise: Noise) -> None:
    """Refuse patterns over sensors in different units, of which one would decide alone."""
    unit = recording.coords.get("unit")
    if unit is None or unit.dims != (over,) or noise is not None or recording.attrs.get("whitened"):
        return
    units = sorted(set(unit.to_numpy().astype(str).tolist()))
    if len(units) > 1:
        raise ValueError(
            f"recording: patterns over {over!r} hold values in {' and '.join(units)}, and the distance would be "
            "that of the largest numbers. Select channels of one unit, or divide by the noise (noise=)."
        )


def _weights(recording: xr.DataArray, values: Array, other_axes: tuple[str, ...]) -> Array | None:
    """Give the trials behind each pattern (place, repeat, item), or None where all are alike."""
    if "repeat" not in recording.dims:
        return None
    is_absent = np.isnan(values[..., 0, 0])  # a look at one value each before all are read
    if is_absent.any():
        is_absent = is_absent & np.isnan(values).all(axis=(3, 4))
    if "n_averaged" not in recording.coords:
        return np.asarray(~is_absent, dtype=np.float64) if is_absent.any() else None
    elsewhere = {str(axis): 0 for axis in recording.dims if axis not in (*other_axes, "repeat", "sample")}
    frame = xr.ones_like(recording.isel(elsewhere, drop=True), dtype=np.float64)
    trials = (frame * recording.coords["n_averaged"]).transpose(*other_axes, "repeat", "sample").values
    trials = trials.reshape(is_absent.shape)
    contradicted = (trials <= 0) & ~is_absent
    if contradicted.any():
        raise ValueError(
            f"n_averaged: says that {int(contradicted.sum())} repeats of items have no trials, but the recording has "
            "values there; set them to NaN, or correct the counts."
        )
    weights = np.where(is_absent, 0.0, trials)
    return None if (weights == weights.flat[0]).all() else weights


def _check_repeats(recording: xr.DataArray, distance: Distance, weights: Array | None) -> None:
    """Refuse items of a cross-validated distance that have one repeat somewhere, where nothing can be crossed."""
    if weights is None or not distance.is_crossed:
        return
    single = ((weights > 0).sum(axis=1) == 1).any(axis=0)  # (item,)
    if single.any():
        items = np.asarray(recording.coords["sample"])[single]
        raise ValueError(
            f"recording: {len(items)} items have one repeat only, first {items[:5].tolist()}, and a {distance.name} "
            "distance needs two. Exclude them (NaN where a participant has one), or take a biased distance."
        )


def _weighted_mean(folds: Array, weights: Array) -> Array:
    """Average (repeat, item, channel, time) over the repeats that each item has; NaN without any."""
    present = np.where(weights[..., None, None] > 0, folds, 0)
    n_trials = weights.sum(axis=0)
    shares = weights / np.where(n_trials > 0, n_trials, np.nan)
    return np.asarray(np.einsum("ri,rict->ict", shares.astype(folds.dtype), present)[None])


def _check_counts(
    recording: xr.DataArray, distance: Distance, values: Array, weights: Array | None, allow_bias: bool
) -> dict[str, int]:
    """Say on how many trials items rest, those that are missing aside, and refuse a distance that they bias."""
    lacks_items = np.isnan(values[..., 0, 0]).all(axis=1).any()
    if "n_trials" in recording.coords:
        trials = recording.coords["n_trials"].astype(np.float64)
    elif weights is not None:
        trials = xr.DataArray(weights.sum(axis=1), dims=("place", "sample"))
    else:
        trials = xr.DataArray(float(recording.sizes.get("repeat", 1)))
    trials = trials.where(trials > 0) if lacks_items else trials
    uneven = "sample" in trials.dims and bool((trials.max("sample") > trials.min("sample")).any())
    fewest, most = int(trials.min()), int(trials.max())
    if distance.is_biased and uneven and not allow_bias:
        raise ValueError(
            f"n_trials: items rest on {fewest} to {most} trials, and noise makes a {distance.name} distance "
            "larger where trials are few. Use crossnobis, match the counts, or say allow_bias=True."
        )
    return {"n_trials_min": fewest, "n_trials_max": most}


def _check_window(window: int, n_times: int, has_time: bool) -> None:
    if window < 1 or (window > 1 and not has_time) or window > n_times:
        held = f"{n_times} samples" if has_time else "no time axis"
        raise ValueError(
            f"window: got {window} samples; the recording has {held}, so expected between 1 and {n_times}."
        )


def _precisions(
    noise: Noise, recording: xr.DataArray, values: Array, distance: Distance, over: str, other_axes: tuple[str, ...]
) -> list[Array] | None:
    """Give for each place what crossnobis takes, or the root that patterns of other distances are multiplied with."""
    if noise is None:
        if distance.needs_noise and not recording.attrs.get("whitened"):
            raise ValueError(f"noise: a {distance.name} distance needs a covariance, or a recording that was whitened.")
        return None
    refuse_second_whitening(recording)
    if isinstance(noise, str):
        if noise != "training folds":
            raise ValueError(f"noise: got {noise!r}; expected 'training folds', a covariance, or None.")
        if distance is not distances.crossnobis:
            raise ValueError(
                f"noise: a {distance.name} distance has no training folds; only crossnobis does. Hand over the "
                "covariance of other data, such as the baseline."
            )
        return [whitening.training_precisions(place) for place in values]
    matrices = _covariances(noise, recording, over, other_axes)
    roots = [whitening.inverse_root(matrix) for matrix in matrices]
    return [root @ root for root in roots] if distance is distances.crossnobis else roots


def _covariances(noise: xr.DataArray, recording: xr.DataArray, over: str, other_axes: tuple[str, ...]) -> list[Array]:
    if not isinstance(noise, xr.DataArray) or not {"channel", "feature"} <= set(noise.dims) or over != "channel":
        raise ValueError(
            "noise: expected a DataArray (channel, feature) from noise_covariance, for patterns over 'channel'."
        )
    recording_channels, noise_channels = recording.indexes.get("channel"), noise.indexes.get("channel")
    if (
        recording_channels is not None
        and noise_channels is not None
        and list(recording_channels) != list(noise_channels)
    ):
        raise ValueError(
            f"noise: its channels {list(noise_channels[:5])}… are not those of the recording "
            f"{list(recording_channels[:5])}… in that order."
        )
    n_places = int(np.prod([recording.sizes[axis] for axis in other_axes]))
    extra = [str(dim) for dim in noise.dims if dim not in ("channel", "feature")]
    if not extra:
        return [noise.transpose("channel", "feature").values] * n_places
    if tuple(extra) != other_axes:
        raise ValueError(
            f"noise: it differs along {extra}, the recording has {list(other_axes)} besides; expected the same."
        )
    return list(
        noise.transpose(*other_axes, "channel", "feature").values.reshape(n_places, *[recording.sizes[over]] * 2)
    )
