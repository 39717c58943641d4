"""Any nilearn masker as a way in and out: voxels, regions or vertices with their labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.data.sources import as_float, check_same_grid, grid_of_mask, sample_coords
from neuroling.data.surfaces import HEMISPHERES, on_surface


def masked(masker: Any, images: Any, samples: pd.DataFrame) -> xr.DataArray:
    """Take a recording out of images with a nilearn masker, and label it.

    Parameters
    ----------
    masker : nilearn masker
        ``NiftiMasker`` gives voxels, ``SurfaceMasker`` vertices; ``NiftiLabelsMasker``, ``NiftiMapsMasker`` and
        ``NiftiSpheresMasker`` give regions. It is fitted if it is not yet.
    images : image or path
        What ``masker.transform`` takes.
    samples : pandas.DataFrame
        A row a sample; see :func:`neuroling.data.sources.sample_coords`.

    Returns
    -------
    xarray.DataArray, dims (sample, voxel), (sample, region) or (sample, vertex)

    Raises
    ------
    ValueError
        If the affine of the images is not that of the masker's mask (maskers would resample in silence), or the table
        does not fit.
    """
    has_mask = getattr(masker, "mask_img", None) is not None
    fitted = masker if _is_fitted(masker) else masker.fit(None if has_mask else images)
    kind = type(fitted).__name__
    if kind in ("NiftiMasker", "MultiNiftiMasker"):
        grid = grid_of_mask(fitted.mask_img_)
        _refuse_other_grid(images, grid)
    values = as_float(np.atleast_2d(fitted.transform(images)))  # (sample, target)
    coords = sample_coords(samples)
    if len(values) != len(coords["sample"]):
        raise ValueError(f"samples: the table has {len(coords['sample'])} rows, the images have {len(values)} samples.")
    if kind in ("NiftiMasker", "MultiNiftiMasker"):
        return grid.recording(values, {name: ("sample", labels) for name, labels in coords.items()})
    if kind == "SurfaceMasker":
        return _vertices(fitted, values, coords)
    names = _region_names(fitted, values.shape[1])
    dims: dict[str, Any] = {name: ("sample", labels) for name, labels in coords.items()}
    return xr.DataArray(values, dims=("sample", "region"), coords={**dims, "region": names})


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


def _is_fitted(masker: Any) -> bool:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(masker)
    except NotFittedError:
        return False
    except TypeError as error:
        raise TypeError(f"masker: got {type(masker).__name__}; expected a masker of nilearn.") from error
    return True


def _refuse_other_grid(images: Any, grid: Any) -> None:
    from nilearn.image import load_img

    for image in images if isinstance(images, list | tuple) else [images]:
        loaded = load_img(image)
        check_same_grid("images", loaded.shape[:3], loaded.affine, grid)


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
