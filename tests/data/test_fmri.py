from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from neuroling.data.fmri import (
    BrainGrid,
    mask_image,
    mni_grid,
    mni_to_tal,
    smoothed_peaks,
    tal_to_mni,
    to_image,
)

AFFINE = np.array([[4.0, 0, 0, -10], [0, 4, 0, -20], [0, 0, 4, -30], [0, 0, 0, 1]])
POINTS = st.lists(st.tuples(*[st.floats(-120, 120)] * 3), min_size=1, max_size=5)


@pytest.fixture
def grid() -> BrainGrid:
    """A box of 5 × 6 × 7 voxels whose every second voxel is brain."""
    return BrainGrid((5, 6, 7), AFFINE, np.arange(0, 210, 2))


def test_the_grid_of_8_mm_has_as_many_voxels_as_its_readme_says() -> None:
    assert len(mni_grid(8.0).voxels) == 4509


def test_the_grid_has_the_brain_in_the_middle_and_no_voxel_across_it() -> None:
    x = mni_grid(8.0).centres[:, 0]
    assert set(abs(x) % 8) == {4.0}
    assert abs((x > 0).mean() - 0.5) < 0.02


def test_finer_voxels_fill_the_same_volume() -> None:
    volumes = [len(mni_grid(size, least_share=0.5).voxels) * size**3 for size in (4.0, 8.0)]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.02)


@pytest.mark.parametrize(("spacing", "share"), [(7.5, 0.01), (1.0, 0.01), (8.0, 0.0), (8.0, 1.5)])
def test_an_impossible_grid_is_refused(spacing: float, share: float) -> None:
    with pytest.raises(ValueError, match=r"(spacing_mm|least_share): got"):
        mni_grid(spacing, least_share=share)


def test_every_centre_lies_in_its_own_voxel(grid: BrainGrid) -> None:
    assert np.array_equal(grid.locate(grid.centres), grid.voxels)


def test_points_outside_of_the_brain_lie_in_no_voxel(grid: BrainGrid) -> None:
    assert grid.locate([[-10.0, -20.0, -26.0], [1e6, 0, 0], [-12.1, -20, -30]]).tolist() == [-1, -1, -1]


@given(POINTS)
def test_talairach_and_back_is_where_one_was(points: list[tuple[float, float, float]]) -> None:
    assert mni_to_tal(tal_to_mni(points)) == pytest.approx(np.array(points), abs=1e-9)


def test_the_talairach_transform_is_lancasters() -> None:
    # by hand from the published matrix: TAL = A MNI, at MNI (10, 20, 30)
    expected = [9.357 + 0.058 - 0.216 - 1.0423, -0.065 + 18.792 - 2.178 - 1.394, 0.103 + 1.504 + 26.901 + 3.6475]
    assert mni_to_tal([[10.0, 20.0, 30.0]])[0] == pytest.approx(expected)


def test_points_that_are_not_triples_are_refused() -> None:
    with pytest.raises(ValueError, match=r"points: got shape \(3,\)"):
        tal_to_mni([1.0, 2.0, 3.0])


@pytest.mark.parametrize("sigma", [0.0, 0.6, 1.0, 2.5])
def test_smoothing_is_that_of_scipy(grid: BrainGrid, sigma: float) -> None:
    rng = np.random.default_rng(0)
    rows, voxels = rng.integers(0, 3, 50), rng.choice(grid.voxels, 50)
    counts = np.zeros((3, 210))
    np.add.at(counts, (rows, voxels), 1)
    expected = [gaussian_filter(row.reshape(grid.shape), sigma, mode="constant").ravel() for row in counts]
    ours = smoothed_peaks(grid, rows, voxels, 3, sigma)
    assert ours == pytest.approx(np.array(expected)[:, grid.voxels], abs=1e-6)


def test_samples_are_smoothed_alike_in_any_batch(grid: BrainGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows, voxels = rng.integers(0, 7, 90), rng.choice(grid.voxels, 90)
    whole = smoothed_peaks(grid, rows, voxels, 7, 1.0)
    monkeypatch.setattr("neuroling.data.fmri.BATCH", 2)
    assert smoothed_peaks(grid, rows, voxels, 7, 1.0) == pytest.approx(whole, abs=1e-6)


def test_a_negative_width_is_refused(grid: BrainGrid) -> None:
    with pytest.raises(ValueError, match="sigma_voxels: got -1"):
        smoothed_peaks(grid, np.array([0]), np.array([0]), 1, -1.0)


@pytest.fixture
def recording(grid: BrainGrid) -> xr.DataArray:
    values = np.random.default_rng(0).standard_normal((3, 105))
    return grid.recording(values, {"sample": ["a", "b", "c"]})


def test_an_image_holds_each_value_at_its_place_in_mm(recording: xr.DataArray) -> None:
    image = to_image(recording.sel(sample="b"))
    for voxel in (0, 50, 104):
        at = recording.isel(voxel=voxel)
        i, j, k = np.linalg.solve(image.affine, [float(at.x), float(at.y), float(at.z), 1])[:3].round().astype(int)
        assert image.dataobj[i, j, k] == pytest.approx(float(at.sel(sample="b")), rel=1e-6)


def test_the_grid_survives_arithmetic_and_selection(recording: xr.DataArray) -> None:
    score = (recording * 2).mean("sample").isel(voxel=slice(10, 20))
    assert np.count_nonzero(np.asarray(to_image(score).dataobj)) == 10


def test_the_grid_survives_a_file(recording: xr.DataArray, tmp_path: object) -> None:
    recording.to_netcdf(f"{tmp_path}/r.nc", engine="h5netcdf")
    again = xr.load_dataarray(f"{tmp_path}/r.nc", engine="h5netcdf")
    assert np.array_equal(to_image(again[0]).dataobj, to_image(recording[0]).dataobj)


def test_values_that_lost_their_grid_take_it_from_a_recording(recording: xr.DataArray) -> None:
    bare = xr.DataArray(recording.values[0], dims="voxel", coords={"voxel": recording.voxel.values})
    with pytest.raises(ValueError, match=r"which grid they lie on .* like="):
        to_image(bare)
    assert np.array_equal(to_image(bare, like=recording).dataobj, to_image(recording[0]).dataobj)


def test_more_than_one_value_a_voxel_is_refused(recording: xr.DataArray) -> None:
    with pytest.raises(ValueError, match=r"got axes \('sample', 'voxel'\)"):
        to_image(recording)


def test_the_mask_has_one_for_every_voxel(recording: xr.DataArray) -> None:
    assert np.asarray(mask_image(recording).dataobj).sum() == 105


def test_a_mask_of_what_has_no_voxels_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 'voxel' among them"):
        mask_image(xr.DataArray([1.0], dims="sample"))


def test_importing_the_room_brings_in_nothing_heavy() -> None:
    heavy = ["nilearn", "mne", "torch", "matplotlib", "pooch", "nibabel", "scipy"]
    code = f"import sys, neuroling.data; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
