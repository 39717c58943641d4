"""Mitchell et al. (2008): 25 verbs predict the images of 60 nouns.

Claim: a linear model of a noun's co-occurrence with 25 verbs predicts its fMRI image well enough to match two held-out
nouns with their images. Expected over nine participants: 0.77 (paper), 0.740 (an independent replication); chance 0.5,
and 95 % of a permutation null below 0.615 to 0.619 for one participant.

Protocol: 60 nouns, six presentations each; 500 most stable voxels of every training set; verbs at unit length; all
1,770 pairs held out; cosine of predicted and observed images. The mean image is taken off inside the training set; the
published way, over all 60 nouns, stands beside it under its name. The authors' files are not open to a download by
program: with --folder and --verbs the script runs on them, without on the twin, and says which.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
import xarray as xr

from neuroling import (
    LeavePOut,
    Permutation,
    Result,
    Ridge,
    SplitHalfCeiling,
    align,
    combine,
    evaluate,
    pearson,
    two_vs_two,
)
from neuroling.data import mitchell2008, real_or_twin, to_image
from neuroling.encoding import StableVoxels
from neuroling.evaluation import NullDistribution
from neuroling.report import ControlSet, MatchingStudy, write_matching_report

LEAST_R, LEAST_SIZE = 0.28, 10  # figure 3 of the paper
ONE_BY_ONE = "nouns are shown one by one, in another order each time"
NO_NETWORK = {"untrained network": "the features are counts, no network made them"}
NO_MEANING = dict.fromkeys(("word rate", "position", "smoothed identity"), ONE_BY_ONE) | NO_NETWORK


def main(
    out: Annotated[Path, typer.Option(help="Folder for report and result.")] = Path("results/mitchell2008"),
    folder: Annotated[Path | None, typer.Option(help="Folder with the authors' .mat files.")] = None,
    verbs: Annotated[Path | None, typer.Option(help="Table of 60 nouns by 25 verbs.")] = None,
    n_draws: Annotated[int, typer.Option(help="Draws of the null.")] = 1000,
    alpha: Annotated[float, typer.Option(help="Ridge penalty; 0 is the paper's least squares.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Seed of the null and of the twin.")] = 0,
) -> Result:
    """Match two held-out nouns with their images in nine participants and write the report."""
    out.mkdir(parents=True, exist_ok=True)
    if folder is not None:
        return analyse(folder, _table(folder, verbs), out, n_draws, alpha, seed)
    with tempfile.TemporaryDirectory() as made:
        found = real_or_twin(mitchell2008.NAME, Path, lambda: _write_twin(Path(made), seed))
        return analyse(found, _table(found, verbs), out, n_draws, alpha, seed)


def analyse(folder: Path, verbs: Path, out: Path, n_draws: int, alpha: float, seed: int) -> Result:
    """Evaluate every participant, combine, report."""
    results, published, images = {}, {}, {}
    options = {"splits": LeavePOut(2), "select": StableVoxels(500), "rng": seed}
    for participant in mitchell2008.PARTICIPANTS:
        stimuli, recording = mitchell2008.load(participant, folder)
        features = mitchell2008.verb_features(verbs, stimuli)
        data, model = align(features, recording), Ridge(alpha)
        results[participant] = evaluate(
            model, data, metric=two_vs_two, ceiling=SplitHalfCeiling(), inference=Permutation(n_draws), **options
        )
        centred = align(features, _mean_image_removed(recording))
        published[participant] = evaluate(model, centred, metric=two_vs_two.uncentred(), **options)
        voxels = evaluate(model, data, splits=LeavePOut(1), metric=pearson.pooled())
        images[participant] = to_image(voxels.score, like=recording)
    result = combine(results, dim="subject")
    result.save(out / "result.nc")
    study = MatchingStudy(
        title="Verbs predict the images of nouns",
        question="Mitchell et al. (2008): two held-out nouns are matched with their images.",
        result=result,
        group_null=group_null(result),
        variants={"mean image over all 60 nouns": combine(published, dim="subject")},
        images=images,
        least_r=LEAST_R,
        least_size=LEAST_SIZE,
        anchors=pd.DataFrame(ANCHORS),
        methods=METHODS.format(alpha=alpha),
        controls=ControlSet(excused=NO_MEANING),
    )
    write_matching_report(study, out)
    return result


def group_null(result: Result) -> NullDistribution:
    """Give the null of the mean over participants, who share every relabelling."""
    return result.null.mean("subject")


def _mean_image_removed(recording: xr.DataArray) -> xr.DataArray:
    """Take the mean image of all nouns off, held-out ones included, as published."""
    return recording - recording.mean(["sample", "repeat"])


def _write_twin(folder: Path, seed: int) -> Path:
    mitchell2008.write_twin(folder, rng=seed)
    return folder


def _table(folder: Path, verbs: Path | None) -> Path:
    path = verbs or folder / mitchell2008.FEATURES
    if not path.is_file():
        raise ValueError(f"verbs: {path} is not a file; give the table of 60 nouns by 25 verbs with --verbs.")
    return path


ANCHORS = [
    {"source": "paper, mean of nine participants", "accuracy": 0.77},
    {"source": "independent replication with the authors' verb table", "accuracy": 0.740},
]

METHODS = """\
Images: the mean of six presentations; the mean image is that of the 58 training nouns. Voxels: the 500 whose profile \
over the training nouns is most stable (mean correlation over the 15 pairs of presentations), chosen anew for each of \
the 1,770 pairs. Features: co-occurrence with 25 verbs, every noun at unit length. Model: ridge regression with a \
penalty of {alpha:g} and an unpenalised intercept; every pair's prediction comes from one decomposition, equal to \
refitting without it.

Score: a pair counts as matched when the cosines of the right matching sum to more than those of the wrong one. Null: \
the images change nouns and everything is done again, the choice of voxels included; all participants share each \
relabelling. A binomial test on 1,770 pairs would be wrong, because pairs share nouns. Ceiling: images of three \
presentations matched with those of the other three.

Voxel maps: correlation of predicted and observed values over nouns, each held out once, counted from the mean of its \
training nouns."""
