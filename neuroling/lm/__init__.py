"""Language models trained here: encoder-decoders, BERT pre-training, fine-tuning."""

from neuroling.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
