"""What a layer knows: structural probes, mixtures of layers, control tasks, and what attention heads look at."""

from neuroling.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
