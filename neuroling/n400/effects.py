"""The effect table: every phenomenon of the N400, under every hypothesis, with intervals over participants and items.

An effect is a coefficient of a mixed model with crossed random effects of items and simulated participants. It is coded
so that a positive one is what people show: a larger N400 for more neighbours, for rarer words, for new items.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from neuroling.core.stimuli import Stimuli
from neuroling.core.times import Window
from neuroling.n400 import experiments
from neuroling.n400.alpha import Alpha
from neuroling.n400.lexicon import KNOWN, Lexicon
from neuroling.n400.linking_hypotheses import LINKS, Link, semantic_activation
from neuroling.n400.measures import fwhm_window, mean_amplitude
from neuroling.n400.network import Network
from neuroling.n400.simulate import simulate_links
from neuroling.numerics.statistics.mixed_model import fit_reml
from neuroling.numerics.statistics.random_terms import RandomTerm

NOT_JUDGED = "not judged: participants do not read"
"""Verdict on effects of networks that do not recognise the targets of the experiment."""

Tables = Mapping[str, pd.DataFrame]
People = Literal["larger", "none"]

EQUIVALENCE = 0.02
"""Share of the mean amplitude below which an effect counts as absent: a seventh of the smallest published repetition
effect (15 %). Simulations are deterministic, so that any difference becomes significant with enough of them."""


@dataclass(frozen=True)
class Phenomenon:
    """One row of the table.

    Attributes
    ----------
    name : str
        What varies.
    larger : str
        What people's N400 is larger for.
    experiment : str
        Key of the table of amplitudes that it is read from; empty for what no network here can be asked.
    rows : callable
        Picks rows of that table.
    predictor : callable
        Turns those rows into the predictor, positive where people's N400 is larger.
    covariates : tuple of str
        Columns held constant.
    within_items : bool
        Whether the predictor varies within an item.
    people : {"larger", "none"}
        Whether people show it.
    source : str
        Who saw it in people.
    """

    name: str
    larger: str
    experiment: str
    rows: Callable[[pd.DataFrame], pd.Series]
    predictor: Callable[[pd.DataFrame], pd.Series]
    covariates: tuple[str, ...] = ()
    within_items: bool = False
    people: People = "larger"
    source: str = ""


@dataclass(frozen=True)
class Hypothesis:
    """What the N400 is taken to be: dynamics and a link.

    Attributes
    ----------
    name : str
        Its name.
    alpha : Alpha or None
        Dynamics; None is the ERP model.
    link : Link
        What is read out.
    """

    name: str
    alpha: Alpha | None
    link: Link


@dataclass(frozen=True)
class Effect:
    """One cell of the table.

    Attributes
    ----------
    estimate, low, high : float
        Coefficient and its 95 % interval, in units of the link.
    t, df, p : float
        Its t, Satterthwaite's degrees of freedom, two-sided p.
    relative, relative_low, relative_high : float
        The same as shares of the mean amplitude.
    participants : float
        Share of participants whose own coefficient is positive.
    equivalence_p : float
        p of the two one-sided tests that the effect is smaller than :data:`EQUIVALENCE` of the mean amplitude.
    """

    estimate: float
    low: float
    high: float
    t: float
    df: float
    p: float
    relative: float
    relative_low: float
    relative_high: float
    participants: float
    equivalence_p: float

    @classmethod
    def measured(cls, *, estimate: float, low: float, high: float, t: float, df: float, p: float) -> Effect:
        """Take an effect in people from a mixed model: no share of an amplitude, whose zero is a matter of reference.

        Parameters
        ----------
        estimate, low, high, t, df, p : float
            Of the coefficient.
        """
        gap = float("nan")
        return cls(estimate, low, high, t, df, p, gap, gap, gap, gap, equivalence_p=1.0)

    def verdict(self, people: People) -> str:
        """Say in words whether this is what people show.

        Parameters
        ----------
        people : {"larger", "none"}
            What people show.
        """
        negligible, significant = self.equivalence_p < 0.05, self.p < 0.05
        if people == "none":
            return "as people" if negligible else "not as people" if significant else "undecided"
        if not significant:
            return "absent" if negligible else "undecided"
        direction = "as people" if self.estimate > 0 else "reversed"
        return f"{direction}, but negligible" if negligible else direction


def _of(column: str, *values: str) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda table: table[column].isin(values)


def _between(column: str, plus: Sequence[str], minus: Sequence[str]) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda table: 0.5 * table[column].isin(plus) - 0.5 * table[column].isin(minus)


def _both(*masks: Callable[[pd.DataFrame], pd.Series]) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda table: pd.Series(np.logical_and.reduce([mask(table) for mask in masks]), index=table.index)


def _column(name: str) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda table: table[name]


def _product(one: Callable[[pd.DataFrame], pd.Series], name: str) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda table: one(table) * table[name]


NEW = _of("condition", "new")
WORDS = _of("kind", "word")
FIRST = _between("condition", ("new",), ("repeated",))

PHENOMENA = (
    Phenomenon(
        "orthographic neighbourhood, by type", "words and pseudowords than acronyms and illegal strings", "repetition",
        NEW, _between("kind", ("word", "pseudoword"), ("acronym", "illegal")), source="Laszlo and Federmeier 2011",
    ),
    Phenomenon(
        "orthographic neighbourhood, within type", "more neighbours", "repetition", NEW, _column("neighbours_within"),
        source="Laszlo and Federmeier 2011",
    ),
    Phenomenon(
        "frequency", "rarer words", "repetition", _both(NEW, WORDS), _column("rarity"),
        ("richness_z", "neighbours_within"), source="Kutas and Federmeier 2011",
    ),
    Phenomenon(
        "semantic richness", "words with more features", "repetition", _both(NEW, WORDS), _column("richness_z"),
        ("rarity", "neighbours_within"), source="Rabovsky and McRae 2014",
    ),
    Phenomenon(
        "lexicality", "words than pseudowords", "repetition", _both(NEW, _of("kind", "word", "pseudoword")),
        _between("kind", ("word",), ("pseudoword",)), people="none",
        source="Laszlo and Armstrong 2014, 2.53 and 2.60 µV",
    ),
    Phenomenon(
        "familiarity", "acronyms than illegal strings", "repetition", _both(NEW, _of("kind", "acronym", "illegal")),
        _between("kind", ("acronym",), ("illegal",)), people="none",
        source="Laszlo and Armstrong 2014: 5.19 and 4.90 µV",
    ),
    Phenomenon(
        "immediate repetition", "new items", "repetition", lambda table: table["condition"].notna(), FIRST,
        within_items=True, source="Laszlo and Armstrong 2014",
    ),
    *(
        Phenomenon(
            f"immediate repetition, {kind}s" if kind != "illegal" else "immediate repetition, illegal strings",
            "new items", "repetition", _of("kind", kind), FIRST, within_items=True,
            source=f"Laszlo and Armstrong 2014: {size} µV",
        )
        for kind, size in (("word", 2.41), ("acronym", 1.58), ("pseudoword", 2.32), ("illegal", 0.95))
    ),
    Phenomenon(
        "lagged repetition", "new items", "lagged repetition", lambda table: table["condition"].notna(), FIRST,
        within_items=True, source="Rugg 1990",
    ),
    Phenomenon(
        "semantic priming", "unrelated primes", "semantic priming", lambda table: table["condition"].notna(),
        _between("condition", ("unrelated",), ("related",)), within_items=True, source="Kutas and Federmeier 2011",
    ),
    Phenomenon(
        "associative priming", "unrelated primes", "associative priming", lambda table: table["condition"].notna(),
        _between("condition", ("unrelated",), ("related",)), within_items=True, source="Kutas and Federmeier 2011",
    ),
    Phenomenon(
        "incongruity, bag-of-words context", "incongruent words", "sentence-like context",
        lambda table: table["condition"].notna(), _between("condition", ("incongruent",), ("congruent",)),
        within_items=True, source="Kutas and Federmeier 2011",
    ),
    Phenomenon(
        "repetition × frequency", "new rather than repeated, most so for rare words", "repetition", WORDS,
        _product(FIRST, "rarity"), ("new_z", "rarity"), within_items=True, source="Rugg 1990",
    ),
    Phenomenon(
        "repetition × richness", "new rather than repeated, most so for rich words", "repetition", WORDS,
        _product(FIRST, "richness_z"), ("new_z", "richness_z"), within_items=True, source="Rabovsky and McRae 2014",
    ),
)  # fmt: skip
"""What a reading network can be asked."""

NOT_CARRIED: Mapping[str, tuple[People, str]] = {
    "lexical probability (cloze)": ("larger", "no expectation of a next word: nothing but fatigue outlasts a string"),
    "constraint, unexpected endings": ("none", "no expectation of a next word"),
    "anticipatory semantic overlap": ("larger", "no expectation of a next word"),
    "anticipatory orthographic overlap": ("larger", "no expectation of a next word"),
    "position in the sentence": ("larger", "no memory beyond the fatigue of single units"),
    "incongruity in a sentence": ("larger", "no sentences, only the bag of words above"),
    "role reversal": ("none", "no roles: the order of words is not represented"),
    "word-order violation": ("none", "the order of words is not represented"),
    "linguistic adaptation": ("larger", "weights do not change while reading"),
}
"""Phenomena that need what these networks lack: whether people show them, and what is lacking. Role reversal,
word-order violations (which change the P600) and the constraint of unexpected endings leave people's N400 as it is."""


