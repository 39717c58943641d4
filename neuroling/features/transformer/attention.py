"""What each head looks at, and what it hands on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.stimuli import Stimuli
from neuroling.features.extract import Plan, plan_texts, plan_words
from neuroling.features.transformer.devices import resolve_encoder
from neuroling.features.transformer.encoder import Encoder
from neuroling.features.transformer.forward import no_cache, pack_inputs, take_attention
from neuroling.features.transformer.hidden_states import Pool, Reading, plan_packs, pool_pieces
from neuroling.features.transformer.out_of_memory import in_halves
from neuroling.features.transformer.packed_attention import Layout, packed
from neuroling.features.words.context import Whole

MAP_TOKENS = 1024
"""Tokens of a pack; maps grow with the square of a text's length, and all layers are held."""


@dataclass(frozen=True)
class AttentionMaps:
    """Attention within one text.

    Attributes
    ----------
    names : list of str
        What looks and what is looked at: tokens, or words.
    layers : list of int
        1 is the first block.
    maps : ndarray of float32, shape (layer, head, query, key)
        Shares. Over tokens each row sums to one; in models with attention sinks, such as gpt-oss, to less. Over words,
        what goes to special tokens and to the characters between words is missing too.
    """

    names: list[str]
    layers: list[int]
    maps: NDArray[np.float32]

    def entropy(self) -> NDArray[np.float64]:
        """Say how spread out each head looks, averaged over what looks.

        Returns
        -------
        ndarray of float, shape (layer, head)
            Bits.
        """
        shares = self.maps.astype(np.float64)
        logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
        return np.asarray(-(shares * logs).sum(-1).mean(-1))

    def distance(self) -> NDArray[np.float64]:
        """Say how far each head looks: the mean distance in tokens or words, weighted by attention.

        Returns
        -------
        ndarray of float, shape (layer, head)
        """
        place = np.arange(len(self.names))
        apart = np.abs(place[:, None] - place[None])
        return np.asarray((self.maps * apart).sum((-1, -2)) / self.maps.sum((-1, -2)))


def attention(
    stimuli: Stimuli,
    encoder: Encoder | str | Path = "minilm",
    *,
    layers: Sequence[int] | None = None,
    unit: Literal["token", "word"] = "token",
    device: str = "auto",
) -> dict[object, AttentionMaps]:
    """Give the attention maps of every head.

    Parameters
    ----------
    stimuli : Stimuli
        One row a text; for ``unit="word"`` one row a word, as :func:`~neuroling.features.words.words.split_words`
        gives.
    encoder : Encoder, str or Path
        A loaded encoder, or what :func:`~neuroling.features.transformer.encoder.load_encoder` takes without a revision.
    layers : sequence of int, optional
        1 (first block) to ``encoder.n_layers``; all by default.
    unit : {"token", "word"}
        Between words, attention to the pieces of a word is added up, and that of its pieces averaged (Clark et al.
        2019).
    device : str
        Where to run, if the encoder is given by name.

    Returns
    -------
    dict of AttentionMaps
        One a text, by its label, in the order of the stimuli.

    Raises
    ------
    ValueError
        If the model does not let its attention be watched.

    References
    ----------
    Clark, K. et al. (2019). What does BERT look at? BlackboxNLP.

    Examples
    --------
    >>> maps = attention(Stimuli.from_texts(["a cat saw"], labels=["s"]), "minilm", device="cpu")["s"]
    >>> maps.names, maps.maps.shape, bool(abs(maps.maps.sum(-1) - 1).max() < 1e-5)
    (['[CLS]', 'a', 'cat', 'saw', '[SEP]'], (6, 12, 5, 5), True)
    """
    if unit not in ("token", "word"):
        raise ValueError(f"unit: got {unit!r}; expected 'token' or 'word'.")
    encoder = resolve_encoder(encoder, device)
    blocks = _blocks(encoder, layers)
    plan = _plan(encoder, stimuli, "sentence" if unit == "token" else "word")
    maps_of_label: dict[object, AttentionMaps] = {}
    packs = encoder.passes.batching == "packed"
    maps_of = _watched_maps(encoder, plan.readings, blocks) if packs else _own_maps(encoder, plan.readings, blocks)
    for reading, maps in maps_of:
        row = int(reading.row[0])
        if unit == "token":
            names = [str(token) for token in encoder.tokenizer.convert_ids_to_tokens(reading.ids.tolist())]
            maps_of_label[stimuli.labels[row]] = AttentionMaps(names, blocks, maps)
        else:
            label = stimuli.table["group"].iloc[row] if "group" in stimuli.table else 0
            names = [stimuli.texts[word] for word in np.unique(reading.row)]
            maps_of_label[label] = AttentionMaps(names, blocks, _between_words(maps, reading))
    order = stimuli.labels if unit == "token" else dict.fromkeys(stimuli.table.get("group", [0]))
    return {label: maps_of_label[label] for label in order}


