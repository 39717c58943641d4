"""Several lexicons, each taught to simulated participants of its own: what an analysis runs on."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Literal

import numpy as np

from neuroling.n400.lexicon import make_lexicon, one_hot
from neuroling.n400.network import Network, Training, train

LOG = logging.getLogger(__name__)

Letters = Literal["two-of-five", "one-hot"]
"""How letters are coded: five units a slot as published, or one unit a letter and slot."""

TRAINING = {"two-of-five": Training(), "one-hot": Training(epochs=900, autoencoding=0.5)}
"""What either code needs (inferred): letters that share units have to be told apart by strong autoencoding."""


def teach(
    *,
    lexicons: int,
    participants: int,
    rng: int,
    letters: Letters = "two-of-five",
    epochs: int | None = None,
    device: str = "auto",
) -> list[Network]:
    """Draw lexicons and teach each to participants of its own.

    Parameters
    ----------
    lexicons, participants : int
        How many, the latter for each lexicon.
    rng : int
        Seed; lexicon number n does not depend on how many there are.
    letters : {"two-of-five", "one-hot"}
        Code of the letters, and the training that goes with it.
    epochs : int, optional
        Passes over the lexicon instead of the usual number.
    device : str
        Where to compute.

    Returns
    -------
    list of Network
    """
    if lexicons < 1:
        raise ValueError(f"lexicons: got {lexicons}; expected 1 or more.")
    if letters not in TRAINING:
        raise ValueError(f"letters: got {letters!r}; expected one of {tuple(TRAINING)}.")
    usual = TRAINING[letters]
    training = usual if epochs is None else replace(usual, epochs=epochs)
    networks = []
    for number in range(lexicons):
        of_lexicon, of_weights = np.random.default_rng([rng, number]).spawn(2)
        lexicon = make_lexicon(rng=of_lexicon, codes=one_hot() if letters == "one-hot" else None)
        network = train(lexicon, participants=participants, rng=of_weights, training=training, device=device)
        least = float(network.accuracy(device).min())
        LOG.info("Lexicon %d: %d participants, all read %.0f %% of it or more.", number, participants, 100 * least)
        networks.append(network)
    return networks
