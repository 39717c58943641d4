"""Images on disk: damage is found before a number is made of it, and the position of voxels is never a guess."""

from __future__ import annotations

import gzip

import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from nibabel.cifti2 import BrainModelAxis, Cifti2Image, LabelAxis, SeriesAxis
from nibabel.gifti import GiftiDataArray, GiftiImage
from nilearn.maskers import MultiNiftiMasker, NiftiLabelsMasker, NiftiMasker, NiftiSpheresMasker

from neuroling.core.provenance import Provenance
from neuroling.data.bids import write_derivative
from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.fmri import mni_grid, to_image
from neuroling.data.images import load_image, xform_codes
from neuroling.data.maskers import masked
from neuroling.data.sources import RunsSource, grid_of_mask, open_nifti, open_npy, open_zarr
from neuroling.data.surfaces import on_surface, open_cifti, read_gifti

SHAPE, N = (4, 5, 3), 6
AFFINE = np.array([[3.0, 0, 0, -6], [0, 3.0, 0, -8], [0, 0, 3.0, -3], [0, 0, 0, 1]])


def table(n=N, runs=1):
    groups = np.repeat([f"run-{i + 1}" for i in range(runs)], n // runs)
    return pd.DataFrame({"sample": [f"v{i}" for i in range(n)], "group": groups})


def image(shape=(*SHAPE, N), affine=AFFINE, seed=0):
    return nibabel.Nifti1Image(np.random.default_rng(seed).standard_normal(shape).astype(np.float32), affine)


def mask(values=None, affine=AFFINE):
    return nibabel.Nifti1Image(np.ones(SHAPE, np.uint8) if values is None else values, affine)


def saved(path, content):
    nibabel.save(content, path)
    return path


# --- damage -----------------------------------------------------------------------------------------------------------


def test_every_flipped_bit_of_the_compressed_values_is_found(tmp_path):
    path = saved(tmp_path / "run.nii.gz", image())
    content = path.read_bytes()
    for place in np.random.default_rng(0).integers(18, len(content), 60).tolist():  # behind name and date
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(CorruptData, match=r"run\.nii\.gz: "):
            open_nifti(path, table(), mask=mask())


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("ending", ["nii", "nii.gz", "mgz", "img", "func.gii", "dtseries.nii", "npy"])
def test_a_truncated_file_is_named_with_the_reason(tmp_path, ending, share):
    path, read = readable(tmp_path, ending)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CorruptData, match=path.name.replace(".", r"\.")):
        read(path)


def readable(folder, ending):
    """Write a file and say how it is read; what was written can be read."""
    path = folder / f"run.{ending}"
    if ending == "npy":
        np.save(path, np.ones((N, 5)))
        read = lambda path: open_npy(path, table())  # noqa: E731
    elif ending == "func.gii":
        saved(path, GiftiImage(darrays=[GiftiDataArray(np.arange(9, dtype=np.float32)) for _ in range(N)]))
        read = lambda path: read_gifti({"left": path}, table(), space="tiny")  # noqa: E731
    elif ending == "dtseries.nii":
        saved(path, cifti(SeriesAxis(0, 2, N)))
        read = lambda path: open_cifti(path, table())  # noqa: E731
    elif ending == "mgz":
        saved(path, nibabel.MGHImage(np.asarray(image().dataobj), AFFINE))
        read = lambda path: open_nifti(path, table(), mask=mask())  # noqa: E731
    else:
        saved(path, nibabel.Nifti1Pair(image().dataobj, AFFINE) if ending == "img" else image())
        read = lambda path: open_nifti(path, table(), mask=mask())  # noqa: E731
    read(path)
    return path, read


def test_row_97_bytes_are_counted(tmp_path):
    path = saved(tmp_path / "run.nii", image())
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CorruptData, match=r"promises 1792 bytes for the shape \(4, 5, 3, 6\), and it holds 1000"):
        open_nifti(path, table(), mask=mask())


