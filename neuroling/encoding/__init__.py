"""Estimators that predict recordings from features."""

from neuroling.encoding.band_search import DirichletSearch, GradientSearch
from neuroling.encoding.banded import BandedRidgeCV
from neuroling.encoding.kernel_ridge import KernelRidgeCV
from neuroling.encoding.leave_one_out import LeaveOneOutRidgeCV
from neuroling.encoding.random_features import RandomFeatureRidgeCV
from neuroling.encoding.ridge import Ridge, RidgeCV
from neuroling.encoding.stability import StableVoxels

__all__ = [
    "BandedRidgeCV",
    "DirichletSearch",
    "GradientSearch",
    "KernelRidgeCV",
    "LeaveOneOutRidgeCV",
    "RandomFeatureRidgeCV",
    "Ridge",
    "RidgeCV",
    "StableVoxels",
]
