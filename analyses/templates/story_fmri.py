"""NAME: whether MODEL predicts the volumes of a participant who listens to a story, beyond its controls."""

from pathlib import Path
from typing import Annotated

import typer
from sklearn.model_selection import LeaveOneGroupOut

from neuroling import CircularShift, RidgeCV, align, evaluate, pearson
from neuroling.data import find_files, read_runs, read_words
from neuroling.encoding import clean_spaces, in_volumes, remove_nuisance
from neuroling.evaluation import choose_ceiling, save_unit, stamp
from neuroling.features import embed_words_in_context, word_controls
from neuroling.report import write_report

HERE = Path(__file__).parent
BOLD = HERE / "sample/derivatives/fmriprep"  # preprocessed runs, with BIDS names
WORDS = HERE / "sample/words"  # one events.tsv or TextGrid per run, with BIDS names
TEXT_COLUMN = "word"  # column of events.tsv, or tier of TextGrids, that holds the words
SUBJECT, TASK, SPACE = "01", "story", "MNI152NLin2009cAsym"
MODEL, LAYER, WINDOW = "minilm", -1, 40  # or a folder with a model; layer 0 to the last; words of context
LANGUAGE = None  # such as "en" for word frequencies; needs pip install neuroling[frequency]
CONFOUNDS, HIGH_PASS_S = "simple", None  # strategy of nilearn (it has cosines of its own); or None, and 128.0 seconds
RESPONSE = range(1, 5)  # delays in volumes, or "spm" or "glover"
FOLDS = LeaveOneGroupOut()  # hold out whole runs; for one run: ContiguousFolds(5, gap=10)


def main(
    subject: Annotated[str, typer.Option(help="Participant, without sub-.")] = SUBJECT,
    out: Annotated[Path, typer.Option(help="Folder for result.nc and report.html.")] = HERE / "results",
    n_permutations: Annotated[int, typer.Option(help="Circular shifts of the null.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> None:
    """Read, clean, predict, compare with controls, and write the report."""
    words = read_words(sorted(WORDS.glob(f"sub-{subject}_task-{TASK}*")), text_column=TEXT_COLUMN, tier=TEXT_COLUMN)
    files = find_files(BOLD, suffix="bold", sub=subject, task=TASK, space=SPACE, desc="preproc")
    recording, confounds = read_runs(files, confounds=CONFOUNDS)
    reading = {"layer": LAYER, "window": WINDOW, "stride": 20}
    controls = word_controls(words, MODEL, frequency=LANGUAGE, **reading)
    by_word = {**controls, str(MODEL): embed_words_in_context(words, MODEL, **reading)}
    cleaning = {"confounds": confounds, "splits": FOLDS, "high_pass_s": HIGH_PASS_S}
    spaces = clean_spaces(in_volumes(by_word, recording, response=RESPONSE), recording, **cleaning)
    cleaned = remove_nuisance(recording, recording, standardize=True, **cleaning)
    result = evaluate(
        RidgeCV(folds=FOLDS),
        align(spaces, cleaned),
        splits=FOLDS,
        metric=pearson,
        ceiling=choose_ceiling(cleaned),
        inference=CircularShift(n_permutations),
        rng=seed,
    )
    page = write_report(result, out, title="NAME", question=__doc__, model=str(MODEL), controls=list(controls))
    save_unit(stamp(result, {"subject": subject}, {"model": str(MODEL), "layer": str(LAYER)}), out / "result.nc")
    print(result.summary(), page, sep="\n")
