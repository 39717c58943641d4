"""Which N400 phenomena follow from which hypothesis: a reading network under six links, language models, and people.

After Laszlo and Plaut (2012), Laszlo and Armstrong (2014), Rabovsky and McRae (2014) and Brouwer et al. (2017). Rows
that a model cannot carry say so. Sentence-level links (surprisal and entropy reduction of trigrams trained on the
English Web Treebank, distance between MiniLM embeddings) are asked about the sentences of Nieuwland et al. (2018), and
so are people: 25,978 single trials, cloze t = 9.5, held-out r over 160 nouns 0.48. Expected numbers: ``expected/``.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold

from neuroling import (
    MixedModel,
    Permutation,
    Result,
    Stimuli,
    align,
    align_table,
    combine,
    embed_sentences,
    estimate,
    evaluate,
    pearson,
    surprisal,
)
from neuroling.data import nieuwland2018, real_or_twin, ud_english_ewt, vanvliet2018
from neuroling.features import NGram, fit_ngram, zipf_frequency
from neuroling.n400 import (
    LAYERS,
    SENTENCE_PHENOMENA,
    Alpha,
    Effect,
    Letters,
    as_text,
    diagnose,
    effect_table,
    hypotheses,
    reading_of_lexicons,
    reading_warning,
    sentence_effects,
    sentence_probes,
    train_networks,
    word_probes,
)
from neuroling.report import Exhibit, axes_to_png, compare_with_expected, plot_effect_table, write_exhibits

EXPECTED = Path(__file__).parent / "expected" / "n400_effects.json"
SHOWN = ["phenomenon", "hypothesis", "people", "relative", "t", "p", "recognised", "lowest", "verdict"]
MEASURED = ("estimate", "low", "high", "t", "df", "p")
PEOPLE = "people (Nieuwland et al. 2018)"


def main(
    out: Annotated[Path, typer.Option(help="Folder for tables and figures.")] = Path("results/n400_effects"),
    participants: Annotated[int, typer.Option(help="Simulated participants of each lexicon.")] = 24,
    lexicons: Annotated[int, typer.Option(help="Number of lexicons.")] = 1,
    time_constant: Annotated[float, typer.Option(help="T of the alpha function in ticks.")] = 7.5,
    layers: Annotated[list[str], typer.Option(help="Layer on which alpha acts; repeat. Default: all.")] = list(LAYERS),  # noqa: B006 - typer's
    letters: Annotated[Letters, typer.Option(help="15 or 30 input units.")] = "two-of-five",
    epochs: Annotated[int | None, typer.Option(help="Passes over the lexicon.")] = None,
    n_draws: Annotated[int, typer.Option(help="Draws of the nulls.")] = 1000,
    sensitivity: Annotated[bool, typer.Option(help="Sweep the parameters, and print the map.")] = False,
    cache: Annotated[Path | None, typer.Option(help="Folder of trained networks. Default: OUT/networks.")] = None,
    allow_unlearned: Annotated[bool, typer.Option(help="Continue although participants do not read.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of everything.")] = 0,
) -> pd.DataFrame:
    """Fill the effect table with networks, language models and people."""
    out.mkdir(parents=True, exist_ok=True)
    alpha = Alpha(time_constant, layers=tuple(layers))
    read, scores, synthetic = sentences(n_draws, seed, out / "cache")
    networks = train_networks(
        lexicons=lexicons,
        participants=participants,
        rng=seed,
        letters=letters,
        epochs=epochs,
        cache=cache or out / "networks",
    )
    table = effect_table(networks, hypotheses(alpha), rng=seed, allow_unlearned=allow_unlearned)
    table = pd.concat([table, read], ignore_index=True)
    scores.save(out / "sentences.nc")
    held_out = scores.score.rename("r").to_series().reset_index()
    carried = table.dropna(subset="t").sort_values("phenomenon", kind="stable")
    rest = table[table["t"].isna()].groupby(["phenomenon", "verdict"], sort=False)["hypothesis"].agg(", ".join)
    picture = axes_to_png(plot_effect_table(table), synthetic=synthetic)
    _, warning = reading_warning(reading_of_lexicons(networks, None, seed, "ERP model"), control_model="ERP model")
    sections: dict[str, list[Exhibit | str]] = {
        "Phenomena by hypotheses": [
            Exhibit("effects", picture, f"Verdict of every cell, with relative effects (%) or t. {warning}"),
            Exhibit("effects_carried", carried, f"Every effect that was estimated. {warning}", shown=SHOWN),
        ],
        "What is not carried": [Exhibit("not_carried", rest.reset_index(), "Cells without an estimate, and why.")],
        "Sentences": [Exhibit("held_out", held_out, "Held-out r with people's N400 over nouns, ten folds of items.")],
    }
    table.to_csv(out / "effects.csv", index=False)
    write_exhibits(
        out,
        sections,
        title="N400 phenomena under several hypotheses",
        subtitle=f"Lexicons: {lexicons}; simulated participants of each: {participants}; trials of people. {warning}",
        provenance={"alpha": alpha, "epochs": epochs, "letters": letters, "n_draws": n_draws, "seed": seed},
        synthetic=synthetic,
    )
    print(table.pivot_table(index="phenomenon", columns="hypothesis", values="t", sort=False).round(1).to_string())
    print(scores)
    if sensitivity:
        sweep = diagnose(networks, alpha=alpha, rng=seed)
        sweep.to_csv(out / "sensitivity.csv", index=False)
        print(as_text(sweep), as_text(sweep, "neighbourhood"), sep="\n")
    if (participants, lexicons, letters, epochs, alpha, synthetic) == (24, 1, "two-of-five", None, Alpha(7.5), False):
        found = table.assign(name=table["hypothesis"] + ": " + table["phenomenon"]).set_index("name")
        compare_with_expected(found["relative"].fillna(found["estimate"]).dropna().to_dict(), EXPECTED)
    return table


def sentences(n_draws: int, seed: int, cache: Path) -> tuple[pd.DataFrame, Result, bool]:
    """Ask language models and people about the same sentences: rows of the table, and held-out scores over nouns."""
    trials = real_or_twin(nieuwland2018.NAME, nieuwland2018.load, lambda: nieuwland2018.twin(seed))
    nouns, recording = nieuwland2018.by_sentence(*trials)
    endings = nouns.table.assign(item=nouns.table["item"].astype(str))
    parts = [sentence_probes(endings, rng=seed).table, word_probes(vanvliet2018.NOUNS).table]
    probes = pd.concat(parts, ignore_index=True)
    texts = list(dict.fromkeys([*probes["text"], *probes["context"]]))
    vectors = pd.DataFrame(embed_sentences(Stimuli.from_texts(texts), cache=cache).to_numpy(), index=texts)
    described = predictors(probes, vectors)
    probes = probes.assign(**described)
    links = language_links(probes, corpus_model(seed), vectors)
    by_noun = probes.assign(**links)[probes["condition"].isin(("expected", "unexpected"))].set_index(["item", "text"])
    by_noun = by_noun.loc[pd.MultiIndex.from_frame(endings[["item", "noun"]])]
    scores = {}
    for name in ("cloze", *links):
        values = by_noun[name].to_numpy(dtype=np.float64)
        data = align(nouns.features(values[:, None], [name]), recording)
        options = {"splits": GroupKFold(10), "metric": pearson.pooled(), "inference": Permutation(n_draws), "rng": seed}
        scores[name] = evaluate(LinearRegression(), data, **options)
    table = trials[0].table.assign(item=trials[0].table["item"].astype(str))
    table = table.join(by_noun[["condition", "constraint", *described]], on=["item", "noun"])
    nouns_of_items = table["item"] + " " + table["noun"]
    measured = people(
        table.assign(n400=-trials[1].to_numpy()[:, 0], uncloze=-table["cloze"], **{"item and noun": nouns_of_items})
    )
    rows = pd.concat([sentence_effects(probes, links), measured])
    return rows, combine(scores, dim="model"), bool(recording.attrs["synthetic"])


def corpus_model(seed: int) -> NGram:
    """Train trigrams on both parts of the treebank that are at hand, 50,000 words: far too few, and all there is."""
    parts = [
        real_or_twin(
            ud_english_ewt.NAME,
            lambda folder, split=split: ud_english_ewt.load(folder, split),
            lambda split=split: ud_english_ewt.twin(rng=seed, split=split),
        )
        for split in ("dev", "test")
    ]
    texts = [text for part in parts for text in part.sentences.texts]
    return fit_ngram(Stimuli.from_texts(texts, labels=range(len(texts))))


def language_links(probes: pd.DataFrame, model: NGram, vectors: pd.DataFrame) -> dict[str, np.ndarray]:
    """Give each target its surprisal, the entropy that it takes away, and its distance from the context."""
    words = [f"{context} {text} ." for context, text in zip(probes["context"], probes["text"], strict=True)]
    rows = [(str(place), word) for place, text in enumerate(words) for word in text.split()]
    table = pd.DataFrame(rows, columns=["group", "text"]).rename_axis("sample")
    found = surprisal(
        Stimuli(table.set_axis([f"w{row}" for row in range(len(table))]).rename_axis("sample")), model, entropy=True
    )
    last = np.flatnonzero(table["group"].ne(table["group"].shift(-1)))  # the full stop; the target stands before it
    bits, entropy = found.to_numpy().T
    cosine = (vectors.loc[probes["context"]].to_numpy() * vectors.loc[probes["text"]].to_numpy()).sum(axis=1)
    return {
        "surprisal (trigrams)": bits[last - 1],
        "entropy reduction (trigrams)": entropy[last - 1] - entropy[last],
        "embedding distance (MiniLM)": 1 - cosine,
    }


def predictors(probes: pd.DataFrame, vectors: pd.DataFrame) -> dict[str, np.ndarray]:
    """Describe endings: how unlike the expected one they are, and how rare."""
    expected = probes[probes["condition"] == "expected"].set_index("item")["text"]
    expected = probes["item"].map(expected).fillna(probes["text"])
    unlike = 1 - (vectors.loc[probes["text"]].to_numpy() * vectors.loc[expected].to_numpy()).sum(axis=1)
    try:
        rarity = -zipf_frequency(
            Stimuli.from_texts(probes["text"].tolist(), labels=range(len(probes))), "en"
        ).to_numpy()[:, 0]
    except ModuleNotFoundError:
        return {"unlikeness": unlike}  # wordfreq is an extra; the row then says that it is not carried
    return {"unlikeness": unlike, "rarity": rarity}


def people(trials: pd.DataFrame) -> pd.DataFrame:
    """Measure in people what language models are asked, in single trials with crossed participants and items."""
    rows = []
    for one in SENTENCE_PHENOMENA[:3] + SENTENCE_PHENOMENA[6:7]:
        chosen = trials[trials["condition"] == one.among] if one.among else trials
        x, covariates = one.predictor or "uncloze", [name for name in one.covariates if chosen[name].std() > 0]
        if x not in chosen or not chosen[x].std() > 0:
            continue  # nothing to estimate, as with the frequencies of a twin's made-up words
        numbers = chosen[[x, *covariates]].apply(lambda column: (column - column.mean()) / column.std())
        random = random_effects(chosen, x)
        data = align_table(chosen.assign(**numbers), "n400", [x, *covariates], labels=list(random))
        estimates = estimate(MixedModel([x, *covariates], random), data).estimates.sel(feature=x)
        effect = Effect.measured(**{name: float(estimates[name]) for name in MEASURED})
        head = {"hypothesis": PEOPLE, "phenomenon": one.name, "larger": one.larger, "people": one.people}
        rows.append({**head, "source": one.source, **vars(effect), "verdict": effect.verdict(one.people)})
    return pd.DataFrame(rows)


def random_effects(trials: pd.DataFrame, x: str) -> dict[str, list[str]]:
    """Let people differ in level and effect, items and their nouns in level, as in ``nieuwland2018``."""
    several = trials["item and noun"].nunique() > trials["item"].nunique()  # else they are one grouping
    return {"participant": ["1", x], "item": ["1"], **({"item and noun": ["1"]} if several else {})}