def amplitude_table(recording: xr.DataArray, lexicon: Lexicon, window: Window) -> pd.DataFrame:
    """Lay out mean amplitudes, one row a trial and participant, with what is known of the items.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, repeat, time)
        From ``simulate``.
    lexicon : Lexicon
        Whose items were shown.
    window : tuple of float
        Seconds.

    Returns
    -------
    pandas.DataFrame
        Columns amplitude, participant, item, kind, condition; ``rarity`` (minus log frequency) and ``richness_z``
        standardised over words, ``neighbours_within`` standardised over all strings after each type's mean is taken
        off; ``new_z`` +0.5 for new and -0.5 for repeated trials; ``reads``, ``recognised`` and ``lowest`` if the
        recording says what its participants recognised (:func:`~neuroling.n400.simulate.simulate`).
    """
    amplitude = mean_amplitude(recording, window).transpose("sample", "repeat")
    n_repeats = amplitude.sizes["repeat"]
    items = np.repeat(np.asarray(amplitude["item"]), n_repeats)
    table = pd.DataFrame(
        {
            "amplitude": amplitude.to_numpy().ravel().astype(np.float64),
            "participant": np.tile(np.asarray(amplitude["repeat"]).astype(str), amplitude.sizes["sample"]),
            "item": items,
            "condition": np.repeat(np.asarray(amplitude["condition"]), n_repeats),
        }
    )
    table["new_z"] = FIRST(table)
    for name in ("reads", "recognised", "lowest"):
        if name in recording.attrs:
            table[name] = float(recording.attrs[name])
    return table.join(_item_predictors(lexicon), on="item")


