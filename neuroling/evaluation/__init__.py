"""One evaluation call for every model: splits, metrics, ceilings, inference."""

from neuroling.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
