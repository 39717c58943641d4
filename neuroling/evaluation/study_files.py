"""Join the result files of one study: each unit once, and none of another study."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product

from neuroling.core.axes import check_axes
from neuroling.core.result import Result
from neuroling.core.units import first_difference, versions_that_count
from neuroling.evaluation.joining import combine


def gather(results: Mapping[str, Result]) -> Result:
    """Join the units of a study along the axes that their labels name.

    Parameters
    ----------
    results : mapping of str to Result
        Name of each (such as its file), and the unit, stamped by :func:`neuroling.core.units.stamp`.

    Returns
    -------
    Result
        With an axis for every label: participants, layers, models. Labels that are numbers are in their order, others
        in alphabetical order, so that the outcome does not depend on the order of the files.

    Raises
    ------
    ValueError
        If a unit has no labels, stands twice or is missing from the grid, or if the units come from different
        configurations or versions; the message names the files.

    Examples
    --------
    >>> import xarray as xr
    >>> from neuroling.core.units import stamp
    >>> one = Result.of(xr.DataArray([0.5], dims="split"), metric="pearson")
    >>> units = {f"{s}.nc": stamp(one, {"subject": s}, {"seed": "0"}) for s in ("s2", "s1")}
    >>> gather(units).score.subject.values.tolist()
    ['s1', 's2']
    """
    if not results:
        raise ValueError("results: none given; expected the units of a study.")
    axes = _axes(results)
    check_one_study(results)
    values = {axis: sorted({r.provenance.unit[axis] for r in results.values()}, key=_natural) for axis in axes}
    places = _places(results, axes)
    absent = [place for place in product(*values.values()) if place not in places]
    if absent:
        few = "; ".join(", ".join(f"{a} {v}" for a, v in zip(axes, place, strict=True)) for place in absent[:3])
        raise ValueError(
            f"results: {len(absent)} of {len(places) + len(absent)} units are missing (first {few}); finish them, or "
            "gather a part that is complete."
        )
    joined = _join(places, list(values.items()), ())
    unit = replace(joined.provenance, unit={}, options=next(iter(results.values())).provenance.options)
    return Result(joined.data, unit)


def _join(
    places: Mapping[tuple[str, ...], Result], axes: Sequence[tuple[str, list[str]]], at: tuple[str, ...]
) -> Result:
    """Join along the first of the axes left, each of its entries joined along the others before."""
    if not axes:
        return places[at]
    (axis, labels), *others = axes
    return combine({label: _join(places, others, (*at, label)) for label in labels}, dim=axis)


def _axes(results: Mapping[str, Result]) -> list[str]:
    bare = [name for name, result in results.items() if not result.provenance.unit]
    if bare:
        raise ValueError(
            f"results: {len(bare)} of {len(results)} say not which unit they are (first {bare[:3]}); they were not "
            "made as units of a study. Give --unit NAME=LABEL where they are made."
        )
    (first, axes), *others = ((name, list(result.provenance.unit)) for name, result in results.items())
    for name, other in others:
        if set(other) != set(axes):
            raise ValueError(f"results: {first} is a unit of {sorted(axes)} and {name} of {sorted(other)}.")
    check_axes("unit", axes)
    return axes


def check_one_study(results: Mapping[str, Result], also: Callable[[Result], Mapping[str, str]] = lambda _: {}) -> None:
    """Refuse results that different configurations or versions have made.

    Parameters
    ----------
    results : mapping of str to Result
        Name of each (such as its file), and the result.
    also : callable
        What else has to be the same in all of them.

    Raises
    ------
    ValueError
        If two differ; the message names both and the first thing that differs.
    """
    (first, one), *others = results.items()
    for name, other in others:
        for what, a, b in (
            ("configurations", one.provenance.configuration, other.provenance.configuration),
            ("versions", versions_that_count(one.provenance.versions), versions_that_count(other.provenance.versions)),
            ("recordings", also(one), also(other)),
        ):
            key = first_difference(a, b)
            if key is not None:
                raise ValueError(
                    f"results: {first} and {name} come from different {what}: {key} is {a.get(key)!r} in one and "
                    f"{b.get(key)!r} in the other. Make the older ones again; they are not mixed."
                )


def _places(results: Mapping[str, Result], axes: Sequence[str]) -> dict[tuple[str, ...], Result]:
    names: dict[tuple[str, ...], str] = {}
    for name, result in results.items():
        place = tuple(result.provenance.unit[axis] for axis in axes)
        if place in names:
            raise ValueError(f"results: {names[place]} and {name} are the same unit, {result.provenance.unit}.")
        names[place] = name
    return {place: results[name] for place, name in names.items()}


def _natural(label: str) -> tuple[tuple[bool, int, str], ...]:
    """Order numbers inside labels by value: s2 before s10."""
    return tuple(
        (not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", label) if part
    )
