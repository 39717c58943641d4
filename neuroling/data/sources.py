"""Recordings that stay on disk, read a stretch of targets at a time: memory-mapped arrays, zarr arrays, NIfTI."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from neuroling.core.axes import check_axes
from neuroling.core.protocols import TargetSource
from neuroling.data.fmri import BrainGrid

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

logger = logging.getLogger(__name__)

AFFINE_TOLERANCE_MM = 1e-3
"""Largest difference between two affines that are the same: rounding of float32 headers at 10 cm from the origin."""


class Sliceable(Protocol):
    """What a source needs of an array on disk; ``numpy.memmap`` and ``zarr.Array`` have it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of samples and targets."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        ...

    def __getitem__(self, key: tuple[slice, slice], /) -> Any:
        """Read a rectangle."""
        ...


@dataclass(frozen=True, eq=False)
class ArraySource:
    """A matrix on disk (or in memory) whose rows are samples and whose columns are targets.

    Attributes
    ----------
    values : numpy.memmap, zarr.Array or ndarray, shape (sample, target)
        Read by slices only.
    samples : mapping of str to array-like
        Coordinates along ``sample``, with ``sample`` itself among them; :func:`sample_coords` makes them.
    targets : mapping of str to array-like
        Coordinates along the target axis, with the axis itself among them; numbered from 0 where empty.
    axis : str
        Name of the target axis.
    attrs : mapping
        Attributes of the recording and of its target axis, such as the grid.

    Examples
    --------
    >>> source = ArraySource(np.arange(6.0).reshape(2, 3), {"sample": ["cat", "dog"]})
    >>> source.read(slice(1, 3)).values.tolist()
    [[1.0, 2.0], [4.0, 5.0]]
    """

    values: Sliceable
    samples: Mapping[str, ArrayLike]
    targets: Mapping[str, ArrayLike] | None = None
    axis: str = "voxel"
    attrs: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_axes("axis", [self.axis])
        if len(self.values.shape) != 2 or 0 in self.values.shape:
            raise ValueError(
                f"values: got shape {self.values.shape}; expected (sample, target), neither of them empty."
            )
        check_stored_type("values", self.values.dtype)
        _check_coords("samples", self.samples, "sample", self.n_samples)
        if self.targets is not None:
            _check_coords("targets", self.targets, self.axis, self.n_targets)

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return int(self.values.shape[0])

    @property
    def n_targets(self) -> int:
        """Number of columns."""
        return int(self.values.shape[1])

    def read(self, targets: slice) -> xr.DataArray:
        """Read consecutive targets into memory.

        Parameters
        ----------
        targets : slice
            Columns, without a step.

        Returns
        -------
        xarray.DataArray, dims (sample, target axis)
            float32 or float64; whole numbers become float32 where it holds them.
        """
        values = as_float(np.asarray(self.values[:, targets]))
        names = self.targets or {self.axis: np.arange(self.n_targets)}
        coords: dict[str, Any] = {name: ("sample", np.asarray(labels)) for name, labels in self.samples.items()}
        attrs = dict(self.attrs or {})
        for name, labels in names.items():
            coords[name] = (self.axis, np.asarray(labels)[targets], attrs if name == self.axis else {})
        return xr.DataArray(values, dims=("sample", self.axis), coords=coords, attrs=attrs)


@dataclass(frozen=True, eq=False)
class RunsSource:
    """Several sources one after another, such as the runs of a session; their targets are the same.

    Attributes
    ----------
    runs : sequence of TargetSource
        In the order of their samples.
    """

    runs: Sequence[TargetSource]

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError("runs: none given; expected at least one source.")
        counts = [run.n_targets for run in self.runs]
        if len(set(counts)) > 1:
            raise ValueError(f"runs: they have {counts} targets; expected the same ones in every run. Use one mask.")

    @property
    def n_samples(self) -> int:
        """Number of samples of all runs."""
        return sum(run.n_samples for run in self.runs)

    @property
    def n_targets(self) -> int:
        """Number of targets."""
        return self.runs[0].n_targets

    def read(self, targets: slice) -> xr.DataArray:
        """Read consecutive targets of all runs.

        Parameters
        ----------
        targets : slice
            Columns.

        Returns
        -------
        xarray.DataArray, dims (sample, target axis)

        Raises
        ------
        ValueError
            If the runs label these targets differently.
        """
        parts = [run.read(targets) for run in self.runs]
        axis = parts[0].dims[1]
        for number, part in enumerate(parts):
            if part.dims[1] != axis or not part.indexes[axis].equals(parts[0].indexes[axis]):
                raise ValueError(f"runs: run {number} labels the axis {axis!r} differently from run 0; use one mask.")
        return xr.concat(parts, "sample", coords="minimal", compat="override", combine_attrs="override", join="exact")


