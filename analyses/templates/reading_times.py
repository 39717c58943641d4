"""NAME: whether surprisal slows reading beyond length, position, frequency, and the word before."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold

from neuroling import MixedModel, Stimuli, align, align_table, estimate, evaluate, load_language_model, pearson
from neuroling.data import read_table, read_text
from neuroling.evaluation import save_unit, stamp
from neuroling.features import fit_ngram, predictors_in_reading, standardized
from neuroling.report import write_report

HERE = Path(__file__).parent
READING = HERE / "sample/reading.csv"  # one row per reader and word; every word of a sentence
WORD, ITEM, POSITION = "word", "item", "position"  # columns: the word, its sentence, its place in it
TIME, PARTICIPANT = "rt_ms", "participant"  # columns: reading time in ms, who
LANGUAGE_MODEL = None  # folder with a causal model for surprisal; None: trigrams of CORPUS
CORPUS = HERE / "sample/corpus.txt"  # one sentence per line, none of them an item
LANGUAGE = None  # such as "en" for word frequencies; needs pip install neuroling[frequency]
SPILLOVER = 1  # words before each word whose predictors stand beside its own
SHORTEST_MS, LONGEST_MS = 80.0, 3000.0  # times outside are excluded
LOG = True  # whether logarithms of times are analysed


def main(
    out: Annotated[Path, typer.Option(help="Folder for results and report.html.")] = HERE / "results",
    n_folds: Annotated[int, typer.Option(help="Folds of whole sentences.")] = 5,
) -> None:
    """Describe every word, fit a mixed model, predict held-out sentences, and write the report."""
    rows = read_table(READING, [WORD, ITEM, POSITION, PARTICIPANT], numbers=[TIME])
    if LANGUAGE_MODEL is None:
        language_model = fit_ngram(Stimuli.from_texts(list(dict.fromkeys(read_text(CORPUS).splitlines()))))
    else:
        language_model = load_language_model(LANGUAGE_MODEL)
    columns = {"text_column": WORD, "item_column": ITEM, "position_column": POSITION}
    found = predictors_in_reading(rows, language_model, **columns, frequency=LANGUAGE, spillover=SPILLOVER)
    complete, in_range = found.notna().all(axis=1), rows[TIME].between(SHORTEST_MS, LONGEST_MS)
    kept = complete & in_range
    times = np.log(rows.loc[kept, TIME]) if LOG else rows.loc[kept, TIME]
    table = rows[kept].assign(**standardized(found[kept]), time=times)
    table.attrs.update(rows.attrs)
    data = align_table(table, "time", list(found), labels=[PARTICIPANT, ITEM], group=ITEM)
    effects = estimate(MixedModel(list(found), {PARTICIPANT: ["1", "surprisal"], ITEM: ["1"]}), data)
    controls = [name for name in found if not name.startswith("surprisal")]
    spaces = {"controls": data.x.sel(feature=controls), "controls + surprisal": data.x}
    options = {"metric": pearson.pooled(), "allow_leakage": "a few numbers per word, which several words share"}
    held_out = evaluate(LinearRegression(), align(spaces, data.y), splits=GroupKFold(n_folds), **options)
    unit = "log ms" if LOG else "ms"
    results = {f"Effects in {unit} per standard deviation": effects, "Held-out sentences": held_out}
    notes = [
        f"Excluded: {int((~complete).sum())} words without {SPILLOVER} before them, {int((~in_range).sum())} times."
    ]
    names = {"model": "controls + surprisal", "controls": ["controls"], "notes": notes}
    page = write_report(results, out, title="NAME", question=__doc__, **names)
    save_unit(stamp(effects, {}, {}), out / "result.nc")
    print(effects.summary(), held_out.summary(), page, sep="\n")
