"""``neuroling pretrain`` and ``neuroling finetune``: language models trained on one's own files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from neuroling.cli.command import say

if TYPE_CHECKING:
    from neuroling.lm.corpora import Corpus
    from neuroling.lm.tasks import Task
    from neuroling.lm.training import Recipe

RATED = ("jsts", "sts-b")
HIGHEST_RATING = 5.0  # of both

MODEL_FILES = ("config.json", "tokenizer.json", "*.safetensors")
"""What the folder of a model has to hold."""

STEPS_OF_WARMUP = 10
"""Warm-up takes one step in so many."""


def pretrain(
    texts: Annotated[
        list[Path],
        typer.Argument(metavar="TEXT...", help="Text files: one sentence per line, blank lines between documents."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run; an interrupted run continues.")],
    size: Annotated[str, typer.Option(help="Model size: tiny, mini, small, medium, base or large.")] = "tiny",
    vocabulary: Annotated[int, typer.Option(help="Vocabulary size in tokens, special tokens included.")] = 8000,
    cased: Annotated[bool, typer.Option("--cased", help="Preserve case and accents; needed for Japanese.")] = False,
    clean: Annotated[bool, typer.Option("--clean", help="Remove control characters instead of refusing them.")] = False,
    max_length: Annotated[int, typer.Option(help="Maximum sequence length in tokens.")] = 128,
    long: Annotated[str, typer.Option(help="Sentences longer than --max-length: error, truncate or split.")] = "error",
    ratio: Annotated[float, typer.Option(help="Proportion of tokens to predict.")] = 0.15,
    whole_words: Annotated[bool, typer.Option("--whole-words", help="Mask whole words.")] = False,
    next_sentence: Annotated[
        bool, typer.Option("--next-sentence/--no-next-sentence", help="Also train next-sentence prediction.")
    ] = True,
    left_to_right: Annotated[
        bool, typer.Option("--left-to-right", help="Predict the next token instead of masked tokens.")
    ] = False,
    steps: Annotated[int, typer.Option(min=1, help="Training steps.")] = 10_000,
    batch_size: Annotated[int, typer.Option(min=1, help="Sequences per step, over all processes.")] = 64,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 1e-4,
    accumulate: Annotated[
        int, typer.Option(min=1, help="Parts that each step is split into; more need less memory.")
    ] = 1,
    precision: Annotated[str, typer.Option(help="Precision: float32 or bfloat16.")] = "float32",
    save_every: Annotated[int, typer.Option(min=0, help="Steps between checkpoints; 0: only at the end.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    device: Annotated[str, typer.Option(help="Device: auto, cpu, cuda …; under torchrun, one per process.")] = "auto",
) -> None:
    """Train a BERT model from random weights; `extract --model` and `finetune` read its checkpoints.

    Parameters
    ----------
    texts : list of pathlib.Path
        UTF-8.
    out : pathlib.Path
        Folder of checkpoints.
    clean
        As in ``neuroling.lm.corpora``.
    size, vocabulary, cased, max_length, long, ratio, whole_words, next_sentence, left_to_right
        As in ``neuroling.lm.pretraining``.
    steps, batch_size, learning_rate, accumulate, precision, save_every, seed, device
        As in ``neuroling.lm.training``.
    """
    from neuroling.cli.option_names import renamed
    from neuroling.cli.unit_options import check_place
    from neuroling.lm import schedules
    from neuroling.lm.corpora import Corpus
    from neuroling.lm.masking import Masking
    from neuroling.lm.pretraining import Pretraining, last_model
    from neuroling.lm.pretraining import pretrain as run
    from neuroling.lm.training import Recipe
    from neuroling.lm.wordpiece import train_wordpiece

    if long not in ("error", "truncate", "split"):
        raise typer.BadParameter(f"got {long!r}; expected error, truncate or split.", param_hint="--long")
    check_place(out)
    corpora = [read_corpus(path, clean=clean) for path in texts]
    corpus = Corpus(tuple(document for one in corpora for document in one.documents))
    with renamed(size="vocabulary"):
        tokenizer = train_wordpiece(corpus.sentences, size=vocabulary, lowercase=not cased, max_length=max_length)
    recipe = Recipe(
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup_steps=steps // STEPS_OF_WARMUP,
        schedule=schedules.linear,
        accumulate=accumulate,
        precision=precision,  # type: ignore[arg-type]  # checked there
        seed=seed,
        save_every=save_every,
    )
    plan = Pretraining(Masking(ratio, whole_words=whole_words), left_to_right, next_sentence and not left_to_right)
    _, curves = run(
        corpus,
        tokenizer,
        plan,
        recipe,
        size=size,
        max_length=max_length,
        long=long,  # type: ignore[arg-type]  # one of the three
        folder=out,
        device=device,
    )
    say(f"{last_model(out)}: loss {curves['tokens'][0]:.3f} at step 1, {curves['tokens'][-1]:.3f} at {steps}")


def read_corpus(path: Path, *, clean: bool = False) -> Corpus:
    """Read a text, a sentence a line, and name the file and the option in what is wrong with it.

    Parameters
    ----------
    path : pathlib.Path
        UTF-8.
    clean : bool
        Take control characters out instead of refusing them.

    Returns
    -------
    Corpus

    Raises
    ------
    ValueError
        As for :func:`~neuroling.lm.corpora.parse_corpus`.
    """
    from neuroling.data.tables import read_text
    from neuroling.lm.corpora import parse_corpus

    text = read_text(path)
    try:
        return parse_corpus(text, clean=clean)
    except ValueError as error:
        raise ValueError(f"{path}: {error}".replace("say clean=True", "pass --clean")) from error


def finetune(
    layout: Annotated[
        str, typer.Argument(metavar="LAYOUT", help="File format: a GLUE task (sst-2 …), jsts, conllu or squad.")
    ],
    train: Annotated[Path, typer.Option(help="Training file.")],
    test: Annotated[Path, typer.Option(help="Labelled test file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run; an interrupted run continues.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Pretrained model: `minilm`, or a folder such as a checkpoint.")
    ] = "minilm",
    epochs: Annotated[float, typer.Option(min=0, help="Epochs: passes over the training file.")] = 3,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts per step.")] = 16,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 5e-5,
    accumulate: Annotated[
        int, typer.Option(min=1, help="Parts that each step is split into; more need less memory.")
    ] = 1,
    precision: Annotated[str, typer.Option(help="Precision: float32 or bfloat16.")] = "float32",
    long: Annotated[
        str, typer.Option(help="Texts longer than the model reads: error, truncate or, for squad, windows.")
    ] = "error",
    shared: Annotated[int, typer.Option(min=0, help="Overlap of neighbouring windows, in tokens.")] = 128,
    max_length: Annotated[
        int | None, typer.Option(help="Maximum sequence length in tokens. Default: the model's own.")
    ] = None,
    frozen: Annotated[
        bool, typer.Option("--frozen", help="Train the output layer alone; needs a higher learning rate.")
    ] = False,
    siamese: Annotated[
        bool, typer.Option("--siamese", help="Predict ratings of pairs by the cosine of their sentence vectors.")
    ] = False,
    first: Annotated[
        int | None, typer.Option(min=1, help="Number of training examples to use, from the first. Default: all.")
    ] = None,
    overlap: Annotated[
        int, typer.Option(min=0, help="Number of test texts allowed to occur in the training file.")
    ] = 0,
    untrained: Annotated[bool, typer.Option("--untrained", help="Start from random weights, as a control.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of output layer, order and dropout.")] = 0,
    device: Annotated[str, typer.Option(help="Device: auto, cpu, cuda …; under torchrun, one per process.")] = "auto",
) -> None:
    """Fine-tune a model to classify sentences, pairs, words or spans, and score it on a test file.

    Parameters
    ----------
    layout : str
        What both files look like.
    train, test : pathlib.Path
        Files.
    out : pathlib.Path
        Checkpoints, and ``scores.json``.
    model : str
        Where to begin.
    epochs, batch_size, learning_rate, accumulate, precision, long, max_length, frozen, first, untrained, seed, device
        As in ``neuroling.lm.finetuning``.
    shared : int
        Of ``--long windows``.
    siamese : bool
        Read both sentences of a rated pair apart, as in ``neuroling.lm.sentence_vectors``, instead of both at once;
        what the untrained cosine scores is told as well. Layouts ``jsts`` and ``sts-b``.
    overlap : int
        How many test texts may have been trained on; more are refused.
    """
    from neuroling.cli.unit_options import check_place
    from neuroling.core.files import write_whole
    from neuroling.lm import schedules
    from neuroling.lm.corpora import refuse_overlap
    from neuroling.lm.finetuning import Windows, score
    from neuroling.lm.finetuning import finetune as run
    from neuroling.lm.training import Recipe

    if siamese and (layout not in RATED or frozen or untrained or long != "error"):
        raise typer.BadParameter(
            f"is for {' and '.join(RATED)}, trains whole models and cuts no sentence; got {layout}, frozen {frozen}, "
            f"untrained {untrained}, long {long}.",
            param_hint="--siamese",
        )
    if long == "windows" and layout != "squad":
        raise typer.BadParameter(f"windows are for passages (squad); got {layout}.", param_hint="--long")
    how = Windows(shared) if long == "windows" else _check_long(long)
    check_place(out)
    learnt, tested = read_tasks(layout, train, test)
    learnt = learnt.head(first) if first is not None else learnt
    refuse_overlap(learnt.texts, tested.texts, allowed=overlap)
    steps = max(1, round(epochs * len(learnt) / batch_size))
    recipe = Recipe(
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup_steps=steps // STEPS_OF_WARMUP,
        schedule=schedules.linear,
        accumulate=accumulate,
        precision=precision,  # type: ignore[arg-type]  # checked there
        seed=seed,
    )
    if siamese:
        scores = _rate_by_vectors(_folder(model), learnt, tested, recipe, out, max_length, device)
    else:
        tuned = run(
            _folder(model),
            learnt,
            recipe,
            folder=out,
            max_length=max_length,
            long=how,
            untrained=untrained,
            frozen=frozen,
            device=device,
        )
        scores = score(tuned, tested, long=how)
    told = {"layout": layout, "train": len(learnt), "test": len(tested), "model": model, "untrained": untrained}
    told |= {"frozen": frozen, "siamese": siamese, **recipe.described()}
    write_whole(out / "scores.json", json.dumps(told | {"scores": scores}, indent=1).encode())
    say(f"{len(tested):,} test texts: " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))


def read_tasks(layout: str, *paths: Path) -> list[Task]:
    """Read files of one layout; tags are numbered alike in all of them.

    Parameters
    ----------
    layout : str
        Name of a task of GLUE, ``jsts``, ``conllu`` or ``squad``.
    *paths : pathlib.Path
        Files.

    Returns
    -------
    list of Sentences, Tagged or Spans

    Raises
    ------
    ValueError
        For an unknown layout, or a file that is not of it.
    """
    from neuroling.data.loaders.ud_english_ewt import read_conllu
    from neuroling.data.tables import read_text
    from neuroling.lm.tasks import GLUE, Tagged, parse_glue, parse_jsts, parse_squad

    if layout == "conllu":
        banks = [read_conllu(path) for path in paths]
        names = sorted({row[1] for bank in banks for sentence in bank for row in sentence.rows})
        columns = [[[[row[n] for row in one.rows] for one in bank] for n in (0, 1)] for bank in banks]
        return [Tagged.of(words, tags, names) for words, tags in columns]
    if layout == "jsts":
        return [parse_jsts(read_text(path), what=str(path)) for path in paths]
    if layout == "squad":
        return [parse_squad(read_text(path), what=str(path)) for path in paths]
    if layout not in GLUE:
        raise ValueError(f"layout: got {layout!r}; expected jsts, conllu, squad or one of {', '.join(GLUE)}.")
    return [parse_glue(read_text(path), GLUE[layout], what=str(path)) for path in paths]


def _rate_by_vectors(
    base: Path, learnt: Task, tested: Task, recipe: Recipe, out: Path, max_length: int | None, device: str
) -> dict[str, float]:
    """Train cosines on rated pairs; give what they score after and before."""
    import numpy as np

    from neuroling.lm.pretraining import last_model
    from neuroling.lm.scores import score_ratings
    from neuroling.lm.sentence_vectors import RatedPairs, Siamese, cosines_of_pairs, train_sentence_vectors
    from neuroling.lm.tasks import Sentences

    if not (isinstance(learnt, Sentences) and isinstance(tested, Sentences)):
        raise TypeError(f"layout: {type(learnt).__name__} are no rated pairs.")
    pairs, held = (
        RatedPairs(one.first, one.second or (), np.asarray(one.labels) / HIGHEST_RATING) for one in (learnt, tested)
    )
    limit = max_length or 512
    train_sentence_vectors(base, pairs, Siamese(), recipe, folder=out, max_length=limit, device=device)
    scores: dict[str, float] = {}
    for name, folder in (("", last_model(out)), (" before", base)):
        said = cosines_of_pairs(folder, held.first, held.second, max_length=limit, device=device)
        scores |= {f"{key}{name}": value for key, value in score_ratings(np.asarray(tested.labels), said).items()}
    return scores


def _check_long(long: str) -> Literal["error", "truncate"]:
    if long not in ("error", "truncate"):
        raise typer.BadParameter(f"got {long!r}; expected error, truncate or windows.", param_hint="--long")
    return long  # type: ignore[return-value]  # one of the two


def _folder(model: str) -> Path:
    """Find the folder of a model by name."""
    from neuroling.features.transformer.encoder import load_encoder

    if model != "minilm" and not Path(model).is_dir():
        raise FileNotFoundError(f"model: {model!r} is no folder; expected one, or minilm.")
    lacking = [] if model == "minilm" else [name for name in MODEL_FILES if not any(Path(model).glob(name))]
    if lacking:
        raise ValueError(
            f"model: the folder {model} has no {' and no '.join(lacking)}; expected a model that was saved by "
            "save_pretrained, or a checkpoint."
        )
    folder = load_encoder("minilm", device="cpu").folder if model == "minilm" else Path(model)
    if folder is None:
        raise FileNotFoundError("model: minilm lies in no folder.")
    return folder
