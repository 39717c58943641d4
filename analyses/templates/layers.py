"""NAME: which layer of which model predicts a participant who listens to a story, beside its controls."""

from pathlib import Path
from typing import Annotated

import typer
import xarray as xr
from sklearn.model_selection import LeaveOneGroupOut

import neuroling as nl
from neuroling.data import find_files, read_runs, read_words
from neuroling.encoding import clean_spaces, in_volumes, remove_nuisance
from neuroling.evaluation import choose_ceiling, save_unit, stamp
from neuroling.features import Rolling, word_controls
from neuroling.report import Figure, axes_to_png, plot_by_layer, write_report

HERE = Path(__file__).parent
BOLD = HERE / "sample/derivatives/fmriprep"  # preprocessed runs, with BIDS names
WORDS = HERE / "sample/words"  # one events.tsv or TextGrid per run, with BIDS names
TEXT_COLUMN = "word"  # column of events.tsv, or tier of TextGrids, that holds the words
SUBJECT, TASK, SPACE = "01", "story", "MNI152NLin2009cAsym"
MODELS = {"MiniLM": "minilm"}  # names, and "minilm" or folders with models; each is compared with its untrained twin
LAYERS, WINDOW = (0, 2, 4, 6), 40  # or None: all of them; words of context
CONFOUNDS, HIGH_PASS_S = "simple", None  # strategy of nilearn (it has cosines of its own); or None, and 128.0 seconds
RESPONSE = "spm"  # or "glover", or delays in volumes: range(1, 5)
FOLDS = LeaveOneGroupOut()  # hold out whole runs; for one run: nl.ContiguousFolds(5, gap=10)


def main(
    subject: Annotated[str, typer.Option(help="Participant, without sub-.")] = SUBJECT,
    out: Annotated[Path, typer.Option(help="Folder for result.nc and report.html.")] = HERE / "results",
    seed: Annotated[int, typer.Option(help="Seed of the untrained networks.")] = 0,
) -> None:
    """Extract every layer once, predict with each of them, and draw scores by layer."""
    words = read_words(sorted(WORDS.glob(f"sub-{subject}_task-{TASK}*")), text_column=TEXT_COLUMN, tier=TEXT_COLUMN)
    files = find_files(BOLD, suffix="bold", sub=subject, task=TASK, space=SPACE, desc="preproc")
    recording, confounds = read_runs(files, confounds=CONFOUNDS)
    by_word = word_controls(words)
    controls, layered = list(by_word), []
    for name, model in MODELS.items():
        for kind, untrained in ((name, None), (f"{name}, untrained", seed)):
            encoder = nl.load_encoder(model, untrained=untrained)
            states = nl.extract_word_features(words, encoder, layers=LAYERS, context=Rolling(WINDOW, 20))
            by_word |= {f"{kind}, layer {int(k)}": states.sel(layer=k, drop=True) for k in states.layer}
            layered += [(kind, int(k)) for k in states.layer]
    cleaning = {"confounds": confounds, "splits": FOLDS, "high_pass_s": HIGH_PASS_S}
    spaces = clean_spaces(in_volumes(by_word, recording, response=RESPONSE), recording, **cleaning)
    cleaned = remove_nuisance(recording, recording, standardize=True, **cleaning)
    options = {"splits": FOLDS, "metric": nl.pearson, "ceiling": choose_ceiling(cleaned), "rng": seed}
    result = nl.evaluate(nl.RidgeCV(folds=FOLDS), nl.align(spaces, cleaned), **options)
    means = result.score.mean("voxel").to_series()
    kinds, layers = (list(dict.fromkeys(part)) for part in zip(*layered, strict=True))
    values = [[means[f"{kind}, layer {layer}"] for layer in layers] for kind in kinds]
    drawn = xr.DataArray(values, dims=("model", "layer"), coords={"model": kinds, "layer": layers})
    axes = plot_by_layer(drawn, baselines=means[controls].to_dict(), label="held-out r, mean over voxels")
    drawing = axes_to_png(axes, synthetic=result.provenance.synthetic)
    figures = [Figure(drawing, "Score by layer; lines across: controls.", "Scores by layer.")]
    page = write_report(result, out, title="NAME", question=__doc__, figures=figures)
    save_unit(stamp(result, {"subject": subject}, {"models": " ".join(MODELS)}), out / "result.nc")
    print(result.summary(), page, sep="\n")
