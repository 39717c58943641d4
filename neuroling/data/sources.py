"""Recordings that stay on disk, read a stretch of targets at a time: memory-mapped arrays, zarr arrays, NIfTI."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from neuroling.core.axes import check_axes
from neuroling.core.row_streams import TargetSource
from neuroling.data.bids import BidsFile
from neuroling.data.errors import CorruptData, DataNotFound, reading, require_file
from neuroling.data.fmri import BrainGrid
from neuroling.data.images import (
    SAME_PLACE_MM,
    corner_distance,
    file_of,
    one_volume,
    spatial_image,
    volumes_of,
    xform_codes,
)

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

logger = logging.getLogger(__name__)


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

    @property
    def labels(self) -> NDArray[Any]:
        """Labels of the samples."""
        return np.asarray(self.samples["sample"])

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
        where = str((self.attrs or {}).get("source", ""))
        with reading(where, "a complete array") if where else nullcontext():  # a damaged chunk shows when it is read
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
            raise ValueError(
                f"runs: they have {counts} targets; expected the same ones in every run. Use one mask, for example the "
                "voxels that all runs have in common; they are not intersected in silence."
            )

    @property
    def n_samples(self) -> int:
        """Number of samples of all runs."""
        return sum(run.n_samples for run in self.runs)

    @property
    def n_targets(self) -> int:
        """Number of targets."""
        return self.runs[0].n_targets

    @property
    def labels(self) -> NDArray[Any]:
        """Labels of the samples of all runs."""
        return np.concatenate([run.labels for run in self.runs])

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
        run_values = [run.read(targets) for run in self.runs]
        axis = run_values[0].dims[1]
        for number, values in enumerate(run_values):
            if values.dims[1] != axis or not values.indexes[axis].equals(run_values[0].indexes[axis]):
                common = len(values.indexes[axis].intersection(run_values[0].indexes[axis]))
                raise ValueError(
                    f"runs: run {number} labels the axis {axis!r} differently from run 0: of {values.sizes[axis]} and "
                    f"{run_values[0].sizes[axis]} {axis}s read, {common} are common; use one mask."
                )
        return xr.concat(
            run_values, "sample", coords="minimal", compat="override", combine_attrs="override", join="exact"
        )


@dataclass(frozen=True, eq=False)
class NiftiSource:
    """Voxels of a four-dimensional image that lie in a mask, read without holding the image in memory.

    An uncompressed file (``.nii``) is memory-mapped. A compressed one (``.nii.gz``) is read volume by volume, and whole
    for every stretch of voxels: uncompress it once where there are many.

    Attributes
    ----------
    image : nibabel image, shape (x, y, z, sample), (x, y, z, 1, sample) or (x, y, z, sample, 1)
        Loaded by :func:`neuroling.data.images.load_image`, which reads the header alone.
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
        object.__setattr__(self, "image", volumes_of(self.image, self.name))
        check_same_grid(self.name, self.image.shape[:3], self.image.affine, self.grid)
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

    @property
    def labels(self) -> NDArray[Any]:
        """Labels of the samples."""
        return np.asarray(self.samples["sample"])

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
        grid = replace(self.grid, voxels=self.grid.voxels[targets], xform_codes=xform_codes(self.image))
        voxel_indices = np.unravel_index(grid.voxels, grid.shape)
        coords = {name: ("sample", np.asarray(labels)) for name, labels in self.samples.items()}
        with reading(self.name, "a complete image"):
            values = self._values(voxel_indices)
        return grid.recording(values, coords)

    def _values(self, voxel_indices: tuple[NDArray[np.intp], ...]) -> NDArray[np.floating[Any]]:
        proxy: Any = self.image.dataobj
        stored = proxy.get_unscaled() if hasattr(proxy, "get_unscaled") and not _is_compressed(proxy) else None
        if stored is not None:  # a memory map: only the pages of these voxels are read
            values = as_float(np.asarray(stored[voxel_indices]).T)  # (sample, voxel)
            return as_float(values * proxy.slope + proxy.inter) if (proxy.slope, proxy.inter) != (1, 0) else values
        if not hasattr(proxy, "get_unscaled"):
            return as_float(np.asarray(proxy)[voxel_indices].T)
        volumes = (np.asarray(proxy[..., volume])[voxel_indices] for volume in range(self.n_samples))
        return as_float(np.stack(list(volumes)))


def open_npy(path: Path | str, samples: pd.DataFrame, *, axis: str = "voxel") -> ArraySource:
    """Open a matrix in numpy's own format without reading it.

    Parameters
    ----------
    path : path
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
    DataNotFound, CorruptData
        If the file is absent, incomplete or no array of numbers (pickled objects are never read).
    ValueError
        If it does not fit the table.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     np.save(Path(folder) / "recording.npy", np.zeros((2, 3)))
    ...     open_npy(Path(folder) / "recording.npy", pd.DataFrame({"sample": ["cat", "dog"]})).n_targets
    3
    """
    path = require_file(path, "an array saved by numpy.save")
    try:
        with reading(path, "an array saved by numpy.save"):
            values = np.lib.format.open_memmap(path, mode="r")
    except CorruptData as error:
        raise CorruptData(
            path, f"no array that can be memory-mapped ({error.__cause__})", "a complete one saved by numpy.save"
        ) from error
    return ArraySource(values, sample_coords(samples), axis=axis, attrs={"source": str(path.name)})


