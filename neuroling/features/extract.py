"""Features of texts and of words: hidden states of a language model, at the layers that are asked for."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neuroling.core.provenance import current_versions
from neuroling.core.stimuli import Stimuli
from neuroling.features.storage.cache import remember
from neuroling.features.storage.files import Compute, write_layers
from neuroling.features.transformer.devices import resolve_encoders
from neuroling.features.transformer.encoder import Encoder
from neuroling.features.transformer.hidden_states import Reading, embed
from neuroling.features.transformer.job_record import begin_job
from neuroling.features.transformer.prepacked_weights import ProductRoute
from neuroling.features.transformer.tokenizer_fit import warn_of_other_language
from neuroling.features.words.alignment import Missing, Passage, Shared, tokenise
from neuroling.features.words.context import Context, Overlapping, Rolling, Whole
from neuroling.features.words.text_checks import tidy, warn_of_repeats

TextPool = Literal["mean", "first", "last", "max", "weighted", "cls", "model"]

WordPool = Literal["mean", "first", "last", "max"]

POOLS: dict[str, tuple[str, ...]] = {
    "word": ("mean", "first", "last", "max"),
    "sentence": ("mean", "first", "last", "max", "weighted", "cls", "model"),
}

JSON = TypeVar("JSON", dict[str, Any], list[Any])

NAMES_OF_UNITS = {"word": "words", "sentence": "texts"}

POOLING_MODES = {
    "cls": "cls",
    "mean": "mean",
    "max": "max",
    "weightedmean": "weighted",
    "lasttoken": "last",
}
"""Pools by their names in the configuration of a sentence-transformers model."""

EARLIER_POOLING_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""Switches in the configuration that earlier versions of the package write, and the names that they have become."""


@dataclass(frozen=True)
class Plan:
    """All that is to be read, before anything is.

    Attributes
    ----------
    readings : list of Reading
        Token sequences and what to take from them.
    key : dict
        What the values depend on, besides encoder, layers and pooling.
    notes : dict
        What is said about the result.
    left_tokens : ndarray of int, shape (row,), optional
        Tokens before each word that were read with it.
    """

    readings: list[Reading]
    key: dict[str, object]
    notes: dict[str, str | int]
    left_tokens: NDArray[np.intp] | None = None


# More than eight parameters: those of texts, of the encoder, and of where the result is kept.
def extract_text_features(
    texts: Stimuli,
    encoder: Encoder | Sequence[Encoder] | str | Path = "minilm",
    *,
    layers: Sequence[int] | int | None = None,
    pool: TextPool = "mean",
    long: Literal["error", "truncate"] = "error",
    normalise: bool = False,
    batch_tokens: int | None = None,
    device: str = "auto",
    progress: bool = False,
    cache: Path | None = None,
    out: Path | None = None,
) -> xr.DataArray:
    """Extract hidden states of a language model, pooled over each text.

    Each text is read by itself. Texts are tokenized once, as they stand. Sequences are packed end to end without
    padding where the model allows it, and run in batches of equal length where it does not; either way the states are
    those of one text at a time. Layers above the highest one wanted are not computed.

    Parameters
    ----------
    texts : Stimuli
        One text per row.
    encoder : Encoder, sequence of Encoder, str or Path
        A loaded encoder; copies of it on several devices (:func:`~neuroling.features.on_devices`), which share the
        work; or what :func:`~neuroling.load_encoder` takes without a revision.
    layers : int or sequence of int, optional
        0 is the embedding layer below the first block, ``encoder.n_layers`` or -1 the last. Default: all layers.
    pool : {"mean", "first", "last", "max", "weighted", "cls", "model"}
        How the states of a text's tokens become one vector. Special tokens count, as in Sentence-BERT.
        ``"weighted"``: the i-th token has weight i (Muennighoff 2022). ``"cls"``: the first special token.
        ``"model"``: pooling and normalization of a sentence-transformers model, from its own files; a model that wants
        a prompt in front of texts, or lowercase that its tokenizer does not make, is refused.
    long : {"error", "truncate"}
        What to do with texts longer than the encoder reads: refuse them, or read their beginning and warn.
    normalise : bool
        Scale every vector to unit length.
    batch_tokens : int, optional
        Tokens per pack; changes speed and memory, not numbers. Default: what suits the device.
    device : str
        Where to run, if the encoder is given by name.
    progress : bool
        Show a progress bar.
    cache : Path, optional
        Folder of earlier features, found by weights, tokenizer, texts, options and library versions. Not together with
        ``out``, whose file is found again by itself.
    out : Path, optional
        NetCDF file to write to while computing, for features that do not fit into memory; the result then reads from
        it. An interrupted run is continued when it is called again, with products computed as they were begun, and
        ends with the same bits; the attribute ``products`` says how.

    Returns
    -------
    xarray.DataArray, dims (sample, layer, feature)
        float32. The coordinate ``layer_name`` names each layer; ``attrs`` describe how the features were computed.

    Raises
    ------
    ValueError
        For texts that cannot be read as they are, and for options that do not exist; the message says which.
    TypeError
        For texts, encoders or layers of another type.

    References
    ----------
    Muennighoff, N. (2022). SGPT: GPT sentence embeddings for semantic search. arXiv:2202.08904.

    Examples
    --------
    >>> texts = Stimuli.from_texts(["he sat by the river", "a bank of clouds"], labels=["a", "b"])
    >>> states = extract_text_features(texts, "minilm", layers=[0, 6], device="cpu")
    >>> states.shape, states.layer_name.values.tolist()
    ((2, 2, 384), ['embeddings', 'block 6'])
    """
    _check_stimuli("texts", texts)
    _check_pool(pool, "sentence")
    if long not in ("error", "truncate"):
        raise ValueError(f"long: got {long!r}; expected 'error' or 'truncate'.")
    _check_files(cache, out)
    encoders = resolve_encoders(encoder, device)
    plan = plan_texts(encoders[0], texts, long, stacklevel=3)
    pool, normalise = resolve_pool(encoders[0], pool, normalise)
    pooling: dict[str, str | int] = {"unit": "sentence", "pool": pool, "normalise": int(normalise)}
    job = _Job(texts, encoders, plan, resolve_layers(encoders[0], layers), pooling, batch_tokens, progress)
    return job.run(cache, out)


