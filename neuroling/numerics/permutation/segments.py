"""Samples in stretches that all splits treat alike, so that sums over training sets are sums over few stretches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from neuroling.numerics.deferred import deferred

if TYPE_CHECKING:
    import torch
else:
    torch = deferred("torch")

Rows = Int[NDArray[np.integer], " row"]


class Stretches:
    """Samples sorted into stretches: within one, every split trains on all of them or none, and tests all or none.

    Parameters
    ----------
    splits : sequence of tuple of ndarray, shapes (train,) and (test,)
        Row numbers, none twice in one set.
    n_samples : int
        Number of samples.

    Attributes
    ----------
    samples : ndarray of int, shape (sample,)
        Sample numbers, stretch after stretch.
    slices : list of slice
        Where each stretch stands among them.
    tested : list of list of int
        Stretches that each split tests.

    Examples
    --------
    >>> halves = [(np.array([0, 2]), np.array([1, 3])), (np.array([1, 3]), np.array([0, 2]))]
    >>> stretches = Stretches(halves, 4)
    >>> stretches.samples.tolist(), stretches.slices, stretches.tested
    ([1, 3, 0, 2], [slice(0, 2, None), slice(2, 4, None)], [[0], [1]])
    """

    def __init__(self, splits: Sequence[tuple[Rows, Rows]], n_samples: int) -> None:
        member = np.zeros((n_samples, 2, len(splits)), bool)
        for number, (train, test) in enumerate(splits):
            member[train, 0, number], member[test, 1, number] = True, True
        kinds, of_sample, sizes = np.unique(
            member.reshape(n_samples, -1), axis=0, return_inverse=True, return_counts=True
        )
        self.samples = np.argsort(of_sample.reshape(-1), kind="stable")
        self.slices = [
            slice(end - size, end) for end, size in zip(np.cumsum(sizes).tolist(), sizes.tolist(), strict=True)
        ]
        trains, tests = kinds.reshape(-1, 2, len(splits)).transpose(1, 2, 0)  # (split, stretch) each
        self._trained, self._left_out, self.tested = (
            [np.flatnonzero(one).tolist() for one in which] for which in (trains, ~trains, tests)
        )

    def of_design(self, design: torch.Tensor) -> list[torch.Tensor]:
        """Cut a design (sample, moment) into stretches: (moment, row) each."""
        return [design[torch.from_numpy(self.samples[rows])].T.contiguous() for rows in self.slices]

    def sorted_rows(self, orders: NDArray[np.integer]) -> torch.Tensor:
        """Lay out orders (draw, sample) by stretch: (sorted sample, draw)."""
        return torch.from_numpy(orders[:, self.samples].T.astype(np.int32))

    def trained(self, split: int, sums: torch.Tensor, total: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """Sum what a split trains on, or take the others from the whole.

        Parameters
        ----------
        split : int
            Its number.
        sums : tensor, shape (stretch, moment, column)
            Sums over every stretch.
        total : tensor, shape (moment, column)
            Their sum.
        out : tensor, shape (moment, column)
            Where to write.
        """
        inside, outside = self._trained[split], self._left_out[split]
        if len(outside) >= len(inside):
            return torch.sum(sums[inside], 0, out=out)
        return torch.sub(total, joined(sums, outside), out=out)


def joined(sums: torch.Tensor, stretches: Sequence[int]) -> torch.Tensor:
    """Sum over some stretches: (stretch, moment, column) -> (moment, column); one alone is not copied.

    Examples
    --------
    >>> joined(torch.ones(3, 1, 2), [0, 2]).tolist()
    [[2.0, 2.0]]
    """
    return sums[stretches[0]] if len(stretches) == 1 else sums[list(stretches)].sum(0)
