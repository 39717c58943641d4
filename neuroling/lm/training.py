"""The training loop: one for every model of this room.

Everything random at a step follows from the seed and the number of the step, so a run that was killed goes on exactly
as if it had not been. The loss of a step is the sum over all its rows divided by the count over all its rows; how many
parts or processes the rows are dealt out to does not change it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroling.lm.checkpoints import Describe, latest_checkpoint, read_checkpoint, write_checkpoint
from neuroling.lm.distributed import Team, team
from neuroling.lm.schedules import Schedule, constant
from neuroling.numerics.device import resolve_device

logger = logging.getLogger(__name__)

Draw = Callable[[NDArray[np.int64], np.random.Generator], dict[str, Tensor]]
"""Takes the numbers of examples and a generator; gives the columns of a batch, one row an example."""

Watch = Callable[[int, nn.Module], None]
"""Called after a step, with its number from 1 and the model."""


class Diverged(ValueError):  # noqa: N818 - reads as what happened: the training diverged
    """Raised where a loss or a gradient is no longer a finite number."""


class Objective(Protocol):
    """What is to be made small."""

    def counts(self, batch: Mapping[str, Tensor]) -> dict[str, int]:
        """Count the predictions of every kind in a whole batch; each kind is divided by its own count."""

    def sums(self, model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add up the losses of every kind over rows of a batch."""


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes
    ----------
    steps : int
        Steps in all.
    batch_size : int
        Examples a step, over all parts and processes.
    learning_rate : float
        The highest.
    warmup_steps : int
        Steps of the rise.
    schedule : callable
        One of :mod:`neuroling.lm.schedules`.
    weight_decay : float
        Of AdamW (Loshchilov and Hutter 2019); biases, norms and other vectors do not decay.
    accumulate : int
        Parts that a step's rows are read in; more parts need less memory and give the same step.
    clip : float, optional
        Longest gradient (norm).
    precision : {"float32", "bfloat16"}
        Of the forward pass; weights and moments stay float32.
    seed : int
        Of order, noise and dropout.
    save_every : int, optional
        Steps between checkpoints; the last step is always saved where there is a folder.
    """

    steps: int
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup_steps: int = 0
    schedule: Schedule = constant
    weight_decay: float = 0.01
    accumulate: int = 1
    clip: float | None = 1.0
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0
    save_every: int | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: got {getattr(self, name)}; expected at least 1.")
        if not 0 <= self.warmup_steps <= self.steps:
            raise ValueError(f"warmup_steps: got {self.warmup_steps}; expected 0 to the {self.steps} steps.")
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision: got {self.precision!r}; expected 'float32' or 'bfloat16'.")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate: got {self.learning_rate}; expected a number above 0.")

    def described(self) -> dict[str, object]:
        """Give the recipe as JSON can hold it.

        ``accumulate`` and ``save_every`` may differ between a run and its continuation, and are left out.
        """
        fields = {name: value for name, value in asdict(self).items() if name not in ("accumulate", "save_every")}
        return fields | {"schedule": self.schedule.__name__}


# More than eight parameters: one training loop for all objectives, with its callbacks and files.
def train(
    model: nn.Module,
    draw: Draw,
    n_examples: int,
    objective: Objective,
    recipe: Recipe,
    *,
    folder: Path | None = None,
    describe: Describe | None = None,
    configuration: Mapping[str, object] | None = None,
    watch: Watch | None = None,
    device: str = "auto",
) -> dict[str, NDArray[np.float64]]:
    """Train a model in place; go on from the last checkpoint if the folder has one.

    Under ``torchrun`` every process calls this with the same arguments, and the rows of a step are dealt out to them.

    Parameters
    ----------
    model : torch.nn.Module
        Trained in place, and left on its device, in evaluation mode.
    draw : callable
        Gives the batch of some examples.
    n_examples : int
        How many examples there are; every one is drawn once before any is drawn again.
    objective : Objective
        What is to be made small.
    recipe : Recipe
        How.
    folder : pathlib.Path, optional
        Where checkpoints go.
    describe : callable, optional
        Adds files to every checkpoint.
    configuration : mapping, optional
        What else a continuation must agree with: sizes of the model, fingerprint of the text.
    watch : callable, optional
        Called after every step.
    device : str
        As for ``resolve_device``.

    Returns
    -------
    dict of numpy.ndarray, (step,)
        Curve of every kind of loss, and ``learning_rate``.

    Raises
    ------
    Diverged
        If a loss or gradient is not finite: the step is named, the model keeps the weights from before it, and so
        does the last checkpoint.
    CheckpointError, OSError
        If a checkpoint cannot be read or written.
    """
    if n_examples < 1:
        raise ValueError(f"n_examples: got {n_examples}; expected at least one example.")
    configuration_of_run = {"recipe": recipe.described(), "n_examples": n_examples, **(configuration or {})}
    with team(resolve_device(device)) as (us, target), _own_random_numbers(target):
        model.to(target).train()
        optimizer = _adamw(model, recipe)
        step, history = 0, dict[str, Tensor]()
        last = latest_checkpoint(folder) if folder is not None else None
        if last is not None:
            step, history = read_checkpoint(last, model, optimizer, configuration_of_run)
            logger.info("Going on from %s.", last)
        curves = {name: curve.tolist() for name, curve in history.items()}
        while step < recipe.steps:
            step += 1
            try:
                losses = _step(model, draw, n_examples, objective, recipe, optimizer, step, us, target)
            except Diverged as error:
                kept = "none was written" if folder is None or (last := latest_checkpoint(folder)) is None else last
                raise Diverged(f"{error} The last good checkpoint: {kept}. Lower the learning rate or clip.") from None
            for name, value in losses.items():
                curves.setdefault(name, []).append(value)
            if folder is not None and (step == recipe.steps or (recipe.save_every and step % recipe.save_every == 0)):
                if us.rank == 0:
                    curve = {name: torch.tensor(values, dtype=torch.float64) for name, values in curves.items()}
                    write_checkpoint(
                        folder,
                        step,
                        model,
                        optimizer=optimizer,
                        configuration=configuration_of_run,
                        history=curve,
                        describe=describe,
                    )
                us.wait()
            if watch is not None:
                watch(step, model)
        model.eval()
    return {name: np.array(values) for name, values in curves.items()}


def _step(
    model: nn.Module,
    draw: Draw,
    n_examples: int,
    objective: Objective,
    recipe: Recipe,
    optimizer: torch.optim.Optimizer,
    step: int,
    us: Team,
    target: torch.device,
) -> dict[str, float]:
    """Take one step; give its losses, NaN for what the batch asks nothing about."""
    rate = recipe.learning_rate * recipe.schedule(step, recipe.warmup_steps, recipe.steps)
    batch = draw(rows_of_step(step, n_examples, recipe), np.random.default_rng([recipe.seed, 1, step]))
    counts = objective.counts(batch)
    model.train()
    optimizer.zero_grad(set_to_none=True)
    losses = {name: torch.zeros((), device=target) for name, count in counts.items() if count}
    for number in range(recipe.accumulate):
        rows = {name: one.to(target) for name, one in us.share(batch, number, recipe.accumulate).items()}
        if not len(next(iter(rows.values()))):
            continue
        torch.manual_seed(_seed(recipe.seed, step, number, us.rank))
        with torch.autocast(target.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            sums = objective.sums(model, rows)
        mean_losses = {name: total / counts[name] for name, total in sums.items() if counts[name]}
        if not mean_losses:
            continue
        torch.stack(list(mean_losses.values())).sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        losses = {
            name: value + mean_losses[name].detach() if name in mean_losses else value for name, value in losses.items()
        }
    us.add_up(model)
    norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.clip or float("inf"))
    on_device = torch.stack([*(us.total(value) for value in losses.values()), norm.to(target)])
    *totals, norm_here = on_device.tolist()  # the one wait for the device in a step
    total_losses = dict(zip(losses, totals, strict=True))
    if not np.isfinite([*totals, norm_here]).all():
        raise Diverged(f"loss: {total_losses} with a gradient of norm {norm_here:g} at step {step}; training stops.")
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return {**dict.fromkeys(counts, np.nan), **total_losses, "learning_rate": rate}


def rows_of_step(step: int, n_examples: int, recipe: Recipe) -> NDArray[np.int64]:
    """Say which examples a step reads: pass after pass over all of them, every pass in an order of its own.

    Parameters
    ----------
    step : int
        From 1.
    n_examples : int
        How many there are.
    recipe : Recipe
        Holds seed and batch size.

    Returns
    -------
    numpy.ndarray, (batch_size,)

    Examples
    --------
    >>> recipe = Recipe(steps=3, batch_size=2)
    >>> sorted(np.concatenate([rows_of_step(step, 6, recipe) for step in (1, 2, 3)]).tolist())
    [0, 1, 2, 3, 4, 5]
    """
    positions = np.arange((step - 1) * recipe.batch_size, step * recipe.batch_size)
    orders = {one: np.random.default_rng([recipe.seed, 0, one]) for one in np.unique(positions // n_examples).tolist()}
    shuffled = {one: rng.permutation(n_examples) for one, rng in orders.items()}
    return np.array([shuffled[place // n_examples][place % n_examples] for place in positions.tolist()], dtype=np.int64)


def _adamw(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in parameters if parameter.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=recipe.learning_rate)


def _seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextmanager
def _own_random_numbers(place: torch.device) -> Iterator[None]:
    """Leave torch's global random state as it was found."""
    devices = [place] if place.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


def seeded(seed: int, make: Callable[[], nn.Module]) -> nn.Module:
    """Build a model whose random weights follow from a seed.

    Parameters
    ----------
    seed : int
        Of the weights.
    make : callable
        Builds the model.

    Returns
    -------
    torch.nn.Module
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()