# More than eight parameters: those of words, of the encoder, and of where the result is kept.
def extract_word_features(
    words: Stimuli,
    encoder: Encoder | Sequence[Encoder] | str | Path = "minilm",
    *,
    layers: Sequence[int] | int | None = None,
    pool: WordPool = "mean",
    context: Context | None = None,
    missing: Missing = "error",
    shared: Shared = "error",
    normalise: bool = False,
    batch_tokens: int | None = None,
    device: str = "auto",
    progress: bool = False,
    cache: Path | None = None,
    out: Path | None = None,
) -> xr.DataArray:
    """Extract hidden states of a language model for each word, read in its sentence or story.

    Tokens find their words by their characters. Sequences are packed and run as in
    :func:`~neuroling.extract_text_features`.

    Parameters
    ----------
    words : Stimuli
        One word per row, in order, with the label of its sentence or story as ``group``;
        :func:`~neuroling.split_words` makes them from texts.
    encoder : Encoder, sequence of Encoder, str or Path
        As for :func:`~neuroling.extract_text_features`.
    layers : int or sequence of int, optional
        0 is the embedding layer below the first block, ``encoder.n_layers`` or -1 the last. Default: all layers.
    pool : {"mean", "first", "last", "max"}
        How the states of a word's tokens become one vector.
    context : Whole, Rolling or Overlapping, optional
        What is read together with each word. Default: its whole group.
    missing : {"error", "nan"}
        What to do with a word that has no token: refuse it, or give it missing values.
    shared : {"error", "both", "first"}
        What to do with a token that covers several words: refuse it, count it for all of them, or for the first.
    normalise : bool
        Scale every vector to unit length.
    batch_tokens : int, optional
        Tokens per pack; changes speed and memory, not numbers. Default: what suits the device.
    device : str
        Where to run, if the encoder is given by name.
    progress : bool
        Show a progress bar.
    cache : Path, optional
        Folder of earlier features, found by weights, tokenizer, texts, spans, options and library versions. Not
        together with ``out``.
    out : Path, optional
        NetCDF file to write to while computing, as for :func:`~neuroling.extract_text_features`.

    Returns
    -------
    xarray.DataArray, dims (sample, layer, feature)
        float32. The coordinate ``layer_name`` names each layer, and ``left_tokens`` is the number of tokens before the
        word that were read with it; ``attrs`` describe how the features were computed.

    Raises
    ------
    ValueError
        For words that cannot be read as they are, and for options that do not exist; the message says which.
    TypeError
        For words, encoders, layers or a context of another type.

    Examples
    --------
    >>> from neuroling import split_words
    >>> words = split_words(Stimuli.from_texts(["he sat by the river", "a bank of clouds"], labels=["a", "b"]))
    >>> states = extract_word_features(words, "minilm", layers=[0, 6], device="cpu")
    >>> states.shape, states.layer_name.values.tolist(), str(states.sample.values[-1])
    ((9, 2, 384), ['embeddings', 'block 6'], 'b/4')
    """
    _check_stimuli("words", words)
    if context is not None and not isinstance(context, Whole | Rolling | Overlapping):
        raise TypeError(f"context: got {context!r}; expected Whole(), Rolling(words=…) or Overlapping(left=…).")
    _check_pool(pool, "word")
    _check_files(cache, out)
    encoders = resolve_encoders(encoder, device)
    plan = plan_words(encoders[0], words, context or Whole(), missing=missing, shared=shared, stacklevel=3)
    pooling: dict[str, str | int] = {"unit": "word", "pool": pool, "normalise": int(normalise)}
    job = _Job(words, encoders, plan, resolve_layers(encoders[0], layers), pooling, batch_tokens, progress)
    return job.run(cache, out)


