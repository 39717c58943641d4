"""The N400 simulator: lexicon, excitatory–inhibitory network, alpha function, experiments, measures, effects."""

from neuroling.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
