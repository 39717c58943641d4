"""The one gate between features and a recording: matched by label here, never checked again."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, overload

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.arrays import real_numbers
from neuroling.core.axes import check_axes, targets_of
from neuroling.core.notices import warn
from neuroling.core.repeats import lacking_repeats, mean_over_repeats
from neuroling.core.row_streams import RowStream, TargetSource
from neuroling.core.times import SAMPLE_SHARE

Unit = Literal["sample", "item", "time"]

TIMES = ("onset", "offset", "frame_time")
"""Sample coordinates that are times, in seconds."""

WHOLE = re.compile(r"([+-]?\d+)\.0+")
"""Whole numbers that were written as decimals, such as ``1.0``."""

MOST_RUNS = 12
"""Runs whose rows a message counts."""

ROUNDING = 1e-12
"""Relative difference of two numbers that are one number computed in two ways."""


@dataclass(frozen=True)
class Aligned:
    r"""Features and a recording whose samples have been matched by label.

    Made by :func:`align`, or by a subpackage that changes the samples, such as to pairs of items; a value of this type
    is trusted by everything behind it.

    Attributes
    ----------
    x : xarray.DataArray, dims (sample, feature)
        Finite features, float32 or float64.
    y : xarray.DataArray, dims (sample, [repeat,] \*targets)
        Finite recording in the same sample order, float32 or float64. A repeat that a sample lacks is NaN at all
        targets; every sample has at least one.
    unit : {"sample", "item", "time"}
        What may be exchanged under a null: single samples; items, where samples are pairs of them; or nothing but
        whole stretches of time, where samples follow one another on a regular grid.
    stream : RowStream or None
        Where values of ``y`` are made block by block: ``y`` then has its labels, and makes its values anew whenever
        they are read; they may be NaN, where a pair is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from neuroling import Stimuli, align
    >>> texts = Stimuli.from_texts(["a cat", "a dog"], labels=["s1", "s2"])
    >>> recording = texts.features(np.arange(6.0).reshape(2, 3)).rename(feature="voxel")
    >>> data = align(texts.features(np.eye(2)), recording)
    >>> data.unit, data.y_mean.shape
    ('sample', (2, 3))
    """

    x: xr.DataArray
    y: xr.DataArray
    unit: Unit = "sample"
    stream: RowStream | None = field(default=None, repr=False, compare=False)

    @cached_property
    def y_mean(self) -> xr.DataArray:
        r"""Recording with the repeats that each sample has averaged, dims (sample, \*targets)."""
        return mean_over_repeats(self.y)

    def with_features(self, x: xr.DataArray) -> Aligned:
        """Give the same recording beside other features of the same samples, in the same order.

        Parameters
        ----------
        x : xarray.DataArray, dims (sample, feature)
            In the order of the recording.

        Returns
        -------
        Aligned
            What has been computed from the recording alone is shared.
        """
        other = replace(self, x=x)
        for computed in ("y_mean", "items"):
            if computed in self.__dict__:
                other.__dict__[computed] = self.__dict__[computed]
        return other

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the target axes."""
        return targets_of(self.y.dims)

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return int(self.x.sizes["sample"])

    def groups(self) -> NDArray[np.generic] | None:
        """Give the labels that no split may cut (runs, stories, lists), shape (sample,), or None without any."""
        return np.asarray(self.y.coords["group"]) if "group" in self.y.coords else None

    def coordinate(self, name: str) -> NDArray[np.generic]:
        """Give a sample coordinate by name.

        Parameters
        ----------
        name : str
            Such as ``"condition"``.

        Returns
        -------
        numpy.ndarray, shape (sample,)

        Raises
        ------
        ValueError
            If the samples carry no such coordinate.
        """
        along = [str(key) for key, value in self.y.coords.items() if value.dims == ("sample",)]
        if name not in along:
            raise ValueError(f"coordinate {name!r}: the samples carry {along}; attach it with recording.assign_coords.")
        return np.asarray(self.y.coords[name])

    def reordered(self, order: NDArray[np.intp]) -> Aligned:
        """Break the pairing: features and labels stay, the recorded values are taken in another order.

        Parameters
        ----------
        order : ndarray of int, shape (sample,)
            A permutation; sample ``i`` gets the values recorded for sample ``order[i]``.

        Returns
        -------
        Aligned
        """
        moved = self.y.copy(data=self.y.values[order])
        counts = self.y.coords.get("n_averaged")
        if counts is not None:  # which belongs to the values, not to the labels
            rows = counts.variable.isel(sample=order) if "sample" in counts.dims else counts.variable
            moved = moved.assign_coords(n_averaged=rows)
        return replace(self, y=moved, stream=None)

    def loaded(self) -> Aligned:
        """Give the same data with the values of the recording in memory, checked as :func:`align` checks them."""
        if self.stream is None:
            return self
        return replace(self, y=_checked_recording(self.y.compute()), stream=None)

    def shuffled(self, rng: np.random.Generator) -> Aligned:
        """Break the pairing at random, exchanging what :attr:`unit` says may be exchanged.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of the permutation.

        Returns
        -------
        Aligned

        Raises
        ------
        ValueError
            If the samples are consecutive in time: use a circular-shift or block permutation.
        """
        if self.unit == "time":
            raise ValueError(
                "data: the samples are consecutive in time, so single samples cannot be exchanged; "
                "use CircularShift or BlockPermutation."
            )
        if self.unit == "item":
            return self.reordered(pair_order(self, rng.permutation(len(self.items))))
        return self.reordered(rng.permutation(self.n_samples))

    @cached_property
    def items(self) -> NDArray[np.generic]:
        """Labels of the items that the samples are pairs of, sorted, shape (item,)."""
        if self.stream is not None:
            return np.unique(self.stream.items)
        return np.unique(np.concatenate([self.coordinate("first"), self.coordinate("second")]))


