"""Whether the geometry of one moment comes back at another: time by time, across participants."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.provenance import Provenance, content_hash, current_versions, now
from neuroling.core.result import Result
from neuroling.rsa import comparators
from neuroling.rsa.comparators import Comparator

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
    if set(dissimilarities.dims) != {"sample", "subject", "time"}:
        raise ValueError(f"dissimilarities: got axes {dissimilarities.dims}; expected (sample, subject, time).")
    if dissimilarities.sizes["subject"] < 2:
        raise ValueError("dissimilarities: one subject; generalising to others needs at least two.")
    if comparator.embed is None:
        raise ValueError(f"comparator: {comparator.name} is no inner product; take spearman, pearson, rho-a or cosine.")
    values = dissimilarities.transpose("subject", "time", "sample").values
    if not np.isfinite(values).all():
        raise ValueError(f"dissimilarities: {int((~np.isfinite(values)).sum())} are NaN; leave those items out first.")
    vectors = np.stack([comparator.embed(rows) for rows in values])  # (subject, time, value)
    total = vectors.sum(axis=0)
    scores = np.empty((len(vectors), values.shape[1], values.shape[1]))
    for place, own in enumerate(vectors):
        others = total - own
        length = np.linalg.norm(others, axis=1)
        scores[place] = own @ (others / np.where(length > 0, length, np.nan)[:, None]).T
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
