"""Language models against the brain: encoding, RSA and N400 simulation through one evaluation call.

Importing this package is cheap: every public name is looked up on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOME = {
    "Stimuli": "core.stimuli",
    "Aligned": "core.align",
    "AlignedSpaces": "core.align",
    "align": "core.align",
    "Split": "core.protocols",
    "NullDistribution": "core.null_distribution",
    "Result": "core.result",
    "ResultFileError": "core.result",
    "Provenance": "core.provenance",
    "evaluate": "evaluation.evaluate",
    "combine": "evaluation.joining",
    "evaluate_each": "evaluation.parallel",
    "gather": "evaluation.study_files",
    "held_out": "evaluation.heldout",
    "FitOnce": "evaluation.shared_fit",
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
    "SplitHalfCeiling": "evaluation.ceilings",
    "LeaveOneOutCeiling": "evaluation.ceilings",
    "Permutation": "evaluation.inference.samples",
    "HeldOutPermutation": "evaluation.inference.samples",
    "CircularShift": "evaluation.inference.time_series",
    "BlockPermutation": "evaluation.inference.time_series",
    "SignFlip": "evaluation.inference.participants",
    "Clusters": "evaluation.inference.clusters",
    "pairwise": "rsa.pairs",
    "FixedRDM": "rsa.pairs",
    "rdms": "rsa.dissimilarity",
    "crossnobis": "rsa.distances",
    "model_rdms": "rsa.models",
    "confound_rdms": "rsa.models",
    "similarity": "rsa.similarity",
    "searchlight": "rsa.searchlight",
    "decoding_rdms": "rsa.decode",
    "dual_bootstrap": "evaluation.bootstrap",
    "peak_latency": "evaluation.latency",
    "onset_latency": "evaluation.latency",
    "Ridge": "encoding.ridge",
    "RidgeCV": "encoding.ridge",
    "KernelRidgeCV": "encoding.kernel_ridge",
    "LeaveOneOutRidgeCV": "encoding.leave_one_out",
    "BandedRidgeCV": "encoding.banded",
    "bands_of": "core.feature_bands",
    "DirichletSearch": "encoding.band_search",
    "GradientSearch": "encoding.band_search",
    "RandomFeatureRidgeCV": "encoding.random_features",
    "StableVoxels": "encoding.stability",
    "convolve": "encoding.hrf",
    "delay": "encoding.delays",
    "to_volumes": "encoding.downsample",
    "run_by_run": "encoding.downsample",
    "Standardized": "encoding.standardize",
    "TRF": "encoding.trf",
    "ExplainableVarianceCeiling": "evaluation.ceilings",
    "partition_variance": "evaluation.variance",
    "product_measure": "evaluation.variance",
    "load_encoder": "features.transformer.encoder",
    "extract": "features.extract",
    "Rolling": "features.words.context",
    "Overlapping": "features.words.context",
    "split_words": "features.words.words",
    "load_language_model": "features.transformer.language_models",
    "fit_ngram": "features.lexical.ngram",
    "surprisal": "features.surprisal",
    "embed_sentences": "features.sentence",
}

__all__ = [
    "TRF",
    "Aligned",
    "AlignedSpaces",
    "BandedRidgeCV",
    "BlockPermutation",
    "ByItem",
    "CircularShift",
    "Clusters",
    "ContiguousFolds",
    "DirichletSearch",
    "ExplainableVarianceCeiling",
    "FitOnce",
    "FixedRDM",
    "GradientSearch",
    "HeldOutPermutation",
    "KernelRidgeCV",
    "LeaveOneOutCeiling",
    "LeaveOneOutRidgeCV",
    "LeavePOut",
    "Metric",
    "NoSplit",
    "NullDistribution",
    "Overlapping",
    "Permutation",
    "Provenance",
    "RandomFeatureRidgeCV",
    "Result",
    "ResultFileError",
    "Ridge",
    "RidgeCV",
    "Rolling",
    "ShufflesTime",
    "SignFlip",
    "Split",
    "SplitHalfCeiling",
    "StableVoxels",
    "Standardized",
    "Stimuli",
    "__version__",
    "align",
    "bands_of",
    "combine",
    "confound_rdms",
    "convolve",
    "cosine",
    "crossnobis",
    "decoding_rdms",
    "delay",
    "dual_bootstrap",
    "embed_sentences",
    "evaluate",
    "evaluate_each",
    "extract",
    "fit_ngram",
    "gather",
    "held_out",
    "load_encoder",
    "load_language_model",
    "model_rdms",
    "onset_latency",
    "pairwise",
    "partition_variance",
    "peak_latency",
    "pearson",
    "product_measure",
    "r2",
    "rdms",
    "run_by_run",
    "searchlight",
    "similarity",
    "spearman",
    "split_words",
    "surprisal",
    "to_volumes",
    "two_vs_two",
]

if TYPE_CHECKING:
    from neuroling.core.align import Aligned, AlignedSpaces, align
    from neuroling.core.feature_bands import bands_of
    from neuroling.core.null_distribution import NullDistribution
    from neuroling.core.protocols import Split
    from neuroling.core.provenance import Provenance
    from neuroling.core.result import Result, ResultFileError
    from neuroling.core.stimuli import Stimuli
    from neuroling.encoding.band_search import DirichletSearch, GradientSearch
    from neuroling.encoding.banded import BandedRidgeCV
    from neuroling.encoding.delays import delay
    from neuroling.encoding.downsample import run_by_run, to_volumes
    from neuroling.encoding.hrf import convolve
    from neuroling.encoding.kernel_ridge import KernelRidgeCV
    from neuroling.encoding.leave_one_out import LeaveOneOutRidgeCV
    from neuroling.encoding.random_features import RandomFeatureRidgeCV
    from neuroling.encoding.ridge import Ridge, RidgeCV
    from neuroling.encoding.stability import StableVoxels
    from neuroling.encoding.standardize import Standardized
    from neuroling.encoding.trf import TRF
    from neuroling.evaluation.bootstrap import dual_bootstrap
    from neuroling.evaluation.ceilings import ExplainableVarianceCeiling, LeaveOneOutCeiling, SplitHalfCeiling
    from neuroling.evaluation.evaluate import evaluate
    from neuroling.evaluation.heldout import held_out
    from neuroling.evaluation.inference.clusters import Clusters
    from neuroling.evaluation.inference.participants import SignFlip
    from neuroling.evaluation.inference.samples import HeldOutPermutation, Permutation
    from neuroling.evaluation.inference.time_series import BlockPermutation, CircularShift
    from neuroling.evaluation.joining import combine
    from neuroling.evaluation.latency import onset_latency, peak_latency
    from neuroling.evaluation.metrics import Metric, cosine, pearson, r2, spearman, two_vs_two
    from neuroling.evaluation.parallel import evaluate_each
    from neuroling.evaluation.shared_fit import FitOnce
    from neuroling.evaluation.splits import ByItem, ContiguousFolds, LeavePOut, NoSplit, ShufflesTime
    from neuroling.evaluation.study_files import gather
    from neuroling.evaluation.variance import partition_variance, product_measure
    from neuroling.features.extract import extract
    from neuroling.features.lexical.ngram import fit_ngram
    from neuroling.features.sentence import embed_sentences
    from neuroling.features.surprisal import surprisal
    from neuroling.features.transformer.encoder import load_encoder
    from neuroling.features.transformer.language_models import load_language_model
    from neuroling.features.words.context import Overlapping, Rolling
    from neuroling.features.words.words import split_words
    from neuroling.rsa.decode import decoding_rdms
    from neuroling.rsa.dissimilarity import rdms
    from neuroling.rsa.distances import crossnobis
    from neuroling.rsa.models import confound_rdms, model_rdms
    from neuroling.rsa.pairs import FixedRDM, pairwise
    from neuroling.rsa.searchlight import searchlight
    from neuroling.rsa.similarity import similarity


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"neuroling has no {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(f"neuroling.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
