"""Devices are those that exist, and arrays get there whole."""

import numpy as np
import pytest
import torch

from neuroling.numerics.device import available_devices, resolve_device, to_tensor

CPU = torch.device("cpu")


def test_auto_takes_a_device_that_exists():
    assert str(resolve_device("auto")) in available_devices()


def test_auto_prefers_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("auto") == torch.device("cuda:0")


def test_cuda_without_a_number_is_the_first_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert resolve_device("cuda") == torch.device("cuda:0")


@pytest.mark.parametrize("name", ["cuda:7", "tpu", ""])
def test_an_absent_device_is_named_with_those_that_exist(name):
    with pytest.raises(ValueError, match=rf"device: got '{name}'; expected 'auto' or one that exists here: cpu"):
        resolve_device(name)


@pytest.mark.parametrize(
    "change",
    [lambda a: a, lambda a: a[::-1], lambda a: a[:, ::-2], lambda a: a.T, lambda a: a.astype(">f8")],
    ids=["as it is", "reversed", "backward steps", "transposed", "other byte order"],
)
def test_any_layout_arrives_with_its_values(change):
    array = change(np.arange(12.0).reshape(3, 4))
    np.testing.assert_array_equal(to_tensor(array, CPU).numpy(), array)


def test_a_read_only_array_arrives_without_a_warning():
    array = np.ones(3)
    array.flags.writeable = False
    assert to_tensor(array, CPU).sum() == 3


def test_the_dtype_can_be_asked_for():
    assert to_tensor(np.ones(2, np.float32), CPU, torch.float64).dtype == torch.float64


def test_tensorfloat_32_stays_off():
    assert not torch.backends.cuda.matmul.allow_tf32
