"""Images on disk, opened through one door: complete, undamaged, and with a position in space that can be trusted."""

from __future__ import annotations

import bz2
import gzip
import itertools
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroling.core.notices import warn
from neuroling.data.errors import CorruptData, reading, require_file

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

ARCHIVES = {".gz": gzip.open, ".mgz": gzip.open, ".bz2": bz2.open}
"""Compressed images by the end of their name; all of these formats carry a checksum behind the data."""

CHUNK = 2**22
"""Bytes decompressed at a time while a file is checked."""

SAME_PLACE_MM = 1e-2
"""Largest distance between the corners of two grids that are the same one. Headers are float32, and a rotation kept as
a quaternion is good to about 1e-5, which is 2e-3 mm at 20 cm from the origin."""

FORMS_DISAGREE_MM = 0.1
"""Distance between the corners by qform and by sform from which on a warning is due: a tenth of the smallest voxels in
use, and more than a qform loses by having no shear."""


def load_image(path: Path | str, what: str = "a complete image") -> Any:
    """Open an image with nibabel, after its file has been found complete and undamaged.

    A compressed file is decompressed once to its end: nibabel stops after the last voxel and so never compares the
    checksum that stands behind it, and a flipped bit would go unseen.

    Parameters
    ----------
    path : path
        NIfTI, GIFTI, CIFTI, MGH or another format of nibabel.
    what : str
        What is expected, for the message.

    Returns
    -------
    nibabel image
        Its values are read when they are asked for.

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent, ends early, fails its checksum or is no image.
    """
    import nibabel

    path = require_file(Path(path), what)
    n_bytes = _bytes_of(path, what)
    with reading(path, what):
        image: Any = nibabel.load(path)
    _check_promise(image, {path: n_bytes})
    return image


def checked_image(image: Any, name: str) -> Any:
    """Accept an image or the path of one, and look after the file behind either.

    Parameters
    ----------
    image : path or nibabel image
        What the caller passed.
    name : str
        Argument that it was passed as.

    Returns
    -------
    nibabel image

    Raises
    ------
    TypeError
        If it is neither.
    DataNotFound, CorruptData
        As :func:`load_image`.
    """
    if isinstance(image, str | Path):
        return load_image(image)
    if not hasattr(image, "dataobj"):
        raise TypeError(f"{name}: got {type(image).__name__}; expected an image of nibabel, or the path of one.")
    _check_promise(image, {})
    return image


def spatial_image(image_or_path: Any, name: str) -> SpatialImage:
    """Accept an image of voxels whose position in space can be trusted.

    Parameters
    ----------
    image_or_path : path or nibabel image
        Or a path of one.
    name : str
        Argument that it was passed as.

    Returns
    -------
    nibabel image

    Raises
    ------
    TypeError, ValueError
        If it is no image of voxels, or its affine maps different voxels to one place.

    Warns
    -----
    UserWarning
        If qform and sform disagree, or neither is set.
    """
    image = checked_image(image_or_path, name)
    called = str(image_or_path) if isinstance(image_or_path, str | Path) else name
    affine = getattr(image, "affine", None)
    if affine is None or not hasattr(image, "get_data_dtype"):
        raise ValueError(f"{called}: is {type(image).__name__}; expected an image of voxels, such as NAME.nii.gz.")
    _check_affine(called, np.asarray(affine, dtype=np.float64))
    _compare_forms(called, image)
    spatial: SpatialImage = image
    return spatial


def one_volume(image: SpatialImage, name: str) -> NDArray[Any]:
    """Read one volume; axes of length one behind the third are dropped.

    Parameters
    ----------
    image : nibabel image, shape (x, y, z) or (x, y, z, 1)
        A mask, for example.
    name : str
        What it is called in messages.

    Returns
    -------
    numpy.ndarray, shape (x, y, z)
    """
    shape = tuple(image.shape)
    if len(shape) < 3 or any(size != 1 for size in shape[3:]):
        raise ValueError(f"{name}: got shape {shape}; expected one volume, (x, y, z) or (x, y, z, 1).")
    return values_of(image, name).reshape(shape[:3])


def values_of(image: SpatialImage, name: str) -> NDArray[Any]:
    """Read all values of an image.

    Parameters
    ----------
    image : nibabel image
        Any shape.
    name : str
        What it is called in messages, where it has no file.

    Returns
    -------
    numpy.ndarray
    """
    with reading(file_of(image) or Path(name), "a complete image"):
        return np.asarray(image.dataobj)


def volumes_of(image: SpatialImage, name: str) -> SpatialImage:
    """View an image as volumes over time: (x, y, z, sample), whatever axes of length one it carries besides.

    Parameters
    ----------
    image : nibabel image, shape (x, y, z, sample), (x, y, z, 1, sample) or (x, y, z, sample, 1)
        Nothing is read.
    name : str
        What it is called in messages.

    Returns
    -------
    nibabel image, shape (x, y, z, sample)
    """
    shape = tuple(image.shape)
    long = [size for size in shape[3:] if size != 1]
    if len(shape) < 4 or len(long) > 1:
        single = " It is a single volume; put those of all samples into one image with nilearn.image.concat_imgs."
        hint = single if len(shape) == 3 else ""
        raise ValueError(f"{name}: got shape {shape}; expected four axes, (x, y, z, sample).{hint}")
    if len(shape) == 4:
        return image
    dataobj: Any = image.dataobj
    reshaped: SpatialImage = image.__class__(dataobj.reshape((*shape[:3], *(long or [1]))), image.affine, image.header)
    return reshaped


