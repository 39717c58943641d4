"""The engine: token ids in, pooled states of every wanted layer out; packed, on the device, words alone leaving it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from threading import Event
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from neuroling.features.transformer.devices import deal
from neuroling.features.transformer.encoder import Encoder
from neuroling.features.transformer.forward import Batching, pack_inputs, states_of
from neuroling.features.transformer.out_of_memory import in_halves
from neuroling.features.transformer.packed_attention import Layout, packed
from neuroling.features.transformer.prepacked_weights import NEARLY, ProductRoute

Pool = Literal["mean", "first", "last", "max", "weighted"]
Keep = Callable[[torch.Tensor], torch.Tensor]
"""What is kept of the states of a layer, shape (token, unit)."""

Use = Callable[[int, torch.Tensor], None]
"""What is done with the number of a layer and its states, shape (token, unit)."""

CPU_BYTES = 24 * 2**20
"""Bytes of a pack behind a layer's expansion to four times its width, in float32: 2,048 tokens for BERT-base, 2.6 %
faster than 1,024. Linux' allocator gives blocks of more than 32 MiB new pages each time."""

KEPT_BYTES = 31 * 2**20
"""Bytes of a block that is had and given back before reading. Linux' allocator keeps free memory up to twice the
largest block given back (of at most 32 MiB), and so the pages that one layer leaves to the next; else each layer has
its pages made anew, 30,000 to 100,000 of them in 60 sentences at BERT-base's shape, 5 to 15 % of the time."""

CPU_TOKENS = (512, 2048)
"""Fewest and most tokens of a pack on a CPU; MiniLM gains 3 % with 4,096 and loses 3 % where weights are laid out."""

GPU_TOKENS = 32768
"""Tokens of a pack on a GPU, which wants more to be busy; a guess, since none was at hand."""


@dataclass(frozen=True)
class Reading:
    """A sequence of tokens, and what is to be taken from it.

    Attributes
    ----------
    ids : ndarray of int, shape (token,)
        Special tokens included.
    piece : ndarray of int, shape (pair,)
        Tokens that are taken, ordered by row.
    row : ndarray of int, shape (pair,)
        Row of the result that each of them belongs to. No row is filled from two readings.
    """

    ids: NDArray[np.int64]
    piece: NDArray[np.intp]
    row: NDArray[np.intp]


@dataclass(frozen=True)
class StatePack:
    """Hidden states of some sequences, end to end.

    Attributes
    ----------
    rows : ndarray of int, shape (sequence,)
        Which of the sequences these are, in the order in which they lie.
    starts : ndarray of int, shape (sequence,)
        First token of each.
    states : list of torch.Tensor, shape (token, unit)
        One a layer asked for.
    """

    rows: NDArray[np.intp]
    starts: NDArray[np.intp]
    states: list[torch.Tensor]


def plan_packs(lengths: Sequence[int], batch_tokens: int, batching: Batching = "packed") -> list[NDArray[np.intp]]:
    """Group sequences of similar length, longest first, so that each pack holds at most so many tokens.

    Parameters
    ----------
    lengths : sequence of int
        Number of tokens of each sequence.
    batch_tokens : int
        Budget of a pack, in tokens. A sequence longer than the budget is a pack by itself.
    batching : {"packed", "equal-length"}
        Whether sequences of different lengths may share a pack.

    Returns
    -------
    list of ndarray of int
        Every sequence once.

    Examples
    --------
    >>> [pack.tolist() for pack in plan_packs([3, 9, 2, 3], batch_tokens=9)]
    [[1], [0, 3, 2]]
    >>> [pack.tolist() for pack in plan_packs([3, 9, 2, 3], batch_tokens=9, batching="equal-length")]
    [[1], [0, 3], [2]]
    """
    if batch_tokens < 1:
        raise ValueError(f"batch_tokens: got {batch_tokens}; expected a positive number of tokens.")
    sizes = np.asarray(lengths, dtype=np.intp)
    order = np.argsort(-sizes, kind="stable")
    packs: list[list[int]] = []
    used = 0
    for row in order.tolist():
        size = int(sizes[row])
        same = bool(packs) and (batching == "packed" or sizes[packs[-1][0]] == size)
        if same and used + size <= batch_tokens:
            packs[-1].append(row)
            used += size
        else:
            packs.append([row])
            used = size
    return [np.asarray(pack, dtype=np.intp) for pack in packs]


