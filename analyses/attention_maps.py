"""What MiniLM's heads look at, and what silencing them costs a brain score (Clark 2019; Abnar 2020; Michel 2019).

Data: English Web Treebank (Silveira et al. 2014), sentences of the test part; Brennan et al. (2016), the mean of 27
people listening to Alice, 6 regions, CC BY 4.0.
Claim: many heads follow simple patterns (the next, the previous, the first token); some point along dependencies
better than any fixed step. Published for BERT-base, on the Penn Treebank: no head finds all relations; the best fixed
step finds 26.3 % of heads, the best head 34.5 %. Silencing heads should cost little where heads repeat one another, so
sets of heads are read beside sets of as many heads drawn at random.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import pandas as pd
import typer
import xarray as xr
from transformers import PreTrainedModel

from neuroling import (
    ContiguousFolds,
    RidgeCV,
    Stimuli,
    align,
    convolve,
    evaluate,
    extract_word_features,
    load_encoder,
    pearson,
)
from neuroling.data import alice2016, real_or_twin
from neuroling.data import ud_english_ewt as ewt
from neuroling.encoding import remove_drift, volume_controls
from neuroling.features import Encoder, Overlapping, attention, concatenate, word_length, word_rate
from neuroling.probing import PATTERNS, attention_rollout, dependency_accuracy, summarise_heads, without_heads
from neuroling.report import (
    AttentionText,
    Block,
    Exhibit,
    axes_to_png,
    compare_with_expected,
    controls_of_layers,
    draw_heads,
    figure_to_png,
    plot_attention,
    plot_head_table,
    plot_models,
    write_attention_page,
    write_exhibits,
)

EXPECTED = Path(__file__).parent / "expected" / "attention_maps.json"
ALPHAS = np.logspace(-2, 6, 17)
GAP = 10  # volumes of 2 s: as long as the haemodynamic response
CAPTIONS = {
    "relative_entropy": "Entropy of every head as a share of the largest that there is.",
    "distance": "Mean distance that heads look, in tokens.",
    "to_head": "Share of words whose syntactic head a head looks at most.",
    "heads": "All heads over one sentence.",
    "rollout": "Attention rolled out over all layers, one sentence.",
}
Heads = Mapping[int, list[int]]


def main(
    out: Annotated[Path, typer.Option(help="Folder for pages, figures and tables.")] = Path("results/attention_maps"),
    n_sentences: Annotated[int, typer.Option(help="Sentences of the treebank.")] = 400,
    layer: Annotated[int, typer.Option(help="Layer whose states predict the brain.")] = 6,
    seed: Annotated[int, typer.Option(help="Seed of random heads and of the twins.")] = 0,
) -> pd.DataFrame:
    """Summarise and draw heads, then silence some of them and predict the brain again."""
    out.mkdir(parents=True, exist_ok=True)
    bank = real_or_twin("ud_english_ewt", lambda f: ewt.load(f, "test"), lambda: ewt.twin(60, seed, "test"))
    encoder = load_encoder()
    table, pictures = look(bank, encoder, n_sentences, out)
    story = real_or_twin("alice2016_fmri", alice2016.load, lambda: alice2016.twin(6, 160, rng=seed))
    sets = head_sets(table, seed)
    silenced = ((name, silence(encoder, heads) if heads else encoder) for name, heads in sets.items())
    scores = brain_scores(story, silenced, layer)
    random = brain_scores(story, [("untrained", load_encoder(untrained=seed))], layer)
    beside = control_scores(story)
    scores["word rate alone"] = beside["word rate"]
    synthetic = bool(story.recording.attrs["synthetic"])
    axes = plot_models(scores, label=f"held-out r, mean of regions, layer {layer} beside word rate")
    pictures["silenced"] = axes_to_png(axes, synthetic=synthetic)
    lost = pd.Series(scores).to_frame("score").assign(change=lambda frame: frame["score"] - scores["all heads"])
    lost["heads"] = [sum(map(len, sets.get(name, {}).values())) for name in lost.index]
    patterns = table["pattern"].value_counts().rename("heads").rename_axis("pattern").reset_index()
    sections: dict[str, Sequence[Exhibit | Block | str]] = {
        "Heads": [
            "heads.html shows every head of six sentences.",
            Exhibit("patterns", patterns, "What heads look at."),
            Exhibit("all_heads", table.reset_index(), "Every head."),
            *(Exhibit(name, pictures[name], caption) for name, caption in CAPTIONS.items()),
        ],
        "Heads silenced": [
            Exhibit("silenced_heads", lost.reset_index(names="silenced"), "Held-out r without some heads.", digits=4),
            Exhibit("silenced", pictures["silenced"], "Held-out r, mean of regions, with heads taken out."),
        ],
    }
    controls = controls_of_layers(
        beside,
        {f"layer {layer}": scores["all heads"]},
        {f"layer {layer}": random["untrained"]},
        score="Held-out r beside word rate (mean of regions)",
        synthetic=synthetic,
    )
    sections[controls.title] = controls.blocks
    options = {"n_sentences": n_sentences, "layer": layer, "seed": seed}
    write_exhibits(out, sections, title="Attention of MiniLM", provenance=options, synthetic=synthetic)
    print(f"{'SYNTHETIC ' * synthetic}{lost.round(4).to_string()}")
    found = {f"best {name}": float(table[name].max()) for name in ("to_head", "to_dependant")}
    found |= {f"{name} heads": float((table["pattern"] == name).sum()) for name in PATTERNS}
    found |= {f"silenced: {name}": value for name, value in scores.items()}
    if not (synthetic or bank.heads.attrs["synthetic"]):
        compare_with_expected(found, EXPECTED)
    return lost


def look(bank: ewt.Treebank, encoder: Encoder, n_sentences: int, out: Path) -> tuple[pd.DataFrame, dict[str, bytes]]:
    """Describe every head on sentences of 5 to 30 words that the tokenizer cuts at words."""
    synthetic = bool(bank.heads.attrs["synthetic"])
    words = {name: part for name, part in bank.words.table.groupby("group", sort=False) if 5 <= len(part) <= 30}
    plain = [name for name, part in words.items() if "".join(part["text"]).isascii() and cut_alike(part)][:n_sentences]
    table = bank.sentences.subset(plain).table
    sentences = Stimuli(table.assign(group=table["text"]))  # the same text may stand there twice
    maps = attention(sentences, encoder)
    table = summarise_heads((one.names, one.maps) for one in maps.values())
    by_word = attention(Stimuli(pd.concat([words[name] for name in plain])), encoder, unit="word")
    by_sentence = bank.heads.to_series().groupby(bank.heads.group.to_numpy())
    heads = {name: by_sentence.get_group(name).to_numpy() for name in plain}
    arcs = dependency_accuracy((heads[name], by_word[name].maps) for name in plain)
    table = table.join(arcs)
    print(f"{len(plain)} sentences{' (SYNTHETIC)' * synthetic}\n{table['pattern'].value_counts().to_string()}")
    print(f"best to its head {arcs['to_head'].max():.3f} at {arcs['to_head'].idxmax()}, one step {arcs.attrs}")
    pictures = {}
    for name, label in (("relative_entropy", "entropy, share of the largest"), ("distance", "distance (tokens)"),
                        ("to_head", "share of words whose head is looked at most")):  # fmt: skip
        axes = plot_head_table(table[name].to_numpy().reshape(encoder.n_layers, -1), label)
        pictures[name] = axes_to_png(axes, synthetic=synthetic)
    shown = maps[plain[0]]
    rolled = attention_rollout(shown.maps)[-1]
    for name, figure in {
        "heads": draw_heads(shown.names, shown.maps),
        "rollout": plot_attention(shown.names, rolled, title="rollout over all layers").figure,
    }.items():
        pictures[name] = figure_to_png(figure, synthetic=synthetic)
    texts = [AttentionText(" ".join(m.names[1:-1]), m.names, m.maps, m.layers) for m in list(maps.values())[:6]]
    about = "Shares of attention in all-MiniLM-L6-v2, sentences of the English Web Treebank (CC BY-SA 4.0)."
    write_attention_page(out / "heads.html", texts, title="Attention of MiniLM", subtitle=about, synthetic=synthetic)
    return table, pictures


def cut_alike(words: pd.DataFrame) -> bool:
    """Say whether the words are those between blanks and punctuation, where BERT's tokenizer cuts as well."""
    text = "".join(words["before"] + words["text"])
    return re.findall(r"\w+|[^\w\s]", text) == words["text"].tolist()