@dataclass(frozen=True)
class AlignedSpaces:
    """Several feature spaces of the same samples, each matched with the one recording; by name, in order.

    Made by :func:`align` from a mapping. ``data[name]`` is one of them, ``list(data)`` their names. What is asked of
    the recording (``y``, ``unit``, ``groups()`` …) is answered as by any of the spaces.

    Attributes
    ----------
    spaces : mapping of str to Aligned
        The same recording beside the features of each space.

    Examples
    --------
    >>> import numpy as np
    >>> from neuroling import Stimuli, align
    >>> texts = Stimuli.from_texts(["a cat", "a dog"], labels=["s1", "s2"])
    >>> recording = texts.features(np.arange(6.0).reshape(2, 3)).rename(feature="voxel")
    >>> spaces = {"length": texts.features([[1.0], [2.0]]), "rate": texts.features([[1.0], [1.5]])}
    >>> type(align(spaces, recording)).__name__
    'AlignedSpaces'
    """

    spaces: Mapping[str, Aligned]

    def __post_init__(self) -> None:
        if not self.spaces:
            raise ValueError("spaces: none given; expected align({'name': features}, recording).")
        recordings = {id(data.y) for data in self.spaces.values()}
        if len(recordings) > 1:
            raise ValueError("spaces: they come with different recordings; expected align of a mapping.")

    def __getitem__(self, name: str) -> Aligned:
        return self.spaces[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.spaces)

    def __len__(self) -> int:
        return len(self.spaces)

    @property
    def first(self) -> Aligned:
        """The first of the spaces."""
        return next(iter(self.spaces.values()))

    @property
    def y(self) -> xr.DataArray:
        r"""The recording, dims (sample, [repeat,] \*targets)."""
        return self.first.y

    @property
    def y_mean(self) -> xr.DataArray:
        r"""Recording with its repeats averaged, dims (sample, \*targets)."""
        return self.first.y_mean

    @property
    def unit(self) -> Unit:
        """What may be exchanged under a null."""
        return self.first.unit

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the target axes."""
        return self.first.targets

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return self.first.n_samples

    @property
    def items(self) -> NDArray[np.generic]:
        """Labels of the items that the samples are pairs of, sorted, shape (item,)."""
        return self.first.items

    def groups(self) -> NDArray[np.generic] | None:
        """Give the labels that no split may cut, shape (sample,), or None without any."""
        return self.first.groups()

    def loaded(self) -> AlignedSpaces:
        """Give the same data with the values of the recording in memory, checked as :func:`align` checks them."""
        first = self.first.loaded()
        return AlignedSpaces({name: first.with_features(space.x) for name, space in self.spaces.items()})

    def coordinate(self, name: str) -> NDArray[np.generic]:
        """Give a sample coordinate by name, shape (sample,).

        Parameters
        ----------
        name : str
            Such as ``"condition"``.
        """
        return self.first.coordinate(name)


@dataclass(frozen=True)
class AlignedSource:
    """Features beside a recording that stays on disk; ``evaluate`` reads it one tile of targets after another.

    Made by :func:`align` from a source such as :func:`neuroling.data.open_npy` or :func:`neuroling.data.open_nifti`.

    Attributes
    ----------
    features : xarray.DataArray or mapping of str to xarray.DataArray, dims (sample, feature)
        One feature space, or several by name.
    source : TargetSource
        The recording. Its values are checked when they are read.

    Examples
    --------
    >>> import numpy as np
    >>> from neuroling import Stimuli, align
    >>> from neuroling.data import ArraySource
    >>> texts = Stimuli.from_texts(["a cat", "a dog"], labels=["s1", "s2"])
    >>> source = ArraySource(np.arange(6.0).reshape(2, 3), {"sample": ["s1", "s2"]})
    >>> data = align(texts.features(np.eye(2)), source)
    >>> data.source.n_targets, data.read(slice(0, 2)).y.shape
    (3, (2, 2))
    """

    features: xr.DataArray | Mapping[str, xr.DataArray]
    source: TargetSource

    def read(self, targets: slice) -> Aligned | AlignedSpaces:
        """Read consecutive targets and match them with the features.

        Parameters
        ----------
        targets : slice
            Numbers of targets, without a step.
        """
        return self.beside(self.source.read(targets))

    def beside(self, recording: xr.DataArray) -> Aligned | AlignedSpaces:
        """Match the features with targets that have been read.

        Parameters
        ----------
        recording : xarray.DataArray, dims (sample, target axis)
            Some of the targets of the source.
        """
        return _align(self.features, recording)


def spaces_of(data: Aligned | AlignedSpaces) -> tuple[Aligned, ...]:
    """List the feature spaces of data, each with the recording; one where they have no names.

    Parameters
    ----------
    data : Aligned or AlignedSpaces
        From :func:`align`.
    """
    return tuple(data.spaces.values()) if isinstance(data, AlignedSpaces) else (data,)


def pair_order(data: Aligned, items: NDArray[np.intp]) -> NDArray[np.intp]:
    """Turn a permutation of items into the order of their pairs.

    Parameters
    ----------
    data : Aligned
        With ``unit="item"``; every pair of its items occurs once.
    items : ndarray of int, shape (item,)
        A permutation of the items.

    Returns
    -------
    ndarray of int, shape (sample,)
        Pair ``(a, b)`` gets the values of pair ``(items[a], items[b])``.
    """
    first = np.searchsorted(data.items, data.coordinate("first"))
    second = np.searchsorted(data.items, data.coordinate("second"))
    n = len(data.items)
    where = np.full((n, n), -1, dtype=np.intp)
    where[first, second] = where[second, first] = np.arange(data.n_samples)
    order = where[items[first], items[second]]
    if (order < 0).any() or len(np.unique(order)) != data.n_samples:
        raise ValueError(
            f"data: {data.n_samples} pairs of {n} items; items can be exchanged only where each of the "
            f"{n * (n - 1) // 2} pairs occurs once."
        )
    return order


@overload
def align(features: xr.DataArray, recording: xr.DataArray) -> Aligned: ...


@overload
def align(features: Mapping[str, xr.DataArray], recording: xr.DataArray) -> AlignedSpaces: ...


@overload
def align(features: xr.DataArray | Mapping[str, xr.DataArray], recording: TargetSource) -> AlignedSource: ...


def align(
    features: xr.DataArray | Mapping[str, xr.DataArray], recording: xr.DataArray | TargetSource
) -> Aligned | AlignedSpaces | AlignedSource:
    r"""Match features to a recording by their ``sample`` labels; refuse to guess.

    The rows of the features are brought into the order of the recording. Nothing is dropped: labels that stand on
    one side only are an error.

    Parameters
    ----------
    features : xarray.DataArray, dims (sample, feature)
        Finite numbers.
    recording : xarray.DataArray, dims (sample, [repeat,] \*targets), or TargetSource
        Finite numbers, no target constant over samples; or a recording on disk, such as
        :func:`neuroling.data.open_nifti` gives. Samples may have unequal numbers of repeats: one that a sample
        lacks is NaN at all targets (of a participant, where there is an axis ``subject``), and ``n_averaged`` (sample,
        repeat) may count the trials behind each. A sample coordinate ``group`` keeps runs, stories or lists
        together; ``time_index`` (integers counting up within a group) says that samples are consecutive in time.

    Returns
    -------
    Aligned, AlignedSpaces or AlignedSource
        The second for several feature spaces by name: :func:`~neuroling.evaluation.evaluate.evaluate` gives them the
        same splits, selections and draws, and its result an axis ``model``. The third for a recording on disk, which
        ``evaluate`` reads in tiles.

    Raises
    ------
    TypeError
        If an argument is not a ``DataArray`` of real numbers, or a mapping of them.
    ValueError
        If axes, labels or values do not fit; the message says which and what to do.

    Examples
    --------
    >>> import numpy as np
    >>> from neuroling.core.stimuli import Stimuli
    >>> stimuli = Stimuli.from_texts(["cat", "dog", "saw"])
    >>> features = stimuli.features(np.eye(3))
    >>> recording = features.isel(sample=[2, 0, 1]).rename(feature="voxel")
    >>> [str(label) for label in align(features, recording).x.sample.values]
    ['saw', 'cat', 'dog']
    >>> list(align({"one-hot": features, "first letter": features[:, :1]}, recording))
    ['one-hot', 'first letter']
    """
    if isinstance(recording, TargetSource) and not isinstance(recording, xr.DataArray):
        return _align_source(features, recording)
    return _align(features, recording)


def _align_source(features: xr.DataArray | Mapping[str, xr.DataArray], source: TargetSource) -> AlignedSource:
    """Compare the labels of features and of a recording on disk; values are checked when they are read."""
    rows = xr.DataArray(np.arange(source.n_samples), dims="sample", coords={"sample": source.labels})
    named = features if isinstance(features, Mapping) else {"features": features}
    for name, space in named.items():
        label = name if named is not features else f"features[{name!r}]"
        _check_array(label, space)
        _check_labels(label, space, rows)
    return AlignedSource(features, source)


def _align(features: xr.DataArray | Mapping[str, xr.DataArray], recording: xr.DataArray) -> Aligned | AlignedSpaces:
    if isinstance(features, Mapping):
        return _align_spaces(features, recording)
    _check_array("features", features)
    _check_sample_count("features", features)
    y = _checked_recording(recording)
    x, y = _matched("features", features, y)
    return Aligned(x, y, _unit(y))


def _align_spaces(spaces: Mapping[str, xr.DataArray], recording: xr.DataArray) -> AlignedSpaces:
    """Match every feature space to the one recording, which takes the sample coordinates of them all."""
    if not spaces:
        raise ValueError("features: got no feature space; expected a mapping such as {'MiniLM': features}.")
    wrong = [name for name in spaces if not isinstance(name, str) or not name.strip()]
    if wrong:
        raise TypeError(f"features: got the names {wrong}; expected text that names each feature space.")
    y, matched = _checked_recording(recording), {}
    for name, features in spaces.items():
        matched[name], y = _matched(f"features[{name!r}]", features, y)
    unit = _unit(y)
    first = Aligned(next(iter(matched.values())), y, unit)
    _ = first.y_mean  # once for all spaces
    return AlignedSpaces({name: first.with_features(x) for name, x in matched.items()})


def _checked_recording(recording: xr.DataArray) -> xr.DataArray:
    _check_array("recording", recording)
    _check_recording_axes(recording)
    _check_values("recording", _without_lacking_repeats(recording), *targets_of(recording.dims))
    _check_recording_varies(recording)
    dims = ("sample", *(("repeat",) if "repeat" in recording.dims else ()), *targets_of(recording.dims))
    return _floats("recording", recording.transpose(*dims))


def _matched(name: str, features: xr.DataArray, y: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Bring features into the order of the recording, and give the recording their sample coordinates."""
    _check_array(name, features)
    _check_sample_count(name, features)
    _check_feature_axes(name, features)
    _check_labels(name, features, y)
    _check_values(name, features, "feature")
    _check_features_vary(name, features)
    x = _floats(name, features.transpose("sample", "feature").sel(sample=y.indexes["sample"]))
    return x, _with_sample_coords(y, x)


