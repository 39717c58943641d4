"""Real data where they can be had, else the sample in the package, else synthetic data; one line says which."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from neuroling.data.embedded import sample
from neuroling.data.errors import DataNotFound
from neuroling.data.fetch import fetch, locate_complete

logger = logging.getLogger(__name__)

Loaded = TypeVar("Loaded")


def real_or_twin(name: str, load: Callable[[Path], Loaded], twin: Callable[[], Loaded]) -> Loaded:
    """Load a data set from where it lies, else its sample, else download it, else make synthetic data in its layout.

    Parameters
    ----------
    name : str
        Name of the data set's card.
    load : callable
        Reads the folder of the real files.
    twin : callable
        Makes the synthetic twin, which marks what it makes as synthetic.

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
        folder = _find(name)
    except DataNotFound as error:
        logger.warning("Running on the SYNTHETIC twin of %s, with made-up data. %s", name, error)
        return twin()
    logger.info("Running on the real %s in %s.", name, folder)
    return load(folder)


def _find(name: str) -> Path:
    try:
        return locate_complete(name)
    except DataNotFound:
        return sample(name) or fetch(name)
