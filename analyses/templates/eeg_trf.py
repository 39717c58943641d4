"""NAME: whether a language model predicts continuous EEG of a participant who listens, beyond its controls."""

from pathlib import Path
from typing import Annotated

import typer
from sklearn.decomposition import PCA

from neuroling import TRF, CircularShift, ContiguousFolds, align, evaluate, pearson
from neuroling.data import channel_positions, from_raw, read_raw, read_words
from neuroling.encoding import in_samples, lags_between
from neuroling.evaluation import choose_ceiling, join_spaces, save_unit, stamp
from neuroling.features import embed_words_in_context, word_controls
from neuroling.report import plot_kernels, write_report

HERE = Path(__file__).parent
EEG = HERE / "sample/eeg/sub-{subject}_task-story_raw.fif"  # any format of MNE: .fif, .vhdr, .set, .edf, .bdf
WORDS = HERE / "sample/words.csv"  # or a TextGrid; onsets in seconds from the beginning of the recording
TEXT_COLUMN = "word"  # column, or tier of a TextGrid, that holds the words
SUBJECT = "01"
BAND_HZ, RATE_HZ = (0.5, 15.0), 50.0  # filter, and samples a second after it
MODEL, LAYER, WINDOW = "minilm", -1, 40  # or a folder with a model; layer; words of context
N_COMPONENTS = 4  # principal components of the model's vectors
LAGS_S, GAP_S = (-0.1, 0.7), 2.0  # seconds after word onset; seconds between training and test, longer than the lags
LANGUAGE = None  # such as "en" for word frequencies; needs pip install neuroling[frequency]


def main(
    subject: Annotated[str, typer.Option(help="Participant, as in the name of the file.")] = SUBJECT,
    out: Annotated[Path, typer.Option(help="Folder for result.nc and report.html.")] = HERE / "results",
    n_permutations: Annotated[int, typer.Option(help="Circular shifts of the null.")] = 30,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> None:
    """Put words into the EEG, fit temporal response functions, compare with controls, and write the report."""
    words = read_words(WORDS, text_column=TEXT_COLUMN, tier=TEXT_COLUMN)
    raw = read_raw(Path(str(EEG).format(subject=subject))).filter(*BAND_HZ, verbose="error")
    recording = from_raw(raw.resample(RATE_HZ, verbose="error"))
    reading = {"layer": LAYER, "window": WINDOW, "stride": 20}
    by_word = word_controls(words, MODEL, frequency=LANGUAGE, **reading)
    controls = list(by_word)
    by_word[str(MODEL)] = embed_words_in_context(words, MODEL, **reading)
    for name, vectors in by_word.items():
        if vectors.sizes["feature"] > N_COMPONENTS:
            by_word[name] = words.features(PCA(N_COMPONENTS, random_state=seed).fit_transform(vectors))
    impulses = {name: series / series.std() for name, series in in_samples(by_word, recording).items()}
    rate = impulses["word rate"]
    spaces = {n: s if n == "word rate" else join_spaces({"rate": rate, n: s}) for n, s in impulses.items()}
    model, data = TRF(lags_between(*LAGS_S, RATE_HZ)), align(spaces, recording)
    splits, ceiling, shifts = (
        ContiguousFolds(5, gap=int(GAP_S * RATE_HZ)),
        choose_ceiling(recording),
        CircularShift(n_permutations),
    )
    result = evaluate(model, data, splits=splits, metric=pearson, ceiling=ceiling, inference=shifts, rng=seed)
    kernels = plot_kernels(model, data, str(MODEL), rate_hz=RATE_HZ, montage=channel_positions(raw))
    names = {"model": str(MODEL), "controls": controls, "figures": kernels}
    page = write_report(result, out, title="NAME", question=__doc__, **names)
    save_unit(stamp(result, {"subject": subject}, {"model": str(MODEL), "layer": str(LAYER)}), out / "result.nc")
    print(result.summary(), page, sep="\n")
