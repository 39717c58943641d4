"""Natural Stories: whether surprisal explains reading times beyond length, frequency and trigrams, in held-out stories.

Data: Futrell et al. (2021), Language Resources and Evaluation 55:63-77; ten stories, mean self-paced reading times of
10,256 words (CC BY-NC-SA 4.0). The published means stand one row before their words, since they rise more with the
length of the next word than with that of the word before; they are moved. Predictors of a word and of the two
before it (spill-over, within sentences): length, position, frequency, trigrams, surprisal of a language model, whose
gain is in nats of held-out log-likelihood per word. Where the files are absent a synthetic twin runs.
"""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import typer
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut
from sklearn.preprocessing import SplineTransformer

from neuroling import Result, align, align_table, estimate, evaluate, load_language_model, surprisal
from neuroling.data import StoryRecording, natural_stories, real_or_twin, ud_english_ewt
from neuroling.evaluation import ClusteredErrors, ItemSignFlip, Regression, log_likelihood, save_unit, stamp
from neuroling.features import fit_ngram, predictors_in_reading, standardized
from neuroling.report import compare_with_expected, write_report

EXPECTED = Path(__file__).parent / "expected" / "natural_stories.json"
SPILLOVER = 2  # words before each word whose predictors stand beside its own
SHORTEST_MS, LONGEST_MS = 100.0, 3000.0  # means outside are excluded
Alignment = Literal["detect", "as stored", "next row"]


def main(
    out: Annotated[Path, typer.Option(help="Folder for result and report.")] = Path("results/natural_stories"),
    model: Annotated[str, typer.Option(help="gpt3 (the published probabilities), or a folder with a model.")] = "gpt3",
    alignment: Annotated[Alignment, typer.Option(help="Which word a stored time belongs to.")] = "detect",
    log: Annotated[bool, typer.Option(help="Whether logarithms of times are analysed.")] = True,
    n_flips: Annotated[int, typer.Option(help="Sign flips of sentences.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> Result:
    """Describe the words, fit what surprisal adds, predict held-out stories and sentences, and report."""
    stories = {name: find_stories(name, seed) for name in dict.fromkeys((alignment, "as stored"))}
    predictors = describe_words(stories[alignment], model, seed)
    tables = {name: table_of(story, predictors, log) for name, story in stories.items()}
    table, columns = tables[alignment], list(predictors)
    effects = estimate(
        Regression(ClusteredErrors("sentence")), align_table(table, "time", columns, labels=["sentence"])
    )
    results, notes = {}, [stories[alignment].options["row shift"] + ".", *stories[alignment].excluded]
    for name, splits, group in (("stories", LeaveOneGroupOut(), "story"), ("sentences", GroupKFold(10), "sentence")):
        results[f"Held-out {name}"] = gain = gain_of(table, columns, splits, group, n_flips, seed)
        notes.append(f"Held-out {name}: gain {float(gain.score.mean()):.5f} nats, p = {float(gain.p_values()):.4f}.")
    stored = gain_of(tables["as stored"], columns, GroupKFold(10), "sentence", n_flips, seed)
    curved = gain_of(with_splines(table), columns, GroupKFold(10), "sentence", n_flips, seed, curved=True)
    notes.append(f"Gain with times as stored: {float(stored.score.mean()):.5f} nats over sentences.")
    notes.append(f"Gain of splines over straight lines: {float(curved.score.mean()):.5f} nats over sentences.")
    options = {"title": "Natural Stories", "question": __doc__.split("\n")[0], "notes": notes}
    page = write_report({"Effects": effects, **results}, out, **options)
    save_unit(stamp(effects, {}, {"model": model}), out / "result.nc")
    print(effects.summary(), *notes, page, sep="\n")
    numbers = {name: float(gain.score.mean()) for name, gain in {**results, "As stored": stored}.items()}
    if not effects.provenance.synthetic:
        compare_with_expected({**numbers, "words": float(len(table))}, EXPECTED)
    return effects


def find_stories(alignment: Alignment, seed: int) -> StoryRecording:
    """Read the real stories, or those of the twin."""
    make_twin = partial(natural_stories.twin, seed, alignment=alignment)
    return real_or_twin("natural_stories", lambda folder: natural_stories.load(folder, alignment=alignment), make_twin)


def describe_words(story: StoryRecording, model: str, seed: int) -> pd.DataFrame:
    """Give length, position, frequency, trigrams and surprisal of every word and of the words before it."""
    words = story.words.table.reset_index()
    words["place"] = words.groupby("sentence", sort=False).cumcount() + 1
    treebank = real_or_twin("ud_english_ewt", ud_english_ewt.load, lambda: ud_english_ewt.twin(rng=seed))
    trigrams = fit_ngram(treebank.sentences)
    columns = {"text_column": "text", "item_column": "sentence", "position_column": "place"}
    found = predictors_in_reading(words, trigrams, **columns, frequency="en", spillover=SPILLOVER)
    found = found.rename(columns=lambda name: name.replace("surprisal", "trigram"))
    if model == "gpt3":
        values = words["surprisal_gpt3"]
    else:
        values = pd.Series(surprisal(story.words, load_language_model(model)).to_numpy()[:, 0])
    for lag in range(SPILLOVER + 1):
        found[f"surprisal-{lag}" if lag else "surprisal"] = values.groupby(words["sentence"]).shift(lag)
    return found.set_index(words["sample"])


def table_of(story: StoryRecording, predictors: pd.DataFrame, log: bool) -> pd.DataFrame:
    """Put standardized predictors beside the times of words that have all of them."""
    times = story.recording.to_series()
    kept = predictors.loc[times.index].notna().all(axis=1) & times.between(SHORTEST_MS, LONGEST_MS)
    times, described = times[kept], standardized(predictors.loc[times.index][kept])
    labels = story.words.table.loc[times.index, ["group", "sentence"]].rename(columns={"group": "story"})
    table = described.join(labels).assign(time=np.log(times) if log else times).rename_axis("sample")
    table.attrs["synthetic"] = bool(story.recording.attrs["synthetic"])
    return table


def with_splines(table: pd.DataFrame) -> pd.DataFrame:
    """Add cubic splines of the surprisal of a word and of the word before it."""
    added = {}
    for name in ("surprisal", "surprisal-1"):
        basis = SplineTransformer(n_knots=5, knots="quantile").fit_transform(table[[name]])
        bent = basis[:, 2:].T  # constant and straight line are there already
        added.update({f"spline {number} of {name}": column for number, column in enumerate(bent)})
    return table.assign(**added)


def gain_of(table, columns, splits, group, n_flips, seed, *, curved=False) -> Result:
    """Give the gain in held-out log-likelihood: of surprisal over the controls, or of splines over surprisal."""
    splines = [name for name in table if str(name).startswith("spline ")]
    data = align_table(table, "time", [*columns, *splines], labels=[*dict.fromkeys([group, "sentence"])], group=group)
    controls = [name for name in columns if not name.startswith("surprisal")]
    spaces = {"full": data.x, "base": data.x.sel(feature=columns if curved else controls)}
    models = {name: Regression() for name in spaces}
    options = {"metric": log_likelihood, "allow_leakage": "standardized over all rows, times not among them"}
    result = evaluate(models, align(spaces, data.y), splits=splits, **options)
    return result.difference("full", "base").test(ItemSignFlip("sentence", n_draws=n_flips), seed)