def head_sets(table: pd.DataFrame, seed: int) -> dict[str, Heads]:
    """Choose what to silence: nothing, each layer, the heads of each pattern, and as many heads drawn at random."""
    rng = np.random.default_rng(seed)
    sets: dict[str, Heads] = {"all heads": {}}
    for layer in table.index.unique("layer"):
        sets[f"without layer {layer}"] = {layer: table.loc[layer].index.tolist()}
    for pattern, part in table.groupby("pattern"):
        sets[f"without '{pattern}'"] = by_layer(part.index)
        drawn = table.index[np.sort(rng.permutation(len(table))[: len(part)])]
        sets[f"without {len(part)} at random ({pattern})"] = by_layer(drawn)
    return sets


def by_layer(index: pd.MultiIndex) -> Heads:
    """Group (layer, head) by layer."""
    return {
        layer: [head for other, head in index if other == layer] for layer in dict.fromkeys(index.get_level_values(0))
    }


def mean_recording(story: alice2016.AliceStory) -> xr.DataArray:
    """Average participants, each series filtered and scaled."""
    filtered = remove_drift(story.recording, story.recording.attrs["tr_s"])
    scaled = (filtered - filtered.mean("sample")) / filtered.std("sample")
    return scaled.mean("subject").transpose("sample", "region").assign_attrs(story.recording.attrs)


