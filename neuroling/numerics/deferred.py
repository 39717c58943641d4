"""Modules that are imported when something of them is first asked for, such as torch, which takes a second.

A module that names such a library in its functions alone writes::

    if TYPE_CHECKING:
        import torch
    else:
        torch = deferred("torch")

The stand-in is not entered in ``sys.modules``: libraries that look there whether torch is in use find that it is not.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType


class _Deferred(ModuleType):
    """Stands for a module until it is needed."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__") and self.__name__ not in sys.modules:  # what inspection asks of every object
            raise AttributeError(name)
        found = getattr(import_module(self.__name__), name)
        self.__dict__[name] = found
        return found


def deferred(name: str) -> ModuleType:
    """Give what stands for a module until one of its names is used.

    Parameters
    ----------
    name : str
        Name of the module.

    Returns
    -------
    module

    Examples
    --------
    >>> fractions = deferred("fractions")
    >>> fractions.Fraction(1, 2)
    Fraction(1, 2)
    """
    return _Deferred(name)
