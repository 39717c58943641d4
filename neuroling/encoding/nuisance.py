r"""Drifts, confounds and censored volumes taken out of volumes, each held-out stretch by itself.

A filter over a whole run mixes test volumes with training volumes. Here every stretch that is held out together is
cleaned by a regression of its own: with the nuisance regressors :math:`Z` of the stretch (a constant, slow cosines,
confounds, one column for each censored volume) a series :math:`v` becomes :math:`v - Z Z^{+} v`. Features and recording
are treated alike, as the theorem of Frisch, Waugh and Lovell asks for; a censored volume is zero in both, which leaves
correlations what they are without it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.align import runs_of
from neuroling.core.arrays import check_labelled
from neuroling.core.protocols import Splitter

Array = NDArray[np.float64]

LEAST_FREE = 0.2
"""Share of a stretch's volumes that have to stay free after the regression; a heuristic."""

TIME_COORDS = ("group", "time_index", "onset", "censored")
"""Coordinates of volumes that features take over from the recording."""


def stretches(recording: xr.DataArray, splits: Splitter | None = None) -> NDArray[np.intp]:
    """Label the stretches that are cleaned by themselves: what one split holds out of one run.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, …)
        Volumes, perhaps with the coordinate ``group`` (run).
    splits : splitter, optional
        The splits of the evaluation; without them every run is a stretch.

    Returns
    -------
    ndarray of int, shape (sample,)

    Raises
    ------
    ValueError
        If a volume is held out twice.

    Examples
    --------
    >>> from neuroling.evaluation.splits import ContiguousFolds
    >>> run = xr.DataArray(np.zeros((4, 1)), dims=("sample", "voxel"), coords={"sample": range(4)})
    >>> stretches(run, ContiguousFolds(2)).tolist()
    [0, 0, 1, 1]
    """
    n = recording.sizes["sample"]
    run, fold = np.zeros(n, dtype=np.intp), np.zeros(n, dtype=np.intp)
    for number, (_, rows) in enumerate(runs_of(recording)):
        run[rows] = number
    if splits is not None:
        groups = run if "group" in recording.coords else None
        for number, (_, test) in enumerate(splits.split(np.zeros((n, 1)), None, groups), start=1):
            rows = np.asarray(test, dtype=np.intp)
            if fold[rows].any():
                raise ValueError("splits: some volumes are held out twice; expected folds that do not overlap.")
            fold[rows] = number
    pairs = run * (fold.max() + 1) + fold
    return np.unique(pairs, return_inverse=True)[1].astype(np.intp)


def remove_nuisance(
    array: xr.DataArray,
    recording: xr.DataArray,
    *,
    confounds: xr.DataArray | None = None,
    splits: Splitter | None = None,
    high_pass_s: float | None = 128.0,
    standardize: bool = False,
) -> xr.DataArray:
    r"""Regress drifts, confounds and censored volumes out of each stretch by itself.

    Parameters
    ----------
    array : xarray.DataArray, dims (sample, \*others)
        The recording itself, or features of its volumes in the same order.
    recording : xarray.DataArray, dims (sample, …)
        Says runs (``group``), the repetition time (``attrs["tr_s"]``) and which volumes are ``censored``.
    confounds : xarray.DataArray, optional, dims (sample, feature)
        From :func:`neuroling.data.fmri_runs.read_runs`.
    splits : splitter, optional
        Splits of the evaluation; what they hold out is cleaned by itself. Without them every run is.
    high_pass_s : float, optional
        Longest period that is kept, in seconds; None leaves drifts to the confounds.
    standardize : bool
        Bring every series of every stretch to unit variance, as is customary for recordings.

    Returns
    -------
    xarray.DataArray
        Same axes and labels. ``attrs`` say what was removed.

    Raises
    ------
    ValueError
        If labels differ, the repetition time is not known, a stretch has too few volumes for so many regressors, or a
        series to be standardized is constant.

    References
    ----------
    Lindquist, M. A. et al. (2019). Modular preprocessing pipelines can reintroduce artifacts into fMRI data. Human
    Brain Mapping 40, 2358-2376.

    Examples
    --------
    >>> times = {"sample": range(120), "time_index": ("sample", np.arange(120))}
    >>> drift = np.linspace(0, 5, 120)[:, None]
    >>> run = xr.DataArray(drift, dims=("sample", "voxel"), coords=times, attrs={"tr_s": 2.0})
    >>> float(abs(remove_nuisance(run, run)).max().round(1))
    0.2
    """
    for name, each in {"array": array, "recording": recording, "confounds": confounds}.items():
        if each is not None:
            check_labelled(name, each)
            _check_rows(name, each, recording)
    if high_pass_s is not None and "tr_s" not in recording.attrs:
        raise ValueError("recording: its attrs have no 'tr_s', the repetition time in seconds; high_pass_s needs it.")
    dims = ("sample", *(dim for dim in array.dims if dim != "sample"))
    values = array.transpose(*dims).to_numpy().astype(np.float64)
    flat = values.reshape(len(values), -1)  # (sample, series)
    cleaned = np.empty_like(flat)
    label = stretches(recording, splits)
    n_regressors = []
    for number in np.unique(label):
        rows = np.flatnonzero(label == number)
        nuisance = _regressors(rows, recording, confounds, high_pass_s)
        basis = _orthonormal(nuisance)
        _check_free(rows, basis, recording)
        rest = flat[rows] - basis @ (basis.T @ flat[rows])
        cleaned[rows] = _unit_variance(rest, flat[rows], rows, recording) if standardize else rest
        n_regressors.append(basis.shape[1])
    notes = {
        "high_pass_s": "none" if high_pass_s is None else float(high_pass_s),
        "nuisance_regressors": max(n_regressors),
        "cleaned_in": f"{len(n_regressors)} stretches, each by itself",
    }
    out = array.transpose(*dims).copy(data=cleaned.reshape(values.shape)).transpose(*array.dims)
    return out.assign_attrs(notes)


