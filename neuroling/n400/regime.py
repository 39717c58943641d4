"""How a network learns to read: strings in a stream, in stages, with what each mistake costs.

A participant of an experiment reads strings one after another, and inhibition and meanings of the last one are still
there when the next one comes. A network that was trained on trials of one exact beginning has learned that transient
and not the word: in the repetition experiment, networks of the earlier regime (:data:`ISOLATED`) recognised one in ten
of the targets that came after another string. So each epoch begins in the state that the last one left: a blank of
random length, then a string for a random number of ticks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from neuroling.n400.alpha import Alpha
from neuroling.n400.validation import check_number, check_span, check_whole


def _check_not_negative(name: str, value: float) -> None:
    expected = f"a finite {name} of 0 or more"
    if check_number(name, value, expected) < 0:
        raise ValueError(f"{name}: got {value}; expected {expected}.")


@dataclass(frozen=True)
class Stage:
    """One stage of training: how long, and what counts as a mistake.

    All of it is inferred. The defaults are those of the first stage.

    Parameters
    ----------
    epochs : int
        Passes over as many strings as are known.
    learning_rate : float
        Of Adam; a fifth of it in the last three tenths of the stage.
    shown : tuple of int
        Fewest and most ticks that a string is on.
    error_from : int
        First tick from which the full cross-entropy of the meaning counts; averaged over ticks.
    misses_from : int
        First tick from which units that should be on have to be; before ``error_from``, only these count. Reading is
        then fast, and activity of other units is allowed in the wave at first.
    misses : float
        Weight of the cross-entropy of these units, averaged over those ticks.
    activity_limit : float
        Mean semantic activation above which the wave has a cost.
    activity_cost : float
        Weight of the squared excess over it, summed over ticks.
    semantic_rest_cost : float
        Weight of the squared excess of semantic units over ``semantic_rest_level`` at the end of a long blank, summed
        over units.
    """

    epochs: int = 1100
    learning_rate: float = 0.06
    shown: tuple[int, int] = (14, 20)
    error_from: int = 10
    misses_from: int = 4
    misses: float = 0.5
    activity_limit: float = 0.25
    activity_cost: float = 50.0
    semantic_rest_cost: float = 0.0

    def __post_init__(self) -> None:
        check_whole("epochs", self.epochs, 1, "passes over the strings")
        if check_number("learning_rate", self.learning_rate, "a positive learning_rate") <= 0:
            raise ValueError(f"learning_rate: got {self.learning_rate}; expected a positive learning_rate.")
        least, _ = check_span("shown", self.shown, 1)
        for name in ("error_from", "misses_from"):
            if not check_whole(name, getattr(self, name), 0, "ticks") < least:
                raise ValueError(
                    f"{name}: got {getattr(self, name)}; expected 0 to {least - 1}, before the shortest string is gone "
                    f"(shown: {self.shown})."
                )
        for name in ("misses", "activity_cost", "semantic_rest_cost"):
            _check_not_negative(name, getattr(self, name))
        if not 0 <= check_number("activity_limit", self.activity_limit) <= 1:
            raise ValueError(f"activity_limit: got {self.activity_limit}; expected 0 to 1, a mean activation.")


TO_CRITERION = 0.9
"""Share of the known strings that a participant recognises in every kind of trial when training may end."""

STAGES = (
    Stage(),
    Stage(
        epochs=300,
        learning_rate=0.03,
        shown=(16, 20),
        error_from=13,
        misses=2.0,
        activity_limit=0.24,
        activity_cost=100.0,
        semantic_rest_cost=5.0,
    ),
    Stage(
        epochs=350,
        learning_rate=0.03,
        shown=(17, 20),
        error_from=14,
        misses=6.0,
        activity_limit=0.24,
        activity_cost=200.0,
        semantic_rest_cost=5.0,
    ),
)
"""Reading first; then the meaning earlier, with more activity of others before it, which makes the wave."""


@dataclass(frozen=True)
class Training:
    """How a network learns; all of it inferred, since the papers' training was not at hand.

    Parameters
    ----------
    stages : tuple of Stage
        One after the other, on the same network.
    carry_over : bool
        Whether an epoch begins in the state that the last one left. Without, each begins after a blank from silence.
    blanks : tuple of int
        Fewest and most ticks of nothing before a string in the stream.
    repeated : float
        Share of the strings that are the one before again.
    restarts : float
        Share of the epochs that begin after a blank from silence all the same, as the trials of an experiment do.
    blank : int
        Ticks of nothing from silence that come before the first string, there and in every trial of an experiment.
    decay : float
        Share that the forward weights lose each epoch.
    autoencoding : float
        Weight of the orthographic layer's error in reproducing the letters. Without it, letters that share units are
        confused, and strings with many neighbours do not get a larger response.
    spelled_from : int
        First tick from which that error counts.
    frequency_exponent : float
        The error of an item counts as its frequency to this power: 0 counts all alike, 1 as often as they are met. With
        1, the rarest items are recognised last or not at all.
    rest_level, rest_cost : float
        Activation of orthographic and hidden units at the end of a blank above which it has a cost, and the weight of
        the squared excess, summed over units.
    semantic_rest_level, semantic_rest_from : float and int
        The same for semantic units, after blanks of so many ticks or more; the weight is the stage's. Units that stay
        above the threshold of the alpha function in a blank would be fatigued for good.
    again : int
        Rounds of the stages after the first that participants get who read, but not well: those who recognise less than
        :data:`TO_CRITERION` of the known strings in some kind of trial, and half of them or more in every kind. As
        people are, they are taught to criterion; all others stay as they are.
    alpha : Alpha, optional
        Alpha function that acts in a share of the epochs. Tried and not used: see ``docs/n400.md``.
    alpha_share : float
        That share; it changes about every fourth epoch, and the stream then begins anew.
    alpha_ticks : tuple of int
        Ticks of a string, the last excluded, whose errors count in these epochs.
    """

    stages: tuple[Stage, ...] = STAGES
    carry_over: bool = True
    blanks: tuple[int, int] = (3, 14)
    repeated: float = 0.15
    restarts: float = 0.05
    blank: int = 14
    decay: float = 0.001
    autoencoding: float = 10.0
    spelled_from: int = 5
    frequency_exponent: float = 0.5
    rest_level: float = 0.04
    rest_cost: float = 0.1
    semantic_rest_level: float = 0.05
    semantic_rest_from: int = 9
    again: int = 3
    alpha: Alpha | None = None
    alpha_share: float = 0.0
    alpha_ticks: tuple[int, int] = (8, 14)

    def __post_init__(self) -> None:
        if not isinstance(self.stages, tuple) or not all(isinstance(stage, Stage) for stage in self.stages):
            raise TypeError(f"stages: got {self.stages!r}; expected a tuple of Stage.")
        if not self.stages:
            raise ValueError("stages: empty; expected at least one.")
        if not 0 <= check_number("decay", self.decay) < 1:
            raise ValueError(f"decay: got {self.decay}; expected 0 <= decay < 1, the share lost each epoch.")
        for name in ("autoencoding", "frequency_exponent", "rest_cost"):
            _check_not_negative(name, getattr(self, name))
        for name in ("repeated", "restarts", "rest_level", "semantic_rest_level", "alpha_share"):
            value = getattr(self, name)
            if not 0 <= check_number(name, value, "0 to 1") <= 1:
                raise ValueError(f"{name}: got {value}; expected 0 to 1.")
        for name, what in (("again", "rounds"), ("blank", "ticks"), ("semantic_rest_from", "ticks")):
            check_whole(name, getattr(self, name), 0, what)
        check_span("blanks", self.blanks, 0)
        if self.alpha_share > 0 and self.alpha is None:
            raise ValueError(f"alpha_share: got {self.alpha_share} without an alpha function; give alpha too.")
        for stage in self.stages:
            self._check_stream(stage)

    def _check_stream(self, stage: Stage) -> None:
        if self.carry_over and stage.shown[0] < self.blanks[1]:
            raise ValueError(
                f"shown: strings are on for {stage.shown[0]} ticks or more and blanks last up to {self.blanks[1]}; in "
                "a stream, expected strings that are on for as long as the longest blank or longer."
            )
        if not check_whole("spelled_from", self.spelled_from, 0, "ticks") < stage.shown[0]:
            raise ValueError(
                f"spelled_from: got {self.spelled_from}; expected 0 to {stage.shown[0] - 1}, before a string is gone."
            )
        first, last = check_span("alpha_ticks", self.alpha_ticks, 0)
        if self.alpha_share > 0 and not 0 <= first < min(last, stage.shown[0]):
            raise ValueError(
                f"alpha_ticks: got {self.alpha_ticks}; expected a span that begins before a string is gone "
                f"({stage.shown[0]} ticks)."
            )

    @property
    def epochs(self) -> int:
        """Epochs of all stages."""
        return sum(stage.epochs for stage in self.stages)

    def with_epochs(self, epochs: int) -> Training:
        """Make all stages longer or shorter by the same factor.

        Parameters
        ----------
        epochs : int
            Of all stages together; a stage that would have none is left out.

        Returns
        -------
        Training

        Examples
        --------
        >>> [stage.epochs for stage in Training().with_epochs(175).stages]
        [110, 30, 35]
        """
        check_whole("epochs", epochs, 1, "passes over the strings")
        ends = np.cumsum([stage.epochs for stage in self.stages]) * epochs / self.epochs
        lengths = np.diff(np.round(ends).astype(int), prepend=0)
        pairs = zip(self.stages, lengths, strict=True)
        return replace(self, stages=tuple(replace(stage, epochs=int(n)) for stage, n in pairs if n > 0))


ISOLATED = Training(
    stages=(Stage(epochs=1300, learning_rate=0.03, shown=(20, 20), error_from=4, misses=0.0, activity_cost=0.0),),
    carry_over=False,
    blanks=(0, 0),
    repeated=0.0,
    autoencoding=20.0,
    spelled_from=4,
    frequency_exponent=1.0,
    rest_cost=0.0,
    again=0,
)
"""The earlier regime: every string alone, after 14 ticks of nothing. For comparison: it does not read in trials."""
