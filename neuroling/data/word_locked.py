"""Continuous recordings cut around words, channel by channel, without holding the recording in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from neuroling.data.errors import reading


class Channels(Protocol):
    """What is needed of a continuous recording of MNE."""

    def get_data(self, picks: list[str]) -> Any:
        """Read channels, shape (channel, time)."""
        ...


@dataclass(frozen=True, eq=False)
class WordLockedSource:
    """Means of a recording in bins of time around the onset of each word.

    Attributes
    ----------
    raw : mne.io.BaseRaw
        Opened, not read.
    path : str
        Where it lies, for messages.
    channels : mapping of str to array-like
        Coordinates along ``channel``, with ``channel`` itself, the names, among them.
    samples : mapping of str to array-like
        Coordinates along ``sample``, a word each, with ``sample`` itself among them.
    first_sample : ndarray of int, shape (sample,)
        Number of the sample in the recording at which the first bin of each word begins.
    bin_samples : int
        Samples of the recording that are averaged in a bin.
    times : ndarray, shape (time,)
        Middle of each bin, in seconds after the onset of the word.
    attrs : mapping
        Attributes of the recording.
    """

    raw: Channels
    path: str
    channels: Mapping[str, ArrayLike]
    samples: Mapping[str, ArrayLike]
    first_sample: NDArray[np.intp]
    bin_samples: int
    times: NDArray[np.float64]
    attrs: Mapping[str, Any]

    @property
    def n_samples(self) -> int:
        """Number of words."""
        return len(self.first_sample)

    @property
    def n_targets(self) -> int:
        """Number of channels."""
        return len(np.asarray(self.channels["channel"]))

    @property
    def labels(self) -> NDArray[Any]:
        """Labels of the words, shape (sample,)."""
        return np.asarray(self.samples["sample"])

    def read(self, targets: slice) -> xr.DataArray:
        """Read consecutive channels and cut them around the words.

        Parameters
        ----------
        targets : slice
            Channels, without a step.

        Returns
        -------
        xarray.DataArray, dims (sample, channel, time)
            float32, in the unit of the file.
        """
        names = np.asarray(self.channels["channel"])[targets].tolist()
        edges = self.first_sample[:, np.newaxis] + self.bin_samples * np.arange(len(self.times) + 1)  # (sample, edge)
        values = np.empty((self.n_samples, len(names), len(self.times)), dtype=np.float32)
        for number, name in enumerate(names):
            with reading(self.path, "a complete recording", reader="MNE"):
                course = self.raw.get_data(picks=[name])[0]  # (time,)
            level = course.mean()  # keeps the sums small
            sums = np.concatenate([[0.0], np.cumsum(course - level)])
            values[:, number] = level + np.diff(sums[edges], axis=1) / self.bin_samples
        coords: dict[str, Any] = {name: ("sample", np.asarray(column)) for name, column in self.samples.items()}
        coords.update({name: ("channel", np.asarray(column)[targets]) for name, column in self.channels.items()})
        return xr.DataArray(
            values, dims=("sample", "channel", "time"), coords={**coords, "time": self.times}, attrs=dict(self.attrs)
        )
