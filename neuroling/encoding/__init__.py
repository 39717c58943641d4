"""Estimators that predict recordings from features."""

from neuroling.encoding.ridge import Ridge, RidgeCV
from neuroling.encoding.stability import StableVoxels

__all__ = ["Ridge", "RidgeCV", "StableVoxels"]
