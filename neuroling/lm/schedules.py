"""How the learning rate rises and falls: factors on the highest rate, by step."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int, int, int], float]
"""Takes the step (from 1), the steps of warm-up and all steps; gives the factor."""


def linear(step: int, warmup: int, total: int) -> float:
    """Rise in a line, fall in a line to nothing, as BERT does (Devlin et al. 2019).

    Parameters
    ----------
    step, warmup, total : int
        Step from 1 to ``total``, steps of the rise, all steps.

    Returns
    -------
    float
        ``step / warmup``, then ``(total - step) / (total - warmup)``; the last step itself still learns, because the
        line ends one step later.

    Examples
    --------
    >>> [round(linear(step, 2, 6), 2) for step in range(1, 7)]
    [0.5, 1.0, 0.8, 0.6, 0.4, 0.2]
    """
    return step / warmup if step <= warmup else (total + 1 - step) / (total + 1 - warmup)


def cosine(step: int, warmup: int, total: int) -> float:
    """Rise in a line, fall along half a cosine (Loshchilov and Hutter 2017).

    Parameters
    ----------
    step, warmup, total : int
        As for :func:`linear`.

    Returns
    -------
    float
        ``(1 + cos(pi (step - warmup) / (total + 1 - warmup))) / 2`` after the rise.

    Examples
    --------
    >>> round(cosine(5, 0, 9), 3)
    0.5
    """
    return step / warmup if step <= warmup else (1 + math.cos(math.pi * (step - warmup) / (total + 1 - warmup))) / 2


def inverse_square_root(step: int, warmup: int, total: int) -> float:  # noqa: ARG001 - it does not end
    """Rise in a line, fall with the square root of the step (Vaswani et al. 2017, section 5.3).

    Parameters
    ----------
    step, warmup, total : int
        As for :func:`linear`; ``total`` does not matter.

    Returns
    -------
    float
        ``min(step / warmup, sqrt(warmup / step))``: their rate is ``(width * warmup) ** -0.5`` times this.

    Examples
    --------
    >>> inverse_square_root(400, 100, 1000)
    0.5
    """
    warmup = max(1, warmup)
    return min(step / warmup, math.sqrt(warmup / step))


def constant(step: int, warmup: int, total: int) -> float:  # noqa: ARG001 - it does not end
    """Rise in a line and stay.

    Parameters
    ----------
    step, warmup, total : int
        As for :func:`linear`; ``total`` does not matter.

    Returns
    -------
    float

    Examples
    --------
    >>> [constant(step, 2, 9) for step in (1, 2, 9)]
    [0.5, 1.0, 1.0]
    """
    return min(1.0, step / max(1, warmup))
