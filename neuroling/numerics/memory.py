"""How much memory there is, and how many targets go through it at a time."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from neuroling.numerics.device import to_tensor

logger = logging.getLogger(__name__)

UNKNOWN = 4 * 2**30
"""Bytes that are taken to be free where the system does not say."""

SHARE = 0.5
"""Share of the free memory that is used unless a bound is given; the rest is for what others allocate meanwhile."""

TILE_TARGETS = 2048
"""Targets at a time where memory allows: products run at full speed from some hundreds on. A heuristic."""


def free_bytes(device: torch.device) -> int:
    """Ask how much memory is free on a device.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    int
        Bytes; for the CPU only what nothing else uses, file caches not counted as free.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return UNKNOWN


@dataclass(frozen=True)
class Limits:
    """What a computation may use.

    Attributes
    ----------
    batch : int or None
        Targets at a time; chosen by memory if None.
    memory : int or None
        Bytes that may be used beside input and result; None takes half of what is free.
    resident : bool
        Whether all targets stay on the device, or come there a batch at a time.
    """

    batch: int | None = None
    memory: int | None = None
    resident: bool = False


class Targets:
    """Targets that come to the device a batch at a time.

    Parameters
    ----------
    values : ndarray, shape (sample, target)
        All targets; may be a memory map.
    device : torch.device
        Where they go.
    limits : Limits
        Targets at a time, and memory.
    """

    def __init__(self, values: NDArray[np.floating], device: torch.device, limits: Limits) -> None:
        self.values = values
        self.device = device
        self.limits = limits
        self.dtype = torch.float32 if values.dtype == np.float32 else torch.float64

    @property
    def allowed(self) -> int:
        """Bytes that may be used."""
        return self.limits.memory if self.limits.memory is not None else int(SHARE * free_bytes(self.device))

    def tile_size(self, *, fixed: int, per_target: int) -> int:
        """Choose how many targets go through at a time; a number that memory makes smaller is logged.

        Parameters
        ----------
        fixed : int
            Bytes that are needed whatever the number of targets.
        per_target : int
            Bytes that one target needs on its way.

        Returns
        -------
        int

        Raises
        ------
        MemoryError
            If not even one target fits.
        """
        requested = min(self.limits.batch or TILE_TARGETS, self.values.shape[1])
        size = tile_size(requested, fixed=fixed, per_target=per_target, allowed=self.allowed)
        if size < requested:
            logger.warning(
                "memory is short (%s bytes allowed): %d targets at a time instead of %d, which is slower",
                f"{self.allowed:,}",
                size,
                requested,
            )
        return size

    def tiles(self, size: int) -> Iterator[tuple[slice, torch.Tensor]]:
        """Cut targets into batches.

        Parameters
        ----------
        size : int
            Targets at a time.

        Yields
        ------
        tile : slice
            Which targets.
        y : Tensor, shape (sample, tile)
            Their values on the device.
        """
        gathered = None
        if self.limits.resident and self.device.type != "cpu":
            gathered = to_tensor(self.values, self.device)
        for start in range(0, self.values.shape[1], size):
            tile = slice(start, min(start + size, self.values.shape[1]))
            if gathered is not None:
                yield tile, gathered[:, tile].contiguous()
            else:
                yield tile, to_tensor(np.ascontiguousarray(self.values[:, tile]), self.device)


def tile_size(wanted: int, *, fixed: int, per_target: int, allowed: int) -> int:
    """Choose how many targets go through at a time.

    Parameters
    ----------
    wanted : int
        Number that is taken if memory allows.
    fixed : int
        Bytes that are needed whatever the number of targets.
    per_target : int
        Bytes that one target needs.
    allowed : int
        Bytes in all.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    MemoryError
        If not even one target fits.

    Examples
    --------
    >>> tile_size(5000, fixed=1000, per_target=100, allowed=11_000)
    100
    """
    fitting = (allowed - fixed) // per_target
    if fitting < 1:
        raise MemoryError(
            f"max_memory: {allowed:,} bytes are allowed, but {fixed + per_target:,} are needed beside features, "
            "targets and results even for one target at a time. Allow more, or use fewer samples or features."
        )
    return min(wanted, fitting)
