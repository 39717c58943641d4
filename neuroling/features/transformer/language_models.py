"""Language models with their heads: what is predicted at a place, and what each piece of a word costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.features.transformer.devices import require_evaluation
from neuroling.features.transformer.encoder import Encoder, Precision, load_parts, ordinary_ids
from neuroling.features.transformer.forward import no_cache, pack_inputs, reads_ahead
from neuroling.features.transformer.hidden_states import plan_packs, serving
from neuroling.features.transformer.out_of_memory import in_halves
from neuroling.features.transformer.packed_attention import Layout, packed
from neuroling.features.transformer.tokenizer_fit import warn_of_other_language
from neuroling.features.words.alignment import Passage, RunningText, tokenise
from neuroling.features.words.context import Context, Stretch, Whole
from neuroling.features.words.text_checks import is_mark

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HEAD_TOKENS = 1024
"""Tokens of a pack; a distribution over the vocabulary at each of them takes 200 MB for 50,000 words in float32."""

UNFINISHED = "\ufffd"
"""What stands for a piece that is a part of a character."""

BEGINS_WORD = ("Ġ", "▁")
"""Marks of a blank at the beginning of a piece, in byte-level and in SentencePiece vocabularies."""


@dataclass(frozen=True)
class Scores:
    """What a language model says about words.

    Attributes
    ----------
    nats : ndarray of float, shape (word,)
        Minus the natural logarithm of the probability of each word; NaN where nothing predicts it.
    entropy : ndarray of float, shape (word,)
        Entropy of what is predicted at the beginning of each word, in nats.
    top : list of list of (str, float)
        The likeliest predictions there, with their probabilities, where asked for.
    notes : dict
        What is said about the result.
    """

    nats: NDArray[np.float64]
    entropy: NDArray[np.float64]
    top: list[list[tuple[str, float]]]
    notes: dict[str, str | int]


class ScoresWords(Protocol):
    """Anything that can say how surprising words are: causal, masked and n-gram models."""

    def score(self, words: Stimuli, *, top: int = 0) -> Scores:
        """Score words in their groups.

        Parameters
        ----------
        words : Stimuli
            One row a word.
        top : int
            How many predictions to list for each word.

        Returns
        -------
        Scores
        """
        ...

    def provenance(self) -> dict[str, str]:
        """Say what the model is.

        Returns
        -------
        dict of str
        """
        ...


@dataclass(frozen=True)
class _Query:
    """A sequence, and places in it where the prediction is wanted."""

    ids: NDArray[np.int64]
    places: NDArray[np.intp]
    targets: NDArray[np.int64]
    slots: NDArray[np.intp]  # which piece each of them is

    def and_also(self, places: NDArray[np.intp], slots: NDArray[np.intp]) -> _Query:
        """Ask at further places, where no target is wanted."""
        return _Query(
            self.ids,
            np.concatenate([self.places, places]),
            np.concatenate([self.targets, np.zeros(len(places), dtype=np.int64)]),
            np.concatenate([self.slots, slots]),
        )


@dataclass(frozen=True)
class _Pieces:
    """One entry a place: cost of the piece there, entropy, and how likely a word begins there, or ends before it."""

    nats: NDArray[np.float64]
    entropy: NDArray[np.float64]
    begins: NDArray[np.float64]
    ends: NDArray[np.float64]
    top: dict[int, list[tuple[str, float]]]


@dataclass(frozen=True)
class CausalModel:
    r"""A model that predicts each token from those before it.

    Attributes
    ----------
    encoder : Encoder
        Body and tokenizer.
    model : transformers.PreTrainedModel
        Body and head.
    context : Whole, Rolling or Overlapping
        What is read with each word.
    start : bool
        Whether a text begins with the token for the beginning of a text, where the tokenizer has one. Without it, the
        first word is predicted by nothing and gets NaN.
    boundary : bool
        Correct for tokenizers that put the blank in front of words: the probability that a word *ends* belongs to the
        word, not to the next one. :math:`p(w) = \prod_i p(t_i) \cdot p(\text{a word begins after } w) / p(\text{a word
        begins before } w)`. A word that begins the text, or follows something else than a blank, is not divided by
        anything; of one that something else than a blank follows, such as a full stop, any token that does not begin
        with a letter or digit is an end.

    References
    ----------
    Pimentel, T. and Meister, C. (2024). How to compute the probability of a word. EMNLP.
    """

    encoder: Encoder
    model: PreTrainedModel
    context: Context = Whole()  # noqa: RUF009 - frozen
    start: bool = True
    boundary: bool = False

    def score(self, words: Stimuli, *, top: int = 0) -> Scores:
        """Score words by the chain rule over their pieces.

        Parameters
        ----------
        words : Stimuli
            One row a word.
        top : int
            How many predicted tokens to list for each word.

        Returns
        -------
        Scores
        """
        passages, stretches = _read(self.encoder, words, self.context, len(self._prefix()))
        taken = [passage.pieces_of(stretch.first, stretch.behind) for passage, stretch in stretches]
        rows = np.concatenate([passage.rows[word] for (passage, _), (word, _) in zip(stretches, taken, strict=True)])
        queries, slot, end_slot = [], 0, len(rows)
        for (passage, stretch), (word, piece) in zip(stretches, taken, strict=True):
            ids = np.concatenate([self._prefix(), passage.ids[stretch.start : stretch.stop]]).astype(np.int64)
            position = piece - stretch.start + len(self._prefix())
            slots = np.arange(slot, slot + len(piece))
            predicted = position > 0
            queries.append(_Query(ids, position[predicted] - 1, ids[position[predicted]], slots[predicted]))
            slot += len(piece)
            if self.boundary:  # what follows the last piece of each word, whatever it is
                last = position[np.flatnonzero(np.append(word[1:] != word[:-1], True))]
                queries[-1] = queries[-1].and_also(last, np.arange(end_slot, end_slot + len(last)))
                end_slot += len(last)
        texts = [passage.text for passage in passages]
        marks = _marks(self.encoder, texts) if self.boundary else None
        pieces = _ask(self.encoder, self.model, queries, end_slot, first_slots(rows), top, marks)
        nats = np.full(len(words), np.nan)
        nats[np.unique(rows)] = np.add.reduceat(pieces.nats[: len(rows)], first_slots(rows))
        if self.boundary:
            nats[np.unique(rows)] += _boundary_terms(rows, pieces, texts)
        return _scores(words, rows, pieces, nats, passages)

    def _prefix(self) -> list[int]:
        prefix = self.encoder.affixes[0]
        begin = self.encoder.tokenizer.bos_token_id
        if not self.start:
            return []
        return prefix if prefix or begin is None else [int(begin)]

    def provenance(self) -> dict[str, str]:
        """Say which model this is and how it is used.

        Returns
        -------
        dict of str
        """
        how = f"start token {self.start}, boundary correction {self.boundary}, context {self.context}"
        return {"source": f"causal model {self.encoder.name} ({how})", **self.encoder.provenance()}


@dataclass(frozen=True)
class MaskedModel:
    """A model that predicts hidden tokens from both sides: pseudo-log-likelihood.

    Attributes
    ----------
    encoder : Encoder
        Body and tokenizer.
    model : transformers.PreTrainedModel
        Body and head.
    context : Whole, Rolling or Overlapping
        What is read with each word.
    within_word : bool
        Hide the later pieces of a word together with each piece, so that a word is not predicted from its own ending
        (Kauf and Ivanova 2023). Without it only the piece itself is hidden (Salazar et al. 2020).

    References
    ----------
    Salazar, J. et al. (2020). Masked language model scoring. ACL.
    Kauf, C. and Ivanova, A. (2023). A better way to do masked language model scoring. ACL.
    """

    encoder: Encoder
    model: PreTrainedModel
    context: Context = Whole()  # noqa: RUF009 - frozen
    within_word: bool = True

    def score(self, words: Stimuli, *, top: int = 0) -> Scores:
        """Score words by hiding their pieces one after the other.

        Parameters
        ----------
        words : Stimuli
            One row a word.
        top : int
            How many predicted tokens to list for each word.

        Returns
        -------
        Scores
        """
        before, behind = self.encoder.affixes
        passages, stretches = _read(self.encoder, words, self.context, len(before) + len(behind))
        queries: list[_Query] = []
        owner = []
        for passage, stretch in stretches:
            word, piece = passage.pieces_of(stretch.first, stretch.behind)
            ids = np.concatenate([before, passage.ids[stretch.start : stretch.stop], behind]).astype(np.int64)
            position = piece - stretch.start + len(before)
            for index in range(len(piece)):
                later = (
                    (word == word[index]) & (position >= position[index])
                    if self.within_word
                    else position == position[index]
                )
                hidden = ids.copy()
                hidden[position[later]] = self.encoder.tokenizer.mask_token_id
                here = position[index : index + 1]
                queries.append(_Query(hidden, here, ids[here], np.array([len(queries)])))
            owner.append(passage.rows[word])
        rows = np.concatenate(owner)
        pieces = _ask(self.encoder, self.model, queries, len(queries), first_slots(rows), top, None)
        nats = np.full(len(words), np.nan)
        nats[np.unique(rows)] = np.add.reduceat(pieces.nats, first_slots(rows))
        return _scores(words, rows, pieces, nats, passages)

    def provenance(self) -> dict[str, str]:
        """Say which model this is and how it is used.

        Returns
        -------
        dict of str
        """
        how = "within-word left-to-right" if self.within_word else "one piece hidden at a time"
        source = f"masked model {self.encoder.name} (pseudo-log-likelihood, {how}, context {self.context})"
        return {"source": source, **self.encoder.provenance()}


def load_language_model(
    name: str | Path,
    kind: Literal["causal", "masked"] = "causal",
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: Precision = "float32",
) -> CausalModel | MaskedModel:
    """Load a pretrained language model with its head.

    Parameters
    ----------
    name : str or Path
        A local folder, or a name on the hub. The packaged MiniLM has no language head;
        :func:`~neuroling.features.lexical.ngram.fit_ngram` serves without any pretrained model.
    kind : {"causal", "masked"}
        What the head predicts: the next token, or a hidden one.
    revision, device, dtype
        As in :func:`~neuroling.features.transformer.encoder.load_encoder`.

    Returns
    -------
    CausalModel or MaskedModel
        Options are set with :func:`dataclasses.replace`, as in ``replace(model, boundary=True)``.

    Raises
    ------
    ValueError
        If the files hold no head of this kind, or the tokenizer has no mask.
    """
    if kind not in ("causal", "masked"):
        raise ValueError(f"kind: got {kind!r}; expected 'causal' or 'masked'.")
    if name == "minilm":
        raise ValueError(
            "name: 'minilm' has no language head, so it predicts no words; pass a causal or masked model, or train one "
            "on your own text with fit_ngram."
        )
    encoder, model = load_parts(
        name, revision, device, dtype, lambda folder, precision: _read_with_head(folder, precision, kind)
    )
    if kind == "causal":
        if reads_ahead(encoder.model, ordinary_ids(encoder.tokenizer)):
            raise ValueError(
                f"kind: {encoder.name!r} ({model.config.model_type}) reads in both directions, so that a word would be "
                "predicted from itself; expected a model that reads forwards alone, or kind='masked'."
            )
        return CausalModel(encoder, model)
    if encoder.tokenizer.mask_token_id is None:
        raise ValueError(f"name: the tokenizer of {encoder.name} has no mask token; is it a causal model?")
    return MaskedModel(encoder, model)


def _read_with_head(folder: Path, dtype: torch.dtype, kind: str) -> tuple[PreTrainedModel, set[str]]:
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    auto = AutoModelForCausalLM if kind == "causal" else AutoModelForMaskedLM
    model, info = auto.from_pretrained(  # type: ignore[misc]  # a pair, because of output_loading_info
        folder,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        dtype=dtype,
        output_loading_info=True,
    )
    return model, set(info["missing_keys"])


def _read(
    encoder: Encoder, words: Stimuli, context: Context, n_special: int
) -> tuple[list[Passage], list[tuple[Passage, Stretch]]]:
    require_evaluation(encoder)
    passages = tokenise(encoder, words, stacklevel=5)
    texts = [passage.text.text for passage in passages]
    warn_of_other_language(encoder, [passage.ids for passage in passages], texts, stacklevel=5)
    room = encoder.max_tokens - n_special
    return passages, [(passage, stretch) for passage in passages for stretch in context.plan(passage, room)]


def first_slots(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Give the first of the neighbouring pieces of each word.

    Parameters
    ----------
    rows : ndarray of int, shape (piece,)
        Word of each piece, ascending.

    Returns
    -------
    ndarray of int, shape (word,)

    Examples
    --------
    >>> first_slots(np.array([0, 0, 1, 3])).tolist()
    [0, 2, 3]
    """
    return np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])


