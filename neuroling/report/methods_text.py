"""Methods text of a result, from its record: sentences that can be pasted into a paper."""

from __future__ import annotations

import re

from neuroling.core.result import Result

MODELS = {
    "RidgeCV": "ridge regression, the regularization strength of each target chosen by cross-validation inside the "
    "training set",
    "Ridge": "ridge regression of a fixed regularization strength",
    "LeaveOneOutRidgeCV": "ridge regression, its regularization strength chosen by leave-one-out errors inside the "
    "training set",
    "BandedRidgeCV": "banded ridge regression, a regularization strength for each feature space chosen inside the "
    "training set",
    "KernelRidgeCV": "kernel ridge regression, its regularization strength chosen inside the training set",
    "TRF": "a temporal response function (time-lagged ridge regression)",
    "FixedRDM": "a fixed model of dissimilarities without free parameters",
    "MixedModel": "a linear mixed model",
}
"""Estimators in words, by the name of their class."""

SPLITS = {
    "ContiguousFolds": "contiguous stretches of time",
    "LeaveOneGroupOut": "whole runs, one at a time",
    "LeavePOut": "every set of so many items",
    "KFold": "folds of samples",
    "GroupKFold": "folds of whole groups",
    "ByItem": "folds of items, all pairs of held-out items with others left out",
    "NoSplit": "nothing, since nothing is fitted",
}
"""Splitters in words: what is held out."""

NULLS = {
    "CircularShift": "circular shifts of the recording within runs",
    "BlockPermutation": "permutations of blocks of the recording within runs",
    "Permutation": "permutations of the recording's samples, everything fitted anew",
    "HeldOutPermutation": "permutations of held-out samples",
    "SignFlip": "sign flips over participants",
}
"""Null distributions in words."""

CEILINGS = {
    "LeaveOneOutCeiling": "each participant predicted by the mean of the others (lower bound) and of all (upper bound)",
    "ExplainableVarianceCeiling": "the explainable variance of repeated presentations",
    "SplitHalfCeiling": "split halves of repeated presentations, lengthened by the formula of Spearman and Brown",
}
"""Ceilings in words."""

NO_CEILING = (
    "No noise ceiling can be estimated: no stimulus was presented twice, and there is one participant (or the ceiling "
    "was not asked for). Scores are reported as they are, beside the strongest control."
)


def methods_text(result: Result) -> str:
    """Describe how a result was computed.

    Parameters
    ----------
    result : Result
        With its record.

    Returns
    -------
    str
        Paragraphs, parted by blank lines. Every number in it stands in the record.

    Examples
    --------
    >>> import xarray as xr
    >>> from neuroling.core.provenance import Provenance
    >>> record = Provenance(options={"model": "Ridge(1.0)"})
    >>> result = Result.of(xr.DataArray([0.1], dims="split"), metric="pearson", provenance=record)
    >>> methods_text(result)
    'Recordings were predicted by ridge regression of a fixed regularization strength.'
    """
    options, record = result.provenance.options, result.provenance
    sentences = []
    models = sorted({text for name, text in options.items() if name == "model" or name.endswith(".model")})
    if models:
        sentences.append(f"Recordings were predicted by {' and by '.join(_in_words(text, MODELS) for text in models)}.")
    if "splits" in options:
        sentences.append(
            f"Held out were {_in_words(options['splits'], SPLITS)} ({options.get('n_splits', '?')} splits; "
            f"{options['splits']}), and predictions were scored by {result.metric} (chance {result.chance:g})."
        )
    if "inference" in options and "null_observed" in result.data:
        null = result.null
        sides = {"greater": "one-sided, larger", "less": "one-sided, smaller"}.get(null.alternative, "two-sided")
        sentences.append(
            f"The null distribution was drawn from {_in_words(options['inference'], NULLS)} ({null.n_draws} draws); p "
            f"values are {sides}."
        )
    if "ceiling" in options:
        sentences.append(f"The noise ceiling is {_in_words(options['ceiling'], CEILINGS)}.")
    paragraphs = [" ".join(sentences), _features(result), _recording(result)]
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items() if name != "platform")
    if versions:
        paragraphs.append(f"Software: {versions}. Random seed: {record.seed or 'none'}.")
    return "\n\n".join(text for text in paragraphs if text)


def _in_words(text: str, known: dict[str, str]) -> str:
    name = re.split(r"[(\s]", text, maxsplit=1)[0]
    return known.get(name, text)


def _features(result: Result) -> str:
    """Say how each feature space was made, as far as its attributes tell."""
    reported_keys = (
        "step",
        "model",
        "encoder",
        "layer",
        "window",
        "stride",
        "hrf",
        "delays",
        "volumes_by",
        "high_pass_s",
    )
    values_of_key: dict[str, list[str]] = {}
    for key, value in result.provenance.data.items():
        space, dot, attribute = key.rpartition(".features.")
        if not dot:
            is_only = key.startswith("features.")
            space, dot, attribute = ("", ".", key.removeprefix("features.")) if is_only else ("", "", "")
        if dot and attribute in reported_keys:
            values_of_key.setdefault(space, []).append(f"{attribute.replace('_', ' ')} {value}")
    lines = [f"{space or 'features'} ({', '.join(parts)})" for space, parts in values_of_key.items()]
    return f"Feature spaces: {'; '.join(lines)}." if lines else ""


def _recording(result: Result) -> str:
    data = {
        key.removeprefix("recording."): value
        for key, value in result.provenance.data.items()
        if key.startswith("recording.")
    }
    sentences = []
    if "tr_s" in data:
        sentences.append(f"The repetition time was {data['tr_s']} s.")
    if "high_pass_s" in data:
        sentences.append(
            f"Periods longer than {data['high_pass_s']} s, confounds ({data.get('confounds', 'none')}) and censored "
            f"volumes ({data.get('n_censored', '0')}) were regressed out of recording and features, "
            f"{data['cleaned_in']}, so "
            "that nothing passed from held-out volumes to training volumes."
        )
    if "single_trials" in data:
        sentences.append(f"Single-trial estimates: {data['single_trials']}.")
    return " ".join(sentences)
