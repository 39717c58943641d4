"""NAME: whether surprisal and distance in meaning predict single-trial amplitudes beyond their controls."""

from pathlib import Path
from typing import Annotated

import typer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold

import neuroling as nl
from neuroling.data import read_table, read_text
from neuroling.evaluation import save_unit, stamp
from neuroling.features import fit_ngram, predictors_in_context, standardized
from neuroling.report import write_report

HERE = Path(__file__).parent
TRIALS = HERE / "sample/trials.csv"  # one row per trial
WORD, CONTEXT = "word", "context"  # columns: the word, and the words before it
AMPLITUDE, PARTICIPANT, ITEM = "n400", "participant", "item"  # columns: µV, who, which sentence
LANGUAGE_MODEL = None  # folder with a causal model for surprisal; None: trigrams of CORPUS
CORPUS = HERE / "sample/corpus.txt"  # one sentence per line, none of them an item
MODEL = "minilm"  # distance between word and context; or a folder with a model
LANGUAGE = None  # such as "en" for word frequencies; needs pip install neuroling[frequency]
ASKED = ("surprisal", "distance")  # predictors that the study is about; all others are controls


def main(
    out: Annotated[Path, typer.Option(help="Folder for results and report.html.")] = HERE / "results",
    n_folds: Annotated[int, typer.Option(help="Folds of whole items.")] = 5,
) -> None:
    """Describe words in context, fit a mixed model, predict held-out items, and write the report."""
    trials = read_table(TRIALS, [WORD, CONTEXT, PARTICIPANT, ITEM], numbers=[AMPLITUDE])
    if LANGUAGE_MODEL is None:
        language_model = fit_ngram(nl.Stimuli.from_texts(list(dict.fromkeys(read_text(CORPUS).splitlines()))))
    else:
        language_model = nl.load_language_model(LANGUAGE_MODEL)
    columns = {"text_column": WORD, "context_column": CONTEXT, "frequency": LANGUAGE}
    found = predictors_in_context(trials, language_model, encoder=nl.load_encoder(MODEL), **columns)
    varying = [name for name in found if found[name].nunique() > 1]
    table = trials.assign(**standardized(found[varying]))
    table.attrs.update(trials.attrs)
    data = nl.align_table(table, AMPLITUDE, varying, labels=[PARTICIPANT, ITEM], group=ITEM)
    asked = [name for name in varying if name in ASKED]
    effects = nl.estimate(nl.MixedModel(varying, {PARTICIPANT: ["1", *asked], ITEM: ["1"]}), data)
    controls = [name for name in varying if name not in ASKED]
    sets = {"controls": controls, **{f"controls + {name}": [*controls, name] for name in asked}}
    spaces = {name: data.x.sel(feature=columns) for name, columns in sets.items() if columns}
    options = {"metric": nl.pearson.pooled(), "allow_leakage": "a few numbers per word, which several words share"}
    held_out = nl.evaluate(LinearRegression(), nl.align(spaces, data.y), splits=GroupKFold(n_folds), **options)
    results = {"Effects in µV per standard deviation": effects, "Held-out items": held_out}
    notes = [f"The same for all words, and left out: {[name for name in found if name not in varying] or 'nothing'}."]
    names = {"model": f"controls + {asked[0]}", "controls": ["controls"], "notes": notes}
    page = write_report(results, out, title="NAME", question=__doc__, **names)
    save_unit(stamp(effects, {}, {"model": str(MODEL)}), out / "result.nc")
    print(effects.summary(), held_out.summary(), page, sep="\n")
