r"""Weights of samples, from what the search for penalties has at hand when it has chosen.

Let :math:`M_\alpha` be the residual maker of the full fit over :math:`\alpha`, so that the weights of the samples are
:math:`W = (K_c + \alpha I)^{-1} Y_c = M_\alpha Y`. Held-out predictions by deletion
(:func:`neuroling.numerics.forms.by_deletion`) are :math:`\hat Y_S = -M_{SS}^{-1} M_{ST} Y_T`, so the rows of the
weights that belong to a test set are its held-out residuals times its block of :math:`M`,

.. math:: W_S = M_{SS} Y_S + M_{ST} Y_T = M_{SS} (Y_S - \hat Y_S).

Where the test sets are all samples, each once, these are all weights: one product of two, and no factor.

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

from neuroling.numerics.forms import FoldOperators, HeldOutErrors


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
    """

    dual: Float[NDArray[np.floating], "sample target"]
    option: Int[NDArray[np.intp], " target"]
    mean: Float[NDArray[np.float64], " target"]

    @classmethod
    def none_for(cls, values: NDArray[np.floating]) -> Kept:
        """Make room for the weights of targets (sample, target).

        Parameters
        ----------
        values : ndarray, shape (sample, target)
        """
        n_targets = values.shape[1]
        return cls(np.empty(values.shape, values.dtype), np.full(n_targets, -1, np.intp), np.empty(n_targets))

    def keep(
        self,
        parts: Sequence[HeldOutErrors],
        centred: torch.Tensor,
        columns: NDArray[np.integer] | slice,
        options: tuple[NDArray[np.integer], int],
    ) -> None:
        """Write the weights of some targets over what is there, where the parts can give them.

        Parameters
        ----------
        parts : sequence of HeldOutErrors
            What was searched.
        centred : Tensor, shape (sample, some)
            Those targets, less their mean.
        columns : ndarray of int, shape (some,), or slice
            Where they are among all targets.
        options : (ndarray of int of shape (some,), int)
            The penalty of each among those of the parts, and the number of the first of these among all.
        """
        chosen, first = options
        self.option[columns] = -1
        folds = [part for part in parts if isinstance(part, FoldOperators) and part.blocks]
        if len(folds) < len(parts):
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
        self.dual[:, columns] = weights.index_select(1, back).cpu().numpy()
