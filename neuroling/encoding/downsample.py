"""From words to volumes without a haemodynamic response: Lanczos, mean, last, sum; and run by run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from neuroling.core.arrays import read_numbers
from neuroling.core.axes import volume_labels
from neuroling.encoding.event_timing import ROUNDING, checked_frames, feature_coords, words_in_time
from neuroling.numerics.lanczos import lanczos_weights

By = Literal["lanczos", "mean", "last", "sum"]


def to_volumes(
    features: xr.DataArray,
    frame_times: ArrayLike,
    *,
    by: By = "lanczos",
    labels: Sequence[object] | None = None,
    onset: str = "onset",
    lobes: int = 3,
    cutoff_hz: float | None = None,
) -> xr.DataArray:
    r"""Turn features of words into one row a volume, with no response of the brain: delays or a model supply that.

    ``"lanczos"`` reads the words, as impulses, through a low-pass filter at the frame times
    (:func:`neuroling.numerics.lanczos.lanczos_weights`). The others look at the words whose onset lies in a volume,
    from its frame time to the next one: their ``"sum"``, their ``"mean"``, or the ``"last"`` of them. A volume without
    words is all zeros; ``attrs["n_empty_volumes"]`` counts these.

    Parameters
    ----------
    features : xarray.DataArray, dims (sample, feature)
        Features of the words of one run, in order of time, with their onsets in seconds as a sample coordinate.
    frame_times : array-like, shape (volume,)
        When each volume was taken (or each sample of an EEG), in seconds on the same clock, evenly spaced.
    by : {"lanczos", "mean", "last", "sum"}
        How words become volumes.
    labels : sequence, optional
        Sample labels of the volumes; 0, 1, … by default.
    onset : str
        Name of the sample coordinate with the times in seconds.
    lobes : int
        Lanczos only: zero crossings of the kernel on either side.
    cutoff_hz : float, optional
        Lanczos only: cutoff in Hz; one over the repetition time by default.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        One row a volume, with the coordinate ``frame_time`` (seconds). A Lanczos kernel reaches over ``lobes`` volumes
        to either side, which stands in ``attrs["longest_delay"]`` as after :func:`neuroling.delay`.

    Raises
    ------
    ValueError
        If there are no words, times are missing, not finite, in milliseconds, of several runs end to end, or all
        outside the run, or words end before they begin.

    Warns
    -----
    UserWarning
        If words reach no volume, are out of order (they are sorted), share an onset or begin before time zero.

    Examples
    --------
    >>> coords = {"sample": ["once", "upon", "a"], "onset": ("sample", [0.1, 0.9, 2.5])}
    >>> words = xr.DataArray([[1.0], [3.0], [5.0]], dims=("sample", "feature"), coords=coords)
    >>> {by: to_volumes(words, [0.0, 2.0, 4.0], by=by).values.ravel().tolist() for by in ("sum", "mean", "last")}
    {'sum': [4.0, 5.0, 0.0], 'mean': [2.0, 5.0, 0.0], 'last': [3.0, 5.0, 0.0]}
    """
    if by not in ("lanczos", "mean", "last", "sum"):
        raise ValueError(f"by: got {by!r}; expected 'lanczos', 'mean', 'last' or 'sum'.")
    frames = checked_frames(frame_times)
    step = float(np.median(np.diff(frames)))
    reach = lobes * step if cutoff_hz is None else lobes / cutoff_hz
    reach = reach if by == "lanczos" else 0.0
    sample = np.arange(len(frames)) if labels is None else np.asarray(labels)
    if len(sample) != len(frames):
        raise ValueError(f"labels: got {len(sample)} for {len(frames)} frame times.")
    table, onsets = words_in_time(features, onset, frames, reach_s=reach)
    weights = (
        lanczos_weights(onsets, frames, lobes=lobes, cutoff_hz=cutoff_hz)
        if by == "lanczos"
        else _bins(onsets, frames, step, by)
    )  # (volume, word)
    volumes = weights @ np.asarray(table.values, dtype=np.float64)  # (volume, feature)
    reached = {"longest_delay": int(np.ceil(reach / step - ROUNDING))} if by == "lanczos" else {}
    return xr.DataArray(
        volumes.astype(table.dtype if table.dtype.kind == "f" else np.float64),
        dims=("sample", "feature"),
        coords={"sample": sample, "frame_time": ("sample", frames), **feature_coords(table)},
        attrs={
            **features.attrs,
            "volumes_by": by,
            "volumes_at": onset,
            "n_empty_volumes": int((np.diff(weights.indptr) == 0).sum()),
            **reached,
        },
    )


def _bins(onsets: NDArray[np.float64], frames: NDArray[np.float64], step: float, by: str) -> csr_array:
    """Weights of the words in each volume, shape (volume, word)."""
    edges = np.append(frames, frames[-1] + step) - ROUNDING * step  # a word at a frame time begins in that volume
    volume = np.searchsorted(edges, onsets, side="right") - 1
    word = np.flatnonzero((volume >= 0) & (volume < len(frames)))
    volume = volume[word]
    if by == "last" and len(word):
        last = np.append(np.diff(volume) > 0, True)
        word, volume = word[last], volume[last]
    count = np.bincount(volume, minlength=len(frames))
    value = 1.0 / count[volume] if by == "mean" else np.ones(len(word))
    return csr_array((value, (volume, word)), shape=(len(frames), len(onsets)))


def run_by_run(
    spread: Callable[[xr.DataArray, NDArray[np.float64]], xr.DataArray],
    words: xr.DataArray,
    frame_times: Mapping[str, ArrayLike],
    *,
    group: str = "group",
) -> xr.DataArray:
    """Spread the words of several runs or stories over their volumes, each run by itself.

    Parameters
    ----------
    spread : callable
        Takes the words of a run and its frame times and gives its volumes: :func:`to_volumes`,
        :func:`neuroling.encoding.hrf.convolve`, or a ``lambda`` around one of them.
    words : xarray.DataArray, dims (sample, feature)
        Features of all words, with the name of their run as a sample coordinate, and onsets counted within each run.
    frame_times : mapping of str to array-like
        When the volumes of each run were taken, in seconds on the clock of its words; in the order of the recording.
    group : str
        Sample coordinate that names the run.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        The volumes of all runs, one after the other, labelled ``"RUN:0"``, ``"RUN:1"``, … as
        :func:`neuroling.data.bids.volume_table` labels them, with the coordinates ``group``, ``time_index`` (from 0 in
        each run) and ``frame_time``.

    Raises
    ------
    ValueError
        If the words name no runs, or other runs than the frame times.

    Examples
    --------
    >>> coords = {"sample": range(3), "onset": ("sample", [0.0, 2.0, 1.0]), "group": ("sample", ["a", "a", "b"])}
    >>> words = xr.DataArray(np.ones((3, 1)), dims=("sample", "feature"), coords=coords)
    >>> found = run_by_run(lambda w, t: to_volumes(w, t, by="sum"), words, {"a": [0, 2], "b": [0, 2]})
    >>> found.values.ravel().tolist(), found.group.values.tolist()
    ([1.0, 1.0, 1.0, 0.0], ['a', 'a', 'b', 'b'])
    """
    if group not in words.coords or words.coords[group].dims != ("sample",):
        raise ValueError(f"group: the words have no sample coordinate {group!r} that names their run.")
    missing = int(words.coords[group].isnull().sum() + (words.coords[group] == "").sum())
    if missing:
        raise ValueError(
            f"group: {missing} of {words.sizes['sample']} words do not name their run; remove or name them."
        )
    names = words.coords[group].to_numpy().astype(str)
    runs = {str(name): times for name, times in frame_times.items()}
    apart = set(names.tolist()) ^ set(runs)
    if apart:
        raise ValueError(
            f"frame_times: runs {sorted(apart)[:5]} have words or frame times but not both; the words name "
            f"{sorted(set(names.tolist()))[:5]}, the frame times {list(runs)[:5]}."
        )
    volumes_of_runs = []
    for name, times in runs.items():
        run_volumes = spread(
            words.isel(sample=np.flatnonzero(names == name)),
            read_numbers("frame_times", times).values.astype(np.float64),
        )
        size = run_volumes.sizes["sample"]
        labels = np.array(volume_labels(name, size))
        volumes_of_runs.append(
            run_volumes.assign_coords(
                sample=labels, group=("sample", np.full(size, name)), time_index=("sample", np.arange(size))
            )
        )
    joined = xr.concat(volumes_of_runs, "sample", join="exact", combine_attrs="drop_conflicts")
    longest = max(int(run_volumes.attrs.get("longest_delay", 0)) for run_volumes in volumes_of_runs)
    return joined.assign_attrs({"longest_delay": longest} if longest else {})
