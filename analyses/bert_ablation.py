"""What a small BERT gains from masking, direction, next sentences and size, on real text.

After Devlin et al. (2019), sections 5.1 to 5.3, at a scale that a laptop trains: sentences of the English Web Treebank
(development part) and titles of imaging articles, a WordPiece vocabulary of 4,000, two layers of 64 units, 2,000 steps
of 8 sequences, AdamW with warm-up. Published with BERT-base: masked beats left to right; next-sentence prediction helps
a little; larger is better. Measured here: how many nats a guess of a held-out token is better than guessing by
frequency, and the share of words of the treebank's test part tagged right by a head alone on frozen states and after
fine-tuning of the whole, each beside random weights. Seeds give the error bars: differences smaller than those are
none. Expected here: what is asked of more tokens learns more, from left to right most of all; only that and 50 % masks
gain in fine-tuning too; next sentences cost and bring nothing.
"""

from collections.abc import Iterator
from functools import partial
from itertools import groupby, product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import pandas as pd
import typer
from transformers import BertForPreTraining

from neuroling.data import Treebank, neurosynth, read_table, real_or_twin, ud_english_ewt
from neuroling.evaluation import current_versions, now
from neuroling.lm import (
    Corpus,
    Masking,
    Pretraining,
    Recipe,
    Size,
    Tagged,
    assess,
    find_overlap,
    finetune,
    last_model,
    pretrain,
    refuse_overlap,
    schedules,
    score,
    tokenize,
    train_wordpiece,
    unigram_loss,
)
from neuroling.report import (
    Figure,
    Section,
    Table,
    Text,
    axes_to_png,
    compare_with_expected,
    plot_ablation,
    write_page,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EXPECTED = Path(__file__).parent / "expected" / "bert_ablation.json"
BASE, MAX_LENGTH, BATCH = Size(2, 64, 2), 64, 8
RATE, TUNING_RATE, HEAD_RATE = 2e-3, 5e-3, 5e-2
"""Highest rates with 64 units: of pre-training, of fine-tuning, of a head alone; the first two fall as 1 / width."""
TUNING_PASSES, HEAD_PASSES = 3, 2
DEFAULTS = {"steps": 2000, "seeds": 3, "vocabulary": 4000}
ALONE = Pretraining(next_sentence=False)
CONDITIONS = {
    "15 %": (ALONE, BASE),
    "5 %": (Pretraining(Masking(0.05), next_sentence=False), BASE),
    "50 %": (Pretraining(Masking(0.50), next_sentence=False), BASE),
    "next sentence": (Pretraining(), BASE),
    "left to right": (Pretraining(left_to_right=True, next_sentence=False), BASE),
    "1 layer of 32": (ALONE, Size(1, 32, 2)),
    "2 layers of 128": (ALONE, Size(2, 128, 2)),
}
FIGURES = {
    "Masking ratio": ["5 %", "15 %", "50 %"],
    "Direction": ["15 %", "left to right"],
    "Next-sentence prediction": ["15 %", "next sentence"],
    "Size": ["1 layer of 32", "15 %", "2 layers of 128"],
}
BY_STEPS = ["Direction", "Size"]  # drawn from random weights to the last step
STARTS = ["15 %", "left to right", "1 layer of 32", "2 layers of 128"]
UNSETTLED = {"5 %": ["head alone", "tagged right"]}  # so little is learnt that chance decides: not expected
MEASURES = {
    "gain": "nats a token below guessing by frequency",
    "head alone": "words tagged right, head on frozen states",
    "tagged right": "words tagged right, all fine-tuned",
}
SHOWN = {"Size": {"15 %": "2 layers of 64"}, "Next-sentence prediction": {"15 %": "masked alone"},
         "Direction": {"15 %": "masked"}}  # fmt: skip
"""What the common condition is called where it is compared by something else than its share."""


class Texts(NamedTuple):
    """Text to learn from, text held out, tagged words of both parts, and whether all is made up."""

    learnt: Corpus
    held: Corpus
    dev: Tagged
    test: Tagged
    synthetic: bool


def main(
    out: Annotated[Path, typer.Option(help="Folder for report, tables and checkpoints.")] = Path(
        "results/bert_ablation"
    ),
    steps: Annotated[int, typer.Option(help="Steps of pre-training.")] = DEFAULTS["steps"],
    seeds: Annotated[int, typer.Option(help="Runs of every condition.")] = DEFAULTS["seeds"],
    vocabulary: Annotated[int, typer.Option(help="Pieces of words.")] = DEFAULTS["vocabulary"],
) -> pd.DataFrame:
    """Pre-train every condition, fine-tune it on tags, and draw the comparisons."""
    texts = gather()
    tokenizer = train_wordpiece(texts.learnt.sentences, size=vocabulary, max_length=MAX_LENGTH)
    read = partial(tokenize, tokenizer=tokenizer, max_length=MAX_LENGTH, long="truncate")
    learnt, held = read(texts.learnt), read(texts.held)
    rows = []
    for seed, (name, (plan, size)) in product(range(seeds), CONDITIONS.items()):
        run = out / "runs" / f"{name.replace(' ', '_').replace('%', 'per_cent').replace(':', '-')}-seed{seed}"
        recipe = Recipe(steps, BATCH, RATE * BASE.width / size.width, steps // 10, schedules.linear, seed=seed)
        shared = {"size": size, "max_length": MAX_LENGTH, "dropout": 0.0, "long": "truncate", "device": "cpu"}
        pretrain(texts.learnt, tokenizer, plan, recipe, folder=run, **shared)
        folder = last_model(run)
        asked = plan if plan.left_to_right else ALONE  # every masked model is asked for the same tokens
        frequent = unigram_loss(learnt, held, asked)
        known = {"condition": name, "seed": seed}
        if name in STARTS:
            rows.append(known | {"steps": 0} | tagging(folder, texts, seed, size, untrained=True))
        model = BertForPreTraining.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        guesses = assess(model, held, asked)
        row = known | {"steps": steps, "parameters": model.num_parameters()}
        row |= {"loss": guesses.loss, "gain": frequent - guesses.loss, "guessed right": guesses.accuracy}
        if plan.next_sentence:
            row["follows right"] = assess(model, held, plan).follows
        rows.append(row | tagging(folder, texts, seed, size))
        shown = {row["steps"]: {key: round(row[key], 4) for key in MEASURES if key in row} for row in rows[-2:]}
        print(f"{'SYNTHETIC ' * texts.synthetic}seed {seed}, {name}: {shown}", flush=True)
    table = pd.DataFrame(rows)
    table.to_csv(out / "table.csv", index=False)
    options = {"steps": steps, "seeds": seeds, "vocabulary": vocabulary}
    write(out, table, texts, options)
    if not texts.synthetic and options == DEFAULTS:
        compare_with_expected(numbers(table), EXPECTED)
    return table


def gather() -> Texts:
    """Load both texts, and take out of what is learnt every sentence that is tested."""
    dev, test, synthetic = real_or_twin("ud_english_ewt", load_treebank, twin_treebank)
    titles = real_or_twin("neurosynth_v7", load_titles, lambda: list(neurosynth.twin(300, rng=0)[0].texts))
    documents = [*by_document(dev), *([title] for title in titles)]
    kept_out = [*by_document(test), *([title] for title in titles[::15])]
    tested = [sentence for document in kept_out for sentence in document]
    flat = [(number, sentence) for number, document in enumerate(documents) for sentence in document]
    seen = set(find_overlap(tested, [sentence for _, sentence in flat]))
    learnt = groupby((one for place, one in enumerate(flat) if place not in seen), key=lambda one: one[0])
    corpus = Corpus.of([sentence for _, sentence in document] for _, document in learnt)
    refuse_overlap(corpus.sentences, tested)
    return Texts(corpus, Corpus.of(kept_out), *tagged(dev, test), synthetic)


def load_treebank(folder: Path) -> tuple[Treebank, Treebank, bool]:
    """Load both parts."""
    return ud_english_ewt.load(folder, "dev"), ud_english_ewt.load(folder, "test"), False


def twin_treebank() -> tuple[Treebank, Treebank, bool]:
    """Make both parts up."""
    return ud_english_ewt.twin(rng=0), ud_english_ewt.twin(rng=1), True


def load_titles(folder: Path) -> list[str]:
    """Read the titles alone."""
    return [title for title in read_table(folder / neurosynth.METADATA, ["title"])["title"].str.strip() if title]


def by_document(bank: Treebank) -> Iterator[list[str]]:
    """Group sentences by document: the label of a sentence is that of its document and a number."""
    pairs = zip(bank.sentences.table["sent_id"], bank.sentences.texts, strict=True)
    for _, group in groupby(pairs, key=lambda pair: str(pair[0]).rpartition("-")[0]):
        yield [text.strip() for _, text in group]


def tagged(*banks: Treebank) -> list[Tagged]:
    """Give words with their universal parts of speech, numbered alike in all parts."""
    names = sorted({tag for bank in banks for tag in bank.words.table["upos"]})
    made = []
    for bank in banks:
        groups = [group for _, group in bank.words.table.groupby("group", sort=False)]
        made.append(
            Tagged.of([one["text"].tolist() for one in groups], [one["upos"].tolist() for one in groups], names)
        )
    return made


def tagging(folder: Path, texts: Texts, seed: int, size: Size, *, untrained: bool = False) -> dict[str, float]:
    """Learn the tags of the development part, by a head alone and by all weights; words cut off count as wrong."""
    n = len(texts.dev)
    wide = BASE.width / size.width
    ways = {"head alone": (HEAD_RATE, HEAD_PASSES, True), "tagged right": (TUNING_RATE * wide, TUNING_PASSES, False)}
    found = {}
    for name, (rate, passes, frozen) in ways.items():
        steps = -(-n * passes // 32)
        recipe = Recipe(steps, 32, rate, steps // 10, schedules.linear, seed=seed)
        tuned = finetune(folder, texts.dev, recipe, long="truncate", untrained=untrained, frozen=frozen, device="cpu")
        found[name] = score(tuned, texts.test, long="truncate", batch_size=64)["accuracy"]
    return found


def draw(table: pd.DataFrame, title: str, measure: str) -> "Axes":
    """Draw one comparison, with the mean of random weights as a line or as step 0."""
    names = FIGURES[title]
    chosen = table[table["condition"].isin(names)].dropna(subset=measure)
    chosen = chosen.assign(order=chosen["condition"].map(names.index)).sort_values(["order", "steps"])
    chosen = chosen.replace({"condition": SHOWN.get(title, {})})
    if title in BY_STEPS and measure != "gain":
        return plot_ablation(chosen, measure, label=MEASURES[measure])
    last = chosen[chosen["steps"] == table["steps"].max()].drop(columns="steps")
    axes = plot_ablation(last, measure, label=MEASURES[measure])
    base = table[(table["steps"] == 0) & (table["condition"] == "15 %")][measure].mean() if measure != "gain" else 0.0
    axes.axhline(base, color="#8a9199", linestyle="--", label="by frequency" if measure == "gain" else "random weights")
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1))
    return axes


def write(out: Path, table: pd.DataFrame, texts: Texts, options: dict[str, int]) -> None:
    """Write a page with figures of every comparison, and the figures by themselves."""
    sections = []
    for title in FIGURES:
        pictures = []
        for measure, label in MEASURES.items():
            picture = axes_to_png(draw(table, title, measure), synthetic=texts.synthetic)
            (out / f"{title} {measure}.png".lower().replace(" ", "_")).write_bytes(picture)
            pictures.append(Figure(picture, f"{title}: {label}; points are seeds, bars one SD.", f"{title}, {label}"))
        sections.append(Section(title, pictures))
    means = table.groupby(["condition", "steps"], sort=False).mean(numeric_only=True).drop(columns="seed").reset_index()
    notes = (
        f"{len(texts.learnt.sentences):,} sentences to learn from, {len(texts.held.sentences):,} held out, none both. "
        "All masked models are asked for the same tokens of the held-out text; from left to right all are asked for, "
        "so its nats compare with frequencies only."
    )
    sections.append(Section("Means over seeds", [Text(notes), Table(means, "Step 0 has random weights.", digits=3)]))
    sections.append(Section("All runs", [Table(table, "Nothing is left out.", digits=4)]))
    write_page(
        out / "report.html",
        title="A small BERT, taken apart",
        sections=sections,
        provenance=options | {"created": now(), **current_versions()},
        synthetic=texts.synthetic,
    )


def numbers(table: pd.DataFrame) -> dict[str, float]:
    """Name the numbers that are expected: every settled measure of every run at every step."""
    return {
        f"{row['condition']}, seed {row['seed']}, step {row['steps']}: {measure}": float(row[measure])
        for _, row in table.iterrows()
        for measure in MEASURES
        if pd.notna(row[measure]) and measure not in UNSETTLED.get(row["condition"], [])
    }