def _item_predictors(lexicon: Lexicon) -> pd.DataFrame:
    items = lexicon.table
    words = items["kind"] == "word"
    neighbours = items["neighbours"] - items.groupby("kind")["neighbours"].transform("mean")
    rarity = pd.Series(-np.log(items["frequency"].to_numpy(dtype=np.float64)), index=items.index)
    return pd.DataFrame(
        {
            "kind": items["kind"],
            "neighbours": items["neighbours"],
            "neighbours_within": _standardised(neighbours, items["kind"].notna()),
            "rarity": _standardised(rarity, words),
            "richness_z": _standardised(items["richness"], words).fillna(0.0),
        }
    )


def _standardised(values: pd.Series, over: pd.Series) -> pd.Series:
    spread = float(values[over].std(ddof=0))
    return (values - float(values[over].mean())) / (spread if spread > 0 else 1.0)


def estimate(
    table: pd.DataFrame,
    predictor: pd.Series,
    *,
    covariates: Sequence[str] = (),
    within_items: bool = False,
    level: float = 0.95,
) -> Effect:
    """Estimate one effect with a mixed model of maximal random effects.

    ``amplitude ~ predictor + covariates (+ lexicon) + (1 + predictor | participant) + (1 [+ predictor] | item)``;
    slopes are uncorrelated with intercepts, and items have one where the predictor varies within them.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`amplitude_table`; a column ``lexicon`` tells lexicons apart.
    predictor : pandas.Series, shape (row,)
        What the effect is of.
    covariates : sequence of str
        Columns held constant.
    within_items : bool
        Whether the predictor varies within items.
    level : float
        Coverage of the interval.

    Returns
    -------
    Effect
    """
    if not 0 < level < 1:
        raise ValueError(f"level: got {level}; expected between 0 and 1, such as 0.95.")
    absent = [name for name in ("participant", "item", "amplitude", *covariates) if name not in table]
    if absent:
        raise ValueError(f"table: no columns {absent} among {list(table.columns)}; make it with amplitude_table.")
    x = predictor.to_numpy(dtype=np.float64)
    y = table["amplitude"].to_numpy()
    for name in ("participant", "item"):
        if table[name].nunique() < 2:
            raise ValueError(
                f"{name}: all {len(table)} rows have {table[name].iloc[0]!r}; a mixed model needs several, so simulate "
                f"more than one {name}."
            )
    if np.ptp(x) == 0:
        raise ValueError(f"predictor: {x[0]} in all {len(x)} rows; the effect cannot be estimated.")
    ones = np.ones_like(x)
    lexicons = pd.get_dummies(table["lexicon"], drop_first=True, dtype=float) if "lexicon" in table else pd.DataFrame()
    design = np.column_stack([ones, x, table[list(covariates)].to_numpy(dtype=np.float64), *lexicons.to_numpy().T])
    slope = np.column_stack([ones, x])
    terms = [
        RandomTerm(_codes(table["participant"]), slope),
        RandomTerm(_codes(table["item"]), slope if within_items else ones[:, None]),
    ]
    fit = fit_reml(y, design, terms)
    low, high = fit.interval(level)
    size, error, df = float(fit.coefficients[1]), float(fit.standard_errors[1]), float(fit.degrees_of_freedom[1])
    mean = float(np.abs(y).mean())
    bound = EQUIVALENCE * mean
    one_sided = max(stats.t.sf((bound - abs(size)) / error, df), 0.0)
    return Effect(
        estimate=size,
        low=float(low[1]),
        high=float(high[1]),
        t=float(fit.t[1]),
        df=df,
        p=float(fit.p[1]),
        relative=size / mean,
        relative_low=float(low[1]) / mean,
        relative_high=float(high[1]) / mean,
        participants=float((_own_slopes(table, x, y, covariates) > 0).mean()),
        equivalence_p=float(one_sided),
    )


