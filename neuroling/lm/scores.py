"""How well a fine-tuned model does, by scikit-learn and scipy."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef


def score_classes(truth: NDArray[np.int64], said: NDArray[np.int64], n_classes: int) -> dict[str, float]:
    """Score classes.

    Parameters
    ----------
    truth, said : numpy.ndarray, (item,)
        Numbers of classes; -1 in ``said`` is an answer that was not given, and wrong.
    n_classes : int
        How many there are.

    Returns
    -------
    dict of float
        ``accuracy``, ``f1`` (of class 1 where there are two, else the mean over classes that occur) and ``matthews``.

    Examples
    --------
    >>> score_classes(np.array([0, 1, 1, 0]), np.array([0, 1, 1, 1]), 2)["accuracy"]
    0.75
    """
    if n_classes == 2 and set(np.unique(said)) <= {0, 1}:
        f1 = f1_score(truth, said, zero_division=0.0)
    else:
        f1 = f1_score(truth, said, labels=np.unique(truth), average="macro", zero_division=0.0)
    return {
        "accuracy": float(accuracy_score(truth, said)),
        "f1": float(f1),
        "matthews": float(matthews_corrcoef(truth, said)),
    }


def score_ratings(truth: NDArray[np.float64], said: NDArray[np.float64]) -> dict[str, float]:
    """Correlate ratings.

    Parameters
    ----------
    truth, said : numpy.ndarray, (item,)
        Ratings.

    Returns
    -------
    dict of float
        ``pearson`` and ``spearman``.

    Raises
    ------
    ValueError
        If one of the two is the same everywhere, so that no correlation is defined.
    """
    for name, values in (("truth", truth), ("said", said)):
        if len(values) < 2 or np.ptp(values) == 0:
            raise ValueError(f"{name}: all {len(values)} ratings are alike; a correlation needs two different ones.")
    return {"pearson": float(pearsonr(truth, said).statistic), "spearman": float(spearmanr(truth, said).statistic)}


def score_answers(truth: Sequence[Sequence[str]], said: Sequence[str]) -> dict[str, float]:
    """Score answers as SQuAD does: the best of the right ones, articles, case and punctuation set aside.

    Parameters
    ----------
    truth : sequence of sequence of str
        Right answers of every question.
    said : sequence of str
        What was said.

    Returns
    -------
    dict of float
        ``exact`` and ``f1`` over shared words.

    Examples
    --------
    >>> score_answers([["the red house"]], ["red house"])
    {'exact': 1.0, 'f1': 1.0}
    """
    pairs = list(zip(truth, said, strict=True))
    exact = [max(_plain(one) == _plain(given) for one in right) for right, given in pairs]
    shared = [max(_shared(_plain(one), _plain(given)) for one in right) for right, given in pairs]
    return {"exact": float(np.mean(exact)), "f1": float(np.mean(shared))}


def _plain(text: str) -> str:
    bare = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def _shared(right: str, given: str) -> float:
    a, b = Counter(right.split()), Counter(given.split())
    same: Any = (a & b).total()
    return float(2 * same / (a.total() + b.total())) if a or b else 1.0