def _ask(
    encoder: Encoder,
    model: PreTrainedModel,
    queries: Sequence[_Query],
    n_slots: int,
    firsts: NDArray[np.intp],
    top: int,
    marks: tuple[torch.Tensor, torch.Tensor] | None,
) -> _Pieces:
    """Run the model over all sequences, and keep a few numbers of each distribution."""
    nats, entropy, word_begins, word_ends = np.full((4, n_slots), np.nan)
    pieces = _Pieces(nats, entropy, word_begins, word_ends, {})
    beginning = set(firsts.tolist())
    lengths = [len(query.ids) for query in queries]

    @torch.inference_mode()
    def ask(pack: NDArray[np.intp]) -> None:
        queries_of_pack = [queries[row] for row in pack]
        logits = _logits(encoder, model, queries_of_pack)  # (place, vocabulary)
        logs = logits.float().log_softmax(-1)
        targets = torch.as_tensor(np.concatenate([query.targets for query in queries_of_pack]), device=logs.device)
        slots = np.concatenate([query.slots for query in queries_of_pack])
        shares = logs.exp()
        pieces.nats[slots] = -logs.gather(1, targets[:, None])[:, 0].double().cpu().numpy()
        pieces.entropy[slots] = -(torch.xlogy(shares, shares)).sum(-1).double().cpu().numpy()
        for found, tokens in zip((pieces.begins, pieces.ends), marks or (), strict=False):
            found[slots] = shares[:, tokens.to(shares.device)].sum(-1).double().cpu().numpy()
        if top:
            pieces.top.update(_likeliest(encoder, shares, slots, beginning, top))

    with serving(encoder, model, lengths, HEAD_TOKENS):
        for pack in plan_packs(lengths, HEAD_TOKENS, encoder.passes.batching):
            for _ in in_halves(ask, pack, lengths, encoder.device):
                pass
    return pieces