def _check_array(name: str, array: object) -> None:
    if not isinstance(array, xr.DataArray):
        raise TypeError(
            f"{name}: got {type(array).__name__}; expected an xarray.DataArray whose 'sample' labels say which row is "
            "which. Stimuli.features(values) labels a matrix."
        )
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: got values of type {array.dtype}; expected real numbers.")
    check_axes(name, array.dims)
    if "sample" not in array.dims:
        raise ValueError(f"{name}: axes {array.dims} have no 'sample'.")
    if "sample" not in array.indexes:
        raise ValueError(f"{name}: the axis 'sample' has no labels; attach them with .assign_coords(sample=labels).")
    for dim, size in array.sizes.items():
        if size == 0:
            raise ValueError(f"{name}: the axis {dim!r} is empty; expected at least one entry.")
    for key, coordinate in array.coords.items():
        _check_coordinate(name, str(key), coordinate)


def _check_coordinate(name: str, key: str, coordinate: xr.DataArray) -> None:
    """Refuse labels that a result file could not hold, before hours are spent rather than after."""
    values = coordinate.values
    if key in coordinate.indexes and coordinate.indexes[key].nlevels > 1:
        raise ValueError(
            f"{name}: the labels of {key!r} are a MultiIndex; expected plain labels. Use .reset_index({key!r}) and "
            "label the axis with one value an entry."
        )
    if values.dtype.kind == "O" and not all(isinstance(value, str) for value in values.ravel()):
        kinds = sorted({type(value).__name__ for value in values.ravel()})
        raise TypeError(
            f"{name}: the labels of {key!r} are a mixture of {', '.join(kinds)}; expected text or numbers throughout."
        )
    if coordinate.dims and (key in coordinate.dims or key == "group") and bool(coordinate.isnull().any()):
        raise ValueError(f"{name}: {int(coordinate.isnull().sum())} labels of {key!r} are missing (NaN).")
    wrong = [str(attr) for attr, value in coordinate.attrs.items() if not _is_storable(value)]
    if wrong:
        raise TypeError(
            f"{name}: attributes {wrong} of the coordinate {key!r} are neither text, numbers nor arrays of numbers, "
            "and no file could hold them; remove or convert them."
        )