def xform_codes(image: SpatialImage) -> tuple[int, int]:
    """Give the codes of qform and sform that go with an image's affine.

    Parameters
    ----------
    image : nibabel image
        Formats without codes count as (0, 2), aligned to something else, as nibabel writes them.

    Returns
    -------
    tuple of int
        Codes of qform and sform. The qform's is 0 where it is not the affine that is used.
    """
    header: Any = image.header
    if not hasattr(header, "get_sform"):
        return 0, 2
    _, sform_code = header.get_sform(coded=True)
    qform, qform_code = header.get_qform(coded=True)
    agrees = qform is not None and corner_distance(qform, image.affine, image.shape) <= FORMS_DISAGREE_MM
    return (int(qform_code) if agrees else 0), int(sform_code)


def corner_distance(first: ArrayLike, other: ArrayLike, shape: Sequence[int]) -> float:
    """Measure how far apart two affines put the corners of a grid.

    Parameters
    ----------
    first, other : array-like, shape (4, 4)
        From voxel indices to mm.
    shape : sequence of int
        Voxels along x, y and z.

    Returns
    -------
    float
        Distance in mm of the corner that is furthest apart.

    Examples
    --------
    >>> shifted = np.eye(4)
    >>> shifted[0, 3] = 2
    >>> corner_distance(np.eye(4), shifted, (10, 10, 10))
    2.0
    """
    corners = np.array(list(itertools.product(*((0, size - 1) for size in shape[:3]), [1])), dtype=np.float64)
    apart = corners @ (np.asarray(first, dtype=np.float64) - np.asarray(other, dtype=np.float64)).T
    return float(np.sqrt((apart[:, :3] ** 2).sum(axis=1)).max())


def file_of(image: object) -> Path | None:
    """Say which file an image is read from.

    Parameters
    ----------
    image : path or nibabel image
        Or anything else, which has none.

    Returns
    -------
    pathlib.Path or None
    """
    name = image if isinstance(image, str | Path) else getattr(getattr(image, "dataobj", None), "file_like", None)
    return Path(name) if isinstance(name, str | Path) else None


def _bytes_of(path: Path, expected: str) -> int:
    """Count the bytes of a file; a compressed one is decompressed to its end, where the checksum stands."""
    opener: Any = ARCHIVES.get(path.suffix.lower())
    if opener is None:
        return path.stat().st_size
    n_bytes = 0
    with reading(path, expected), opener(path, "rb") as stream:
        try:
            while chunk := stream.read(CHUNK):
                n_bytes += len(chunk)
        except (EOFError, zlib.error, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            seen = f"its {path.stat().st_size} bytes do not decompress ({error}), {n_bytes} bytes at least came out"
            raise CorruptData(path, seen, f"{expected}; fetch or write it again") from error
    return n_bytes


def _check_promise(image: Any, counted: Mapping[Path, int]) -> None:
    """Refuse an image whose file holds fewer bytes than its header promises; one in memory passes."""
    from nibabel.arrayproxy import ArrayProxy

    proxy: Any = getattr(image, "dataobj", None)
    path = file_of(image)
    if path is None or not isinstance(proxy, ArrayProxy):
        return
    expected = "a complete image"
    n_bytes = counted[path] if path in counted else _bytes_of(require_file(path, expected), expected)
    with reading(path, expected):
        n_values = int(np.prod(proxy.shape, dtype=object))
        promised = int(proxy.offset) + n_values * int(np.dtype(proxy.dtype).itemsize)
    if min(proxy.shape, default=0) < 1 or n_bytes < promised:
        raise CorruptData(
            path,
            f"its header promises {promised} bytes for the shape {tuple(proxy.shape)}, and it holds {n_bytes}",
            f"{expected}; fetch or write it again",
        )


def _check_affine(name: str, affine: NDArray[np.float64]) -> None:
    size = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))  # edge of a voxel in mm
    flat = not np.isfinite(affine).all() or not size.all()
    if flat or abs(np.linalg.det(affine[:3, :3] / size)) < 1e-6:
        raise ValueError(
            f"{name}: its affine {affine[:3].round(3).tolist()} maps different voxels to the same place; expected one "
            "that says where every voxel lies. Set it from the image that this one was made of."
        )


def _compare_forms(name: str, image: Any) -> None:
    """Warn where the two descriptions of position in a NIfTI header are at odds, or are missing."""
    header = image.header
    if not hasattr(header, "get_sform"):
        return
    with reading(Path(name), "a NIfTI header"):
        qform, qform_code = header.get_qform(coded=True)
        sform, sform_code = header.get_sform(coded=True)
    if qform_code and sform_code:
        apart = corner_distance(qform, sform, image.shape)
        if not apart <= FORMS_DISAGREE_MM:
            warn(
                "position-ambiguous",
                name,
                f"qform and sform of the header disagree by up to {apart:.4g} mm at a corner; the sform is used, as "
                "nibabel does. Other programs may take the qform: make them one with set_qform or set_sform.",
            )
    elif not qform_code and not sform_code and file_of(image) is not None:
        warn(
            "position-ambiguous",
            name,
            "the header says neither by qform nor by sform where the voxels lie (both codes are 0); nibabel takes x to "
            "run from right to left and the origin to be the centre. Positions in mm are a guess.",
        )
