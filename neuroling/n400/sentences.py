"""Sentences for links that give one value a word: surprisal, entropy reduction, distance between embeddings.

The links themselves come from elsewhere (any function of context and target will do). Here are the probes that they are
asked about, made from the sentences and nouns of an experiment on people, and the effects that their values amount to.
A language model is one reader, so that intervals are over items alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from neuroling.core.stimuli import Stimuli
from neuroling.n400.effects import EQUIVALENCE, NOT_CARRIED, PHENOMENA, Effect, People

Array = NDArray[np.float64]

OWN_COLUMNS = ("item", "context", "noun", "cloze")


@dataclass(frozen=True)
class SentencePhenomenon:
    """A row of the effect table that sentences or pairs of words can be asked about.

    Attributes
    ----------
    name, larger, source : str
        What varies, what people's N400 is larger for, and who saw it.
    plus, minus : str
        Conditions whose difference within items is the effect; empty for a slope.
    predictor : str
        Column whose slope is the effect, positive where people's N400 is larger; empty for a difference.
    among : str
        Condition whose rows a slope is taken over.
    covariates : tuple of str
        Columns held constant.
    within_items : bool
        Whether slopes are taken within each item.
    people : {"larger", "none"}
        Whether people show it.
    """

    name: str
    larger: str
    source: str
    plus: str = ""
    minus: str = ""
    predictor: str = ""
    among: str = ""
    covariates: tuple[str, ...] = ()
    within_items: bool = False
    people: People = "larger"


SENTENCE_PHENOMENA = (
    SentencePhenomenon(
        "lexical probability (cloze)", "less expected endings", "Kutas and Hillyard 1984", "unexpected", "expected"
    ),
    SentencePhenomenon(
        "constraint, unexpected endings", "stronger constraint", "Federmeier et al. 2007: no difference",
        predictor="constraint", among="unexpected", covariates=("cloze",), people="none",
    ),
    SentencePhenomenon(
        "anticipatory semantic overlap", "less like the expected ending", "Federmeier and Kutas 1999",
        predictor="unlikeness", among="unexpected", covariates=("constraint", "cloze"),
    ),
    SentencePhenomenon(
        "position in the sentence", "earlier words", "Van Petten and Kutas 1990",
        predictor="earliness", among="position", within_items=True,
    ),
    SentencePhenomenon(
        "incongruity in a sentence", "words out of place", "Kutas and Hillyard 1980", "incongruous", "expected"
    ),
    SentencePhenomenon(
        "word-order violation", "two words exchanged", "Rabovsky et al. 2018: no difference", "exchanged", "expected",
        people="none",
    ),
    SentencePhenomenon(
        "frequency", "rarer words", "Kutas and Federmeier 2011",
        predictor="rarity", among="unexpected", covariates=("constraint", "cloze"),
    ),
    SentencePhenomenon("semantic priming", "unrelated primes", "Kutas and Federmeier 2011", "unrelated", "related"),
    SentencePhenomenon("immediate repetition", "new items", "Laszlo and Armstrong 2014", "related", "repeated"),
)  # fmt: skip
"""What a link from context and target to a value can be asked."""


def sentence_probes(nouns: pd.DataFrame, *, rng: int | np.random.Generator) -> Stimuli:
    """Make probes from sentences whose endings people expect more or less.

    Parameters
    ----------
    nouns : pandas.DataFrame
        One ending a row: ``item``, ``context`` (the sentence so far), ``noun``, ``cloze`` (0 to 1). Each item has two
        endings or more; that of the highest cloze is the expected one.
    rng : int or numpy.random.Generator
        Whose endings are out of place, and which words change places.

    Returns
    -------
    Stimuli
        ``text`` is the target, ``context`` what goes before; ``item`` and ``condition``: ``expected``, ``unexpected``,
        ``incongruous`` (the expected ending of another item), ``exchanged`` (two neighbouring words of the context
        exchanged, the last one excepted) and ``position`` (each word after the words before it). ``constraint`` is the
        highest cloze of the item, standardised over items; ``earliness`` minus the position, in words.
    """
    missing = [name for name in OWN_COLUMNS if name not in nouns]
    if missing:
        raise ValueError(f"nouns: no columns {missing}; expected {OWN_COLUMNS}.")
    ordered = nouns[list(OWN_COLUMNS)].sort_values(["item", "cloze"], ascending=[True, False], kind="stable")
    best = ordered.drop_duplicates("item")
    if len(best) < 3 or (ordered.groupby("item").size() < 2).any():
        raise ValueError(
            f"nouns: {len(best)} items, some with a single ending; expected 3 items or more, each with two or more."
        )
    generator = np.random.default_rng(rng)
    constraint = best.set_index("item")["cloze"]
    spread = float(constraint.std(ddof=0)) or 1.0
    is_best = ordered.index.isin(best.index)
    probes = ordered.assign(condition=np.where(is_best, "expected", "unexpected"))
    turned = best.assign(
        condition="incongruous", noun=np.roll(best["noun"].to_numpy(), generator.integers(1, len(best)))
    )
    exchanged = best.assign(
        condition="exchanged", context=[_exchanged(context, generator) for context in best["context"]]
    )
    parts = [probes, turned, exchanged, _positions(best)]
    table = pd.concat(parts, ignore_index=True).rename(columns={"noun": "text"})
    table["constraint"] = (table["item"].map(constraint) - float(constraint.mean())) / spread
    table["position"] = [len(context.split()) + 1.0 for context in table["context"]]
    return _labelled(table.assign(earliness=-table["position"]))


def word_probes(categories: Mapping[str, str]) -> Stimuli:
    """Make probes from words: each after itself, after one of its category, and after one of another.

    Parameters
    ----------
    categories : mapping of str
        Word to category.

    Returns
    -------
    Stimuli
        All pairs; ``item`` is the target, ``condition`` is ``repeated``, ``related`` or ``unrelated``.
    """
    counts = pd.Series(categories).value_counts()
    if len(counts) < 2 or counts.min() < 2:
        raise ValueError(f"categories: got {counts.to_dict()}; expected two or more, each of two words or more.")
    rows = [
        {
            "item": target,
            "context": cue,
            "text": target,
            "condition": "repeated" if cue == target
            else "related" if categories[cue] == categories[target] else "unrelated",
        }
        for cue, target in product(categories, categories)
    ]  # fmt: skip
    return _labelled(pd.DataFrame(rows))


def sentence_effects(
    probes: pd.DataFrame, values: Mapping[str, Array], *, phenomena: Sequence[SentencePhenomenon] = SENTENCE_PHENOMENA
) -> pd.DataFrame:
    """Estimate what the values of each link amount to, and say what it cannot be asked.

    Parameters
    ----------
    probes : pandas.DataFrame
        Tables of :func:`sentence_probes` and :func:`word_probes`, one under the other; predictors that are not in it
        (``unlikeness``, ``rarity``) leave their rows out.
    values : mapping of ndarray, shape (probe,)
        By link; NaN where it gives no value.
    phenomena : sequence of SentencePhenomenon
        Rows.

    Returns
    -------
    pandas.DataFrame
        Columns as in :func:`~neuroling.n400.effects.effect_table`, to be put under it; ``participants`` is NaN.
    """
    rows = []
    for link, link_values in values.items():
        if np.shape(link_values) != (len(probes),):
            raise ValueError(
                f"values: {link!r} has shape {np.shape(link_values)}; expected one of {len(probes)} probes each."
            )
        table = probes.assign(value=np.asarray(link_values, dtype=np.float64))
        table = table[np.isfinite(table["value"])]
        carried = [
            (phenomenon, effect) for phenomenon in phenomena if (effect := _effect(table, phenomenon)) is not None
        ]
        rows += [
            {
                "hypothesis": link,
                "phenomenon": phenomenon.name,
                "larger": phenomenon.larger,
                "people": phenomenon.people,
                "source": phenomenon.source,
                **vars(effect),
                "verdict": effect.verdict(phenomenon.people),
            }
            for phenomenon, effect in carried
        ]
        rows += _others(link, {phenomenon.name for phenomenon, _ in carried}, phenomena)
    return pd.DataFrame(rows)


def _others(link: str, carried: set[str], phenomena: Sequence[SentencePhenomenon]) -> list[dict[str, object]]:
    """Rows that a link gives no value for."""
    human_effects = {one.name: one.people for one in phenomena}
    named: dict[str, People] = {one.name: one.people for one in PHENOMENA}
    named |= {name: people for name, (people, _) in NOT_CARRIED.items()} | human_effects
    reason = {True: "no probe with a value for this link", False: "one value a word: strings and trials are not read"}
    return [
        {
            "hypothesis": link,
            "phenomenon": name,
            "people": people,
            "verdict": f"not carried: {reason[name in human_effects]}",
        }
        for name, people in named.items()
        if name not in carried
    ]


def _effect(table: pd.DataFrame, phenomenon: SentencePhenomenon) -> Effect | None:
    """Estimate one effect over items; None if there is nothing to estimate it from."""
    if phenomenon.plus:
        rows = table[table["condition"].isin((phenomenon.plus, phenomenon.minus))]
        means = rows.pivot_table(index="item", columns="condition", values="value")
        if not {phenomenon.plus, phenomenon.minus} <= set(means):
            return None
        return over_items(
            (means[phenomenon.plus] - means[phenomenon.minus]).dropna().to_numpy(), float(rows["value"].abs().mean())
        )
    if any(name not in table for name in (phenomenon.predictor, *phenomenon.covariates)):
        return None
    rows = table[table["condition"] == phenomenon.among].dropna(subset=[phenomenon.predictor, *phenomenon.covariates])
    mean = float(rows["value"].abs().mean())
    if phenomenon.within_items:
        slopes = [_slope(part, phenomenon)[0] for _, part in rows.groupby("item") if len(part) > 2]
        return over_items(np.array(slopes), mean) if len(slopes) > 1 else None
    if len(rows) < len(phenomenon.covariates) + 4:
        return None
    return _judged(*_slope(rows, phenomenon), mean)


def over_items(differences: Array, mean: float) -> Effect:
    """Test the mean of one number an item against nothing.

    Parameters
    ----------
    differences : ndarray, shape (item,)
        Effects of single items.
    mean : float
        Mean size of the values, which the effect is related to.

    Returns
    -------
    Effect
        ``participants`` is NaN: there is one reader.
    """
    n = len(differences)
    if n < 2:
        raise ValueError(f"differences: got {n} items; expected two or more.")
    return _judged(float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(n)), n - 1, mean)


def _slope(rows: pd.DataFrame, phenomenon: SentencePhenomenon) -> tuple[float, float, int]:
    """Least squares: slope of the predictor (standardised between items), its standard error, degrees of freedom."""
    x = rows[[phenomenon.predictor, *phenomenon.covariates]].to_numpy(dtype=np.float64)
    x = x - x.mean(axis=0)
    if not phenomenon.within_items:
        x = x / np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    X = np.column_stack([x, np.ones(len(x))])
    y = rows["value"].to_numpy()
    coefficients = np.linalg.lstsq(X, y, rcond=None)[0]
    df = len(y) - X.shape[1]
    variance = float(((y - X @ coefficients) ** 2).sum()) / max(df, 1)
    return float(coefficients[0]), float(np.sqrt(variance * np.linalg.pinv(X.T @ X)[0, 0])), df


def _judged(size: float, error: float, df: float, mean: float) -> Effect:
    """Make an effect of an estimate; without any error it is what it is."""
    half = float(stats.t.ppf(0.975, df)) * error
    t = size / error if error > 0 else float(np.inf * np.sign(size)) if size else 0.0
    room = EQUIVALENCE * mean - abs(size)
    smaller = room / error if error > 0 else float(np.inf if room >= 0 else -np.inf)
    relative = [value / mean if mean > 0 else 0.0 for value in (size, size - half, size + half)]
    return Effect(
        estimate=size,
        low=size - half,
        high=size + half,
        t=t,
        df=df,
        p=float(2 * stats.t.sf(abs(t), df)),
        relative=relative[0],
        relative_low=relative[1],
        relative_high=relative[2],
        participants=float("nan"),
        equivalence_p=float(stats.t.sf(smaller, df)),
    )


def _exchanged(context: str, rng: np.random.Generator) -> str:
    words = context.split()
    if len(words) < 3:
        raise ValueError(f"context: {context!r} has fewer than 3 words, so that none but the last can change places.")
    place = int(rng.integers(len(words) - 2))
    words[place : place + 2] = words[place + 1], words[place]
    return " ".join(words)


def _positions(best: pd.DataFrame) -> pd.DataFrame:
    """Each word of a context after the words before it, from the second on."""
    rows = [
        {"item": item, "context": " ".join(words[:place]), "noun": words[place]}
        for item, words in zip(best["item"], best["context"].str.split(), strict=True)
        for place in range(1, len(words))
    ]
    return pd.DataFrame(rows).assign(condition="position")


def _labelled(table: pd.DataFrame) -> Stimuli:
    labels = table["condition"] + " " + pd.Series(np.arange(len(table)).astype(str), index=table.index)
    return Stimuli(table.set_index(pd.Index(labels, name="sample")))
