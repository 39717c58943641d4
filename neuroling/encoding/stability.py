"""Choosing voxels that answer alike to the same samples, from training samples only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroling.core.arrays import read_numbers, refuse_not_finite
from neuroling.numerics.ridge.voxel_stability import stability, stable_targets


@dataclass(frozen=True)
class StableVoxels:
    """Select the voxels whose profile over training samples is most alike from presentation to presentation.

    The stability of a voxel is the mean, over pairs of presentations, of the correlation of its values over the
    training samples. It never sees the features or the test samples.

    Parameters
    ----------
    n_voxels : int
        How many voxels to keep per fold; 500 in Mitchell et al. (2008).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.standard_normal((6, 20, 4))
    >>> noise[:, :, 2] += 5 * rng.standard_normal(20)
    >>> StableVoxels(n_voxels=1)(noise)
    array([False, False,  True, False])
    """

    n_voxels: int = 500

    def __post_init__(self) -> None:
        if not isinstance(self.n_voxels, (int, np.integer)) or self.n_voxels < 1:
            raise ValueError(f"n_voxels: got {self.n_voxels!r}; expected a whole number of at least 1.")

    def __call__(self, train: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Select voxels from a training set.

        Parameters
        ----------
        train : ndarray, shape (repeat, sample, voxel)
            Training samples only, at least two presentations of at least three samples.

        Returns
        -------
        ndarray of bool, shape (voxel,)
            True for the ``n_voxels`` most stable voxels.

        Raises
        ------
        ValueError
            With too few presentations, samples or voxels, or too few voxels that vary in every presentation.
        """
        train = read_numbers("train", train).values
        self._check("train", train, n_train=train.shape[1] if train.ndim == 3 else 0)
        score = stability(train)  # (voxel,)
        most_stable = np.argpartition(score, -self.n_voxels)[-self.n_voxels :]
        if np.isneginf(score[most_stable]).any():
            raise ValueError(
                f"train: only {int(np.isfinite(score).sum())} of {len(score)} voxels vary over the training "
                f"samples in every presentation; expected at least n_voxels={self.n_voxels}."
            )
        return np.isin(np.arange(len(score)), most_stable)

    def select_folds(
        self, recording: NDArray[np.floating], tests: Sequence[NDArray[np.integer]] | NDArray[np.integer]
    ) -> NDArray[np.int64]:
        """Select voxels for every fold at once; the same voxels as one call per training set.

        Parameters
        ----------
        recording : ndarray, shape (repeat, sample, voxel)
            All samples.
        tests : sequence of int arrays, or ndarray of shape (fold, test)
            Held-out samples of every fold; all others train.

        Returns
        -------
        ndarray of int, shape (fold, n_voxels)
            Indices of the chosen voxels, ascending.

        Raises
        ------
        ValueError
            As for a single training set.
        """
        if len(tests) == 0:
            raise ValueError("tests: got no folds; expected at least one.")
        recording = read_numbers("recording", recording).values
        n_samples = recording.shape[1] if recording.ndim == 3 else 0
        self._check("recording", recording, n_train=n_samples - max(len(test) for test in tests))
        return stable_targets(recording, tests, self.n_voxels)

    def _check(self, name: str, recording: NDArray[np.floating], n_train: int) -> None:
        if recording.ndim != 3:
            raise ValueError(f"{name}: got shape {recording.shape}; expected three axes, (repeat, sample, voxel).")
        if len(recording) < 2:
            raise ValueError(
                f"{name}: got {len(recording)} presentation; expected at least 2, because stability compares them."
            )
        if n_train < 3:
            raise ValueError(f"{name}: {n_train} training samples; expected at least 3 to correlate over.")
        refuse_not_finite(name, recording)
        if self.n_voxels > recording.shape[2]:
            raise ValueError(f"n_voxels: got {self.n_voxels} for a recording of {recording.shape[2]} voxels.")
