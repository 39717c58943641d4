"""Sources give the labelled values that lie on disk, whatever the format, and refuse what does not fit."""

from __future__ import annotations

import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuroling.data.sources import (
    ArraySource,
    NiftiSource,
    RunsSource,
    grid_of_mask,
    open_nifti,
    open_npy,
    open_zarr,
    sample_coords,
)

SHAPE = (4, 5, 3)


def table(n, runs=1):
    groups = np.repeat([f"run-{i + 1}" for i in range(runs)], n // runs)
    time = np.tile(np.arange(n // runs), runs)
    return pd.DataFrame({"sample": [f"{g}:{t}" for g, t in zip(groups, time, strict=True)], "group": groups}).assign(
        time_index=time
    )


def volumes(n=6, seed=0, dtype=np.float32):
    return (100 * np.random.default_rng(seed).standard_normal((*SHAPE, n))).astype(dtype)


def mask():
    inside = np.zeros(SHAPE, dtype=np.uint8)
    inside[1:3, 1:4] = 1
    return nibabel.Nifti1Image(inside, affine())


def affine():
    return np.array([[3.0, 0, 0, -6], [0, 3.0, 0, -8], [0, 0, 3.0, -3], [0, 0, 0, 1]])


def saved(path, values, at=None, **header):
    image = nibabel.Nifti1Image(values, affine() if at is None else at)
    if header:
        image.header.set_data_dtype(np.int16)
        image.header.set_slope_inter(**header)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_a_nifti_gives_the_voxels_of_the_mask(tmp_path, ending):
    values = volumes()
    source = open_nifti([saved(tmp_path / f"run.{ending}", values)], table(6), mask=mask())
    inside = np.asarray(mask().dataobj) > 0
    np.testing.assert_array_equal(source.read(slice(2, 7)).values, values[inside].T[:, 2:7])


def test_a_nifti_says_where_its_voxels_lie(tmp_path):
    read = open_nifti([saved(tmp_path / "run.nii", volumes())], table(6), mask=mask()).read(slice(0, 1))
    assert [float(read[axis][0]) for axis in "xyz"] == [-3.0, -5.0, -3.0]


def test_scaled_integers_are_scaled(tmp_path):
    path = saved(tmp_path / "run.nii", volumes(), slope=0.25, inter=7.0)
    source = open_nifti([path], table(6), mask=mask())
    inside = np.asarray(mask().dataobj) > 0
    np.testing.assert_allclose(source.read(slice(0, 18)).values, nibabel.load(path).get_fdata()[inside].T, rtol=1e-6)


def test_runs_follow_one_another_with_their_labels(tmp_path):
    paths = [saved(tmp_path / f"run-{i}.nii", volumes(seed=i)) for i in (1, 2)]
    source = open_nifti(paths, table(12, runs=2), mask=mask())
    assert source.read(slice(0, 3)).group.to_numpy().tolist() == ["run-1"] * 6 + ["run-2"] * 6


def test_a_whole_nifti_is_not_held_in_memory(tmp_path, monkeypatch):
    source = open_nifti([saved(tmp_path / "run.nii", volumes())], table(6), mask=mask())
    monkeypatch.setattr(nibabel.arrayproxy.ArrayProxy, "__array__", lambda *_, **__: pytest.fail("read whole"))
    assert source.read(slice(0, 2)).shape == (6, 2)


def test_a_memory_map_gives_its_columns(tmp_path):
    values = np.random.default_rng(0).standard_normal((6, 9)).astype(np.float32)
    np.save(tmp_path / "y.npy", values)
    source = open_npy(tmp_path / "y.npy", table(6))
    assert isinstance(source.values, np.memmap)
    np.testing.assert_array_equal(source.read(slice(3, 9)).values, values[:, 3:9])


def test_zarr_gives_its_columns(tmp_path):
    zarr = pytest.importorskip("zarr")
    values = np.random.default_rng(0).standard_normal((6, 9))
    stored = zarr.create_array(str(tmp_path / "y.zarr"), shape=values.shape, chunks=(6, 4), dtype="float64")
    stored[:] = values
    np.testing.assert_array_equal(open_zarr(tmp_path / "y.zarr", table(6)).read(slice(2, 8)).values, values[:, 2:8])


def test_tiles_laid_side_by_side_are_the_whole():
    source = ArraySource(np.random.default_rng(0).standard_normal((5, 7)), sample_coords(table(5)))
    parts = [source.read(slice(a, b)) for a, b in ((0, 3), (3, 4), (4, 7))]
    xr.testing.assert_identical(xr.concat(parts, "voxel", combine_attrs="override"), source.read(slice(0, 7)))


def test_small_whole_numbers_become_float32():
    assert ArraySource(np.ones((2, 2), np.int16), {"sample": [0, 1]}).read(slice(0, 2)).dtype == np.float32


def shifted():
    moved = affine()
    moved[0, 3] += 0.5
    return moved


def run(tmp_path, values=None, at=None, samples=None):
    path = saved(tmp_path / "run.nii", volumes() if values is None else values, at)
    return open_nifti([path], table(6) if samples is None else samples, mask=mask())


def two_runs(tmp_path, samples, at=None):
    paths = [saved(tmp_path / "a.nii", volumes()), saved(tmp_path / "b.nii", volumes(), at)]
    return open_nifti(paths, samples, mask=mask())


def not_an_array(tmp_path):
    (tmp_path / "y.npy").write_bytes(b"PK not numpy")
    return open_npy(tmp_path / "y.npy", table(6))


def pickled(tmp_path):
    np.save(tmp_path / "y.npy", np.array([[{}]]), allow_pickle=True)
    return open_npy(tmp_path / "y.npy", table(1))


def group_of_arrays(tmp_path):
    zarr = pytest.importorskip("zarr")
    zarr.open_group(str(tmp_path / "y.zarr"), mode="w").create_array("bold", shape=(6, 2), dtype="float32")
    return open_zarr(tmp_path / "y.zarr", table(6))


BAD = {
    "affine of a run": (lambda p: run(p, at=shifted()), "affine differs from that of the mask by up to 0.5 mm"),
    "affine of one of two runs": (lambda p: two_runs(p, table(12, 2), shifted()), "b.nii: its affine differs"),
    "other grid": (lambda p: run(p, volumes()[:-1]), r"its voxels are \(3, 5, 3\), those of the mask \(4, 5, 3\)"),
    "one volume": (lambda p: run(p, volumes()[..., 0]), "expected four axes"),
    "table too long": (lambda p: run(p, samples=table(7)), "the table has 7 rows, the files have 6 samples"),
    "label twice": (lambda p: run(p, samples=table(6).assign(sample="a")), "1 labels occur more than once"),
    "two files and no group": (lambda p: two_runs(p, table(12, 2).drop(columns="group")), "no column 'group'"),
    "files across groups": (lambda p: two_runs(p, table(12, 4)), "belong to the groups"),
    "mask of two volumes": (lambda _: grid_of_mask(nibabel.Nifti1Image(volumes(), affine())), "expected one volume"),
    "empty mask": (lambda _: grid_of_mask(nibabel.Nifti1Image(np.zeros(SHAPE), affine())), "no voxel is above zero"),
    "no npy": (not_an_array, "no array that can be memory-mapped"),
    "pickled objects": (pickled, "no array that can be memory-mapped"),
    "zarr group": (group_of_arrays, "is a zarr group; expected an array. Its arrays are: bold"),
    "three axes": (lambda _: ArraySource(np.ones((2, 2, 2)), {"sample": [0, 1]}), "expected .sample, target."),
    "no targets": (lambda _: ArraySource(np.ones((2, 0)), {"sample": [0, 1]}), "neither of them empty"),
    "labels too few": (lambda _: ArraySource(np.ones((2, 3)), {"sample": [0]}), "one for each sample"),
    "targets too few": (
        lambda _: ArraySource(np.ones((2, 3)), {"sample": [0, 1]}, {"voxel": [1]}),
        "one for each voxel",
    ),
    "axis unknown": (lambda _: ArraySource(np.ones((2, 3)), {"sample": [0, 1]}, axis="vox"), "unknown axis 'vox'"),
    "runs of other voxels": (
        lambda _: RunsSource([ArraySource(np.ones((2, k)), {"sample": [0, 1]}) for k in (3, 4)]),
        "the same ones in every run",
    ),
    "no runs": (lambda _: RunsSource([]), "expected at least one source"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_a_sentence(case, tmp_path):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make(tmp_path)


@pytest.mark.parametrize(("dtype", "message"), [("float16", "keeps three digits"), ("U3", "expected real numbers")])
def test_values_of_another_type_are_refused(dtype, message):
    with pytest.raises(TypeError, match=message):
        ArraySource(np.ones((2, 3)).astype(dtype), {"sample": [0, 1]})


def test_runs_that_label_their_voxels_otherwise_are_refused():
    runs = [ArraySource(np.ones((2, 2)), {"sample": [0, 1]}, {"voxel": labels}) for labels in ([1, 2], [1, 3])]
    with pytest.raises(ValueError, match="run 1 labels the axis 'voxel' differently"):
        RunsSource(runs).read(slice(0, 2))


def test_an_image_of_a_nilearn_masker_is_a_mask(tmp_path):
    from nilearn.maskers import NiftiMasker

    masker = NiftiMasker(mask_img=mask(), standardize=None).fit()
    grid = grid_of_mask(masker.mask_img_)
    source = NiftiSource(nibabel.Nifti1Image(volumes(), affine()), grid, sample_coords(table(6)))
    np.testing.assert_allclose(
        source.read(slice(0, 18)).values, masker.transform(nibabel.Nifti1Image(volumes(), affine())), rtol=1e-6
    )
