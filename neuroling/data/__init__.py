"""Data: cards, downloads, brain grids, loaders and their synthetic twins. Files are opened here and nowhere else."""

from neuroling.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
