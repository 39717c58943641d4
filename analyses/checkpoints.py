"""Does a language model predict people better as it learns? Every checkpoint of three runs, scored on two recordings.

Data: sentences of the English Web Treebank (development part) and titles of imaging articles to learn from, the
treebank's test part to be guessed, CC BY-SA 4.0 and ODbL; Brennan et al. (2016), the mean of 27 people listening to
Alice, 6 regions, CC BY 4.0; Nieuwland et al. (2018), mean amplitudes at 160 nouns, MIT.
Claim, from larger models: scores rise with training and follow perplexity. Expected here: little of the kind. A BERT of
two layers on 190,000 words learns some syntax and no knowledge of the world. The controls are what the question rests
on: word rate or word length alone, the surprisal of trigrams counted in the same text, and step 0, which has random
weights; for the nouns also how many people guessed them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
import xarray as xr
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold
from transformers import BertForPreTraining, PreTrainedTokenizerFast

from neuroling import (
    BandedRidgeCV,
    ContiguousFolds,
    Stimuli,
    align,
    convolve,
    evaluate,
    extract_word_features,
    load_encoder,
    load_language_model,
    pearson,
    surprisal,
)
from neuroling.data import alice2016, neurosynth, nieuwland2018, read_table, real_or_twin
from neuroling.data import ud_english_ewt as ewt
from neuroling.encoding import DirichletSearch, remove_drift, volume_controls
from neuroling.evaluation import columns_of
from neuroling.features import Overlapping, concatenate, fit_ngram, word_length, word_rate, words_at
from neuroling.lm import (
    Corpus,
    Masking,
    Pretraining,
    Recipe,
    Size,
    assess,
    checkpoints,
    find_overlap,
    pretrain,
    refuse_overlap,
    schedules,
    tokenize,
    train_wordpiece,
    unigram_loss,
)
from neuroling.report import (
    Block,
    Exhibit,
    compare_with_expected,
    controls_of_layers,
    draw_training,
    figure_to_png,
    write_exhibits,
)

EXPECTED = Path(__file__).parent / "expected" / "checkpoints.json"
ALPHAS = np.logspace(-2, 6, 17)
GAP = 10  # volumes of 2 s: as long as the haemodynamic response
MAX_LENGTH = 64
TAUGHT = Pretraining(Masking(0.4), next_sentence=False)  # in so few steps more is learnt than from 15 %
ASKED = Pretraining(next_sentence=False)  # perplexity is of the usual 15 %
DEFAULTS = {"steps": 1600, "seeds": 3}
SCORES = {"Alice": "Alice: held-out r, mean of 6 regions", "N400": "N400 at nouns: held-out r"}


def main(
    out: Annotated[Path, typer.Option(help="Folder for runs, table and figures.")] = Path("results/checkpoints"),
    steps: Annotated[int, typer.Option(help="Steps; scored at 1/32, 1/16 … of them.")] = DEFAULTS["steps"],
    seeds: Annotated[int, typer.Option(help="Runs.")] = DEFAULTS["seeds"],
) -> pd.DataFrame:
    """Pre-train, score every checkpoint, and draw scores against steps and perplexity."""
    out.mkdir(parents=True, exist_ok=True)
    learnt, held = texts()
    story = real_or_twin("alice2016_fmri", alice2016.load, lambda: alice2016.twin(6, 160, rng=0))
    nouns, amplitudes = nieuwland2018.by_sentence(
        *real_or_twin("nieuwland2018_n400", nieuwland2018.load, lambda: nieuwland2018.twin(rng=0))
    )
    synthetic = any(array.attrs["synthetic"] for array in (held.heads, story.recording, amplitudes))
    counted = fit_ngram(Stimuli.from_texts(learnt.sentences, labels=range(len(learnt.sentences))), order=3)
    targets = noun_words(nouns)
    refuse_overlap(learnt.sentences, nouns.table["text"].tolist())
    alone = alice_controls(story)
    controls = {
        "Alice": {
            "word rate": alone["word rate"],
            "word rate and trigrams": alice_score(story, surprisal(story.words, counted)),
        },
        "N400": {
            "length": n400_score(nouns, amplitudes, None),
            "length and trigrams": n400_score(nouns, amplitudes, surprisal(targets, counted).to_numpy()),
            "length and people's guesses": n400_score(nouns, amplitudes, nouns.table[["cloze"]].to_numpy()),
        },
    }
    tokenizer = train_wordpiece(learnt.sentences, size=4000, max_length=MAX_LENGTH)
    read = {"max_length": MAX_LENGTH, "long": "split"}  # nothing is cut off
    tokens = tokenize(Corpus.of([held.sentences.texts]), tokenizer, **read)
    frequent = float(np.exp(unigram_loss(tokenize(learnt, tokenizer, **read), tokens, ASKED)))
    rows = []
    for seed in range(seeds):
        for step, folder in run(learnt, tokenizer, out, steps, seed).items():
            model = BertForPreTraining.from_pretrained(folder, local_files_only=True, use_safetensors=True)
            row = {"seed": seed, "step": step, "perplexity": assess(model, tokens, ASKED).perplexity}
            row["Alice"] = alice_score(story, states(story, folder))
            masked = load_language_model(folder, "masked", device="cpu")
            row["N400"] = n400_score(nouns, amplitudes, surprisal(targets, masked).to_numpy())
            rows.append(row)
            print(f"{'SYNTHETIC ' * synthetic}{ {name: round(value, 4) for name, value in row.items()} }", flush=True)
    table = pd.DataFrame(rows)
    print(f"perplexity of guessing by frequency: {frequent:.0f}; controls: {controls}")
    beside = [{"score": name, "controls": key, "r": r} for name, some in controls.items() for key, r in some.items()]
    means = table.groupby("step").mean(numeric_only=True).drop(columns="seed").reset_index()
    sections: dict[str, Sequence[Exhibit | Block | str]] = {
        label: [
            Exhibit(name, figure_to_png(figure, synthetic=synthetic), "By step and perplexity; lines are controls.")
        ]
        for name, label in SCORES.items()
        for figure in [draw_training(table, name, controls=controls[name], frequent=frequent, label=label)]
    }
    sections["Numbers"] = [
        f"Guessing by frequency has a perplexity of {frequent:.0f}.",
        Exhibit("controls", pd.DataFrame(beside), "What the controls reach without a trained network."),
        Exhibit("means", means, "Means over runs."),
        Exhibit("table", table, "Every checkpoint of every run.", digits=4),
    ]
    by_step = means.set_index("step")["Alice"]
    what = "Held-out r in the story beside word rate (mean of regions and runs)"
    section = controls_of_layers(
        alone,
        {f"after {step} steps": r for step, r in by_step.items() if step},
        {"after 0 steps": by_step[0]},
        score=what,
        synthetic=synthetic,
    )
    sections["Controls in the story"] = section.blocks
    options = {"steps": steps, "seeds": seeds}
    title = "A language model in training, scored on brains"
    write_exhibits(out, sections, title=title, provenance=options, synthetic=synthetic)
    if not synthetic and options == DEFAULTS:
        compare_with_expected(numbers(table, controls) | {"perplexity by frequency": frequent}, EXPECTED)
    return table


def texts() -> tuple[Corpus, ewt.Treebank]:
    """Load the text to learn from, without what is to be guessed, and the treebank to be guessed."""
    dev, held = real_or_twin(
        "ud_english_ewt",
        lambda folder: (ewt.load(folder, "dev"), ewt.load(folder, "test")),
        lambda: (ewt.twin(200, 0, "dev"), ewt.twin(60, 1, "test")),
    )
    titles = real_or_twin(
        "neurosynth_v7",
        lambda folder: [one for one in read_table(folder / neurosynth.METADATA, ["title"])["title"].str.strip() if one],
        lambda: list(neurosynth.twin(300, rng=0)[0].texts),
    )
    given = [*dev.sentences.texts, *titles]
    seen = set(find_overlap(held.sentences.texts, given))
    n_dev = len(dev.sentences.texts)
    story = [text for place, text in enumerate(given[:n_dev]) if place not in seen]
    alone = [[text] for place, text in enumerate(given[n_dev:], start=n_dev) if place not in seen]
    return Corpus.of([story, *alone] if story else alone), held


def run(learnt: Corpus, tokenizer: PreTrainedTokenizerFast, out: Path, steps: int, seed: int) -> dict[int, Path]:
    """Pre-train, and give the checkpoints at no step, at 1/32 of all steps, and at every doubling."""
    shared = {"size": Size(2, 64, 2), "max_length": MAX_LENGTH, "dropout": 0.0, "long": "split", "device": "cpu"}
    first = Recipe(1, 16, 1e-30, 0, schedules.constant, seed=seed)  # one step of no length: random weights
    pretrain(learnt, tokenizer, TAUGHT, first, folder=out / f"start-{seed}", **shared)
    every = max(1, steps // 32)
    recipe = Recipe(steps, 16, 2e-3, steps // 10, schedules.linear, seed=seed, save_every=every)
    pretrain(learnt, tokenizer, TAUGHT, recipe, folder=out / f"run-{seed}", **shared)
    found = checkpoints(out / f"run-{seed}")
    doubled = {every * 2**n for n in range(6)} | {steps}
    return {0: checkpoints(out / f"start-{seed}")[1]} | {step: found[step] for step in found if step in doubled}


def states(story: alice2016.AliceStory, folder: Path) -> xr.DataArray:
    """Read the story in overlapping stretches that the model can hold, and give the last layer."""
    context = Overlapping(20, tokens=MAX_LENGTH - 4)
    encoder = load_encoder(folder, device="cpu")
    found = extract_word_features(story.words, encoder, layers=-1, context=context, shared="both")
    return found.isel(layer=0, drop=True)


def mean_recording(story: alice2016.AliceStory) -> xr.DataArray:
    """Average participants, each series filtered and scaled."""
    filtered = remove_drift(story.recording, story.recording.attrs["tr_s"])
    scaled = (filtered - filtered.mean("sample")) / filtered.std("sample")
    return scaled.mean("subject").transpose("sample", "region").assign_attrs(story.recording.attrs)


def alice_controls(story: alice2016.AliceStory) -> dict[str, float]:
    """Predict the mean of all participants from every control, beside word rate, which itself stands alone."""
    recording = mean_recording(story)
    spaces = volume_controls(
        recording,
        {"word rate": word_rate(story.words), "length": word_length(story.words)},
        {"frequency": story.controls.sel(feature=["frq"])},
    )
    rate = {"word rate": spaces["word rate"]}
    return {name: score({**rate, name: space}, recording) for name, space in spaces.items()}


def alice_score(story: alice2016.AliceStory, extra: xr.DataArray) -> float:
    """Predict the mean of all participants from word rate beside other features of the words."""
    recording = mean_recording(story)
    spaces = {"rate": word_rate(story.words), "extra": (extra - extra.mean("sample")).assign_attrs(extra.attrs)}
    spread = {
        name: remove_drift(
            convolve(words, recording.onset, labels=recording.sample.to_numpy()), story.recording.attrs["tr_s"]
        )
        for name, words in spaces.items()
    }
    return score(spread, recording)


def score(spaces: Mapping[str, xr.DataArray], recording: xr.DataArray) -> float:
    """Predict held-out stretches from some spaces, a penalty each."""
    folds = ContiguousFolds(4, gap=GAP)
    model = BandedRidgeCV(columns_of(spaces), ALPHAS, search=DirichletSearch(10), folds=folds)
    data = align(concatenate(spaces, train=recording.sample.to_numpy()), recording)
    return float(evaluate(model, data, splits=ContiguousFolds(5, gap=GAP), metric=pearson).score.mean())


def noun_words(nouns: Stimuli) -> Stimuli:
    """Give the nouns as words of their sentences, which end with them."""
    found = list(zip(nouns.table["text"], nouns.table["noun"], strict=True))
    sentences = Stimuli.from_texts([text for text, _ in found], labels=range(len(found)))
    return words_at(sentences, [[(len(text) - len(noun), len(text))] for text, noun in found])


def n400_score(nouns: Stimuli, amplitudes: xr.DataArray, extra: np.ndarray | None) -> float:
    """Predict the amplitude at each noun from its length, beside other features or alone."""
    length = nouns.table[["noun"]].map(len).to_numpy(dtype=float)
    values = length if extra is None else np.concatenate([length, extra], axis=1)
    data = align(nouns.features((values - values.mean(0)) / values.std(0)), amplitudes)
    return float(evaluate(LinearRegression(), data, splits=GroupKFold(10), metric=pearson.pooled()).score.mean())


def numbers(table: pd.DataFrame, controls: dict[str, dict[str, float]]) -> dict[str, float]:
    """Name the numbers that are expected: controls, and means over runs at every step."""
    found = {f"{name}, {what}": value for name, part in controls.items() for what, value in part.items()}
    means = table.groupby("step")[["perplexity", *SCORES]].mean()
    return found | {f"{name}, step {step}": float(row[name]) for step, row in means.iterrows() for name in means}
