"""Several models at once: weights learned from other participants and other items, and standardised betas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.arrays import each_near_one, near_one
from neuroling.core.item_pairs import in_condensed_order
from neuroling.core.pair_models import check_models, hash_models, in_order_of
from neuroling.core.provenance import Provenance, content_hash, current_versions, now
from neuroling.core.result import Result
from neuroling.core.sample_sizes import LEAST_ITEMS, check_items
from neuroling.numerics.rdm.comparison import unit_ranks
from neuroling.numerics.rdm.distances import n_items_of, pairs_of
from neuroling.rsa.checks import warn_of_undefined
from neuroling.rsa.dissimilarity import check_dissimilarities
from neuroling.rsa.models import CONDITION_LIMIT, refuse_collinear

Array = NDArray[np.floating[Any]]
Rows = NDArray[np.intp]
ROUNDING = 1e-13
"""Range of measured values, relative to the largest, up to which they are all equal but for rounding."""


def weighted_similarity(
    dissimilarities: xr.DataArray,
    models: xr.DataArray,
    *,
    n_folds: int = 4,
    nonnegative: bool = True,
    ranked: bool = False,
    condition_limit: float = CONDITION_LIMIT,
    rng: int | np.random.Generator = 0,
) -> Result:
    """Predict the dissimilarities of each participant and fold of items from models weighted on all others.

    Parameters
    ----------
    dissimilarities : xarray.DataArray, dims (sample, subject, [time])
        Of every pair of items, finite; at least two participants.
    models : xarray.DataArray, dims (sample, model)
        Standardised before they are weighted.
    n_folds : int
        Folds of items; pairs of a test item with a training item are used on neither side.
    nonnegative : bool
        Weights of at least zero (Lawson and Hanson), or ordinary least squares.
    ranked : bool
        Replace dissimilarities and models by their ranks first.
    condition_limit : float
        Condition number of the models above which ordinary weights are refused.
    rng : int or numpy.random.Generator
        Seed of the folds.

    Returns
    -------
    Result
        ``score`` (split, subject, [time]): Pearson's correlation of predicted and measured test pairs.
    """
    y, x, ordered = _checked(dissimilarities, models, ranked)
    if not nonnegative:
        refuse_collinear(ordered.copy(data=x), condition_limit)
    scores = []
    for train, test in item_folds(y.shape[0], n_folds, np.random.default_rng(rng)):
        weights = _weights(x[train], _others(y[train]), nonnegative)  # (1 + model, subject, time)
        predicted = np.einsum("pm,mst->pst", _with_constant(x[test]), weights)
        scores.append(_correlation(predicted, y[test]))
    kind = "non-negative" if nonnegative else "least-squares"
    return _result(np.stack(scores), dissimilarities, f"pearson, {kind} weights of other people and items", models)


def regression_weights(
    dissimilarities: xr.DataArray,
    models: xr.DataArray,
    *,
    ranked: bool = True,
    condition_limit: float = CONDITION_LIMIT,
) -> Result:
    """Weight all models at once to fit each participant's dissimilarities at each time: standardised betas.

    Nothing is held out, so how well models fit is for :func:`weighted_similarity` to say. Weights differ from zero over
    participants where :meth:`Result.test <neuroling.Result.test>` finds so.

    Parameters
    ----------
    dissimilarities : xarray.DataArray, dims (sample, subject, [time])
        Of every pair of items, finite.
    models : xarray.DataArray, dims (sample, model)
        Of the pairs of the same items.
    ranked : bool
        Replace dissimilarities and models by their ranks first.
    condition_limit : float
        Condition number of the models above which weights are refused.

    Returns
    -------
    Result
        ``score`` (split, subject, [time,] model): standard deviations of the dissimilarities for one of the model.
    """
    y, x, ordered = _checked(dissimilarities, models, ranked, least=1)
    refuse_collinear(ordered.copy(data=x), condition_limit)
    spread = y.std(axis=0)
    varies = spread > ROUNDING * np.abs(y).max(axis=0)
    betas = _weights(x, y / np.where(varies, spread, 1.0), nonnegative=False)[1:]  # (model, subject, time)
    betas = np.where(varies, betas, np.nan)
    names = [str(name) for name in ordered.model.values]
    scores = np.moveaxis(betas, 0, -1)[None]
    return _result(scores, dissimilarities, "standardised beta", models, names)


def ranked_pairs(dissimilarities: xr.DataArray) -> xr.DataArray:
    """Replace dissimilarities by their ranks over pairs, of mean zero and length one.

    Parameters
    ----------
    dissimilarities : xarray.DataArray, dims (sample, …)
        Finite; measured ones or models.

    Returns
    -------
    xarray.DataArray
        With the same axes and labels; the mean of ties where values tie.

    Examples
    --------
    >>> pairs = xr.DataArray([[3.0], [900.0], [4.0]], dims=("sample", "model"))
    >>> ranked_pairs(pairs).values.round(3).ravel().tolist()
    [-0.707, 0.707, 0.0]
    """
    laid = dissimilarities.transpose("sample", ...)
    rows = unit_ranks(laid.to_numpy().reshape(laid.sizes["sample"], -1).T.astype(np.float64))
    return laid.copy(data=rows.T.reshape(laid.shape)).transpose(*dissimilarities.dims)


def item_folds(n_pairs: int, n_folds: int, rng: np.random.Generator) -> Iterator[tuple[Rows, Rows]]:
    """Split items, and with them their pairs; pairs that straddle the two sides are dropped.

    Parameters
    ----------
    n_pairs : int
        All pairs of some items.
    n_folds : int
        At least two, with four items or more in each.
    rng : numpy.random.Generator
        Assigns items to folds.

    Yields
    ------
    train, test : ndarray of int
        Numbers of pairs.
    """
    n_items = n_items_of(n_pairs)
    if n_folds < 2 or n_items // n_folds < LEAST_ITEMS:
        raise ValueError(
            f"n_folds: got {n_folds} for {n_items} items; expected at least 2, with {LEAST_ITEMS} items or more in "
            "each, whose pairs are enough to correlate."
        )
    fold = rng.permutation(np.arange(n_items) % n_folds)
    first, second = pairs_of(n_items)
    for number in range(n_folds):
        held = fold == number
        yield np.flatnonzero(~held[first] & ~held[second]), np.flatnonzero(held[first] & held[second])


def _checked(
    dissimilarities: xr.DataArray, models: xr.DataArray, ranked: bool, least: int = 2
) -> tuple[Array, Array, xr.DataArray]:
    """Give (pair, subject, time), standardised models (pair, model), and the models in the order of the data."""
    check_models(models)
    check_dissimilarities(dissimilarities)
    dissimilarities = in_condensed_order(dissimilarities, "dissimilarities")
    check_items("dissimilarities", n_items_of(dissimilarities.sizes["sample"]))
    present = dissimilarities if "time" in dissimilarities.dims else dissimilarities.expand_dims("time")
    if set(present.dims) != {"sample", "subject", "time"}:
        raise ValueError(f"dissimilarities: got axes {dissimilarities.dims}; expected (sample, subject, [time]).")
    if present.sizes["subject"] < least:
        raise ValueError("dissimilarities: one subject; weights are learned from others, so expected at least two.")
    ordered = in_order_of(models, dissimilarities, "models").transpose("sample", "model")
    y: Array = near_one(present).transpose("sample", "subject", "time").values.astype(np.float64)
    if not np.isfinite(y).all():
        raise ValueError(
            f"dissimilarities: {int((~np.isfinite(y)).sum())} of {y.size} are NaN or infinite; exclude those items "
            "first."
        )
    x: Array = each_near_one(ordered.values.astype(np.float64).T).T
    if ranked:
        y = unit_ranks(y.reshape(len(y), -1).T).T.reshape(y.shape)
        x = unit_ranks(x.T).T
    return y, (x - x.mean(axis=0)) / x.std(axis=0), ordered


def _others(y: Array) -> Array:
    """Give for each participant the mean of all others."""
    n = y.shape[1]
    return np.asarray((y.sum(axis=1, keepdims=True) - y) / (n - 1))


def _with_constant(x: Array) -> Array:
    return np.column_stack([np.ones(len(x)), x])


def _weights(x: Array, y: Array, nonnegative: bool) -> Array:
    """Weight models (pair, model) to fit (pair, subject, time); (1 + model, subject, time), the constant first."""
    flat = y.reshape(len(y), -1)
    if not nonnegative:
        return np.asarray(np.linalg.lstsq(_with_constant(x), flat, rcond=None)[0].reshape(-1, *y.shape[1:]))
    from scipy.optimize import nnls

    centre, level = x.mean(axis=0), flat.mean(axis=0)
    directions, small = np.linalg.qr(x - centre)  # (pair, model), (model, model): the same problem, of few rows
    slopes = np.stack([nnls(small, column)[0] for column in (directions.T @ (flat - level)).T], axis=1)
    return np.concatenate([(level - centre @ slopes)[None], slopes]).reshape(-1, *y.shape[1:])


def _correlation(a: Array, b: Array) -> Array:
    one, other = a - a.mean(axis=0), b - b.mean(axis=0)
    length = np.sqrt((one * one).sum(axis=0) * (other * other).sum(axis=0))
    undefined = np.ptp(b, axis=0) <= ROUNDING * np.abs(b).max(axis=0)  # measured values that are all equal
    # all weights zero predict the same for every pair: no agreement, rather than an undefined one
    scores: Array = np.divide((one * other).sum(axis=0), length, out=np.zeros_like(length), where=length > 1e-300)
    return np.asarray(np.where(undefined, np.nan, scores))


def _result(
    scores: Array, dissimilarities: xr.DataArray, metric: str, models: xr.DataArray, labels: list[str] | None = None
) -> Result:
    warn_of_undefined(scores)
    dims = ("split", "subject", "time", *(("model",) if labels else ()))
    score = xr.DataArray(scores, dims=dims)
    if labels:
        score["model"] = labels
    for axis in ("subject", "time"):
        if axis in dissimilarities.coords:
            score[axis] = dissimilarities.coords[axis].values
    if "time" not in dissimilarities.dims:
        score = score.isel(time=0, drop=True)
    provenance = Provenance(
        options={"weights": metric, "models": ", ".join(str(name) for name in models.model.values)},
        data={"models": hash_models(models), "dissimilarities": content_hash(dissimilarities)},
        synthetic=bool(dissimilarities.attrs.get("synthetic", False)),
        versions=current_versions(),
        created=now(),
    )
    return Result.of(score, metric=metric, provenance=provenance)
