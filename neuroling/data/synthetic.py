"""Parts that the synthetic twins of the data sets share, and the mark that says that they are synthetic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

MARK = "SYNTHETIC.json"
"""File that a twin leaves in its folder; it holds the truth that was planted."""


def mark_synthetic(folder: Path, truth: dict[str, object]) -> None:
    """Say in a folder that its files are made up, and what was planted in them.

    Parameters
    ----------
    folder : pathlib.Path
        Where the twin was written.
    truth : dict
        What a test may look for, as JSON.
    """
    (folder / MARK).write_text(json.dumps({"synthetic": True, "truth": truth}, indent=1), encoding="utf-8")


def is_synthetic(folder: Path) -> bool:
    """Say whether a folder holds a twin."""
    return (folder / MARK).is_file()


def lies_in_synthetic(path: Path) -> bool:
    """Say whether a file lies in a folder that is marked as synthetic, or below one.

    Parameters
    ----------
    path : pathlib.Path
        File or folder.

    Returns
    -------
    bool
    """
    return any(is_synthetic(folder) for folder in (path, *path.absolute().parents))


def truth_of(folder: Path) -> dict[str, Any]:
    """Read what was planted in a twin.

    Parameters
    ----------
    folder : pathlib.Path
        Folder that a twin was written to.

    Returns
    -------
    dict
    """
    truth: dict[str, Any] = json.loads((folder / MARK).read_text(encoding="utf-8"))["truth"]
    return truth


def ar1_noise(shape: tuple[int, ...], coefficient: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw stationary first-order autoregressive noise along the first axis.

    ``e[t] = c e[t-1] + sqrt(1 - c²) w[t]`` with white standard normal ``w``, so every value has unit variance.

    Parameters
    ----------
    shape : tuple of int
        Shape of the noise; time runs along the first axis.
    coefficient : float
        Correlation of neighbours, ``|c| < 1``.
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    numpy.ndarray
        Of the given shape.
    """
    if not -1 < coefficient < 1:
        raise ValueError(f"coefficient: got {coefficient}; expected a number between -1 and 1, both excluded.")
    noise = rng.standard_normal(shape)
    innovation = np.sqrt(1 - coefficient**2)
    for time in range(1, shape[0]):
        noise[time] = coefficient * noise[time - 1] + innovation * noise[time]
    return noise


def zscored(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring each column to mean 0 and standard deviation 1; a constant column becomes 0.

    Parameters
    ----------
    values : numpy.ndarray, shape (sample, ...)
        Values to be scaled along the first axis.

    Returns
    -------
    numpy.ndarray, same shape
    """
    centred = values - values.mean(axis=0)
    spread = centred.std(axis=0)
    scaled: NDArray[np.float64] = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
    return scaled


def double_gamma(times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the double-gamma haemodynamic response, ``g(t; 6) - g(t; 16) / 6`` with unit scale, 0 before the event.

    Parameters
    ----------
    times_s : numpy.ndarray, shape (time,)
        Seconds since the event.

    Returns
    -------
    numpy.ndarray, shape (time,)
        Peak near 5 s, undershoot near 16 s (Glover 1999, NeuroImage 9:416-429, with SPM's parameters).
    """
    from scipy.stats import gamma

    response: NDArray[np.float64] = gamma.pdf(times_s, 6) - gamma.pdf(times_s, 16) / 6
    return response


def convolved(events_s: ArrayLike, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add up the double-gamma responses to brief events.

    Parameters
    ----------
    events_s : array-like, shape (event,)
        When the events were, in seconds.
    times_s : numpy.ndarray, shape (time,)
        When the response is read, in seconds.

    Returns
    -------
    numpy.ndarray, shape (time,)
    """
    summed: NDArray[np.float64] = double_gamma(times_s[:, np.newaxis] - np.asarray(events_s)).sum(axis=1)
    return summed