def fill_packs(lengths: Sequence[int], tokens: int) -> list[NDArray[np.intp]]:
    """Group sequences so that packs are as full as may be: the longest that still fits, again and again.

    Parameters
    ----------
    lengths : sequence of int
        Number of tokens of each sequence, at most ``tokens``.
    tokens : int
        Budget of a pack.

    Returns
    -------
    list of ndarray of int
        Every sequence once, longer ones first within a pack.

    Examples
    --------
    >>> [pack.tolist() for pack in fill_packs([3, 9, 2, 3, 5], tokens=11)]
    [[1, 2], [4, 0, 3]]
    """
    sizes = np.asarray(lengths, dtype=np.intp)
    waiting = {int(size): np.flatnonzero(sizes == size)[::-1].tolist() for size in np.unique(sizes)}
    left = sorted(waiting)
    packs: list[list[int]] = []
    space = -1
    while left:
        at = bisect_right(left, space) - 1
        if at < 0:
            packs.append([])
            space, at = tokens, len(left) - 1
        packs[-1].append(waiting[left[at]].pop())
        space -= left[at]
        if not waiting[left[at]]:
            del left[at]
    return [np.asarray(pack, dtype=np.intp) for pack in packs]


def default_tokens(encoder: Encoder) -> int:
    """Give the budget of a pack that suits the device and the width of the model.

    Parameters
    ----------
    encoder : Encoder
        Says where it lives.

    Returns
    -------
    int
        Tokens.
    """
    if encoder.device.type == "cuda":
        return GPU_TOKENS
    wanted = CPU_BYTES // (4 * 4 * int(encoder.model.config.hidden_size))  # float32, four times the width
    return min(max(wanted, CPU_TOKENS[0]), CPU_TOKENS[1])


def filled_tokens(encoder: Encoder, batch_tokens: int | None) -> int:
    """Say to how many tokens packs may be filled, so that weights laid out for that number serve them.

    Parameters
    ----------
    encoder : Encoder
        Says how it reads, and where it lives.
    batch_tokens : int or None
        Tokens in a pack, where somebody asked for a number.

    Returns
    -------
    int
        0 where packs are not to be filled: off the CPU, where weights serve any number, in equal-length batches, where
        sequences are not packed up to any length, in compiled layers, or by somebody's wish.
    """
    passes, library = encoder.passes, encoder.prepacked.library
    if library is None or library.any_rows:
        return 0
    whole = passes.batching == "packed" and passes.longest_packed is None and not encoder.compiled
    if encoder.device.type != "cpu" or not whole or batch_tokens is not None:
        return 0
    return default_tokens(encoder) * 3 // 4


def serving(
    encoder: Encoder,
    model: torch.nn.Module,
    lengths: Sequence[int],
    batch_tokens: int | None = None,
    route: ProductRoute | None = None,
) -> AbstractContextManager[int]:
    """Let a model use weights laid out beforehand for the time of a job, where they pay.

    Parameters
    ----------
    encoder : Encoder
        Keeps the weights; compiled layers keep their own.
    model : torch.nn.Module
        That of the encoder, alone or with a head.
    lengths : sequence of int
        Tokens of the sequences of the job.
    batch_tokens : int, optional
        Tokens in a pack, where somebody asked for a number.
    route : ProductRoute, optional
        From :func:`plan_route`, where the job is a piece of a longer one.

    Returns
    -------
    context manager of int
        Tokens to which packs are to be filled; 0 where they are not.
    """
    if encoder.compiled:
        return nullcontext(0)
    return encoder.prepacked.serving(model, lengths, filled_tokens(encoder, batch_tokens), route)


