"""Brennan and Hale (2019): whether a language model predicts the EEG of a listener beyond words' rate and frequency.

Paper: PLoS ONE 14(1) e0207741; 45 people in the BIDS copy (NEMAR nm000180, CC BY 4.0), 2,129 words in 84 sentences. The
paper asks whether a context-free grammar explains EEG beyond n-grams and a recurrent network, all of them over parts of
speech; here temporal response functions of the same surprisals, of word frequency and sound, and of a language model's
vectors predict continuous EEG of held-out stretches, each beside the rate of words, on the same splits. Where
the files are absent the synthetic twin runs, in which one channel of three answers to the grammar's surprisal with a
negative wave at 400 ms.
"""

from pathlib import Path
from typing import Annotated

import typer
import xarray as xr
from sklearn.decomposition import PCA

from neuroling import TRF, CircularShift, ContiguousFolds, Result, align, evaluate, pearson
from neuroling.data import StoryRecording, alice_eeg, real_or_twin
from neuroling.encoding import in_samples, lags_between
from neuroling.evaluation import join_spaces, save_unit, stamp
from neuroling.features import embed_words_in_context, word_controls
from neuroling.report import compare_with_expected, write_report

EXPECTED = Path(__file__).parent / "expected" / "alice_eeg.json"
BAND_HZ, RATE_HZ = (0.5, 15.0), 50.0  # filter, and samples per second after it
LAGS_S, GAP_S = (-0.1, 0.8), 2.0  # seconds after word onset; seconds between training and test
CONTROLS = ("word rate", "length", "log_frequency", "sound_power")
SURPRISALS = ("pos_surprisal_ngram", "pos_surprisal_rnn", "pos_surprisal_cfg")


def main(
    subject: Annotated[str, typer.Option(help="Participant, such as sub-001.")] = "sub-001",
    out: Annotated[Path, typer.Option(help="Folder for result and report.")] = Path("results/alice_eeg"),
    model: Annotated[str, typer.Option(help="Language model, a folder with one, or none.")] = "minilm",
    layer: Annotated[int, typer.Option(help="Layer of the model, 0 to the last, or -1.")] = -1,
    n_components: Annotated[int, typer.Option(help="Principal components of the model's vectors.")] = 4,
    n_shifts: Annotated[int, typer.Option(help="Circular shifts of the recording.")] = 30,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> Result:
    """Put words into the EEG, fit temporal response functions, compare with controls, and report."""
    story = find_story(subject, seed)
    impulses = in_samples(describe_words(story, model, layer, n_components, seed), story.recording)
    scaled = {name: series / series.std() for name, series in impulses.items()}
    rate = scaled["word rate"]
    spaces = {n: s if n == "word rate" else join_spaces({"word rate": rate, n: s}) for n, s in scaled.items()}
    spaces["controls"] = join_spaces({name: scaled[name] for name in CONTROLS})
    spaces["controls + grammar"] = join_spaces({name: scaled[name] for name in (*CONTROLS, *SURPRISALS)})
    splits, trf = ContiguousFolds(5, gap=int(GAP_S * RATE_HZ)), TRF(lags_between(*LAGS_S, RATE_HZ))
    data, inference = align(spaces, story.recording), CircularShift(n_shifts)
    result = evaluate(trf, data, splits=splits, metric=pearson, inference=inference, rng=seed)
    result = stamp(result, {"subject": subject}, {"model": model, "layer": str(layer)})
    asked = model if model in spaces else "controls + grammar"
    controls = [name for name in spaces if name not in (asked, *SURPRISALS)]
    notes = [*story.excluded, *(f"{name}: {value}" for name, value in story.options.items())]
    names = {"model": asked, "controls": controls, "notes": notes}
    page = write_report(result, out, title="Alice in the EEG", question=__doc__.split("\n")[0], **names)
    save_unit(result, out / "result.nc")
    print(result.summary(), page, sep="\n")
    score = result.score.mean("split") if "split" in result.score.dims else result.score
    if result.provenance.synthetic:
        grammar = score.sel(model="pos_surprisal_cfg")
        compare_with_expected({"best r of grammar": float(grammar.max())}, EXPECTED)
    return result


def find_story(subject: str, seed: int) -> StoryRecording:
    """Read the EEG of a participant, or that of the twin."""
    options = {"subject": subject, "band_hz": BAND_HZ, "rate_hz": RATE_HZ}
    return real_or_twin(
        alice_eeg.NAME,
        lambda folder: alice_eeg.load(folder, **options),
        lambda: alice_eeg.twin(subject, seed),
        files=alice_eeg.needed_files(subject),
    )


def describe_words(
    story: StoryRecording, model: str, layer: int, n_components: int, seed: int
) -> dict[str, xr.DataArray]:
    """Give the controls, the surprisals of parts of speech, and the first components of the model's vectors."""
    words, table = story.words, story.words.table
    by_word = {name: space for name, space in word_controls(words).items() if name in CONTROLS}
    columns = ("log_frequency", "sound_power", *SURPRISALS)
    by_word |= {name: words.features(table[[name]].to_numpy(), [name]) for name in columns}
    if model != "none":
        vectors = embed_words_in_context(words, model, layer=layer, window=40, stride=20)
        by_word[model] = words.features(PCA(n_components, random_state=seed).fit_transform(vectors))
    return by_word
