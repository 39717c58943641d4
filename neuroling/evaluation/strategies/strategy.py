"""What every strategy of scoring promises."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from neuroling.core.protocols import Array, Orders, Rows
from neuroling.evaluation.strategies.task import ScoringTask


class Strategy:
    """A way to the scores of a task. It answers up to three questions, and says which of them it can answer.

    All strategies that can answer a question give the same numbers; they differ in speed alone. What a strategy needs
    is computed when it is first asked, and remembered.

    Parameters
    ----------
    task : ScoringTask
        What is scored.
    """

    def __init__(self, task: ScoringTask) -> None:
        self.task = task

    @property
    def scores_recording(self) -> bool:
        """Whether it can score the recording as it is."""
        return False

    def scores_reordered(self, orders: Orders, fixed: Array | None) -> bool:  # noqa: ARG002
        r"""Whether it can score the recording in other orders, the model fitted anew.

        Parameters
        ----------
        orders : Orders
            Orders of samples, (draw, sample).
        fixed : ndarray or None, shape (sample, \*targets)
            What stays in place while the rest of the recording is reordered.
        """
        return False

    @property
    def scores_relabelled(self) -> bool:
        """Whether it can score the same predictions against held-out truths in other orders."""
        return False

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the scores has to know of them, once they have been made."""
        return ()

    def agreement_bounds(self, axis: str) -> Array | None:  # noqa: ARG002
        r"""Compare participants with the mean of the others, and of all, as the metric compares models with them.

        Parameters
        ----------
        axis : str
            Target axis along which participants lie.

        Returns
        -------
        ndarray, shape (bound, \*kept), or None
            None where the mean of the recording itself is what predicts it.
        """
        return None

    def scores(self) -> Array:
        r"""Score every split, shape (split, \*kept)."""
        raise NotImplementedError

    def reordered(self, orders: Orders, fixed: Array | None = None) -> Iterator[Array]:
        r"""Yield for every order of the recording the mean score over splits, shape (\*kept,)."""
        raise NotImplementedError

    def relabelled(self, orders: Iterable[Sequence[Rows]]) -> Iterator[Array]:
        r"""Yield for every draw, one order of the test samples a split, the mean score over splits (\*kept,)."""
        raise NotImplementedError