def _likeliest(
    encoder: Encoder, shares: torch.Tensor, slots: NDArray[np.intp], beginning: set[int], top: int
) -> Iterator[tuple[int, list[tuple[str, float]]]]:
    best = shares.topk(min(top, shares.shape[1]))
    for row, slot in enumerate(slots.tolist()):
        if slot in beginning:
            tokens = [str(encoder.tokenizer.decode([int(token)])) for token in best.indices[row]]
            yield slot, list(zip(tokens, best.values[row].tolist(), strict=True))


def _logits(encoder: Encoder, model: PreTrainedModel, queries: Sequence[_Query]) -> torch.Tensor:
    """Give the predictions at the wanted places, shape (place, vocabulary); the head runs at no other place."""
    lengths = [len(query.ids) for query in queries]
    starts = np.cumsum([0, *lengths[:-1]])
    packed_positions = np.concatenate([start + query.places for start, query in zip(starts, queries, strict=True)])
    passes = encoder.passes
    longest = passes.longest_packed
    mixed = len(set(lengths)) > 1
    if mixed and (passes.batching != "packed" or (longest is not None and max(lengths) > longest)):
        return torch.cat([_logits(encoder, model, [query]) for query in queries])
    ids = [torch.as_tensor(query.ids) for query in queries]
    position_tensor = torch.as_tensor(packed_positions, device=encoder.device)
    if not mixed:
        return _head_output(model, position_tensor, torch.stack(ids).to(encoder.device))
    with packed(Layout.of(lengths)):
        positions = pack_inputs(passes, lengths, encoder.device)
        return _head_output(model, position_tensor, torch.cat(ids)[None].to(encoder.device), position_ids=positions)


