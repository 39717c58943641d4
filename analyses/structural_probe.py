"""Trees in MiniLM: distances and depths of words, by layer (Hewitt and Manning 2019).

Data: English Web Treebank (Silveira et al. 2014), trained on its development part, tested on its test part.
Claim: after a linear map, squared distances between vectors are distances in the tree. Published for BERT-base, trained
on 40,000 sentences of the Penn Treebank: UUAS 79.8, distance Spearman 0.85, root 88.0, depth Spearman 0.87. Expected
here: less (2,001 sentences, a small model made for sentence vectors), well above its untrained twin and linear order.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import xarray as xr
from sklearn.model_selection import PredefinedSplit

from neuroling import Aligned, Metric, Result, combine, evaluate, extract_word_features, load_encoder
from neuroling.data import real_or_twin
from neuroling.data import ud_english_ewt as ewt
from neuroling.probing import (
    StructuralProbe,
    WithinSentences,
    depth_spearman,
    distance_spearman,
    edges_of,
    random_heads,
    root_found,
    sentence_spans,
    spanning_tree,
    tree_distances,
    uuas,
    word_depths,
    word_pairs,
)
from neuroling.report import Exhibit, axes_to_png, compare_with_expected, plot_by_layer, plot_parse, write_exhibits
from neuroling.rsa import FixedRDM

LONGEST = 50  # words; published averages end there
EXPECTED = Path(__file__).parent / "expected" / "structural_probe.json"
SCORES = {
    "UUAS": (word_pairs, partial(WithinSentences.of, statistic=uuas, punctuation=False)),
    "distance Spearman": (
        word_pairs,
        partial(WithinSentences.of, statistic=distance_spearman, by_length=True),
    ),
    "root found": (
        word_depths,
        partial(WithinSentences.of, statistic=root_found, punctuation=False),
    ),
    "depth Spearman": (
        word_depths,
        partial(WithinSentences.of, statistic=depth_spearman, by_length=True),
    ),
}


def main(
    out: Annotated[Path, typer.Option(help="Folder for figures and results.")] = Path("results/structural_probe"),
    rank: Annotated[int, typer.Option(help="Rank of the probes.")] = 64,
    n_epochs: Annotated[int, typer.Option(help="Passes of the distance probe; four times as many for depth.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed of probes, untrained weights, random trees and the twin.")] = 0,
) -> dict[str, Result]:
    """Fit a probe to every layer, score it as published, and draw trees."""
    out.mkdir(parents=True, exist_ok=True)
    bank = ewt.join(
        *real_or_twin(
            "ud_english_ewt",
            lambda folder: (ewt.load(folder, "dev"), ewt.load(folder, "test")),
            lambda: (ewt.twin(300, seed, "dev"), ewt.twin(300, seed, "test")),
        ),
        longest=LONGEST,
    )
    by_model: dict[str, dict[str, Result]] = {name: {} for name in SCORES}
    for name, encoder in {"MiniLM": load_encoder(), "untrained twin": load_encoder(untrained=seed)}.items():
        states = extract_word_features(bank.words, encoder, shared="both", cache=out / "cache")
        layers = {
            str(layer): score_layer(states.sel(layer=layer), bank.heads, rank, n_epochs, seed)
            for layer in states.layer.values
        }
        for score in SCORES:
            by_model[score][name] = combine({n: layer[score] for n, layer in layers.items()}, dim="layer")
    results = {score: combine(found, dim="model") for score, found in by_model.items()}
    baselines = {name: baseline(bank.heads, name, seed) for name in ("linear order", "random tree")}
    found = {f"{name}, {score}": value for name, scores in baselines.items() for score, value in scores.items()}
    sections: dict[str, list[Exhibit | str]] = {}
    for score, result in results.items():
        lines = {name: scores[score] for name, scores in baselines.items() if score in scores}
        axes = plot_by_layer(result.score, baselines=lines, label=score)
        synthetic = result.provenance.synthetic
        name, rows = score.replace(" ", "_"), result.score.squeeze().to_pandas().T.reset_index()
        picture = Exhibit(name, axes_to_png(axes, synthetic=synthetic), f"{score} of test sentences by layer.")
        sections[score] = [picture, Exhibit(f"{name}_by_layer", rows, f"{score} by layer; baselines: {lines}.")]
        result.save(out / f"{score.replace(' ', '_')}.nc")
        print(f"{'SYNTHETIC ' * synthetic}{score}: {lines}\n{result.score.to_pandas().round(3).to_string()}")
        found |= {f"{m}, best {score}": float(result.score.sel(model=m).max()) for m in result.score.model.values}
    best = int(np.argmax(results["UUAS"].score.sel(model="MiniLM").values))
    states = extract_word_features(bank.words, "minilm", layers=best, shared="both", cache=out / "cache")
    drawn = draw_parses(states.isel(layer=0), bank, probe_of(word_pairs, rank, n_epochs, seed))
    caption = "Sentence that the probe was not trained on: given arcs above, those of the spanning tree below."
    sections["Trees"] = [Exhibit(f"parse_{n}", picture, caption) for n, picture in enumerate(drawn, start=1)]
    options = {"rank": rank, "n_epochs": n_epochs, "seed": seed, "layer of trees": best}
    write_exhibits(out, sections, title="Syntax in the layers of MiniLM", provenance=options, synthetic=synthetic)
    if not synthetic:
        compare_with_expected(found, EXPECTED)
    return results


def halves(data: Aligned) -> tuple[PredefinedSplit, np.ndarray]:
    """Train on the development part, test on the test part."""
    test = np.char.startswith(data.coordinate("group").astype(str), "test")
    return PredefinedSplit(np.where(test, 0, -1)), np.flatnonzero(test)


def score_layer(vectors: xr.DataArray, heads: xr.DataArray, rank: int, n_epochs: int, seed: int) -> dict[str, Result]:
    """Score distance and depth probes on one layer."""
    kinds = {kind: kind(vectors, heads) for kind in (word_pairs, word_depths)}
    results = {}
    for name, (kind, layout) in SCORES.items():
        splits, rows = halves(kinds[kind])
        probe = probe_of(kind, rank, n_epochs, seed)
        results[name] = evaluate(probe, kinds[kind], splits=splits, metric=Metric(name, layout(kinds[kind], rows)))
    return results


def probe_of(kind: object, rank: int, n_epochs: int, seed: int) -> StructuralProbe:
    """Depths have fewer samples, so the probe passes through them more often."""
    times = 1 if kind is word_pairs else 4
    return StructuralProbe(rank, n_epochs=times * n_epochs, learning_rate=2e-3, seed=seed)


def baseline(heads: xr.DataArray, name: str, seed: int) -> dict[str, float]:
    """Score distances between places in the sentence, or in a tree drawn at random."""
    place = xr.DataArray(
        heads.position.values[:, None].astype(float), dims=("sample", "feature"), coords={"sample": heads.sample}
    )
    data = word_pairs(place, heads)
    guess = np.abs(data.x.values)
    if name == "random tree":
        rng = np.random.default_rng(seed)
        sizes = [stop - start for start, stop in sentence_spans(heads)]
        trees = [tree_distances(random_heads(size, rng)) for size in sizes]
        guess = np.concatenate([tree[np.triu_indices(len(tree), 1)] for tree in trees])[:, None].astype(float)
    data = Aligned(data.x.copy(data=guess), data.y, "item")
    splits, rows = halves(data)
    metrics = {score: Metric(score, SCORES[score][1](data, rows)) for score in ("UUAS", "distance Spearman")}
    return {
        score: float(evaluate(FixedRDM(), data, splits=splits, metric=metric).score)
        for score, metric in metrics.items()
    }


def draw_parses(vectors: xr.DataArray, bank: ewt.Treebank, probe: StructuralProbe) -> Iterator[bytes]:
    """Draw three sentences of 8 to 13 words that the probe was not trained on, the first that there are."""
    data = word_pairs(vectors, bank.heads)
    train, _ = next(halves(data)[0].split())
    probe.fit(data.x.values[train], data.y.values[train], data.groups()[train])
    spans = [span for span in sentence_spans(bank.heads) if 8 <= span[1] - span[0] <= 13]
    unseen = [span for span in spans if str(bank.heads.group.values[span[0]]).startswith("test")]
    for start, stop in unseen[:3]:
        mine = data.coordinate("group") == bank.heads.group.values[start]
        guess = spanning_tree(probe.predict(data.x.values[mine]))
        axes = plot_parse(bank.words.texts[start:stop], edges_of(bank.heads.values[start:stop]), guess)
        synthetic = bool(bank.heads.attrs["synthetic"])
        yield axes_to_png(axes, synthetic=synthetic)
