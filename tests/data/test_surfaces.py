"""Surfaces go into files and come back, and what does not belong together is refused."""

from __future__ import annotations

import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from nibabel.cifti2 import BrainModelAxis, Cifti2Image, ScalarAxis, SeriesAxis
from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData
from scipy.sparse.csgraph import connected_components

from neuroling.data.maskers import masked, unmasked
from neuroling.data.neighbours import neighbours_in_volume, neighbours_on_surface
from neuroling.data.sources import grid_of_mask
from neuroling.data.surfaces import on_surface, open_cifti, read_gifti, surface_parts, write_cifti, write_gifti

N, LEFT, RIGHT = 4, 6, 5


def table(n=N):
    return pd.DataFrame({"sample": [f"volume {i}" for i in range(n)], "time_index": np.arange(n)})


def hemisphere(path, n_vertices, side="CortexLeft", n=N, dtype="float32", seed=0):
    values = np.random.default_rng(seed).standard_normal((n, n_vertices)).astype(dtype)
    arrays = [GiftiDataArray(row) for row in values]
    nibabel.save(GiftiImage(darrays=arrays, meta=GiftiMetaData(AnatomicalStructurePrimary=side)), path)
    return path, values


@pytest.fixture
def files(tmp_path):
    left, ours = hemisphere(tmp_path / "lh.func.gii", LEFT)
    right, theirs = hemisphere(tmp_path / "rh.func.gii", RIGHT, "CortexRight", seed=1)
    return {"right": right, "left": left}, np.concatenate([ours, theirs], axis=1)


def test_hemispheres_are_read_left_before_right(files):
    np.testing.assert_array_equal(read_gifti(files[0], table(), space="tiny").values, files[1])


def test_vertices_know_their_hemisphere_and_number(files):
    read = read_gifti(files[0], table(), space="tiny").isel(vertex=[0, LEFT])
    assert list(zip(read.hemisphere.to_numpy().tolist(), read.number.to_numpy().tolist(), strict=True)) == [
        ("left", 0),
        ("right", 0),
    ]


def test_a_map_comes_back_from_gifti(files, tmp_path):
    scores = read_gifti(files[0], table(), space="tiny").mean("sample", keep_attrs=True)
    left, right = write_gifti(scores, tmp_path, "score")
    again = read_gifti({"left": left, "right": right}, table(1), space="tiny")
    np.testing.assert_array_equal(again.to_numpy()[0], scores.to_numpy().astype(np.float32))


def test_vertices_that_are_missing_are_nan_in_gifti(files, tmp_path):
    scores = read_gifti(files[0], table(), space="tiny").isel(sample=0, vertex=[1, LEFT + 2])
    left, _ = write_gifti(scores, tmp_path, "score")
    assert np.isfinite(nibabel.load(left).darrays[0].data).tolist() == [False, True, False, False, False, False]


def test_pictures_get_whole_hemispheres(files):
    parts = surface_parts(read_gifti(files[0], table(), space="tiny").isel(sample=0, vertex=slice(2, None)))
    assert {side: (len(part), int(np.isnan(part).sum())) for side, part in parts.items()} == {
        "left": (6, 2),
        "right": (5, 0),
    }


def grayordinates():
    cortex = BrainModelAxis.from_surface(np.array([0, 2, 3]), LEFT, "CortexLeft")
    other = BrainModelAxis.from_surface(np.array([1, 4]), RIGHT, "CortexRight")
    inside = np.zeros((3, 3, 3), bool)
    inside[1, 1, :2] = True
    return cortex + other + BrainModelAxis.from_mask(inside, name="thalamus_left", affine=np.eye(4))


def cifti(path, rows=None):
    values = np.random.default_rng(0).standard_normal((N, 7)).astype(np.float32)
    nibabel.save(Cifti2Image(values, (rows or SeriesAxis(0, 2, N), grayordinates())), path)
    return path, values


def test_cifti_is_read_by_stretches(tmp_path):
    path, values = cifti(tmp_path / "run.dtseries.nii")
    np.testing.assert_array_equal(open_cifti(path, table()).read(slice(2, 6)).values, values[:, 2:6])


def test_grayordinates_know_structure_and_vertex(tmp_path):
    read = open_cifti(cifti(tmp_path / "run.dtseries.nii")[0], table()).read(slice(0, 7))
    assert read.number.to_numpy().tolist() == [0, 2, 3, 1, 4, -1, -1]
    assert read.hemisphere.to_numpy().tolist() == ["left"] * 3 + ["right"] * 2 + ["", ""]


def test_a_map_comes_back_from_cifti(tmp_path):
    path, values = cifti(tmp_path / "run.dtseries.nii")
    scores = open_cifti(path, table()).read(slice(0, 7)).isel(sample=0, vertex=[0, 1, 3, 4, 5, 6])
    written = nibabel.load(write_cifti(scores, tmp_path / "score.dscalar.nii", like=path))
    expected = np.where(np.arange(7) == 2, np.nan, values[0])
    np.testing.assert_array_equal(written.get_fdata(dtype=np.float32)[0], expected)


