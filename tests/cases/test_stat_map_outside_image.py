"""Case docs/stat_map_outside_image: a value is painted in the slice that holds it, and in no other."""

from __future__ import annotations

import io

import matplotlib.image
import nibabel
import numpy as np
import pytest

from neuroling.report.brain import stat_map

HEIGHTS = (-24, -10, 6, 9, 21)


def coloured_pixels(image: nibabel.Nifti1Image) -> list[int]:
    """Count coloured pixels slice by slice."""
    png = stat_map({"m": image}, unit="r", threshold=0.1, limit=0.5, cuts=HEIGHTS)
    picture = 255 * matplotlib.image.imread(io.BytesIO(png))[..., :3]
    slices = np.array_split(picture[: int(len(picture) * 0.68)], len(HEIGHTS), axis=1)
    return [int(((part[..., 0] - part[..., 2]) > 60).sum()) for part in slices]


@pytest.mark.parametrize("layer", [2, 3, 7])
def test_a_value_is_painted_at_its_own_height_alone(layer):
    affine = np.diag([3, 3, 3, 1.0])
    affine[:3, 3] = [-18, -60, 0]
    values = np.zeros((12, 12, 10), np.float32)
    values[:, :, layer] = 0.5
    painted = [count > 0 for count in coloured_pixels(nibabel.Nifti1Image(values, affine))]
    assert painted == [3 * layer == height for height in HEIGHTS]


def test_slices_that_all_miss_the_image_are_refused():
    affine = np.diag([3, 3, 3, 1.0])
    affine[:3, 3] = [-18, -60, 0]
    image = nibabel.Nifti1Image(np.ones((12, 12, 10), np.float32), affine)
    with pytest.raises(ValueError, match=r"cuts: got \[-24.0, 500.0\], and the images reach from -1.5 to 28.5 mm"):
        stat_map({"m": image}, unit="r", threshold=0.1, limit=0.5, cuts=(-24, 500))