def test_an_archive_of_a_truncated_file_is_found_too(tmp_path):
    content = saved(tmp_path / "run.nii", image()).read_bytes()
    path = tmp_path / "run.nii.gz"
    path.write_bytes(gzip.compress(content[:-100]))
    with pytest.raises(CorruptData, match="promises"):
        open_nifti(path, table(), mask=mask())


def test_an_image_that_was_opened_elsewhere_is_looked_after_as_well(tmp_path):
    path = saved(tmp_path / "run.nii.gz", image())
    opened = nibabel.load(path)
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptData, match="CRC check failed"):
        masked(NiftiMasker(mask(), standardize=None), opened, table())


@pytest.mark.parametrize("content", [b"", b"hello", b"\x1f\x8b\x08\x00garbage", b"<?xml version='1.0'?><GIFTI>"])
@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz", "x.func.gii", "x.mgz"])
def test_something_else_is_no_image(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorruptData, match=name):
        load_image(tmp_path / name)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataNotFound, match=r"absent\.nii\.gz"):
        open_nifti(tmp_path / "absent.nii.gz", table(), mask=mask())


# --- shapes and spellings that nilearn accepts ------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(*SHAPE, N), (*SHAPE, 1, N), (*SHAPE, N, 1)])
@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_axes_of_length_one_are_dropped(tmp_path, shape, ending):
    content = image(shape)
    path = saved(tmp_path / f"run.{ending}", content)
    expected = np.asarray(content.dataobj).reshape(-1, N).T
    np.testing.assert_array_equal(open_nifti(str(path), table(), mask=mask()).read(slice(0, 60)), expected)
    np.testing.assert_array_equal(masked(NiftiMasker(mask(), standardize=None), str(path), table()), expected)


def test_a_scaled_image_of_five_axes_is_scaled(tmp_path):
    content = nibabel.Nifti1Image(np.arange(360, dtype=np.int16).reshape(*SHAPE, 1, N), AFFINE)
    content.header.set_slope_inter(0.5, 3)
    path = tmp_path / "run.nii"
    nibabel.save(nibabel.Nifti1Image(np.arange(360.0).reshape(*SHAPE, 1, N) * 0.5 + 3, AFFINE, content.header), path)
    expected = np.arange(360.0).reshape(-1, N).T * 0.5 + 3
    np.testing.assert_allclose(open_nifti([path], table(), mask=mask()).read(slice(0, 60)), expected, atol=0.01)


def test_runs_of_a_multi_masker_follow_one_another(tmp_path):
    paths = [str(saved(tmp_path / f"run-{i}.nii.gz", image(seed=i))) for i in (1, 2)]
    recording = masked(MultiNiftiMasker(mask(), standardize=None), paths, table(2 * N, 2))
    expected = np.concatenate([image(seed=i).get_fdata(dtype=np.float32).reshape(-1, N).T for i in (1, 2)])
    np.testing.assert_array_equal(recording, expected)
    with pytest.raises(ValueError, match="belong to the groups"):
        masked(MultiNiftiMasker(mask(), standardize=None), paths, table(2 * N, 4))
    with pytest.raises(ValueError, match="got 2 runs for NiftiMasker"):
        masked(NiftiMasker(mask(), standardize=None), paths, table(2 * N, 2))


def test_single_volumes_are_samples(tmp_path):
    paths = [saved(tmp_path / f"beta-{i}.nii", image(SHAPE, seed=i)) for i in range(3)]
    expected = np.stack([image(SHAPE, seed=i).get_fdata(dtype=np.float32).ravel() for i in range(3)])
    np.testing.assert_array_equal(masked(NiftiMasker(mask(), standardize=None), paths, table(3)), expected)
    wild = masked(NiftiMasker(mask(), standardize=None), str(tmp_path / "beta-*.nii"), table(3))
    np.testing.assert_array_equal(wild, expected)


