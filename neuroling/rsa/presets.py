"""Published protocols as options, each with what is done otherwise here and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Options of a published analysis.

    Attributes
    ----------
    name, citation : str
        Which.
    pairs : mapping
        Options of :func:`~neuroling.rsa.pairs.pairwise`.
    metric : str
        Name of the metric that compares models with the recording.
    decoding : mapping
        Options of :func:`~neuroling.rsa.decode.decoding_rdms`; empty where the protocol decodes nothing.
    inference : str
        What was tested and how, in words.
    departures : tuple of str
        What is done otherwise here, and why. Nothing else differs that the authors' text or code fixes.
    """

    name: str
    citation: str
    pairs: Mapping[str, Any]
    metric: str
    decoding: Mapping[str, Any] = field(default_factory=dict)
    inference: str = ""
    departures: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.citation}"]
        lines += [f"  departs: {departure}" for departure in self.departures]
        return "\n".join(lines)


KARAPETIAN_2023 = Preset(
    name="Karapetian 2023",
    citation="Karapetian et al. (2023) J Cogn Neurosci 35, 1879-1897, 10.1162/jocn_a_02043; options of their code.",
    pairs={"distance": "crossvalidated correlation"},
    metric="spearman",
    decoding={"n_pseudo": 6, "n_draws": 100, "whiten": True},
    inference="sign flips of participants, 10,000 draws, FDR at 0.05 over times (right tail; differences two-sided)",
    departures=(
        "correlations are cross-validated between repeats; the code averages plain ones over random pseudo-trials",
        "noise is learned on training folds, where the code whitens all trials before they are split",
        "pairs are decoded by discriminant analysis with one covariance, where the code fits libsvm; "
        "classifier=SVC(kernel='linear') gives the original, thousands of times slower",
        "every pseudo-trial is left out once, where the code leaves out the last",
        "ceilings average ranks, where the code averages raw dissimilarities",
        "participants are resampled uniformly, where rounding drew the first and last half as often",
        "latency differences keep their sign; intervals of absolute values lay above zero in 25 % of null cases",
        "a missing scene is NaN for its pairs and participant, where the code sets it to 0",
        "latencies are read off the time axis, where (sample - 40) x 5 ms is one sample late",
        "FDR runs over all times and models of a call, where one hand-written version divides by the permutations",
    ),
)
"""Scenes in the brain and in networks: decoding, RSA with a ceiling, difference waves, searchlight."""

GUGGENMOS_2018 = Preset(
    name="Guggenmos 2018",
    citation="Guggenmos, Sterzer and Cichy (2018) NeuroImage 173, 434-447; code megmvpa.",
    pairs={"distance": "crossnobis", "noise": "training folds"},
    metric="spearman",
    decoding={"n_pseudo": 5, "n_draws": 20, "whiten": True},
    inference="reliability of dissimilarities between sessions",
    departures=(
        "the covariance is pooled over conditions and times and shrunk once, where the code shrinks each and averages",
        "distances are divided by the number of channels, which changes no rank",
        "discriminant analysis instead of three classifiers, unless classifier= names one",
    ),
)
"""Noise normalisation and cross-validated distances for MEG and EEG."""

NILI_2014 = Preset(
    name="Nili 2014",
    citation="Nili et al. (2014) PLoS Comput Biol 10, e1003553.",
    pairs={"distance": "correlation", "allow_bias": True},
    metric="tau-a",
    inference="sign ranks over participants, item-label permutation, bootstrap of participants and conditions, FDR",
    departures=(
        "sign flips of t over participants instead of signed ranks",
        "the upper ceiling of tau-a averages ranks: an approximation in the original as well",
        "the dual bootstrap is corrected after Schütt et al. (2023)",
        "a biased distance is written on the result; the default elsewhere is crossnobis",
    ),
)
"""The RSA toolbox: tau-a, ceilings, bootstraps."""
