r"""Inner errors of ridge as quadratic forms of a target, and the operators that follow a choice.

The squared errors of held-out predictions, summed over inner folds, are :math:`y^\top A_\alpha y` for any target
:math:`y` (:mod:`neuroling.numerics.ridge.quadratic_forms`). Here the forms are made in full and in float64, for few
samples and for a very great number of targets that are versions of each other, such as rotations of one recording
(:mod:`neuroling.numerics.permutation.rotations`).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from neuroling.numerics.products import multiply
from neuroling.numerics.ridge.decomposition import Folds, prediction_operators


def error_forms(
    X: Float[NDArray[np.floating], "sample feature"], folds: Folds, alphas: Float[NDArray[np.floating], " alpha"]
) -> Float[NDArray[np.float64], "alpha sample sample"]:
    """Give the forms of the squared inner errors of ridge, one per alpha.

    Parameters
    ----------
    X : ndarray, shape (sample, feature)
        Features.
    folds : sequence of (train, test)
        Row numbers.
    alphas : ndarray, shape (alpha,)
        Regularization strengths, above 0.

    Returns
    -------
    ndarray, shape (alpha, sample, sample)
        Symmetric; constants have no error.

    Examples
    --------
    >>> forms = error_forms(np.zeros((3, 1)), [(np.array([0, 1]), np.array([2]))], np.array([1.0]))
    >>> forms[0].round(9) + 0.0  # (y2 - (y0 + y1) / 2) ** 2
    array([[ 0.25,  0.25, -0.5 ],
           [ 0.25,  0.25, -0.5 ],
           [-0.5 , -0.5 ,  1.  ]])
    """
    forms = torch.zeros(len(alphas), len(X), len(X), dtype=torch.float64)
    for train, test in folds:
        operators = prediction_operators(X[train], X[test], alphas)  # (alpha, test, train)
        for operator, form in zip(operators, forms, strict=True):
            errors = np.zeros((len(test), len(X)))
            errors[:, train] = -operator
            errors[np.arange(len(test)), test] += 1
            found = torch.from_numpy(errors)
            form += multiply(found.T, found)
    return np.asarray(forms.numpy())
