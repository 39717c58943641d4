"""Tests over items: whether what models gain generalises to other items, sentences or participants."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from neuroling.core.finished_scores import FinishedScores
from neuroling.core.notices import CodedWarning
from neuroling.core.null_distribution import NullDistribution
from neuroling.core.protocols import ScoresSamples, Scoring
from neuroling.evaluation.inference.participants import SignFlip


@dataclass(frozen=True)
class ItemSignFlip:
    """Test the mean score of items against zero by flipping signs: for gains in held-out log-likelihood.

    Held-out log-likelihoods are averaged over the samples of each item, and the signs of the items' differences are
    flipped; the statistic is t over items. For a gain, ask ``result.difference(model, baseline)`` and hold whole items
    out, so that their gains come from data that the models have not seen. A predictor that says nothing has a gain
    slightly below zero, since fitting it costs, so the one-sided test errs on the safe side: once in 400 simulated
    studies without an effect (4 readers, 20 items, 5 folds by item), whose gains are skewed.

    Parameters
    ----------
    coordinate : str
        Coordinate of the samples that names the unit: ``"item"``, ``"sentence"``, also ``"participant"``.
    n_draws : int
        Number of sign flips; all of them where there are no more.
    two_sided : bool
        Whether losses count as well. By default gains alone.
    keep_draws : bool
        Keep t of every draw.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.model_selection import GroupKFold
    >>> from neuroling import MixedModel, align_table, evaluate
    >>> from neuroling.evaluation import log_likelihood
    >>> rng = np.random.default_rng(0)
    >>> reader, item = np.divmod(np.arange(240), 24)
    >>> x, z = rng.standard_normal((2, 24))[:, item]
    >>> table = pd.DataFrame({"surprisal": x, "length": z, "reader": reader, "item": item})
    >>> data = align_table(table.assign(rt=x + rng.standard_normal(240)), "rt", ["surprisal", "length"], group="item")
    >>> random = {"reader": ["1"], "item": ["1"]}
    >>> models = {"full": MixedModel(["surprisal", "length"], random), "base": MixedModel(["length"], random)}
    >>> result = evaluate(models, data, splits=GroupKFold(4), metric=log_likelihood)
    >>> gain = result.difference("full", "base").test(ItemSignFlip("item"))
    >>> bool(gain.score > 0), bool(gain.p_values() < 0.01)
    (True, True)
    """

    coordinate: str = "item"
    n_draws: int = 1000
    two_sided: bool = False
    keep_draws: bool = False

    def __call__(self, scoring: Scoring, rng: np.random.Generator) -> NullDistribution:
        """Draw the null.

        Parameters
        ----------
        scoring : Scoring
            A difference of models that were evaluated by log-likelihood.
        rng : numpy.random.Generator
            Source of the flips.

        Returns
        -------
        NullDistribution
            Of t over items.
        """
        if isinstance(scoring, FinishedScores) or not isinstance(scoring, ScoresSamples):
            raise ValueError(  # noqa: TRY004 - of what a result holds
                "inference: ItemSignFlip needs a score for every sample, but this result holds finished scores (it was "
                "loaded, combined or computed from others). Test the result of evaluate, in memory."
            )
        if np.isnan(scoring.chance):
            raise ValueError(
                "inference: a log-likelihood has no chance level to be tested against; test the gain over a baseline, "
                "result.difference(model, baseline).test(ItemSignFlip(…))."
            )
        samples = scoring.sample_scores()
        along = [str(name) for name, coord in samples.coords.items() if coord.dims == ("sample",)]
        if self.coordinate not in along:
            raise ValueError(f"coordinate: got {self.coordinate!r}; the samples carry {along}.")
        of_items = samples.dropna("sample", how="all").groupby(self.coordinate).mean("sample")
        finished = FinishedScores(of_items, scoring.chance, scoring.larger_is_better, two_sided=self.two_sided)
        flips = SignFlip(self.coordinate, self.n_draws, self.two_sided, keep_draws=self.keep_draws)
        with warnings.catch_warnings():
            if not self.two_sided:  # skewed as gains of useless predictors are, the test errs on the safe side
                warnings.filterwarnings("ignore", message="inference: scores of the", category=CodedWarning)
            return flips(finished, rng)