def head_outputs(
    stimuli: Stimuli,
    encoder: Encoder | str | Path = "minilm",
    *,
    layers: Sequence[int] | None = None,
    pool: Pool = "mean",
    unit: Literal["sentence", "word"] = "sentence",
    device: str = "auto",
) -> xr.DataArray:
    """Extract what every head hands on, before the heads are mixed.

    Parameters
    ----------
    stimuli : Stimuli
        As for :func:`~neuroling.extract_text_features`.
    encoder : Encoder, str or Path
        A loaded encoder, or its name.
    layers : sequence of int, optional
        1 (first block) to ``encoder.n_layers``; all by default.
    pool : {"mean", "first", "last", "max", "weighted"}
        How the tokens of a row become one vector.
    unit : {"sentence", "word"}
        Whether each row is a text by itself, or a word read in its group.
    device : str
        Where to run, if the encoder is given by name.

    Returns
    -------
    xarray.DataArray, dims (sample, layer, feature)
        Features are named ``"head/unit"``, and the coordinate ``head`` numbers their heads from 0.
    """
    encoder = resolve_encoder(encoder, device)
    if encoder.passes.batching != "packed":
        raise ValueError(
            f"encoder: {encoder.name} ({encoder.model.config.model_type}) keeps its own attention, so that its heads "
            "cannot be watched; expected a model that is packed (encoder.passes.batching)."
        )
    blocks = _blocks(encoder, layers)
    plan = _plan(encoder, stimuli, unit)
    values: NDArray[np.float32] | None = None
    width = 0
    for reading, outputs in _watched_heads(encoder, plan.readings, blocks):
        n_heads, width = outputs.shape[2:]
        if values is None:
            values = np.full((len(stimuli), len(blocks), n_heads * width), np.nan, dtype=np.float32)
        rows, segment = np.unique(reading.row, return_inverse=True)
        for layer, states in enumerate(torch.as_tensor(outputs).flatten(2)):
            values[rows, layer] = pool_pieces(states, reading.piece, segment, len(rows), pool).numpy()
    assert values is not None  # noqa: S101 - stimuli are never empty
    head, place = np.divmod(np.arange(values.shape[2]), width)
    names = [f"{h}/{u}" for h, u in zip(head, place, strict=True)]
    coords = {**stimuli.coords(), "layer": blocks, "feature": names, "head": ("feature", head)}
    attrs = {"step": "head_outputs", "pool": pool, "unit": unit, "stimuli": stimuli.fingerprint, **encoder.provenance()}
    return xr.DataArray(values, dims=("sample", "layer", "feature"), coords=coords, attrs=attrs)


def _blocks(encoder: Encoder, layers: Sequence[int] | None) -> list[int]:
    blocks = list(range(1, encoder.n_layers + 1)) if layers is None else list(layers)
    wrong = [layer for layer in blocks if not 1 <= layer <= encoder.n_layers]
    if wrong or not blocks:
        raise ValueError(f"layers: got {blocks}; attention has layers 1 to {encoder.n_layers}.")
    return blocks


def _plan(encoder: Encoder, stimuli: Stimuli, unit: str) -> Plan:
    if unit == "word":
        return plan_words(encoder, stimuli, Whole(), stacklevel=4)
    return plan_texts(encoder, stimuli, "error", stacklevel=4)


