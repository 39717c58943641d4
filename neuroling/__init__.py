"""Language models against the brain: encoding, RSA and N400 simulation through one evaluation call.

Importing this package is cheap: every public name is looked up on first use. `__init__.pyi` lists the names.
"""

from neuroling.lazy_names import lazy_names

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
