"""Titles of brain imaging articles predict where the articles report activity.

Data: Neurosynth version 7 (Yarkoni et al. 2011), 14,371 titles and 507,891 activation peaks, ODbL 1.0.
Claim: what a title says about the map is there in counted words (tf-idf/SVD), more so in sentence embeddings
(MiniLM), and most in both; and an article with many peaks should count no more than one with few. Expected, with maps
of peak counts counted from their training mean, 2,000 articles held out at random: 2-versus-2 near 0.79, 0.80, 0.82 and
0.86 (another random split moves all of them by about 0.01); chance 0.5. Weighing the two spaces voxel by voxel (banded
ridge) adds about 0.002 to either of the last two, which suggests that they share most of what they say. Embeddings by
random weights are the control that counts, near 0.72: they mix up the same words.
"""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import typer
import xarray as xr
from sklearn.model_selection import PredefinedSplit

from neuroling import (
    BandedRidgeCV,
    Result,
    RidgeCV,
    Stimuli,
    align,
    combine,
    embed_sentences,
    evaluate,
    load_encoder,
    partition_variance,
    pearson,
    two_vs_two,
)
from neuroling.data import neurosynth, real_or_twin, to_image
from neuroling.encoding import DirichletSearch, EqualMass
from neuroling.evaluation import FitOnce, HeldOutPermutation, Partition, join_spaces
from neuroling.features import concatenate, tfidf_svd, zipf_frequency
from neuroling.report import ControlSet, EncodingStudy, compare_with_expected, write_encoding_report

ALPHAS = np.logspace(-1, 4, 11)  # every feature space has a total variance of one over the training articles
N_COMPONENTS = 300
N_WEIGHTINGS = 16  # of the two feature spaces, the equal one included
LENGTH, FREQUENCY, UNTRAINED = "title length and year", "title frequency", "MiniLM, untrained"
BOTH, EQUAL = "tf-idf + MiniLM", "tf-idf + MiniLM, equal mass"
BANDED, BANDED_EQUAL = "tf-idf + MiniLM, banded", "banded, equal mass"
EXPECTED = Path(__file__).parent / "expected" / "neurosynth.json"
Split = Literal["random", "time"]
WITHOUT_TIME = ("word rate", "position", "smoothed identity")


