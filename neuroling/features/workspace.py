"""Memory of activations, handed from layer to layer and kept between extractions: no page is made twice."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray

ALIGNMENT = 64
"""Bytes of a cache line, at which torch begins tensors as well."""

STEP = 2**20
"""Sizes of blocks are multiples of this many bytes, so that packs of almost equal size fit the same block."""

LARGEST_SHARE = 2
"""A block is not given to what would leave more than half of it empty, or small tensors would hold the large blocks."""


HELD_BYTES = 48 * 2**20
"""Bytes that stay with a workspace between two extractions; packs of the default size need 20 to 30 million."""


class Workspace:
    """Blocks of memory on the CPU, each of which goes to another tensor once nothing uses its last one any more.

    A tensor made from an array holds that array until its last view is gone; only then does the block come back, so
    that no two living tensors share memory, whatever a model does with them. Threads may share one.

    Examples
    --------
    >>> workspace = Workspace()
    >>> first = workspace.take(2, 3)
    >>> second = workspace.take(2, 3)  # the first is still in use
    >>> place = first.data_ptr()
    >>> del first
    >>> workspace.take(3, 2).data_ptr() == place
    True
    """

    def __init__(self) -> None:
        self._free: list[NDArray[np.uint8]] = []
        self._choosing = Lock()

    def take(self, rows: int, columns: int) -> torch.Tensor:
        """Give a float32 tensor with any values in it.

        Parameters
        ----------
        rows, columns : int
            Its shape.

        Returns
        -------
        torch.Tensor of float32, shape (row, column)
        """
        n_bytes = 4 * rows * columns
        with self._choosing:  # blocks may come back meanwhile, at the end of the list
            fitting = [place for place, block in enumerate(self._free) if n_bytes <= block.size <= _at_most(n_bytes)]
            smallest = min(fitting, key=lambda place: self._free[place].size, default=None)
            found = None if smallest is None else self._free.pop(smallest)
        block = _new_block(n_bytes) if found is None else found
        array = block[:n_bytes].view(np.float32).reshape(rows, columns)
        weakref.finalize(array, self._free.append, block).atexit = False
        return torch.from_numpy(array)

    def trim(self, kept: int = HELD_BYTES) -> None:
        """Let go of free blocks beyond some bytes, those freed first.

        Parameters
        ----------
        kept : int
            Bytes that may stay.
        """
        with self._choosing:
            while sum(block.size for block in self._free) > kept:
                del self._free[0]


def _at_most(n_bytes: int) -> int:
    return max(LARGEST_SHARE * n_bytes, STEP)


def _new_block(n_bytes: int) -> NDArray[np.uint8]:
    size = -(-max(n_bytes, 1) // STEP) * STEP
    room = np.empty(size + ALIGNMENT, dtype=np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size]


_current: ContextVar[Workspace | None] = ContextVar("workspace that activations are taken from", default=None)


@contextmanager
def reusing(workspace: Workspace) -> Iterator[None]:
    """Let :func:`empty` take from a workspace for a while, in this thread; trim it afterwards.

    Parameters
    ----------
    workspace : Workspace
        What it keeps serves the next time.
    """
    token = _current.set(workspace)
    try:
        yield
    finally:
        _current.reset(token)
        workspace.trim()


def empty(rows: int, columns: int, like: torch.Tensor) -> torch.Tensor:
    """Give a matrix with any values in it, from the workspace where one is open and can serve it.

    Parameters
    ----------
    rows, columns : int
        Its shape.
    like : torch.Tensor
        Says device and precision. Anything but float32 on a CPU without gradients gets memory of its own.

    Returns
    -------
    torch.Tensor, shape (row, column)
    """
    workspace = _current.get()
    if workspace is None or like.device.type != "cpu" or like.dtype != torch.float32 or torch.is_grad_enabled():
        return like.new_empty(rows, columns)
    return workspace.take(rows, columns)


def is_open() -> bool:
    """Whether activations are taken from a workspace here.

    Returns
    -------
    bool
    """
    return _current.get() is not None
