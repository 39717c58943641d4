"""LeBel et al. (2023): whether a language model predicts whole-brain fMRI of a story that was never heard in training.

Paper: Scientific Data 10:555, doi 10.1038/s41597-023-02437-z; nine people, OpenNeuro ds003020 (CC0). As there, 26
stories train a ridge regression on features that were filtered to volumes by Lanczos kernels and delayed by 1 to 4
volumes, and the mean of all presentations of `wheretheressmoke` tests it. Added here: controls beside the model, on the
same splits and permutations (circular shifts of the test story), a ceiling from the single presentations, and features
of the volumes that the files lack, so that delays never reach into another story. Expected, from published split-half
reliabilities of the test story: mean over voxels 0.120 (UTS01), 0.129 (UTS02), 0.158 (UTS03). Where the files are
absent the synthetic twin runs, in which half of the voxels respond to names of animals.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import xarray as xr
from sklearn.model_selection import LeaveOneGroupOut, PredefinedSplit

from neuroling import CircularShift, Result, RidgeCV, SplitHalfCeiling, align, evaluate, pearson
from neuroling.data import RepeatsSource, StoryRecording, lebel2023, real_or_twin
from neuroling.encoding import in_volumes
from neuroling.evaluation import Tiles, join_spaces, save_unit, stamp
from neuroling.features import embed_words_in_context, word_controls
from neuroling.report import compare_with_expected, write_report

EXPECTED = Path(__file__).parent / "expected" / "lebel2023.json"
ALPHAS = np.logspace(1, 3, 10)  # the paper's grid
DELAYS = range(1, 5)  # volumes of 2 s
TEST = lebel2023.TEST_STORY


class FirstFeature:
    """A model with nothing to fit; its evaluation is asked for the ceiling alone."""

    is_fixed = True

    def fit(self, X: np.ndarray, y: np.ndarray) -> "FirstFeature":  # noqa: ARG002 - the contract of models
        """Fit nothing."""
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Give the first feature."""
        return X[:, 0]


def main(
    subject: Annotated[str, typer.Option(help="Participant, UTS01 to UTS09.")] = "UTS03",
    out: Annotated[Path, typer.Option(help="Folder for tiles, result and report.")] = Path("results/lebel2023"),
    model: Annotated[str, typer.Option(help="Language model, or a folder with one.")] = "minilm",
    layer: Annotated[int, typer.Option(help="Layer of the model, 0 to the last, or -1.")] = -1,
    tiles: Annotated[int, typer.Option(help="Tiles of voxels that are read one after another; 40 for a person.")] = 2,
    n_shifts: Annotated[int, typer.Option(help="Circular shifts of the test story.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> Result:
    """Read the words with the model, predict the test story, compare with controls and ceiling, and report."""
    with tempfile.TemporaryDirectory() as twin_folder:
        story, repeats = find_story(subject, Path(twin_folder), seed)
        spaces, controls = features_of(story, model, layer)
        splits = PredefinedSplit(np.where(np.char.startswith(story.recording.labels, f"{TEST}:"), 0, -1))
        division = Tiles(tiles, folder=out / "tiles", labels={"subject": subject}, unusable="score as NaN")
        options = {"splits": splits, "metric": pearson, "inference": CircularShift(n_shifts), "tiles": division}
        result = evaluate(
            RidgeCV(ALPHAS, folds=LeaveOneGroupOut()), align(spaces, story.recording), rng=seed, **options
        )
        rate = spaces["word rate"].sel(sample=repeats.labels)
        bounds = evaluate(
            FirstFeature(),
            align(rate, repeats),
            metric=pearson,
            ceiling=SplitHalfCeiling(),
            tiles=Tiles(tiles),
            rng=seed,
        )
    result = stamp(result, {"subject": subject}, {"model": model, "layer": str(layer)})
    reliability = float(bounds.ceiling.sel(bound="reliability").mean())
    notes = [*story.excluded, *(f"{name}: {value}" for name, value in story.options.items())]
    notes.append(f"Split-half reliability of the test story, mean over voxels: {reliability:.3f}.")
    names = {"model": model, "controls": controls, "notes": notes}
    page = write_report(result, out, title="Stories in the brain", question=__doc__.split("\n")[0], **names)
    save_unit(result, out / "result.nc")
    print(result.summary(), notes[-1], page, sep="\n")
    means = {name: float(result.score.sel(model=name).mean()) for name in (model, "word rate")}
    if result.provenance.synthetic and subject == "UTS03":
        compare_with_expected({"reliability": reliability, **means}, EXPECTED)
    return result


def find_story(subject: str, twin_folder: Path, seed: int) -> tuple[StoryRecording, RepeatsSource]:
    """Open the recording and the single presentations, of real files or of the twin."""

    def load(folder: Path, stories: list[str] | None = None) -> tuple[StoryRecording, RepeatsSource]:
        options = {"subject": subject}
        return lebel2023.load(folder, stories=stories, **options), lebel2023.load_repeats(folder, **options)

    def make_twin() -> tuple[StoryRecording, RepeatsSource]:
        lebel2023.write_twin(twin_folder, seed, subjects=[subject])
        return load(twin_folder, [*lebel2023.TWIN_STORIES, TEST])

    return real_or_twin(lebel2023.NAME, load, make_twin, files=lebel2023.needed_files(subject))


def features_of(story: StoryRecording, model: str, layer: int) -> tuple[dict[str, xr.DataArray], list[str]]:
    """Spread features of words over volumes, select those that the files have; give them and the names of controls."""
    words = story.words
    reading = {"layer": layer, "window": 20, "stride": 20}
    by_word = word_controls(words, model, frequency="en", **reading)
    controls = list(by_word)
    by_word[model] = embed_words_in_context(words, model, **reading)
    spread = in_volumes(by_word, story.scanned, response=DELAYS)
    spaces = {name: volumes.sel(sample=story.recording.labels) for name, volumes in spread.items()}
    spaces[f"word rate + {model}"] = join_spaces({name: spaces[name] for name in ("word rate", model)})
    return spaces, controls
