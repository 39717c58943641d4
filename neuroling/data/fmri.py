"""Brain volumes: the grid that voxels lie on, peaks put onto it, and maps written back as images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

MNI = "MNI152NLin2009aSym"
"""Name of the space of nilearn's shipped template (ICBM 2009a, nonlinear, symmetric), whose brain mask is used."""

ICBM_TO_TALAIRACH = np.array(
    [
        [0.9357, 0.0029, -0.0072, -1.0423],
        [-0.0065, 0.9396, -0.0726, -1.3940],
        [0.0103, 0.0752, 0.8967, 3.6475],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
"""MNI to Talairach, variant ``icbm_other`` (any software); Lancaster et al. 2007, Human Brain Mapping 28:1194-1205."""

XFORM_CODES = "xform_codes"
"""Attribute of recordings that holds the NIfTI codes of qform and sform."""

BATCH = 512
"""Samples smoothed at once; keeps the working copy of an 8 mm grid under 40 MB."""


@dataclass(frozen=True, eq=False)
class BrainGrid:
    """Voxels of a regular grid that lie in the brain.

    Attributes
    ----------
    shape : tuple of int
        Voxels along x, y and z.
    affine : numpy.ndarray, shape (4, 4)
        From voxel indices to millimetres.
    voxels : numpy.ndarray of int, shape (voxel,)
        Flat index (C order) of each voxel in the brain; the label of that voxel.
    space : str
        Name of the coordinate space.
    xform_codes : tuple of int, optional
        NIfTI codes of qform and sform of the image that the grid was taken from (1 scanner, 2 aligned to another image,
        3 Talairach, 4 MNI); by default those that the name of the space stands for.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    voxels: NDArray[np.intp]
    space: str = MNI
    xform_codes: tuple[int, int] | None = None

    @property
    def attrs(self) -> dict[str, Any]:
        """What :func:`to_image` needs, as attributes that any file format can hold."""
        codes = codes_of_space(self.space) if self.xform_codes is None else self.xform_codes
        return {
            "affine": self.affine.ravel().tolist(),
            "grid_shape": list(self.shape),
            "space": self.space,
            XFORM_CODES: list(codes),
        }

    @property
    def centres(self) -> NDArray[np.float64]:
        """Centre of every voxel in mm, shape (voxel, 3)."""
        indices = np.stack(np.unravel_index(self.voxels, self.shape), axis=1)
        return indices @ self.affine[:3, :3].T + self.affine[:3, 3]

    def locate(self, points: ArrayLike) -> NDArray[np.intp]:
        """Find the voxel that each point lies in.

        Parameters
        ----------
        points : array-like, shape (point, 3)
            Coordinates in mm.

        Returns
        -------
        numpy.ndarray of int, shape (point,)
            Flat index of the voxel, -1 for a point outside the brain.
        """
        inverse = np.linalg.inv(self.affine)
        indices = np.floor(np.asarray(points) @ inverse[:3, :3].T + inverse[:3, 3] + 0.5).astype(np.intp)
        within = ((indices >= 0) & (indices < self.shape)).all(axis=1)
        flat = np.full(len(indices), -1, dtype=np.intp)
        flat[within] = np.ravel_multi_index(tuple(indices[within].T), self.shape)
        return np.where(np.isin(flat, self.voxels), flat, -1)

    def recording(self, values: NDArray[Any], samples: dict[str, Any]) -> xr.DataArray:
        """Label values on this grid.

        Parameters
        ----------
        values : numpy.ndarray, shape (sample, voxel)
            One row a sample.
        samples : dict
            Coordinates along ``sample``.

        Returns
        -------
        xarray.DataArray, dims (sample, voxel)
            With voxel coordinates ``x``, ``y``, ``z`` in mm; the grid stands in the attributes of the array and of
            its coordinate ``voxel``.
        """
        x, y, z = self.centres.T
        coords = {**samples, "voxel": ("voxel", self.voxels, self.attrs)}
        coords |= {name: ("voxel", axis, {"units": "mm"}) for name, axis in (("x", x), ("y", y), ("z", z))}
        return xr.DataArray(values, dims=("sample", "voxel"), coords=coords, attrs=self.attrs)


def codes_of_space(space: str) -> tuple[int, int]:
    """Say which NIfTI codes of qform and sform a named space has.

    Parameters
    ----------
    space : str
        Such as ``"MNI152NLin2009cAsym"`` or ``"T1w"``.

    Returns
    -------
    tuple of int
        4 for MNI and 3 for Talairach space; else (0, 2), "aligned to another image", which claims nothing more.

    Examples
    --------
    >>> codes_of_space("MNI152NLin2009cAsym"), codes_of_space("T1w")
    ((4, 4), (0, 2))
    """
    for start, code in (("mni", 4), ("tal", 3)):
        if space.lower().startswith(start):
            return code, code
    return 0, 2


@lru_cache(maxsize=4)
def mni_grid(spacing_mm: float = 8.0, *, least_share: float = 0.01) -> BrainGrid:
    """Lay a regular grid over the MNI152 brain.

    The grid is symmetric about the midline and no voxel straddles it: centres lie at ``(k + 1/2) spacing``. A voxel
    belongs to the brain if at least ``least_share`` of its volume lies in nilearn's shipped MNI152 brain mask (1 mm);
    so low a share keeps peaks reported at the cortical surface.

    Parameters
    ----------
    spacing_mm : float
        Edge of a voxel in mm, a whole number of at least 2.
    least_share : float
        Least share of a voxel's volume inside the brain, above 0 and at most 1.

    Returns
    -------
    BrainGrid
        One empty voxel wide beyond the brain on every side.
    """
    if spacing_mm < 2 or spacing_mm != int(spacing_mm):
        raise ValueError(f"spacing_mm: got {spacing_mm}; expected a whole number of mm, at least 2.")
    if not 0 < least_share <= 1:
        raise ValueError(f"least_share: got {least_share}; expected a share above 0 and at most 1.")
    points = _brain_points()  # (point, 3), one a cubic mm
    boxes = np.floor(points / spacing_mm).astype(np.intp)
    low = boxes.min(axis=0) - 1
    shape = tuple(int(size) for size in boxes.max(axis=0) + 2 - low)
    volume = np.bincount(np.ravel_multi_index(tuple((boxes - low).T), shape), minlength=int(np.prod(shape)))
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = (low + 0.5) * spacing_mm
    return BrainGrid((shape[0], shape[1], shape[2]), affine, np.flatnonzero(volume >= least_share * spacing_mm**3))


def _brain_points() -> NDArray[np.float64]:
    """Give the centre in mm of every cubic millimetre of the MNI152 brain, shape (point, 3); nothing is downloaded."""
    from nilearn.datasets import load_mni152_brain_mask

    mask = load_mni152_brain_mask(resolution=1)
    indices = np.argwhere(np.asarray(mask.dataobj) > 0)
    return np.asarray(indices @ mask.affine[:3, :3].T + mask.affine[:3, 3], dtype=np.float64)


def tal_to_mni(points: ArrayLike) -> NDArray[np.float64]:
    """Convert Talairach coordinates to MNI space by the inverse of Lancaster's ``icbm_other`` transform.

    Parameters
    ----------
    points : array-like, shape (point, 3)
        Talairach coordinates in mm.

    Returns
    -------
    numpy.ndarray, shape (point, 3)
        MNI coordinates in mm.

    References
    ----------
    Lancaster et al. (2007) Bias between MNI and Talairach coordinates analyzed using the ICBM-152 brain template.
    Human Brain Mapping 28:1194-1205.

    Examples
    --------
    >>> tal_to_mni([[0.0, 0.0, 0.0]]).round(1).tolist()
    [[1.1, 1.2, -4.2]]
    """
    return _transformed(np.linalg.inv(ICBM_TO_TALAIRACH), points)


def mni_to_tal(points: ArrayLike) -> NDArray[np.float64]:
    """Convert MNI coordinates to Talairach space by Lancaster's ``icbm_other`` transform.

    Parameters
    ----------
    points : array-like, shape (point, 3)
        MNI coordinates in mm.

    Returns
    -------
    numpy.ndarray, shape (point, 3)
        Talairach coordinates in mm.
    """
    return _transformed(ICBM_TO_TALAIRACH, points)


def _transformed(matrix: NDArray[np.float64], points: ArrayLike) -> NDArray[np.float64]:
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"points: got shape {points.shape}; expected (n_points, 3), coordinates in mm.")
    moved: NDArray[np.float64] = points @ matrix[:3, :3].T + matrix[:3, 3]
    return moved


def smoothed_peaks(
    grid: BrainGrid, rows: NDArray[np.intp], voxels: NDArray[np.intp], n_rows: int, sigma_voxels: float
) -> NDArray[np.float32]:
    """Count peaks on a grid and smooth the counts with a Gaussian.

    Equal to ``scipy.ndimage.gaussian_filter(counts, sigma_voxels, mode="constant")`` sample by sample.

    Parameters
    ----------
    grid : BrainGrid
        Where the peaks lie.
    rows : numpy.ndarray of int, shape (peak,)
        Sample that each peak belongs to.
    voxels : numpy.ndarray of int, shape (peak,)
        Flat index of the voxel that it lies in.
    n_rows : int
        Number of samples.
    sigma_voxels : float
        Standard deviation of the Gaussian in voxels; 0 leaves the counts as they are.

    Returns
    -------
    numpy.ndarray, shape (sample, voxel), float32
    """
    if not 0 <= sigma_voxels < np.inf:
        raise ValueError(f"sigma_voxels: got {sigma_voxels}; expected a number of voxels, 0 or more.")
    maps = np.empty((n_rows, len(grid.voxels)), dtype=np.float32)
    kernels = [_gaussian_matrix(size, sigma_voxels) for size in grid.shape]
    n_grid = int(np.prod(grid.shape))
    for start in range(0, n_rows, BATCH):
        stop = min(start + BATCH, n_rows)
        ours = (rows >= start) & (rows < stop)
        flat = (rows[ours] - start) * n_grid + voxels[ours]
        counts = np.bincount(flat, minlength=(stop - start) * n_grid).astype(np.float32)
        volumes = _filtered(counts.reshape(-1, *grid.shape), kernels)
        maps[start:stop] = volumes.reshape(stop - start, n_grid)[:, grid.voxels]
    return maps


def _filtered(volumes: NDArray[np.float32], kernels: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Apply one matrix along each of the last three axes, shape (sample, x, y, z)."""
    for axis, kernel in enumerate(kernels, start=1):
        volumes = np.moveaxis(np.moveaxis(volumes, axis, -1) @ kernel.T, -1, axis)
    return volumes


def _gaussian_matrix(size: int, sigma: float) -> NDArray[np.float32]:
    """Build the matrix that convolves a line of voxels with a Gaussian cut at four standard deviations."""
    distance = np.arange(size)[:, np.newaxis] - np.arange(size)
    if sigma == 0:
        return np.eye(size, dtype=np.float32)
    radius = int(4 * sigma + 0.5)
    total = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2).sum()
    weights = np.exp(-0.5 * (distance / sigma) ** 2) / total
    return np.asarray(np.where(abs(distance) <= radius, weights, 0), dtype=np.float32)


def to_image(values: xr.DataArray, *, like: xr.DataArray | None = None, fill: float = 0.0) -> Nifti1Image:
    """Write values on voxels back as a brain image.

    Parameters
    ----------
    values : xarray.DataArray, dims (voxel,)
        One value a voxel, for example a score; voxels of the grid may be missing.
    like : xarray.DataArray, optional
        Recording whose attributes give the grid, if those of ``values`` were lost on the way.
    fill : float
        Value outside.

    Returns
    -------
    nibabel.Nifti1Image
        float32, in the space of the grid; its qform and sform codes are those of the images that the recording came
        from, so that a map in native space does not claim to be in MNI space.

    Raises
    ------
    ValueError
        If ``values`` is not one value a voxel, or no grid is known.
    """
    import nibabel

    if values.dims != ("voxel",):
        raise ValueError(f"values: got axes {values.dims}; expected ('voxel',). Choose or average along the others.")
    grid = _grid_of(values, like)
    volume = np.full(grid.shape, fill, dtype=np.float32)
    volume.reshape(-1)[np.asarray(values.coords["voxel"])] = values.values
    image: Any = nibabel.Nifti1Image(volume, grid.affine)  # type: ignore[no-untyped-call]  # nibabel states no types
    image.header.set_xyzt_units("mm")
    qform_code, sform_code = grid.xform_codes or codes_of_space(grid.space)
    image.set_sform(grid.affine, code=sform_code)
    image.set_qform(grid.affine, code=qform_code)
    written: Nifti1Image = image
    return written


def mask_image(recording: xr.DataArray) -> Nifti1Image:
    """Give the voxels of a recording as an image of ones and zeros.

    Parameters
    ----------
    recording : xarray.DataArray
        With an axis ``voxel`` whose grid is known.

    Returns
    -------
    nibabel.Nifti1Image
        float32, 1 at each voxel of the recording.
    """
    if "voxel" not in recording.dims:
        raise ValueError(f"recording: got axes {recording.dims}; expected 'voxel' among them.")
    ones = xr.DataArray(np.ones(recording.sizes["voxel"]), dims="voxel", coords={"voxel": recording.coords["voxel"]})
    return to_image(ones, like=recording)


def _grid_of(values: xr.DataArray, like: xr.DataArray | None) -> BrainGrid:
    sources = [values, *([] if like is None else [like])]
    for array in sources:
        for attrs in (array.coords["voxel"].attrs if "voxel" in array.coords else {}, array.attrs):
            if {"affine", "grid_shape"} <= set(attrs):
                x, y, z = (int(size) for size in attrs["grid_shape"])
                affine = np.asarray(attrs["affine"], dtype=np.float64).reshape(4, 4)
                codes = attrs.get(XFORM_CODES)
                return BrainGrid(
                    (x, y, z),
                    affine,
                    np.asarray(values.coords["voxel"]),
                    str(attrs.get("space", "unknown")),
                    None if codes is None else (int(codes[0]), int(codes[1])),
                )
    raise ValueError(
        "values: neither they nor their voxels say which grid they lie on (attributes 'affine' and 'grid_shape'); "
        "expected values from a recording with a grid. Pass it as like=."
    )
