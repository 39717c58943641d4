"""A small lexicon and a network trained on it for a few epochs."""

from __future__ import annotations

import numpy as np
import pytest

from neuroling.n400.lexicon import make_lexicon
from neuroling.n400.network import Network
from neuroling.n400.regime import Training
from neuroling.n400.training import train


@pytest.fixture(scope="session")
def lexicon():
    return make_lexicon(
        rng=0, n_words=12, n_acronyms=4, n_pseudowords=6, n_illegal=6, n_categories=3, n_semantic_units=20
    )


@pytest.fixture(scope="session")
def network(lexicon):
    """Three participants after 30 epochs: they have a response, but have not learned everything."""
    return train(lexicon, participants=3, rng=1, training=Training().with_epochs(30), device="cpu")


@pytest.fixture(scope="session")
def precise(network):
    """The same participants in double precision."""
    weights = {name: values.astype(np.float64) for name, values in network.weights.items()}
    return Network(network.lexicon, network.architecture, weights, network.training, network.loss)
