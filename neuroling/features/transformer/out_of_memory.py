"""Packs that the memory of a device does not hold: their halves are tried, down to a single sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

Found = TypeVar("Found")

CPU_IS_FULL = "DefaultCPUAllocator:"
"""Begins what torch says when the CPU's memory is spent, in an error of no kind of its own."""


def in_halves(
    work: Callable[[NDArray[np.intp]], Found], pack: NDArray[np.intp], lengths: Sequence[int], device: torch.device
) -> Iterator[Found]:
    """Do something with a pack of sequences, or with its halves one after the other.

    Parameters
    ----------
    work : callable
        Takes which sequences; run again with half of them if the memory does not hold it.
    pack : ndarray of int, shape (sequence,)
        Which sequences.
    lengths : sequence of int
        Tokens of every sequence, of all packs.
    device : torch.device
        Named in the error.

    Yields
    ------
    object
        What ``work`` gives for the pack, or for each part of it.

    Raises
    ------
    ValueError
        If the memory does not hold a single sequence.

    Examples
    --------
    >>> def work(pack):
    ...     if len(pack) > 2:
    ...         raise torch.OutOfMemoryError("full")
    ...     return pack.tolist()
    >>> list(in_halves(work, np.arange(5), [4, 4, 4, 4, 4], torch.device("cpu")))
    [[0, 1], [2], [3, 4]]
    """
    try:
        states = work(pack)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_full(error):
            raise
        if len(pack) == 1:
            raise ValueError(
                f"device: {device} has not the memory for a single text of {lengths[int(pack[0])]} tokens; use a "
                "smaller model, dtype='bfloat16', or another device."
            ) from error
    else:
        yield states
        return
    half = len(pack) // 2
    for part in (pack[:half], pack[half:]):
        yield from in_halves(work, part, lengths, device)


def is_full(error: BaseException) -> bool:
    """Whether an error says that memory is spent.

    Parameters
    ----------
    error : BaseException
        From torch or numpy.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_full(MemoryError()), is_full(RuntimeError("shapes differ"))
    (True, False)
    """
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or CPU_IS_FULL in str(error)