@dataclass(frozen=True, eq=False)
class NiftiSource:
    """Voxels of a four-dimensional image that lie in a mask, read without holding the image in memory.

    An uncompressed file (``.nii``) is memory-mapped. A compressed one (``.nii.gz``) is read volume by volume, and whole
    for every stretch of voxels: uncompress it once where there are many.

    Attributes
    ----------
    image : nibabel image, shape (x, y, z, sample)
        Loaded by ``nibabel.load``, which reads the header alone.
    grid : BrainGrid
        Voxels of the mask.
    samples : mapping of str to array-like
        Coordinates along ``sample``.
    name : str
        What the image is called in messages.
    """

    image: SpatialImage
    grid: BrainGrid
    samples: Mapping[str, ArrayLike]
    name: str = "image"

    def __post_init__(self) -> None:
        shape = self.image.shape
        if len(shape) != 4:
            raise ValueError(f"{self.name}: got shape {shape}; expected four axes, (x, y, z, sample).")
        check_same_grid(self.name, shape[:3], self.image.affine, self.grid)
        check_stored_type(self.name, np.dtype(self.image.get_data_dtype()))
        _check_coords("samples", self.samples, "sample", self.n_samples)

    @property
    def n_samples(self) -> int:
        """Number of volumes."""
        return int(self.image.shape[3])

    @property
    def n_targets(self) -> int:
        """Number of voxels in the mask."""
        return len(self.grid.voxels)

    def read(self, targets: slice) -> xr.DataArray:
        """Read consecutive voxels of the mask.

        Parameters
        ----------
        targets : slice
            Places among the voxels of the mask.

        Returns
        -------
        xarray.DataArray, dims (sample, voxel)
            With the centres of the voxels in mm and the grid.
        """
        part = BrainGrid(self.grid.shape, self.grid.affine, self.grid.voxels[targets], self.grid.space)
        places = np.unravel_index(part.voxels, part.shape)
        coords = {name: ("sample", np.asarray(labels)) for name, labels in self.samples.items()}
        return part.recording(self._values(places), coords)

    def _values(self, places: tuple[NDArray[np.intp], ...]) -> NDArray[np.floating[Any]]:
        proxy: Any = self.image.dataobj
        stored = proxy.get_unscaled() if hasattr(proxy, "get_unscaled") and not _is_compressed(proxy) else None
        if stored is not None:  # a memory map: only the pages of these voxels are read
            values = as_float(np.asarray(stored[places]).T)  # (sample, voxel)
            return as_float(values * proxy.slope + proxy.inter) if (proxy.slope, proxy.inter) != (1, 0) else values
        if not hasattr(proxy, "get_unscaled"):
            return as_float(np.asarray(proxy)[places].T)
        volumes = (np.asarray(proxy[..., volume])[places] for volume in range(self.n_samples))
        return as_float(np.stack(list(volumes)))


def open_npy(path: Path, samples: pd.DataFrame, *, axis: str = "voxel") -> ArraySource:
    """Open a matrix in numpy's own format without reading it.

    Parameters
    ----------
    path : pathlib.Path
        ``.npy`` file of shape (sample, target).
    samples : pandas.DataFrame
        A row a sample; see :func:`sample_coords`.
    axis : str
        Name of the target axis.

    Returns
    -------
    ArraySource

    Raises
    ------
    ValueError
        If the file is no array of numbers (pickled objects are never read), or does not fit the table.
    """
    try:
        values = np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        raise ValueError(
            f"{path}: no array that can be memory-mapped ({error}); expected one saved by numpy.save."
        ) from error
    return ArraySource(values, sample_coords(samples), axis=axis, attrs={"source": str(path.name)})


