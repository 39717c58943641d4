"""Sphinx: the user guide and the reference of public names. `make docs` treats every warning as an error."""

import os
import sys
from importlib import import_module
from pathlib import Path

import neuroling

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

NAMESPACES = ("data", "encoding", "evaluation", "features", "lm", "n400", "probing", "report", "rsa")
NAMES = {name: import_module(f"neuroling.{name}").__all__ for name in NAMESPACES}

project = "neuroling"
author = "The neuroling developers"
copyright = "The neuroling developers, BSD-3-Clause"
version = release = neuroling.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "mathml",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["_build", "changes", "gallery"]
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "generated_gallery",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "image_scrapers": ("pictures.pictures",),
    "capture_repr": (),
    "show_memory": False,
    "show_signature": False,
    "backreferences_dir": "generated_gallery/backreferences",
    "doc_module": ("neuroling",),
    "abort_on_example_error": True,
}
suppress_warnings = ["ref.python"]  # attributes of the same name in several classes
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
# references to other projects; their inventories are asked for only where NEUROLING_DOCS_ONLINE says so
INVENTORIES = {
    "python": ("https://docs.python.org/3", None),
    "numpy": ("https://numpy.org/doc/stable", None),
    "xarray": ("https://docs.xarray.dev/en/stable", None),
    "sklearn": ("https://scikit-learn.org/stable", None),
    "mne": ("https://mne.tools/stable", None),
    "nilearn": ("https://nilearn.github.io/stable", None),
}
intersphinx_mapping = INVENTORIES if os.environ.get("NEUROLING_DOCS_ONLINE") else {}
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

html_theme = "pydata_sphinx_theme"
html_title = "neuroling"
html_theme_options = {
    "navigation_depth": 3,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["neuroling.css"]
