"""Does a language model predict people better as it learns? Every checkpoint of a run, scored on two recordings.

Data: text of the English Web Treebank (development part) to learn from, its test part to be guessed, CC BY-SA 4.0;
Brennan et al. (2016), the mean of 27 people listening to Alice; Nieuwland et al. (2018), mean amplitudes at 160 nouns.
Claim, from larger models: scores rise with training and follow perplexity. Expected here: little of the kind. A BERT of
two layers on 25,000 words learns not much more than how frequent words are. The controls are what the question rests
on: word rate alone, word length alone, and step 0, which has random weights.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
import xarray as xr
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold
from transformers import BertForPreTraining

from neuroling import ContiguousFolds, RidgeCV, Stimuli, align, convolve, evaluate, load_encoder, pearson
from neuroling.data.at_hand import real_or_twin
from neuroling.data.loaders import alice2016, nieuwland2018
from neuroling.data.loaders import ud_english_ewt as ewt
from neuroling.encoding.drift import remove_drift
from neuroling.features.context import Overlapping
from neuroling.features.controls import word_length
from neuroling.features.extract import extract
from neuroling.features.language import load_language_model
from neuroling.features.story import word_rate
from neuroling.features.surprisal import surprisal
from neuroling.features.text import concatenate
from neuroling.features.words import words_at
from neuroling.lm import schedules
from neuroling.lm.checkpoints import checkpoints
from neuroling.lm.corpora import Corpus, find_overlap
from neuroling.lm.pretraining import Pretraining, Size, assess, pretrain, tokenize
from neuroling.lm.training import Recipe
from neuroling.lm.wordpiece import train_wordpiece
from neuroling.report.figures import axes_to_png
from neuroling.report.probing import plot_by_step

ALPHAS = np.logspace(-2, 6, 17)
GAP = 10  # volumes of 2 s: as long as the haemodynamic response
MAX_LENGTH = 64
PLAN = Pretraining(next_sentence=False)


def main(
    out: Annotated[Path, typer.Option(help="Folder for the run, table and figures.")] = Path("results/checkpoints"),
    steps: Annotated[int, typer.Option(help="Steps of 32 sentences.")] = 400,
    every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the run and of the twins.")] = 0,
) -> pd.DataFrame:
    """Pre-train, score every checkpoint, and draw scores against steps and perplexity."""
    out.mkdir(parents=True, exist_ok=True)
    learnt, held = real_or_twin(
        "ud_english_ewt",
        lambda folder: (ewt.load(folder, "dev"), ewt.load(folder, "test")),
        lambda: (ewt.twin(200, seed, "dev"), ewt.twin(60, seed, "test")),
    )
    seen = set(find_overlap(held.sentences.texts, learnt.sentences.texts))
    kept = [text for place, text in enumerate(learnt.sentences.texts) if place not in seen]
    if not kept:
        raise ValueError("text: every sentence to learn from is in the text to be guessed.")
    tokenizer = train_wordpiece(kept, size=4000, max_length=MAX_LENGTH)
    tokens = tokenize(Corpus.of([held.sentences.texts]), tokenizer, max_length=MAX_LENGTH, long="truncate")
    recipe = Recipe(steps, 32, 2e-3, steps // 10, schedules.linear, seed=seed, save_every=every)
    shared = {"size": Size(2, 64, 2), "max_length": MAX_LENGTH, "dropout": 0.0, "long": "truncate", "device": "cpu"}
    text = Corpus.of([kept])
    first = Recipe(1, 32, 1e-30, 0, schedules.constant, seed=seed)  # one step of no length: random weights
    pretrain(text, tokenizer, PLAN, first, folder=out / "start", **shared)
    pretrain(text, tokenizer, PLAN, recipe, folder=out / "run", **shared)
    folders = {0: checkpoints(out / "start")[1], **checkpoints(out / "run")}
    story = real_or_twin("alice2016_fmri", alice2016.load, lambda: alice2016.twin(6, 160, rng=seed))
    nouns, amplitudes = nieuwland2018.by_sentence(
        *real_or_twin("nieuwland2018_n400", nieuwland2018.load, lambda: nieuwland2018.twin(rng=seed))
    )
    synthetic = any(array.attrs["synthetic"] for array in (learnt.heads, story.recording, amplitudes))
    controls = {"Alice": alice_score(story, None), "N400": n400_score(nouns, amplitudes, None)}
    rows = []
    for step, folder in folders.items():
        model = BertForPreTraining.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        row = {"step": step, "perplexity": assess(model, tokens, PLAN, rng=0).perplexity}
        row |= {"Alice": alice_score(story, folder), "N400": n400_score(nouns, amplitudes, folder)}
        rows.append(row)
        print(f"{'SYNTHETIC ' * synthetic}{ {name: round(value, 4) for name, value in row.items()} }", flush=True)
    table = pd.DataFrame(rows).set_index("step")
    table.to_csv(out / "table.csv")
    print(f"controls alone: { {name: round(value, 4) for name, value in controls.items()} }")
    for name, value in controls.items():
        axes = plot_by_step(table, name, control=value, label=f"{name}: held-out r")
        (out / f"{name}.png").write_bytes(axes_to_png(axes, synthetic=synthetic))
    return table


def alice_score(story: alice2016.AliceStory, folder: Path | None) -> float:
    """Predict the mean of all participants from word rate, beside the last layer of a checkpoint or alone."""
    tr_s = story.recording.attrs["tr_s"]
    filtered = remove_drift(story.recording, tr_s)
    scaled = (filtered - filtered.mean("sample")) / filtered.std("sample")
    recording = scaled.mean("subject").transpose("sample", "region").assign_attrs(story.recording.attrs)
    samples = recording.sample.to_numpy()
    spaces = {"rate": word_rate(story.words)}
    if folder is not None:
        encoder = load_encoder(folder, device="cpu")
        states = extract(
            story.words, encoder, layers=-1, unit="word", context=Overlapping(20, tokens=MAX_LENGTH - 4), shared="both"
        ).isel(layer=0, drop=True)
        spaces["layer"] = (states - states.mean("sample")).assign_attrs(states.attrs)
    spread = {
        name: remove_drift(convolve(words, recording.onset, labels=samples), tr_s) for name, words in spaces.items()
    }
    model, folds = RidgeCV(ALPHAS, folds=ContiguousFolds(4, gap=GAP)), ContiguousFolds(5, gap=GAP)
    features = concatenate(spread, train=samples)
    return float(evaluate(model, align(features, recording), splits=folds, metric=pearson).score.mean())


def n400_score(nouns: Stimuli, amplitudes: xr.DataArray, folder: Path | None) -> float:
    """Predict the amplitude at each noun from its length, beside its surprisal for a checkpoint or alone."""
    table = nouns.table
    texts = [f"{row.context} {row.article} {row.noun}" for row in table.itertuples()]
    spans = [[(len(text) - len(noun), len(text))] for text, noun in zip(texts, table["noun"], strict=True)]
    words = words_at(Stimuli.from_texts(texts, labels=range(len(texts))), spans)
    columns = [word_length(words).to_numpy()]
    if folder is not None:
        masked = load_language_model(folder, "masked", device="cpu")
        columns.append(surprisal(words, masked).to_numpy())
    values = np.concatenate(columns, axis=1)
    standard = (values - values.mean(0)) / values.std(0)
    data = align(nouns.features(standard), amplitudes)
    metric = pearson.pooled()
    return float(evaluate(LinearRegression(), data, splits=GroupKFold(10), metric=metric).score.mean())
