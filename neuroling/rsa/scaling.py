"""Ranks of dissimilarities, and the mean ranks of all other participants."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.stats import rankdata

from neuroling.core.sample_sizes import check_items
from neuroling.numerics.rdm.comparison import unit_ranks
from neuroling.numerics.rdm.distances import n_items_of
from neuroling.rsa.dissimilarity import check_dissimilarities


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


def rdms_of_others(dissimilarities: xr.DataArray) -> xr.DataArray:
    """Average the ranks of all other participants' dissimilarities at each time: one model per participant and time.

    They answer whether the geometry of one time comes back at another (King and Dehaene 2014), across participants: a
    participant's own other times would share noise that is correlated in time.

    Parameters
    ----------
    dissimilarities : xarray.DataArray, dims (sample, subject, time)
        Of every pair of items, finite; see :func:`~neuroling.rsa.dissimilarity.rdms`.

    Returns
    -------
    xarray.DataArray, dims (subject, sample, model)
        ``model`` is the time of the others in seconds, as text.

    Raises
    ------
    ValueError
        If axes are others, there is one participant, or values are missing.

    Examples
    --------
    >>> from neuroling import combine, evaluate, pairwise, spearman
    >>> from neuroling.rsa import FixedRDM, rdms
    >>> coords = {"sample": list("abcdef"), "subject": ["s1", "s2", "s3"], "time": [0.1, 0.2]}
    >>> patterns = np.random.default_rng(0).standard_normal((6, 3, 8, 2))
    >>> recording = xr.DataArray(patterns, dims=("sample", "subject", "channel", "time"), coords=coords)
    >>> distances = rdms(recording, "correlation")
    >>> others = rdms_of_others(distances)
    >>> by_participant = {
    ...     name: evaluate(
    ...         FixedRDM(), pairwise(others.sel(subject=name), distances.sel(subject=name)), metric=spearman
    ...     )
    ...     for name in coords["subject"]
    ... }
    >>> combine(by_participant, dim="subject").score.dims
    ('subject', 'model', 'time')
    """
    check_dissimilarities(dissimilarities)
    check_items("dissimilarities", n_items_of(dissimilarities.sizes["sample"]))
    if set(dissimilarities.dims) != {"sample", "subject", "time"}:
        raise ValueError(f"dissimilarities: got axes {dissimilarities.dims}; expected (sample, subject, time).")
    n_participants = dissimilarities.sizes["subject"]
    if n_participants < 2:
        raise ValueError("dissimilarities: one subject; others are needed, so expected at least two.")
    n_missing = int((~np.isfinite(dissimilarities.to_numpy())).sum())
    if n_missing:
        raise ValueError(f"dissimilarities: {n_missing} of {dissimilarities.size} are NaN; exclude those items first.")
    along_pairs = dissimilarities.transpose("subject", "time", "sample")
    ranks = along_pairs.copy(data=rankdata(along_pairs.to_numpy(), axis=-1))  # halves, so that ties stay exact
    others = (ranks.sum("subject") - ranks) / (n_participants - 1)
    names = [f"{time:g}" for time in others["time"].to_numpy()]
    return others.rename(time="model").assign_coords(model=names).transpose("subject", "sample", "model")