def test_cortex_of_cifti_can_be_drawn(tmp_path):
    read = open_cifti(cifti(tmp_path / "run.dtseries.nii")[0], table()).read(slice(0, 7)).isel(sample=0)
    assert {side: len(part) for side, part in surface_parts(read).items()} == {"left": LEFT, "right": RIGHT}


# --- neighbours -------------------------------------------------------------------------------------------------------


def test_fsaverage5_is_two_hemispheres_that_do_not_touch():
    whole = on_surface(
        np.zeros((1, 20484)), {"sample": np.array(["a"])}, {"left": 10242, "right": 10242}, space="fsaverage5"
    )
    adjacency = neighbours_on_surface(whole)
    assert connected_components(adjacency, directed=False)[0] == 2
    assert sorted(set(adjacency.sum(axis=1).astype(int).tolist())) == [
        5,
        6,
    ]  # twelve corners of the icosahedron, and the rest


def test_neighbours_of_some_vertices_are_those_among_them(files):
    faces = {"left": np.array([[0, 1, 2], [2, 3, 4]]), "right": np.array([[0, 1, 2]])}
    some = read_gifti(files[0], table(), space="tiny").isel(vertex=[4, 2, 1, LEFT + 1])
    assert neighbours_on_surface(some, faces).toarray().astype(int).tolist() == [
        [0, 1, 0, 0],
        [1, 0, 1, 0],
        [0, 1, 0, 0],
        [0, 0, 0, 0],
    ]


def test_voxels_of_cifti_have_no_neighbours_on_the_surface(tmp_path):
    read = open_cifti(cifti(tmp_path / "run.dtseries.nii")[0], table()).read(slice(0, 7))
    faces = {"left": np.array([[0, 2, 3]]), "right": np.array([[0, 1, 4]])}
    assert neighbours_on_surface(read, faces).sum(axis=1).astype(int).tolist() == [2, 2, 2, 1, 1, 0, 0]


@pytest.mark.parametrize(("touching", "n"), [("faces", 6), ("edges", 18), ("corners", 26)])
def test_a_voxel_inside_touches_as_many(touching, n):
    grid = grid_of_mask(nibabel.Nifti1Image(np.ones((3, 3, 3)), np.eye(4)))
    adjacency = neighbours_in_volume(grid.recording(np.zeros((1, 27)), {"sample": ["a"]}), touching)
    assert adjacency.sum(axis=1)[13] == n


def test_neighbours_in_a_volume_are_those_of_scipy_label():
    from scipy import ndimage

    rng = np.random.default_rng(0)
    inside = rng.random((6, 7, 5)) < 0.4
    grid = grid_of_mask(nibabel.Nifti1Image(inside.astype(np.uint8), np.eye(4)))
    values = grid.recording(np.zeros((1, len(grid.voxels))), {"sample": ["a"]})
    _, found = connected_components(neighbours_in_volume(values, "edges"), directed=False)
    labels, n = ndimage.label(inside, ndimage.generate_binary_structure(3, 2))
    pairs = set(zip(found.tolist(), labels[inside].tolist(), strict=True))
    assert len(pairs) == n == found.max() + 1


# --- maskers ----------------------------------------------------------------------------------------------------------


def volumes(shift=0.0):
    affine = np.diag([3.0, 3, 3, 1])
    affine[0, 3] = shift
    return nibabel.Nifti1Image(np.random.default_rng(0).standard_normal((4, 5, 3, N)).astype(np.float32), affine)


def parcels():
    labels = np.zeros((4, 5, 3), np.int16)
    labels[:2], labels[2:] = 1, 2
    return nibabel.Nifti1Image(labels, volumes().affine)


def everywhere():
    return nibabel.Nifti1Image(np.ones((4, 5, 3), np.uint8), volumes().affine)


def test_a_nifti_masker_gives_voxels_and_takes_them_back():
    from nilearn.maskers import NiftiMasker

    inside = nibabel.Nifti1Image((np.asarray(parcels().dataobj) == 1).astype(np.uint8), volumes().affine)
    masker = NiftiMasker(inside, standardize=None)
    recording = masked(masker, volumes(), table())
    assert recording.dims == ("sample", "voxel")
    back = unmasked(masker, recording.isel(sample=0)).get_fdata()
    np.testing.assert_allclose(back[:2], volumes().get_fdata()[:2, ..., 0], rtol=1e-6)


def test_a_labels_masker_gives_regions():
    from nilearn.maskers import NiftiLabelsMasker

    recording = masked(NiftiLabelsMasker(parcels(), standardize=None), volumes(), table())
    expected = volumes().get_fdata()[:2].mean(axis=(0, 1, 2))
    np.testing.assert_allclose(recording.isel(region=0), expected, rtol=1e-5)