def _is_storable(value: object) -> bool:
    if isinstance(value, str | int | float | np.number):
        return not isinstance(value, bool)
    return isinstance(value, list | tuple | np.ndarray) and np.asarray(value).dtype.kind in "fiuU"


def _check_feature_axes(name: str, features: xr.DataArray) -> None:
    if "layer" in features.dims:
        layers = features.coords["layer"].values.tolist() if "layer" in features.coords else "0, 1, …"
        raise ValueError(f"{name}: the axis 'layer' is left over; choose one with .sel(layer=…) among {layers}.")
    if set(features.dims) != {"sample", "feature"}:
        raise ValueError(f"{name}: got axes {features.dims}; expected ('sample', 'feature').")


def _check_recording_axes(recording: xr.DataArray) -> None:
    targets = targets_of(recording.dims)
    surplus = [dim for dim in recording.dims if dim not in ("sample", "repeat", *targets)]
    if surplus:
        raise ValueError(
            f"recording: got axes {recording.dims}; expected 'sample', perhaps 'repeat', and targets; {surplus} cannot "
            "be a target."
        )


def _check_labels(name_of_features: str, features: xr.DataArray, recording: xr.DataArray) -> None:
    for name, array in ((name_of_features, features), ("recording", recording)):
        labels = array.indexes["sample"]
        if not labels.is_unique:
            twice = labels[labels.duplicated()].unique()
            raise ValueError(
                f"{name}: {len(twice)} sample labels occur more than once, first {list(twice[:5])}; expected unique "
                "labels. Presentations of the same stimulus belong on the axis 'repeat'."
            )
    feature_labels, recording_labels = features.indexes["sample"], recording.indexes["sample"]
    only_features, only_recording = (
        feature_labels[~feature_labels.isin(recording_labels)],
        recording_labels[~recording_labels.isin(feature_labels)],
    )
    if len(only_features) or len(only_recording):
        raise ValueError(
            f"{'' if name_of_features == 'features' else name_of_features + ': '}sample labels differ: "
            f"{len(only_features)} of {len(feature_labels)} stand in the features alone (first "
            f"{list(only_features[:5])}), {len(only_recording)} of {len(recording_labels)} in the recording alone "
            f"(first {list(only_recording[:5])}). {near_hint(only_features, only_recording)}"
            f"{_uneven_runs(features, recording)}Select the common ones by label on both sides with .sel(sample=…)."
        )


