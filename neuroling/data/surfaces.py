"""Cortical surfaces: GIFTI and CIFTI files in and out, matched by hemisphere and vertex."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.files import write_whole
from neuroling.data.errors import CorruptData, reading
from neuroling.data.images import load_image
from neuroling.data.sources import ArraySource, as_float, check_stored_type, sample_coords

if TYPE_CHECKING:
    from nibabel.cifti2.cifti2 import Cifti2Image

HEMISPHERES = ("left", "right")
"""Order in which hemispheres follow one another."""

CIFTI_STRUCTURES = {"left": "CIFTI_STRUCTURE_CORTEX_LEFT", "right": "CIFTI_STRUCTURE_CORTEX_RIGHT"}
"""Names of the cortex in CIFTI files."""

GIFTI_STRUCTURES = {"left": "CortexLeft", "right": "CortexRight"}
"""Names of the cortex in GIFTI files."""


HEMISPHERE_OF_NAME = re.compile(
    r"(?:^|_)hemi-(?P<bids>[LRlr])|(?:^|[._-])(?P<freesurfer>[lr])h(?=[._-])|\.(?P<workbench>[LR])(?=\.)"
)
"""How file names say their hemisphere: BIDS (``hemi-L``), FreeSurfer (``lh.``) and Connectome Workbench (``.L.``)."""

NOT_VALUES = {"NIFTI_INTENT_POINTSET": "a mesh", "NIFTI_INTENT_TRIANGLE": "a mesh", "NIFTI_INTENT_LABEL": "labels"}
"""Intents of GIFTI arrays that hold no values of a time series or map, and what they hold."""

MESH_SIZES: dict[str, tuple[int, ...]] = {
    "fsaverage3": (642,),
    "fsaverage4": (2562,),
    "fsaverage5": (10242,),
    "fsaverage6": (40962,),
    "fsaverage7": (163842,),
    "fsaverage": (642, 2562, 10242, 40962, 163842),
    "fsaverage10k": (10242,),
    "fsaverage41k": (40962,),
    "fsaverage164k": (163842,),
    "fsaveragesym": (163842,),
    "fslr": (32492, 59292, 163842, 4002, 7842),
    "fslr4k": (4002,),
    "fslr8k": (7842,),
    "fslr32k": (32492,),
    "fslr59k": (59292,),
    "fslr164k": (163842,),
}
"""Vertices per hemisphere of meshes that are known by name: icosahedra of FreeSurfer (10 · 4^k + 2), and fs_LR at 32,
59, 164, 4 and 8 thousand."""

DENSITY = re.compile(r"(?:den)?(\d+k)")
"""How names say the density of a mesh, in front or behind: ``32k_fs_LR``, ``fsLR_den-32k``, ``fsaverage_den-10k``."""


def read_gifti(files: Mapping[str, Path | str], samples: pd.DataFrame, *, space: str) -> xr.DataArray:
    """Read time series on surfaces, one file a hemisphere.

    Parameters
    ----------
    files : mapping of str to path
        ``{"left": …, "right": …}``, or one of them: GIFTI files with one data array per sample, or with a single array
        (vertex, sample), as FreeSurfer writes it.
    samples : pandas.DataFrame
        A row a sample; see :func:`neuroling.data.sources.sample_coords`.
    space : str
        Name of the mesh, such as ``"fsaverage5"``.

    Returns
    -------
    xarray.DataArray, dims (sample, vertex)
        Left before right. ``hemisphere`` and ``number`` (place within the hemisphere) stand beside the label of a
        vertex, which counts on from one hemisphere to the next.

    Raises
    ------
    ValueError
        If a file is no GIFTI file of time series, belongs to the other hemisphere by its content or its name, has
        another number of samples, or another number of vertices than the mesh named ``space`` has.
    """
    coords = sample_coords(samples)
    if len({Path(path).resolve() for path in files.values()}) < len(files):
        raise ValueError(
            f"files: {files['left']} is given as the left hemisphere and as the right one; expected a file for each. "
            "Name one hemisphere alone if there is no other."
        )
    values_of_side = {side: _gifti_values(side, Path(files[side]), len(coords["sample"])) for side in _ordered(files)}
    for side, values in values_of_side.items():
        if len(values) != len(coords["sample"]):
            raise ValueError(
                f"samples: the table has {len(coords['sample'])} rows, {files[side]} has {len(values)} data arrays or "
                "columns; expected one a row."
            )
    counts = {side: values.shape[1] for side, values in values_of_side.items()}
    return on_surface(np.concatenate(list(values_of_side.values()), axis=1), coords, counts, space=space)


def on_surface(
    values: NDArray[Any], samples: Mapping[str, NDArray[Any]], counts: Mapping[str, int], *, space: str
) -> xr.DataArray:
    """Label values of all vertices of one or both hemispheres.

    Parameters
    ----------
    values : ndarray, shape (sample, vertex)
        Left before right.
    samples : mapping of str to ndarray
        Coordinates along ``sample``.
    counts : mapping of str to int
        Vertices of each hemisphere.
    space : str
        Name of the mesh.

    Returns
    -------
    xarray.DataArray, dims (sample, vertex)

    Examples
    --------
    >>> both = on_surface(np.zeros((1, 5)), {"sample": np.array(["a"])}, {"left": 2, "right": 3}, space="tiny")
    >>> both.hemisphere.values.tolist(), both.number.values.tolist()
    (['left', 'left', 'right', 'right', 'right'], [0, 1, 0, 1, 2])
    """
    sides = _ordered(counts)
    _check_mesh(space, counts)
    attrs = {"space": space, **{f"n_{side}": int(counts[side]) for side in sides}}
    coords: dict[str, Any] = {name: ("sample", labels) for name, labels in samples.items()}
    coords["vertex"] = ("vertex", np.arange(sum(counts.values())), attrs)
    coords["hemisphere"] = ("vertex", np.repeat(sides, [counts[side] for side in sides]))
    coords["number"] = ("vertex", np.concatenate([np.arange(counts[side]) for side in sides]))
    return xr.DataArray(values, dims=("sample", "vertex"), coords=coords, attrs=attrs)


def write_gifti(values: xr.DataArray, folder: Path | str, name: str) -> list[Path]:
    """Write maps on a surface as GIFTI files, one a hemisphere.

    Parameters
    ----------
    values : xarray.DataArray, dims (vertex,) or (sample, vertex)
        A map, such as scores, or several; vertices of the mesh may be missing and become NaN.
    folder : path
        Where to write.
    name : str
        Files are called ``NAME_hemi-L.func.gii`` and ``NAME_hemi-R.func.gii``.

    Returns
    -------
    list of pathlib.Path
    """
    from nibabel.gifti.gifti import GiftiDataArray, GiftiImage, GiftiMetaData

    counts = mesh_of(values)
    rows = np.atleast_2d(values.transpose(..., "vertex").to_numpy())
    paths = []
    for side, n_vertices in counts.items():
        ours = np.asarray(values.hemisphere) == side
        surface_values = np.full((len(rows), n_vertices), np.nan, dtype=np.float32)
        surface_values[:, np.asarray(values.number)[ours]] = rows[:, ours]
        meta: Any = GiftiMetaData(AnatomicalStructurePrimary=GIFTI_STRUCTURES[side])  # type: ignore[no-untyped-call]
        arrays = [
            GiftiDataArray(row, intent="NIFTI_INTENT_NONE", datatype="NIFTI_TYPE_FLOAT32")  # type: ignore[no-untyped-call]
            for row in surface_values
        ]
        image: Any = GiftiImage(darrays=arrays, meta=meta)  # type: ignore[no-untyped-call]
        path = Path(folder) / f"{name}_hemi-{side[0].upper()}.func.gii"
        write_whole(path, image.to_bytes())
        paths.append(path)
    return paths


def mesh_of(values: xr.DataArray) -> dict[str, int]:
    """Say how many vertices each hemisphere of a mesh has.

    Parameters
    ----------
    values : xarray.DataArray
        With an axis ``vertex`` that knows its mesh.

    Returns
    -------
    dict of str to int
    """
    if "vertex" not in values.dims or not {"hemisphere", "number"} <= set(values.coords):
        raise ValueError(
            f"values: got axes {values.dims} with coordinates {sorted(map(str, values.coords))}; expected an axis "
            "'vertex' with 'hemisphere' and 'number', as read_gifti gives it."
        )
    attrs = {**values.attrs, **values.coords["vertex"].attrs}
    counts = {side: int(attrs[f"n_{side}"]) for side in HEMISPHERES if f"n_{side}" in attrs}
    if not counts:
        raise ValueError("values: their vertices do not say of which mesh they are (attributes 'n_left', 'n_right').")
    return counts


def open_cifti(path: Path | str, samples: pd.DataFrame) -> ArraySource:
    """Open a dense CIFTI time series without reading it.

    Parameters
    ----------
    path : path
        ``.dtseries.nii`` or ``.dscalar.nii``: (sample, grayordinate).
    samples : pandas.DataFrame
        A row a sample; see :func:`neuroling.data.sources.sample_coords`.

    Returns
    -------
    ArraySource
        Along the axis ``vertex``: vertices of the cortex (``hemisphere`` left or right, ``number`` within its mesh) and
        voxels of other structures (``hemisphere`` empty, ``number`` -1); ``structure`` names all of them.

    Raises
    ------
    ValueError
        If the file is no dense CIFTI file of samples: labels (dlabel) and connections (dconn) are refused.
    """
    path = Path(path)
    image = _cifti(path)
    brain = _brain_axis(path, image)
    _check_rows(path, image)
    sides = {structure: side for side, structure in CIFTI_STRUCTURES.items()}
    with reading(path, "a dense CIFTI file"):  # axes parse their indices when they are asked for them
        structure = np.asarray(brain.name, dtype=str)
        number = np.where(brain.volume_mask, -1, brain.vertex).astype(np.int64)
        counts = {
            f"n_{side}": int(brain.nvertices[name])
            for side, name in CIFTI_STRUCTURES.items()
            if name in brain.nvertices
        }
    hemisphere = np.array([sides.get(name, "") for name in structure.tolist()])
    for side in HEMISPHERES:
        beyond = number[hemisphere == side].max(initial=-1)
        if beyond >= counts.get(f"n_{side}", np.inf):
            raise CorruptData(
                path, f"vertex {beyond} of the {side} cortex", f"vertices below {counts[f'n_{side}']}, as it states"
            )
    targets = {
        "vertex": np.arange(len(brain)),
        "structure": structure,
        "hemisphere": hemisphere,
        "number": number,
    }
    attrs = {"space": f"CIFTI, {', '.join(f'{key} {count}' for key, count in counts.items())}", **counts}
    values: Any = image.dataobj
    return ArraySource(values, sample_coords(samples), targets, axis="vertex", attrs=attrs)


def write_cifti(values: xr.DataArray, path: Path | str, *, like: Path | str, name: str = "score") -> Path:
    """Write a map as a dense scalar CIFTI file with the grayordinates of another.

    Parameters
    ----------
    values : xarray.DataArray, dims (vertex,)
        One value a grayordinate, labelled as :func:`open_cifti` labels them; missing ones become NaN.
    path : path
        ``.dscalar.nii``.
    like : path
        CIFTI file that the grayordinates come from.
    name : str
        Name of the map.

    Returns
    -------
    pathlib.Path
    """
    from nibabel.cifti2.cifti2 import Cifti2Image
    from nibabel.cifti2.cifti2_axes import ScalarAxis

    if values.dims != ("vertex",):
        raise ValueError(f"values: got axes {values.dims}; expected ('vertex',). Choose or average along the others.")
    path, like = Path(path), Path(like)
    brain = _brain_axis(like, _cifti(like))
    labels = np.asarray(values.coords["vertex"])
    if labels.max(initial=-1) >= len(brain) or labels.min(initial=0) < 0:
        raise ValueError(
            f"values: labels reach {labels.max()}; {like} has {len(brain)} grayordinates. Is it the same file?"
        )
    whole = np.full((1, len(brain)), np.nan, dtype=np.float32)
    whole[0, labels] = values.to_numpy()
    image: Any = Cifti2Image(whole, (ScalarAxis([name]), brain))  # type: ignore[no-untyped-call]
    image.update_headers()
    write_whole(path, image.to_bytes())
    return path


def surface_parts(values: xr.DataArray) -> dict[str, NDArray[np.float64]]:
    """Lay values out on whole hemispheres, as pictures want them.

    Parameters
    ----------
    values : xarray.DataArray, dims (vertex,)
        One value a vertex, for example a score.

    Returns
    -------
    dict of str to ndarray, shape (vertex of the hemisphere,)
        NaN where there is no value.
    """
    if values.dims != ("vertex",):
        raise ValueError(f"values: got axes {values.dims}; expected ('vertex',). Choose or average along the others.")
    surface_arrays = {}
    for side, n_vertices in mesh_of(values).items():
        ours = np.asarray(values.hemisphere) == side
        whole = np.full(n_vertices, np.nan)
        whole[np.asarray(values.number)[ours]] = values.to_numpy()[ours]
        surface_arrays[side] = whole
    return surface_arrays


def _ordered(sides: Mapping[str, object]) -> list[str]:
    unknown = sorted(set(sides) - set(HEMISPHERES))
    if unknown or not sides:
        raise ValueError(f"hemispheres: got {sorted(sides)}; expected 'left', 'right' or both.")
    return [side for side in HEMISPHERES if side in sides]


def _check_mesh(space: str, counts: Mapping[str, int]) -> None:
    """Refuse a number of vertices that the named mesh does not have."""
    plain = re.sub(r"[\W_]", "", space.lower())  # FreeSurfer and Workbench spell names in several ways
    density = DENSITY.search(plain)
    sizes = MESH_SIZES.get(DENSITY.sub("", plain) + density[1] if density else plain)
    if sizes is None:
        return
    wrong = {side: n for side, n in counts.items() if n not in sizes}
    if not wrong and len(set(counts.values())) > 1:
        wrong = dict(counts)
    if wrong:
        told = ", ".join(f"{n} in the {side} hemisphere" for side, n in wrong.items())
        raise ValueError(
            f"space: got {space!r} with {told}; expected {' or '.join(map(str, sizes))} vertices per hemisphere, "
            "the same number in both. Are the files on another mesh?"
        )


def _gifti_values(side: str, path: Path, n_samples: int) -> NDArray[np.floating[Any]]:
    """Read the values of one hemisphere, shape (sample, vertex)."""
    from nibabel.gifti.gifti import GiftiImage

    try:
        image = load_image(path, "a GIFTI file, such as NAME.func.gii")
    except CorruptData as error:
        raise CorruptData(path, f"no GIFTI file ({error})", "a complete one, such as NAME.func.gii") from error
    if not isinstance(image, GiftiImage):
        raise ValueError(f"{path}: is {type(image).__name__}; expected a GIFTI file, such as NAME.func.gii.")  # noqa: TRY004
    _check_hemisphere(side, path, image)
    arrays = [_flat(array.data) for array in image.darrays]
    shapes = sorted({array.shape for array in arrays})
    held = sorted({NOT_VALUES[intent] for array in image.darrays if (intent := _intent(array)) in NOT_VALUES})
    if held:
        raise ValueError(
            f"{path}: holds {' and '.join(held)} with {shapes[:3]}; expected values. A mesh has no values."
        )
    if len(arrays) == 1 and arrays[0].ndim == 2:  # (vertex, sample), as FreeSurfer writes a time series
        _check_orientation(path, arrays[0].shape, n_samples)
        arrays = list(arrays[0].T)
    if not arrays or any(array.ndim != 1 or array.shape != arrays[0].shape for array in arrays):
        raise ValueError(
            f"{path}: its {len(arrays)} data arrays have shapes {shapes[:3]}; expected one a sample, of one value a "
            "vertex, or a single one of (vertex, sample). A mesh has no values."
        )
    check_stored_type(str(path), arrays[0].dtype)
    return as_float(np.stack(arrays))


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    """Drop axes of length one behind the first."""
    return values.reshape([len(values), *(size for size in values.shape[1:] if size != 1)])


def _intent(array: Any) -> str:
    from nibabel.nifti1 import intent_codes

    return str(intent_codes.niistring[array.intent])


def _check_orientation(path: Path, shape: tuple[int, ...], n_samples: int) -> None:
    if shape[1] != n_samples and shape[0] == n_samples:
        raise ValueError(
            f"{path}: its data array has shape {shape}, and the table has {n_samples} rows: it looks like (sample, "
            "vertex); expected (vertex, sample), as GIFTI asks for. Write it transposed."
        )


def _check_hemisphere(side: str, path: Path, image: Any) -> None:
    """Refuse a file of the other hemisphere, by what stands in it, in its arrays, or in its name."""
    stated = {
        str(meta["AnatomicalStructurePrimary"])
        for meta in (image.meta, *(array.meta for array in image.darrays))
        if meta.get("AnatomicalStructurePrimary", "")
    }
    sides = {text: _side_of(text) for text in stated}
    if len(set(sides.values())) > 1:
        raise CorruptData(path, f"its arrays say that they are {', '.join(sorted(stated))}", "one hemisphere a file")
    other = [text for text, found in sides.items() if found != side]
    if other:
        raise ValueError(f"{path}: says that it is {other[0]}, but was given as the {side} hemisphere.")
    name = HEMISPHERE_OF_NAME.search(path.name)
    letter = next(filter(None, name.groups())) if name else side[0]
    if letter.lower() != side[0]:
        raise ValueError(
            f"{path}: by its name ({letter}) it is the other hemisphere, but was given as the {side} one. Rename it if "
            "the name is wrong."
        )


def _side_of(structure: str) -> str:
    """Read a hemisphere off the name of a structure: CortexLeft, CORTEX_LEFT, CIFTI_STRUCTURE_CORTEX_LEFT."""
    found = [side for side in HEMISPHERES if side in structure.lower()]
    return found[0] if len(found) == 1 else structure


def _cifti(path: Path) -> Cifti2Image:
    from nibabel.cifti2.cifti2 import Cifti2Image

    image: Any = load_image(path, "a dense CIFTI file, such as NAME.dtseries.nii")
    if not isinstance(image, Cifti2Image):
        raise ValueError(f"{path}: is {type(image).__name__}; expected a dense CIFTI file, such as NAME.dtseries.nii.")  # noqa: TRY004
    return image


def _brain_axis(path: Path, image: Cifti2Image) -> Any:
    from nibabel.cifti2.cifti2_axes import BrainModelAxis

    header: Any = image.header
    with reading(path, "a dense CIFTI file"):
        axes = [header.get_axis(number) for number in range(image.ndim)]
    if len(axes) != 2 or not isinstance(axes[1], BrainModelAxis):
        kinds = " × ".join(type(axis).__name__ for axis in axes)
        raise ValueError(f"{path}: its axes are {kinds}; expected samples × grayordinates (a dense file).")
    return axes[1]


def _check_rows(path: Path, image: Cifti2Image) -> None:
    """Refuse rows that are no samples."""
    from nibabel.cifti2.cifti2_axes import ScalarAxis, SeriesAxis

    header: Any = image.header
    with reading(path, "a dense CIFTI file"):
        rows = header.get_axis(0)
    kind = type(rows)
    if not issubclass(kind, SeriesAxis | ScalarAxis):
        kinds = {"LabelAxis": "labels, as a dlabel file has", "BrainModelAxis": "connections, as a dconn file has"}
        held = kinds.get(kind.__name__, kind.__name__)
        raise ValueError(  # noqa: TRY004 - the file is wrong, not the type of an argument
            f"{path}: its rows are {held}; expected samples, as in NAME.dtseries.nii, or maps, as in NAME.dscalar.nii."
        )