def test_a_surface_masker_gives_vertices_and_takes_them_back():
    from nilearn.maskers import SurfaceMasker
    from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage

    mesh = PolyMesh(
        left=InMemoryMesh(np.random.default_rng(0).random((4, 3)), np.array([[0, 1, 2], [1, 2, 3]])),
        right=InMemoryMesh(np.random.default_rng(1).random((3, 3)), np.array([[0, 1, 2]])),
    )
    rng = np.random.default_rng(2)
    data = {"left": rng.standard_normal((4, N)), "right": rng.standard_normal((3, N))}
    masker = SurfaceMasker(standardize=None)
    recording = masked(masker, SurfaceImage(mesh, data), table())
    assert recording.hemisphere.to_numpy().tolist() == ["left"] * 4 + ["right"] * 3
    back = unmasked(masker, recording.isel(sample=1)).data.parts
    np.testing.assert_allclose(back["right"].ravel(), data["right"][:, 1], rtol=1e-6)


# --- what is refused --------------------------------------------------------------------------------------------------


def a_mesh(path):
    coordinates = GiftiDataArray(np.zeros((3, 3), "float32"), intent="NIFTI_INTENT_POINTSET")
    nibabel.save(GiftiImage(darrays=[coordinates, GiftiDataArray(np.array([[0, 1, 2]], "int32"))]), path)
    return path


def a_nifti(path):
    nibabel.save(volumes(), path)
    return path


def other_masker():
    from nilearn.maskers import NiftiMasker

    inside = nibabel.Nifti1Image(np.ones((4, 5, 3), np.uint8), volumes().affine)
    return masked(NiftiMasker(inside, standardize=None), volumes(shift=1.0), table())


def text(path):
    path.write_text("hello")
    return path


def map_of(n_vertices):
    return on_surface(np.zeros((1, n_vertices)), {"sample": np.array(["a"])}, {"left": n_vertices}, space="tiny").isel(
        sample=0
    )


BAD = {
    "hemisphere in words": (
        lambda _: read_gifti({"both": "x"}, table(), space="s"),
        "expected 'left', 'right' or both",
    ),
    "sides exchanged": (
        lambda p: read_gifti({"right": hemisphere(p / "a.func.gii", 3)[0]}, table(), space="s"),
        "says that it is CortexLeft, but was given as the right hemisphere",
    ),
    "table of another length": (
        lambda p: read_gifti({"left": hemisphere(p / "a.func.gii", 3)[0]}, table(5), space="s"),
        "the table has 5 rows, .* has 4 data arrays",
    ),
    "a mesh for values": (
        lambda p: read_gifti({"left": a_mesh(p / "a.surf.gii")}, table(), space="s"),
        "A mesh has no values",
    ),
    "nifti for gifti": (
        lambda p: read_gifti({"left": a_nifti(p / "a.nii")}, table(), space="s"),
        "is Nifti1Image; expected a GIFTI",
    ),
    "text for gifti": (lambda p: read_gifti({"left": text(p / "a.txt")}, table(), space="s"), "no GIFTI file"),
    "nifti for cifti": (lambda p: open_cifti(a_nifti(p / "a.nii"), table()), "is Nifti1Image; expected a dense CIFTI"),
    "table too short for cifti": (
        lambda p: open_cifti(cifti(p / "a.dtseries.nii")[0], table(2)),
        "one for each sample",
    ),
    "voxels for vertices": (
        lambda p: write_gifti(xr.DataArray(np.zeros(3), dims="voxel"), p, "x"),
        "expected an axis 'vertex'",
    ),
    "map of another cifti": (
        lambda p: write_cifti(map_of(9), p / "x.dscalar.nii", like=cifti(p / "a.dtseries.nii")[0]),
        "labels reach 8; .* has 7 grayordinates",
    ),
    "unknown mesh": (lambda _: neighbours_on_surface(map_of(3)), "that of the space 'tiny' is not shipped"),
    "mesh of one side": (
        lambda _: neighbours_on_surface(map_of(3), {"right": np.array([[0, 1, 2]])}),
        "vertices of .'left'.",
    ),
    "triangles beyond the mesh": (
        lambda _: neighbours_on_surface(map_of(3), {"left": np.array([[0, 1, 7]])}),
        "with vertices up to 7",
    ),
    "touching in words": (
        lambda _: neighbours_in_volume(
            grid_of_mask(everywhere()).recording(np.zeros((1, 60)), {"sample": ["a"]}), "sides"
        ),
        "touching: got 'sides'",
    ),
    "no grid": (
        lambda _: neighbours_in_volume(xr.DataArray(np.zeros(3), dims="voxel", coords={"voxel": range(3)})),
        "which grid",
    ),
    "images beside the mask": (
        lambda _: other_masker(),
        "images: its affine differs from that of the mask by up to 1 mm",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_a_sentence(case, tmp_path):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make(tmp_path)


def test_something_else_is_no_masker():
    with pytest.raises(TypeError, match="masker: got int; expected a masker of nilearn"):
        masked(3, volumes(), table())


def test_a_scalar_file_is_dense_too(tmp_path):
    path, values = cifti(tmp_path / "maps.dscalar.nii", ScalarAxis([f"map {i}" for i in range(N)]))
    np.testing.assert_array_equal(open_cifti(path, table()).read(slice(0, 7)).values, values)
