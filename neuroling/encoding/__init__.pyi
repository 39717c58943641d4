"""Public names of neuroling.encoding, one line each, read by type checkers and by neuroling/lazy_names.py."""

from neuroling.core.feature_bands import bands_of as bands_of
from neuroling.encoding.band_search import DirichletSearch as DirichletSearch
from neuroling.encoding.band_search import GradientSearch as GradientSearch
from neuroling.encoding.banded import BandedRidgeCV as BandedRidgeCV
from neuroling.encoding.controls import smoothed_identity as smoothed_identity
from neuroling.encoding.controls import volume_controls as volume_controls
from neuroling.encoding.count_maps import EqualMass as EqualMass
from neuroling.encoding.delays import delay as delay
from neuroling.encoding.downsample import run_by_run as run_by_run
from neuroling.encoding.downsample import to_volumes as to_volumes
from neuroling.encoding.drift import remove_drift as remove_drift
from neuroling.encoding.hrf import convolve as convolve
from neuroling.encoding.kernel_ridge import KernelRidgeCV as KernelRidgeCV
from neuroling.encoding.leave_one_out import LeaveOneOutRidgeCV as LeaveOneOutRidgeCV
from neuroling.encoding.nuisance import clean_spaces as clean_spaces
from neuroling.encoding.nuisance import remove_nuisance as remove_nuisance
from neuroling.encoding.other_participants import OtherParticipants as OtherParticipants
from neuroling.encoding.random_features import RandomFeatureRidgeCV as RandomFeatureRidgeCV
from neuroling.encoding.ridge import Ridge as Ridge
from neuroling.encoding.ridge import RidgeCV as RidgeCV
from neuroling.encoding.stability import StableVoxels as StableVoxels
from neuroling.encoding.standardize import Standardized as Standardized
from neuroling.encoding.trf import TRF as TRF
from neuroling.encoding.trf import lags_between as lags_between
from neuroling.encoding.words_in_samples import in_samples as in_samples
from neuroling.encoding.words_in_volumes import in_volumes as in_volumes