def brain_scores(story: alice2016.AliceStory, encoders: Iterable[tuple[str, Encoder]], layer: int) -> dict[str, float]:
    """Predict the mean of all participants from word rate and one layer of each encoder, one after another."""
    recording = mean_recording(story)
    samples, tr_s = recording.sample.to_numpy(), recording.attrs["tr_s"]
    rate = remove_drift(convolve(word_rate(story.words), recording.onset, labels=samples), tr_s)
    scores = {}
    for name, encoder in encoders:
        states = extract_word_features(story.words, encoder, layers=layer, context=Overlapping(64, tokens=192))
        content = states.isel(layer=0, drop=True)
        content = (content - content.mean("sample")).assign_attrs(states.attrs)
        spread = remove_drift(convolve(content, recording.onset, labels=samples), tr_s)
        scores[name] = score({"rate": rate, "layer": spread}, recording)
    return scores


def control_scores(story: alice2016.AliceStory) -> dict[str, float]:
    """Predict the same from every control, beside word rate, which itself stands alone."""
    recording = mean_recording(story)
    spaces = volume_controls(
        recording,
        {"word rate": word_rate(story.words), "length": word_length(story.words)},
        {"frequency": story.controls.sel(feature=["frq"])},
    )
    rate = {"word rate": spaces["word rate"]}
    return {name: score({**rate, name: space}, recording) for name, space in spaces.items()}


def score(spaces: Mapping[str, xr.DataArray], recording: xr.DataArray) -> float:
    """Predict held-out stretches from some spaces together."""
    model, folds = RidgeCV(ALPHAS, folds=ContiguousFolds(4, gap=GAP)), ContiguousFolds(5, gap=GAP)
    features = concatenate(spaces, train=recording.sample.to_numpy())
    return float(evaluate(model, align(features, recording), splits=folds, metric=pearson).score.mean())


def silence(encoder: Encoder, heads: Heads) -> Encoder:
    """Give the encoder without some heads, under another name."""
    named = "; ".join(f"{layer}: {chosen}" for layer, chosen in heads.items())
    model = cast("PreTrainedModel", without_heads(encoder.model, heads))
    return replace(encoder, name=f"{encoder.name} without {named}", weights_sha256="changed", model=model)
