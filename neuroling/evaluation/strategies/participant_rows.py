"""Rows of all participants together, with the models that they are compared with: what resampling needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import xarray as xr

from neuroling.core.protocols import Array, ParticipantBlock
from neuroling.core.row_streams import n_locations, n_times
from neuroling.evaluation.strategies.streamed_rows import StreamedRows, locations_along


def participants_of(streamed: StreamedRows, axis: str, names: tuple[str, ...] | None) -> StreamedParticipants | None:
    """Give the rows of participants, or None where models are fitted or the axis is not there.

    Parameters
    ----------
    streamed : StreamedRows
        Compares models with rows, where it applies.
    axis : str
        Axis along which participants lie.
    names : tuple of str or None
        Names of the models.
    """
    if not streamed.scores_recording or axis not in streamed.rows.others:
        return None
    return StreamedParticipants(streamed, axis, np.eye(len(streamed.tasks)), names)


@dataclass(frozen=True)
class StreamedParticipants:
    """Blocks of dissimilarities (participant, time, pair), made on demand, and models of them.

    Attributes
    ----------
    streamed : StreamedRows
        Compares models with rows.
    axis : str
        Axis along which participants lie.
    columns : ndarray, shape (model, column)
        Which scores are asked for: of each model, or the difference of two.
    names : tuple of str or None
        Labels of the columns along ``model``, or None where there is one without a name.
    """

    streamed: StreamedRows
    axis: str
    columns: Array
    names: tuple[str, ...] | None

    @property
    def metric(self) -> str:
        """Name of the metric."""
        return self.streamed.task.metric.name

    @property
    def models(self) -> Array:
        """Models in the order of the pairs, shape (model, pair)."""
        return self.streamed.comparison.models

    @property
    def is_complete(self) -> bool:
        """Whether the pairs are all pairs of some items, in condensed order."""
        return self.streamed.is_condensed

    @property
    def n_participants(self) -> int:
        """Number of participants."""
        return self.streamed.task.data.y.sizes[self.axis]

    def blocks(self, most_times: int) -> Iterator[ParticipantBlock]:
        """Yield rows of all participants at each location, some times together.

        Parameters
        ----------
        most_times : int
            At most so many at once.
        """
        rows = self.streamed.rows
        n_groups = n_locations(rows) // self.n_participants
        for number, part in enumerate(rows.parts()):
            for group, locations in enumerate(locations_along(part, self.axis)):
                size, start = min(most_times, n_times(part)), 0
                for together in zip(*(part.stream(location, size) for location in locations), strict=True):
                    stop = start + len(together[0])
                    first = (number * n_groups + group) * n_times(part)
                    yield ParticipantBlock(slice(first + start, first + stop), np.stack(together))
                    start = stop

    def labelled(self, values: Array) -> xr.DataArray:
        r"""Put labels on values (place, column), places in the order of the blocks; dims ([model,] \*kept)."""
        rows, data = self.streamed.rows, self.streamed.task.data
        axis = rows.others.index(self.axis)
        others = (*rows.others[:axis], *rows.others[axis + 1 :])
        shape = (*rows.other_shape[:axis], *rows.other_shape[axis + 1 :])
        parts = () if rows.part_axis is None else (rows.part_axis,)
        times = ("time",) if rows.time_shape else ()
        laid = values.reshape(rows.n_parts, *shape, prod(rows.time_shape), values.shape[-1])
        laid = np.moveaxis(laid, 0, len(shape))  # (*others, part, time, column)
        laid = laid.reshape(*shape, *([rows.n_parts] if parts else []), *rows.time_shape, values.shape[-1])
        dims = (*others, *parts, *times, "model")
        kept = [dim for dim in data.targets if dim != self.axis]
        coords = {name: c for name, c in data.y.coords.items() if c.dims and set(c.dims) <= set(kept)}
        array = xr.DataArray(laid, dims=dims, coords=coords).transpose("model", *kept)
        return array.isel(model=0) if self.names is None else array.assign_coords(model=list(self.names))

    def difference(self, model: str, other: str) -> StreamedParticipants:
        """Ask for the difference of two models instead.

        Parameters
        ----------
        model, other : str
            Which to subtract from which.
        """
        names = list(self.names or ())
        change = self.columns[:, [names.index(model)]] - self.columns[:, [names.index(other)]]
        return replace(self, columns=change, names=None)
