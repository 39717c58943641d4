from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neuroling.features.storage.seal import sealed
from neuroling.features.storage.shards import join_shards


def shard(path, samples, *, start: int = 0, layers=(0, 1), **attrs):
    values = np.arange(start, start + 6 * len(samples), dtype=np.float32).reshape(len(samples), 2, 3)
    array = xr.DataArray(
        values,
        dims=("sample", "layer", "feature"),
        coords={"sample": samples, "layer": list(layers), "feature": [0, 1, 2], "text": ("sample", samples)},
        name="features",
        attrs={"encoder": "toy", "stimuli": str(samples), "content_key": str(path), **attrs},
    )
    sealed(array).transpose("layer", "sample", "feature").to_netcdf(path, engine="h5netcdf")
    return path


@pytest.fixture
def two(tmp_path):
    return shard(tmp_path / "1.nc", ["a", "b", "c"]), shard(tmp_path / "2.nc", ["d", "e"], start=18)


@pytest.mark.parametrize("block_bytes", [1, 2**20])
def test_parts_stand_one_after_the_other(two, tmp_path, block_bytes):
    found = join_shards(two, tmp_path / "all.nc", block_bytes=block_bytes)
    assert found.sample.values.tolist() == list("abcde")
    assert np.array_equal(found.values.ravel(), np.arange(30, dtype=np.float32))


def test_coordinates_of_samples_travel_along(two, tmp_path):
    assert join_shards(two, tmp_path / "all.nc").text.values.tolist() == list("abcde")


def test_what_all_parts_say_is_said_of_the_whole(two, tmp_path):
    assert join_shards(two, tmp_path / "all.nc").attrs["encoder"] == "toy"


def test_the_order_of_the_parts_gives_another_key(two, tmp_path):
    one, other = (join_shards(order, tmp_path / name) for order, name in ((two, "x.nc"), (two[::-1], "y.nc")))
    assert one.attrs["content_key"] != other.attrs["content_key"]


def test_another_encoder_is_not_joined(two, tmp_path):
    with pytest.raises(ValueError, match="differ in encoder: 'toy' against 'other'"):
        join_shards([two[0], shard(tmp_path / "3.nc", ["f"], encoder="other")], tmp_path / "all.nc")


def test_other_layers_are_not_joined(two, tmp_path):
    with pytest.raises(ValueError, match="differ along 'layer'"):
        join_shards([two[0], shard(tmp_path / "3.nc", ["f"], layers=(0, 2))], tmp_path / "all.nc")


def test_a_sample_in_two_parts_is_named(two, tmp_path):
    with pytest.raises(ValueError, match="1 samples stand in two parts, first 'a'"):
        join_shards([two[0], shard(tmp_path / "3.nc", ["a"])], tmp_path / "all.nc")


def test_a_missing_part_is_named(two, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"4\.nc: not there"):
        join_shards([*two, tmp_path / "4.nc"], tmp_path / "all.nc")


def test_nothing_is_left_of_a_failure(two, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("neuroling.features.storage.shards.add_values", full)
    with pytest.raises(OSError, match="No space"):
        join_shards(two, tmp_path / "all.nc")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.nc", "2.nc"]
