"""Whether simulated participants recognise the targets of the experiment that measures their N400.

A target is recognised at a tick if every semantic unit is on its own side of 0.5. A hit is a unit of the meaning that
is on, a false alarm another one that is. Participants who do not read cannot show an N400 of reading, so ``simulate``
asks this of every experiment, without the alpha function, and says the answer on what it returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.n400.alpha import Alpha
from neuroling.n400.experiments import Timing, experiment, repetition, semantic_priming
from neuroling.n400.lexicon import Lexicon
from neuroling.n400.network import Network
from neuroling.n400.presentation import run

GROUP_READS, PARTICIPANT_READS = 0.9, 0.85
"""Share of known targets that participants must recognise by the last tick without the alpha function, on average and
each of them, in every kind of trial."""

TRIAL_KINDS = ("alone", "new", "repeated", "lagged", "primed")
"""Kinds of trials: nothing before the target; another string, in the condition ``new``; the target right before; the
target earlier in the context; another string, in any other condition."""

Array = NDArray[np.float64]


class NotLearned(ValueError):  # noqa: N818 - reads as what happened: not learned
    """Raised where a network is to be simulated that does not recognise the targets of its experiment."""


def trial_kinds(stimuli: Stimuli) -> list[str]:
    """Say of which kind each trial is, one of :data:`TRIAL_KINDS`.

    Parameters
    ----------
    stimuli : Stimuli
        Columns ``text`` and ``context``; ``condition`` counts if it is there.

    Examples
    --------
    >>> trial_kinds(Stimuli.from_texts(["bad", "bad", "bad"], labels=range(3), context=["", "dog bad", "bad dog"]))
    ['alone', 'repeated', 'lagged']
    """
    table = stimuli.table
    conditions = table["condition"] if "condition" in table else pd.Series("", index=table.index)
    kinds = []
    for text, context, condition in zip(table["text"], table["context"], conditions, strict=True):
        strings = str(context).split()
        if not strings:
            kinds.append("alone")
        elif strings[-1] == text:
            kinds.append("repeated")
        elif text in strings:
            kinds.append("lagged")
        else:
            kinds.append("new" if condition == "new" else "primed")
    return kinds


def alone(lexicon: Lexicon) -> Stimuli:
    """Make an experiment that shows every known string once, with nothing before it.

    Parameters
    ----------
    lexicon : Lexicon
        Whose words and acronyms are shown.
    """
    return experiment(lexicon, [(str(string), "", "alone") for string in lexicon.known], name="alone")


@dataclass
class Tally:
    """Counts of recognised targets and of hits and false alarms, added up batch by batch.

    Parameters
    ----------
    network : Network
        Who reads.
    stimuli : Stimuli
        All trials; those whose targets have no meaning are passed over.
    timing : Timing
        Ticks before the target are recorded but not counted.
    """

    network: Network
    stimuli: Stimuli
    timing: Timing
    _meaning: Array = field(init=False)
    _kinds: NDArray[np.str_] = field(init=False)
    _sums: dict[str, Array] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._meaning = self.network.lexicon.meaning(self.stimuli.texts)
        self._kinds = np.array(trial_kinds(self.stimuli))

    def add(self, trials: NDArray[np.intp], trace: torch.Tensor) -> None:
        """Count some trials.

        Parameters
        ----------
        trials : ndarray of int
            Their row numbers.
        trace : Tensor, shape (participant, trial, tick, unit)
            Semantic layer.
        """
        meaning = self._meaning[trials]
        known = ~np.isnan(meaning).any(axis=1)
        for kind in np.unique(self._kinds[trials][known]):
            rows = np.flatnonzero(known & (self._kinds[trials] == kind))
            on = trace[:, torch.as_tensor(rows, device=trace.device), self.timing.before :] > 0.5
            due = torch.as_tensor(meaning[rows] > 0.5, device=trace.device)[:, None]  # (trial, 1, unit)
            counts = np.stack(
                [
                    (on == due).all(dim=3).double().sum(dim=1).cpu().numpy(),
                    _rate(on & due, due),
                    _rate(on & ~due, ~due),
                    np.full((len(trace), on.shape[2]), len(rows), dtype=np.float64),
                ]
            )  # (measure, participant, tick)
            self._sums[str(kind)] = self._sums.get(str(kind), 0.0) + counts

    def table(self) -> pd.DataFrame:
        """Give shares: ``participant``, ``trial``, ``tick``, ``recognised``, ``hits``, ``false_alarms``, ``targets``.

        Returns
        -------
        pandas.DataFrame
            One row a participant, kind of trial and tick from the onset of the target on; ``targets`` is how many.
        """
        tables = []
        for kind in (name for name in TRIAL_KINDS if name in self._sums):
            recognised, hits, false_alarms, targets = self._sums[kind]
            people, ticks = recognised.shape
            tables.append(
                pd.DataFrame(
                    {
                        "participant": np.repeat(np.arange(people), ticks),
                        "trial": kind,
                        "tick": np.tile(np.arange(ticks), people),
                        "recognised": (recognised / targets).ravel(),
                        "hits": (hits / targets).ravel(),
                        "false_alarms": (false_alarms / targets).ravel(),
                        "targets": targets.ravel().astype(int),
                    }
                )
            )
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["trial", "tick"])


def _rate(on: torch.Tensor, among: torch.Tensor) -> Array:
    """Share of the units that are on, summed over trials, shape (participant, tick)."""
    shares = on.double().sum(dim=3) / among.double().sum(dim=2)  # (participant, trial, tick)
    return np.asarray(shares.sum(dim=1).cpu().numpy())


def reading_table(
    network: Network,
    stimuli: Stimuli,
    *,
    alpha: Alpha | None,
    timing: Timing | None = None,
    device: str = "auto",
    memory: int = 2**30,
) -> pd.DataFrame:
    """Say who recognises what, when.

    Parameters
    ----------
    network : Network
        Who reads.
    stimuli : Stimuli
        Experiment; trials whose targets have no meaning are not shown.
    alpha, timing, device, memory
        As in ``simulate``.

    Returns
    -------
    pandas.DataFrame
        As in :meth:`Tally.table`.

    Raises
    ------
    ValueError
        If no target has a meaning.
    """
    timing = timing or Timing()
    is_in_lexicon = [text in network.lexicon.known for text in stimuli.texts]
    if not any(is_in_lexicon):
        raise ValueError(
            f"experiment: none of {len(is_in_lexicon)} targets has a meaning, so nothing can be recognised; show "
            "words or acronyms."
        )
    chosen = stimuli.subset([label for label, is_known in zip(stimuli.labels, is_in_lexicon, strict=True) if is_known])
    tally = Tally(network, chosen, timing)
    for trials, trace in run(network, chosen, alpha, timing, device, memory):
        tally.add(trials, trace)
    return tally.table()


def last_tick(table: pd.DataFrame) -> pd.DataFrame:
    """Pick the last tick of a reading table.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`reading_table`.
    """
    last: pd.DataFrame = table[table["tick"] == table["tick"].max()].reset_index(drop=True)
    return last


def best_tick(table: pd.DataFrame) -> pd.DataFrame:
    """Pick for each kind of trial the tick at which most is recognised, on average over participants.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`reading_table`.
    """
    means = table.groupby(["trial", "tick"], sort=False)["recognised"].mean()
    best = dict(list(means.groupby("trial", sort=False).idxmax()))
    return table[table["tick"] == table["trial"].map(best)].reset_index(drop=True)


def reading_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Summarise over participants.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`last_tick` or :func:`best_tick`.

    Returns
    -------
    pandas.DataFrame
        One row a kind of trial: ``tick``, means of ``recognised``, ``hits`` and ``false_alarms``, the ``lowest``
        participant's share recognised, and how many are ``below`` :data:`PARTICIPANT_READS`.
    """
    groups = table.groupby("trial", sort=False)
    means = groups[["tick", "recognised", "hits", "false_alarms"]].mean()
    below = (table["recognised"] < PARTICIPANT_READS - 1e-9).groupby(table["trial"], sort=False).sum()
    return means.assign(lowest=groups["recognised"].min(), below=below, participants=groups.size()).reset_index()


