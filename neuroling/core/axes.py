"""The closed list of axis names. A typo is an error, not a new axis."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

AXES: dict[str, str] = {
    "sample": "what features and recording share: words, sentences, volumes, pairs of items",
    "repeat": "presentations of the same sample, or simulated participants",
    "feature": "columns of a feature space",
    "layer": "layers of a language model",
    "voxel": "positions in a brain volume",
    "vertex": "positions on a cortical surface, or of a CIFTI file",
    "region": "regions of interest, each the mean of many voxels",
    "channel": "EEG or MEG sensors",
    "time": "time within an epoch",
    "frequency": "frequencies of a spectrum",
    "subject": "participants",
    "split": "pairs of training and test sets",
    "draw": "draws of a null distribution",
    "bound": "bounds of a noise ceiling",
    "model": "models compared with one another",
}
"""Axis names of the package and what runs along them."""

NOT_TARGETS = frozenset({"sample", "repeat", "feature", "layer", "split", "draw", "bound", "model"})
"""Axes that a recording's targets cannot lie along."""


def check_axes(name: str, dims: Iterable[Hashable]) -> None:
    """Refuse an axis name that is not in :data:`AXES`.

    Parameters
    ----------
    name : str
        What the axes belong to; opens the message.
    dims : iterable of str
        Axis names to be checked.

    Raises
    ------
    ValueError
        If one of them is unknown.
    """
    unknown = [str(dim) for dim in dims if dim not in AXES]
    if unknown:
        raise ValueError(
            f"{name}: unknown axis {', '.join(map(repr, unknown))}; expected names among {', '.join(AXES)}. "
            "Rename it with .rename({old: new})."
        )


def targets_of(dims: Iterable[Hashable]) -> tuple[str, ...]:
    """Name the target axes among the axes of a recording, in their order.

    Parameters
    ----------
    dims : iterable of str
        Axes of a recording, for example ``("sample", "repeat", "voxel")``.

    Returns
    -------
    tuple of str
        Here ``("voxel",)``.
    """
    return tuple(str(dim) for dim in dims if dim not in NOT_TARGETS)


def volume_labels(run: str, n_volumes: int) -> list[str]:
    """Label the volumes of a run; recordings and features that are labelled so can be aligned.

    Parameters
    ----------
    run : str
        Name of the run, story or list: the coordinate ``group``.
    n_volumes : int
        How many there are.

    Returns
    -------
    list of str
        ``"RUN:0"``, ``"RUN:1"``, …

    Examples
    --------
    >>> volume_labels("task-story_run-1", 2)
    ['task-story_run-1:0', 'task-story_run-1:1']
    """
    return [f"{run}:{number}" for number in range(n_volumes)]
