"""NAME: when patterns of EEG over words resemble a language model, beyond its controls."""

from pathlib import Path
from typing import Annotated

import typer

import neuroling as nl
from neuroling.data import channel_positions, from_epochs, join_subjects, read_epochs
from neuroling.evaluation import save_unit, stamp
from neuroling.features import item_controls
from neuroling.report import Figure, figure_to_png, plot_topographies, write_report
from neuroling.rsa import FixedRDM, neighbours_within

HERE = Path(__file__).parent
EPOCHS = HERE / "sample/epochs"  # one -epo.fif per participant: sub-01-epo.fif; a trial's word stands in its metadata
TEXT_COLUMN = "word"  # column of the metadata that holds the words
WINDOW_S = (-0.1, 0.7)  # seconds of the epochs that are analysed
N_FOLDS = 2  # folds of each word's trials, for crossvalidated distances
MODEL = "minilm"  # or a folder with a model
LANGUAGE = None  # such as "en" for word frequencies; needs pip install neuroling[frequency]
SMOOTH = 3  # samples that are averaged
PATCH_M, HEADS_S = 0.11, (0.1, 0.2, 0.3, 0.4, 0.5)  # radius of a patch (0.05 for 64 channels); times of heads


def main(
    out: Annotated[Path, typer.Option(help="Folder for result.nc and report.html.")] = HERE / "results",
    n_permutations: Annotated[int, typer.Option(help="Sign flips over participants.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> None:
    """Lay trials out by word, compare dissimilarities over time, test over participants, and write the report."""
    files = {path.name.split("-epo")[0]: path for path in sorted(EPOCHS.glob("*-epo.fif"))}
    epochs = {name: read_epochs(path) for name, path in files.items()}
    options = {"item": TEXT_COLUMN, "folds": N_FOLDS, "window": WINDOW_S, "rng": seed}
    recording = join_subjects({name: from_epochs(each, **options) for name, each in epochs.items()})
    words = nl.Stimuli.from_texts(recording["sample"].values.tolist())
    controls = item_controls(words, MODEL, frequency=LANGUAGE)
    models = {**controls, str(MODEL): nl.embed_sentences(words, nl.load_encoder(MODEL))}
    distances = {name: "cosine" if space.sizes["feature"] > 1 else "euclidean" for name, space in models.items()}
    spaces = {name: nl.model_rdms(space, distances[name]) for name, space in models.items()}
    flips = nl.SignFlip("subject", n_permutations, clusters="mass")
    people = {"ceiling": nl.LeaveOneOutCeiling("subject"), "inference": flips}
    result = nl.evaluate(
        FixedRDM(), nl.pairwise(spaces, recording, window=SMOOTH), metric=nl.spearman, rng=seed, **people
    )
    positions = channel_positions(next(iter(epochs.values())))
    patches = nl.pairwise(spaces[str(MODEL)], recording, window=SMOOTH, patches=neighbours_within(positions, PATCH_M))
    local = nl.evaluate(FixedRDM(), patches, metric=nl.spearman).score.mean("subject")
    synthetic = result.provenance.synthetic
    heads = plot_topographies(
        local.squeeze(drop=True), HEADS_S, montage=positions, label="Spearman", synthetic=synthetic
    )
    said = f"{MODEL} compared with patterns of channels within {PATCH_M} m, mean over participants."
    figures = [Figure(figure_to_png(heads), said, "Heads at several times.")]
    names = {"model": str(MODEL), "controls": list(controls), "figures": figures}
    page = write_report(result, out, title="NAME", question=__doc__, **names)
    save_unit(stamp(result, {}, {"model": str(MODEL)}), out / "result.nc")
    print(result.summary(), page, sep="\n")
