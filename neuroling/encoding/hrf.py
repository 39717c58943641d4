"""From words to volumes: features at word onsets, spread over time by a haemodynamic response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from neuroling.core.notices import warn
from neuroling.encoding.event_timing import checked_frames, feature_coords, words_in_time

HRF_SECONDS = 32.0
"""Length of the response, in seconds; the default of SPM and nilearn."""

FELT = 0.05
"""Share of the peak of a response from which on a volume counts as reached by a word."""

RESOLUTION_S = 0.02
"""Steps in seconds at which the reach of a response is read."""


def convolve(
    features: xr.DataArray,
    frame_times: ArrayLike,
    *,
    labels: Sequence[object] | None = None,
    hrf: Literal["spm", "glover"] = "spm",
    onset: str = "onset",
    oversampling: int = 50,
) -> xr.DataArray:
    r"""Turn features of words into features of volumes.

    Every word is an impulse at its onset, as high as its feature, and every volume the sum of the responses at the
    moment it was taken: :math:`v_t = \sum_w h(t - o_w)\, x_w`. One sparse matrix :math:`h(t - o_w)` serves all
    features. Onsets are not rounded to a grid. As in nilearn, the response sums to one over steps of the repetition
    time divided by ``oversampling``.

    Parameters
    ----------
    features : xarray.DataArray, dims (sample, feature)
        Features of the words of one run, in order of time, with their onsets in seconds as a sample coordinate.
    frame_times : array-like, shape (volume,)
        When each volume was taken, in seconds on the same clock as the onsets, evenly spaced. The first may be later
        than the first words, as when volumes have been left out at the start.
    labels : sequence, optional
        Sample labels of the volumes; 0, 1, … by default.
    hrf : {"spm", "glover"}
        Canonical response of SPM, or of Glover (1999).
    onset : str
        Name of the sample coordinate with the times in seconds; ``"offset"`` puts the impulses at the ends of words.
    oversampling : int
        Steps per volume on which the response is tabulated; between them it is interpolated.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        One row a volume, with the coordinate ``frame_time`` (seconds). How many volumes the response reaches stands in
        ``attrs["longest_delay"]`` (:func:`reach_in_volumes`), as after :func:`neuroling.delay`: ``evaluate`` refuses a
        smaller gap between training and test volumes of a run, and ``ContiguousFolds.of`` takes it from there.

    Raises
    ------
    ValueError
        If there are no words, times are missing, not finite, in milliseconds, of several runs end to end, or all
        outside the run, or words end before they begin.

    Warns
    -----
    UserWarning
        If words lie outside the run (more than a volume after its end or a response before its start), are out of order
        (they are sorted), share an onset or begin before time zero, or the run is shorter than the response.

    References
    ----------
    Glover, G. H. (1999). Deconvolution of impulse response in event-related BOLD fMRI. NeuroImage 9, 416-429.

    Examples
    --------
    >>> onsets = ("sample", [0.0, 10.0])
    >>> coords = {"sample": ["once", "upon"], "onset": onsets}
    >>> words = xr.DataArray(np.ones((2, 1)), dims=("sample", "feature"), coords=coords)
    >>> volumes = convolve(words, np.arange(20) * 2.0)
    >>> volumes.sizes["sample"], float(volumes.frame_time[int(volumes[:6, 0].argmax("sample"))])
    (20, 6.0)
    """
    frames = checked_frames(frame_times)
    sample = np.arange(len(frames)) if labels is None else np.asarray(labels)
    if len(sample) != len(frames):
        raise ValueError(f"labels: got {len(sample)} for {len(frames)} frame times.")
    table, onsets = words_in_time(features, onset, frames, reach_s=HRF_SECONDS)
    step = float(np.median(np.diff(frames)))
    if len(frames) * step < HRF_SECONDS:
        warn(
            "run-shorter-than-response",
            "frame_times",
            f"the run of {len(frames)} volumes lasts {len(frames) * step:g} s, and the response {HRF_SECONDS:g} s.",
        )
    response = response_matrix(onsets, frames, hrf=hrf, oversampling=oversampling)  # (volume, word)
    volumes = response @ np.asarray(table.values, dtype=np.float64)  # (volume, feature)
    return xr.DataArray(
        volumes.astype(table.dtype if table.dtype.kind == "f" else np.float64),
        dims=("sample", "feature"),
        coords={"sample": sample, "frame_time": ("sample", frames), **feature_coords(table)},
        attrs={
            **features.attrs,
            "hrf": hrf,
            "hrf_oversampling": oversampling,
            "hrf_at": onset,
            "longest_delay": reach_in_volumes(hrf, step),
        },
    )


def reach_in_volumes(hrf: Literal["spm", "glover"], tr_s: float) -> int:
    """Say for how many volumes a word is felt: until the response stays below 5 % of its peak.

    Parameters
    ----------
    hrf : {"spm", "glover"}
        Which canonical response; 19.9 s for SPM's, 18.4 s for Glover's. What comes later holds 0.1 % of the energy.
    tr_s : float
        Repetition time in seconds.

    Returns
    -------
    int

    Examples
    --------
    >>> reach_in_volumes("spm", 2.0), reach_in_volumes("glover", 1.0)
    (10, 19)
    """
    response = np.abs(_kernel(hrf, RESOLUTION_S, 1))
    felt = np.flatnonzero(response > FELT * response.max())[-1] * RESOLUTION_S  # seconds
    return int(np.ceil(felt / tr_s - 1e-9))


def response_matrix(
    onsets: NDArray[np.float64], frames: NDArray[np.float64], *, hrf: Literal["spm", "glover"], oversampling: int = 50
) -> csr_array:
    """Tabulate the response of every volume to an impulse at every onset.

    Parameters
    ----------
    onsets : ndarray, shape (word,)
        Seconds.
    frames : ndarray, shape (volume,)
        Seconds, evenly spaced.
    hrf : {"spm", "glover"}
        Which canonical response.
    oversampling : int
        Steps per volume on which the response is tabulated.

    Returns
    -------
    scipy.sparse.csr_array, shape (volume, word)
    """
    if oversampling < 1:
        raise ValueError(f"oversampling: got {oversampling}; expected at least 1.")
    step = float(np.median(np.diff(frames))) / oversampling
    kernel = _kernel(hrf, step, oversampling)  # (lag,)
    first = np.searchsorted(frames, onsets, side="left")
    last = np.searchsorted(frames, onsets + HRF_SECONDS, side="right")
    count = last - first  # volumes that each word reaches
    word = np.repeat(np.arange(len(onsets)), count)
    volume = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    lag = frames[volume] - onsets[word]  # seconds
    value = np.interp(lag / step, np.arange(len(kernel)), kernel, right=0.0)
    return csr_array((value, (volume, word)), shape=(len(frames), len(onsets)))


def _kernel(hrf: str, step: float, oversampling: int) -> NDArray[np.float64]:
    """Sample the response every ``step`` seconds; its values sum to one."""
    from nilearn.glm.first_level import glover_hrf, spm_hrf

    responses = {"spm": spm_hrf, "glover": glover_hrf}
    if hrf not in responses:
        raise ValueError(f"hrf: got {hrf!r}; expected 'spm' or 'glover'.")
    return np.asarray(responses[hrf](step * oversampling, oversampling, time_length=HRF_SECONDS))
