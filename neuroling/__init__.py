"""Language models against the brain: encoding, RSA and N400 simulation through one evaluation call.

Importing this package is cheap: every public name is looked up on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOME = {
    "Stimuli": "core.stimuli",
    "Aligned": "core.align",
    "align": "core.align",
    "Split": "core.protocols",
    "NullDistribution": "core.result",
    "Result": "core.result",
    "ResultFileError": "core.result",
    "Provenance": "core.provenance",
    "evaluate": "evaluation.evaluate",
    "combine": "evaluation.compare",
    "evaluate_each": "evaluation.each",
    "gather": "evaluation.gather",
    "held_out": "evaluation.heldout",
    "FitOnce": "evaluation.fit_once",
    "Metric": "evaluation.metrics",
    "pearson": "evaluation.metrics",
    "spearman": "evaluation.metrics",
    "r2": "evaluation.metrics",
    "cosine": "evaluation.metrics",
    "two_vs_two": "evaluation.metrics",
    "LeavePOut": "evaluation.splits",
    "ContiguousFolds": "evaluation.splits",
    "ByItem": "evaluation.splits",
    "NoSplit": "evaluation.splits",
    "ShufflesTime": "evaluation.splits",
    "SplitHalf": "evaluation.ceilings",
    "LeaveOneOut": "evaluation.ceilings",
    "Permutation": "evaluation.inference",
    "HeldOutPermutation": "evaluation.inference",
    "CircularShift": "evaluation.inference",
    "BlockPermutation": "evaluation.inference",
    "SignFlip": "evaluation.inference",
    "Ridge": "encoding.ridge",
    "RidgeCV": "encoding.ridge",
    "KernelRidgeCV": "encoding.kernel_ridge",
    "BandedRidgeCV": "encoding.banded",
    "DirichletSearch": "encoding.band_search",
    "StableVoxels": "encoding.stability",
    "convolve": "encoding.hrf",
    "delay": "encoding.delays",
    "to_volumes": "encoding.downsample",
    "run_by_run": "encoding.downsample",
    "Standardized": "encoding.standardize",
    "TRF": "encoding.trf",
    "load_encoder": "features.encoder",
    "embed_sentences": "features.sentence",
}

__all__ = [
    "TRF",
    "Aligned",
    "BandedRidgeCV",
    "BlockPermutation",
    "ByItem",
    "CircularShift",
    "ContiguousFolds",
    "DirichletSearch",
    "FitOnce",
    "HeldOutPermutation",
    "KernelRidgeCV",
    "LeaveOneOut",
    "LeavePOut",
    "Metric",
    "NoSplit",
    "NullDistribution",
    "Permutation",
    "Provenance",
    "Result",
    "ResultFileError",
    "Ridge",
    "RidgeCV",
    "ShufflesTime",
    "SignFlip",
    "Split",
    "SplitHalf",
    "StableVoxels",
    "Standardized",
    "Stimuli",
    "__version__",
    "align",
    "combine",
    "convolve",
    "cosine",
    "delay",
    "embed_sentences",
    "evaluate",
    "evaluate_each",
    "gather",
    "held_out",
    "load_encoder",
    "pearson",
    "r2",
    "run_by_run",
    "spearman",
    "to_volumes",
    "two_vs_two",
]

if TYPE_CHECKING:
    from neuroling.encoding.band_search import DirichletSearch
    from neuroling.encoding.banded import BandedRidgeCV
    from neuroling.core.align import Aligned, align
    from neuroling.core.protocols import Split
    from neuroling.core.provenance import Provenance
    from neuroling.core.result import NullDistribution, Result, ResultFileError
    from neuroling.core.stimuli import Stimuli
    from neuroling.encoding.delays import delay
    from neuroling.encoding.downsample import run_by_run, to_volumes
    from neuroling.encoding.hrf import convolve
    from neuroling.encoding.kernel_ridge import KernelRidgeCV
    from neuroling.encoding.ridge import Ridge, RidgeCV
    from neuroling.encoding.stability import StableVoxels
    from neuroling.encoding.standardize import Standardized
    from neuroling.encoding.trf import TRF
    from neuroling.evaluation.ceilings import LeaveOneOut, SplitHalf
    from neuroling.evaluation.compare import combine
    from neuroling.evaluation.each import evaluate_each
    from neuroling.evaluation.evaluate import evaluate
    from neuroling.evaluation.fit_once import FitOnce
    from neuroling.evaluation.gather import gather
    from neuroling.evaluation.heldout import held_out
    from neuroling.evaluation.inference import (
        BlockPermutation,
        CircularShift,
        HeldOutPermutation,
        Permutation,
        SignFlip,
    )
    from neuroling.evaluation.metrics import Metric, cosine, pearson, r2, spearman, two_vs_two
    from neuroling.evaluation.splits import ByItem, ContiguousFolds, LeavePOut, NoSplit, ShufflesTime
    from neuroling.features.encoder import load_encoder
    from neuroling.features.sentence import embed_sentences


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"neuroling has no {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(f"neuroling.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