def _codes(column: pd.Series) -> NDArray[np.intp]:
    return np.asarray(pd.factorize(column)[0], dtype=np.intp)


def _own_slopes(
    table: pd.DataFrame, x: NDArray[np.float64], y: NDArray[np.float64], covariates: Sequence[str]
) -> NDArray[np.float64]:
    """Least-squares coefficient of the predictor for each participant alone, shape (participant,)."""
    covariate_values = table[list(covariates)].to_numpy(dtype=np.float64)
    slopes = []
    for rows in table.groupby("participant").indices.values():
        design = np.column_stack([x[rows], np.ones(len(rows)), covariate_values[rows]])
        slopes.append(np.linalg.lstsq(design, y[rows], rcond=None)[0][0])
    return np.array(slopes)


def hypotheses(alpha: Alpha, links: Sequence[Link] = LINKS) -> tuple[Hypothesis, ...]:
    """List the alpha model, its control, and every link on both.

    Parameters
    ----------
    alpha : Alpha
        Parameters of the alpha model.
    links : sequence of Link
        Linking hypotheses.

    Returns
    -------
    tuple of Hypothesis
        ``alpha model: semantic activation`` is the published one, ``ERP model: semantic activation`` its control.
    """
    models: tuple[tuple[str, Alpha | None], ...] = (("alpha model", alpha), ("ERP model", None))
    return tuple(Hypothesis(f"{name}: {link.name}", dynamics, link) for name, dynamics in models for link in links)