def _uneven_runs(features: xr.DataArray, recording: xr.DataArray) -> str:
    """Count the rows of every run on both sides, where runs are named."""
    if any("group" not in array.coords or array.coords["group"].dims != ("sample",) for array in (features, recording)):
        return ""
    counts = [Counter(array.coords["group"].to_numpy().tolist()) for array in (features, recording)]
    runs = list(dict.fromkeys([*counts[0], *counts[1]]))
    table = ", ".join(f"{run}: {counts[0][run]} and {counts[1][run]}" for run in runs[:MOST_RUNS])
    return f"Rows of runs in features and recording: {table}. " if counts[0] != counts[1] else ""


def near_hint(ours: Iterable[object], theirs: Iterable[object]) -> str:
    """Say in a sentence which labels of two tables are alike, for messages about labels that differ.

    Parameters
    ----------
    ours, theirs : iterable
        Labels that stand in one table alone.

    Returns
    -------
    str
        Ends in a blank; empty where none are alike.

    Examples
    --------
    >>> near_hint(["Cat"], ["cat "])
    "1 differ only in case, blanks, accents' form or type, first [('Cat', 'cat ')]. "
    """
    near = near_pairs(ours, theirs)
    return f"{len(near)} differ only in case, blanks, accents' form or type, first {near[:5]}. " if near else ""


