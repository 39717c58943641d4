"""Scores that are finished, or differences of them, for inferences that ask an evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, runtime_checkable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

if TYPE_CHECKING:
    from neuroling.core.align import Aligned
    from neuroling.core.protocols import Array, Orders, ParticipantRows, Scoring, Split


@dataclass(frozen=True)
class FinishedScores:
    r"""Scores without the data that they were made from: enough for inferences over participants.

    Attributes
    ----------
    score : xarray.DataArray, dims (\*kept,)
        Mean scores over splits.
    chance : float
        Value that means no relation.
    larger_is_better : bool
        Direction.
    two_sided : bool
        Whether both directions count, as for differences and waves.
    """

    score: xr.DataArray
    chance: float = 0.0
    larger_is_better: bool = True
    two_sided: bool = False

    def observed(self) -> xr.DataArray:
        r"""Mean score over splits, dims (\*kept,)."""
        return self.score

    @property
    def scores(self) -> xr.DataArray:
        r"""The same as one split, dims (split, \*kept)."""
        return self.score.expand_dims("split")

    @property
    def is_correlation(self) -> bool:
        """Not known of finished scores."""
        return False

    @property
    def data(self) -> Aligned:
        """Refuse: there are none."""
        self._refuse("this needs the features and the recording")

    @property
    def spaces(self) -> Sequence[Aligned]:
        """Refuse: there are none."""
        self._refuse("this needs the features and the recording")

    @property
    def splits(self) -> Sequence[Split]:
        """Refuse: they are not kept."""
        self._refuse("this needs the splits")

    def score_pair(self, truth: xr.DataArray, prediction: xr.DataArray) -> xr.DataArray:  # noqa: ARG002
        """Refuse: the splits are not kept."""
        self._refuse("this needs the recording")

    def agreement_bounds(self, axis: str) -> xr.DataArray | None:  # noqa: ARG002
        """Refuse: a ceiling is of the recording."""
        self._refuse("this needs the recording")

    def participant_rows(self, axis: str) -> ParticipantRows | None:  # noqa: ARG002
        """Refuse: there is no recording."""
        self._refuse("resampling items needs the recording")

    def reordered(
        self,
        orders: Orders,  # noqa: ARG002
        *,
        keep_choices: bool = False,  # noqa: ARG002
        fixed: Array | None = None,  # noqa: ARG002
    ) -> Iterator[xr.DataArray]:
        """Refuse: nothing can be fitted again."""
        self._refuse("reordering the recording needs the features and the recording")

    def relabelled(self, orders: Iterable[Sequence[NDArray[np.intp]]]) -> Iterator[xr.DataArray]:  # noqa: ARG002
        """Refuse: predictions are not kept."""
        self._refuse("exchanging held-out samples needs the predictions")

    def _refuse(self, why: str) -> NoReturn:
        raise ValueError(
            f"inference: {why}, but this result holds scores only (it was loaded, combined or computed from others). "
            "Pass the inference to evaluate, or test over participants with SignFlip."
        )


@runtime_checkable
class HasModels(Protocol):
    """An evaluation of several models, some of which can be asked for."""

    def only(self, *names: str) -> Scoring:
        """Give the evaluation of these models alone."""
        ...


@dataclass(frozen=True)
class ModelDifference:
    """The difference of two models of one evaluation: what any inference may ask, answered by a subtraction.

    Attributes
    ----------
    scoring : Scoring
        An evaluation with an axis ``model``.
    model, other : str
        Which to subtract from which.
    """

    scoring: Scoring
    model: str
    other: str

    chance = 0.0
    two_sided = True

    def __getattr__(self, name: str) -> Any:
        if name == "scoring" or name.startswith("__"):
            raise AttributeError(name)  # a copy that is not yet filled
        return getattr(self.scoring, name)

    @property
    def scores(self) -> xr.DataArray:
        r"""Difference of every split, dims (split, \*kept)."""
        return self._less(self.scoring.scores)

    def sample_scores(self) -> xr.DataArray:
        r"""Difference of every sample, dims (sample, \*kept)."""
        return self._less(self.scoring.sample_scores())  # type: ignore[attr-defined]  # it says so if it has none

    def observed(self) -> xr.DataArray:
        r"""Mean difference over splits, dims (\*kept,)."""
        return self._less(self.scoring.observed())

    def reordered(self, orders: Orders, **options: Any) -> Iterator[xr.DataArray]:
        """Differences with the recording in other orders."""
        return map(self._less, self.scoring.reordered(orders, **options))

    def relabelled(self, orders: Iterable[Sequence[NDArray[np.intp]]]) -> Iterator[xr.DataArray]:
        """Differences with held-out truths in other orders."""
        return map(self._less, self.scoring.relabelled(orders))

    def participant_rows(self, axis: str) -> ParticipantRows | None:
        """Rows of participants, compared with the difference of the two models."""
        rows = self.scoring.participant_rows(axis)
        return None if rows is None else rows.difference(self.model, self.other)

    def _less(self, scores: xr.DataArray) -> xr.DataArray:
        return scores.sel(model=self.model, drop=True) - scores.sel(model=self.other, drop=True)
