"""BERT from scratch on one's own text: masked or left to right, with or without next-sentence prediction."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

import numpy as np
import torch
from numpy import ndarray
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroling.core.characters import with_blanks
from neuroling.lm.checkpoints import latest_checkpoint
from neuroling.lm.corpora import Corpus
from neuroling.lm.masking import NOT_ASKED, Masking, mask_tokens, next_tokens
from neuroling.lm.training import Recipe, Watch, seeded, train

if TYPE_CHECKING:
    from transformers import BertConfig, BertForPreTraining, PreTrainedTokenizerFast

logger = logging.getLogger(__name__)


class Size(NamedTuple):
    """Size of a BERT model; the feed-forward layers have four times as many units as the others.

    Attributes
    ----------
    layers : int
        Number of Transformer layers.
    width : int
        Units per layer.
    heads : int
        Attention heads per layer.

    Examples
    --------
    >>> Size(layers=2, width=128, heads=2).width
    128
    """

    layers: int
    width: int
    heads: int


SIZES = {
    "tiny": Size(2, 128, 2),  # Turc et al. (2019)
    "mini": Size(4, 256, 4),
    "small": Size(4, 512, 8),
    "medium": Size(8, 512, 8),
    "base": Size(12, 768, 12),  # Devlin et al. (2019)
    "large": Size(24, 1024, 16),
}
"""Published sizes by name."""

DRAWS = 100
"""Sentences drawn in search of one that does not follow, before all of them are looked through."""


@dataclass(frozen=True)
class Pretraining:
    """What a model is taught.

    Attributes
    ----------
    masking : Masking
        Tokens to be guessed; not used from left to right.
    left_to_right : bool
        Every token sees those before it only, and predicts the next.
    next_sentence : bool
        Say too whether the second sentence follows the first in its document (half do; the others are drawn from
        another document, or from the rest of the corpus where it is a single document). Without it the second sentence
        always follows.
    """

    masking: Masking = field(default_factory=Masking)
    left_to_right: bool = False
    next_sentence: bool = True


def bert_config(
    size: str | Size,
    *,
    vocabulary: int,
    max_length: int = 512,
    dropout: float = 0.1,
    left_to_right: bool = False,
    pad_id: int = 0,
) -> BertConfig:
    """Describe a BERT.

    Parameters
    ----------
    size : str or Size
        A name in :data:`SIZES`, or one's own.
    vocabulary : int
        Tokens.
    max_length : int
        Positions.
    dropout : float
        Share of units and of attention weights silenced in training.
    left_to_right : bool
        Tokens see only those before them.
    pad_id : int
        Number of the filler.

    Returns
    -------
    transformers.BertConfig

    Examples
    --------
    >>> config = bert_config("base", vocabulary=30522)
    >>> config.num_hidden_layers, config.hidden_size, config.num_attention_heads
    (12, 768, 12)
    """
    from transformers import BertConfig

    if isinstance(size, str) and size not in SIZES:
        raise ValueError(f"size: got {size!r}; expected one of {', '.join(SIZES)}, or a Size of your own.")
    layers, width, heads = SIZES[size] if isinstance(size, str) else size
    if width % heads:
        raise ValueError(f"size: width {width} is no multiple of the {heads} heads.")
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=max_length,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        is_decoder=left_to_right,
        use_cache=False,
        pad_token_id=pad_id,
    )


@dataclass(frozen=True)
class Tokens:
    """A tokenised corpus.

    Attributes
    ----------
    ids, words : list of numpy.ndarray, (token,)
        Tokens of every sentence, and the word of the sentence that each belongs to.
    document : numpy.ndarray, (sentence,)
        Number of its document.
    special : tuple of int
        Numbers of filler, start, separator and mask.
    ordinary : numpy.ndarray, (token,)
        All other tokens of the vocabulary.
    max_length : int
        Longest sequence, special tokens included.
    """

    ids: list[NDArray[np.int64]]
    words: list[NDArray[np.int64]]
    document: NDArray[np.int64]
    special: tuple[int, int, int, int]
    ordinary: NDArray[np.int64]
    max_length: int

    def __len__(self) -> int:
        return len(self.ids)


def tokenize(
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerFast,
    *,
    max_length: int = 128,
    long: Literal["error", "truncate", "split"] = "error",
) -> Tokens:
    """Turn sentences into tokens.

    Parameters
    ----------
    corpus : Corpus
        Sentences.
    tokenizer : transformers.PreTrainedTokenizerFast
        With a mask token.
    max_length : int
        Longest sequence, the three special tokens of a pair included.
    long : {"error", "truncate", "split"}
        What becomes of a sentence that is longer: it is refused, cut off, or read as several that follow each other,
        parted between words where a word is not longer than a sequence itself.

    Returns
    -------
    Tokens
        One entry a sentence, or a part of one.

    Raises
    ------
    ValueError
        If sentences are too long and ``long`` is ``"error"``, or the tokenizer has no mask or finds nothing.
    """
    if tokenizer.mask_token_id is None or tokenizer.cls_token_id is None or tokenizer.sep_token_id is None:
        raise ValueError("tokenizer: lacks a mask, start or separator token; expected one as train_wordpiece makes.")
    read = tokenizer(
        [with_blanks(sentence) for sentence in corpus.sentences],
        add_special_tokens=False,
        return_attention_mask=False,
        split_special_tokens=True,  # what a person wrote is text, even "[MASK]"
        verbose=False,
    )
    ids = [np.array(row, dtype=np.int64) for row in read["input_ids"]]
    words = [np.array(read.word_ids(row), dtype=np.int64) for row in range(len(ids))]
    nothing = [number for number, row in enumerate(ids) if not len(row)]
    if nothing:
        raise ValueError(f"corpus: {len(nothing)} sentences have no tokens, first at {nothing[:5]}; remove them.")
    max_sentence = max_length - 3
    if max_sentence < 1:
        raise ValueError(f"max_length: got {max_length}; expected at least 4, three of them for special tokens.")
    too_long = [number for number, row in enumerate(ids) if len(row) > max_sentence]
    if too_long and long == "error":
        raise ValueError(
            f"corpus: {len(too_long)} sentences have more than {max_sentence} tokens (first at {too_long[:5]}, the "
            f"longest has {max(map(len, ids))}), and sequences may have {max_length}. Raise max_length, or pass "
            "long='split' or long='truncate'."
        )
    if too_long and long == "truncate":
        logger.warning("%d of %d sentences are cut to %d tokens.", len(too_long), len(ids), max_sentence)
    special = (tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id)
    ordinary = np.setdiff1d(np.arange(len(tokenizer)), tokenizer.all_special_ids)
    document = np.repeat(np.arange(len(corpus.documents)), [len(one) for one in corpus.documents])
    slices_of_rows = [_parts(row, max_sentence) if long == "split" else [slice(0, max_sentence)] for row in words]
    return Tokens(
        [row[part] for row, chosen in zip(ids, slices_of_rows, strict=True) for part in chosen],
        [row[part] - row[part.start] for row, chosen in zip(words, slices_of_rows, strict=True) for part in chosen],
        np.repeat(document, [len(chosen) for chosen in slices_of_rows]),
        special,
        ordinary,
        max_length,
    )


def _parts(words: NDArray[np.int64], max_sentence: int) -> list[slice]:
    """Part a sentence between words into stretches that fit; a word that does not fit is parted itself."""
    slices, start = [], 0
    while start < len(words):
        stop = min(start + max_sentence, len(words))
        if stop < len(words):
            first = int(np.searchsorted(words, words[stop]))  # of the word that would be torn
            stop = first if first > start else stop
        slices.append(slice(start, stop))
        start = stop
    return slices


def draw_batch(
    tokens: Tokens, plan: Pretraining, rows: NDArray[np.int64], rng: np.random.Generator
) -> dict[str, Tensor]:
    """Make the sequences of a batch: ``[CLS] first [SEP] second [SEP]``.

    A first sentence that is the last of its document stands alone, and nothing is asked about its second; nor is it
    where the corpus has no sentence that does not follow, or the first sentence leaves no token for a second. Second
    sentences are cut to what still fits. A sentence that does not follow is never the first one itself, nor one that,
    once cut, reads as the next does.

    Parameters
    ----------
    tokens : Tokens
        The corpus.
    plan : Pretraining
        What is asked.
    rows : numpy.ndarray, (text,)
        Numbers of the first sentences.
    rng : numpy.random.Generator
        Draws other sentences and masks.

    Returns
    -------
    dict of torch.Tensor, (text, place)
        ``input_ids``, ``token_type_ids``, ``attention_mask``, ``labels``; and ``follows`` (text,), 0 if the second
        sentence follows, 1 if not, -100 if it is not asked.
    """
    seconds, follows = _seconds(tokens, plan, rows, rng)
    sequences = [_sequence(tokens, first, second) for first, second in zip(rows.tolist(), seconds, strict=True)]
    width = max(len(ids) for ids, _, _ in sequences)
    fillers = (tokens.special[0], -1, 0)
    ids, words, segments = (
        np.stack(
            [np.pad(sequence[part], (0, width - len(sequence[part])), constant_values=filler) for sequence in sequences]
        )
        for part, filler in enumerate(fillers)
    )  # each (text, place)
    attention = np.stack([np.arange(width) < len(sequence[0]) for sequence in sequences]).astype(np.int64)
    if plan.left_to_right:
        read, labels = ids, next_tokens(ids, words)
    else:
        read, labels = mask_tokens(
            ids, words, plan.masking, mask_id=tokens.special[3], ordinary=tokens.ordinary, rng=rng
        )
    columns = {"input_ids": read, "token_type_ids": segments, "attention_mask": attention, "labels": labels}
    return {name: torch.as_tensor(sequence) for name, sequence in columns.items()} | {
        "follows": torch.as_tensor(follows)
    }


def _seconds(
    tokens: Tokens, plan: Pretraining, rows: NDArray[np.int64], rng: np.random.Generator
) -> tuple[list[int | None], NDArray[np.int64]]:
    """Choose the second sentences, and say whether they follow."""
    seconds: list[int | None] = []
    follows = np.full(len(rows), NOT_ASKED)
    for row, first in enumerate(rows.tolist()):
        swap, other = rng.random() < 0.5, int(rng.integers(len(tokens)))
        if not _has_next(tokens, first):
            seconds.append(None)
            continue
        unrelated = _unrelated(tokens, first, other, rng) if plan.next_sentence else None
        if unrelated is not None:
            follows[row] = int(swap)
        seconds.append(first + 1 if unrelated is None or not swap else unrelated)
    return seconds, follows


def _unrelated(tokens: Tokens, first: int, other: int, rng: np.random.Generator) -> int | None:
    """Give ``other``, or another draw, that does not follow ``first``; None if the corpus has no such sentence."""
    for _ in range(DRAWS):
        if _is_unrelated(tokens, first, other):
            return other
        other = int(rng.integers(len(tokens)))
    left = [row for row in range(len(tokens)) if _is_unrelated(tokens, first, row)]
    return int(rng.choice(left)) if left else None


def _is_unrelated(tokens: Tokens, first: int, other: int) -> bool:
    """Whether a sentence is of another document, or elsewhere in the only one, and reads otherwise than the next."""
    if tokens.document[-1] > 0:
        elsewhere = bool(tokens.document[other] != tokens.document[first])
    else:
        elsewhere = other not in (first, first + 1)
    n_left = _n_left(tokens, first)
    return elsewhere and not np.array_equal(tokens.ids[other][:n_left], tokens.ids[first + 1][:n_left])


def _has_next(tokens: Tokens, first: int) -> bool:
    """Whether another sentence of the document follows, and the sequence has room for it."""
    is_last = first + 1 == len(tokens) or tokens.document[first + 1] != tokens.document[first]
    return not is_last and _n_left(tokens, first) > 0


def _is_asked_about(tokens: Tokens, first: int) -> bool:
    return _has_next(tokens, first) and any(_is_unrelated(tokens, first, other) for other in range(len(tokens)))


def _n_left(tokens: Tokens, first: int) -> int:
    """Count the tokens that a second sentence may have beside a first one and three special tokens."""
    return max(tokens.max_length - 3 - len(tokens.ids[first]), 0)


def _sequence(tokens: Tokens, first: int, second: int | None) -> tuple[ndarray, ndarray, ndarray]:
    """Give tokens, words and segments of one sequence; every special token is word -1."""
    _, start, separator, _ = tokens.special
    pieces = [([start], [-1]), (tokens.ids[first], tokens.words[first]), ([separator], [-1])]
    length = 2 + len(tokens.ids[first])
    if second is not None:
        n_left = _n_left(tokens, first)
        behind = tokens.words[first][-1] + 1  # words of the pair are numbered on
        pieces += [(tokens.ids[second][:n_left], tokens.words[second][:n_left] + behind), ([separator], [-1])]
    ids, words = (np.concatenate([part[kind] for part in pieces]) for kind in (0, 1))
    return ids, words, (np.arange(len(ids)) >= length).astype(np.int64)


@dataclass(frozen=True)
class PretrainingLoss:
    """Cross-entropies of hidden (or next) tokens and of whether a sentence follows, each a mean of its own, added."""

    def counts(self, batch: Mapping[str, Tensor]) -> dict[str, int]:
        """Count what is asked.

        Parameters
        ----------
        batch : mapping of torch.Tensor
            As from :func:`draw_batch`.
        """
        return {
            "tokens": int((batch["labels"] != NOT_ASKED).sum()),
            "follows": int((batch["follows"] != NOT_ASKED).sum()),
        }

    def sums(self, model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add up both losses; logits are made only where a token is asked for.

        Parameters
        ----------
        model : transformers.BertForPreTraining
            The model.
        batch : mapping of torch.Tensor
            As from :func:`draw_batch`.
        """
        body, heads = cast("nn.Module", model.bert), cast("nn.Module", model.cls)
        states = body(**{name: batch[name] for name in ("input_ids", "token_type_ids", "attention_mask")})
        chosen = batch["labels"] != NOT_ASKED  # (text, place)
        logits = cast("nn.Module", heads.predictions)(states.last_hidden_state[chosen])  # (asked, token)
        total = nn.functional.cross_entropy(logits.float(), batch["labels"][chosen], reduction="sum")
        losses = {"tokens": total}
        if (batch["follows"] != NOT_ASKED).any():
            follows = cast("nn.Module", heads.seq_relationship)(states.pooler_output)  # (text, 2)
            losses["follows"] = nn.functional.cross_entropy(
                follows.float(), batch["follows"], ignore_index=NOT_ASKED, reduction="sum"
            )
        return losses


