"""Between MNE's objects and labelled arrays: epochs, evoked responses, source estimates."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.times import Window, rows_in_window, same_times
from neuroling.data.amplitudes import MICROVOLT, check_scale, units_as_text, units_of, warn_of_extreme_trials
from neuroling.data.errors import reading, require_file
from neuroling.data.participants import join_subjects as join_subjects
from neuroling.data.synthetic import lies_in_synthetic
from neuroling.data.trials import Folds, carried, check_finite, item_labels, lay_out, rows_of
from neuroling.data.trials import from_arrays as from_arrays

if TYPE_CHECKING:
    from mne import BaseEpochs, Evoked, Info, SourceEstimate
    from mne.io import BaseRaw, SourceSpaces

Array = NDArray[np.floating[Any]]
Picks = str | Sequence[str]

RENAMED = re.compile(r"(.+)-(\d+)")
"""Names that MNE gives to channels of one name: ``Cz-0``, ``Cz-1``."""

BAD = "BAD"
"""Beginning of the annotations whose samples MNE leaves out."""

MARKS = (BAD, "EDGE")
"""Beginnings of the annotations that part a continuous recording."""


def read_epochs(path: Path | str) -> BaseEpochs:
    """Read a file of MNE epochs.

    Parameters
    ----------
    path : path
        Ending in ``-epo.fif``.

    Returns
    -------
    mne.Epochs

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent, or MNE cannot read it.

    Examples
    --------
    >>> import tempfile
    >>> from neuroling.data.study_samples.eeg import write_words
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_words(Path(folder), n_subjects=1, n_words=3, n_trials=2)
    ...     len(read_epochs(Path(folder) / "epochs" / "sub-01-epo.fif"))
    6
    """
    import mne

    path = require_file(path, "MNE epochs")
    with reading(path, "MNE epochs", reader="MNE"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # how MNE calls pandas is no concern of the caller
        epochs: BaseEpochs = mne.read_epochs(path, verbose="error")
    return epochs


def from_epochs(
    epochs: BaseEpochs,
    *,
    item: str | None = None,
    folds: Folds = None,
    picks: Picks = "eeg",
    window: Window | None = None,
    columns: Sequence[str] = (),
    rng: int | np.random.Generator = 0,
) -> xr.DataArray:
    """Lay epochs out by item: one pattern per item, or one per fold of its trials.

    Parameters
    ----------
    epochs : mne.BaseEpochs
        Read into memory or not; with metadata, unless every epoch is an item of its own.
    item : str, optional
        Column of the metadata whose values are items; by default every epoch is one, labelled by its number. Whole
        numbers are labelled ``"1"`` whatever their type.
    folds : int, "trials" or None
        None averages all trials of an item. A number deals them at random into as many folds, averaged, on an axis
        ``repeat``: what crossnobis needs. ``"trials"`` keeps every trial; where items have unequal numbers of them,
        the repeats that are lacking are NaN.
    picks : str or sequence of str
        Channels, as MNE picks them; channels marked as bad are left out unless named. Names that differ in case alone
        are matched with a warning.
    window : tuple of float, optional
        First and last time in s, both included; must lie in the epoch.
    columns : sequence of str
        Columns of the metadata that travel along; each must have one value per item (missing values are alike).
    rng : int or numpy.random.Generator
        Seed of the dealing.

    Returns
    -------
    xarray.DataArray, dims (sample, [repeat,] channel, time)
        Voltages (EEG, EOG and the like) in µV, other sensors in MNE's unit, times in s. Coordinates: ``unit`` of each
        channel, ``n_trials`` of each item, ``n_averaged`` (sample, repeat) trials behind each repeat.

    Raises
    ------
    TypeError, ValueError
        If metadata, channels, window, trial counts or values do not fit, an average reference was set and not applied,
        or amplitudes are those of another unit; the message says which.

    Warns
    -----
    UserWarning
        If other projectors are not applied, or trials exceed 500 µV peak to peak.
    """
    picked = _picked(epochs, picks, window)
    factors, units = units_of(picked.get_channel_types())
    values = picked.get_data(copy=False) * factors[:, None]  # (trial, channel, time)
    check_finite("epochs", values, picked.ch_names)
    check_scale("epochs", values, units)
    warn_of_extreme_trials("epochs", values, picked.ch_names, units)
    rows = rows_of(_labels(picked, item))
    laid_out = lay_out(values, rows, folds, np.random.default_rng(rng))
    coords: dict[str, Any] = {
        "channel": picked.ch_names,
        "unit": ("channel", units),
        "time": picked.times.copy(),
        **{name: ("sample", carried(_column(picked, name), rows)) for name in columns},
    }
    return laid_out.labelled(coords, {"units": units_as_text(units), **_mark_of([getattr(epochs, "filename", None)])})


def write_epochs(
    path: Path,
    values: Array,
    *,
    channels: Sequence[str],
    times: Array,
    metadata: pd.DataFrame,
    codes: NDArray[np.integer[Any]],
) -> None:
    """Write EEG as a file of MNE epochs, channels placed as in the montage ``biosemi64``.

    Parameters
    ----------
    path : pathlib.Path
        Ending in ``-epo.fif``; replaced if it exists.
    values : ndarray, shape (trial, channel, time)
        µV.
    channels : sequence of str
        Names of the montage.
    times : ndarray, shape (time,)
        s, evenly spaced.
    metadata : pandas.DataFrame
        One row a trial.
    codes : ndarray of int, shape (trial,)
        Event codes.
    """
    import mne

    with mne.use_log_level("error"):
        info = mne.create_info(list(channels), 1 / float(np.diff(times).mean()), "eeg")
        events = np.column_stack([np.arange(len(values)), np.zeros(len(values), int), codes])
        epochs = mne.EpochsArray(values / MICROVOLT, info, events, float(times[0]), metadata=metadata)
        epochs.set_montage("biosemi64").save(path, overwrite=True)


def read_raw(path: Path | str) -> BaseRaw:
    """Read a continuous recording in any format that MNE knows by the ending of the file.

    Parameters
    ----------
    path : pathlib.Path
        Such as ``…_raw.fif``, ``….vhdr``, ``….set``, ``….edf`` or ``….bdf``.

    Returns
    -------
    mne.io.BaseRaw
        In memory, so that it can be filtered and resampled.

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent, or MNE cannot read it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "story_raw.fif"
    ...     write_raw(path, np.random.default_rng(0).normal(0, 10, (50, 2)), channels=["Fz", "Cz"], rate_hz=10.0)
    ...     read_raw(path).ch_names
    ['Fz', 'Cz']
    """
    import mne

    path = require_file(path, "a continuous recording")
    with reading(path, "a continuous recording", reader="MNE"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        raw: BaseRaw = mne.io.read_raw(path, preload=True, verbose="error")
    return raw


def open_raw(path: Path | str) -> BaseRaw:
    """Open a continuous recording without reading its values; see :func:`read_raw`.

    Parameters
    ----------
    path : pathlib.Path
        In any format that MNE knows by the ending of the file, whatever the file is called before it.

    Returns
    -------
    mne.io.BaseRaw

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent, or MNE cannot read it.
    """
    import mne

    path = require_file(path, "a continuous recording")
    with reading(path, "a complete continuous recording", reader="MNE"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not conform to MNE naming conventions.*")
        warnings.simplefilter("ignore", DeprecationWarning)
        raw: BaseRaw = mne.io.read_raw(path, preload=False, verbose="error")
    return raw


def write_unplaced_raw(path: Path, values: Array, *, channels: Sequence[str], kind: str, rate_hz: float) -> None:
    """Write a continuous recording without positions as a file of MNE, in single precision.

    Parameters
    ----------
    path : pathlib.Path
        Ending in ``.fif``; replaced if it exists.
    values : ndarray, shape (channel, time)
        In MNE's unit.
    channels : sequence of str
        Names.
    kind : str
        MNE's type of the channels, such as ``"ecog"``.
    rate_hz : float
        Samples per second.
    """
    import mne

    with mne.use_log_level("error"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not conform to MNE naming conventions.*")
        raw = mne.io.RawArray(values, mne.create_info(list(channels), rate_hz, kind))
        raw.save(path, overwrite=True, fmt="single")


def write_raw(path: Path | str, values: Array, *, channels: Sequence[str], rate_hz: float) -> None:
    """Write continuous EEG as a file of MNE, channels placed as in the montage ``biosemi64``.

    Parameters
    ----------
    path : pathlib.Path
        Ending in ``_raw.fif``; replaced if it exists.
    values : ndarray, shape (time, channel)
        µV.
    channels : sequence of str
        Names of the montage.
    rate_hz : float
        Samples a second.
    """
    import mne

    with mne.use_log_level("error"):
        raw = mne.io.RawArray((values / MICROVOLT).T, mne.create_info(list(channels), rate_hz, "eeg"))
        raw.set_montage("biosemi64").save(Path(path), overwrite=True)


def _mark_of(files: Sequence[Path | str | None]) -> dict[str, int]:
    """Mark what was read from files in a folder of synthetic ones."""
    return {"synthetic": 1} if any(file and lies_in_synthetic(Path(file)) for file in files) else {}


def montage_channels(n_channels: int) -> list[str]:
    """Name channels spread over the head, from the montage ``biosemi64``.

    Parameters
    ----------
    n_channels : int
        At most 64.

    Returns
    -------
    list of str
    """
    import mne

    names = mne.channels.make_standard_montage("biosemi64").ch_names
    if not 1 <= n_channels <= len(names):
        raise ValueError(f"n_channels: got {n_channels}; expected 1 to {len(names)}.")
    return [str(names[place]) for place in np.linspace(0, len(names) - 1, n_channels).round().astype(int)]


def with_metadata(epochs: BaseEpochs, **columns: Any) -> BaseEpochs:
    """Give epochs further columns of metadata.

    Parameters
    ----------
    epochs : mne.BaseEpochs
        With metadata; stays as it is.
    **columns : array-like
        One value a trial.

    Returns
    -------
    mne.BaseEpochs
    """
    import mne

    with mne.use_log_level("error"):
        changed = epochs.copy()
        changed.metadata = changed.metadata.assign(**columns)
    return changed


def from_evokeds(evokeds: Mapping[str, Evoked], *, picks: Picks = "eeg") -> xr.DataArray:
    """Stack evoked responses, one per item.

    Parameters
    ----------
    evokeds : mapping of str to mne.Evoked
        Item and its response; all with the same channels, in any order, and times.
    picks : str or sequence of str
        Channels, as MNE picks them; channels marked as bad are left out unless named.

    Returns
    -------
    xarray.DataArray, dims (sample, channel, time)
        Voltages in µV, other sensors in MNE's unit; coordinates ``unit`` of each channel, ``n_trials``, how many trials
        were averaged.

    Raises
    ------
    TypeError, ValueError
        If there are none, they are no evoked responses, or their channels, times, references or values do not fit.
    """
    if not isinstance(evokeds, Mapping):
        raise TypeError(
            f"evokeds: got {type(evokeds).__name__}; expected a mapping from items to their responses, such as "
            "{'cat': evoked, …}."
        )
    if not evokeds:
        raise ValueError("evokeds: none given; expected a mapping such as {'cat': evoked, …}.")
    names = {}
    for label, evoked in evokeds.items():
        if not hasattr(evoked, "nave") or not hasattr(evoked, "ch_names"):
            raise TypeError(f"evokeds: {label!r} is a {type(evoked).__name__}; expected mne.Evoked.")
        names[label] = _channel_names(f"evokeds[{label!r}]", evoked.info, picks)
        _check_references(f"evokeds[{label!r}]", evoked.info, names[label])
    first_label, first = next(iter(evokeds.items()))
    order = names[first_label]
    for label, evoked in evokeds.items():
        if set(names[label]) != set(order):
            apart = sorted(set(names[label]) ^ set(order))
            raise ValueError(
                f"evokeds: {label!r} and {first_label!r} have other channels, {apart[:8]} in one alone (marked as bad: "
                f"{evoked.info['bads']} and {first.info['bads']}). Interpolate bad channels, or pick by name."
            )
        if not same_times(first.times, evoked.times):
            raise ValueError(f"evokeds: {label!r} and {first_label!r} have other times.")
    factors, units = units_of(first.copy().pick(order).get_channel_types())
    values = np.stack([evoked.copy().pick(order).data for evoked in evokeds.values()]) * factors[:, None]
    check_finite("evokeds", values, order)
    check_scale("evokeds", values, units, averaged=True)
    return xr.DataArray(
        values,
        dims=("sample", "channel", "time"),
        coords={
            "sample": list(evokeds),
            "channel": order,
            "unit": ("channel", units),
            "time": first.times.copy(),
            "n_trials": ("sample", np.array([evoked.nave for evoked in evokeds.values()])),
        },
        attrs={"units": units_as_text(units)},
        name="EEG",
    )


def from_source_estimates(estimates: Mapping[str, SourceEstimate]) -> xr.DataArray:
    """Stack source estimates, one an item.

    Parameters
    ----------
    estimates : mapping of str to mne.SourceEstimate
        Item and its estimate; all with the same vertices and times.

    Returns
    -------
    xarray.DataArray, dims (sample, voxel, time)
        A voxel is a vertex, labelled ``"lh-17"`` or ``"rh-17"`` (``"17"`` in a volume).
    """
    if not estimates:
        raise ValueError("estimates: none given; expected a mapping such as {'cat': stc, …}.")
    first_label, first = next(iter(estimates.items()))
    labels = vertex_labels(first.vertices)
    for label, estimate in estimates.items():
        if vertex_labels(estimate.vertices) != labels or not same_times(first.times, estimate.times):
            raise ValueError(
                f"estimates: {label!r} and {first_label!r} have other vertices or times; morph them first."
            )
    values = np.stack([estimate.data for estimate in estimates.values()])
    coords = {"sample": list(estimates), "voxel": labels, "time": np.array(first.times)}
    return xr.DataArray(values, dims=("sample", "voxel", "time"), coords=coords, name="sources")


def vertex_labels(vertices: Sequence[NDArray[np.integer[Any]]]) -> list[str]:
    """Name vertices as :func:`from_source_estimates` does.

    Parameters
    ----------
    vertices : sequence of ndarray
        As in ``stc.vertices``: left and right hemisphere, or one volume.

    Returns
    -------
    list of str
    """
    if len(vertices) == 2:
        return [f"{side}-{vertex}" for side, part in zip(("lh", "rh"), vertices, strict=True) for vertex in part]
    return [str(vertex) for part in vertices for vertex in part]


def source_positions(spaces: SourceSpaces) -> xr.DataArray:
    """Give where the sources in use are.

    Parameters
    ----------
    spaces : mne.SourceSpaces
        Two hemispheres, or one volume.

    Returns
    -------
    xarray.DataArray, dims (voxel, feature)
        Features ``x``, ``y``, ``z`` in m, voxels labelled as by :func:`from_source_estimates`.
    """
    places = np.concatenate([space["rr"][space["vertno"]] for space in spaces])
    labels = vertex_labels([space["vertno"] for space in spaces])
    return xr.DataArray(places, dims=("voxel", "feature"), coords={"voxel": labels, "feature": list("xyz")})


def channel_positions(instance: BaseEpochs | Evoked | BaseRaw, picks: Picks = "eeg") -> xr.DataArray:
    """Give where channels are.

    Parameters
    ----------
    instance : mne.BaseEpochs, mne.Evoked or mne.io.BaseRaw
        With a montage.
    picks : str or sequence of str
        Channels, as MNE picks them; channels marked as bad are left out unless named.

    Returns
    -------
    xarray.DataArray, dims (channel, feature)
        Features ``x``, ``y``, ``z`` in m.

    Raises
    ------
    ValueError
        If channels have no position.

    Examples
    --------
    >>> import mne
    >>> info = mne.create_info(["Fz", "Cz"], 100.0, "eeg")
    >>> raw = mne.io.RawArray(np.zeros((2, 10)), info, verbose="error").set_montage("standard_1020")
    >>> channel_positions(raw).sizes
    Frozen({'channel': 2, 'feature': 3})
    """
    if not hasattr(instance, "info"):
        raise TypeError(f"instance: got {type(instance).__name__}; expected epochs, an evoked response or raw data.")
    names = _channel_names("picks", instance.info, picks)
    where = {str(channel["ch_name"]): np.asarray(channel["loc"][:3]) for channel in instance.info["chs"]}
    unknown = [name for name in names if not np.isfinite(where[name]).all() or not where[name].any()]
    if unknown:
        raise ValueError(f"channels: {len(unknown)} have no position, first {unknown[:5]}; set a montage.")
    return xr.DataArray(
        np.stack([where[name] for name in names]),
        dims=("channel", "feature"),
        coords={"channel": names, "feature": list("xyz")},
    )


def _picked(epochs: BaseEpochs, picks: Picks, window: Window | None) -> BaseEpochs:
    """Load epochs, and cut channels and window out of them."""
    import mne

    if not hasattr(epochs, "get_data") or not hasattr(epochs, "ch_names") or not hasattr(epochs, "events"):
        raise TypeError(f"epochs: got {type(epochs).__name__}; expected MNE epochs.")
    names = _channel_names("picks", epochs.info, picks)
    _check_references("epochs", epochs.info, names)
    with mne.use_log_level("error"):
        loaded = epochs.copy().load_data()  # which drops bad epochs of those that were not in memory
    if len(loaded) == 0:
        reasons = Counter(str(reason) for trial in loaded.drop_log for reason in trial).most_common(5)
        raise ValueError(f"epochs: none are left; all {len(loaded.drop_log)} were dropped (drop log: {dict(reasons)}).")
    when, counts = np.unique(loaded.events[:, 0], return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"epochs: {int((counts > 1).sum())} events are repeated, first at samples {when[counts > 1][:5].tolist()}; "
            "the same stretch would count several times. Drop them."
        )
    picked = loaded.pick(names)
    if window is None:
        return picked
    rows = rows_in_window(picked.times, window)
    half = 0.25 / picked.info["sfreq"]  # so that MNE's rounding takes these very samples
    return picked.crop(
        max(float(picked.times[rows[0]]) - half, float(picked.times[0])),
        min(float(picked.times[rows[-1]]) + half, float(picked.times[-1])),
    )


def _channel_names(argument: str, info: Info, picks: Picks) -> list[str]:
    """Give the names of the channels that are meant, in order, and say what is wrong with them."""
    if not isinstance(picks, str) and not (
        isinstance(picks, Sequence | np.ndarray) and all(isinstance(pick, str) for pick in picks)
    ):
        raise TypeError(f"{argument}: got {picks!r}; expected a type of channels such as 'eeg', or a list of names.")
    if _are_types(info, picks):
        names = _names_of_types(argument, info, picks)
    else:
        names = _matched_names(argument, info, [picks] if isinstance(picks, str) else list(picks))
    numbered: dict[str, list[str]] = {}
    for name in names:
        if match := RENAMED.fullmatch(name):
            numbered.setdefault(match.group(1), []).append(name)
    twice = {stem: same for stem, same in numbered.items() if {f"{stem}-0", f"{stem}-1"} <= set(same)}
    if twice:
        raise ValueError(
            f"{argument}: channels {next(iter(twice.values()))[:4]} had one name, and MNE numbered them; it is not "
            f"known which is {next(iter(twice))!r}. Rename them, or drop the surplus ones."
        )
    return names


def _are_types(info: Info, picks: Picks) -> bool:
    """Say whether types of channels are meant rather than names; a single text is a type unless a channel has it."""
    if isinstance(picks, str):
        return picks.casefold() not in {name.casefold() for name in info.ch_names}
    types = {"data", "meg", "all", *info.get_channel_types(unique=True)} - set(info.ch_names)
    return len(picks) > 0 and set(picks) <= types


def _names_of_types(argument: str, info: Info, picks: Picks) -> list[str]:
    """Give the good channels of one or several types, as MNE picks them."""
    import mne

    empty = mne.EvokedArray(np.zeros((len(info.ch_names), 1)), info, verbose="error")
    try:
        every: list[str] = empty.pick(picks, exclude=(), verbose="error").ch_names
    except ValueError as error:
        raise ValueError(f"{argument}: {picks!r} picks no channel of {info.ch_names[:8]}…: {error}") from error
    good = [name for name in every if name not in info["bads"]]
    if not good:
        raise ValueError(
            f"{argument}: all {len(every)} channels of {picks!r} are marked as bad; interpolate them, or name those "
            "that are wanted nevertheless."
        )
    return good


def _matched_names(argument: str, info: Info, names: list[str]) -> list[str]:
    """Match named channels, those whose case alone differs with a warning."""
    spelled = {name.casefold(): name for name in info.ch_names}
    matched = [name if name in info.ch_names else spelled.get(str(name).casefold(), name) for name in names]
    absent = [name for name in matched if name not in info.ch_names]
    if absent:
        raise ValueError(f"{argument}: {absent} are not among the channels; there are {info.ch_names[:8]}…, each once.")
    if not matched:
        raise ValueError(f"{argument}: no channel is named; there are {info.ch_names[:8]}….")
    twice = sorted({name for name in matched if matched.count(name) > 1})
    if twice:
        raise ValueError(f"{argument}: {twice} are named twice; expected each channel once.")
    changed = [(a, b) for a, b in zip(names, matched, strict=True) if a != b]
    if changed:
        warnings.warn(
            f"{argument}: {len(changed)} channels are matched although their case differs, first {changed[:5]} (asked "
            "for, in the recording).",
            stacklevel=5,
        )
    return matched


def _check_references(argument: str, info: Info, names: Sequence[str]) -> None:
    """Refuse an average reference that was set and not applied; warn of other projectors that are not."""
    from mne.io.constants import FIFF

    waiting = [
        projector
        for projector in info["projs"]
        if not projector["active"] and set(projector["data"]["col_names"]) & set(names)
    ]
    references = [p for p in waiting if p["kind"] == FIFF.FIFFV_PROJ_ITEM_EEG_AVREF]
    if references:
        raise ValueError(
            f"{argument}: an average reference was set as a projector and not applied, so that the values have another "
            f"reference than they seem to. Call {argument}.apply_proj() before, or {argument}.del_proj() to keep the "
            "reference that they have."
        )
    if waiting:
        warnings.warn(
            f"{argument}: {len(waiting)} projectors are not applied, first {waiting[0]['desc']!r}; the values "
            f"are those without them. Call {argument}.apply_proj() or {argument}.del_proj() before.",
            stacklevel=4,
        )


def _labels(epochs: BaseEpochs, item: str | None) -> NDArray[np.str_]:
    if item is None:
        width = len(str(len(epochs) - 1))
        return np.array([f"trial {row:0{width}d}" for row in range(len(epochs))])
    if epochs.metadata is None:
        raise ValueError(
            f"item: got {item!r}, but the epochs have no metadata; attach a table with epochs.metadata = …."
        )
    if item not in epochs.metadata:
        raise ValueError(f"item: {item!r} is not in the metadata, which has {list(epochs.metadata.columns)}.")
    return item_labels(epochs.metadata[item], "item")


def _column(epochs: BaseEpochs, name: str) -> pd.Series:
    if epochs.metadata is None or name not in epochs.metadata:
        held = [] if epochs.metadata is None else list(epochs.metadata.columns)
        raise ValueError(f"columns: {name!r} is not in the metadata, which has {held}.")
    column: pd.Series = epochs.metadata[name]
    return column


def from_raw(
    raw: BaseRaw, *, picks: Picks = "eeg", run: str = "run", dtype: type[np.floating[Any]] = np.float64
) -> xr.DataArray:
    """Lay a continuous recording out by samples in time, as time-resolved encoding takes it.

    Stretches that MNE's annotations mark as bad (``"BAD…"``) are left out, the same samples as MNE leaves out, and what
    lies on either side of one becomes a run of its own, because no lag may reach across. A mark without a duration, or
    of an edge (``"EDGE…"``), such as where recordings were joined, parts runs and costs no sample. ``attrs["bad_s"]``
    says how much was left out.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        Continuous data.
    picks : str or sequence of str
        Channels, as MNE picks them; channels marked as bad are left out unless named.
    run : str
        Name of the recording; its good stretches are named ``"RUN 0"``, ``"RUN 1"``, ….
    dtype : type
        float64, or float32 for half the memory.

    Returns
    -------
    xarray.DataArray, dims (sample, channel)
        Voltages in µV (other sensors in MNE's unit); coordinates ``unit`` of each channel, ``onset`` (s since the
        beginning of the recording), ``time_index`` (from 0 in each run) and ``group`` (the run); ``attrs["rate_hz"]``.

    Raises
    ------
    TypeError, ValueError
        If it is no continuous recording, no channel is picked, nothing good is left, an average reference was set and
        not applied, values are not finite, or amplitudes are those of another unit.
    """
    if not hasattr(raw, "get_data") or not hasattr(raw, "annotations") or hasattr(raw, "events"):
        raise TypeError(f"raw: got {type(raw).__name__}; expected a continuous recording of MNE, or from_epoch_runs.")
    names = _channel_names("picks", raw.info, picks)
    _check_references("raw", raw.info, names)
    picked = raw.copy().load_data().pick(names)
    values = picked.get_data().T  # (sample, channel)
    good, starts = _good_samples(picked)
    rows = np.flatnonzero(good)
    if len(rows) < 2:
        raise ValueError(f"raw: {len(rows)} of {len(good)} samples are outside stretches marked as bad.")
    pieces = np.split(rows, np.flatnonzero((np.diff(rows) > 1) | np.isin(rows[1:], starts)) + 1)
    bad_s = float((~good).sum() / picked.info["sfreq"])
    found = _as_runs([values[piece] for piece in pieces], [picked.times[piece] for piece in pieces], picked, run, dtype)
    return found.assign_attrs(bad_s=bad_s, **_mark_of(raw.filenames))


def _good_samples(raw: BaseRaw) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Say which samples no mark covers, and where marks begin; seconds are rounded to samples as MNE rounds them."""
    good = np.ones(len(raw.times), dtype=bool)
    starts = []
    for mark in raw.annotations:
        if str(mark["description"]).upper().startswith(MARKS):
            start = mark["onset"] - raw.first_time
            first, stop = raw.time_as_index([start, start + mark["duration"]], use_rounding=True)
            if str(mark["description"]).upper().startswith(BAD):
                good[max(first, 0) : max(stop, 0)] = False
            starts.append(int(first))
    return good, np.array(starts, dtype=np.intp)


