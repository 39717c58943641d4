"""Two questions with known answers: whether a planted signal is found, and nothing in noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

N_NOISE = 5
"""Sets of noise; their mean accuracy has a standard error of about 0.04."""


@dataclass(frozen=True)
class Check:
    """One question.

    Attributes
    ----------
    name : str
        What was asked.
    passed : bool
        Whether the answer was the known one.
    seen : str
        The numbers.
    """

    name: str
    passed: bool
    seen: str


def self_test(rng: int = 0) -> list[Check]:
    """Ask both questions of the whole path from labels to p values.

    Parameters
    ----------
    rng : int
        Seed.

    Returns
    -------
    list of Check
    """
    for_signal, *for_noise = np.random.default_rng(rng).spawn(1 + N_NOISE)
    accuracy, p = _leave_two_out(for_signal, signal=1.0)
    planted = Check("planted signal is found", accuracy > 0.9 and p < 0.01, f"2-versus-2 {accuracy:.2f}, p = {p:.3f}")
    noise = np.array([_leave_two_out(generator, signal=0.0) for generator in for_noise])  # (set, [accuracy, p])
    mean, smallest = noise[:, 0].mean(), noise[:, 1].min()
    nothing = Check(
        "nothing is found in noise",
        bool(abs(mean - 0.5) < 0.15 and smallest > 0.01),
        f"mean 2-versus-2 {mean:.2f} over {N_NOISE} sets, smallest p = {smallest:.3f}",
    )
    return [planted, nothing]


def _leave_two_out(rng: np.random.Generator, signal: float) -> tuple[float, float]:
    """Score 24 words × 8 features against 40 voxels; ``signal`` is in standard deviations of the noise."""
    from neuroling.core.align import align
    from neuroling.core.stimuli import Stimuli
    from neuroling.encoding.ridge import Ridge
    from neuroling.evaluation.evaluate import evaluate
    from neuroling.evaluation.inference.samples import Permutation
    from neuroling.evaluation.metrics import two_vs_two
    from neuroling.evaluation.splits import LeavePOut

    stimuli = Stimuli.from_texts([f"word {number}" for number in range(24)])
    x = rng.standard_normal((24, 8))
    y = signal * x @ rng.standard_normal((8, 40)) + rng.standard_normal((24, 40))
    result = evaluate(
        Ridge(alpha=1.0, device="cpu"),
        align(stimuli.features(x), stimuli.features(y).rename(feature="voxel")),
        splits=LeavePOut(2),
        metric=two_vs_two,
        inference=Permutation(200),
        rng=rng,
    )
    return float(result.score), float(result.p_values())