# More than eight parameters: model, texts, tokenizer and recipe, and where checkpoints are kept.
def pretrain(
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerFast,
    plan: Pretraining,
    recipe: Recipe,
    *,
    size: str | Size = "tiny",
    max_length: int = 128,
    dropout: float = 0.1,
    long: Literal["error", "truncate", "split"] = "error",
    folder: Path | None = None,
    watch: Watch | None = None,
    device: str = "auto",
) -> tuple[BertForPreTraining, dict[str, NDArray[np.float64]]]:
    """Train a BERT from random weights; go on from the last checkpoint if the folder has one.

    Every checkpoint is a folder that ``load_encoder`` and transformers read as it is, tokenizer included.

    Parameters
    ----------
    corpus : Corpus
        Text.
    tokenizer : transformers.PreTrainedTokenizerFast
        For example from :func:`~neuroling.lm.wordpiece.train_wordpiece`.
    plan : Pretraining
        What is taught.
    recipe : Recipe
        How.
    size : str or Size
        As for :func:`bert_config`.
    max_length : int
        Positions.
    dropout : float
        As for :func:`bert_config`.
    long : {"error", "truncate", "split"}
        As for :func:`tokenize`.
    folder : pathlib.Path, optional
        Where checkpoints go.
    watch : callable, optional
        Called after every step.
    device : str
        As for ``resolve_device``.

    Returns
    -------
    tuple of transformers.BertForPreTraining and dict of numpy.ndarray
        The model in evaluation mode, and curves by step: ``tokens``, ``follows`` (nats; NaN at steps that ask nothing
        about second sentences), ``learning_rate``.

    Raises
    ------
    ValueError
        As for :func:`tokenize`, and if next sentences are asked for and the corpus has none to ask about.
    """
    from transformers import BertForPreTraining

    tokens = tokenize(corpus, tokenizer, max_length=max_length, long=long)
    if plan.next_sentence and not any(_is_asked_about(tokens, first) for first in range(len(tokens))):
        raise ValueError(
            f"plan: asks for next sentences, but none of the corpus's {len(tokens)} sentences has one that can be told "
            f"from others ({len(corpus.documents)} documents). Put the sentences of a document in one, a blank line "
            "after the last, or teach without: next_sentence=False."
        )
    if plan.next_sentence and len(corpus.documents) == 1:
        logger.warning(
            "The corpus is a single document: sentences that do not follow are drawn from it too. Blank lines between "
            "documents would let them come from others."
        )
    config = bert_config(
        size,
        vocabulary=len(tokenizer),
        max_length=max_length,
        dropout=dropout,
        left_to_right=plan.left_to_right,
        pad_id=tokens.special[0],
    )
    model = cast("BertForPreTraining", seeded(recipe.seed, lambda: BertForPreTraining(config)))
    configuration = {
        "size": list(SIZES[size] if isinstance(size, str) else size),
        "max_length": max_length,
        "dropout": dropout,
    }
    curves = train(
        model,
        partial(draw_batch, tokens, plan),
        len(tokens),
        PretrainingLoss(),
        recipe,
        folder=folder,
        describe=partial(_describe, config, tokenizer),
        configuration={
            **configuration,
            "plan": asdict(plan),
            "text": corpus.fingerprint,
            "vocabulary": _fingerprint(tokenizer),
        },
        watch=watch,
        device=device,
    )
    return model, curves


