"""Features of words put onto the samples of a recording: every run by itself, labels of the recording kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.align import runs_of
from neuroling.core.arrays import check_labelled
from neuroling.encoding.delays import delay
from neuroling.encoding.downsample import run_by_run, to_volumes
from neuroling.encoding.hrf import convolve

Response = Literal["spm", "glover"] | Sequence[int]

ONLY_RUN = "run"
"""Name of the run of words and volumes that do not name theirs."""


def in_volumes(
    by_word: Mapping[str, xr.DataArray], recording: xr.DataArray, *, response: Response = "spm"
) -> dict[str, xr.DataArray]:
    """Spread features of words over the volumes of a recording.

    Of features that vary over words the mean is taken off first, for its sum over time is the rate of words, which is
    a control of its own.

    Parameters
    ----------
    by_word : mapping of str to xarray.DataArray, dims (sample, feature)
        Features of the same words, with the coordinates ``onset`` (seconds from the start of the run) and ``group``
        (run); without ``group`` the recording has to be one run.
    recording : xarray.DataArray, dims (sample, …)
        Volumes with the coordinate ``onset`` (seconds from the start of the run) and, for several runs, ``group``.
    response : {"spm", "glover"} or sequence of int
        A canonical haemodynamic response, or delays in volumes (``range(1, 5)``) whose weights the model learns; for
        these, words are low-pass filtered to volumes by Lanczos kernels.

    Returns
    -------
    dict of str to xarray.DataArray, dims (sample, feature)
        One row a volume, with the labels of the recording.

    Raises
    ------
    ValueError
        If runs of words and volumes differ, or times are missing; the message says which.

    Examples
    --------
    >>> coords = {"sample": range(3), "onset": ("sample", [1.0, 9.0, 20.0])}
    >>> rate = xr.DataArray(np.ones((3, 1)), dims=("sample", "feature"), coords=coords)
    >>> times = {"sample": list(range(30)), "onset": ("sample", 2.0 * np.arange(30))}
    >>> volumes = xr.DataArray(np.zeros((30, 1)), dims=("sample", "voxel"), coords=times)
    >>> in_volumes({"word rate": rate}, volumes)["word rate"].argmax("sample").item()
    3
    """
    check_labelled("recording", recording)
    if "onset" not in recording.coords or recording.coords["onset"].dims != ("sample",):
        raise ValueError(
            "recording: it has no coordinate 'onset' along samples, the seconds at which volumes were taken."
        )
    onset = recording.coords["onset"].to_numpy()
    runs = [(ONLY_RUN if label is None else str(label), rows) for label, rows in runs_of(recording)]
    frames = {label: onset[rows] for label, rows in runs}
    order = np.concatenate([rows for _, rows in runs])
    spread = {name: _spread(_with_run(name, words, frames), frames, response) for name, words in by_word.items()}
    taken = ("group", "time_index", "onset")
    coords = {name: ("sample", recording.coords[name].to_numpy()) for name in taken if name in recording.coords}
    out = {}
    for name, volumes in spread.items():
        values = np.empty(volumes.shape, volumes.dtype)
        values[order] = volumes.transpose("sample", "feature").to_numpy()
        features = {str(key): coord for key, coord in volumes.coords.items() if coord.dims == ("feature",)}
        out[name] = xr.DataArray(
            values,
            dims=("sample", "feature"),
            coords={"sample": recording.sample.to_numpy(), **coords, **features},
            attrs=volumes.attrs,
        )
    return out


def _with_run(name: str, words: xr.DataArray, frames: Mapping[str, NDArray[np.float64]]) -> xr.DataArray:
    """Centre features that vary, and name the run of words that do not name it themselves."""
    if not isinstance(words, xr.DataArray):
        raise TypeError(f"by_word[{name!r}]: got {type(words).__name__}; expected an array (sample, feature) of words.")
    if "group" not in words.coords:
        if len(frames) > 1:
            raise ValueError(
                f"by_word[{name!r}]: the words do not name their run, and the recording has {len(frames)} "
                f"({list(frames)[:4]}); read them with a file or a run_column for each run."
            )
        words = words.assign_coords(group=("sample", np.full(words.sizes["sample"], next(iter(frames)))))
    elif len(frames) == 1 and ONLY_RUN in frames and len(np.unique(words.coords["group"])) == 1:
        words = words.assign_coords(group=("sample", np.full(words.sizes["sample"], ONLY_RUN)))
    varies = words.max("sample") > words.min("sample")
    centred = words - words.mean("sample") * varies
    return centred.assign_attrs(words.attrs)


def _spread(words: xr.DataArray, frames: Mapping[str, NDArray[np.float64]], response: Response) -> xr.DataArray:
    if isinstance(response, str):
        return run_by_run(lambda run, times: convolve(run, times, hrf=response), words, frames)
    volumes = run_by_run(lambda run, times: to_volumes(run, times, by="lanczos"), words, frames)
    return delay(volumes, list(response), runs="group")