def near_pairs(ours: Iterable[object], theirs: Iterable[object]) -> list[tuple[object, object]]:
    """Pair labels of two tables that differ only in case, in blanks, in the form of their accents, or in their type.

    Parameters
    ----------
    ours, theirs : iterable
        Labels that stand in one table alone.

    Returns
    -------
    list of (ours, theirs)

    Examples
    --------
    >>> near_pairs(["Cat", "dog"], ["cat ", "cow"])
    [('Cat', 'cat ')]
    >>> near_pairs([1, 2], ["2", "3"])
    [(2, '2')]
    >>> near_pairs(["1.0"], ["1"])
    [('1.0', '1')]
    """
    plain = {_plain(label): label for label in theirs}
    return [(label, plain[_plain(label)]) for label in ours if _plain(label) in plain]


def _plain(label: object) -> str:
    text = " ".join(unicodedata.normalize("NFKC", str(label)).split()).casefold()
    return WHOLE.sub(r"\1", text) if WHOLE.fullmatch(text) else text


def _check_values(name: str, array: xr.DataArray, *axes: str) -> None:
    if array.dtype.kind != "f":
        return
    largest = float(np.sqrt(np.finfo(np.float32 if array.dtype == np.float32 else np.float64).max) / 1000)
    bad = xr.DataArray(~np.isfinite(array.values), dims=array.dims)
    count = int(bad.sum())
    if count:
        rows = array["sample"].values[bad.any([d for d in array.dims if d != "sample"]).values]
        columns = int(bad.any([d for d in array.dims if d not in axes]).sum())
        raise ValueError(
            f"{name}: {count} of {array.size} values are NaN or infinite, in {len(rows)} samples (first "
            f"{rows[:5].tolist()}) and {columns} {' × '.join(axes) or 'value'}s. Remove or impute them before aligning."
        )
    if float(np.abs(array).max()) > largest:
        raise ValueError(
            f"{name}: values reach {float(np.abs(array).max()):.1e}, and their squares would overflow {array.dtype}; "
            f"expected at most {largest:.0e}. Express them in a larger unit."
        )
    _check_small(name, array)