def open_zarr(path: Path, samples: pd.DataFrame, *, axis: str = "voxel") -> ArraySource:
    """Open a zarr array without reading it; needs the package ``zarr``.

    Missing chunks read as zeros, so an array whose writer was killed looks whole; such targets are constant, and are
    refused when they are reached.

    Parameters
    ----------
    path : pathlib.Path
        Directory of one array of shape (sample, target).
    samples : pandas.DataFrame
        A row a sample; see :func:`sample_coords`.
    axis : str
        Name of the target axis.

    Returns
    -------
    ArraySource
    """
    try:
        import zarr
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{path} needs the package zarr; install neuroling[zarr].") from error
    found = zarr.open(str(path), mode="r")
    if not isinstance(found, zarr.Array):
        names = ", ".join(sorted(found.array_keys())) or "none"
        raise ValueError(  # noqa: TRY004 - the file is wrong, not the type of an argument
            f"{path}: is a zarr group; expected an array. Its arrays are: {names}. Name one as PATH/NAME."
        )
    values: Any = found
    return ArraySource(values, sample_coords(samples), axis=axis, attrs={"source": str(path.name)})


def open_nifti(paths: Sequence[Path], samples: pd.DataFrame, *, mask: Path | SpatialImage) -> TargetSource:
    """Open runs of volumes without reading them; voxels are those of one mask.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        One image a run, in the order of the table.
    samples : pandas.DataFrame
        A row a volume; see :func:`sample_coords`. With several runs a column ``group`` says which rows belong to which.
    mask : pathlib.Path or nibabel image, shape (x, y, z)
        Voxels above zero are read. Any nilearn masker has one: ``masker.mask_img_``.

    Returns
    -------
    TargetSource

    Raises
    ------
    ValueError
        If shapes or affines of images and mask differ, or the table does not fit the images.
    """
    import nibabel

    voxels: Any = nibabel.load(mask) if isinstance(mask, str | Path) else mask
    grid = grid_of_mask(voxels)
    images: list[Any] = [nibabel.load(path, keep_file_open=True) for path in paths]
    for path, image in zip(paths, images, strict=True):
        if path.name.endswith(".gz"):
            logger.info("%s is compressed: every tile reads all of it. Uncompress it where there are many.", path)
        if len(image.shape) != 4:
            raise ValueError(f"{path}: got shape {image.shape}; expected four axes, (x, y, z, sample).")
    tables = split_runs(samples, {path.name: image.shape[3] for path, image in zip(paths, images, strict=True)})
    runs = [
        NiftiSource(image, grid, sample_coords(table), str(path))
        for path, image, table in zip(paths, images, tables, strict=True)
    ]
    return runs[0] if len(runs) == 1 else RunsSource(runs)


def grid_of_mask(mask: SpatialImage, *, space: str = "") -> BrainGrid:
    """Take the voxels of a mask.

    Parameters
    ----------
    mask : nibabel image, shape (x, y, z)
        Voxels above zero.
    space : str
        Name of the coordinate space, where it is known.

    Returns
    -------
    BrainGrid

    Raises
    ------
    ValueError
        If the mask is not one volume, or is empty.
    """
    values = np.asarray(mask.dataobj)
    if values.ndim != 3:
        raise ValueError(f"mask: got shape {values.shape}; expected one volume, (x, y, z).")
    voxels = np.flatnonzero(values > 0)
    if not len(voxels):
        raise ValueError("mask: no voxel is above zero; expected a mask of the brain.")
    shape = (values.shape[0], values.shape[1], values.shape[2])
    return BrainGrid(shape, np.asarray(mask.affine, dtype=np.float64), voxels, space or "unknown")


def check_same_grid(name: str, shape: Sequence[int], affine: ArrayLike, grid: BrainGrid) -> None:
    """Refuse an image whose voxels are not those of a grid; nothing is resampled in silence.

    Parameters
    ----------
    name : str
        What the image is called in the message.
    shape : sequence of int
        Its voxels along x, y and z.
    affine : array-like, shape (4, 4)
        From voxel indices to mm.
    grid : BrainGrid
        What it is held against.
    """
    resample = "Resample one to the other, with nilearn.image.resample_to_img, and look at the outcome."
    if tuple(shape) != tuple(grid.shape):
        raise ValueError(f"{name}: its voxels are {tuple(shape)}, those of the mask {tuple(grid.shape)}. {resample}")
    furthest = float(np.abs(np.asarray(affine, dtype=np.float64) - grid.affine).max())
    if not furthest <= AFFINE_TOLERANCE_MM:
        raise ValueError(
            f"{name}: its affine differs from that of the mask by up to {furthest:.4g} mm, so that equal indices are "
            f"different places. {resample}"
        )


