"""Where the arithmetic runs, and how arrays get there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroling.numerics.deferred import deferred

if TYPE_CHECKING:
    import torch
else:
    torch = deferred("torch")


def resolve_device(device: str = "auto") -> torch.device:
    """Turn the name of a device into a device that exists.

    Parameters
    ----------
    device : str
        ``"auto"`` takes the first CUDA device if there is one, else the CPU; otherwise any name that torch knows,
        such as ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If the name is unknown or the device is not there.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    present = available_devices()
    if device == "auto":
        return torch.device("cuda:0" if "cuda:0" in present else "cpu")
    full = "cuda:0" if device == "cuda" else device
    if full not in present:
        raise ValueError(f"device: got {device!r}; expected 'auto' or one that exists here: {', '.join(present)}.")
    return torch.device(full)


def available_devices() -> list[str]:
    """Name the devices of this machine, the CPU first.

    Returns
    -------
    list of str
        For example ``["cpu", "cuda:0"]``.
    """
    return ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]


def to_tensor(array: NDArray[np.generic], device: torch.device, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Bring an array to a device, once.

    Shares memory with the array where torch can (CPU, writeable, positive strides); the callers here never write to
    the result. TensorFloat-32 is never switched on: a float32 product is a float32 product on every device.

    Parameters
    ----------
    array : ndarray
        Any shape.
    device : torch.device
        Where it goes.
    dtype : torch.dtype, optional
        The dtype it gets; its own by default.

    Returns
    -------
    torch.Tensor, same shape
    """
    if not array.flags.writeable or any(stride < 0 for stride in array.strides) or not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="), copy=True, order="C")
    return torch.from_numpy(array).to(device=device, dtype=dtype)


def room(*shape: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Give memory whose values are arbitrary, for many large results one after the other.

    On a CPU it is numpy's, which asks Linux for huge pages: the first touch of torch's own memory costs about a second
    in 500 MB, and again for every tensor of more than 32 MiB.

    Parameters
    ----------
    *shape : int
        Size of every axis.
    dtype : torch.dtype
        float32 or float64.
    device : torch.device

    Returns
    -------
    Tensor, of that shape

    Examples
    --------
    >>> room(2, 3, dtype=torch.float32, device=torch.device("cpu")).shape
    torch.Size([2, 3])
    """
    if device.type != "cpu":
        return torch.empty(shape, dtype=dtype, device=device)
    return torch.from_numpy(np.empty(shape, np.float32 if dtype == torch.float32 else np.float64))