def standard_experiments(lexicon: Lexicon, *, rng: int | np.random.Generator, lag: int = 2) -> dict[str, Stimuli]:
    """Make the experiments that the table needs.

    Parameters
    ----------
    lexicon : Lexicon
        Whose strings are shown.
    rng : int or numpy.random.Generator
        Who precedes whom.
    lag : int
        Strings in between in lagged repetition.

    Returns
    -------
    dict of Stimuli
        By the names that :data:`PHENOMENA` uses.
    """
    generators = np.random.default_rng(rng).spawn(5)
    return {
        "repetition": experiments.repetition(lexicon, rng=generators[0]),
        "lagged repetition": experiments.repetition(lexicon, rng=generators[1], lag=lag),
        "semantic priming": experiments.semantic_priming(lexicon, rng=generators[2]),
        "associative priming": experiments.associative_priming(lexicon, rng=generators[3]),
        "sentence-like context": experiments.sentence_like(lexicon, rng=generators[4]),
    }


def effect_table(
    networks: Sequence[Network],
    asked: Sequence[Hypothesis],
    *,
    rng: int | np.random.Generator,
    phenomena: Sequence[Phenomenon] = PHENOMENA,
    lag: int = 2,
    timing: experiments.Timing | None = None,
    allow_unlearned: bool = False,
    device: str = "auto",
) -> pd.DataFrame:
    """Run every experiment on every network and estimate every effect under every hypothesis.

    The window is the full width at half maximum of semantic activation at first presentations, for each dynamics and
    lexicon by itself.

    Parameters
    ----------
    networks : sequence of Network
        One a lexicon.
    asked : sequence of Hypothesis
        From :func:`hypotheses`.
    rng : int or numpy.random.Generator
        Source of the experiments' orders.
    phenomena : sequence of Phenomenon
        Rows.
    lag : int
        Strings in between in lagged repetition.
    timing, allow_unlearned, device
        As in ``simulate``.

    Returns
    -------
    pandas.DataFrame
        One row a hypothesis and phenomenon: the effect's estimate, 95 % interval, t, df, p; the same relative to the
        mean amplitude; share of participants; ``equivalence_p``; ``recognised`` and ``lowest``, the least share of
        known targets recognised without alpha in the experiment of the row, mean over participants and least
        participant; ``people`` and ``verdict``, which is :data:`NOT_JUDGED` where participants do not read. Phenomena
        that no network here can carry are rows too, with the reason as ``verdict``.
    """
    if not networks or not asked:
        raise ValueError("networks, asked: one of them is empty; expected at least one network and one hypothesis.")
    names = [hypothesis.name for hypothesis in asked]
    if len(set(names)) < len(names):
        raise ValueError(f"asked: {len(names) - len(set(names))} hypotheses have the name of another; name them apart.")
    generators = np.random.default_rng(rng).spawn(len(networks))
    needed = {"repetition", *(phenomenon.experiment for phenomenon in phenomena)}  # repetition gives the window
    settings = {"timing": timing, "allow_unlearned": allow_unlearned, "device": device}
    tables: dict[str, dict[str, list[pd.DataFrame]]] = {hypothesis.name: {} for hypothesis in asked}
    for number, (network, generator) in enumerate(zip(networks, generators, strict=True)):
        trials = standard_experiments(network.lexicon, rng=generator, lag=lag)
        trials = {name: trials[name] for name in trials if name in needed}
        for alpha in dict.fromkeys(hypothesis.alpha for hypothesis in asked):
            group = [hypothesis for hypothesis in asked if hypothesis.alpha == alpha]
            for name, found in _amplitudes(network, trials, alpha, [one.link for one in group], settings).items():
                for hypothesis in group:
                    labelled = _labelled(found[hypothesis.link.name], number)
                    tables[hypothesis.name].setdefault(name, []).append(labelled)
    rows = [
        _row(hypothesis, phenomenon, {name: pd.concat(parts) for name, parts in tables[hypothesis.name].items()})
        for hypothesis in asked
        for phenomenon in phenomena
    ]
    rows += [
        {
            "hypothesis": hypothesis.name,
            "phenomenon": name,
            "people": people,
            "verdict": f"not carried: {reason}",
        }
        for hypothesis in asked
        for name, (people, reason) in NOT_CARRIED.items()
    ]
    return pd.DataFrame(rows)


