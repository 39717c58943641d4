"""The same evaluation for many participants, models or layers, on as many workers as the user has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import joblib

from neuroling.core.align import Aligned
from neuroling.core.protocols import Predictor
from neuroling.core.result import Result
from neuroling.core.units import stamp
from neuroling.evaluation.evaluate import evaluate
from neuroling.evaluation.joining import combine


def evaluate_each(
    model: Predictor,
    data: Mapping[str, Aligned],
    *,
    dim: str,
    seed: int = 0,
    n_jobs: int | None = None,
    **options: Any,
) -> Result:
    r"""Evaluate each of several pairs of features and recording, and join the results along a new axis.

    Work is handed to ``joblib.Parallel`` without naming a backend: one after another by default, and on a user's own
    workers, such as a dask cluster, inside ``joblib.parallel_config``. Every entry draws from the same seed, so the
    numbers do not depend on who does the work, and draws of a null are those of the same relabelings for all entries
    that have the same samples: participants who heard the same stimuli share part of their noise, and only draws that
    share their relabelings may be averaged over them (``result.null.mean("subject")``).

    Parameters
    ----------
    model : Predictor
        Anything with ``fit`` and ``predict``.
    data : mapping of str to Aligned
        Label along the new axis, and what is evaluated there.
    dim : str
        Name of the new axis: ``"subject"``, ``"layer"`` or ``"model"``.
    seed : int
        Seed of the study.
    n_jobs : int, optional
        Workers; left to joblib by default.
    **options
        As in :func:`~neuroling.evaluation.evaluate.evaluate`: ``splits``, ``metric``, ``ceiling``, ``inference``.

    Returns
    -------
    Result
        With the new axis.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn.model_selection import KFold
    >>> from neuroling import Stimuli, align, pearson
    >>> stimuli = Stimuli.from_texts([f"word {i}" for i in range(40)])
    >>> x = stimuli.features(np.random.default_rng(0).standard_normal((40, 3)))
    >>> people = {name: align(x, x.rename(feature="voxel") * scale) for name, scale in {"P1": 1.0, "P2": 2.0}.items()}
    >>> evaluate_each(LinearRegression(), people, dim="subject", splits=KFold(4), metric=pearson).score.sizes["subject"]
    2
    """
    if "rng" in options:
        raise ValueError("rng: every entry draws from the same seed; give seed=… instead.")
    unit = joblib.delayed(_unit)
    results = joblib.Parallel(n_jobs=n_jobs)(
        unit(model, aligned, dim, label, seed, options) for label, aligned in data.items()
    )
    return combine(dict(zip(data, results, strict=True)), dim=dim)


def _unit(model: Predictor, data: Aligned, dim: str, label: str, seed: int, options: dict[str, Any]) -> Result:
    labels = {dim: label}
    return stamp(evaluate(model, data, rng=seed, **options), labels, {"seed": str(seed)})
