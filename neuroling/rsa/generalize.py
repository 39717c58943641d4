"""Whether the geometry of one moment comes back at another: time by time, across participants."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.arrays import real_numbers
from neuroling.core.provenance import Provenance, content_hash, current_versions, now
from neuroling.core.result import Result
from neuroling.core.sample_sizes import check_items
from neuroling.numerics.rdm import comparators
from neuroling.numerics.rdm.comparators import Comparator
from neuroling.numerics.rdm.ranks import centred_ranks
from neuroling.rsa.checks import warn_of_undefined
from neuroling.rsa.dissimilarity import check_dissimilarities

Array = NDArray[np.floating[Any]]


def temporal_generalization(dissimilarities: xr.DataArray, comparator: Comparator = comparators.spearman) -> Result:
    """Compare the geometry of each participant at each time with that of the others at every time.

    A participant's own other times would share noise that is correlated in time; the others' do not.

    Parameters
    ----------
    dissimilarities : xarray.DataArray, dims (sample, subject, time)
        Of every pair of items, finite; see :func:`~neuroling.rsa.dissimilarity.rdms`.
    comparator : Comparator
        One whose scores are inner products: all but tau-a.

    Returns
    -------
    Result
        ``score`` (split, subject, time, model), where ``model`` runs over the times of the others.
    """
    check_dissimilarities(dissimilarities)
    check_items("dissimilarities", int((1 + np.sqrt(1 + 8 * dissimilarities.sizes["sample"])) / 2))
    if set(dissimilarities.dims) != {"sample", "subject", "time"}:
        raise ValueError(f"dissimilarities: got axes {dissimilarities.dims}; expected (sample, subject, time).")
    if dissimilarities.sizes["subject"] < 2:
        raise ValueError("dissimilarities: one subject; generalising to others needs at least two.")
    if comparator.embed is None:
        raise ValueError(f"comparator: {comparator.name} is no inner product; take spearman, pearson, rho-a or cosine.")
    values = real_numbers("dissimilarities", dissimilarities.transpose("subject", "time", "sample").values)
    if not np.isfinite(values).all():
        raise ValueError(
            f"dissimilarities: {int((~np.isfinite(values)).sum())} of {values.size} are NaN; exclude those items first."
        )
    ranked = comparator.is_ranked and comparator.from_ranks is not None
    summed = np.stack([centred_ranks(rows)[0] if ranked else comparator.embed(rows) for rows in values])
    total = summed.sum(axis=0, dtype=np.float64)  # (time, value)
    scores = np.empty((len(values), values.shape[1], values.shape[1]))
    for number, rows in enumerate(values):
        sum_of_others = total - summed[number]
        if ranked:
            sum_of_others = comparator.embed(sum_of_others)  # means of ranks, ranked again
        length = np.linalg.norm(sum_of_others, axis=1)
        unit = sum_of_others if ranked else sum_of_others / np.where(length > 0, length, np.nan)[:, None]
        scores[number] = comparator.embed(rows) @ unit.T
    warn_of_undefined(scores)
    times = np.asarray(dissimilarities.time)
    score = xr.DataArray(
        scores,
        dims=("subject", "time", "model"),
        coords={"subject": dissimilarities.subject, "time": times, "model": times},
    )
    provenance = Provenance(
        options={"comparator": comparator.name, "against": "mean of the other participants"},
        data={"dissimilarities": content_hash(dissimilarities)},
        seed="none",
        synthetic=bool(dissimilarities.attrs.get("synthetic", False)),
        versions=current_versions(),
        created=now(),
    )
    return Result.of(score.expand_dims("split"), metric=f"{comparator.name}, time by time", provenance=provenance)