def first_window(recording: xr.DataArray, *, within: Window | None = None) -> Window:
    """Find the full width at half maximum of first presentations, averaged over everything else.

    Parameters
    ----------
    recording : xarray.DataArray, dims (sample, repeat, time)
        With the coordinate ``condition``; its samples ``new`` count.
    within : tuple of float, optional
        Where to look; by default from the onset of the target on.

    Returns
    -------
    tuple of float
        Seconds.
    """
    new = recording.isel(sample=np.flatnonzero(np.asarray(recording["condition"]) == "new"))
    if new.sizes["sample"] == 0:
        raise ValueError("recording: no sample whose condition is 'new'; pass a window of your own.")
    return fwhm_window(new.mean(["sample", "repeat"]), within=within or (0.0, float(recording["time"][-1])))


def _amplitudes(
    network: Network,
    trials: Mapping[str, Stimuli],
    alpha: Alpha | None,
    links: Sequence[Link],
    settings: Mapping[str, object],
) -> dict[str, dict[str, pd.DataFrame]]:
    """Give tables of amplitudes by experiment and link; links that need meanings see known targets alone."""
    known_strings = list(network.lexicon.known)
    window: Window | None = None
    amplitudes: dict[str, dict[str, pd.DataFrame]] = {}
    for name, experiment in trials.items():
        is_known = experiment.table["text"].isin(known_strings)
        free = [link for link in links if not link.needs_meaning]
        read = simulate_links(network, experiment, [semantic_activation, *free], alpha=alpha, **settings)  # type: ignore[arg-type]  # settings are its own
        bound = [link for link in links if link.needs_meaning]
        if bound:
            some = experiment.subset(list(experiment.labels[is_known]))
            read |= simulate_links(network, some, bound, alpha=alpha, **settings)  # type: ignore[arg-type]  # likewise
        if window is None:
            window = first_window(read[semantic_activation.name])
        amplitudes[name] = {link.name: amplitude_table(read[link.name], network.lexicon, window) for link in links}
    return amplitudes


def _labelled(table: pd.DataFrame, lexicon: int) -> pd.DataFrame:
    """Make participants and items of different lexicons different."""
    return table.assign(
        lexicon=str(lexicon),
        participant=f"{lexicon}/" + table["participant"],
        item=f"{lexicon}/" + table["item"],
    )


def _row(hypothesis: Hypothesis, phenomenon: Phenomenon, tables: Tables) -> dict[str, object]:
    head: dict[str, object] = {
        "hypothesis": hypothesis.name,
        "phenomenon": phenomenon.name,
        "larger": phenomenon.larger,
        "people": phenomenon.people,
        "source": phenomenon.source,
    }
    table = tables[phenomenon.experiment].reset_index(drop=True)
    table = table[phenomenon.rows(table)].reset_index(drop=True)
    if hypothesis.link.needs_meaning and not _asks_known(phenomenon, table):
        return {**head, "verdict": "not defined: the link needs the meaning of every item"}
    predictor = phenomenon.predictor(table)
    effect = estimate(table, predictor, covariates=phenomenon.covariates, within_items=phenomenon.within_items)
    read = {"recognised": float(table["recognised"].min()), "lowest": float(table["lowest"].min())}
    verdict = effect.verdict(phenomenon.people) if table["reads"].all() else NOT_JUDGED
    return {**head, **vars(effect), **read, "verdict": verdict}


def _asks_known(phenomenon: Phenomenon, table: pd.DataFrame) -> bool:
    """Whether a phenomenon can be read from words and acronyms alone."""
    unknown = {"orthographic neighbourhood, by type", "lexicality", "familiarity"}
    return len(table) > 0 and phenomenon.name not in unknown and set(table["kind"]) <= set(KNOWN)
