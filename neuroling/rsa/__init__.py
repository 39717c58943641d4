"""Representational similarity: dissimilarities of item pairs, models of them, comparisons over time."""

from neuroling.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
