"""A table of regions: scores of voxels or vertices, gathered by the parcels of an atlas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.axes import targets_of
from neuroling.core.null_distribution import Correction
from neuroling.core.result import Result

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNIFICANCE = 0.05


def roi_table(
    result: Result,
    parcels: xr.DataArray,
    names: Mapping[int, str] | None = None,
    *,
    correct: Correction = "fdr",
) -> pd.DataFrame:
    """Lay out scores by region.

    Parameters
    ----------
    result : Result
        One score a voxel or vertex, perhaps with ceiling and null.
    parcels : xarray.DataArray, dims (voxel,) or (vertex,)
        Whole number of the region that each position belongs to, 0 for none; labelled like the scores.
    names : mapping of int to str, optional
        Names of the regions.
    correct : {"none", "fdr", "max", "cluster"}
        How p values allow for many positions, over all of them and not region by region.

    Returns
    -------
    pandas.DataFrame
        One row a region: positions (and how many of them have no score), mean, median and best score, where the best
        one lies, with a null the number of positions below 0.05, with a ceiling its mean and the mean score as a share
        of it, never clipped.

    Raises
    ------
    ValueError
        If positions of the scores have no parcel, or a region has no name.

    Examples
    --------
    >>> score = xr.DataArray([[0.1, 0.3, 0.5]], dims=("split", "voxel"), coords={"voxel": [7, 8, 9]})
    >>> parcels = xr.DataArray([2, 1, 1], dims="voxel", coords={"voxel": [9, 8, 7]})
    >>> table = roi_table(Result.of(score, metric="pearson"), parcels, {1: "front", 2: "back"})
    >>> table[["region", "mean"]].to_numpy().tolist()
    [['front', 0.2], ['back', 0.5]]
    """
    axis = _axis(result)
    numbers = _numbers(result.score, parcels, axis)
    inside = np.unique(numbers[numbers > 0])
    unnamed = [int(number) for number in inside if names is not None and int(number) not in names]
    if unnamed:
        raise ValueError(f"names: {len(unnamed)} regions of the parcels have no name, first {unnamed[:5]}.")
    p = result.p_values(correct) if "null_observed" in result.data else None
    rows = []
    for number in inside.tolist():
        rows_of_region = np.flatnonzero(numbers == number)
        region = str(number) if names is None else names[int(number)]
        rows.append({"region": region, **_row(result, axis, rows_of_region, p)})
    return pd.DataFrame(rows)


def _axis(result: Result) -> str:
    axes = targets_of(result.score.dims)
    if len(axes) != 1 or axes[0] not in ("voxel", "vertex") or result.score.ndim != 1:
        raise ValueError(
            f"result: its scores have {result.score.dims}; expected one axis, 'voxel' or 'vertex'. Choose or average "
            "along the others."
        )
    return axes[0]


def _numbers(score: xr.DataArray, parcels: xr.DataArray, axis: str) -> np.ndarray:
    if parcels.dims != (axis,) or parcels.dtype.kind not in "iu":
        raise ValueError(
            f"parcels: got {parcels.dtype} along {parcels.dims}; expected whole numbers along {(axis,)}, labelled like "
            "the scores."
        )
    absent = score.indexes[axis].difference(parcels.indexes[axis])
    if len(absent):
        raise ValueError(f"parcels: {len(absent)} of {score.size} {axis}s have none, first {absent[:5].tolist()}.")
    return parcels.sel({axis: score[axis]}).to_numpy()


def _row(result: Result, axis: str, rows: np.ndarray, p: xr.DataArray | None) -> dict[str, object]:
    score = result.score.isel({axis: rows})
    values = score.to_numpy()
    row: dict[str, object] = {f"{axis}s": len(rows), "without score": int(np.isnan(values).sum())}
    if np.isnan(values).all():
        return row
    best = score.isel({axis: int(np.nanargmax(values))})
    row |= {"mean": float(np.nanmean(values)), "median": float(np.nanmedian(values)), "best": float(best)}
    place = [name for name in ("x", "y", "z", "hemisphere", "number") if name in best.coords]
    row["best at"] = ", ".join(str(best.coords[name].item()) for name in place) or str(best[axis].item())
    if p is not None:
        row[f"{axis}s, p < {SIGNIFICANCE:g}"] = int((p.isel({axis: rows}) < SIGNIFICANCE).sum())
    if "ceiling" in result.data:
        fit = [bound for bound in ("ceiling", "lower") if bound in result.ceiling.bound]
        bounds = result.ceiling.sel(bound=fit[0]).isel({axis: rows}).to_numpy() if fit else np.full(1, np.nan)
        defined = np.isfinite(bounds)
        ceiling = float(bounds[defined].mean()) if defined.any() else np.nan
        row |= {"without ceiling": int((~defined).sum())} if fit else {}
        row |= {"ceiling": ceiling, "share of ceiling": float(row["mean"]) / ceiling}  # type: ignore[arg-type]  # a float above
    return row