def plan_route(
    encoders: Sequence[Encoder], readings: Sequence[Reading], batch_tokens: int | None = None
) -> ProductRoute:
    """Choose how a job makes its products, from all that it will read and nothing that was read before.

    Parameters
    ----------
    encoders : sequence of Encoder
        One, or copies of one that share the work.
    readings : sequence of Reading
        Those of the whole job.
    batch_tokens : int, optional
        Tokens in a pack, where somebody asked for a number.
    """
    encoder = encoders[0]
    if encoder.compiled:
        return ProductRoute()
    distinct = {reading.ids.tobytes(): len(reading.ids) for reading in readings}
    lengths = sorted(distinct.values(), reverse=True)[:: len(encoders)]
    return encoder.prepacked.plan_route(encoder.model, lengths, filled_tokens(encoder, batch_tokens))


def hidden_states(
    encoder: Encoder,
    sequences: Sequence[Sequence[int] | NDArray[np.int64]],
    *,
    layers: Sequence[int],
    batch_tokens: int | None = None,
    progress: bool = False,
    gradients: bool = False,
) -> Iterator[StatePack]:
    """Run sequences of token ids through an encoder, as many at a time as the budget allows.

    If the memory of the device does not hold a pack, its halves are tried, down to a single sequence; the numbers are
    the same.

    Parameters
    ----------
    encoder : Encoder
        From :func:`~neuroling.features.transformer.encoder.load_encoder`.
    sequences : sequence of sequence of int
        Token ids, special tokens included, none longer than ``encoder.max_tokens``.
    layers : sequence of int
        0 (embeddings) to ``encoder.n_layers``. No layer above the highest is computed.
    batch_tokens : int, optional
        Tokens in a pack; by default what suits the device.
    progress : bool
        Show a progress bar.
    gradients : bool
        Keep what a backward pass needs, for a loss on the states: weights that shall get gradients are released with
        ``encoder.model.requires_grad_(True)``. Costs memory and time, and is off by default.

    Raises
    ------
    ValueError
        If a sequence is empty or longer than the encoder reads, or an id is none of its tokens.

    Yields
    ------
    StatePack
        On the encoder's device, in an order of its own: ``rows`` says which sequences.
    """
    lengths = [len(sequence) for sequence in sequences]
    _check_ids(encoder, sequences, lengths)
    for rows in _planned(encoder, lengths, batch_tokens, progress):
        yield from _run(encoder, sequences, rows, lengths, layers, gradients=gradients)


def _check_ids(
    encoder: Encoder, sequences: Sequence[Sequence[int] | NDArray[np.int64]], lengths: Sequence[int]
) -> None:
    wrong = [row for row, length in enumerate(lengths) if not 0 < length <= encoder.max_tokens]
    if wrong:
        raise ValueError(
            f"sequences: {len(wrong)} of {len(lengths)} have no token or more than the {encoder.max_tokens} that "
            f"{encoder.name} reads (first rows {wrong[:5]}, lengths {[lengths[row] for row in wrong[:5]]})."
        )
    n_tokens = int(encoder.model.config.vocab_size)
    ids = [np.asarray(sequence) for sequence in sequences]
    foreign = [row for row, own in enumerate(ids) if own.min() < 0 or own.max() >= n_tokens]
    if foreign:
        raise ValueError(
            f"sequences: {len(foreign)} of {len(lengths)} hold ids that are none of the {n_tokens} tokens of "
            f"{encoder.name} (first rows {foreign[:5]}); expected 0 to {n_tokens - 1}. Are they of another tokenizer?"
        )