def open_zarr(path: Path | str, samples: pd.DataFrame, *, axis: str = "voxel") -> ArraySource:
    """Open a zarr array without reading it; needs the package ``zarr``.

    Missing chunks read as zeros, so an array whose writer was killed looks whole; such targets are constant, and are
    refused when they are reached.

    Parameters
    ----------
    path : path
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
    path = Path(path)
    if not path.exists():
        raise DataNotFound(f"{path}: not there; expected a folder that holds a zarr array.")
    with reading(path, "a zarr array"):
        stored = zarr.open(str(path), mode="r")
    if not isinstance(stored, zarr.Array):
        names = ", ".join(sorted(stored.array_keys())) or "none"
        raise ValueError(  # noqa: TRY004 - the file is wrong, not the type of an argument
            f"{path}: is a zarr group; expected an array. Its arrays are: {names}. Name one as PATH/NAME."
        )
    values: Any = stored
    return ArraySource(values, sample_coords(samples), axis=axis, attrs={"source": str(path.name)})


def open_nifti(
    paths: Path | str | Sequence[Path | str], samples: pd.DataFrame, *, mask: Path | str | SpatialImage
) -> TargetSource:
    """Open runs of volumes without holding them in memory; voxels are those of one mask.

    A compressed run is decompressed once to its end when it is opened, to compare its checksum.

    Parameters
    ----------
    paths : path or sequence of path
        One image per run, in the order of the table: (x, y, z, sample), perhaps with axes of length one besides.
    samples : pandas.DataFrame
        A row a volume; see :func:`sample_coords`. With several runs a column ``group`` says which rows belong to which.
    mask : path or nibabel image, shape (x, y, z) or (x, y, z, 1)
        Zero outside, one other value inside; see :func:`grid_of_mask`. Any nilearn masker has one:
        ``masker.mask_img_``.

    Returns
    -------
    TargetSource

    Raises
    ------
    DataNotFound, CorruptData
        If a file is absent, truncated or damaged.
    ValueError
        If shapes, affines or spaces of images and mask differ, the mask is not binary, or the table does not fit the
        images.

    Warns
    -----
    UserWarning
        If qform and sform of an image disagree, or neither is set.
    """
    files = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    if not files:
        raise ValueError("paths: got none; expected an image per run.")
    space = common_space([*files, mask])
    grid = grid_of_mask(mask, space=space)
    for path in files:
        if path.name.endswith(".gz"):
            logger.info("%s is compressed: every tile reads all of it. Uncompress it where there are many.", path)
    images = [volumes_of(spatial_image(path, "paths"), str(path)) for path in files]
    tables = split_runs(samples, {name: image.shape[3] for name, image in zip(_names(files), images, strict=True)})
    runs = [
        NiftiSource(image, grid, sample_coords(table), str(path))
        for path, image, table in zip(files, images, tables, strict=True)
    ]
    return runs[0] if len(runs) == 1 else RunsSource(runs)


def _names(files: Sequence[Path]) -> list[str]:
    """Call files by their names, or by their paths where two of them share a name."""
    names = [file.name for file in files]
    return names if len(set(names)) == len(names) else list(map(str, files))


def common_space(images: Iterable[object]) -> str:
    """Read off their BIDS names which space images are in; equal grids would not make them the same brain.

    Parameters
    ----------
    images : iterable
        Paths, or images, which are known by the file that they were opened from.

    Returns
    -------
    str
        Empty where no name says.

    Raises
    ------
    ValueError
        If two names say different spaces.

    Examples
    --------
    >>> common_space(["sub-01_space-T1w_bold.nii.gz", "mask.nii"])
    'T1w'
    """
    named = {_space_of(path): path for path in map(file_of, images) if path is not None and _space_of(path)}
    if len(named) > 1:
        told = ", ".join(f"{path.name} in {space}" for space, path in named.items())
        raise ValueError(f"images, mask: by their names they are in different spaces ({told}); expected one space.")
    return next(iter(named), "")


def _space_of(path: Path) -> str:
    try:
        return BidsFile.parse(path).entities.get("space", "")
    except ValueError:
        return ""


def grid_of_mask(mask: Path | str | SpatialImage, *, space: str = "") -> BrainGrid:
    """Take the voxels of a mask.

    Parameters
    ----------
    mask : path or nibabel image, shape (x, y, z) or (x, y, z, 1)
        Zero outside and one other value, above zero, inside.
    space : str
        Name of the coordinate space, where it is known.

    Returns
    -------
    BrainGrid

    Raises
    ------
    ValueError
        If the mask is not one volume, is empty, or is not binary: a label map, a probability map, or one with NaN or
        negative values.
    """
    name = f"mask {mask}" if isinstance(mask, str | Path) else "mask"
    image = spatial_image(mask, "mask")
    values = one_volume(image, name)
    inside = _inside(values, name)
    shape = (values.shape[0], values.shape[1], values.shape[2])
    affine = np.asarray(image.affine, dtype=np.float64)
    return BrainGrid(shape, affine, np.flatnonzero(inside), space or "unknown", xform_codes(image))


def _inside(values: NDArray[Any], name: str) -> NDArray[np.bool_]:
    """Say which voxels of a binary image are inside, and refuse one that is not binary."""
    n_wrong = int((~np.isfinite(values)).sum())
    if n_wrong:
        raise ValueError(
            f"{name}: {n_wrong} of {values.size} values are NaN or infinite, and whether they are inside cannot be "
            "told; expected zeros and ones. Set them to 0 if they are outside."
        )
    levels = np.unique(values)
    if (levels < 0).any():
        raise ValueError(
            f"{name}: {int((values < 0).sum())} values are negative, down to {levels[0]:g}; expected zeros and ones."
        )
    if not levels.any():
        raise ValueError(f"{name}: no voxel is above zero; expected a mask of the brain.")
    if len(levels[levels != 0]) > 1:
        shown = ", ".join(f"{level:g}" for level in levels[:4])
        kind = "a label map" if (levels == np.round(levels)).all() else "a map of probabilities or intensities"
        raise ValueError(
            f"{name}: holds {len(levels)} different values ({shown}, …), as {kind} does; expected zeros and ones. Say "
            "which voxels are meant, for example with nilearn.image.math_img('img == 3', img=…) or 'img > 0.5'."
        )
    return np.asarray(values != 0)


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
    grid_affine = np.asarray(affine, dtype=np.float64)
    resample = "Resample one to the other, with nilearn.image.resample_to_img, and look at the outcome."
    if tuple(shape) != tuple(grid.shape):
        raise ValueError(
            f"{name}: its voxels are {tuple(shape)}, those of the mask {tuple(grid.shape)}; they are "
            f"{_millimetres(grid_affine)} and {_millimetres(grid.affine)} mm large. {resample}"
        )
    furthest = corner_distance(grid_affine, grid.affine, grid.shape)
    if not furthest <= SAME_PLACE_MM:
        one, other = _directions(grid_affine), _directions(grid.affine)
        flipped = [axis for axis, here, there in zip("xyz", one, other, strict=True) if here != there]
        mirrored = f" The {' and '.join(flipped)} axes run otherwise ({one} and {other})." if flipped else ""
        raise ValueError(
            f"{name}: its affine differs from that of the mask by up to {furthest:.4g} mm at a corner, so that equal "
            f"indices are different places: {_rows(grid_affine)} and {_rows(grid.affine)}.{mirrored} {resample}"
        )


def _directions(affine: NDArray[np.float64]) -> str:
    from nibabel.orientations import aff2axcodes

    return "".join(map(str, aff2axcodes(affine)))  # type: ignore[no-untyped-call]  # nibabel states no types


def _millimetres(affine: NDArray[np.float64]) -> str:
    return " × ".join(f"{size:.3g}" for size in np.sqrt((affine[:3, :3] ** 2).sum(axis=0)))


def _rows(affine: NDArray[np.float64]) -> str:
    return str(affine[:3].round(3).tolist())


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
    coords = {"sample": _plain(table.index), **{str(name): _plain(column) for name, column in table.items()}}
    twice = pd.Index(coords["sample"])
    if not twice.is_unique:
        again = twice[twice.duplicated()].unique()
        raise ValueError(f"samples: {len(again)} labels occur more than once, first {again[:3].tolist()}.")
    return coords


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
            f"({', '.join(f'{name}: {n}' for name, n in lengths.items())}); expected one row per sample, file after "
            "file."
        )
    ends = np.cumsum(list(lengths.values()))
    run_samples = [samples.iloc[end - n : end] for end, n in zip(ends, lengths.values(), strict=True)]
    if len(lengths) > 1 and "group" not in samples:
        raise ValueError(f"samples: {len(lengths)} files, but no column 'group' that says which run a row belongs to.")
    for name, rows in zip(lengths, run_samples, strict=True):
        if len(lengths) > 1 and len(rows["group"].unique()) != 1:
            raise ValueError(
                f"samples: the rows of {name} belong to the groups {rows['group'].unique().tolist()[:4]}; expected one "
                "group a file. Are the files in the order of the table?"
            )
    return run_samples


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
            raise ValueError(
                f"{name}: the column {key!r} has shape {np.shape(labels)}; expected ({n},), one for each {axis}."
            )


def _is_compressed(proxy: Any) -> bool:
    return str(getattr(proxy, "file_like", "")).endswith((".gz", ".bz2", ".zst"))


def _plain(values: pd.Series | pd.Index) -> NDArray[Any]:
    array = np.asarray(values)
    return array.astype(str) if array.dtype == object and all(isinstance(v, str) for v in array) else array
