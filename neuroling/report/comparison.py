"""A study's answer as one number: the model minus its strongest control, paired, with its uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.null_distribution import NullDistribution
from neuroling.core.result import Result

LEVEL = 0.95
"""Coverage of intervals."""


@dataclass(frozen=True)
class Comparison:
    """A model beside its strongest control.

    Attributes
    ----------
    model, control : str
        Names on the axis ``model``.
    difference : Result
        Score of the model minus that of the control, at every location.
    mean : float
        Difference, averaged over locations and participants.
    interval : tuple of float, or None
        95 % t interval of the mean over participants, where there are at least two.
    n_participants : int
        Participants of the interval; 0 where there is no such axis.
    p : float or None
        Two-sided p value of the mean difference under the result's own null, where its draws were kept.
    """

    model: str
    control: str
    difference: Result
    mean: float
    interval: tuple[float, float] | None
    n_participants: int
    p: float | None


def model_names(result: Result) -> list[str]:
    """Name the models of a result; none where it has no axis ``model``."""
    return [str(name) for name in result.score.model.to_numpy()] if "model" in result.score.dims else []


def strongest_control(result: Result, controls: Sequence[str]) -> str:
    """Name the control with the best mean score.

    Parameters
    ----------
    result : Result
        With the axis ``model``.
    controls : sequence of str
        Names on that axis.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If there are none, or some are not among the models.

    Examples
    --------
    >>> score = xr.DataArray([[0.1, 0.3, 0.2]], dims=("split", "model"), coords={"model": ["rate", "length", "BERT"]})
    >>> strongest_control(Result.of(score, metric="pearson"), ["rate", "length"])
    'length'
    """
    names = model_names(result)
    unknown = [name for name in controls if name not in names]
    if unknown or not controls:
        raise ValueError(f"controls: got {list(controls)}; expected one or more of the result's models {names}.")
    means = {name: float(result.score.sel(model=name).mean()) for name in controls}
    return (max if result.larger_is_better else min)(means, key=lambda name: means[name])


def compare_with_controls(result: Result, model: str, controls: Sequence[str]) -> Comparison:
    """Subtract the strongest control from a model, pairing whatever they share.

    Parameters
    ----------
    result : Result
        With the axis ``model``.
    model : str
        The model that the study is about.
    controls : sequence of str
        What it has to beat.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If names are not among the models.
    """
    control = strongest_control(result, controls)
    difference = result.difference(model, control)
    score = difference.score
    interval, n = None, 0
    if "subject" in score.dims:
        each = score.mean([dim for dim in score.dims if dim != "subject"]).to_numpy()
        n = len(each)
        interval = _t_interval(each) if n > 1 else None
    return Comparison(model, control, difference, float(score.mean()), interval, n, _p_of_mean(difference))


def _t_interval(values: np.ndarray) -> tuple[float, float]:
    from scipy import stats

    half = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def _p_of_mean(result: Result) -> float | None:
    """Give the p value of the mean over all locations, where null samples of the scores were kept."""
    null = null_of_mean(result)
    return None if null is None else float(null.p_values())


def null_of_mean(result: Result) -> NullDistribution | None:
    """Average a null over all of its locations; None where its draws are not there or are not those of the score.

    Parameters
    ----------
    result : Result
        Any.

    Returns
    -------
    NullDistribution or None
    """
    if "null_draws" not in result.data or result.null.statistic != "score" or not result.null.relabelings:
        return None
    dims = [str(dim) for dim in result.null.observed.dims]
    return result.null.mean(*dims) if dims else result.null


def model_table(result: Result, controls: Sequence[str] = ()) -> pd.DataFrame:
    """Lay out models side by side: mean score, spread, null, p, significant locations, share of the ceiling.

    Parameters
    ----------
    result : Result
        Any; without the axis ``model`` there is one row.
    controls : sequence of str
        Which of the models are controls.

    Returns
    -------
    pandas.DataFrame
        Columns as described by :data:`COLUMNS`; those that say nothing here are left out.
    """
    rows = []
    for name in model_names(result) or [""]:
        score = result.score.sel(model=name) if name else result.score
        row: dict[str, object] = {"model": name or result.metric, "kind": "control" if name in controls else "model"}
        row["score"] = float(score.mean())
        if "subject" in score.dims and score.sizes["subject"] > 1:
            each = score.mean([dim for dim in score.dims if dim != "subject"]).to_numpy()
            row["low"], row["high"] = _t_interval(each)
        rows.append(row | _significance(result, name))
    table = pd.DataFrame(rows)
    return table.drop(columns=["kind"]) if not controls else table


COLUMNS = {
    "model": "Feature space or model.",
    "kind": "Whether it is what the study asks about or a control, which knows nothing of meaning.",
    "score": "Score on held-out samples, averaged over locations and participants.",
    "low": "Lower end of the 95 % t interval of the mean over participants.",
    "high": "Upper end of the same interval.",
    "null 95 %": "95th percentile of the mean score under the null.",
    "p": "p value of the mean score under the null; how many sides it counts is said below.",
    "significant": "Locations with p < 0.05 after correction over all locations (and models) of the result.",
    "of": "Locations in all.",
}
"""What each column of the table of models means."""


def _significance(result: Result, name: str) -> dict[str, object]:
    if "null_observed" not in result.data:
        return {}
    null = result.null
    mine = {"model": name} if name and "model" in null.observed.dims else {}
    row: dict[str, object] = {}
    if null.draws is not None and null.statistic == "score" and null.relabelings:
        selected = null.select(**mine) if mine else null
        averaged = selected.mean(*map(str, selected.observed.dims)) if selected.observed.dims else selected
        row |= {"null 95 %": float(averaged.quantile(0.95)), "p": float(averaged.p_values())}
    p = null.p_values(null.family_wise)
    p = p.sel(mine) if mine else p
    if p.dims:
        row |= {"significant": int((p < 1 - LEVEL).sum()), "of": int(p.size)}
    elif "p" not in row:
        row["p"] = float(p)
    return row


def locations(score: xr.DataArray) -> str:
    """Name what scores are averaged over, for sentences: ``"200 voxels"``, ``"27 participants and 6 regions"``."""
    plural = {"subject": "participants", "vertex": "vertices", "frequency": "frequencies", "time": "time points"}
    names = [f"{score.sizes[dim]} {plural.get(str(dim), f'{dim}s')}" for dim in score.dims if dim != "model"]
    return " and ".join(names)
