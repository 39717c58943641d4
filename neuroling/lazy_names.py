"""Public names that are imported on first use.

Each namespace lists its names in ``__init__.pyi``, one per line, as ``from MODULE import NAME as NAME``. Type checkers
and editors read that file, and so does :func:`lazy_names`. To make a name public, add its line. Unlike with the
`lazy_loader` package, the module may belong to another subpackage.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import ModuleType

_LINE = re.compile(r"^from (neuroling[\w.]*) import (\w+) as \2$", re.MULTILINE)


class _Namespace(ModuleType):
    """A package in which a public name stays what it is when the module of the same name is imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(value, ModuleType) and name in self.__dict__.get("_named_like_modules", ()):
            return
        super().__setattr__(name, value)


def lazy_names(package: str, file: str) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Make the `__getattr__`, `__dir__` and `__all__` of a package from its stub file.

    Parameters
    ----------
    package : str
        Name of the package: its ``__name__``.
    file : str
        Its ``__file__``; the stub is ``__init__.pyi`` in the same folder.

    Returns
    -------
    getter : callable
        Imports a name when it is asked for; AttributeError for names that are not listed.
    lister : callable
        The names, sorted.
    names : list of str
        The names, sorted.

    Examples
    --------
    >>> import neuroling
    >>> getter, _, names = lazy_names("neuroling", neuroling.__file__)
    >>> "align" in names
    True
    >>> getter("align").__name__
    'align'
    """
    home_of = {name: home for home, name in _LINE.findall(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))}
    names = sorted(home_of)
    named_like_modules = {name for name, home in home_of.items() if home == f"{package}.{name}"}
    if named_like_modules:
        namespace = sys.modules[package]
        namespace.__dict__["_named_like_modules"] = named_like_modules
        namespace.__class__ = _Namespace

    def getter(name: str) -> object:
        if name not in home_of:
            raise AttributeError(f"{package} has no {name!r}{'' if name.startswith('__') else _advice(name, names)}.")
        home = home_of[name]
        if home == package:
            return import_module(f"{package}.{name}")
        module = import_module(home)
        return getattr(module, name) if hasattr(module, name) else import_module(f"{home}.{name}")

    return getter, lambda: list(names), names


def _advice(name: str, names: list[str]) -> str:
    """Say what to import instead: the namespace of the name, a name with a similar spelling, or what there is."""
    stubs = sorted(Path(__file__).parent.glob("**/__init__.pyi"))
    homes = [stub.parent.name for stub in stubs if any(n == name for _, n in _LINE.findall(stub.read_text("utf-8")))]
    if homes:
        path = "neuroling" if "neuroling" in homes else f"neuroling.{homes[0]}"
        return f"; it is in {path}: `from {path} import {name}`"
    similar = get_close_matches(name, names)
    return f"; did you mean {' or '.join(similar)}?" if similar else f"; it has {', '.join(names)}"
