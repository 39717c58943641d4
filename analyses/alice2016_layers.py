"""Layer by layer: what MiniLM explains of listening to Alice that controls and random weights do not.

Data: Brennan et al. (2016), 27 participants, 362 volumes of 2 s, 6 regions, CC BY 4.0.
Claim: a layer's part is what is lost without it beside word rate, position, length and frequency, with a penalty each
(banded ridge). Expected from the literature: parts are small beside the word rate, and middle layers lead.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import xarray as xr

from neuroling import (
    BandedRidgeCV,
    ContiguousFolds,
    Result,
    SignFlip,
    align,
    combine,
    convolve,
    evaluate,
    extract_word_features,
    load_encoder,
)
from neuroling.data import alice2016, real_or_twin
from neuroling.encoding import DirichletSearch, remove_drift, volume_controls
from neuroling.evaluation import FinishedScores, Partition, columns_of, explained, join_spaces, set_name
from neuroling.features import Encoder, Rolling, concatenate, word_length, word_rate
from neuroling.report import (
    Exhibit,
    Section,
    axes_to_png,
    compare_with_expected,
    controls_of_layers,
    plot_points,
    write_exhibits,
)

ALPHAS = np.logspace(-2, 6, 17)  # every feature space has a total variance of one
GAP = 10  # volumes of 2 s: as long as the haemodynamic response
CONTEXT = 40  # words before each word, and none after
EXPECTED = Path(__file__).parent / "expected" / "alice2016_layers.json"
TOGETHER = ("word rate", "length", "frequency", "position")  # the controls that stand beside every layer
BOTH = set_name(("controls", "layer"))
FOLDS, INNER = ContiguousFolds(5, gap=GAP), ContiguousFolds(4, gap=GAP)


def main(
    out: Annotated[Path, typer.Option(help="Folder for table, figure and result.")] = Path("results/alice2016_layers"),
    seed: Annotated[int, typer.Option(help="Seed of the untrained weights, the sign flips and the twin.")] = 0,
    n_subjects: Annotated[int, typer.Option(help="Participants of the synthetic twin.")] = 6,
) -> Result:
    """Part the variance of every layer from the controls, trained and untrained, and draw both."""
    out.mkdir(parents=True, exist_ok=True)
    story = real_or_twin("alice2016_fmri", alice2016.load, lambda: alice2016.twin(n_subjects, 160, rng=seed))
    recording = remove_drift(story.recording, story.recording.attrs["tr_s"])
    samples = recording.sample.to_numpy()
    spaces = volume_controls(
        recording,
        {"word rate": word_rate(story.words), "length": word_length(story.words)},
        {"frequency": story.controls.sel(feature=["frq"])},
    )
    controls = concatenate({name: spaces[name] for name in TOGETHER}, train=samples)
    beside = score({"controls": controls}, recording)
    alone = {
        name: mean_of(score({name: concatenate({name: space}, train=samples)}, recording))
        for name, space in spaces.items()
    }
    encoders = {"MiniLM": load_encoder(), "untrained twin": load_encoder(untrained=seed)}
    partitions = {
        name: by_layer(story, recording, encoder, controls, beside, out / "cache") for name, encoder in encoders.items()
    }
    results = {
        name: combine({layer: partition.result.select(model=BOTH) for layer, partition in found.items()}, dim="layer")
        for name, found in partitions.items()
    }
    result = combine(results, dim="model")
    result.save(out / "result.nc")
    parts = xr.concat(
        [
            xr.concat([p.unique.sel(model="layer", drop=True) for p in found.values()], "layer")
            for found in partitions.values()
        ],
        "model",
    ).assign_coords(model=list(partitions), layer=list(partitions["MiniLM"]))
    by_itself = {
        name: {f"layer {layer}": float(partition.score("layer").mean()) for layer, partition in found.items()}
        for name, found in partitions.items()
    }
    synthetic = result.provenance.synthetic
    section = controls_of_layers(
        {**alone, "the four beside layers": mean_of(beside)},
        by_itself["MiniLM"],
        by_itself["untrained twin"],
        score="Held-out variance by itself (mean over regions and people)",
        synthetic=synthetic,
    )
    write(parts, section, out, seed, synthetic=synthetic)
    if not synthetic:
        mean = parts.mean(["subject", "region"])
        found = {
            f"{model}, layer {layer}": float(mean.sel(model=model, layer=layer))
            for model in mean.model.values.tolist()
            for layer in mean.layer.values.tolist()
        }
        compare_with_expected({"controls": mean_of(beside), **alone, **found}, EXPECTED)
    return result


def by_layer(
    story: alice2016.AliceStory,
    recording: xr.DataArray,
    encoder: Encoder,
    controls: xr.DataArray,
    beside: Result,
    cache: Path,
) -> dict[str, Partition]:
    """Score each layer alone and with the controls, all layers from one pass."""
    states = extract_word_features(story.words, encoder, context=Rolling(CONTEXT), cache=cache)
    content = states - states.mean("sample")  # what is common to all words is the word rate
    found = {}
    for layer in states.layer.values.tolist():
        spread = volumes(content.sel(layer=layer).assign_attrs(states.attrs), recording)
        one = concatenate({str(layer): spread}, train=recording.sample.to_numpy())
        sets = {
            BOTH: score({"controls": controls, "layer": one}, recording),
            "controls": beside,
            "layer": score({"layer": one}, recording),
        }
        found[str(layer)] = Partition(("controls", "layer"), combine(sets, dim="model"))
    return found


def score(spaces: dict[str, xr.DataArray], recording: xr.DataArray) -> Result:
    """Predict held-out stretches from spaces with a penalty each."""
    model = BandedRidgeCV(columns_of(spaces), ALPHAS, search=DirichletSearch(10), folds=INNER)
    return evaluate(model, align(join_spaces(spaces), recording), splits=FOLDS, metric=explained)


def mean_of(result: Result) -> float:
    """Average over people and regions."""
    return float(result.score.mean())


def volumes(words: xr.DataArray, recording: xr.DataArray) -> xr.DataArray:
    """Spread features of words over volumes, and take slow drifts out as they were taken out of the recording."""
    spread = convolve(words, recording.onset, labels=recording.sample.to_numpy())
    return remove_drift(spread, recording.attrs["tr_s"])


def write(parts: xr.DataArray, controls: Section, out: Path, seed: int, *, synthetic: bool) -> None:
    """Save the unique parts (model, layer, subject, region) as a table and a figure, and print them with p values."""
    people = parts.mean("region")
    trained = people.sel(model="MiniLM") - people.sel(model="untrained twin")
    table = people.mean("subject").to_dataframe("unique")["unique"].unstack("model")
    for name, scores in {"MiniLM": people.sel(model="MiniLM"), "difference": trained}.items():
        people_scores = FinishedScores(scores.drop_vars("model", errors="ignore"))
        test = SignFlip("subject", n_draws=10_000)(people_scores, np.random.default_rng(seed))
        table[f"p, {name}"] = test.p_values("max").to_series()  # sign flips over participants, best of all layers
    label = "unique part of held-out variance"
    axes = plot_points(people.mean("subject"), along="layer", series="model", chance=None, label=label)
    axes.set_xlabel("layer")
    shown = Exhibit(
        "unique", table.reset_index(), "Unique part of a layer beside the controls, mean of people.", digits=4
    )
    curve = Exhibit("layers", axes_to_png(axes, synthetic=synthetic), "Unique part of held-out variance by layer.")
    title = "Layers of MiniLM and of its untrained twin beside the controls"
    notes = "Controls: word rate, length, frequency, position. p: sign flips over participants, best of all layers."
    sections = {"Layers": [notes, shown, curve], controls.title: controls.blocks}
    write_exhibits(out, sections, title=title, provenance={"seed": seed}, synthetic=synthetic)
    if synthetic:
        print("SYNTHETIC twin: no numbers of people")
    print(table.round(4).to_string())
