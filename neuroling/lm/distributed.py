"""Several processes that train one model, as ``torchrun`` starts them: who am I, and sums over all of us."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch import distributed as dist


@dataclass(frozen=True)
class Team:
    """The processes that train together.

    Attributes
    ----------
    rank, size : int
        Number of this process, and how many there are.
    """

    rank: int = 0
    size: int = 1

    def share(self, batch: Mapping[str, Tensor], part: int, parts: int) -> dict[str, Tensor]:
        """Take this process's rows of a part of a batch.

        The rows of a step are dealt out like cards, first over parts and then over processes, so every row is taken
        once, whatever the number of processes.

        Parameters
        ----------
        batch : mapping of torch.Tensor
            All rows of the step.
        part, parts : int
            Which of the parts whose gradients are added up before a step.

        Returns
        -------
        dict of torch.Tensor
            Perhaps without rows.
        """
        start, stride = part * self.size + self.rank, parts * self.size
        return {name: column[start::stride] for name, column in batch.items()}

    def add_up(self, model: nn.Module) -> None:
        """Replace every gradient by its sum over processes, in one message.

        Parameters
        ----------
        model : torch.nn.Module
            After its backward pass.
        """
        if self.size == 1:
            return
        gradients = [
            torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            for parameter in model.parameters()
            if parameter.requires_grad
        ]
        there = gradients[0].new_tensor(
            [parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad]
        )
        together = torch.cat([there, *(gradient.reshape(-1) for gradient in gradients)])
        dist.all_reduce(together)
        there, *pieces = torch.split(together, [len(there), *(gradient.numel() for gradient in gradients)])
        ours = (parameter for parameter in model.parameters() if parameter.requires_grad)
        for parameter, piece, somewhere in zip(ours, pieces, there.tolist(), strict=True):
            parameter.grad = piece.view_as(parameter) if somewhere else None  # a process may have had no rows

    def total(self, value: Tensor) -> Tensor:
        """Sum a number over processes.

        Parameters
        ----------
        value : torch.Tensor
            On this process.

        Returns
        -------
        torch.Tensor
            The same on every process.
        """
        if self.size > 1:
            value = value.clone()
            dist.all_reduce(value)
        return value

    def wait(self) -> None:
        """Go on when every process has come this far."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def team(device: torch.device) -> Iterator[tuple[Team, torch.device]]:
    """Join the processes that ``torchrun`` started; alone if it did not.

    Parameters
    ----------
    device : torch.device
        Asked for; under ``torchrun`` every process takes the CUDA device of its local rank.

    Yields
    ------
    tuple of Team and torch.device
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team(), device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    joined = dist.is_initialized()
    if not joined:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Team(dist.get_rank(), dist.get_world_size()), device
    finally:
        if not joined:
            dist.destroy_process_group()