def sample_coords(samples: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Turn a table of samples into coordinates.

    Parameters
    ----------
    samples : pandas.DataFrame
        A row a sample; its labels in the column ``sample`` or in the index. ``group``, ``time_index`` and all other
        columns travel along.

    Returns
    -------
    dict of str to ndarray
    """
    table = samples.set_index("sample") if "sample" in samples else samples
    found = {"sample": _plain(table.index), **{str(name): _plain(column) for name, column in table.items()}}
    twice = pd.Index(found["sample"])
    if not twice.is_unique:
        again = twice[twice.duplicated()].unique()
        raise ValueError(f"samples: {len(again)} labels occur more than once, first {again[:3].tolist()}.")
    return found


def split_runs(samples: pd.DataFrame, lengths: Mapping[str, int]) -> list[pd.DataFrame]:
    """Cut a table of samples into runs and refuse one that does not fit the files.

    Parameters
    ----------
    samples : pandas.DataFrame
        A row a sample, run after run.
    lengths : mapping of str to int
        Name of every file, and how many samples it has.

    Returns
    -------
    list of pandas.DataFrame
    """
    if len(samples) != sum(lengths.values()):
        raise ValueError(
            f"samples: the table has {len(samples)} rows, the files have {sum(lengths.values())} samples "
            f"({', '.join(f'{name}: {n}' for name, n in lengths.items())}); expected a row a sample, file after file."
        )
    ends = np.cumsum(list(lengths.values()))
    parts = [samples.iloc[end - n : end] for end, n in zip(ends, lengths.values(), strict=True)]
    if len(lengths) > 1 and "group" not in samples:
        raise ValueError(f"samples: {len(lengths)} files, but no column 'group' that says which run a row belongs to.")
    for name, part in zip(lengths, parts, strict=True):
        if len(lengths) > 1 and len(part["group"].unique()) != 1:
            raise ValueError(
                f"samples: the rows of {name} belong to the groups {part['group'].unique().tolist()[:4]}; expected one "
                "group a file. Are the files in the order of the table?"
            )
    return parts


def check_stored_type(name: str, dtype: np.dtype[Any]) -> None:
    """Refuse values that are no numbers, or numbers of three digits.

    Parameters
    ----------
    name : str
        What they are called in the message.
    dtype : numpy.dtype
        Their type.
    """
    if dtype.kind not in "fiub":
        raise TypeError(f"{name}: holds values of type {dtype}; expected real numbers.")
    if dtype == np.float16:
        raise TypeError(
            f"{name}: holds float16, which keeps three digits and overflows at 65,504; sums would be "
            "lost. Store the recording as float32."
        )


def as_float(values: NDArray[Any]) -> NDArray[np.floating[Any]]:
    """Keep float32 and float64; 16-bit and smaller whole numbers become float32, larger ones float64.

    Parameters
    ----------
    values : ndarray
        Real numbers.
    """
    if values.dtype in (np.float32, np.float64):
        return np.ascontiguousarray(values)
    return np.ascontiguousarray(values, dtype=np.float32 if values.dtype.itemsize <= 2 else np.float64)


def _check_coords(name: str, coords: Mapping[str, ArrayLike], axis: str, n: int) -> None:
    if axis not in coords:
        raise ValueError(f"{name}: has {sorted(coords)}; expected labels named {axis!r} among them.")
    for key, labels in coords.items():
        if np.shape(labels) != (n,):
            raise ValueError(f"{name}[{key!r}]: got shape {np.shape(labels)}; expected ({n},), one for each {axis}.")


def _is_compressed(proxy: Any) -> bool:
    return str(getattr(proxy, "file_like", "")).endswith((".gz", ".bz2", ".zst"))


def _plain(values: pd.Series | pd.Index) -> NDArray[Any]:
    array = np.asarray(values)
    return array.astype(str) if array.dtype == object and all(isinstance(v, str) for v in array) else array
