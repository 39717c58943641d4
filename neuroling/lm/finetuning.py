"""A pretrained model with a head of transformers on it, trained for one task: sentences, pairs, tags or spans."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroling.core.characters import with_blanks
from neuroling.lm.checkpoints import file_sha256
from neuroling.lm.masking import NOT_ASKED
from neuroling.lm.scores import score_answers, score_classes, score_ratings
from neuroling.lm.tasks import Sentences, Spans, Tagged, Task, refuse_one_class
from neuroling.lm.training import Recipe, Watch, seeded, train

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

logger = logging.getLogger(__name__)

LONGEST_ANSWER = 30
"""Tokens of the longest answer that is looked for, as in the published scripts for SQuAD."""


@dataclass(frozen=True)
class Windows:
    """Read passages that are longer than the model in windows, as the published scripts for SQuAD do.

    Every window holds the question and a stretch of the passage. A model is trained on all of them, to point at the
    first token where the answer is not whole; of the answers that it gives, that with the highest sum of scores counts.

    Attributes
    ----------
    shared : int
        Tokens of the passage that two neighbours share. An answer that has no more of them stands whole in one.
    """

    shared: int = 128  # as there


Long = Literal["error", "truncate"] | Windows


class Rows(NamedTuple):
    """An encoded task: columns of one array a row, the text of each, offsets (spans), words that have tokens (tags)."""

    columns: dict[str, list[NDArray[Any]]]
    texts: list[int]
    offsets: list[list[tuple[int, int]]] = []  # noqa: RUF012 - never changed
    words: list[NDArray[np.int64]] = []  # noqa: RUF012 - as above

    def batch(self, rows: NDArray[np.int64], pad_id: int) -> dict[str, Tensor]:
        """Put rows together, filled up to the longest.

        Parameters
        ----------
        rows : numpy.ndarray, (row,)
            Which.
        pad_id : int
            Filler of ``input_ids``.

        Returns
        -------
        dict of torch.Tensor
        """
        fillers = {"input_ids": pad_id, "labels": NOT_ASKED}
        batch = {}
        for name, column in self.columns.items():
            values = [torch.as_tensor(column[row]) for row in rows.tolist()]
            filler = fillers.get(name, 0)
            batch[name] = (
                torch.stack(values)
                if values[0].ndim == 0 or name == "span"
                else nn.utils.rnn.pad_sequence(values, batch_first=True, padding_value=filler)
            )
        return batch


def encode_task(task: Task, tokenizer: PreTrainedTokenizerFast, *, max_length: int, long: Long = "error") -> Rows:
    """Turn a task into tokens and labels.

    Parameters
    ----------
    task : Sentences, Tagged or Spans
        Labelled text.
    tokenizer : transformers.PreTrainedTokenizerFast
        Of the model.
    max_length : int
        Positions of the model, or fewer.
    long : {"error", "truncate"} or Windows
        What becomes of texts that have more tokens. Words and answers that are cut off count as wrong. Windows are for
        passages; one of them is a row.

    Returns
    -------
    Rows
        ``labels`` is one number a text; one a token for tags, at the first piece of every word; ``span`` holds first
        and last token of an answer, 0 and 0 where it was cut off or is not in the window.

    Raises
    ------
    ValueError
        If texts are too long, or questions leave a window no room for more than what it shares.
    """
    texts: tuple[Any, ...] = (task.words,) if isinstance(task, Tagged) else _sides(task)
    texts = tuple(_as_read(side) for side in texts)
    options = {
        "is_split_into_words": isinstance(task, Tagged),
        "return_offsets_mapping": isinstance(task, Spans),
        "split_special_tokens": True,  # what a person wrote is text, even "[SEP]"
    }
    read = tokenizer(*texts, verbose=False, **options)
    lengths = np.array([len(row) for row in read["input_ids"]])
    if lengths.max() > max_length:
        options |= _shortened(task, tokenizer, lengths, max_length, long)
        read = tokenizer(*texts, max_length=max_length, **options)
    names = [name for name in ("input_ids", "token_type_ids", "attention_mask") if name in read]
    columns = {name: [np.array(row) for row in read[name]] for name in names}
    row_of_window = list(read.get("overflow_to_sample_mapping", range(len(task))))
    if isinstance(task, Sentences):
        columns["labels"] = [np.asarray(label) for label in task.labels]
        return Rows(columns, row_of_window)
    if isinstance(task, Tagged):
        words = [read.word_ids(row) for row in range(len(task))]
        columns["labels"] = [_tags_of_pieces(a, b) for a, b in zip(words, task.tags, strict=True)]
        whole = [np.array(sorted({word for word in row if word is not None}), dtype=np.int64) for row in words]
        return Rows(columns, row_of_window, words=whole)
    sequences = [read.sequence_ids(row) for row in range(len(row_of_window))]
    offsets = [
        [span if side == 1 else (-1, -1) for span, side in zip(spans, sides, strict=True)]
        for spans, sides in zip(read["offset_mapping"], sequences, strict=True)
    ]
    columns["span"] = [
        _tokens_of_answer(spans, *_ends_of_answer(task, text))
        for spans, text in zip(offsets, row_of_window, strict=True)
    ]
    return Rows(columns, row_of_window, offsets)


def _shortened(
    task: Task, tokenizer: PreTrainedTokenizerFast, lengths: NDArray[np.int64], max_length: int, long: Long
) -> dict[str, Any]:
    """Say how the tokenizer is to shorten texts, or refuse to."""
    too_long = np.flatnonzero(lengths > max_length)
    complaint = (
        f"{len(too_long)} of {len(lengths)} texts have more than {max_length} tokens (first at "
        f"{too_long[:5].tolist()}, the longest has {lengths.max()})"
    )
    if long == "error":
        windows = "long=Windows(), " if isinstance(task, Spans) else ""
        raise ValueError(
            f"task: {complaint}, where a sequence may have {max_length}. Shorten them, raise max_length if the model "
            f"has more positions, or pass {windows}long='truncate'."
        )
    if not isinstance(long, Windows):
        logger.warning("%d of %d texts are cut to %d tokens.", len(too_long), len(lengths), max_length)
        return {"truncation": "only_second" if isinstance(task, Spans) else "longest_first"}
    if not isinstance(task, Spans):
        raise ValueError(  # noqa: TRY004 - what is wrong is the pair of them
            f"long: got {long} and {type(task).__name__}, of which {complaint}; only passages are read in windows."
        )
    questions = tokenizer(_as_read(task.questions), add_special_tokens=False, split_special_tokens=True, verbose=False)[
        "input_ids"
    ]
    longest = max(map(len, questions))
    max_passage = max_length - longest - tokenizer.num_special_tokens_to_add(pair=True)
    if not 0 <= long.shared < max_passage:
        raise ValueError(
            f"long: windows share {long.shared} tokens, and beside the longest question ({longest} tokens) "
            f"{max(0, max_passage)} of the {max_length} are left for a passage; expected fewer shared ones, and "
            "at least 0."
        )
    return {"truncation": "only_second", "stride": long.shared, "return_overflowing_tokens": True}


def _as_read(texts: Sequence[Any]) -> list[Any]:
    """Give texts, or lists of words, with blanks in place of control characters that are white space."""
    return [with_blanks(text) if isinstance(text, str) else [with_blanks(word) for word in text] for text in texts]


def _sides(task: Sentences | Spans) -> tuple[tuple[str, ...], ...]:
    if isinstance(task, Spans):
        return task.questions, task.passages
    return (task.first,) if task.second is None else (task.first, task.second)


def _tags_of_pieces(words: list[int | None], tags: tuple[int, ...]) -> NDArray[np.int64]:
    """Label the first piece of every word."""
    before = [None, *words[:-1]]
    return np.array(
        [NOT_ASKED if word is None or word == last else tags[word] for word, last in zip(words, before, strict=True)]
    )


def _ends_of_answer(task: Spans, text: int) -> tuple[int, int]:
    """Say where the first answer begins and ends, without blanks around it, which no token covers."""
    answer = task.answers[text][0]
    start = task.starts[text] + len(answer) - len(answer.lstrip())
    return start, start + len(answer.strip())


def _tokens_of_answer(offsets: list[tuple[int, int]], start: int, end: int) -> NDArray[np.int64]:
    inside = [place for place, (a, b) in enumerate(offsets) if a >= 0 and a < end and b > start]
    whole = inside and offsets[inside[0]][0] <= start and offsets[inside[-1]][1] >= end
    return np.array([inside[0], inside[-1]] if whole else [0, 0])


@dataclass(frozen=True)
class TaskLoss:
    """Cross-entropy of classes, tags or span ends; squared error of ratings.

    Attributes
    ----------
    ratings : bool
        Whether labels are ratings.
    """

    ratings: bool = False

    def counts(self, batch: Mapping[str, Tensor]) -> dict[str, int]:
        """Count predictions.

        Parameters
        ----------
        batch : mapping of torch.Tensor
            As from :meth:`Rows.batch`.
        """
        asked = batch["span"] if "span" in batch else batch["labels"]
        return {"loss": asked.numel() if self.ratings else int((asked != NOT_ASKED).sum())}

    def sums(self, model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add up the loss.

        Parameters
        ----------
        model : torch.nn.Module
            With a head.
        batch : mapping of torch.Tensor
            As from :meth:`Rows.batch`.
        """
        outputs = model(**_inputs(batch))
        if "span" in batch:
            logits = torch.stack([outputs.start_logits, outputs.end_logits], dim=1)  # (text, end, token)
            logits, targets = logits.flatten(0, 1), batch["span"].flatten()
        else:
            logits, targets = outputs.logits, batch["labels"]
        if self.ratings:
            return {"loss": ((logits.float().squeeze(1) - targets.float()) ** 2).sum()}
        loss = nn.functional.cross_entropy(
            logits.float().flatten(0, -2), targets.flatten(), ignore_index=NOT_ASKED, reduction="sum"
        )
        return {"loss": loss}


