"""Several models or feature spaces of one recording, scored on the same splits and under the same draws."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from neuroling.core.align import Aligned, AlignedSpaces
from neuroling.core.protocols import Array, Orders, ParticipantRows, Predictor, Rows, Split
from neuroling.evaluation.scoring import Scorer
from neuroling.evaluation.strategies.participant_rows import participants_of
from neuroling.evaluation.strategies.streamed_rows import StreamedRows

NAMELESS = ""
"""Name of a model that is evaluated alone."""


@dataclass(frozen=True)
class FamilyScorer:
    r"""What an inference or a ceiling may ask of several models at once; scores have an axis ``model``.

    Everything that is drawn or chosen is drawn or chosen once: splits, selections of targets, orders of the recording.
    Draws of all models are those of the same relabelings, so that their differences are paired and the best of a draw
    is the best of all models.

    Attributes
    ----------
    members : mapping of str to Scorer
        One for each model, on the same recording, splits and metric.
    """

    members: Mapping[str, Scorer]

    @property
    def first(self) -> Scorer:
        """The first of the members, which answers what does not depend on the model."""
        return next(iter(self.members.values()))

    @property
    def data(self) -> Aligned:
        """The recording, with the first of the feature spaces."""
        return self.first.data

    @property
    def spaces(self) -> tuple[Aligned, ...]:
        """Each feature space with the recording."""
        return tuple(scorer.data for scorer in self.members.values())

    @property
    def splits(self) -> Sequence[Split]:
        """Training and test rows of every split."""
        return self.first.splits

    @property
    def larger_is_better(self) -> bool:
        """Direction of the metric."""
        return self.first.larger_is_better

    @property
    def chance(self) -> float:
        """Value of the metric that means no relation."""
        return self.first.chance

    @property
    def two_sided(self) -> bool:
        """Whether both directions count: not for scores of models."""
        return False

    @property
    def is_correlation(self) -> bool:
        """Whether Spearman and Brown's formula applies to the metric."""
        return self.first.is_correlation

    @cached_property
    def _streamed(self) -> StreamedRows | None:
        """All models in one pass of the recording, where they can be scored so."""
        streamed = StreamedRows(*(scorer.task for scorer in self.members.values()))
        return streamed if streamed.scores_recording else None

    @cached_property
    def scores(self) -> xr.DataArray:
        r"""Score of every split, dims (split, model, \*kept)."""
        if self._streamed is not None:
            return self._labelled(self._streamed.family_scores(), "split")
        return self._joined([scorer.scores for scorer in self.members.values()], "split")

    def observed(self) -> xr.DataArray:
        r"""Mean score over splits, dims (model, \*kept)."""
        return self.scores.mean("split", skipna=False)

    def sample_scores(self) -> xr.DataArray:
        r"""Give the held-out score of every sample under every model, dims (sample, model, \*kept)."""
        return self._joined([scorer.sample_scores() for scorer in self.members.values()], "sample")

    def score_pair(self, truth: xr.DataArray, prediction: xr.DataArray) -> xr.DataArray:
        r"""Score one recording against another, dims (split, \*kept): the same for all models.

        Parameters
        ----------
        truth, prediction : xarray.DataArray, dims (sample, \*targets)
            Such as two halves of the repeats.
        """
        return self.first.score_pair(truth, prediction)

    def agreement_bounds(self, axis: str) -> xr.DataArray | None:
        r"""Compare participants with one another as models are compared with them; the same for all models.

        Parameters
        ----------
        axis : str
            Target axis along which participants lie.
        """
        if self._streamed is None:
            return self.first.agreement_bounds(axis)
        bounds = self._streamed.agreement_bounds(axis)
        return None if bounds is None else self._labelled_bounds(bounds)

    def participant_rows(self, axis: str) -> ParticipantRows | None:
        """Give the rows of participants and the models that they are compared with; None where models are fitted.

        Parameters
        ----------
        axis : str
            Target axis along which participants lie.
        """
        return None if self._streamed is None else participants_of(self._streamed, axis, tuple(self.members))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the scores has to know of them, once they have been made."""
        if self._streamed is not None:
            return self._streamed.notes
        return tuple(dict.fromkeys(note for scorer in self.members.values() for note in scorer.notes))

    def reordered(
        self, orders: Orders, *, keep_choices: bool = False, fixed: Array | None = None
    ) -> Iterator[xr.DataArray]:
        r"""Score all models with the recording's rows in other orders, dims (model, \*kept) for every draw.

        Parameters
        ----------
        orders, keep_choices, fixed
            As in :meth:`Scorer.reordered <neuroling.evaluation.scoring.Scorer.reordered>`.
        """
        if self._streamed is not None and self._streamed.scores_reordered(orders, fixed):
            return map(self._labelled, self._streamed.family_reordered(orders, fixed))
        draws = (scorer.reordered(orders, keep_choices=keep_choices, fixed=fixed) for scorer in self.members.values())
        return map(self._joined, zip(*draws, strict=True))

    def relabelled(self, orders: Iterable[Sequence[Rows]]) -> Iterator[xr.DataArray]:
        r"""Score all predictions against held-out truths in other orders, dims (model, \*kept) for every draw.

        Parameters
        ----------
        orders : iterable of sequence of ndarray
            For every draw, one permutation of the test samples a split.
        """
        listed = list(orders)
        return map(self._joined, zip(*(scorer.relabelled(listed) for scorer in self.members.values()), strict=True))

    def only(self, *names: str) -> FamilyScorer:
        """Give some of the models, in this order.

        Parameters
        ----------
        *names : str
            Names of models.
        """
        other = FamilyScorer({name: self.members[name] for name in names})
        if "scores" in self.__dict__:
            other.__dict__["scores"] = self.scores.sel(model=list(names))
        return other

    def forgetful(self) -> FamilyScorer:
        """Give a copy that holds the data and the scores, and nothing else that has been computed."""
        other = FamilyScorer({name: scorer.without_fits() for name, scorer in self.members.items()})
        other.__dict__["scores"] = self.scores
        return other

    def _labelled(self, values: Array, *leading: str) -> xr.DataArray:
        r"""Put labels on values (\*leading, model, \*kept)."""
        kept, coords = self.first.labels
        dims = (*leading, "model", *kept)
        return xr.DataArray(values, dims=dims, coords={**coords, "model": self._names}, name="score")

    def _labelled_bounds(self, values: Array) -> xr.DataArray:
        kept, coords = self.first.labels
        return xr.DataArray(values, dims=("bound", *kept), coords={**coords, "bound": ["lower", "upper"]})

    def _joined(self, scores: Sequence[xr.DataArray], *leading: str) -> xr.DataArray:
        template = scores[0]
        values = np.stack([score.transpose(*template.dims).to_numpy() for score in scores], axis=len(leading))
        dims = (*leading, "model", *template.dims[len(leading) :])
        coords = {**template.coords, "model": self._names}
        return xr.DataArray(values, dims=dims, coords=coords, name="score")

    @cached_property
    def _names(self) -> xr.DataArray:
        return xr.DataArray(list(self.members), dims="model")


def members_of(
    model: Predictor | Mapping[str, Predictor], data: Aligned | AlignedSpaces
) -> dict[str, tuple[Predictor, Aligned]]:
    """Pair models with feature spaces by name.

    Parameters
    ----------
    model : Predictor or mapping of str to Predictor
        One for all spaces, or one for each.
    data : Aligned or AlignedSpaces
        One feature space for all models, or one for each.

    Returns
    -------
    dict of str to (Predictor, Aligned)
        Under the name ``""`` where there is one model and one space without a name.

    Raises
    ------
    TypeError
        If names of models are no text.
    ValueError
        If models and spaces have other names.
    """
    if not isinstance(model, Mapping):
        spaces = data.spaces if isinstance(data, AlignedSpaces) else {NAMELESS: data}
        return {name: (model, space) for name, space in spaces.items()}
    wrong = [name for name in model if not isinstance(name, str) or not name.strip()]
    if wrong or not model:
        raise TypeError(f"model: got {wrong or 'an empty mapping'}; expected text that names each model.")
    if not isinstance(data, AlignedSpaces):
        return {name: (each, data) for name, each in model.items()}
    if set(model) != set(data):
        raise ValueError(
            f"model: got models for {list(model)}, but the feature spaces are {list(data)}; expected one model for "
            "each, or one for all."
        )
    return {name: (model[name], data[name]) for name in data}
