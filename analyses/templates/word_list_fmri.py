"""NAME: whether a language model tells held-out words apart by a participant's images, beyond its controls."""

from pathlib import Path
from typing import Annotated

import typer

from neuroling import LeavePOut, Permutation, Ridge, Stimuli, align, embed_sentences, evaluate, load_encoder, two_vs_two
from neuroling.data import find_files, read_words, single_trial_betas
from neuroling.encoding import StableVoxels
from neuroling.evaluation import save_unit, stamp
from neuroling.features import item_controls
from neuroling.report import write_report

HERE = Path(__file__).parent
BOLD = HERE / "sample/derivatives/fmriprep"  # preprocessed runs, with BIDS names
WORDS = HERE / "sample/words"  # one events.tsv per run, with BIDS names: onset, duration, and a column of words
TEXT_COLUMN = "word"  # column of events.tsv that holds the words
SUBJECT, TASK, SPACE = "01", "nouns", "MNI152NLin2009cAsym"
MODEL = "minilm"  # or a folder with a model
LANGUAGE = None  # such as "en" for word frequencies; needs pip install neuroling[frequency]
CONFOUNDS, HIGH_PASS_S = "simple", None  # strategy of nilearn (it has cosines of its own); or None, and 128.0 seconds
METHOD = "lss"  # single-trial betas: "lss" (a design per trial) or "lsa" (all trials in one design)
N_VOXELS = 50  # most stable voxels over repetitions, chosen in each training set
ALPHA = 1.0  # regularization strength


def main(
    subject: Annotated[str, typer.Option(help="Participant, without sub-.")] = SUBJECT,
    out: Annotated[Path, typer.Option(help="Folder for result.nc and report.html.")] = HERE / "results",
    n_permutations: Annotated[int, typer.Option(help="Permutations of the words.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> None:
    """Estimate single trials, match every pair of held-out words with their images, and write the report."""
    trials = read_words(sorted(WORDS.glob(f"sub-{subject}_task-{TASK}*")), text_column=TEXT_COLUMN)
    files = find_files(BOLD, suffix="bold", sub=subject, task=TASK, space=SPACE, desc="preproc")
    betas = single_trial_betas(files, trials, method=METHOD, confounds=CONFOUNDS, high_pass_s=HIGH_PASS_S)
    words = Stimuli.from_texts(betas["sample"].values.tolist())
    controls = item_controls(words, MODEL, frequency=LANGUAGE)
    spaces = {**controls, str(MODEL): embed_sentences(words, load_encoder(MODEL))}
    result = evaluate(
        Ridge(ALPHA),
        align({name: space / space.std() for name, space in spaces.items()}, betas),
        splits=LeavePOut(2),
        metric=two_vs_two,
        select=StableVoxels(N_VOXELS) if "repeat" in betas.dims else None,
        inference=Permutation(n_permutations),
        rng=seed,
    )
    page = write_report(result, out, title="NAME", question=__doc__, model=str(MODEL), controls=list(controls))
    save_unit(stamp(result, {"subject": subject}, {"model": str(MODEL)}), out / "result.nc")
    print(result.summary(), page, sep="\n")