def from_epoch_runs(
    epochs: BaseEpochs,
    *,
    picks: Picks = "eeg",
    window: Window | None = None,
    dtype: type[np.floating[Any]] = np.float64,
) -> xr.DataArray:
    """Lay epochs out by samples in time, each epoch a run of its own, as time-resolved encoding takes it.

    Parameters
    ----------
    epochs : mne.BaseEpochs
        Such as trials or sentences.
    picks : str or sequence of str
        Channels, as MNE picks them; channels marked as bad are left out unless named.
    window : tuple of float, optional
        First and last time in s, both included; must lie in the epoch.
    dtype : type
        float64, or float32 for half the memory.

    Returns
    -------
    xarray.DataArray, dims (sample, channel)
        As from :func:`from_raw`; ``onset`` is the time in the epoch (s), and groups are named ``"epoch 0"``, ….
    """
    picked = _picked(epochs, picks, window)
    values = picked.get_data(copy=False)  # (epoch, channel, time)
    check_finite("epochs", values, picked.ch_names)
    times = [np.array(picked.times)] * len(values)
    return _as_runs([epoch.T for epoch in values], times, picked, "epoch", dtype)


def _as_runs(
    runs: Sequence[Array],
    times: Sequence[Array],
    instance: BaseRaw | BaseEpochs,
    name: str,
    dtype: type[np.floating[Any]],
) -> xr.DataArray:
    """Set runs (time, channel), in MNE's units, end to end, with what keeps them apart."""
    factors, units = units_of(instance.get_channel_types())
    values = np.concatenate(runs) * factors
    bad = ~np.isfinite(values)
    if bad.any():
        channels = [instance.ch_names[column] for column in np.flatnonzero(bad.any(axis=0))]
        raise ValueError(f"recording: {int(bad.sum())} values are NaN or infinite, in channels {channels[:5]}.")
    check_scale("recording", values.T[None], units)
    group = np.concatenate([np.full(len(run), f"{name} {number}") for number, run in enumerate(runs)])
    return xr.DataArray(
        values.astype(dtype),
        dims=("sample", "channel"),
        coords={
            "sample": np.arange(len(values)),
            "channel": instance.ch_names,
            "unit": ("channel", units),
            "onset": ("sample", np.concatenate(list(times))),
            "time_index": ("sample", np.concatenate([np.arange(len(run)) for run in runs])),
            "group": ("sample", group),
        },
        attrs={"units": units_as_text(units), "rate_hz": float(instance.info["sfreq"])},
        name="EEG",
    )
