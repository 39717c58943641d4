"""Sentence vectors: an encoder trained on pairs of sentences, as Sentence-BERT is (Reimers and Gurevych 2019)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, cross_entropy, normalize, pad

from neuroling.core.characters import readable_texts, with_blanks
from neuroling.lm.checkpoints import file_sha256
from neuroling.lm.finetuning import refuse_other_vocabulary
from neuroling.lm.training import Objective, Recipe, Watch, seeded, train
from neuroling.numerics.device import resolve_device

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

SIDES = ("first", "second")
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]
"""What sentence-transformers reads, as does ``extract_text_features(…, pool="model")``: states, mean, unit length."""


@dataclass(frozen=True)
class RatedPairs:
    """Pairs of sentences with how alike they are.

    Attributes
    ----------
    first, second : sequence of str
        The two sides.
    similarity : array-like of float, shape (pair,)
        From 0 to 1.

    Raises
    ------
    ValueError
        If there is no pair, sides differ in number, half of a pair is missing, or a rating is not from 0 to 1.
    """

    first: Sequence[str]
    second: Sequence[str]
    similarity: ArrayLike

    def __post_init__(self) -> None:
        rated = np.asarray(self.similarity, dtype=np.float64)
        sizes = (len(self.first), len(self.second), rated.size)
        if len(set(sizes)) > 1 or not len(self.first) or rated.ndim != 1:
            raise ValueError(
                f"pairs: {sizes[0]} first sentences, {sizes[1]} second and ratings of shape {rated.shape}; expected "
                "one of each a pair, and at least one pair."
            )
        for name in SIDES:
            column = list(getattr(self, name))
            blank = [
                row for row, text in enumerate(column) if text is None or (isinstance(text, str) and not text.strip())
            ]
            if blank:
                raise ValueError(
                    f"{name}: half of {len(blank)} pairs is missing, first in row {blank[0]}; leave them out."
                )
            object.__setattr__(self, name, readable_texts(name, column, stacklevel=4))
        if not (np.isfinite(rated).all() and rated.min() >= 0 and rated.max() <= 1):
            raise ValueError(
                f"similarity: from {rated.min():g} to {rated.max():g}; expected numbers from 0 to 1. Divide ratings by "
                "the highest that could be given."
            )
        object.__setattr__(self, "similarity", rated)

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True)
class Siamese:
    """Squared difference between the cosine of two vectors and their rating (the regression of Sentence-BERT)."""

    def counts(self, batch: Mapping[str, Tensor]) -> dict[str, int]:
        """Count the pairs.

        Parameters
        ----------
        batch : mapping of torch.Tensor
            As :func:`train_sentence_vectors` draws it.
        """
        return {"pairs": len(batch["similarity"])}

    def sums(self, model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add up over pairs.

        Parameters
        ----------
        model : torch.nn.Module
            The encoder.
        batch : mapping of torch.Tensor
            Its rows.
        """
        first, second = (encode_batch(model, batch, side) for side in SIDES)
        return {"pairs": (cosine_similarity(first, second) - batch["similarity"]).square().sum()}