@dataclass(frozen=True)
class _Job:
    """One extraction: what is read, by which copies of the encoder, and how states become vectors."""

    stimuli: Stimuli
    encoders: list[Encoder]
    plan: Plan
    layers: list[int]
    pooling: dict[str, str | int]
    batch_tokens: int | None
    progress: bool

    def run(self, cache: Path | None, out: Path | None) -> xr.DataArray:
        encoder = self.encoders[0]
        attrs = {
            "step": "extract",
            **self.pooling,
            **self.plan.notes,
            "stimuli": self.stimuli.fingerprint,
            **encoder.provenance(),
            "neuroling": current_versions().get("neuroling", "not installed"),
            **_cost(encoder),
        }
        identity = encoder.identity() if cache is not None or out is not None else {}  # hashes the weights
        description = {"step": "extract", **self.pooling, "layers": self.layers, **self.plan.key, **identity}
        template = _labelled(self.stimuli, encoder, self.layers, self.plan).assign_attrs(attrs)
        if out is not None:
            return write_layers(
                Path(out), template, description, self.plan.readings, self.begin, progress=self.progress
            )
        n_rows = len(self.stimuli)
        values = remember(cache, description, lambda: self.compute(self.plan.readings, n_rows, self.progress))
        return template.copy(data=values)

    def compute(
        self, readings: list[Reading], n_rows: int, show: bool, route: ProductRoute | None = None
    ) -> NDArray[np.float32]:
        return embed(
            self.encoders,
            readings,
            n_rows,
            layers=self.layers,
            pool=self.pooling["pool"],  # type: ignore[arg-type]  # "cls" and "model" were resolved
            normalise=bool(self.pooling["normalise"]),
            batch_tokens=self.batch_tokens,
            progress=show,
            route=route,
        )

    def begin(self, earlier: str | None) -> tuple[str, Compute]:
        record, route = begin_job(self.encoders, self.plan.readings, self.batch_tokens, earlier, stacklevel=8)
        return record, partial(self.compute, route=route)


def _cost(encoder: Encoder) -> dict[str, str]:
    """Say what precision and compiling cost, where they cost anything."""
    if encoder.deviation == 0.0:
        return {}
    said = "not measured" if encoder.deviation is None else f"{encoder.deviation:.2g} of the largest state"
    return {"deviation_from_float32": said}


def _check_stimuli(name: str, stimuli: object) -> None:
    if not isinstance(stimuli, Stimuli):
        raise TypeError(f"{name}: got {type(stimuli).__name__}; expected Stimuli. See Stimuli.from_texts.")


def _check_pool(pool: str, unit: str) -> None:
    if pool not in POOLS[unit]:
        raise ValueError(f"pool: got {pool!r}; expected one of {POOLS[unit]} for features of {NAMES_OF_UNITS[unit]}.")


def _check_files(cache: Path | None, out: Path | None) -> None:
    if cache is not None and out is not None:
        raise ValueError("cache: cannot be used with out=, whose file is found again by itself; leave one of them out.")


