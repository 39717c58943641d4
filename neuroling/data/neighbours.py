"""Which voxels or vertices of a recording are neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import sparse

from neuroling.data.images import load_image
from neuroling.data.surfaces import mesh_of
from neuroling.numerics.statistics.clusters import mesh_adjacency, volume_adjacency


def neighbours_in_volume(
    values: xr.DataArray, touching: Literal["faces", "edges", "corners"] = "faces"
) -> sparse.csr_array:
    """Say which voxels are neighbours.

    Parameters
    ----------
    values : xarray.DataArray
        With an axis ``voxel`` whose grid is known, such as scores or a recording.
    touching : {"faces", "edges", "corners"}
        What neighbours share at least: 6, 18 or 26 of them.

    Returns
    -------
    scipy.sparse.csr_array, shape (voxel, voxel)
        In the order of the voxels.
    """
    if "voxel" not in values.dims:
        raise ValueError(f"values: got axes {values.dims}; expected 'voxel' among them.")
    attrs = {**values.attrs, **values.coords["voxel"].attrs}
    if "grid_shape" not in attrs:
        raise ValueError("values: neither they nor their voxels say which grid they lie on (attribute 'grid_shape').")
    x, y, z = (int(size) for size in attrs["grid_shape"])
    return volume_adjacency((x, y, z), np.asarray(values.coords["voxel"]), touching)


def neighbours_on_surface(
    values: xr.DataArray, meshes: Mapping[str, Path | NDArray[Any]] | None = None
) -> sparse.csr_array:
    """Say which vertices are neighbours: those that an edge of the mesh joins.

    Parameters
    ----------
    values : xarray.DataArray
        With an axis ``vertex`` that knows its mesh, such as scores or a recording.
    meshes : mapping of str to pathlib.Path or ndarray, optional
        For ``"left"`` and ``"right"`` a mesh (``.surf.gii``) or its triangles (face, 3). Without one the mesh is looked
        up by the name of the space; ``"fsaverage5"`` needs no download.

    Returns
    -------
    scipy.sparse.csr_array, shape (vertex, vertex)
        In the order of the vertices; hemispheres do not touch, and voxels of a CIFTI file have no neighbours here.
    """
    counts = mesh_of(values)
    mesh_of_side = meshes or _named(str({**values.attrs, **values.coords["vertex"].attrs}.get("space", "")))
    absent = sorted(set(counts) - set(mesh_of_side))
    if absent:
        raise ValueError(f"meshes: got {sorted(mesh_of_side)}; the values have vertices of {absent} as well.")
    adjacency = sparse.block_diag(
        [mesh_adjacency(_faces(mesh_of_side[side]), n) for side, n in counts.items()], format="csr"
    )
    starts = dict(zip(counts, np.cumsum([0, *counts.values()]), strict=False))
    hemisphere, number = np.asarray(values.hemisphere), np.asarray(values.number)
    on_mesh = np.isin(hemisphere, list(counts))
    places = np.array([starts[side] for side in hemisphere[on_mesh].tolist()], dtype=np.intp) + number[on_mesh]
    selected = sparse.csr_array(adjacency)[places][:, places].tocoo()
    rows = np.flatnonzero(on_mesh)
    shape = (len(hemisphere), len(hemisphere))
    return sparse.csr_array((selected.data, (rows[selected.row], rows[selected.col])), shape=shape)


def _named(space: str) -> dict[str, NDArray[Any]]:
    if space != "fsaverage5":
        raise ValueError(
            f"meshes: none given, and that of the space {space!r} is not shipped; expected .surf.gii files."
        )
    from nilearn.datasets import load_fsaverage

    mesh = load_fsaverage("fsaverage5")["pial"]
    return {side: np.asarray(part.faces) for side, part in mesh.parts.items()}


def _faces(mesh: Path | NDArray[Any]) -> NDArray[Any]:
    if isinstance(mesh, np.ndarray):
        return mesh
    image: Any = load_image(mesh, "a mesh, such as NAME.surf.gii")
    triangles = image.agg_data("triangle") if hasattr(image, "agg_data") else ()
    if not isinstance(triangles, np.ndarray) or triangles.ndim != 2:
        raise ValueError(f"{mesh}: has no triangles; expected a mesh, such as NAME.surf.gii.")
    return np.asarray(triangles)
