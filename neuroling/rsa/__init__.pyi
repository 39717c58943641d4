"""Public names of neuroling.rsa, one line each, read by type checkers and by neuroling/lazy_names.py."""

from neuroling.core.pair_models import in_order_of as in_order_of
from neuroling.rsa.decode import decoding_rdms as decoding_rdms
from neuroling.rsa.dissimilarity import PairLabels as PairLabels
from neuroling.rsa.dissimilarity import label_pairs as label_pairs
from neuroling.rsa.dissimilarity import rdms as rdms
from neuroling.rsa.distances import crossnobis as crossnobis
from neuroling.rsa.models import collinearity as collinearity
from neuroling.rsa.models import confound_rdms as confound_rdms
from neuroling.rsa.models import model_rdms as model_rdms
from neuroling.rsa.models import stack_models as stack_models
from neuroling.rsa.noise import noise_covariance as noise_covariance
from neuroling.rsa.noise import whiten as whiten
from neuroling.rsa.pairs import FixedRDM as FixedRDM
from neuroling.rsa.pairs import paired as paired
from neuroling.rsa.pairs import pairwise as pairwise
from neuroling.rsa.presets import KARAPETIAN_2023 as KARAPETIAN_2023
from neuroling.rsa.scaling import ranked_pairs as ranked_pairs
from neuroling.rsa.scaling import rdms_of_others as rdms_of_others
from neuroling.rsa.searchlight import neighbours_within as neighbours_within