def reads(table: pd.DataFrame) -> bool:
    """Whether participants read: the bars of :data:`GROUP_READS` and :data:`PARTICIPANT_READS` in every kind of trial.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`last_tick`.
    """
    return not _short(reading_summary(table)).any()


def _short(summary: pd.DataFrame) -> pd.Series:
    """Say which kinds of trial miss a bar; 1e-9 is for the rounding of means."""
    return (summary["recognised"] < GROUP_READS - 1e-9) | (summary["lowest"] < PARTICIPANT_READS - 1e-9)


def in_words(table: pd.DataFrame) -> str:
    """Write a table of shares as one line, such as ``new 97 % (lowest 91 %), repeated 96 % (lowest 90 %)``.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`last_tick` or :func:`best_tick`.
    """
    rows = reading_summary(table).itertuples()
    return ", ".join(f"{row.trial} {row.recognised:.0%} (lowest {row.lowest:.0%})" for row in rows)


def check_reads(table: pd.DataFrame) -> None:
    """Refuse participants who do not recognise the targets of an experiment.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`last_tick`, without the alpha function.

    Raises
    ------
    NotLearned
        If the mean is below :data:`GROUP_READS` or a participant below :data:`PARTICIPANT_READS` in any kind of trial.
    """
    if reads(table):
        return
    summary = reading_summary(table)
    short = summary[_short(summary)]
    lines = [
        f"{row.trial}: mean {row.recognised:.0%}, {row.below} of {row.participants} participants below "
        f"{PARTICIPANT_READS:.0%}, the lowest {row.lowest:.0%}"
        for row in short.itertuples()
    ]
    raise NotLearned(
        "network: participants do not recognise the known targets of this experiment by its last tick, without the "
        f"alpha function ({'; '.join(lines)}); expected a mean of {GROUP_READS:.0%} and nobody below "
        f"{PARTICIPANT_READS:.0%}. Train longer, exclude them, or say allow_unlearned=True."
    )


