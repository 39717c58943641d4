"""Experiments as data: what is shown before each target, and in which condition.

An experiment is a :class:`~neuroling.core.stimuli.Stimuli` table. ``text`` is the target string, ``context`` what is
shown before it in the same trial (strings between blanks, the last right before the target, empty for nothing),
``condition`` the condition, ``item`` the target again, ``kind`` its type. In all experiments made here the same strings
serve as contexts in both conditions, so that what lies before the target does not differ on average.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd

from neuroling.core.stimuli import Stimuli
from neuroling.n400.lexicon import KINDS, Lexicon

T = TypeVar("T")
Row = tuple[str, str, str]
"""Target, context, condition."""


@dataclass(frozen=True)
class Timing:
    """How long things are shown, in ticks, and how long a tick is.

    Parameters
    ----------
    shown : int
        Ticks that a string of the context is on.
    blank : int
        Ticks without a string after each of them. Letters and hidden units have fallen below the threshold of the alpha
        function after three ticks; meanings have not, so that a repeated one is still fatigued.
    target : int
        Ticks that the target is on and recorded.
    before : int
        Ticks recorded before the target.
    tick : float
        Seconds of a tick. 0.042 s puts the published model's peak, nine ticks after the target, at people's 376 ms.

    Examples
    --------
    >>> Timing(blank=5).soa
    17
    """

    shown: int = 12
    blank: int = 4
    target: int = 20
    before: int = 5
    tick: float = 0.042

    def __post_init__(self) -> None:
        ticks = {name: getattr(self, name) for name in ("shown", "blank", "target", "before")}
        if not all(isinstance(value, int | np.integer) for value in ticks.values()):
            raise TypeError(f"timing: got {ticks}; expected whole numbers of ticks (tick says how long one is).")
        if self.shown < 1 or self.target < 2 or self.blank < 0:
            raise ValueError(
                f"shown, blank, target: got {self.shown}, {self.blank} and {self.target} ticks; expected at least 1, 0 "
                "and 2."
            )
        if not 0 <= self.before <= self.shown + self.blank:
            raise ValueError(
                f"before: got {self.before}; expected 0 to {self.shown + self.blank} ticks, what a context lasts."
            )
        if not (np.isfinite(self.tick) and self.tick > 0):
            raise ValueError(f"tick: got {self.tick}; expected a positive number of seconds.")

    @property
    def soa(self) -> int:
        """Stimulus-onset asynchrony, ticks from the onset of one string to that of the next."""
        return self.shown + self.blank

    def times(self) -> np.ndarray:
        """Seconds from the onset of the target to the end of every recorded tick, shape (time,).

        Tick 0 is the first with the target on.
        """
        return np.arange(-self.before, self.target) * self.tick


def repetition(lexicon: Lexicon, *, rng: int | np.random.Generator, lag: int = 0) -> Stimuli:
    """Every string once new and once repeated.

    New: the first string of the trial is another one of the same type. Each string is the first one of one trial of
    either condition.

    Parameters
    ----------
    lexicon : Lexicon
        Whose strings are shown; types with a single string are left out.
    rng : int or numpy.random.Generator
        Who precedes whom.
    lag : int
        Strings of other types between the two presentations.

    Returns
    -------
    Stimuli
        Conditions ``new`` and ``repeated``.
    """
    generator = np.random.default_rng(rng)
    if lag < 0:
        raise ValueError(f"lag: got {lag}; expected 0 for immediate repetition, or a number of strings in between.")
    rows: list[Row] = []
    for kind in KINDS:
        items = list(lexicon.of_kind(kind))
        if len(items) < 2:
            continue
        others = list(lexicon.items.difference(lexicon.of_kind(kind), sort=False))
        if lag > len(others):
            raise ValueError(f"lag: got {lag}; the lexicon has {len(others)} other strings to stand in between.")
        contexts = {item: " ".join([item, *_drawn(others, lag, generator)]) for item in items}
        for item, first in zip(items, _deranged(items, generator), strict=True):
            rows += [(item, contexts[first], "new"), (item, contexts[item], "repeated")]
    return experiment(lexicon, rows, name="repetition" if lag == 0 else f"repetition, lag {lag}")


def semantic_priming(lexicon: Lexicon, *, rng: int | np.random.Generator) -> Stimuli:
    """Words after a word of their category and after one of another.

    Primes are matched one to one: each precedes one related and one unrelated target.

    Parameters
    ----------
    lexicon : Lexicon
        Its words' ``category`` counts.
    rng : int or numpy.random.Generator
        Who precedes whom.

    Returns
    -------
    Stimuli
        Conditions ``unrelated`` and ``related``.
    """
    generator = np.random.default_rng(rng)
    category = lexicon.table["category"]
    groups = [list(group) for name, group in category.groupby(category).groups.items() if name and len(group) > 1]
    if len(groups) < 2:
        raise ValueError("category: expected at least two categories of two words or more for semantic priming.")
    pairs = [pair for group in groups for pair in zip(group, _deranged(group, generator), strict=True)]
    return _primed(lexicon, pairs, generator, "semantic priming", lambda one, other: category[one] != category[other])


def associative_priming(lexicon: Lexicon, *, rng: int | np.random.Generator) -> Stimuli:
    """Words after their associate and after somebody else's; see :func:`semantic_priming`.

    The network learns words one by one, so association means shared features here, not co-occurrence (inferred).

    Parameters
    ----------
    lexicon : Lexicon
        Its words' ``associate`` and ``category`` count.
    rng : int or numpy.random.Generator
        Who precedes whom.
    """
    generator = np.random.default_rng(rng)
    associate, category = lexicon.table["associate"], lexicon.table["category"]
    pairs = [(str(item), str(other)) for item, other in associate.items() if other]
    if len(pairs) < 3:
        raise ValueError("associate: expected at least three words with an associate for associative priming.")

    def unrelated(one: str, other: str) -> bool:
        return bool(associate[one] != other and one != other and category[one] != category[other])

    return _primed(lexicon, pairs, generator, "associative priming", unrelated)


def sentence_like(lexicon: Lexicon, *, rng: int | np.random.Generator, length: int = 3) -> Stimuli:
    """Words after several words of one category: their own (congruent) or another (incongruent).

    Contexts are the same in both conditions. The network has no memory for order, so this is as near to a sentence as
    it gets.

    Parameters
    ----------
    lexicon : Lexicon
        Its words' ``category`` counts; categories of ``length`` words or fewer are left out.
    rng : int or numpy.random.Generator
        Who precedes whom.
    length : int
        Words of a context.

    Returns
    -------
    Stimuli
        Conditions ``incongruent`` and ``congruent``.
    """
    generator = np.random.default_rng(rng)
    if length < 1:
        raise ValueError(f"length: got {length}; expected 1 word or more.")
    category = lexicon.table["category"]
    groups = {name: list(group) for name, group in category.groupby(category).groups.items() if name}
    groups = {name: group for name, group in groups.items() if len(group) > length}
    if len(groups) < 2:
        raise ValueError(f"category: expected two categories of more than {length} words; use a shorter context.")
    contexts = {
        item: " ".join(_drawn([other for other in group if other != item], length, generator))
        for group in groups.values()
        for item in group
    }
    items = list(contexts)
    foreign = _matched(items, generator, lambda item, owner: category[item] != category[owner])
    rows: list[Row] = [(item, contexts[item], "congruent") for item in items]
    rows += [(item, contexts[owner], "incongruent") for item, owner in zip(items, foreign, strict=True)]
    return experiment(lexicon, rows, name="sentence-like context")


def experiment(lexicon: Lexicon, rows: Iterable[Row], *, name: str) -> Stimuli:
    """Make a table of trials, and check that the lexicon has every string in it.

    Parameters
    ----------
    lexicon : Lexicon
        Whose strings are shown.
    rows : iterable of (target, context, condition)
        One a trial; contexts as strings between blanks, empty for none.
    name : str
        Name of the experiment, in the column ``experiment``.

    Returns
    -------
    Stimuli
        Labels ``TARGET after CONTEXT``, numbered where they would repeat.

    Raises
    ------
    ValueError
        If a string is not in the lexicon, or there is no trial.

    Examples
    --------
    >>> from neuroling.n400.lexicon import make_lexicon
    >>> lexicon = make_lexicon(rng=0)
    >>> one, other = lexicon.known[:2]
    >>> len(experiment(lexicon, [(one, other, "new"), (one, one, "repeated")], name="mine"))
    2
    """
    table = pd.DataFrame(list(rows), columns=["text", "context", "condition"])
    check_items(lexicon, table["text"], table["context"])
    labels = (table["text"] + " after " + table["context"].where(table["context"] != "", "nothing")).to_list()
    seen: dict[str, int] = {}
    for place, label in enumerate(labels):
        seen[label] = seen.get(label, 0) + 1
        labels[place] = label if seen[label] == 1 else f"{label} ({seen[label]})"
    table = table.assign(item=table["text"], kind=lexicon.table["kind"].loc[table["text"]].to_numpy(), experiment=name)
    return Stimuli(table.set_index(pd.Index(labels, name="sample")))


def check_items(lexicon: Lexicon, targets: Iterable[str], contexts: Iterable[str]) -> None:
    """Refuse strings that are not in a lexicon.

    Parameters
    ----------
    lexicon : Lexicon
        Whose strings may be shown.
    targets, contexts : iterable of str
        What is to be shown.

    Raises
    ------
    ValueError
        If a string is unknown, or there is none.
    """
    strings = [*targets, *(string for context in contexts for string in context.split())]
    if not strings:
        raise ValueError("experiment: no trial; expected at least one.")
    unknown = [string for string in dict.fromkeys(strings) if string not in lexicon.items]
    if unknown:
        raise ValueError(
            f"experiment: {len(unknown)} strings are not in the lexicon, first {unknown[:5]}; add them to its table as "
            "pseudowords or illegal strings."
        )


def _primed(
    lexicon: Lexicon,
    pairs: Sequence[tuple[str, str]],
    rng: np.random.Generator,
    name: str,
    unrelated: Callable[[str, str], bool],
) -> Stimuli:
    """Pair the targets with their primes, and again with primes of others that are unrelated."""
    pair_numbers = range(len(pairs))
    other = _matched(pair_numbers, rng, lambda target, owner: unrelated(pairs[target][0], pairs[owner][1]))
    rows: list[Row] = [(target, prime, "related") for target, prime in pairs]
    rows += [(pairs[place][0], pairs[owner][1], "unrelated") for place, owner in zip(pair_numbers, other, strict=True)]
    return experiment(lexicon, rows, name=name)


def _matched(things: Sequence[T], rng: np.random.Generator, allowed: Callable[[T, T], bool]) -> list[T]:
    """Draw a one-to-one matching in which every pair is allowed, by swapping those that are not."""
    shuffled = [things[int(index)] for index in rng.permutation(len(things))]
    for _ in range(200):
        wrong = [index for index, thing in enumerate(things) if not allowed(thing, shuffled[index])]
        if not wrong:
            return shuffled
        for index in wrong:
            other = int(rng.integers(len(things)))
            shuffled[index], shuffled[other] = shuffled[other], shuffled[index]
    raise ValueError(f"experiment: no counterbalanced matching of {len(things)} trials was found; use more items.")


def _deranged(items: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Give every item another one, each once."""
    order = rng.permutation(len(items))
    shifted = np.roll(order, int(rng.integers(1, len(items))))
    partner = np.empty(len(items), dtype=np.intp)
    partner[order] = shifted
    return [items[int(place)] for place in partner]


def _drawn(items: Sequence[str], number: int, rng: np.random.Generator) -> list[str]:
    return [items[int(place)] for place in rng.choice(len(items), number, replace=False)]
