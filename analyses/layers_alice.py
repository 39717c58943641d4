"""Layer by layer: how well MiniLM and its untrained twin predict listening to Alice, beside the rate of words.

Data: Brennan et al. (2016), 27 participants, 362 volumes of 2 s, 6 regions, CC BY 4.0.
Claim: what training adds shows in the difference between a layer and the same layer with random weights. Expected from
the literature: differences are small beside the rate of words, which is in every model here.

Null of a score: the recording rotated in time against the features, penalties as chosen for the unrotated one. Interval
and p of a difference: t and sign flips over participants, the largest of all layers counting; there is one story, so
they say nothing about others.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
import xarray as xr
from scipy import stats

from neuroling import (
    CircularShift,
    ContiguousFolds,
    Result,
    RidgeCV,
    SignFlip,
    align,
    combine,
    convolve,
    evaluate,
    extract_word_features,
    load_encoder,
    pearson,
)
from neuroling.data import alice2016, real_or_twin
from neuroling.encoding import remove_drift, volume_controls
from neuroling.evaluation import FinishedScores
from neuroling.features import Encoder, Rolling, concatenate, word_length, word_rate
from neuroling.report import Exhibit, compare_with_expected, controls_of_layers, write_exhibits

ALPHAS = np.logspace(-2, 6, 17)  # every feature space has a total variance of one
GAP = 10  # volumes of 2 s: as long as the haemodynamic response
FOLDS = ContiguousFolds(5, gap=GAP)
MODEL = RidgeCV(ALPHAS, folds=ContiguousFolds(4, gap=GAP))
CONTEXT = 40  # words before each word, and none after
EXPECTED = Path(__file__).parent / "expected" / "layers_alice.json"


def main(
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = Path("results/layers_alice"),
    seed: Annotated[int, typer.Option(help="Seed of the untrained weights and of the twin.")] = 0,
    n_subjects: Annotated[int, typer.Option(help="Participants of the synthetic twin.")] = 6,
    n_shifts: Annotated[int | None, typer.Option(help="Rotations of the null; all of them by default.")] = None,
) -> Result:
    """Predict regional time courses from every layer and print the tables."""
    out.mkdir(parents=True, exist_ok=True)
    story = real_or_twin("alice2016_fmri", alice2016.load, lambda: alice2016.twin(n_subjects, 160, rng=seed))
    recording = remove_drift(story.recording, story.recording.attrs["tr_s"])
    controls = volume_controls(
        recording,
        {"word rate": word_rate(story.words), "length": word_length(story.words)},
        {"frequency": story.controls.sel(feature=["frq"])},
    )
    encoders = {"MiniLM": load_encoder(), "untrained twin": load_encoder(untrained=seed)}
    by_model = {
        name: by_layer(
            story, recording, encoder, controls["word rate"], cache=out / "cache", n_shifts=n_shifts, seed=seed
        )
        for name, encoder in encoders.items()
    }
    result = combine(by_model, dim="model")
    result.save(out / "result.nc")
    table = trained_against_untrained(result, seed)
    shown = Exhibit(
        "table", table.rename_axis("layer").reset_index(), "Held-out r, mean over regions and people.", digits=4
    )
    notes = "Each layer beside word rate; p: sign flips over participants, best of all layers; 95 % intervals."
    title, options = "Layers of MiniLM and of its untrained twin in the story", {"n_shifts": n_shifts, "seed": seed}
    synthetic = result.provenance.synthetic
    beside = score_controls(controls, recording)
    what = "Held-out r beside word rate (mean over regions and people)"
    named = table.rename("layer {}".format).to_dict()
    section = controls_of_layers(beside, named["MiniLM"], named["untrained"], score=what, synthetic=synthetic)
    sections = {"Layers": [notes, shown], section.title: section.blocks}
    write_exhibits(out, sections, title=title, provenance=options, synthetic=synthetic)
    if synthetic:
        print("SYNTHETIC twin: no numbers of people")
    else:
        found = {
            f"layer {layer}, {name}": float(value) for layer, row in table.iterrows() for name, value in row.items()
        }
        compare_with_expected(beside | found, EXPECTED)
    print(table.round(4).to_string())
    return result


def trained_against_untrained(result: Result, seed: int) -> pd.DataFrame:
    """Compare a layer with its untrained twin over participants, one layer a row."""
    score = result.score.mean("region")  # (model, layer, subject)
    gain = (score.sel(model="MiniLM") - score.sel(model="untrained twin")).transpose("subject", "layer")
    mean, n = gain.mean("subject"), gain.sizes["subject"]
    half = stats.t.ppf(0.975, n - 1) * gain.std("subject", ddof=1) / np.sqrt(n)
    columns = {
        "MiniLM": score.sel(model="MiniLM").mean("subject"),
        "untrained": score.sel(model="untrained twin").mean("subject"),
        "difference": mean,
        "low": mean - half,
        "high": mean + half,
    }
    if n >= 5:
        columns["p"] = SignFlip(n_draws=5000)(FinishedScores(gain), np.random.default_rng(seed)).p_values("max")
    return pd.DataFrame(
        {name: values.to_numpy() for name, values in columns.items()}, index=result.data.layer.to_numpy()
    )


def score_controls(spaces: dict[str, xr.DataArray], recording: xr.DataArray) -> dict[str, float]:
    """Score every control as layers are: beside word rate, which itself stands alone."""
    rate, scores = {"word rate": spaces["word rate"]}, {}
    for name, space in spaces.items():
        features = concatenate({**rate, name: space}, train=recording.sample.to_numpy())
        scores[name] = float(evaluate(MODEL, align(features, recording), splits=FOLDS, metric=pearson).score.mean())
    return scores


def by_layer(
    story: alice2016.AliceStory,
    recording: xr.DataArray,
    encoder: Encoder,
    rate: xr.DataArray,
    *,
    cache: Path,
    n_shifts: int | None,
    seed: int,
) -> Result:
    """Score word rate and each layer together, all layers from one pass."""
    states = extract_word_features(story.words, encoder, context=Rolling(CONTEXT), cache=cache)
    content = states - states.mean("sample")  # what is common to all words is the word rate
    results = {}
    for layer in states.layer.to_numpy().tolist():
        embedded = volumes(content.sel(layer=layer).assign_attrs(states.attrs), recording)
        features = concatenate({"rate": rate, "layer": embedded}, train=recording.sample.to_numpy())
        results[str(layer)] = evaluate(
            MODEL,
            align(features, recording),
            splits=FOLDS,
            metric=pearson,
            inference=CircularShift(n_shifts, keep_choices=True),
            rng=seed,
        )
    return combine(results, dim="layer")


def volumes(words: xr.DataArray, recording: xr.DataArray) -> xr.DataArray:
    """Spread features of words over volumes, and take slow drifts out as they were taken out of the recording."""
    spread = convolve(words, recording.onset, labels=recording.sample.to_numpy())
    return remove_drift(spread, recording.attrs["tr_s"])
