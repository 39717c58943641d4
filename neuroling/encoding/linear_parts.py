"""Models as operators: what is left of a fit once its penalties are chosen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neuroling.core.protocols import LinearPart
from neuroling.numerics.ridge.decomposition import prediction_operators


def parts_of_penalties(
    alphas: NDArray[np.floating], X_train: NDArray[np.floating], X_test: NDArray[np.floating]
) -> list[LinearPart]:
    """Give the operators of ridge regression whose targets have chosen their penalties.

    Parameters
    ----------
    alphas : ndarray, shape (target,)
        Penalty of every target.
    X_train, X_test : ndarray, shapes (train, feature) and (test, feature)
        Features.

    Returns
    -------
    list of LinearPart
        One for each penalty that some target chose, from one decomposition.

    Examples
    --------
    >>> parts = parts_of_penalties(np.array([1.0, 9.0, 1.0]), np.eye(3), np.eye(3)[:1])
    >>> [(part.targets.tolist(), part.operator.shape) for part in parts]
    [([0, 2], (1, 3)), ([1], (1, 3))]
    """
    chosen, which = np.unique(alphas, return_inverse=True)
    operators = prediction_operators(X_train, X_test, chosen)
    return [LinearPart(np.flatnonzero(which == number), operator) for number, operator in enumerate(operators)]