def _head_output(
    model: PreTrainedModel, positions: torch.Tensor, ids: torch.Tensor, **inputs: torch.Tensor
) -> torch.Tensor:
    with _at_places(model, positions) as asked:
        logits: torch.Tensor = model(input_ids=ids, **inputs, **no_cache(model)).logits
    return logits[0] if asked else logits.reshape(-1, logits.shape[-1])[positions]


@contextmanager
def _at_places(model: PreTrainedModel, positions: torch.Tensor) -> Iterator[list[torch.Tensor]]:
    """Hand the last layer of the head the wanted places alone, as one row: it treats each of them by itself.

    What is yielded stays empty if that layer is never called, as in MobileBERT, whose head uses its weights alone.
    """
    outputs: list[torch.Tensor] = []

    def select(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        states = inputs[0]
        outputs.append(positions)
        return (states.reshape(-1, states.shape[-1])[positions][None],)  # (1, place, unit)

    projection: torch.nn.Module | None = model.get_output_embeddings()  # type: ignore[no-untyped-call]  # as above
    if projection is None:
        yield outputs
        return
    handle = projection.register_forward_pre_hook(select)
    try:
        yield outputs
    finally:
        handle.remove()


def _marks(encoder: Encoder, texts: Sequence[RunningText]) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the tokens that begin a word, or end a text; and with them those that end a word without a blank."""
    tokens = encoder.tokenizer.convert_ids_to_tokens(list(range(len(encoder.tokenizer))))
    special = set(encoder.tokenizer.all_special_ids)
    begins = [number for number, token in enumerate(tokens) if str(token).startswith(BEGINS_WORD) or number in special]
    if len(begins) <= len(special):
        raise ValueError(
            f"boundary: the pieces of {encoder.name} do not mark the blank in front of words; use boundary=False."
        )
    ends = set(begins)
    if any(_joined(text)[1].any() for text in texts):
        beginnings = [str(encoder.tokenizer.decode([number]))[:1] for number in range(len(tokens))]
        apart = {one for one in beginnings if one and not one.isalnum() and not is_mark(one) and one != UNFINISHED}
        ends |= {number for number, one in enumerate(beginnings) if one in apart}
    return torch.as_tensor(begins), torch.as_tensor(sorted(ends))


def _joined(text: RunningText) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether something else than a blank stands before and behind each word."""
    before = [text.text[start - 1 : start] for start in text.starts.tolist()]
    behind = [text.text[stop : stop + 1] for stop in text.stops.tolist()]
    return tuple(np.array([bool(one) and not one.isspace() for one in side], dtype=bool) for side in (before, behind))  # type: ignore[return-value]  # two of them


def _boundary_terms(rows: NDArray[np.intp], pieces: _Pieces, texts: Sequence[RunningText]) -> NDArray[np.float64]:
    """Give what the correction adds to each word that has pieces, in nats.

    How likely a word begins is known at the first piece of each word, given what came before it; how likely it ends at
    the places behind those of all pieces.
    """
    words = np.unique(rows)
    joined = {row: sides for text in texts for row, *sides in zip(text.rows.tolist(), *_joined(text), strict=True)}
    beginning = {int(text.rows[0]) for text in texts if text.starts[0] == 0}
    alone = np.array([row in beginning or joined[row][0] for row in words.tolist()], dtype=bool)
    glued = np.array([joined[row][1] for row in words.tolist()], dtype=bool)
    before = np.where(alone, 0.0, np.log(pieces.begins[first_slots(rows)]))
    behind = np.log(np.where(glued, pieces.ends[len(rows) :], pieces.begins[len(rows) :]))
    return np.asarray(before - behind)


def _scores(
    words: Stimuli, rows: NDArray[np.intp], pieces: _Pieces, nats: NDArray[np.float64], passages: list[Passage]
) -> Scores:
    firsts = first_slots(rows)
    entropy = np.full(len(words), np.nan)
    entropy[rows[firsts]] = pieces.entropy[firsts]
    top = [[] for _ in range(len(words))] if not pieces.top else _tops(rows[firsts], firsts, pieces.top, len(words))
    notes: dict[str, str | int] = {
        "n_pieces": sum(len(passage.ids) for passage in passages),
        "n_unpredicted": int(np.isnan(nats).sum()),
    }
    return Scores(nats, entropy, top, notes)


def _tops(
    rows: NDArray[np.intp], firsts: NDArray[np.intp], top: dict[int, list[tuple[str, float]]], n_words: int
) -> list[list[tuple[str, float]]]:
    best_of_word: list[list[tuple[str, float]]] = [[] for _ in range(n_words)]
    for row, slot in zip(rows.tolist(), firsts.tolist(), strict=True):
        best_of_word[row] = top.get(slot, [])
    return best_of_word
