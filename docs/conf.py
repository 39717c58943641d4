"""Sphinx: the user guide and the reference of public names. `make docs` treats every warning as an error."""

from importlib import import_module

import neuroling

NAMESPACES = ("data", "encoding", "evaluation", "features", "lm", "n400", "probing", "report", "rsa")
NAMES = {name: import_module(f"neuroling.{name}").__all__ for name in NAMESPACES}

project = "neuroling"
author = "The neuroling developers"
copyright = "The neuroling developers, BSD-3-Clause"
version = release = neuroling.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax", "numpydoc"]
source_suffix = {".rst": "restructuredtext"}  # Markdown pages here are read in the repository
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "code"
nitpicky = False

autosummary_generate = True
autosummary_context = {
    "names_of": {f"neuroling.{name}": sorted({*listed} - {*neuroling.__all__}) for name, listed in NAMES.items()},
    "names_on_top": {f"neuroling.{name}": sorted({*listed} & {*neuroling.__all__}) for name, listed in NAMES.items()},
}
autodoc_typehints = "none"  # docstrings say more
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "alabaster"
html_theme_options = {"description": "Language models against the brain", "fixed_sidebar": True, "page_width": "1100px"}
html_static_path = []
