"""What every loader of a story gives: words with their times, and a recording of a listener or a lazy source of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from neuroling.core.row_streams import TargetSource
from neuroling.core.stimuli import Stimuli
from neuroling.data.cards import card
from neuroling.data.errors import CorruptData, require_file
from neuroling.data.fetch import locate
from neuroling.data.selection import names_of, select_files
from neuroling.data.sources import as_float


@dataclass(frozen=True)
class StoryRecording:
    """Words that somebody heard or read, and what was recorded meanwhile.

    Attributes
    ----------
    words : Stimuli
        One row per word: ``text``, ``group`` (story, segment or run), ``position``, and, where something was heard,
        ``onset`` and ``offset`` in seconds on the clock of the recording's ``onset``.
    recording : xarray.DataArray or TargetSource
        Samples with ``group``, ``time_index`` and ``onset``; a source reads its targets from disk when asked.
    scanned : xarray.DataArray, dims (sample,), or None
        Times of all samples of the runs, those too that the paper cuts off: features are computed on these and then
        selected by label, so that the first samples know what came before them. None where nothing was cut off.
    options : mapping of str to str
        The choices of the loader, such as what was trimmed, in words.
    excluded : tuple of str
        What was left out, and why.

    Examples
    --------
    >>> from neuroling.data import lebel2023
    >>> story = lebel2023.twin(n_voxels=2)
    >>> dict(story.recording.sizes), story.options["word time"]
    ({'sample': 1710, 'voxel': 2}, 'middle')
    """

    words: Stimuli
    recording: xr.DataArray | TargetSource
    scanned: xr.DataArray | None
    options: Mapping[str, str]
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Hdf5Matrix:
    """A data set of an HDF5 file that is opened anew for every read, so that no file stays open.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    key : str
        Name of the data set in it, of shape (sample, target) or (repeat, sample, target).
    """

    path: Path
    key: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data set."""
        return tuple(self._describe()[0])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self._describe()[1]

    def _describe(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        import h5py

        with h5py.File(self.path, "r") as file:
            return file[self.key].shape, file[self.key].dtype

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
        import h5py

        with h5py.File(self.path, "r") as file:
            values: np.ndarray = file[self.key][key]
            return values


def open_hdf5(path: Path, key: str, expected: str) -> Hdf5Matrix:
    """Open a data set of an HDF5 file, and refuse a damaged file or one without it.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    key : str
        Name of the data set.
    expected : str
        What the file is, as a noun phrase.

    Returns
    -------
    Hdf5Matrix

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent, truncated, no HDF5 file, or has no such data set.
    """
    import h5py

    path = require_file(path, expected)
    try:
        with h5py.File(path, "r") as file:
            if key not in file:
                raise CorruptData(path, f"data sets {sorted(file)}", f"one called {key!r}")
            stored, n_bytes = file[key], path.stat().st_size
            if stored.chunks is None and (stored.id.get_offset() or 0) + stored.id.get_storage_size() > n_bytes:
                raise CorruptData(path, f"{n_bytes} bytes, which end within {key!r}", f"{expected} of full length")
    except OSError as error:
        raise CorruptData(path, f"cannot be read ({error})", f"{expected}, complete") from error
    return Hdf5Matrix(path, key)


@dataclass(frozen=True, eq=False)
class RepeatsSource:
    """Single presentations of a story on disk, read a stretch of targets at a time.

    Attributes
    ----------
    matrix : Hdf5Matrix, shape (repeat, sample, target)
        The presentations.
    samples : mapping of str to array-like
        Coordinates along ``sample``, with ``sample`` itself among them.
    axis : str
        Name of the target axis.
    attrs : mapping
        Attributes of the recording.

    Examples
    --------
    >>> import tempfile
    >>> from neuroling.data import lebel2023
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lebel2023.write_twin(folder, stories=[], n_voxels=3)
    ...     dict(lebel2023.load_repeats(folder, subject="UTS03").read(slice(0, 2)).sizes)
    {'sample': 291, 'repeat': 10, 'voxel': 2}
    """

    matrix: Hdf5Matrix
    samples: Mapping[str, ArrayLike]
    axis: str
    attrs: Mapping[str, Any]

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return self.matrix.shape[1]

    @property
    def n_targets(self) -> int:
        """Number of targets."""
        return self.matrix.shape[2]

    @property
    def labels(self) -> np.ndarray:
        """Labels of the samples, shape (sample,)."""
        return np.asarray(self.samples["sample"])

    def read(self, targets: slice) -> xr.DataArray:
        """Read consecutive targets of all presentations.

        Parameters
        ----------
        targets : slice
            Columns, without a step.

        Returns
        -------
        xarray.DataArray, dims (sample, repeat, target axis)
        """
        values = as_float(np.swapaxes(self.matrix[:, :, targets], 0, 1))  # (sample, repeat, target)
        coords: dict[str, Any] = {name: ("sample", np.asarray(column)) for name, column in self.samples.items()}
        coords["repeat"] = np.arange(values.shape[1])
        coords[self.axis] = np.arange(self.n_targets)[targets]
        return xr.DataArray(values, dims=("sample", "repeat", self.axis), coords=coords, attrs=dict(self.attrs))


def find_folder(name: str, folder: Path | str | None, subject: str, stories: Sequence[str]) -> Path:
    """Give the folder of a data set that holds the files of a participant and of some stories.

    Parameters
    ----------
    name : str
        Name of the card.
    folder : path or None
        The folder, if it is known; a clone of DataLad or of the AWS client is as good as a download.
    subject : str
        Participant.
    stories : sequence of str
        Stories, or none for all.

    Returns
    -------
    pathlib.Path
    """
    return Path(folder) if folder is not None else locate(name, paths_of(name, subject, stories))


def paths_of(name: str, subject: str, stories: Sequence[str]) -> list[str]:
    """List the files that a loader reads of a participant and of some stories.

    Parameters
    ----------
    name, subject, stories
        As for :func:`find_folder`.

    Returns
    -------
    list of str
        Paths below the folder of the data set.
    """
    return [file.path for file in select_files(card(name), subjects=[subject], stories=stories)]


def check_name(kind: str, requested: str, names: Sequence[str], name: str) -> None:
    """Refuse a participant or story that a data set does not have.

    Parameters
    ----------
    kind : str
        ``"subject"`` or ``"story"``; opens the message.
    requested : str
        What was asked for.
    names : sequence of str
        What there is.
    name : str
        Name of the data set.
    """
    if requested not in names:
        raise ValueError(f"{kind}: {name} has no {requested!r}; it has {', '.join(names)}.")


def subjects_of(name: str) -> list[str]:
    """List the participants of a data set, from its card.

    Parameters
    ----------
    name : str
        Name of the card.

    Returns
    -------
    list of str
    """
    return names_of(card(name), "subject")


def label_words(table: pd.DataFrame) -> Stimuli:
    """Make stimuli of a table of words: numbered within each group, labelled ``"GROUP:0001 word"``.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per word, in order, with ``text`` and ``group``.

    Returns
    -------
    Stimuli
    """
    position = table.groupby("group", sort=False).cumcount() + 1
    labels = [f"{g}:{n:04d} {w}" for g, n, w in zip(table["group"], position, table["text"], strict=True)]
    return Stimuli(table.assign(position=position).set_index(pd.Index(labels, name="sample")))