def _planned(
    encoder: Encoder,
    lengths: Sequence[int],
    batch_tokens: int | None,
    progress: bool,
    filled: int = 0,
) -> Iterable[NDArray[np.intp]]:
    """Plan packs; those of sequences of at most ``filled`` tokens are filled to that number."""
    from tqdm.auto import tqdm

    budget = default_tokens(encoder) if batch_tokens is None else batch_tokens
    sizes = np.asarray(lengths, dtype=np.intp)
    long, short = np.flatnonzero(sizes > filled), np.flatnonzero(sizes <= filled)
    packs = [long[pack] for pack in plan_packs(sizes[long].tolist(), budget, encoder.passes.batching)]
    packs += [short[pack] for pack in fill_packs(sizes[short].tolist(), filled)]
    shown: Iterable[NDArray[np.intp]] = tqdm(packs, desc=encoder.name, unit="pack", disable=not progress)
    return shown


def _run(
    encoder: Encoder,
    sequences: Sequence[Sequence[int] | NDArray[np.int64]],
    rows: NDArray[np.intp],
    lengths: Sequence[int],
    layers: Sequence[int],
    *,
    gradients: bool = False,
    using: Callable[[NDArray[np.intp], NDArray[np.intp]], Use] | None = None,
    filled: int = 0,
) -> Iterator[StatePack]:
    """Run a pack, or its halves; ``using`` takes rows and starts of what is run and says what is done with states.

    A pack of nearly ``filled`` tokens is filled up to that number, with tokens whose states are dropped.
    """

    def read(pack_rows: NDArray[np.intp]) -> StatePack:
        token_ids = [torch.as_tensor(np.asarray(sequences[row], dtype=np.int64)) for row in pack_rows]
        sequence_lengths = [len(sequence) for sequence in token_ids]
        starts = np.cumsum([0, *sequence_lengths[:-1]], dtype=np.intp)
        use = None if using is None else using(pack_rows, starts)
        with torch.enable_grad() if gradients else torch.inference_mode():
            return StatePack(pack_rows, starts, _states(encoder, token_ids, sequence_lengths, layers, use, filled))

    yield from in_halves(read, rows, lengths, encoder.device)


def _states(
    encoder: Encoder,
    sequences: list[torch.Tensor],
    lengths: list[int],
    layers: Sequence[int],
    use: Use | None,
    filled: int = 0,
) -> list[torch.Tensor]:
    """Give the states of sequences end to end, shape (token, unit), one a layer; or use them, and give none."""
    passes = encoder.passes
    longest, total = passes.longest_packed, sum(lengths)

    def flat(layer: int, state: torch.Tensor) -> None:
        if use is not None:
            use(layer, _end_to_end(state)[:total])

    fits = passes.batching == "packed" and (longest is None or max(lengths) <= longest)
    if not fits and len(set(lengths)) > 1:
        parts = [_states(encoder, [sequence], [len(sequence)], layers, None) for sequence in sequences]
        joined = [torch.cat(states) for states in zip(*parts, strict=True)]
        if use is None:
            return joined
        for layer, state in zip(layers, joined, strict=True):
            use(layer, state)
        return []
    handed = None if use is None else flat
    if not fits:
        ids = torch.stack(sequences).to(encoder.device)  # (row, token)
        return [_end_to_end(state) for state in states_of(encoder.model, passes, ids, layers, use=handed)]
    if NEARLY * filled <= total < filled:
        sequences, lengths = [*sequences, sequences[0][:1].expand(filled - total)], [*lengths, filled - total]
    with packed(Layout.of(lengths)):
        positions = pack_inputs(passes, lengths, encoder.device)
        ids = torch.cat(sequences)[None].to(encoder.device)  # (1, token)
        found = states_of(encoder.model, passes, ids, layers, use=handed, position_ids=positions)
        return [_end_to_end(state)[:total] for state in found]


def _end_to_end(state: torch.Tensor) -> torch.Tensor:
    return state.reshape(-1, state.shape[-1])  # (token, unit)