def _fingerprint(tokenizer: PreTrainedTokenizerFast) -> str:
    """SHA-256 of all pieces and their numbers: a run that goes on with other numbers would learn nonsense."""
    return hashlib.sha256(json.dumps(tokenizer.get_vocab(), sort_keys=True).encode()).hexdigest()


def _describe(config: BertConfig, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    config.architectures = ["BertForPreTraining"]
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


class Held(NamedTuple):
    """What a model makes of text that it has not seen.

    ``loss`` (nats), ``perplexity`` and ``accuracy`` are over the tokens that are asked for; ``follows`` is the share of
    right answers about second sentences, NaN if that is not asked.
    """

    loss: float
    perplexity: float
    accuracy: float
    follows: float


@torch.no_grad()
def assess(
    model: BertForPreTraining,
    tokens: Tokens,
    plan: Pretraining,
    *,
    rng: int | np.random.Generator = 0,
    batch_size: int = 64,
) -> Held:
    """Ask a model about held-out text.

    Parameters
    ----------
    model : transformers.BertForPreTraining
        Trained.
    tokens : Tokens
        Held-out text.
    plan : Pretraining
        What is asked. Only losses under the same plan can be compared.
    rng : int or numpy.random.Generator
        Masks and pairs.
    batch_size : int
        Sequences at once.

    Returns
    -------
    Held
    """
    generator = np.random.default_rng(rng)
    model.train(False)
    total = right = n_asked = follows_right = follows_asked = 0.0
    for start in range(0, len(tokens), batch_size):
        rows = np.arange(start, min(start + batch_size, len(tokens)))
        batch = {name: one.to(model.device) for name, one in draw_batch(tokens, plan, rows, generator).items()}
        states = model.bert(**{name: batch[name] for name in ("input_ids", "token_type_ids", "attention_mask")})
        chosen = batch["labels"] != NOT_ASKED
        logits, truth = model.cls.predictions(states.last_hidden_state[chosen]).float(), batch["labels"][chosen]
        total += float(nn.functional.cross_entropy(logits, truth, reduction="sum"))
        right += float((logits.argmax(1) == truth).sum())
        n_asked += len(truth)
        is_judged = batch["follows"] != NOT_ASKED
        follows_right += float(
            (model.cls.seq_relationship(states.pooler_output).argmax(1) == batch["follows"])[is_judged].sum()
        )
        follows_asked += float(is_judged.sum())
    loss = total / n_asked
    return Held(loss, float(np.exp(loss)), right / n_asked, follows_right / follows_asked if follows_asked else np.nan)


def unigram_loss(
    learnt: Tokens,
    held: Tokens,
    plan: Pretraining,
    *,
    rng: int | np.random.Generator = 0,
    batch_size: int = 64,
) -> float:
    r"""Say what guessing by frequency alone costs on the very tokens that :func:`assess` asks for.

    :math:`-\frac{1}{n} \sum_i \log p(w_i)` with :math:`p(w) = (c_w + 1) / \sum_v (c_v + 1)`, where :math:`c` counts
    tokens of the text that was learnt from. A model that is no better has learnt no context.

    Parameters
    ----------
    learnt, held : Tokens
        Text that is counted, and text that is asked about.
    plan, rng, batch_size
        As for :func:`assess`; with equal ones the same tokens are asked for.

    Returns
    -------
    float
        Nats a token.

    Raises
    ------
    ValueError
        If the two were made by tokenizers of different sizes.
    """
    if not np.array_equal(learnt.ordinary, held.ordinary):
        raise ValueError(
            f"learnt, held: {len(learnt.ordinary)} and {len(held.ordinary)} ordinary tokens; expected one tokenizer."
        )
    generator = np.random.default_rng(rng)
    counts = np.bincount(np.concatenate(learnt.ids), minlength=int(learnt.ordinary.max()) + 1) + 1.0
    nats = -np.log(counts / counts.sum())
    token_ids = []
    for start in range(0, len(held), batch_size):
        rows = np.arange(start, min(start + batch_size, len(held)))
        labels = draw_batch(held, plan, rows, generator)["labels"].numpy()
        token_ids.append(nats[labels[labels != NOT_ASKED]])
    return float(np.concatenate(token_ids).mean())


def last_model(run: Path) -> Path:
    """Find the folder of a run's last checkpoint.

    Parameters
    ----------
    run : pathlib.Path
        Folder that :func:`pretrain` wrote to.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    checkpoint = latest_checkpoint(run)
    if checkpoint is None:
        raise FileNotFoundError(f"{run}: no checkpoint; expected folders named step-00000100 and so on.")
    return checkpoint
