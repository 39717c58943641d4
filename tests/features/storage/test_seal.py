"""Every flipped bit of a features file is found, in labels and attributes as in values, or changes nothing."""

import os
import stat

import numpy as np
import pytest
import xarray as xr

from neuroling.core.trust import SHARED, distrust
from neuroling.features.storage.cache import remember
from neuroling.features.storage.files import add_values, write_labels
from neuroling.features.storage.seal import FeaturesFileError, open_sealed, sealed

LABELS = {
    "sample": [f"word {number}" for number in range(40)],
    "layer": [0, 6],
    "feature": np.arange(8),
    "onset": ("sample", np.linspace(0.0, 19.5, 40)),
    "group": ("sample", ["story"] * 40),
}


def written(path):
    import h5netcdf

    values = np.random.default_rng(0).standard_normal((40, 2, 8)).astype(np.float32)
    attrs = {"encoder": "toy", "content_key": "0" * 64, "n_truncated": 0, "revision": "main"}
    features = sealed(xr.DataArray(values, dims=("sample", "layer", "feature"), coords=LABELS, attrs=attrs))
    write_labels(path, features)
    with h5netcdf.File(path, "r+") as file:
        add_values(file, features)
        file.variables["features"][:] = values.transpose(1, 0, 2)
    return features


def test_what_was_written_is_read(tmp_path):
    features = written(tmp_path / "f.nc")
    with open_sealed(tmp_path / "f.nc") as again:
        np.testing.assert_array_equal(again.transpose("sample", "layer", "feature"), features)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # HDF5 closes damaged files noisily
@pytest.mark.parametrize("number", range(60))
def test_a_flipped_bit_is_found_or_changes_nothing(tmp_path, number):
    features = written(tmp_path / "f.nc")
    content = bytearray((tmp_path / "f.nc").read_bytes())
    rng = np.random.default_rng(number)
    content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    (tmp_path / "f.nc").write_bytes(content)
    try:
        with open_sealed(tmp_path / "f.nc") as again:
            read = again.transpose("sample", "layer", "feature").load()
    except FeaturesFileError as error:
        if "f.nc" not in str(error):
            raise
        return
    np.testing.assert_array_equal(read.values, features.values)
    for name in LABELS:
        np.testing.assert_array_equal(read[name].values, features[name].values)
    assert {name: read.attrs[name] for name in features.attrs} == features.attrs


@pytest.mark.parametrize("change", ["onset", "sample", "layer"])
def test_changed_labels_are_refused(tmp_path, change):
    import h5py

    written(tmp_path / "f.nc")
    with h5py.File(tmp_path / "f.nc", "r+") as file:
        if change == "sample":
            file[change][3] = "word x"
        else:
            file[change][1] = 7
    with pytest.raises(FeaturesFileError, match="not those that were written"):
        open_sealed(tmp_path / "f.nc")


def test_features_of_other_programs_need_no_seal(tmp_path):
    xr.DataArray(np.zeros((2, 3)), dims=("sample", "feature")).to_netcdf(tmp_path / "own.nc", engine="h5netcdf")
    with open_sealed(tmp_path / "own.nc") as own:
        assert own.shape == (2, 3)


# --- whom a cache trusts --------------------------------------------------------------------------------------------

PARTS = {"step": "test"}


def make():
    return np.ones((2, 2), dtype=np.float32)


@pytest.fixture
def entry(tmp_path):
    folder = tmp_path / "cache"
    remember(folder, PARTS, make)
    return next(folder.glob("*.npz"))


def test_entries_are_for_their_owner_alone(entry):
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    assert distrust(entry) == ""


@pytest.mark.parametrize("of_folder", [True, False])
def test_what_others_may_write_is_computed_again(entry, of_folder):
    place = entry.parent if of_folder else entry
    place.chmod(0o777)
    with pytest.warns(UserWarning, match="may be written by others"):
        values = remember(entry.parent, PARTS, lambda: 2 * make())
    assert float(values[0, 0]) == 2


def test_what_belongs_to_another_user_is_computed_again(entry):
    if os.getuid() != 0:
        pytest.skip("only the administrator can give files away")
    os.chown(entry, 1234, 1234)
    with pytest.warns(UserWarning, match="belongs to another user"):
        values = remember(entry.parent, PARTS, lambda: 2 * make())
    assert float(values[0, 0]) == 2


def test_a_shared_cache_is_trusted_where_it_is_declared(entry, monkeypatch):
    entry.parent.chmod(0o777)
    monkeypatch.setenv(SHARED, str(entry.parent))
    assert float(remember(entry.parent, PARTS, lambda: 2 * make())[0, 0]) == 1