def embed(
    encoders: Sequence[Encoder],
    readings: Sequence[Reading],
    n_rows: int,
    *,
    layers: Sequence[int],
    pool: Pool,
    normalise: bool = False,
    batch_tokens: int | None = None,
    progress: bool = False,
    route: ProductRoute | None = None,
) -> NDArray[np.float32]:
    """Read, pool and collect: equal sequences are read once, and pooled vectors alone leave the device.

    Parameters
    ----------
    encoders : sequence of Encoder
        One, or copies of one on several devices, which share the sequences.
    readings : sequence of Reading
        What to read and what to take from it.
    n_rows : int
        Rows of the result.
    layers : sequence of int
        0 (embeddings) to ``encoder.n_layers``.
    pool : {"mean", "first", "last", "max", "weighted"}
        How the tokens of a row become one vector. ``"weighted"`` weights the i-th of them by i.
    normalise : bool
        Scale every vector to unit length.
    batch_tokens : int, optional
        Tokens in a pack.
    progress : bool
        Show a progress bar.
    route : ProductRoute, optional
        How products are made; by default as the tokens read so far suggest.

    Returns
    -------
    ndarray of float32, shape (row, layer, unit)
        Stored layer by layer; NaN in rows that no reading fills.
    """
    distinct: dict[bytes, int] = {}
    sequence_of_reading = [distinct.setdefault(reading.ids.tobytes(), len(distinct)) for reading in readings]
    takers: list[list[Reading]] = [[] for _ in distinct]
    for number, reading in zip(sequence_of_reading, readings, strict=True):
        takers[number].append(reading)
    sequences = [own_sequences[0].ids for own_sequences in takers]
    width = int(encoders[0].model.config.hidden_size)
    values = np.empty((len(layers), n_rows, width), dtype=np.float32)
    unread = np.ones(n_rows, dtype=bool)
    for reading in readings:
        unread[reading.row] = False
    values[:, unread] = np.nan

    place_of = {layer: sequence_of_reading for sequence_of_reading, layer in enumerate(layers)}
    hands = deal([len(sequence) for sequence in sequences], len(encoders))
    stop = Event()
    torch.empty(KEPT_BYTES, dtype=torch.uint8)

    def work(encoder: Encoder, hand: NDArray[np.intp]) -> None:
        own_sequences = [sequences[number] for number in hand]

        def using(rows: NDArray[np.intp], starts: NDArray[np.intp]) -> Use:
            taken = _Taken.of(starts, [takers[number] for number in hand[rows]])
            pooled = taken.pooler(encoder.device, pool, normalise)

            def write(layer: int, states: torch.Tensor) -> None:
                values[place_of[layer], taken.row] = pooled(states).cpu().numpy()

            return write

        lengths = [len(sequence) for sequence in own_sequences]
        with serving(encoder, encoder.model, lengths, batch_tokens, route) as filled:
            for planned in _planned(encoder, lengths, batch_tokens, progress and encoder is encoders[0], filled):
                for _ in _run(encoder, own_sequences, planned, lengths, layers, using=using, filled=filled):
                    pass
                if stop.is_set():
                    return

    if len(encoders) == 1:
        work(encoders[0], hands[0])
        return values.transpose(1, 0, 2)
    with ThreadPoolExecutor(len(encoders)) as threads:
        try:
            for done in [threads.submit(work, *both) for both in zip(encoders, hands, strict=True)]:
                done.result()
        except BaseException:
            stop.set()  # or the others would go on to their ends
            raise
    return values.transpose(1, 0, 2)


@dataclass(frozen=True)
class _Taken:
    """Which tokens of a pack are taken, the segment that each belongs to, and the row that each segment fills."""

    token: NDArray[np.intp]
    segment: NDArray[np.intp]
    row: NDArray[np.intp]

    @classmethod
    def of(cls, starts: NDArray[np.intp], takers: list[list[Reading]]) -> _Taken:
        pairs = [(start, reading) for start, own in zip(starts, takers, strict=True) for reading in own]
        token = np.concatenate([start + reading.piece for start, reading in pairs])
        row, segment = np.unique(np.concatenate([reading.row for _, reading in pairs]), return_inverse=True)
        return cls(token, segment, row)

    def pooler(self, device: torch.device, pool: Pool, normalise: bool) -> Keep:
        pooled = _pooler(self.token, self.segment, len(self.row), pool, device)
        return (lambda states: torch.nn.functional.normalize(pooled(states), dim=-1)) if normalise else pooled


