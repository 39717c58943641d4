"""How many values a score needs: fewer are refused, few are warned of."""

from __future__ import annotations

from neuroling.core.notices import warn

LEAST_VALUES = 3
"""Fewest values of a correlation: over two it is 1 or -1, whatever they are."""

FEW_VALUES = 5
"""Values of a correlation below which it is warned of. Of noise, the likeliest correlations over three values are 1 and
-1, over four all are as likely as zero; from five on zero is the likeliest."""

LEAST_ITEMS = 4
"""Fewest items whose dissimilarities are compared: three have three pairs, whose order takes six values."""

FEW_ITEMS = 6
"""Items below which a comparison of dissimilarities is warned of: five have 120 orders, four have 24, so that p of a
permutation of their labels hardly falls below 0.05."""


def check_items(argument: str, n_items: int) -> None:
    """Refuse comparisons of dissimilarities of too few items, and warn of few.

    Parameters
    ----------
    argument : str
        Argument whose items they are; opens the message.
    n_items : int
        How many.

    Raises
    ------
    ValueError
        Below :data:`LEAST_ITEMS`.

    Warns
    -----
    CodedWarning
        ``few-items``, below :data:`FEW_ITEMS`.

    Examples
    --------
    >>> check_items("models", 3)
    Traceback (most recent call last):
        ...
    ValueError: models: 3 items have 3 pairs, over which agreement says nothing; expected at least 4 items.
    """
    n_pairs = n_items * (n_items - 1) // 2
    if n_items < LEAST_ITEMS:
        raise ValueError(
            f"{argument}: {n_items} items have {n_pairs} pairs, over which agreement says nothing; expected at least "
            f"{LEAST_ITEMS} items."
        )
    if n_items < FEW_ITEMS:
        warn(
            "few-items",
            argument,
            f"{n_items} items have {n_pairs} pairs and few orders; agreement is mostly chance below {FEW_ITEMS} items.",
        )


def check_values(argument: str, score: str, n_values: int, least: int, few: int) -> None:
    """Refuse scores over too few values, and warn of few.

    Parameters
    ----------
    argument : str
        Argument that decides how many there are; opens the message.
    score : str
        Name of the score.
    n_values : int
        Fewest values that a score rests on.
    least, few : int
        What is refused below, and what is warned of below.

    Raises
    ------
    ValueError
        Below ``least``.

    Warns
    -----
    CodedWarning
        ``few-samples``, below ``few``.
    """
    if n_values < least:
        raise ValueError(
            f"{argument}: {score} would rest on {n_values} held-out value{'s' * (n_values != 1)}; expected at least "
            f"{least}, since over fewer it is the same whatever they are. Hold out more samples at a time, or score "
            "all splits at once with .pooled()."
        )
    if n_values < few:
        warn(
            "few-samples",
            argument,
            f"{score} rests on {n_values} held-out values at a time, over which chance alone often gives a large one; "
            f"hold out at least {few}, or score all splits at once with .pooled().",
        )