def resolve_layers(encoder: Encoder, layers: Sequence[int] | int | None) -> list[int]:
    """Turn what was asked for into layer numbers.

    Parameters
    ----------
    encoder : Encoder
        Knows its layers.
    layers : int or sequence of int, optional
        Perhaps counted from the end; all by default.

    Returns
    -------
    list of int
    """
    if layers is None:
        return list(range(encoder.n_layers + 1))
    requested = list(layers) if isinstance(layers, Iterable) else [layers]
    if not all(isinstance(layer, int | np.integer) for layer in requested):
        raise TypeError(f"layers: got {layers!r}; expected numbers of layers, such as 6, -1 or [0, 6].")
    layer_numbers = [encoder.resolve_layer(int(layer)) for layer in requested]
    if not layer_numbers or len(set(layer_numbers)) != len(layer_numbers):
        raise ValueError(f"layers: got {requested}; expected at least one, and each once.")
    return layer_numbers


def resolve_pool(encoder: Encoder, pool: str, normalise: bool) -> tuple[TextPool, bool]:
    """Turn ``"cls"`` and ``"model"`` into a pooling of tokens.

    Parameters
    ----------
    encoder : Encoder
        Its folder says what a sentence-transformers model does.
    pool : str
        As in :func:`extract_text_features`.
    normalise : bool
        Whether unit length was asked for.

    Returns
    -------
    tuple of str and bool
    """
    if pool == "model":
        pool, own = _model_recipe(encoder)
        normalise = normalise or own
    if pool == "cls":
        if encoder.tokenizer.cls_token_id is None or not encoder.affixes[0]:
            raise ValueError(f"pool: {encoder.name} puts no special token in front of a text; use pool='mean'.")
        pool = "first"
    return pool, normalise  # type: ignore[return-value]  # checked by extract


def _model_recipe(encoder: Encoder) -> tuple[str, bool]:
    path = None if encoder.folder is None else encoder.folder / "modules.json"
    if path is None or encoder.folder is None or not path.is_file():
        raise ValueError(f"pool: {encoder.name} has no modules.json, which says how to pool; use another pool.")
    modules = _json(path, list)
    if not all(isinstance(module, dict) and {"type", "path"} <= module.keys() for module in modules):
        raise ValueError(f"pool: {path} lists {modules!r:.80}; expected modules with type and path. Save it again.")
    kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
    strange = [kind for kind in kinds if kind not in ("Transformer", "Pooling", "Normalize")]
    if strange or kinds.count("Pooling") != 1:
        raise ValueError(
            f"pool: {encoder.name} has the modules {kinds}; only a pooling and a normalisation are done here. Use "
            "sentence-transformers for this model."
        )
    folder = encoder.folder / str(modules[kinds.index("Pooling")]["path"])
    config = _json(folder / "config.json", dict)
    pooling_modes = _pooling_modes(config)
    if len(pooling_modes) != 1 or pooling_modes[0] not in POOLING_MODES:
        raise ValueError(
            f"pool: {encoder.name} pools by {' and '.join(pooling_modes)}; expected one of {', '.join(POOLING_MODES)}. "
            "Use sentence-transformers for this model."
        )
    pool = POOLING_MODES[pooling_modes[0]]
    recipe = f"pool={pool!r} and normalise={'Normalize' in kinds}"
    wishes = _settings(encoder.folder / "config_sentence_transformers.json")
    reader = _settings(encoder.folder / str(modules[0]["path"]) / "sentence_bert_config.json")
    _refuse_other_texts(encoder, {**wishes, **reader, **config}, recipe)
    return pool, "Normalize" in kinds


def _pooling_modes(config: dict[str, Any]) -> list[str]:
    """Give the names of the poolings that a configuration asks for, whichever version wrote it."""
    stated = config.get("pooling_mode")
    if stated is not None:
        return [stated] if isinstance(stated, str) else [str(mode) for mode in stated]
    switches = [mode for switch, mode in EARLIER_POOLING_MODES.items() if config.get(switch) is True]
    return switches or ["mean"]  # as sentence-transformers reads a file that asks for nothing


def _settings(path: Path) -> dict[str, Any]:
    return _json(path, dict) if path.is_file() else {}


