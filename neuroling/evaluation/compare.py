"""Bring results together: participants, layers, models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import xarray as xr

from neuroling.core.axes import check_axes
from neuroling.core.result import Result


def combine(results: Mapping[str, Result], dim: str) -> Result:
    """Join results along a new axis, exactly or not at all.

    Parameters
    ----------
    results : mapping of str to Result
        Label along the new axis, and what belongs there.
    dim : str
        Name of the new axis, such as ``"subject"``, ``"layer"`` or ``"model"``.

    Returns
    -------
    Result
        Scores, ceilings and nulls with the new axis.

    Raises
    ------
    ValueError
        If metrics, splits or labels differ, or only some results have a ceiling or a null.

    Examples
    --------
    >>> one = Result.of(xr.DataArray([0.5, 0.7], dims="split"), metric="two_vs_two")
    >>> combine({"P1": one, "P2": one}, dim="subject").score.sel(subject="P2").item()
    0.6
    """
    check_axes("dim", [dim])
    if not results:
        raise ValueError("results: none given; expected a mapping such as {'P1': result, …}.")
    _check_alike(results, dim)
    joined = {}
    for name in next(iter(results.values())).data.data_vars:
        parts = [result.data[name] for result in results.values()]
        joined[name] = _concat(str(name), parts, list(results), dim)
    first = next(iter(results.values()))
    data = xr.Dataset(joined, attrs=first.data.attrs)
    if "null_best" in data:
        data["null_best"] = _best_over(data["null_best"], dim, bool(first.data.attrs["larger_is_better"]))
    provenance = replace(
        first.provenance,
        options={**first.provenance.options, "combined": f"{len(results)} results along {dim}"},
        data={f"{label}.{key}": v for label, r in results.items() for key, v in r.provenance.data.items()},
        synthetic=any(result.provenance.synthetic for result in results.values()),
        notes=tuple(dict.fromkeys(note for result in results.values() for note in result.provenance.notes)),
    )
    return Result(data, provenance)


def _check_alike(results: Mapping[str, Result], dim: str) -> None:
    label, first = next(iter(results.items()))
    for other, result in results.items():
        for key in ("metric", "chance", "larger_is_better", "null_method"):
            a, b = first.data.attrs.get(key), result.data.attrs.get(key)
            if a != b:
                raise ValueError(f"results: {label!r} and {other!r} differ in {key}: {a!r} against {b!r}.")
        a_names, b_names = set(first.data.data_vars), set(result.data.data_vars)
        if a_names != b_names:
            raise ValueError(f"results: only one of {label!r} and {other!r} has {sorted(map(str, a_names ^ b_names))}.")
        if dim in result.data.dims:
            raise ValueError(f"dim: {other!r} already has an axis {dim!r}; choose another, or select from it first.")
        for name, size in first.data.sizes.items():
            if result.data.sizes[name] != size:
                raise ValueError(
                    f"results: along {name!r} {label!r} has {size} entries and {other!r} {result.data.sizes[name]}; "
                    "combine scores that consume that axis, or select common labels."
                )


def _concat(name: str, parts: list[xr.DataArray], labels: list[str], dim: str) -> xr.DataArray:
    try:
        return xr.concat(
            parts, xr.DataArray(np.asarray(labels), dims=dim, name=dim), join="exact", coords="minimal", compat="equals"
        )
    except ValueError as error:
        raise ValueError(
            f"results: the labels of {name!r} differ between {labels[0]!r} and another: {error}"
        ) from error


def _best_over(best: xr.DataArray, dim: str, larger_is_better: bool) -> xr.DataArray:
    return best.max(dim) if larger_is_better else best.min(dim)
