"""Evaluate models: predict held-out samples and score the predictions, with null distributions and ceilings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import xarray as xr

from neuroling.core.align import Aligned, AlignedSource, AlignedSpaces
from neuroling.core.protocols import (
    Ceiling,
    ChecksFeatures,
    Inference,
    NeedsLabels,
    Predictor,
    Splitter,
    TargetSelector,
)
from neuroling.core.provenance import Provenance, content_hash, current_versions, describe_seed, now
from neuroling.core.result import Result
from neuroling.evaluation.held_out_counts import check_held_out
from neuroling.evaluation.leaks import Leak, find_leaks, warn_of
from neuroling.evaluation.metrics import Metric
from neuroling.evaluation.model_family import NAMELESS, FamilyScorer, members_of
from neuroling.evaluation.scoring import Scorer
from neuroling.evaluation.splits import NoSplit, ShufflesTime, checked_splits
from neuroling.evaluation.strategies.streamed_rows import StreamedRows
from neuroling.evaluation.tiles import Tiles, evaluate_tiles


# More than eight parameters: each is one decision of a study that its methods section reports.
def evaluate(
    model: Predictor | Mapping[str, Predictor],
    data: Aligned | AlignedSpaces | AlignedSource,
    *,
    splits: Splitter | None = None,
    metric: Metric,
    select: TargetSelector | None = None,
    ceiling: Ceiling | None = None,
    inference: Inference | None = None,
    allow_leakage: str | None = None,
    tiles: Tiles | None = None,
    rng: int | np.random.Generator = 0,
) -> Result:
    r"""Predict held-out samples, score them, and say what chance and the data themselves would score.

    Parameters
    ----------
    model : Predictor or mapping of str to Predictor
        Anything with scikit-learn's ``fit`` and ``predict``; a mapping holds one for each feature space, or several for
        the same features.
    data : Aligned, AlignedSpaces or AlignedSource
        Features (sample, feature) and recording (sample, [repeat,] \*targets), from ``align``. Several feature spaces
        share splits, selections and draws, and the result has an axis ``model``. A recording on disk is read tile by
        tile.
    splits : splitter
        Which samples are held out: scikit-learn's splitters or this package's. Groups stay whole, and a time axis is
        not shuffled. Models that have nothing to fit need none.
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
    tiles : Tiles, optional
        How a recording on disk is divided along its targets, and where finished tiles are saved. Default: it is read
        as a whole.
    rng : int or numpy.random.Generator
        Seed of everything random here; a whole number where there are tiles, which share it.

    Returns
    -------
    Result
        ``score`` (split, [model,] \*kept), and ceiling and null where asked for; the ceiling, which is the recording's
        own, has no axis ``model``.

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
    >>> spaces = {"all": stimuli.features(x), "first": stimuli.features(x[:, :1])}
    >>> both = evaluate(LinearRegression(), align(spaces, recording), splits=KFold(4), metric=pearson)
    >>> both.score.dims, bool((both.difference("all", "first").score > 0).all())
    (('model', 'voxel'), True)
    """
    if isinstance(data, AlignedSource):
        options = {"splits": splits, "metric": metric, "select": select, "ceiling": ceiling, "inference": inference}
        return evaluate_tiles(evaluate, model, data, tiles or Tiles(), rng, {**options, "allow_leakage": allow_leakage})
    if tiles is not None:
        raise ValueError(
            "tiles: the recording is in memory; expected one on disk, as align(features, open_npy(…)) gives it."
        )
    if not isinstance(data, Aligned | AlignedSpaces):
        raise TypeError(f"data: got {type(data).__name__}; expected align(features, recording).")
    if not isinstance(metric, Metric):
        raise TypeError(f"metric: got {type(metric).__name__}; expected a Metric such as pearson or two_vs_two.")
    seed, (for_ceiling, for_null) = describe_seed(rng), _generator(rng).spawn(2)
    keep_choices = bool(getattr(inference, "keep_choices", False))
    if allow_leakage is not None and not (isinstance(allow_leakage, str) and allow_leakage.strip()):
        raise TypeError(f"allow_leakage: got {allow_leakage!r}; expected the reason, in words, or None.")
    members = {name: _on_rows(*member) for name, member in members_of(model, data).items()}
    splits = _default_splits(members) if splits is None else splits
    scorers = _scorers(members, splits, metric, select, keep_choices)
    scorer = scorers[NAMELESS] if list(scorers) == [NAMELESS] else FamilyScorer(scorers)
    check_held_out(metric, scorer.data, scorer.splits)
    leaks = _leaks(scorers, splits)
    warn_of(leaks, allow_leakage)
    bounds = None if ceiling is None else ceiling(scorer, for_ceiling)  # first, for it may make the scores on its way
    scores = scorer.scores
    return Result.of(
        scores,
        metric=metric.name,
        chance=metric.chance,
        larger_is_better=metric.larger_is_better,
        ceiling=bounds,
        null=None if inference is None else inference(scorer, for_null),
        provenance=_provenance(scorers, splits, ceiling, inference, seed, scorer.notes),
        leaks=tuple(f"{leak.code}: {leak.message}" for leak in leaks),
        leakage_allowed=allow_leakage,
        scoring=scorer.forgetful(),
    )


def _on_rows(model: Predictor, data: Aligned) -> tuple[Predictor, Aligned]:
    """Give a model that reads labels of samples the numbers of rows as its feature; others stay as they are."""
    if isinstance(model, type) or not isinstance(model, NeedsLabels):
        return model, data
    rows = xr.DataArray(
        np.arange(data.n_samples, dtype=np.float64)[:, None],
        dims=("sample", "feature"),
        coords={"sample": data.x["sample"], "feature": ["row"]},
    )
    return model.on_rows(data), data.with_features(rows)


def _source(scorer: Scorer) -> Aligned:
    """Give the data with the features that were given, where a model reads rows of them."""
    source = getattr(scorer.model, "source", None)
    return source if isinstance(source, Aligned) else scorer.data


def _scorers(
    members: Mapping[str, tuple[Predictor, Aligned]],
    splits: Splitter,
    metric: Metric,
    select: TargetSelector | None,
    keep_choices: bool,
) -> dict[str, Scorer]:
    """Make a scorer for every model; what the recording says is computed once."""
    for model, data in members.values():
        if isinstance(model, ChecksFeatures) and not isinstance(model, type):
            model.check_features(data.x)
    model, data = next(iter(members.values()))
    spaces = AlignedSpaces({name: space for name, (_, space) in members.items()})
    first = Scorer(model, data, checked_splits(splits, spaces), metric, select, keep_choices)
    scorers = {name: first.for_model(model, data) for name, (model, data) in members.items()}
    if data.stream is None or all(StreamedRows.applies_to(scorer.task) for scorer in scorers.values()):
        return scorers
    loaded = spaces.loaded()
    first = replace(first, data=loaded.first)
    return {name: first.for_model(model, loaded[name]) for name, (model, _) in members.items()}


def _default_splits(members: Mapping[str, tuple[Predictor, Aligned]]) -> Splitter:
    """Hold out nothing from models that have nothing to fit; refuse others."""
    fitted = [type(model).__name__ for model, _ in members.values() if not getattr(model, "is_fixed", False)]
    if fitted:
        raise TypeError(
            f"splits: none given, but {fitted[0]} has something to fit; expected a splitter such as KFold(5), or "
            "ContiguousFolds for a time axis."
        )
    return NoSplit()


def _leaks(scorers: Mapping[str, Scorer], splits: Splitter) -> list[Leak]:
    """Look for leaks in every feature space; what all of them show is said once."""
    found: dict[Leak, list[str]] = {}
    for name, scorer in scorers.items():
        for leak in find_leaks(_source(scorer), scorer.splits, scorer.model, splits):
            found.setdefault(leak, []).append(name)
    return [
        leak if len(names) == len(scorers) else replace(leak, message=f"{', '.join(names)}: {leak.message}")
        for leak, names in found.items()
    ]


def _generator(rng: int | np.random.Generator) -> np.random.Generator:
    if (
        isinstance(rng, bool)
        or not isinstance(rng, int | np.integer | np.random.Generator)
        or (not isinstance(rng, np.random.Generator) and rng < 0)
    ):
        raise TypeError(f"rng: got {rng!r}; expected a whole number of at least 0 or a numpy.random.Generator.")
    return np.random.default_rng(rng)


def _provenance(
    scorers: Mapping[str, Scorer],
    splits: Splitter,
    ceiling: Ceiling | None,
    inference: Inference | None,
    seed: str,
    notes: tuple[str, ...],
) -> Provenance:
    first = next(iter(scorers.values()))
    parts = {
        **{f"{name}.model" if len(scorers) > 1 else "model": scorer.model for name, scorer in scorers.items()},
        "splits": splits,
        "select": first.select,
        "ceiling": ceiling,
        "inference": inference,
    }
    if len({id(scorer.model) for scorer in scorers.values()}) == 1:
        parts = {"model": first.model, **{key: part for key, part in parts.items() if not key.endswith("model")}}
    options = {name: " ".join(repr(part).split()) for name, part in parts.items() if part is not None}
    if isinstance(splits, ShufflesTime):
        notes = (f"time axis shuffled on request: {splits.because}", *notes)
    stream = first.data.stream
    data = {"recording": content_hash(first.data.y) if stream is None else stream.digest()}
    if stream is not None:
        options, notes = options | stream.options, (*stream.notes, *notes)
    data |= {f"recording.{key}": str(value) for key, value in first.data.y.attrs.items()}
    if first.metric.controls is not None:
        data["controls"] = first.metric.controls.digest
    for name, scorer in scorers.items():
        prefix = f"{name}.features" if name else "features"
        data[prefix] = content_hash(_without_pairs(_source(scorer)))
        data |= {f"{prefix}.{key}": str(value) for key, value in _source(scorer).x.attrs.items()}
    arrays = [first.data.y, *(_source(scorer).x for scorer in scorers.values())]
    return Provenance(
        options={**options, "metric": first.metric.name, "n_splits": str(len(first.splits))},
        data=data,
        seed=seed,
        device=str(getattr(first.model, "device", "cpu")),
        synthetic=any(bool(array.attrs.get("synthetic", False)) for array in arrays),
        versions=current_versions(),
        created=now(),
        notes=notes,
    )


def _without_pairs(data: Aligned) -> xr.DataArray:
    """Give features without the labels of pairs, which are those of the recording and may be half a million."""
    return data.x if data.unit != "item" else data.x.reset_coords(drop=True).drop_vars("sample", errors="ignore")
