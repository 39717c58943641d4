"""Two results side by side: what may be compared, what differs, and how sure the difference is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.finished_scores import FinishedScores
from neuroling.core.null_distribution import Correction
from neuroling.core.result import Result
from neuroling.core.times import with_shared_times

FEWEST = 5
"""Participants needed for a sign-flip test; fewer have fewer than 32 flips."""


def difference_of(a: Result, b: Result) -> xr.DataArray:
    r"""Subtract two results position by position, A minus B.

    Parameters
    ----------
    a, b : Result
        Of one metric, with the same axes and labels.

    Returns
    -------
    xarray.DataArray, dims (\*kept,)

    Raises
    ------
    ValueError
        If they cannot be compared; the message says why.
    """
    for aspect, value_of_first, value_of_second in (
        ("metric", a.metric, b.metric),
        ("chance", a.chance, b.chance),
        ("axes", a.score.dims, b.score.dims),
    ):
        if value_of_first != value_of_second:
            raise ValueError(
                f"{aspect}: A has {value_of_first!r} and B {value_of_second!r}; only scores of one kind can be "
                "subtracted."
            )
    if a.provenance.synthetic != b.provenance.synthetic:
        which = "A" if a.provenance.synthetic else "B"
        raise ValueError(
            f"{which} was computed on synthetic data and the other on people's; they have nothing in common."
        )
    scores = with_shared_times({"A": a.score, "B": b.score})
    for dim in map(str, a.score.dims):
        _check_labels(dim, scores["A"], scores["B"])
    return (scores["A"] - scores["B"]).rename("difference")


def _check_labels(dim: str, a: xr.DataArray, b: xr.DataArray) -> None:
    if a.sizes[dim] != b.sizes[dim]:
        raise ValueError(f"{dim}: A has {a.sizes[dim]} entries and B {b.sizes[dim]}; select common labels first.")
    if (dim in a.indexes) != (dim in b.indexes):
        raise ValueError(
            f"{dim}: only {'A' if dim in a.indexes else 'B'} has labels, so it is not known which is which."
        )
    if dim in a.indexes and not a.indexes[dim].equals(b.indexes[dim]):
        alone = [str(label) for label in a.indexes[dim].symmetric_difference(b.indexes[dim])]
        what = f"{len(alone)} stand on one side only, first {alone[:5]}" if alone else "they are in another order"
        raise ValueError(f"{dim}: the labels of A and B differ: {what}.")


def differences(a: Result, b: Result) -> list[str]:
    """Say in what two results differ besides their scores.

    Parameters
    ----------
    a, b : Result
        Any two.

    Returns
    -------
    list of str
        One line each; a single line if there is nothing to tell.
    """
    facts_of_first, facts_of_second = _facts(a), _facts(b)
    lines = []
    for key in sorted(facts_of_first.keys() | facts_of_second.keys()):
        left, right = facts_of_first.get(key, "not there"), facts_of_second.get(key, "not there")
        if left != right:
            lines.append(f"{key}: {_short(left)} | {_short(right)}")
    return lines or ["nothing but the time of the run"]


def _facts(result: Result) -> dict[str, str]:
    record = result.provenance
    facts = {"seed": record.seed, "device": record.device, "null": str(result.data.attrs.get("null_method", "none"))}
    for kind in ("options", "data", "versions"):
        facts |= {f"{kind}.{key}": value for key, value in getattr(record, kind).items()}
    return facts


def _short(value: str, length: int = 60) -> str:
    return value if len(value) <= length else f"{value[: length - 1]}…"


def side_by_side(a: Result, b: Result) -> pd.DataFrame:
    """Lay out both scores and their difference, one row a position.

    Parameters
    ----------
    a, b : Result
        As in :func:`difference_of`.

    Returns
    -------
    pandas.DataFrame
    """
    columns = with_shared_times({"A": a.score, "B": b.score, "difference": difference_of(a, b)})
    if not a.score.dims:
        return pd.DataFrame({name: [float(value)] for name, value in columns.items()})
    return (
        xr.Dataset({name: value.reset_coords(drop=True) for name, value in columns.items()})
        .to_dataframe()
        .reset_index()
    )


def summary(a: Result, b: Result, difference: xr.DataArray) -> str:
    r"""Say what both scored and how far they are apart.

    Parameters
    ----------
    a, b : Result
        As in :func:`difference_of`.
    difference : xarray.DataArray, dims (\*kept,)
        A minus B.

    Returns
    -------
    str
    """
    metric = f"{a.metric} (chance {a.chance:g})"
    if (axis := _apart(a)) is None:
        return f"{metric}: {_in_words(a.score, b.score, difference)}"
    return "\n".join(
        f"{metric}, {label}: {_in_words(*(scores.sel({axis: label}) for scores in (a.score, b.score, difference)))}"
        for label in difference[axis].to_numpy().tolist()
    )


def _in_words(a: xr.DataArray, b: xr.DataArray, difference: xr.DataArray) -> str:
    line = f"A | B = {float(a.mean()):.4f} | {float(b.mean()):.4f}; A - B = {float(difference.mean()):+.4f}"
    if not difference.dims:
        return line
    values = np.asarray(difference)
    values = values[np.isfinite(values)]
    above = int((values > 0).sum())
    return f"{line}, from {values.min():+.4f} to {values.max():+.4f}; A above B at {above} of {difference.size}"


def _apart(result: Result) -> str | None:
    """Name the axis over which a mean would say nothing: models, and coefficients of an estimate."""
    return next(
        (dim for dim in ("model", "feature") if dim in result.score.dims and (dim == "model" or result.is_estimate)),
        None,
    )


def means(result: Result, score: xr.DataArray | None = None) -> float | dict[str, float]:
    """Average scores over locations; of models, and of the coefficients of an estimate, each by itself.

    Parameters
    ----------
    result : Result
        Whose axes these are.
    score : xarray.DataArray, optional
        Scores with these axes; those of the result by default.

    Returns
    -------
    float or dict of str to float
    """
    score = result.score if score is None else score
    axis = _apart(result)
    if axis is None:
        return float(score.mean())
    return {str(label): float(score.sel({axis: label}).mean()) for label in score[axis].to_numpy().tolist()}


def paired_test(a: Result, b: Result, difference: xr.DataArray, n_draws: int = 4999) -> str:
    r"""Test the difference over participants by flipping signs, where that is meaningful.

    Parameters
    ----------
    a, b : Result
        As in :func:`difference_of`.
    difference : xarray.DataArray, dims (\*kept,)
        A minus B.
    n_draws : int
        Sign flips; all of them where there are no more.

    Returns
    -------
    str
        Statistic and two-sided p value, or why there is none.
    """
    if "subject" not in difference.dims:
        return "test: none, because there is no subject axis to test over"
    if difference.sizes["subject"] < FEWEST:
        return f"test: none, because {difference.sizes['subject']} participants are fewer than {FEWEST}"
    if not _recordings(a) or not _recordings(b):
        return "test: none, because it was not recorded whose data these are"
    if _recordings(a) != _recordings(b):
        return "test: none, because the recordings differ, so participants are not paired"
    if not np.isfinite(difference.values).all():
        return "test: none, because some differences are undefined (NaN)"
    return _sign_flip(difference, n_draws)


def _recordings(result: Result) -> dict[str, str]:
    return {key: value for key, value in result.provenance.data.items() if key.rpartition(".")[2] == "recording"}


def _sign_flip(difference: xr.DataArray, n_draws: int) -> str:
    from neuroling.evaluation.inference.participants import SignFlip

    if bool((difference.std("subject") == 0).any()):
        return "test: none, because all participants have the same difference somewhere"
    null = SignFlip("subject", n_draws=n_draws)(FinishedScores(difference, two_sided=True), np.random.default_rng(0))
    t = null.observed
    correction: Correction = "max" if t.dims else "none"
    p = null.p_values(correction)
    how = f"two-sided, {null.n_draws} sign flips over {difference.sizes['subject']} participants"
    if not t.dims:
        return f"test: t = {float(t):.2f}, p = {float(p):.4g} ({how})"
    better, worse = int(((p < 0.05) & (t > 0)).sum()), int(((p < 0.05) & (t < 0)).sum())
    return f"test: A above B at {better}, below at {worse} of {t.size} positions, p < 0.05 family-wise ({how})"
