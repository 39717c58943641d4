"""Warnings with a code: what a program can look for, and a person can silence one by one."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CODES: dict[str, str] = {
    "alpha-at-edge": "held-out scores still rise at the smallest or largest regularization strength tried",
    "ceiling-undefined": "a ceiling is undefined at some locations, which its means exclude",
    "collinear-features": "features so alike that single coefficients mean little",
    "constant-features": "features that are constant over the training samples; their weights are zero",
    "constant-targets": "targets that are constant over the training samples; they are predicted by their constant",
    "events-before-start": "words that begin before time zero",
    "events-out-of-order": "words out of the order of time, which were sorted",
    "events-outside-run": "words that reach no volume of their run",
    "events-simultaneous": "words that begin at the same time, whose features add up",
    "exchanged-in-time": "a test that exchanges single samples although they resemble the samples before them",
    "features-shrunk": "features so small beside all regularization strengths that predictions are the mean",
    "features-unshrunk": "features so large beside all regularization strengths that nothing is regularized",
    "few-items": "a comparison of dissimilarities that rests on very few items",
    "few-participants": "a test that misses effects since it resamples few participants",
    "few-samples": "a score that rests on very few held-out samples",
    "gap-capped": "a gap between folds that is shorter than the autocorrelation of the recording reaches",
    "half-precision": "values in float16, which were rounded to three digits before they came",
    "few-stretches": "a null of a time series whose runs hold few independent stretches",
    "items-fixed": "a test over participants who share their items, which says nothing about other items",
    "missing-pairs": "dissimilarities that are missing (NaN) and are excluded pair by pair",
    "pairs-share-items": "standard errors over pairs of items, which are too small since pairs share items",
    "position-ambiguous": "images whose header does not say, or says twice, where the voxels lie",
    "resampled-atlas": "an atlas that was resampled to the grid of the images",
    "rows-without-word": "rows of a table of words that hold no word, which were left out",
    "run-shorter-than-response": "a run that is shorter than the haemodynamic response",
    "skewed-scores": "scores of participants that are skewed, for a test that takes them for symmetric",
    "shared-run-course": "features and recording that follow one slow course in every run, which shifts take apart",
    "undefined-scores": "scores that are undefined (NaN) because truth or prediction is constant",
    "unnamed-features": "features that were named at fit and are not now, or the other way round",
    "unusable-targets": "targets with NaN or infinity, excluded on request",
}
"""Every code, and what it says."""

PACKAGE = f"{Path(__file__).parent.parent}{os.sep}"


class CodedWarning(UserWarning):
    """A warning with a code, so that it can be looked for, or silenced, without reading its sentence.

    Parameters
    ----------
    message : str
        What was found, and what is done about it.
    code : str
        One of :data:`CODES`.
    argument : str
        The argument that it is about.

    Attributes
    ----------
    code, argument : str
        As given.

    Examples
    --------
    >>> warning = CodedWarning("y: 2 of 9 targets are constant.", "constant-targets", "y")
    >>> str(warning), warning.code
    ('y: 2 of 9 targets are constant. [constant-targets]', 'constant-targets')
    """

    def __init__(self, message: str, code: str, argument: str) -> None:
        super().__init__(message, code, argument)
        self.code = code
        self.argument = argument

    def __str__(self) -> str:
        return f"{self.args[0]} [{self.code}]"


def warn(code: str, argument: str, message: str) -> None:
    """Warn with a code, at the line that called this package.

    Parameters
    ----------
    code : str
        One of :data:`CODES`.
    argument : str
        The argument that it is about; the message begins with it.
    message : str
        What was found and what is done about it.

    Raises
    ------
    ValueError
        If the code is none of :data:`CODES`.
    """
    if code not in CODES:
        raise ValueError(f"code: got {code!r}; expected one of {', '.join(CODES)}.")
    warnings.warn(CodedWarning(f"{argument}: {message}", code, argument), stacklevel=_levels_to_caller())


@contextmanager
def without(*codes: str) -> Iterator[None]:
    """Hold back warnings of some codes, for what has been said already.

    Parameters
    ----------
    *codes : str
        Of :data:`CODES`.

    Examples
    --------
    >>> with without("few-items"):
    ...     warn("few-items", "models", "4 items.")
    """
    with warnings.catch_warnings():
        for code in codes:
            warnings.filterwarnings("ignore", rf".*\[{code}\]$", CodedWarning)
        yield


def _levels_to_caller() -> int:
    """Count the frames of this package above :func:`warn`, so that a warning belongs to the line that called it."""
    frame, levels = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame, levels = frame.f_back, levels + 1
    return levels
