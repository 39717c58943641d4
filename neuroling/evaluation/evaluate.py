"""The one evaluation call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neuroling.core.align import Aligned
from neuroling.core.protocols import Ceiling, ChecksFeatures, Inference, Predictor, Splitter, TargetSelector
from neuroling.core.provenance import Provenance, content_hash, current_versions, describe_seed, now
from neuroling.core.result import Result
from neuroling.evaluation.held_out_counts import check_held_out
from neuroling.evaluation.leaks import find_leaks, warn_of
from neuroling.evaluation.metrics import Metric
from neuroling.evaluation.scoring import Scorer
from neuroling.evaluation.splits import ShufflesTime, checked_splits


def evaluate(
    model: Predictor,
    data: Aligned,
    *,
    splits: Splitter,
    metric: Metric,
    select: TargetSelector | None = None,
    ceiling: Ceiling | None = None,
    inference: Inference | None = None,
    allow_leakage: str | None = None,
    rng: int | np.random.Generator = 0,
) -> Result:
    r"""Predict held-out samples, score them, and say what chance and the data themselves would score.

    Parameters
    ----------
    model : Predictor
        Anything with scikit-learn's ``fit`` and ``predict``.
    data : Aligned
        Features (sample, feature) and recording (sample, [repeat,] \*targets), from ``align``.
    splits : splitter
        Which samples are held out: scikit-learn's splitters or this package's. Groups stay whole, and a time axis is
        not shuffled.
    metric : Metric
        What to compute; it names the axes that it consumes, and all others survive.
    select : callable, optional
        Chooses targets in each training set; sees (repeat, training sample, target) and returns a mask.
    ceiling : Ceiling, optional
        How well the recording predicts itself, on the same splits.
    inference : Inference, optional
        How to draw the null.
    allow_leakage : str, optional
        Why test samples may resemble training samples: silences the warnings of
        :func:`~neuroling.evaluation.leaks.find_leaks`, and stands in the result beside them.
    rng : int or numpy.random.Generator
        Seed of everything random here.

    Returns
    -------
    Result
        ``score`` (split, \*kept), and ceiling and null where asked for.

    Raises
    ------
    TypeError, ValueError
        If the parts do not fit together; the message says which and what to do.

    Warns
    -----
    LeakageWarning
        If the data show that test samples may already have been seen in training; the result lists it.

    Examples
    --------
    >>> import xarray as xr
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn.model_selection import KFold
    >>> from neuroling import Stimuli, align, evaluate, pearson
    >>> stimuli = Stimuli.from_texts([f"word {i}" for i in range(40)])
    >>> x = np.random.default_rng(0).standard_normal((40, 3))
    >>> recording = stimuli.features(x @ np.ones((3, 2))).rename(feature="voxel")
    >>> result = evaluate(LinearRegression(), align(stimuli.features(x), recording), splits=KFold(4), metric=pearson)
    >>> result.score.values.round(3).tolist()
    [1.0, 1.0]
    """
    if not isinstance(data, Aligned):
        raise TypeError(f"data: got {type(data).__name__}; expected align(features, recording).")
    if not isinstance(metric, Metric):
        raise TypeError(f"metric: got {type(metric).__name__}; expected a Metric such as pearson or two_vs_two.")
    if isinstance(model, ChecksFeatures) and not isinstance(model, type):
        model.check_features(data.x)
    seed, (for_ceiling, for_null) = describe_seed(rng), _generator(rng).spawn(2)
    keep_choices = bool(getattr(inference, "keep_choices", False))
    if allow_leakage is not None and not (isinstance(allow_leakage, str) and allow_leakage.strip()):
        raise TypeError(f"allow_leakage: got {allow_leakage!r}; expected the reason, in words, or None.")
    scorer = Scorer(model, data, checked_splits(splits, data), metric, select, keep_choices)
    check_held_out(metric, data, scorer.splits)
    leaks = find_leaks(data, scorer.splits, model, splits)
    warn_of(leaks, allow_leakage)
    score = scorer.scores
    return Result.of(
        score,
        metric=metric.name,
        chance=metric.chance,
        larger_is_better=metric.larger_is_better,
        ceiling=None if ceiling is None else ceiling(scorer, for_ceiling),
        null=None if inference is None else inference(scorer, for_null),
        provenance=_provenance(scorer, splits, ceiling, inference, seed),
        leaks=tuple(f"{leak.code}: {leak.message}" for leak in leaks),
        leakage_allowed=allow_leakage,
        scoring=replace(scorer, keep_choices=False),  # a copy that has computed nothing and holds the data alone
    )


def _generator(rng: int | np.random.Generator) -> np.random.Generator:
    if (
        isinstance(rng, bool)
        or not isinstance(rng, int | np.integer | np.random.Generator)
        or (not isinstance(rng, np.random.Generator) and rng < 0)
    ):
        raise TypeError(f"rng: got {rng!r}; expected a whole number of at least 0 or a numpy.random.Generator.")
    return np.random.default_rng(rng)


def _provenance(
    scorer: Scorer,
    splits: Splitter,
    ceiling: Ceiling | None,
    inference: Inference | None,
    seed: str,
) -> Provenance:
    data = scorer.data
    parts = {
        "model": scorer.model,
        "splits": splits,
        "select": scorer.select,
        "ceiling": ceiling,
        "inference": inference,
    }
    options = {name: " ".join(repr(part).split()) for name, part in parts.items() if part is not None}
    notes = (f"time axis shuffled on request: {splits.because}",) if isinstance(splits, ShufflesTime) else ()
    attrs = {f"features.{key}": str(value) for key, value in data.x.attrs.items()}
    attrs |= {f"recording.{key}": str(value) for key, value in data.y.attrs.items()}
    return Provenance(
        options={**options, "metric": scorer.metric.name, "n_splits": str(len(scorer.splits))},
        data={"features": content_hash(data.x), "recording": content_hash(data.y), **attrs},
        seed=seed,
        device=str(getattr(scorer.model, "device", "cpu")),
        synthetic=bool(data.x.attrs.get("synthetic", False) or data.y.attrs.get("synthetic", False)),
        versions=current_versions(),
        created=now(),
        notes=notes,
    )
