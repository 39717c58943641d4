"""Zada et al. (2025): whether vectors of GPT-2 XL predict high-gamma power around each word of a podcast, and when.

Paper: Scientific Data 12:1135; nine people with electrodes on the brain, OpenNeuro ds005574 (CC0). As in the authors'
tutorials, layer 24 of GPT-2 XL (the published file) predicts the power of every electrode from 2 s before to 2 s after
each word, by ridge regression, in two contiguous halves that test each other. Added here: a gap between the halves that
is longer than an epoch; controls (length, position, GPT-2 XL's surprisal and entropy) on the same splits; circular
shifts of the words as null; alphas up to 1e4, since predictions are constant with the tutorials' 1e10. Expected: GPT-2
XL predicts the next token in 0.3094 of cases (published; exact on the real transcript). Where the files are absent the
synthetic twin runs, in which one electrode of three responds 100 to 300 ms after words.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import xarray as xr

from neuroling import CircularShift, ContiguousFolds, Result, RidgeCV, align, evaluate, load_encoder, pearson
from neuroling.data import StoryRecording, podcast_ecog, real_or_twin
from neuroling.encoding import Standardized
from neuroling.evaluation import Tiles, join_spaces, save_unit, stamp
from neuroling.features import embed_words_in_context, word_controls
from neuroling.report import compare_with_expected, write_report

EXPECTED = Path(__file__).parent / "expected" / "podcast_ecog.json"
ALPHAS = np.logspace(0, 4, 9)
GAP = 20  # words, longer than an epoch of 4 s
PUBLISHED = "gpt2-xl"


def main(
    subject: Annotated[str, typer.Option(help="Participant, sub-01 to sub-09.")] = "sub-02",
    out: Annotated[Path, typer.Option(help="Folder for result and report.")] = Path("results/podcast_ecog"),
    model: Annotated[str, typer.Option(help="gpt2-xl for the published vectors, or a model or folder.")] = PUBLISHED,
    layer: Annotated[int, typer.Option(help="Layer of the model.")] = 24,
    tiles: Annotated[int, typer.Option(help="Tiles of electrodes that are read one after another.")] = 1,
    n_shifts: Annotated[int, typer.Option(help="Circular shifts of the words.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> Result:
    """Predict the power around words from a model and its controls, find the best lags, and report."""
    with tempfile.TemporaryDirectory() as twin_folder:
        folder, story = find_story(subject, model, Path(twin_folder), seed)
        accuracy = float((podcast_ecog.read_tokens(folder)["rank"] == 0).mean())
        spaces = {"controls": control_features(story), model: model_features(folder, story, model, layer)}
        spaces[f"controls + {model}"] = join_spaces(spaces)
        options = {"metric": pearson, "inference": CircularShift(n_shifts), "tiles": Tiles(tiles), "rng": seed}
        ridge = Standardized(RidgeCV(ALPHAS, folds=ContiguousFolds(5, gap=GAP)))
        splits = ContiguousFolds(2, gap=GAP)
        result = evaluate(ridge, align(spaces, story.recording), splits=splits, **options)
    result = stamp(result, {"subject": subject}, {"model": model, "layer": str(layer)})
    curve = result.score.sel(model=model)
    best = curve.max("time")
    lag_s = float(curve.sel(channel=best.idxmax("channel")).idxmax("time"))
    notes = [*story.excluded, *(f"{name}: {value}" for name, value in story.options.items())]
    notes.append(
        f"GPT-2 XL predicts the next token in {accuracy:.4f} of cases; best electrode {lag_s:.2f} s after words."
    )
    names = {"model": model, "controls": ["controls"], "notes": notes}
    page = write_report(result, out, title="A podcast in the ECoG", question=__doc__.split("\n")[0], **names)
    save_unit(result, out / "result.nc")
    print(result.summary(), notes[-1], page, sep="\n")
    if result.provenance.synthetic:
        compare_with_expected({"best r": float(best.max()), "lag": lag_s}, EXPECTED)
    return result


def find_story(subject: str, model: str, twin_folder: Path, seed: int) -> tuple[Path, StoryRecording]:
    """Open the recording of real files or of the twin, and say where it lies."""

    def make_twin() -> tuple[Path, StoryRecording]:
        podcast_ecog.write_twin(twin_folder, seed, subjects=(subject,))
        return twin_folder, podcast_ecog.load(twin_folder, subject=subject)

    files = podcast_ecog.needed_files(subject, features=PUBLISHED if model == PUBLISHED else None)
    return real_or_twin(
        podcast_ecog.NAME, lambda folder: (folder, podcast_ecog.load(folder, subject=subject)), make_twin, files=files
    )


def control_features(story: StoryRecording) -> xr.DataArray:
    """Describe words by their length, their position, and how GPT-2 XL expected them."""
    words, table = story.words, story.words.table
    spaces = word_controls(words)
    del spaces["word rate"]  # every sample is a word
    return join_spaces(
        spaces | {name: words.features(table[[name]].to_numpy(), [name]) for name in ("surprisal", "entropy")}
    )


def model_features(folder: Path, story: StoryRecording, model: str, layer: int) -> xr.DataArray:
    """Read the published vectors, or those of another model."""
    if model == PUBLISHED:
        return podcast_ecog.load_features(folder, story.words, layer=layer)
    return embed_words_in_context(story.words, load_encoder(model), layer=layer, window=40, stride=20)
