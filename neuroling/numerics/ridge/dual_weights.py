r"""Weights of samples, from what the search for penalties has at hand when it has chosen.

Let :math:`M_\alpha` be the residual maker of the full fit over :math:`\alpha`, so that the weights of the samples are
:math:`W = (K_c + \alpha I)^{-1} Y_c = M_\alpha Y`. Held-out predictions by deletion
(:func:`neuroling.numerics.ridge.held_out_errors.by_deletion`) are :math:`\hat Y_S = -M_{SS}^{-1} M_{ST} Y_T`, so the
rows of the weights that belong to a test set are its held-out residuals times its block of :math:`M`,

.. math:: W_S = M_{SS} Y_S + M_{ST} Y_T = M_{SS} (Y_S - \hat Y_S).

Where every sample is in some test set these are all weights: one product of two, and no factor.

Source: the identity of held-out residuals in Cook and Weisberg (1982), Residuals and Influence in Regression, section
2.2, here for blocks and before the division.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray

from neuroling.numerics.ridge.held_out_errors import FoldOperators, HeldOutErrors


@dataclass(frozen=True)
class Kept:
    """Weights of samples, with the penalties that they belong to.

    Attributes
    ----------
    dual : ndarray, shape (sample, target)
        In the dtype of the targets; arbitrary where there are none.
    option : ndarray of int, shape (target,)
        Which penalty, of those searched in their order; -1 where there are no weights.
    mean : ndarray, shape (target,)
        Means of the targets.
    score : ndarray, shape (target,)
        Held-out score of that penalty; NaN for targets that have none.
    """

    dual: Float[NDArray[np.floating], "sample target"]
    option: Int[NDArray[np.intp], " target"]
    mean: Float[NDArray[np.float64], " target"]
    score: Float[NDArray[np.float64], " target"]

    @classmethod
    def none_for(cls, values: NDArray[np.floating]) -> Kept:
        """Make room for the weights of targets (sample, target).

        Parameters
        ----------
        values : ndarray, shape (sample, target)
        """
        n_targets = values.shape[1]
        option, (mean, score) = np.full(n_targets, -1, np.intp), np.full((2, n_targets), np.nan)
        return cls(np.empty(values.shape, values.dtype), option, mean, score)

    def improve(
        self,
        parts: Sequence[HeldOutErrors],
        centred: torch.Tensor,
        tile: slice,
        scores: Float[NDArray[np.float64], "option target"],
        *,
        first: int,
        without: int,
    ) -> None:
        """Take the weights of targets whose best penalty among these is better than any before, in place.

        Where the parts cannot give them, the weights that are there are forgotten.

        Parameters
        ----------
        parts : sequence of HeldOutErrors
            What was searched.
        centred : Tensor, shape (sample, tile)
            Targets less their mean.
        tile : slice
            Where they are among all targets.
        scores : ndarray, shape (option, tile)
            Scores of the penalties of the parts; NaN for targets that have none.
        first : int
            Number of the first of these penalties among all; 0 for the first that are searched.
        without : int
            The penalty of targets without a score.
        """
        best = best_rows(scores, without)
        top = scores[best, np.arange(len(best))]
        better = np.flatnonzero((top > self.score[tile]) | (first == 0))
        columns = tile.start + better
        self.score[columns] = top[better]
        if len(better) < len(best):
            centred = centred.index_select(1, torch.from_numpy(better).to(centred.device))
        self._take(parts, centred, columns, best[better], first)

    def _take(
        self,
        parts: Sequence[HeldOutErrors],
        centred: torch.Tensor,
        columns: NDArray[np.integer],
        chosen: NDArray[np.integer],
        first: int,
    ) -> None:
        """Write weights of samples (sample, some) for the penalty of each target among those of the parts."""
        self.option[columns] = -1
        folds = [part for part in parts if isinstance(part, FoldOperators) and part.blocks]
        if len(folds) < len(parts) or len(columns) == 0 or not _all_tested(folds, len(centred)):
            return
        order = np.argsort(chosen, kind="stable")
        y = centred.index_select(1, torch.from_numpy(order).to(centred.device))  # those that chose alike together
        weights, option = torch.zeros_like(y), np.full(len(chosen), -1)
        for start, stop in pairwise(np.flatnonzero(np.diff(chosen[order], prepend=-1, append=-1)).tolist()):
            alike, number = slice(start, stop), int(chosen[order[start]])
            known = [part.weigh(y[:, alike], number, weights[:, alike]) for part in folds]
            option[order[alike]] = first + number if all(known) else -1
        del y  # before weights are put in order
        weights -= weights.mean(0)
        back = torch.from_numpy(np.argsort(order)).to(centred.device)
        self.option[columns] = option
        run = slice(columns[0], columns[-1] + 1) if len(columns) == columns[-1] + 1 - columns[0] else columns
        self.dual[:, run] = weights.index_select(1, back).cpu().numpy()


def _all_tested(folds: Sequence[FoldOperators], n_samples: int) -> bool:
    """Whether every sample is in some test set."""
    tested = torch.zeros(n_samples, dtype=torch.bool)
    for part in folds:
        tested[part.fold.test.cpu()] = True
    return bool(tested.all())


def best_rows(scores: Float[NDArray[np.float64], "option target"], without: int) -> Int[NDArray[np.intp], " target"]:
    """Take the best of several options for every target: the first of equals.

    Parameters
    ----------
    scores : ndarray, shape (option, target)
        NaN for targets that have none.
    without : int
        The option of targets without a score.

    Returns
    -------
    ndarray of int, shape (target,)

    Examples
    --------
    >>> best_rows(np.array([[0.5, np.nan], [0.5, np.nan]]), without=1).tolist()
    [0, 1]
    """
    best: NDArray[np.intp] = scores.argmax(0)
    best[np.isnan(scores.max(0))] = without
    return best