def test_two_runs_of_one_name_in_two_folders_are_two_runs(tmp_path):
    for session in "ab":
        (tmp_path / session).mkdir()
    paths = [saved(tmp_path / session / "bold.nii", image()) for session in "ab"]
    assert open_nifti(paths, table(2 * N, 2), mask=mask()).n_samples == 2 * N


# --- rows 84 to 97 of the catalogue of bad inputs ---------------------------------------------------------------------


def moved(**changes):
    affine = AFFINE.copy()
    for place, value in changes.items():
        affine["xyz".index(place[0]), "xyzt".index(place[1])] = value
    return affine


def read(path, content, inside=None):
    return open_nifti(saved(path / "run.nii", content), table(), mask=mask() if inside is None else inside)


def read_flat(path, affine):
    content = bytearray(saved(path / "run.nii", image()).read_bytes())
    content[280:328] = affine[:3].astype("<f4").tobytes()  # srow_x, srow_y and srow_z, which nibabel would not write
    (path / "run.nii").write_bytes(content)
    return open_nifti(path / "run.nii", table(), mask=mask())


def nan_at(values, *places):
    for place in places:
        values[place] = np.nan
    return values


def spaces(folder):
    bold = saved(folder / "sub-1_space-T1w_bold.nii", image())
    return open_nifti(bold, table(), mask=saved(folder / "sub-1_space-MNI152NLin6Asym_mask.nii", mask()))


def claimed(folder, space, code):
    content = image(SHAPE)
    content.set_sform(AFFINE, code=code)
    return write_derivative(content, folder, entities={"sub": "1", "space": space}, provenance=Provenance())


