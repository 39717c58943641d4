"""Which layers know what: mixtures of layers, expected layers, and control tasks (Tenney 2019; Hewitt and Liang 2019).

Data: English Web Treebank (Silveira et al. 2014), trained on its development part, tested on its test part.
Claim: parts of speech are found in lower layers than relations. Published for BERT-base, on OntoNotes: expected layers
3.39 (part of speech) and 5.69 (dependencies) of 12, 28 % and 47 % of the way up. A probe that scores as well on labels
drawn at random for every word has learned words by heart: its selectivity is the difference. Published for ELMo's first
layer, part of speech: 0.972 with selectivity 0.259 (linear) and 0.973 with 0.045 (a large network).
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
import xarray as xr
from sklearn.model_selection import PredefinedSplit

from neuroling import Metric, Result, align, combine, evaluate, extract_word_features, load_encoder, spearman
from neuroling.data import real_or_twin
from neuroling.data import ud_english_ewt as ewt
from neuroling.evaluation import FitOnce
from neuroling.probing import (
    LayerMixProbe,
    centre_of_gravity,
    control_labels,
    expected_layer,
    stack_layers,
    with_heads,
    word_depths,
)
from neuroling.report import Exhibit, axes_to_png, compare_with_expected, plot_by_layer, plot_mixture, write_exhibits

EXPECTED = Path(__file__).parent / "expected" / "layer_mixing.json"
TASKS = ("part of speech", "relation", "depth")
HIDDEN = 256


def main(
    out: Annotated[Path, typer.Option(help="Folder for figures and results.")] = Path("results/layer_mixing"),
    n_epochs: Annotated[int, typer.Option(help="Passes of every probe.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of probes, control labels, untrained weights and the twin.")] = 0,
) -> dict[str, Result]:
    """Add layer after layer to a mixture, and hold single layers against a control task."""
    out.mkdir(parents=True, exist_ok=True)
    bank = ewt.join(
        *real_or_twin(
            "ud_english_ewt",
            lambda folder: (ewt.load(folder, "dev"), ewt.load(folder, "test")),
            lambda: (ewt.twin(300, seed, "dev"), ewt.twin(300, seed, "test")),
        )
    )
    synthetic = bool(bank.heads.attrs["synthetic"])
    encoders = {"MiniLM": load_encoder(), "untrained twin": load_encoder(untrained=seed)}
    states = {
        name: extract_word_features(bank.words, encoder, shared="both", cache=out / "cache")
        for name, encoder in encoders.items()
    }
    found, results = {}, {}
    shares, layers = {}, {}
    sections: dict[str, list[Exhibit | str]] = {"Tasks": [], "Mixtures": [], "Selectivity": []}
    for task in TASKS:
        by_model = {}
        for name, values in states.items():
            result, share = add_layers(values, bank.heads, task, n_epochs, seed)
            by_model[name] = result
            label = f"{task}, {name}"
            shares[label], found[f"{label}: centre of gravity"] = share, centre_of_gravity(share)
            found[f"{label}: all layers"] = float(result.score[-1])
            try:
                found[f"{label}: expected layer"] = layers[label] = expected_layer(result.score.to_numpy())[0]
            except ValueError as error:
                print(f"{label}: {error}")
        results[task] = combine(by_model, dim="model")
        axes = plot_by_layer(results[task].score, label=f"{task}: {result.metric}, layers 0 to …")
        picture, caption = axes_to_png(axes, synthetic=synthetic), f"{task}: mixtures of more and more layers."
        sections["Tasks"].append(Exhibit(task.replace(" ", "_"), picture, caption))
    picture, caption = (
        axes_to_png(plot_mixture(shares, layers), synthetic=synthetic),
        "Shares of layers in the mixture.",
    )
    sections["Mixtures"].append(Exhibit("mixtures", picture, caption))
    results["selectivity"] = selectivity(states["MiniLM"], bank, n_epochs, seed)
    axes = plot_by_layer(results["selectivity"].score, label="accuracy, part of speech")
    picture, caption = axes_to_png(axes, synthetic=synthetic), "Single layers on parts of speech and on a control task."
    sections["Selectivity"].append(Exhibit("selectivity", picture, caption))
    for name, result in results.items():
        result.save(out / f"{name.replace(' ', '_')}.nc")
        print(f"{'SYNTHETIC ' * synthetic}{name}: {result.metric}\n{result.score.to_pandas().round(3).to_string()}")
    for kind in ("linear", f"{HIDDEN} hidden units"):
        real, control = (results["selectivity"].score.sel(model=f"{kind}, {which}") for which in ("task", "control"))
        found[f"mean selectivity, {kind}"] = float((real - control).mean())
    print("\n".join(f"{name}: {value:.3f}" for name, value in found.items()))
    numbers = pd.DataFrame({"number": list(found), "value": list(found.values())})
    sections["Numbers"] = [Exhibit("numbers", numbers, "Centres of gravity, expected layers, scores, selectivity.")]
    title, options = "What each layer adds", {"n_epochs": n_epochs, "seed": seed}
    write_exhibits(out, sections, title=title, provenance=options, synthetic=synthetic)
    if not synthetic:
        compare_with_expected(found, EXPECTED)
    return results


def splits_of(samples: xr.DataArray) -> PredefinedSplit:
    """Train on the development part, test on the test part."""
    return PredefinedSplit(np.where(np.char.startswith(samples.group.to_numpy().astype(str), "test"), 0, -1))


def coded(labels: np.ndarray, samples: xr.DataArray) -> tuple[xr.DataArray, int, Metric]:
    """Turn labels into whole numbers; chance is always saying the most frequent one."""
    codes = np.unique(labels, return_inverse=True)[1]
    n_classes = int(codes.max()) + 1
    chance = float(np.bincount(codes).max() / len(codes))
    metric = Metric("accuracy", lambda truth, prediction: (truth == prediction).mean(-1), chance=chance)
    coords = {name: samples.coords[name] for name in ("sample", "group")}
    target = xr.DataArray(codes.astype(np.float64), dims="sample", coords=coords, attrs=samples.attrs)
    return target, n_classes, metric


def add_layers(
    states: xr.DataArray, heads: xr.DataArray, task: str, n_epochs: int, seed: int
) -> tuple[Result, np.ndarray]:
    """Score mixtures of layers 0 to 0, 0 to 1, …, and give the shares of the last."""
    results = {}
    for last in states.layer.to_numpy().tolist():
        part = states.sel(layer=slice(0, last))
        features, n_spans = (with_heads(part, heads), 2) if task == "relation" else (stack_layers(part), 1)
        if task == "depth":
            target, n_classes, metric = word_depths(states.isel(layer=0, drop=True), heads).y, None, spearman
        else:
            samples = heads.sel(sample=features.sample.to_numpy())
            labels = (
                samples.upos.to_numpy()
                if task == "part of speech"
                else np.char.partition(samples.deprel.to_numpy().astype(str), ":")[:, 0]
            )
            target, n_classes, metric = coded(labels, samples)
        probe = LayerMixProbe(
            last + 1, n_spans=n_spans, n_classes=n_classes, n_epochs=n_epochs, learning_rate=5e-3, seed=seed
        )
        model = FitOnce(probe)
        features = features.drop_vars([name for name in features.coords if name not in ("sample", "feature")])
        results[str(last)] = evaluate(model, align(features, target), splits=splits_of(target), metric=metric)
    return combine(results, dim="layer"), model.fitted[0].weights_


def selectivity(states: xr.DataArray, bank: ewt.Treebank, n_epochs: int, seed: int) -> Result:
    """Score single layers on parts of speech, and on labels drawn at random for every word."""
    rng = np.random.default_rng(seed)
    tags = bank.heads.upos.to_numpy()
    drawn = control_labels(np.char.lower(np.asarray(bank.words.texts)), tags, rng)
    by_probe: dict[str, dict[str, Result]] = {}
    for which, labels in (("task", tags), ("control", drawn)):
        target, n_classes, metric = coded(labels, bank.heads)
        for kind, hidden in (("linear", None), (f"{HIDDEN} hidden units", HIDDEN)):
            probe = LayerMixProbe(
                n_classes=n_classes, hidden=hidden, n_epochs=n_epochs, learning_rate=5e-3 if hidden is None else 1e-3,
                seed=seed,
            )  # fmt: skip
            by_probe[f"{kind}, {which}"] = {
                str(layer): evaluate(
                    probe,
                    align(stack_layers(states.sel(layer=[layer])).drop_vars("position", errors="ignore"), target),
                    splits=splits_of(target),
                    metric=replace(metric, chance=0.0),  # the same for both, so that they stand in one table
                )
                for layer in states.layer.to_numpy()
            }
    combined = {name: combine(layers, dim="layer") for name, layers in by_probe.items()}
    return combine(combined, dim="model")
