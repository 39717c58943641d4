r"""Many relabelings of a recording, scored in the principal directions of what each split trains on.

Ridge regression takes a recording apart along the principal directions of its training features and shrinks each by a
factor :math:`f_j` that alone depends on the penalty: :math:`\hat y = U_{test}\, f \circ (U_{train}^\top y_{train})`.
Targets with different penalties therefore share all products, and go through them together. Nor are predictions needed,
only :math:`\hat y^\top y = (f \circ z)^\top U_{test}^\top y_{test}` and :math:`\hat y^\top \hat y = (f \circ z)^\top
U_{test}^\top U_{test} (f \circ z)`, which are as short as there are features, however many samples are tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from neuroling.numerics.deferred import deferred
from neuroling.numerics.permutation.from_moments import CALL, EXACT, LONGEST, TARGETS_AT_ONCE
from neuroling.numerics.permutation.segments import Rows, Stretches, joined
from neuroling.numerics.products import multiply

if TYPE_CHECKING:
    import torch
else:
    torch = deferred("torch")

TILE = 128
"""Targets whose values are gathered together: 512 bytes in float32. A heuristic."""

VALUES_AT_ONCE = 2**20
"""Values of the moments of a tile, 4 MB in float32. A heuristic: 1.5 MB stay in a second-level cache and take a fifth
longer, as products are smaller."""


class DirectionSplit(NamedTuple):
    """One split of a model: the directions that it sees, and how much of each it keeps for which target."""

    train: Rows
    test: Rows
    loadings: Float[NDArray[np.float64], "moment direction"]
    kept: Float[NDArray[np.float64], "direction target"]


def principal_directions(
    X: Float[NDArray[np.floating], "sample feature"], train: Rows
) -> Float[NDArray[np.float64], "sample direction"]:
    """Give all samples in the principal directions of training features, orthonormal over the training rows.

    Examples
    --------
    >>> X = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    >>> np.abs(principal_directions(X, np.array([0, 1]))).round(2).tolist()  # one direction
    [[0.71], [0.71], [2.12]]
    """
    wide = X.astype(np.float64)
    centred = wide - wide[train].mean(axis=0)
    _, spectrum, axes = np.linalg.svd(centred[train], full_matrices=False)
    seen = spectrum > spectrum.max(initial=0.0) * max(X.shape) * np.finfo(float).eps
    directions: NDArray[np.float64] = centred @ axes[seen].T / spectrum[seen]
    return directions


def kept_of_operators(
    operators: Sequence[Float[NDArray[np.floating], "test train"]],
    directions: Float[NDArray[np.float64], "sample direction"],
    rows: tuple[Rows, Rows],
) -> Float[NDArray[np.float64], "direction operator"] | None:
    """Find how much of each direction operators keep, where they treat every direction by itself, as ridge does.

    Parameters
    ----------
    operators : sequence of ndarray, shape (test, train)
        What predicts test rows from training rows.
    directions : ndarray, shape (sample, direction)
        Those of the training rows, by :func:`principal_directions`.
    rows : tuple of ndarray of int, shapes (train,) and (test,)
        Row numbers.

    Returns
    -------
    ndarray, shape (direction, operator), or None
        None where some operator mixes directions, sees what they do not hold, or keeps no more than rounding errors.

    Examples
    --------
    >>> directions = np.array([[-0.6], [0.6], [0.9]])
    >>> half = 0.5 + 0.5 * directions[2:] @ directions[:2].T
    >>> kept_of_operators([half], directions, (np.array([0, 1]), np.array([2]))).tolist()
    [[0.0]]
    """
    train, test = rows
    seen, ahead = directions[train], directions[test] - directions[test].mean(axis=0)
    length = np.square(ahead).sum(axis=0)
    kept = np.zeros((directions.shape[1], len(operators)))
    for number, operator in enumerate(operators):
        centred = operator - operator.mean(axis=0)
        along = ((centred @ seen) * ahead).sum(axis=0)
        np.divide(along, length, out=kept[:, number], where=length > 0)
        wrong = np.abs((ahead * kept[:, number]) @ seen.T - centred).max()
        if wrong > EXACT * np.abs(centred).max():
            return None
    return kept


def loadings_on_moments(
    directions: Float[NDArray[np.float64], "sample direction"], design: Float[NDArray[np.float64], "sample moment"]
) -> Float[NDArray[np.float64], "moment direction"] | None:
    """Write directions in the columns of an orthonormal design; None where one is long enough to magnify rounding.

    Examples
    --------
    >>> loadings_on_moments(np.array([[2.0], [0.0]]), np.eye(2)).tolist()
    [[2.0], [0.0]]
    >>> loadings_on_moments(np.array([[99.0], [0.0]]), np.eye(2)) is None
    True
    """
    loadings: NDArray[np.float64] = design.T @ directions
    return None if np.linalg.norm(loadings, axis=0).max(initial=0.0) > LONGEST else loadings


def operations_of_directions(n_moments: int, splits: Sequence[tuple[Rows, Rows]], n_samples: int) -> float:
    """Count operations for one target and draw: the moments, and three products of them a split.

    Examples
    --------
    >>> operations_of_directions(2, [(np.arange(5), np.arange(5, 9))], 9) < 2000
    True
    """
    columns = max(TILE, VALUES_AT_ONCE // (n_moments * (1 + len(splits))))
    return 2 * n_moments * (n_samples + 3 * n_moments * len(splits)) + len(splits) * CALL / columns


def pearson_of_directions(
    splits: Sequence[DirectionSplit],
    design: Float[NDArray[np.float64], "sample moment"],
    Y: Float[NDArray[np.floating], "sample target"],
    orders: Int[NDArray[np.integer], "draw sample"],
    fixed: Float[NDArray[np.floating], "sample target"] | None = None,
) -> Float[NDArray[np.float64], "draw target"]:
    r"""Correlate held-out rows with their predictions under many orders of the recording, nothing fitted.

    Parameters
    ----------
    splits : sequence of DirectionSplit
        Their directions, and what is kept of them.
    design : ndarray, shape (sample, moment)
        Orthonormal columns of the moments, the first constant.
    Y : ndarray, shape (sample, target)
        Recording; its dtype is that of the products.
    orders : ndarray of int, shape (draw, sample)
        In draw ``d`` row ``i`` holds what was recorded in row ``orders[d, i]``.
    fixed : ndarray, optional, shape (sample, target)
        Added to the reordered recording: what stays in place, such as trends.

    Returns
    -------
    ndarray, shape (draw, target)
        Mean over splits; NaN where either side is constant in one of them.

    Examples
    --------
    >>> design = np.array([[0.5, -0.5], [0.5, 0.5], [0.5, -0.5], [0.5, 0.5]])
    >>> line = DirectionSplit(np.arange(2), np.arange(2, 4), np.array([[0.0], [2**0.5]]), np.array([[0.1]]))
    >>> Y, orders = np.array([[0.0], [1.0], [2.0], [4.0]]), np.array([[0, 1, 2, 3], [0, 1, 3, 2]])
    >>> pearson_of_directions([line], design, Y, orders).round(3).tolist()
    [[1.0], [-1.0]]
    """
    scores = np.empty((len(orders), Y.shape[1]))
    plan = _Plan(splits, design, torch.from_numpy(Y[:0]).dtype)
    size = max(1, plan.columns // TILE)
    for start in range(0, Y.shape[1], TARGETS_AT_ONCE):
        targets = slice(start, start + TARGETS_AT_ONCE)
        block = plan.block(Y[:, targets], targets, None if fixed is None else fixed[:, targets])
        for first in range(0, len(orders), size):
            scores[first : first + size, targets] = plan.correlate(block, *plan.sorted(orders[first : first + size]))
    return scores


class _Fixed(NamedTuple):
    """What some targets keep in place, and what it adds to their sums."""

    twice: torch.Tensor  # (sorted sample, target), doubled
    moments: list[torch.Tensor]  # (moment, target) for every stretch
    squares: list[torch.Tensor]  # (target,) for every stretch


class _Tile(NamedTuple):
    """Targets that are gathered together."""

    where: slice  # in their block
    values: torch.Tensor  # (sample, target)
    fixed: _Fixed | None
    kept: list[torch.Tensor]  # (direction, 1, target) for every split


class _Block(NamedTuple):
    """Targets that are scored together, in tiles."""

    squares: torch.Tensor  # (sample, target), of what is reordered
    tiles: list[_Tile]


class _Room(NamedTuple):
    """Memory that tiles of one size use again: it stays in the cache, and nothing is asked of the system."""

    recorded: torch.Tensor  # (row, draw · target)
    crossed: torch.Tensor  # (row, draw · target); empty where nothing stays in place
    sums: torch.Tensor  # (stretch, moment, draw · target)
    whole: torch.Tensor  # (moment, draw · target)
    trained: torch.Tensor  # (moment, draw · target)
    share: torch.Tensor  # (direction, draw, target)
    both: torch.Tensor  # (truth or prediction, direction, draw · target)


class _Plan:
    """Stretches of samples, and what every split makes of their moments."""

    def __init__(self, splits: Sequence[DirectionSplit], design: NDArray[np.float64], dtype: torch.dtype) -> None:
        self.stretches = Stretches([(split.train, split.test) for split in splits], len(design))
        self.design = self.stretches.of_design(torch.from_numpy(design).to(dtype))
        self.tests = [split.test for split in splits]
        self.total = float(np.sqrt(len(design)))  # what makes a sum of the constant's moment
        self.n_directions = max(split.loadings.shape[1] for split in splits)
        maps = [self._maps(self._padded(split), design) for split in splits]
        self.loadings, self.ahead, self.root, self.kept = (
            [torch.from_numpy(one).to(dtype) for one in ones] for ones in zip(*maps, strict=True)
        )
        self.columns = max(TILE, VALUES_AT_ONCE // (design.shape[1] * (1 + len(self.design))))
        self._rooms: dict[tuple[int, int], _Room] = {}

    def _padded(self, split: DirectionSplit) -> DirectionSplit:
        """Give a split as many directions as the others have: empty ones."""
        more = self.n_directions - split.loadings.shape[1]
        return split._replace(
            loadings=np.pad(split.loadings, ((0, 0), (0, more))), kept=np.pad(split.kept, ((0, more), (0, 0)))
        )

    def _maps(self, split: DirectionSplit, design: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """Moments of training rows to directions, of test rows to centred ones, lengths of predictions, shares."""
        tested = design[split.test]
        mean = tested.mean(axis=0)
        ahead = (tested - mean) @ split.loadings  # (test, direction)
        centre = np.eye(len(mean))
        centre[:, 0] -= self.total * mean
        root = np.zeros((self.n_directions, self.n_directions))  # of the inner products, so that no squares cancel
        triangle = np.linalg.qr(ahead, mode="r")
        root[: len(triangle)] = triangle
        most = np.abs(split.kept).max(axis=0, initial=0.0)  # float32 has a smallest number, correlations have no scale
        return split.loadings.T.copy(), split.loadings.T @ centre, root, split.kept / np.where(most > 0, most, 1.0)

    def sorted(self, orders: NDArray[np.integer]) -> tuple[torch.Tensor, torch.Tensor]:
        """Lay out orders by stretch, (sorted sample, draw), and mark what is tested: (split · draw, sample)."""
        tested = self.design[0].new_zeros(len(self.tests), *orders.shape)
        for marks, test in zip(tested, self.tests, strict=True):
            marks.scatter_(1, torch.from_numpy(orders[:, test].astype(np.int64)), 1.0)
        return self.stretches.sorted_rows(orders), tested.flatten(0, 1)

    def block(self, Y: NDArray[np.floating], targets: slice, fixed: NDArray[np.floating] | None) -> _Block:
        """Centre some targets (sample, target) and lay them out in tiles."""
        values = torch.from_numpy(Y - Y.mean(axis=0))
        in_place = None if fixed is None else torch.from_numpy((fixed - fixed.mean(axis=0))[self.stretches.samples])
        kept = [one[:, None, targets] for one in self.kept]
        tiles = [slice(start, start + TILE) for start in range(0, values.shape[1], TILE)]
        products = [
            _Tile(
                tile,
                values[:, tile].contiguous(),
                None if in_place is None else self._fixed(in_place[:, tile]),
                [one[..., tile].contiguous() for one in kept],
            )
            for tile in tiles
        ]
        return _Block(values.square(), products)

    def _fixed(self, values: torch.Tensor) -> _Fixed:
        """Prepare what targets (sorted sample, target) keep in place."""
        parts = [values[stretch] for stretch in self.stretches.slices]
        moments = [part @ rows for part, rows in zip(self.design, parts, strict=True)]
        return _Fixed((2 * values).contiguous(), moments, [rows.square().sum(0) for rows in parts])

    def correlate(self, block: _Block, rows: torch.Tensor, tested: torch.Tensor) -> NDArray[np.float64]:
        """Correlate some targets under some draws: means over splits, (draw, target)."""
        n_draws, n_targets = rows.shape[1], block.squares.shape[1]
        spread = (tested @ block.squares).view(-1, n_draws, n_targets)  # (split, draw, target)
        sums = spread.new_empty(2, *spread.shape)  # products with the truth, and squares, of predictions
        for tile, values, fixed, kept in block.tiles:
            buffers = self._room(n_draws, values.shape[1], fixed is not None)
            added = self._moments(values, fixed, rows, buffers)
            for number, stretches in enumerate(self.stretches.tested):
                if added is not None:
                    spread[number, :, tile] += joined(added, stretches)
                truth, share = joined(buffers.sums, stretches), buffers.share
                trained = self.stretches.trained(number, buffers.sums, buffers.whole, buffers.trained)
                multiply(self.loadings[number], trained, share.flatten(1))
                share.mul_(kept[number])
                multiply(self.ahead[number], truth, buffers.both[0])
                multiply(self.root[number], share.flatten(1), buffers.both[1])
                buffers.both[0].mul_(share.flatten(1))
                buffers.both[1].square_()
                torch.sum(buffers.both.view(2, *share.shape), 1, out=sums[:, number, :, tile])
                total = truth[0].view(n_draws, -1)
                spread[number, :, tile].addcmul_(total, total, value=-(self.total**2) / len(self.tests[number]))
        product, square = sums
        scale = square.mul_(spread).sqrt_()
        means: NDArray[np.float64] = product.div_(scale.masked_fill_(scale == 0, torch.nan)).mean(0).double().numpy()
        return means

    def _room(self, n_draws: int, n_targets: int, beside: bool) -> _Room:
        if (n_draws, n_targets) not in self._rooms:
            empty, columns = self.design[0].new_empty, n_draws * n_targets
            n_moments, longest = self.design[0].shape[0], max(part.shape[1] for part in self.design)
            self._rooms[n_draws, n_targets] = _Room(
                empty(longest, columns),
                empty(longest if beside else 0, columns),
                empty(len(self.design), n_moments, columns),
                empty(n_moments, columns),
                empty(n_moments, columns),
                empty(self.n_directions, n_draws, n_targets),
                empty(2, self.n_directions, columns),
            )
        return self._rooms[n_draws, n_targets]

    def _moments(
        self, values: torch.Tensor, fixed: _Fixed | None, rows: torch.Tensor, buffers: _Room
    ) -> torch.Tensor | None:
        """Multiply reordered targets with the design, stretch by stretch: (stretch, moment, draw · target).

        Beside a part that stays in place, give what it adds to the sums of squares as well: (stretch, draw, target).
        """
        n_draws, n_targets = rows.shape[1], values.shape[1]
        added = None if fixed is None else values.new_empty(len(self.design), n_draws, n_targets)
        for number, (design, stretch, sums) in enumerate(
            zip(self.design, self.stretches.slices, buffers.sums, strict=True)
        ):
            order, recorded = rows[stretch].view(-1), buffers.recorded[: design.shape[1]]
            torch.index_select(values, 0, order, out=recorded.view(order.shape[0], -1))
            multiply(design, recorded, sums)
            if fixed is not None and added is not None:
                sums.view(-1, n_draws, n_targets).add_(fixed.moments[number][:, None])
                crossed = buffers.crossed[: design.shape[1]].view(-1, n_draws, n_targets)
                torch.mul(recorded.view(crossed.shape), fixed.twice[stretch][:, None], out=crossed)
                torch.sum(crossed, 0, out=added[number])
                added[number].add_(fixed.squares[number])
        torch.sum(buffers.sums, 0, out=buffers.whole)
        return added