@dataclass(frozen=True)
class Contrastive:
    r"""Every first sentence must find its second one among those of the whole batch.

    The cross-entropy of :math:`\mathrm{softmax}(\lambda \cos(a_i, b_j))` over :math:`j`: sentence-transformers' ranking
    loss with the other pairs as negatives. Pairs should mean the same. No negative of a first sentence is that
    sentence itself, nor any second sentence that the batch pairs it with, however often either stands there.

    Attributes
    ----------
    scale : float
        :math:`\lambda`, 20 as there.
    """

    scale: float = 20.0

    def counts(self, batch: Mapping[str, Tensor]) -> dict[str, int]:
        """Count the pairs.

        Parameters
        ----------
        batch : mapping of torch.Tensor
            As :func:`train_sentence_vectors` draws it.
        """
        return {"pairs": len(batch["similarity"])}

    def sums(self, model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add up over pairs.

        Parameters
        ----------
        model : torch.nn.Module
            The encoder.
        batch : mapping of torch.Tensor
            Its rows.
        """
        first, second = (normalize(encode_batch(model, batch, side)) for side in SIDES)
        own_row = torch.arange(len(first), device=first.device)
        known = _positives(batch) & (own_row[:, None] != own_row[None])  # (pair, pair)
        scores = (self.scale * first @ second.T).masked_fill(known, -torch.inf)
        return {"pairs": cross_entropy(scores, own_row, reduction="sum")}


def _positives(batch: Mapping[str, Tensor]) -> Tensor:
    """Say which second sentences mean the same as which first ones, as far as the batch shows, shape (pair, pair)."""
    first, second = (_masked_ids(batch, side) for side in SIDES)
    alike_first, alike_second = _equal_rows(first, first), _equal_rows(second, second)
    # the second sentence of any pair with the same first one, wherever it stands
    paired = alike_first.float() @ alike_second.float() > 0
    return paired | _equal_rows(first, second)


def _masked_ids(batch: Mapping[str, Tensor], side: str) -> Tensor:
    """Give token ids, -1 in place of fillers."""
    ids, mask = batch[f"{side}_ids"], batch.get(f"{side}_mask")
    return ids if mask is None else ids.masked_fill(mask == 0, -1)


def _equal_rows(rows: Tensor, other_rows: Tensor) -> Tensor:
    """Compare all rows of token ids with all others, shape (row, other); shorter ones are filled up with -1."""
    width = max(rows.shape[1], other_rows.shape[1])
    rows, other_rows = (pad(one, (0, width - one.shape[1]), value=-1) for one in (rows, other_rows))
    return (rows[:, None] == other_rows[None]).all(-1)


def encode_batch(model: nn.Module, batch: Mapping[str, Tensor], side: str) -> Tensor:
    """Average the last states of each sentence over its tokens, special ones included.

    Parameters
    ----------
    model : torch.nn.Module
        The encoder.
    batch : mapping of torch.Tensor
        With ``<side>_ids`` and ``<side>_mask``.
    side : {"first", "second"}
        Which.

    Returns
    -------
    torch.Tensor, shape (pair, unit)
    """
    mask = batch[f"{side}_mask"]
    states = model(input_ids=batch[f"{side}_ids"], attention_mask=mask).last_hidden_state
    share = mask[..., None].to(states.dtype)
    return cast("Tensor", (states * share).sum(1) / share.sum(1))


def train_sentence_vectors(
    base: Path,
    pairs: RatedPairs,
    objective: Objective,
    recipe: Recipe,
    *,
    folder: Path | None = None,
    max_length: int = 128,
    watch: Watch | None = None,
    device: str = "auto",
) -> tuple[PreTrainedModel, dict[str, NDArray[np.float64]]]:
    """Train all of a pretrained encoder on pairs of sentences.

    Parameters
    ----------
    base : pathlib.Path
        Folder with configuration, tokenizer and safetensors weights, such as a checkpoint of ``pretrain``.
    pairs : RatedPairs
        Training set.
    objective : Siamese or Contrastive
        What is to be made small.
    recipe : Recipe
        How; 2e-5 and one pass with a tenth as warm-up is what Sentence-BERT used. ``accumulate`` must be 1 for
        :class:`Contrastive`, which compares all pairs of a batch.
    folder : pathlib.Path, optional
        Where checkpoints go, each in the layout of sentence-transformers: ``load_encoder`` reads it, and
        ``extract_text_features(…, pool="model")`` pools as its files say.
    max_length : int
        Tokens of the longest sentence.
    watch : callable, optional
        Called after every step.
    device : str
        As for ``resolve_device``.

    Returns
    -------
    tuple of transformers.PreTrainedModel and dict of numpy.ndarray
        The encoder in evaluation mode, and curves by step.

    Raises
    ------
    ValueError
        For sentences that are too long, ratings that are all alike, batches without a negative, or a loss that is not
        finite.
    """
    from transformers import AutoTokenizer

    rated = np.asarray(pairs.similarity)
    if isinstance(objective, Contrastive) and (recipe.accumulate > 1 or min(recipe.batch_size, len(pairs)) < 2):
        raise ValueError(
            f"recipe: batches of {recipe.batch_size} in {recipe.accumulate} parts, of {len(pairs)} pairs; Contrastive "
            "compares all pairs of a batch, so expected at least two, in one part."
        )
    if isinstance(objective, Siamese) and np.ptp(rated) == 0:
        raise ValueError(
            f"similarity: all {len(pairs)} ratings are {rated[0]:g}; expected different ones to learn from."
        )
    tokenizer = cast(
        "PreTrainedTokenizerFast", AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    )
    model = cast("PreTrainedModel", seeded(recipe.seed, partial(_read, base)))
    refuse_other_vocabulary(base, tokenizer, model.config)
    limit = min(max_length, int(model.config.max_position_embeddings))
    columns = {side: _tokens(side, getattr(pairs, side), tokenizer, limit) for side in SIDES}
    curves = train(
        model,
        lambda rows, _: _batch(rows, columns, rated, int(tokenizer.pad_token_id or 0)),
        len(pairs),
        objective,
        recipe,
        folder=folder,
        describe=partial(_describe, model, tokenizer, limit),
        configuration={
            "objective": repr(objective),
            "base": [file_sha256(path) for path in sorted(base.glob("*.safetensors"))],
            "max_length": limit,
        },
        watch=watch,
        device=device,
    )
    return model, curves


@torch.no_grad()
def cosines_of_pairs(
    folder: Path,
    first: Sequence[str],
    second: Sequence[str],
    *,
    max_length: int = 128,
    batch_size: int = 64,
    device: str = "auto",
) -> NDArray[np.float64]:
    """Give the cosine of both sides of every pair, as :class:`Siamese` trains it.

    Parameters
    ----------
    folder : pathlib.Path
        A checkpoint of :func:`train_sentence_vectors`, or the model that it began with.
    first, second : sequence of str
        The two sides.
    max_length : int
        Tokens of the longest sentence; longer ones are refused.
    batch_size : int
        Pairs at once; those of about one length are read together.
    device : str
        As for ``resolve_device``.

    Returns
    -------
    numpy.ndarray, (pair,)
        From -1 to 1.

    Raises
    ------
    ValueError
        For sides of different numbers, half of a pair that is missing, or sentences that are too long.
    """
    from transformers import AutoTokenizer

    pairs = RatedPairs(first, second, np.zeros(len(first)))
    tokenizer = cast(
        "PreTrainedTokenizerFast", AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    )
    target = resolve_device(device)
    model = _read(folder).to(target).train(False)
    refuse_other_vocabulary(folder, tokenizer, cast("PreTrainedModel", model).config)
    limit = min(max_length, int(cast("PreTrainedModel", model).config.max_position_embeddings))
    columns = {side: _tokens(side, getattr(pairs, side), tokenizer, limit) for side in SIDES}
    longest = np.array([[len(ids) for ids in columns[side]] for side in SIDES]).max(0)
    order = np.argsort(-longest, kind="stable")
    cosines = np.empty(len(pairs))
    for start in range(0, len(pairs), batch_size):
        rows = order[start : start + batch_size]
        batch = _batch(rows, columns, np.asarray(pairs.similarity), int(tokenizer.pad_token_id or 0))
        batch = {name: column.to(target) for name, column in batch.items()}
        one, other = (encode_batch(model, batch, side) for side in SIDES)
        cosines[rows] = cosine_similarity(one, other).double().cpu().numpy()
    return cosines


def _read(base: Path) -> nn.Module:
    from transformers import AutoModel

    return cast(
        "nn.Module",
        AutoModel.from_pretrained(
            base, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
        ),
    )


def _tokens(side: str, texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, limit: int) -> list[NDArray[np.int64]]:
    read = tokenizer([with_blanks(text) for text in texts], split_special_tokens=True, verbose=False)["input_ids"]
    token_ids = [np.asarray(ids, dtype=np.int64) for ids in read]
    over = [row for row, ids in enumerate(token_ids) if len(ids) > limit]
    if over:
        raise ValueError(
            f"{side}: {len(over)} sentences are longer than {limit} tokens, first in row {over[0]} with "
            f"{len(token_ids[over[0]])}; raise max_length, or shorten them."
        )
    return token_ids


def _batch(
    rows: NDArray[np.int64], columns: Mapping[str, list[NDArray[np.int64]]], rated: NDArray[np.float64], pad_id: int
) -> dict[str, Tensor]:
    batch = {"similarity": torch.as_tensor(rated[rows], dtype=torch.float32)}
    for side, column in columns.items():
        values = [torch.as_tensor(column[row]) for row in rows.tolist()]
        longest = max(len(ids) for ids in values)
        batch[f"{side}_ids"] = torch.stack([pad(ids, (0, longest - len(ids)), value=pad_id) for ids in values])
        batch[f"{side}_mask"] = torch.stack([pad(torch.ones_like(ids), (0, longest - len(ids))) for ids in values])
    return batch


def _describe(model: Any, tokenizer: PreTrainedTokenizerFast, limit: int, folder: Path) -> None:
    model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    pooling = {"word_embedding_dimension": int(model.config.hidden_size), "pooling_mode_mean_tokens": True}
    modules = {
        Path("modules.json"): MODULES,
        Path("sentence_bert_config.json"): {"max_seq_length": limit, "do_lower_case": False},
        Path("1_Pooling") / "config.json": pooling,
    }
    for name, content in modules.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=1), encoding="utf-8")
