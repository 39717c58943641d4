"""``neuroling pretrain`` and ``neuroling finetune``: language models trained on one's own files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from neuroling.lm.tasks import Task

STEPS_OF_WARMUP = 10
"""Warm-up takes one step in so many."""


def pretrain(
    texts: Annotated[
        list[Path], typer.Argument(metavar="TEXT...", help="A sentence a line, blank lines between documents.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run; an interrupted one goes on.")],
    size: Annotated[str, typer.Option(help="tiny, mini, small, medium, base or large.")] = "tiny",
    vocabulary: Annotated[int, typer.Option(help="Pieces of words, special tokens included.")] = 8000,
    cased: Annotated[bool, typer.Option("--cased", help="Keep case and accents; needed for Japanese.")] = False,
    max_length: Annotated[int, typer.Option(help="Positions.")] = 128,
    long: Annotated[str, typer.Option(help="Sentences too long: error or truncate.")] = "error",
    ratio: Annotated[float, typer.Option(help="Share of tokens to be guessed.")] = 0.15,
    whole_words: Annotated[bool, typer.Option("--whole-words", help="Hide whole words.")] = False,
    next_sentence: Annotated[bool, typer.Option("--next-sentence/--no-next-sentence", help="Second task.")] = True,
    left_to_right: Annotated[bool, typer.Option("--left-to-right", help="Predict the next token instead.")] = False,
    steps: Annotated[int, typer.Option(help="Steps.")] = 10_000,
    batch_size: Annotated[int, typer.Option(help="Sequences a step, over all processes.")] = 64,
    learning_rate: Annotated[float, typer.Option(help="Highest.")] = 1e-4,
    accumulate: Annotated[int, typer.Option(help="Parts of a step; more need less memory.")] = 1,
    precision: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    save_every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of everything.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda …; one a process under torchrun.")] = "auto",
) -> None:
    """Train a BERT from random weights; every checkpoint can be given to `extract --model` and `finetune`.

    Parameters
    ----------
    texts : list of pathlib.Path
        UTF-8.
    out : pathlib.Path
        Folder of checkpoints.
    size, vocabulary, cased, max_length, long, ratio, whole_words, next_sentence, left_to_right
        As in ``neuroling.lm.pretraining``.
    steps, batch_size, learning_rate, accumulate, precision, save_every, seed, device
        As in ``neuroling.lm.training``.
    """
    from neuroling.data.tables import read_text
    from neuroling.lm import schedules
    from neuroling.lm.corpora import Corpus, parse_corpus
    from neuroling.lm.masking import Masking
    from neuroling.lm.pretraining import Pretraining, last_model
    from neuroling.lm.pretraining import pretrain as run
    from neuroling.lm.training import Recipe
    from neuroling.lm.wordpiece import train_wordpiece

    _check_long(long)
    corpus = Corpus.of(document for path in texts for document in parse_corpus(read_text(path)).documents)
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
        long=long,  # type: ignore[arg-type]  # checked above
        folder=out,
        device=device,
    )
    typer.echo(f"{last_model(out)}: loss {curves['tokens'][0]:.3f} at step 1, {curves['tokens'][-1]:.3f} at {steps}")


def finetune(
    layout: Annotated[str, typer.Argument(metavar="LAYOUT", help="A task of GLUE (sst-2 …), jsts, conllu or squad.")],
    train: Annotated[Path, typer.Option(help="Training file.")],
    test: Annotated[Path, typer.Option(help="Test file, with labels.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run; an interrupted one goes on.")],
    model: Annotated[str, typer.Option("--model", "-m", help="`minilm`, or a folder such as a checkpoint.")] = "minilm",
    epochs: Annotated[float, typer.Option(help="Passes over the training file.")] = 3,
    batch_size: Annotated[int, typer.Option(help="Texts a step.")] = 16,
    learning_rate: Annotated[float, typer.Option(help="Highest.")] = 5e-5,
    accumulate: Annotated[int, typer.Option(help="Parts of a step; more need less memory.")] = 1,
    precision: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    long: Annotated[str, typer.Option(help="Texts too long: error or truncate.")] = "error",
    max_length: Annotated[int | None, typer.Option(help="Fewer positions than the model has.")] = None,
    first: Annotated[int | None, typer.Option(help="Train on the first so many only.")] = None,
    overlap: Annotated[int, typer.Option(help="Test texts that may stand in the training file too.")] = 0,
    untrained: Annotated[bool, typer.Option("--untrained", help="Begin with random weights: a control.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of head, order and dropout.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda …; one a process under torchrun.")] = "auto",
) -> None:
    """Fine-tune a model for sentences, pairs, tags or spans, and score it on a test file.

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
    epochs, batch_size, learning_rate, accumulate, precision, long, max_length, first, untrained, seed, device
        As in ``neuroling.lm.finetuning``.
    overlap : int
        How many test texts may have been trained on; more are refused.
    """
    from neuroling.core.files import write_whole
    from neuroling.lm import schedules
    from neuroling.lm.corpora import refuse_overlap
    from neuroling.lm.finetuning import finetune as run
    from neuroling.lm.finetuning import score
    from neuroling.lm.training import Recipe

    _check_long(long)
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
    tuned = run(
        _folder(model),
        learnt,
        recipe,
        folder=out,
        max_length=max_length,
        long=long,  # type: ignore[arg-type]  # checked above
        untrained=untrained,
        device=device,
    )
    scores = score(tuned, tested, long=long)  # type: ignore[arg-type]  # checked above
    told = {"layout": layout, "train": len(learnt), "test": len(tested), "steps": steps, "model": model, "seed": seed}
    write_whole(out / "scores.json", json.dumps(told | {"scores": scores}, indent=1).encode())
    typer.echo(f"{len(tested):,} test texts: " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))


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


def _check_long(long: str) -> None:
    if long not in ("error", "truncate"):
        raise typer.BadParameter(f"got {long!r}; expected error or truncate.", param_hint="--long")


def _folder(model: str) -> Path:
    """Find the folder of a model by name."""
    from neuroling.features.encoder import load_encoder

    if model != "minilm" and not Path(model).is_dir():
        raise FileNotFoundError(f"model: {model!r} is no folder; expected one, or minilm.")
    folder = load_encoder("minilm", device="cpu").folder if model == "minilm" else Path(model)
    if folder is None:
        raise FileNotFoundError("model: minilm lies in no folder.")
    return folder