def clean_spaces(
    spaces: Mapping[str, xr.DataArray],
    recording: xr.DataArray,
    *,
    confounds: xr.DataArray | None = None,
    splits: Splitter | None = None,
    high_pass_s: float | None = 128.0,
) -> dict[str, xr.DataArray]:
    r"""Regress the same nuisances out of several feature spaces, and bring each to a total variance of one.

    Parameters
    ----------
    spaces : mapping of str to xarray.DataArray, dims (sample, feature)
        Features of the volumes of the recording.
    recording, confounds, splits, high_pass_s
        As in :func:`remove_nuisance`.

    Returns
    -------
    dict of str to xarray.DataArray, dims (sample, feature)
        So that one range of regularization strengths suits them all.

    Raises
    ------
    ValueError
        As in :func:`remove_nuisance`, or if nothing is left of a space.

    Examples
    --------
    >>> values = np.random.default_rng(0).standard_normal((60, 3))
    >>> run = xr.DataArray(values, dims=("sample", "voxel"), coords={"sample": range(60)}, attrs={"tr_s": 2.0})
    >>> space = (100 * run).rename(voxel="feature")
    >>> float(clean_spaces({"MiniLM": space}, run)["MiniLM"].var("sample").sum().round(6))
    1.0
    """
    cleaned = {}
    for name, space in spaces.items():
        rest = remove_nuisance(space, recording, confounds=confounds, splits=splits, high_pass_s=high_pass_s)
        total = float(rest.var("sample").sum())
        if not total > 1e-12 * float((space**2).mean("sample").sum()):
            raise ValueError(
                f"spaces[{name!r}]: it is made of drifts and confounds alone, and nothing is left of it; leave it out."
            )
        cleaned[name] = rest / np.sqrt(total)
        cleaned[name].attrs.update(rest.attrs)
    return cleaned


def _check_rows(name: str, array: xr.DataArray, recording: xr.DataArray) -> None:
    if "sample" not in array.dims or not np.array_equal(array.sample.to_numpy(), recording.sample.to_numpy()):
        raise ValueError(f"{name}: its samples are not those of the recording, in the same order.")


def _regressors(
    rows: NDArray[np.intp], recording: xr.DataArray, confounds: xr.DataArray | None, high_pass_s: float | None
) -> Array:
    """Give a constant, slow cosines, confounds, and one column for each censored volume: (volume, regressor)."""
    n = len(rows)
    columns = [np.ones((n, 1))]
    if high_pass_s is not None:
        n_cosines = int(2 * n * float(recording.attrs["tr_s"]) / high_pass_s)  # periods of at least high_pass_s
        time = (2 * np.arange(n)[:, None] + 1) / (2 * n)
        columns.append(np.cos(np.pi * time * np.arange(1, min(n_cosines, n - 1) + 1)))
    if confounds is not None:
        ours = confounds.transpose("sample", "feature").to_numpy()[rows]
        columns.append(ours - ours.mean(axis=0))
    if "censored" in recording.coords:
        columns.append(np.eye(n)[:, recording.coords["censored"].to_numpy()[rows].astype(bool)])
    return np.hstack(columns)


def _orthonormal(columns: Array) -> Array:
    """Give an orthonormal basis of what the columns span; duplicates and columns of zeros fall out."""
    length = np.linalg.norm(columns, axis=0)
    scaled = columns[:, length > 0] / length[length > 0]
    left, singular, _ = np.linalg.svd(scaled, full_matrices=False)
    return np.asarray(left[:, singular > 1e-8 * singular[0]])


def _check_free(rows: NDArray[np.intp], basis: Array, recording: xr.DataArray) -> None:
    n, used = basis.shape
    if n - used < LEAST_FREE * n:
        run = f" of run {recording.coords['group'].to_numpy()[rows[0]]!r}" if "group" in recording.coords else ""
        raise ValueError(
            f"confounds: {used} regressors leave {n - used} of the {n} volumes{run} that are held out together; at "
            f"least {LEAST_FREE:.0%} have to stay. Choose fewer confounds or folds, or hold out whole runs."
        )


def _unit_variance(rest: Array, before: Array, rows: NDArray[np.intp], recording: xr.DataArray) -> Array:
    deviation = rest.std(axis=0)
    still = np.flatnonzero(deviation <= 1e-9 * np.abs(before).max(axis=0, initial=0.0))
    if len(still):
        where = f" in run {recording.coords['group'].to_numpy()[rows[0]]!r}" if "group" in recording.coords else ""
        raise ValueError(
            f"array: {len(still)} series are constant{where} or made of confounds alone, first {still[:5].tolist()}; "
            "take a mask without these voxels."
        )
    return np.asarray(rest / deviation)