def _check_small(name: str, array: xr.DataArray) -> None:
    """Refuse series of a recording, or features altogether, that are so small that their digits or squares are lost."""
    kind = np.finfo(np.float32 if array.dtype == np.float32 else np.float64)
    least = float(kind.smallest_normal if array.dtype == np.float32 else np.sqrt(kind.smallest_normal) * 1000)
    over = [dim for dim in array.dims if name == "features" or dim in ("sample", "repeat")]
    high, low = array.max(over), array.min(over)
    largest = high.copy(data=np.maximum(high.to_numpy(), -low.to_numpy()))
    small = (largest > 0) & (largest < least)
    if bool(small.any()):
        raise ValueError(
            f"{name}: {int(small.sum())} of {small.size} series hold no value above "
            f"{float(largest.where(small).max()):.1e}, whose square {array.dtype} does not hold; expected at least "
            f"{least:.0e}. Express them in a smaller unit."
        )


def _check_sample_count(name: str, features: xr.DataArray) -> None:
    if features.sizes["sample"] < 2:
        raise ValueError(f"{name}: one sample; expected at least two.")


def _check_features_vary(name: str, features: xr.DataArray) -> None:
    if bool((features == features.isel(sample=0)).all()):
        raise ValueError(f"{name}: every sample has the same values, so nothing can be predicted from them.")
    still = np.flatnonzero((features == features.isel(sample=0)).all("sample").values)
    if len(still):
        warn(
            "constant-features",
            name,
            f"{len(still)} of {features.sizes['feature']} are the same in all samples (first at "
            f"{still[:5].tolist()}); nothing can be learned from them.",
        )


def _check_recording_varies(recording: xr.DataArray) -> None:
    constant = _is_constant(recording)
    count = int(constant.sum())
    if count:
        where = np.argwhere(np.atleast_1d(constant.values))[:5].tolist()
        raise ValueError(
            f"recording: {count} of {constant.size} targets are constant over samples (first at {where} along "
            f"{constant.dims}); their scores would be undefined. Leave them out by label, with .sel or a mask."
        )


def _is_constant(recording: xr.DataArray) -> xr.DataArray:
    """Say which targets are the same for all samples in every repeat, lacking ones aside."""
    axis = recording.dims.index("sample")
    low, high = (extreme.reduce(recording.values, axis=axis) for extreme in (np.fmin, np.fmax))
    dims = [dim for dim in recording.dims if dim != "sample"]
    constant = xr.DataArray((low == high) | (low != low), dims=dims)
    return constant.all("repeat") if "repeat" in dims else constant


