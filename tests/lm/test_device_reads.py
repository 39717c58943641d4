"""How often training and recall wait for a device, counted on a CPU build as if every tensor stood on one."""

import sys

import pytest
import torch
from torch.overrides import TorchFunctionMode

from neuroling.lm.distributed import Team
from neuroling.lm.seq2seq import recall
from neuroling.lm.training import Recipe, _step
from neuroling.lm.vocabulary import END, PAD

READS = {"item", "tolist", "numpy", "__float__", "__int__", "__bool__", "__array__", "nonzero"}


class DeviceReads(TorchFunctionMode):
    """Counts the package's copies and waits; refuses ``numpy`` of what was not copied to the host."""

    def __init__(self):
        super().__init__()
        self.reads, self.host = [], []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name, caller = getattr(function, "__name__", ""), sys._getframe(1).f_code.co_filename
        out = function(*args, **(kwargs or {}))
        given = [one for one in self._flat(args) if isinstance(one, torch.Tensor)]
        on_host = bool(given) and all(any(one is other for other in self.host) for one in given)
        if not on_host and "/neuroling/" in caller:
            if name in ("numpy", "__array__"):
                raise TypeError("numpy of a tensor on the device")
            if name == "cpu" or name in READS:
                self.reads.append(name)
        if on_host or name == "cpu":
            self.host += [one for one in self._flat([out]) if isinstance(one, torch.Tensor)]
        return out

    def _flat(self, values):
        for value in values:
            if isinstance(value, (list, tuple)):
                yield from self._flat(value)
            else:
                yield value


class TwoLosses:
    """Squares and absolute values of a linear layer's outputs."""

    def counts(self, batch):
        return {"square": 4, "absolute": 4}

    def sums(self, model, batch):
        said = model(batch["x"])
        return {"square": said.square().sum(), "absolute": said.abs().sum()}


def one_step(objective):
    model = torch.nn.Linear(3, 1)
    recipe = Recipe(steps=1, batch_size=4, learning_rate=0.1, warmup_steps=0)
    optimizer = torch.optim.SGD(model.parameters())
    cpu = torch.device("cpu")
    with DeviceReads() as seen:
        losses = _step(
            model, lambda rows, _: {"x": torch.ones(len(rows), 3)}, 4, objective, recipe, optimizer, 1, Team(), cpu
        )
    return losses, seen.reads


def test_a_training_step_waits_once_whatever_the_number_of_losses():
    losses, reads = one_step(TwoLosses())
    assert losses["square"] == pytest.approx(losses["absolute"] ** 2, rel=1e-5)
    assert reads == ["tolist"]


def test_recall_copies_once_and_asks_no_device_tensor_for_numpy():
    said, target = torch.tensor([[5, 5, END], [4, END, 3]]), torch.tensor([[5, 6, END], [4, END, PAD]])
    with DeviceReads() as seen:
        found = recall(said, target)
    assert found.per_character == pytest.approx(4 / 5)
    assert seen.reads == ["cpu"]


def test_a_planted_numpy_of_a_device_tensor_is_refused(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "cpu", lambda one: one)
    one = torch.tensor([[4, END]])
    with DeviceReads(), pytest.raises(TypeError, match="numpy of a tensor on the device"):
        recall(one, one)
