"""Trained networks as files: saved, read back, kept under a key of everything that made them, and three that ship.

A file is a safetensors file: weights, meanings and letter codes as tensors; the lexicon's table, the architecture, the
training, the seed and a SHA-256 of all this as JSON in its header. Nothing in it is ever executed.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from neuroling.core.files import write_whole
from neuroling.core.trust import distrust
from neuroling.n400.alpha import Alpha
from neuroling.n400.lexicon import Lexicon
from neuroling.n400.network import Architecture, Network
from neuroling.n400.regime import Stage, Training

LOG = logging.getLogger(__name__)

FORMAT = "neuroling-n400-network-2"
"""Name of the file layout and of the dynamics; a change of either, or of what training does, changes it."""

SHIPPED = Path(__file__).parent / "trained_networks"
N_SHIPPED = 3

DERIVED = ("neighbours", "richness")
"""Columns of a lexicon's table that it makes itself."""


def trained_network(lexicon: int = 0) -> Network:
    """Give one of the three small trained networks that come with the package: four participants of one lexicon each.

    Parameters
    ----------
    lexicon : int
        0, 1 or 2: the lexicons that ``train_networks(lexicons=3, rng=0)`` draws.

    Returns
    -------
    Network

    Examples
    --------
    >>> network = trained_network(0)
    >>> network.n_participants, len(network.lexicon.known)
    (4, 77)
    """
    if lexicon not in range(N_SHIPPED):
        raise ValueError(f"lexicon: got {lexicon!r}; expected 0 to {N_SHIPPED - 1}, one of the networks that ship.")
    return load_network(SHIPPED / f"lexicon_{lexicon}.safetensors")


def save_network(network: Network, path: str | Path, *, seed: Sequence[int] = ()) -> None:
    """Write a trained network to a file.

    Parameters
    ----------
    network : Network
        Weights are written in single precision.
    path : str or Path
        File; its folder exists.
    seed : sequence of int
        What it was drawn from, for the record.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_network(trained_network(0), Path(folder) / "network.safetensors")
    ...     load_network(Path(folder) / "network.safetensors").n_participants
    4
    """
    tensors = {f"weights.{name}": np.ascontiguousarray(values, np.float32) for name, values in network.weights.items()}
    lexicon = network.lexicon
    tensors["lexicon.semantics"] = lexicon.semantics.astype(np.float32)
    tensors["lexicon.codes"] = np.stack([np.asarray(code, np.float32) for code in lexicon.codes.values()])
    tensors["loss"] = np.ascontiguousarray(network.loss, np.float32)
    described = describe(lexicon, network.architecture, network.training, network.n_participants, seed)
    made = json.dumps(described, sort_keys=True)
    write_whole(Path(path), save(tensors, {"format": FORMAT, "made": made, "sha256": _digest(made, tensors)}))


def load_network(path: str | Path) -> Network:
    """Read a trained network from a file.

    Parameters
    ----------
    path : str or Path
        From :func:`save_network`.

    Returns
    -------
    Network

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, no network, or of another version.
    """
    return _read(Path(path))[0]


def _read(path: Path) -> tuple[Network, str]:
    """Read a network, and what made it as JSON."""
    if not path.is_file():
        raise FileNotFoundError(f"path: no file {str(path)!r}; expected a network written by save_network.")
    try:
        with safe_open(path, framework="numpy") as file:
            header = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, UnicodeDecodeError) as error:
        raise ValueError(f"path: {str(path)!r} is damaged or no safetensors file ({error}); train it anew.") from error
    if header.get("format") != FORMAT:
        raise ValueError(
            f"path: {str(path)!r} is of the version {header.get('format')!r}; this package reads {FORMAT!r}. Networks "
            "of another version behave differently: train it anew."
        )
    if header.get("sha256") != _digest(header.get("made", ""), tensors):
        raise ValueError(f"path: {str(path)!r} is not as it was written (its SHA-256 differs); train it anew.")
    try:
        return _network(json.loads(header["made"]), tensors), header["made"]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"path: {str(path)!r} lacks {error} or holds it in another shape; train it anew.") from error


def cached(folder: Path | None, described: Mapping[str, Any], make: Callable[[], Network]) -> Network:
    """Read a network that has been trained before, or train it and keep it.

    Parameters
    ----------
    folder : Path or None
        Where networks are kept; None keeps none.
    described : mapping
        From :func:`describe`: everything that makes the network, and so its key.
    make : callable
        Trains it.

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        If a file is damaged, was made from something else, is of another version, or may have been planted by another
        user.
    """
    if folder is None:
        return make()
    key = hashlib.sha256(json.dumps({"format": FORMAT, **described}, sort_keys=True).encode()).hexdigest()
    path = folder / f"{key}.safetensors"
    if path.is_file():
        network = _kept(path, described)
        LOG.info("Trained before: %d participants, read from %s.", network.n_participants, path)
        return network
    network = make()
    folder.mkdir(parents=True, exist_ok=True)
    save_network(network, path, seed=described["seed"])
    return network


def _kept(path: Path, described: Mapping[str, Any]) -> Network:
    """Read a network from the cache, if this user made it, and made it of this."""
    doubt = distrust(path)
    if doubt:
        raise ValueError(f"cache: {str(path)!r} is not used, since {doubt}; or remove it to train anew.")
    network, made = _read(path)
    if json.loads(made) != json.loads(json.dumps(described)):
        raise ValueError(f"cache: {str(path)!r} was made from something else than its name says; remove it.")
    return network


def _digest(made: str, tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(made.encode())
    for name in sorted(tensors):
        values = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def describe(
    lexicon: Lexicon, architecture: Architecture, training: Training, participants: int, seed: Sequence[int]
) -> dict[str, Any]:
    """Describe everything that makes a network.

    Parameters
    ----------
    lexicon, architecture, training
        What is learned, by what, and how.
    participants : int
        How many learn it.
    seed : sequence of int
        Of weights and stream.

    Returns
    -------
    dict
        Numbers, strings, lists and dicts of these.
    """
    return {
        "lexicon": {
            "items": list(lexicon.items),
            "columns": {name: lexicon.table[name].tolist() for name in lexicon.table if name not in DERIVED},
            "order": [name for name in lexicon.table if name not in DERIVED],
            "semantics": lexicon.semantics.astype(int).tolist(),
            "letters": list(lexicon.codes),
            "codes": [np.asarray(code).tolist() for code in lexicon.codes.values()],
        },
        "architecture": asdict(architecture),
        "training": asdict(training),
        "participants": participants,
        "seed": [int(part) for part in seed],
    }


def _network(metadata: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Network:
    strings = metadata["lexicon"]
    table = pd.DataFrame(strings["columns"], index=pd.Index(strings["items"], name="item"))[strings["order"]]
    codes = dict(zip(strings["letters"], tensors["lexicon.codes"].astype(np.float64), strict=True))
    lexicon = Lexicon(table, tensors["lexicon.semantics"].astype(np.float64), codes)
    weights = {name.removeprefix("weights."): values for name, values in tensors.items() if name.startswith("weights.")}
    architecture = Architecture(**_tuples(metadata["architecture"]))
    return Network(lexicon, architecture, weights, _training(metadata["training"]), tensors["loss"])


def _training(described: Mapping[str, Any]) -> Training:
    plain = _tuples({name: value for name, value in described.items() if name not in ("stages", "alpha")})
    stages = tuple(Stage(**_tuples(stage)) for stage in described["stages"])
    alpha = described["alpha"]
    known = None if alpha is None else Alpha(**_tuples(alpha))
    return Training(stages=stages, alpha=known, **plain)


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
