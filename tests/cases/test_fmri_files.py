"""Cases 10 to 14 and 16 to 20: BIDS sidecars, NaN in a mask, GIFTI, masks and images of other shapes."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn.maskers import NiftiMasker

from neuroling.data.bids import BidsFile, file_name, volume_table
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


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ('{"RepetitionTime": 0.002}', "RepetitionTime is 0.002; expected seconds, at least 0.02"),
        ('{"VolumeTiming": [0, 2000, 4000]}', "at least 2000 between volumes; expected seconds. It looks like milli"),
        ('{"VolumeTiming": [-2, 0, 2]}', r"gives -2 for volume 0 \(from 0\); expected increasing seconds from 0 on"),
        ('{"VolumeTiming": [0, 2, 2]}', r"gives 2 for volume 2 \(from 0\)"),
        ('{"VolumeTiming": [0, 2, Infinity]}', r"gives inf for volume 2 \(from 0\)"),
    ],
)
def test_times_of_volumes_that_cannot_be_are_refused(tmp_path, stated, message):
    path = tmp_path / "sub-01_task-x_bold.nii.gz"
    path.with_name("sub-01_task-x_bold.json").write_text(stated)
    with pytest.raises(ValueError, match=message):
        volume_table([BidsFile.parse(path)], [3])


@pytest.mark.parametrize("seconds", [2000, 0.002, float("inf"), 0])
def test_a_repetition_time_by_hand_is_named_as_the_argument(seconds):
    with pytest.raises(ValueError, match=f"^repetition_time_s: got {seconds}; expected seconds"):
        volume_table([BidsFile.parse("sub-01_task-x_bold.nii.gz")], [3], repetition_time_s=seconds)


def test_a_label_that_is_a_number_is_refused_with_a_sentence():
    with pytest.raises(TypeError, match=r"entities: \['run=1'\] are no str; expected labels as they are to be read"):
        file_name({"sub": "01", "run": 1}, "bold", ".nii.gz")


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


@pytest.mark.parametrize(
    ("space", "n_vertices"),
    [
        ("fsaverage5", 10),
        ("FSAVERAGE-5", 10),
        ("fsaverage_sym", 10242),
        ("fsLR", 10),
        ("32k_fs_LR", 10),
        ("fs_LR_32k", 59292),
        ("fsLR_den-32k", 10242),
        ("fs_LR-164k", 32492),
        ("fsaverage_den-10k", 2562),
        ("fsaverage_den-41k", 10242),
    ],
)
def test_a_mesh_has_the_vertices_of_its_name_however_that_is_spelled(tmp_path, space, n_vertices):
    with pytest.raises(ValueError, match=f"space: got '{space}' with {n_vertices} in the left hemisphere; expected"):
        read_gifti({"left": one_map(tmp_path / "a.func.gii", n_vertices)}, EIGHT[:1], space=space)


@pytest.mark.parametrize(
    ("space", "n_vertices"),
    [
        ("fs_LR_32k", 32492),
        ("32k_fs_LR", 32492),
        ("fsLR_den-164k", 163842),
        ("fsaverage 3", 642),
        ("fsnative", 10),
        ("fsaverage_den-10k", 10242),
    ],
)
def test_a_mesh_that_fits_its_name_is_read(tmp_path, space, n_vertices):
    found = read_gifti({"right": one_map(tmp_path / "a.func.gii", n_vertices)}, EIGHT[:1], space=space)
    assert found.sizes["vertex"] == n_vertices


def test_hemispheres_of_two_meshes_are_no_template(tmp_path):
    files = {side: one_map(tmp_path / f"{side}.func.gii", n) for side, n in (("left", 642), ("right", 2562))}
    with pytest.raises(ValueError, match=r"642 in the left hemisphere, 2562 in the right .* the same number in both"):
        read_gifti(files, EIGHT[:1], space="fsaverage")


def test_one_file_is_not_both_hemispheres():
    path = FILES / "17_gifti_2d_array" / "a.func.gii"
    with pytest.raises(ValueError, match=r"files: .* is given as the left hemisphere and as the right one"):
        read_gifti({"left": path, "right": str(path)}, EIGHT, space="tiny")


def one_map(path, n_vertices):
    values = np.arange(n_vertices, dtype=np.float32)
    array = nibabel.gifti.GiftiDataArray(values, intent="NIFTI_INTENT_NONE", datatype="NIFTI_TYPE_FLOAT32")
    nibabel.save(nibabel.gifti.GiftiImage(darrays=[array]), path)
    return path


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
