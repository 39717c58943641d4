"""One model on several devices: copies of it, and sequences dealt out among them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from neuroling.features.transformer.encoder import Encoder, load_encoder
from neuroling.features.transformer.prepacked_weights import Prepacked
from neuroling.numerics.device import resolve_device

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def on_devices(encoder: Encoder, devices: Sequence[str]) -> list[Encoder]:
    """Copy an encoder to several devices, for :func:`~neuroling.extract_text_features` to share its work among.

    Parameters
    ----------
    encoder : Encoder
        From :func:`~neuroling.features.transformer.encoder.load_encoder`.
    devices : sequence of str
        Such as ``["cuda:0", "cuda:1"]``, all of one kind.

    Returns
    -------
    list of Encoder
        One a device.

    Raises
    ------
    ValueError
        If a device does not exist, the kinds differ, or the encoder is compiled, which cannot be copied.

    Examples
    --------
    >>> len(on_devices(load_encoder("minilm", device="cpu"), ["cpu", "cpu"]))
    2
    """
    resolved = [resolve_device(device) for device in devices]
    if not resolved or len({target.type for target in resolved}) > 1:
        raise ValueError(f"devices: got {list(devices)}; expected at least one, all of one kind.")
    if encoder.compiled:
        raise ValueError("encoder: a compiled one cannot be copied; load it on each device.")
    return [
        replace(encoder, model=_copied(encoder.model, target), device=target, prepacked=Prepacked())
        for target in resolved
    ]


def _copied(model: PreTrainedModel, place: torch.device) -> PreTrainedModel:
    copied = copy.deepcopy(model)
    torch.nn.Module.to(copied, place)
    return copied


def resolve_encoders(encoder: Encoder | Sequence[Encoder] | str | Path, device: str) -> list[Encoder]:
    """Turn a name, a folder, an encoder or several into a list of encoders that give the same numbers.

    Parameters
    ----------
    encoder : Encoder, sequence of Encoder, str or Path
        A name or a folder is loaded.
    device : str
        Where to load it.

    Returns
    -------
    list of Encoder

    Raises
    ------
    ValueError
        If they are not copies of one another.
    TypeError
        If there is something else among them.
    """
    if isinstance(encoder, str | Path):
        return [load_encoder(encoder, device=device)]
    encoders = list(encoder) if isinstance(encoder, Iterable) else [encoder]
    strange = [type(other).__name__ for other in encoders if not isinstance(other, Encoder)]
    if strange:
        raise TypeError(f"encoder: got {strange}; expected a name, a folder, an Encoder or copies of one.")
    if not encoders or any(other.provenance() != encoders[0].provenance() for other in encoders):
        raise ValueError(
            f"encoder: got {[other.name for other in encoders]}; expected one, or copies of one on several devices, as "
            "on_devices gives."
        )
    for one in encoders:
        require_evaluation(one)
    return encoders


def resolve_encoder(encoder: Encoder | str | Path, device: str) -> Encoder:
    """Turn a name, a folder or an encoder into an encoder.

    Parameters
    ----------
    encoder : Encoder, str or Path
        A name or a folder is loaded.
    device : str
        Where to load it.

    Returns
    -------
    Encoder

    Raises
    ------
    TypeError
        If it is something else.
    """
    if isinstance(encoder, str | Path):
        return load_encoder(encoder, device=device)
    if not isinstance(encoder, Encoder):
        raise TypeError(f"encoder: got {type(encoder).__name__}; expected a name, a folder or an Encoder.")
    require_evaluation(encoder)
    return encoder


def require_evaluation(encoder: Encoder) -> None:
    """Refuse a model in training mode, whose dropout would change states at random.

    Parameters
    ----------
    encoder : Encoder
        Its model is looked at.

    Raises
    ------
    ValueError
        If the model, or any part of it, is in training mode.
    """
    if any(module.training for module in encoder.model.modules()):
        raise ValueError(
            f"encoder: the model of {encoder.name} is in training mode, where dropout changes states at random; "
            "expected evaluation mode. Call encoder.model.eval() first."
        )


def deal(lengths: Sequence[int], n_hands: int) -> list[NDArray[np.intp]]:
    """Deal sequences out, the longest first, there and back again, so that every hand gets about as many tokens.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each sequence.
    n_hands : int
        How many to deal to.

    Returns
    -------
    list of ndarray of int
        Every sequence once; a hand may be empty.

    Examples
    --------
    >>> [hand.tolist() for hand in deal([9, 2, 7, 4, 5], 2)]
    [[0, 3, 1], [2, 4]]
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.intp), kind="stable")
    turn = np.arange(len(order)) % (2 * n_hands)
    hand = np.where(turn < n_hands, turn, 2 * n_hands - 1 - turn)
    return [order[hand == number] for number in range(n_hands)]
