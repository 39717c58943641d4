"""Cases 10 to 14 and 16 to 20: BIDS sidecars, NaN in a mask, GIFTI, masks and images of other shapes."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn.maskers import NiftiMasker

from neuroling.data.bids import BidsFile, volume_table
from neuroling.data.maskers import masked
from neuroling.data.sources import grid_of_mask, open_nifti
from neuroling.data.surfaces import read_gifti

FILES = Path(__file__).parent / "files"
EIGHT = pd.DataFrame({"sample": [f"v{i}" for i in range(8)], "time_index": range(8)})


@pytest.mark.parametrize("case", ["10_bids_dir", "11_bids_cohort", "12_bids_rec", "13_bids_part", "14_bids_inherited"])
def test_the_onset_is_known_from_the_sidecar_that_applies(case):
    (path,) = (FILES / case).rglob("*_bold.nii.gz")
    table = volume_table([BidsFile.parse(path)], [3])
    assert table["onset"].tolist() == [0.0, 2.0, 4.0]


@pytest.mark.parametrize("case", ["10_bids_dir", "11_bids_cohort", "12_bids_rec", "13_bids_part"])
def test_the_sidecar_beside_a_file_is_found_under_its_own_name(case):
    (path,) = (FILES / case).rglob("*_bold.nii.gz")
    assert BidsFile.parse(path).beside(extension=".json").is_file()


def test_16_nan_inside_the_mask_is_refused_by_count():
    folder = FILES / "16_masker_nan"
    with pytest.raises(ValueError, match=r"images: \d+ of 216 values are NaN or infinite, in \d+ voxels of the mask"):
        masked(NiftiMasker(mask_img=folder / "mask.nii", standardize=None), folder / "img.nii", EIGHT)


def test_17_one_data_array_of_vertices_and_samples_is_read():
    path = FILES / "17_gifti_2d_array" / "a.func.gii"
    read = read_gifti({"left": path}, EIGHT, space="tiny")
    np.testing.assert_array_equal(read.to_numpy(), nibabel.load(path).darrays[0].data.T)


def test_18_the_hemisphere_of_the_arrays_counts():
    path = FILES / "18_gifti_hemisphere_in_array" / "a.func.gii"
    with pytest.raises(ValueError, match="says that it is CortexRight, but was given as the left hemisphere"):
        read_gifti({"left": path}, EIGHT, space="tiny")
    assert read_gifti({"right": path}, EIGHT, space="tiny").shape == (8, 12)


def test_19_a_mask_with_a_fourth_axis_of_length_one_is_a_mask():
    path = FILES / "19_mask_4d" / "mask.nii"
    expected = np.flatnonzero(np.asarray(nibabel.load(path).dataobj)[..., 0])
    np.testing.assert_array_equal(grid_of_mask(path).voxels, expected)


def test_20_an_image_with_a_fourth_axis_of_length_one_is_volumes_over_time():
    path, mask = FILES / "20_image_5d" / "img.nii", FILES / "16_masker_nan" / "mask.nii"
    inside = np.asarray(nibabel.load(mask).dataobj) > 0
    expected = np.asarray(nibabel.load(path).dataobj)[inside][:, 0].T  # (sample, voxel)
    source = open_nifti(path, EIGHT, mask=mask)
    np.testing.assert_array_equal(source.read(slice(0, source.n_targets)).to_numpy(), expected)
    np.testing.assert_array_equal(masked(NiftiMasker(mask_img=mask, standardize=None), path, EIGHT), expected)
