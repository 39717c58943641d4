"""Any nilearn masker as a way in and out: voxels, regions or vertices with their labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.notices import warn
from neuroling.data.fmri import BrainGrid
from neuroling.data.images import corner_distance, spatial_image, values_of, volumes_of, xform_codes
from neuroling.data.sources import as_float, check_same_grid, common_space, grid_of_mask, sample_coords, split_runs
from neuroling.data.surfaces import HEMISPHERES, on_surface

VOXEL_MASKERS = ("NiftiMasker", "MultiNiftiMasker")
"""Maskers that give a value a voxel."""

PLAIN = {
    "standardize": None,
    "standardize_confounds": False,
    "detrend": False,
    "high_variance_confounds": False,
    "smoothing_fwhm": None,
    "low_pass": None,
    "high_pass": None,
}
"""Options of a masker that only takes values out of an image and does nothing else to them."""


def masked(masker: Any, images: Any, samples: pd.DataFrame) -> xr.DataArray:
    """Take a recording out of images with a nilearn masker, and label it.

    Parameters
    ----------
    masker : nilearn masker
        ``NiftiMasker`` and ``MultiNiftiMasker`` give voxels, ``SurfaceMasker`` vertices; ``NiftiLabelsMasker``,
        ``NiftiMapsMasker`` and ``NiftiSpheresMasker`` give regions. It is fitted if it is not yet.
    images : image, path, or list of them
        What ``masker.transform`` takes: one image of all samples, a list of single volumes, or for the maskers called
        ``Multi…`` a list of runs. Axes of length one besides (x, y, z, sample) are dropped.
    samples : pandas.DataFrame
        A row a sample; see :func:`neuroling.data.sources.sample_coords`. With several runs a column ``group`` says
        which rows belong to which.

    Returns
    -------
    xarray.DataArray, dims (sample, voxel), (sample, region) or (sample, vertex)

    Raises
    ------
    DataNotFound, CorruptData
        If a file is absent, truncated or damaged.
    ValueError
        If the affine of the images is not that of the masker's mask (maskers would resample in silence), values inside
        the mask are NaN or infinite (maskers would set them to zero), the mask is not binary, or the table does not
        fit.

    Warns
    -----
    UserWarning
        If labels or maps are resampled to the images.
    """
    _check_is_masker(masker)
    runs = _opened(images)
    mask = getattr(masker, "mask_img", None)
    on_volumes = not hasattr(runs[0], "mesh")
    space = common_space([*_listed(images), *([] if mask is None else [mask])]) if on_volumes else ""
    grid = grid_of_mask(mask, space=space) if on_volumes and mask is not None else None
    fitted = masker if _is_fitted(masker) else masker.fit(None if mask is not None else _as_given(runs))
    kind = type(fitted).__name__
    if kind in VOXEL_MASKERS:
        grid = grid_of_mask(fitted.mask_img_, space=space)
    masked_runs = list(_transformed(fitted, runs, grid))
    names = [f"images[{number}]" for number in range(len(masked_runs))]
    split_runs(samples, {name: len(part) for name, part in zip(names, masked_runs, strict=True)})
    values, coords = np.concatenate(masked_runs), sample_coords(samples)
    if kind in VOXEL_MASKERS and grid is not None:
        labelled = BrainGrid(grid.shape, grid.affine, grid.voxels, grid.space, xform_codes(_first_volume(runs[0])))
        return labelled.recording(values, {name: ("sample", labels) for name, labels in coords.items()})
    if kind == "SurfaceMasker":
        return _vertices(fitted, values, coords)
    regions = _region_names(fitted, values.shape[1])
    dims: dict[str, Any] = {name: ("sample", labels) for name, labels in coords.items()}
    return xr.DataArray(values, dims=("sample", "region"), coords={**dims, "region": regions})


def unmasked(masker: Any, values: xr.DataArray) -> Any:
    """Put scores back where a nilearn masker took them from.

    Parameters
    ----------
    masker : nilearn masker
        The fitted masker that made the recording.
    values : xarray.DataArray, dims (voxel,), (region,) or (vertex,)
        All of its targets, in their order.

    Returns
    -------
    image
        What ``masker.inverse_transform`` gives: a volume, or a surface.
    """
    if values.ndim != 1:
        raise ValueError(f"values: got axes {values.dims}; expected one. Choose or average along the others.")
    return masker.inverse_transform(np.asarray(values.to_numpy(), dtype=np.float64))


def _check_is_masker(masker: Any) -> None:
    missing = [name for name in ("fit", "transform", "get_params") if not callable(getattr(masker, name, None))]
    if missing or isinstance(masker, type):
        got = f"the class {masker.__name__}" if isinstance(masker, type) else type(masker).__name__
        raise TypeError(f"masker: got {got}; expected a masker of nilearn.")


def _is_fitted(masker: Any) -> bool:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(masker)
    except NotFittedError:
        return False
    return True


def _listed(images: Any) -> list[Any]:
    """List what was passed, image by image; a path may have wildcards, as for nilearn."""
    if isinstance(images, list | tuple):
        return list(images)
    if isinstance(images, str | Path):
        path = Path(images).expanduser()
        if not path.exists() and set("*?[") & set(path.name):
            return sorted(path.parent.glob(path.name)) or [path]
        return [path]
    return [images]


def _opened(images: Any) -> list[Any]:
    """Open images run by run: a run is one image of volumes, a list of single volumes, or a surface image."""
    listed = _listed(images)
    if not listed:
        raise ValueError("images: got none; expected an image, or a list of them.")
    if any(hasattr(image, "mesh") for image in listed):  # surface images know their mesh
        return listed
    opened = [spatial_image(image, "images") for image in listed]
    if all(len(image.shape) == 3 for image in opened):
        return [opened if len(opened) > 1 else opened[0]]
    return [volumes_of(image, str(given)) for given, image in zip(listed, opened, strict=True)]


def _as_given(runs: list[Any]) -> Any:
    return runs[0] if len(runs) == 1 else runs


def _first_volume(run: Any) -> Any:
    return run[0] if isinstance(run, list) else run


def _transformed(fitted: Any, runs: list[Any], grid: BrainGrid | None) -> Iterator[NDArray[np.floating[Any]]]:
    """Take every run out of its images, shape (sample, target), once nothing in it would be changed in silence."""
    kind = type(fitted).__name__
    if len(runs) > 1 and not kind.startswith("Multi"):
        raise ValueError(
            f"images: got {len(runs)} runs for {kind}, which takes one; use Multi{kind}, or call masked run by run."
        )
    for number, run in enumerate(runs):
        name = "images" if len(runs) == 1 else f"images[{number}]"
        if hasattr(run, "mesh"):
            _refuse_unusable_vertices(name, fitted, run)
            source_run = run
        else:
            source_run = [
                _checked_volumes(name, fitted, image, grid) for image in (run if isinstance(run, list) else [run])
            ]
            source_run = source_run if isinstance(run, list) else source_run[0]
        yield as_float(np.atleast_2d(fitted.transform(source_run)))


def _checked_volumes(name: str, fitted: Any, image: Any, grid: BrainGrid | None) -> Any:
    """Read an image into memory and refuse what the masker would resample or set to zero."""
    if grid is not None:
        check_same_grid(name, image.shape[:3], image.affine, grid)
    _tell_of_resampling(name, fitted, image)
    values = values_of(image, name)
    unusable = ~np.isfinite(values)
    if unusable.any():
        _refuse_unusable_voxels(name, fitted, image, unusable)
        values = np.where(unusable, 0, values)  # outside what the masker reads
    return image.__class__(values, image.affine, image.header)


def _tell_of_resampling(name: str, fitted: Any, image: Any) -> None:
    for option in ("labels_img", "maps_img"):
        regions = getattr(fitted, option, None)
        if regions is None or hasattr(regions, "mesh") or getattr(fitted, "resampling_target", None) is None:
            continue
        atlas = spatial_image(regions, option)
        apart = atlas.shape[:3] != image.shape[:3] or corner_distance(atlas.affine, image.affine, image.shape) > 0.1
        if apart:
            warn(
                "resampled-atlas",
                option,
                f"its voxels {atlas.shape[:3]} are not those of {name}, {image.shape[:3]}; nilearn resamples to the "
                f"grid of resampling_target={fitted.resampling_target!r}. Look at the outcome, or resample beforehand "
                "and pass resampling_target=None.",
            )


def _refuse_unusable_voxels(name: str, fitted: Any, image: Any, unusable: NDArray[np.bool_]) -> None:
    """Refuse NaN and infinity among the values that the masker reads; outside they do no harm."""
    by_sample = unusable.reshape(*unusable.shape[:3], -1)
    if type(fitted).__name__ in VOXEL_MASKERS:
        read = np.asarray(fitted.mask_img_.dataobj) > 0
        among = by_sample[read]  # (voxel, sample)
        if not among.any():
            return
        where = np.argwhere(read)[among.any(axis=1)][:3].tolist()
        n_read, n_samples = int(among.sum()), int(among.any(axis=0).sum())
        told = f"{int(among.any(axis=1).sum())} voxels of the mask (first at indices {where})"
        raise ValueError(
            f"{name}: {n_read} of {among.size} values are NaN or infinite, in {told} and {n_samples} samples; nilearn "
            "would set them to 0. Leave these voxels out of the mask, or repair the images."
        )
    regions = _regions_reached(fitted, image, np.asarray(by_sample.any(axis=-1)))
    if len(regions):
        raise ValueError(
            f"{name}: values are NaN or infinite in {len(regions)} regions (first {regions[:3]}), in "
            f"{int(by_sample.any(axis=(0, 1, 2)).sum())} samples; nilearn would set them to 0. Leave these voxels out "
            "of the regions with mask_img, or repair the images."
        )


def _regions_reached(fitted: Any, image: Any, unusable: NDArray[np.bool_]) -> list[str]:
    """Name the regions that hold one of these voxels: what a masker reads off an image of zeros and ones."""
    from sklearn.base import clone

    options: dict[str, Any] = {name: value for name, value in PLAIN.items() if name in fitted.get_params()}
    if "strategy" in fitted.get_params():
        options["strategy"] = "maximum"
    plain = clone(fitted).set_params(**options)
    marked = image.__class__(unusable.astype(np.float32), image.affine)
    signals = np.atleast_2d(plain.fit().transform(marked))[0]
    reached = np.abs(signals) > np.finfo(np.float32).eps
    return [str(name) for name in _region_names(plain, len(signals))[reached]]


def _refuse_unusable_vertices(name: str, fitted: Any, image: Any) -> None:
    for side, values in image.data.parts.items():
        read = np.ones(len(values), dtype=bool)
        mask = getattr(fitted, "mask_img_", None)
        if mask is not None and side in mask.data.parts:
            read = np.asarray(mask.data.parts[side]).astype(bool).ravel()
        among = ~np.isfinite(np.asarray(values).reshape(len(values), -1)[read])
        if among.any():
            raise ValueError(
                f"{name}: {int(among.sum())} of {among.size} values of the {side} hemisphere are NaN or infinite, in "
                f"{int(among.any(axis=1).sum())} vertices; nilearn would set them to 0. Leave these vertices out with "
                "mask_img, or repair the images."
            )


def _vertices(masker: Any, values: np.ndarray, coords: dict[str, np.ndarray]) -> xr.DataArray:
    mask = masker.mask_img_.data.parts
    counts = {side: len(mask[side]) for side in HEMISPHERES if side in mask}
    inside = np.concatenate([np.asarray(mask[side]).astype(bool).ravel() for side in counts])
    whole = on_surface(np.zeros((len(values), len(inside))), coords, counts, space="of the masker")
    return whole.isel(vertex=np.flatnonzero(inside)).copy(data=values)


def _region_names(masker: Any, n_regions: int) -> np.ndarray:
    names = getattr(masker, "region_names_", None)
    if names:
        found = [str(names[key]) for key in sorted(names)]
        if len(found) == n_regions and len(set(found)) == n_regions:
            return np.array(found)
    return np.array([f"region {number + 1}" for number in range(n_regions)])