PROBABILITY = np.linspace(0, 1, 60, dtype=np.float32).reshape(SHAPE)
ROWS = {
    "84 affine of the mask": (
        lambda p: read(p, image(), mask(affine=moved(xt=-4))),
        r"up to 2 mm at a corner.*\[\[3.0, 0.0, 0.0, -6.0\].* and \[\[3.0, 0.0, 0.0, -4.0\]",
    ),
    "84 rotated": (lambda p: read(p, image(affine=moved(xy=0.3, yx=-0.3))), "up to 1.5 mm at a corner"),
    "85 left and right flipped": (
        lambda p: read(p, image(affine=moved(xx=-3, xt=3))),
        r"The x axes run otherwise \(LAS and RAS\)",
    ),
    "85 flipped for a masker": (
        lambda _: masked(NiftiMasker(mask(), standardize=None), image(affine=moved(xx=-3, xt=3)), table()),
        "The x axes run otherwise",
    ),
    "86 other resolution": (
        lambda p: read(p, image((8, 10, 6, N), np.diag([1.5, 1.5, 1.5, 1]))),
        r"\(8, 10, 6\), those of the mask \(4, 5, 3\); they are 1.5 × 1.5 × 1.5 and 3 × 3 × 3 mm large",
    ),
    "87 mask outside the image": (lambda p: read(p, image(), mask(affine=moved(xt=900))), "up to 906 mm"),
    "88 empty mask": (lambda p: read(p, image(), mask(np.zeros(SHAPE))), "no voxel is above zero"),
    "89 labels as a mask": (
        lambda p: read(p, image(), mask(np.arange(60, dtype=np.int16).reshape(SHAPE))),
        "holds 60 different values .*as a label map does",
    ),
    "89 probabilities as a mask": (
        lambda p: read(p, image(), mask(PROBABILITY)),
        "as a map of probabilities or intensities does",
    ),
    "89 NaN in a mask": (
        lambda p: read(p, image(), mask(nan_at(np.ones(SHAPE), (0, 0, 0)))),
        "1 of 60 values are NaN or infinite",
    ),
    "89 negative mask": (lambda p: read(p, image(), mask(-np.ones(SHAPE))), "60 values are negative, down to -1"),
    "89 labels for a masker": (
        lambda _: masked(
            NiftiMasker(mask(np.arange(60, dtype=np.int16).reshape(SHAPE)), standardize=None), image(), table()
        ),
        "as a label map does",
    ),
    "89 two volumes as a mask": (lambda p: read(p, image(), image((*SHAPE, 2))), "expected one volume"),
    "90 other masks": (
        lambda p: RunsSource([read(p, image()), read(p, image(), mask(np.eye(4, 5)[..., None] * np.ones(3)))]),
        r"they have \[60, 12\] targets",
    ),
    "93 one volume": (lambda p: read(p, image(SHAPE)), "expected four axes.*It is a single volume"),
    "93 two axes of samples": (lambda p: read(p, image((*SHAPE, 2, 3))), "expected four axes"),
    "94 affine of zeros": (lambda p: read_flat(p, np.diag([0, 0, 0, 1.0])), "different voxels to the same"),
    "94 affine that is flat": (lambda p: read_flat(p, moved(zz=0, zx=1)), "different voxels to the same"),
    "95 spaces by name": (spaces, "sub-1_space-T1w_bold.nii in T1w.*in MNI152NLin6Asym"),
    "95 scanner space called MNI": (lambda p: claimed(p, "MNI152NLin6Asym", 1), "it is in scanner space .code 1."),
    "95 MNI space called native": (lambda p: claimed(p, "T1w", 4), "it is in MNI space .code 4."),
    "96 mesh of other size": (
        lambda _: on_surface(np.zeros((1, 10)), {"sample": np.array(["a"])}, {"left": 10}, space="fsaverage5"),
        "got 'fsaverage5' with 10 in the left hemisphere; expected 10242 vertices",
    ),
    "neither path nor image": (lambda _: open_nifti([], table(), mask=mask()), "paths: got none"),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_the_catalogue_is_refused(row, tmp_path):
    make, message = ROWS[row]
    with pytest.raises(ValueError, match=message):
        make(tmp_path)


def test_row_94_two_positions_in_one_header_are_told(tmp_path):
    content = image()
    content.set_qform(moved(xt=-4), code=1)
    content.set_sform(AFFINE, code=4)
    assert xform_codes(nibabel.load(saved(tmp_path / "run.nii", content))) == (0, 4)
    with pytest.warns(UserWarning, match="qform and sform of the header disagree by up to 2 mm"):
        read(tmp_path, content)


def test_row_94_a_header_without_a_position_is_told(tmp_path):
    content = image()
    content.set_sform(None, code=0)
    with pytest.warns(UserWarning, match="both codes are 0"):
        read(tmp_path, content, mask(affine=nibabel.load(saved(tmp_path / "x.nii", content)).affine))


def test_row_91_nan_outside_the_mask_does_no_harm():
    values = nan_at(image().get_fdata(dtype=np.float32), (0, 0, 0))
    inside = np.ones(SHAPE, np.uint8)
    inside[0, 0, 0] = 0
    read = masked(NiftiMasker(mask(inside), standardize=None), nibabel.Nifti1Image(values, AFFINE), table())
    assert np.isfinite(read).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_row_91_one_value_that_is_no_number_is_counted(bad):
    values = image().get_fdata(dtype=np.float32)
    values[1, 2, 0, 4] = bad
    with pytest.raises(ValueError, match=r"1 of 360 values are NaN or infinite, in 1 voxels .*\[1, 2, 0\].* 1 samples"):
        masked(NiftiMasker(mask(), standardize=None), nibabel.Nifti1Image(values, AFFINE), table())


def parcels():
    labels = np.zeros(SHAPE, np.int16)
    labels[0], labels[2:] = 1, 2
    return labels


def test_row_91_regions_with_nan_are_named_and_others_are_read():
    labels = nibabel.Nifti1Image(parcels(), AFFINE)
    values = image().get_fdata(dtype=np.float32)
    values[3, 0, 0, 1] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite in 1 regions"):
        masked(NiftiLabelsMasker(labels, standardize=None), nibabel.Nifti1Image(values, AFFINE), table())
    values[3, 0, 0, 1], values[1, 0, 0, 1] = 0, np.nan  # in no parcel
    read = masked(NiftiLabelsMasker(labels, standardize=None), nibabel.Nifti1Image(values, AFFINE), table())
    assert np.isfinite(read).all()


def test_row_91_spheres_with_nan_are_refused_and_others_are_read():
    values = nan_at(image().get_fdata(dtype=np.float32), (0, 0, 0))
    near, far = AFFINE[:3, 3], AFFINE[:3] @ [3, 4, 2, 1]
    given = nibabel.Nifti1Image(values, AFFINE)
    with pytest.raises(ValueError, match="NaN or infinite in 1 regions"):
        masked(NiftiSpheresMasker([near], radius=1, standardize=None), given, table())
    assert np.isfinite(masked(NiftiSpheresMasker([far], radius=1, standardize=None), given, table())).all()


def test_row_86_an_atlas_on_another_grid_is_told():
    labels = nibabel.Nifti1Image(np.repeat(parcels(), 2, 0), np.diag([1.5, 3, 3, 1]) + AFFINE * np.eye(4)[3])
    with pytest.warns(UserWarning, match="labels_img: its voxels"):
        masked(NiftiLabelsMasker(labels, standardize=None), image(), table())


# --- what maps claim about their space --------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "name"), [(1, "scanner"), (2, "aligned"), (4, "MNI")])
@pytest.mark.parametrize("way", ["source", "masker"])
def test_a_map_carries_the_codes_of_its_source(tmp_path, code, name, way):
    content = image()
    content.set_sform(AFFINE, code=code)
    content.set_qform(AFFINE, code=1)
    path = saved(tmp_path / "run.nii.gz", content)
    if way == "source":
        recording = open_nifti(path, table(), mask=mask()).read(slice(0, 60))
    else:
        recording = masked(NiftiMasker(mask(), standardize=None), path, table())
    written = to_image(recording.isel(sample=0, drop=True))
    assert xform_codes(written) == (1, code)
    np.testing.assert_allclose(written.affine, AFFINE)


def test_codes_survive_a_result_file(tmp_path):
    recording = open_nifti(saved(tmp_path / "run.nii", image()), table(), mask=mask()).read(slice(0, 60))
    recording.to_dataset(name="bold").to_netcdf(tmp_path / "y.nc", engine="h5netcdf")
    again = xr.load_dataset(tmp_path / "y.nc", engine="h5netcdf").bold
    assert xform_codes(to_image(again.isel(sample=0, drop=True))) == (0, 2)


def test_the_grid_of_mni_is_in_mni_space():
    grid = mni_grid(16.0)
    scores = grid.recording(np.zeros((1, len(grid.voxels))), {"sample": ["a"]}).isel(sample=0)
    assert xform_codes(to_image(scores)) == (4, 4)


def test_the_space_comes_from_the_name(tmp_path):
    path = saved(tmp_path / "sub-1_task-x_space-T1w_desc-preproc_bold.nii", image())
    assert open_nifti(path, table(), mask=mask()).read(slice(0, 1)).attrs["space"] == "T1w"


def test_a_mask_of_255_is_a_mask():
    np.testing.assert_array_equal(grid_of_mask(mask(255 * np.eye(4, 5)[..., None] * np.ones(3))).voxels[:3], [0, 1, 2])


# --- surfaces ---------------------------------------------------------------------------------------------------------


def cifti(rows, kind="values"):
    brain = BrainModelAxis.from_surface(np.arange(7), 9, "CortexLeft")
    values = np.zeros((len(rows) if kind == "values" else 7, 7), np.float32)
    return Cifti2Image(values, (rows if kind == "values" else brain, brain))


def gifti(folder, name, array=None, meta=None, intent="NIFTI_INTENT_NONE", array_meta=None):
    values = np.zeros((7, N), np.float32) if array is None else array
    content = GiftiImage(darrays=[GiftiDataArray(values, intent=intent, meta=array_meta)])
    return read_gifti({"left": saved(folder / name, content)}, table(), space="tiny")


def square(path):
    return gifti(path, "a.func.gii", np.zeros((N, 7), np.float32))


LABELS = LabelAxis(["parcels"], {0: ("?", (0, 0, 0, 0)), 1: ("A", (1, 0, 0, 1))})
SURFACES = {
    "dlabel": (
        lambda p: open_cifti(saved(p / "x.dlabel.nii", cifti(LABELS)), table(1)),
        "its rows are labels, as a dlabel file has",
    ),
    "dconn": (
        lambda p: open_cifti(saved(p / "x.dconn.nii", cifti(None, "dconn")), table(7)),
        "its rows are connections, as a dconn file has",
    ),
    "mesh": (
        lambda p: gifti(p, "a.surf.gii", np.zeros((7, 3), np.float32), intent="NIFTI_INTENT_POINTSET"),
        "holds a mesh",
    ),
    "labels": (
        lambda p: gifti(p, "a.label.gii", np.zeros(7, np.int32), intent="NIFTI_INTENT_LABEL"),
        "holds labels",
    ),
    "transposed": (square, r"shape \(6, 7\), and the table has 6 rows: it looks like .sample, vertex."),
    "BIDS name of the right": (lambda p: gifti(p, "sub-1_hemi-R_bold.func.gii"), "by its name .R. it is the other"),
    "FreeSurfer name of the right": (lambda p: gifti(p, "rh.bold.func.gii"), "by its name .r. it is the other"),
    "Workbench name of the right": (lambda p: gifti(p, "100.R.bold.func.gii"), "by its name .R. it is the other"),
}


@pytest.mark.parametrize("case", SURFACES)
def test_files_that_are_no_time_series_of_this_hemisphere_are_refused(case, tmp_path):
    make, message = SURFACES[case]
    with pytest.raises(ValueError, match=message):
        make(tmp_path)


@pytest.mark.parametrize("name", ["lh.x.func.gii", "sub-1_hemi-L_x.func.gii", "100.L.x.32k_fs_LR.func.gii", "r.gii"])
def test_names_of_the_left_hemisphere_are_read(tmp_path, name):
    assert gifti(tmp_path, name).shape == (N, 7)


@pytest.mark.parametrize(("space", "n"), [("fsaverage5", 10242), ("fsaverage", 163842), ("fsLR", 32492)])
def test_meshes_of_their_size_are_read(space, n):
    assert on_surface(np.zeros((1, n)), {"sample": np.array(["a"])}, {"right": n}, space=space).sizes["vertex"] == n


def test_vertices_beyond_their_mesh_are_damage(tmp_path):
    path = saved(tmp_path / "x.dtseries.nii", cifti(SeriesAxis(0, 2, 2)))
    content = path.read_bytes().replace(b'SurfaceNumberOfVertices="9"', b'SurfaceNumberOfVertices="3"')
    path.write_bytes(content)
    with pytest.raises(CorruptData, match=r"vertex 6 of the left cortex; expected vertices below 3|cannot be read"):
        open_cifti(path, table(2))


def test_a_damaged_chunk_of_zarr_is_named_when_it_is_read(tmp_path):
    zarr = pytest.importorskip("zarr")
    stored = zarr.create_array(str(tmp_path / "y.zarr"), shape=(6, 4), chunks=(6, 4), dtype="float64")
    stored[:] = np.random.default_rng(0).standard_normal((6, 4))
    (chunk,) = [path for path in (tmp_path / "y.zarr").rglob("*") if path.is_file() and path.name != "zarr.json"]
    chunk.write_bytes(chunk.read_bytes()[:20])
    source = open_zarr(tmp_path / "y.zarr", table())
    with pytest.raises(CorruptData, match=r"y\.zarr: cannot be read"):
        source.read(slice(0, 4))
