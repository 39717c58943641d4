"""Small text and small models for the tests of this room."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroling.lm.corpora import Corpus
from neuroling.lm.pretraining import Pretraining, Size, pretrain
from neuroling.lm.training import Recipe
from neuroling.lm.wordpiece import train_wordpiece

NOUNS = ["cat", "dog", "bird", "child", "teacher", "sailor"]
VERBS = ["sees", "hears", "follows", "knows", "likes", "meets"]


@pytest.fixture(scope="session")
def corpus():
    rng = np.random.default_rng(0)
    sentence = lambda: f"the {rng.choice(NOUNS)} {rng.choice(VERBS)} the {rng.choice(NOUNS)} ."  # noqa: E731
    return Corpus.of([[sentence() for _ in range(4)] for _ in range(10)])


@pytest.fixture(scope="session")
def tokenizer(corpus):
    return train_wordpiece(corpus.sentences, size=200, max_length=32)


@pytest.fixture(scope="session")
def base(corpus, tokenizer, tmp_path_factory):
    """Folder of a checkpoint of a model that knows next to nothing."""
    run = tmp_path_factory.mktemp("base")
    recipe = Recipe(steps=2, batch_size=4)
    pretrain(corpus, tokenizer, Pretraining(), recipe, size=Size(1, 16, 2), max_length=32, folder=run, device="cpu")
    return run / "step-00000002"


class Adder(torch.nn.Module):
    """Learns a number; with dropout, so that random numbers matter."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(width, 8), torch.nn.Tanh(), torch.nn.Dropout(0.3), torch.nn.Linear(8, 1)
        )

    def forward(self, x):
        return self.layers(x)[:, 0]


class Squares:
    """Squared error."""

    def counts(self, batch):
        return {"loss": len(batch["x"])}

    def sums(self, model, batch):
        return {"loss": ((model(batch["x"]) - batch["y"]) ** 2).sum()}


@pytest.fixture
def problem():
    """A model, a function that draws batches, the number of examples, and what is to be made small."""
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    y = x.sum(1)

    def draw(rows, rng):
        rows = torch.as_tensor(rows)
        return {"x": x[rows], "y": y[rows]}

    def make(seed=0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Adder()

    return make, draw, len(x), Squares()
