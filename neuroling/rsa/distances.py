"""Distances by name: what each is computed from, and whether noise biases it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroling.numerics.rdm import distances as kernels

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Distance:
    """Distance between two patterns.

    Attributes
    ----------
    name : str
        As it stands in results.
    compute : callable
        Turns patterns (…, item, channel) into dissimilarities (…, pair); where ``is_crossed``, folds
        (…, fold, item, channel), and ``weights`` (fold, item) where items have unequal numbers of trials.
    is_crossed : bool
        Whether noise of different folds is multiplied, so that it averages out. Any other distance is biased: noise
        makes it larger, the more so the fewer trials an item has.
    needs_noise : bool
        Whether it is undefined without a noise covariance.
    """

    name: str
    compute: Callable[..., Array]
    is_crossed: bool = False
    needs_noise: bool = False

    @property
    def is_biased(self) -> bool:
        """Whether two items that do not differ have a distance above zero."""
        return not self.is_crossed


crossnobis = Distance("crossnobis", kernels.crossnobis, is_crossed=True)
"""Cross-validated squared Mahalanobis distance over the number of channels; unbiased."""

crossvalidated_correlation = Distance("crossvalidated correlation", kernels.crossvalidated_correlation, is_crossed=True)
"""1 minus a correlation of covariances between folds; insensitive to the strength of a pattern."""

correlation = Distance("correlation", kernels.correlation)
"""1 minus the correlation over channels; biased."""

cosine = Distance("cosine", kernels.cosine)
"""1 minus the cosine of the angle between two patterns; biased."""

euclidean = Distance("euclidean", kernels.euclidean)
"""Length of the difference; biased."""

squared_euclidean = Distance("squared euclidean", kernels.squared_euclidean)
"""Squared length of the difference; biased."""

mahalanobis = Distance("mahalanobis", kernels.euclidean, needs_noise=True)
"""Length of the difference in units of the noise; biased."""

ALL = (crossnobis, crossvalidated_correlation, correlation, cosine, euclidean, squared_euclidean, mahalanobis)


def as_distance(distance: Distance | str, argument: str = "distance") -> Distance:
    """Find a distance by its name; hand on what is one already.

    Parameters
    ----------
    distance : Distance or str
        Such as ``"crossnobis"``.
    argument : str
        How the caller calls it; opens the message.

    Returns
    -------
    Distance

    Raises
    ------
    ValueError, TypeError
        If there is none of that name, or it is something else.

    Examples
    --------
    >>> as_distance("cosine").is_biased
    True
    """
    if isinstance(distance, Distance):
        return distance
    if not isinstance(distance, str):
        raise TypeError(f"{argument}: got {type(distance).__name__}; expected a Distance or the name of one.")
    names = {known.name: known for known in ALL}
    if distance not in names:
        raise ValueError(f"{argument}: got {distance!r}; expected one of {', '.join(map(repr, names))}.")
    return names[distance]