def pool_pieces(
    states: torch.Tensor, token: NDArray[np.intp], segment: NDArray[np.intp], n_segments: int, pool: Pool
) -> torch.Tensor:
    """Pool chosen tokens into one vector a segment.

    Parameters
    ----------
    states : torch.Tensor, shape (token, unit)
        Hidden states.
    token, segment : ndarray of int, shape (pair,)
        Tokens and the segment that each belongs to; tokens of a segment in order.
    n_segments : int
        Number of segments, none of them without a token.
    pool : {"mean", "first", "last", "max", "weighted"}
        How.

    Returns
    -------
    torch.Tensor of float32, shape (segment, unit)

    Examples
    --------
    >>> states = torch.tensor([[1.0], [3.0], [8.0]])
    >>> pool_pieces(states, np.array([0, 1, 2]), np.array([0, 0, 1]), 2, "mean").tolist()
    [[2.0], [8.0]]
    """
    return _pooler(token, segment, n_segments, pool, states.device)(states)


def _pooler(
    token: NDArray[np.intp], segment: NDArray[np.intp], n_segments: int, pool: Pool, device: torch.device
) -> Keep:
    """Sort tokens into segments once, for the states of any layer."""
    order = np.argsort(segment, kind="stable")
    token, segment = token[order], segment[order]
    begins = np.searchsorted(segment, np.arange(n_segments))
    counts = np.diff(np.append(begins, len(segment)))
    if pool in ("first", "last"):
        chosen = torch.as_tensor(token[begins] if pool == "first" else token[begins + counts - 1], device=device)
        return lambda states: states[chosen].float()
    if pool == "mean":
        return _mean(token, segment, begins, device)
    source, where = torch.as_tensor(token, device=device), torch.as_tensor(segment, device=device)
    if pool == "max":
        return lambda states: _highest(states[source].float(), where, n_segments)
    weight = np.arange(len(segment)) - np.repeat(begins, counts) + 1.0
    total = np.add.reduceat(weight, begins)
    share = torch.as_tensor(weight / total[segment], device=device, dtype=torch.float32)[:, None]

    def weighted(states: torch.Tensor) -> torch.Tensor:
        sums = torch.zeros(n_segments, states.shape[1], device=device)
        return sums.index_add_(0, where, states[source].float() * share)

    return weighted


def _highest(taken: torch.Tensor, where: torch.Tensor, n_segments: int) -> torch.Tensor:
    empty = taken.new_full((n_segments, taken.shape[1]), -torch.inf)
    return empty.scatter_reduce_(0, where[:, None].expand_as(taken), taken, "amax")


def _mean(token: NDArray[np.intp], segment: NDArray[np.intp], begins: NDArray[np.intp], device: torch.device) -> Keep:
    """Average: copy the first token of every segment, all that most words have, and add the others to it."""
    inner_tokens = np.delete(np.arange(len(token)), begins)
    several, counts = np.unique(segment[inner_tokens], return_counts=True)
    first, later, where, rows = (
        torch.as_tensor(one, device=device)
        for one in (token[begins], token[inner_tokens], segment[inner_tokens], several)
    )
    divisor = torch.as_tensor(counts + 1, device=device, dtype=torch.float32)[:, None]

    def mean(states: torch.Tensor) -> torch.Tensor:
        sums = states.index_select(0, first).float()  # (segment, unit)
        if len(later):
            sums.index_add_(0, where, states.index_select(0, later).float())
            sums[rows] = sums[rows] / divisor
        return sums

    return mean
