"""Finite impulse responses: features of some volumes ago, never from another run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from neuroling.core.arrays import check_labelled
from neuroling.encoding.event_timing import rows_of_runs


def delay(features: xr.DataArray, delays: Sequence[int], *, runs: str | ArrayLike) -> xr.DataArray:
    r"""Set the features of earlier volumes beside one another, so that a linear model learns the response's shape.

    Row :math:`t` of the copy with delay :math:`d` is row :math:`t - d` of the features, if that lies in the same run,
    and zero if it does not. Nothing crosses from one run into the next, so the runs have to be named. It is no fit and
    may be done before any split; the longest delay, added to what the features reach already (see
    :func:`neuroling.convolve`), travels in ``attrs["longest_delay"]``, and ``evaluate`` refuses
    splits that leave a smaller gap.

    Parameters
    ----------
    features : xarray.DataArray, dims (sample, feature)
        Rows consecutive in time within each run.
    delays : sequence of int
        Volumes, for instance ``range(1, 5)`` for 2 to 8 s at 2 s a volume. Negative ones look ahead.
    runs : str or array-like, shape (sample,)
        Sample coordinate that names the run of every row (``"group"``), or the names themselves. A single run is said
        as ``np.zeros(n)``.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        ``len(delays)`` times as many features, those of the first delay first, labelled ``"NAME@DELAY"``; other feature
        coordinates, such as ``space``, are repeated. :func:`neuroling.bands_of` puts the delays of a feature together.

    Raises
    ------
    ValueError
        If runs are missing, interrupted or shorter than a delay, or delays are not whole numbers, each once.

    Examples
    --------
    >>> values = [[1.0], [2.0], [3.0], [4.0], [5.0]]
    >>> volumes = xr.DataArray(values, dims=("sample", "feature"), coords={"feature": ["rate"]})
    >>> delayed = delay(volumes, [0, 1], runs=["a", "a", "a", "b", "b"])
    >>> delayed.sel(feature="rate@1").values.tolist()
    [0.0, 1.0, 2.0, 0.0, 4.0]
    """
    check_labelled("features", features)
    if set(features.dims) != {"sample", "feature"}:
        raise ValueError(f"features: got axes {features.dims}; expected ('sample', 'feature').")
    table = features.transpose("sample", "feature")
    steps = _checked_delays(delays)
    rows = _runs(table, runs)
    values = table.to_numpy()
    delayed = np.zeros((len(values), len(steps), values.shape[1]), values.dtype)
    for label, run in rows:
        if np.abs(steps).max() >= len(run):
            raise ValueError(
                f"delays: {steps[np.abs(steps).argmax()]} volumes are not shorter than run {label!r} with {len(run)}."
            )
        for place, step in enumerate(steps.tolist()):
            to, since = (run[step:], run[: len(run) - step]) if step >= 0 else (run[:step], run[-step:])
            delayed[to, place] = values[since]
    names = table.coords["feature"].to_numpy() if "feature" in table.coords else np.arange(values.shape[1])
    labels = [f"{name}@{step}" for step in steps.tolist() for name in names.tolist()]
    coords = {name: c for name, c in table.coords.items() if c.dims == ("sample",)}
    other_coords = {
        name: ("feature", np.tile(c.to_numpy(), len(steps)))
        for name, c in table.coords.items()
        if c.dims == ("feature",) and name != "feature"
    }
    reach = int(features.attrs.get("longest_delay", 0)) + int(np.abs(steps).max())
    return xr.DataArray(
        delayed.reshape(len(values), -1),
        dims=("sample", "feature"),
        coords={**coords, "feature": labels, **other_coords},
        attrs={**features.attrs, "delays": steps.tolist(), "longest_delay": reach},
    )


def _checked_delays(delays: Sequence[int]) -> NDArray[np.int64]:
    steps = np.asarray(list(delays))
    if steps.ndim != 1 or steps.size == 0 or steps.dtype.kind not in "iu":
        raise ValueError(f"delays: got {list(delays)!r}; expected whole numbers of volumes, such as range(1, 5).")
    if len(np.unique(steps)) < len(steps):
        raise ValueError(f"delays: got {steps.tolist()}; expected each once.")
    return steps.astype(np.int64)


def _runs(features: xr.DataArray, runs: str | ArrayLike) -> list[tuple[object, NDArray[np.intp]]]:
    """Name and rows of every run, each one stretch."""
    if isinstance(runs, str):
        if runs not in features.coords or features.coords[runs].dims != ("sample",):
            raise ValueError(
                f"runs: the features have no sample coordinate {runs!r}, and without the runs a delay would reach from "
                "one into the next. Attach it with .assign_coords, or pass the names of the runs, one a row."
            )
        labels = features.coords[runs].to_numpy()
    else:
        labels = np.asarray(runs)
    n = features.sizes["sample"]
    if labels.shape != (n,):
        raise ValueError(f"runs: got shape {labels.shape}; expected the name of the run for each of {n} rows.")
    rows = rows_of_runs("runs", labels)
    if "time_index" in features.coords:
        index = features.coords["time_index"].to_numpy()
        for name, piece in rows:
            if (np.diff(index[piece]) != 1).any():
                raise ValueError(f"time_index: not counting up by one within run {name!r}; leave no volume out.")
    return rows