def _json(path: Path, kind: type[JSON]) -> JSON:
    """Read one of the files of a model by sentence-transformers."""
    if not path.is_file():
        raise ValueError(f"pool: {path} is not there; the model's modules.json names its folder. Save the model again.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"pool: {path} is no JSON ({error}); download or save the model again.") from error
    if not isinstance(content, kind):
        raise ValueError(  # noqa: TRY004 - the file is wrong, not the type of an argument
            f"pool: {path} holds a {type(content).__name__}; expected a {kind.__name__}. Save the model again."
        )
    return content


def _refuse_other_texts(encoder: Encoder, wishes: dict[str, Any], recipe: str) -> None:
    """Refuse a model whose own files change texts before they are read."""
    prompt = (wishes.get("prompts") or {}).get(wishes.get("default_prompt_name"))
    if prompt and not wishes.get("include_prompt", True):
        raise ValueError(
            f"pool: {encoder.name} puts its prompt {prompt!r} in front of every text and leaves it out of the pooling; "
            "use sentence-transformers for this model."
        )
    if prompt:
        raise ValueError(
            f"pool: {encoder.name} wants its prompt {prompt!r} in front of every text; put it there yourself, with "
            f"{recipe}."
        )
    if wishes.get("do_lower_case") and not _lowers(encoder):
        raise ValueError(
            f"pool: {encoder.name} wants texts in lower case, and its tokenizer keeps capitals; lower-case them "
            f"yourself, with {recipe}."
        )


def _lowers(encoder: Encoder) -> bool:
    """Whether a tokenizer makes capitals small before it looks for pieces."""
    normalizer = encoder.tokenizer.backend_tokenizer.normalizer if encoder.tokenizer.is_fast else None
    return normalizer is not None and bool(normalizer.normalize_str("A") == normalizer.normalize_str("a"))


def plan_texts(encoder: Encoder, stimuli: Stimuli, long: str, *, stacklevel: int = 2) -> Plan:
    """Tokenise texts, one reading each, all tokens taken.

    Parameters
    ----------
    encoder : Encoder
        Its tokenizer is used.
    stimuli : Stimuli
        One row a text.
    long : {"error", "truncate"}
        What becomes of texts longer than the encoder reads.
    stacklevel : int
        How many calls up a warning belongs to.

    Returns
    -------
    Plan
    """
    texts = tidy(stimuli, stacklevel=stacklevel + 1)
    warn_of_repeats(stimuli, stacklevel=stacklevel + 1)
    token_ids = encoder.tokenizer(texts, split_special_tokens=True, verbose=False)["input_ids"]
    before, behind = encoder.affixes
    special = len(before) + len(behind)
    empty = [row for row, ids in enumerate(token_ids) if len(ids) <= special]
    if empty:
        raise ValueError(
            f"stimuli: {len(empty)} texts have no token at all for {encoder.name} (first labels "
            f"{stimuli.labels[empty[:5]].tolist()}); leave them out."
        )
    over = [row for row, ids in enumerate(token_ids) if len(ids) > encoder.max_tokens]
    if over:
        _refuse_or_warn(encoder, stimuli, over, max(len(token_ids[row]) for row in over), long, stacklevel + 1)
    keep = encoder.max_tokens - len(behind)
    for row in over:
        token_ids[row] = token_ids[row][:keep] + behind
    warn_of_other_language(encoder, token_ids, texts, stacklevel=stacklevel)
    readings = [
        Reading(np.asarray(ids, dtype=np.int64), np.arange(len(ids)), np.full(len(ids), row))
        for row, ids in enumerate(token_ids)
    ]
    return Plan(readings, {"texts": texts, "long": long}, {"long": long, "n_truncated": len(over)})


def _refuse_or_warn(
    encoder: Encoder, stimuli: Stimuli, over: list[int], longest: int, long: str, stacklevel: int
) -> None:
    labels = stimuli.labels[over[:5]].tolist()
    complaint = (
        f"{len(over)} of {len(stimuli)} texts are longer than the {encoder.max_tokens} tokens {encoder.name} reads"
    )
    if long == "error":
        raise ValueError(
            f"stimuli: {complaint} (first labels {labels}, longest {longest} tokens). Split them, or say "
            "long='truncate' to use their beginnings."
        )
    warnings.warn(
        f"stimuli: {complaint} and were cut (first labels {labels}, longest {longest} tokens).", stacklevel=stacklevel
    )


def plan_words(
    encoder: Encoder,
    words: Stimuli,
    context: Context,
    *,
    missing: Missing = "error",
    shared: Shared = "error",
    stacklevel: int = 2,
) -> Plan:
    """Tokenise running text once, and plan what is read with each word.

    Parameters
    ----------
    encoder : Encoder
        Its tokenizer is used.
    words : Stimuli
        One row a word.
    context : Whole, Rolling or Overlapping
        What is read with each word.
    missing, shared : str
        As in :func:`extract_text_features`.
    stacklevel : int
        How many calls up a warning belongs to.

    Returns
    -------
    Plan
    """
    passages = tokenise(encoder, words, missing=missing, shared=shared, stacklevel=stacklevel + 1)
    read = [passage.text.text for passage in passages]
    warn_of_other_language(encoder, [passage.ids for passage in passages], read, stacklevel=stacklevel)
    before, behind = encoder.affixes
    max_word_tokens = encoder.max_tokens - len(before) - len(behind)
    left = np.full(len(words), -1, dtype=np.intp)
    readings = []
    for passage in passages:
        for stretch in context.plan(passage, max_word_tokens):
            word, piece = passage.pieces_of(stretch.first, stretch.behind)
            ids = np.concatenate([before, passage.ids[stretch.start : stretch.stop], behind]).astype(np.int64)
            row = passage.rows[word]
            readings.append(Reading(ids, piece - stretch.start + len(before), row))
            left[row] = passage.first[word] - stretch.start
    return Plan(readings, _words_key(passages, context, missing, shared), _words_notes(context, passages), left)


def _words_key(passages: list[Passage], context: Context, missing: str, shared: str) -> dict[str, object]:
    texts = [passage.text for passage in passages]
    spans = [[text.text, text.starts.tolist(), text.stops.tolist()] for text in texts]
    return {"passages": spans, "context": _described(context), "missing": missing, "shared": shared}


def _words_notes(context: Context, passages: list[Passage]) -> dict[str, str | int]:
    silent = sum(int((passage.first < 0).sum()) for passage in passages)
    return {"context": _described(context), "n_without_pieces": silent}


def _described(context: Context) -> str:
    return f"{type(context).__name__}({', '.join(f'{key}={value}' for key, value in asdict(context).items())})"


def _labelled(stimuli: Stimuli, encoder: Encoder, layers: list[int], plan: Plan) -> xr.DataArray:
    """Make the array with its labels and without its values, at no cost in memory."""
    width = int(encoder.model.config.hidden_size)
    names = encoder.layer_names
    coords = {
        **stimuli.coords(),
        "layer": layers,
        "layer_name": ("layer", [names[layer] for layer in layers]),
        "feature": np.arange(width),
    }
    if plan.left_tokens is not None:
        coords["left_tokens"] = ("sample", plan.left_tokens)
    empty = np.broadcast_to(np.float32(0), (len(stimuli), len(layers), width))
    return xr.DataArray(empty, dims=("sample", "layer", "feature"), coords=coords)


def mix_layers(features: xr.DataArray, weights: Sequence[float] | None = None) -> xr.DataArray:
    r"""Average layers with given weights, as the scalar mix of ELMo does.

    :math:`\sum_l s_l h_l` with :math:`s = \mathrm{softmax}(w)`.

    Parameters
    ----------
    features : xarray.DataArray, dims (sample, layer, feature)
        From :func:`extract`.
    weights : sequence of float, optional
        One a layer, before the softmax; equal by default.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)

    References
    ----------
    Peters, M. et al. (2018). Deep contextualized word representations. NAACL.
    """
    n_layers = features.sizes["layer"]
    layer_weights = np.zeros(n_layers) if weights is None else np.asarray(weights, dtype=np.float64)
    if layer_weights.shape != (n_layers,) or not np.isfinite(layer_weights).all():
        raise ValueError(f"weights: got shape {layer_weights.shape}; expected {n_layers} finite numbers, one a layer.")
    share = np.exp(layer_weights - layer_weights.max())
    floating = np.issubdtype(features.dtype, np.floating)
    share = (share / share.sum()).astype(features.dtype if floating else np.float64)
    mixed = features.drop_vars("layer_name", errors="ignore").dot(xr.DataArray(share, dims="layer"), dim="layer")
    shares = ", ".join(f"{value:.6g}" for value in share)
    return mixed.assign_attrs({**features.attrs, "step": "mix_layers", "layer_shares": shares})
