"""Several lexicons, each taught to simulated participants of its own: what an analysis runs on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from neuroling.n400.lexicon import make_lexicon, one_hot
from neuroling.n400.network import Architecture, Network
from neuroling.n400.networks import cached, describe
from neuroling.n400.regime import Training
from neuroling.n400.training import train

LOG = logging.getLogger(__name__)

Letters = Literal["two-of-five", "one-hot"]
"""How letters are coded: five units a slot as published, or one unit a letter and slot."""

LETTERS = ("two-of-five", "one-hot")

RICHNESS = (3, 5)
"""Fewest and most features of a meaning: settled activation of the published model is near 0.06, three of 50 units."""


# More than eight parameters: lexicon, architecture, training, participants and where networks are kept.
def train_networks(
    *,
    lexicons: int = 1,
    participants: int,
    rng: int,
    numbers: Sequence[int] | None = None,
    training_seed: int | None = None,
    letters: Letters = "two-of-five",
    epochs: int | None = None,
    training: Training | None = None,
    architecture: Architecture | None = None,
    richness: tuple[int, int] = RICHNESS,
    cache: Path | None = None,
    device: str = "auto",
) -> list[Network]:
    """Draw lexicons and teach each to participants of its own.

    Parameters
    ----------
    lexicons, participants : int
        How many, the latter for each lexicon.
    rng : int
        Seed; lexicon number n does not depend on how many there are.
    numbers : sequence of int, optional
        Numbers of the lexicons, by default 0 to ``lexicons - 1``.
    training_seed : int, optional
        Seed of initial weights and of the stream instead of ``rng``, which then draws the lexicons alone: the same
        lexicons, learned anew by others.
    letters : {"two-of-five", "one-hot"}
        Code of the letters.
    epochs : int, optional
        Epochs of all stages together instead of the usual number.
    training, architecture : optional
        Procedure, sizes and rates instead of the usual ones.
    richness : tuple of int
        Fewest and most features of a meaning.
    cache : Path, optional
        Folder in which trained networks are kept, under a key of everything that made them.
    device : str
        Where to compute.

    Returns
    -------
    list of Network

    Examples
    --------
    >>> (network,) = train_networks(lexicons=1, participants=2, rng=0, epochs=2)
    >>> network.n_participants
    2
    """
    if lexicons < 1:
        raise ValueError(f"lexicons: got {lexicons}; expected 1 or more.")
    if letters not in LETTERS:
        raise ValueError(f"letters: got {letters!r}; expected one of {LETTERS}.")
    training, architecture = training or Training(), architecture or Architecture()
    training = training if epochs is None else training.with_epochs(epochs)
    networks = []
    for number in range(lexicons) if numbers is None else numbers:
        of_lexicon, of_weights = np.random.default_rng([rng, number]).spawn(2)
        seeds = [rng, number]
        if training_seed is not None and training_seed != rng:
            of_weights = np.random.default_rng([training_seed, number]).spawn(2)[1]
            seeds.append(training_seed)
        codes = one_hot() if letters == "one-hot" else None
        lexicon = make_lexicon(rng=of_lexicon, codes=codes, richness=richness)
        make = partial(
            train,
            lexicon,
            participants=participants,
            rng=of_weights,
            architecture=architecture,
            training=training,
            device=device,
        )
        network = cached(cache, describe(lexicon, architecture, training, participants, seeds), make)
        least = float(network.accuracy(device=device).min())
        LOG.info("Lexicon %d: %d participants, all read %.0f %% of it or more.", number, participants, 100 * least)
        networks.append(network)
    return networks


teach = train_networks
"""The earlier name."""