def reading_of_lexicons(
    networks: Sequence[Network], alpha: Alpha | None, rng: int, model: str, timing: Timing | None = None
) -> pd.DataFrame:
    """Ask networks of several lexicons about immediate and lagged repetition, priming, and strings alone.

    Parameters
    ----------
    networks : sequence of Network
        One a lexicon.
    alpha : Alpha or None
        Dynamics.
    rng : int
        Seed of the orders of the trials.
    model : str
        Name for the column ``model``.
    timing : Timing, optional
        As in ``simulate``.

    Returns
    -------
    pandas.DataFrame
        Reading tables with the columns ``model`` and ``lexicon``; participants are numbered ``LEXICON/NUMBER``.
    """
    tables = []
    for number, network in enumerate(networks):
        lexicon = network.lexicon
        lagged = repetition(lexicon, rng=rng, lag=2)
        lexicon_tables = [
            alone(lexicon),
            repetition(lexicon, rng=rng),
            lagged.subset(list(lagged.labels[lagged.table["condition"] == "repeated"])),
            semantic_priming(lexicon, rng=rng),
        ]
        for stimuli in lexicon_tables:
            table = reading_table(network, stimuli, alpha=alpha, timing=timing)
            table["participant"] = f"{number}/" + table["participant"].astype(str)
            tables.append(table.assign(model=model, lexicon=number))
    return pd.concat(tables, ignore_index=True)


def reading_warning(table: pd.DataFrame, *, control_model: str) -> tuple[pd.DataFrame, str]:
    """Summarise reading by model, and say in a sentence whether participants read.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`reading_of_lexicons`, of one model or several.
    control_model : str
        The model without the alpha function, which has to read.

    Returns
    -------
    tuple of (DataFrame, str)
        Summaries at the last and at the best tick of every model; the sentence, which begins with ``WARNING`` where
        participants do not read.
    """
    sentences = [
        reading_summary(pick(rows)).assign(model=model, which=name)
        for model, rows in table.groupby("model", sort=False)
        for name, pick in (("last tick", last_tick), ("best tick", best_tick))
    ]
    summary = pd.concat(sentences, ignore_index=True)
    control = last_tick(table[table["model"] == control_model])
    words = f"Known targets recognised without alpha: {in_words(control)}."
    if not reads(control):
        words = f"WARNING: participants do not read, so no effect below is one of reading. {words}"
    return summary[["model", "which", *summary.columns.drop(["model", "which"])]], words