def _inputs(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: one for name, one in batch.items() if name in ("input_ids", "token_type_ids", "attention_mask")}


class Finetuned(NamedTuple):
    """A model for one task, its tokenizer, longest sequence, and the curve of its loss by step."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    max_length: int
    curves: dict[str, NDArray[np.float64]]


# More than eight parameters: model, task, data and recipe, and where checkpoints are kept.
def finetune(
    base: Path,
    task: Task,
    recipe: Recipe,
    *,
    folder: Path | None = None,
    max_length: int | None = None,
    long: Long = "error",
    untrained: bool = False,
    frozen: bool = False,
    watch: Watch | None = None,
    device: str = "auto",
) -> Finetuned:
    """Put a head on a pretrained model and train all of it, or the head alone.

    Parameters
    ----------
    base : pathlib.Path
        Folder with configuration, tokenizer and safetensors weights, such as a checkpoint of ``pretrain``.
    task : Sentences, Tagged or Spans
        Training set.
    recipe : Recipe
        How; 2e-5 to 5e-5 and 2 to 4 passes are the published range for BERT.
    folder : pathlib.Path, optional
        Where checkpoints go.
    max_length : int, optional
        Fewer positions than the model has.
    long : {"error", "truncate"} or Windows
        As for :func:`encode_task`.
    untrained : bool
        Begin with random weights: a control.
    frozen : bool
        Train the head alone, so that the score says what the states of the model hold already. Heads need a higher
        rate than whole models, such as 1e-2.
    watch : callable, optional
        Called after every step.
    device : str
        As for ``resolve_device``.

    Returns
    -------
    Finetuned

    Raises
    ------
    ValueError
        For one class, texts that are too long, or a loss that is not finite.
    """
    from transformers import AutoConfig, AutoTokenizer

    refuse_one_class(task)
    with _quiet():
        tokenizer = cast(
            "PreTrainedTokenizerFast",
            AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False),
        )
        config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
        config.num_labels, config.use_cache = task.n_outputs, False
        model = cast("PreTrainedModel", seeded(recipe.seed, partial(_with_head, base, config, task, untrained)))
    refuse_other_vocabulary(base, tokenizer, config)
    if frozen:
        model.base_model.requires_grad_(False)
    positions = int(config.max_position_embeddings)
    limit = min(positions, tokenizer.model_max_length) if max_length is None else min(max_length, positions)
    rows = encode_task(task, tokenizer, max_length=limit, long=long)
    pad_id = int(tokenizer.pad_token_id or 0)
    weights = [file_sha256(path) for path in sorted(base.glob("*.safetensors"))]
    curves = train(
        model,
        lambda places, _: rows.batch(places, pad_id),
        len(rows.texts),
        TaskLoss(isinstance(task, Sentences) and task.names is None),
        recipe,
        folder=folder,
        describe=partial(_describe, config, tokenizer),
        configuration={
            "task": type(task).__name__,
            "outputs": task.n_outputs,
            "base": weights,
            "untrained": untrained,
            "frozen": frozen,
            "max_length": limit,
        },
        watch=watch,
        device=device,
    )
    return Finetuned(model, tokenizer, limit, curves)


def refuse_other_vocabulary(base: Path, tokenizer: PreTrainedTokenizerFast, config: Any) -> None:
    """Refuse a folder whose tokenizer has more tokens than its model.

    Parameters
    ----------
    base : pathlib.Path
        The folder, for the message.
    tokenizer : transformers.PreTrainedTokenizerFast
        Its tokenizer.
    config : transformers.PretrainedConfig
        Its configuration.

    Raises
    ------
    ValueError
        With both numbers.
    """
    if len(tokenizer) > config.vocab_size:
        raise ValueError(
            f"base: the tokenizer in {base} has {len(tokenizer)} tokens and the model {config.vocab_size}; they do not "
            "belong together. Copy both from the same model."
        )


def _with_head(base: Path, config: Any, task: Task, untrained: bool) -> nn.Module:
    from transformers import (
        AutoModelForQuestionAnswering,
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
    )

    kinds: dict[type, Any] = {
        Sentences: AutoModelForSequenceClassification,
        Tagged: AutoModelForTokenClassification,
        Spans: AutoModelForQuestionAnswering,
    }
    kind = kinds[type(task)]
    if untrained:
        return cast("nn.Module", kind.from_config(config))
    return cast(
        "nn.Module",
        kind.from_pretrained(
            base,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
        ),
    )


def _describe(config: Any, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def answer(tuned: Finetuned, task: Task, *, long: Long = "error", batch_size: int = 32) -> list[Any]:
    """Let a fine-tuned model answer.

    Parameters
    ----------
    tuned : Finetuned
        From :func:`finetune`.
    task : Sentences, Tagged or Spans
        Of the same kind; its labels are not looked at.
    long : {"error", "truncate"} or Windows
        As for :func:`encode_task`.
    batch_size : int
        Texts at once.

    Returns
    -------
    list
        A text: a class or a rating; an array of classes, -1 for words that were cut off; or a stretch of the passage.
    """
    rows = encode_task(task, tuned.tokenizer, max_length=tuned.max_length, long=long)
    pad_id = int(tuned.tokenizer.pad_token_id or 0)
    lengths = np.array([len(row) for row in rows.columns["input_ids"]])
    order = np.argsort(-lengths, kind="stable")  # texts of about one length together
    answers: list[Any] = [None] * len(task)
    best = np.full(len(task), -np.inf)
    with torch.no_grad():
        for start in range(0, len(order), batch_size):
            batch_rows = order[start : start + batch_size]
            batch = {name: one.to(tuned.model.device) for name, one in rows.batch(batch_rows, pad_id).items()}
            outputs = tuned.model(**_inputs(batch))
            for row, example in enumerate(batch_rows.tolist()):
                text = rows.texts[example]
                if isinstance(task, Spans):
                    worth, (first, behind) = _best_span(rows, outputs, row, example)
                    if worth > best[text]:  # the best of all windows
                        best[text], answers[text] = worth, task.passages[text][first:behind]
                else:
                    answers[text] = _said(task, rows, outputs, row, example)
    return answers


def _said(task: Sentences | Tagged, rows: Rows, outputs: Any, row: int, example: int) -> Any:
    logits = outputs.logits[row].float().cpu().numpy()  # (token, class), (class,) or (1,)
    if isinstance(task, Sentences):
        return float(logits[0]) if task.names is None else int(logits.argmax())
    labels = rows.columns["labels"][example]
    said = np.full(len(task.tags[example]), -1)
    first = np.flatnonzero(labels != NOT_ASKED)  # first pieces, in the order of words
    said[rows.words[example]] = logits[first].argmax(1)
    return said


def _best_span(rows: Rows, outputs: Any, row: int, place: int) -> tuple[float, tuple[int, int]]:
    """Find the best answer in a row: its score, and where it begins and ends in the passage."""
    offsets = rows.offsets[place]
    inside = np.array([a >= 0 and b > a for a, b in offsets])
    starts, ends = (
        np.where(inside, logits[row, : len(offsets)].float().cpu().numpy(), -np.inf)
        for logits in (outputs.start_logits, outputs.end_logits)
    )
    worth = starts[:, None] + ends[None, :]  # (first token, last token)
    places = np.arange(len(offsets))
    span = places[None, :] - places[:, None]
    worth = np.where((span >= 0) & (span < LONGEST_ANSWER), worth, -np.inf)
    first, last = np.unravel_index(int(worth.argmax()), worth.shape)
    return float(worth[first, last]), (offsets[int(first)][0], offsets[int(last)][1])


def score(tuned: Finetuned, task: Task, *, long: Long = "error", batch_size: int = 32) -> dict[str, float]:
    """Score a fine-tuned model on a test set.

    Parameters
    ----------
    tuned : Finetuned
        From :func:`finetune`.
    task : Sentences, Tagged or Spans
        Test set.
    long, batch_size
        As for :func:`answer`.

    Returns
    -------
    dict of float
        ``accuracy``, ``f1``, ``matthews``; ``pearson``, ``spearman`` for ratings; ``exact``, ``f1`` for spans.
    """
    answers = answer(tuned, task, long=long, batch_size=batch_size)
    if isinstance(task, Spans):
        return score_answers(task.answers, answers)
    if isinstance(task, Tagged):
        truth = np.concatenate([np.asarray(row) for row in task.tags])
        return score_classes(truth, np.concatenate(answers), len(task.names))
    if task.names is None:
        return score_ratings(np.asarray(task.labels, dtype=np.float64), np.array(answers))
    return score_classes(np.asarray(task.labels, dtype=np.int64), np.array(answers), len(task.names))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what transformers reports about heads that are new, which they are meant to be."""
    from transformers.utils import logging as reports

    verbosity, bars = reports.get_verbosity(), reports.is_progress_bar_enabled()
    reports.set_verbosity(logging.ERROR)
    reports.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    try:
        yield
    finally:
        reports.set_verbosity(verbosity)
        if bars:
            reports.enable_progress_bar()  # type: ignore[no-untyped-call]  # as above
