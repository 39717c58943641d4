"""Real data where they can be had, else the sample in the package, else synthetic data; one line says which."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from neuroling.data.cards import card
from neuroling.data.embedded import sample
from neuroling.data.errors import DataNotFound
from neuroling.data.fetch import fetch, locate_complete, plan_fetch

logger = logging.getLogger(__name__)

Loaded = TypeVar("Loaded")


MOST_FETCHED = 500_000_000
"""Bytes above which nothing is downloaded without being asked for; a heuristic, minutes of an ordinary line."""


def real_or_twin(
    name: str, load: Callable[[Path], Loaded], twin: Callable[[], Loaded], *, files: Collection[str] | None = None
) -> Loaded:
    """Load a data set from where it lies, else its sample, else download it, else make synthetic data in its layout.

    Parameters
    ----------
    name : str
        Name of the data set's card.
    load : callable
        Reads the folder of the real files.
    twin : callable
        Makes the synthetic twin, which marks what it makes as synthetic.
    files : collection of str, optional
        Paths of the files that are needed; by default all of the card. Downloads of more than 500 MB are left to
        ``neuroling datasets fetch``.

    Returns
    -------
    object
        What ``load`` or ``twin`` gives.

    Raises
    ------
    CorruptData
        If files are there but damaged: no twin stands in for those.
    """
    try:
        folder = _find(name, files)
    except DataNotFound as error:
        logger.warning("Running on the SYNTHETIC twin of %s, with made-up data. %s", name, error)
        return twin()
    logger.info("Running on the real %s in %s.", name, folder)
    return load(folder)


def _find(name: str, files: Collection[str] | None) -> Path:
    try:
        return locate_complete(name, files)
    except DataNotFound:
        folder = sample(name)
        if folder is not None:
            return folder
        if card(name).access == "open" and plan_fetch(name, files).n_bytes > MOST_FETCHED:
            raise
        return fetch(name, files)