def _watched_maps(
    encoder: Encoder, readings: Sequence[Reading], layers: list[int]
) -> Iterator[tuple[Reading, NDArray[np.float32]]]:
    """Give readings with maps, shape (layer, head, query, key), as our attention function writes them out."""
    for chosen, layout in _watched(encoder, readings, heads=False):
        rows = [[row for run in layout.maps[layer - 1] for row in run] for layer in layers]  # (layer, sequence)
        for place, reading in enumerate(chosen):
            yield reading, torch.stack([row[place] for row in rows]).cpu().numpy()


def _watched_heads(
    encoder: Encoder, readings: Sequence[Reading], layers: list[int]
) -> Iterator[tuple[Reading, NDArray[np.float32]]]:
    """Give readings with what heads hand on, shape (layer, token, head, unit)."""
    for readings_of_pack, layout in _watched(encoder, readings, heads=True):
        outputs = torch.stack([layout.heads[layer - 1].float() for layer in layers]).cpu()
        own = [len(reading.ids) for reading in readings_of_pack]
        for reading, part in zip(readings_of_pack, torch.split(outputs, own, dim=1), strict=True):
            yield reading, part.numpy()


def _watched(encoder: Encoder, readings: Sequence[Reading], *, heads: bool) -> Iterator[tuple[list[Reading], Layout]]:
    """Read packs, and keep what our attention function sees."""
    lengths = [len(reading.ids) for reading in readings]

    def watch(pack: NDArray[np.intp]) -> tuple[list[Reading], Layout]:
        readings_of_pack = [readings[row] for row in pack]
        pack_lengths = [lengths[row] for row in pack]
        layout = Layout.of(pack_lengths, keep_heads=heads, keep_maps=not heads)
        ids = torch.as_tensor(np.concatenate([reading.ids for reading in readings_of_pack]))[None].to(encoder.device)
        with torch.inference_mode(), packed(layout):
            positions = pack_inputs(encoder.passes, pack_lengths, encoder.device)
            encoder.model(input_ids=ids, position_ids=positions, **no_cache(encoder.model))
        return readings_of_pack, layout

    for pack in plan_packs(lengths, MAP_TOKENS):
        yield from in_halves(watch, pack, lengths, encoder.device)


def _own_maps(
    encoder: Encoder, readings: Sequence[Reading], layers: list[int]
) -> Iterator[tuple[Reading, NDArray[np.float32]]]:
    """Give readings with the maps that a model itself gives where its attention is written out, one at a time."""
    model = encoder.model
    usual_implementation: str = model.config._attn_implementation
    if not take_attention(model, "eager"):  # its maps may lack the mask that it reads with, as Falcon's do
        raise ValueError(
            f"encoder: the attention of {encoder.name} ({model.config.model_type}) cannot be written out once it is "
            "loaded; use a model of another family."
        )
    try:
        for reading in readings:
            ids = torch.as_tensor(reading.ids)[None].to(encoder.device)
            with torch.inference_mode():
                maps = model(input_ids=ids, output_attentions=True, **no_cache(model)).attentions
            n_tokens = len(reading.ids)
            if not maps or any(one is None or one.shape[-2:] != (n_tokens, n_tokens) for one in maps):
                raise ValueError(
                    f"encoder: {encoder.name} ({model.config.model_type}) gives no map of each token on each; use a "
                    "model of another family."
                )
            yield reading, torch.stack([maps[layer - 1][0].float() for layer in layers]).cpu().numpy()
    finally:
        model.set_attn_implementation(usual_implementation)


def _between_words(maps: NDArray[np.float32], reading: Reading) -> NDArray[np.float32]:
    """Add up over the pieces of what is looked at, and average over those of what looks."""
    rows, word = np.unique(reading.row, return_inverse=True)
    belongs = np.zeros((maps.shape[-1], len(rows)), dtype=np.float32)  # (token, word)
    belongs[reading.piece, word] = 1.0
    between: NDArray[np.float32] = (belongs / belongs.sum(0)).T @ (maps @ belongs)
    return between