def main(
    out: Annotated[Path, typer.Option(help="Folder for report, maps and result.")] = Path("results/neurosynth"),
    split: Annotated[Split, typer.Option(help="Hold out articles at random, or the latest.")] = "random",
    n_test: Annotated[int, typer.Option(help="Articles held out, at most a quarter.")] = 2000,
    n_draws: Annotated[int, typer.Option(help="Draws of the null.")] = 1000,
    max_articles: Annotated[int | None, typer.Option(help="At most so many articles.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of split, SVD and null.")] = 0,
) -> Result:
    """Predict activation maps from titles and write the report."""
    out.mkdir(parents=True, exist_ok=True)
    stimuli, maps = real_or_twin(
        "neurosynth_v7",
        lambda folder: neurosynth.load(folder, max_articles=max_articles),
        lambda: neurosynth.twin(max_articles or 1200, rng=seed),
    )
    fold = held_out_articles(stimuli, split, min(n_test, len(stimuli) // 4), seed)
    spaces = feature_spaces(stimuli, stimuli.labels[fold == -1], out / "cache", seed)
    ridge = RidgeCV(ALPHAS)
    models = {name: FitOnce(ridge) for name in spaces}
    parted = part(spaces, maps, PredefinedSplit(fold), seed)
    bands = [str(label).rpartition("/")[0] for label in spaces[BOTH].feature.to_numpy()]
    banded = BandedRidgeCV(bands, ALPHAS, search=DirichletSearch(N_WEIGHTINGS, seed=seed))
    for name, model in {EQUAL: EqualMass(ridge), BANDED: banded, BANDED_EQUAL: EqualMass(banded)}.items():
        spaces[name], models[name] = spaces[BOTH], FitOnce(model)
    plain = [name for name in spaces if name not in (EQUAL, BANDED, BANDED_EQUAL)]
    null = HeldOutPermutation(n_draws)
    best_of_draw = HeldOutPermutation(n_draws, keep_draws=False)
    accuracy, voxels, variants = {}, {}, []
    for name, features in spaces.items():
        data, model = align(features, maps), models[name]
        options = {"splits": PredefinedSplit(fold), "rng": seed}
        accuracy[name] = evaluate(model, data, metric=two_vs_two, inference=null, **options)
        voxels[name] = evaluate(model, data, metric=pearson, inference=best_of_draw, **options)
        uncentred = evaluate(model, data, metric=two_vs_two.uncentred(), **options)
        row = {"model": name, "centred": float(accuracy[name].score), "uncentred": float(uncentred.score)}
        if name in plain:
            density = evaluate(ridge, align(features, densities(maps)), metric=two_vs_two, **options)
            row["densities, centred"] = float(density.score)
        variants.append(row)
    study = EncodingStudy(
        title="Article titles predict activation maps",
        question=f"Neurosynth version 7: {len(stimuli):,} articles, {maps.sizes['voxel']:,} voxels of 8 mm.",
        accuracy=accuracy,
        voxels=voxels,
        penalties=pd.DataFrame({name: models[name].fitted[0].cv_scores_.mean(axis=1) for name in plain}, index=ALPHAS),
        variants=pd.DataFrame(variants),
        methods=methods(stimuli, maps, fold, split, seed),
        to_image=lambda scores: to_image(scores, like=maps),
        controls=ControlSet(
            {"length": LENGTH, "frequency": FREQUENCY, "untrained network": UNTRAINED},
            dict.fromkeys(WITHOUT_TIME, "Articles are not in time."),
            {"MiniLM beside the controls": parted},
        ),
    )
    write_encoding_report(study, out)
    write_band_weights(models[BANDED].fitted[0], maps, out)
    result = combine(accuracy, dim="model")
    result.save(out / "result.nc")
    if (split, n_test, max_articles, seed) == ("random", 2000, None, 0) and not study.synthetic:
        unique = {f"unique {row.space}": row.unique for row in parted.table()[:2].itertuples()}
        compare_with_expected({**result.score.to_series().to_dict(), **unique}, EXPECTED)
    return result


def held_out_articles(stimuli: Stimuli, split: Split, n_test: int, seed: int) -> np.ndarray:
    """Mark held-out articles with 0 and the others with -1, shape (sample,)."""
    order = np.random.default_rng(seed).permutation(len(stimuli))
    if split == "time":
        order = np.argsort(-stimuli.table["year"].to_numpy(), kind="stable")
    fold = np.full(len(stimuli), -1)
    fold[order[:n_test]] = 0
    return fold


def feature_spaces(stimuli: Stimuli, train: pd.Index, cache: Path, seed: int) -> dict[str, xr.DataArray]:
    """Describe titles in six ways, each scaled to a total variance of one over the training articles."""
    surface = np.column_stack([np.log1p([len(text.split()) for text in stimuli.texts]), stimuli.table["year"]])
    frequency = title_frequencies(stimuli)  # first, since it needs a package that may not be there
    n_components = min(N_COMPONENTS, len(train) // 10)
    counted = tfidf_svd(stimuli, train=train, n_components=n_components, n_words=2, rng=seed)
    embedded = embed_sentences(stimuli, cache=cache)
    random = embed_sentences(stimuli, load_encoder(untrained=seed), cache=cache)
    return {
        LENGTH: concatenate({"surface": stimuli.features(surface)}, train=train),
        FREQUENCY: concatenate({"frequency": frequency}, train=train),
        UNTRAINED: concatenate({"untrained": random}, train=train),
        f"tf-idf/SVD-{n_components}": concatenate({"tf-idf": counted}, train=train),
        "MiniLM": concatenate({"MiniLM": embedded}, train=train),
        BOTH: concatenate({"tf-idf": counted, "MiniLM": embedded}, train=train),
    }


def title_frequencies(stimuli: Stimuli) -> xr.DataArray:
    """Give the mean and the least frequency of the words of every title, on the Zipf scale."""
    words = sorted({word for text in stimuli.texts for word in text.split()})
    zipf = dict(zip(words, zipf_frequency(Stimuli.from_texts(words), "en").to_numpy()[:, 0], strict=True))
    rows = [[zipf[word] for word in text.split()] for text in stimuli.texts]
    return stimuli.features(np.array([[np.mean(row), np.min(row)] for row in rows]), ["mean", "least"])


def part(spaces: dict[str, xr.DataArray], maps: xr.DataArray, splits: PredefinedSplit, seed: int) -> Partition:
    """Part held-out variance between the embeddings and all controls together."""
    controls = join_spaces({name: spaces[name] for name in (LENGTH, FREQUENCY, UNTRAINED)})
    return partition_variance(
        {"controls": controls, "MiniLM": spaces["MiniLM"]},
        maps,
        make_model=lambda bands: BandedRidgeCV(bands, ALPHAS, search=DirichletSearch(N_WEIGHTINGS, seed=seed)),
        splits=splits,
    )


def write_band_weights(model: BandedRidgeCV, maps: xr.DataArray, out: Path) -> None:
    """Write the weight of the embeddings in every voxel as a map; counted words have the rest."""
    of_embeddings = model.band_weights_[model.band_names_.index("MiniLM")] / model.band_weights_.sum(axis=0)
    weights = xr.DataArray(of_embeddings, dims="voxel", coords={"voxel": maps.voxel})
    to_image(weights, like=maps).to_filename(out / "weight_of_minilm.nii.gz")


def densities(maps: xr.DataArray) -> xr.DataArray:
    """Scale every map to a sum of one, so that an article with many peaks counts no more than one with few."""
    return (maps / maps.sum("voxel")).assign_attrs(maps.attrs)


def methods(stimuli: Stimuli, maps: xr.DataArray, fold: np.ndarray, split: Split, seed: int) -> str:
    """Say how it was done."""
    years = stimuli.table["year"]
    chosen = f"at random with seed {seed}" if split == "random" else f"as the latest ({years[fold == 0].min()} onwards)"
    excluded, notes = len(maps.attrs["excluded"]), maps.attrs
    return (
        f"Of {len(stimuli) + excluded:,} articles {excluded} were left out, each for a stated reason: no peak inside "
        "the brain mask, or a title that another article has too. "
        f"{(fold == 0).sum():,} articles were held out {chosen}; {(fold == -1).sum():,} were learned from.\n\n"
        f"Maps: every reported peak counts one in its voxel of an 8 mm MNI grid ({maps.sizes['voxel']:,} voxels), "
        f"smoothed with a Gaussian of {notes['sigma_voxels']:g} voxel; {notes['n_peaks']:,} peaks, of which "
        f"{notes['n_peaks_talairach']:,} were converted from Talairach space. They are reports gathered after the "
        "fact, not responses to the titles.\n\n"
        "Features: word and word-pair counts (tf-idf, truncated SVD) whose vocabulary, weights and axes come from the "
        "training titles alone; mean-pooled, unit-length embeddings of all-MiniLM-L6-v2, whose own training text may "
        "hold some of these titles; both side by side; and, as controls, the length of the title with the year, the "
        "mean and the least frequency of its words (wordfreq), and embeddings by random weights.\n\n"
        "Model: ridge regression, a penalty for every voxel from five folds inside the training set; banded, each "
        f"voxel also weighs the two feature spaces, the best of {N_WEIGHTINGS} weightings by the same folds. "
        "With equal mass "
        "it learns where an article's peaks lie, not how many there are, and its predictions are brought to counts. "
        "Scores: the share "
        "of all pairs of held-out articles whose predicted maps match their own better than each other's (cosine, maps "
        "counted from the training mean), and the correlation over held-out articles at every voxel. Null: held-out "
        "articles exchange their maps, predictions kept."
    )
