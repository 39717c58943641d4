"""Checkpoints: whole or absent, without pickle, checked when they are read.

A run's folder holds ``step-00000100`` and so on. Each is a folder that transformers (and ``load_encoder``) can read:
``model.safetensors`` beside whatever ``describe`` adds, such as ``config.json`` and a tokenizer. What only training
needs lies in its folder ``training``: ``optimizer.safetensors`` and ``state.json``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor, nn
from torch.optim import Optimizer

from neuroling.core.provenance import current_versions, now
from neuroling.numerics.rounding_conditions import rounding_conditions

WEIGHTS = "model.safetensors"
OPTIMIZER = Path("training") / "optimizer.safetensors"
STATE = Path("training") / "state.json"
SEAL = "state_sha256"

Describe = Callable[[Path], None]
"""Adds files to the folder of a checkpoint."""


class CheckpointError(ValueError):
    """Raised where a checkpoint is damaged, or belongs to another configuration."""


def write_checkpoint(
    run: Path,
    step: int,
    model: nn.Module,
    *,
    optimizer: Optimizer,
    configuration: Mapping[str, object],
    history: Mapping[str, Tensor],
    describe: Describe | None = None,
) -> Path:
    """Write a checkpoint under another name, flush it to disk, and give it its own name.

    Parameters
    ----------
    run : pathlib.Path
        Folder of the run.
    step : int
        Steps taken.
    model : torch.nn.Module
        Weights.
    optimizer : torch.optim.Optimizer
        Its moments.
    configuration : mapping
        What a run that goes on from here must agree with, as JSON.
    history : mapping of torch.Tensor
        Curves so far.
    describe : callable, optional
        Adds files.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    OSError
        If it cannot be written, for example on a full disk: the unfinished folder is removed, earlier ones are kept.
    """
    final, partial = run / f"step-{step:08d}", run / f".step-{step:08d}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        (partial / "training").mkdir(parents=True)
        if describe is not None:
            describe(partial)
        save_model(model, str(partial / WEIGHTS), metadata={"format": "pt"})
        tensors, groups = _taken_apart(optimizer)
        save_file(tensors | {f"history/{name}": curve for name, curve in history.items()}, partial / OPTIMIZER)
        state = {
            "step": step,
            "configuration": configuration,
            "groups": groups,
            "torch_random": "restarted at every step from the seed, the step and the rank",
            "sha256": {str(name): file_sha256(partial / name) for name in (Path(WEIGHTS), OPTIMIZER)},
            "versions": current_versions(),
            "conditions": rounding_conditions(),
            "created": now(),
        }
        state[SEAL] = _state_digest(state)
        (partial / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
        _flush(partial)
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        _flush_folder(run)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        previous = latest_checkpoint(run)
        raise OSError(
            f"checkpoint: step {step} could not be written to {final} ({error}). "
            f"{'No earlier one is there' if previous is None else f'{previous.name} is kept'}; make room or give "
            "another folder, and start the same run again."
        ) from error
    return final


def latest_checkpoint(run: Path) -> Path | None:
    """Find the last whole checkpoint of a run.

    Parameters
    ----------
    run : pathlib.Path
        Folder of the run.

    Returns
    -------
    pathlib.Path or None
    """
    found = checkpoints(run)
    return found[max(found)] if found else None


def checkpoints(run: Path) -> dict[int, Path]:
    """List the checkpoints of a run.

    Parameters
    ----------
    run : pathlib.Path
        Folder of the run.

    Returns
    -------
    dict of pathlib.Path
        By step, ascending.
    """
    folders = sorted(run.glob("step-*")) if run.is_dir() else []
    return {int(folder.name.removeprefix("step-")): folder for folder in folders if (folder / STATE).is_file()}


def read_checkpoint(
    folder: Path, model: nn.Module, optimizer: Optimizer, configuration: Mapping[str, object]
) -> tuple[int, dict[str, Tensor]]:
    """Put weights and moments back.

    Parameters
    ----------
    folder : path
        A checkpoint.
    model : torch.nn.Module
        Filled in place.
    optimizer : torch.optim.Optimizer
        Over the parameters of ``model``; filled in place.
    configuration : mapping
        Of the run that wants to go on.

    Returns
    -------
    tuple of int and dict of torch.Tensor
        Steps taken, and the curves so far.

    Raises
    ------
    CheckpointError
        If a file is not as it was written, or the run is configured otherwise; the message names what differs.
    """
    state = _read_state(folder)
    requested, stored = _flat(json.loads(json.dumps(configuration))), _flat(state["configuration"])
    different = sorted(key for key in requested | stored if requested.get(key) != stored.get(key))
    if different:
        listed = "; ".join(f"{key} {stored.get(key)!r} there, {requested.get(key)!r} here" for key in different[:5])
        raise CheckpointError(
            f"checkpoint: {folder} is from another configuration: {listed}. Use the same one, or another folder."
        )
    for name, digest in state["sha256"].items():
        if not (folder / name).is_file() or file_sha256(folder / name) != digest:
            raise CheckpointError(
                f"checkpoint: {folder / name} is not as it was written; remove the folder {folder.name} to go on from "
                "the checkpoint before it."
            )
    _warn_of_other_conditions(folder, state)
    _fill(model, folder)
    tensors = load_file(folder / OPTIMIZER)
    history = {name.removeprefix("history/"): curve for name, curve in tensors.items() if name.startswith("history/")}
    _put_together(optimizer, {name: one for name, one in tensors.items() if "history/" not in name}, state["groups"])
    return int(state["step"]), history


def _warn_of_other_conditions(folder: Path, state: Mapping[str, Any]) -> None:
    """Say that a run goes on under conditions that round otherwise than those under which it was begun."""
    then = {**state.get("conditions", {}), "torch": state["versions"].get("torch")}
    here = {**rounding_conditions(), "torch": current_versions().get("torch")}
    changed = [
        f"{name} {then[name]!r} then, {here[name]!r} now" for name in here if then.get(name, here[name]) != here[name]
    ]
    if changed:
        warnings.warn(
            f"checkpoint: {folder} was written under other conditions ({'; '.join(changed)}), so that weights may "
            "differ from those of an uninterrupted run, beginning with their last bits.",
            UserWarning,
            stacklevel=3,
        )


def _read_state(folder: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"checkpoint: {folder / STATE} cannot be read ({error}); it is no checkpoint.") from error
    if not isinstance(state, dict) or state.get(SEAL) != _state_digest(state):
        raise CheckpointError(
            f"checkpoint: {folder / STATE} is not as it was written (step, configuration or optimizer); remove the "
            f"folder {folder.name} to go on from the checkpoint before it."
        )
    named = folder.name.removeprefix("step-")
    if named.isdecimal() and int(named) != state["step"]:
        raise CheckpointError(
            f"checkpoint: the folder {folder.name} holds step {state['step']}; it was renamed or copied. Give it its "
            "own name again, or remove it."
        )
    return state


def _state_digest(state: Mapping[str, object]) -> str:
    """Hash everything in a state but its own seal, as it reads after a round trip through JSON."""
    content = {name: value for name, value in state.items() if name != SEAL}
    text = json.dumps(json.loads(json.dumps(content)), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _taken_apart(optimizer: Optimizer) -> tuple[dict[str, Tensor], list[dict[str, object]]]:
    """Give the tensors of an optimizer by name, and its numbers."""
    whole = optimizer.state_dict()
    tensors = {f"{place}/{name}": one for place, moments in whole["state"].items() for name, one in moments.items()}
    return tensors, whole["param_groups"]


def _put_together(optimizer: Optimizer, tensors: Mapping[str, Tensor], groups: object) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, one in tensors.items():
        place, _, name = key.partition("/")
        state.setdefault(int(place), {})[name] = one
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _flat(values: object, prefix: str = "") -> dict[str, object]:
    if not isinstance(values, dict):
        return {prefix: values}
    return {
        key: one for name, value in values.items() for key, one in _flat(value, f"{prefix}.{name}".strip(".")).items()
    }


def file_sha256(path: Path) -> str:
    """Hash a file.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    str
        SHA-256 in hexadecimal digits.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _flush(folder: Path) -> None:
    """Bring every file below a folder to the disk."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        else:
            _flush_folder(path)
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_weights(folder: Path | str, model: nn.Module) -> None:
    """Read the weights of a checkpoint alone.

    Parameters
    ----------
    folder : path
        A checkpoint.
    model : torch.nn.Module
        Filled in place.

    Raises
    ------
    CheckpointError
        If the file cannot be read, or its weights do not fit the model, such as one of another vocabulary.
    """
    _fill(model, Path(folder))


def _fill(model: nn.Module, folder: Path) -> None:
    """Read weights into a model, or say which of them do not fit it."""
    path = folder / WEIGHTS
    try:
        with safe_open(path, framework="pt") as file:
            there = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"checkpoint: {path} cannot be read as weights ({error}); it is no checkpoint."
        ) from error
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    other = [
        f"{name} {there[name]} there, {shapes[name]} here"
        for name in sorted(there.keys() & shapes.keys())
        if there[name] != shapes[name]
    ]
    if other:
        raise CheckpointError(
            f"checkpoint: {len(other)} weights in {path} have another shape than those of the model: "
            f"{'; '.join(other[:3])}. Build the model with the shape and the vocabulary that it was trained with."
        )
    try:
        load_model(model, str(path), device=str(next(model.parameters(), torch.empty(0)).device))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"checkpoint: the weights in {path} are not those of this model ({reason}).") from error
