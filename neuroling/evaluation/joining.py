"""Join results along participants, layers or models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import xarray as xr

from neuroling.core.axes import check_axes
from neuroling.core.null_distribution import Alternative
from neuroling.core.result import Result
from neuroling.core.times import with_shared_times


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
    TypeError
        If something other than results is given.
    ValueError
        If metrics, splits or labels differ, or only some results have a ceiling or a null.

    Examples
    --------
    >>> one = Result.of(xr.DataArray([0.5, 0.7], dims="split"), metric="two_vs_two")
    >>> combine({"P1": one, "P2": one}, dim="subject").score.sel(subject="P2").item()
    0.6
    """
    check_axes("dim", [dim])
    if not isinstance(results, Mapping):
        raise TypeError(f"results: got {type(results).__name__}; expected a mapping such as {{'P1': result, …}}.")
    foreign = {label: type(result).__name__ for label, result in results.items() if not isinstance(result, Result)}
    if foreign:
        raise TypeError(f"results: got {foreign}; expected a Result for every label.")
    if not results:
        raise ValueError("results: none given; expected a mapping such as {'P1': result, …}.")
    with_times = with_shared_times({label: result.data for label, result in results.items()})
    results = {label: replace(results[label], data=data) for label, data in with_times.items()}
    _check_alike(results, dim)
    joined = {}
    for name in next(iter(results.values())).data.data_vars:
        parts = [result.data[name] for result in results.values()]
        joined[name] = _concat(str(name), parts, list(results), dim)
    first = next(iter(results.values()))
    data = xr.Dataset(joined, attrs=first.data.attrs)
    if "null_best" in data:
        data["null_best"] = best_along(data["null_best"], dim, first.null.alternative)
        shared = len({result.null.relabelings for result in results.values()}) == 1
        data.attrs["null_relabelings"] = first.null.relabelings if shared else ""
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
        for key in ("metric", "chance", "larger_is_better", "null_method", "null_alternative", "null_statistic"):
            a, b = first.data.attrs.get(key), result.data.attrs.get(key)
            if a != b:
                raise ValueError(f"results: {label!r} and {other!r} differ in {key}: {a!r} against {b!r}.")
        a_names, b_names = set(first.data.data_vars), set(result.data.data_vars)
        if a_names != b_names:
            raise ValueError(f"results: only one of {label!r} and {other!r} has {sorted(map(str, a_names ^ b_names))}.")
        if dim in result.data.dims:
            raise ValueError(f"dim: {other!r} already has an axis {dim!r}; choose another, or select from it first.")
        a_dims, b_dims = first.data["score"].dims, result.data["score"].dims
        if a_dims != b_dims:
            raise ValueError(f"results: {label!r} has scores along {a_dims} and {other!r} along {b_dims}.")
        for name in first.data.dims:
            _check_axis(str(name), label, first.data, other, result.data)


def _check_axis(name: str, label: str, first: xr.Dataset, other: str, second: xr.Dataset) -> None:
    """Check that an axis has the same entries in both, by label wherever entries are places rather than draws."""
    a, b = first.sizes[name], second.sizes[name]
    if a != b:
        what = "Draw nulls of one size, split alike, or" if name in ("draw", "split") else "Select common labels, or"
        raise ValueError(
            f"results: along {name!r} {label!r} has {a} entries and {other!r} {b}. {what} combine scores that consume "
            "that axis."
        )
    if name in ("draw", "split") or a == 1:
        return
    unlabelled = [key for key, data in ((label, first), (other, second)) if name not in data.coords]
    if unlabelled:
        raise ValueError(
            f"results: the entries along {name!r} of {unlabelled[0]!r} have no labels, so nothing says that they are "
            "the same in all results. Label them in the recording with .assign_coords, or use a metric that consumes "
            "them."
        )
    ours, theirs = first.indexes[name], second.indexes[name]
    if not ours.equals(theirs):
        only_ours, only_theirs = ours[~ours.isin(theirs)], theirs[~theirs.isin(ours)]
        raise ValueError(
            f"results: the labels along {name!r} differ: {len(only_ours)} of {a} stand in {label!r} alone (first "
            f"{only_ours[:5].tolist()}), {len(only_theirs)} in {other!r} alone (first {only_theirs[:5].tolist()})"
            f"{'' if len(only_ours) else ', and the order differs'}. Select common labels with .sel, or combine scores "
            "that consume that axis."
        )


def _concat(name: str, parts: list[xr.DataArray], labels: list[str], dim: str) -> xr.DataArray:
    along = xr.DataArray(np.asarray(labels), dims=dim, name=dim)
    try:
        return xr.concat(parts, along, join="exact", coords="minimal", compat="equals")
    except ValueError as error:
        raise ValueError(
            f"results: coordinates of {name!r} differ between {labels[0]!r} and another: {error}"
        ) from error


def best_along(best: xr.DataArray, dim: str, alternative: Alternative) -> xr.DataArray:
    """Give the most extreme statistic of every draw over an axis.

    Parameters
    ----------
    best : xarray.DataArray, dims (dim, draw)
        The most extreme at each of its labels.
    dim : str
        The axis.
    alternative : {"greater", "less", "two-sided"}
        Direction in which a statistic is extreme.
    """
    return best.min(dim) if alternative == "less" else best.max(dim)
