"""What a language model has to beat at the level of volumes: place in time, and being close in time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from neuroling.encoding.drift import remove_drift
from neuroling.encoding.hrf import convolve


def smoothed_identity(recording: xr.DataArray, *, width: float = 2.0) -> xr.DataArray:
    r"""Make features without content: each volume's own column, smeared over its neighbours in time.

    :math:`x_{ts} = \exp(-(t - s)^2 / 2 w^2)` for volumes of the same run, zero otherwise. It knows nothing but which
    volumes are close together. Where it predicts, the split lets neighbours stand on both sides.

    Parameters
    ----------
    recording : xarray.DataArray
        With the axis ``sample``: rows consecutive in time within each ``group`` (one run without it).
    width : float
        Standard deviation of the smear :math:`w`, in volumes.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        As many features as volumes.

    References
    ----------
    Feghhi, E., Hadidi, N., Song, B., Blank, I. A. and Kao, J. C. (2024). What are large language models mapping to in
    the brain? A case against over-reliance on brain scores. arXiv 2406.01538. Their control is named OASM.

    Examples
    --------
    >>> recording = xr.DataArray(np.zeros((3, 1)), dims=("sample", "voxel"), coords={"sample": [0, 1, 2]})
    >>> smoothed_identity(recording, width=1.0).values[0].round(2).tolist()
    [1.0, 0.61, 0.14]
    """
    if not 0 < width < np.inf:
        raise ValueError(f"width: got {width}; expected a positive number of volumes.")
    n = recording.sizes["sample"]
    group = recording.coords["group"].to_numpy() if "group" in recording.coords else np.zeros(n)
    place = np.arange(n)
    near = np.exp(-((place[:, None] - place) ** 2) / (2 * width**2)) * (group[:, None] == group)
    return _like(recording, near, [f"volume {i}" for i in range(n)], {"step": "smoothed_identity", "width": width})


def volume_position(recording: xr.DataArray, *, order: int = 3) -> xr.DataArray:
    """Describe where in its run every volume stands: powers of time, from -1 to 1.

    Parameters
    ----------
    recording : xarray.DataArray
        With the axis ``sample``: rows consecutive in time within each ``group`` (one run without it).
    order : int
        Highest power.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        Features ``"position^1"`` to ``"position^ORDER"``.

    Examples
    --------
    >>> recording = xr.DataArray(np.zeros((3, 1)), dims=("sample", "voxel"), coords={"sample": [0, 1, 2]})
    >>> volume_position(recording, order=2).values.tolist()
    [[-1.0, 1.0], [0.0, 0.0], [1.0, 1.0]]
    """
    if order < 1:
        raise ValueError(f"order: got {order}; expected at least 1.")
    n = recording.sizes["sample"]
    group = recording.coords["group"].to_numpy() if "group" in recording.coords else np.zeros(n)
    time = np.empty(n)
    for label in dict.fromkeys(group.tolist()):
        rows = np.flatnonzero(group == label)
        time[rows] = np.linspace(-1, 1, len(rows)) if len(rows) > 1 else 0.0
    powers = np.arange(1, order + 1)
    return _like(recording, time[:, None] ** powers, [f"position^{p}" for p in powers], {"step": "volume_position"})


def volume_controls(
    recording: xr.DataArray, words: Mapping[str, xr.DataArray], volumes: Mapping[str, xr.DataArray]
) -> dict[str, xr.DataArray]:
    """Put what a language model has to beat into volumes: controls of words, of volumes, and of time itself.

    Parameters
    ----------
    recording : xarray.DataArray
        With the axis ``sample``, the sample coordinate ``onset`` and ``attrs["tr_s"]`` (both s); one run.
    words : mapping of str to xarray.DataArray, dims (sample, feature)
        Controls of words, such as their rate and length. Of those that vary, the mean over words is taken off: its sum
        over time is the word rate.
    volumes : mapping of str to xarray.DataArray, dims (sample, feature)
        Controls that are in volumes already.

    Returns
    -------
    dict of str to xarray.DataArray, dims (sample, feature)
        Those of words, spread by :func:`~neuroling.encoding.hrf.convolve`, and those of volumes, all without slow
        drifts; and ``"position"`` (a straight line) and ``"smoothed identity"``, of which a filter would leave
        nothing.

    Raises
    ------
    ValueError
        If the recording has several runs or does not say its times, or a name is given twice.

    Examples
    --------
    >>> times = {"sample": np.arange(80), "onset": ("sample", 2.0 * np.arange(80))}
    >>> recording = xr.DataArray(np.zeros((80, 1)), dims=("sample", "region"), coords=times, attrs={"tr_s": 2.0})
    >>> onset = np.sort(np.random.default_rng(0).uniform(0, 150, 300))
    >>> rate = xr.DataArray(np.ones((300, 1)), dims=("sample", "feature"), coords={"onset": ("sample", onset)})
    >>> list(volume_controls(recording, {"word rate": rate}, {}))
    ['word rate', 'position', 'smoothed identity']
    """
    if "onset" not in recording.coords or "tr_s" not in recording.attrs:
        raise ValueError(
            f"recording: got coordinates {list(recording.coords)} and attributes {list(recording.attrs)}; expected the "
            "coordinate 'onset' and the attribute 'tr_s', both in seconds."
        )
    n_runs = len(np.unique(recording.coords["group"])) if "group" in recording.coords else 1
    if n_runs > 1:
        raise ValueError(f"recording: {n_runs} runs; expected one. Call it for each run, and join the rows.")
    twice = sorted({*words} & {*volumes} | {*words, *volumes} & {"position", "smoothed identity"})
    if twice:
        raise ValueError(f"words, volumes: {twice} would be there twice; rename them.")
    samples = recording.sample.to_numpy()
    varies = {name: each.max("sample") > each.min("sample") for name, each in words.items()}
    centred = {name: each - each.mean("sample") * varies[name] for name, each in words.items()}
    spread = {name: convolve(each, recording.onset, labels=samples) for name, each in centred.items()}
    filtered = {name: remove_drift(each, recording.attrs["tr_s"]) for name, each in {**spread, **volumes}.items()}
    still = {"position": volume_position(recording, order=1), "smoothed identity": smoothed_identity(recording)}
    return {**filtered, **still}


def _like(recording: xr.DataArray, values: np.ndarray, names: list[str], notes: dict[str, object]) -> xr.DataArray:
    coords = {name: c for name, c in recording.coords.items() if c.dims == ("sample",)}
    return xr.DataArray(values, dims=("sample", "feature"), coords={**coords, "feature": names}, attrs=notes)
