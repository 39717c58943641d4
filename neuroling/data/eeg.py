"""Between MNE's objects and labelled arrays: epochs, evoked responses, source estimates."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from neuroling.data.errors import CorruptData, require_file

if TYPE_CHECKING:
    from mne import BaseEpochs, Evoked, SourceEstimate
    from mne.io import BaseRaw, SourceSpaces

Array = NDArray[np.floating[Any]]
MICROVOLT = 1e6
"""Microvolts in a volt, in which MNE keeps EEG."""


def read_epochs(path: Path) -> BaseEpochs:
    """Read a file of MNE epochs.

    Parameters
    ----------
    path : pathlib.Path
        Ending in ``-epo.fif``.

    Returns
    -------
    mne.Epochs

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent, or MNE cannot read it.
    """
    import mne

    require_file(path, "MNE epochs")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # how MNE calls pandas is no concern of the caller
            return mne.read_epochs(path, verbose="error")
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, EOFError) as error:
        raise CorruptData(path, f"MNE cannot read it ({type(error).__name__}: {error})", "MNE epochs") from error


def from_epochs(
    epochs: BaseEpochs,
    *,
    item: str | None = None,
    folds: int | Literal["trials"] | None = None,
    picks: str | Sequence[str] = "eeg",
    window: tuple[float, float] | None = None,
    columns: Sequence[str] = (),
    rng: int | np.random.Generator = 0,
) -> xr.DataArray:
    """Lay epochs out by item: a pattern an item, or one a fold of its trials.

    Parameters
    ----------
    epochs : mne.BaseEpochs
        With metadata, unless every epoch is an item of its own.
    item : str, optional
        Column of the metadata whose values are items; by default every epoch is one, labelled by its number.
    folds : int, "trials" or None
        None averages all trials of an item. A number deals them at random into as many folds, averaged, on an axis
        ``repeat``: what crossnobis needs. ``"trials"`` keeps every trial, which takes as many of each item.
    picks : str or sequence of str
        Channels, as MNE picks them; channels marked as bad are left out unless named.
    window : tuple of float, optional
        First and last time in s, both included; must lie in the epoch.
    columns : sequence of str
        Columns of the metadata that travel along; each must have one value an item.
    rng : int or numpy.random.Generator
        Seed of the dealing.

    Returns
    -------
    xarray.DataArray, dims (sample, [repeat,] channel, time)
        EEG in µV (other sensors in MNE's unit), times in s; coordinate ``n_trials`` counts the trials of each item.

    Raises
    ------
    TypeError, ValueError
        If metadata, channels, window, trial counts or values do not fit; the message says which.
    """
    picked = _picked(epochs, picks, window)
    values = picked.get_data(copy=False) * _scale(picked)
    _check_finite(values, picked)
    labels = _labels(picked, item)
    rows = {str(label): np.flatnonzero(labels == label) for label in dict.fromkeys(labels.tolist())}
    counts = np.array([len(places) for places in rows.values()])
    if folds is None:
        laid = np.stack([values[places].mean(axis=0) for places in rows.values()])
        dims: tuple[str, ...] = ("sample", "channel", "time")
    else:
        laid = np.stack(_folded(values, rows, folds, np.random.default_rng(rng)))
        dims = ("sample", "repeat", "channel", "time")
    coords: dict[str, Any] = {
        "sample": list(rows),
        "channel": picked.ch_names,
        "time": picked.times.copy(),
        "n_trials": ("sample", counts),
    }
    for name in columns:
        coords[name] = ("sample", _carried(picked, name, rows))
    unit = "µV" if _scale(picked) == MICROVOLT else "as in MNE"
    return xr.DataArray(laid, dims=dims, coords=coords, attrs={"units": unit}, name="EEG")


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


def from_evokeds(evokeds: Mapping[str, Evoked], *, picks: str | Sequence[str] = "eeg") -> xr.DataArray:
    """Stack evoked responses, one an item.

    Parameters
    ----------
    evokeds : mapping of str to mne.Evoked
        Item and its response; all with the same channels and times.
    picks : str or sequence of str
        Channels, as MNE picks them.

    Returns
    -------
    xarray.DataArray, dims (sample, channel, time)
        EEG in µV; coordinate ``n_trials`` holds how many trials were averaged.
    """
    if not evokeds:
        raise ValueError("evokeds: none given; expected a mapping such as {'cat': evoked, …}.")
    picked = {label: evoked.copy().pick(picks) for label, evoked in evokeds.items()}
    first_label, first = next(iter(picked.items()))
    for label, evoked in picked.items():
        if evoked.ch_names != first.ch_names:
            raise ValueError(f"evokeds: {label!r} and {first_label!r} have other channels, or another order of them.")
        if len(evoked.times) != len(first.times) or not np.allclose(evoked.times, first.times):
            raise ValueError(f"evokeds: {label!r} and {first_label!r} have other times.")
    values = np.stack([evoked.data for evoked in picked.values()]) * _scale(first)
    counts = ("sample", np.array([evoked.nave for evoked in picked.values()]))
    return xr.DataArray(
        values,
        dims=("sample", "channel", "time"),
        coords={"sample": list(picked), "channel": first.ch_names, "time": first.times.copy(), "n_trials": counts},
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
        if vertex_labels(estimate.vertices) != labels or not np.allclose(estimate.times, first.times):
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


def channel_positions(epochs: BaseEpochs | Evoked, picks: str | Sequence[str] = "eeg") -> xr.DataArray:
    """Give where channels are.

    Parameters
    ----------
    epochs : mne.BaseEpochs or mne.Evoked
        With a montage.
    picks : str or sequence of str
        Channels, as MNE picks them.

    Returns
    -------
    xarray.DataArray, dims (channel, feature)
        Features ``x``, ``y``, ``z`` in m.
    """
    picked = epochs.copy().pick(picks)
    places = np.array([channel["loc"][:3] for channel in picked.info["chs"]])
    unknown = [
        name
        for name, place in zip(picked.ch_names, places, strict=True)
        if not np.isfinite(place).all() or not place.any()
    ]
    if unknown:
        raise ValueError(f"channels: {len(unknown)} have no position, first {unknown[:5]}; set a montage.")
    return xr.DataArray(
        places, dims=("channel", "feature"), coords={"channel": picked.ch_names, "feature": list("xyz")}
    )


def join_subjects(
    recordings: Mapping[str, xr.DataArray], *, missing: Literal["error", "nan"] = "error"
) -> xr.DataArray:
    """Put participants on one axis, matched by the labels of everything.

    Parameters
    ----------
    recordings : mapping of str to xarray.DataArray
        Participant and what was recorded.
    missing : {"error", "nan"}
        What to do where an item is missing in somebody: refuse, or leave NaN there, which stays with that item and
        participant.

    Returns
    -------
    xarray.DataArray, dims (subject, …)
    """
    if not recordings:
        raise ValueError("recordings: none given; expected a mapping such as {'s01': recording, …}.")
    if missing not in ("error", "nan"):
        raise ValueError(f"missing: got {missing!r}; expected 'error' or 'nan'.")
    everything = list(dict.fromkeys(str(i) for r in recordings.values() for i in r.indexes["sample"]))
    lacking = {s: sorted(set(everything) - set(r.indexes["sample"])) for s, r in recordings.items()}
    for subject, items in lacking.items():
        if items and missing == "error":
            raise ValueError(
                f"recordings: {subject!r} lacks {len(items)} of {len(everything)} items, first {items[:5]}. Select "
                "common items by label, or say missing='nan'."
            )
    whole = [
        r.reindex(sample=everything) if missing == "nan" else r.sel(sample=everything) for r in recordings.values()
    ]
    try:
        joined = xr.concat(
            whole, pd.Index(list(recordings), name="subject"), join="exact", coords="minimal", compat="override"
        )
    except ValueError as error:
        raise ValueError(f"recordings: channels, times or repeats differ between participants: {error}") from error
    if any("n_trials" in r.coords for r in recordings.values()):
        counts = np.stack([r.coords["n_trials"].to_numpy() for r in whole])
        known = np.isfinite(counts)
        fewest, most = counts[known].min(), counts[known].max()
        joined = joined.drop_vars("n_trials").assign_coords(
            n_trials=(("subject", "sample"), np.where(known, counts, most if fewest == most else fewest).astype(int))
        )
    return joined


def _picked(epochs: BaseEpochs, picks: str | Sequence[str], window: tuple[float, float] | None) -> BaseEpochs:
    if not hasattr(epochs, "get_data") or not hasattr(epochs, "ch_names"):
        raise TypeError(f"epochs: got {type(epochs).__name__}; expected MNE epochs.")
    if not isinstance(picks, str):
        twice = sorted({name for name in picks if list(picks).count(name) > 1})
        absent = [name for name in picks if name not in epochs.ch_names]
        if twice or absent:
            raise ValueError(
                f"picks: {absent or twice} {'are not among the channels' if absent else 'are named twice'}; the epochs "
                f"have {epochs.ch_names[:8]}…, each once."
            )
    if len(epochs) == 0:
        raise ValueError("epochs: none are left; all were dropped.")
    try:
        picked = epochs.copy().load_data().pick(picks, exclude="bads" if isinstance(picks, str) else ())
    except ValueError as error:
        raise ValueError(f"picks: {picks!r} picks no channel of {epochs.ch_names[:8]}…: {error}") from error
    if window is not None:
        first, last = float(picked.times[0]), float(picked.times[-1])
        if window[0] >= window[1] or window[0] < first - 1e-9 or window[1] > last + 1e-9:
            raise ValueError(f"window: got {window} s; the epochs run from {first:g} to {last:g} s.")
        picked.crop(*window)
    return picked


def _scale(instance: BaseEpochs | Evoked | BaseRaw) -> float:
    return MICROVOLT if set(instance.get_channel_types()) == {"eeg"} else 1.0


def _check_finite(values: Array, epochs: BaseEpochs) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        trials = np.flatnonzero(bad.any(axis=(1, 2)))
        channels = [epochs.ch_names[place] for place in np.flatnonzero(bad.any(axis=(0, 2)))]
        raise ValueError(
            f"epochs: {int(bad.sum())} values are NaN or infinite, in trials {trials[:5].tolist()} and channels "
            f"{channels[:5]}; drop the trials or interpolate the channels."
        )


def _labels(epochs: BaseEpochs, item: str | None) -> NDArray[np.str_]:
    if item is None:
        width = len(str(len(epochs) - 1))
        return np.array([f"trial {place:0{width}d}" for place in range(len(epochs))])
    if epochs.metadata is None:
        raise ValueError(
            f"item: got {item!r}, but the epochs have no metadata; attach a table with epochs.metadata = …."
        )
    if item not in epochs.metadata:
        raise ValueError(f"item: {item!r} is not in the metadata, which has {list(epochs.metadata.columns)}.")
    column = epochs.metadata[item]
    if column.isna().any():
        raise ValueError(f"item: {int(column.isna().sum())} trials have no {item!r}; drop them first.")
    return np.asarray(column.astype(str), dtype=str)


def _folded(
    values: Array, rows: Mapping[str, NDArray[np.intp]], folds: int | Literal["trials"], rng: np.random.Generator
) -> list[Array]:
    sizes = {label: len(places) for label, places in rows.items()}
    fewest, most = min(sizes.values()), max(sizes.values())
    if folds == "trials":
        if fewest != most:
            few = [label for label, size in sizes.items() if size < most]
            raise ValueError(
                f"folds: 'trials' takes as many trials of each item, but they have {fewest} to {most} (fewer: "
                f"{few[:5]}). Deal them into a number of folds."
            )
        return [values[places] for places in rows.values()]
    if folds < 2:
        raise ValueError(f"folds: got {folds}; a cross-validated distance needs at least two.")
    short = [label for label, size in sizes.items() if size < folds]
    if short:
        raise ValueError(
            f"folds: {folds} folds, but {len(short)} items have fewer trials, first {short[:5]}. Use fewer folds, or "
            "leave the items out by name."
        )
    dealt = []
    for places in rows.values():
        parts = np.array_split(rng.permutation(places), folds)
        dealt.append(np.stack([values[part].mean(axis=0) for part in parts]))
    return dealt


def _carried(epochs: BaseEpochs, name: str, rows: Mapping[str, NDArray[np.intp]]) -> NDArray[np.generic]:
    if epochs.metadata is None or name not in epochs.metadata:
        held = [] if epochs.metadata is None else list(epochs.metadata.columns)
        raise ValueError(f"columns: {name!r} is not in the metadata, which has {held}.")
    column = epochs.metadata[name].to_numpy()
    for label, places in rows.items():
        if len(set(column[places].tolist())) > 1:
            raise ValueError(f"columns: {name!r} has several values for the item {label!r}; it belongs to trials.")
    carried = np.array([column[places[0]] for places in rows.values()])
    return carried.astype(str) if carried.dtype == object else carried


def from_raw(
    raw: BaseRaw, *, picks: str | Sequence[str] = "eeg", run: str = "run", dtype: type[np.floating[Any]] = np.float64
) -> xr.DataArray:
    """Lay a continuous recording out by samples in time, as time-resolved encoding takes it.

    Stretches that MNE's annotations mark as bad (``"BAD…"``, ``"EDGE…"``) are left out, and what lies on either side of
    one becomes a run of its own, because no lag may reach across. ``attrs["bad_s"]`` says how much was left out.

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
        EEG in µV (other sensors in MNE's unit); coordinates ``onset`` (s since the beginning of the recording),
        ``time_index`` (from 0 in each run) and ``group`` (the run); ``attrs["rate_hz"]``.

    Raises
    ------
    TypeError, ValueError
        If it is no continuous recording, no channel is picked, nothing good is left, or values are not finite.
    """
    if not hasattr(raw, "get_data") or not hasattr(raw, "annotations") or hasattr(raw, "events"):
        raise TypeError(f"raw: got {type(raw).__name__}; expected a continuous recording of MNE, or from_epoch_runs.")
    picked = _pick_continuous(raw, picks)
    values = picked.get_data().T * _scale(picked)  # (sample, channel)
    good = np.ones(len(values), bool)
    for mark in picked.annotations:
        if str(mark["description"]).upper().startswith(("BAD", "EDGE")):
            start = mark["onset"] - picked.first_time
            first, last = np.searchsorted(picked.times, [start, start + mark["duration"]])
            good[first : max(last, first + 1)] = False
    kept = np.flatnonzero(good)
    if len(kept) < 2:
        raise ValueError(f"raw: {len(kept)} of {len(good)} samples are outside stretches marked as bad.")
    pieces = np.split(kept, np.flatnonzero(np.diff(kept) > 1) + 1)
    bad_s = float((~good).sum() / picked.info["sfreq"])
    found = _as_runs([values[piece] for piece in pieces], [picked.times[piece] for piece in pieces], picked, run, dtype)
    return found.assign_attrs(bad_s=bad_s)


def from_epoch_runs(
    epochs: BaseEpochs,
    *,
    picks: str | Sequence[str] = "eeg",
    window: tuple[float, float] | None = None,
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
    values = picked.get_data(copy=False) * _scale(picked)  # (epoch, channel, time)
    _check_finite(values, picked)
    times = [np.array(picked.times)] * len(values)
    return _as_runs([epoch.T for epoch in values], times, picked, "epoch", dtype)


def _pick_continuous(raw: BaseRaw, picks: str | Sequence[str]) -> BaseRaw:
    if not isinstance(picks, str):
        absent = [name for name in picks if name not in raw.ch_names]
        if absent or len(set(picks)) < len(picks):
            raise ValueError(f"picks: {absent or list(picks)} are not channels of {raw.ch_names[:8]}…, each once.")
    try:
        return raw.copy().load_data().pick(picks, exclude="bads" if isinstance(picks, str) else ())
    except ValueError as error:
        raise ValueError(f"picks: {picks!r} picks no channel of {raw.ch_names[:8]}…: {error}") from error


def _as_runs(
    runs: Sequence[Array],
    times: Sequence[Array],
    instance: BaseRaw | BaseEpochs,
    name: str,
    dtype: type[np.floating[Any]],
) -> xr.DataArray:
    """Set runs (time, channel) end to end, with what keeps them apart."""
    values = np.concatenate(runs)
    bad = ~np.isfinite(values)
    if bad.any():
        channels = [instance.ch_names[place] for place in np.flatnonzero(bad.any(axis=0))]
        raise ValueError(f"recording: {int(bad.sum())} values are NaN or infinite, in channels {channels[:5]}.")
    group = np.concatenate([np.full(len(run), f"{name} {number}") for number, run in enumerate(runs)])
    return xr.DataArray(
        values.astype(dtype),
        dims=("sample", "channel"),
        coords={
            "sample": np.arange(len(values)),
            "channel": instance.ch_names,
            "onset": ("sample", np.concatenate(list(times))),
            "time_index": ("sample", np.concatenate([np.arange(len(run)) for run in runs])),
            "group": ("sample", group),
        },
        attrs={
            "units": "µV" if _scale(instance) == MICROVOLT else "as in MNE",
            "rate_hz": float(instance.info["sfreq"]),
        },
        name="EEG",
    )