def _without_lacking_repeats(recording: xr.DataArray) -> xr.DataArray:
    """Put 0 where a sample lacks a repeat, and refuse samples that have none."""
    if "repeat" not in recording.dims or recording.dtype.kind != "f":
        return recording
    lacking = lacking_repeats(recording)
    if not bool(lacking.any()):
        return recording
    without = lacking.all("repeat")
    if bool(without.any()):
        rows = without.any([dim for dim in without.dims if dim != "sample"]).values
        raise ValueError(
            f"recording: {int(without.sum())} samples have no repeat that is not NaN, first "
            f"{recording.sample.values[rows][:5].tolist()}. Remove or impute them before aligning."
        )
    return recording.where(~lacking, 0)


def _floats(name: str, array: xr.DataArray) -> xr.DataArray:
    """Keep float32 and float64; everything else becomes float64, float16 with a warning."""
    values = real_numbers(name, array.values)
    values = values.astype(np.float64) if array.dtype == np.float16 else values
    return array if values.dtype == array.dtype and array.dtype.isnative else array.copy(data=values)


def _with_sample_coords(y: xr.DataArray, x: xr.DataArray) -> xr.DataArray:
    """Attach the features' sample coordinates to the recording; both sides must agree where both have one."""
    for name, coord in x.coords.items():
        if coord.dims != ("sample",) or name == "sample":
            continue
        if name not in y.coords:
            y = y.assign_coords({name: coord})
            continue
        feature_coord, recording_coord = np.asarray(coord), np.asarray(y.coords[name])
        apart = _apart(str(name), feature_coord, recording_coord)
        if apart.any():
            where, labels = np.flatnonzero(apart)[:3], y.sample.values.tolist()
            raise ValueError(
                f"coordinate {name!r}: features and recording disagree about it for the same samples, first "
                f"{[(labels[i], feature_coord.tolist()[i], recording_coord.tolist()[i]) for i in where]} (sample, "
                "features, recording). Correct one side, or drop it there with .drop_vars."
            )
    return y


def _apart(name: str, feature_coord: NDArray[np.generic], recording_coord: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Say where two coordinates of the same samples differ; times by more than a hundredth of a sampling step.

    Other numbers may differ by rounding, and two missing values are alike.
    """
    if feature_coord.dtype.kind not in "fiu" or recording_coord.dtype.kind not in "fiu":
        return np.array(
            [a != b and not (a != a and b != b) for a, b in zip(feature_coord, recording_coord, strict=True)],
            dtype=bool,
        )
    first, second = feature_coord.astype(np.float64), recording_coord.astype(np.float64)
    steps = np.diff(np.unique(second[np.isfinite(second)]))
    slack = max(SAMPLE_SHARE * float(steps.min(initial=np.inf)), 1e-9) if name in TIMES and len(steps) else 0.0
    return ~np.isclose(first, second, rtol=ROUNDING, atol=slack, equal_nan=True)


def _unit(y: xr.DataArray) -> Unit:
    if "time_index" not in y.coords:
        return "item" if {"first", "second"} <= set(y.coords) else "sample"
    index = np.asarray(y.coords["time_index"])
    if index.dtype.kind not in "iu":
        raise TypeError(f"time_index: got values of type {index.dtype}; expected integers, the number of each volume.")
    for label, rows in runs_of(y):
        if (np.diff(rows) != 1).any() or (np.diff(index[rows].astype(np.int64)) != 1).any():
            raise ValueError(
                f"time_index: not counting up by one within group {label!r}; sort the recording by group and time, and "
                "leave no volume out."
            )
    return "time"


def runs_of(y: xr.DataArray) -> list[tuple[object, NDArray[np.intp]]]:
    """List the groups of a recording in the order in which they begin; one group where none are named.

    Parameters
    ----------
    y : xarray.DataArray
        With the axis ``sample``, and perhaps a coordinate ``group`` along it.

    Returns
    -------
    list of (label, ndarray of int)
        Each group's label and rows.
    """
    if "group" not in y.coords:
        return [(None, np.arange(y.sizes["sample"]))]
    group = np.asarray(y.coords["group"])
    return [(label, np.flatnonzero(group == label)) for label in dict.fromkeys(group.tolist())]
