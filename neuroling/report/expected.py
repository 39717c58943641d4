"""What an analysis is expected to find, and whether it did."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Expectation:
    """One number with its tolerance.

    Attributes
    ----------
    value, tolerance : float
        The number is as expected within ``value ± tolerance``.
    """

    value: float
    tolerance: float


def read_expected(path: str | Path) -> dict[str, Expectation]:
    """Read the numbers that an analysis is expected to give.

    Parameters
    ----------
    path : str or Path
        JSON file with ``command``, ``versions``, ``reason`` and ``numbers``: name to ``value`` and ``tolerance``.

    Returns
    -------
    dict of str to Expectation
    """
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    return {name: Expectation(**entry) for name, entry in content["numbers"].items()}


def compare_with_expected(found: Mapping[str, float], path: str | Path) -> list[str]:
    """Hold what an analysis found against what is expected, and log the outcome.

    Parameters
    ----------
    found : mapping of str to float
        Numbers by name.
    path : str or Path
        As for :func:`read_expected`.

    Returns
    -------
    list of str
        One sentence a number that is missing or outside its tolerance; empty when all are as expected.

    Raises
    ------
    ValueError
        If none of the numbers is known to the file.
    """
    expected = read_expected(path)
    if not set(found) & set(expected):
        raise ValueError(f"found: names {list(found)}; {Path(path).name} expects {list(expected)}.")
    complaints = [f"{name}: expected, but not found" for name in expected if name not in found]
    for name, entry in expected.items():
        if name in found and not abs(found[name] - entry.value) <= entry.tolerance:
            complaints.append(f"{name}: {found[name]:.4f}, expected {entry.value:.4f} ± {entry.tolerance:.4f}")
    for complaint in complaints:
        logger.warning("Not as expected: %s", complaint)
    if not complaints:
        logger.info("All %d numbers are as expected (%s).", len(expected), Path(path).name)
    return complaints
